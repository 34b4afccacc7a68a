"""The subscriptions of a connection that are being made: one task for each channel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, KeysView


class Joins:
    """Frames that come while somebody joins are answered meanwhile, and may end that again."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def channels(self) -> KeysView[str]:
        """The channels that are being joined."""
        return self._tasks.keys()

    def begin(self, channel: str, work: Callable[[], Awaitable[None]]) -> None:
        """Join a channel that is not being joined."""
        task = asyncio.create_task(self._run(channel, work), name="aerodb-realtime-join")
        self._tasks[channel] = task

    async def _run(self, channel: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        finally:
            if self._tasks.get(channel) is asyncio.current_task():
                del self._tasks[channel]

    async def stop(self, channel: str) -> None:
        """End it, if it goes on, and wait for that."""
        task = self._tasks.pop(channel, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def stop_all(self) -> None:
        """End all of them."""
        for channel in [*self._tasks]:
            await self.stop(channel)
