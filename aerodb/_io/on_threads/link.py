"""A WebSocket over a socket that never blocks: whoever waits, waits for readiness.

So a reader holds no timeout that senders share, is woken at once, and a frame that has come in part
stays where it is until the rest does. Locks are held around single steps, but for two: one thread
reads (`_reading`), one frame at a time leaves (`Outlet.lock`).

A KeyboardInterrupt may strike between two steps that belong together, such as taking bytes off the
socket and keeping them. `_torn` is up meanwhile, and who finds it up gives the connection up.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Sequence
from time import monotonic
from typing import NoReturn

from aerodb._core.websocket import ABNORMAL, SocketClosed, SocketSettings
from aerodb._io import forks
from aerodb._io.assembly import Assembly
from aerodb._io.on_threads import frames
from aerodb._io.on_threads.frames import DATA, FrameReader, Incomplete
from aerodb._io.on_threads.holding import give_back, holds
from aerodb._io.on_threads.nonblocking import NonBlocking
from aerodb._io.on_threads.outlet import Outlet
from aerodb._io.on_threads.readiness import Bell, wait_for_any

_LINGER_SECONDS = 1.0
_LOST = "the connection was lost"
_PARENTS = "the connection is the parent process's"


class Link:
    """One connection after its handshake. `early` came right behind that."""

    def __init__(self, sock: socket.socket, settings: SocketSettings, early: bytes) -> None:
        self._wire = NonBlocking(sock)
        self._pid = os.getpid()
        self._bell = Bell()
        self._readable = wait_for_any([sock, self._bell.sock])
        self._outlet = Outlet(self._wire, settings.ping_interval + settings.ping_timeout)
        self._assembly = Assembly(settings.max_message_bytes)
        self._frames = FrameReader(self._assembly)
        self._frames.feed(early)
        self._interval = settings.ping_interval
        self._timeout = settings.ping_timeout
        self._ping_at = monotonic() + settings.ping_interval
        self._pong_by: float | None = None
        self._woken = self._closing = self._over = self._buried = False
        self._torn = False
        self._end: tuple[int, str] | None = None
        self._reading = threading.RLock()
        self._mutex = threading.Lock()
        forks.watch(self)

    # Reading

    def receive(self, timeout: float | None) -> str | bytes | None:
        """See `WebSocket.receive`."""
        deadline = None if timeout is None else monotonic() + timeout
        try:
            with self._reading:
                while not self._woken:
                    message = self._next_message()
                    if message is not None:
                        return message
                    if not self._more(deadline):
                        return None
                self._woken = False
                return None
        finally:
            if self._end is not None:
                self._bury()

    def _next_message(self) -> str | bytes | None:
        """Return the next message of what was read; None if it is not complete."""
        if self._over or self._torn:
            self._is_over(ABNORMAL, "receiving was interrupted")
        message = None
        self._torn = True
        try:
            while message is None:
                frame = self._frames.next_frame()
                if frame.opcode in DATA:
                    message = self._assembly.add(frame.opcode, frame.fin, frame.data)
                else:
                    self._take_control(frame.opcode, frame.data)
        except Incomplete:
            pass
        except SocketClosed as error:
            self._refuse(error)
        self._torn = False
        if message is None:
            self._raise_end()
        return message

    def _take_control(self, opcode: int, data: bytes) -> None:
        if opcode == frames.PING:
            self._outlet.post(frames.PONG, data)
        elif opcode == frames.CLOSE:
            code, reason = frames.parse_close(data)
            if not self._closing:
                self._closing = True
                self._outlet.post(frames.CLOSE, data)
            self._is_over(code, reason)

    def _refuse(self, error: SocketClosed) -> None:
        """Tell a peer that broke the rules, give it time to read that, and raise."""
        if not self._over:
            self._closing = True
            self._finish(error.code, error.reason)
            self._outlet.post(frames.CLOSE, frames.close_frame(error.code, error.reason))
            self._linger()
        self._is_over(error.code, error.reason)

    def _is_over(self, code: int, reason: str) -> NoReturn:
        """Nothing more will be received."""
        self._over = True
        self._finish(code, reason)
        self._hang_up()
        raise SocketClosed(*(self._end or (code, reason)))

    def _linger(self) -> None:
        """Read on for a moment: closing with bytes unread would undo what was just sent."""
        until = monotonic() + _LINGER_SECONDS
        with contextlib.suppress(OSError):
            while (left := until - monotonic()) > 0:
                self._outlet.flush()
                if self._wire.sock.fileno() in self._readable(left) and self._wire.receive() == b"":
                    return

    def _more(self, deadline: float | None) -> bool:
        """Wait until there is something to look at; False at the deadline."""
        if self._wire.has_pending:
            self._fill()
            return True
        self._check_process()
        if self._outlet.is_behind:
            self._torn = True
            self._outlet.flush()
            self._torn = False
        due = self._ping_at if self._pong_by is None else self._pong_by
        until = due if deadline is None else min(due, deadline)
        ready = self._readable(until - monotonic())
        if self._bell.sock.fileno() in ready:
            self._bell.hush()
            return True
        if ready:
            self._fill()
            return True
        now = monotonic()
        if now >= due:
            self._keep_alive(now)
        return deadline is None or now < deadline

    def _fill(self) -> None:
        self._torn = True
        try:
            data = self._wire.receive()
        except OSError:
            data = b""
        if data is not None:
            if not data:
                self._is_over(ABNORMAL, _LOST)
            self._frames.feed(data)
            self._pong_by = None
        self._torn = False

    def _keep_alive(self, now: float) -> None:
        """Ping, and judge. Here nothing is left to read, so silence is the peer's (X17)."""
        if self._pong_by is not None:
            self._is_over(ABNORMAL, "the peer does not answer pings")
        self._ping_at = now + self._interval
        if not self._closing:
            self._pong_by = now + self._timeout
            self._outlet.post(frames.PING, os.urandom(4))

    def wake(self) -> None:
        """See `WebSocket.wake`."""
        self._woken = True
        self._ring()

    def _ring(self) -> None:
        with self._mutex:
            if not self._buried:
                self._bell.ring()

    # Writing

    def send(self, text: str) -> None:
        """See `WebSocket.send`."""
        frame = frames.encode(frames.TEXT, text.encode("utf-8"))
        self._check_process()
        try:
            with self._outlet.lock:  # who is ahead does not wait for ever either
                self._send(frame)
        except SocketClosed:
            self._raise_end()  # knows more about it
            raise
        finally:
            if self._end is not None:
                self._bury()

    def _send(self, frame: bytes) -> None:
        self._raise_end()
        if self._closing:
            raise SocketClosed(ABNORMAL, "the WebSocket is being closed")
        self._outlet.put(frame)
        if not self._outlet.drain():
            self._finish(ABNORMAL, "the peer takes nothing")
            self._hang_up()
            self._raise_end()
        self._outlet.push_owed()

    # The end

    @property
    def is_forgotten(self) -> bool:
        """Whether neither side has ended the connection."""
        return self.is_open and self._end is None

    @property
    def is_open(self) -> bool:
        """Whether there is a socket to let go of."""
        return not self._buried and os.getpid() == self._pid

    def _finish(self, code: int, reason: str) -> None:
        """The first end counts."""
        with self._mutex:
            if self._end is None:
                self._end = (code, reason)

    def _raise_end(self) -> None:
        if self._end is not None:
            raise SocketClosed(*self._end)

    def close(self, code: int, reason: str, timeout: float, last: Sequence[str]) -> None:
        """See `WebSocket.close`."""
        said = [frames.encode(frames.TEXT, text.encode("utf-8")) for text in last]
        said.append(frames.encode(frames.CLOSE, frames.close_frame(code, reason)))
        if not self.is_open:
            return
        deadline = monotonic() + timeout
        try:
            if self._end is None:
                self._say_goodbye(said, deadline)
                self._await_end(deadline)
        except SocketClosed:
            pass
        finally:
            self.abort()

    def _say_goodbye(self, said: list[bytes], deadline: float) -> None:
        try:
            in_time = self._outlet.lock.acquire(timeout=max(0.0, deadline - monotonic()))
            if in_time and not self._closing:
                self._closing = True
                for frame in said:
                    self._outlet.put(frame)
                self._outlet.drain(deadline)
        finally:
            give_back(self._outlet.lock)

    def _await_end(self, deadline: float) -> None:
        """Read until the peer has answered, if no other thread does."""
        try:
            if self._reading.acquire(timeout=max(0.0, deadline - monotonic())):
                while self._next_message() is not None or self._more(deadline):
                    pass
        finally:
            give_back(self._reading)

    def abort(self) -> None:
        """See `WebSocket.abort`."""
        if not self.is_open:
            return
        self._finish(ABNORMAL, "the WebSocket was closed")
        self._hang_up()
        self._ring()
        self._bury()

    def _hang_up(self) -> None:
        with self._mutex:
            if not self._buried:
                self._wire.hang_up()

    def _bury(self) -> None:
        """Close the descriptors if no thread uses them; the last one that does comes here too."""
        reading, sending = self._reading, self._outlet.lock
        if holds(reading) or holds(sending):  # a signal's handler, above its own thread
            return
        with self._mutex:
            try:
                if reading.acquire(blocking=False) and sending.acquire(blocking=False):
                    self._close_descriptors()
            finally:
                give_back(reading)
                give_back(sending)

    def dispose(self) -> None:
        """Nobody can use it any more, whatever locks an interrupt has left behind."""
        self.abort()
        with self._mutex:
            self._close_descriptors()

    def _close_descriptors(self) -> None:
        self._wire.sock.close()
        self._bell.close()
        self._buried = True  # last, or an interrupt would leave the rest behind

    # Whose it is

    def _check_process(self) -> None:
        """For forks that do not pass through Python."""
        if os.getpid() != self._pid and not self._buried:
            self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """In a child: let go of what is the parent's, without a byte (reliability C2)."""
        self._mutex = threading.Lock()
        self._reading = self._outlet.lock = threading.RLock()
        self._over = True
        self._end = (ABNORMAL, _PARENTS)
        self._close_descriptors()
