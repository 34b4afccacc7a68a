"""A socket as httpcore sees it, over an asyncio transport.

The transport stays registered with the loop for as long as the connection lives, so the end of
an idle connection is known the moment it happens, and reading costs no system call but `recv`.
There is no timer in here: one timer per call, further up, covers all it does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, cast

import httpcore

from aerodb._io.failures import broken

_HOLD = 64 * 1024
_PART = 256 * 1024
_ENOUGH = 1024 * 1024


class Wire(asyncio.Protocol):
    """One connected socket.

    Small writes are held until the first read, so that head and body leave in one packet.
    `moved` counts the bytes that have gone to the peer or come from it.
    `sent` is True from the moment when a byte of the current request may have left. `ended` says
    that the connection is of no more use, `peer_gone` that this was not our doing. `cut` says that
    a request was answered before all of it had left: what came next would be read as its rest.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self.sock = sock
        self.sent = False
        self.ended = False
        self.peer_gone = False
        self.cut = False
        self._secure = False
        self._transport: asyncio.Transport | None = None
        self._inbox: list[bytes] = []
        self._inbox_size = 0
        self._counted = 0
        self._outbox: list[bytes | memoryview] = []
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._writable = True
        self._reading = True

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio's interface."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not derive from it
        self._secure = transport.get_extra_info("ssl_object") is not None

    def data_received(self, data: bytes) -> None:
        """Part of asyncio's interface."""
        self._inbox.append(data)
        self._inbox_size += len(data)
        self._counted += len(data)
        if self._inbox_size > _ENOUGH and self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Part of asyncio's interface. The transport then closes itself."""
        self.ended = self.peer_gone = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio's interface. Also called after our own `abort`."""
        if exc is not None:
            self._salvage()
        self._transport = None  # aborting one that has sent its last bytes and gone is an error
        if not self.ended:
            self.ended = self.peer_gone = True
        self._wake()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Part of asyncio's interface."""
        self._writable = False

    def resume_writing(self) -> None:
        """Part of asyncio's interface."""
        self._writable = True
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    # What httpcore calls

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Send what is held, then wait for bytes; b"" means that the peer is done."""
        if self._outbox:
            await self._flush()
        if not self._inbox and not self.ended:
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        if not self._inbox:
            self._salvage()
        return self._take()

    def _salvage(self) -> None:
        """Read what came before the peer broke the connection: its answer, perhaps (413, 401).

        asyncio does not look once it could not send. What is left of TLS is of no use.
        """
        if self._transport is None or self._secure:
            return
        with contextlib.suppress(OSError):
            while self._inbox_size < _ENOUGH and (data := self.sock.recv(_PART)):
                self._inbox.append(data)
                self._inbox_size += len(data)

    def _take(self) -> bytes:
        inbox = self._inbox
        if not inbox:
            return b""
        data = inbox.pop() if len(inbox) == 1 else self._take_some()
        self._inbox_size -= len(data)
        if not self._reading and not inbox and not self.ended and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()
        return data

    def _take_some(self) -> bytes:
        """Small pieces together, a large one as it is: joining all would hold them twice."""
        inbox = self._inbox
        count = size = 0
        while count < len(inbox) and (count == 0 or size + len(inbox[count]) <= _PART):
            size += len(inbox[count])
            count += 1
        taken = inbox[:count]
        del inbox[:count]
        return taken[0] if count == 1 else b"".join(taken)

    async def write(self, buffer: bytes | memoryview, timeout: float | None = None) -> None:
        """Take bytes to send; at the latest, the next read sends them."""
        if buffer:
            if self.sent and self._is_answered():
                self.cut = True
                raise httpcore.WriteError  # no use in sending the rest; httpcore reads the answer
            self._outbox.append(buffer)
            if len(buffer) > _HOLD:
                await self._flush()

    def _is_answered(self) -> bool:
        """Whether the peer has had enough before it got all (413, 401), or is gone."""
        return self.ended or (bool(self._inbox) and not self._inbox[-1].startswith(b"HTTP/1.1 1"))

    async def _flush(self) -> None:
        """Send. A peer that stops reading may have answered already (413): so only the read
        that follows says that the connection is gone, unless nothing was sent at all."""
        held, self._outbox = self._outbox, []
        if len(held) > 1 and sum(map(len, held)) <= _HOLD:
            held = [b"".join(held)]
        held.reverse()
        while held:  # no frame that waits holds the head: it has the key in it (reliability S1)
            buffer = held.pop()
            if len(buffer) <= _PART:
                self._send(buffer)
                if not self._writable:
                    await self._drain()
                continue
            view = memoryview(buffer)
            for start in range(0, len(view), _PART):
                self._send(view[start : start + _PART])
                if not self._writable:
                    await self._drain()

    def _send(self, data: bytes | memoryview) -> None:
        transport = self._transport
        if transport is None or self.ended or transport.is_closing():
            self.ended = self.peer_gone = True
            if not self.sent:
                raise broken(sent=False)
            return
        first = not self.sent
        self.sent = True
        self._counted += len(data)
        transport.write(data)
        # A plain socket that refuses its first bytes closes the transport at once.
        if first and not self._secure and transport.is_closing():
            self.sent = False
            self.ended = True
            raise broken(sent=False)

    async def _drain(self) -> None:
        if not self.ended:
            self._writer = self._loop.create_future()
            try:
                await self._writer
            finally:
                self._writer = None

    async def aclose(self) -> None:
        """Let go of the socket."""
        self.abort()

    def get_extra_info(self, info: str) -> Any:
        """Part of httpcore's interface; nothing here is asked for."""
        return None

    # What we call

    def begin(self) -> None:
        """Start a request."""
        self.sent = False

    @property
    def moved(self) -> int:
        """How many bytes have passed the socket, either way; those that wait in here have not."""
        waiting = 0 if self._transport is None else self._transport.get_write_buffer_size()
        return self._counted - waiting

    def is_quiet(self) -> bool:
        """Whether an idle connection can be used: the peer is there and has said nothing."""
        return not (self.ended or self._inbox) and not (
            self._transport is None or self._transport.is_closing()
        )

    def abort(self) -> None:
        """Let go of the socket at once. On the loop's own thread."""
        self.ended = True
        if self._transport is not None:
            self._transport.abort()

    def abandon(self) -> None:
        """Close our copy of the descriptor without the loop, which is dead or the parent's."""
        self.ended = True
        self.sock.close()
