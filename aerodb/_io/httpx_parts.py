"""What both sides share about httpx."""

from __future__ import annotations

from time import monotonic
from typing import Any

import httpx

from aerodb._core.http import HeaderList, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io.failures import timed_out
from aerodb._io.tls import context_for


def timeouts(
    settings: HttpSettings, deadline: float | None, idle_timeout: float | None
) -> dict[str, float | None]:
    """httpx's four timeouts for what is left until the deadline."""
    left = None if deadline is None else deadline - monotonic()
    if left is not None and left <= 0:
        raise timed_out("answer", sent=False)
    given = [seconds for seconds in (left, idle_timeout) if seconds is not None]
    wait = min(given) if given else None
    connect = settings.connect_timeout if left is None else min(settings.connect_timeout, left)
    return {"connect": connect, "read": wait, "write": wait, "pool": connect}


def own_transport_options(settings: HttpSettings, proxy: str | None) -> dict[str, Any]:
    """Arguments for httpx's transport. It never queues: the gate has let the request through."""
    try:
        return {
            "verify": context_for(settings),
            "http2": settings.http2,
            "trust_env": False,
            "proxy": None if proxy is None else httpx.Proxy(proxy),
            "limits": httpx.Limits(
                max_connections=None,
                max_keepalive_connections=settings.max_connections,
                keepalive_expiry=settings.keepalive_seconds,
            ),
        }
    except (ValueError, httpx.InvalidURL):
        raise bad_proxy() from None


def bad_proxy() -> TransportError:
    """The proxy's URL cannot be used. It may hold a password, so it is not named."""
    message = "the proxy's URL is not one that can be used; socks:// needs httpx[socks]"
    return TransportError("unsupported", message, sent=False)


def body_headers(response: Any) -> HeaderList:
    """The headers as they describe the body that we are going to read.

    A response that was read before we got it (a mock's) is decoded already.
    """
    headers: HeaderList = response.headers.raw
    if not response.is_stream_consumed:
        return headers
    return [(name, value) for name, value in headers if name.lower() != b"content-encoding"]
