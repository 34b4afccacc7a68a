"""What both sides share about httpcore: making its request, reading its errors."""

from __future__ import annotations

from functools import lru_cache

import httpcore

from aerodb._core.http import Origin, Request, TransportError
from aerodb._io.failures import broken, not_http, refused_locally
from aerodb._io.heads import complete_headers, content_of


@lru_cache(maxsize=64)
def core_origin(origin: Origin) -> httpcore.Origin:
    """The origin as httpcore knows it."""
    return httpcore.Origin(origin.scheme.encode(), origin.host.encode(), origin.port)


def core_request(request: Request) -> httpcore.Request:
    """The request for httpcore, made of bytes."""
    origin = core_origin(request.origin)
    url = httpcore.URL(
        scheme=origin.scheme,
        host=origin.host,
        port=origin.port,
        target=request.target.encode("ascii"),
    )
    made = httpcore.Request(request.method.encode("ascii"), url, content=content_of(request))
    made.headers = complete_headers(request)
    return made


def is_reusable(connection: httpcore.HTTP11Connection | httpcore.AsyncHTTP11Connection) -> bool:
    """Whether the exchange is over, on both sides, and nothing lies behind the response.

    Bytes that a server sent beyond its answer would be read as the answer to the next request,
    which may be another user's. httpcore does not look, and h11 keeps them.
    """
    return connection.is_idle() and not connection._h11_state.trailing_data[0]


def explain(error: BaseException, *, sent: bool, peer_gone: bool) -> TransportError | None:
    """An exception of httpcore as ours; None if it is something else.

    `peer_gone` tells a peer that went away from one that talks nonsense. Texts are not carried
    over: they may quote a header.
    """
    if isinstance(error, httpcore.LocalProtocolError):
        return refused_locally(sent=sent)
    if isinstance(error, httpcore.RemoteProtocolError):
        return broken(sent=sent) if peer_gone else not_http(sent=sent)
    return None
