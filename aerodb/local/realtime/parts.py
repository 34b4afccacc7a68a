"""What connections share: the feed, the channels, the making of bindings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aerodb.local.realtime.bindings import Bindings
from aerodb.local.realtime.feed import Feed
from aerodb.local.realtime.frames import Message, Subscribe
from aerodb.local.realtime.subscriptions import Subscription

if TYPE_CHECKING:
    from aerodb.local.realtime.connection import Connection


@dataclass(slots=True)
class Parts:
    """What a `Connection` works with."""

    feed: Feed
    bindings: Bindings
    features: Sequence[str]
    connections: dict[str, Connection] = field(default_factory=dict)

    async def join(self, connection: Connection, asked: Subscribe) -> None:
        """Let a connection join a channel: acknowledge it, replay, and serve it from then on."""
        bindings = await self.bindings.resolve(asked, connection.identity)
        complete_from = await self.bindings.watch(bindings)
        epoch = self.feed.epoch
        resumed = "none"
        position = self.feed.settled
        if asked.resume is not None:
            same, since = asked.resume[0] == epoch, asked.resume[1]
            resumed = "gap"
            if same and max(complete_from, self.feed.pruned) <= since <= position:
                resumed, position = "ok", since
        subscription = Subscription(asked.channel, connection, bindings, position)
        subscription.broadcast_self = asked.broadcast_self
        subscription.broadcast_ack = asked.broadcast_ack
        connection.drop(asked.channel)
        connection.channels[asked.channel] = subscription
        connection.say(
            "subscribed",
            channel=asked.channel,
            ref=asked.ref,
            subscription_id=subscription.id,
            bindings=[binding.told() for binding in bindings],
            epoch=epoch,
            seq=position,
            resume=resumed,
        )
        await self.feed.join(subscription)

    def leave(self, connection: Connection, subscription: Subscription) -> None:
        """Serve a subscription no more."""
        self.feed.leave(subscription)

    async def broadcast(
        self, connection: Connection, subscription: Subscription, message: Message
    ) -> None:
        """Deliver a message."""
