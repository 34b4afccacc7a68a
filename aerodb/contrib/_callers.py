"""Whom a token belongs to, remembered for a short while: one question to AeroDB, not one each."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import Any
from weakref import WeakKeyDictionary

from aerodb import User
from aerodb._core.identity import key_role, unverified_claims

LONGEST_SECONDS = 60.0
MOST = 1024


class CallerCache:
    """The users behind the tokens that AeroDB has vouched for. Tokens are kept as hashes."""

    __slots__ = ("_entries", "_lock")

    def __init__(self) -> None:
        self._entries: dict[bytes, tuple[float, User]] = {}
        self._lock = threading.Lock()

    def get(self, token: str) -> User | None:
        """Whose token it is, if that was learned within a minute and the token has not expired."""
        entry = self._entries.get(_fingerprint(token))
        return entry[1] if entry is not None and time.monotonic() < entry[0] else None

    def put(self, token: str, user: User) -> None:
        """Remember what AeroDB has just said."""
        expires = (unverified_claims(token) or {}).get("exp")  # AeroDB has verified it
        life = LONGEST_SECONDS
        if isinstance(expires, int | float):
            life = min(life, expires - time.time())
        with self._lock:
            if len(self._entries) >= MOST:
                self._make_room()
            self._entries[_fingerprint(token)] = (time.monotonic() + life, user)

    def _make_room(self) -> None:
        """Drop what has run out; if nothing has, the older half."""
        now = time.monotonic()
        alive = {key: entry for key, entry in self._entries.items() if now < entry[0]}
        self._entries = dict(list(alive.items())[-MOST // 2 :])


_caches: WeakKeyDictionary[Any, CallerCache] = WeakKeyDictionary()


def caller_cache(client: Any) -> CallerCache:
    """The cache that belongs to a client; gone with it."""
    return _caches.setdefault(client, CallerCache())


def is_key(token: str) -> bool:
    """Whether what was sent as an access token is an API key, which AeroDB would take as well.

    A key is a program's, not a person's; those of JWT form name one of two roles, and no `sub`.
    """
    if "sub" in (unverified_claims(token) or {}):
        return False
    return key_role(token) in ("anon", "service_role")


def _fingerprint(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
