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
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Coroutine
from typing import Any

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side

from aerodb._core.websocket import ABNORMAL, SocketClosed, SocketSettings
from aerodb._io import forks
from aerodb._io.assembly import Assembly, decoded
from aerodb._io.failures import broken
from aerodb._io.handshake import GRACE_SECONDS, Opening
from aerodb._io.on_asyncio.keepalive import Keepalive
from aerodb._io.on_asyncio.lifetime import finish, start
from aerodb._io.tls import handshake_failed

ENOUGH = 4 * 1024 * 1024
"""Reading pauses when so much waits to be received; each message counts `OVERHEAD` on top."""
OVERHEAD = 100
_TURN = 100
_LINGER_SECONDS = 1.0
_LOST = "the connection was lost"
_PARENTS = "the connection is the parent process's"

TEXT, DATA = Opcode.TEXT, (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)

# `websockets` logs headers and texts as they are (X15). It asks for the level once a connection.
_SILENT = logging.Logger("aerodb.silent", logging.CRITICAL + 1)


class Link(asyncio.Protocol):
    """One connection: first in its opening, then a WebSocket. Belongs to one loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, settings: SocketSettings
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._pid = os.getpid()
        self._transport: asyncio.Transport | None = None
        self._opening: Opening | None = None
        self._opened: asyncio.Future[None] | None = None
        self._live = False
        limit = settings.max_message_bytes
        self._protocol = Protocol(Side.CLIENT, max_size=limit, logger=_SILENT)
        self._assembly = Assembly(limit)
        self._inbox: deque[str | bytes] = deque()
        self._held = 0
        self._turn = 0
        self._reader: asyncio.Future[None] | None = None
        self._woken = False
        self.is_paused = False
        self._closing = False
        self._end: tuple[int, str] | None = None
        self._gone: asyncio.Future[None] = loop.create_future()
        self._writers: set[asyncio.Future[None]] = set()
        self._writable = True
        self._owed: bytes | None = None
        self._patience = settings.ping_interval + settings.ping_timeout
        self._keepalive = Keepalive(loop, self, settings)
        self._linger: asyncio.TimerHandle | None = None
        self._with_the_loop = _end_with_the_loop(self)
        forks.watch(self)

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio's interface."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
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
        if self._opening is not None:
            self._settle_opening(broken(sent=self._opening.reaches_server))
        self._finish(ABNORMAL, _LOST)
        if not self._gone.done():
            self._gone.set_result(None)
        self.resume_writing()
        if self._linger is not None:
            self._linger.cancel()
        finish(self._with_the_loop)

    def pause_writing(self) -> None:
        """Part of asyncio's interface."""
        self._writable = False

    def resume_writing(self) -> None:
        """Part of asyncio's interface."""
        self._writable = True
        if self._owed is not None:
            self._write(self._owed)
            self._owed = None
        for writer in self._writers:
            _settle(writer)

    # The opening

    async def exchange(self, opening: Opening) -> None:
        """Send a request of the opening, wait for its answer."""
        if self._end is not None:
            raise broken(sent=False)
        self._opening = opening
        self._opened = self._loop.create_future()
        self._write(opening.request())
        try:
            await self._opened
        finally:
            self._opening = self._opened = None

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """TLS from here on, inside a proxy's tunnel."""
        assert self._transport is not None
        try:
            transport = await self._loop.start_tls(
                self._transport, self, context, server_hostname=host
            )
        except ssl.SSLError as error:
            raise handshake_failed(host, error) from None
        except OSError:
            raise broken(sent=False) from None
        if transport is None:
            raise broken(sent=False)
        self._transport = transport

    def _feed_opening(self, data: bytes) -> None:
        opening = self._opening
        if opening is None:  # the peer spoke before it was asked
            if data:
                self._finish(ABNORMAL, "the server did not keep to the handshake")
                self.abort()
            return
        was_refused = opening.is_refused
        try:
            opening.feed(data)
        except Exception as error:  # noqa: BLE001  # raised by `exchange`
            self._settle_opening(error)
            return
        if opening.is_over:
            self._go_on(opening)
        elif opening.is_refused and not was_refused:
            self._loop.call_later(GRACE_SECONDS, self._no_more_body, opening)

    def _go_on(self, opening: Opening) -> None:
        self._opening = None
        self._settle_opening(None)
        if opening.reaches_server:
            self._live = True
            self._keepalive.start()
            if opening.rest:
                self._read(opening.rest)

    def _no_more_body(self, opening: Opening) -> None:
        if opening is self._opening:
            try:
                opening.finish()
            except Exception as error:  # noqa: BLE001  # raised by `exchange`
                self._settle_opening(error)

    def _settle_opening(self, error: Exception | None) -> None:
        opened = self._opened
        if opened is None or opened.done():
            return
        if error is None:
            opened.set_result(None)
        else:
            opened.set_exception(error)

    # Reading

    def _read(self, data: bytes) -> None:
        protocol, inbox = self._protocol, self._inbox
        protocol.receive_data(data)
        try:
            for frame in protocol.events_received():
                assert isinstance(frame, Frame)
                if frame.opcode is TEXT and frame.fin:
                    message = decoded(TEXT, frame.data)
                elif frame.opcode in DATA:
                    whole = self._assembly.add(frame.opcode, frame.fin, frame.data)
                    if whole is None:
                        continue
                    message = whole
                else:
                    continue
                inbox.append(message)
                self._held += len(message) + OVERHEAD
        except SocketClosed as error:
            protocol.fail(error.code, error.reason)
            self._finish(error.code, error.reason)
        self._answer()
        if protocol.state is not OPEN:
            self._look_for_end()
        elif self._held > ENOUGH and not self.is_paused:
            self._pause()
        if inbox and self._reader is not None:
            _settle(self._reader)

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
        if self._writable or self._protocol.state is not OPEN:
            self._write(b"".join(writes))
        else:
            self._owed = writes[-1]  # the last ping's pong will do (RFC 6455 §5.5.3)

    def _look_for_end(self) -> None:
        protocol = self._protocol
        broke_rules = protocol.parser_exc is not None
        close = protocol.close_sent if broke_rules else protocol.close_rcvd
        if close is not None:
            self._finish(int(close.code), close.reason)

    def _finish(self, code: int, reason: str) -> None:
        """No more is received. The peer has some time to end the connection; then we do."""
        if self._end is not None:
            return
        self._end = (code, reason)
        self._keepalive.stop()
        self._go_on_reading()
        self._linger = self._loop.call_later(_LINGER_SECONDS, self._abort)
        if self._reader is not None:
            _settle(self._reader)

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
        message = inbox.popleft()
        self._held -= len(message) + OVERHEAD
        if self.is_paused and self._held < ENOUGH // 2:
            self._go_on_reading()
        return message

    async def _wait(self, timeout: float | None) -> bool:
        """Wait for a message; False if there was none in time, or at `wake`."""
        self._check_process()
        if not self._woken:
            self._raise_end()
            if self._reader is not None:
                raise RuntimeError("another task is receiving from this WebSocket")
            reader = self._reader = self._loop.create_future()
            timer = None if timeout is None else self._loop.call_later(timeout, _settle, reader)
            try:
                await reader
            finally:
                self._reader = None
                if timer is not None:
                    timer.cancel()
        self._turn = 0
        if self._woken:
            self._woken = False
            return False
        if not self._inbox:
            self._raise_end()
            return False
        return True

    def _raise_end(self) -> None:
        if self._end is not None:
            raise SocketClosed(*self._end)

    def wake(self) -> None:
        """See `WebSocket.wake`."""
        self._woken = True
        if self._is_here():
            self._ring()
        elif self._is_ours():
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
                self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        if self._woken and self._reader is not None:
            _settle(self._reader)

    # Writing

    async def send(self, text: str) -> None:
        """See `WebSocket.send`."""
        if self._is_here():
            await self._send(text)
        else:
            await self._there(self._send(text))

    async def _send(self, text: str) -> None:
        self._check_process()
        self._raise_end()
        protocol = self._protocol
        if protocol.state is not OPEN:
            raise SocketClosed(ABNORMAL, "the WebSocket is being closed")
        protocol.send_text(text.encode("utf-8"))
        for data in protocol.data_to_send():
            self._write(data)
        while not self._writable and not self._gone.done():
            await self._drain()
        if self._gone.done():
            self._raise_end()

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    async def _drain(self) -> None:
        """Wait for the peer to take what was sent; not for ever."""
        writer = self._loop.create_future()
        self._writers.add(writer)
        timer = self._loop.call_later(self._patience, self.lose, "the peer takes nothing")
        try:
            await writer
        finally:
            timer.cancel()
            self._writers.discard(writer)

    def ping(self) -> None:
        """Send a ping. A peer that takes nothing is judged all the same."""
        self._protocol.send_ping(os.urandom(4))
        writes = self._protocol.data_to_send()
        if self._writable:
            self._write(b"".join(writes))

    def lose(self, reason: str) -> None:
        """The peer is gone."""
        self._finish(ABNORMAL, reason)
        self._abort()

    # The end

    @property
    def is_open(self) -> bool:
        """Whether there is a socket to let go of."""
        return self._is_ours() and not self._gone.done() and self._sock.fileno() >= 0

    async def close(self, code: int, reason: str, timeout: float) -> None:
        """See `WebSocket.close`."""
        if not self.is_open:
            return
        if self._is_here():
            await self._close(code, reason, timeout)
        else:
            with contextlib.suppress(SocketClosed):
                await self._there(self._close(code, reason, timeout))

    async def _close(self, code: int, reason: str, timeout: float) -> None:
        protocol = self._protocol
        try:
            if protocol.state is OPEN and self._end is None:
                try:
                    protocol.send_close(code, reason)
                except ProtocolError as error:
                    raise ValueError(f"not a close frame: {error}") from None
                self._closing = True
                self._write(b"".join(protocol.data_to_send()))
                self._go_on_reading()
            await asyncio.wait([self._gone], timeout=timeout)
        finally:
            self._abort()
        await asyncio.wait([self._gone], timeout=timeout)  # in the next turn of the loop

    def abort(self) -> None:
        """See `WebSocket.abort`."""
        if not self._is_ours():
            return
        if self._is_here():
            self._abort()
            return
        try:
            self._loop.call_soon_threadsafe(self._abort)
        except RuntimeError:  # the loop has ended
            self._abandon(_LOST)

    def _abort(self) -> None:
        self._finish(ABNORMAL, "the WebSocket was closed")
        if self._transport is not None:
            self._transport.abort()

    def _abandon(self, reason: str) -> None:
        """Close our copy of the descriptor without the loop, which is dead or the parent's."""
        self._end = (ABNORMAL, reason)
        self._inbox.clear()
        self._sock.close()

    # Whose it is

    def _is_here(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

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

    async def _there(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run on the link's own loop, from another one."""
        if not self._is_ours() or not self._loop.is_running():
            coroutine.close()
            self._check_process()
            raise SocketClosed(*(self._end or (ABNORMAL, "its event loop is not running")))
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        await asyncio.wrap_future(future)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _end_with_the_loop(link: Link) -> AsyncGenerator[None, None]:
    """Suspended until the loop ends, and the link with it."""
    try:
        yield
    finally:
        link.abort()
