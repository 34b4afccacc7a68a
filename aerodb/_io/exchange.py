"""What both sides share about httpcore: its request, and its errors.

httpcore takes a request apart and checks and copies every part, and then h11 checks every header
anew, though all but a few are the same as ever. `CoreRequest` is what httpcore's connections read
of a request, and its headers come as h11 holds them once it has checked them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import lru_cache
from typing import Any, cast

import h11
import httpcore
from h11._headers import Headers, normalize_and_validate
from h11._readers import ContentLengthReader
from h11._writers import ContentLengthWriter

from aerodb._core.http import Origin, Request, TransportError
from aerodb._io.failures import broken, not_http, refused_locally
from aerodb._io.heads import added_headers, complete_headers, host_header

_LONG = 64 * 1024
_CONTROLS = bytes({*range(32), 127} - {10})
_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding"})

_NAMES: dict[bytes, bytes] = {}  # that h11 has accepted, in lower case; none of _FRAMING
_NAMES_LIMIT = 256


@lru_cache(maxsize=64)
def core_origin(origin: Origin) -> httpcore.Origin:
    """The origin as httpcore knows it."""
    return httpcore.Origin(origin.scheme.encode(), origin.host.encode(), origin.port)


class CoreRequest:
    """A request as httpcore's connections read it. `url` is the request too."""

    __slots__ = ("extensions", "headers", "method", "origin", "stream", "target", "url")

    def __init__(self, request: Request, content: Any) -> None:
        self.method = request.method.encode("ascii")
        self.target = request.target.encode("ascii")
        self.origin = core_origin(request.origin)
        self.url = self
        self.headers = h11_headers(request)
        self.stream = content
        self.extensions: dict[str, Any] = {}


class _Whole:
    """A body that is there already, for either colour."""

    __slots__ = ("_pieces",)

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


_NO_BODY = _Whole()


def core_request(request: Request, past_h11: Callable[[Any], Any]) -> httpcore.Request:
    """The request for httpcore, made of bytes.

    `past_h11` gets the blocks of a body that is read while it is sent, and gives those that
    httpcore is to send itself.
    """
    content = request.content
    if content is None:
        content = _NO_BODY
    elif isinstance(content, bytes):
        content = _Whole(content)
    else:
        content = past_h11(content)
    return cast(httpcore.Request, CoreRequest(request, content))


def h11_headers(request: Request) -> Headers:
    """All headers of a request, checked. Raises `httpcore.LocalProtocolError`.

    Names are known if h11 has accepted them before. Values are looked at all together: what may
    be wrong with one goes to h11, which decides.
    """
    own = request.headers
    text = b"\n".join([b"", *[value for _, value in own], b""])
    plain = (
        text.count(b"\n") == len(own) + 1
        and len(text.translate(None, _CONTROLS)) == len(text)
        and b"\n " not in text
        and b" \n" not in text
    )
    try:
        if plain:
            names = _NAMES
            found = [(name, names[name], value) for name, value in own]
            for name, value in added_headers(request):
                found.append((name, name.lower(), value))
            return Headers([_host(request.origin), *found])
    except KeyError:
        pass
    return _learned(request)


def _learned(request: Request) -> Headers:
    """The long way, which makes names known."""
    try:
        checked = normalize_and_validate(complete_headers(request))
    except h11.LocalProtocolError:  # quotes the header
        raise httpcore.LocalProtocolError from None
    for raw_name, name, _ in checked._full_items:
        if name not in _FRAMING and len(_NAMES) < _NAMES_LIMIT:
            _NAMES[raw_name] = name
    return checked


@lru_cache(maxsize=64)
def _host(origin: Origin) -> tuple[bytes, bytes, bytes]:
    (host,) = normalize_and_validate([host_header(origin)])._full_items
    return host


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


class SizedBody:
    """A body of known length, sent past h11, which would look at every block, but keeps count."""

    __slots__ = ("_writer",)

    def __init__(self, writer: ContentLengthWriter) -> None:
        self._writer = writer

    def take(self, block: bytes | memoryview) -> bytes | memoryview:
        """Count the block, which goes out next. Raises `httpcore.LocalProtocolError`."""
        self._writer._length -= len(block)
        if self._writer._length < 0:
            raise httpcore.LocalProtocolError
        return block


def sized_body(
    connection: httpcore.HTTP11Connection | httpcore.AsyncHTTP11Connection,
) -> SizedBody | None:
    """The body whose head has just gone out, if its length is known."""
    writer = connection._h11_state._writer
    return SizedBody(writer) if isinstance(writer, ContentLengthWriter) else None


def explain(error: BaseException, *, sent: bool, peer_gone: bool) -> TransportError | None:
    """An exception of httpcore as ours; None if it is something else.

    `peer_gone` tells a peer that went away from one that talks nonsense. Texts are not carried
    over: they may quote a header.
    """
    if isinstance(error, httpcore.LocalProtocolError | h11.LocalProtocolError):
        return refused_locally(sent=sent)
    if isinstance(error, httpcore.RemoteProtocolError):
        return broken(sent=sent) if peer_gone else not_http(sent=sent)
    return None
