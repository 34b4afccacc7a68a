"""What the machine wants done: frames to send, callers to answer, readers to ring.

The driver empties these under its own mutex and acts when it has let go of it.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from aerodb._core.realtime.inbox import Inbox
from aerodb._core.realtime.messages import GapNotice
from aerodb.types import AeroDBError

__all__ = ["Notice", "Outputs", "Ticket"]


class Ticket:
    """One operation of a caller who waits for its end.

    Attributes:
        bell: What to ring when it has ended; the core does not look inside.
        when: What ends it well: `sent`, or an answer of the server.
    """

    __slots__ = ("bell", "data", "done", "error", "when")

    def __init__(self, bell: Any, when: str = "answer") -> None:
        self.bell = bell
        self.when = when
        self.done = False
        self.data: Any = None
        self.error: AeroDBError | None = None


class Notice(NamedTuple):
    """A status to be told: of a channel, or of the connection if `channel` is None."""

    channel: Any
    status: Any
    error: AeroDBError | None = None
    only: Any = None
    """The one listener to be told; None: all of them."""


class Outputs:
    """What is to be done, in order. `stirred`: there is something besides `ready`."""

    __slots__ = ("frames", "gaps", "notices", "ready", "settled", "size", "stirred")

    def __init__(self) -> None:
        self.frames: deque[tuple[str, Ticket | None]] = deque()
        self.settled: list[Ticket] = []
        self.ready: deque[Inbox] = deque()
        self.notices: list[Notice] = []
        self.gaps: list[GapNotice] = []
        self.size = 0
        self.stirred = False

    def send(self, text: str, ticket: Ticket | None = None) -> None:
        """Send a frame after those before it."""
        self.frames.append((text, ticket))
        self.size += len(text)
        self.stirred = True

    def next_frame(self) -> tuple[str, Ticket | None]:
        """The next frame to send; there is one."""
        text, ticket = self.frames.popleft()
        self.size -= len(text)
        return text, ticket

    def settle(
        self, ticket: Ticket | None, data: Any = None, error: AeroDBError | None = None
    ) -> None:
        """An operation has ended. Only its first end counts."""
        if ticket is None or ticket.done:
            return
        ticket.done, ticket.data, ticket.error = True, data, error
        self.settled.append(ticket)
        self.stirred = True

    def ring(self, inbox: Inbox) -> None:
        """Have somebody look at an inbox. All that an event stirs: `stirred` stays as it is."""
        self.ready.append(inbox)

    def tell(
        self, channel: Any, status: Any, error: AeroDBError | None = None, only: Any = None
    ) -> None:
        """Have a status told."""
        self.notices.append(Notice(channel, status, error, only))
        self.stirred = True

    def missing(self, gap: GapNotice) -> None:
        """Have whoever observes told that changes are missing."""
        self.gaps.append(gap)
        self.stirred = True

    def unsent(self, error: AeroDBError) -> None:
        """The connection is gone: what was not sent yet is not sent any more."""
        while self.frames:
            _, ticket = self.frames.popleft()
            self.settle(ticket, error=error)
        self.size = 0

    def clear(self) -> None:
        """Nothing is to be done: another process's business."""
        self.frames.clear()
        self.settled, self.notices, self.gaps = [], [], []
        self.ready.clear()
        self.size = 0
        self.stirred = False
