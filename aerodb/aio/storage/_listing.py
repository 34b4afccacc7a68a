# GENERATED from aerodb_async_src/storage/_listing.py by scripts/generate.py [da944406c438]: do not edit
"""All objects of a bucket, page after page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from aerodb._core.answer import placed
from aerodb._core.errors import client_error
from aerodb._core.storage.calls import list_v2_call
from aerodb._core.storage.models import FileObject
from aerodb.types import AeroDBAPIError

from .._transport import AsyncTransport  # noqa: TID252  # of the same twin, whichever it is


class AsyncFiles:
    """Iterates over objects; a page is asked for when it is needed. Once through."""

    __slots__ = ("_bucket", "_cursor", "_more", "_page", "_page_size", "_prefix", "_recursive",
                 "_transport")  # fmt: skip

    def __init__(
        self,
        transport: AsyncTransport,
        bucket: str,
        prefix: str,
        page_size: int,
        *,
        recursive: bool,
    ) -> None:
        self._transport = transport
        self._bucket = bucket
        self._prefix = prefix
        self._page_size = page_size
        self._recursive = recursive
        self._cursor: str | None = None
        self._more = True
        self._page: Iterator[FileObject] = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FileObject:
        while True:
            found = next(self._page, None)
            if found is not None:
                return found
            if not self._more:
                raise StopAsyncIteration
            await self._turn()

    async def _turn(self) -> None:
        """Get the next page."""
        call = list_v2_call(self._bucket, self._prefix, self._cursor, self._page_size,
                            with_delimiter=not self._recursive, sort=None)  # fmt: skip
        response = await self._transport.execute(call)
        if response.error is not None:
            raise AeroDBAPIError(response.error)
        assert response.data is not None
        page = response.data
        if page.has_next and page.next_cursor == self._cursor:
            message = "the server says that there is more, and leads to the same page again"
            exchange = self._transport.exchange_of(call, response.meta)
            error = placed(
                client_error("INVALID_RESPONSE", message), exchange, response.meta.status
            )
            raise AeroDBAPIError(error)
        self._page = iter(page.objects)
        self._more = page.has_next
        self._cursor = page.next_cursor
