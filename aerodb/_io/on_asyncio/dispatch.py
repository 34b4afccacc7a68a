"""Calling a user's handlers, apart from the task that reads.

A task for each job costs as much as the rest of an event's way, and so does the turn of the loop
until it runs. Most handlers are plain functions, for which neither is needed: a job begins at once,
like a callback of the loop, and becomes a task where it has something to wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from aerodb._io.log import logger

if TYPE_CHECKING:
    import asyncio

__all__ = ["Dispatcher", "at_exit", "check_handler", "is_own"]


def check_handler(handler: object) -> None:
    """Raise TypeError for what cannot be called. Both `def` and `async def` will do."""
    if not callable(handler):
        raise TypeError(f"a handler must be callable, not {type(handler).__name__}")


def is_own(failure: BaseException) -> bool:
    """Whether what a handler raised is its own matter: not if its task is being cancelled, and
    not Ctrl-C and `sys.exit()`, which end the program from wherever they strike."""
    import asyncio

    if isinstance(failure, asyncio.CancelledError):  # of a task that the handler awaited?
        task = asyncio.current_task()
        return task is None or not task.cancelling()
    return isinstance(failure, Exception | GeneratorExit)


def at_exit(stop: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Nothing: an event loop cancels its tasks before the interpreter ends."""


class Dispatcher:
    """Runs jobs on the loop that it was made on. From any thread."""

    __slots__ = ("_closed", "_current", "_enter", "_is_here", "_leave", "_loop", "_name", "_tasks")

    def __init__(self, name: str) -> None:
        import asyncio

        from aerodb._io.on_asyncio.elsewhere import is_here

        self._current, self._is_here = asyncio.current_task, is_here
        self._enter, self._leave = asyncio.tasks._enter_task, asyncio.tasks._leave_task
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def is_alive(self) -> bool:
        """Whether jobs are still run."""
        return not (self._closed or self._loop.is_closed())

    def start(self, job: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Have `job` run, beside others: at once until it waits, if this is called by a task.

        The first that it waits for must be `_as_task` (in `primitives`): it is no task before.
        """
        if self._is_here(self._loop):
            self._begin(job)
            return
        with suppress(RuntimeError):  # the loop has ended, and its tasks with it
            self._loop.call_soon_threadsafe(self._begin, job)

    def _begin(self, job: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        task, loop, context = self._current(), self._loop, copy_context()
        coroutine = job()
        if task is not None:
            self._leave(loop, task)  # what a handler does to "the current task" is not its caller's
        try:
            context.run(coroutine.send, None)
        except StopIteration:
            return
        except Exception:  # noqa: BLE001  # nobody else would hear of it
            logger().exception("dispatching failed")
            return
        finally:
            if task is not None:
                self._enter(loop, task)
        task = loop.create_task(coroutine, name=self._name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        failure = None if task.cancelled() else task.exception()
        if isinstance(failure, Exception):
            logger().error("dispatching failed", exc_info=failure)

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
