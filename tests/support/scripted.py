"""A real HTTP/1.1 server that does what a test tells it to, byte by byte.

A test gives each path a list of answers, and each answer is a list of steps: the first request
for the path gets the first answer, and so on; the last one is repeated. Requests for other paths
are echoed. What arrived is kept: every request with its bytes and the number of its connection.
With `early` set, every request gets that answer before its body has come.

It runs on threads of its own, so tests of both colours use it in the same way.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aerodb._core.http import Origin

RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    connection: int
    raw: bytes
    body: bytes

    @property
    def line(self) -> str:
        """Method, target and version."""
        return self.raw.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names in lower case."""
        found: list[tuple[str, str]] = []
        for line in self.raw.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            found.append((name.lower(), value.strip()))
        return found

    def header(self, name: str) -> str | None:
        """The first header of this name, given in lower case."""
        return next((value for key, value in self.headers if key == name), None)


class Hangup(Exception):
    """Ends the connection; raised by steps."""


Step = Callable[[socket.socket, Seen], None]
Steps = Sequence[Step]


def send(data: bytes) -> Step:
    """Send these bytes."""
    return lambda sock, seen: sock.sendall(data)


def wait(seconds: float) -> Step:
    """Do nothing for a while."""
    return lambda sock, seen: time.sleep(seconds)


def hold(event: threading.Event) -> Step:
    """Do nothing until the test says so."""

    def step(sock: socket.socket, seen: Seen) -> None:
        event.wait(30)

    return step


def trickle(data: bytes, every: float) -> Step:
    """Send one byte at a time."""

    def step(sock: socket.socket, seen: Seen) -> None:
        for index in range(len(data)):
            sock.sendall(data[index : index + 1])
            time.sleep(every)

    return step


def close() -> Step:
    """Close the connection in order (FIN)."""

    def step(sock: socket.socket, seen: Seen) -> None:
        raise Hangup

    return step


def reset() -> Step:
    """Break the connection (RST)."""

    def step(sock: socket.socket, seen: Seen) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        raise Hangup

    return step


def half_close() -> Step:
    """Send no more, but go on reading."""
    return lambda sock, seen: sock.shutdown(socket.SHUT_WR)


def head(status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """A response's head, as given."""
    lines = [f"HTTP/1.1 {status} Said So", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def answer(
    status: int = 200, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()
) -> list[Step]:
    """A whole, correct response."""
    return [send(head(status, [*headers, ("Content-Length", str(len(body)))]) + body)]


def chunked(
    pieces: Iterable[bytes], headers: Iterable[tuple[str, str]] = (), *, complete: bool = True
) -> list[Step]:
    """A chunked response; without `complete` it has no end."""
    parts = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]
    end = b"0\r\n\r\n" if complete else b""
    start = head(200, [*headers, ("Transfer-Encoding", "chunked")])
    return [send(start + b"".join(parts) + end)]


def echo(sock: socket.socket, seen: Seen) -> None:
    """Answer with the request's target, a line break, and its body."""
    body = seen.target.encode() + b"\n" + seen.body
    sock.sendall(head(200, [("Content-Length", str(len(body)))]) + body)


class ScriptedServer:
    """The server; a context manager. `tls` makes it speak TLS."""

    def __init__(
        self,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        idle_seconds: float | None = None,
    ) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.most_at_once = 0
        self.early: Steps | None = None
        self._tls = tls
        self._idle = idle_seconds
        self._answers: dict[str, deque[Steps]] = {}
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._serial = itertools.count(1)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((address, port))
        self._listener.listen(1024)
        self.port: int = self._listener.getsockname()[1]
        self.origin = Origin("http" if tls is None else "https", address, self.port)
        self._thread = threading.Thread(target=self._accept, name="scripted-server", daemon=True)

    def on(self, path: str, *answers: Steps) -> None:
        """Say what requests for `path` (without query) get, one after another."""
        self._answers[path] = deque(answers)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening and hang up on everybody."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        if self._thread.is_alive():
            self._thread.join(5)

    def hang_up(self) -> None:
        """Close all connections (FIN)."""
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    @property
    def now_open(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._open.add(sock)
                self.most_at_once = max(self.most_at_once, len(self._open))
            name = f"scripted-{self.connections}"
            threading.Thread(target=self._serve, args=(sock,), name=name, daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        number = next(self._serial)
        sock = raw
        try:
            if self._tls is not None:
                raw.settimeout(10)
                sock = self._tls.wrap_socket(raw, server_side=True)
                with self._lock:
                    self._open.discard(raw)
                    self._open.add(sock)
            self._converse(sock, number)
        except (OSError, Hangup):
            pass
        finally:
            with self._lock:
                self._open.discard(raw)
                self._open.discard(sock)
            sock.close()

    def _converse(self, sock: socket.socket, number: int) -> None:
        buffer = b""
        while True:
            sock.settimeout(self._idle)
            if self.early is not None:
                _answer_early(sock, number, self.early)
                return
            buffer, seen = _read_request(sock, buffer, number)
            if seen is None:
                return
            self.seen.append(seen)
            sock.settimeout(30)
            for step in self._steps_for(seen.target.partition("?")[0]):
                step(sock, seen)

    def _steps_for(self, path: str) -> Steps:
        with self._lock:
            answers = self._answers.get(path)
            if not answers:
                return [echo]
            return answers.popleft() if len(answers) > 1 else answers[0]


def _answer_early(sock: socket.socket, number: int, steps: Steps) -> None:
    """Answer at the first bytes of a request, then read on for as long as something comes."""
    seen = Seen(number, sock.recv(65536), b"")
    for step in steps:
        step(sock, seen)
    sock.settimeout(5)
    while sock.recv(65536):
        pass


def _read_request(sock: socket.socket, buffer: bytes, number: int) -> tuple[bytes, Seen | None]:
    while b"\r\n\r\n" not in buffer:
        data = sock.recv(65536)
        if not data:
            return buffer, None
        buffer += data
    start, _, rest = buffer.partition(b"\r\n\r\n")
    if b"\r\ntransfer-encoding: chunked" in start.lower():
        body, rest = _read_chunks(sock, rest)
        return rest, Seen(number, start + b"\r\n\r\n" + body, body)
    length = 0
    for line in start.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    parts = [rest]
    have = len(rest)
    while have < length:
        data = sock.recv(1024 * 1024)
        if not data:
            return b"", None
        parts.append(data)
        have += len(data)
    rest = b"".join(parts)
    body, rest = rest[:length], rest[length:]
    return rest, Seen(number, start + b"\r\n\r\n" + body, body)


def _read_chunks(sock: socket.socket, buffer: bytes) -> tuple[bytes, bytes]:
    """A chunked body (RFC 9112 §7.1), and what follows it."""
    body = b""
    while True:
        while b"\r\n" not in buffer:
            buffer += _more(sock)
        line, _, buffer = buffer.partition(b"\r\n")
        size = int(line, 16)
        while len(buffer) < size + 2:
            buffer += _more(sock)
        body, buffer = body + buffer[:size], buffer[size + 2 :]
        if size == 0:
            return body, buffer


def _more(sock: socket.socket) -> bytes:
    data = sock.recv(1024 * 1024)
    if not data:
        raise Hangup
    return data
