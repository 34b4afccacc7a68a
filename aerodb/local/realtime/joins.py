"""The subscriptions of a connection that are being made: one task for each channel."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, KeysView

from aerodb.local.realtime.errors import FrameError

log = logging.getLogger("aerodb.local.realtime")
MAXIMUM_WAITING = 100
IMPATIENT_SECONDS = 1.0
"""How long a join may keep who wants to leave the channel, or to join it in another way."""
_ENDING = frozenset({"subscribe", "unsubscribe"})
_OF_CHANNELS = _ENDING | {"broadcast", "presence"}
Work = Callable[[], Awaitable[None]]


class Joins:
    """Frames of a channel that is being joined wait for the answer to that: answers come in the
    order of what was asked. Other frames are answered meanwhile."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._unanswered: set[str] = set()
        self._waiting: dict[str, deque[Work]] = {}
        self._going_on: dict[str, asyncio.Task[None]] = {}

    @property
    def channels(self) -> KeysView[str]:
        """The channels that are being joined."""
        return self._tasks.keys()

    def begin(self, channel: str, work: Work, *, answered: bool = False) -> None:
        """Join a channel that is not being joined; `answered`: nobody waits for it."""
        if not answered:
            self._unanswered.add(channel)
        task = asyncio.create_task(self._run(channel, work), name="aerodb-realtime-join")
        self._tasks[channel] = task

    async def _run(self, channel: str, work: Work) -> None:
        try:
            await work()
        finally:
            if self._tasks.get(channel) is asyncio.current_task():
                del self._tasks[channel]
                self.answered(channel)

    def hold(self, kind: str, channel: str | None, work: Work) -> bool:
        """Answer a frame when its turn comes, if one of its channel waits for an answer already;
        False if none does."""
        if channel is None or kind not in _OF_CHANNELS:
            return False
        if channel not in self._unanswered and channel not in self._waiting:
            return False
        waiting = self._waiting.setdefault(channel, deque())
        if len(waiting) >= MAXIMUM_WAITING:
            message = "Too many frames for a channel that is being joined."
            raise FrameError("rate_limit_exceeded", message, retry_after=1)
        waiting.append(work)
        task = self._tasks.get(channel)
        if kind in _ENDING and task is not None:
            asyncio.get_running_loop().call_later(IMPATIENT_SECONDS, self._give_up, channel, task)
        return True

    def _give_up(self, channel: str, task: asyncio.Task[None]) -> None:
        if channel in self._unanswered and self._tasks.get(channel) is task:
            task.cancel()

    def answered(self, channel: str) -> None:
        """A join has been acknowledged or refused: what waits for that can go on."""
        self._unanswered.discard(channel)
        if channel in self._waiting and channel not in self._going_on:
            task = asyncio.create_task(self._go_on(channel), name="aerodb-realtime-held")
            self._going_on[channel] = task

    async def _go_on(self, channel: str) -> None:
        waiting = self._waiting[channel]
        try:
            while waiting and channel not in self._unanswered:
                try:
                    await waiting.popleft()()
                except Exception:
                    log.exception("a frame could not be answered")
        finally:
            del self._going_on[channel]
            if not waiting:
                del self._waiting[channel]

    async def stop(self, channel: str) -> None:
        """End it, if it goes on, and wait for that."""
        task = self._tasks.pop(channel, None)
        self._unanswered.discard(channel)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def stop_all(self) -> None:
        """End all of them."""
        going_on = [*self._going_on.values()]
        for task in going_on:
            task.cancel()
        await asyncio.gather(*going_on, return_exceptions=True)
        for channel in [*self._tasks]:
            await self.stop(channel)
