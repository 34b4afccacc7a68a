"""What waits to be sent to one connection, and what happens when it does not keep up.

Wire contract §4.8: at most 1000 frames or 4 MiB wait. Beyond that the oldest events and broadcasts
give way, and the next frame of their subscription says how many were lost; a connection that stays
like that for 10 s is closed with 4008. A frame is made into text when its turn comes, so that what
it says about losses is true then.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

MAXIMUM_FRAMES = 1000
MAXIMUM_BYTES = 4 * 1024 * 1024
OVERFLOW_SECONDS = 10.0
ROOMY_FRAMES = MAXIMUM_FRAMES // 4


class Loser(Protocol):
    """A subscription, as far as its losses go."""

    def lose(self) -> None:
        """A frame of this subscription was thrown away."""

    def stamp(self, text: str) -> str:
        """Return a frame's text with what was lost before it."""
        ...


@dataclass(slots=True)
class Frame:
    """One frame to be sent. `owner` None: it is never thrown away, and `text` is all of it. With an
    owner and without a text: something cannot be told, and is lost when its turn has come.

    `before` is asked, when its turn has come, for what has to be said first. `lost`: it has been
    thrown away, and only its place is still there.
    """

    text: str
    owner: Loser | None = None
    before: Callable[[], list[str]] | None = None
    lost: bool = False


class Outbox:
    """A queue with one sender at a time, which is there only while something waits.

    What can be thrown away is known by itself: looking for it among thousands of frames that
    cannot, for each that comes, would hold up everybody. `_lost` of the places are empty.
    """

    def __init__(
        self, send: Callable[[str], Awaitable[None]], overflowed: Callable[[], None]
    ) -> None:
        self._send = send
        self._overflowed = overflowed
        self._waiting: deque[Frame] = deque()
        self._losable: deque[Frame] = deque()  # those of them that may be lost, in their order
        self._lost = 0
        self._bytes = 0
        self._sender: asyncio.Task[None] | None = None
        self._full_since: float | None = None
        self._roomy = asyncio.Event()
        self._roomy.set()
        self.closed = False
        self.lagging = False
        """Whether others have waited for this one in vain."""

    def put(self, frame: Frame) -> None:
        """Queue one frame. Never waits."""
        if self.closed:
            return
        self._waiting.append(frame)
        if frame.owner is not None:
            self._losable.append(frame)
        self._bytes += len(frame.text)
        if self._is_full:
            self._make_room()
        if self._left > ROOMY_FRAMES or self._bytes > MAXIMUM_BYTES // 4:
            self._roomy.clear()
        if self._sender is None:
            self._sender = asyncio.create_task(self._drain(), name="aerodb-realtime-sender")

    @property
    def _left(self) -> int:
        return len(self._waiting) - self._lost

    @property
    def _is_full(self) -> bool:
        return self._left > MAXIMUM_FRAMES or self._bytes > MAXIMUM_BYTES

    @property
    def crowded(self) -> bool:
        """Whether a page of events might not fit."""
        return not self._roomy.is_set()

    async def roomy(self, seconds: float) -> None:
        """Wait until there is room for a page of events, or for `seconds`."""
        if self._roomy.is_set() or self.lagging:
            return
        try:
            await asyncio.wait_for(self._roomy.wait(), seconds)
        except TimeoutError:
            self.lagging = True

    async def flush(self, seconds: float) -> None:
        """Wait until everything has been handed to the network, or for `seconds`."""
        if self._sender is not None:
            await asyncio.wait({self._sender}, timeout=seconds)

    def close(self) -> None:
        """Throw away what waits, and send no more."""
        self.closed = True
        self._waiting.clear()
        self._losable.clear()
        self._lost = 0
        self._roomy.set()
        if self._sender is not None:
            self._sender.cancel()

    def _make_room(self) -> None:
        now = time.monotonic()
        if self._full_since is None:
            self._full_since = now
        elif now - self._full_since > OVERFLOW_SECONDS or self._bytes > 4 * MAXIMUM_BYTES:
            self._overflowed()
        while self._losable and self._is_full:
            frame = self._losable.popleft()
            self._bytes -= len(frame.text)
            frame.text, frame.lost = "", True
            self._lost += 1
            if frame.owner is not None:
                frame.owner.lose()
        while self._waiting and self._waiting[0].lost:
            self._waiting.popleft()
            self._lost -= 1
        if self._lost > self._left:
            self._waiting = deque(frame for frame in self._waiting if not frame.lost)
            self._lost = 0

    async def _drain(self) -> None:
        try:
            while self._waiting:
                frame = self._waiting.popleft()
                if frame.lost:
                    self._lost -= 1
                else:
                    await self._send_one(frame)
                if self._left <= ROOMY_FRAMES and self._bytes <= MAXIMUM_BYTES // 4:
                    self._full_since = None
                    self.lagging = False
                    self._roomy.set()
        finally:
            self._sender = None

    async def _send_one(self, frame: Frame) -> None:
        self._bytes -= len(frame.text)
        if frame.owner is not None:
            self._losable.popleft()  # this one: all before it are sent, or lost
        if frame.before is not None:
            for text in frame.before():
                await self._send(text)
        if frame.owner is None:
            await self._send(frame.text)
        elif frame.text:
            await self._send(frame.owner.stamp(frame.text))
        else:
            frame.owner.lose()
