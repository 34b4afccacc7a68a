"""Reading keys from the system catalog, and which view columns show which key columns.

Which table column a view column shows is nowhere in a catalog table. It stands in the view's
rewrite rule, a tree of nodes printed as text: each entry of the outermost query's target list
carries its own number and, for a plain column, the relation and column that it comes from
(`resno`, `resorigtbl`, `resorigcol`; PostgreSQL resolves joins and subqueries for us, but not
other views). These three fields have stood there under these names in every version since 8.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncCursor

from aerodb.local.rest.ast import Name
from aerodb.local.rest.relationships import ForeignKey, KeyRole, ViewKey

FOREIGN_KEYS = """
select
  con.oid::int8,
  con.conname,
  near_ns.nspname,
  near.relname,
  far_ns.nspname,
  far.relname,
  (
    select array_agg(col.attname::text order by pair.position)
    from unnest(con.conkey) with ordinality as pair (number, position)
    join pg_attribute col on col.attrelid = con.conrelid and col.attnum = pair.number
  ),
  (
    select array_agg(col.attname::text order by pair.position)
    from unnest(con.confkey) with ordinality as pair (number, position)
    join pg_attribute col on col.attrelid = con.confrelid and col.attnum = pair.number
  ),
  exists (
    select
    from pg_constraint other
    where other.conrelid = con.conrelid
      and other.contype in ('p', 'u')
      and other.conkey @> con.conkey
      and other.conkey <@ con.conkey
  )
from pg_constraint con
join pg_class near on near.oid = con.conrelid
join pg_namespace near_ns on near_ns.oid = near.relnamespace
join pg_class far on far.oid = con.confrelid
join pg_namespace far_ns on far_ns.oid = far.relnamespace
where con.contype = 'f' and con.conparentid = 0
order by con.conrelid, con.conname
"""
"""All schemas: exposed views may rest on hidden tables. A partition's copy of a key is left out."""

PRIMARY_KEYS = """
select ns.nspname, rel.relname, array_agg(col.attname::text order by col.attname)
from pg_constraint con
join pg_class rel on rel.oid = con.conrelid
join pg_namespace ns on ns.oid = rel.relnamespace
join pg_attribute col on col.attrelid = con.conrelid and col.attnum = any(con.conkey)
where con.contype = 'p' and ns.nspname <> 'pg_catalog'
group by con.oid, ns.nspname, rel.relname
"""

KEY_COLUMNS = """
select
  con.oid::int8,
  con.contype::text,
  con.conrelid::int8,
  con.conkey::int4[],
  con.confrelid::int8,
  con.confkey::int4[]
from pg_constraint con
where con.contype = 'p' or (con.contype = 'f' and con.conparentid = 0)
order by con.conrelid, con.conname
"""

VIEW_RULES = """
select rel.oid::int8, rule.ev_action::text
from pg_class rel
join pg_namespace ns on ns.oid = rel.relnamespace
join pg_rewrite rule on rule.ev_class = rel.oid and rule.ev_type = '1'
where rel.relkind in ('v', 'm') and ns.nspname = any(%(schemas)s)
"""

VIEW_COLUMNS = """
select rel.oid::int8, ns.nspname, rel.relname, col.attnum::int4, col.attname
from pg_class rel
join pg_namespace ns on ns.oid = rel.relnamespace
join pg_attribute col on col.attrelid = rel.oid and col.attnum > 0 and not col.attisdropped
where rel.relkind in ('v', 'm') and ns.nspname = any(%(schemas)s)
order by ns.nspname, rel.relname, col.attnum
"""

Spot = tuple[int, int]
"""(oid of a relation, number of a column)."""


@dataclass(frozen=True, slots=True)
class Key:
    """One side of a key constraint: the numbers of its columns, in the key's order."""

    constraint: int
    role: KeyRole
    relation: int
    numbers: tuple[int, ...]


async def read_foreign_keys(cursor: AsyncCursor[tuple[Any, ...]]) -> list[ForeignKey]:
    """Return the foreign keys of the whole database."""
    await cursor.execute(FOREIGN_KEYS)
    return [
        ForeignKey(
            id=oid,
            name=name,
            table=Name(schema, table),
            foreign_table=Name(foreign_schema, foreign_table),
            columns=tuple(zip(columns, foreign_columns, strict=True)),
            unique=unique,
        )
        for (
            oid,
            name,
            schema,
            table,
            foreign_schema,
            foreign_table,
            columns,
            foreign_columns,
            unique,
        ) in await cursor.fetchall()
    ]


async def read_primary_keys(cursor: AsyncCursor[tuple[Any, ...]]) -> dict[Name, tuple[str, ...]]:
    """Return the primary keys of all tables, their columns sorted by name as PostgREST has them."""
    await cursor.execute(PRIMARY_KEYS)
    return {Name(schema, table): tuple(names) async for schema, table, names in cursor}


async def read_view_keys(
    cursor: AsyncCursor[tuple[Any, ...]], schemas: list[str], extra_schemas: list[str]
) -> list[ViewKey]:
    """Return which keys the views of `schemas` show, also through views of `extra_schemas`."""
    await cursor.execute(VIEW_RULES, {"schemas": [*schemas, *extra_schemas]})
    origins: dict[Spot, Spot] = {}
    async for view, rule in cursor:
        origins.update(((view, number), origin) for number, origin in target_origins(rule))
    if not origins:
        return []
    await cursor.execute(VIEW_COLUMNS, {"schemas": schemas})
    columns = await cursor.fetchall()
    await cursor.execute(KEY_COLUMNS)
    return view_keys(columns, origins, _keys(await cursor.fetchall()))


def _keys(rows: Iterable[tuple[Any, ...]]) -> Iterator[Key]:
    for constraint, kind, relation, numbers, foreign_relation, foreign_numbers in rows:
        role: KeyRole = "primary" if kind == "p" else "foreign"
        yield Key(constraint, role, relation, tuple(numbers))
        if kind == "f":
            yield Key(constraint, "referenced", foreign_relation, tuple(foreign_numbers))


def view_keys(
    columns: Iterable[tuple[int, str, str, int, str]],
    origins: dict[Spot, Spot],
    keys: Iterable[Key],
) -> list[ViewKey]:
    """Match each view's columns, (oid, schema, view, number, name), with the keys below them."""
    by_relation: dict[int, list[Key]] = defaultdict(list)
    for key in keys:
        by_relation[key.relation].append(key)
    shown: dict[Name, dict[Spot, list[str]]] = {}
    for view, schema, relation, number, column in columns:
        spots = shown.setdefault(Name(schema, relation), defaultdict(list))
        for spot in trace((view, number), origins):
            spots[spot].append(column)
    return [
        ViewKey(name, key.constraint, key.role, tuple(map(tuple, names)))
        for name, spots in shown.items()
        for relation in dict.fromkeys(oid for oid, _ in spots)
        for key in by_relation.get(relation, ())
        if all(names := [spots.get((relation, number), []) for number in key.numbers])
    ]


def trace(spot: Spot, origins: dict[Spot, Spot]) -> Iterator[Spot]:
    """Yield where a view column comes from, view by view, down to a table."""
    seen: set[int] = set()
    while (origin := origins.get(spot)) is not None and origin[0] not in seen:
        seen.add(origin[0])
        yield origin
        spot = origin


# A backslash takes the special meaning from the character behind it: names may contain anything.
_TOKENS = re.compile(r"\\.|([{}])|:res(no|origtbl|origcol) (\d+)", re.DOTALL)
_TARGET_DEPTH = 2


def target_origins(rule: str) -> Iterator[tuple[int, Spot]]:
    """Yield (column number, origin) for the plain columns of a view's rewrite rule.

    Only entries directly within the outermost query count: braces open one node each, the query
    is the first, so its target entries are at depth two.
    """
    depth = number = relation = 0
    for token in _TOKENS.finditer(rule):
        brace, field, value = token.groups()
        if brace is not None:
            depth += 1 if brace == "{" else -1
        elif field is None or depth != _TARGET_DEPTH:
            continue
        elif field == "no":
            number = int(value)
        elif field == "origtbl":
            relation = int(value)
        elif relation:
            yield number, (relation, int(value))
