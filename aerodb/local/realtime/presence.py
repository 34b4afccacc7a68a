"""Who is there: the metas that connections track on a channel, by key (wire contract §4.10).

Every instance keeps the whole state of all instances. What happens here is told to the others; one
that begins, or that has not heard for a while, asks all of them to say again what they have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from aerodb.local.realtime.channels import Channels, Topic, now, topic_of
from aerodb.local.realtime.subscriptions import Subscription, encode


@dataclass(frozen=True, slots=True)
class Entry:
    """What one connection tracks on one channel; `meta` is all that is told of it."""

    topic: Topic
    key: str
    ref: str
    meta: dict[str, Any] = field(repr=False)
    instance: str

    def told(self, kind: str) -> dict[str, Any]:
        """What other instances are told."""
        return {
            "kind": kind,
            "channel": self.topic.name,
            "private": self.topic.private,
            "key": self.key,
            "ref": self.ref,
            "meta": self.meta,
        }


class Presence:
    """The state of all channels."""

    def __init__(
        self, instance: str, channels: Channels, publish: Callable[[dict[str, Any]], None]
    ) -> None:
        self._instance = instance
        self._channels = channels
        self._publish = publish
        self._entries: dict[Topic, dict[str, Entry]] = {}
        self._own: dict[Subscription, Entry] = {}

    def count(self) -> int:
        """Return how many connections are tracked, here and elsewhere."""
        return sum(len(entries) for entries in self._entries.values())

    def sync(self, subscription: Subscription) -> str:
        """Return the frame with the whole state of a channel."""
        return _frame(subscription.channel, "sync", self._of(topic_of(subscription)))

    def track(self, subscription: Subscription, key: str, meta: dict[str, Any]) -> None:
        """Put `meta` in the place of what the subscription tracked before."""
        ref, before = uuid4().hex, self._own.get(subscription)
        told = {**meta, "presence_ref": ref, "joined_at": now()}
        entry = Entry(topic_of(subscription), key, ref, told, self._instance)
        self._own[subscription] = entry
        self._join(entry)
        self._publish(entry.told("join"))
        if before is not None:
            # After the new one, so that the key is never gone.
            self._leave(before)
            self._publish(before.told("leave"))

    def untrack(self, subscription: Subscription) -> None:
        """Take back what the subscription tracks, if it does."""
        entry = self._own.pop(subscription, None)
        if entry is not None:
            self._leave(entry)
            self._publish(entry.told("leave"))

    # --- other instances ---------------------------------------------------------------------

    def receive(self, told: dict[str, Any], instance: str) -> None:
        """Another instance tells of a `join` or a `leave`."""
        topic = Topic(told["channel"], told["private"])
        entry = Entry(topic, told["key"], told["ref"], told["meta"], instance)
        if told["kind"] == "join":
            self._join(entry)
        else:
            self._leave(entry)

    def own(self) -> list[dict[str, Any]]:
        """Return what an instance that has just begun has to be told."""
        return [entry.told("join") for entry in self._own.values()]

    def keep_of(self, instance: str, refs: Iterable[str]) -> None:
        """Another instance has said all that it has: what else we had of it is gone."""
        kept = set(refs)
        self._forget(lambda entry: entry.instance == instance and entry.ref not in kept)

    def only_of(self, instances: Iterable[str]) -> None:
        """Of other instances only these still live."""
        living = {self._instance, *instances}
        self._forget(lambda entry: entry.instance not in living)

    def _forget(self, gone: Callable[[Entry], bool]) -> None:
        for entry in [e for entries in self._entries.values() for e in entries.values()]:
            if gone(entry):
                self._leave(entry)

    # --- the state ---------------------------------------------------------------------------

    def _join(self, entry: Entry) -> None:
        entries = self._entries.setdefault(entry.topic, {})
        if entry.ref not in entries:
            entries[entry.ref] = entry
            self._tell("join", entry)

    def _leave(self, entry: Entry) -> None:
        entries = self._entries.get(entry.topic, {})
        if entries.pop(entry.ref, None) is None:
            return
        if not entries:
            del self._entries[entry.topic]
        self._tell("leave", entry)

    def _tell(self, event: str, entry: Entry) -> None:
        text = _frame(entry.topic.name, event, [entry])
        for member in self._channels.members(entry.topic):
            if member.presence_key is not None:
                member.push_state(text)

    def _of(self, topic: Topic) -> list[Entry]:
        return list(self._entries.get(topic, {}).values())


def _frame(channel: str, event: str, entries: Iterable[Entry]) -> str:
    payload: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        payload.setdefault(entry.key, []).append(entry.meta)
    return encode({"type": "presence", "channel": channel, "event": event, "payload": payload})
