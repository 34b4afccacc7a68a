"""A socket as httpcore sees it, under one deadline for all that a call does."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from time import monotonic
from typing import Any

import httpcore

from aerodb._io.failures import broken, timed_out

_READ = 256 * 1024
_HOLD = 64 * 1024


class Wire:
    """One connected socket.

    Small writes are held until the first read, so that head and body leave in one packet.
    `sent` is True from the moment when a byte of the current request may have left. `ended` says
    that the connection is of no more use, `peer_gone` that this was not our doing. `cut` says that
    a request was answered before all of it had left: what came next would be read as its rest.
    """

    __slots__ = (
        "__weakref__",
        "_deadline",
        "_idle",
        "_outbox",
        "_poll",
        "cut",
        "ended",
        "peer_gone",
        "sent",
        "sock",
    )

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sent = False
        self.ended = False
        self.peer_gone = False
        self.cut = False
        self._deadline: float | None = None
        self._idle: float | None = None
        self._outbox: list[bytes | memoryview] = []
        self._poll = _readiness(sock)

    def begin(self, deadline: float | None, idle_timeout: float | None) -> None:
        """Start a request: it must be over at `deadline`, and never silent for too long."""
        self._deadline = deadline
        self._idle = idle_timeout
        self.sent = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Send what is held, then wait for bytes; b"" means that the peer is done."""
        if self._outbox:
            self._flush()
        try:
            self.sock.settimeout(self._left())
            data = self.sock.recv(_READ)
        except TimeoutError:
            raise timed_out("answer", sent=self.sent) from None
        except OSError:
            self.ended = self.peer_gone = True
            raise broken(sent=self.sent) from None
        if not data:
            self.ended = self.peer_gone = True
        return data

    def write(self, buffer: bytes | memoryview, timeout: float | None = None) -> None:
        """Take bytes to send; at the latest, the next read sends them."""
        if buffer:
            if self.sent and self._is_answered():
                self.cut = True
                raise httpcore.WriteError  # no use in sending the rest; httpcore reads the answer
            self._outbox.append(buffer)
            if len(buffer) > _HOLD:
                self._flush()

    def _is_answered(self) -> bool:
        """Whether the peer has had enough before it got all (413, 401), or is gone.

        Over TLS, bytes that lie ready may be the protocol's own: there, only the end is seen.
        """
        if self.ended:
            return True
        if isinstance(self.sock, ssl.SSLSocket) or not self._poll():
            return False
        try:
            return not self.sock.recv(10, socket.MSG_PEEK).startswith(b"HTTP/1.1 1")
        except OSError:
            return True

    def _flush(self) -> None:
        """Send. A peer that stops reading may have answered already (413): so only the read
        that follows says that the connection is gone, unless nothing was sent at all."""
        held, self._outbox = self._outbox, []
        if sum(map(len, held)) <= _HOLD:
            held = [b"".join(held)]
        held.reverse()
        try:
            while held:  # no frame that waits holds the head: it has the key in it (reliability S1)
                self._send(memoryview(held.pop()))
        except TimeoutError:
            raise timed_out("answer", sent=self.sent) from None
        except OSError:
            self.ended = self.peer_gone = True
            if not self.sent:
                raise broken(sent=False) from None

    def _send(self, view: memoryview) -> None:
        while view:
            left = self._left()
            if left != self.sock.gettimeout():  # setting it is a system call
                self.sock.settimeout(left)
            size = self._send_some(view)
            view = view[size:]

    def _send_some(self, view: memoryview) -> int:
        if self.sent:
            return self.sock.send(view)
        # Whatever ends this but an error of the socket itself may end it after bytes have left.
        self.sent = True
        try:
            return self.sock.send(view)
        except OSError:
            self.sent = isinstance(self.sock, ssl.SSLSocket)
            raise

    def _left(self) -> float | None:
        if self._deadline is None:
            return self._idle
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        return left if self._idle is None else min(left, self._idle)

    def is_quiet(self) -> bool:
        """Whether an idle connection can be used: readable means that the peer has gone."""
        return not self.ended and not self._poll()

    def wake(self) -> None:
        """Make whoever blocks on the socket return. From another thread."""
        self.ended = True
        with contextlib.suppress(OSError):  # not connected any more: nobody can be blocked
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket."""
        self.ended = True
        self.sock.close()

    def get_extra_info(self, info: str) -> Any:
        """Part of httpcore's interface; nothing here is asked for."""
        return None


def _readiness(sock: socket.socket) -> Any:
    """A function that says whether the socket is readable right now."""
    if not hasattr(select, "poll"):
        return lambda: bool(select.select([sock], [], [], 0)[0])
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return lambda: bool(poller.poll(0))
