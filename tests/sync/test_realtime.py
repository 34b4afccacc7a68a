# GENERATED from tests/aio/test_realtime.py by scripts/generate.py [260d66a21166]: do not edit
"""Realtime over real sockets: the seed's line, handlers, streams, sending, bad input."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Callable, Iterator
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
from aerodb._io.on_threads import Event, Worker, monotonic, pause
from aerodb.sync import AeroDBClient
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
def client(server: ScriptedRealtime) -> Iterator[AeroDBClient]:
    with make(server) as made:
        yield made


def until(condition: Callable[[], Any], seconds: float = SOON) -> None:
    """Wait until something is so."""
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, "it did not come about"
        pause(0.01)


# --- the seed's line -----------------------------------------------------------------------------


def test_the_seeds_line(client: AeroDBClient, server: ScriptedRealtime) -> None:
    heard: list[Any] = []
    channel = client.channel("posts")
    assert server.opened == []
    answer = channel.on("INSERT", heard.append).on("UPDATE", heard.append).subscribe()
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
    until(lambda: len(heard) == 2)
    assert [one.type for one in heard] == ["INSERT", "UPDATE"]
    assert heard[0]["new"] == heard[0].new == {"id": 1, "title": "Hello"}
    assert heard[0].raw == said
    assert (channel.unsubscribe()).ok
    assert not channel.subscribed
    server.say(said)
    pause(0.05)
    assert len(heard) == 2
    assert server.seen == [
        {"type": "subscribe", "channel": "posts"},
        {"type": "unsubscribe", "channel": "posts"},
    ]


def test_handlers_survive_and_can_be_taken_away(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    one: list[Any] = []
    other: list[Any] = []
    channel = client.channel("posts").on("*", one.append)

    @channel.on("INSERT")
    def decorated(event: RealtimePayload) -> None:
        other.append(event)

    channel.subscribe()
    channel.unsubscribe()
    channel.subscribe()
    server.insert("posts")
    until(lambda: one and other)
    channel.off("INSERT", decorated)
    server.insert("posts")
    until(lambda: len(one) == 2)
    assert len(other) == 1
    channel.unsubscribe(clear_handlers=True)
    channel.subscribe()
    server.insert("posts")
    pause(0.05)
    assert len(one) == 2


def test_handlers_may_be_async_where_the_client_is(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    heard: list[Any] = []

    def handler(event: Any) -> None:
        pause(0.01)
        heard.append(event.new["id"])

    client.channel("posts").on("INSERT", handler).subscribe()
    server.insert("posts", 5)
    until(lambda: len(heard) == 5)
    assert heard == [1, 2, 3, 4, 5]


def test_wrong_handlers_are_refused_when_they_are_given(client: AeroDBClient) -> None:
    channel = client.channel("posts")
    with pytest.raises(TypeError, match="must be callable"):
        channel.on("INSERT", 3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="cannot be called with one argument"):
        channel.on("INSERT", lambda: None)  # type: ignore[arg-type, misc]
    with pytest.raises(TypeError, match="cannot be called with 2 arguments"):
        channel.subscribe(lambda status: None)  # type: ignore[arg-type, misc]
    with pytest.raises(ValueError, match="INSERT, UPDATE, DELETE"):
        channel.on("UPSERT", print)
    with pytest.raises(ValueError, match="no condition"):
        channel.on_changes(filter="nonsense", callback=print)
    with pytest.raises(TypeError, match="must be a str"):
        client.channel(3)  # type: ignore[arg-type]


def test_a_channel_is_the_same_until_it_is_removed(client: AeroDBClient) -> None:
    channel = client.channel("posts")
    assert client.channel("posts") is channel
    assert client.get_channels() == [channel]
    channel.subscribe()
    assert client.status.channels == ("posts",)
    assert (client.remove_channel(channel)).ok
    assert client.get_channels() == []
    assert client.channel("posts") is not channel
    client.channel("users").subscribe()
    assert (client.remove_all_channels()).ok
    assert client.get_channels() == []


def test_a_channel_is_removed_though_nobody_confirms_that_it_was_left(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    late: list[Any] = []
    server.answers["unsubscribe"] = lambda connection, frame: late.append(connection)
    channel = client.channel("posts")
    channel.subscribe()
    client.realtime.remove_channel(channel, timeout=0.05)
    assert client.get_channels() == []
    heard: list[Any] = []
    again = client.channel("posts").on("*", heard.append)
    assert again is not channel
    assert (again.subscribe()).ok
    until(lambda: late)
    server.say({"type": "unsubscribed", "channel": "posts"})
    server.insert("posts")
    until(lambda: heard)
    assert again.subscribed


def test_statuses_are_told(client: AeroDBClient, server: ScriptedRealtime) -> None:
    told: list[Any] = []
    connection: list[Any] = []
    client.realtime.on_status(lambda status, error: connection.append(status))
    channel = client.channel("posts")
    channel.subscribe(lambda status, error: told.append(status))
    server.kill(1011)
    until(lambda: SubscribeStatus.RESUBSCRIBED in told)
    channel.unsubscribe()
    until(lambda: told[-1] == "CLOSED")
    assert told == ["SUBSCRIBED", "RECONNECTING", "RESUBSCRIBED", "CLOSED"]
    client.realtime.disconnect()
    until(lambda: connection[-1] is RealtimeStatus.CLOSED)
    assert connection == [
        "connecting", "open", "reconnecting", "connecting", "open", "closed",
    ]  # fmt: skip
    assert client.realtime.status is RealtimeStatus.CLOSED


def test_column_filters_go_to_the_server_and_are_checked_again(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    heard: list[Any] = []
    channel = client.channel("room")
    channel.on_changes("INSERT", table="posts", filter="id=gt.2", callback=heard.append)
    channel.subscribe()
    (frame,) = server.seen
    assert frame["config"]["postgres_changes"] == [
        {"event": "INSERT", "schema": "public", "table": "posts", "filter": "id=gt.2"}
    ]
    assert "filter" not in frame
    for number in (1, 3):
        payload = {"type": "INSERT", "table": "posts", "new": {"id": number}}
        server.say({"type": "event", "channel": "room", "payload": payload})
    until(lambda: heard)
    assert [one.new for one in heard] == [{"id": 3}]


# --- streams -------------------------------------------------------------------------------------


def test_events_one_after_another(client: AeroDBClient, server: ScriptedRealtime) -> None:
    channel = client.channel("posts")
    channel.subscribe()
    server.insert("posts", 4)
    found = (channel.collect(2)).unwrap()
    for event in channel:
        found.append(event)
        if len(found) == 3:
            break
    for event in channel.listen(timeout=0.2):
        found.append(event)
    assert [one["new"]["id"] for one in found] == [1, 2, 3, 4]
    late = channel.collect(1, timeout=0.05)
    assert late.data == []
    assert late.error is not None
    assert late.error.code == "TIMEOUT"


def test_every_stream_gets_every_event_and_ends_with_the_channel(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    channel = client.channel("posts")
    streams = [channel.events() for _ in range(3)]
    channel.subscribe()
    server.insert("posts", 2)
    for stream in streams:
        one, two = stream.get(SOON), stream.get(SOON)
        assert isinstance(one, RealtimePayload)
        assert isinstance(two, RealtimePayload)
        assert (one.sequence, two.sequence) == (1, 2)
    with streams[0] as closed:
        pass
    assert closed.is_closed
    assert [one for one in closed] == []
    server.insert("posts")
    until(lambda: len(streams[1].inbox) == 1)
    channel.unsubscribe()
    assert [one for one in streams[1]] == []


def test_reading_a_channel_that_is_not_subscribed_is_refused(client: AeroDBClient) -> None:
    channel = client.channel("posts")
    with pytest.raises(AeroDBAPIError, match="NOT_CONNECTED"):
        channel.listen()
    answer = channel.collect(1)
    assert answer.error is not None
    assert answer.error.code == "NOT_CONNECTED"


def test_a_stream_ends_with_the_error_that_ended_the_channel(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    channel = client.channel("posts")
    channel.subscribe()
    stream = channel.events()
    refusal = {"type": "error", "channel": "posts", "code": "unauthorized", "message": "no more"}
    server.say(refusal)
    with pytest.raises(AeroDBAPIError, match="no more"):
        stream.get(SOON)
    assert channel.state == "failed"


# --- slow handlers (reliability W5) --------------------------------------------------------------


def test_a_slow_handler_costs_events_and_not_the_connection(
    server: ScriptedRealtime,
) -> None:
    with make(server, max_queue=50, heartbeat=0.2) as client:
        heard: list[Any] = []
        gaps: list[Any] = []
        gate = Event()

        def slow(event: Any) -> None:
            heard.append(event.new["id"])
            gate.wait(SOON)

        channel = client.channel("posts").on("*", slow).on_gap(gaps.append)
        channel.subscribe()
        server.insert("posts", 1000, title="y" * 1000)
        until(lambda: channel.dropped)
        beats = len(server.frames("heartbeat"))
        until(lambda: len(server.frames("heartbeat")) >= beats + 3)
        server.insert("posts")
        gate.set()
        until(lambda: heard[-1] == 1001)
        assert len(server.opened) == 1
        assert sum(gap.missed for gap in gaps) == channel.dropped == 1001 - len(heard)
        assert heard == sorted(heard)
        assert {gap.reason for gap in gaps} == {"client_dropped"}
        missing = set(range(1, 1002)) - set(heard)
        assert missing == {n for gap in gaps for n in range(gap.after + 1, gap.until + 1)}
        assert client.realtime.latency is not None


@pytest.mark.parametrize("overflow", ["drop_newest", "close"])
def test_other_policies(server: ScriptedRealtime, overflow: Any) -> None:
    with make(server) as client:
        channel = client.channel("posts")
        stream = channel.events(maxsize=10, overflow=overflow)
        channel.subscribe()
        server.insert("posts", 30)
        until(lambda: stream.inbox.dropped)
        pause(0.1)
        found = [stream.get(0) for _ in range(11)]
        assert [one["new"]["id"] for one in found[:10] if one] == list(range(1, 11))
        assert isinstance(found[10], GapNotice)
        assert found[10].missed == stream.dropped
        if overflow == "close":
            with pytest.raises(AeroDBAPIError, match="SLOW_CONSUMER"):
                stream.get(0)
            assert channel.subscribed
        else:
            assert found[10].missed == 20


def test_handlers_that_are_too_slow_end_their_channel_if_so_agreed(
    server: ScriptedRealtime,
) -> None:
    with make(server, max_queue=5, overflow="close") as client:
        gate = Event()
        told: list[Any] = []

        def slow(event: Any) -> None:
            gate.wait(SOON)

        channel = client.channel("posts").on("*", slow)
        channel.subscribe(lambda *news: told.append(news))
        server.insert("posts", 100)
        pause(0.1)
        gate.set()
        until(lambda: any(status == "CHANNEL_ERROR" for status, _ in told))
        assert [e.code for s, e in told if s == "CHANNEL_ERROR"] == ["SLOW_CONSUMER"]
        assert (channel.subscribe()).ok


# --- failing handlers (reliability W6) -----------------------------------------------------------


def test_a_failing_handler_harms_nobody_else(
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
        channel.subscribe()
        server.insert("posts", 500)
        until(lambda: len(heard) == 500)
    lines = [one for one in caplog.records if "handler failed" in one.message]
    assert len(lines) == 1
    assert "failing" in lines[0].message
    assert len(errors) == 50
    assert {one.code for one in errors} == {"HANDLER_FAILED"}


# --- calls from within a handler (reliability W7) ------------------------------------------------


@pytest.mark.parametrize("act", ["subscribe", "unsubscribe", "other", "remove", "send", "close"])
def test_a_handler_may_use_the_client(server: ScriptedRealtime, act: str) -> None:
    done = Event()
    answers: list[Any] = []
    client = make(server)

    def handler(event: Any) -> None:
        if act == "subscribe":
            answers.append(client.channel("users").subscribe())
        elif act == "unsubscribe":
            answers.append(client.channel("posts").unsubscribe())
        elif act == "other":
            answers.append(client.channel("other").unsubscribe())
        elif act == "remove":
            answers.append(client.remove_channel(client.channel("posts")))
        elif act == "send":
            answers.append(client.channel("posts").send("e", 1, ack=True))
        else:
            client.close()
        done.set()

    client.channel("other").on("*", print).subscribe()
    client.channel("posts").on("INSERT", handler).subscribe()
    server.insert("posts")
    began = monotonic()
    assert done.wait(SOON)
    assert monotonic() - began < 5
    assert all(answer.ok for answer in answers)
    client.close()
    until(lambda: not server.connections)


def test_a_handler_that_queries(server: ScriptedRealtime) -> None:
    with make(server) as client:
        answers: list[Any] = []

        def handler(event: Any) -> None:
            answers.append(client.from_("posts").select().execute())

        client.channel("posts").on("INSERT", handler).subscribe()
        server.insert("posts")
        until(lambda: answers)
        assert answers[0].error is not None  # it was asked: this server speaks WebSocket only


def test_no_handler_runs_when_unsubscribe_has_returned(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    running: list[str] = []

    def slow(event: Any) -> None:
        running.append("in")
        pause(0.1)
        running.append("out")

    channel = client.channel("posts").on("*", slow)
    channel.subscribe()
    server.insert("posts", 100)
    until(lambda: running)
    channel.unsubscribe()
    ended = len(running)
    assert running[-1] == "out"
    pause(0.3)
    assert len(running) == ended


# --- sending -------------------------------------------------------------------------------------


def test_broadcasts(client: AeroDBClient, server: ScriptedRealtime) -> None:
    heard: list[Any] = []
    one = client.channel("room")
    refused = one.send("cursor", {"x": 1})
    assert refused.error is not None
    assert refused.error.code == "NOT_CONNECTED"
    with make(server) as other:
        there = other.channel("room").on_broadcast("cursor", heard.append)
        there.on_broadcast("*", heard.append)
        there.subscribe()
        one.subscribe()
        assert (one.send("cursor", {"x": 1}, ack=True)).unwrap() == (1,)
        assert (one.send("click")).unwrap().subscribers_notified is None
        until(lambda: len(heard) == 3)
        assert all(isinstance(message, BroadcastMessage) for message in heard)
        assert [(m.event, m["payload"]) for m in heard] == [
            ("cursor", {"x": 1}), ("cursor", {"x": 1}), ("click", None),
        ]  # fmt: skip
        for payload in ({1: 2}, "x" * 70_000, float("nan")):
            bad = one.send("e", payload)
            assert bad.error is not None
            assert bad.error.code == "INVALID_ARGUMENT"
        server.answers["broadcast"] = lambda connection, frame: None
        silent = one.send("e", ack=True, timeout=0.1)
        assert silent.error is not None
        assert (silent.error.code, silent.error.maybe_applied) == ("TIMEOUT", True)


def test_many_senders_at_once_keep_every_frame(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    channel = client.channel("room")
    channel.subscribe()
    for number in range(300):
        assert (channel.send("n", number)).ok
    until(lambda: len(server.frames("broadcast")) == 300)
    assert [frame["payload"] for frame in server.frames("broadcast")] == list(range(300))


def test_presence(client: AeroDBClient, server: ScriptedRealtime) -> None:
    heard: list[Any] = []
    channel = client.channel("room", presence_key="me")
    channel.on_presence("*", heard.append)
    channel.subscribe()
    assert server.seen[0]["config"] == {"presence": {"enabled": True, "key": "me"}}
    assert (channel.track({"mood": "good"})).ok
    wrong = channel.track(["no mapping"])  # type: ignore[arg-type]
    assert wrong.error is not None
    assert wrong.error.code == "INVALID_ARGUMENT"
    state = {"me": [{"presence_ref": "1", "mood": "good"}]}
    server.say({"type": "presence", "channel": "room", "event": "sync", "payload": state})
    until(lambda: len(heard) == 2)
    assert [one.event for one in heard] == ["join", "sync"]
    assert channel.presence_state() == state
    came = {"ada": [{"presence_ref": "2"}]}
    server.say({"type": "presence", "channel": "room", "event": "join", "payload": came})
    until(lambda: len(heard) == 4)
    assert heard[2].presences == came
    assert heard[3].presences == {**state, **came}
    server.kill()
    until(lambda: len(server.frames("presence")) == 2)
    assert server.frames("presence")[1]["payload"] == {"mood": "good"}
    assert (channel.untrack()).ok


def test_tracking_on_a_channel_without_presence_asks_for_it(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    channel = client.channel("room")
    channel.subscribe()
    assert (channel.untrack()).ok  # nothing was tracked
    assert (channel.track({"mood": "good"})).ok
    until(lambda: len(server.frames("presence")) == 1)
    asked = server.frames("subscribe")
    assert "config" not in asked[0]
    assert asked[1]["config"]["presence"] == {"enabled": True}
    assert server.frames("presence")[0]["payload"] == {"mood": "good"}
    assert channel.subscribed
    assert (channel.track({"mood": "better"})).ok
    assert len(server.frames("subscribe")) == 2


def test_who_listens_to_a_subscribed_channel_hears_so(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    first: list[Any] = []
    second: list[Any] = []
    channel = client.channel("posts")
    channel.subscribe(lambda status, error: first.append(status))
    channel.subscribe(lambda status, error: second.append(status))
    until(lambda: second)
    assert first == second == ["SUBSCRIBED"]
    assert len(server.seen) == 1


def test_unsubscribing_tells_of_a_handler_that_still_runs(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    began, may_end = Event(), Event()

    def slow(event: Any) -> None:
        began.set()
        may_end.wait(SOON)

    channel = client.channel("posts").on("INSERT", slow)
    channel.subscribe()
    server.insert("posts")
    assert began.wait(SOON)
    answer = channel.unsubscribe(timeout=0.05)
    assert answer.error is not None
    assert answer.error.code == "TIMEOUT"
    assert "'posts'" in answer.error.message
    assert channel.state == "idle"
    may_end.set()
    assert (channel.unsubscribe()).ok


def test_a_handler_that_gives_up_harms_no_other(
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
    channel.subscribe()
    server.insert("posts", 5)
    until(lambda: len(heard) == len(errors) == 5)
    assert heard == [1, 2, 3, 4, 5]
    assert errors[0].code == "HANDLER_FAILED"


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["invalid_channel", "invalid_filter", "unauthorized"])
def test_what_the_server_refuses(
    client: AeroDBClient, server: ScriptedRealtime, code: str
) -> None:
    def refuse(connection: Any, frame: dict[str, Any]) -> None:
        connection.say(
            {"type": "error", "channel": frame["channel"], "code": code, "message": "no"}
        )

    server.answers["subscribe"] = refuse
    channel = client.channel("secrets").on("*", print)
    answer = channel.subscribe()
    assert answer.error is not None
    assert answer.error.code == code
    assert channel.state == "failed"
    assert channel.error is answer.error
    pause(0.1)
    assert len(server.seen) == len(server.opened) == 1
    server.answers.clear()
    assert (channel.subscribe()).ok


def test_a_message_that_may_not_be_sent_costs_no_subscription(
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
    assert (channel.subscribe()).ok
    assert (channel.send("hello")).ok
    assert (channel.track({})).ok
    answer = channel.send("hello", ack=True)
    assert answer.error is not None
    assert answer.error.code == "unauthorized"
    until(lambda: len(errors) == 2)
    assert channel.subscribed


def test_wishes_that_no_frame_can_hold(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    filtered = client.channel("posts").on_changes(filter="a=eq.\ud800", callback=print)
    for channel in (filtered, client.channel("room", presence_key="\udfff")):
        answer = channel.subscribe()
        assert answer.error is not None
        assert answer.error.code == "INVALID_ARGUMENT"
        assert "surrogate" in answer.error.message
    assert server.opened == []


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb"])
def test_names_that_no_channel_can_have(
    client: AeroDBClient, server: ScriptedRealtime, name: str
) -> None:
    channel = client.channel(name)
    for answer in (channel.subscribe(), channel.http_send("e", 1)):
        assert answer.error is not None
        assert answer.error.code == "INVALID_ARGUMENT"
    assert server.opened == []


def test_a_flood_of_errors_waits_for_no_listener(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    """A listener that takes its time makes no memory grow, and holds no handler up for ever."""
    gate, told, heard = Event(), list[Any](), list[Any]()

    def listener(error: Any) -> None:
        told.append(error)
        gate.wait(SOON)

    client.realtime.on_error(listener)
    client.channel("posts").on("*", heard.append).subscribe()
    for number in range(3000):
        server.say({"type": "error", "code": "odd", "message": str(number)})
    server.say({"type": "event", "payload": "the last of them"})
    until(lambda: client.realtime._link.machine.malformed)
    server.insert("posts")
    gate.set()
    until(lambda: heard and len(told) >= 50)
    assert len(told) <= 150
    assert [int(one.message) for one in told[:50]] == list(range(50))
    server.say({"type": "error", "code": "odd", "message": "later"})
    until(lambda: told[-1].message == "later")


def test_a_flood_of_confirmations_is_one_status(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    told: list[Any] = []
    channel = client.channel("posts")
    channel.subscribe(lambda status, error: told.append(status))
    for _ in range(50):
        server.say({"type": "subscribed", "channel": "posts", "epoch": "one", "seq": 0})
    server.insert("posts")
    (channel.collect(1, timeout=SOON)).unwrap()
    assert told == ["SUBSCRIBED"]


def test_statuses_that_nobody_takes_in_are_bounded(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    gate, told = Event(), list[Any]()

    def listener(status: Any, error: Any) -> None:
        told.append(status)
        gate.wait(SOON)

    channel = client.channel("posts")
    channel.subscribe(listener)
    until(lambda: told)
    busy = {"type": "error", "code": "internal_error", "channel": "posts", "retryable": True}
    for _ in range(1000):
        server.say({**busy, "message": "no"})
        server.say({"type": "subscribed", "channel": "posts", "epoch": "one", "seq": 0})
    server.insert("posts")
    found: list[Any] = []
    while not (found and isinstance(found[-1], RealtimePayload)):  # notices come before it
        found = (channel.collect(1, timeout=SOON)).unwrap()
    gate.set()
    until(lambda: told[-1] == "RESUBSCRIBED" and len(told) > 50)
    pause(0.2)
    assert len(told) <= 150
    assert told[-1] == "RESUBSCRIBED"


def test_a_server_that_never_confirms(client: AeroDBClient, server: ScriptedRealtime) -> None:
    server.answers["subscribe"] = lambda connection, frame: None
    channel = client.channel("posts")
    answer = channel.subscribe(timeout=0.2)
    assert answer.error is not None
    assert answer.error.code == "JOIN_TIMEOUT"
    assert answer.error.retryable
    assert channel.state == "joining"
    wrong = channel.subscribe(timeout=-1)
    assert wrong.error is not None
    assert wrong.error.code == "INVALID_ARGUMENT"


def test_what_is_no_frame_is_ignored(client: AeroDBClient, server: ScriptedRealtime) -> None:
    heard: list[Any] = []
    client.channel("posts").on("*", heard.append).subscribe()
    for frame in ("no JSON", b"binary", "[]", '{"type":3}', '{"type":"odd"}', "[" * 5000, "\x00"):
        server.say(frame)
    server.insert("posts")
    until(lambda: heard)
    assert len(server.opened) == 1


def test_a_message_that_is_too_large_ends_in_no_storm(server: ScriptedRealtime) -> None:
    with make(server, max_message_bytes=10_000) as client:
        heard: list[Any] = []
        gaps: list[Any] = []
        channel = client.channel("posts").on("*", heard.append).on_gap(gaps.append)
        other = client.channel("users").on("*", heard.append)
        channel.subscribe()
        other.subscribe()
        server.insert("posts", title="z" * 20_000)
        until(lambda: gaps and channel.subscribed and other.subscribed)
        server.insert("users")
        until(lambda: heard)
        server.insert("posts", title="z" * 20_000)
        until(lambda: client.realtime.status == "closed")
        assert channel.state == other.state == "failed"
        pause(0.5)
        assert len(server.opened) == 2
        assert (other.subscribe()).ok  # asked for again, with its handlers
        server.insert("users")
        until(lambda: len(heard) == 2)


def test_nothing_is_done_after_the_end(server: ScriptedRealtime) -> None:
    client = make(server)
    channel = client.channel("posts")
    channel.subscribe()
    for _ in range(2):
        client.close()
    for answer in (
        channel.subscribe(),
        channel.send("e", 1),
        channel.track({}),
        client.realtime.connect(),
    ):
        assert answer.error is not None
        assert answer.error.code == "CLIENT_CLOSED"
    assert client.status.closed
    until(lambda: not server.connections)


@pytest.mark.parametrize("end", ["disconnect", "close"])
def test_every_channel_is_left_before_the_end(server: ScriptedRealtime, end: str) -> None:
    client = make(server)
    for name in ("posts", "users", "left"):
        client.channel(name).subscribe()
    client.channel("left").unsubscribe()
    client.channel("never")
    assert len(server.frames("unsubscribe")) == 1
    if end == "disconnect":
        client.realtime.disconnect()
    else:
        client.close()
    until(lambda: not server.connections)
    assert server.ends == [1000]
    assert [one["channel"] for one in server.frames("unsubscribe")] == ["left", "posts", "users"]
    client.close()


def test_a_client_that_comes_back_leaves_nothing_twice(
    client: AeroDBClient, server: ScriptedRealtime
) -> None:
    channel = client.channel("posts")
    for turn in (1, 2):
        channel.subscribe()
        client.realtime.disconnect()
        until(lambda turn=turn: len(server.ends) == turn)
        assert len(server.frames("unsubscribe")) == turn
    channel.subscribe()
    server.kill()
    until(lambda: len(server.opened) == 4 and channel.subscribed)
    assert len(server.frames("unsubscribe")) == 2


def test_closing_is_bounded_when_nothing_can_be_sent(server: ScriptedRealtime) -> None:
    with FaultProxy(server.port) as proxy:
        options = ClientOptions(trust_env=False, realtime=RealtimeOptions(reconnect_delay=0.05))
        client = AeroDBClient(f"http://127.0.0.1:{proxy.port}", KEY, options=options)
        channel = client.channel("posts")
        channel.subscribe()
        proxy.set("throttle", size=1, seconds=30)
        sent: list[Any] = []

        def fill() -> None:
            while sent[-1:] != ["end"]:
                sent.append(channel.send("e", "x" * 50_000))
                if sent[-1].error is not None:
                    sent.append("end")

        filling = Worker(fill, "fill")
        count = -1
        while count != len(sent):
            count = len(sent)
            pause(0.5)
        began = monotonic()
        client.close()
        assert monotonic() - began < 5
        filling.join(SOON)
        assert sent[-1] == "end"
        assert sent[-2].error.code == "NOT_CONNECTED"


def test_closing_is_bounded_when_nobody_answers(server: ScriptedRealtime) -> None:
    client = make(server)
    client.channel("posts").subscribe()
    server.deaf = True
    began = monotonic()
    client.close()
    assert monotonic() - began < 5
