"""Waiting, without HTTP: locks, events, queues, workers, sleep.

Made without a loop, usable from several: a client may serve threads that each run their own, and
one session is refreshed once for all of them. asyncio's own locks belong to one loop.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aerodb._io import forks
from aerodb._io.log import logger

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


async def pause(seconds: float) -> None:
    """Wait for so many seconds."""
    import asyncio

    await asyncio.sleep(max(0.0, seconds))


async def call(handler: Callable[[Any], Any], value: Any) -> Any:
    """Call a user's handler, and await its result if that can be awaited.

    One that waits for something that was cancelled fails with a RuntimeError: to who called it,
    a CancelledError would say that the caller itself is cancelled.
    """
    import asyncio
    import inspect  # asyncio has it loaded

    try:
        result = handler(value)
        return await result if inspect.isawaitable(result) else result
    except asyncio.CancelledError as cancelled:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("a handler waited for something that was cancelled") from cancelled


async def settled(result: Any) -> None:
    """See to what a user's handler returned: await it, if that can be done."""
    if isinstance(result, Awaitable):
        await result


def _new_bell() -> asyncio.Future[None]:
    import asyncio

    return asyncio.get_running_loop().create_future()


def _ring(bell: asyncio.Future[None]) -> bool:
    """Wake who waits on the bell, from any thread; False if its loop has ended."""
    try:
        bell.get_loop().call_soon_threadsafe(_settle, bell)
    except RuntimeError:
        return False
    return True


def _settle(bell: asyncio.Future[None]) -> None:
    if not bell.done():
        bell.set_result(None)


async def _heard(bell: asyncio.Future[None], timeout: float | None) -> None:
    import asyncio

    await asyncio.wait((bell,), timeout=timeout)


class Lock:
    """One at a time, across tasks, loops and threads; first come, first served."""

    __slots__ = ("__weakref__", "_books", "_held", "_queue")

    def __init__(self) -> None:
        self.reset_after_fork()
        forks.watch(self)

    def reset_after_fork(self) -> None:
        """A child finds the lock free, whoever held it in the parent: no loop survives a fork."""
        self._held = False
        self._queue: deque[asyncio.Future[None]] = deque()
        self._books = threading.Lock()

    async def __aenter__(self) -> None:
        with self._books:
            if not self._held:
                self._held = True
                return
            bell = _new_bell()
            self._queue.append(bell)
        try:
            await bell
        except BaseException:
            self._give_up(bell)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pass_on()

    def _give_up(self, bell: asyncio.Future[None]) -> None:
        """A waiter was cancelled, perhaps after its turn had come."""
        with self._books:
            waited = bell in self._queue
            if waited:
                self._queue.remove(bell)
        if not waited:
            self._pass_on()

    def _pass_on(self) -> None:
        """The lock goes to the next whose loop still runs; `_held` stays True all the while."""
        with self._books:
            while self._queue:
                if _ring(self._queue.popleft()):
                    return
            self._held = False


class Event:
    """A flag that can be waited for."""

    __slots__ = ("__weakref__", "_books", "_flag", "_waiting")

    def __init__(self) -> None:
        self._flag = False
        self.reset_after_fork()
        forks.watch(self)

    def reset_after_fork(self) -> None:
        """In a child nobody waits: no loop survives a fork."""
        self._waiting: set[asyncio.Future[None]] = set()
        self._books = threading.Lock()

    def is_set(self) -> bool:
        """Whether the flag is up."""
        return self._flag

    def set(self) -> None:
        """Raise the flag; from any thread."""
        with self._books:
            self._flag = True
            waiting, self._waiting = self._waiting, set()
        for bell in waiting:
            _ring(bell)

    def clear(self) -> None:
        """Lower the flag."""
        self._flag = False

    async def wait(self, timeout: float | None) -> bool:
        """Wait until the flag is up; False if it was not in time."""
        with self._books:
            if self._flag:
                return True
            bell = _new_bell()
            self._waiting.add(bell)
        try:
            await _heard(bell, timeout)
            return bell.done() or self._flag
        finally:
            self._waiting.discard(bell)
            bell.cancel()


class Queue(Generic[T]):
    """A bounded queue, first in, first out."""

    __slots__ = ("_changed", "_items", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[T] = deque()
        self._changed = Event()

    def __len__(self) -> int:
        return len(self._items)

    def put_nowait(self, item: T) -> bool:
        """Add an item; False if the queue is full. From any thread."""
        if len(self._items) >= self._limit:
            return False
        self._items.append(item)
        self._changed.set()
        return True

    async def get(self, timeout: float | None) -> T | None:
        """Wait for the next item; None if none came in time."""
        from time import monotonic

        until = None if timeout is None else monotonic() + timeout
        while True:
            self._changed.clear()
            try:
                return self._items.popleft()
            except IndexError:
                left = None if until is None else until - monotonic()
                if left is not None and left <= 0:
                    return None
                await self._changed.wait(left)


class Worker:
    """Runs `target` on the side, from now on."""

    __slots__ = ("_target", "_task")

    def __init__(self, target: Callable[[], Awaitable[Any]], name: str) -> None:
        import asyncio

        self._target = target
        self._task = asyncio.get_running_loop().create_task(self._run(), name=name)

    async def _run(self) -> None:
        import asyncio

        await asyncio.sleep(0)  # on the side, also where a loop begins tasks at once
        try:
            await self._target()
        except Exception:  # noqa: BLE001  # nobody else would hear of it
            logger().exception("worker failed")

    @property
    def is_alive(self) -> bool:
        """Whether it may still come to an end: it is not done, and its loop has not ended."""
        return not (self._task.done() or self._task.get_loop().is_closed())

    async def join(self, timeout: float | None) -> bool:
        """Wait until it is done; False if it is not in time, or if it is the caller itself."""
        import asyncio

        if self._task is asyncio.current_task():
            return False
        await asyncio.wait((self._task,), timeout=timeout)
        return self._task.done()
