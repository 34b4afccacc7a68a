"""What policies and rights of any kind let through, and when (wire contract §4.7)."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from aerodb.local import LocalServer

from .conftest import bound, settle, socket_to

Owner = psycopg.Connection[Any]


def token_of(server: LocalServer, who: str, **claims: Any) -> str:
    return server.create_token(sub=who, **claims)


POLICIES = {
    "a whole row": "reads_row(leaky)",
    "a function that looks itself": "can_see(id)",
    "a subquery": "exists (select from members m where m.team_id = 1 and m.who = owner)",
    "a subquery over another row": "exists (select from leaky l where l.id = leaky.id)",
    "a system column": "tableoid is not null and owner = auth.jwt() ->> 'sub'",
}


@pytest.mark.parametrize("policy", POLICIES)
async def test_nobody_sees_what_a_row_was_before_it_was_theirs(
    rt_server: LocalServer, empty: Owner, policy: str
) -> None:
    """Whatever way the policies come to know it, live or later."""
    empty.execute("create table leaky (id int primary key, owner text, body text)")
    empty.execute("grant select on members to authenticated")
    empty.execute(
        "create function reads_row(leaky) returns boolean language sql stable as "
        "$$ select $1.owner = auth.jwt() ->> 'sub' $$"
    )
    empty.execute(
        "create function can_see(int) returns boolean language sql stable security definer as "
        "$$ select exists (select from public.leaky where id = $1 "
        "and owner = auth.jwt() ->> 'sub') $$"
    )
    if policy == "a subquery over another row":
        empty.execute("create table others (like leaky including all)")
    condition = POLICIES[policy].replace("from leaky l", "from others l")
    empty.execute("alter table leaky enable row level security")
    empty.execute(f"create policy p on leaky using ({condition})".encode())
    try:
        async with socket_to(rt_server, token_of(rt_server, "bob")) as bob:
            ack = await bob.join("leaky")
            with empty.transaction():
                empty.execute("insert into leaky values (1, 'ann', 'secret')")
                empty.execute("update leaky set body = 'clean'")
                empty.execute("update leaky set owner = 'bob'")
                empty.execute("insert into teams values (1)")
                empty.execute("insert into members values (1, 'bob')")
                if policy == "a subquery over another row":
                    empty.execute("insert into others select * from leaky")
            event = await bob.until("event")
            assert event["payload"]["new"] == {"id": 1, "owner": "bob", "body": "clean"}
            seq = settle(rt_server, empty)
            await bob.nothing_more(seq)
            await bob.send("unsubscribe", channel="leaky")
            await bob.until("unsubscribed")
            resume = {"epoch": ack["epoch"], "since": ack["seq"]}
            assert (await bob.join("leaky", resume=resume))["resume"] == "ok"
            event = await bob.until("event")
            assert event["payload"]["new"]["body"] == "clean"
            await bob.nothing_more(seq)
    finally:
        empty.execute("drop table leaky cascade; drop table if exists others")
        empty.execute("drop function if exists can_see")


async def test_rows_with_json_are_told_under_any_policy(
    rt_server: LocalServer, empty: Owner
) -> None:
    empty.execute("create table kept (id int primary key, j json, b jsonb, hidden text)")
    empty.execute("alter table kept enable row level security")
    empty.execute("create function fine(int) returns boolean language sql as $$ select true $$")
    empty.execute("create policy p on kept using (fine(id))")
    empty.execute("revoke all on kept from anon; grant select (id, j, b) on kept to anon")
    try:
        async with socket_to(rt_server) as socket:
            await socket.join("kept")
            empty.execute(
                "insert into kept values (1, ' {\"b\" : 1, \"a\": 2} ', '{\"a\": 1}', 'h')"
            )
            event = await socket.until("event")
            assert event["payload"]["new"] == {"id": 1, "j": {"a": 2, "b": 1}, "b": {"a": 1}}
            empty.execute("insert into kept values (2, 'null', 'null'), (3, null, null)")
            for number in (2, 3):  # null of JSON or of SQL: a row tells both as null
                event = await socket.until("event")
                assert event["payload"]["new"] == {"id": number, "j": None, "b": None}
    finally:
        empty.execute("drop table kept; drop function fine")


async def test_rows_that_json_does_not_keep_whole_are_told_under_any_policy(
    rt_server: LocalServer, empty: Owner
) -> None:
    """Bounds of arrays and nulls of JSON are gone in what is written down of a row."""
    empty.execute("create function fine(int) returns boolean language sql as $$ select true $$")
    empty.execute("create type place as (x int, j jsonb); create domain text_of_json as json")
    empty.execute(
        "create table odd (id int primary key, a int[], p place, d text_of_json, l jsonb[])"
    )
    empty.execute("alter table odd enable row level security")
    empty.execute("create policy p on odd using (fine(id))")
    try:
        async with socket_to(rt_server) as socket:
            await socket.join("odd")
            empty.execute(
                "insert into odd values (1, '[0:1]={7,8}', row(1, 'null'), 'null', "
                "array['null', '1']::jsonb[])"
            )
            event = await socket.until("event")
            told = {"id": 1, "a": [7, 8], "p": {"x": 1, "j": None}, "d": None, "l": [None, 1]}
            assert event["payload"]["new"] == told
            with empty.transaction():
                empty.execute("update odd set a = '{1}'")
                empty.execute("update odd set a = '{2}'")
            event = await socket.until("event")
            assert event["payload"]["new"]["a"] == [2]
            await socket.nothing_more(settle(rt_server, empty))
    finally:
        empty.execute("drop table odd; drop function fine; drop domain text_of_json")
        empty.execute("drop type place")


@pytest.mark.parametrize("table", ["notes", "plans"])
async def test_a_row_that_is_too_large_is_told_by_its_key_under_any_policy(
    rt_server: LocalServer, empty: Owner, table: str
) -> None:
    """Who sees it now, and nobody else: by the caller's name, or by what another table says."""
    empty.execute("insert into teams values (1); insert into members values (1, 'ann')")
    whose = {"notes": "owner", "plans": "team_id"}[table]
    insert = f"insert into {table} (id, {whose}, body) values (%s, %s, repeat('x', 600000))"
    values = {"notes": ("ann", "bob"), "plans": (1, None)}[table]
    async with (
        socket_to(rt_server, rt_server.create_token(sub="ann")) as ann,
        socket_to(rt_server, rt_server.create_token(sub="eve")) as eve,
    ):
        for socket in (ann, eve):
            await socket.join(table)
        for number, value in enumerate(values):
            empty.execute(insert.encode(), [number, value])
        event = await ann.until("event")
        assert event["payload"]["new"] == {"id": 0}
        assert event["payload"]["errors"] == ["payload_too_large"]
        seq = settle(rt_server, empty)
        for socket in (ann, eve):
            await socket.nothing_more(seq)


async def test_a_role_that_is_taken_away_counts_at_once(
    rt_server: LocalServer, empty: Owner
) -> None:
    """That one role is not a member of another any more tells nobody of itself."""
    empty.execute("create table clubs (id int primary key)")
    empty.execute("revoke all on clubs from anon, authenticated")
    empty.execute("create role club nologin; grant select on clubs to club")
    empty.execute("grant club to authenticated with inherit true")
    try:
        async with socket_to(rt_server, token_of(rt_server, "ann")) as ann:
            await ann.join("clubs", postgres_changes=[bound("*", "clubs")])
            empty.execute("insert into clubs values (1)")
            await ann.until("event")
            empty.execute("revoke club from authenticated")
            empty.execute("insert into clubs values (2)")
            await ann.nothing_more(settle(rt_server, empty))
    finally:
        empty.execute("drop table clubs; drop role club")


async def test_no_filter_tells_what_may_not_be_read_any_more(
    rt_server: LocalServer, empty: Owner
) -> None:
    empty.execute("create table veiled (id int primary key, priv text)")
    try:
        async with socket_to(rt_server) as socket:
            await socket.join("x", postgres_changes=[bound("*", "veiled", "priv=eq.x")])
            empty.execute("revoke all on veiled from anon; grant select (id) on veiled to anon")
            empty.execute("insert into veiled values (1, 'x'), (2, 'y')")
            ended = await socket.until("error")
            assert (ended["channel"], ended["code"]) == ("x", "invalid_filter")
            await socket.nothing_more(settle(rt_server, empty))
    finally:
        empty.execute("drop table veiled")


async def test_slow_policies_keep_the_order_of_a_connection(
    rt_server: LocalServer, empty: Owner
) -> None:
    """What is told of other tables waits too: one connection hears of changes in their order."""
    empty.execute("create table slow (id int primary key)")
    empty.execute("alter table slow enable row level security")
    empty.execute("create policy p on slow using (pg_sleep(2) is not null)")
    try:
        async with socket_to(rt_server) as socket, socket_to(rt_server) as other:
            await socket.join("slow")
            await socket.join("posts")
            await other.join("posts")
            empty.execute("insert into slow values (1)")
            for number in range(3):
                empty.execute("insert into posts (id) values (%s)", [number])
                await other.until("event")
            found = await socket.events(4)
            assert [e["channel"] for e in found] == ["slow", "posts", "posts", "posts"]
            assert [e["n"] for e in found] == [1, 1, 2, 3]
            empty.execute("insert into posts (id) values (9)")
            assert (await socket.until("event"))["n"] == 4
    finally:
        empty.execute("drop table slow")


async def test_a_row_that_is_deleted_at_once_is_told(rt_server: LocalServer, empty: Owner) -> None:
    """To those whose it was; the others hear that a key is gone, as always."""
    empty.execute("create policy all_of_cat on notes to authenticated using (owner = 'c%t')")
    empty.execute("create policy no_secrets on notes as restrictive using (body <> 'secret')")
    try:
        async with (
            socket_to(rt_server, token_of(rt_server, "ann")) as ann,
            socket_to(rt_server, token_of(rt_server, "bob")) as bob,
            socket_to(rt_server) as nobody,
        ):
            for socket in (ann, bob, nobody):
                await socket.join("notes", postgres_changes=[bound("*", "notes", "id=lt.9")])
            with empty.transaction():
                empty.execute("insert into notes values (1, 'ann', 'a'), (2, 'bob', 'b')")
                empty.execute("insert into notes values (3, 'c%t', 'c'), (4, 'ann', 'secret')")
                empty.execute("insert into notes values (9, 'ann', 'filtered')")
                empty.execute("update notes set body = 'changed' where id = 1")
                empty.execute("delete from notes where id <> 4")
            seq = settle(rt_server, empty)
            for socket, expected in (
                (ann, [("a", 1), ("c", 3), ("changed", 1)]),
                (bob, [("b", 2), ("c", 3)]),
                (nobody, []),
            ):
                found = [e["payload"] for e in await socket.events(len(expected) + 3)]
                written = [(p["new"]["body"], p["new"]["id"]) for p in found[:-3]]
                assert written == expected
                assert sorted(p["old"]["id"] for p in found[-3:]) == [1, 2, 3]
                await socket.nothing_more(seq)
    finally:
        empty.execute("drop policy all_of_cat on notes; drop policy no_secrets on notes")


async def test_inserting_and_deleting_is_told_in_full(rt_server: LocalServer, empty: Owner) -> None:
    empty.execute("create table fleeting (id int primary key)")
    empty.execute("alter table fleeting enable row level security")
    empty.execute("create policy p on fleeting using (true)")
    try:
        async with socket_to(rt_server) as socket:
            await socket.join("fleeting")
            for number in range(20):
                empty.execute("insert into fleeting values (%s)", [number])
                empty.execute("delete from fleeting")
            found = await socket.events(40)
            assert [e["payload"]["type"] for e in found] == ["INSERT", "DELETE"] * 20
    finally:
        empty.execute("drop table fleeting")


@pytest.mark.parametrize(
    "policy",
    [
        "(select auth.jwt()) ->> 'sub' = owner",
        "owner = (select auth.jwt() ->> 'sub') and (auth.role() = 'authenticated' or id > 0)",
        "owner = current_setting('request.jwt.claims')::json ->> 'sub'",
    ],
)
async def test_policies_that_are_known_by_their_columns(
    rt_server: LocalServer, empty: Owner, policy: str
) -> None:
    """All versions of a row are told, as the policies are usually written."""
    empty.execute("create table usual (id int primary key, owner text, body text)")
    empty.execute("alter table usual enable row level security")
    empty.execute(f"create policy p on usual using ({policy})".encode())
    try:
        async with socket_to(rt_server, token_of(rt_server, "ann")) as ann:
            await ann.join("usual")
            with empty.transaction():
                empty.execute("insert into usual values (1, 'ann', '0')")
                empty.execute("update usual set body = '1'")
                empty.execute("update usual set body = '2'")
            found = await ann.events(3)
            assert [e["payload"]["new"]["body"] for e in found] == ["0", "1", "2"]
    finally:
        empty.execute("drop table usual")
