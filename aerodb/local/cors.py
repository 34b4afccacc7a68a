"""Which web pages may call (wire contract §1.9 S16, reliability D2).

Without configuration these are pages on this machine (`http://localhost:*`); with
`server-cors-allowed-origins` the listed ones, `*` for all. A page from elsewhere is refused before
anything happens: a browser sends some requests first and only hides the answer.
Credentials mode is never granted, nor is access from public pages to private networks.

Over somebody else's database PostgREST's rules hold instead: without configuration every page may
call, with one the listed pages get the headers of CORS, and nobody is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from aerodb.local.hosts import is_loopback

Header = tuple[bytes, bytes]
_METHODS = b"GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD"
_EXPOSED = (
    b"Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, "
    b"Transfer-Encoding, Range-Unit, Retry-After, X-Request-Id, X-Aerodb-Error, Proxy-Status, "
    b"Idempotency-Replayed, Accept-Ranges, Cache-Control, Content-Disposition, ETag, "
    b"Last-Modified, Tus-Resumable, Tus-Version, Tus-Extension, Tus-Max-Size, Upload-Offset, "
    b"Upload-Length, Upload-Metadata, Upload-Expires, X-Checksum-SHA256"
)
_EXPOSED_BY_POSTGREST = (
    b"Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, "
    b"Transfer-Encoding, Range-Unit"
)
_MAX_AGE_SECONDS = b"86400"


class CorsPolicy:
    """Decides about one Origin header; `origins` None is the default policy.

    `refuses` False is PostgREST's way: any page by default, and headers alone decide.
    """

    def __init__(self, origins: Sequence[str] | None, *, refuses: bool = True) -> None:
        self._origins = frozenset(origin.rstrip("/") for origin in origins) if origins else None
        self._refuses = refuses
        if not refuses and self._origins is None:
            self._origins = frozenset("*")

    def allows(self, origin: str, host: str) -> bool:
        """Tell whether a page of `origin` may call; `host` is the request's own Host header."""
        if not self._refuses:
            return True
        if self._origins is not None:
            return self.grants(origin)
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https"):
            return False
        return parts.netloc.lower() == host.lower() or is_loopback(parts.hostname or "")

    def grants(self, origin: str) -> bool:
        """Tell whether an answer to a page that was not refused lets the page read it."""
        return self._origins is None or "*" in self._origins or origin in self._origins

    def headers(self, origin: str) -> list[Header]:
        """Return what an answer to a page that was not refused carries."""
        if not self.grants(origin):
            return []
        exposed = _EXPOSED if self._refuses else _EXPOSED_BY_POSTGREST
        if self._origins is not None and "*" in self._origins:
            return [
                (b"access-control-allow-origin", b"*"),
                (b"access-control-expose-headers", exposed),
            ]
        credentials = [] if self._refuses else [(b"access-control-allow-credentials", b"true")]
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", exposed),
            *credentials,
            (b"vary", b"Origin"),
        ]

    def preflight(self, origin: str, requested_headers: str) -> list[Header]:
        """Return what the answer to an allowed preflight carries."""
        asked = [name.strip() for name in requested_headers.split(",") if name.strip()]
        wanted = ["Authorization", *asked, "Accept", "Accept-Language", "Content-Language"]
        return [
            *self.headers(origin),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", ", ".join(wanted).encode("latin-1")),
            (b"access-control-max-age", _MAX_AGE_SECONDS),
        ]
