"""A database of its own for the tests that need a real PostgreSQL, and the catalog read from it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from aerodb.local.rest.catalog import Catalog
from aerodb.local.rest.catalog_load import load_catalog
from aerodb.local.settings import RestSettings

HERE = Path(__file__).parent
LIBRARY_SETTINGS = RestSettings(db_schemas=("api",), db_extra_search_path=("public", "hidden"))


@pytest.fixture(scope="session")
def library_url(database_url: str) -> Iterator[str]:
    """A new database with `library.sql` in it."""
    server = database_url
    name = f"rest_library_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        url = make_conninfo(server, dbname=name)
        try:
            with psycopg.connect(url, autocommit=True) as inside:
                inside.execute((HERE / "library.sql").read_bytes())
            yield url
        finally:
            drop = sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
            connection.execute(drop)


async def load(url: str, settings: RestSettings) -> Catalog:
    """Read the catalog of the database at `url`."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await load_catalog(connection, settings)


@pytest.fixture(scope="session")
def library(library_url: str) -> Catalog:
    """The catalog of the library, read with the schema `api` exposed and `hidden` not."""
    return asyncio.run(load(library_url, LIBRARY_SETTINGS))
