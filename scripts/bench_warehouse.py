"""The server of `bench_storage.py`, in a process of its own.

It throws uploads away, and makes downloads up. Of what is in the bucket `told` it says the SHA-256.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import re
from contextlib import AbstractContextManager

from bench_server import serving

MIB = 1024 * 1024


@functools.cache
def _sha256_line(size: int) -> bytes:
    digest, block = hashlib.sha256(), bytes(MIB)
    for _ in range(size // MIB):
        digest.update(block)
    return b"X-Checksum-SHA256: %s\r\n" % digest.hexdigest().encode()


class _Warehouse(asyncio.BufferedProtocol):
    """Reads requests to their end; a GET gets so many bytes, anything else a stored object."""

    def __init__(self) -> None:
        self.buffer = bytearray(MIB)
        self.head = b""
        self.left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=4 * MIB)
        self.transport = transport
        self.writable = asyncio.Event()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.left:
            self.left -= nbytes
            if self.left <= 0:
                self._stored()
            return
        self.head += self.buffer[:nbytes]
        if b"\r\n\r\n" not in self.head:
            return
        head, _, rest = self.head.partition(b"\r\n\r\n")
        self.head = b""
        if head.startswith(b"GET"):
            asked = re.search(rb"/(b|told)/f-([0-9]+)", head)
            assert asked is not None
            size = int(asked[2])
            line = _sha256_line(size) if asked[1] == b"told" else b""
            self.task = asyncio.ensure_future(self._send(size, line))
            return
        length = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", head)
        self.left = (int(length[1]) if length else 0) - len(rest)
        if self.left <= 0:
            self._stored()

    def _stored(self) -> None:
        self.left = 0
        body = b'{"id":"x","name":"f","path":"f"}'
        head = (
            b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        )
        self.transport.write(head % len(body) + body)

    async def _send(self, size: int, line: bytes) -> None:
        head = b'HTTP/1.1 200 OK\r\nETag: "abc"\r\n%sContent-Length: %d\r\n\r\n'
        self.transport.write(head % (line, size))
        block = memoryview(bytes(MIB))
        while size > 0 and not self.transport.is_closing():
            await self.writable.wait()
            self.transport.write(block[: min(size, MIB)])
            size -= MIB


def warehouse() -> AbstractContextManager[int]:
    """The server in another process; gives its port."""
    return serving(_Warehouse)
