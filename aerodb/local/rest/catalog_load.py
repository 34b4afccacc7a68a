"""Making a `Catalog` from the system catalog, in one transaction and a handful of statements."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from aerodb.local.rest.catalog import Catalog
from aerodb.local.rest.catalog_extras import (
    read_computed_relationships,
    read_media_handlers,
    read_representations,
    read_timezones,
)
from aerodb.local.rest.catalog_keys import read_foreign_keys, read_primary_keys, read_view_keys
from aerodb.local.rest.catalog_routines import read_routines
from aerodb.local.rest.catalog_tables import read_tables
from aerodb.local.rest.relationships import relationship_map, view_primary_keys
from aerodb.local.settings import RestSettings

# One picture for all statements; names printed with their schemas; no compiling of plans that run
# once.
_BEGIN = (
    "set transaction isolation level repeatable read, read only",
    "set local search_path to ''",
    "set local jit to off",
)


async def load_catalog(connection: AsyncConnection[Any], settings: RestSettings) -> Catalog:
    """Read what the exposed schemas offer. `connection` must be idle: a transaction is opened.

    Schemas that do not exist (yet) are passed over, so that an instance can start before its
    migrations have run.
    """
    schemas = list(settings.db_schemas)
    extra = list(settings.db_extra_search_path)
    async with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        for statement in _BEGIN:
            await cursor.execute(statement)
        tables = await read_tables(cursor, schemas)
        primary_keys = await read_primary_keys(cursor)
        foreign_keys = await read_foreign_keys(cursor)
        view_keys = await read_view_keys(cursor, schemas, extra)
        routines = await read_routines(cursor, schemas, settings.db_hoisted_tx_settings)
        computed = await read_computed_relationships(cursor, schemas)
        representations = await read_representations(cursor)
        media_handlers = await read_media_handlers(cursor, schemas)
        timezones = await read_timezones(cursor) if settings.db_timezone_enabled else frozenset()
    # A table's own key and what a view shows of others cannot meet: only tables have constraints.
    keys = primary_keys | view_primary_keys(view_keys)
    return Catalog(
        tables={name: replace(one, primary_key=keys.get(name, ())) for name, one in tables.items()},
        relationships=relationship_map(foreign_keys, view_keys, computed, keys, schemas),
        routines=routines,
        representations=representations,
        media_handlers=media_handlers,
        timezones=timezones,
        server_version=connection.info.server_version,
    )
