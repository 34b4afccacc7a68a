"""The endpoints that give an object another key, or another object its content (§5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from aerodb.local.storage.errors import StorageError, no_bucket
from aerodb.local.storage.http import Reply, Request, flag, metadata, text
from aerodb.local.storage.names import object_key
from aerodb.local.storage.parts import Parts
from aerodb.local.storage.rows import OBJECT_COLUMNS, file_object, find_object, still_there
from aerodb.local.storage.store import Caller, Connection, one, run
from aerodb.local.storage.writing import Description, Place, Target

_MOVE = sql.SQL(
    "update storage.objects set bucket_id = %s, name = %s where bucket_id = %s and name = %s "
    "returning {columns}"
).format(columns=OBJECT_COLUMNS)


@dataclass(frozen=True, slots=True)
class _Order:
    bucket: str
    key: str
    to_bucket: str
    to_key: str

    @property
    def same(self) -> bool:
        return (self.bucket, self.key) == (self.to_bucket, self.to_key)


class Moving:
    """Both are one transaction on rows: no byte is moved."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store

    async def move(self, request: Request) -> Reply:
        """POST /object/move."""
        caller = self._parts.callers.of(request)
        order = _order(await request.json())
        rules = await self._rules(order)
        async with (
            self._parts.writer.shown(order.to_bucket, caller),
            self._store.as_caller(caller) as connection,
        ):
            row = await find_object(connection, order.bucket, order.key)
            if not order.same:
                _check(rules, row)
                if request.upsert:
                    await _clear(connection, order)
                row = await _move(connection, caller, order, row["id"])
        self._parts.sweeper.wake()
        return Reply(200, {**file_object(row), "message": "Successfully moved"})

    async def copy(self, request: Request) -> Reply:
        """POST /object/copy: the new object shares the content, until either is replaced."""
        caller = self._parts.callers.of(request)
        body = await request.json()
        order = _order(body)
        own = metadata(body["metadata"]) if body.get("metadata") is not None else None
        copied = flag(body, "copyMetadata", True)
        rules = await self._rules(order)
        async with (
            self._parts.writer.shown(order.to_bucket, caller),
            self._store.as_caller(caller) as connection,
        ):
            row = await find_object(connection, order.bucket, order.key)
            _check(rules, row)
            described = Description(
                row["content_type"],
                row["cache_control"],
                own if own is not None else (row["metadata"] if copied else {}),
            )
            target = Target(order.to_bucket, order.to_key, caller.id, caller, upsert=request.upsert)
            made = await self._parts.writer.refer(connection, target, described, row)
        self._parts.sweeper.wake()
        return Reply(200, {**file_object(made), "message": "Successfully copied"})

    async def _rules(self, order: _Order) -> Place | None:
        """The rules of another bucket; who may not write there hears of that later."""
        if order.bucket == order.to_bucket:
            return None
        return await self._parts.writer.rules_of(order.to_bucket)


def _check(rules: Place | None, row: dict[str, Any]) -> None:
    if rules is not None:
        rules.check(row["size"], row["content_type"])


def _order(body: dict[str, Any]) -> _Order:
    bucket = text(body, "bucketId")
    return _Order(
        bucket,
        object_key(body.get("sourceKey")),
        text(body, "destinationBucket", bucket),
        object_key(body.get("destinationKey")),
    )


async def _clear(connection: Connection, order: _Order) -> None:
    await run(
        connection,
        "delete from storage.objects where bucket_id = %s and name = %s",
        order.to_bucket,
        order.to_key,
    )


async def _move(
    connection: Connection, caller: Caller, order: _Order, seen: UUID
) -> dict[str, Any]:
    try:
        row = await one(
            connection,
            _MOVE,
            order.to_bucket,
            order.to_key,
            order.bucket,
            order.key,
        )
    except psycopg.errors.UniqueViolation:
        raise StorageError("object_already_exists", "The object exists already") from None
    except psycopg.errors.ForeignKeyViolation:
        raise no_bucket() from None
    if row is None:
        await still_there(connection, seen, order.bucket, order.key)
        raise caller.denied()
    return row
