"""The opening on an asyncio transport: what comes before a connection is a WebSocket."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from aerodb._core.http import TransportError
from aerodb._core.websocket import HandshakeRefused
from aerodb._io.failures import broken
from aerodb._io.handshake import GRACE_SECONDS, Opening
from aerodb._io.tls import handshake_failed


class OpeningProtocol(asyncio.Protocol):
    """Carries the requests of an opening; `_begin` is called when the last is answered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._opening: Opening | None = None
        self._opened: asyncio.Future[None] | None = None
        self._written = 0

    def _begin(self, rest: bytes) -> None:
        """The connection is a WebSocket from here on; `rest` came with the answer."""
        raise NotImplementedError

    def _intruded(self) -> None:
        """The peer spoke before it was asked."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio's interface."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not derive from it

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of asyncio's interface."""
        self._feed_opening(b"")

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            self._written += len(data)
            transport.write(data)

    def _taken(self) -> int:
        """How much of what was written has left for the system."""
        assert self._transport is not None
        return self._written - self._transport.get_write_buffer_size()

    async def exchange(self, opening: Opening) -> None:
        """Send a request of the opening, wait for its answer."""
        if self._transport is None or self._transport.is_closing():
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
                self._intruded()
            return
        was_refused = opening.is_refused
        try:
            opening.feed(data)
        except (TransportError, HandshakeRefused) as error:  # raised by `exchange`
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
            self._begin(opening.rest)

    def _no_more_body(self, opening: Opening) -> None:
        if opening is self._opening:
            try:
                opening.finish()
            except (TransportError, HandshakeRefused) as error:  # raised by `exchange`
                self._settle_opening(error)

    def _settle_opening(self, error: Exception | None) -> None:
        opened = self._opened
        if opened is None or opened.done():
            return
        if error is None:
            opened.set_result(None)
        else:
            opened.set_exception(error)
            opened.exception()  # known, should the waiter be cancelled in this very turn
