"""A TCP proxy on loopback that misbehaves on demand, also in the middle of a connection.

    with FaultProxy(server.port) as proxy:
        proxy.set("latency", seconds=0.2)

Modes: `pass`; `refuse` (nobody listens); `blackhole` (bytes are swallowed, both ways); `latency`
(each chunk is late by `seconds`); `throttle` (`size` bytes per `seconds`); `cut` (both sides are
closed after `size` more bytes from the server); `reset` (both sides are broken with RST at the
next byte, either way); `half_close` (the client is told that the server sends no more).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from aerodb._core.http import Origin

Mode = Literal[
    "pass", "refuse", "blackhole", "latency", "throttle", "cut", "reset", "half_close"
]  # fmt: skip
RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Fault:
    """What to do to bytes."""

    mode: Mode = "pass"
    seconds: float = 0.0
    size: int = 0


class _Pair:
    """One proxied connection."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.left = 0

    def end(self, *, broken: bool = False) -> None:
        for sock in (self.client, self.server):
            with contextlib.suppress(OSError):
                if broken:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    sock.close()
                sock.shutdown(socket.SHUT_RDWR)


class FaultProxy:
    """The proxy; a context manager. It listens on a port of its own and forwards to `target`."""

    def __init__(self, target: int, *, host: str = "127.0.0.1") -> None:
        self._target = (host, target)
        self._fault = Fault()
        self._pairs: set[_Pair] = set()
        self._lock = threading.Lock()
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self.origin = Origin("http", "127.0.0.1", self.port)
        self.connections = 0

    def _listen(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(1024)
        return listener

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._deafen()
        self.cut_all()

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._accept, args=(self._listener,), name="fault-proxy", daemon=True
        )
        thread.start()

    def _deafen(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def set(self, mode: Mode, *, seconds: float = 0.0, size: int = 0) -> None:
        """Switch the mode, for connections that are open as well as for new ones."""
        refused = self._fault.mode == "refuse"
        self._fault = Fault(mode, seconds, size)
        with self._lock:
            for pair in self._pairs:
                pair.left = size
        if mode == "refuse":
            self._deafen()
            self.cut_all()
        elif refused:
            self._listener = self._listen(self.port)
            self._start()
        elif mode == "half_close":
            for pair in list(self._pairs):
                with contextlib.suppress(OSError):
                    pair.client.shutdown(socket.SHUT_WR)

    def cut_all(self, *, broken: bool = False) -> None:
        """End every connection: with FIN, or with RST if `broken`."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            pair.end(broken=broken)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection(self._target, timeout=10)
            except OSError:
                client.close()
                continue
            for sock in (client, server):
                sock.settimeout(None)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = _Pair(client, server)
            pair.left = self._fault.size
            with self._lock:
                self._pairs.add(pair)
            threading.Thread(target=self._carry, args=(pair,), daemon=True).start()

    def _carry(self, pair: _Pair) -> None:
        """Both directions of one connection; then close both sockets."""
        back = threading.Thread(
            target=self._pump, args=(pair, pair.server, pair.client, True), daemon=True
        )
        back.start()
        self._pump(pair, pair.client, pair.server, False)
        back.join()
        with self._lock:
            self._pairs.discard(pair)
        pair.client.close()
        pair.server.close()

    def _pump(
        self, pair: _Pair, source: socket.socket, sink: socket.socket, downstream: bool
    ) -> None:
        try:
            while data := source.recv(65536):
                if not self._pass_on(pair, sink, data, downstream):
                    return
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pair.end()

    def _pass_on(self, pair: _Pair, sink: socket.socket, data: bytes, downstream: bool) -> bool:
        fault = self._fault
        if fault.mode == "blackhole":
            return True
        if fault.mode == "reset":
            pair.end(broken=True)
            return False
        if fault.mode == "half_close" and downstream:
            return True
        if fault.mode == "cut" and downstream:
            sink.sendall(data[: pair.left])
            pair.left -= min(pair.left, len(data))
            if pair.left == 0:
                pair.end()
                return False
            return True
        if fault.mode == "throttle":
            for start in range(0, len(data), max(1, fault.size)):
                sink.sendall(data[start : start + max(1, fault.size)])
                time.sleep(fault.seconds)
            return True
        if fault.mode == "latency":
            time.sleep(fault.seconds)
        sink.sendall(data)
        return True
