"""Commit order, numbers, resuming, gaps (wire contract §4.7, §4.8)."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import psycopg
import pytest

from aerodb.local import LocalServer
from aerodb.local.realtime.log import RING_CHANGES

from .conftest import settle, socket_to

Owner = psycopg.Connection[Any]


def also(server: LocalServer) -> psycopg.Connection[Any]:
    """Another connection, whose transactions are begun and ended by hand."""
    return psycopg.connect(server.database_url)


async def test_events_come_in_the_order_of_commits(rt_server: LocalServer, empty: Owner) -> None:
    """Not in that of writes: who writes first and commits last comes last, and is not skipped."""
    async with socket_to(rt_server) as socket:
        await socket.join("posts")
        with also(rt_server) as first, also(rt_server) as second, also(rt_server) as third:
            first.execute("insert into posts (id) values (1)")
            second.execute("insert into posts (id) values (2)")
            third.execute("insert into posts (id) values (3)")
            second.execute("insert into posts (id) values (4)")
            third.commit()
            second.commit()
            found = await socket.events(3)
            assert [e["payload"]["new"]["id"] for e in found] == [3, 2, 4]
            await socket.nothing_more()
            first.execute("insert into posts (id) values (5)")
            first.commit()
            found += await socket.events(2)
        assert [e["payload"]["new"]["id"] for e in found] == [3, 2, 4, 1, 5]
        assert [e["n"] for e in found] == [1, 2, 3, 4, 5]
        assert [e["seq"] for e in found] == sorted({e["seq"] for e in found})


async def test_many_interleaved_commits_are_in_order(rt_server: LocalServer, empty: Owner) -> None:
    """Each writer takes the next number in the order of commits: a row lock sees to that."""
    empty.execute("create table turn (last int)")
    empty.execute("insert into turn values (0)")

    def write(count: int) -> None:
        with also(rt_server) as connection:
            for _ in range(count):
                connection.execute("insert into logs (line) values ('noise')")
                connection.execute(
                    "with taken as (update turn set last = last + 1 returning last) "
                    "insert into posts (id) select last from taken"
                )
                connection.commit()

    try:
        async with socket_to(rt_server) as socket:
            await socket.join("posts")
            writers = [threading.Thread(target=write, args=(25,)) for _ in range(4)]
            for writer in writers:
                writer.start()
            found = await socket.events(100)
            for writer in writers:
                writer.join()
        assert [e["payload"]["new"]["id"] for e in found] == list(range(1, 101))
        assert [e["n"] for e in found] == list(range(1, 101))
    finally:
        empty.execute("drop table turn")


async def test_a_write_that_began_before_the_subscription_is_told() -> None:
    """Nobody watched when it wrote: the acknowledgement waits for it to end (and only for it)."""
    with LocalServer(schema=["create table t (id int primary key)"]) as server:
        async with socket_to(server) as socket:
            with also(server) as early, also(server) as late:
                early.execute("insert into t values (1)")
                await socket.send("subscribe", channel="t", ref="r")
                await asyncio.sleep(0.2)
                await socket.nothing_more()
                late.execute("insert into t values (2)")
                late.commit()
                await socket.nothing_more()
                early.execute("insert into t values (3)")
                early.commit()
            # What was committed before the acknowledgement can be read by now; what comes after
            # its number is told.
            ack = await socket.until("subscribed")
            found = []
            server.execute_sql("insert into t values (4)")
            while not found or found[-1]["payload"]["new"]["id"] != 4:
                found.append(await socket.until("event"))
            assert all(e["seq"] > ack["seq"] for e in found)
            seen = {e["payload"]["new"]["id"] for e in found}
            assert {4} <= seen <= {2, 3, 4}


async def test_a_snapshot_from_before_the_subscription_is_logged_too() -> None:
    with LocalServer(schema=["create table t (id int primary key)"]) as server:
        async with socket_to(server) as socket:
            with also(server) as early:
                early.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                early.execute("select 1 from t")
                await socket.join("t")
                early.execute("insert into t values (1)")
                early.commit()
            assert (await socket.until("event"))["payload"]["new"] == {"id": 1}


async def test_what_was_missed_is_replayed(rt_server: LocalServer, empty: Owner) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("posts")
        empty.execute("insert into posts (id) values (1)")
        cursor = (await socket.until("event"))["seq"]
        epoch = socket.welcome["payload"]["epoch"]
    empty.execute("insert into posts (id) select n from generate_series(2, 1500) n")
    empty.execute("insert into pairs values (1, 'not for this channel')")
    empty.execute("delete from posts where id = 2")
    async with socket_to(rt_server) as socket:
        ack = await socket.join("posts", resume={"epoch": epoch, "since": cursor})
        assert (ack["resume"], ack["seq"], ack["epoch"]) == ("ok", cursor, epoch)
        found = await socket.events(1500)
        assert [e["payload"]["new"]["id"] for e in found[:-1]] == list(range(2, 1501))
        assert found[-1]["payload"]["type"] == "DELETE"
        assert [e["n"] for e in found] == list(range(1, 1501))
        empty.execute("insert into posts (id) values (9999)")
        live = await socket.until("event")
        assert (live["payload"]["new"]["id"], live["n"]) == (9999, 1501)


async def test_who_was_served_before_others_resumes_without_a_gap(
    rt_server: LocalServer, empty: Owner
) -> None:
    """It has read further than the instance has served everybody."""
    empty.execute("create table slow (id int primary key)")
    empty.execute("alter table slow enable row level security")
    empty.execute(
        "create policy p on slow using (auth.jwt() ->> 'sub' is null or pg_sleep(0.7) is not null)"
    )
    try:
        async with socket_to(rt_server, rt_server.create_token(sub="slow")) as slow:
            await slow.join("slow")
            async with socket_to(rt_server) as socket:
                ack = await socket.join("slow")
                empty.execute("insert into slow values (1)")
                event = await socket.until("event")
            async with socket_to(rt_server) as socket:
                resume = {"epoch": ack["epoch"], "since": event["seq"]}
                assert (await socket.join("slow", resume=resume))["resume"] == "ok"
                empty.execute("insert into slow values (2)")
                assert (await socket.until("event"))["payload"]["new"] == {"id": 2}
    finally:
        empty.execute("drop table slow")


async def test_resuming_in_the_middle_of_a_transaction(
    rt_server: LocalServer, empty: Owner
) -> None:
    async with socket_to(rt_server) as socket:
        ack = await socket.join("posts")
        empty.execute("insert into posts (id) select n from generate_series(1, 900) n")
        cursor = (await socket.events(700))[-1]["seq"]
    resume = {"epoch": ack["epoch"], "since": cursor}
    async with socket_to(rt_server) as socket:
        await socket.join("posts", resume=resume)
        found = await socket.events(200)
        assert [e["payload"]["new"]["id"] for e in found] == list(range(701, 901))
        await socket.nothing_more(settle(rt_server, empty))


async def test_replay_and_live_events_join_without_a_seam(
    rt_server: LocalServer, empty: Owner
) -> None:
    """A writer goes on while the replay runs: each row once, in order."""
    async with socket_to(rt_server) as socket:
        ack = await socket.join("posts")
    statement = "insert into posts (id) select n from generate_series(%s::int, %s::int) n"
    empty.execute(statement, [1, 2000])
    settle(rt_server, empty)

    def write() -> None:
        with psycopg.connect(rt_server.database_url, autocommit=True) as connection:
            for start in range(2001, 3001, 10):
                connection.execute(statement, [start, start + 9])

    writer = threading.Thread(target=write)
    async with socket_to(rt_server) as socket:
        writer.start()
        await socket.join("posts", resume={"epoch": ack["epoch"], "since": ack["seq"]})
        found = await socket.events(3000)
        writer.join()
        assert [e["payload"]["new"]["id"] for e in found] == list(range(1, 3001))
        await socket.nothing_more(settle(rt_server, empty))


@pytest.mark.parametrize("what", ["epoch", "future", "past"])
async def test_what_cannot_be_resumed_is_a_gap(
    rt_server: LocalServer, empty: Owner, what: str
) -> None:
    async with socket_to(rt_server) as socket:
        ack = await socket.join("posts")
        resume = {"epoch": ack["epoch"], "since": ack["seq"]}
        if what == "epoch":
            resume["epoch"] = "another"
        elif what == "future":
            resume["since"] += 1_000_000
        else:
            resume["since"] = 0  # before anybody watched
        again = await socket.join("posts", resume=resume)
        assert again["resume"] == "gap"
        assert again["seq"] >= ack["seq"]
        empty.execute("insert into posts (id) values (1)")
        assert (await socket.until("event"))["n"] == 1


async def test_a_table_that_was_not_watched_meanwhile_is_a_gap(
    rt_server: LocalServer, empty: Owner
) -> None:
    async with socket_to(rt_server) as socket:
        ack = await socket.join("pairs")
        await socket.send("unsubscribe", channel="pairs")
        await socket.until("unsubscribed")
        empty.execute(
            "update aerodb_internal.realtime_watched set expires_at = now() "
            "where target = 'pairs'::regclass"
        )
        empty.execute("insert into pairs values (1, 'nobody logs this')")
        resume = {"epoch": ack["epoch"], "since": ack["seq"]}
        assert (await socket.join("pairs", resume=resume))["resume"] == "gap"


async def test_a_ring_that_was_overrun_is_a_gap() -> None:
    with LocalServer(schema=["create table t (id int primary key)"]) as server:
        async with socket_to(server) as socket:
            ack = await socket.join("t")
        insert = "insert into t select n from generate_series(%s::int, %s::int) n"
        server.execute_sql(insert, [1, 500])
        server.execute_sql(insert, [501, 10600])
        with psycopg.connect(server.database_url, autocommit=True) as connection:
            seq = settle(server, connection)
            pruned, left = 0, 0
            for _ in range(300):
                # pruning waits for what the instance says it has read
                connection.execute("select aerodb_internal.realtime_prune(10000, interval '5 min')")
                row = connection.execute(
                    "select pruned_seq, (select count(*) from aerodb_internal.realtime_changes) "
                    "from aerodb_internal.realtime_state"
                ).fetchone()
                assert row is not None
                pruned, left = row
                if pruned > 100:
                    break
                await asyncio.sleep(0.1)
            assert 100 < pruned < seq
            assert left == 10_100  # whole transactions
        async with socket_to(server) as socket:
            resume = {"epoch": ack["epoch"], "since": ack["seq"]}
            assert (await socket.join("t", resume=resume))["resume"] == "gap"


async def test_one_hundred_thousand_rows_without_loss(rt_server: LocalServer, empty: Owner) -> None:
    """One transaction to one subscriber: all of it, or exactly what was lost."""
    async with socket_to(rt_server, max_queue=64) as socket:
        await socket.join("posts")
        insert = "insert into posts (id) select n from generate_series(1, 100000) n"
        writing = asyncio.create_task(asyncio.to_thread(empty.execute, insert.encode()))
        expected, lost = 1, 0
        while expected <= 100_000:
            event = await socket.until("event")
            lost += event.get("dropped", 0)
            assert event["n"] == expected + event.get("dropped", 0)
            expected = event["n"] + 1
            assert event["payload"]["new"]["id"] == event["n"]
        await writing
        assert lost == 0


async def test_a_reader_that_is_too_slow_learns_how_much_it_lost(
    rt_server: LocalServer, empty: Owner
) -> None:
    async with socket_to(rt_server, max_queue=1) as slow, socket_to(rt_server) as quick:
        await slow.join("posts")
        await quick.join("posts")
        insert = (
            "insert into posts (id, title) "
            "select n, repeat('x', 1000) from generate_series(1, 20000) n"
        )
        writing = asyncio.create_task(asyncio.to_thread(empty.execute, insert.encode()))
        # The quick one is not held up by the slow one, who reads nothing.
        found = await quick.events(20_000)
        assert [e["n"] for e in found] == list(range(1, 20_001))
        await writing
        n, lost = 0, 0
        while n < 20_000:
            event = await slow.until("event")
            lost += event.get("dropped", 0)
            assert event["n"] == n + 1 + event.get("dropped", 0)
            n = event["n"]
        assert lost > 0


async def test_the_heartbeat_counts_only_what_was_queued(
    rt_server: LocalServer, empty: Owner
) -> None:
    """No event comes after a heartbeat whose number is larger."""
    async with socket_to(rt_server) as socket:
        ack = await socket.join("posts")
        told, seen = ack["seq"], 0
        insert = "insert into posts (id) select n from generate_series(1, 3000) n"
        writing = asyncio.create_task(asyncio.to_thread(empty.execute, insert.encode()))
        while seen < 3000:
            await socket.send("heartbeat", ref="r")
            found = await socket.receive()
            while found["type"] != "heartbeat":
                assert found["seq"] > told
                seen += 1
                found = await socket.receive()
            told = max(told, found["seq"])
            await asyncio.sleep(0.02)
        await writing


async def test_no_heartbeat_passes_what_was_thrown_away_untold(
    rt_server: LocalServer, empty: Owner
) -> None:
    """A client goes on from a heartbeat's number after a loss: what is missing below it must have
    been told of before, also to a channel that nothing else is sent to."""
    rows = (
        "insert into posts (id, title) "
        "select n, repeat('x', 1000) from generate_series(%s::int, %s) n"
    )
    async with socket_to(rt_server, max_queue=1) as slow:
        acks = {name: await slow.join(name) for name in ("posts", "pairs")}
        begun = acks["pairs"]["seq"]
        await asyncio.to_thread(empty.execute, rows.encode(), [1, 12_000])
        settle(rt_server, empty)  # the network is full by now
        empty.execute("insert into pairs values (1, 'x', 'y')")
        quiet = settle(rt_server, empty)
        for ref in range(20):
            await slow.send("heartbeat", ref=str(ref))
            await asyncio.sleep(0.01)
        await asyncio.to_thread(empty.execute, rows.encode(), [20_001, 23_000])
        settle(rt_server, empty)
        told, beats = begun, 0
        while beats < 20:
            frame = await slow.receive()
            if frame.get("channel") == "pairs" and ("dropped" in frame or "payload" in frame):
                told = quiet
            elif frame["type"] == "heartbeat":
                beats += 1
                assert frame["seq"] < quiet or told == quiet


async def test_who_is_ahead_of_the_feed_comes_back_without_loss(
    rt_server: LocalServer, empty: Owner
) -> None:
    """The page is not done with while somebody's slow policy is asked; others have had theirs."""
    empty.execute("create table slow (id int primary key)")
    empty.execute("alter table slow enable row level security")
    empty.execute("create policy p on slow to anon using (pg_sleep(2) is not null)")
    key = rt_server.service_key
    try:
        async with socket_to(rt_server) as slow, socket_to(rt_server, key=key) as socket:
            await slow.join("slow")
            ack = await socket.join("posts")
            with empty.transaction():
                empty.execute("insert into slow values (1)")
                empty.execute("insert into posts (id) values (1)")
            seq = (await socket.until("event"))["seq"]
            again = await socket.join("posts", resume={"epoch": ack["epoch"], "since": seq})
            assert (again["resume"], again["seq"]) == ("ok", seq)
            empty.execute("insert into posts (id) values (2)")
            assert [e["payload"]["new"]["id"] for e in await socket.events(1)] == [2]
            await slow.until("event")
    finally:
        empty.execute("drop table slow")


async def test_the_only_subscriber_of_a_table_comes_back_without_loss(
    rt_server: LocalServer, empty: Owner
) -> None:
    """It joins while a page is being read for somebody else, and its table was left out of that.

    The writer does not run ahead by more than is remembered for it: that would be a gap indeed.
    """
    done = threading.Event()
    since = expected = 1

    def write() -> None:
        first = 1
        with psycopg.connect(rt_server.database_url, autocommit=True) as connection:
            while not done.is_set():
                if first > expected + RING_CHANGES // 2:
                    done.wait(0.001)
                    continue
                connection.execute(
                    "insert into posts (id) select n from generate_series(%s::int, %s::int) n",
                    [first, first + 99],
                )
                first += 100

    async with socket_to(rt_server) as other, socket_to(rt_server) as socket:
        await other.join("logs")
        ack = await socket.join("posts")
        since = ack["seq"]
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(60):
                while True:
                    frame = await socket.receive()
                    if frame["type"] == "event":
                        break
                await socket.send("unsubscribe", channel="posts", ref="u")
                while frame["type"] != "unsubscribed":
                    if frame["type"] == "event" and frame["seq"] > since:
                        assert frame["payload"]["new"]["id"] == expected, frame["n"]
                        since, expected = frame["seq"], expected + 1
                    frame = await socket.receive()
                resume = {"epoch": ack["epoch"], "since": since}
                again = await socket.join("posts", resume=resume)
                assert again["resume"] == "ok"
        finally:
            done.set()
            writer.join()
