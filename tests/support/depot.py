"""A server that throws uploads away and makes downloads up, and holds neither: for memory tests."""

from __future__ import annotations

import hashlib
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

BLOCK = 1024 * 1024


@cache
def digest_of(size: int) -> str:
    """The SHA-256 of so many zeros."""
    found = hashlib.sha256()
    for _ in range(size // BLOCK):
        found.update(bytes(BLOCK))
    found.update(bytes(size % BLOCK))
    return found.hexdigest()


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while head := self._head():
            size = re.search(rb"^GET \S*/f-([0-9]+)", head)
            if size is not None:
                self._give(int(size[1]))
                continue
            length = re.search(rb"(?i)\r\ncontent-length: ([0-9]+)", head)
            self._drop(None if length is None else int(length[1]))
            body = b'{"path":"f"}'
            start = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
            self.wfile.write(start + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def _head(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return b""
            head += line
        return head

    def _give(self, size: int) -> None:
        head = 'HTTP/1.1 200 OK\r\nETag: "v"\r\nX-Checksum-SHA256: {}\r\nContent-Length: {}\r\n\r\n'
        self.wfile.write(head.format(digest_of(size), size).encode())
        for start in range(0, size, BLOCK):
            self.wfile.write(bytes(min(BLOCK, size - start)))

    def _drop(self, length: int | None) -> None:
        if length is None:  # chunked
            while size := int(self.rfile.readline(), 16):
                self._drop(size + 2)
            self.rfile.readline()
            return
        while length:
            length -= len(self.rfile.read(min(BLOCK, length)))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def depot() -> Iterator[int]:
    """Run one; gives its port. GET .../f-N answers N bytes."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
