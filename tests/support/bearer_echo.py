"""A server that answers every request with the bearer it came with, and does nothing else.

For tests that make tens of thousands of calls: a scripted server would take longer than they do.
"""

from __future__ import annotations

import asyncio
import json
from types import TracebackType
from typing import Self

from tests.support.loops import LoopThread

_NAME = b"\r\nauthorization: bearer "


class _Connection(asyncio.Protocol):
    def __init__(self, server: BearerEcho) -> None:
        self._server = server
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

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
        self._thread = LoopThread("bearer-echo")

    def __enter__(self) -> Self:
        self._thread.start()
        self._thread.do(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.stop()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=1024)
        self._thread.servers.append(server)
        self.port = server.sockets[0].getsockname()[1]
