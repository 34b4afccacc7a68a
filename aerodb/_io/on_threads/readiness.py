"""Waits until a socket can be read or written, or a bell rings."""

from __future__ import annotations

import math
import select
import socket
from collections.abc import Callable
from contextlib import suppress

# Nobody waits longer at a stretch: systems count in milliseconds, in 32 bits.
_LONGEST = 10**6


def wait_for(sock: socket.socket, *, write: bool = False) -> Callable[[float], set[int]]:
    """A function that waits at most so many seconds and returns the descriptors that are ready."""
    return wait_for_any([sock], write=write)


def wait_for_any(socks: list[socket.socket], *, write: bool = False) -> Callable[[float], set[int]]:
    """As `wait_for`, for several sockets at once."""
    if not hasattr(select, "poll"):
        return lambda seconds: _select(socks, write, seconds)
    poller = select.poll()
    for sock in socks:
        poller.register(sock, select.POLLOUT if write else select.POLLIN)

    def wait(seconds: float) -> set[int]:
        milliseconds = math.ceil(min(max(seconds, 0.0), _LONGEST) * 1000)
        return {descriptor for descriptor, _ in poller.poll(milliseconds)}

    return wait


def _select(socks: list[socket.socket], write: bool, seconds: float) -> set[int]:
    seconds = min(max(seconds, 0.0), _LONGEST)
    found = select.select([] if write else socks, socks if write else [], socks, seconds)
    return {sock.fileno() for ready in found for sock in ready}


class Bell:
    """Wakes a thread that waits on a socket. Rung from anywhere."""

    __slots__ = ("_rope", "sock")

    def __init__(self) -> None:
        self.sock, self._rope = socket.socketpair()
        self.sock.setblocking(False)
        self._rope.setblocking(False)

    def ring(self) -> None:
        """Wake who waits, or who will."""
        with suppress(OSError):  # it rings already
            self._rope.send(b"\0")

    def hush(self) -> None:
        """It was heard."""
        with suppress(OSError):
            self.sock.recv(4096)

    def close(self) -> None:
        """Let go of the descriptors."""
        self.sock.close()
        self._rope.close()
