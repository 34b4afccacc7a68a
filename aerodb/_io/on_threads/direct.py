"""Requests over our own connections: httpcore's HTTP/1.1 on our sockets, without its pool."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
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
from aerodb._io.on_threads.dial import dial
from aerodb._io.on_threads.wire import Wire
from aerodb._io.tls import context_for


class Connection:
    """One HTTP/1.1 connection."""

    __slots__ = ("http", "idle_since", "origin", "wire")

    def __init__(self, origin: Origin, wire: Wire) -> None:
        self.origin = origin
        self.wire = wire
        stream = cast(httpcore.NetworkStream, wire)
        self.http = httpcore.HTTP11Connection(core_origin(origin), stream)
        self.idle_since = 0.0

    def past_h11(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Send what is read from `blocks`; give what is to be chunked first."""
        body = sized_body(self.http)
        for block in blocks:
            if body is None:
                yield block
            else:
                self.wire.write(body.take(block))


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
        self.chunks: Iterator[bytes] = (
            iter(response.stream) if body is None else _past_h11(body, connection.wire)
        )

    @property
    def sent(self) -> bool:
        """Whether a byte of the request may have reached the peer."""
        return True

    def finish(self) -> None:
        """The body has been read to its end: give the connection back."""
        self._response.stream.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give(connection)

    def abort(self) -> None:
        """Give the response up, and its connection with it. Does nothing after `finish`.

        Another thread may be reading it: closing a descriptor wakes nobody.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            if not connection.wire.ended:  # as it is in a forked child: the parent's is not to end
                connection.wire.wake()
            connection.wire.close()

    def explain(self, error: Exception) -> TransportError | None:
        """What went wrong while reading the body."""
        gone = self._connection is None or self._connection.wire.peer_gone
        return explain(error, sent=True, peer_gone=gone)


def _past_h11(body: LongBody, wire: Wire) -> Iterator[bytes]:
    yield from body.buffered()
    while body.left:
        yield body.take(wire.read(0))
    body.finish()


class DirectPool:
    """The idle connections, the last one used on top. The gate limits how many are in use.

    All bookkeeping is single operations on lists, which are atomic, and a connection is either
    in a list or held by one call: an interrupt can lose one, and then Python closes its socket.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._idle: dict[Origin, list[Connection]] = {}
        # Not a WeakSet: copying that while another thread adds to it can fail.
        self._open: set[weakref.ref[Wire]] = set()
        self._closed = False

    def open(
        self, request: Request, deadline: float | None, idle_timeout: float | None
    ) -> DirectAnswer:
        """Send the request, wait for the response's head."""
        connection = self._take(request.origin)
        if connection is None:
            connection = self._connect(request.origin, deadline)
        wire = connection.wire
        try:
            wire.begin(deadline, idle_timeout)
            response = connection.http.handle_request(core_request(request, connection.past_h11))
            answer = DirectAnswer(self, connection, response)
        except BaseException as error:
            wire.close()
            known = explain(error, sent=wire.sent, peer_gone=wire.peer_gone)
            if known is None:
                raise
            raise known from None
        return answer

    def _take(self, origin: Origin) -> Connection | None:
        stack = self._idle.get(origin)
        if not stack:
            return None
        oldest = monotonic() - self._settings.keepalive_seconds
        while True:
            try:
                connection = stack.pop()
            except IndexError:  # another thread took the last one
                return None
            if connection.idle_since > oldest and connection.wire.is_quiet():
                return connection
            connection.wire.close()

    def _connect(self, origin: Origin, deadline: float | None) -> Connection:
        self._make_room()
        secure = origin.scheme == "https"
        settings = self._settings
        context = context_for(settings) if secure else None
        limit = monotonic() + settings.connect_timeout
        sock = dial(origin, context, limit if deadline is None else min(limit, deadline))
        wire = Wire(sock)
        self._open.add(weakref.ref(wire, self._open.discard))
        if self._closed:  # meanwhile, and close() may not have seen this one
            wire.close()
            raise client_closed()
        return Connection(origin, wire)

    def give(self, connection: Connection) -> None:
        """Keep a connection for the next request, if it can take one."""
        wire = connection.wire
        if wire.ended or wire.cut or not is_reusable(connection.http):
            wire.close()
            return
        connection.idle_since = monotonic()
        stack = self._idle.get(connection.origin)
        if stack is None:
            stack = self._idle.setdefault(connection.origin, [])
        stack.append(connection)
        if self._closed:  # meanwhile, and close() may have looked before
            self._close_idle()
        if len(stack) > 1 and stack[0].idle_since < connection.idle_since - 2.0:
            self._drop_expired(stack, connection.idle_since)

    def _drop_expired(self, stack: list[Connection], now: float) -> None:
        """Close what has lain at the bottom for too long."""
        try:
            while stack[0].idle_since < now - self._settings.keepalive_seconds:
                stack.pop(0).wire.close()
        except IndexError:
            pass  # another thread took it

    def _make_room(self) -> None:
        """Idle connections to other origins must not push the sockets over the limit."""
        if len(self._open) < self._settings.max_connections:
            return
        in_use = self.sockets
        for stack in list(self._idle.values()):
            while in_use >= self._settings.max_connections and stack:
                try:
                    stack.pop(0).wire.close()
                except IndexError:
                    break
                in_use -= 1

    @property
    def sockets(self) -> int:
        """How many sockets are open."""
        return sum(1 for wire in self._wires() if not wire.ended)

    def _wires(self) -> list[Wire]:
        return [wire for ref in list(self._open) if (wire := ref()) is not None]

    def close(self) -> None:
        """Close what is idle; wake the threads that wait on the rest."""
        self._closed = True
        self._close_idle()
        for wire in self._wires():
            if not wire.ended:
                wire.wake()

    def _close_idle(self) -> None:
        for stack in list(self._idle.values()):
            while stack:
                try:
                    stack.pop().wire.close()
                except IndexError:
                    break

    def abandon(self) -> None:
        """In a forked child: close our copies of the descriptors, and nothing more."""
        for wire in self._wires():
            wire.close()
        self._idle = {}
