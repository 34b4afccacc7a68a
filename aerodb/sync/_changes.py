# GENERATED from aerodb_async_src/_changes.py by scripts/generate.py [c5ed66316b54]: do not edit
"""Tells who wants to know of the changes of a session: in order, one at a time, under no lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from aerodb._core.identity import AuthChange
from aerodb._io.on_threads import Event, Mutex, call, logger, settle, soon

Listener = Callable[[AuthChange], Any]

_LONGEST_SECONDS = 10.0  # a listener may wait for who waits for it: nobody waits for ever
_within_a_listener: ContextVar[bool] = ContextVar("aerodb_within_a_listener", default=False)


class Changes:
    """The listeners, and what they have not been told yet."""

    __slots__ = ("_current", "_idle", "_listeners", "_mutex", "_queue", "_telling")

    def __init__(self) -> None:
        self._mutex = Mutex()
        self._listeners: tuple[Listener, ...] = ()
        self._queue: deque[tuple[tuple[Listener, ...], AuthChange, Event | None]] = deque()
        self._telling = 0
        self._current: tuple[Listener, Event] | None = None
        self._idle = Event()

    def note(self, change: AuthChange) -> None:
        """Queue a change; `tell` delivers it later. It never waits."""
        if self._listeners:
            self._queue.append((self._listeners, change, None))

    def listen(self, listener: Listener, initial: AuthChange | None) -> AuthSubscription:
        """Have every change told to `listener`, and `initial` before. Under the mutex of the
        session, or what it becomes meanwhile would be missed."""
        first = None if initial is None else Event()
        with self._mutex:
            self._listeners = (*self._listeners, listener)
            if initial is not None:
                self._queue.append(((listener,), initial, first))
        return AuthSubscription(self, listener, first)

    def forget(self, listener: Listener) -> None:
        """Tell that one no more. A thread waits here for another that is just calling it."""
        with self._mutex:
            self._listeners = tuple(one for one in self._listeners if one is not listener)
            current = self._current
        if current is not None and current[0] is listener and self._is_telling():
            self.settle(current[1])

    def settle(self, told: Event) -> None:
        """Wait for what another thread is telling, unless a listener would wait for itself."""
        if not _within_a_listener.get():
            settle(told, _LONGEST_SECONDS)

    def _is_telling(self) -> bool:
        return self._telling == os.getpid()  # not that of a parent that was forked meanwhile

    def tell(self) -> None:
        """Deliver what is queued, unless somebody is at it: a listener that causes a change is
        told of it when it has returned (features §3.11). A forked child begins anew."""
        while self._queue:
            with self._mutex:
                if self._is_telling() or not self._queue:
                    return
                self._idle.clear()
                self._telling = os.getpid()
                audience, change, told = self._queue.popleft()
            try:
                for listener in audience:
                    self._tell_one(listener, change)
            finally:
                with self._mutex:
                    self._telling = 0
                    self._idle.set()
                if told is not None:
                    told.set()

    def told(self) -> None:
        """As `tell`, and if somebody is at it, wait for that."""
        self.tell()
        while self._is_telling() and not _within_a_listener.get():
            if not self._idle.wait(_LONGEST_SECONDS):
                return
            self.tell()

    def _tell_one(self, listener: Listener, change: AuthChange) -> None:
        ended = Event()
        with self._mutex:
            if listener not in self._listeners:
                return
            self._current = (listener, ended)
        mark = _within_a_listener.set(True)
        try:
            call(listener, change)
        except Exception:  # noqa: BLE001  # a listener's failure is its own
            logger().exception("a listener to auth changes failed")
        finally:
            _within_a_listener.reset(mark)
            self._current = None
            ended.set()


class AuthSubscription:
    """What `on_auth_state_change` returns."""

    __slots__ = ("_changes", "_first", "_listener")

    def __init__(self, changes: Changes, listener: Listener, first: Event | None) -> None:
        self._changes = changes
        self._listener = listener
        self._first = first

    def _begin(self) -> None:
        """Have the present state told."""
        if self._first is not None:
            soon(self._changes.tell, "aerodb-auth-events")
            self._changes.settle(self._first)

    def unsubscribe(self) -> None:
        """Call the callback no more: not once this has returned, unless it is the callback that
        calls this. May be called again."""
        self._changes.forget(self._listener)
