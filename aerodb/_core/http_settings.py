"""How a client talks HTTP, as one value that the shim reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aerodb._core.options import TlsContext

__all__ = ["HttpSettings"]


class HttpSettings:
    """Settings of one `HttpClient`; already checked by `ClientOptions`.

    Attributes:
        max_connections: How many requests may be in flight, and how many sockets open.
        keepalive_seconds: An idle connection older than this is not used again.
        connect_timeout: Seconds for name resolution, TCP and TLS together.
        max_response_bytes: The largest body `send` reads, counted after decoding.
        max_waiting: How many calls may wait for a free connection; None: any number.
        verify: How servers are verified: an SSL context, the path of a CA file, True or None for
            the default, False for not at all.
        proxy: A proxy for every request. It may hold a password.
        trust_env: Whether the proxy variables, `SSL_CERT_FILE` and `SSL_CERT_DIR` count.
        http2: Whether to offer HTTP/2.
    """

    __slots__ = (
        "connect_timeout",
        "http2",
        "keepalive_seconds",
        "max_connections",
        "max_response_bytes",
        "max_waiting",
        "proxy",
        "trust_env",
        "verify",
    )

    # not a dataclass: making one costs every import more than these lines do
    def __init__(
        self,
        *,
        max_connections: int = 100,
        keepalive_seconds: float = 15.0,
        connect_timeout: float = 10.0,
        max_response_bytes: int = 64 * 1024 * 1024,
        max_waiting: int | None = None,
        verify: bool | TlsContext | str | None = None,
        proxy: str | None = None,
        trust_env: bool = True,
        http2: bool = False,
    ) -> None:
        self.max_connections = max_connections
        self.keepalive_seconds = keepalive_seconds
        self.connect_timeout = connect_timeout
        self.max_response_bytes = max_response_bytes
        self.max_waiting = max_waiting
        self.verify = verify
        self.proxy = proxy
        self.trust_env = trust_env
        self.http2 = http2
