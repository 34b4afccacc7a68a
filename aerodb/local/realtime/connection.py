"""One WebSocket: its frames come in, are answered, and what it subscribed to goes out."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from psycopg_pool import PoolTimeout

from aerodb._version import __version__
from aerodb.local.credentials import Identity
from aerodb.local.realtime.errors import FrameError
from aerodb.local.realtime.frames import (
    MAXIMUM_FRAME_BYTES,
    Incoming,
    Subscribe,
    channel_of,
    error_frame,
    frame,
    read_frame,
    read_message,
    read_subscribe,
)
from aerodb.local.realtime.limits import Allowance
from aerodb.local.realtime.outbox import Frame, Outbox
from aerodb.local.realtime.subscriptions import Subscription
from aerodb.local.replies import Message as AsgiMessage
from aerodb.local.replies import Receive, Send

if TYPE_CHECKING:
    from aerodb.local.realtime.parts import Parts

log = logging.getLogger("aerodb.local.realtime")
MAXIMUM_CHANNELS = 100
HEARTBEAT_MS = 30_000
Trouble = (psycopg.Error, PoolTimeout, OSError)
Answer = Callable[["Connection", Incoming], Awaitable[None]]


class Closing(Exception):
    """The connection is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(slots=True)
class _Joining:
    task: asyncio.Task[None]
    subscription: Subscription | None = None


class Connection:
    """A client that is connected. It acts as `identity` until an `auth` frame says otherwise."""

    def __init__(self, parts: Parts, identity: Identity, send: Send) -> None:
        self.id = str(uuid4())
        self.outbox = Outbox(self._send_text, lambda: self.close(4008, "slow_consumer"))
        self.delivers = True
        self.channels: dict[str, Subscription] = {}
        self._parts = parts
        self._send = send
        self._joins: dict[str, asyncio.Task[None]] = {}
        self._allowances: dict[str, Allowance] = {}
        self._ended: asyncio.Future[Closing] = asyncio.get_running_loop().create_future()
        self._become(identity)

    @property
    def identity(self) -> Identity:
        """What the connection acts as now."""
        return self._identity

    @property
    def identity_key(self) -> str:
        """The same for the same role and claims."""
        return self._identity_key

    def _become(self, identity: Identity) -> None:
        self._identity = identity
        self._identity_key = f"{identity.role} {json.dumps(identity.claims, sort_keys=True)}"

    # --- the life of it ----------------------------------------------------------------------

    async def run(self, receive: Receive) -> None:
        """Serve the connection until one side ends it."""
        self.say(
            "connected",
            payload={
                "connection_id": self.id,
                "server": f"aerodb.local/{__version__}",
                "epoch": self._parts.feed.epoch,
                "seq": self._parts.feed.settled,
                "heartbeat_ms": HEARTBEAT_MS,
                "role": self.identity.role,
                "expires_at": self._expires_at(),
                "features": list(self._parts.features),
            },
        )
        reading = asyncio.create_task(self._read(receive), name="aerodb-realtime-reader")
        try:
            await asyncio.wait({reading, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.done():
                closing = self._ended.result()
                await self.outbox.flush(2.0)
                self.outbox.close()
                await self._send(
                    {"type": "websocket.close", "code": closing.code, "reason": closing.reason}
                )
        finally:
            self.outbox.close()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await self._leave_all()

    def close(self, code: int, reason: str) -> None:
        """End the connection with this close code, once what waits has been sent."""
        self.delivers = False
        if not self._ended.done():
            self._ended.set_result(Closing(code, reason))

    async def _read(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            if message["type"] == "websocket.receive":
                await self._answer(message)

    async def _answer(self, message: AsgiMessage) -> None:
        text = message.get("text")
        ref, channel = None, None
        try:
            if text is None:
                raise FrameError("unsupported", "Frames are text, not binary.")
            if len(text) > MAXIMUM_FRAME_BYTES or len(text.encode()) > MAXIMUM_FRAME_BYTES:
                problem = f"The frame is longer than {MAXIMUM_FRAME_BYTES} bytes."
                raise FrameError("message_too_large", problem, close=4021)
            incoming = read_frame(text)
            ref, channel = incoming.ref, incoming.channel
            answer = _ANSWERS.get(incoming.type)
            if answer is None:
                raise FrameError("unsupported", f"Unknown message type: {incoming.type[:40]}")
            await answer(self, incoming)
        except FrameError as problem:
            self._refuse(problem, channel, ref)
        except Trouble:
            self._refuse(_UNAVAILABLE, channel, ref)

    def _refuse(self, problem: FrameError, channel: str | None, ref: str | None) -> None:
        short = channel if channel is not None and len(channel) <= 255 else None
        self.outbox.put(Frame(error_frame(problem, short, ref)))
        if problem.close is not None:
            self.close(problem.close, problem.code)

    async def _send_text(self, text: str) -> None:
        try:
            await self._send({"type": "websocket.send", "text": text})
        except (OSError, RuntimeError):
            self.close(1006, "the connection is lost")

    def say(self, kind: str, **fields: Any) -> None:
        """Queue a frame that is never thrown away."""
        self.outbox.put(Frame(frame(kind, **fields)))

    def _expires_at(self) -> int | None:
        claims = self.identity.claims or {}
        expires = claims.get("exp")
        return int(expires) if isinstance(expires, int | float) else None

    # --- channels ----------------------------------------------------------------------------

    async def subscribe(self, incoming: Incoming) -> None:
        """Begin to join; frames that come meanwhile are answered meanwhile."""
        asked = read_subscribe(incoming)
        others = (self.channels.keys() | self._joins.keys()) - {asked.channel}
        if len(others) >= MAXIMUM_CHANNELS:
            message = f"A connection has at most {MAXIMUM_CHANNELS} channels."
            raise FrameError("too_many_subscriptions", message)
        await self._stop_joining(asked.channel)
        task = asyncio.create_task(self._join(asked), name="aerodb-realtime-join")
        self._joins[asked.channel] = task

    async def _join(self, asked: Subscribe) -> None:
        task = asyncio.current_task()
        try:
            await self._parts.join(self, asked)
        except FrameError as problem:
            self._refuse(problem, asked.channel, asked.ref)
        except Trouble:
            self._refuse(_UNAVAILABLE, asked.channel, asked.ref)
        except Exception:
            log.exception("a subscription failed")
            self._refuse(_BROKEN, asked.channel, asked.ref)
        finally:
            if self._joins.get(asked.channel) is task:
                del self._joins[asked.channel]

    async def unsubscribe(self, incoming: Incoming) -> None:
        """Leave a channel; nothing of it is sent after the answer."""
        channel = channel_of(incoming)
        await self._stop_joining(channel)
        self.drop(channel)
        self.say("unsubscribed", channel=channel, ref=incoming.ref)

    def drop(self, channel: str) -> None:
        """Leave a channel without a word."""
        subscription = self.channels.pop(channel, None)
        if subscription is not None:
            self._parts.leave(self, subscription)

    async def _stop_joining(self, channel: str) -> None:
        task = self._joins.pop(channel, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _leave_all(self) -> None:
        for channel in [*self._joins]:
            await self._stop_joining(channel)
        for channel in [*self.channels]:
            self.drop(channel)

    # --- the other frames --------------------------------------------------------------------

    async def heartbeat(self, incoming: Incoming) -> None:
        """Everything up to the number in the answer has been queued for this connection."""
        for subscription in self.channels.values():
            subscription.tell_losses()
        seq = min([self._parts.feed.settled, *(s.position for s in self._behind())])
        self.say("heartbeat", ref=incoming.ref, server_time=int(time.time() * 1000), seq=seq)

    def _behind(self) -> list[Subscription]:
        return [s for s in self.channels.values() if s in self._parts.feed.joining]

    async def ping(self, incoming: Incoming) -> None:
        """The heartbeat of other clients."""
        self.say("pong", ref=incoming.ref)

    async def broadcast(self, incoming: Incoming) -> None:
        """Send a message to everybody else on a channel."""
        message = read_message(incoming)
        await self._parts.broadcast(self, self._joined(message.channel), message)

    def _joined(self, channel: str) -> Subscription:
        subscription = self.channels.get(channel)
        if subscription is None:
            raise FrameError("not_subscribed", "This connection has not joined the channel.")
        return subscription


_UNAVAILABLE = FrameError("service_unavailable", "The database does not answer.", retry_after=1)
_BROKEN = FrameError("internal_error", "The server has failed.")
_ANSWERS: dict[str, Answer] = {
    "subscribe": Connection.subscribe,
    "unsubscribe": Connection.unsubscribe,
    "heartbeat": Connection.heartbeat,
    "ping": Connection.ping,
    "broadcast": Connection.broadcast,
}
