"""Where the bytes are: what the storage part asks of an object store.

A blob has a name that this package made, is written once as a whole, and never changes. It is not
there until `put` has returned.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class BlobMissing(Exception):
    """There is no such blob."""


class StoreFull(Exception):
    """The store has no room for what was to be written."""


class StoreUnavailable(Exception):
    """The store does not answer, or answers with an error."""


class BlobStore(Protocol):
    """A place for blobs."""

    async def start(self) -> None:
        """Make ready."""
        ...

    async def stop(self) -> None:
        """Let go of everything."""
        ...

    async def put(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Write a blob; if `chunks` raises, or this is cancelled, nothing is left of it."""
        ...

    def reading(
        self, name: str, start: int, length: int
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a blob and give its bytes, also if it is deleted meanwhile; or raise BlobMissing."""
        ...

    async def delete(self, name: str) -> None:
        """Remove a blob and whatever an unfinished `put` has left; it may be gone already."""
        ...
