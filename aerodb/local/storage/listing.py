"""The endpoints that list objects (wire contract §5.2).

A prefix is said as a range: row-level security lets no LIKE near the index, as it may leak.
"""

from __future__ import annotations

from typing import Any

from psycopg import sql

from aerodb.local.storage.errors import invalid, no_bucket
from aerodb.local.storage.http import Reply, Request, number
from aerodb.local.storage.names import end_of, prefix
from aerodb.local.storage.parts import Parts
from aerodb.local.storage.rows import OBJECT_COLUMNS, file_object
from aerodb.local.storage.store import Connection, one

LIMIT = 100
MOST = 1000
_SORTABLE = ("name", "created_at", "updated_at", "size", "id")
DIRECTIONS: dict[str, sql.SQL] = {"asc": sql.SQL("asc"), "desc": sql.SQL("desc")}


class Listing:
    """The flat list."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def list(self, request: Request, bucket: str) -> Reply:
        """GET or POST /object/list/{bucket}: the keys that begin with `prefix`."""
        caller = self._parts.callers.of(request)
        wanted: dict[str, Any] = dict(request.query)
        if request.method == "POST":
            wanted |= await request.json()
        start = prefix(_given(wanted, "prefix"))
        column, order = _sort(wanted)
        statement = sql.SQL(
            "select {columns} from storage.objects "
            "where bucket_id = %s and name >= %s and name < %s "
            "and strpos(lower(name), lower(%s)) > 0 "
            "order by {column} {order}, name limit %s offset %s"
        ).format(columns=OBJECT_COLUMNS, column=sql.Identifier(column), order=DIRECTIONS[order])
        values = [
            bucket,
            start,
            end_of(start),
            _given(wanted, "search"),
            number(wanted.get("limit"), "limit", LIMIT, 1, MOST),
            number(wanted.get("offset"), "offset", 0, 0, 2**31),
        ]
        async with self._parts.store.as_caller(caller) as connection:
            cursor = await connection.execute(statement, values)
            rows = await cursor.fetchall()
            if not rows:
                await check_bucket(connection, bucket)
        return Reply(200, [file_object(row) for row in rows])


async def check_bucket(connection: Connection, bucket: str) -> None:
    """Raise bucket_not_found unless the connection's role sees the bucket."""
    if await one(connection, "select from storage.buckets where id = %s", bucket) is None:
        raise no_bucket()


def _given(wanted: dict[str, Any], name: str) -> str:
    value = wanted.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid(f"{name} must be a string")
    if "\0" in value:
        raise invalid(f"{name} must not hold NUL")
    return value


def _sort(wanted: dict[str, Any]) -> tuple[str, str]:
    """Return column and direction of `sort=column.direction`, or of `sortBy`."""
    given = wanted.get("sort", "name.asc")
    if "sort" not in wanted and isinstance(wanted.get("sortBy"), dict):
        given = f"{wanted['sortBy'].get('column', 'name')}.{wanted['sortBy'].get('order', 'asc')}"
    column, _, order = str(given).partition(".")
    order = order or "asc"
    if column not in _SORTABLE or order not in ("asc", "desc"):
        raise invalid(f"sort must be one of {', '.join(_SORTABLE)}, and .asc or .desc")
    return column, order
