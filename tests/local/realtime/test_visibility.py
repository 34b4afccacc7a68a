"""Nobody sees what policies and rights keep from them (wire contract §4.7, reliability C8)."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from aerodb import AsyncAeroDBClient, ClientOptions, GapNotice, RealtimeOptions, RealtimePayload
from aerodb.local import LocalServer

from .conftest import HANG, bound, settle, socket_to

Owner = psycopg.Connection[Any]


def token_of(server: LocalServer, who: str, **claims: Any) -> str:
    return server.create_token(sub=who, **claims)


async def test_each_sees_their_own_rows(rt_server: LocalServer, empty: Owner) -> None:
    async with (
        socket_to(rt_server, token_of(rt_server, "ann")) as ann,
        socket_to(rt_server, token_of(rt_server, "bob")) as bob,
        socket_to(rt_server) as nobody,
        socket_to(rt_server, key=rt_server.service_key) as service,
    ):
        for socket in (ann, bob, nobody, service):
            await socket.join("notes")
        empty.execute("insert into notes values (1, 'ann', 'a'), (2, 'bob', 'b')")
        empty.execute("update notes set body = body || '!'")
        seq = settle(rt_server, empty)
        for socket, ids in ((ann, [1, 1]), (bob, [2, 2]), (nobody, []), (service, [1, 2, 1, 2])):
            found = await socket.events(len(ids))
            assert [e["payload"]["new"]["id"] for e in found] == ids
            assert [e["n"] for e in found] == list(range(1, len(ids) + 1))
            await socket.nothing_more(seq)


async def test_a_row_that_changes_hands(rt_server: LocalServer, empty: Owner) -> None:
    """What was Ann's when it was written is never told to Bob, though the row is his now."""
    async with (
        socket_to(rt_server, token_of(rt_server, "ann")) as ann,
        socket_to(rt_server, token_of(rt_server, "bob")) as bob,
    ):
        for socket in (ann, bob):
            await socket.join("notes")
        with empty.transaction():
            empty.execute("insert into notes values (1, 'ann', 'for ann only')")
            empty.execute("update notes set owner = 'bob', body = 'now for bob'")
        seq = settle(rt_server, empty)
        event = await bob.until("event")
        assert event["payload"]["type"] == "UPDATE"
        assert event["payload"]["new"]["body"] == "now for bob"
        await bob.nothing_more(seq)
        await ann.nothing_more(seq)


async def test_a_key_that_is_used_again(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server, token_of(rt_server, "bob")) as bob:
        await bob.join("notes")
        with empty.transaction():
            empty.execute("insert into notes values (1, 'ann', 'for ann only')")
            empty.execute("delete from notes")
            empty.execute("insert into notes values (1, 'bob', 'for bob')")
        deleted, inserted = await bob.events(2)
        assert (deleted["payload"]["type"], deleted["payload"]["old"]) == ("DELETE", {"id": 1})
        assert inserted["payload"]["new"]["body"] == "for bob"
        await bob.nothing_more(settle(rt_server, empty))


async def test_quick_changes_of_a_row_are_all_told(rt_server: LocalServer, empty: Owner) -> None:
    """Columns that no policy reads may change meanwhile."""
    async with socket_to(rt_server, token_of(rt_server, "ann")) as ann:
        await ann.join("notes")
        with empty.transaction():
            empty.execute("insert into notes values (1, 'ann', '0')")
            for number in range(1, 20):
                empty.execute("update notes set body = %s", [str(number)])
        found = await ann.events(20)
        assert [e["payload"]["new"]["body"] for e in found] == [str(n) for n in range(20)]


async def test_a_delete_tells_everybody_the_key_and_nothing_else(
    rt_server: LocalServer, empty: Owner
) -> None:
    empty.execute("insert into whole_notes values (1, 'ann', 'secret')")
    settle(rt_server, empty)
    async with (
        socket_to(rt_server, token_of(rt_server, "bob")) as bob,
        socket_to(rt_server, key=rt_server.service_key) as service,
    ):
        await bob.join("whole_notes")
        await service.join("whole_notes")
        empty.execute("delete from whole_notes")
        assert (await bob.until("event"))["payload"]["old"] == {"id": 1}
        told = (await service.until("event"))["payload"]["old"]
        assert told == {"id": 1, "owner": "ann", "body": "secret"}


async def test_the_old_row_of_an_update_is_cut_down_to_the_key(
    rt_server: LocalServer, empty: Owner
) -> None:
    empty.execute("insert into whole_notes values (1, 'bob', 'before')")
    settle(rt_server, empty)
    async with socket_to(rt_server, token_of(rt_server, "ann")) as ann:
        await ann.join("whole_notes")
        empty.execute("update whole_notes set owner = 'ann', body = 'after'")
        payload = (await ann.until("event"))["payload"]
        assert payload["old"] == {"id": 1}
        assert payload["new"]["body"] == "after"


async def test_policies_that_look_at_other_tables(rt_server: LocalServer, empty: Owner) -> None:
    empty.execute("insert into teams values (1), (2)")
    empty.execute("insert into members values (1, 'ann'), (2, 'bob')")
    settle(rt_server, empty)
    async with (
        socket_to(rt_server, token_of(rt_server, "ann")) as ann,
        socket_to(rt_server, token_of(rt_server, "bob")) as bob,
    ):
        await ann.join("plans")
        await bob.join("plans")
        empty.execute("insert into plans values (1, 1, 'first'), (2, 2, 'second')")
        assert (await ann.until("event"))["payload"]["new"]["id"] == 1
        assert (await bob.until("event"))["payload"]["new"]["id"] == 2
        empty.execute("delete from members where who = 'bob'")
        empty.execute("update plans set body = 'changed'")
        assert (await ann.until("event"))["payload"]["new"]["body"] == "changed"
        await bob.nothing_more(settle(rt_server, empty))


async def test_columns_without_the_right_are_left_out(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("salaries")
        empty.execute("insert into salaries values (1, 'Ann', 9000)")
        empty.execute("update salaries set amount = 9001")
        empty.execute("delete from salaries")
        found = await socket.events(3)
        assert found[0]["payload"]["new"] == {"id": 1, "name": "Ann"}
        assert found[1]["payload"]["new"] == {"id": 1, "name": "Ann"}
        assert found[2]["payload"]["old"] == {"id": 1}
        refused = await socket.ask("x", postgres_changes=[bound("*", "salaries", "amount=gt.1")])
        assert refused["code"] == "invalid_filter"


async def test_a_table_without_the_right(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        refused = await socket.ask("x", postgres_changes=[bound("*", "secrets")])
        assert (refused["type"], refused["code"], refused["channel"]) == (
            "error",
            "unauthorized",
            "x",
        )
        assert refused["retryable"] is False
        await socket.join("all", postgres_changes=[bound("*", "*")])
        empty.execute("insert into secrets values (1)")
        await socket.nothing_more(settle(rt_server, empty))


async def test_a_right_that_is_taken_away(rt_server: LocalServer, empty: Owner) -> None:
    empty.execute("create table fickle (id int primary key)")
    try:
        async with socket_to(rt_server) as socket:
            await socket.join("fickle")
            empty.execute("insert into fickle values (1)")
            await socket.until("event")
            empty.execute("revoke all on fickle from anon")
            empty.execute("insert into fickle values (2)")
            await socket.nothing_more(settle(rt_server, empty))
    finally:
        empty.execute("drop table fickle")


async def test_row_security_that_is_turned_on_later(rt_server: LocalServer, empty: Owner) -> None:
    empty.execute("create table open (id int primary key)")
    try:
        async with socket_to(rt_server) as socket:
            await socket.join("open")
            empty.execute("insert into open values (1)")
            await socket.until("event")
            empty.execute("alter table open enable row level security")
            empty.execute("insert into open values (2)")
            await socket.nothing_more(settle(rt_server, empty))
    finally:
        empty.execute("drop table open")


async def test_filters_do_not_see_more(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server, token_of(rt_server, "bob")) as bob:
        await bob.join("spy", postgres_changes=[bound("*", "notes", "owner=eq.ann")])
        empty.execute("insert into notes values (1, 'ann', 'secret')")
        empty.execute("update notes set body = 'more'")
        await bob.nothing_more(settle(rt_server, empty))


async def test_replay_is_judged_now(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server, token_of(rt_server, "bob")) as bob:
        ack = await bob.join("notes")
    empty.execute("insert into notes values (1, 'ann', 'hers'), (2, 'bob', 'his')")
    empty.execute("insert into notes values (3, 'bob', 'was his')")
    empty.execute("update notes set owner = 'ann' where id = 3")
    seq = settle(rt_server, empty)
    resume = {"epoch": ack["epoch"], "since": ack["seq"]}
    async with socket_to(rt_server, token_of(rt_server, "bob")) as bob:
        again = await bob.join("notes", resume=resume)
        assert again["resume"] == "ok"
        event = await bob.until("event")
        assert event["payload"]["new"]["body"] == "his"
        await bob.nothing_more(seq)


async def test_a_new_token_counts_at_once(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server, token_of(rt_server, "ann")) as socket:
        await socket.join("notes")
        empty.execute("insert into notes values (1, 'ann', 'a')")
        await socket.until("event")
        await socket.send("auth", token=token_of(rt_server, "bob"), ref="r")
        told = await socket.until("system")
        assert (told["event"], told["status"], told["ref"]) == ("auth", "ok", "r")
        empty.execute("insert into notes values (2, 'ann', 'a'), (3, 'bob', 'b')")
        event = await socket.until("event")
        assert (event["payload"]["new"]["id"], event["n"]) == (3, 2)
        await socket.send("auth", token=None)
        await socket.until("system")
        empty.execute("insert into notes values (4, 'ann', 'a'), (5, 'bob', 'b')")
        await socket.nothing_more(settle(rt_server, empty))


async def test_no_event_is_judged_by_claims_that_were_replaced(
    rt_server: LocalServer, empty: Owner
) -> None:
    """Rows of both keep coming while the token changes: after the ack there are none of Ann's."""
    async with socket_to(rt_server, token_of(rt_server, "ann")) as socket:
        await socket.join("notes")
        statement = (
            "insert into notes select n, case when mod(n, 2) = 0 then 'ann' else 'bob' end, 'x' "
            "from generate_series(%s::int, %s::int) n"
        )
        for round_ in range(10):
            who, other = ("bob", "ann") if round_ % 2 == 0 else ("ann", "bob")
            empty.execute(statement, [round_ * 200, round_ * 200 + 199])
            await socket.send("auth", token=token_of(rt_server, who))
            acknowledged = False
            seq = settle(rt_server, empty)
            while True:
                await socket.send("heartbeat", ref=f"{round_}")
                found = await socket.receive()
                while found["type"] != "heartbeat":
                    acknowledged = acknowledged or found["type"] == "system"
                    if found["type"] == "event" and acknowledged:
                        assert found["payload"]["new"]["owner"] != other
                    found = await socket.receive()
                if acknowledged and found["seq"] >= seq:
                    break


async def test_a_bad_token_changes_nothing(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server, token_of(rt_server, "ann")) as socket:
        await socket.join("notes")
        for token, code in (
            ("no.to.ken", "auth_failed"),
            (token_of(rt_server, "bob") + "x", "auth_failed"),
            (rt_server.create_token(sub="bob", expires_in=-100), "token_expired"),
            (rt_server.create_token("postgres"), "auth_failed"),
        ):
            await socket.send("auth", token=token, ref="r")
            refused = await socket.until("error")
            assert (refused["code"], refused["ref"]) == (code, "r")
        empty.execute("insert into notes values (1, 'ann', 'a'), (2, 'bob', 'b')")
        assert (await socket.until("event"))["payload"]["new"]["id"] == 1
        await socket.nothing_more(settle(rt_server, empty))


async def test_a_role_without_the_right_loses_the_channel(
    rt_server: LocalServer, empty: Owner
) -> None:
    async with socket_to(rt_server, rt_server.create_token("service_role")) as socket:
        await socket.join("secret", postgres_changes=[bound("*", "secrets")])
        await socket.send("auth", token=token_of(rt_server, "ann"))
        refused = await socket.until("error")
        assert (refused["code"], refused["channel"]) == ("unauthorized", "secret")
        await socket.until("system")
        empty.execute("insert into secrets values (1)")
        await socket.nothing_more(settle(rt_server, empty))


@contextmanager
def failing_policy(owner: Owner) -> Generator[None]:
    """A table `broken`, whose policy fails for the rows of ann."""
    owner.execute("create table broken (id int primary key, owner text)")
    owner.execute(
        "create function explode(text) returns boolean language plpgsql as "
        "$$ begin if $1 = 'ann' then raise exception 'no'; end if; return true; end $$"
    )
    owner.execute("alter table broken enable row level security")
    owner.execute("create policy p on broken using (explode(owner))")
    try:
        yield
    finally:
        owner.execute("drop table broken; drop function explode")


@pytest.mark.parametrize("who", ["ann", "bob"])
async def test_policies_that_fail_show_nothing_and_say_so(
    rt_server: LocalServer, empty: Owner, who: str
) -> None:
    with failing_policy(empty):
        async with socket_to(rt_server, token_of(rt_server, who)) as socket:
            await socket.join("broken")
            empty.execute("insert into broken values (1, 'ann')")
            settle(rt_server, empty)
            await socket.send("heartbeat", ref="r")
            told = await socket.until("system")
            assert (told["event"], told["dropped"]) == ("dropped", 1)
            assert told["details"]["seq"] <= (await socket.until("heartbeat"))["seq"]


async def test_a_client_takes_such_a_loss_for_a_gap_and_goes_on(
    rt_server: LocalServer, empty: Owner
) -> None:
    options = ClientOptions(trust_env=False, realtime=RealtimeOptions(heartbeat=0.2))
    with failing_policy(empty):
        async with AsyncAeroDBClient(rt_server.url, rt_server.anon_key, options=options) as client:
            channel = client.channel("broken")
            (await channel.subscribe()).unwrap()
            empty.execute("insert into broken values (1, 'ann')")
            (gap,) = (await channel.collect(1, timeout=HANG)).unwrap()
            assert isinstance(gap, GapNotice)
            assert (gap.reason, gap.missed) == ("server_dropped", 1)
            empty.execute("insert into broken values (2, 'bob')")
            (found,) = (await channel.collect(1, timeout=HANG)).unwrap()
            assert isinstance(found, RealtimePayload)
            assert found["new"]["id"] == 2


async def test_a_table_without_a_key_shows_nothing_under_policies(
    rt_server: LocalServer, empty: Owner
) -> None:
    empty.execute("create table keyless (id int, owner text)")
    empty.execute("alter table keyless enable row level security")
    empty.execute("create policy p on keyless using (true)")
    try:
        async with socket_to(rt_server) as socket:
            await socket.join("keyless")
            empty.execute("insert into keyless values (1, 'ann')")
            await socket.nothing_more(settle(rt_server, empty))
    finally:
        empty.execute("drop table keyless")


async def test_slow_policies_hold_up_nobody_else(rt_server: LocalServer, empty: Owner) -> None:
    """Whose policies take long is served apart, and loses nothing by that."""
    empty.execute("create table sleepy (id int primary key, owner text)")
    empty.execute("alter table sleepy enable row level security")
    empty.execute(
        "create policy p on sleepy using (case when auth.jwt() ->> 'sub' = 'ann' "
        "then pg_sleep(3) is not null else true end)"
    )
    try:
        async with (
            socket_to(rt_server, token_of(rt_server, "ann")) as ann,
            socket_to(rt_server, token_of(rt_server, "bob")) as bob,
        ):
            await ann.join("sleepy")
            await bob.join("sleepy")
            for number in range(2):
                empty.execute("insert into sleepy values (%s)", [number])
            found = await bob.events(2)
            # Bob has his events while Ann's are still being thought about.
            told = await ann.nothing_more()
            assert told["seq"] < found[0]["seq"]
            assert [e["payload"]["new"]["id"] for e in await ann.events(2)] == [0, 1]
            empty.execute("insert into sleepy values (2)")
            assert (await bob.until("event"))["n"] == 3
            assert (await ann.until("event"))["n"] == 3
    finally:
        empty.execute("drop table sleepy")


async def test_a_policy_that_never_ends_is_a_loss_that_is_told(
    rt_server: LocalServer, empty: Owner
) -> None:
    empty.execute("create table endless (id int primary key)")
    empty.execute("alter table endless enable row level security")
    empty.execute("create policy p on endless using (pg_sleep(30) is not null)")
    try:
        async with socket_to(rt_server) as socket, socket_to(rt_server) as other:
            await socket.join("endless")
            await other.join("posts")
            empty.execute("insert into endless values (1)")
            empty.execute("insert into posts (id) values (1)")
            await other.until("event")
            settle(rt_server, empty)
            found: dict[str, Any] = {}
            while found.get("event") != "dropped":
                await socket.send("heartbeat", ref="r")
                found = await socket.receive()
                await asyncio.sleep(0.1)
            assert found["dropped"] == 1
    finally:
        empty.execute("drop table endless")


async def test_the_log_is_out_of_reach(rt_server: LocalServer, owner: Owner) -> None:
    """No role that a request can become reads the log, or writes into it."""
    for role in ("anon", "authenticated", "service_role", "authenticator"):
        for table in ("changes", "commits", "state", "watched", "instances", "mail"):
            for right in ("select", "insert", "update", "delete", "truncate"):
                row = owner.execute(
                    "select has_table_privilege(%s, %s, %s)",
                    [role, f"aerodb_internal.realtime_{table}", right],
                ).fetchone()
                assert row == (False,), (role, table, right)


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
    finally:
        empty.execute("drop table kept; drop function fine")


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
