"""Rate limits, off unless asked for (wire contract §2.6). They are counted in the database, so that
copies of the server share them and a restart does not forget them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from aerodb.local.auth.errors import AuthError
from aerodb.local.auth.store import Store, one


@dataclass(frozen=True, slots=True)
class Limit:
    """So many attempts at something in a window of time."""

    name: str
    most: int
    window: timedelta


LOGIN = Limit("login", 5, timedelta(minutes=15))
SIGNUP = Limit("signup", 3, timedelta(hours=1))
RECOVERY = Limit("recovery", 3, timedelta(hours=1))
VERIFICATION = Limit("verification", 3, timedelta(hours=1))


class RateLimits:
    """Counts attempts; with `active` False it lets everything pass."""

    def __init__(self, store: Store, *, active: bool) -> None:
        self._store = store
        self._active = active

    async def count(self, limit: Limit, subject: str) -> None:
        """Count an attempt of `subject`, an address; raise rate_limit_exceeded if it was too many.

        It is counted before anything else is done, and whether or not `subject` is known here.
        """
        if not self._active:
            return
        bucket = hashlib.sha256(f"{limit.name}\0{subject}".encode()).digest()
        async with self._store.transaction() as connection:
            row = await one(
                connection,
                "select aerodb_internal.count_attempt(%s, %s, %s) as seconds",
                bucket,
                limit.most,
                limit.window,
            )
        seconds = 0 if row is None else int(row["seconds"])
        if seconds:
            message = f"Rate limit exceeded; try again in {seconds} s"
            raise AuthError("rate_limit_exceeded", message, retry_after=seconds)
