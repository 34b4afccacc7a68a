"""Opens a WebSocket: connects, through a proxy if there is one, and shakes hands."""

from __future__ import annotations

import socket
from time import monotonic

from aerodb._core.websocket import SocketSettings
from aerodb._io.failures import broken, timed_out
from aerodb._io.handshake import GRACE_SECONDS, Opening, Route
from aerodb._io.on_threads.dial import dial, start_tls
from aerodb._io.on_threads.link import Link
from aerodb._io.tls import context_for


def open_link(route: Route, settings: SocketSettings, timeout: float) -> Link:
    """All within `timeout` seconds. Raises TransportError and HandshakeRefused."""
    deadline = monotonic() + timeout
    sock = _connect(route, min(deadline, monotonic() + settings.connect_timeout), deadline)
    try:
        _exchange(sock, route.upgrade, deadline)
        return Link(sock, settings, route.upgrade.rest)
    except BaseException:
        sock.close()
        raise


def _connect(route: Route, connect_by: float, deadline: float) -> socket.socket:
    context = context_for(route.http) if route.is_secure else None
    if route.tunnel is None:
        return dial(route.origin, context, connect_by)
    sock = dial(route.first, None, connect_by)
    try:
        _exchange(sock, route.tunnel, deadline)
        return sock if context is None else start_tls(sock, context, route.origin, deadline)
    except BaseException:
        sock.close()
        raise


def _exchange(sock: socket.socket, opening: Opening, deadline: float) -> None:
    """Send a request of the opening, wait for its answer."""
    sent = opening.reaches_server
    try:
        sock.settimeout(_left(deadline))
        sock.sendall(opening.request())
        while not opening.is_over:
            was_refused = opening.is_refused
            sock.settimeout(_left(deadline))
            opening.feed(sock.recv(65536))
            if opening.is_refused and not was_refused:
                deadline = min(deadline, monotonic() + GRACE_SECONDS)
    except TimeoutError:
        if opening.is_refused:
            opening.finish()
        raise timed_out("answer" if sent else "connect", sent=sent) from None
    except OSError:
        if opening.is_refused:
            opening.finish()
        raise broken(sent=sent) from None


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
