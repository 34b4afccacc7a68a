"""Connects: name, TCP, TLS. The caller limits the time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from aerodb._core.http import Origin
from aerodb._io.addresses import ATTEMPT_SECONDS, Address, in_order, known_addresses, new_socket
from aerodb._io.failures import timed_out, unreachable
from aerodb._io.tls import handshake_failed

P = TypeVar("P", bound=asyncio.Protocol)
Make = Callable[[asyncio.AbstractEventLoop, socket.socket], P]
"""What makes the protocol of a connected socket."""


async def dial(origin: Origin, context: ssl.SSLContext | None, seconds: float, make: Make[P]) -> P:
    """Return a connected protocol, with TLS if there is a context. Raises TransportError."""
    try:
        async with asyncio.timeout(seconds):
            return await _dial(origin, context, make)
    except TimeoutError:
        raise timed_out("connect", sent=False) from None
    except ssl.SSLError as error:
        raise handshake_failed(origin.host, error) from None
    except OSError as error:
        raise unreachable(origin.host, origin.port, error) from None


async def _dial(origin: Origin, context: ssl.SSLContext | None, make: Make[P]) -> P:
    loop = asyncio.get_running_loop()
    addresses = known_addresses(origin.host, origin.port)
    if addresses is None:
        addresses = await _resolve(origin, loop)
    if len(addresses) == 1:
        sock = await _one(addresses[0], loop)
    else:
        sock = await _race(addresses, loop)
    _, made = await loop.create_connection(
        lambda: make(loop, sock),
        sock=sock,
        ssl=context,
        server_hostname=None if context is None else origin.host,
    )
    return made


async def _resolve(origin: Origin, loop: asyncio.AbstractEventLoop) -> list[Address]:
    try:
        found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label too long or empty
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from None
    return in_order(found)


async def _one(address: Address, loop: asyncio.AbstractEventLoop) -> socket.socket:
    sock = new_socket(address[0])
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, address[1])
    except BaseException:
        # Before the descriptor's number can be used again: the loop's own clean-up comes later.
        with contextlib.suppress(NotImplementedError):
            loop.remove_writer(sock)
        sock.close()
        raise
    return sock


async def _race(addresses: list[Address], loop: asyncio.AbstractEventLoop) -> socket.socket:
    """Several addresses, each with a small head start over the next (RFC 8305 §5)."""
    waiting = list(addresses)
    running: set[asyncio.Task[socket.socket]] = set()
    failure: OSError = OSError("no address")
    try:
        while waiting or running:
            if waiting:
                running.add(loop.create_task(_one(waiting.pop(0), loop)))
            head_start = ATTEMPT_SECONDS if waiting else None
            done, _ = await asyncio.wait(
                running, timeout=head_start, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                running.discard(task)
                error = task.exception()
                if error is None:
                    running |= done - {task}
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                failure = error
        raise failure
    finally:
        for task in running:
            task.add_done_callback(_discard)
            task.cancel()


def _discard(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
