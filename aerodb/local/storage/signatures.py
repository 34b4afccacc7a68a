"""Signed URLs: the token in them (wire contract §5.4, reliability J9).

A JSON Web Token under a key of its own (S13). Bucket and path are members of it, so they cannot run
into each other, and they must be those of the URL; what may be done is one too. Nothing that the
signer decided can be changed in the URL.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import jwt

from aerodb.local import tokens
from aerodb.local.rest.errors import RestError
from aerodb.local.storage.errors import StorageError

MAXIMUM_SECONDS = 604_800
_AUDIENCE = "aerodb.storage"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows: `scope` is `download` or `upload`.

    `download` is the name to save under, "" for the object's own; None if the signer did not say.
    """

    bucket: str
    path: str
    scope: str
    upsert: bool = False
    owner: UUID | None = None
    download: str | None = field(default=None)


class Signer:
    """Makes tokens and checks them."""

    def __init__(self, key: str, now: Callable[[], float] = time.time) -> None:
        self._key = key
        self._keys = tokens.load_keys(key)
        self._now = now

    def sign(self, grant: Grant, seconds: int) -> tuple[str, int]:
        """Return a token and the second at which it ends."""
        issued = int(self._now())
        claims: dict[str, Any] = {
            "aud": _AUDIENCE,
            "bucket": grant.bucket,
            "path": grant.path,
            "scope": grant.scope,
            "iat": issued,
            "exp": issued + seconds,
        }
        if grant.upsert:
            claims["upsert"] = True
        if grant.owner is not None:
            claims["sub"] = str(grant.owner)
        if grant.download is not None:
            claims["download"] = grant.download
        return jwt.encode(claims, self._key, algorithm="HS256"), issued + seconds

    def check(self, token: str | None, scope: str, bucket: str, path: str) -> Grant:
        """Return what `token` allows, or raise invalid_signature or url_expired."""
        try:
            claims = tokens.decode(token or "", self._keys)
        except RestError:
            raise _bad() from None
        expected = {"aud": _AUDIENCE, "scope": scope, "bucket": bucket, "path": path}
        if any(claims.get(name) != value for name, value in expected.items()):
            raise _bad()
        expires = claims.get("exp")
        if isinstance(expires, bool) or not isinstance(expires, int):
            raise _bad()
        if self._now() >= expires:
            raise StorageError("url_expired", "The signed URL has expired")
        sub, download = claims.get("sub"), claims.get("download")
        return Grant(
            bucket,
            path,
            scope,
            upsert=claims.get("upsert") is True,
            owner=UUID(sub) if isinstance(sub, str) else None,
            download=download if isinstance(download, str) else None,
        )


def _bad() -> StorageError:
    return StorageError("invalid_signature", "The signature of the URL is not valid")
