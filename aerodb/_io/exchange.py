"""What both sides share about httpcore: making its request, reading its errors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import h11
import httpcore
from h11._readers import ContentLengthReader

from aerodb._core.http import Origin, Request, TransportError
from aerodb._io.failures import broken, not_http, refused_locally
from aerodb._io.heads import complete_headers

_LONG = 64 * 1024


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
    made = httpcore.Request(request.method.encode("ascii"), url, content=request.content)
    made.headers = complete_headers(request)
    return made


def is_reusable(connection: httpcore.HTTP11Connection | httpcore.AsyncHTTP11Connection) -> bool:
    """Whether the exchange is over, on both sides, and nothing lies behind the response.

    Bytes that a server sent beyond its answer would be read as the answer to the next request,
    which may be another user's. httpcore does not look, and h11 keeps them.
    """
    return connection.is_idle() and not connection._h11_state.trailing_data[0]


class LongBody:
    """A body of known length, read past h11, which would copy every byte of it three times.

    h11 gives what it has already, the rest comes from the wire as it is, and h11 is then told that
    the body is over.
    """

    __slots__ = ("_reader", "_state", "left")

    def __init__(self, state: h11.Connection, reader: ContentLengthReader) -> None:
        self._state = state
        self._reader = reader
        self.left = reader._remaining

    def buffered(self) -> Iterator[bytes]:
        """What has arrived together with the head."""
        while self._reader._remaining:
            event = self._state.next_event()
            if not isinstance(event, h11.Data):
                break
            self.left = self._reader._remaining
            yield bytes(event.data)

    def take(self, data: bytes) -> bytes:
        """What of `data` belongs to the body. The rest is for `is_reusable` to see."""
        if not data:
            raise broken(sent=True)
        if len(data) > self.left:
            self._state.receive_data(data[self.left :])
            data = data[: self.left]
        self.left -= len(data)
        return data

    def finish(self) -> None:
        """Tell h11."""
        self._reader._remaining = 0
        self._state.next_event()


def long_body(
    connection: httpcore.HTTP11Connection | httpcore.AsyncHTTP11Connection,
) -> LongBody | None:
    """The body that comes, if it is one that is better read past h11."""
    reader = connection._h11_state._reader
    if isinstance(reader, ContentLengthReader) and reader._remaining > _LONG:
        return LongBody(connection._h11_state, reader)
    return None


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
