# GENERATED from aerodb_async_src/storage/_body.py by scripts/generate.py [862e77296c03]: do not edit
"""A request body that is read while it is sent."""

from __future__ import annotations

from collections.abc import Iterator

from aerodb._io.on_threads import apart
from aerodb._io.on_threads.transfers import BLOCK, Source, changed, read_block

from ._meter import Meter


class UploadBody:
    """`head`, a part of a source, `tail`. Never more than a block of it is held.

    The source is looked at once more before its last block goes out: if it has changed, the
    request stays incomplete, and so without effect (reliability S6).
    """

    __slots__ = ("_head", "_meter", "_size", "_source", "_start", "_tail",
                 "begun", "handed", "length", "replayable")  # fmt: skip

    def __init__(
        self,
        source: Source,
        meter: Meter,
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

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The bytes, from the beginning."""
        self._source.seek(self._start)
        self.handed = 0
        self._meter.at(self._start)
        if self._head:
            self.handed += len(self._head)
            yield self._head
        left, done = self._size, self._start
        while left is None or left > 0:
            self.begun = True
            block = read_block(self._source, BLOCK if left is None else min(BLOCK, left))
            if not block:
                break
            done += len(block)
            if left is not None:
                left -= len(block)
                if left == 0:
                    apart(self._source.check)
            self.handed += len(block)
            yield block
            self._meter.at(done)
        if left:
            raise changed(self._source.name)
        if self._tail:
            yield self._tail
