"""The worker processes of an instance: at most so many, used again while they are up to date."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aerodb.local.functions.process import WorkerProcess
from aerodb.local.functions.registry import Function

_GUARD = str(Path(__file__).with_name("guard.py"))


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """`workers` processes at most; one that has been idle for `idle_seconds` is ended."""

    workers: int = 16
    idle_seconds: float = 300.0


class Guard:
    """The process beside the workers that ends them if the instance cannot (see `guard.py`)."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", "-S", _GUARD, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )

    def watch(self, group: int) -> None:
        """A process group lives."""
        self._say(b"+%d\n" % group)

    def forget(self, group: int) -> None:
        """It is over."""
        self._say(b"-%d\n" % group)

    def _say(self, line: bytes) -> None:
        pipe = self._process.stdin
        if pipe is not None:
            with suppress(OSError):  # somebody has killed it: the workers look after themselves
                pipe.write(line)
                pipe.flush()

    def close(self) -> None:
        """Let it end."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        self._process.wait(5)


class WorkerPool:
    """Lends workers out. Belongs to one event loop."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], limits: PoolLimits | None = None
    ) -> None:
        self._folder = folder
        self._environment = environment
        self._limits = limits or PoolLimits()
        self._places = asyncio.Semaphore(self._limits.workers)
        self._idle: list[tuple[WorkerProcess, asyncio.TimerHandle]] = []
        self._all: set[WorkerProcess] = set()
        self._ending: set[asyncio.Task[int]] = set()
        self._guard: Guard | None = None

    @property
    def processes(self) -> list[int]:
        """The process groups that live."""
        return [worker.group for worker in self._all]

    async def acquire(
        self, function: Function, placed: Callable[[], None] | None = None
    ) -> WorkerProcess:
        """A worker that has the function loaded, for one call.

        Waits for a free place, and calls `placed` when there is one. Raises `LoadFailed` or
        `WorkerLost` if it cannot be loaded.
        """
        await self._places.acquire()
        if placed is not None:
            placed()
        worker: WorkerProcess | None = None
        try:
            worker = self._ready_one(function)
            if worker is None:
                worker = await self._new_one(function)
                await worker.loaded()
        except BaseException:
            if worker is not None:
                self.end(worker)
            self._places.release()
            raise
        return worker

    def release(self, worker: WorkerProcess, *, reusable: bool) -> None:
        """Give a worker back; one that is not `reusable` is ended."""
        if reusable and worker.is_usable:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._limits.idle_seconds, self._retire, worker)
            self._idle.append((worker, timer))
        else:
            self.end(worker)
        self._places.release()

    def lost(self, worker: WorkerProcess) -> asyncio.Task[int]:
        """As `release`, for a worker that has ended by itself; the task tells its status."""
        self._places.release()
        return self.end(worker)

    def end(self, worker: WorkerProcess) -> asyncio.Task[int]:
        """End a worker; the task's result is the status of its process."""
        worker.kill()
        task = asyncio.create_task(self._bury(worker))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task

    async def stop(self) -> None:
        """End all workers, busy ones too."""
        for _, timer in self._idle:
            timer.cancel()
        self._idle.clear()
        for worker in tuple(self._all):
            self.end(worker)
        while self._ending:
            await asyncio.wait(self._ending)
        if self._guard is not None:
            await asyncio.to_thread(self._guard.close)

    def _ready_one(self, function: Function) -> WorkerProcess | None:
        """An idle worker of this function, the last one used; those out of date are ended."""
        found: WorkerProcess | None = None
        for entry in reversed(self._idle.copy()):
            worker, timer = entry
            if worker.function.path != function.path:
                continue
            usable = worker.is_usable
            if usable and found is not None:
                continue
            timer.cancel()
            self._idle.remove(entry)
            if usable:
                found = worker
            else:
                self.end(worker)
        return found

    async def _new_one(self, function: Function) -> WorkerProcess:
        while len(self._all) >= self._limits.workers and self._idle:
            oldest, timer = self._idle.pop(0)
            timer.cancel()
            self.end(oldest)
        if self._guard is None:
            self._guard = Guard()
        worker = await WorkerProcess.start(function, self._folder, self._environment)
        self._all.add(worker)
        self._guard.watch(worker.group)
        return worker

    def _retire(self, worker: WorkerProcess) -> None:
        for entry in self._idle:
            if entry[0] is worker:
                self._idle.remove(entry)
                self.end(worker)
                return

    async def _bury(self, worker: WorkerProcess) -> int:
        status = await worker.gone()
        self._all.discard(worker)
        if self._guard is not None:
            self._guard.forget(worker.group)
        return status
