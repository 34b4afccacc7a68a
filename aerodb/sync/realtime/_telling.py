# GENERATED from aerodb_async_src/realtime/_telling.py by scripts/generate.py [86b6068c2ce7]: do not edit
"""Where a user's code runs, and what becomes of its failures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from aerodb._core.errors import client_error
from aerodb._core.realtime.failures import FailureLog
from aerodb._io.on_threads import Dispatcher, Mutex, call, logger, monotonic
from aerodb.types import AeroDBError

_LOG = "aerodb.realtime"
_MOST_ERRORS = 100
"""So many wait for listeners. Whoever takes longer over them misses the later ones."""


class Telling:
    """The dispatcher of one client, made when it is first needed, and who hears of errors."""

    __slots__ = ("_closed", "_dispatcher", "_errors", "_failures", "_inherited", "_mutex",
                 "_telling", "listeners")  # fmt: skip

    def __init__(self) -> None:
        self._closed = False
        self._dispatcher: Dispatcher | None = None
        self._errors: deque[AeroDBError] = deque()
        self._mutex = Mutex()
        self._telling = False
        self._failures = FailureLog()
        self._inherited: list[object] = []
        self.listeners: tuple[Callable[[AeroDBError], Any], ...] = ()

    def dispatch(self, job: Callable[[], Any]) -> None:
        """Run a user's code, apart from the reader."""
        dispatcher = self._dispatcher
        if dispatcher is None or not dispatcher.is_alive:
            if self._closed and dispatcher is not None:
                return
            dispatcher = self._dispatcher = Dispatcher("aerodb-realtime-handlers")
        dispatcher.start(job)

    def is_inside(self) -> bool:
        """Whether the caller is a user's code that runs here."""
        return self._dispatcher is not None and self._dispatcher.is_inside()

    def close(self, timeout: float) -> None:
        """Run nothing more, and wait for what runs; not if that is the caller."""
        self._closed = True
        if self._dispatcher is not None:
            self._dispatcher.close(timeout)

    def reset_after_fork(self) -> None:
        """A child has none of the parent's tasks and threads."""
        self._inherited.append(self._dispatcher)
        self._dispatcher = None
        self._errors.clear()
        self._telling = False

    def tell_error(self, error: AeroDBError) -> None:
        """Have an error told that belongs to no operation: one after another, in their order."""
        if not self.listeners:
            return
        with self._mutex:
            if len(self._errors) >= _MOST_ERRORS:
                return
            self._errors.append(error)
            dispatcher = self._dispatcher
            busy = self._telling and dispatcher is not None and dispatcher.is_alive
            self._telling = True
        if not busy:
            self.dispatch(self._tell_next)

    def _tell_next(self) -> None:
        """The job: one error. What else is to be run has its turn before the next."""
        with self._mutex:
            error = self._errors.popleft() if self._errors else None
        try:
            if error is not None:
                self._tell(error)
        finally:
            with self._mutex:
                more = self._telling = bool(self._errors)
            if more:
                self.dispatch(self._tell_next)

    def _tell(self, error: AeroDBError) -> None:
        for listener in self.listeners:
            try:
                call(listener, error)
            except Exception:  # noqa: BLE001  # a listener's failure is its own
                logger(_LOG).exception("a listener to realtime errors failed")

    def failed(self, handler: Callable[..., Any], failure: Exception, channel: str) -> None:
        """Log the failure of a handler, not too often, and tell of it (reliability W6)."""
        count = self._failures.note(handler, monotonic())
        name = getattr(handler, "__qualname__", None) or repr(handler)
        if count is not None:
            logger(_LOG).error(
                "a realtime handler failed: %s, channel %r, %d times since the last line",
                name,
                channel,
                count,
                exc_info=failure,
            )
        message = f"handler {name} of channel {channel!r} failed: {type(failure).__name__}"
        self._tell(client_error("HANDLER_FAILED", message))
