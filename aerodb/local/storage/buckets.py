"""The endpoints of buckets (wire contract §5.1)."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import psycopg
from psycopg import sql

from aerodb.local.storage.errors import StorageError, invalid, no_bucket
from aerodb.local.storage.http import Reply, Request, flag, number, text
from aerodb.local.storage.listing import DIRECTIONS
from aerodb.local.storage.names import bucket_name
from aerodb.local.storage.parts import Parts
from aerodb.local.storage.rows import BUCKET_COLUMNS, bucket
from aerodb.local.storage.store import Caller, Connection, one, run

POLICIES = ("public", "authenticated", "private")
_MOST = 1000
_SORTABLE = ("id", "name", "created_at", "updated_at")
_SIZE = re.compile(r"\s*(\d{1,15})(?:\.(\d{1,3}))?\s*([KMGT]?)(?:I?B)?\s*", re.IGNORECASE)
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_LARGEST = 2**62
_MOST_TYPES = 200
_ATTEMPTS = 3
_COLUMNS = BUCKET_COLUMNS


class Buckets:
    """What can be done with buckets."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store

    async def list(self, request: Request) -> Reply:
        """GET /bucket."""
        caller = self._parts.callers.of(request)
        query = request.query
        column, order = query.get("sortColumn", "id"), query.get("sortOrder", "asc").lower()
        if column not in _SORTABLE or order not in ("asc", "desc"):
            raise invalid(f"sortColumn must be one of {', '.join(_SORTABLE)}")
        statement = sql.SQL(
            "select {columns} from storage.buckets where strpos(lower(name), lower(%s)) > 0 "
            "order by {column} {order}, id limit %s offset %s"
        ).format(columns=_COLUMNS, column=sql.Identifier(column), order=DIRECTIONS[order])
        async with self._store.as_caller(caller) as connection:
            cursor = await connection.execute(
                statement,
                [
                    query.get("search", ""),
                    number(query.get("limit"), "limit", _MOST, 0, _MOST),
                    number(query.get("offset"), "offset", 0, 0, 2**31),
                ],
            )
            return Reply(200, [bucket(row) for row in await cursor.fetchall()])

    async def create(self, request: Request) -> Reply:
        """POST /bucket."""
        caller = self._parts.callers.of(request)
        body = await request.json()
        name = bucket_name(body.get("name", body.get("id")))
        settings = {"policy": "private", **_settings(body)}
        values = {"id": bucket_name(body.get("id", name)), "name": name, "owner": caller.id}
        values |= settings
        statement = sql.SQL("insert into storage.buckets ({}) values ({}) returning {}").format(
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(map(sql.Placeholder, values)),
            _COLUMNS,
        )
        async with self._store.as_caller(caller) as connection:
            try:
                cursor = await connection.execute(statement, values)
            except psycopg.errors.UniqueViolation:
                message = f"The bucket {name} exists already"
                raise StorageError("bucket_already_exists", message) from None
            return Reply(201, bucket(_found(await cursor.fetchone())))

    async def get(self, request: Request, bucket_id: str) -> Reply:
        """GET /bucket/{id}."""
        caller = self._parts.callers.of(request)
        return Reply(200, bucket(await self.seen(caller, bucket_id)))

    async def update(self, request: Request, bucket_id: str) -> Reply:
        """PATCH or PUT /bucket/{id}."""
        caller = self._parts.callers.of(request)
        settings = _settings(await request.json())
        if not settings:
            return Reply(200, bucket(await self.seen(caller, bucket_id)))
        statement = sql.SQL(
            "update storage.buckets set {} where id = %(bucket_id)s returning {}"
        ).format(
            sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
                for name in settings
            ),
            _COLUMNS,
        )
        async with self._store.as_caller(caller) as connection:
            seen = await _seen(connection, bucket_id)
            cursor = await connection.execute(statement, {**settings, "bucket_id": bucket_id})
            row = await cursor.fetchone()
            if row is None:
                raise await _refused(connection, caller, seen)
        return Reply(200, bucket(row))

    async def delete(self, request: Request, bucket_id: str) -> Reply:
        """DELETE /bucket/{id}; `?force=true` empties it first."""
        caller = self._parts.callers.of(request)
        async with self._store.as_caller(caller) as connection:
            seen = await _seen(connection, bucket_id)
            if request.query.get("force", "").lower() == "true":
                await run(connection, "delete from storage.objects where bucket_id = %s", bucket_id)
            try:
                gone = await run(connection, "delete from storage.buckets where id = %s", bucket_id)
            except psycopg.errors.ForeignKeyViolation:
                raise StorageError("bucket_not_empty", "The bucket is not empty") from None
            if gone == 0:
                raise await _refused(connection, caller, seen)
        self._parts.sweeper.wake()
        return Reply(204)

    async def empty(self, request: Request, bucket_id: str) -> Reply:
        """POST /bucket/{id}/empty: for who may delete the bucket, or every object that is there."""
        caller = self._parts.callers.of(request)
        async with self._store.as_caller(caller) as connection:
            seen = await _seen(connection, bucket_id)
            gone = 0
            for _ in range(_ATTEMPTS):  # what comes meanwhile is in the way as well
                query = "delete from storage.objects where bucket_id = %s"
                gone += await run(connection, query, bucket_id)
                if await _may_delete(connection, bucket_id):
                    break
            else:
                left = "select from storage.objects where bucket_id = %s limit 1"
                if gone == 0 or await one(connection, left, bucket_id) is not None:
                    raise await _refused(connection, caller, seen)
        self._parts.sweeper.wake()
        return Reply(200, {"message": "Successfully emptied"})

    async def seen(self, caller: Caller, bucket_id: str) -> dict[str, Any]:
        """Return the row of a bucket that `caller` sees, or raise bucket_not_found."""
        async with self._store.as_caller(caller) as connection:
            return await _seen(connection, bucket_id)


async def _seen(connection: Connection, bucket_id: str) -> dict[str, Any]:
    statement = sql.SQL("select {} from storage.buckets where id = %s").format(_COLUMNS)
    return _found(await one(connection, statement, bucket_id))


async def _refused(connection: Connection, caller: Caller, seen: dict[str, Any]) -> StorageError:
    """Why nothing was done to a bucket that was seen a moment ago.

    It may not be done, or that bucket has gone; one that has come since is another.
    """
    query = "select from storage.buckets where id = %s and created_at = %s"
    same = await one(connection, query, seen["id"], seen["created_at"])
    return no_bucket() if same is None else caller.denied()


async def _may_delete(connection: Connection, bucket_id: str) -> bool:
    """Whether the caller could delete the bucket, as it is now. It stays."""
    allowed = False
    with contextlib.suppress(psycopg.errors.ForeignKeyViolation):
        async with connection.transaction():
            query = "delete from storage.buckets where id = %s"
            allowed = await run(connection, query, bucket_id) == 1
            raise psycopg.Rollback
    return allowed


def _found(row: dict[str, Any] | None) -> dict[str, Any]:
    if row is None:
        raise no_bucket()
    return row


# --- settings -----------------------------------------------------------------------------------


def _settings(body: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that a request sets."""
    found: dict[str, Any] = {}
    if body.get("policy") is not None:
        found["policy"] = text(body, "policy")
        if found["policy"] not in POLICIES:
            raise invalid(f"policy must be one of {', '.join(POLICIES)}")
    if body.get("public") is not None:
        public = flag(body, "public", False)
        if found.get("policy") is None:
            found["policy"] = "public" if public else "private"
        elif public != (found["policy"] == "public"):
            raise invalid("public and policy contradict each other")
    for name in ("max_file_size", "file_size_limit"):
        if name in body:
            found["file_size_limit"] = _size(body[name])
    if "allowed_mime_types" in body:
        found["allowed_mime_types"] = _mime_types(body["allowed_mime_types"])
    return found


def _size(value: Any) -> int | None:
    """Return a number of bytes; `50MB` is 50 * 1024 * 1024 of them, and null the default."""
    if value is None:
        return None
    if isinstance(value, str):
        found = _SIZE.fullmatch(value)
        if found is None:
            raise invalid("file_size_limit must be a number of bytes, or a text such as '50MB'")
        unit = _UNITS[found[3].upper()]
        fraction = found[2] or ""
        value = int(found[1]) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LARGEST:
        raise invalid("file_size_limit must be a number of bytes above zero")
    return value


def _mime_types(value: Any) -> list[str] | None:
    if value is None:
        return None
    types: list[Any] = value if isinstance(value, list) else [None]
    if len(types) > _MOST_TYPES or not all(
        isinstance(entry, str) and re.fullmatch(r"[^/\s]{1,127}/[^/\s]{1,127}", entry)
        for entry in types
    ):
        raise invalid("allowed_mime_types must be a list of types such as 'image/png' or 'image/*'")
    return types
