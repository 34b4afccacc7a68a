"""A body that is read while it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aerodb._core.http import AnyBody, OneShotBody, TransportError
from aerodb._io.pieces import ENOUGH, PIECE, checked


def content_of(body: AnyBody) -> Any:
    """The body in the form that httpcore and httpx take."""
    if isinstance(body, OneShotBody):
        return Upload(body)
    return body if body is None or isinstance(body, bytes) else body.chunks()


class Upload:
    """Iterates over a one-shot body, in pieces of a useful size.

    What the caller's source raises goes through to the caller.
    """

    def __init__(self, body: OneShotBody) -> None:
        self._body = body
        if hasattr(body.source, "__aiter__"):
            message = "the blocking client cannot read an async iterable"
            raise TransportError("unsupported", message, sent=False)

    def __iter__(self) -> Iterator[bytes]:
        self._body.begun = True
        held: list[bytes] = []
        size = 0
        for piece in _read(self._body.source):
            held.append(checked(piece))
            size += len(held[-1])
            self._body.handed += len(held[-1])
            if size >= ENOUGH:
                yield b"".join(held)
                held, size = [], 0
        if size:
            yield b"".join(held)


def _read(source: Any) -> Iterator[Any]:
    if not hasattr(source, "read"):
        return iter(source)
    return iter(lambda: source.read(PIECE) or None, None)
