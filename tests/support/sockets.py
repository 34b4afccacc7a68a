"""WebSocket servers for tests of both colours: a real one, and one that is scripted byte by byte.

The real one is the `websockets` library on threads. A path says what it does:

- `/echo` sends back what comes; a text that begins with `!` is a command:
  `!close 4008 too slow`, `!binary 3`, `!burst 100`, `!count`, `!sleep 0.5`
- `/flood` sends numbered texts of 1 KB for as long as it can

The scripted one is `ScriptedServer` with the steps that are made here.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from tests.support.scripted import Hangup, Seen, Step, head, send

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SILENT = logging.Logger("tests.silent", logging.CRITICAL + 1)


class SocketServer:
    """The real server; a context manager. `ended` holds how connections ended: code and reason."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, **options: Any) -> None:
        self.received: list[str | bytes] = []
        self.headers: list[dict[str, str]] = []
        self.ended: list[tuple[int | None, str | None]] = []
        options = {"ping_interval": None, "max_size": None, "close_timeout": 5.0, **options}
        self._server: Server = serve(
            self._handle, "127.0.0.1", 0, ssl=tls, logger=_SILENT, compression="deflate", **options
        )
        self.port: int = self._server.socket.getsockname()[1]
        self._scheme = "ws" if tls is None else "wss"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._open: set[ServerConnection] = set()

    def url(self, path: str = "/echo", *, host: str = "127.0.0.1", port: int | None = None) -> str:
        return f"{self._scheme}://{host}:{self.port if port is None else port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    @property
    def now_open(self) -> int:
        return len(self._open)

    def _handle(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self._open.add(connection)
        self.headers.append({k.lower(): v for k, v in connection.request.headers.raw_items()})
        try:
            if connection.request.path == "/flood":
                self._flood(connection)
            else:
                self._echo(connection)
        except ConnectionClosed:
            pass
        finally:
            with contextlib.suppress(ConnectionClosed):
                connection.recv(timeout=5)  # reads the end, if there is one to be read
            self.ended.append((connection.close_code, connection.close_reason))
            self._open.discard(connection)

    def _flood(self, connection: ServerConnection) -> None:
        number = 0
        while True:
            connection.send(f"{number:08d}".ljust(1024, "."))
            number += 1

    def _echo(self, connection: ServerConnection) -> None:
        for message in connection:
            self.received.append(message)
            if isinstance(message, str) and message.startswith("!"):
                self._obey(connection, *message[1:].split(" ", 2))
            else:
                connection.send(message)

    def _obey(self, connection: ServerConnection, order: str, *values: str) -> None:
        if order == "close":
            connection.close(int(values[0]), values[1] if len(values) > 1 else "")
        elif order == "binary":
            connection.send(bytes(range(int(values[0]))))
        elif order == "burst":
            for number in range(int(values[0])):
                connection.send(str(number))
        elif order == "sleep":
            time.sleep(float(values[0]))
        elif order == "count":
            connection.send(str(len(self.received)))


# The scripted server


def accept_key(seen: Seen) -> str:
    """What `Sec-WebSocket-Accept` must be for this request (RFC 6455 §4.2.2)."""
    key = seen.header("sec-websocket-key") or ""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()


def upgrade(behind: bytes = b"", extra: Sequence[tuple[str, str]] = ()) -> Step:
    """Accept the handshake; `behind` follows in the same packet."""

    def step(sock: socket.socket, seen: Seen) -> None:
        headers = [
            ("Upgrade", "WebSocket"),
            ("Connection", "keep-alive, Upgrade"),
            ("Sec-WebSocket-Accept", accept_key(seen)),
            *extra,
        ]
        sock.sendall(head(101, headers) + behind)

    return step


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = False
) -> bytes:
    """One frame, right or wrong."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    mask = 0x80 if masked else 0
    if len(payload) < 126:
        start = struct.pack("!BB", first, mask | len(payload))
    elif len(payload) < 65536:
        start = struct.pack("!BBH", first, mask | 126, len(payload))
    else:
        start = struct.pack("!BBQ", first, mask | 127, len(payload))
    return start + (bytes(4) if masked else b"") + payload


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


def read_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise OSError("the peer is gone")
        data += piece
    return data


def read_frame(sock: socket.socket) -> tuple[int, bytes]:
    """One frame of the client: its opcode and what it holds, unmasked."""
    first, second = read_exactly(sock, 2)
    assert second & 0x80, "a client masks its frames"
    size = second & 0x7F
    if size == 126:
        (size,) = struct.unpack("!H", read_exactly(sock, 2))
    elif size == 127:
        (size,) = struct.unpack("!Q", read_exactly(sock, 8))
    mask = read_exactly(sock, 4)
    data = read_exactly(sock, size)
    key = (mask * (size // 4 + 1))[:size]
    plain = int.from_bytes(data, "big") ^ int.from_bytes(key, "big")
    return first & 0x0F, plain.to_bytes(size, "big")


class Ears:
    """Keeps the frames that a client sends; `listen(n)` is a step that waits for n of them."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self.over = threading.Event()

    def listen(self, count: int) -> Step:
        def step(sock: socket.socket, seen: Seen) -> None:
            for _ in range(count):
                self.frames.append(read_frame(sock))

        return step

    def until_close(self, *, hang_up: bool = True) -> Step:
        """Listen until the client closes, and say so; then hang up, or do nothing at all."""

        def step(sock: socket.socket, seen: Seen) -> None:
            with contextlib.suppress(OSError):
                while not self.frames or self.frames[-1][0] != CLOSE:
                    self.frames.append(read_frame(sock))
            self.over.set()
            if hang_up:
                raise Hangup

        return step

    @property
    def close_code(self) -> int:
        opcode, payload = self.frames[-1]
        assert opcode == CLOSE, self.frames[-3:]
        return int.from_bytes(payload[:2], "big")


def answer_pings() -> Step:
    """Answer pings until the client closes."""

    def step(sock: socket.socket, seen: Seen) -> None:
        with contextlib.suppress(OSError):
            while True:
                opcode, payload = read_frame(sock)
                if opcode == PING:
                    sock.sendall(frame(PONG, payload))
                elif opcode == CLOSE:
                    sock.sendall(frame(CLOSE, payload))
                    return

    return step


def tunnel(port: int) -> Step:
    """A proxy's answer to CONNECT: carry bytes to that port until either side ends."""

    def step(sock: socket.socket, seen: Seen) -> None:
        sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port)) as target:
            back = threading.Thread(target=_carry, args=(target, sock), daemon=True)
            back.start()
            _carry(sock, target)
            back.join(10)

    return step


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def dribble(data: bytes, every: int = 1) -> Step:
    """Send in pieces of so many bytes, each a packet of its own."""

    def step(sock: socket.socket, seen: Seen) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), every):
            sock.sendall(data[start : start + every])

    return step


def open_descriptors() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


__all__ = [
    "BINARY", "CLOSE", "CONT", "PING", "PONG", "TEXT", "Ears", "SocketServer", "accept_key",
    "answer_pings", "close_frame", "dribble", "frame", "open_descriptors", "read_frame", "send",
    "tunnel", "upgrade",
]  # fmt: skip
