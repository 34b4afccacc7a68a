"""What connections share, and what happens on channels: joining, leaving, sending, tracking."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg_pool import PoolTimeout

from aerodb.local.credentials import Identity
from aerodb.local.realtime.bindings import Bindings
from aerodb.local.realtime.callers import user_of
from aerodb.local.realtime.channels import Broadcast, Channels, Topic, topic_of
from aerodb.local.realtime.errors import UNAVAILABLE, FrameError
from aerodb.local.realtime.feed import Feed
from aerodb.local.realtime.frames import Message, Subscribe
from aerodb.local.realtime.gate import Gate
from aerodb.local.realtime.presence import Presence
from aerodb.local.realtime.subscriptions import Binding, Subscription

if TYPE_CHECKING:
    from aerodb.local.realtime.connection import Connection

FEATURES = ("realtime.auth", "realtime.resume", "realtime.presence")
Admit = Callable[[Mapping[str, str]], Awaitable[Identity]]
"""Credentials, by their header names, to who that is now; raises RestError."""


@dataclass(slots=True)
class Parts:
    """What a `Connection` works with. `connections` are all that are open, by id."""

    feed: Feed
    bindings: Bindings
    channels: Channels
    presence: Presence
    gate: Gate
    admit: Admit
    connections: dict[str, Connection] = field(default_factory=dict[str, "Connection"])

    async def join(self, connection: Connection, asked: Subscribe) -> None:
        """Let a connection join a channel: acknowledge it, replay, and serve it from then on."""
        bindings, complete_from = await self._allowed(connection, asked)
        position, resumed = self.feed.settled, "none"
        if asked.resume is not None:
            resumed = "gap"
            if await self.feed.can_resume(*asked.resume, complete_from):
                resumed, position = "ok", asked.resume[1]
            else:
                position = self.feed.settled
        subscription = Subscription(
            asked.channel,
            connection,
            bindings,
            position,
            replace(asked, resume=None),
            broadcast_self=asked.broadcast_self,
            broadcast_ack=asked.broadcast_ack,
            private=asked.private,
        )
        if asked.presence:
            subscription.chosen_key = asked.presence_key
            subscription.presence_key = asked.presence_key or connection.default_key
        connection.drop(asked.channel)
        connection.channels[asked.channel] = subscription
        connection.say(
            "subscribed",
            channel=asked.channel,
            ref=asked.ref,
            subscription_id=subscription.id,
            bindings=[binding.told() for binding in bindings],
            epoch=self.feed.epoch,
            seq=position,
            resume=resumed,
        )
        self.channels.add(subscription)
        if subscription.presence_key is not None:
            subscription.push_state(self.presence.sync(subscription))
        connection.acknowledged(asked.channel)
        await self.feed.join(subscription)

    async def _allowed(
        self, connection: Connection, asked: Subscribe
    ) -> tuple[tuple[Binding, ...], int]:
        """Return bindings that hold for who the connection acts as when this returns."""
        while True:
            key, identity = connection.identity_key, connection.identity
            if asked.private:
                await self.gate.check_join(identity, asked.channel)
            bindings = await self.bindings.resolve(asked, identity)
            complete_from = await self.bindings.watch(bindings)
            if key == connection.identity_key:
                return bindings, complete_from

    def leave(self, subscription: Subscription) -> None:
        """Serve a subscription no more."""
        self.feed.leave(subscription)
        self.channels.remove(subscription)
        self.presence.untrack(subscription)

    async def hand_over(
        self, connection: Connection, subscription: Subscription, before: Identity
    ) -> None:
        """Let a subscription go on under the new identity of its connection, if it may (§4.4)."""
        identity = connection.identity
        same_role = before.role == identity.role
        if not same_role or user_of(before) != user_of(identity):
            self.presence.untrack(subscription)
            if subscription.presence_key is not None:
                subscription.presence_key = subscription.chosen_key or connection.default_key
        if same_role and not subscription.private:
            return
        try:
            if not await self.still_allowed(subscription, identity):
                refusal = FrameError("unauthorized", "This channel is not for the new token.")
                connection.end(subscription, refusal)
            elif not same_role and await self._has_a_table_now(subscription, identity):
                connection.join_again(subscription)
        except (psycopg.Error, PoolTimeout, OSError):
            connection.end(subscription, UNAVAILABLE)  # nobody has said that it may go on

    async def _has_a_table_now(self, subscription: Subscription, identity: Identity) -> bool:
        """Whether a channel is called like a table that only this identity may read."""
        named = subscription.asked.changes is None and not subscription.bindings
        return named and bool(await self.bindings.resolve(subscription.asked, identity))

    async def still_allowed(self, subscription: Subscription, identity: Identity) -> bool:
        """Whether a subscription may go on under another identity."""
        try:
            if subscription.private:
                await self.gate.check_join(identity, subscription.channel)
            await self.bindings.check(subscription.bindings, identity)
        except FrameError:
            return False
        return True

    async def broadcast(
        self, connection: Connection, subscription: Subscription, message: Message
    ) -> None:
        """Send a message to a channel; the ack says how many got it here."""
        await self._may_send(connection, subscription, "broadcast", message)
        told = self.channels.send(
            Broadcast(topic_of(subscription), message.event, message.payload, connection.user_id),
            subscription,
        )
        if subscription.broadcast_ack or message.ref is not None:
            connection.say(
                "broadcast_ack",
                channel=message.channel,
                event=message.event,
                ref=message.ref,
                payload={"subscribers_notified": told},
            )

    async def track(
        self,
        connection: Connection,
        subscription: Subscription,
        message: Message,
        meta: dict[str, Any] | None,
    ) -> None:
        """Track `meta`, or nothing any more."""
        if subscription.presence_key is None:
            raise FrameError("unsupported", "Presence is not enabled on this channel.")
        if meta is None:
            self.presence.untrack(subscription)
            return
        await self._may_send(connection, subscription, "presence", message)
        self.presence.track(subscription, subscription.presence_key, meta)

    async def _may_send(
        self,
        connection: Connection,
        subscription: Subscription,
        extension: str,
        message: Message,
    ) -> None:
        """Ask the policies each time: they may look at what is sent."""
        if not subscription.private:
            return
        if not connection.delivers:
            raise FrameError("token_expired", "The token has expired.")
        await self.gate.check_send(
            connection.identity, message.channel, extension, message.event, message.payload
        )
        if not subscription.active:
            raise FrameError("not_subscribed", "This connection has left the channel.")

    async def send(self, identity: Identity, topic: Topic, event: str, payload: str) -> int:
        """Send a message that came by HTTP; return how many got it here."""
        if topic.private:
            await self.gate.check_send(identity, topic.name, "broadcast", event, payload)
        return self.channels.send(Broadcast(topic, event, payload, user_of(identity)))

    async def close_all(self, code: int, reason: str) -> None:
        """End every connection."""
        for connection in [*self.connections.values()]:
            connection.close(code, reason)
        await asyncio.sleep(0)
