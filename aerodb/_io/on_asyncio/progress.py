"""How far a call has come, for the message if its time runs out."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from aerodb._core.http import Request
from aerodb._io.failures import timed_out
from aerodb._io.on_asyncio.wire import Wire

_LOOKS = 8  # in the time that may pass without progress


class Progress:
    """The stage (a key of `failures.STAGES`), and the wire once there is one."""

    __slots__ = ("_body", "foreign", "stage", "wire")

    def __init__(self, request: Request) -> None:
        self._body = None if isinstance(request.body, bytes) else request.body
        self.stage = "queue"
        self.wire: Wire | None = None
        self.foreign = False

    @property
    def sent(self) -> bool:
        """Whether a byte of the request may have left. httpx does not tell, so there: yes."""
        return self.foreign if self.wire is None else self.wire.sent

    @property
    def moved(self) -> tuple[str, int, int]:
        """What differs from an earlier look if anything has happened since."""
        handed = 0 if self._body is None else self._body.handed
        return self.stage, handed, 0 if self.wire is None else self.wire.moved


class Limits:
    """`async with` around an exchange: ends it at a time, and when nothing moves for too long.

    A timer for each read and write would cost more than the transfer itself. So there is one timer,
    and a look at the counters every now and then that puts it off.
    """

    __slots__ = ("_end", "_idle", "_look_again", "_progress", "_seen", "_timer")

    def __init__(self, progress: Progress, left: float | None, idle: float | None) -> None:
        now = asyncio.get_running_loop().time()
        self._end = None if left is None else now + left
        self._idle = idle
        self._progress = progress
        self._look_again: asyncio.TimerHandle | None = None
        if idle is None:
            self._timer = asyncio.timeout_at(self._end)
        else:
            self._timer = asyncio.timeout_at(self._earlier(now + idle))
            self._watch(idle, progress.moved)

    def _earlier(self, end: float) -> float:
        return end if self._end is None else min(end, self._end)

    def _watch(self, idle: float, seen: tuple[str, int, int]) -> None:
        loop = asyncio.get_running_loop()
        self._look_again = loop.call_later(idle / _LOOKS, self._look, idle, seen)

    def _look(self, idle: float, seen: tuple[str, int, int]) -> None:
        if self._timer.expired():
            return
        moved = self._progress.moved
        if moved != seen:
            self._timer.reschedule(self._earlier(asyncio.get_running_loop().time() + idle))
        self._watch(idle, moved)

    async def __aenter__(self) -> Self:
        await self._timer.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._look_again is not None:
            self._look_again.cancel()
        try:
            await self._timer.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise timed_out(self._progress.stage, sent=self._progress.sent) from None
