"""Opens a WebSocket: connects, through a proxy if there is one, and shakes hands."""

from __future__ import annotations

import asyncio
import socket

from aerodb._core.websocket import SocketSettings
from aerodb._io.failures import timed_out
from aerodb._io.handshake import Route
from aerodb._io.on_asyncio.dial import dial
from aerodb._io.on_asyncio.link import Link
from aerodb._io.tls import context_for


async def open_link(route: Route, settings: SocketSettings, timeout: float) -> Link:
    """All within `timeout` seconds. Raises TransportError and HandshakeRefused."""
    stage = "connect"
    link: Link | None = None
    timer = asyncio.timeout(timeout)
    try:
        async with timer:
            link = await _connect(route, settings)
            stage = "answer"
            await link.exchange(route.upgrade)
            return link
    except BaseException as error:
        if link is not None:
            link.abort()
        if isinstance(error, TimeoutError) and timer.expired():
            raise timed_out(stage, sent=stage == "answer") from None
        raise


async def _connect(route: Route, settings: SocketSettings) -> Link:
    context = context_for(route.http) if route.is_secure else None

    def make(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> Link:
        return Link(loop, sock, settings)

    if route.tunnel is None:
        return await dial(route.origin, context, settings.connect_timeout, make)
    link = await dial(route.first, None, settings.connect_timeout, make)
    try:
        await link.exchange(route.tunnel)
        if context is not None:
            await link.start_tls(context, route.origin.host)
    except BaseException:
        link.abort()
        raise
    return link
