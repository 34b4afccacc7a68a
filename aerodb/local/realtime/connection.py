"""One WebSocket: its frames come in, are answered, and what it subscribed to goes out."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
from psycopg_pool import PoolTimeout

from aerodb._version import __version__
from aerodb.local.credentials import Identity
from aerodb.local.realtime.callers import user_of
from aerodb.local.realtime.errors import BROKEN, UNAVAILABLE, FrameError, not_admitted
from aerodb.local.realtime.frames import (
    MAXIMUM_FRAME_BYTES,
    Incoming,
    Subscribe,
    channel_of,
    error_frame,
    frame,
    is_channel,
    read_auth,
    read_frame,
    read_message,
    read_presence,
    read_subscribe,
)
from aerodb.local.realtime.joins import Joins
from aerodb.local.realtime.limits import (
    FRAMES_BURST,
    FRAMES_PER_SECOND,
    MAXIMUM_CHANNELS,
    MAXIMUM_REFUSALS,
    Allowance,
    Allowances,
)
from aerodb.local.realtime.log import Pruned
from aerodb.local.realtime.outbox import Frame, Outbox
from aerodb.local.realtime.parts import FEATURES, Parts
from aerodb.local.realtime.subscriptions import Subscription
from aerodb.local.replies import Message as AsgiMessage
from aerodb.local.replies import Receive, Send
from aerodb.local.rest.errors import RestError

log = logging.getLogger("aerodb.local.realtime")
HEARTBEAT_MS = 30_000
_FLUSH_SECONDS = 2.0
Trouble = (psycopg.Error, PoolTimeout, OSError)
Answer = Callable[["Connection", Incoming], Awaitable[None]]


class Connection:
    """A client that is connected. It acts as `identity` until an `auth` frame says otherwise.

    `key` is the API key of the handshake, as a header: what it acts as without a token.
    """

    def __init__(
        self, parts: Parts, identity: Identity, send: Send, key: Mapping[str, str]
    ) -> None:
        self.id = str(uuid4())
        self.outbox = Outbox(self._send_text, lambda: self.close(4008, "slow_consumer"))
        self.delivers = True
        self.channels: dict[str, Subscription] = {}
        self._parts = parts
        self._send = send
        self._key = key
        self._joins = Joins()
        self._allowances = Allowances(10 * MAXIMUM_CHANNELS)  # of those left as well
        self._frames = Allowance(FRAMES_PER_SECOND, FRAMES_BURST)
        self._refusals = 0
        self._ended: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._become(identity)

    @property
    def identity(self) -> Identity:
        """What the connection acts as now."""
        return self._identity

    @property
    def identity_key(self) -> str:
        """The same for the same role and claims."""
        return self._identity_key

    @property
    def user_id(self) -> str | None:
        """The user that the connection acts for."""
        return user_of(self._identity)

    @property
    def default_key(self) -> str:
        """The presence key of who names none (wire contract §4.10)."""
        return self.user_id or self.id

    @property
    def expires_at(self) -> float | None:
        """When the token runs out, in seconds since the epoch."""
        expires = (self._identity.claims or {}).get("exp")
        return float(expires) if isinstance(expires, int | float) else None

    def _become(self, identity: Identity) -> None:
        self._identity = identity
        self._identity_key = f"{identity.role} {json.dumps(identity.claims, sort_keys=True)}"

    # --- the life of it ----------------------------------------------------------------------

    async def run(self, receive: Receive, *, deprecated: bool = False) -> None:
        """Serve the connection until one side ends it.

        `deprecated`: its credentials came in the URL, where they end up in logs.
        """
        self._welcome()
        if deprecated:
            message = "Send credentials as headers, not in the URL."
            self.say("system", event="deprecated", status="ok", message=message)
        reading = asyncio.create_task(self._read(receive), name="aerodb-realtime-reader")
        ends: set[asyncio.Future[Any]] = {reading, self._ended}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.done():
                code, reason = self._ended.result()
                await self.outbox.flush(_FLUSH_SECONDS)
                self.outbox.close()
                await self._send({"type": "websocket.close", "code": code, "reason": reason})
        finally:
            self.outbox.close()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await self._leave_all()

    def _welcome(self) -> None:
        expires = self.expires_at
        self.say(
            "connected",
            payload={
                "connection_id": self.id,
                "server": f"aerodb.local/{__version__}",
                "epoch": self._parts.feed.epoch,
                "seq": self._parts.feed.settled,
                "heartbeat_ms": HEARTBEAT_MS,
                "role": self.identity.role,
                "expires_at": None if expires is None else int(expires),
                "features": list(FEATURES),
            },
        )

    def close(self, code: int, reason: str) -> None:
        """End the connection with this close code, once what waits has been sent."""
        self.delivers = False
        if not self._ended.done():
            self._ended.set_result((code, reason))

    @property
    def closing(self) -> bool:
        """Whether `close` was called."""
        return self._ended.done()

    async def _read(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if message["type"] == "websocket.receive" and not self.closing:
                await self._answer(message)

    async def _answer(self, message: AsgiMessage) -> None:
        ref, channel = None, None
        try:
            incoming = self._taken(message.get("text"))
            ref, channel = incoming.ref, incoming.channel
            work = partial(self._answer_frame, incoming)
            if not self._joins.hold(incoming.type, channel, work):
                await work()
        except FrameError as problem:
            self._refuse(problem, channel, ref)

    async def _answer_frame(self, incoming: Incoming) -> None:
        try:
            answer = _ANSWERS.get(incoming.type)
            if answer is None:
                raise FrameError("unsupported", f"Unknown message type: {incoming.type[:40]}")
            await answer(self, incoming)
        except FrameError as problem:
            self._refuse(problem, incoming.channel, incoming.ref)
        except Trouble:
            self._refuse(UNAVAILABLE, incoming.channel, incoming.ref)

    def _taken(self, text: str | None) -> Incoming:
        """Look at a frame for the first time (wire contract §4.9)."""
        wait = self._frames.take()
        if wait:
            message = "Too many frames."
            self._refusals += 1
            close = 4020 if self._refusals > MAXIMUM_REFUSALS else None
            raise FrameError("rate_limit_exceeded", message, close=close, retry_after=wait)
        if text is None:
            raise FrameError("unsupported", "Frames are text, not binary.")
        if len(text) > MAXIMUM_FRAME_BYTES or len(text.encode()) > MAXIMUM_FRAME_BYTES:
            problem = f"The frame is longer than {MAXIMUM_FRAME_BYTES} bytes."
            raise FrameError("message_too_large", problem, close=4021)
        return read_frame(text)

    def _refuse(self, problem: FrameError, channel: str | None, ref: str | None) -> None:
        short = channel if channel is not None and is_channel(channel) else None
        self.outbox.put(Frame(error_frame(problem, short, ref)))
        if problem.close is not None:
            self.close(problem.close, problem.code)

    async def _send_text(self, text: str) -> None:
        try:
            await self._send({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError):
            # The client is gone, or we have said goodbye already.
            self.outbox.close()

    def say(self, kind: str, **fields: Any) -> None:
        """Queue a frame that is never thrown away."""
        self.outbox.put(Frame(frame(kind, **fields)))

    # --- channels ----------------------------------------------------------------------------

    async def subscribe(self, incoming: Incoming) -> None:
        """Begin to join; frames that come meanwhile are answered meanwhile."""
        asked = read_subscribe(incoming)
        others = (self.channels.keys() | self._joins.channels) - {asked.channel}
        if len(others) >= MAXIMUM_CHANNELS:
            message = f"A connection has at most {MAXIMUM_CHANNELS} channels."
            raise FrameError("too_many_subscriptions", message)
        await self._joins.stop(asked.channel)
        self._joins.begin(asked.channel, lambda: self._join(asked))

    def join_again(self, subscription: Subscription) -> None:
        """Ask anew what a channel stands for, unless that is under way."""
        if subscription.active and subscription.channel not in self._joins.channels:
            asked = subscription.asked
            self._joins.begin(asked.channel, lambda: self._join(asked))

    async def _join(self, asked: Subscribe) -> None:
        try:
            await self._parts.join(self, asked)
        except FrameError as problem:
            self._refuse(problem, asked.channel, asked.ref)
        except (*Trouble, Pruned):
            self.drop(asked.channel)
            self._refuse(UNAVAILABLE, asked.channel, asked.ref)
        except Exception:
            log.exception("a subscription failed")
            self.drop(asked.channel)
            self._refuse(BROKEN, asked.channel, asked.ref)

    def acknowledged(self, channel: str) -> None:
        """A channel has been joined: frames that waited for that can be answered."""
        self._joins.answered(channel)

    async def unsubscribe(self, incoming: Incoming) -> None:
        """Leave a channel; nothing of it is sent after the answer."""
        channel = channel_of(incoming)
        await self._joins.stop(channel)
        self.drop(channel)
        self.say("unsubscribed", channel=channel, ref=incoming.ref)

    def drop(self, channel: str) -> None:
        """Leave a channel without a word."""
        subscription = self.channels.pop(channel, None)
        if subscription is not None:
            self._parts.leave(subscription)

    def end(self, subscription: Subscription, why: FrameError) -> None:
        """Leave the channel of a subscription that cannot go on, and say why."""
        if self.channels.get(subscription.channel) is subscription:
            self.drop(subscription.channel)
            self._refuse(why, subscription.channel, None)

    async def _leave_all(self) -> None:
        await self._joins.stop_all()
        for channel in [*self.channels]:
            self.drop(channel)

    # --- the token ---------------------------------------------------------------------------

    async def authenticate(self, incoming: Incoming) -> None:
        """Act as somebody else from now on (wire contract §4.4, token rotation)."""
        token = read_auth(incoming)
        credentials = dict(self._key)
        if token is not None:
            credentials["authorization"] = f"Bearer {token}"
        try:
            identity = await self._parts.admit(credentials)
        except RestError as problem:
            raise not_admitted(problem) from None
        before = self.identity
        self._become(identity)
        for subscription in [*self.channels.values()]:
            await self._parts.hand_over(self, subscription, before)
        self.revive()
        self.say(
            "system",
            event="auth",
            status="ok",
            message="Claims are replaced.",
            ref=incoming.ref,
            details={"role": identity.role, "expires_at": self.expires_at},
        )

    def expire(self) -> None:
        """The token has run out: deliver nothing that claims decide about (§4.4, expiry)."""
        self.delivers = False
        for subscription in self.channels.values():
            self._parts.feed.suspend(subscription)
        self._refuse(FrameError("token_expired", "The token has expired."), None, None)

    def revive(self) -> None:
        """There is a token again: go on where delivery was stopped."""
        if self.delivers or self.closing:
            return
        self.delivers = True
        for channel, subscription in self.channels.items():
            if channel not in self._joins.channels:
                self._joins.begin(channel, partial(self._rejoin, subscription), answered=True)

    async def _rejoin(self, subscription: Subscription) -> None:
        try:
            await self._parts.feed.join(subscription)
        except (*Trouble, Pruned):
            self.drop(subscription.channel)
            self._refuse(UNAVAILABLE, subscription.channel, None)

    # --- the other frames --------------------------------------------------------------------

    async def heartbeat(self, incoming: Incoming) -> None:
        """Everything up to the number in the answer has been sent to this connection before it, or
        was thrown away, and that was told: what comes after a loss goes on from that number."""
        seq = self._parts.feed.seq_of(self.channels.values())
        now = int(time.time() * 1000)
        text = frame("heartbeat", ref=incoming.ref, server_time=now, seq=seq)
        self.outbox.put(Frame(text, before=self._losses))

    def _losses(self) -> list[str]:
        told = [subscription.losses() for subscription in self.channels.values()]
        return [text for text in told if text is not None]

    async def ping(self, incoming: Incoming) -> None:
        """The heartbeat of other clients."""
        self.say("pong", ref=incoming.ref)

    async def broadcast(self, incoming: Incoming) -> None:
        """Send a message to everybody else on a channel."""
        message = read_message(incoming)
        subscription = self._joined(message.channel)
        self._allowances.spend(message.channel)
        await self._parts.broadcast(self, subscription, message)

    async def presence(self, incoming: Incoming) -> None:
        """Track or untrack."""
        message, meta = read_presence(incoming)
        subscription = self._joined(message.channel)
        self._allowances.spend(message.channel)
        await self._parts.track(self, subscription, message, meta)

    def untrack_all(self) -> None:
        """The client has not been heard of: it is not present any more."""
        for subscription in self.channels.values():
            self._parts.presence.untrack(subscription)

    def _joined(self, channel: str) -> Subscription:
        subscription = self.channels.get(channel)
        if subscription is None:
            raise FrameError("not_subscribed", "This connection has not joined the channel.")
        return subscription


_ANSWERS: dict[str, Answer] = {
    "subscribe": Connection.subscribe,
    "unsubscribe": Connection.unsubscribe,
    "auth": Connection.authenticate,
    "heartbeat": Connection.heartbeat,
    "ping": Connection.ping,
    "broadcast": Connection.broadcast,
    "presence": Connection.presence,
}
