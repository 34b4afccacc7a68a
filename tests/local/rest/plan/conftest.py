"""A database with rows in it, and a way to plan a request and run its statement there."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.adapt import Buffer, Loader
from psycopg.conninfo import make_conninfo

from aerodb.local.rest.catalog import Catalog
from aerodb.local.rest.catalog_load import load_catalog
from aerodb.local.rest.plan import Statement, plan_request
from aerodb.local.rest.request import HttpRequest, parse_request
from aerodb.local.settings import RestSettings

SETTINGS = RestSettings(
    db_schemas=("api",),
    db_extra_search_path=(),
    db_plan_enabled=True,
    db_aggregates_enabled=True,
)


class _RawLoader(Loader):
    def load(self, data: Buffer) -> bytes:
        return bytes(data)


@dataclass(frozen=True)
class Answer:
    """The one row of a statement, by the names of its columns."""

    total_result_set: int | None
    page_total: int
    header: list[Any]
    body: bytes
    response_headers: bytes | None
    response_status: bytes | None
    response_inserted: bytes | None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Shop:
    """Plans requests against the shop, and runs them without leaving a trace."""

    url: str
    catalog: Catalog = field(repr=False)
    settings: RestSettings = field(default=SETTINGS)

    def plan(
        self,
        target: str,
        method: str = "GET",
        body: str | bytes = b"",
        settings: RestSettings | None = None,
        **headers: str,
    ) -> Statement:
        path, _, query = target.partition("?")
        named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        raw = body.encode() if isinstance(body, str) else body
        settings = settings or self.settings
        request = parse_request(HttpRequest(method, path, query.encode(), named, raw), settings)
        return plan_request(request, self.catalog, settings)

    def run(self, target: str, method: str = "GET", body: str | bytes = b"", **more: Any) -> Answer:
        return self.execute(self.plan(target, method, body, **more))

    def execute(self, statement: Statement) -> Answer:
        (row,) = self.rows(statement.sql, statement.params, read_only=statement.read_only)
        return Answer(**row)

    def rows(
        self, text: str, params: tuple[object, ...], *, read_only: bool = True
    ) -> list[dict[str, Any]]:
        with psycopg.connect(self.url) as connection:
            connection.read_only = read_only
            for name in ("json", "jsonb", "text"):
                connection.adapters.register_loader(name, _RawLoader)
            connection.execute("set local search_path = api")
            cursor = connection.cursor(row_factory=psycopg.rows.dict_row)
            found = cursor.execute(text, params).fetchall()  # type: ignore[call-overload]
            connection.rollback()
            return found


@pytest.fixture(scope="session")
def shop(database_url: str) -> Iterator[Shop]:
    """A new database with `shop.sql` in it, and its catalog."""
    server = database_url
    name = f"rest_shop_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        url = make_conninfo(server, dbname=name)
        try:
            with psycopg.connect(url, autocommit=True) as inside:
                inside.execute((Path(__file__).parent / "shop.sql").read_bytes())
            yield Shop(url, asyncio.run(_load(url)))
        finally:
            drop = sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
            connection.execute(drop)


async def _load(url: str) -> Catalog:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await load_catalog(connection, SETTINGS)
