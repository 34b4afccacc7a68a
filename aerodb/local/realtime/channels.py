"""Who is on which channel here, and messages to all of them (wire contract §4.10).

A private channel and a public one of the same name are two channels: nothing of the one reaches the
other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aerodb.local.realtime.subscriptions import Subscription, encode


class Topic(NamedTuple):
    """A channel, besides its name whether it is the private one."""

    name: str
    private: bool = False


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A message to everybody on a channel; `payload` is JSON text, `sender` the user's id."""

    topic: Topic
    event: str
    payload: str
    sender: str | None = None

    def frame(self) -> str:
        """Return its frame."""
        sender = "null" if self.sender is None else encode(self.sender)
        return (
            f'{{"type":"broadcast","channel":{encode(self.topic.name)},'
            f'"event":{encode(self.event)},"payload":{self.payload},'
            f'"sender_id":{sender},"timestamp":"{now()}"}}'
        )


class Channels:
    """The members of channels that this instance serves. `publish` tells other instances."""

    def __init__(self, publish: Callable[[dict[str, Any]], None]) -> None:
        self._members: dict[Topic, dict[Subscription, None]] = {}
        self._publish = publish

    def add(self, subscription: Subscription) -> None:
        """A subscription has joined."""
        self._members.setdefault(topic_of(subscription), {})[subscription] = None

    def remove(self, subscription: Subscription) -> None:
        """A subscription has left."""
        topic = topic_of(subscription)
        members = self._members.get(topic)
        if members is not None:
            members.pop(subscription, None)
            if not members:
                del self._members[topic]

    def members(self, topic: Topic) -> list[Subscription]:
        """Return who is on a channel."""
        return list(self._members.get(topic, ()))

    def count(self) -> int:
        """Return how many channels have members."""
        return len(self._members)

    def send(self, message: Broadcast, sender: Subscription | None = None) -> int:
        """Deliver a message here and tell the other instances; return to how many here."""
        told = self._deliver(message, sender)
        self._publish(
            {
                "kind": "broadcast",
                "channel": message.topic.name,
                "private": message.topic.private,
                "event": message.event,
                "payload": message.payload,
                "sender": message.sender,
            }
        )
        return told

    def receive(self, told: dict[str, Any]) -> None:
        """Deliver a message that another instance was given."""
        topic = Topic(told["channel"], told["private"])
        self._deliver(Broadcast(topic, told["event"], told["payload"], told["sender"]), None)

    def _deliver(self, message: Broadcast, sender: Subscription | None) -> int:
        text, told = message.frame(), 0
        for member in self.members(message.topic):
            if member is not sender or member.broadcast_self:
                told += member.push_text(text)
        return told


def topic_of(subscription: Subscription) -> Topic:
    """Return the channel that a subscription is for."""
    return Topic(subscription.channel, subscription.private)


def now() -> str:
    """Return the time as the frames write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
