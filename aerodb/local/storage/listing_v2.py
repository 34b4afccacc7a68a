"""The list with folders and a cursor (wire contract §5.2).

A page is found by stepping along the index: a folder is one step, however much is in it. A cursor
says which list it belongs to and after which entry it goes on; it is no secret and gives no right.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql

from aerodb.local.storage.errors import StorageError, invalid
from aerodb.local.storage.http import Reply, Request, flag, number
from aerodb.local.storage.listing import DIRECTIONS, LIMIT, MOST, check_bucket
from aerodb.local.storage.names import end_of, prefix
from aerodb.local.storage.parts import Parts
from aerodb.local.storage.rows import OBJECT_COLUMNS, file_object
from aerodb.local.storage.store import Connection, every

_SORTABLE = ("name", "created_at", "updated_at")
_MAXIMUM_CURSOR = 8 * 1024
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _List:
    """What was asked for; `after` are the values that the last entry is sorted by."""

    bucket: str
    prefix: str
    delimited: bool
    column: str
    order: str
    limit: int
    after: tuple[str, ...] | None

    @property
    def descending(self) -> bool:
        return self.order == "desc"

    def cursor(self, *after: str) -> str:
        """Return the cursor that goes on after an entry."""
        text = json.dumps([self.prefix, self.delimited, self.column, self.order, *after])
        return base64.urlsafe_b64encode(text.encode()).decode()


class ListingV2:
    """POST /object/list-v2/{bucket}."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def list(self, request: Request, bucket: str) -> Reply:
        """Answer one page."""
        caller = self._parts.callers.of(request)
        wanted = _wanted(bucket, await request.json())
        async with self._parts.store.as_caller(caller) as connection:
            if wanted.delimited:
                page = await _delimited_page(connection, wanted)
            else:
                page = await _flat_page(connection, wanted)
            if not page["objects"] and not page["folders"]:
                await check_bucket(connection, bucket)
        return Reply(200, page)


def _wanted(bucket: str, body: dict[str, Any]) -> _List:
    sort = body.get("sortBy") or {}
    if not isinstance(sort, dict):
        raise invalid("sortBy must be an object")
    column, order = sort.get("column", "name"), sort.get("order", "asc")
    if column not in _SORTABLE or order not in DIRECTIONS:
        raise invalid(f"sortBy must have a column of {', '.join(_SORTABLE)}, and order asc or desc")
    found = _List(
        bucket,
        prefix(body.get("prefix") or ""),
        flag(body, "with_delimiter", False),
        column,
        order,
        number(body.get("limit"), "limit", LIMIT, 1, MOST),
        None,
    )
    if body.get("cursor") is None:
        return found
    return _going_on(found, body["cursor"])


def _going_on(wanted: _List, cursor: Any) -> _List:
    if not isinstance(cursor, str) or len(cursor) > _MAXIMUM_CURSOR:
        raise _foreign_cursor()
    try:
        entries = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        raise _foreign_cursor() from None
    expected = [wanted.prefix, wanted.delimited, wanted.column, wanted.order]
    if not isinstance(entries, list) or entries[:4] != expected or not 5 <= len(entries) <= 6:
        raise _foreign_cursor()
    after = entries[4:]
    if not all(isinstance(entry, str) and _storable(entry) for entry in after):
        raise _foreign_cursor()
    return replace(wanted, after=tuple(after))


def _storable(text: str) -> bool:
    return "\0" not in text and text == text.encode("utf-8", "replace").decode()


def _page(wanted: _List, objects: list[Row], folders: list[str], after: list[str]) -> Row:
    """Return the answer; `after` is empty on the last page."""
    page: Row = {"hasNext": bool(after)}
    if after:
        page["nextCursor"] = wanted.cursor(*after)
    page["folders"] = [{"name": name, "id": None} for name in folders]
    page["objects"] = [file_object(row) for row in objects]
    return page


# --- without folders ----------------------------------------------------------------------------


async def _flat_page(connection: Connection, wanted: _List) -> Row:
    rows = await _objects(connection, wanted, wanted.after, wanted.limit + 1, deep=True)
    kept = rows[: wanted.limit]
    return _page(wanted, kept, [], _position(wanted, kept) if len(rows) > len(kept) else [])


def _position(wanted: _List, rows: list[Row]) -> list[str]:
    """What the last of some rows is sorted by."""
    last = rows[-1]
    if wanted.column == "name":
        return [last["name"]]
    return [last[wanted.column].isoformat(), last["name"]]


async def _objects(
    connection: Connection, wanted: _List, after: tuple[str, ...] | None, limit: int, *, deep: bool
) -> list[Row]:
    """Return the next objects by the order that was asked for; not those in folders unless deep."""
    columns = ["name"] if wanted.column == "name" else [wanted.column, "name"]
    conditions: list[sql.Composable] = [sql.SQL("bucket_id = %s and name >= %s and name < %s")]
    values: list[Any] = [wanted.bucket, wanted.prefix, end_of(wanted.prefix)]
    if not deep:
        conditions.append(sql.SQL("strpos(substr(name, %s), '/') = 0"))
        values.append(len(wanted.prefix) + 1)
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    if after is not None:
        if len(after) != len(columns):
            raise _foreign_cursor()
        comparison = sql.SQL("<" if wanted.descending else ">")
        places = sql.SQL(", ").join(
            sql.SQL("%s::timestamptz" if name != "name" else "%s") for name in columns
        )
        conditions.append(sql.SQL("({}) {} ({})").format(listed, comparison, places))
        values += after
    order = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), DIRECTIONS[wanted.order]) for name in columns
    )
    statement = sql.SQL("select {} from storage.objects where {} order by {} limit %s").format(
        OBJECT_COLUMNS, sql.SQL(" and ").join(conditions), order
    )
    try:
        return await every(connection, statement, *values, limit)
    except psycopg.DataError:
        raise _foreign_cursor() from None  # a time that is none


def _foreign_cursor() -> StorageError:
    return StorageError("invalid_cursor", "The cursor is not one of this list")


# --- with folders -------------------------------------------------------------------------------


async def _delimited_page(connection: Connection, wanted: _List) -> Row:
    if wanted.column != "name":
        return await _folders_first(connection, wanted)
    entries = await _entries(connection, wanted)
    kept = entries[: wanted.limit]
    names = [entry for entry in kept if not entry.endswith("/")]
    rows = {row["name"]: row for row in await every(connection, _BY_NAMES, wanted.bucket, names)}
    objects = [rows[name] for name in names if name in rows]
    folders = [entry for entry in kept if entry.endswith("/")]
    return _page(wanted, objects, folders, kept[-1:] if len(entries) > len(kept) else [])


async def _entries(connection: Connection, wanted: _List) -> list[str]:
    """Return the next folders and objects by name; folders end in a slash, objects never do."""
    if wanted.after is not None and len(wanted.after) != 1:
        raise _foreign_cursor()
    values = {
        "bucket": wanted.bucket,
        "prefix": wanted.prefix,
        "end": end_of(wanted.prefix),
        "length": len(wanted.prefix),
        "after": None if wanted.after is None else wanted.after[0],
        "limit": wanted.limit + 1,
    }
    cursor = await connection.execute(_STEPS[wanted.order], values)
    return [row["entry"] for row in await cursor.fetchall()]


async def _folders_first(connection: Connection, wanted: _List) -> Row:
    """Folders have no time, so they come before the objects, by name."""
    folders: list[str] = []
    began = wanted.after is not None and len(wanted.after) == 2
    if not began:
        after = "" if wanted.after is None else wanted.after[0]
        values = [len(wanted.prefix), len(wanted.prefix) + 1]
        found = await every(
            connection,
            _FOLDERS,
            *values,
            wanted.bucket,
            wanted.prefix,
            end_of(wanted.prefix),
            after,
            wanted.limit + 1,
        )
        folders = [row["entry"] for row in found]
        if len(folders) > wanted.limit:
            kept = folders[: wanted.limit]
            return _page(wanted, [], kept, kept[-1:])
    room = wanted.limit - len(folders)
    position = wanted.after if began else None
    rows = await _objects(connection, wanted, position, room + 1, deep=False)
    objects = rows[:room]
    after_page: list[str] = []
    if len(rows) > room:
        after_page = _position(wanted, objects) if objects else folders[-1:]
    return _page(wanted, objects, folders, after_page)


_BY_NAMES = sql.SQL(
    "select {} from storage.objects where bucket_id = %s and name = any(%s)"
).format(OBJECT_COLUMNS)

_FOLDERS = """
select entry from (
    select distinct left(name, %s + strpos(substr(name, %s), '/')) as entry
    from storage.objects where bucket_id = %s and name >= %s and name < %s
) found
where right(entry, 1) = '/' and entry > %s
order by entry limit %s
"""

# One step of the index for each entry. After a folder `a/` comes what is not below `a0`: "0" is the
# character after the slash; after an object, what is not below its name and the least character.
# Backwards, everything in a folder is behind the folder's own name.
_STEP = """
select case when strpos(substr(o.name, %(length)s + 1), '/') = 0 then o.name
       else left(o.name, %(length)s + strpos(substr(o.name, %(length)s + 1), '/')) end as entry
from storage.objects o
where o.bucket_id = %(bucket)s and o.name >= %(prefix)s and o.name < %(end)s and {bound}
order by o.name {direction} limit 1
"""
_BEYOND = {
    "asc": sql.SQL(
        "o.name >= case right({entry}, 1) when '/' then left({entry}, -1) || '0' "
        "else {entry} || chr(1) end"
    ),
    "desc": sql.SQL("o.name < {entry}"),
}


def _steps(order: str) -> sql.Composed:
    after = sql.SQL("%(after)s::text")
    beyond = _BEYOND[order]
    first = sql.SQL("(%(after)s::text is null or {})").format(beyond.format(entry=after))
    direction = DIRECTIONS[order]
    return sql.SQL(
        "with recursive step(entry) as (({first}) union all "
        "select ({next}) from step where step.entry is not null) "
        "select entry from step where entry is not null limit %(limit)s"
    ).format(
        first=sql.SQL(_STEP).format(bound=first, direction=direction),
        next=sql.SQL(_STEP).format(
            bound=beyond.format(entry=sql.SQL("step.entry")), direction=direction
        ),
    )


_STEPS = {order: _steps(order) for order in DIRECTIONS}
