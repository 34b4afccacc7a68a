# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Tells who wants to know of the changes of a session: in order, one at a time, under no lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from typing import Any

from aerodb._core.identity import AuthChange
from aerodb._io.on_asyncio import Mutex, call, logger

Listener = Callable[[AuthChange], Any]


class AsyncChanges:
    """The listeners, and what they have not been told yet."""

    __slots__ = ("_listeners", "_mutex", "_queue", "_telling")

    def __init__(self) -> None:
        self._mutex = Mutex()
        self._listeners: tuple[Listener, ...] = ()
        self._queue: deque[tuple[tuple[Listener, ...], AuthChange]] = deque()
        self._telling = 0

    def note(self, change: AuthChange) -> None:
        """Queue a change; `tell` delivers it later. It never waits."""
        if self._listeners:
            self._queue.append((self._listeners, change))

    def listen(self, listener: Listener, initial: AuthChange | None) -> AuthSubscription:
        """Have every change told to `listener`, and `initial` before."""
        with self._mutex:
            self._listeners = (*self._listeners, listener)
            if initial is not None:
                self._queue.append(((listener,), initial))
        return AuthSubscription(self, listener)

    def forget(self, listener: Listener) -> None:
        """Tell that one no more."""
        with self._mutex:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

    async def tell(self) -> None:
        """Deliver what is queued, unless somebody is at it: a listener that causes a change is
        told of it when it has returned (features §3.11). A forked child begins anew."""
        while self._queue:
            with self._mutex:
                if self._telling == os.getpid() or not self._queue:
                    return
                self._telling = os.getpid()
                audience, change = self._queue.popleft()
            try:
                for listener in audience:
                    if listener in self._listeners:
                        await self._tell_one(listener, change)
            finally:
                self._telling = 0

    async def _tell_one(self, listener: Listener, change: AuthChange) -> None:
        try:
            await call(listener, change)
        except Exception:  # noqa: BLE001  # a listener's failure is its own
            logger().exception("a listener to auth changes failed")


class AuthSubscription:
    """What `on_auth_state_change` returns."""

    __slots__ = ("_changes", "_listener")

    def __init__(self, changes: AsyncChanges, listener: Listener) -> None:
        self._changes = changes
        self._listener = listener

    def unsubscribe(self) -> None:
        """Call the callback no more. May be called again, and from within the callback."""
        self._changes.forget(self._listener)
