"""Takes the content coding off a body, and counts what comes out.

A compressed body of a few bytes can stand for gigabytes, so nothing is ever inflated beyond what
may be kept (reliability X9), and a compressed body that ends early is an error although its
framing was right (X10). More than one coding is refused before a byte is decoded.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from aerodb._core.http import TransportError
from aerodb._io.heads import Headers, content_codings, declared_length

PIECE = 256 * 1024
_GZIP = (b"gzip", b"x-gzip")


class Inflater:
    """Decodes gzip (also several members in a row) or deflate, in pieces of bounded size."""

    __slots__ = ("_coding", "_engine", "_started")

    def __init__(self, coding: bytes) -> None:
        self._coding = coding
        self._engine = _engine(coding)
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` decodes to; each piece is at most `PIECE` bytes."""
        try:
            while data:
                self._begin(data)
                piece = self._engine.decompress(data, PIECE)
                data = self._engine.unconsumed_tail or self._engine.unused_data
                if piece:
                    yield piece
                if not data:
                    yield from self._buffered()
        except zlib.error:
            raise _bad("the compressed response is damaged") from None

    def finish(self) -> None:
        """Say that the body is over. A body of no bytes at all is fine (HEAD, 304)."""
        if self._started and not self._engine.eof:
            raise _bad("the compressed response ended early")

    def _buffered(self) -> Iterator[bytes]:
        """What zlib still holds when its input is used up but its output was limited."""
        while not self._engine.eof:
            piece = self._engine.decompress(b"", PIECE)
            if not piece:
                return
            yield piece

    def _begin(self, data: bytes) -> None:
        if self._engine.eof:
            if self._coding not in _GZIP:
                raise _bad("there is something behind the compressed response")
            self._engine = _engine(self._coding)  # RFC 1952 §2.2: members follow one another
        elif not self._started and self._coding == b"deflate" and data[0] & 0x0F != 8:
            self._engine = zlib.decompressobj(-15)  # raw deflate; many servers mean that
        self._started = True


def _engine(coding: bytes) -> zlib._Decompress:
    return zlib.decompressobj(31 if coding in _GZIP else 15)


def _bad(message: str) -> TransportError:
    return TransportError("encoding", message, sent=True)


def inflater_for(headers: Headers) -> Inflater | None:
    """The decoder for a response of these headers; None if its body is not encoded."""
    codings = content_codings(headers)
    if not codings:
        return None
    if len(codings) > 1:
        raise _bad("the response has more than one content coding")
    if codings[0] not in (*_GZIP, b"deflate"):
        raise _bad("the response has a content coding that was not asked for")
    return Inflater(codings[0])


class Collector:
    """Gathers one body, decoded, up to a limit."""

    __slots__ = ("_inflater", "_limit", "_pieces", "_size")

    def __init__(self, headers: Headers, limit: int, has_body: bool) -> None:
        self._inflater = inflater_for(headers)
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0
        if has_body and (declared_length(headers) or 0) > limit:
            raise _too_large(limit)

    def add(self, data: bytes) -> None:
        """Take a chunk as it came off the wire."""
        if self._inflater is None:
            self._keep(data)
        else:
            for piece in self._inflater.feed(data):
                self._keep(piece)

    def result(self) -> bytes:
        """The whole body; raises if its coding is incomplete."""
        if self._inflater is not None:
            self._inflater.finish()
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise _too_large(self._limit)
        self._pieces.append(piece)


def _too_large(limit: int) -> TransportError:
    return TransportError("too_large", f"the response is larger than {limit} bytes", sent=True)
