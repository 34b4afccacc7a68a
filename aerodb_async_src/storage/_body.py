# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""A request body that is read while it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aerodb._io.on_asyncio import apart
from aerodb._io.on_asyncio.transfers import BLOCK, Source, changed, read_block

from ._meter import AsyncMeter


class AsyncUploadBody:
    """`head`, a part of a source, `tail`. Never more than a block of it is held.

    The source is looked at once more before its last block goes out: if it has changed, the
    request stays incomplete, and so without effect (reliability S6).
    """

    __slots__ = ("_head", "_meter", "_size", "_source", "_start", "_tail",
                 "begun", "handed", "length", "replayable")  # fmt: skip

    def __init__(
        self,
        source: Source,
        meter: AsyncMeter,
        *,
        head: bytes = b"",
        tail: bytes = b"",
        start: int = 0,
        size: int | None = None,
    ) -> None:
        self._source = source
        self._meter = meter
        self._head = head
        self._tail = tail
        self._start = start
        self._size = size
        self.length = None if size is None else len(head) + size + len(tail)
        self.handed = 0
        self.replayable = source.replayable
        self.begun = False

    async def chunks(self) -> AsyncIterator[bytes | memoryview]:
        """The bytes, from the beginning."""
        self._source.seek(self._start)
        self.handed = 0
        await self._meter.at(self._start)
        if self._head:
            self.handed += len(self._head)
            yield self._head
        left, done = self._size, self._start
        while left is None or left > 0:
            self.begun = True
            block = await read_block(self._source, BLOCK if left is None else min(BLOCK, left))
            if not block:
                break
            done += len(block)
            if left is not None:
                left -= len(block)
                if left == 0:
                    await apart(self._source.check)
            self.handed += len(block)
            yield block
            await self._meter.at(done)
        if left:
            raise changed(self._source.name)
        if self._tail:
            yield self._tail
