"""A bounded queue between the reader and whoever handles events.

The reader never waits (reliability X17), so something has to give when a handler is slow: by
default the oldest events, and in their place comes a notice that counts them (wire-contract §4.8).
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Any, Literal

from aerodb._core.realtime.messages import ChannelEvent, GapNotice

__all__ = ["OVERFLOWS", "Inbox", "Overflow"]

Overflow = Literal["drop_oldest", "drop_newest", "close"]
OVERFLOWS = frozenset({"drop_oldest", "drop_newest", "close"})
MAX_BYTES = 8 * 1024 * 1024


class Inbox:
    """Events of one channel that wait for one reader of them.

    Attributes:
        busy: Somebody is at it, or has been told to be: no need to ring again.
        closed: Nothing more comes in.
        overflowed: It was closed by its own overflow.
        dropped: How many events were lost here so far.
        is_lasting: It is for handlers, which outlive a subscription: `close` leaves it open.
        generation: Changes when what waits is forgotten: who took some of it forgets that too.
        owner: Whom to ring; the core does not look inside.
    """

    __slots__ = ("_bytes", "_items", "_limit", "_lost", "_max_bytes", "_overflow",
                 "busy", "channel", "closed", "dropped", "generation", "is_lasting",
                 "overflowed",
                 "owner")  # fmt: skip

    def __init__(
        self,
        channel: str,
        owner: Any,
        *,
        limit: int = 1000,
        overflow: Overflow = "drop_oldest",
        max_bytes: int = MAX_BYTES,
        lasting: bool = False,
    ) -> None:
        self.channel = channel
        self.owner = owner
        self.busy = False
        self.closed = False
        self.overflowed = False
        self.dropped = 0
        self.generation = 0
        self.is_lasting = lasting
        self._items: deque[ChannelEvent] = deque()
        self._bytes = 0
        self._limit = limit
        self._max_bytes = max_bytes
        self._overflow = overflow
        self._lost: GapNotice | None = None

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: ChannelEvent) -> bool:
        """Take an event in; True if whoever reads has to be rung."""
        items = self._items
        if len(items) >= self._limit or self._bytes > self._max_bytes:
            if not self._make_room(item):
                return self._full()
        elif self.closed:
            return False
        elif self._lost is not None and self._overflow != "drop_oldest":
            items.append(self._lost)  # the newest were dropped: here is where they are missing
            self._lost = None
        items.append(item)
        self._bytes += item.size
        if self.busy:
            return False
        self.busy = True
        return True

    def _make_room(self, item: ChannelEvent) -> bool:
        """What gives when it is full; False if it is the event itself."""
        if self.closed or self._overflow != "drop_oldest":
            if not self.closed:
                self._lose(item)
            return False
        while len(self._items) >= self._limit or self._bytes > self._max_bytes:
            if not self._items:
                break
            oldest = self._items.popleft()
            self._bytes -= oldest.size
            self._lose(oldest)
        return True

    def _full(self) -> bool:
        """An event found no room; True if whoever reads has to be rung about it."""
        if self.closed or self._overflow != "close":
            return False
        self.closed = self.overflowed = True
        return self._ring()

    def _ring(self) -> bool:
        if self.busy:
            return False
        self.busy = True
        return True

    def _lose(self, item: ChannelEvent) -> None:
        """Count an event that nobody will see; a notice among them is not lost, but grows."""
        gap = isinstance(item, GapNotice)
        missed = item.missed if isinstance(item, GapNotice) else 1
        after = item.after if isinstance(item, GapNotice) else _before(item.sequence)
        until = item.until if isinstance(item, GapNotice) else item.sequence
        self.dropped += 0 if gap else 1
        lost = self._lost
        if lost is None:
            reason = item.reason if isinstance(item, GapNotice) else "client_dropped"
            self._lost = GapNotice(reason, self.channel, missed=missed, after=after, until=until)
            return
        counted = lost.missed is not None and missed is not None
        lost.missed = (lost.missed or 0) + (missed or 0) if counted else None
        if not gap:
            lost.reason = "client_dropped"
        if lost.after is None or (after is not None and after < lost.after):
            lost.after = after
        if until is not None:
            lost.until = until

    def take(self, most: int) -> list[ChannelEvent]:
        """The next events, at most so many; a notice stands where events were lost.

        An empty answer means that whoever reads has to be rung again.
        """
        items = self._items
        lost, newest = self._lost, self._overflow != "drop_oldest"
        taken: list[ChannelEvent] = []
        if lost is not None and not newest:
            taken.append(lost)
            self._lost = None
        if len(items) <= most:
            taken.extend(items)
            items.clear()
            self._bytes = 0
            if lost is not None and newest:
                taken.append(lost)
                self._lost = None
        else:
            chunk = list(islice(items, most))
            for item in chunk:
                items.popleft()
                self._bytes -= item.size
            taken.extend(chunk)
        if not taken:
            self.busy = False
        return taken

    def clear(self) -> None:
        """Forget what waits."""
        self._items.clear()
        self._bytes = 0
        self._lost = None
        self.generation += 1

    def close(self) -> bool:
        """Take nothing more in; True if whoever reads has to be rung. One that lasts stays."""
        if self.is_lasting:
            return False
        self.closed = True
        return self._ring()

    def reopen(self) -> None:
        """Begin anew after an overflow."""
        self.clear()
        self.closed = self.overflowed = False


def _before(sequence: int | None) -> int | None:
    return None if sequence is None else sequence - 1
