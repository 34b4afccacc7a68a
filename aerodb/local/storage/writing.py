"""Making and replacing objects: the one place where rows of `storage.objects` begin to exist."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from aerodb.local.storage.errors import StorageError, no_bucket, no_object
from aerodb.local.storage.http import compact
from aerodb.local.storage.intake import Content, Intake, too_large
from aerodb.local.storage.ranges import matches
from aerodb.local.storage.rows import OBJECT_COLUMNS
from aerodb.local.storage.store import Caller, Connection, Store, one

DEFAULT_LIMIT = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Where an object goes. `writer` None stands for a signed URL, whose right has been checked.

    `if_match` are the tags of which the object must have one, `if_absent` says that there must be
    none: the two conditions of a PUT.
    """

    bucket: str
    key: str
    owner: UUID | None
    writer: Caller | None = field(repr=False)
    upsert: bool = False
    if_match: str | None = None
    if_absent: bool = False


@dataclass(frozen=True, slots=True)
class Description:
    """What is told about an object by whoever uploads it."""

    content_type: str = "application/octet-stream"
    cache_control: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """A content that may be taken in, and what the bucket says about it."""

    content_id: UUID
    limit: int
    mime_types: Sequence[str] | None

    def check_type(self, content_type: str) -> None:
        """Raise invalid_mime_type if the bucket does not take this type."""
        if self.mime_types is None:
            return
        given = content_type.partition(";")[0].strip().lower()
        for allowed in self.mime_types:
            pattern = allowed.lower()
            if pattern in (given, "*/*", f"{given.partition('/')[0]}/*"):
                return
        raise StorageError("invalid_mime_type", f"This bucket does not take {given}")

    def check(self, size: int, content_type: str) -> None:
        """Raise invalid_mime_type or file_too_large if the bucket does not take such an object."""
        self.check_type(content_type)
        if size > self.limit:
            raise too_large(self.limit)


class ObjectWriter:
    """Checks before the bytes come, and writes the row after they have come."""

    def __init__(self, store: Store, intake: Intake, maximum: int) -> None:
        self._store = store
        self._intake = intake
        self._maximum = maximum

    async def prepare(self, target: Target) -> Place:
        """Return a place for a content, if `target` may be written: that is tried, and taken back.

        Nobody without the right to write makes the server read a body.
        """
        async with self.shown(target.bucket, target.writer), self._store.as_service() as connection:
            rules = await _rules(connection, target.bucket)
            if rules is None:
                raise no_bucket()
            content_id = await self._intake.register(connection)
            async with (
                connection.transaction(force_rollback=True),
                self._as_writer(connection, target),
            ):
                await _write(connection, target, Description(), content_id, None)
        return self._place(content_id, rules)

    async def commit(
        self, target: Target, description: Description, content: Content
    ) -> dict[str, Any]:
        """Write the row; return it, with `created` telling whether it is new."""
        async with self.shown(target.bucket, target.writer), self._store.as_service() as connection:
            return await self.write(connection, target, description, content)

    async def write(
        self, connection: Connection, target: Target, description: Description, content: Content
    ) -> dict[str, Any]:
        """Do the same within a transaction of the storage part."""
        kept = await self._intake.keep(connection, content)
        async with self._as_writer(connection, target):
            row = await _write(connection, target, description, content.id, kept["moment"])
        return {**row, "size": content.size, "etag": kept["etag"]}

    async def refer(
        self,
        connection: Connection,
        target: Target,
        description: Description,
        source: dict[str, Any],
    ) -> dict[str, Any]:
        """Let another object have the content of `source`, in a transaction of the writer's."""
        moment = await one(connection, "select clock_timestamp() as now")
        assert moment is not None
        content_id = source["content_id"]
        row = await _write(connection, target, description, content_id, moment["now"])
        return {**row, "size": source["size"], "etag": source["etag"]}

    async def rules_of(self, bucket: str) -> Place | None:
        """What a bucket says about an object that comes from another one; None without it.

        To be asked before there is a transaction of the caller's: who holds one connection and
        waits for another may wait for all those who do the same.
        """
        async with self._store.as_service() as connection:
            rules = await _rules(connection, bucket)
        return None if rules is None else self._place(UUID(int=0), rules)

    def _place(self, content_id: UUID, rules: dict[str, Any]) -> Place:
        limit = min(rules["file_size_limit"] or DEFAULT_LIMIT, self._maximum)
        return Place(content_id, limit, rules["allowed_mime_types"])

    @contextlib.asynccontextmanager
    async def _as_writer(self, connection: Connection, target: Target) -> AsyncGenerator[None]:
        if target.writer is None:
            yield
            return
        async with self._store.becoming(connection, target.writer):
            yield

    @contextlib.asynccontextmanager
    async def shown(self, bucket: str, writer: Caller | None) -> AsyncGenerator[None]:
        """Who may not see the bucket is told that there is none, not that it is closed."""
        try:
            yield
        except StorageError as problem:
            refused = problem.code in ("access_denied", "authentication_required")
            if not refused or writer is None:
                raise
            async with self._store.as_caller(writer) as connection:
                query = "select from storage.buckets where id = %s"
                if await one(connection, query, bucket) is None:
                    raise no_bucket() from None
            raise


async def _rules(connection: Connection, bucket: str) -> dict[str, Any] | None:
    return await one(
        connection,
        "select file_size_limit, allowed_mime_types from storage.buckets where id = %s",
        bucket,
    )


async def _write(
    connection: Connection, target: Target, description: Description, content_id: UUID, moment: Any
) -> dict[str, Any]:
    if target.if_match is not None:
        await _check_match(connection, target, target.if_match)
    replacing = target.upsert and not target.if_absent
    values = {
        "id": uuid4(),
        "bucket_id": target.bucket,
        "name": target.key,
        "owner": target.owner,
        "content_id": content_id,
        "content_type": description.content_type,
        "cache_control": description.cache_control,
        "metadata": compact(description.metadata),
        "created_at": moment,
        "updated_at": moment,
    }
    statement = _REPLACE if replacing else _INSERT
    try:
        cursor = await connection.execute(statement, values)
    except psycopg.errors.UniqueViolation:
        if target.if_absent:
            raise StorageError("precondition_failed", "The object exists") from None
        raise StorageError("object_already_exists", "The object exists already") from None
    except psycopg.errors.ForeignKeyViolation as problem:
        content = problem.diag.constraint_name == "objects_content_id_fkey"
        raise (no_object() if content else no_bucket()) from None
    row = await cursor.fetchone() if replacing else None
    return row or {**values, "metadata": description.metadata, "created": True}


# Without RETURNING, so that who may write but not read can do so.
_INSERT = sql.SQL("""
insert into storage.objects (
    id, bucket_id, name, owner, content_id, content_type, cache_control, metadata,
    created_at, updated_at
) values (
    %(id)s, %(bucket_id)s, %(name)s, %(owner)s, %(content_id)s, %(content_type)s,
    %(cache_control)s, %(metadata)s,
    coalesce(%(created_at)s, now()), coalesce(%(updated_at)s, now())
)
""")
_REPLACE = _INSERT + sql.SQL("""
on conflict (bucket_id, name) do update set
    content_id = excluded.content_id, content_type = excluded.content_type,
    cache_control = excluded.cache_control, metadata = excluded.metadata
returning {}, (xmax = 0) as created
""").format(OBJECT_COLUMNS)


async def _check_match(connection: Connection, target: Target, tags: str) -> None:
    row = await one(
        connection,
        "select etag from storage.objects where bucket_id = %s and name = %s for update",
        target.bucket,
        target.key,
    )
    if row is None or not matches(tags, row["etag"]):
        raise StorageError("precondition_failed", "The object is another by now")
