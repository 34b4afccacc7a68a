"""Rows of the storage tables, as the wire shows them (wire contract §5.1, §5.2)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import sql

from aerodb.local.storage.errors import no_object
from aerodb.local.storage.store import Connection, one

OBJECT_COLUMNS = sql.SQL(
    "id, bucket_id, name, content_id, size, etag, content_type, cache_control, metadata, "
    "created_at, updated_at"
)
BUCKET_COLUMNS = sql.SQL(
    "id, name, owner, public, policy, file_size_limit, allowed_mime_types, created_at, updated_at"
)


def file_object(row: dict[str, Any]) -> dict[str, Any]:
    """Return the FileObject of a row."""
    return {
        "id": str(row["id"]),
        "name": row["name"].rpartition("/")[2],
        "bucket": row["bucket_id"],
        "path": row["name"],
        "size": row["size"],
        "content_type": row["content_type"],
        "etag": row["etag"],
        "cache_control": row["cache_control"],
        "metadata": row["metadata"],
        "created_at": row["created_at"].isoformat(),
        "updated_at": row["updated_at"].isoformat(),
    }


def bucket(row: dict[str, Any]) -> dict[str, Any]:
    """Return the Bucket of a row."""
    return {
        **row,
        "owner": None if row["owner"] is None else str(row["owner"]),
        "created_at": row["created_at"].isoformat(),
        "updated_at": row["updated_at"].isoformat(),
    }


_FIND = sql.SQL(
    "select {}, storage.content_sum(content_id) as sha256 from storage.objects "
    "where bucket_id = %s and name = %s"
).format(OBJECT_COLUMNS)
_FIND_PUBLIC = _FIND + sql.SQL(
    " and exists (select from storage.buckets b where b.id = bucket_id and b.public)"
)


async def find_object(
    connection: Connection, bucket: str, key: str, *, public: bool = False
) -> dict[str, Any]:
    """Return the row of an object that the connection's role sees, or raise object_not_found.

    It has the content's SHA-256 too. `public` leaves out those in buckets that are not public.
    """
    row = await one(connection, _FIND_PUBLIC if public else _FIND, bucket, key)
    if row is None:
        raise no_object()
    return row


async def still_there(connection: Connection, object_id: UUID, bucket_id: str, name: str) -> None:
    """Raise object_not_found if an object that was seen a moment ago is not there by now.

    One that has come meanwhile, under the same name, is another.
    """
    query = "select from storage.objects where id = %s and bucket_id = %s and name = %s"
    if await one(connection, query, object_id, bucket_id, name) is None:
        raise no_object()
