# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""A request body that is read while it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from aerodb._core.http import Call, Prepared, SourceError
from aerodb._io.on_asyncio import apart
from aerodb._io.on_asyncio.sources import BLOCK, Span, changed, open_source, read_block
from aerodb.types import AeroDBError, AeroDBResponse

from ._transport import AsyncTransport


class AsyncUploadBody:
    """Bytes, and parts of sources, one after another. Never more than a block of one is held.

    A source is looked at once more before its last block goes out: if it has changed, the request
    stays incomplete, and so without effect (reliability S6). `told` hears where in it the body is.
    `complete` says that all of it was taken, which an answer that comes early does not wait for.
    """

    __slots__ = ("_parts", "_told", "begun", "complete", "handed", "length", "replayable")

    def __init__(self, *parts: bytes | Span, told: Callable[[int], Any] | None = None) -> None:
        sizes = [len(part) if isinstance(part, bytes) else part.size for part in parts]
        known = [size for size in sizes if size is not None]
        self._parts = parts
        self._told = told
        self.length = sum(known) if len(known) == len(sizes) else None
        self.handed = 0
        self.replayable = all(isinstance(part, bytes) or part.source.replayable for part in parts)
        self.begun = False
        self.complete = False

    async def chunks(self) -> AsyncIterator[bytes | memoryview]:
        """The bytes, from the beginning."""
        self.handed, self.complete = 0, False
        for part in self._parts:
            if isinstance(part, bytes):
                self.handed += len(part)
                yield part
                continue
            source, done, left = part.source, part.start, part.size
            source.seek(done)
            await self._tell(done)
            while left is None or left > 0:
                self.begun = True
                block = await read_block(source, BLOCK if left is None else min(BLOCK, left))
                if not block:
                    break
                done += len(block)
                if left is not None:
                    left -= len(block)
                    if left == 0:
                        await apart(source.check)
                self.handed += len(block)
                yield block
                await self._tell(done)
            if left:
                raise changed(source.name)
        self.complete = True

    async def _tell(self, position: int) -> None:
        if self._told is not None:
            await self._told(position)


async def send_parts(
    transport: AsyncTransport,
    prepared: Prepared[Any],
    parts: Sequence[Any],
    *,
    stream: bool,
) -> AeroDBResponse[Any]:
    """Carry out a call whose body is made of `parts`: bytes, and what has a `source` to open.

    What is opened here is closed when the body has gone out; no part, no body.
    """
    opened: list[bytes | Span] = []
    try:
        if isinstance(prepared, Call) and parts:
            for part in parts:
                opened.append(part if isinstance(part, bytes) else await _opened(part.source))
            prepared.body = AsyncUploadBody(*opened)
        return await (transport.stream(prepared) if stream else transport.execute(prepared))
    except SourceError as problem:
        return AeroDBResponse(error=source_problem(problem))
    finally:
        for span in opened:
            if not isinstance(span, bytes):
                span.source.close()


async def _opened(source: Any) -> Span:
    found = await open_source(source)
    return Span(found, 0, found.size)


def source_problem(problem: SourceError) -> AeroDBError:
    """What kept a file from being read, as an error; nothing was sent."""
    return AeroDBError(problem.message, code=problem.code, hint=problem.hint)
