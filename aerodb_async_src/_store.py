# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""One client's way to the store that keeps its session, and what its failures are called."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from aerodb._core.errors import client_error
from aerodb._core.identity import Session
from aerodb._core.redact import redact_text
from aerodb._dataclass import replace
from aerodb._io.on_asyncio import Lock, apart, jitter, logger, monotonic, pause
from aerodb.types import AeroDBError

_POLL_SECONDS = 0.02
_MAX_CAUSE = 300  # characters of what a store says: databases like to repeat what they were given
_STAYS = (OSError, ValueError, TypeError, AttributeError, LookupError, NotImplementedError)
_DONE = {"load": "read", "save": "written", "clear": "removed", "try_lock": "locked"}


class StoreFailed(Exception):
    """A store raised. It may be of the user's own, so it may have raised anything.

    Attributes:
        error: What the caller is told. No token of the session is in it.
        by_content: Whether there is something in the store that is no session.
    """

    def __init__(self, error: AeroDBError, *, by_content: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.by_content = by_content


def _failed(name: str, failure: Exception, session: Session | None) -> StoreFailed:
    secrets = () if session is None else (session.access_token, session.refresh_token or "")
    said = redact_text(str(failure), (text for text in secrets if text))[:_MAX_CAUSE]
    cause = said if isinstance(failure, OSError) else f"{type(failure).__name__}: {said}"
    error = client_error(
        "SESSION_STORE_FAILED",
        f"the stored session cannot be {_DONE[name]}: {cause}",
        hint="signing in again replaces it" if name == "load" else None,
    )
    passes = isinstance(failure, ConnectionError | TimeoutError) or not isinstance(failure, _STAYS)
    error = replace(error, retryable=passes)  # realtime tries again, or gives up, by this
    return StoreFailed(error, by_content=name == "load" and isinstance(failure, ValueError))


def _unlocked() -> None:
    """Release the lock of a store that has none."""


class AsyncStoreKeeper:
    """A store, what is known of its content, and whose turn it is to touch it.

    Its methods raise `StoreFailed`, and nothing else.

    Attributes:
        turn: One at a time: a session must not be written after it was to be removed.
        was_read: Whether memory is as new as the store was at the start.
        was_written: Whether there is a session in the store as far as this client knows.
        is_behind: Whether the store may hold a session that was spent: writing failed.
        is_locked: Whether this client has the lock.
    """

    __slots__ = ("_store", "is_behind", "is_locked", "turn", "was_read", "was_written")

    def __init__(self, store: Any) -> None:
        self._store = store
        self.turn = Lock()
        self.was_read = False
        self.was_written = False
        self.is_behind = False
        self.is_locked = False

    def is_unread(self) -> bool:
        """Whether the store may know more than memory does."""
        return not self.was_read

    async def load(self) -> Session | None:
        """What the store has, unless memory is known to be newer."""
        if self.is_behind:
            return None
        found = await self._ask("load")
        if found is not None and not isinstance(found, Session):
            kind = type(found).__name__
            raise _failed("load", TypeError(f"load() gave a {kind}, no Session"), None)
        self.was_written = self.was_written or found is not None
        return found

    async def save(self, session: Session, expires_at: float) -> None:
        """Keep a session. `expires_at` is by this machine's clock, which its readers share."""
        if expires_at < math.inf:
            session = session.replace(expires_at=expires_at)
        self.was_read = self.is_behind = True
        await self._ask("save", session)
        self.was_written, self.is_behind = True, False

    async def clear(self) -> None:
        """Keep none."""
        self.was_read, self.was_written = True, False
        await self._ask("clear")
        self.is_behind = False

    async def lock(self, timeout: float) -> Callable[[], None] | None:
        """Be the only process that changes the stored session; None if others took too long."""
        if getattr(self._store, "try_lock", None) is None:
            return _unlocked
        until = monotonic() + timeout
        while True:
            release = await self._ask("try_lock")
            if release is not None:
                return self._locked(release)
            if monotonic() >= until:
                return None
            await pause(_POLL_SECONDS * (0.5 + jitter()))

    def _locked(self, release: Any) -> Callable[[], None]:
        if not callable(release):
            kind = type(release).__name__
            raise _failed("try_lock", TypeError(f"try_lock() gave a {kind}, no function"), None)

        def unlock() -> None:
            self.is_locked = False
            try:
                release()
            except Exception as failure:  # noqa: BLE001  # the store may be of the user's own
                said = redact_text(f"{type(failure).__name__}: {failure}")[:_MAX_CAUSE]
                logger().warning("the stored session cannot be unlocked: %s", said)

        self.is_locked = True
        return unlock

    async def _ask(self, name: str, *arguments: Session) -> Any:
        try:
            return await apart(getattr(self._store, name), *arguments)
        except Exception as failure:  # noqa: BLE001
            # without a cause: its traceback has the tokens in its variables
            raise _failed(name, failure, *(arguments or (None,))) from None
