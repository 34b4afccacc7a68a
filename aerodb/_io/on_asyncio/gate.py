"""At most so many requests in flight on one event loop, first come, first served.

The pool below never queues, this does (reliability X1, X2): a permit is held from before the
connection is chosen until the response is read or closed. A cancelled waiter leaves no trace; one
that is cancelled in the moment it is let in passes the permit on.
"""

from __future__ import annotations

import asyncio
from collections import deque

from aerodb._io.failures import client_closed, queue_full


class Gate:
    """Hands out permits in the order they are asked for. Belongs to one loop."""

    __slots__ = ("_closed", "_free", "_limit", "_max_waiting", "_queue")

    def __init__(self, limit: int, max_waiting: int | None) -> None:
        self._limit = limit
        self._free = limit
        self._max_waiting = max_waiting
        self._queue: deque[asyncio.Future[None]] = deque()
        self._closed = False

    @property
    def in_use(self) -> int:
        """How many permits are held."""
        return self._limit - self._free

    def try_enter(self) -> bool:
        """Take a permit if there is one and nobody waits for it."""
        if self._free and not self._queue and not self._closed:
            self._free -= 1
            return True
        return False

    async def enter(self) -> None:
        """Wait for a permit."""
        if self.try_enter():
            return
        if self._closed:
            raise client_closed()
        if self._max_waiting is not None and len(self._queue) >= self._max_waiting:
            raise queue_full(len(self._queue))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()
            elif turn in self._queue:
                self._queue.remove(turn)
            raise

    def leave(self) -> None:
        """Give a permit back: to the next in the queue, if there is one."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def close(self) -> None:
        """Turn everyone away, those who wait included."""
        self._closed = True
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_exception(client_closed())
