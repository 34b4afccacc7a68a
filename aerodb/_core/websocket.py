"""What a WebSocket is told, and how it ends, as values that the shim and the protocol share.

Network failures while connecting are `aerodb._core.http.TransportError`, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aerodb._dataclass import dataclass, field

if TYPE_CHECKING:
    from aerodb._core.options import TlsContext

__all__ = ["ABNORMAL", "HandshakeRefused", "SocketClosed", "SocketSettings"]

ABNORMAL = 1006
"""The code of an end without a close frame; it never stands on the wire (RFC 6455 §7.4.1)."""


@dataclass(frozen=True, slots=True)
class SocketSettings:
    """How to talk to a WebSocket server.

    Attributes:
        connect_timeout: Seconds for name resolution, TCP and TLS together.
        ping_interval: Seconds between two pings (wire-contract §4.6).
        ping_timeout: Seconds that the peer may be silent after a ping; then the link is dead.
        max_message_bytes: The largest message taken, its fragments together (§4.1).
        verify: How servers are verified: an SSL context, the path of a CA file, True or None for
            the default, False for not at all.
        proxy: A proxy for every connection. It may hold a password.
        trust_env: Whether the proxy variables, `SSL_CERT_FILE` and `SSL_CERT_DIR` count.
    """

    connect_timeout: float = 10.0
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    max_message_bytes: int = 1024 * 1024
    verify: bool | TlsContext | str | None = None
    proxy: str | None = field(default=None, repr=False)
    trust_env: bool = True


class SocketClosed(Exception):
    """The socket is at its end: closed by either side, or lost.

    Attributes:
        code: The code of the close frame that came; 1006 if none came. For a message that broke
            the rules, the code that the peer was told: 1002, 1007, 1009.
        reason: What the close frame said, or what happened. From the peer, so not to be trusted.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}" if self.reason else str(self.code)


class HandshakeRefused(Exception):
    """The server answered the handshake, but not with 101. A redirect is such an answer too:
    none is followed, for the credentials would go along (wire-contract S2, reliability X12).

    Attributes:
        status: The HTTP status.
        raw_headers: The response's headers.
        body: The beginning of the response's body, at most 64 KiB, as far as it came soon.
    """

    def __init__(
        self, status: int, raw_headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> None:
        super().__init__(f"the server refused the WebSocket handshake with status {status}")
        self.status = status
        self.raw_headers = raw_headers
        self.body = body
