"""Removing what nothing refers to any more: replaced and deleted contents, and failed uploads.

The database knows every content from before its first byte on (sql/080_storage.sql), so a crash
leaves nothing that a later sweep, of this instance or of a copy, does not find.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from uuid import UUID

import psycopg
from psycopg import sql

from aerodb.local.storage.blobs import BlobStore, StoreUnavailable
from aerodb.local.storage.errors import StorageError
from aerodb.local.storage.store import Store, every, run

log = logging.getLogger("aerodb.local.storage")
_PAUSE_SECONDS = 60.0
_AT_ONCE = 100


class Sweeper:
    """A task that works when woken, and now and then for what others have left."""

    def __init__(self, store: Store, blobs: BlobStore, *, exclusive: bool) -> None:
        self._store = store
        self._blobs = blobs
        self._exclusive = exclusive
        self._doomed: set[UUID] = set()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the task; its first sweep is at once."""
        if self._exclusive:
            # Whoever was at work on these is no more.
            async with self._store.as_service() as connection:
                await run(
                    connection,
                    "update storage.contents set doomed_at = now() where doomed_at > now()",
                )
        self._wanted.set()
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """End the task."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def wake(self) -> None:
        """Sweep soon: something has been let go of."""
        self._wanted.set()

    def doom(self, content_id: UUID) -> None:
        """Have a content that was registered, and never kept, removed soon."""
        self._doomed.add(content_id)
        self._wanted.set()

    async def _work(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE_SECONDS):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._sweep()
            except (StorageError, StoreUnavailable) as problem:
                log.warning("sweeping has to wait: %s", problem)
            except Exception:
                log.exception("sweeping failed")

    async def _sweep(self) -> None:
        doomed = list(self._doomed)
        async with self._store.as_service() as connection:
            await run(connection, "delete from storage.uploads where expires_at <= now()")
            if doomed:
                await run(
                    connection,
                    "update storage.contents set doomed_at = now() "
                    "where id = any(%s) and doomed_at is not null",
                    doomed,
                )
            # Not waiting for whoever has a row locked: that is looked at in the next sweep.
            await run(connection, _SPARE)
        self._doomed.difference_update(doomed)
        while await self._remove_some():
            pass

    async def _remove_some(self) -> bool:
        """Remove some contents that nothing refers to; tell whether there may be more.

        The row goes in the transaction in which the bytes go: it stays until they have gone, and
        nothing can begin to refer to it meanwhile.
        """
        try:
            async with self._store.as_service() as connection:
                rows = await every(connection, _REMOVE, _AT_ONCE)
                for row in rows:
                    await self._blobs.delete(row["id"].hex)
        except psycopg.errors.ForeignKeyViolation:
            return True  # somebody was faster, and refers to one of them: without that one, then
        return len(rows) == _AT_ONCE


_REFERRED = sql.SQL("""(
    exists (select from storage.objects o where o.content_id = c.id)
    or exists (select from storage.upload_parts p where p.content_id = c.id)
)""")
_SPARE = sql.SQL("""
update storage.contents set doomed_at = null where id in (
    select c.id from storage.contents c
    where c.doomed_at <= now() and {referred} for update skip locked
)
""").format(referred=_REFERRED)
_REMOVE = sql.SQL("""
delete from storage.contents where id in (
    select c.id from storage.contents c
    where c.doomed_at <= now() and not {referred}
    order by c.doomed_at limit %s for update skip locked
)
returning id
""").format(referred=_REFERRED)
