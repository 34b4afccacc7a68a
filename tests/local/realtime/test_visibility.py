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


async def test_a_role_with_the_right_gets_the_table_that_its_channel_is_called_like(
    rt_server: LocalServer, empty: Owner
) -> None:
    """Who subscribes first and signs in then is served as who signs in first."""
    empty.execute("revoke all on posts from anon")
    try:
        async with socket_to(rt_server) as socket:
            assert (await socket.join("posts", presence={"enabled": True}))["bindings"] == []
            await socket.until("presence")
            await socket.send("auth", token=token_of(rt_server, "ann"), ref="r")
            await socket.until("system")
            again = await socket.until("subscribed")
            assert [one["table"] for one in again["bindings"]] == ["posts"]
            await socket.until("presence")
            empty.execute("insert into posts (id) values (1)")
            event = await socket.until("event")
            assert (event["n"], event["payload"]["new"]["id"]) == (1, 1)
    finally:
        empty.execute("grant select on posts to anon")


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


async def test_a_loss_is_told_where_it_is(rt_server: LocalServer, empty: Owner) -> None:
    """Not by an earlier frame that waits to be sent: whoever counts would count it twice."""
    with failing_policy(empty):
        async with socket_to(rt_server, token_of(rt_server, "ann")) as socket:
            await socket.join("broken")
            empty.execute(
                "insert into broken select n, case n when 4 then 'ann' else 'bob' end "
                "from generate_series(1, 6) n"
            )
            found = await socket.events(5)
            assert [(e["n"], e.get("dropped")) for e in found] == [
                (1, None), (2, None), (3, None), (5, 1), (6, None),
            ]  # fmt: skip
            await socket.nothing_more(settle(rt_server, empty))


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
