"""A lock for a few lines that never wait: the same in both colours."""

from __future__ import annotations

import threading
from types import TracebackType

from aerodb._io import forks

__all__ = ["Mutex"]


class Mutex:
    """One thread at a time. Never held across a wait, so that an event loop may take it too."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        forks.watch(self)

    def reset_after_fork(self) -> None:
        """In a child, the thread that holds the lock may not exist."""
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._lock.locked():  # not so if the process was forked inside the block
            self._lock.release()
