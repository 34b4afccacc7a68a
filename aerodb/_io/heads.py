"""What the shim adds to a request's headers, and what it reads out of a response's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from aerodb._core.http import HeaderList, Origin, Request, TransportError

Headers = Sequence[tuple[bytes, bytes]]

_ACCEPT = (b"Accept-Encoding", b"gzip")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def complete_headers(request: Request) -> HeaderList:
    """The request's headers with `Host`, `Content-Length` and `Accept-Encoding`.

    An `Accept-Encoding` of the caller's own stays (downloads ask for `identity`). A method that
    usually has a body says `Content-Length: 0` when it has none (RFC 9110 §8.6).
    """
    return [host_header(request.origin), *request.headers, *added_headers(request)]


def added_headers(request: Request) -> HeaderList:
    """What `complete_headers` adds behind the request's own."""
    headers: HeaderList = []
    for name, _ in request.headers:
        if len(name) == 15 and name.lower() == b"accept-encoding":
            break
    else:
        headers.append(_ACCEPT)
    if isinstance(request.body, bytes):
        headers.append((b"Content-Length", b"%d" % len(request.body)))
    elif request.body is not None:
        length = request.body.length
        chunked = (b"Transfer-Encoding", b"chunked")
        headers.append(chunked if length is None else (b"Content-Length", b"%d" % length))
    elif request.method in _WITH_BODY:
        headers.append((b"Content-Length", b"0"))
    return headers


@lru_cache(maxsize=64)
def host_header(origin: Origin) -> tuple[bytes, bytes]:
    """`Host`, for requests to there."""
    return b"Host", origin.authority.encode("ascii")


def url_of(request: Request) -> str:
    """The request's URL. For libraries that want one; never for messages."""
    return f"{request.origin.scheme}://{request.origin.authority}{request.target}"


def content_codings(headers: Headers) -> list[bytes]:
    """The tokens of `Content-Encoding`, without `identity`, in lower case (RFC 9110 §8.4)."""
    found: list[bytes] = []
    for name, value in headers:
        if len(name) == 16 and name.lower() == b"content-encoding":
            found += [token.strip().lower() for token in value.split(b",")]
    return [token for token in found if token not in (b"", b"identity")]


def has_body(request: Request, status: int) -> bool:
    """Whether a response of this status has one, whatever its headers say (RFC 9112 §6.3)."""
    return request.method != "HEAD" and status not in (204, 304)


def declared_length(headers: Headers) -> int | None:
    """`Content-Length` as a number, if it is there and is one."""
    for name, value in headers:
        if len(name) == 14 and name.lower() == b"content-length":
            return int(value) if value.isdigit() else None
    return None


def refuse_upgrade(status: int) -> None:
    """101 ends HTTP on the connection, and nobody asked for it (RFC 9110 §15.2.2)."""
    if status < 200:
        raise TransportError("protocol", "the server changed the protocol unasked", sent=True)
