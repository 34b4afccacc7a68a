"""What a channel hands to its handlers: values that read a frame when they are asked.

A change arrives thousands of times a second and most handlers look at two of its members, so a
payload keeps the decoded frame and looks nothing up before it is asked (performance §3 h).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Literal, NamedTuple

__all__ = [
    "CHANGES",
    "BroadcastMessage",
    "ChannelEvent",
    "GapNotice",
    "GapReason",
    "PresenceMessage",
    "RealtimePayload",
    "RealtimeStatus",
    "SendResult",
    "SubscribeStatus",
]

ChangeType = Literal["INSERT", "UPDATE", "DELETE"]
CHANGES = frozenset({"INSERT", "UPDATE", "DELETE"})

_ALIASES: dict[str, tuple[str, ...]] = {
    "type": ("type", "event", "event_type", "eventType"),
    "schema": ("schema",),
    "table": ("table", "collection"),
    "commit_timestamp": ("commit_timestamp", "timestamp"),
    "new": ("new", "new_data", "record"),
    "old": ("old", "old_data", "old_record"),
    "errors": ("errors",),
}
"""The names under which servers send a member (wire-contract §4.3)."""


def member(inner: Mapping[str, Any], name: str) -> Any:
    """A member of a change under any of its names; None if it is not there."""
    for alias in _ALIASES[name]:
        found = inner.get(alias)
        if found is not None:
            return found
    return None


def change_type(inner: Mapping[str, Any]) -> str | None:
    """INSERT, UPDATE or DELETE, under whatever name and in whatever case; None if neither."""
    for alias in _ALIASES["type"]:
        found = inner.get(alias)
        if isinstance(found, str) and found.upper() in CHANGES:
            return found.upper()
    return None


class _Message(Mapping[str, Any]):
    """Attributes that can also be had by name: `payload.new` and `payload["new"]`."""

    __slots__ = ()
    _names: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        if name in self._names:
            return getattr(self, name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={self[name]!r}" for name in self._names)
        return f"{type(self).__name__}({shown})"


class RealtimePayload(_Message):
    """One change of one row. Attributes, or a mapping: `payload.new` is `payload["new"]`.

    Attributes:
        type: `INSERT`, `UPDATE` or `DELETE`.
        schema: The schema of the table.
        table: The table.
        commit_timestamp: When it was committed, as text.
        new: The row after the change; None after a DELETE.
        old: What the server says of the row before: its primary key, or all of it.
        errors: What the server left out, for example `payload_too_large`.
        channel: The channel it came by.
        sequence: Its position in the server's log, if the server numbers changes.
        raw: The untouched frame.
    """

    __slots__ = ("_inner", "channel", "raw", "sequence", "size", "type")
    _names = ("type", "schema", "table", "commit_timestamp", "new", "old", "errors")

    type: str
    channel: str
    sequence: int | None
    raw: Mapping[str, Any]
    size: int

    def __init__(
        self,
        kind: str,
        frame: Mapping[str, Any],
        inner: Mapping[str, Any],
        channel: str,
        sequence: int | None = None,
        size: int = 0,
    ) -> None:
        self.type = kind
        self.raw = frame
        self._inner = inner
        self.channel = channel
        self.sequence = sequence
        self.size = size

    @property
    def schema(self) -> str:
        """The schema of the table; `public` if the server does not say."""
        found = self._inner.get("schema")
        return found if isinstance(found, str) else "public"

    @property
    def table(self) -> str | None:
        """The table."""
        found = member(self._inner, "table")
        return found if isinstance(found, str) else None

    @property
    def commit_timestamp(self) -> str | None:
        """When it was committed, as text."""
        found = member(self._inner, "commit_timestamp")
        return None if found is None else str(found)

    @property
    def new(self) -> dict[str, Any] | None:
        """The row after the change; None after a DELETE."""
        found = member(self._inner, "new")
        return found if isinstance(found, dict) else None

    @property
    def old(self) -> dict[str, Any] | None:
        """What the server says of the row before."""
        found = member(self._inner, "old")
        return found if isinstance(found, dict) else None

    @property
    def errors(self) -> tuple[str, ...]:
        """What the server left out."""
        found = self._inner.get("errors")
        return tuple(str(one) for one in found) if isinstance(found, list) else ()


class BroadcastMessage(_Message):
    """What another client sent to the channel. Its `type` is `BROADCAST`.

    Attributes:
        event: The name it was sent under.
        payload: What was sent.
        sender_id: The user who sent it, if the server says.
        timestamp: When the server passed it on, as text.
        channel, raw: As in `RealtimePayload`.
    """

    __slots__ = ("channel", "event", "payload", "raw", "sender_id", "sequence", "size", "timestamp",
                 "type")  # fmt: skip
    _names = ("type", "event", "payload", "sender_id", "timestamp")

    def __init__(
        self, frame: Mapping[str, Any], inner: Mapping[str, Any], channel: str, size: int = 0
    ) -> None:
        event, sender = inner.get("event"), inner.get("sender_id")
        timestamp = inner.get("timestamp")
        self.type: Literal["BROADCAST"] = "BROADCAST"
        self.event: str = event if isinstance(event, str) else ""
        self.payload: Any = inner.get("payload")
        self.sender_id: str | None = sender if isinstance(sender, str) else None
        self.timestamp: str | None = None if timestamp is None else str(timestamp)
        self.channel = channel
        self.raw = frame
        self.size = size
        self.sequence: int | None = None


class PresenceMessage(_Message):
    """Who is there changed. Its `type` is `PRESENCE`.

    Attributes:
        event: `join` or `leave` (who came or went), and after each of them `sync` (the whole).
        presences: {key: [what each of its connections tracks]}; yours to change.
        channel, raw: As in `RealtimePayload`.
    """

    __slots__ = ("_copy", "_presences", "channel", "event", "raw", "sequence", "size", "type")
    _names = ("type", "event", "presences")

    def __init__(
        self,
        event: str,
        presences: dict[str, list[dict[str, Any]]],
        frame: Mapping[str, Any],
        channel: str,
        size: int = 0,
    ) -> None:
        self.type: Literal["PRESENCE"] = "PRESENCE"
        self.event = event
        self._presences = presences
        self._copy: dict[str, list[dict[str, Any]]] | None = None
        self.channel = channel
        self.raw = frame
        self.size = size
        self.sequence: int | None = None

    @property
    def presences(self) -> dict[str, list[dict[str, Any]]]:
        if self._copy is None:  # most of them are never looked at, and a room may be large
            self._copy = {
                key: [dict(meta) for meta in metas] for key, metas in self._presences.items()
            }
        return self._copy


GapReason = Literal[
    "epoch_changed",
    "buffer_overrun",
    "resume_unsupported",
    "server_dropped",
    "client_dropped",
    "truncate",
]
"""Why changes may be missing (wire-contract §4.8)."""


class GapNotice(_Message):
    """Changes are missing here: read the table again. Its `type` is `GAP`.

    Attributes:
        reason: `epoch_changed`, `buffer_overrun`, `resume_unsupported`: the connection was away
            longer than the server remembers; `server_dropped`: the server had to drop some;
            `client_dropped`: this program was too slow; `truncate`: the table was emptied.
        missed: How many are missing; None if nobody knows.
        after, until: Missing may be the changes with `after < sequence <= until`; None: unknown.
        channel: The channel.
    """

    __slots__ = ("after", "channel", "missed", "raw", "reason", "sequence", "size", "type", "until")
    _names = ("type", "reason", "missed", "after", "until")

    def __init__(
        self,
        reason: GapReason,
        channel: str,
        *,
        missed: int | None = None,
        after: int | None = None,
        until: int | None = None,
    ) -> None:
        self.type: Literal["GAP"] = "GAP"
        self.reason: GapReason = reason
        self.channel = channel
        self.missed = missed
        self.after = after
        self.until = until
        self.raw: Mapping[str, Any] = {}
        self.sequence: int | None = None
        self.size = 0


ChannelEvent = RealtimePayload | BroadcastMessage | PresenceMessage | GapNotice
"""What a channel yields."""


class SendResult(NamedTuple):
    """What became of a broadcast: how many got it, if the server was asked to say."""

    subscribers_notified: int | None = None


class RealtimeStatus(StrEnum):
    """Where the connection stands (wire-contract §4.5)."""

    IDLE = "idle"
    CONNECTING = "connecting"
    OPEN = "open"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


class SubscribeStatus(StrEnum):
    """What a status callback is told of a channel.

    `SUBSCRIBED` and, after a reconnection, `RESUBSCRIBED`; `RECONNECTING`: the connection or the
    subscription was lost, and is being made again; `TIMED_OUT`: the server did not confirm in
    time, it is asked again; `CHANNEL_ERROR`: the server refused for good; `CLOSED`.
    """

    SUBSCRIBED = "SUBSCRIBED"
    RESUBSCRIBED = "RESUBSCRIBED"
    RECONNECTING = "RECONNECTING"
    TIMED_OUT = "TIMED_OUT"
    CHANNEL_ERROR = "CHANNEL_ERROR"
    CLOSED = "CLOSED"
