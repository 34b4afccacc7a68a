"""Who has subscribed to what: the bindings of channels, and an index over them by table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar
from uuid import uuid4

from aerodb.local.credentials import Identity
from aerodb.local.realtime.outbox import Frame, Outbox

if TYPE_CHECKING:
    from aerodb.local.realtime.errors import FrameError
    from aerodb.local.realtime.filters import Condition
    from aerodb.local.realtime.frames import Subscribe

Key = TypeVar("Key", int, str)
EVENTS = frozenset({"*", "INSERT", "UPDATE", "DELETE"})
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Owner(Protocol):
    """A connection, as far as delivery goes."""

    outbox: Outbox

    @property
    def identity(self) -> Identity: ...

    @property
    def identity_key(self) -> str: ...

    @property
    def delivers(self) -> bool: ...

    def close(self, code: int, reason: str) -> None: ...

    def end(self, subscription: Subscription, why: FrameError) -> None: ...


@dataclass(frozen=True, slots=True)
class Binding:
    """One entry of `postgres_changes`. `oid` is the table's, None for all of a schema."""

    id: int
    event: str
    schema: str
    table: str
    filter: str | None = None
    conditions: tuple[Condition, ...] = ()
    oid: int | None = None

    def takes(self, kind: str) -> bool:
        """Whether changes of this kind are asked for."""
        return self.event in ("*", kind)

    def told(self) -> dict[str, object]:
        """What `subscribed` says about it."""
        return {
            "id": self.id,
            "event": self.event,
            "schema": self.schema,
            "table": self.table,
            "filter": self.filter,
        }


@dataclass(eq=False, slots=True)
class Subscription:
    """A connection's subscription to one channel. It starts with what follows `position`.

    `asked` is what it was made for, to be made again.
    """

    channel: str
    owner: Owner
    bindings: tuple[Binding, ...]
    position: int
    asked: Subscribe
    id: str = field(default_factory=lambda: str(uuid4()))
    active: bool = True
    broadcast_self: bool = False
    broadcast_ack: bool = False
    private: bool = False
    presence_key: str | None = None
    chosen_key: str | None = None
    n: int = 0
    dropped: int = 0
    last_seq: int = 0
    _head: str = ""

    def __post_init__(self) -> None:
        self._head = f'{{"type":"event","channel":{encode(self.channel)},"seq":'

    def push(self, seq: int, bindings: list[int], payload: str) -> None:
        """Queue an event; `payload` is its JSON."""
        self.n += 1
        self.last_seq = seq
        ids = ",".join(map(str, bindings))
        text = f'{self._head}{seq},"n":{self.n},"bindings":[{ids}],"payload":{payload}}}'
        self.owner.outbox.put(Frame(text, self))

    def push_text(self, text: str) -> bool:
        """Queue another frame that may be lost when the connection does not keep up.

        Nothing of a private channel goes to a caller whose token has run out.
        """
        if not self.active or (self.private and not self.owner.delivers):
            return False
        self.owner.outbox.put(Frame(text, self))
        return True

    def push_state(self, text: str) -> None:
        """Queue a frame that is never thrown away."""
        if self.active and not (self.private and not self.owner.delivers):
            self.owner.outbox.put(Frame(text))

    def push_notice(self, event: str, message: str, schema: str, table: str, seq: int) -> None:
        """Queue a `system` frame about a table."""
        self.last_seq = seq
        notice = {
            "type": "system",
            "event": event,
            "status": "ok",
            "message": message,
            "channel": self.channel,
            "seq": seq,
            "details": {"schema": schema, "table": table, "seq": seq},
        }
        self.owner.outbox.put(Frame(encode(notice)))

    def end(self, why: FrameError) -> None:
        """It cannot go on: the connection leaves the channel, and its client is told why."""
        if self.active:
            self.owner.end(self, why)

    def miss(self, seq: int) -> None:
        """An event cannot be delivered: the hole in `n` and the frame after it tell."""
        self.n += 1
        self.last_seq = seq
        self.owner.outbox.put(Frame("", self))

    def lose(self) -> None:
        """A frame of this subscription is lost (see `Outbox`)."""
        self.dropped += 1

    def losses(self) -> str | None:
        """Return a frame about losses that no frame has told of; its number is beyond them all.

        A heartbeat must not pass them, and no other frame of this subscription may ever come.
        """
        if not self.dropped:
            return None
        dropped, self.dropped = self.dropped, 0
        notice = {
            "type": "system",
            "event": "dropped",
            "status": "ok",
            "message": f"{dropped} frames of this channel were lost.",
            "channel": self.channel,
            "dropped": dropped,
            "details": {"seq": self.last_seq},
        }
        return encode(notice)

    def stamp(self, text: str) -> str:
        """Return a frame's text with what was lost before it."""
        if not self.dropped:
            return text
        dropped, self.dropped = self.dropped, 0
        return f'{text[:-1]},"dropped":{dropped}}}'


class Index:
    """All live subscriptions with bindings, by the oid of a table or of a whole schema."""

    def __init__(self) -> None:
        self._by_table: dict[int, dict[Subscription, None]] = {}
        self._by_schema: dict[str, dict[Subscription, None]] = {}

    def add(self, subscription: Subscription) -> None:
        """From now on the subscription gets what happens."""
        for binding in subscription.bindings:
            if binding.oid is None:
                self._by_schema.setdefault(binding.schema, {})[subscription] = None
            else:
                self._by_table.setdefault(binding.oid, {})[subscription] = None

    def remove(self, subscription: Subscription) -> None:
        """And from now on it does not."""
        for binding in subscription.bindings:
            if binding.oid is None:
                _discard(self._by_schema, binding.schema, subscription)
            else:
                _discard(self._by_table, binding.oid, subscription)

    @property
    def is_empty(self) -> bool:
        """Whether nobody wants any changes."""
        return not (self._by_table or self._by_schema)

    def tables(self) -> Iterator[int]:
        """The oids of tables that are subscribed to one by one."""
        yield from self._by_table

    def schemas(self) -> Iterator[str]:
        """The schemas that are subscribed to as a whole."""
        yield from self._by_schema

    def all(self) -> set[Subscription]:
        """Return every subscription that has bindings."""
        found: set[Subscription] = set()
        for some in (*self._by_table.values(), *self._by_schema.values()):
            found.update(some)
        return found

    def of(self, oid: int, schema: str) -> dict[Subscription, None]:
        """Return the subscriptions that a change of this table may concern."""
        return {**self._by_table.get(oid, {}), **self._by_schema.get(schema, {})}


def _discard(
    index: dict[Key, dict[Subscription, None]], key: Key, subscription: Subscription
) -> None:
    entries = index.get(key)
    if entries is not None:
        entries.pop(subscription, None)
        if not entries:
            del index[key]
