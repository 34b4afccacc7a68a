"""A server that answers every request with the bearer it came with, and does nothing else.

For tests that make tens of thousands of calls: a scripted server would take longer than they do.
"""

from __future__ import annotations

import asyncio
import json
import threading
from types import TracebackType
from typing import Self

_NAME = b"\r\nauthorization: bearer "


class _Connection(asyncio.Protocol):
    def __init__(self, server: BearerEcho) -> None:
        self._server = server
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:  # requests without a body
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            self._server.requests += 1
            at = head.lower().find(_NAME)
            bearer = head[at + len(_NAME) :].split(b"\r\n", 1)[0].decode() if at >= 0 else None
            body = json.dumps([{"bearer": bearer}]).encode()
            start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
            self._transport.write(start + str(len(body)).encode() + b"\r\n\r\n" + body)


class BearerEcho:
    """The server; a context manager. It runs on a thread of its own.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        requests: How many it has answered.
    """

    port: int

    def __init__(self) -> None:
        self.requests = 0
        self.open: set[asyncio.Transport] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="bearer-echo", daemon=True)
        self._listening = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(30)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def _run(self) -> None:
        loop = self._loop
        server = loop.run_until_complete(
            loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024)
        )
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        loop.run_forever()
        server.close()
        for transport in self.open:
            transport.abort()
        loop.run_until_complete(asyncio.sleep(0))  # they are closed by callbacks
        loop.close()
