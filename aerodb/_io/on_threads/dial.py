"""Connects: name, TCP, TLS, under one time limit."""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
from time import monotonic
from typing import Any

from aerodb._core.http import Origin
from aerodb._io.addresses import ATTEMPT_SECONDS, Address, in_order, known_addresses, new_socket
from aerodb._io.failures import timed_out, unreachable
from aerodb._io.tls import handshake_failed


def dial(origin: Origin, context: ssl.SSLContext | None, deadline: float) -> socket.socket:
    """Return a connected socket, with TLS if there is a context. Raises TransportError."""
    try:
        sock = _tcp(_addresses(origin, deadline), deadline)
    except TimeoutError:
        raise timed_out("connect", sent=False) from None
    except OSError as error:
        raise unreachable(origin.host, origin.port, error) from None
    return sock if context is None else start_tls(sock, context, origin, deadline)


def start_tls(
    sock: socket.socket, context: ssl.SSLContext, origin: Origin, deadline: float
) -> socket.socket:
    """TLS over a connected socket, which is closed if that fails."""
    try:
        sock.settimeout(_left(deadline))
        return context.wrap_socket(sock, server_hostname=origin.host)
    except BaseException as error:
        sock.close()
        if isinstance(error, TimeoutError):
            raise timed_out("connect", sent=False) from None
        if isinstance(error, ssl.SSLError):
            raise handshake_failed(origin.host, error) from None
        if isinstance(error, OSError):
            raise unreachable(origin.host, origin.port, error) from None
        raise


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _addresses(origin: Origin, deadline: float) -> list[Address]:
    known = known_addresses(origin.host, origin.port)
    return _resolve(origin, deadline) if known is None else known


def _resolve(origin: Origin, deadline: float) -> list[Address]:
    """Ask the resolver, on a thread: nothing else can bound how long it takes."""
    box: list[Any] = []

    def ask() -> None:
        try:
            box.append(socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            box.append(error)

    thread = threading.Thread(target=ask, name="aerodb-resolve", daemon=True)
    thread.start()
    thread.join(_left(deadline))
    if not box:
        raise TimeoutError
    if isinstance(box[0], UnicodeError):  # a label too long or empty
        raise socket.gaierror(socket.EAI_NONAME, "not a host name")
    if isinstance(box[0], OSError):
        raise box[0]
    return in_order(box[0])


def _tcp(addresses: list[Address], deadline: float) -> socket.socket:
    if len(addresses) == 1:
        return _one(addresses[0], deadline)
    race = _Race(addresses)
    try:
        return race.run(deadline)
    finally:
        race.close()


def _one(address: Address, deadline: float) -> socket.socket:
    sock = new_socket(address[0])
    try:
        sock.settimeout(_left(deadline))
        sock.connect(address[1])
    except BaseException:
        sock.close()
        raise
    return sock


class _Race:
    """Several addresses, each with a small head start over the next (RFC 8305 §5)."""

    def __init__(self, addresses: list[Address]) -> None:
        self._waiting = list(addresses)
        self._running: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()
        self._error: OSError = OSError("no address")

    def run(self, deadline: float) -> socket.socket:
        while self._waiting or self._running:
            if self._waiting:
                self._start(*self._waiting.pop(0))
            until = ATTEMPT_SECONDS if self._waiting else _left(deadline)
            for key, _ in self._selector.select(min(until, _left(deadline))):
                assert isinstance(key.fileobj, socket.socket)
                if self._won(key.fileobj):
                    return key.fileobj
        raise self._error

    def _start(self, family: socket.AddressFamily, address: Any) -> None:
        try:
            sock = new_socket(family)
        except OSError as error:  # no IPv6 on this machine
            self._error = error
            return
        self._running.append(sock)
        sock.setblocking(False)
        try:
            sock.connect(address)
        except BlockingIOError:
            pass
        except OSError as error:
            self._drop(sock, error)
            return
        self._selector.register(sock, selectors.EVENT_WRITE)

    def _won(self, sock: socket.socket) -> bool:
        self._selector.unregister(sock)
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._drop(sock, OSError(code, ""))
            return False
        self._running.remove(sock)
        return True

    def _drop(self, sock: socket.socket, error: OSError) -> None:
        self._error = error
        self._running.remove(sock)
        sock.close()

    def close(self) -> None:
        self._selector.close()
        for sock in self._running:
            sock.close()
