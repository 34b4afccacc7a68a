"""What other clients of the dialect rely on, asked of a whole server over a foreign database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from aerodb.local import LocalServer

SCHEMA = """
create schema harbour;
create table harbour.piers (name text primary key);
create table harbour.boats (
  id int primary key,
  pier text references harbour.piers
);
insert into harbour.piers values ('east'), ('north'), ('west');
insert into harbour.boats
  select n, (array['east', 'east', 'north'])[n % 3 + 1] from generate_series(1, 9) n;
grant usage on schema harbour to {anon};
grant select on all tables in schema harbour to {anon};
"""


@pytest.fixture(scope="module")
def harbour(database_url: str) -> Iterator[httpx.Client]:
    """A server over a database of its own that gives at most four rows at any level."""
    mark = uuid.uuid4().hex[:12]
    name, anon = f"rest_harbour_{mark}", f"guest_{mark}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create role {}").format(sql.Identifier(anon)))
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        url = make_conninfo(database_url, dbname=name)
        try:
            with psycopg.connect(url, autocommit=True) as inside:
                inside.execute(sql.SQL(SCHEMA).format(anon=sql.Identifier(anon)))
            server = LocalServer(
                database_url=url, db_schemas="harbour", db_anon_role=anon, db_max_rows=4
            )
            with (
                server,
                httpx.Client(base_url=f"{server.url}/rest/v1", trust_env=False) as client,
            ):
                yield client
        finally:
            drop = sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
            connection.execute(drop)
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(anon)))


@pytest.mark.parametrize(
    ("query", "boats"),
    [
        ("limit=1", [1, 3, 4, 6]),
        ("limit=1&boats.limit=3", [1, 3, 4]),
        ("limit=1&boats.offset=2", [4, 6, 7, 9]),
        ("limit=1&boats.limit=7", [1, 3, 4, 6]),
        ("", [1, 3, 4, 6]),
    ],
)
def test_the_page_of_the_root_is_not_that_of_an_embed(
    harbour: httpx.Client, query: str, boats: list[int]
) -> None:
    """Under `db-max-rows` too, which bounds every level."""
    select = "select=boats(id)&boats.order=id&name=eq.east"
    answer = harbour.get(f"/piers?{select}&{query}")
    assert answer.json() == [{"boats": [{"id": number} for number in boats]}]


def test_the_offset_of_the_root_is_not_that_of_an_embed(harbour: httpx.Client) -> None:
    select = "select=name,boats(id)&boats.order=id&order=name"
    answer = harbour.get(f"/piers?{select}&offset=1&limit=1")
    assert answer.json() == [{"name": "north", "boats": [{"id": n} for n in (2, 5, 8)]}]
