"""What has to be known about tables to deliver their changes, and about the rights of roles on
them.

Read when needed, thrown away when the schema changes (`NOTIFY pgrst`) and anyway after a few
seconds: not everything that matters, such as ALTER ROLE, tells of itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

FRESH_SECONDS = 5.0

_TABLE = """
select c.oid, n.nspname, c.relname, n.oid,
  coalesce((
    select json_object_agg(a.attname, json_build_array(tn.nspname, t.typname) order by a.attnum)
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_type t on t.oid = a.atttypid
    join pg_catalog.pg_namespace tn on tn.oid = t.typnamespace
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  ), '{}'),
  coalesce((
    select array_agg(a.attname::text order by k.nth)
    from pg_catalog.pg_index i, unnest(i.indkey::int2[]) with ordinality k(attnum, nth)
    join pg_catalog.pg_attribute a on a.attnum = k.attnum
    where i.indrelid = c.oid and i.indisprimary and a.attrelid = c.oid
  ), '{}'),
  c.relreplident = 'f',
  coalesce((
    select array_agg(distinct d.refobjsubid)
    from pg_catalog.pg_policy p
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_policy'::regclass and d.objid = p.oid
    where p.polrelid = c.oid and d.refclassid = 'pg_catalog.pg_class'::regclass
      and d.refobjid = c.oid and (d.refobjsubid <> 0 or d.deptype = 'n')
  ), '{}'),
  coalesce((
    select json_object_agg(a.attnum, a.attname) from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  ), '{}'),
  c.relkind::text in ('r', 'p'),
  exists (
    select from pg_catalog.pg_trigger t
    where t.tgrelid = c.oid and t.tgname = 'aerodb_realtime_truncate'
  )
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where {which} and not c.relispartition
"""
_BY_NAME = _TABLE.replace("{which}", "n.nspname = %s and c.relname = %s").encode()
_BY_OID = _TABLE.replace("{which}", "c.oid = %s").encode()

_RIGHTS = b"""
select
  array(
    select a.attname::text from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      and pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'select')
    order by a.attnum
  ),
  c.relrowsecurity and not r.rolbypassrls and not r.rolsuper
    and (c.relforcerowsecurity or not pg_catalog.pg_has_role(r.oid, c.relowner, 'usage')),
  pg_catalog.has_schema_privilege(r.oid, c.relnamespace, 'usage')
from pg_catalog.pg_class c, pg_catalog.pg_roles r where c.oid = %s and r.rolname = %s
"""


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` have their types, by schema and name, `key` is the primary key, empty if there is
    none. `policy_columns` are those that the policies read; None if they read whole rows."""

    oid: int
    schema: str
    name: str
    schema_oid: int
    columns: dict[str, tuple[str, str]]
    key: tuple[str, ...]
    full_identity: bool
    policy_columns: tuple[str, ...] | None
    is_table: bool
    followed: bool
    """Whether it has the triggers."""

    @property
    def identifier(self) -> sql.Identifier:
        """Its name in SQL."""
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Rights:
    """What a role may read of a table; `restricted`: row-level security holds for it."""

    columns: tuple[str, ...] = ()
    restricted: bool = True


NO_RIGHTS = Rights()


class Tables:
    """Remembers tables and rights for a short while."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self._pool = pool
        self._by_name: dict[tuple[str, str], tuple[float, Table | None]] = {}
        self._by_oid: dict[int, tuple[float, Table | None]] = {}
        self._rights: dict[tuple[int, str], tuple[float, Rights]] = {}

    def forget(self) -> None:
        """The schema has changed."""
        self._by_name.clear()
        self._by_oid.clear()
        self._rights.clear()

    async def named(self, schema: str, name: str) -> Table | None:
        """Return a relation that is no partition, None if there is none of that name."""
        known = self._by_name.get((schema, name))
        if known is not None and _fresh(known[0]):
            return known[1]
        found = await self._read(_BY_NAME, (schema, name))
        self._by_name[schema, name] = (time.monotonic(), found)
        return found

    async def table(self, oid: int) -> Table | None:
        """Return the table with this oid, None if it is gone."""
        known = self._by_oid.get(oid)
        if known is not None and _fresh(known[0]):
            return known[1]
        found = await self._read(_BY_OID, (oid,))
        self._by_oid[oid] = (time.monotonic(), found)
        return found

    async def schema_oid(self, name: str) -> int | None:
        """Return the oid of a schema, None if there is none of that name."""
        row = await self._row(b"select oid from pg_catalog.pg_namespace where nspname = %s", [name])
        return None if row is None else int(row[0])

    async def rights(self, oid: int, role: str) -> Rights:
        """Return what `role` may read of the table."""
        known = self._rights.get((oid, role))
        if known is not None and _fresh(known[0]):
            return known[1]
        row = await self._row(_RIGHTS, (oid, role))
        rights = NO_RIGHTS if row is None or not row[2] else Rights(tuple(row[0]), row[1])
        self._rights[oid, role] = (time.monotonic(), rights)
        return rights

    async def _read(self, query: bytes, parameters: Sequence[Any]) -> Table | None:
        row = await self._row(query, parameters)
        if row is None:
            return None
        numbers = [] if row[7] is None else row[7]
        names: dict[str, str] = row[8]
        whole = 0 in numbers
        return Table(
            oid=row[0],
            schema=row[1],
            name=row[2],
            schema_oid=row[3],
            columns={name: (kind[0], kind[1]) for name, kind in row[4].items()},
            key=tuple(row[5]),
            full_identity=row[6],
            policy_columns=None if whole else tuple(names[str(n)] for n in numbers),
            is_table=row[9],
            followed=row[10],
        )

    async def _row(self, query: bytes, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(query, parameters)
            return await cursor.fetchone()


def _fresh(since: float) -> bool:
    return time.monotonic() - since < FRESH_SECONDS
