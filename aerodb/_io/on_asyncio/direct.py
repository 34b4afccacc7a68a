"""Requests over our own connections: httpcore's HTTP/1.1 on our wires, without its pool."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from time import monotonic
from typing import Any, cast

import httpcore

from aerodb._core.http import Origin, Request, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io.exchange import (
    LongBody,
    core_origin,
    core_request,
    explain,
    is_reusable,
    long_body,
    sized_body,
)
from aerodb._io.failures import client_closed
from aerodb._io.on_asyncio.dial import dial
from aerodb._io.on_asyncio.progress import Progress
from aerodb._io.on_asyncio.wire import Wire
from aerodb._io.tls import context_for


class _Unlocked:
    """Stands in for httpcore's lock, which lets the loop turn twice a request.

    It guards a connection against a second request; here one call at a time holds a connection.
    """

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *exc_info: object) -> None:
        return None


_UNLOCKED = _Unlocked()


class Connection:
    """One HTTP/1.1 connection."""

    __slots__ = ("http", "idle_since", "origin", "wire")

    def __init__(self, origin: Origin, wire: Wire) -> None:
        self.origin = origin
        self.wire = wire
        stream = cast(httpcore.AsyncNetworkStream, wire)
        self.http = httpcore.AsyncHTTP11Connection(core_origin(origin), stream)
        self.http._state_lock = cast(Any, _UNLOCKED)
        self.idle_since = 0.0

    async def past_h11(self, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Send what is read from `blocks`; give what is to be chunked first."""
        body = sized_body(self.http)
        async for block in blocks:
            if body is None:
                yield block
            else:
                await self.wire.write(body.take(block))


class DirectAnswer:
    """A response whose body is still on the wire."""

    __slots__ = ("_connection", "_pool", "_response", "chunks", "raw_headers", "status")

    def __init__(self, pool: DirectPool, connection: Connection, response: Any) -> None:
        self.status: int = response.status
        self.raw_headers: list[tuple[bytes, bytes]] = response.headers
        self._connection: Connection | None = connection
        self._pool = pool
        self._response = response
        body = long_body(connection.http)
        self.chunks: AsyncGenerator[bytes, None] = (
            response.stream.__aiter__() if body is None else _past_h11(body, connection.wire)
        )

    async def finish(self) -> None:
        """The body has been read to its end: give the connection back."""
        await self._response.stream.aclose()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give(connection)

    def abort(self) -> None:
        """Give the response up, and its connection with it. Does nothing after `finish`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.wire.abort()

    def explain(self, error: Exception) -> TransportError | None:
        """What went wrong while reading the body."""
        gone = self._connection is None or self._connection.wire.peer_gone
        return explain(error, sent=True, peer_gone=gone)


async def _past_h11(body: LongBody, wire: Wire) -> AsyncGenerator[bytes, None]:
    for data in body.buffered():
        yield data
    while body.left:
        yield body.take(await wire.read(0))
    body.finish()


class DirectPool:
    """One loop's idle connections, the last one used on top. The gate limits how many are used."""

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._idle: dict[Origin, list[Connection]] = {}
        self._open: set[Wire] = set()
        self._closed = False

    async def open(
        self, request: Request, progress: Progress, deadline: float | None
    ) -> DirectAnswer:
        """Send the request, wait for the response's head."""
        connection = self._take(request.origin)
        if connection is None:
            progress.stage = "connect"
            connection = await self._connect(request.origin)
        wire = connection.wire
        try:
            wire.begin()
            progress.stage, progress.wire = "answer", wire
            response = await connection.http.handle_async_request(
                core_request(request, connection.past_h11)
            )
            return DirectAnswer(self, connection, response)
        except BaseException as error:
            wire.abort()
            known = explain(error, sent=wire.sent, peer_gone=wire.peer_gone)
            if known is None:
                raise
            raise known from None

    def _take(self, origin: Origin) -> Connection | None:
        stack = self._idle.get(origin)
        if not stack:
            return None
        oldest = monotonic() - self._settings.keepalive_seconds
        while stack:
            connection = stack.pop()
            if connection.idle_since > oldest and connection.wire.is_quiet():
                return connection
            self._drop(connection)
        return None

    async def _connect(self, origin: Origin) -> Connection:
        self._make_room()
        context = context_for(self._settings) if origin.scheme == "https" else None
        wire = await dial(origin, context, self._settings.connect_timeout, Wire)
        if self._closed:
            wire.abort()
            raise client_closed()
        self._open = {other for other in self._open if not other.ended}
        self._open.add(wire)
        return Connection(origin, wire)

    def give(self, connection: Connection) -> None:
        """Keep a connection for the next request, if it can take one."""
        wire = connection.wire
        if self._closed or wire.cut or not wire.is_quiet() or not is_reusable(connection.http):
            self._drop(connection)
            return
        now = connection.idle_since = monotonic()
        stack = self._idle.setdefault(connection.origin, [])
        stack.append(connection)
        while stack[0].idle_since < now - self._settings.keepalive_seconds:
            self._drop(stack.pop(0))

    def _drop(self, connection: Connection) -> None:
        connection.wire.abort()
        self._open.discard(connection.wire)

    def _make_room(self) -> None:
        """Idle connections to other origins must not push the sockets over the limit."""
        excess = self.sockets + 1 - self._settings.max_connections
        for stack in self._idle.values():
            while excess > 0 and stack:
                self._drop(stack.pop(0))
                excess -= 1

    @property
    def sockets(self) -> int:
        """How many sockets are open."""
        return sum(1 for wire in list(self._open) if not wire.ended)

    def close(self) -> None:
        """Close all connections; who waits on one is told so."""
        self._closed = True
        self._idle.clear()
        for wire in self._open:
            wire.abort()
        self._open.clear()

    def abandon(self) -> list[Wire]:
        """Without the loop: close the descriptors. Returns what must not be finalized."""
        self._idle.clear()
        wires = list(self._open)
        for wire in wires:
            wire.abandon()
        return wires
