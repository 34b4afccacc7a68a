"""Making tokens: access tokens (JWT) and secrets of 256 bits (wire contract §1.4, §2.2).

A refresh token follows from the one before it: `child = HMAC(key of the instance, parent)`. So the
server, which keeps only hashes, can give the same child a second time to whoever presents the
parent a second time, which is what the reuse grace of §2.4 asks for.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import jwt

from aerodb.local.credentials import ISSUER
from aerodb.local.settings import RestSettings
from aerodb.local.tokens import MINIMUM_SECRET_BYTES, load_keys

ALGORITHM = "HS256"
_CHAIN = b"aerodb refresh token chain"


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Signs access tokens with one key, and derives refresh tokens from it."""

    key: bytes = field(repr=False)
    lifetime: int
    audience: str = ISSUER
    now: Callable[[], float] = time.time

    def access_token(self, user: Mapping[str, Any], session_id: str) -> tuple[str, int]:
        """Return a token with all claims of wire contract §1.4, and when it expires.

        `user` is a user as the wire shows one (§2.2).
        """
        issued = int(self.now())
        expires = issued + self.lifetime
        claims = {
            "iss": ISSUER,
            "aud": self.audience,
            "sub": user["id"],
            "role": user["role"],
            "email": user["email"],
            "email_verified": user["email_verified"],
            "app_metadata": user["app_metadata"],
            "user_metadata": user["metadata"],
            "session_id": session_id,
            "jti": str(uuid4()),
            "iat": issued,
            "exp": expires,
        }
        return jwt.encode(claims, self.key, algorithm=ALGORITHM), expires

    def child(self, refresh_token: str) -> str:
        """Return the refresh token that follows `refresh_token`."""
        chain = hmac.digest(self.key, _CHAIN, "sha256")
        return _text(hmac.digest(chain, refresh_token.encode(), "sha256"))


def signing_key(settings: RestSettings, own: str | None) -> bytes | None:
    """Return the key that this instance signs with, None if what it was given can only verify.

    `own` is the instance's own secret, used when no other was configured.
    """
    if settings.jwt_secret is None:
        return None if own is None else own.encode()
    keys = load_keys(settings.jwt_secret, is_base64=settings.jwt_secret_is_base64)
    for key in keys:
        if ALGORITHM in key.algorithms and isinstance(key.material, bytes):
            return key.material if len(key.material) >= MINIMUM_SECRET_BYTES else None
    return None


def new_secret() -> str:
    """Return 256 random bits as text."""
    return _text(secrets.token_bytes(32))


def digest(secret: str) -> bytes:
    """Return what is stored of a secret. It is random and long: it needs no salt, nor Argon2."""
    return hashlib.sha256(secret.encode()).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
