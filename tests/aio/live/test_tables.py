# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""`client.tables()`: what there is, as far as the caller may know (wire-contract §3.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from aerodb import Column, Table
from aerodb.aio import AeroDBClient
from aerodb.local import LocalServer

ODD = [
    "two words", 'say "hi"', "a.dot", "a,comma", "(round)", "Größe", "日本", "order", "50%", "a+b",
    "a&b=c", "a?b", "#1", "it's", "select", "*", "-", "🎈",
]  # fmt: skip
"""Names of tables that PostgreSQL takes, in quotes."""


@pytest.fixture(scope="module")
def bare() -> Iterator[LocalServer]:
    """An instance that nobody has made a table in."""
    with LocalServer(services=["rest"]) as running:
        yield running


@pytest.fixture
async def service(bare: LocalServer) -> AsyncIterator[AeroDBClient]:
    bare.execute_sql("drop schema public cascade; create schema public")
    bare.execute_sql("grant usage on schema public to anon, authenticated, service_role")
    async with AeroDBClient(bare.url, bare.service_key) as connected:
        yield connected


async def names(connected: Any) -> list[str]:
    return [table.name for table in (await connected.tables()).unwrap()]


async def settled(connected: Any, *wanted: str) -> list[Table]:
    """The tables, once the instance has noticed what was changed: it does so by itself."""
    tables: list[Table] = []
    for _ in range(2000):
        tables = (await connected.tables()).unwrap()
        if [table.name for table in tables] == sorted(wanted):
            break
    assert [table.name for table in tables] == sorted(wanted)
    return tables


def column(table: Table, name: str) -> Column:
    return next(one for one in table.columns if one.name == name)


async def test_a_table_is_described_as_the_database_has_it(client: AeroDBClient) -> None:
    tables = (await client.tables()).unwrap()
    users = next(one for one in tables if one.name == "users")
    assert users.writable
    assert column(users, "id").primary
    assert column(users, "name").nullable is False
    assert column(users, "name").optional is False
    assert column(users, "email").nullable
    assert [one.name for one in tables] == sorted(one.name for one in tables)
    shown = (await client.from_("users").select("*").limit(1).execute()).unwrap()
    assert [one.name for one in users.columns] == list(shown[0])


async def test_what_a_role_may_not_use_is_not_listed(
    client: AeroDBClient, anon: AeroDBClient
) -> None:
    assert "payroll" in await names(client)
    assert "payroll" not in await names(anon)
    assert "documents" in await names(anon)  # row-level security hides rows, not the table


async def test_a_key_that_is_not_taken_lists_nothing(server: LocalServer) -> None:
    async with AeroDBClient(server.url, "aero_pk_nobody") as stranger:
        response: Any = await stranger.tables()
    assert response.data is None
    assert response.error.status == 401


async def test_each_schema_has_its_own(client: AeroDBClient) -> None:
    assert await names(client.schema("archive")) == ["reports"]
    assert "reports" not in await names(client)


@pytest.mark.parametrize(
    ("schema", "code"), [("secret", "PGRST106"), ("größe", "INVALID_ARGUMENT")]
)
async def test_a_schema_that_is_not_there(client: AeroDBClient, schema: str, code: str) -> None:
    response: Any = await client.schema(schema).tables()
    assert response.data is None
    assert response.error.code == code


async def test_no_tables(service: AeroDBClient) -> None:
    assert await settled(service) == []


async def test_odd_names_are_those_that_from_takes(
    bare: LocalServer, service: AeroDBClient
) -> None:
    for name in ODD:
        quoted = name.replace('"', '""')
        bare.execute_sql(f'create table public."{quoted}" ("{quoted}" int)')
    for table in await settled(service, *ODD):
        assert [one.name for one in table.columns] == [table.name]
        (await service.from_(table.name).insert({table.name: 1}).execute()).unwrap()
        rows = (await service.from_(table.name).select("*").execute()).unwrap()
        assert rows == [{table.name: 1}]


async def test_names_that_no_path_can_hold_are_listed_and_refused(
    bare: LocalServer, service: AeroDBClient
) -> None:
    for name in ("a/b", "a\\b", "a\tb"):
        bare.execute_sql(f'create table public."{name}" (id int)')
    for table in await settled(service, "a/b", "a\\b", "a\tb"):
        response: Any = await service.from_(table.name).select("*").execute()
        assert response.error.code == "INVALID_ARGUMENT"


async def test_a_view_that_cannot_be_written(bare: LocalServer, service: AeroDBClient) -> None:
    bare.execute_sql("create view counted as select count(*) as n from pg_catalog.pg_class")
    (view,) = await settled(service, "counted")
    assert view.writable is False


async def test_it_is_asked_anew_each_time(bare: LocalServer, service: AeroDBClient) -> None:
    await settled(service)
    bare.execute_sql("create table later (id int); comment on table later is 'Made later.'")
    (table,) = await settled(service, "later")
    assert table.description == "Made later."
    bare.execute_sql("alter table later add column more text; create table sooner ()")
    first, second = await settled(service, "later", "sooner")
    assert [one.name for one in first.columns] == ["id", "more"]
    assert second == Table("sooner")
    bare.execute_sql("drop table later")
    await settled(service, "sooner")


async def test_a_data_frame_asks_again_for_a_table_that_is_new(
    bare: LocalServer, service: AeroDBClient
) -> None:
    """It remembers the description for as long as that knows its table; none is not remembered."""
    await settled(service)
    missing: Any = await service.from_("first").select("*").to_arrow()
    assert missing.error.code == "PGRST205"
    for name, kind, arrow in (("first", "int8", "int64"), ("second", "date", "date32[day]")):
        bare.execute_sql(f"create table {name} (n {kind})")
        async with AeroDBClient(bare.url, bare.service_key) as another:
            await settled(another, *("first", "second")[: 1 + (name == "second")])
        frame = (await service.from_(name).select("*").to_arrow()).unwrap()
        assert str(frame.schema.field("n").type) == arrow
