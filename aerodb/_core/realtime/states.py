"""The two state machines of realtime as tables (wire-contract §4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

__all__ = ["CHANNEL_TABLE", "LINK_TABLE", "LinkPhase", "Phase", "Step", "Turn", "table_text"]


class LinkPhase(Enum):
    """The states of the connection."""

    IDLE = "idle"
    CONNECTING = "connecting"
    OPEN = "open"
    BACKOFF = "reconnecting"
    CLOSED = "closed"


class Turn(Enum):
    """What happens to it."""

    WANTED = "a channel is subscribed, or connect() was called"
    OPENED = "the server accepted the handshake"
    FAILED = "it did not come about, for a reason that passes"
    REFUSED = "it did not come about, and will not"
    LOST = "it ended, and is to be made again"
    ENDED = "it ended for good"
    EMPTY = "nobody needs it any more"
    DUE = "the pause before the next attempt is over"
    DISCONNECT = "disconnect() was called, or the client is closed"


def _link_table() -> dict[tuple[LinkPhase, Turn], LinkPhase]:
    idle, connecting, opened, backoff, closed = LinkPhase
    rows = {
        (idle, Turn.WANTED): connecting,
        (backoff, Turn.WANTED): connecting,
        (closed, Turn.WANTED): connecting,
        (connecting, Turn.OPENED): opened,
        (connecting, Turn.FAILED): backoff,
        (connecting, Turn.REFUSED): closed,
        (opened, Turn.LOST): backoff,
        (opened, Turn.ENDED): closed,
        (opened, Turn.EMPTY): idle,
        (backoff, Turn.EMPTY): idle,
        (backoff, Turn.DUE): connecting,
    }
    for state in (idle, connecting, opened, backoff, closed):
        rows[state, Turn.DISCONNECT] = closed
    return rows


LINK_TABLE: Mapping[tuple[LinkPhase, Turn], LinkPhase] = MappingProxyType(_link_table())
"""The connection: {(state, event): next}. What is not in it cannot happen, and is a no-op."""


class Phase(Enum):
    """The states of a subscription."""

    IDLE = "idle"
    JOINING = "joining"
    JOINED = "joined"
    LEAVING = "leaving"
    ERRORED = "errored"
    FAILED = "failed"


class Step(Enum):
    """What happens to one."""

    SUBSCRIBE = "subscribe() was called"
    CONFIRMED = "the server confirmed it"
    LATE = "the server did not confirm it in time"
    HELD_OFF = "the server refused for now"
    REFUSED = "the server refused for good"
    LOST = "the connection ended"
    AGAIN = "its time has come, or the connection is open again"
    ADMITTED = "a new token may do what the old one might not"
    UNSUBSCRIBE = "unsubscribe() was called"
    LEFT = "the server confirmed that, or has nobody to do it for"


def _channel_table() -> dict[tuple[Phase, Step], Phase]:
    idle, joining, joined, leaving, errored, failed = Phase
    rows = {
        (joining, Step.CONFIRMED): joined,
        (joining, Step.LATE): errored,
        (joining, Step.HELD_OFF): errored,
        (joining, Step.REFUSED): failed,
        (joining, Step.LOST): joining,
        (joined, Step.CONFIRMED): joined,
        (joined, Step.HELD_OFF): errored,
        (joined, Step.REFUSED): failed,
        (joined, Step.LOST): errored,
        (errored, Step.CONFIRMED): joined,
        (errored, Step.REFUSED): failed,
        (errored, Step.AGAIN): joining,
        (failed, Step.ADMITTED): joining,
        (failed, Step.UNSUBSCRIBE): idle,
        (leaving, Step.LEFT): idle,
        (leaving, Step.LOST): idle,
    }
    for phase in (idle, joining, joined, leaving, errored, failed):
        rows[phase, Step.SUBSCRIBE] = joining
    for phase in (joining, joined, errored):
        rows[phase, Step.UNSUBSCRIBE] = leaving
    return rows


CHANNEL_TABLE: Mapping[tuple[Phase, Step], Phase] = MappingProxyType(_channel_table())
"""The state machine: {(state, event): next}. What is not in it cannot happen, and is a no-op."""


def table_text() -> str:
    """Both tables, a line for each transition: for documents and for the curious."""
    rows = [
        f"{before.value:<12}  {event.value:<56}  {after.value}"
        for table in (LINK_TABLE, CHANNEL_TABLE)
        for (before, event), after in table.items()
    ]
    return "\n".join(rows)
