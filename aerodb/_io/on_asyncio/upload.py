"""A body that is read while it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from aerodb._core.http import AnyBody, OneShotBody
from aerodb._io.on_asyncio.aside import apart
from aerodb._io.pieces import ENOUGH, PIECE, checked

_END = object()


def content_of(body: AnyBody) -> Any:
    """The body in the form that httpcore and httpx take."""
    if isinstance(body, OneShotBody):
        return Upload(body)
    return body if body is None or isinstance(body, bytes) else body.chunks()


class Upload:
    """Iterates over a one-shot body, in pieces of a useful size.

    What the caller's source raises goes through to the caller. Files and plain iterators may block,
    so they are read on a thread.
    """

    def __init__(self, body: OneShotBody) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._body.begun = True
        held: list[bytes] = []
        size = 0
        async for piece in _read(self._body.source):
            held.append(checked(piece))
            size += len(held[-1])
            self._body.handed += len(held[-1])
            if size >= ENOUGH:
                yield b"".join(held)
                held, size = [], 0
        if size:
            yield b"".join(held)


async def _read(source: Any) -> AsyncIterator[Any]:
    if hasattr(source, "__aiter__"):
        async for piece in source:
            yield piece
    elif hasattr(source, "read"):
        while piece := await apart(source.read, PIECE):
            yield piece
    else:
        while (piece := await apart(next, source, _END)) is not _END:
            yield piece
