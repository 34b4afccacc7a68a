"""Calling a user's handlers, apart from the task that reads: a task for each job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aerodb._io.log import logger

if TYPE_CHECKING:
    import asyncio

__all__ = ["Dispatcher", "at_exit", "check_handler"]


def check_handler(handler: object) -> None:
    """Raise TypeError for what cannot be called. Both `def` and `async def` will do."""
    if not callable(handler):
        raise TypeError(f"a handler must be callable, not {type(handler).__name__}")


def at_exit(stop: Callable[[], Awaitable[Any]]) -> None:
    """Nothing: an event loop cancels its tasks before the interpreter ends."""


class Dispatcher:
    """Runs jobs on the loop that it was made on. From any thread."""

    __slots__ = ("_closed", "_current", "_is_here", "_loop", "_name", "_tasks")

    def __init__(self, name: str) -> None:
        import asyncio

        from aerodb._io.on_asyncio.elsewhere import is_here

        self._current, self._is_here = asyncio.current_task, is_here
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def is_alive(self) -> bool:
        """Whether jobs are still run."""
        return not (self._closed or self._loop.is_closed())

    def start(self, job: Callable[[], Awaitable[Any]]) -> None:
        """Have `job` run soon, beside others."""
        if self._is_here(self._loop):
            self._spawn(job)
            return
        with suppress(RuntimeError):  # the loop has ended, and its tasks with it
            self._loop.call_soon_threadsafe(self._spawn, job)

    def _spawn(self, job: Callable[[], Awaitable[Any]]) -> None:
        task = self._loop.create_task(self._run(job), name=self._name)
        self._tasks.add(task)

    async def _run(self, job: Callable[[], Awaitable[Any]]) -> None:
        try:
            await job()
        except Exception:  # noqa: BLE001  # nobody else would hear of it
            logger().exception("dispatching failed")
        finally:
            task = self._current()
            if task is not None:
                self._tasks.discard(task)

    def is_inside(self) -> bool:
        """Whether the caller is a job of this one."""
        try:
            return self._current() in self._tasks
        except RuntimeError:
            return False

    async def close(self, timeout: float) -> None:
        """Let running jobs end within `timeout` seconds, then cancel them; not the caller's."""
        import asyncio

        self._closed = True
        if self._loop is not asyncio.get_running_loop():
            return
        running = {task for task in self._tasks if task is not asyncio.current_task()}
        if not running:
            return
        if not self.is_inside():
            _, running = await asyncio.wait(running, timeout=timeout)
        for task in running:
            task.cancel()
