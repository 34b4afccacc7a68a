# GENERATED from aerodb_async_src/realtime/stream.py by scripts/generate.py [5bcd9b591e22]: do not edit
"""Events one after another: `async for event in channel`."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Self

from aerodb._core.realtime.inbox import Inbox
from aerodb._core.realtime.messages import ChannelEvent
from aerodb._io.on_asyncio import Event, monotonic
from aerodb.types import AeroDBAPIError

if TYPE_CHECKING:
    from .channel import AsyncRealtimeChannel

_CHUNK = 64


class AsyncEventStream:
    """The events of a channel from now on, in the order in which they came.

    Changes, broadcasts and presence, and a `GapNotice` wherever changes are missing; their `type`
    tells which is which. It ends when the channel is unsubscribed or the stream is closed, and
    raises `AeroDBAPIError` if the server refuses the channel for good. What waits to be read is
    bounded, see `RealtimeOptions.overflow`.
    """

    __slots__ = ("_bell", "_channel", "_taken", "inbox")

    def __init__(self, channel: AsyncRealtimeChannel, **limits: Any) -> None:
        self._channel = channel
        self._bell = Event()
        self._taken: deque[ChannelEvent] = deque()
        self.inbox = Inbox(channel.name, self, **limits)

    def ring(self) -> None:
        """There is something in the inbox."""
        self._bell.set()

    @property
    def dropped(self) -> int:
        """How many events were dropped because nobody read them in time."""
        return self.inbox.dropped

    @property
    def is_closed(self) -> bool:
        """Whether nothing more comes, beyond what waits to be read."""
        return self.inbox.closed

    async def get(self, timeout: float | None = None) -> ChannelEvent | None:
        """The next event; None if none came within `timeout` seconds, or the stream has ended.

        Raises:
            AeroDBAPIError: The channel was refused for good, or this stream overflowed.
        """
        until = None if timeout is None else monotonic() + timeout
        while True:
            try:
                return self._taken.popleft()
            except IndexError:
                pass
            if self._take() or self.inbox.closed:
                if self._taken:
                    continue
                self._channel.end_of(self)
                return None
            left = None if until is None else until - monotonic()
            if left is not None and left <= 0:
                return None
            await self._bell.wait(left)

    async def read_into(self, found: list[ChannelEvent], count: int, until: float) -> None:
        """Read until there are `count` or it is `until`; who gives up before that loses nothing.

        Raises:
            AeroDBAPIError: As in `get`.
        """
        try:
            while len(found) < count:
                event = await self.get(max(0.0, until - monotonic()))
                if event is None:
                    return
                found.append(event)
        except AeroDBAPIError:
            raise
        except BaseException:  # cancelled or interrupted: the next reader gets them
            self._taken.extendleft(reversed(found))
            raise

    def _take(self) -> bool:
        with self._channel.mutex:
            self._bell.clear()
            self._taken.extend(self.inbox.take(_CHUNK))
            return bool(self._taken)

    def close(self) -> None:
        """End it, also for who waits. May be called again, and from anywhere."""
        self._channel.leave(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChannelEvent:
        event = await self.get(None)
        if event is None:
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()


class AsyncListening:
    """The events of a stream until none comes for so long."""

    __slots__ = ("_stream", "_timeout")

    def __init__(self, stream: AsyncEventStream, timeout: float | None) -> None:
        self._stream = stream
        self._timeout = timeout

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChannelEvent:
        event = await self._stream.get(self._timeout)
        if event is None:
            raise StopAsyncIteration
        return event
