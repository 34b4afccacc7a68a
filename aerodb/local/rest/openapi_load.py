"""Reading what the OpenAPI description shows to the role of a request."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import Catalog
from aerodb.local.rest.catalog_routines import read_routines
from aerodb.local.rest.openapi import OpenApiParts
from aerodb.local.settings import RestSettings

ACCESSIBLE_TABLES = """
select rel.relname
from pg_catalog.pg_class rel
join pg_catalog.pg_namespace ns on ns.oid = rel.relnamespace
where ns.nspname = %(schema)s
  and rel.relkind in ('r', 'p', 'v', 'm', 'f')
  and not rel.relispartition
  and (
    pg_catalog.pg_has_role(rel.relowner, 'USAGE')
    or pg_catalog.has_table_privilege(
      rel.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'
    )
    or pg_catalog.has_any_column_privilege(rel.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
  )
"""

SCHEMA_DESCRIPTION = """
select pg_catalog.obj_description(oid, 'pg_namespace')
from pg_catalog.pg_namespace
where nspname = %(schema)s
"""


async def load_openapi_parts(
    connection: AsyncConnection[Any], catalog: Catalog, schema: str, settings: RestSettings
) -> OpenApiParts:
    """Return what to describe, within the request's transaction and under its role.

    `openapi-mode` decides: with `follow-privileges` only what the role may use, with
    `ignore-privileges` the whole schema. The caller answers `disabled` (PGRST126).
    """
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(SCHEMA_DESCRIPTION, {"schema": schema})
        row = await cursor.fetchone()
        description = row[0] if row else None
        tables = [one for one in catalog.tables.values() if one.name.schema == schema]
        if settings.openapi_mode == "ignore-privileges":
            routines = {n: found for n, found in catalog.routines.items() if n.schema == schema}
        else:
            await cursor.execute(ACCESSIBLE_TABLES, {"schema": schema})
            accessible = {Name(schema, name) for (name,) in await cursor.fetchall()}
            tables = [one for one in tables if one.name in accessible]
            routines = await read_routines(cursor, [schema], only_executable=True)
    every_routine = tuple(one for found in routines.values() for one in found)
    return OpenApiParts(tuple(tables), every_routine, description)
