"""Host names as socket addresses."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Iterable, Sequence
from typing import Any

importlib.import_module("encodings.idna")  # getaddrinfo would load it later: see `forks.loading`

Address = tuple[socket.AddressFamily, Any]
"""A family and what `connect` takes."""

ATTEMPT_SECONDS = 0.25
"""How long an address is tried alone before the next one joins in (RFC 8305 §5)."""


def known_addresses(host: str, port: int) -> list[Address] | None:
    """The addresses that need no look-up: literals, and `localhost` (RFC 6761 §6.3).

    `localhost` is both loopback addresses whatever the resolver says, so that a server bound to
    either is found.
    """
    if host == "localhost" or host.endswith(".localhost"):
        both: list[Address] = [(socket.AF_INET, ("127.0.0.1", port))]
        return [(socket.AF_INET6, ("::1", port, 0, 0)), *both] if socket.has_ipv6 else both
    if host[-1:].isdigit() or ":" in host:
        try:
            flags = socket.AI_NUMERICHOST
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
        except socket.gaierror:
            return None
        return [(family, address) for family, _, _, _, address in found]
    return None


def in_order(found: Iterable[Sequence[Any]]) -> list[Address]:
    """The result of `getaddrinfo`, families taking turns (RFC 8305 §4), each address once."""
    families: dict[socket.AddressFamily, list[Address]] = {}
    for family, _, _, _, address in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            families.setdefault(family, []).append((family, address))
    turns: list[Address] = []
    while any(families.values()):
        turns.extend(queue.pop(0) for queue in families.values() if queue)
    return list(dict.fromkeys(turns))


def new_socket(family: socket.AddressFamily) -> socket.socket:
    """A TCP socket that sends small packets at once."""
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
