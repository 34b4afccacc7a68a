# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""The rows of one large response, one by one, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final, Generic, Self, TypeVar, cast

from aerodb._core.database.streaming import StreamReader
from aerodb._core.http import Prepared, TransportError
from aerodb._io.on_asyncio import ByteStream
from aerodb.types import AeroDBAPIError, AeroDBError, AeroDBResponse

from .._transport import AsyncTransport  # noqa: TID252  # of the same twin, whichever it is

RowT = TypeVar("RowT")
_END: Final = object()


class AsyncRowStream(Generic[RowT]):
    """An open response. `async with` closes it; iterating gives its rows, once.

    Iterating is the one place with no response to put an error into: it raises
    `AeroDBAPIError`, as `unwrap()` does. `error` holds the same error afterwards.
    """

    __slots__ = ("_body", "_pending", "_prepared", "_reader", "_transport", "error", "response")

    def __init__(self, transport: AsyncTransport, prepared: Prepared[Any]) -> None:
        self._transport = transport
        self._prepared = prepared
        self._body: ByteStream | None = None
        self._pending: Iterator[Any] = iter(())
        self._reader: StreamReader | None = None
        self.error: AeroDBError | None = None
        self.response: AeroDBResponse[None] = AeroDBResponse()

    async def __aenter__(self) -> Self:
        opened = await self._transport.stream(self._prepared)
        body: Any = opened.data
        self._body = body if isinstance(body, ByteStream) else None  # in_([]) opens nothing
        self.error = opened.error
        self.response = AeroDBResponse(None, opened.error, opened.count, opened.meta)
        exchange = self._transport.exchange_of(self._prepared, opened.meta)
        self._reader = StreamReader(self._prepared, exchange, opened.meta.status)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the response, read or not."""
        body, self._body = self._body, None
        if body is not None:
            await body.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RowT:
        try:
            while True:
                row = next(self._pending, _END)
                if row is not _END:
                    return cast("RowT", row)
                if not await self._read():
                    raise StopAsyncIteration
        except AeroDBAPIError as failure:
            self.error = failure.error
            raise

    async def _read(self) -> bool:
        """Take one more chunk of the body; False after the last."""
        reader, body = self._reader, self._body
        if reader is None:
            raise TypeError("open the stream first: it is a context manager")
        if self.error is not None:
            raise AeroDBAPIError(self.error)
        if body is None:
            return False
        try:
            async for chunk in body:
                self._pending = chain.from_iterable(reader.feed(chunk))
                return True
        except TransportError as failure:
            raise AeroDBAPIError(reader.broken(failure)) from None
        self._pending = iter(reader.finish())
        await self.close()
        return True
