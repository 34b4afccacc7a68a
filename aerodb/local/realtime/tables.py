"""What has to be known about tables to deliver their changes, and about the rights of roles on
them.

Read when needed, thrown away when the schema changes (`NOTIFY pgrst`) and anyway after a few
seconds: not everything that matters, such as ALTER ROLE, tells of itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
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
    where p.polrelid = c.oid and p.polcmd::text in ('r', '*')
      and d.refclassid = 'pg_catalog.pg_class'::regclass
      and d.refobjid = c.oid and (d.refobjsubid <> 0 or d.deptype = 'n')
  ), '{}') || array(
    -- 0: more than columns. Whole rows and what subqueries read have no dependency of their own in
    -- pg_depend; a function or an operator of somebody's making may read anything.
    select 0 from pg_catalog.pg_policy p
    where p.polrelid = c.oid and p.polcmd::text in ('r', '*') and (
      p.polqual::text ~ ':varattno 0 |:rtekind 0 '
      or exists (
        select from pg_catalog.pg_depend d
        left join pg_catalog.pg_proc f
          on d.refclassid = 'pg_catalog.pg_proc'::regclass and f.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_policy'::regclass and d.objid = p.oid
          and d.refclassid in
            ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
          and not coalesce(f.pronargs = 0 and f.pronamespace in (
            select s.oid from pg_catalog.pg_namespace s where s.nspname in ('auth', 'realtime')
          ), false)
      )
    )
  ),
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
select asked.relation, asked.role,
  array(
    select a.attname::text from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      and pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'select')
    order by a.attnum
  ),
  c.relrowsecurity and not r.rolbypassrls and not r.rolsuper
    and (c.relforcerowsecurity or not pg_catalog.pg_has_role(r.oid, c.relowner, 'usage')),
  pg_catalog.has_schema_privilege(r.oid, c.relnamespace, 'usage')
from unnest(%s::oid[], %s::text[]) asked(relation, role)
join pg_catalog.pg_class c on c.oid = asked.relation
join pg_catalog.pg_roles r on r.rolname = asked.role
"""


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` have their types, by schema and name, `key` is the primary key, empty if there is
    none. `policy_columns` are those that the policies read; None if that cannot be told, because
    they read whole rows, other tables, or what a function reads."""

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
        """Its name in a statement with parameters."""
        return quoted(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class Rights:
    """What a role may read of a table; `restricted`: row-level security holds for it."""

    columns: tuple[str, ...] = ()
    restricted: bool = True

    def are_whole(self, table: Table) -> bool:
        """Whether nothing of a row is kept from the role."""
        return len(self.columns) == len(table.columns)


NO_RIGHTS = Rights()


def quoted(*names: str) -> sql.Identifier:
    """Return a name for a statement that has parameters, where a `%` begins a placeholder."""
    return sql.Identifier(*(name.replace("%", "%%") for name in names))


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
        await self.read_rights([oid], [role])
        return self._rights[oid, role][1]

    async def read_rights(self, oids: Iterable[int], roles: Iterable[str]) -> None:
        """Learn anew what these roles may read of these tables: a right that is taken from a role,
        or a role from another, tells nobody."""
        asked = [(oid, role) for oid in oids for role in dict.fromkeys(roles)]
        rows = await self._rows(_RIGHTS, ([oid for oid, _ in asked], [role for _, role in asked]))
        now = time.monotonic()
        found = {(row[0], row[1]): Rights(tuple(row[2]), row[3]) for row in rows if row[4]}
        for pair in asked:
            self._rights[pair] = (now, found.get(pair, NO_RIGHTS))

    async def read_again(self, oid: int) -> Table | None:
        """Return the table as it is in this moment."""
        self._by_oid.pop(oid, None)
        return await self.table(oid)

    async def _read(self, query: bytes, parameters: Sequence[Any]) -> Table | None:
        row = await self._row(query, parameters)
        if row is None:
            return None
        numbers: list[int] = row[7]
        names: dict[str, str] = row[8]
        # System columns are negative; a column that has just gone may still be named.
        known = all(str(number) in names for number in numbers)
        return Table(
            oid=row[0],
            schema=row[1],
            name=row[2],
            schema_oid=row[3],
            columns={name: (kind[0], kind[1]) for name, kind in row[4].items()},
            key=tuple(row[5]),
            full_identity=row[6],
            policy_columns=tuple(names[str(n)] for n in numbers) if known else None,
            is_table=row[9],
            followed=row[10],
        )

    async def _row(self, query: bytes, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        rows = await self._rows(query, parameters)
        return rows[0] if rows else None

    async def _rows(self, query: bytes, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(query, parameters)
            return await cursor.fetchall()


def _fresh(since: float) -> bool:
    return time.monotonic() - since < FRESH_SECONDS
