"""Waiting, without HTTP: locks, events, queues, workers, sleep."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, Generic, TypeVar

from aerodb._io import forks
from aerodb._io.log import logger
from aerodb._io.mutex import Mutex

T = TypeVar("T")


def pause(seconds: float) -> None:
    """Wait for so many seconds."""
    time.sleep(max(0.0, seconds))


def call(handler: Callable[[Any], Any], value: Any) -> Any:
    """Call a user's handler. A coroutine as result is a mistake, and said to be one."""
    result = handler(value)
    if result is not None:
        settled(result)
    return result


def settled(result: Any) -> None:
    """See to what a user's handler returned: a coroutine is refused."""
    if isinstance(result, Awaitable):
        if isinstance(result, CoroutineType):
            result.close()  # or Python warns that it was never awaited
        raise TypeError(
            "the blocking AeroDBClient cannot run async handlers: use def, or AsyncAeroDBClient"
        )


class Lock(Mutex):
    """One at a time. A forked child finds it free, whoever held it in the parent."""

    __slots__ = ()


class Event:
    """A flag that can be waited for."""

    __slots__ = ("__weakref__", "_event")

    def __init__(self) -> None:
        self._event = threading.Event()
        forks.watch(self)

    def reset_after_fork(self) -> None:
        """In a child, the event's own lock may be held by a thread that does not exist."""
        was_set, self._event = self._event.is_set(), threading.Event()
        if was_set:
            self._event.set()

    def is_set(self) -> bool:
        """Whether the flag is up."""
        return self._event.is_set()

    def set(self) -> None:
        """Raise the flag; from any thread."""
        self._event.set()

    def clear(self) -> None:
        """Lower the flag."""
        self._event.clear()

    def wait(self, timeout: float | None) -> bool:
        """Wait until the flag is up; False if it was not in time."""
        return self._event.wait(timeout)


class Queue(Generic[T]):
    """A bounded queue, first in, first out."""

    __slots__ = ("__weakref__", "_items", "_limit", "_ready")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[T] = deque()
        self._ready = threading.Condition()
        forks.watch(self)

    def reset_after_fork(self) -> None:
        """In a child, the queue's own lock may be held by a thread that does not exist."""
        self._ready = threading.Condition()

    def __len__(self) -> int:
        return len(self._items)

    def put_nowait(self, item: T) -> bool:
        """Add an item; False if the queue is full. From any thread."""
        with self._ready:
            if len(self._items) >= self._limit:
                return False
            self._items.append(item)
            self._ready.notify()
            return True

    def get(self, timeout: float | None) -> T | None:
        """Wait for the next item; None if none came in time."""
        with self._ready:
            if self._ready.wait_for(self._items.__len__, timeout):
                return self._items.popleft()
            return None


class Worker:
    """Runs `target` on the side, from now on. It never keeps the interpreter alive."""

    __slots__ = ("_target", "_thread")

    def __init__(self, target: Callable[[], Any], name: str) -> None:
        self._target = target
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._target()
        except Exception:  # noqa: BLE001  # nobody else would hear of it
            logger().exception("worker %s failed", threading.current_thread().name)

    @property
    def is_alive(self) -> bool:
        """Whether it may still come to an end."""
        return self._thread.is_alive()

    def join(self, timeout: float | None) -> bool:
        """Wait until it is done; False if it is not in time, or if it is the caller itself."""
        if self._thread is threading.current_thread():
            return False
        self._thread.join(timeout)
        return not self._thread.is_alive()
