"""A connected socket, plain or TLS, whose calls never wait."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

_READ = 64 * 1024
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class NonBlocking:
    """Reads and sends what can be at once. Raises OSError when the connection is broken."""

    __slots__ = ("_step", "_tls", "sock")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._tls = sock if isinstance(sock, ssl.SSLSocket) else None
        self._step = threading.Lock()  # OpenSSL: one call at a time on one connection

    @property
    def has_pending(self) -> bool:
        """Whether TLS holds bytes to `receive`: the socket itself may not be readable for them."""
        return self._tls is not None and self._tls.pending() > 0

    def receive(self) -> bytes | None:
        """What is there; None if that is nothing, b"" if the peer sends no more."""
        try:
            if self._tls is None:
                return self.sock.recv(_READ)
            with self._step:
                return self._tls.recv(_READ)
        except _NOT_NOW:
            return None

    def send(self, view: memoryview) -> int:
        """Send what fits; how much that was."""
        try:
            if self._tls is None:
                return self.sock.send(view)
            with self._step:
                return self._tls.send(view)
        except _NOT_NOW:
            return 0

    def hang_up(self) -> None:
        """End the connection, and so wake who waits on it; the descriptor stays for them."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
