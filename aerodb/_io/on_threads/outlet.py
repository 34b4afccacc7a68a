"""The sending side of a WebSocket: whole frames, one after another, whoever sends them."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from time import monotonic

from aerodb._core.websocket import ABNORMAL, SocketClosed
from aerodb._io.on_threads.frames import encode
from aerodb._io.on_threads.holding import give_back
from aerodb._io.on_threads.nonblocking import NonBlocking
from aerodb._io.on_threads.readiness import wait_for

_LOST = "the connection was lost"


class Outlet:
    """Frames go through `put` and `drain`, with `lock` held; the reader's own through `post`.

    A frame that has left in part stays in the outbox and goes first the next time, so neither an
    interrupt nor a reader that must not wait can cut one short.
    """

    __slots__ = ("_outbox", "_owed", "_patience", "_sent", "_torn", "_wire", "_writable", "lock")

    def __init__(self, wire: NonBlocking, patience: float) -> None:
        self._wire = wire
        self._writable = wait_for(wire.sock, write=True)
        self._patience = patience
        self._outbox: deque[memoryview] = deque()
        self._owed: dict[int, bytes] = {}
        self._sent = 0
        self._torn = False
        self.lock = threading.RLock()

    @property
    def is_behind(self) -> bool:
        """Whether there is something to send."""
        return bool(self._owed or self._outbox)

    def put(self, frame: bytes) -> None:
        """Take a frame."""
        self._outbox.append(memoryview(frame))

    def drain(self, deadline: float | None = None) -> bool:
        """Send all there is. False at the deadline, or if the peer takes nothing for too long."""
        sent, until = self._sent, monotonic() + self._patience
        while not self._push():
            if self._sent != sent:
                sent, until = self._sent, monotonic() + self._patience
            left = (until if deadline is None else min(until, deadline)) - monotonic()
            if left <= 0:
                return False
            self._writable(left)
        return True

    def post(self, opcode: int, data: bytes) -> None:
        """Send a control frame without waiting; of several pongs the last (RFC 6455 §5.5.3)."""
        self._owed[opcode] = encode(opcode, data)
        self.flush()

    def flush(self) -> None:
        """Send what can be sent now, unless a sender is at it, who will do so."""
        try:
            if self.lock.acquire(blocking=False):
                self.push_owed()
        finally:
            give_back(self.lock)

    def push_owed(self) -> None:
        """As `flush`, with the lock held. If the connection is lost, reading will tell."""
        with contextlib.suppress(SocketClosed):
            while self._push() and self._owed:
                opcode = next(iter(self._owed))
                self.put(self._owed.pop(opcode))

    def _push(self) -> bool:
        """Send what can be sent without waiting; whether that was all."""
        outbox = self._outbox
        while outbox:
            if self._torn:  # an interrupt struck below: nobody knows what has left
                raise SocketClosed(ABNORMAL, _LOST)
            self._torn = True
            try:
                size = self._wire.send(outbox[0])
            except OSError:
                raise SocketClosed(ABNORMAL, _LOST) from None
            if size == len(outbox[0]):
                outbox.popleft()
            else:
                outbox[0] = outbox[0][size:]
            self._sent += size
            self._torn = False
            if not size:
                return False
        return True
