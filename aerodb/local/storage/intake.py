"""Taking a content in: registered first, then stored, measured on the way.

A content that does not come to its end, or that nothing refers to in the end, is the sweeper's.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from aerodb.local.storage.blobs import BlobStore, StoreFull, StoreUnavailable
from aerodb.local.storage.errors import StorageError
from aerodb.local.storage.store import Connection, Store, one, run
from aerodb.local.storage.sweeper import Sweeper

LEASE = timedelta(hours=1)
_RENEW_SECONDS = 600.0
_BLOCK_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """What has been stored."""

    id: UUID
    size: int
    sha256: bytes


class Intake:
    """Brings contents into the object store."""

    def __init__(self, store: Store, blobs: BlobStore, sweeper: Sweeper) -> None:
        self._store = store
        self._blobs = blobs
        self._sweeper = sweeper

    async def register(self, connection: Connection) -> UUID:
        """Return the id of a content that is about to be taken in; commit before `take`."""
        row = await one(
            connection,
            "insert into storage.contents (doomed_at) values (now() + %s) returning id",
            LEASE,
        )
        assert row is not None
        found: UUID = row["id"]
        return found

    async def take(
        self, content_id: UUID, chunks: AsyncIterator[bytes], limit: int, **checksums: bytes
    ) -> Content:
        """Store a content of at most `limit` bytes; raise file_too_large or checksum_mismatch.

        `checksums` are digests that it must have, by the names of their algorithms.
        """
        meter = _Meter(limit, {"sha256", *checksums})
        try:
            await self._blobs.put(
                content_id.hex, self._measured(content_id, chunks, meter, checksums)
            )
        except StoreFull:
            self._sweeper.doom(content_id)
            raise StorageError("storage_full", "The object store has no room left") from None
        except StoreUnavailable:
            self._sweeper.doom(content_id)
            raise store_silent() from None
        except BaseException:
            self._sweeper.doom(content_id)
            raise
        return Content(content_id, meter.size, meter.digest("sha256"))

    def forget(self, content_id: UUID) -> None:
        """Have a content removed, unless it was kept: so this may be called whatever came of it."""
        self._sweeper.doom(content_id)

    async def keep(self, connection: Connection, content: Content) -> dict[str, Any]:
        """Say what a content is, in the transaction that begins to refer to it.

        Returns its tag and the time, as `etag` and `moment`.
        """
        row = await one(
            connection,
            "update storage.contents set size = %s, sha256 = %s, doomed_at = null where id = %s "
            "returning clock_timestamp() as moment",
            content.size,
            content.sha256,
            content.id,
        )
        if row is None:
            raise StorageError("service_unavailable", "The upload took too long")
        return {"etag": f'"{content.sha256.hex()[:32]}"', **row}

    async def _measured(
        self,
        content_id: UUID,
        chunks: AsyncIterator[bytes],
        meter: _Meter,
        checksums: dict[str, bytes],
    ) -> AsyncIterator[bytes]:
        """The same bytes in larger blocks. The last is held back until the whole is found right."""
        renewal = time.monotonic() + _RENEW_SECONDS
        async for block in in_blocks(chunks):
            await meter.add(block)
            yield block
            if time.monotonic() > renewal:
                renewal = time.monotonic() + _RENEW_SECONDS
                await self._renew(content_id)
        for name, expected in checksums.items():
            if meter.digest(name) != expected:
                message = f"The {name} checksum is not that of the bytes that arrived"
                raise StorageError("checksum_mismatch", message)

    async def _renew(self, content_id: UUID) -> None:
        async with self._store.as_service() as connection:
            await run(
                connection,
                "update storage.contents set doomed_at = now() + %s where id = %s",
                LEASE,
                content_id,
            )


class _Meter:
    def __init__(self, limit: int, algorithms: set[str]) -> None:
        self.size = 0
        self._limit = limit
        self._hashes = {
            name: hashlib.new(name, usedforsecurity=False) for name in sorted(algorithms)
        }

    async def add(self, block: bytes) -> None:
        self.size += len(block)
        if self.size > self._limit:
            raise too_large(self._limit)
        await asyncio.to_thread(self._update, block)

    def _update(self, block: bytes) -> None:
        for found in self._hashes.values():
            found.update(block)

    def digest(self, name: str) -> bytes:
        return self._hashes[name].digest()


def too_large(limit: int) -> StorageError:
    """Return the error of an upload that is larger than it may be."""
    return StorageError("file_too_large", f"The file is larger than {limit} bytes")


def store_silent() -> StorageError:
    """Return the error of an object store that is out of reach."""
    return StorageError("service_unavailable", "The object store does not answer")


async def in_blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the same bytes in blocks that are worth a trip to a thread."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        if len(waiting) >= _BLOCK_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
