# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Realtime over real sockets: the seed's line, handlers, streams, sending, bad input."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from aerodb import (
    AeroDBAPIError,
    BroadcastMessage,
    ClientOptions,
    GapNotice,
    RealtimeOptions,
    RealtimePayload,
    RealtimeStatus,
    SubscribeStatus,
)
from aerodb._io.on_asyncio import Event, Worker, monotonic, pause
from aerodb.aio import AeroDBClient
from tests.support.faults import FaultProxy
from tests.support.scripted_realtime import ScriptedRealtime

SOON = 20.0
KEY = "aero_pk_test"


@pytest.fixture
def server() -> Iterator[ScriptedRealtime]:
    with ScriptedRealtime() as running:
        yield running


def make(server: ScriptedRealtime, **settings: Any) -> AeroDBClient:
    quick = {"reconnect_delay": 0.05, "max_reconnect_delay": 0.2}
    options = ClientOptions(trust_env=False, realtime=RealtimeOptions(**{**quick, **settings}))
    return AeroDBClient(server.url, KEY, options=options)


@pytest.fixture
async def client(server: ScriptedRealtime) -> AsyncIterator[AeroDBClient]:
    async with make(server) as made:
        yield made


async def until(condition: Callable[[], Any], seconds: float = SOON) -> None:
    """Wait until something is so."""
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, "it did not come about"
        await pause(0.01)


# --- the seed's line -----------------------------------------------------------------------------


async def test_the_seeds_line(client: AeroDBClient, server: ScriptedRealtime) -> None:
    heard: list[Any] = []
    channel = client.channel("posts")
    assert server.opened == []
    answer = await channel.on("INSERT", heard.append).on("UPDATE", heard.append).subscribe()
    assert answer.unwrap() is channel
    assert channel.subscribed
    assert server.paths == ["/realtime"]
    said = {
        "type": "event",
        "channel": "posts",
        "payload": {"type": "INSERT", "new": {"id": 1, "title": "Hello"}},
    }
    server.say(said)
    server.say({**said, "payload": {"type": "DELETE", "old": {"id": 1}}})
    server.say({**said, "payload": {"type": "UPDATE", "new": {"id": 2}}})
    await until(lambda: len(heard) == 2)
    assert [one.type for one in heard] == ["INSERT", "UPDATE"]
    assert heard[0]["new"] == heard[0].new == {"id": 1, "title": "Hello"}
    assert heard[0].raw == said
    assert (await channel.unsubscribe()).ok
    assert not channel.subscribed
    server.say(said)
    await pause(0.05)
    assert len(heard) == 2
    assert server.seen == [
        {"type": "subscribe", "channel": "posts"},
        {"type": "unsubscribe", "channel": "posts"},
    ]


async def test_handlers_survive_and_can_be_taken_away(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    one: list[Any] = []
    other: list[Any] = []
    channel = client.channel("posts").on("*", one.append)

    @channel.on("INSERT")
    def decorated(event: RealtimePayload) -> None:
        other.append(event)

    await channel.subscribe()
    await channel.unsubscribe()
    await channel.subscribe()
    server.insert("posts")
    await until(lambda: one and other)
    channel.off("INSERT", decorated)
    server.insert("posts")
    await until(lambda: len(one) == 2)
    assert len(other) == 1
    await channel.unsubscribe(clear_handlers=True)
    await channel.subscribe()
    server.insert("posts")
    await pause(0.05)
    assert len(one) == 2


async def test_handlers_may_be_async_where_the_client_is(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    heard: list[Any] = []

    async def handler(event: Any) -> None:
        await pause(0.01)
        heard.append(event.new["id"])

    await client.channel("posts").on("INSERT", handler).subscribe()
    server.insert("posts", 5)
    await until(lambda: len(heard) == 5)
    assert heard == [1, 2, 3, 4, 5]


async def test_wrong_handlers_are_refused_when_they_are_given(client: AeroDBClient) -> None:
    channel = client.channel("posts")
    with pytest.raises(TypeError, match="must be callable"):
        channel.on("INSERT", 3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="cannot be called with one argument"):
        channel.on("INSERT", lambda: None)  # type: ignore[arg-type, misc]
    with pytest.raises(TypeError, match="cannot be called with 2 arguments"):
        await channel.subscribe(lambda status: None)  # type: ignore[arg-type, misc]
    with pytest.raises(ValueError, match="INSERT, UPDATE, DELETE"):
        channel.on("UPSERT", print)
    with pytest.raises(ValueError, match="no condition"):
        channel.on_changes(filter="nonsense", callback=print)
    with pytest.raises(TypeError, match="must be a str"):
        client.channel(3)  # type: ignore[arg-type]


async def test_a_channel_is_the_same_until_it_is_removed(client: AeroDBClient) -> None:
    channel = client.channel("posts")
    assert client.channel("posts") is channel
    assert client.get_channels() == [channel]
    await channel.subscribe()
    assert client.status.channels == ("posts",)
    assert (await client.remove_channel(channel)).ok
    assert client.get_channels() == []
    assert client.channel("posts") is not channel
    await client.channel("users").subscribe()
    assert (await client.remove_all_channels()).ok
    assert client.get_channels() == []


async def test_a_channel_is_removed_though_nobody_confirms_that_it_was_left(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    late: list[Any] = []
    server.answers["unsubscribe"] = lambda connection, frame: late.append(connection)
    channel = client.channel("posts")
    await channel.subscribe()
    await client.realtime.remove_channel(channel, timeout=0.05)
    assert client.get_channels() == []
    heard: list[Any] = []
    again = client.channel("posts").on("*", heard.append)
    assert again is not channel
    assert (await again.subscribe()).ok
    await until(lambda: late)
    server.say({"type": "unsubscribed", "channel": "posts"})
    server.insert("posts")
    await until(lambda: heard)
    assert again.subscribed


async def test_statuses_are_told(client: AeroDBClient, server: ScriptedRealtime) -> None:
    told: list[Any] = []
    connection: list[Any] = []
    client.realtime.on_status(lambda status, error: connection.append(status))
    channel = client.channel("posts")
    await channel.subscribe(lambda status, error: told.append(status))
    server.kill(1011)
    await until(lambda: SubscribeStatus.RESUBSCRIBED in told)
    await channel.unsubscribe()
    await until(lambda: told[-1] == "CLOSED")
    assert told == ["SUBSCRIBED", "RECONNECTING", "RESUBSCRIBED", "CLOSED"]
    await client.realtime.disconnect()
    await until(lambda: connection[-1] is RealtimeStatus.CLOSED)
    assert connection == [
        "connecting", "open", "reconnecting", "connecting", "open", "closed",
    ]  # fmt: skip
    assert client.realtime.status is RealtimeStatus.CLOSED


async def test_column_filters_go_to_the_server_and_are_checked_again(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    heard: list[Any] = []
    channel = client.channel("room")
    channel.on_changes("INSERT", table="posts", filter="id=gt.2", callback=heard.append)
    await channel.subscribe()
    (frame,) = server.seen
    assert frame["config"]["postgres_changes"] == [
        {"event": "INSERT", "schema": "public", "table": "posts", "filter": "id=gt.2"}
    ]
    assert "filter" not in frame
    for number in (1, 3):
        payload = {"type": "INSERT", "table": "posts", "new": {"id": number}}
        server.say({"type": "event", "channel": "room", "payload": payload})
    await until(lambda: heard)
    assert [one.new for one in heard] == [{"id": 3}]


# --- streams -------------------------------------------------------------------------------------


async def test_events_one_after_another(client: AeroDBClient, server: ScriptedRealtime) -> None:
    channel = client.channel("posts")
    await channel.subscribe()
    server.insert("posts", 4)
    found = (await channel.collect(2)).unwrap()
    async for event in channel:
        found.append(event)
        if len(found) == 3:
            break
    async for event in channel.listen(timeout=0.2):
        found.append(event)
    assert [one["new"]["id"] for one in found] == [1, 2, 3, 4]
    late = await channel.collect(1, timeout=0.05)
    assert late.data == []
    assert late.error is not None
    assert late.error.code == "TIMEOUT"


async def test_every_stream_gets_every_event_and_ends_with_the_channel(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    channel = client.channel("posts")
    streams = [channel.events() for _ in range(3)]
    await channel.subscribe()
    server.insert("posts", 2)
    for stream in streams:
        one, two = await stream.get(SOON), await stream.get(SOON)
        assert isinstance(one, RealtimePayload)
        assert isinstance(two, RealtimePayload)
        assert (one.sequence, two.sequence) == (1, 2)
    async with streams[0] as closed:
        pass
    assert closed.is_closed
    assert [one async for one in closed] == []
    server.insert("posts")
    await until(lambda: len(streams[1].inbox) == 1)
    await channel.unsubscribe()
    assert [one async for one in streams[1]] == []


async def test_reading_a_channel_that_is_not_subscribed_is_refused(client: AeroDBClient) -> None:
    channel = client.channel("posts")
    with pytest.raises(AeroDBAPIError, match="NOT_CONNECTED"):
        channel.listen()
    answer = await channel.collect(1)
    assert answer.error is not None
    assert answer.error.code == "NOT_CONNECTED"


async def test_a_stream_ends_with_the_error_that_ended_the_channel(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    channel = client.channel("posts")
    await channel.subscribe()
    stream = channel.events()
    refusal = {"type": "error", "channel": "posts", "code": "unauthorized", "message": "no more"}
    server.say(refusal)
    with pytest.raises(AeroDBAPIError, match="no more"):
        await stream.get(SOON)
    assert channel.state == "failed"


# --- slow handlers (reliability W5) --------------------------------------------------------------


async def test_a_slow_handler_costs_events_and_not_the_connection(
    server: ScriptedRealtime,
) -> None:
    async with make(server, max_queue=50, heartbeat=0.2) as client:
        heard: list[Any] = []
        gaps: list[Any] = []
        gate = Event()

        async def slow(event: Any) -> None:
            heard.append(event.new["id"])
            await gate.wait(SOON)

        channel = client.channel("posts").on("*", slow).on_gap(gaps.append)
        await channel.subscribe()
        server.insert("posts", 1000, title="y" * 1000)
        await until(lambda: channel.dropped)
        beats = len(server.frames("heartbeat"))
        await until(lambda: len(server.frames("heartbeat")) >= beats + 3)
        server.insert("posts")
        gate.set()
        await until(lambda: heard[-1] == 1001)
        assert len(server.opened) == 1
        assert sum(gap.missed for gap in gaps) == channel.dropped == 1001 - len(heard)
        assert heard == sorted(heard)
        assert {gap.reason for gap in gaps} == {"client_dropped"}
        missing = set(range(1, 1002)) - set(heard)
        assert missing == {n for gap in gaps for n in range(gap.after + 1, gap.until + 1)}
        assert client.realtime.latency is not None


@pytest.mark.parametrize("overflow", ["drop_newest", "close"])
async def test_other_policies(server: ScriptedRealtime, overflow: Any) -> None:
    async with make(server) as client:
        channel = client.channel("posts")
        stream = channel.events(maxsize=10, overflow=overflow)
        await channel.subscribe()
        server.insert("posts", 30)
        await until(lambda: stream.inbox.dropped)
        await pause(0.1)
        found = [await stream.get(0) for _ in range(11)]
        assert [one["new"]["id"] for one in found[:10] if one] == list(range(1, 11))
        assert isinstance(found[10], GapNotice)
        assert found[10].missed == stream.dropped
        if overflow == "close":
            with pytest.raises(AeroDBAPIError, match="SLOW_CONSUMER"):
                await stream.get(0)
            assert channel.subscribed
        else:
            assert found[10].missed == 20


async def test_handlers_that_are_too_slow_end_their_channel_if_so_agreed(
    server: ScriptedRealtime,
) -> None:
    async with make(server, max_queue=5, overflow="close") as client:
        gate = Event()
        told: list[Any] = []

        async def slow(event: Any) -> None:
            await gate.wait(SOON)

        channel = client.channel("posts").on("*", slow)
        await channel.subscribe(lambda *news: told.append(news))
        server.insert("posts", 100)
        await pause(0.1)
        gate.set()
        await until(lambda: any(status == "CHANNEL_ERROR" for status, _ in told))
        assert [e.code for s, e in told if s == "CHANNEL_ERROR"] == ["SLOW_CONSUMER"]
        assert (await channel.subscribe()).ok


# --- failing handlers (reliability W6) -----------------------------------------------------------


async def test_a_failing_handler_harms_nobody_else(
    client: AeroDBClient, server: ScriptedRealtime, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Any] = []
    errors: list[Any] = []

    def failing(event: Any) -> None:
        if event.new["id"] % 10 == 0:
            raise KeyError("of the handler")

    client.realtime.on_error(errors.append)
    client.realtime.on_error(lambda error: 1 / 0)
    channel = client.channel("posts").on("*", failing).on("*", heard.append)
    with caplog.at_level(logging.ERROR, "aerodb.realtime"):
        await channel.subscribe()
        server.insert("posts", 500)
        await until(lambda: len(heard) == 500)
    lines = [one for one in caplog.records if "handler failed" in one.message]
    assert len(lines) == 1
    assert "failing" in lines[0].message
    assert len(errors) == 50
    assert {one.code for one in errors} == {"HANDLER_FAILED"}


# --- calls from within a handler (reliability W7) ------------------------------------------------


@pytest.mark.parametrize("act", ["subscribe", "unsubscribe", "other", "remove", "send", "close"])
async def test_a_handler_may_use_the_client(server: ScriptedRealtime, act: str) -> None:
    done = Event()
    answers: list[Any] = []
    client = make(server)

    async def handler(event: Any) -> None:
        if act == "subscribe":
            answers.append(await client.channel("users").subscribe())
        elif act == "unsubscribe":
            answers.append(await client.channel("posts").unsubscribe())
        elif act == "other":
            answers.append(await client.channel("other").unsubscribe())
        elif act == "remove":
            answers.append(await client.remove_channel(client.channel("posts")))
        elif act == "send":
            answers.append(await client.channel("posts").send("e", 1, ack=True))
        else:
            await client.close()
        done.set()

    await client.channel("other").on("*", print).subscribe()
    await client.channel("posts").on("INSERT", handler).subscribe()
    server.insert("posts")
    began = monotonic()
    assert await done.wait(SOON)
    assert monotonic() - began < 5
    assert all(answer.ok for answer in answers)
    await client.close()
    await until(lambda: not server.connections)


async def test_a_handler_that_queries(server: ScriptedRealtime) -> None:
    async with make(server) as client:
        answers: list[Any] = []

        async def handler(event: Any) -> None:
            answers.append(await client.from_("posts").select().execute())

        await client.channel("posts").on("INSERT", handler).subscribe()
        server.insert("posts")
        await until(lambda: answers)
        assert answers[0].error is not None  # it was asked: this server speaks WebSocket only


async def test_no_handler_runs_when_unsubscribe_has_returned(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    running: list[str] = []

    async def slow(event: Any) -> None:
        running.append("in")
        await pause(0.1)
        running.append("out")

    channel = client.channel("posts").on("*", slow)
    await channel.subscribe()
    server.insert("posts", 100)
    await until(lambda: running)
    await channel.unsubscribe()
    ended = len(running)
    assert running[-1] == "out"
    await pause(0.3)
    assert len(running) == ended


# --- sending -------------------------------------------------------------------------------------


async def test_broadcasts(client: AeroDBClient, server: ScriptedRealtime) -> None:
    heard: list[Any] = []
    one = client.channel("room")
    refused = await one.send("cursor", {"x": 1})
    assert refused.error is not None
    assert refused.error.code == "NOT_CONNECTED"
    async with make(server) as other:
        there = other.channel("room").on_broadcast("cursor", heard.append)
        there.on_broadcast("*", heard.append)
        await there.subscribe()
        await one.subscribe()
        assert (await one.send("cursor", {"x": 1}, ack=True)).unwrap() == (1,)
        assert (await one.send("click")).unwrap().subscribers_notified is None
        await until(lambda: len(heard) == 3)
        assert all(isinstance(message, BroadcastMessage) for message in heard)
        assert [(m.event, m["payload"]) for m in heard] == [
            ("cursor", {"x": 1}), ("cursor", {"x": 1}), ("click", None),
        ]  # fmt: skip
        for payload in ({1: 2}, "x" * 70_000, float("nan")):
            bad = await one.send("e", payload)
            assert bad.error is not None
            assert bad.error.code == "INVALID_ARGUMENT"
        server.answers["broadcast"] = lambda connection, frame: None
        silent = await one.send("e", ack=True, timeout=0.1)
        assert silent.error is not None
        assert (silent.error.code, silent.error.maybe_applied) == ("TIMEOUT", True)


async def test_many_senders_at_once_keep_every_frame(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    channel = client.channel("room")
    await channel.subscribe()
    for number in range(300):
        assert (await channel.send("n", number)).ok
    await until(lambda: len(server.frames("broadcast")) == 300)
    assert [frame["payload"] for frame in server.frames("broadcast")] == list(range(300))


async def test_presence(client: AeroDBClient, server: ScriptedRealtime) -> None:
    heard: list[Any] = []
    channel = client.channel("room", presence_key="me")
    channel.on_presence("*", heard.append)
    await channel.subscribe()
    assert server.seen[0]["config"] == {"presence": {"enabled": True, "key": "me"}}
    assert (await channel.track({"mood": "good"})).ok
    wrong = await channel.track(["no mapping"])  # type: ignore[arg-type]
    assert wrong.error is not None
    assert wrong.error.code == "INVALID_ARGUMENT"
    state = {"me": [{"presence_ref": "1", "mood": "good"}]}
    server.say({"type": "presence", "channel": "room", "event": "sync", "payload": state})
    await until(lambda: len(heard) == 2)
    assert [one.event for one in heard] == ["join", "sync"]
    assert channel.presence_state() == state
    came = {"ada": [{"presence_ref": "2"}]}
    server.say({"type": "presence", "channel": "room", "event": "join", "payload": came})
    await until(lambda: len(heard) == 4)
    assert heard[2].presences == came
    assert heard[3].presences == {**state, **came}
    server.kill()
    await until(lambda: len(server.frames("presence")) == 2)
    assert server.frames("presence")[1]["payload"] == {"mood": "good"}
    assert (await channel.untrack()).ok


async def test_tracking_on_a_channel_without_presence_asks_for_it(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    channel = client.channel("room")
    await channel.subscribe()
    assert (await channel.untrack()).ok  # nothing was tracked
    assert (await channel.track({"mood": "good"})).ok
    await until(lambda: len(server.frames("presence")) == 1)
    asked = server.frames("subscribe")
    assert "config" not in asked[0]
    assert asked[1]["config"]["presence"] == {"enabled": True}
    assert server.frames("presence")[0]["payload"] == {"mood": "good"}
    assert channel.subscribed
    assert (await channel.track({"mood": "better"})).ok
    assert len(server.frames("subscribe")) == 2


async def test_who_listens_to_a_subscribed_channel_hears_so(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    first: list[Any] = []
    second: list[Any] = []
    channel = client.channel("posts")
    await channel.subscribe(lambda status, error: first.append(status))
    await channel.subscribe(lambda status, error: second.append(status))
    await until(lambda: second)
    assert first == second == ["SUBSCRIBED"]
    assert len(server.seen) == 1


async def test_unsubscribing_tells_of_a_handler_that_still_runs(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    began, may_end = Event(), Event()

    async def slow(event: Any) -> None:
        began.set()
        await may_end.wait(SOON)

    channel = client.channel("posts").on("INSERT", slow)
    await channel.subscribe()
    server.insert("posts")
    assert await began.wait(SOON)
    answer = await channel.unsubscribe(timeout=0.05)
    assert answer.error is not None
    assert answer.error.code == "TIMEOUT"
    assert "'posts'" in answer.error.message
    assert channel.state == "idle"
    may_end.set()
    assert (await channel.unsubscribe()).ok


async def test_a_handler_that_gives_up_harms_no_other(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    """`GeneratorExit` is no `Exception`, nor are the others tried with threads and tasks."""
    heard: list[int] = []
    errors: list[Any] = []

    def gives_up(event: Any) -> None:
        raise GeneratorExit

    client.realtime.on_error(errors.append)
    channel = client.channel("posts").on("INSERT", gives_up)
    channel.on("INSERT", lambda event: heard.append(event.new["id"]))
    await channel.subscribe()
    server.insert("posts", 5)
    await until(lambda: len(heard) == len(errors) == 5)
    assert heard == [1, 2, 3, 4, 5]
    assert errors[0].code == "HANDLER_FAILED"


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["invalid_channel", "invalid_filter", "unauthorized"])
async def test_what_the_server_refuses(
    client: AeroDBClient, server: ScriptedRealtime, code: str
) -> None:
    def refuse(connection: Any, frame: dict[str, Any]) -> None:
        connection.say(
            {"type": "error", "channel": frame["channel"], "code": code, "message": "no"}
        )

    server.answers["subscribe"] = refuse
    channel = client.channel("secrets").on("*", print)
    answer = await channel.subscribe()
    assert answer.error is not None
    assert answer.error.code == code
    assert channel.state == "failed"
    assert channel.error is answer.error
    await pause(0.1)
    assert len(server.seen) == len(server.opened) == 1
    server.answers.clear()
    assert (await channel.subscribe()).ok


async def test_a_message_that_may_not_be_sent_costs_no_subscription(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    """Who may read a private channel need not be one who may send to it."""

    def refuse(connection: Any, frame: dict[str, Any]) -> None:
        said = {"channel": frame["channel"], "ref": frame.get("ref"), "message": "no"}
        connection.say({"type": "error", "code": "unauthorized", **said})

    server.answers["broadcast"] = server.answers["presence"] = refuse
    errors: list[Any] = []
    client.realtime.on_error(errors.append)
    channel = client.channel("lobby", private=True, presence_key="ada")
    assert (await channel.subscribe()).ok
    assert (await channel.send("hello")).ok
    assert (await channel.track({})).ok
    answer = await channel.send("hello", ack=True)
    assert answer.error is not None
    assert answer.error.code == "unauthorized"
    await until(lambda: len(errors) == 2)
    assert channel.subscribed


async def test_wishes_that_no_frame_can_hold(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    filtered = client.channel("posts").on_changes(filter="a=eq.\ud800", callback=print)
    for channel in (filtered, client.channel("room", presence_key="\udfff")):
        answer = await channel.subscribe()
        assert answer.error is not None
        assert answer.error.code == "INVALID_ARGUMENT"
        assert "surrogate" in answer.error.message
    assert server.opened == []


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb"])
async def test_names_that_no_channel_can_have(
    client: AeroDBClient, server: ScriptedRealtime, name: str
) -> None:
    channel = client.channel(name)
    for answer in (await channel.subscribe(), await channel.http_send("e", 1)):
        assert answer.error is not None
        assert answer.error.code == "INVALID_ARGUMENT"
    assert server.opened == []


async def test_a_flood_of_errors_waits_for_no_listener(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    """A listener that takes its time makes no memory grow, and holds no handler up for ever."""
    gate, told, heard = Event(), list[Any](), list[Any]()

    async def listener(error: Any) -> None:
        told.append(error)
        await gate.wait(SOON)

    client.realtime.on_error(listener)
    await client.channel("posts").on("*", heard.append).subscribe()
    for number in range(3000):
        server.say({"type": "error", "code": "odd", "message": str(number)})
    server.say({"type": "event", "payload": "the last of them"})
    await until(lambda: client.realtime._link.machine.malformed)
    server.insert("posts")
    gate.set()
    await until(lambda: heard and len(told) >= 50)
    assert len(told) <= 150
    assert [int(one.message) for one in told[:50]] == list(range(50))
    server.say({"type": "error", "code": "odd", "message": "later"})
    await until(lambda: told[-1].message == "later")


async def test_a_flood_of_confirmations_is_one_status(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    told: list[Any] = []
    channel = client.channel("posts")
    await channel.subscribe(lambda status, error: told.append(status))
    for _ in range(50):
        server.say({"type": "subscribed", "channel": "posts", "epoch": "one", "seq": 0})
    server.insert("posts")
    (await channel.collect(1, timeout=SOON)).unwrap()
    assert told == ["SUBSCRIBED"]


async def test_statuses_that_nobody_takes_in_are_bounded(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    gate, told = Event(), list[Any]()

    async def listener(status: Any, error: Any) -> None:
        told.append(status)
        await gate.wait(SOON)

    channel = client.channel("posts")
    await channel.subscribe(listener)
    await until(lambda: told)
    busy = {"type": "error", "code": "internal_error", "channel": "posts", "retryable": True}
    for _ in range(1000):
        server.say({**busy, "message": "no"})
        server.say({"type": "subscribed", "channel": "posts", "epoch": "one", "seq": 0})
    server.insert("posts")
    found: list[Any] = []
    while not (found and isinstance(found[-1], RealtimePayload)):  # notices come before it
        found = (await channel.collect(1, timeout=SOON)).unwrap()
    gate.set()
    await until(lambda: told[-1] == "RESUBSCRIBED" and len(told) > 50)
    await pause(0.2)
    assert len(told) <= 150
    assert told[-1] == "RESUBSCRIBED"


async def test_a_server_that_never_confirms(client: AeroDBClient, server: ScriptedRealtime) -> None:
    server.answers["subscribe"] = lambda connection, frame: None
    channel = client.channel("posts")
    answer = await channel.subscribe(timeout=0.2)
    assert answer.error is not None
    assert answer.error.code == "JOIN_TIMEOUT"
    assert answer.error.retryable
    assert channel.state == "joining"
    wrong = await channel.subscribe(timeout=-1)
    assert wrong.error is not None
    assert wrong.error.code == "INVALID_ARGUMENT"


async def test_what_is_no_frame_is_ignored(client: AeroDBClient, server: ScriptedRealtime) -> None:
    heard: list[Any] = []
    await client.channel("posts").on("*", heard.append).subscribe()
    for frame in ("no JSON", b"binary", "[]", '{"type":3}', '{"type":"odd"}', "[" * 5000, "\x00"):
        server.say(frame)
    server.insert("posts")
    await until(lambda: heard)
    assert len(server.opened) == 1


async def test_a_message_that_is_too_large_ends_in_no_storm(server: ScriptedRealtime) -> None:
    async with make(server, max_message_bytes=10_000) as client:
        heard: list[Any] = []
        gaps: list[Any] = []
        channel = client.channel("posts").on("*", heard.append).on_gap(gaps.append)
        other = client.channel("users").on("*", heard.append)
        await channel.subscribe()
        await other.subscribe()
        server.insert("posts", title="z" * 20_000)
        await until(lambda: gaps and channel.subscribed and other.subscribed)
        server.insert("users")
        await until(lambda: heard)
        server.insert("posts", title="z" * 20_000)
        await until(lambda: client.realtime.status == "closed")
        assert channel.state == other.state == "failed"
        await pause(0.5)
        assert len(server.opened) == 2
        assert (await other.subscribe()).ok  # asked for again, with its handlers
        server.insert("users")
        await until(lambda: len(heard) == 2)


async def test_nothing_is_done_after_the_end(server: ScriptedRealtime) -> None:
    client = make(server)
    channel = client.channel("posts")
    await channel.subscribe()
    for _ in range(2):
        await client.close()
    for answer in (
        await channel.subscribe(),
        await channel.send("e", 1),
        await channel.track({}),
        await client.realtime.connect(),
    ):
        assert answer.error is not None
        assert answer.error.code == "CLIENT_CLOSED"
    assert client.status.closed
    await until(lambda: not server.connections)


@pytest.mark.parametrize("end", ["disconnect", "close"])
async def test_every_channel_is_left_before_the_end(server: ScriptedRealtime, end: str) -> None:
    client = make(server)
    for name in ("posts", "users", "left"):
        await client.channel(name).subscribe()
    await client.channel("left").unsubscribe()
    client.channel("never")
    assert len(server.frames("unsubscribe")) == 1
    if end == "disconnect":
        await client.realtime.disconnect()
    else:
        await client.close()
    await until(lambda: not server.connections)
    assert server.ends == [1000]
    assert [one["channel"] for one in server.frames("unsubscribe")] == ["left", "posts", "users"]
    await client.close()


async def test_a_client_that_comes_back_leaves_nothing_twice(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    channel = client.channel("posts")
    for turn in (1, 2):
        await channel.subscribe()
        await client.realtime.disconnect()
        await until(lambda turn=turn: len(server.ends) == turn)
        assert len(server.frames("unsubscribe")) == turn
    await channel.subscribe()
    server.kill()
    await until(lambda: len(server.opened) == 4 and channel.subscribed)
    assert len(server.frames("unsubscribe")) == 2


async def test_closing_is_bounded_when_nothing_can_be_sent(server: ScriptedRealtime) -> None:
    with FaultProxy(server.port) as proxy:
        options = ClientOptions(trust_env=False, realtime=RealtimeOptions(reconnect_delay=0.05))
        client = AeroDBClient(f"http://127.0.0.1:{proxy.port}", KEY, options=options)
        channel = client.channel("posts")
        await channel.subscribe()
        proxy.set("throttle", size=1, seconds=30)
        sent: list[Any] = []

        async def fill() -> None:
            while sent[-1:] != ["end"]:
                sent.append(await channel.send("e", "x" * 50_000))
                if sent[-1].error is not None:
                    sent.append("end")

        filling = Worker(fill, "fill")
        count = -1
        while count != len(sent):
            count = len(sent)
            await pause(0.5)
        began = monotonic()
        await client.close()
        assert monotonic() - began < 5
        await filling.join(SOON)
        assert sent[-1] == "end"
        assert sent[-2].error.code == "NOT_CONNECTED"


async def test_closing_is_bounded_when_nobody_answers(server: ScriptedRealtime) -> None:
    client = make(server)
    await client.channel("posts").subscribe()
    server.deaf = True
    began = monotonic()
    await client.close()
    assert monotonic() - began < 5
