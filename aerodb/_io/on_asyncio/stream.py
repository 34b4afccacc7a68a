"""A response body in pieces."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from aerodb._io.bodies import inflater_for
from aerodb._io.failures import timed_out

if TYPE_CHECKING:
    from aerodb._io.on_asyncio.engine import Engine


class ByteStream:
    """A response whose body is read piece by piece, content coding removed.

    It counts as a request in flight until it is closed or read to its end. Its pieces are of any
    size up to some 1 MiB, and their sum is not limited.
    """

    __slots__ = (
        "_answer",
        "_deadline",
        "_engine",
        "_idle",
        "_inflater",
        "_pieces",
        "raw_headers",
        "status",
    )

    def __init__(
        self, engine: Engine, answer: Any, deadline: float | None, idle_timeout: float | None
    ) -> None:
        self._answer: Any = None
        self.status: int = answer.status
        self.raw_headers: list[tuple[bytes, bytes]] = answer.raw_headers
        self._inflater = inflater_for(answer.raw_headers)
        self._pieces: Iterator[bytes] = iter(())
        self._engine = engine
        self._deadline = deadline
        self._idle = idle_timeout
        self._answer = answer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        answer = self._answer
        if answer is None:
            raise StopAsyncIteration
        try:
            piece = await self._timed(answer)
            if piece is None and self._inflater is not None:
                self._inflater.finish()
        except BaseException as error:  # noqa: BLE001  # raised again, or what it means
            if self._answer is None:  # closed meanwhile, by another task
                raise _known(answer, error) from None
            self._answer = None
            raise await self._engine.stream_failure(answer, error) from None
        if piece is None:
            await self._over(answer)
            raise StopAsyncIteration
        return piece

    async def _timed(self, answer: Any) -> bytes | None:
        import asyncio  # not at the top: this module is loaded with the package

        limits = [] if self._idle is None else [self._idle]
        limits += [] if self._deadline is None else [self._deadline - monotonic()]
        timer = asyncio.timeout(min(limits, default=None))
        try:
            async with timer:
                return await self._next(answer)
        except TimeoutError:
            if not timer.expired():
                raise
            raise timed_out("answer", sent=True) from None

    async def _next(self, answer: Any) -> bytes | None:
        while True:
            piece = next(self._pieces, None)
            if piece is not None:
                return piece
            data: bytes | None = await anext(answer.chunks, None)
            if data is None or self._inflater is None:
                return data
            self._pieces = self._inflater.feed(data)

    async def _over(self, answer: Any) -> None:
        self._answer = None
        try:
            await answer.finish()
        except BaseException:
            answer.abort()
            raise
        finally:
            self._engine.gate.leave()

    async def close(self) -> None:
        """Give the response up if it is not read to its end. Idempotent."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        self._engine.gate.leave()
        answer.abort()
        if not answer.chunks.ag_running:
            await answer.chunks.aclose()

    def __del__(self) -> None:
        answer, self._answer = self._answer, None
        if answer is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the connection with it
            self._engine.loop.call_soon_threadsafe(_give_up, self._engine, answer)
        message = "a response stream was neither closed nor read to its end"
        warnings.warn(message, ResourceWarning, stacklevel=2, source=self)


def _known(answer: Any, error: BaseException) -> BaseException:
    """What a failure means."""
    return (answer.explain(error) if isinstance(error, Exception) else None) or error


def _give_up(engine: Engine, answer: Any) -> None:
    answer.abort()
    engine.gate.leave()
