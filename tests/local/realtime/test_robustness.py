"""What no subscriber, no schema and no frame may do to the feed (reliability C6, C8)."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from websockets.exceptions import InvalidStatus

from aerodb import AsyncAeroDBClient, ClientOptions, GapNotice
from aerodb.local import LocalServer
from aerodb.local.protocol import BoundedProtocol
from aerodb.local.realtime.delivery import Delivery

from .conftest import HANG, bound, call, settle, socket_to

Owner = psycopg.Connection[Any]


async def test_a_socket_outlives_the_time_that_a_body_may_take(
    rt_server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedProtocol, "body_seconds", 0.2)
    async with socket_to(rt_server) as quiet, socket_to(rt_server) as busy:
        for _ in range(10):
            await busy.nothing_more()
            await asyncio.sleep(0.1)
        await quiet.nothing_more()


async def test_a_column_that_is_filtered_by_can_be_dropped(
    rt_server: LocalServer, empty: Owner
) -> None:
    empty.execute("create table shrinking (id int primary key, a text, b text)")
    try:
        async with socket_to(rt_server) as one, socket_to(rt_server) as other:
            await one.join("a", postgres_changes=[bound("*", "shrinking", "a=eq.x")])
            await one.join("b", postgres_changes=[bound("*", "shrinking", "b=eq.x")])
            await other.join("posts")
            empty.execute("alter table shrinking drop column a")
            empty.execute("insert into shrinking values (1, 'x')")
            ended = await one.until("error")
            assert (ended["channel"], ended["code"]) == ("a", "invalid_filter")
            assert ended["retryable"] is False
            assert (await one.until("event"))["channel"] == "b"
            empty.execute("alter table shrinking rename column b to c")
            empty.execute("insert into shrinking values (2, 'x')")
            ended = await one.until("error")
            assert (ended["channel"], ended["code"]) == ("b", "invalid_filter")
            empty.execute("insert into posts (id) values (1)")
            assert (await other.until("event"))["n"] == 1
        assert call(rt_server, "GET", "/health").json()["services"]["realtime"] == "ok"
    finally:
        empty.execute("drop table shrinking")


async def test_a_column_that_is_filtered_by_can_get_another_type(
    rt_server: LocalServer, empty: Owner
) -> None:
    """Only who can be served no more loses the channel."""
    empty.execute("create table changing (id int primary key, a text)")
    try:
        async with socket_to(rt_server) as socket:
            await socket.join("x", postgres_changes=[bound("*", "changing", "a=eq.x")])
            await socket.join("1", postgres_changes=[bound("*", "changing", "a=eq.1")])
            empty.execute("alter table changing alter a type int using 1")
            empty.execute("insert into changing values (1, 1)")
            ended = await socket.until("error")
            assert (ended["channel"], ended["code"]) == ("x", "invalid_filter")
            event = await socket.until("event")
            assert (event["channel"], event["payload"]["new"]) == ("1", {"id": 1, "a": 1})
    finally:
        empty.execute("drop table changing")


async def test_columns_of_any_name(rt_server: LocalServer, empty: Owner) -> None:
    """Names that mean something to the trigger, and to whoever builds the statements."""
    names = ["n", "o", "whole", "target", "one", "told", "nth", "kind", "tg_op", "new_rows", "a%s"]
    empty.execute("create type place as (street text, zip int)")
    columns = ", ".join(f'"{name}" place' for name in names)
    table = '"odd %s table"'
    empty.execute(f'create table {table} ("100%" int primary key, {columns})'.encode())
    empty.execute(f"alter table {table} enable row level security".encode())
    empty.execute(f'create policy p on {table} using ("100%" < 10)'.encode())
    row = {"100%": 1, **dict.fromkeys(names), "n": {"street": "s", "zip": 1}}
    try:
        async with socket_to(rt_server) as socket:
            wanted = [bound("*", "odd %s table", '"100%"=eq.1'), bound("*", "odd %s table")]
            await socket.join("x", postgres_changes=wanted)
            empty.execute(
                f"insert into {table} (\"100%\", n) values (99, null), (1, ('s', 1))".encode()
            )
            assert (await socket.until("event"))["payload"]["new"] == row
            empty.execute(f'update {table} set whole = n where "100%" = 1'.encode())
            event = await socket.until("event")
            assert event["payload"]["new"] == {**row, "whole": row["n"]}
            assert event["payload"]["old"] == {"100%": 1}
            assert event["bindings"] == [1, 2]
            empty.execute(f'delete from {table} where "100%" = 1'.encode())
            event = await socket.until("event")
            assert (event["payload"]["old"], event["n"]) == ({"100%": 1}, 3)
    finally:
        empty.execute(f"drop table {table}; drop type place".encode())


async def test_a_truncate_is_told_once_and_says_where(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("events")
        empty.execute("truncate events")
        empty.execute("insert into events values (1, '2025-01-01', 'x')")
        told = await socket.until("system")
        assert told["event"] == "truncate"
        event = await socket.until("event")
        assert told["seq"] == told["details"]["seq"] < event["seq"]


async def test_a_truncate_of_many_partitions_is_logged_once(
    rt_server: LocalServer, empty: Owner
) -> None:
    parts = 40
    with empty.transaction():
        empty.execute("create table many (id int primary key) partition by range (id)")
        for n in range(parts):
            empty.execute(
                f"create table many_{n} partition of many for values from ({n}) to ({n + 1})"
                .encode()
            )  # fmt: skip
    try:
        async with socket_to(rt_server) as socket:
            await socket.join("many")
            empty.execute("truncate many")
            empty.execute("insert into many values (1)")
            assert (await socket.until("system"))["event"] == "truncate"
            event = await socket.until("event")
            row = empty.execute(
                "select count(*) from aerodb_internal.realtime_changes where kind = 'TRUNCATE' "
                "and relation = 'many'::regclass"
            ).fetchone()
            assert row == (1,)
            assert event["payload"]["new"] == {"id": 1}
            with empty.transaction():
                empty.execute("truncate many")
                empty.execute("insert into many values (2)")
                empty.execute("truncate many")
            await socket.until("system")
            await socket.until("event")
            await socket.until("system")
            await socket.nothing_more(settle(rt_server, empty))
    finally:
        empty.execute("drop table many")


async def test_a_row_whose_policy_fails_loses_no_other(
    rt_server: LocalServer, empty: Owner
) -> None:
    empty.execute("create table fractions (id int primary key, by int)")
    empty.execute("alter table fractions enable row level security")
    empty.execute("create policy p on fractions using (1 / by is not null)")
    try:
        async with socket_to(rt_server) as socket:
            await socket.join("fractions")
            empty.execute("insert into fractions select n, n - 50 from generate_series(49, 99) n")
            found = await socket.events(50)
            assert [e["payload"]["new"]["id"] for e in found] == [49, *range(51, 100)]
            assert sum(e.get("dropped", 0) for e in found) == 1
    finally:
        empty.execute("drop table fractions")


async def test_a_feed_that_fails_goes_on_and_nothing_is_lost(
    rt_server: LocalServer, empty: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it was: subscribers are sent away, come back and resume."""
    async with socket_to(rt_server) as socket:
        ack = await socket.join("posts")

        async def fail(*_: Any) -> None:
            monkeypatch.undo()
            raise LookupError("nobody has foreseen this")

        monkeypatch.setattr(Delivery, "deliver", fail)
        empty.execute("insert into posts (id) values (1)")
        assert await socket.closed() == 1012
    async with socket_to(rt_server) as socket:
        resume = {"epoch": ack["epoch"], "since": ack["seq"]}
        assert (await socket.join("posts", resume=resume))["resume"] == "ok"
        empty.execute("insert into posts (id) values (2)")
        found = await socket.events(2)
        assert [e["payload"]["new"]["id"] for e in found] == [1, 2]


async def test_a_table_that_is_made_anew_is_joined_anew(
    rt_server: LocalServer, empty: Owner
) -> None:
    """As migrations do it. Who subscribes by name means the table that has the name."""
    empty.execute("create table remade (id int primary key)")
    options = ClientOptions(trust_env=False)
    try:
        async with (
            socket_to(rt_server) as socket,
            AsyncAeroDBClient(rt_server.url, rt_server.anon_key, options=options) as client,
        ):
            channel = client.channel("remade")
            (await channel.subscribe()).unwrap()
            await socket.join("remade")
            empty.execute("drop table remade")
            empty.execute("create table remade (id int primary key, body text)")
            told = await socket.until("system")
            assert (told["event"], told["channel"]) == ("truncate", "remade")
            ended = await socket.until("error")
            assert (ended["code"], ended["retryable"]) == ("service_unavailable", True)
            (gap,) = (await channel.collect(1, timeout=HANG)).unwrap()
            assert isinstance(gap, GapNotice)
            await socket.join("remade")
            empty.execute("insert into remade values (1, 'x')")
            assert (await socket.until("event"))["payload"]["new"]["body"] == "x"
            found: Any = gap
            while isinstance(found, GapNotice):
                (found,) = (await channel.collect(1, timeout=HANG)).unwrap()
                if isinstance(found, GapNotice):
                    empty.execute("insert into remade select max(id) + 1, 'x' from remade")
            assert found["new"]["body"] == "x"
    finally:
        empty.execute("drop table remade")


@pytest.mark.parametrize("how", ["drop table gone", "alter table gone rename to other"])
async def test_a_table_that_is_gone_ends_the_channel(
    rt_server: LocalServer, empty: Owner, how: str
) -> None:
    empty.execute("create table gone (id int primary key)")
    try:
        async with socket_to(rt_server) as socket:
            await socket.join("gone")
            empty.execute(how.encode())
            ended = await socket.until("error")
            assert (ended["channel"], ended["code"]) == ("gone", "invalid_channel")
    finally:
        empty.execute("drop table if exists gone, other")


async def test_a_frame_that_is_no_text_ends_the_connection_quietly(
    rt_server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with socket_to(rt_server) as socket:
        await socket.connection.send(b"\xff\xfe", text=True)
        assert await socket.closed() == 1007
    assert not caplog.records


async def test_a_refused_handshake_is_no_error_of_the_server(
    rt_server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with socket_to(rt_server, key="wrong"):
            pass
    assert refused.value.response.status_code == 401
    # One more request: the server is through with the first.
    call(rt_server, "GET", "/health")
    assert not [r for r in caplog.records if r.name.startswith("uvicorn")]


async def test_anybody_may_notify_and_nothing_comes_of_it(
    rt_server: LocalServer, empty: Owner
) -> None:
    """Every role of the database can: no word of it may hold up the feed, or end it."""
    async with socket_to(rt_server) as socket:
        await socket.join("posts")
        for channel in ("aerodb_realtime_commits", "aerodb_realtime_peers", "pgrst"):
            for word in ("", "nonsense", "-1", "٣", "9" * 30, "18446744073709551615", "[]", "{}"):
                empty.execute("select pg_notify(%s, %s)", [channel, word])
        for told in ('{"from": 5}', '{"from": "x", "mail": {}}', '{"from": null, "kind": []}'):
            empty.execute("select pg_notify('aerodb_realtime_peers', %s)", [told])
        empty.execute("insert into posts (id) values (1)")
        assert (await socket.until("event"))["n"] == 1
