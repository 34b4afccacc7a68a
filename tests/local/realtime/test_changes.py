"""Changes of tables become events (wire contract §4.2, §4.3, §4.7)."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from aerodb.local import LocalServer

from .conftest import bound, settle, socket_to

Owner = psycopg.Connection[Any]


async def test_the_welcome_says_what_there_is(rt_server: LocalServer) -> None:
    async with socket_to(rt_server) as socket:
        told = socket.welcome["payload"]
        assert told["role"] == "anon"
        assert told["expires_at"] is None
        assert told["heartbeat_ms"] == 30_000
        assert {"realtime.auth", "realtime.resume", "realtime.presence"} <= set(told["features"])
        assert isinstance(told["seq"], int)
        assert told["connection_id"]
        assert told["epoch"]


async def test_the_minimal_frame_subscribes_to_the_table(
    rt_server: LocalServer, empty: Owner
) -> None:
    async with socket_to(rt_server) as socket:
        await socket.connection.send('{"type":"subscribe","channel":"posts"}')
        ack = await socket.until("subscribed")
        assert ack["bindings"] == [
            {"id": 1, "event": "*", "schema": "public", "table": "posts", "filter": None}
        ]
        assert (ack["resume"], "ref" in ack) == ("none", False)
        empty.execute(
            "insert into posts (id, title, tags, data, price) values "
            "(1, 'Über\n\"x\"', '{a,b}', '{\"k\": [1]}', 12345678901234567890.10)"
        )
        event = await socket.until("event")
        assert event["channel"] == "posts"
        assert event["seq"] > ack["seq"]
        assert (event["n"], event["bindings"]) == (1, [1])
        payload = event["payload"]
        assert (payload["type"], payload["schema"], payload["table"]) == (
            "INSERT",
            "public",
            "posts",
        )
        assert payload["new"]["title"] == 'Über\n"x"'
        assert payload["new"]["tags"] == ["a", "b"]
        assert payload["new"]["data"] == {"k": [1]}
        assert payload["old"] is None
        assert payload["commit_timestamp"].endswith("Z")


async def test_numbers_keep_their_digits(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("posts")
        empty.execute("insert into posts (id, price) values (9007199254740993, 0.10)")
        text = await socket.connection.recv()
        assert isinstance(text, str)
        assert '"id":9007199254740993' in text
        assert '"price":0.10' in text


async def test_updates_and_deletes_tell_the_key_of_the_old_row(
    rt_server: LocalServer, empty: Owner
) -> None:
    empty.execute("insert into posts (id, title) values (1, 'a'), (2, 'b')")
    settle(rt_server, empty)
    async with socket_to(rt_server) as socket:
        await socket.join("posts")
        empty.execute("update posts set id = id + 10, title = 'c'")
        empty.execute("delete from posts where id = 11")
        first, second, third = await socket.events(3)
        assert [e["payload"]["old"] for e in (first, second)] == [{"id": 1}, {"id": 2}]
        assert [e["payload"]["new"]["id"] for e in (first, second)] == [11, 12]
        assert third["payload"]["type"] == "DELETE"
        assert (third["payload"]["new"], third["payload"]["old"]) == (None, {"id": 11})
        assert [e["n"] for e in (first, second, third)] == [1, 2, 3]
        assert first["seq"] < second["seq"] < third["seq"]


async def test_full_identity_tells_the_whole_old_row(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("whole")
        empty.execute("insert into whole values (1, 'a')")
        empty.execute("update whole set body = 'b'")
        empty.execute("delete from whole")
        _, updated, deleted = await socket.events(3)
        assert updated["payload"]["old"] == {"id": 1, "body": "a"}
        assert deleted["payload"]["old"] == {"id": 1, "body": "b"}


async def test_a_composite_key(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("pairs")
        empty.execute("insert into pairs values (1, 'x', 'body')")
        empty.execute("delete from pairs")
        _, deleted = await socket.events(2)
        assert deleted["payload"]["old"] == {"a": 1, "b": "x"}


async def test_a_table_without_a_key(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("logs")
        empty.execute("insert into logs (line) values ('a')")
        empty.execute("delete from logs")
        inserted, deleted = await socket.events(2)
        assert inserted["payload"]["new"]["line"] == "a"
        assert deleted["payload"]["old"] == {}


async def test_what_partitions_hold_are_rows_of_the_table(
    rt_server: LocalServer, empty: Owner
) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("events")
        empty.execute(
            "insert into events values (1, '2010-01-01', 'old'), (2, '2030-01-01', 'new')"
        )
        empty.execute("insert into events_old values (3, '2011-01-01', 'straight')")
        empty.execute("update events set day = '2031-01-01' where id = 1")
        found = await socket.events(4)
        assert {e["payload"]["table"] for e in found} == {"events"}
        assert [e["payload"]["new"]["id"] for e in found] == [1, 2, 3, 1]
        assert found[3]["payload"]["type"] == "UPDATE"
        assert found[3]["payload"]["old"] == {"id": 1, "day": "2010-01-01"}
        assert found[3]["payload"]["new"]["day"] == "2031-01-01"


async def test_upsert_and_cascades_and_functions(rt_server: LocalServer, empty: Owner) -> None:
    empty.execute("insert into posts (id, title) values (1, 'a')")
    settle(rt_server, empty)
    async with socket_to(rt_server) as socket:
        await socket.join("posts")
        empty.execute(
            "insert into posts (id, title) values (1, 'b'), (2, 'c') "
            "on conflict (id) do update set title = excluded.title"
        )
        kinds = sorted(
            (e["payload"]["type"], e["payload"]["new"]["id"]) for e in await socket.events(2)
        )
        assert kinds == [("INSERT", 2), ("UPDATE", 1)]


async def test_events_that_nobody_asked_for_are_not_sent(
    rt_server: LocalServer, empty: Owner
) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("mine", postgres_changes=[bound("DELETE", "posts")])
        empty.execute("insert into posts (id) values (1)")
        empty.execute("update posts set likes = 1")
        empty.execute("delete from posts")
        event = await socket.until("event")
        assert (event["payload"]["type"], event["n"], event["bindings"]) == ("DELETE", 1, [1])


async def test_one_frame_lists_all_bindings_that_match(
    rt_server: LocalServer, empty: Owner
) -> None:
    async with socket_to(rt_server) as socket:
        ack = await socket.join(
            "mine",
            postgres_changes=[
                bound("INSERT", "posts"),
                bound("*", "posts", "likes=gt.5"),
                bound("*", "pairs"),
                bound("*", "*"),
            ],
        )
        assert [b["id"] for b in ack["bindings"]] == [1, 2, 3, 4]
        empty.execute("insert into posts (id, likes) values (1, 0), (2, 9)")
        empty.execute("insert into pairs values (1, 'x')")
        found = await socket.events(3)
        assert [e["bindings"] for e in found] == [[1, 4], [1, 2, 4], [3, 4]]


async def test_each_channel_gets_its_own_frame(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("posts")
        await socket.join("again", postgres_changes=[bound("*", "posts")])
        empty.execute("insert into posts (id) values (1)")
        first, second = await socket.events(2)
        assert {first["channel"], second["channel"]} == {"posts", "again"}
        assert first["seq"] == second["seq"]


async def test_a_whole_schema_and_tables_that_come_later(
    rt_server: LocalServer, empty: Owner
) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("all", postgres_changes=[{"event": "*", "schema": "api"}])
        empty.execute("insert into api.things values (1, 'a')")
        empty.execute(
            "create table api.later (id int primary key); insert into api.later values (7)"
        )
        empty.execute("insert into posts (id) values (1)")
        found = await socket.events(2)
        assert [e["payload"]["table"] for e in found] == ["things", "later"]
        await socket.nothing_more(settle(rt_server, empty))
        empty.execute("drop table api.later")


async def test_other_schemas_by_name(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        ack = await socket.join("api.things")
        assert ack["bindings"][0]["schema"] == "api"
        empty.execute("insert into api.things values (1, 'a')")
        assert (await socket.until("event"))["payload"]["schema"] == "api"


@pytest.mark.parametrize(
    "channel", ["room", "secrets", "titles", "aerodb_internal.keys", "events_old"]
)
async def test_a_channel_that_is_no_readable_table_is_a_room(
    rt_server: LocalServer, channel: str
) -> None:
    async with socket_to(rt_server) as socket:
        assert (await socket.join(channel))["bindings"] == []


async def test_an_empty_list_asks_for_no_changes(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        assert (await socket.join("posts", postgres_changes=[]))["bindings"] == []
        empty.execute("insert into posts (id) values (1)")
        await socket.nothing_more(settle(rt_server, empty))


async def test_truncate_is_told(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("posts")
        empty.execute("insert into posts (id) values (1)")
        empty.execute("truncate posts")
        empty.execute("insert into posts (id) values (2)")
        await socket.until("event")
        notice = await socket.until("system")
        assert (notice["event"], notice["channel"]) == ("truncate", "posts")
        assert notice["details"]["table"] == "posts"
        assert (await socket.until("event"))["payload"]["new"]["id"] == 2


async def test_a_row_that_is_too_large_is_told_by_its_key(
    rt_server: LocalServer, empty: Owner
) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("posts")
        empty.execute("insert into posts (id, title) values (1, repeat('x', 600 * 1024))")
        empty.execute("insert into posts (id, title) values (2, repeat('x', 400 * 1024))")
        large, small = await socket.events(2)
        assert large["payload"]["errors"] == ["payload_too_large"]
        assert large["payload"]["new"] == {"id": 1}
        assert "errors" not in small["payload"]
        assert len(small["payload"]["new"]["title"]) == 400 * 1024


async def test_two_rows_that_do_not_fit_into_one_frame(
    rt_server: LocalServer, empty: Owner
) -> None:
    """Each of them may be told, both together would end the connection of a client."""
    async with socket_to(rt_server, max_size=1024 * 1024) as socket:
        await socket.join("whole", postgres_changes=[bound("*", "whole", "body=like.x*")])
        empty.execute("insert into whole values (1, repeat('x', 524200))")
        await socket.until("event")
        empty.execute("update whole set body = 'x' || body")
        payload = (await socket.until("event"))["payload"]
        assert (len(payload["new"]["body"]), payload["old"]) == (524201, {"id": 1})
        assert payload["errors"] == ["payload_too_large"]
        empty.execute("update whole set body = 'x'")
        payload = (await socket.until("event"))["payload"]
        assert (payload["new"]["body"], len(payload["old"]["body"])) == ("x", 524201)
        assert "errors" not in payload


async def test_leaving_and_joining_again(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("posts")
        await socket.send("unsubscribe", channel="posts", ref="u")
        assert await socket.receive() == {"type": "unsubscribed", "channel": "posts", "ref": "u"}
        empty.execute("insert into posts (id) values (1)")
        await socket.nothing_more(settle(rt_server, empty))
        await socket.join("posts")
        empty.execute("insert into posts (id) values (2)")
        event = await socket.until("event")
        assert (event["payload"]["new"]["id"], event["n"]) == (2, 1)


async def test_a_second_subscribe_takes_the_place_of_the_first(
    rt_server: LocalServer, empty: Owner
) -> None:
    async with socket_to(rt_server) as socket:
        first = await socket.join("mine", postgres_changes=[bound("*", "posts")])
        second = await socket.join("mine", postgres_changes=[bound("*", "pairs")])
        assert first["subscription_id"] != second["subscription_id"]
        empty.execute("insert into posts (id) values (1)")
        empty.execute("insert into pairs values (1, 'x')")
        event = await socket.until("event")
        assert (event["payload"]["table"], event["n"]) == ("pairs", 1)


async def test_what_is_taken_back_is_never_told(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("posts")
        with empty.transaction(force_rollback=True):
            empty.execute("insert into posts (id) values (1)")
        with empty.transaction():
            empty.execute("insert into posts (id) values (2)")
            with empty.transaction(force_rollback=True):
                empty.execute("insert into posts (id) values (3)")
            empty.execute("insert into posts (id) values (4)")
        found = await socket.events(2)
        assert [e["payload"]["new"]["id"] for e in found] == [2, 4]
        await socket.nothing_more(settle(rt_server, empty))


async def test_nothing_is_logged_that_nobody_subscribed_to() -> None:
    with LocalServer(schema=["create table t (id int primary key)"]) as server:
        server.execute_sql("insert into t values (1)")
        count = "select count(*) as n from aerodb_internal.realtime_changes"
        assert server.execute_sql(count)[0]["n"] == 0
        async with socket_to(server) as socket:
            await socket.join("t")
            server.execute_sql("insert into t values (2)")
            assert (await socket.until("event"))["payload"]["new"] == {"id": 2}
        rows = server.execute_sql("select kind from aerodb_internal.realtime_changes order by id")
        assert [row["kind"] for row in rows] == ["WATCH", "INSERT"]


async def test_writing_never_fails_because_of_realtime(
    rt_server: LocalServer, empty: Owner
) -> None:
    """A type whose way to JSON fails: the statement stands, and the loss is told."""
    empty.execute("create type odd as enum ('a')")
    empty.execute(
        "create function odd_json(odd) returns json language plpgsql as "
        "$$ begin raise exception 'no'; end $$"
    )
    empty.execute("create cast (odd as json) with function odd_json(odd)")
    empty.execute("create table odds (id int primary key, value odd)")
    try:
        async with socket_to(rt_server) as socket:
            await socket.join("odds")
            empty.execute("insert into odds values (1, 'a')")
            empty.execute("insert into odds (id) values (2)")
            event = await socket.until("event")
            assert event["payload"]["new"]["id"] == 2
            assert (event["n"], event["dropped"]) == (2, 1)
        assert empty.execute("select count(*) from odds").fetchone() == (2,)
    finally:
        empty.execute("drop table odds; drop type odd cascade")


async def test_json_in_frames_is_json(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        name = 'öd"d\\ channel'
        await socket.join(name, postgres_changes=[bound("*", "posts")])
        empty.execute("insert into posts (id) values (1)")
        text = await socket.connection.recv()
        assert json.loads(text)["channel"] == name
