"""A response body in pieces."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from aerodb._io.bodies import inflater_for
from aerodb._io.on_threads.gate import Permit

if TYPE_CHECKING:
    from aerodb._io.on_threads.engine import Engine


class ByteStream:
    """A response whose body is read piece by piece, content coding removed.

    It counts as a request in flight until it is closed or read to its end. Its pieces are of any
    size up to some 256 KiB, and their sum is not limited.
    """

    __slots__ = (
        "__weakref__",
        "_answer",
        "_engine",
        "_inflater",
        "_permit",
        "_pieces",
        "_watch",
        "raw_headers",
        "status",
    )

    def __init__(self, engine: Engine, answer: Any, permit: Permit) -> None:
        self._answer: Any = None
        self.status: int = answer.status
        self.raw_headers: list[tuple[bytes, bytes]] = answer.raw_headers
        self._inflater = inflater_for(answer.raw_headers)
        self._pieces: Iterator[bytes] = iter(())
        self._engine = engine
        self._permit = permit
        self._answer = answer
        # Not a __del__: that would run for closed streams too, and swallow a Ctrl-C (see gate).
        self._watch = weakref.finalize(self, _forgotten, engine, answer, permit)
        self._watch.atexit = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        answer = self._answer
        if answer is None:
            raise StopIteration
        try:
            piece = self._next(answer)
            if piece is None and self._inflater is not None:
                self._inflater.finish()
        except BaseException as error:  # noqa: BLE001  # raised again, or what it means
            self._answer = None
            self._watch.detach()
            raise self._engine.stream_failure(answer, self._permit, error) from None
        if piece is None:
            self._over(answer)
            raise StopIteration
        return piece

    def _next(self, answer: Any) -> bytes | None:
        while True:
            piece = next(self._pieces, None)
            if piece is not None:
                return piece
            data = next(answer.chunks, None)
            if data is None or self._inflater is None:
                return data
            self._pieces = self._inflater.feed(data)

    def _over(self, answer: Any) -> None:
        self._answer = None
        self._watch.detach()
        try:
            answer.finish()
        finally:
            self._engine.release(self._permit)

    def close(self) -> None:
        """Give the response up if it is not read to its end. Idempotent."""
        answer, self._answer = self._answer, None
        if answer is not None:
            self._watch.detach()
            try:
                answer.abort()
            finally:
                self._engine.release(self._permit)


def _forgotten(engine: Engine, answer: Any, permit: Permit) -> None:
    answer.abort()
    engine.release(permit)
    message = "a response stream was neither closed nor read to its end"
    warnings.warn(message, ResourceWarning, stacklevel=2, source=answer)
