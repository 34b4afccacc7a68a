# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""One client's way to the store that keeps its session."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from aerodb._core.errors import client_error
from aerodb._core.identity import Session
from aerodb._io.on_asyncio import Lock, apart, jitter, monotonic, pause
from aerodb.types import AeroDBError

_POLL_SECONDS = 0.02


def store_problem(failure: OSError | None) -> AeroDBError:
    """What calls answer whose session is in a store that cannot be used."""
    cause = "its store failed" if failure is None else str(failure)
    return client_error(
        "NOT_AUTHENTICATED",
        f"the stored session cannot be used: {cause}",
        hint="signing in again replaces it",
    )


def _unlocked() -> None:
    """Release the lock of a store that has none."""


class AsyncStoreKeeper:
    """A store, what is known of its content, and whose turn it is to touch it.

    Attributes:
        turn: One at a time: a session must not be written after it was to be removed.
        was_read: Whether memory is as new as the store was at the start.
        was_written: Whether there is a session in the store as far as this client knows.
        is_behind: Whether the store may hold a session that was spent: writing failed.
    """

    __slots__ = ("_store", "is_behind", "turn", "was_read", "was_written")

    def __init__(self, store: Any) -> None:
        self._store = store
        self.turn = Lock()
        self.was_read = False
        self.was_written = False
        self.is_behind = False

    def is_unread(self) -> bool:
        """Whether the store may know more than memory does."""
        return not self.was_read

    async def load(self) -> Session | None:
        """What the store has, unless memory is known to be newer."""
        if self.is_behind:
            return None
        session: Session | None = await apart(self._store.load)
        self.was_written = self.was_written or session is not None
        return session

    async def save(self, session: Session, expires_at: float) -> None:
        """Keep a session. `expires_at` is by this machine's clock, which its readers share."""
        if expires_at < math.inf:
            session = session.replace(expires_at=expires_at)
        self.was_read = self.is_behind = True
        await apart(self._store.save, session)
        self.was_written, self.is_behind = True, False

    async def clear(self) -> None:
        """Keep none."""
        self.was_read, self.was_written = True, False
        await apart(self._store.clear)
        self.is_behind = False

    async def lock(self, timeout: float) -> Callable[[], None] | None:
        """Be the only process that changes the stored session; None if others took too long."""
        try_lock = getattr(self._store, "try_lock", None)
        if try_lock is None:
            return _unlocked
        until = monotonic() + timeout
        while True:
            release: Callable[[], None] | None = await apart(try_lock)
            if release is not None or monotonic() >= until:
                return release
            await pause(_POLL_SECONDS * (0.5 + jitter()))
