"""A WebSocket over an asyncio transport: `websockets`' protocol without its connection.

That library's parser and serializer know nothing of I/O. What it builds around them costs as much
again per message, and pauses reading at 16 messages, which made its own keepalive kill links whose
consumer was slow (reliability X17).
Loaded when the first WebSocket is connected, because it needs asyncio, ssl and websockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Sequence

from websockets.exceptions import ProtocolError
from websockets.protocol import OPEN, Protocol, Side

from aerodb._core.websocket import ABNORMAL, SocketClosed, SocketSettings
from aerodb._io import forks
from aerodb._io.on_asyncio.elsewhere import is_here, run_there
from aerodb._io.on_asyncio.intake import Intake
from aerodb._io.on_asyncio.keepalive import Keepalive
from aerodb._io.on_asyncio.lifetime import ends_with_the_loop, finish, start
from aerodb._io.on_asyncio.opening import OpeningProtocol
from aerodb._io.on_asyncio.primitives import strike

ENOUGH = 4 * 1024 * 1024
"""Reading pauses when so much waits to be received."""
_TURN = 100
_LINGER_SECONDS = 1.0
_LOST = "the connection was lost"
_PARENTS = "the connection is the parent process's"

# `websockets` logs headers and texts as they are (X15). It asks for the level once a connection.
_SILENT = logging.Logger("aerodb.silent", logging.CRITICAL + 1)


class Link(OpeningProtocol):
    """One connection: first in its opening, then a WebSocket. Belongs to one loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, settings: SocketSettings
    ) -> None:
        super().__init__(loop)
        self._sock = sock
        self._pid = os.getpid()
        self._live = False
        limit = settings.max_message_bytes
        self._protocol = Protocol(Side.CLIENT, max_size=limit, logger=_SILENT)
        self._intake = Intake(self._protocol, limit)
        self._inbox = self._intake.inbox
        self._turn = 0
        self._reader: asyncio.Future[None] | None = None
        self._until: float | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._woken = False
        self.is_paused = self._closing = False
        self._end: tuple[int, str] | None = None
        self._gone: asyncio.Future[None] = loop.create_future()
        self._flow = asyncio.Event()
        self._flow.set()
        self._owed: bytes | None = None
        self._patience = settings.ping_interval + settings.ping_timeout
        self._keepalive = Keepalive(loop, self, settings)
        self._linger: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._with_the_loop = ends_with_the_loop(self)
        forks.watch(self)

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio's interface."""
        super().connection_made(transport)
        start(self._with_the_loop)

    def data_received(self, data: bytes) -> None:
        """Part of asyncio's interface."""
        if not self._live:
            self._feed_opening(data)
        elif self._closing or self._end is not None:
            self._discard(data)
        else:
            self._keepalive.heard = True
            self._read(data)

    def eof_received(self) -> None:
        """Part of asyncio's interface. The transport then closes itself."""
        if not self._live:
            self._feed_opening(b"")
        elif self._end is None:
            self._finish(ABNORMAL, _LOST)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio's interface. Also called after our own `abort`."""
        super().connection_lost(exc)
        self._finish(ABNORMAL, _LOST)
        if not self._gone.done():
            self._gone.set_result(None)
        self.resume_writing()
        for timer in (self._linger, self._alarm):
            if timer is not None:
                timer.cancel()
        finish(self._with_the_loop)

    def pause_writing(self) -> None:
        """Part of asyncio's interface."""
        self._flow.clear()
        self._watch(self._taken())

    def resume_writing(self) -> None:
        """Part of asyncio's interface."""
        self._flow.set()
        if self._stall is not None:
            self._stall.cancel()
        if self._owed is not None:
            self._write(self._owed)
            self._owed = None

    # Reading

    def _begin(self, rest: bytes) -> None:
        self._live = True
        self._keepalive.start()
        if rest:
            self._read(rest)

    def _intruded(self) -> None:
        self.lose("the server did not keep to the handshake")

    def _read(self, data: bytes) -> None:
        protocol, intake = self._protocol, self._intake
        try:
            intake.feed(data)
        except SocketClosed as error:
            protocol.fail(error.code, error.reason)
            self._finish(error.code, error.reason)
        self._answer()
        if protocol.state is not OPEN:
            self._look_for_end()
        elif intake.held > ENOUGH and not self.is_paused:
            self._pause()
        if intake.inbox and self._reader is not None:
            strike(self._reader)

    def _discard(self, data: bytes) -> None:
        """After our close frame only the peer's counts."""
        self._protocol.receive_data(data)
        self._protocol.events_received()
        self._answer()
        self._look_for_end()

    def _answer(self) -> None:
        """Send pongs, and what the protocol says to a peer that closes or breaks the rules."""
        writes = self._protocol.data_to_send()
        if not writes:
            return
        if self._flow.is_set() or self._protocol.state is not OPEN:
            self._write(b"".join(writes))
        else:
            self._owed = writes[-1]  # the last ping's pong will do (RFC 6455 §5.5.3)

    def _look_for_end(self) -> None:
        protocol = self._protocol
        broke_rules = protocol.parser_exc is not None
        close = protocol.close_sent if broke_rules else protocol.close_rcvd
        if close is not None:
            self._finish(int(close.code), close.reason)
            if not broke_rules and self._transport is not None:
                self._transport.close()  # all is said, by both sides

    def _finish(self, code: int, reason: str) -> None:
        """No more is received. The peer has some time to end the connection; then we do."""
        if self._end is not None:
            return
        self._end = (code, reason)
        self._keepalive.stop()
        self._go_on_reading()
        self._linger = self._loop.call_later(_LINGER_SECONDS, self._abort)
        if self._reader is not None:
            strike(self._reader)

    def _pause(self) -> None:
        assert self._transport is not None
        self.is_paused = True
        self._transport.pause_reading()

    def _go_on_reading(self) -> None:
        if self.is_paused and self._transport is not None:
            self.is_paused = False
            self._keepalive.heard = True
            self._transport.resume_reading()

    async def receive(self, timeout: float | None) -> str | bytes | None:
        """See `WebSocket.receive`."""
        inbox = self._inbox
        if self._woken or not inbox:
            if not await self._wait(timeout):
                return None
        elif self._turn == _TURN:
            self._turn = 0
            await asyncio.sleep(0)  # others have their turn too, however much there is to read
        self._turn += 1
        message = self._intake.take()
        if self.is_paused and self._intake.held < ENOUGH // 2:
            self._go_on_reading()
        return message

    @property
    def has_more(self) -> bool:
        """See `WebSocket.has_more`."""
        return bool(self._inbox) and self._turn != _TURN and not self._woken

    async def _wait(self, timeout: float | None) -> bool:
        """Wait for a message; False if there was none in time, or at `wake`."""
        self._check_process()
        if not self._woken:
            self._raise_end()
            if self._reader is not None:
                raise RuntimeError("another task is receiving from this WebSocket")
            reader = self._reader = self._loop.create_future()
            self._set_alarm(timeout)
            try:
                await reader
            finally:
                self._reader = None
        self._turn = 0
        if self._woken:
            self._woken = False
            return False
        if not self._inbox:
            self._raise_end()
            return False
        return True

    def _set_alarm(self, timeout: float | None) -> None:
        """One timer serves many waits: nearly all of them end long before it would ring."""
        self._until = None if timeout is None else self._loop.time() + timeout
        alarm = self._alarm
        if self._until is not None and (alarm is None or alarm.when() > self._until):
            if alarm is not None:
                alarm.cancel()
            self._alarm = self._loop.call_at(self._until, self._rings)

    def _rings(self) -> None:
        self._alarm = None
        if self._reader is None or self._until is None:
            return
        left = self._until - self._loop.time()
        if left <= 0:
            strike(self._reader)
        else:
            self._alarm = self._loop.call_later(left, self._rings)

    def _raise_end(self) -> None:
        if self._end is not None:
            raise SocketClosed(*self._end)

    def wake(self) -> None:
        """See `WebSocket.wake`."""
        self._woken = True
        if is_here(self._loop):
            self._ring()
        elif self._is_ours():
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
                self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        if self._woken and self._reader is not None:
            strike(self._reader)

    # Writing

    async def send(self, text: str) -> None:
        """See `WebSocket.send`."""
        if is_here(self._loop):
            await self._send(text)
            return
        self._check_process()
        self._raise_end()
        if not await run_there(self._loop, self._send(text)):
            raise SocketClosed(ABNORMAL, "its event loop runs no more")

    async def _send(self, text: str) -> None:
        self._check_process()
        self._raise_end()
        protocol = self._protocol
        if protocol.state is not OPEN:
            raise SocketClosed(ABNORMAL, "the WebSocket is being closed")
        protocol.send_text(text.encode("utf-8"))
        for data in protocol.data_to_send():
            self._write(data)
        while not self._flow.is_set():
            await self._flow.wait()
        if self._gone.done():
            self._raise_end()

    def _watch(self, taken: int) -> None:
        """While something waits to be sent: the peer must take some of it, every now and then."""
        self._stall = self._loop.call_later(self._patience, self._judge, taken)

    def _judge(self, before: int) -> None:
        taken = self._taken()
        if taken == before:
            self.lose("the peer takes nothing")
        else:
            self._watch(taken)

    def ping(self) -> None:
        """Send a ping. A peer that takes nothing is judged all the same."""
        self._protocol.send_ping(os.urandom(4))
        writes = self._protocol.data_to_send()
        if self._flow.is_set():
            self._write(b"".join(writes))

    def lose(self, reason: str) -> None:
        """The peer is gone."""
        self._finish(ABNORMAL, reason)
        self._abort()

    # The end

    @property
    def is_forgotten(self) -> bool:
        """Whether neither side has ended the connection."""
        return self.is_open and self._end is None

    @property
    def is_open(self) -> bool:
        """Whether there is a socket to let go of."""
        return self._is_ours() and not self._gone.done() and self._sock.fileno() >= 0

    async def close(self, code: int, reason: str, timeout: float, last: Sequence[str]) -> None:
        """See `WebSocket.close`."""
        if not self.is_open:
            return
        if is_here(self._loop):
            await self._close(code, reason, timeout, last)
        elif not await run_there(self._loop, self._close(code, reason, timeout, last)):
            self.abort()

    async def _close(self, code: int, reason: str, timeout: float, last: Sequence[str]) -> None:
        protocol = self._protocol
        if protocol.state is OPEN and self._end is None:
            for text in last:
                protocol.send_text(text.encode("utf-8"))
            try:
                protocol.send_close(code, reason)
            except ProtocolError as error:
                raise ValueError(f"not a close frame: {error}") from None
            self._closing = True
            self._write(b"".join(protocol.data_to_send()))
            self._go_on_reading()
        try:
            await asyncio.wait([self._gone], timeout=timeout)
        finally:
            self._abort()
        await asyncio.wait([self._gone], timeout=_LINGER_SECONDS)  # it takes a turn of the loop

    def abort(self) -> None:
        """See `WebSocket.abort`."""
        if not self._is_ours():
            return
        if is_here(self._loop):
            self._abort()
            return
        try:
            self._loop.call_soon_threadsafe(self._abort)
        except RuntimeError:  # the loop has ended
            self._abandon(_LOST)

    def _abort(self) -> None:
        self._finish(ABNORMAL, "the WebSocket was closed")
        if self._transport is not None and not self._gone.done():  # an error once it has gone
            self._transport.abort()

    def _abandon(self, reason: str) -> None:
        """Close our copy of the descriptor without the loop, which is dead or the parent's."""
        self._end = (ABNORMAL, reason)
        self._inbox.clear()
        self._sock.close()

    # Whose it is

    def _is_ours(self) -> bool:
        return os.getpid() == self._pid

    def _check_process(self) -> None:
        """For forks that do not pass through Python."""
        if not self._is_ours() and self._sock.fileno() >= 0:
            self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """In a child: let go of what is the parent's, without a byte (reliability C2)."""
        forks.graveyard.append((self, self._transport))
        self._abandon(_PARENTS)
