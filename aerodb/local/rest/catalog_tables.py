"""Reading tables, views and their columns from the system catalog.

The statements run with an empty search path, so that every type and sequence is printed with its
schema. Reading `pg_catalog` itself, not `information_schema`, shows what exists rather than what
the login role may see: privileges are checked by PostgreSQL when a request runs.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from psycopg import AsyncCursor

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import Column, Table

TableRow = tuple[Any, ...]

RELATIONS = """
select
  rel.oid::int8,
  ns.nspname,
  rel.relname,
  rel.relkind in ('v', 'm'),
  rel.relkind in ('r', 'p'),
  case when rel.relkind in ('v', 'f') then pg_relation_is_updatable(rel.oid, true) else 0 end,
  obj_description(rel.oid, 'pg_class')
from pg_class rel
join pg_namespace ns on ns.oid = rel.relnamespace
where ns.nspname = any(%(schemas)s)
  and rel.relkind in ('r', 'p', 'v', 'm', 'f')
  and not rel.relispartition
order by ns.nspname, rel.relname
"""
"""Bits of `pg_relation_is_updatable`: 4 update, 8 insert, 16 delete; triggers count."""

INSERT, UPDATE, DELETE = 8, 4, 16

COLUMNS = """
with recursive base (domain, type) as (
  select oid, typbasetype from pg_type where typtype = 'd'
  union all
  select base.domain, inner_domain.typbasetype
  from base
  join pg_type inner_domain on inner_domain.oid = base.type and inner_domain.typtype = 'd'
),
bottom as (
  select base.domain, under.oid as type, under.typnamespace
  from base
  join pg_type under on under.oid = base.type and under.typtype <> 'd'
)
select
  col.attrelid::int8,
  col.attname,
  case
    when coalesce(bottom.typnamespace, typ.typnamespace) = 'pg_catalog'::regnamespace
      then format_type(coalesce(bottom.type, typ.oid), null)
    else format_type(col.atttypid, col.atttypmod)
  end,
  format_type(col.atttypid, col.atttypmod),
  not (col.attnotnull or (typ.typtype = 'd' and typ.typnotnull)),
  case
    when col.attidentity = 'd' then (
      select format('nextval(%%L)', dep.objid::regclass)
      from pg_depend dep
      join pg_class seq on seq.oid = dep.objid and seq.relkind = 'S'
      where dep.classid = 'pg_class'::regclass and dep.refclassid = 'pg_class'::regclass
        and dep.refobjid = col.attrelid and dep.refobjsubid = col.attnum and dep.deptype = 'i'
      limit 1
    )
    when col.attgenerated <> '' then null
    when def.adbin is not null then pg_get_expr(def.adbin, def.adrelid)
    when typ.typtype = 'd' then pg_get_expr(typ.typdefaultbin, 0)
  end,
  case
    when typ.typtype = 'd' and typ.typbasetype in (1042, 1043) then nullif(typ.typtypmod, -1) - 4
    when typ.typtype = 'd' and typ.typbasetype in (1560, 1562) then nullif(typ.typtypmod, -1)
    when typ.oid in (1042, 1043) then nullif(col.atttypmod, -1) - 4
    when typ.oid in (1560, 1562) then nullif(col.atttypmod, -1)
  end,
  case when exists (select from pg_enum where enumtypid = coalesce(bottom.type, typ.oid)) then
    (
      select array_agg(enumlabel::text order by enumsortorder)
      from pg_enum
      where enumtypid = coalesce(bottom.type, typ.oid)
    )
  end,
  col_description(col.attrelid, col.attnum)
from pg_attribute col
join pg_class rel on rel.oid = col.attrelid
join pg_namespace ns on ns.oid = rel.relnamespace
join pg_type typ on typ.oid = col.atttypid
left join bottom on bottom.domain = typ.oid
left join pg_attrdef def on def.adrelid = col.attrelid and def.adnum = col.attnum
where ns.nspname = any(%(schemas)s)
  and rel.relkind in ('r', 'p', 'v', 'm', 'f')
  and not rel.relispartition
  and col.attnum > 0
  and not col.attisdropped
order by col.attrelid, col.attnum
"""
"""1042 char, 1043 varchar (lengths are stored with 4 more), 1560 bit, 1562 bit varying."""


async def read_tables(cursor: AsyncCursor[TableRow], schemas: list[str]) -> dict[Name, Table]:
    """Return the relations of `schemas`, without their keys."""
    await cursor.execute(COLUMNS, {"schemas": schemas})
    columns: dict[int, dict[str, Column]] = defaultdict(dict)
    for relation, *rest in await cursor.fetchall():
        column = _column(*rest)
        columns[relation][column.name] = column
    await cursor.execute(RELATIONS, {"schemas": schemas})
    tables = [_table(columns.get(row[0], {}), *row[1:]) for row in await cursor.fetchall()]
    return {table.name: table for table in tables}


def _table(
    columns: dict[str, Column],
    schema: str,
    name: str,
    is_view: bool,
    is_table: bool,
    abilities: int,
    description: str | None,
) -> Table:
    return Table(
        name=Name(schema, name),
        columns=columns,
        is_view=is_view,
        insertable=is_table or bool(abilities & INSERT),
        updatable=is_table or bool(abilities & UPDATE),
        deletable=is_table or bool(abilities & DELETE),
        description=description,
    )


def _column(
    name: str,
    type_name: str,
    nominal_type: str,
    nullable: bool,
    default: str | None,
    max_length: int | None,
    labels: list[str] | None,
    description: str | None,
) -> Column:
    return Column(
        name=name,
        type=type_name,
        nominal_type=nominal_type,
        nullable=nullable,
        default=default,
        max_length=max_length,
        enum=tuple(labels or ()),
        description=description,
    )
