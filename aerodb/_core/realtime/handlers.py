"""Who is called for what: the handlers of one channel, and what they ask the server for.

The tables are replaced as a whole, never changed: whoever goes through one is not disturbed by a
handler that adds or takes away another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from aerodb._core.realtime.filters import Filter
from aerodb._core.realtime.messages import (
    CHANGES,
    BroadcastMessage,
    ChannelEvent,
    PresenceMessage,
    RealtimePayload,
)

__all__ = ["Binding", "Handler", "Handlers", "change_names"]

Kind = Literal["change", "broadcast", "presence", "gap"]
PRESENCE_EVENTS = frozenset({"sync", "join", "leave", "*"})


class Binding(NamedTuple):
    """What a handler asks the server for (§4.7)."""

    event: str
    schema: str
    table: str
    filter: Filter | None = None

    def config(self) -> dict[str, Any]:
        """As it stands in `config.postgres_changes`."""
        found = {"event": self.event, "schema": self.schema, "table": self.table}
        if self.filter is not None:
            found["filter"] = self.filter.text
        return found

    def admits(self, payload: RealtimePayload, *, judged: bool) -> bool:
        """Whether a change is for this one. `judged`: the server has applied the filter."""
        if self.table not in ("*", payload.table) or self.schema not in ("*", payload.schema):
            return False
        if judged or self.filter is None:
            return True
        return self.filter.admits(payload.old if payload.type == "DELETE" else payload.new)


class Handler(NamedTuple):
    """One callback, and what it is for. `event` of a change is its type, or `*`."""

    kind: Kind
    event: str
    callback: Callable[[Any], Any]
    binding: Binding | None = None


def change_names(event: object) -> str:
    """INSERT, UPDATE, DELETE or `*`, in any case of letters.

    Raises:
        TypeError, ValueError: It is none of them.
    """
    if not isinstance(event, str):
        raise TypeError(f"event must be a str, not {type(event).__name__}")
    found = event.upper()
    if found not in CHANGES and found != "*":
        raise ValueError(
            f"event must be INSERT, UPDATE, DELETE or *, not {event[:60]!r}; "
            "for messages of other clients there is on_broadcast()"
        )
    return found


class Handlers:
    """The handlers of one channel.

    Attributes:
        all: In the order in which they came.
        ids: The server's number of each binding, if it gave them numbers.
    """

    __slots__ = ("_broadcasts", "_changes", "_gaps", "_presences", "all", "ids")

    def __init__(self) -> None:
        self.all: tuple[Handler, ...] = ()
        self.ids: Mapping[tuple[str, str, str, str | None], Any] = {}
        self._index()

    def __bool__(self) -> bool:
        return bool(self.all)

    def add(self, handler: Handler) -> None:
        """Call this one too, after those before it."""
        self.all = (*self.all, handler)
        self._index()

    def remove(self, kind: Kind, event: str | None, callback: Callable[[Any], Any] | None) -> None:
        """Call those no more; None: whatever they are for, whichever they are."""
        self.all = tuple(
            one
            for one in self.all
            if not (
                one.kind == kind
                and event in (None, one.event)
                # bound methods are made anew each time they are asked for: equal, not the same
                and (callback is None or one.callback == callback)
            )
        )
        self._index()

    def clear(self) -> None:
        """Call nobody."""
        self.all = ()
        self._index()

    def _index(self) -> None:
        changes = [one for one in self.all if one.kind == "change"]
        self._changes = {
            kind: tuple(one for one in changes if one.event in (kind, "*")) for kind in CHANGES
        }
        self._gaps = tuple(one for one in self.all if one.kind == "gap")
        self._broadcasts = tuple(one for one in self.all if one.kind == "broadcast")
        self._presences = tuple(one for one in self.all if one.kind == "presence")

    @property
    def wants_presence(self) -> bool:
        """Whether the server has to tell who is there."""
        return bool(self._presences)

    def bindings(self) -> list[Binding]:
        """What to ask the server for; empty: what the channel's name says."""
        return list(dict.fromkeys(one.binding for one in self.all if one.binding is not None))

    def numbered(self, bindings: object) -> None:
        """Note the numbers that the server gave the bindings (`subscribed.bindings`)."""
        listed: Sequence[Any] = bindings if isinstance(bindings, list) else ()
        self.ids = {
            (str(one.get("event")), str(one.get("schema")), str(one.get("table")),
             one.get("filter") or None): one["id"]
            for one in listed
            if isinstance(one, dict) and "id" in one
        }  # fmt: skip

    def of(self, item: ChannelEvent) -> Sequence[Handler]:
        """Who is to be called for an event."""
        if type(item) is RealtimePayload:
            found = self._changes[item.type]
            for one in found:
                if one.binding is not None:
                    return [one for one in found if self._is_for(one.binding, item)]
            return found
        if isinstance(item, BroadcastMessage):
            return [one for one in self._broadcasts if one.event in ("*", item.event)]
        if isinstance(item, PresenceMessage):
            return [one for one in self._presences if one.event in ("*", item.event)]
        return self._gaps

    def _is_for(self, binding: Binding | None, item: RealtimePayload) -> bool:
        if binding is None:
            return True
        matched = item.raw.get("bindings")
        if isinstance(matched, list) and matched:
            text = None if binding.filter is None else binding.filter.text
            number = self.ids.get((binding.event, binding.schema, binding.table, text))
            if number is not None:
                return number in matched and binding.admits(item, judged=True)
        return binding.admits(item, judged=False)
