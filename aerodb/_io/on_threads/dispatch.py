"""Calling a user's handlers, apart from the thread that reads: one thread, one job at a time."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from aerodb._io import forks
from aerodb._io.log import logger

__all__ = ["Dispatcher", "at_exit", "check_handler", "is_own"]

IDLE_SECONDS = 10.0
"""A thread without jobs for so long ends, so that a client that is dropped leaves none behind."""

_to_stop: list[weakref.WeakMethod[Callable[[], Any]]] = []


def check_handler(handler: object) -> None:
    """Raise TypeError for what cannot be called, or would only give a coroutine."""
    if not callable(handler):
        raise TypeError(f"a handler must be callable, not {type(handler).__name__}")
    import inspect  # heavy, and of use only to who handles events

    function: Any = handler
    while isinstance(function, partial):
        function = function.func
    called = getattr(type(function), "__call__", None)  # noqa: B004  # an object's own `__call__`
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called):
        raise TypeError(
            "the blocking AeroDBClient cannot run async handlers: use def, or AsyncAeroDBClient"
        )


def is_own(failure: BaseException) -> bool:
    """Whether what a handler raised is its own matter: always, on a thread of its own. `sys.exit()`
    and a KeyboardInterrupt raised by hand end that call; Ctrl-C strikes the main thread."""
    return True


def at_exit(stop: Callable[[], Any]) -> None:
    """Call the method `stop` when the interpreter ends, if its object still lives.

    The threads are daemons and hold up nothing; but one that writes while the interpreter goes
    down can break its streams, so they are asked to end first (reliability X19).
    """
    if not _to_stop:
        atexit.register(_stop_all)
    _to_stop[:] = [one for one in _to_stop if one() is not None]
    _to_stop.append(weakref.WeakMethod(stop))


def _stop_all() -> None:
    for one in list(_to_stop):
        stop = one()
        if stop is not None:
            with suppress(Exception):
                stop()


class Dispatcher:
    """Runs jobs one after another, on a daemon thread that starts with the first of them."""

    __slots__ = ("__weakref__", "_closed", "_given_up", "_jobs", "_lock", "_name", "_thread")

    def __init__(self, name: str) -> None:
        self._name = name
        self._closed = False
        self.reset_after_fork()
        forks.watch(self)

    def reset_after_fork(self) -> None:
        """A child has no thread, and none of the parent's jobs."""
        self._jobs: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._given_up = False

    @property
    def is_alive(self) -> bool:
        """Whether jobs are still run."""
        return not self._closed

    def start(self, job: Callable[[], Any]) -> None:
        """Have `job` run after those before it. From any thread."""
        self._jobs.put(job)
        thread = self._thread
        if thread is None or not thread.is_alive():
            self._begin()

    def _begin(self) -> None:
        with self._lock:
            if self._closed or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        jobs = self._jobs
        while True:
            try:
                job = jobs.get(timeout=IDLE_SECONDS)
            except Empty:
                if self._may_end(jobs):
                    return
                continue
            if job is None:
                return
            try:
                job()
            except Exception:  # noqa: BLE001  # nobody else would hear of it
                logger().exception("dispatching failed")
            del job

    def _may_end(self, jobs: SimpleQueue[Callable[[], Any] | None]) -> bool:
        """Whether the thread may go: a job that comes from now on starts another."""
        with self._lock:
            mine, self._thread = self._thread, None
            if jobs.empty():
                return True
            self._thread = mine
            return False

    def is_inside(self) -> bool:
        """Whether the caller is a job of this one."""
        return threading.current_thread() is self._thread

    def close(self, timeout: float) -> None:
        """Run what is queued, and end; wait for that at most `timeout` seconds, or not at all if
        the caller is a job, or if somebody has waited in vain."""
        with self._lock:
            self._closed = True
            thread = self._thread
        self._jobs.put(None)
        if thread is not None and not self.is_inside() and not self._given_up:
            thread.join(timeout)
            self._given_up = thread.is_alive()
