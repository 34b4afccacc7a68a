"""Which Host headers are answered (reliability D1: DNS rebinding).

A web page can make its own name resolve to 127.0.0.1, but it cannot keep that name out of the Host
header. So only names that are loopback by definition pass, the address that the server is bound
to, and names that were allowed by hand. The raw header is looked at, nothing that a framework has
made of it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")


class HostGate:
    """Decides about one Host header. `bound` is the address that the server listens on."""

    def __init__(self, bound: str, allowed: Iterable[str] = ()) -> None:
        self._names = frozenset({"localhost", *(name.lower().rstrip(".") for name in allowed)})
        address = _address(bound)
        if address is None:
            self._names |= {bound.lower()}
        self._bound = address
        # Listening everywhere: every address of the machine is right, and an address, unlike a
        # name, cannot be rebound.
        self._any_address = address is not None and address.is_unspecified

    def refusal(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        """Return (status, message) if the request must not be answered."""
        values = [value for name, value in headers if name == b"host"]
        if len(values) != 1:
            return 400, "The request must have exactly one Host header."
        found = _HOST.fullmatch(values[0].decode("latin-1"))
        if found is None or int(found[2] or 0) > 65535:
            return 400, "The Host header is malformed."
        if self.allows(found[1]):
            return None
        return 421, "This server does not answer for the host that the request names."

    def allows(self, host: str) -> bool:
        """Tell whether a host, without its port, is one of this server's names."""
        name = host.strip("[]").lower()
        address = _address(name)
        if address is None:
            return name in self._names
        return address.is_loopback or self._any_address or address == self._bound


def is_loopback(host: str) -> bool:
    """Tell whether `host` is `localhost` or a loopback address, without asking DNS."""
    address = _address(host.strip("[]"))
    return host.lower() == "localhost" if address is None else address.is_loopback


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
