"""Reading what is uploaded, without holding up the event loop."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable
from os import PathLike
from typing import Any, BinaryIO, Protocol

from aerodb._io.sources import (
    BLOCK,
    SMALL_BLOCK,
    FileSource,
    IteratorSource,
    MemorySource,
    Source,
    Span,
    changed,
    checked_piece,
    is_async,
    open_blocking,
)

__all__ = ["BLOCK", "FileInput", "Span", "changed", "open_source", "read_block"]


class AwaitedFile(Protocol):
    """A file that is read by awaiting: an `UploadFile` of FastAPI, a file of aiofiles or anyio."""

    def read(self, size: int = ..., /) -> Awaitable[bytes]:
        """The next bytes; none at the end."""
        ...


FileInput = (
    bytes
    | bytearray
    | memoryview
    | PathLike[str]
    | BinaryIO
    | Iterable[bytes]
    | AsyncIterable[bytes]
    | AwaitedFile
)
"""What can be uploaded."""


class _AsyncSource(IteratorSource):
    """An async iterator of bytes, or an async file. Read once."""

    def __init__(self, pieces: AsyncIterator[Any]) -> None:
        super().__init__(iter(()))
        self._waited_for = pieces

    async def pull(self, size: int) -> bytes:
        found: list[bytes] = []
        have = 0
        async for piece in self._waited_for:
            found.append(checked_piece(piece))
            have += len(found[-1])
            if have >= size:
                break
        return found[0] if len(found) == 1 else b"".join(found)


async def open_source(file: Any) -> Source:
    """Make a source of whatever an upload may be given. Raises SourceError."""
    import asyncio

    if is_async(file):
        return _AsyncSource(_pieces_of(file))
    opening = _Opening()
    try:
        return await asyncio.to_thread(opening.open, file)
    except asyncio.CancelledError:
        opening.give_up()
        raise


class _Opening:
    """A source that a thread opens. Who gives up meanwhile leaves nothing open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._source: Source | None = None
        self._over = False

    def open(self, file: Any) -> Source:
        """On the thread."""
        source = open_blocking(file)
        with self._lock:
            if self._over:
                source.close()
            self._source = source
        return source

    def give_up(self) -> None:
        """Close what has been opened, or will be."""
        with self._lock:
            self._over = True
            if self._source is not None:
                self._source.close()


async def _pieces_of(file: Any) -> AsyncIterator[Any]:
    """What an async iterator gives, or an async file from where it stands."""
    if hasattr(file, "read"):
        while piece := await file.read(SMALL_BLOCK):
            yield piece
    else:
        async for piece in file:
            yield piece


async def read_block(source: Source, size: int) -> bytes | memoryview:
    """The next bytes, about so many; none after the last."""
    import asyncio

    if isinstance(source, MemorySource):
        return source.read(size)
    if isinstance(source, _AsyncSource):
        return await source.pull(min(size, SMALL_BLOCK))
    if isinstance(source, FileSource) and (block := source.read_now(size)) is not None:
        return block
    return await asyncio.to_thread(source.read, size)
