"""Frames of all servers, as wire-contract §4.2 and §4.3 list them; filters; inboxes; presence."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.json import BadJSON, loads, loads_text
from aerodb._core.realtime import frames
from aerodb._core.realtime.calls import (
    channel_problem,
    check_arguments,
    handler_for,
    http_broadcast,
)
from aerodb._core.realtime.config import ChannelConfig
from aerodb._core.realtime.failures import FailureLog
from aerodb._core.realtime.filters import in_list, parse_filter, quoted
from aerodb._core.realtime.handlers import Handlers
from aerodb._core.realtime.inbox import Inbox
from aerodb._core.realtime.messages import BroadcastMessage, GapNotice, RealtimePayload
from aerodb._core.realtime.presence import PresenceState, read_presences
from aerodb._core.realtime_options import RealtimeOptions
from aerodb.types import AeroDBResponse
from tests.support.virtual_realtime import CHANNEL, World, drained

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


# --- what is sent --------------------------------------------------------------------------------


def test_frames_to_the_server() -> None:
    assert frames.subscribe_frame("posts") == '{"type":"subscribe","channel":"posts"}'
    assert frames.unsubscribe_frame("posts") == '{"type":"unsubscribe","channel":"posts"}'
    assert json.loads(frames.auth_frame(None, "1")) == {"type": "auth", "token": None, "ref": "1"}
    beat = {"type": "heartbeat", "ref": "2", "ref_id": "2"}
    assert json.loads(frames.heartbeat_frame("2")) == beat
    sent = json.loads(frames.broadcast_frame("c", "e", None, None))
    assert sent == {"type": "broadcast", "channel": "c", "event": "e", "payload": None}


def test_only_what_is_not_the_default_is_sent() -> None:
    config, handlers = ChannelConfig(), Handlers()
    assert config.members(handlers) == {}
    handlers.add(handler_for("change", "INSERT", print))
    assert config.members(handlers) == {}
    handlers.add(handler_for("presence", "sync", print))
    config.broadcast_ack = config.private = True
    config.presence_key = "me"
    assert config.members(handlers) == {
        "broadcast": {"ack": True},
        "presence": {"enabled": True, "key": "me"},
        "private": True,
    }


def test_bindings_are_sent_once_and_never_at_the_top_level() -> None:
    handlers = Handlers()
    for _ in range(2):
        handlers.add(handler_for("change", "insert", print, channel="posts", filter="id=gt.3"))
    handlers.add(handler_for("change", "*", print, channel="archive.old", bound=True))
    handlers.add(handler_for("change", "*", print, channel="x", table="t", default_schema="s"))
    found = ChannelConfig().members(handlers)["postgres_changes"]
    assert found == [
        {"event": "INSERT", "schema": "public", "table": "posts", "filter": "id=gt.3"},
        {"event": "*", "schema": "archive", "table": "old"},
        {"event": "*", "schema": "s", "table": "t"},
    ]
    frame = json.loads(frames.subscribe_frame("posts", "1", {"postgres_changes": found}))
    assert set(frame) == {"type", "channel", "ref", "config"}


@pytest.mark.parametrize(
    ("name", "good"),
    [("posts", True), ("x" * 255, True), ("Räume: a b", True), ("", False), ("x" * 256, False),
     ("a\nb", False), ("a\x00", False), ("\ud800", False)],
)  # fmt: skip
def test_channel_names(name: str, good: bool) -> None:
    assert (channel_problem(name) is None) is good


def test_a_channel_name_that_is_no_text_is_wrong_python() -> None:
    with pytest.raises(TypeError, match="must be a str"):
        channel_problem(7)


def test_broadcasts_over_http() -> None:
    call = http_broadcast("c", "e", {"a": 1})
    assert not isinstance(call, AeroDBResponse)
    assert (call.method, call.path) == ("POST", "/realtime/broadcast")
    assert json.loads(call.body or b"") == {"channel": "c", "event": "e", "payload": {"a": 1}}
    private = http_broadcast("c", "e", None, private=True)
    assert not isinstance(private, AeroDBResponse)
    assert json.loads(private.body or b"")["private"] is True  # not the public one of that name
    for payload in ({1: 2}, {"a": object()}, float("nan"), "x" * 70_000):
        refused = http_broadcast("c", "e", payload)
        assert isinstance(refused, AeroDBResponse)
        assert refused.error is not None
        assert refused.error.code == "INVALID_ARGUMENT"


# --- what comes: changes -------------------------------------------------------------------------

ROW = {"id": 1, "title": "Hello"}
CANONICAL = {"type": "INSERT", "schema": "public", "table": CHANNEL, "new": ROW, "old": None}
VARIANTS: list[dict[str, Any]] = [
    {"type": "event", "channel": CHANNEL, "payload": {"type": "INSERT", "new": ROW}},
    {"type": "event", "channel": CHANNEL, "payload": CANONICAL},
    {"type": "event", "channel": CHANNEL, "event": {"type": "INSERT", "new_data": ROW}},
    {"type": "event", "channel": CHANNEL, "event": {"event_type": "INSERT", "new_data": ROW}},
    {"type": "event", "channel": CHANNEL, "payload": {"eventType": "INSERT", "record": ROW}},
    {"type": "event", "channel": CHANNEL, "payload": {"event": "insert", "new": ROW}},
    {"type": "event", "topic": CHANNEL, "payload": {"type": "INSERT", "new": ROW}},
    {"type": "event", "topic": f"realtime:{CHANNEL}", "payload": {"type": "INSERT", "new": ROW}},
    {"type": "event", "topic": f"realtime:public:{CHANNEL}", "payload": CANONICAL},
    {"type": "postgres_changes", "payload": {**CANONICAL, "event": "INSERT"}},
    {"type": "postgres_changes", "payload": {"event": "INSERT", "collection": CHANNEL, "new": ROW}},
    {"type": "postgres_changes", "topic": CHANNEL, "payload": {"event": "INSERT", "new": ROW}},
    {"type": "postgres_changes", "payload": {"data": CANONICAL}, "channel": CHANNEL},
]


@pytest.mark.parametrize("frame", VARIANTS, ids=range(len(VARIANTS)))
def test_changes_in_every_dialect(frame: dict[str, Any]) -> None:
    world = World()
    channel, inbox = world.channel()
    world.subscribe(channel)
    world.say(frame)
    world.carry()
    (item,) = drained(inbox)
    assert isinstance(item, RealtimePayload)
    assert (item.type, item.new, item.old, item.schema) == ("INSERT", ROW, None, "public")
    assert item["new"] == item.new
    assert item.raw == frame
    assert set(item) == {"type", "schema", "table", "commit_timestamp", "new", "old", "errors"}


def test_the_order_is_kept_by_sequence_under_either_name() -> None:
    world = World()
    channel, inbox = world.channel()
    world.subscribe(channel)
    for number in (5, 5, 6):
        payload = {"type": "DELETE", "old_record": {"id": number}}
        world.say({"type": "event", "channel": CHANNEL, "payload": payload, "sequence": number})
    world.carry()
    found = drained(inbox)
    assert [one["old"] for one in found] == [{"id": 5}, {"id": 6}]


def test_a_change_without_a_channel_goes_to_those_who_asked_for_its_table() -> None:
    world = World()
    inboxes = {}
    for name, narrow in (("a", {"table": "t"}), ("t", {}), ("public.t", {}), ("other", {})):
        channel, inboxes[name] = world.channel(name)
        if narrow:
            channel.handlers.add(handler_for("change", "*", print, channel=name, table="t"))
        world.subscribe(channel)
    world.say({"type": "postgres_changes", "payload": {"event": "INSERT", "table": "t", "new": {}}})
    world.carry()
    assert {name: len(drained(one)) for name, one in inboxes.items()} == {
        "a": 1, "t": 1, "public.t": 1, "other": 0,
    }  # fmt: skip


# --- what comes: the rest ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "broadcast", "channel": CHANNEL, "event": "e", "payload": {"a": 1}},
        {"type": "broadcast", "topic": f"realtime:broadcast:{CHANNEL}", "event": "e",
         "payload": {"a": 1}},
        {"type": "event", "channel": CHANNEL,
         "payload": {"type": "broadcast", "event": "e", "payload": {"a": 1}}},
    ],
)  # fmt: skip
def test_broadcasts_in_every_dialect(frame: dict[str, Any]) -> None:
    world = World()
    channel, inbox = world.channel()
    world.subscribe(channel)
    world.say(frame)
    world.carry()
    (item,) = drained(inbox)
    assert isinstance(item, BroadcastMessage)
    assert (item.type, item.event, item.payload) == ("BROADCAST", "e", {"a": 1})


@pytest.mark.parametrize(
    ("frame", "code", "message", "retryable"),
    [
        ({"error": "text"}, "realtime_error", "text", False),
        ({"error": {"code": "AUTH_FAILED", "message": "no"}}, "auth_failed", "no", False),
        ({"message": "m", "code": "PROCESSING_ERROR"}, "processing_error", "m", True),
        ({"payload": {"code": "rate_limit_exceeded"}}, "rate_limit_exceeded",
         "rate_limit_exceeded", True),
        ({"code": "new_one", "message": "m", "retryable": True}, "new_one", "m", True),
        ({"code": "invalid_filter", "retryable": True}, "invalid_filter", "invalid_filter", False),
        ({"code": 7, "message": None}, "realtime_error", "the server reports an error", False),
        ({"message": "Bearer secret123"}, "realtime_error", "Bearer ***", False),
    ],
)  # fmt: skip
def test_errors_in_every_dialect(
    frame: dict[str, Any], code: str, message: str, retryable: bool
) -> None:
    error = frames.error_of({"type": "error", **frame})
    assert (error.code, error.message, error.retryable) == (code, message, retryable)


@pytest.mark.parametrize(
    "welcome",
    [
        {"type": "connected", "payload": {"connection_id": "c"}},
        {"type": "connected", "payload": None},
        {"type": "system", "message": "Connected. Connection ID: c"},
        {"type": "system", "event": "shutdown", "status": "ok", "message": "soon"},
        {"type": "heartbeat", "server_time": 1},
        {"type": "heartbeat", "ref": "x", "seq": "y"},
        {"type": "presence", "channel": CHANNEL, "event": "?", "payload": 3},
        {"type": "event", "channel": ["posts"], "payload": 3},
        {"type": "event", "channel": CHANNEL, "payload": {"type": "UPSERT"}},
        {"type": "event", "channel": "unknown", "payload": {"type": "INSERT"}},
        {"type": "subscribed"},
        {"type": "unsubscribed", "channel": CHANNEL},
        {"type": "broadcast_ack", "ref": "77"},
        {"type": None},
    ],
)
def test_what_means_nothing_harms_nothing(welcome: dict[str, Any]) -> None:
    world = World()
    channel, inbox = world.channel()
    world.subscribe(channel)
    world.say(welcome)
    world.change()
    world.carry()
    assert channel.phase.value == "joined"
    assert [one.type for one in drained(inbox)] == ["INSERT"]


@given(st.lists(JSON | st.dictionaries(st.sampled_from(
    ["type", "channel", "topic", "payload", "event", "seq", "n", "dropped", "ref", "status", "code",
     "error", "message", "resume", "epoch", "bindings", "old", "new", "sequence"]),
    JSON | st.sampled_from(["event", "subscribed", "error", "presence", "system", "auth", "posts",
                            "INSERT", "sync", "heartbeat", "broadcast", "truncate", "connected"]),
), max_size=8))  # fmt: skip
def test_no_frame_breaks_the_machine(said: list[Any]) -> None:
    world = World()
    channel, inbox = world.channel()
    world.subscribe(channel)
    for frame in said:
        world.say(frame)
        world.carry()
    world.pass_time(500)
    drained(inbox)


@given(JSON)
def test_text_is_read_as_bytes_are(value: Any) -> None:
    for text in (json.dumps(value), f" {json.dumps(value)} ", json.dumps(value) + "x", "[" * 200):
        try:
            wanted: Any = loads(text.encode())
        except BadJSON:
            with pytest.raises(BadJSON):
                loads_text(text)
        else:
            assert loads_text(text) == wanted


# --- filters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "admitted", "refused"),
    [
        ("id=eq.3", [3, "3 "], [4, None]),
        ("id=neq.3", [4], [3, None]),
        ("id=gt.3", [4, 3.5], [3, -1]),
        ("id=gte.3", [3], [2]),
        ("id=lt.3", [2], [3]),
        ("id=lte.3", [3], [4]),
        ("id=not.eq.3", [4], [3, None]),
        ("not.id=eq.3", [4], [3]),
        ("id=in.(1,2)", [1, 2], [3]),
        ("id=not.in.(1,2)", [3], [1, None]),
        ("id=eq.true", [True], [False]),
        ("id=is.null", [None], [1]),
        ("id=not.is.null", [1], [None]),
        ('id=in.("a,b","c\\"d")', ["a,b", 'c"d'], [None]),
        ("id=gt.1,id=lt.3", [2], [1, 3]),
        ("id=like.a*", ["abc", "x"], [None]),
        ("id=isdistinct.3", [4, None], [3]),
    ],
)
def test_filters_are_checked_again_where_that_can_be_judged(
    text: str, admitted: list[Any], refused: list[Any]
) -> None:
    found = parse_filter(text)
    assert found.text == text
    for value in admitted:
        assert found.admits({"id": value}), value
    for value in refused:
        assert not found.admits({"id": value}), value
    assert found.admits({"other": 1})  # what cannot be seen cannot be judged
    assert found.admits(None)


@pytest.mark.parametrize(
    "text",
    ["", "id", "id=3", "id=eq3", "id=nope.3", "=eq.3", "id=in.3", "id=in.(1", 'id=eq."a',
     "id=eq.3,", f"id=in.({','.join('1' * 101)})"],
)  # fmt: skip
def test_filters_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_filter(text)


@given(st.lists(st.text(), min_size=1, max_size=5), st.text(min_size=1))
def test_whatever_is_quoted_is_read_back(values: list[str], column: str) -> None:
    name = '"' + column.replace("\\", "\\\\").replace('"', '\\"') + '"'
    found = parse_filter(f"{name}=in.{in_list(values)},{name}=eq.{quoted(values[0])}")
    assert found.terms[0].values == tuple(values)
    assert found.terms[1].value == values[0]
    assert {term.column for term in found.terms} == {column}
    assert found.admits({column: values[0]})


@given(st.text())
def test_no_filter_text_does_more_than_raise_value_error(text: str) -> None:
    with suppress(ValueError):
        parse_filter(text).admits({"a": 1})


# --- who is called -------------------------------------------------------------------------------


def payload(kind: str = "INSERT", **members: Any) -> RealtimePayload:
    inner = {"type": kind, "table": "posts", **members}
    return RealtimePayload(kind, {"payload": inner, **members.get("frame", {})}, inner, "posts")


def test_handlers_hear_what_they_asked_for() -> None:
    handlers = Handlers()
    calls: list[str] = []

    def named(name: str) -> Any:
        return lambda event: calls.append(name)

    for event, name, narrow in (
        ("INSERT", "insert", {}),
        ("*", "all", {}),
        ("UPDATE", "update", {}),
        ("INSERT", "filtered", {"filter": "id=gt.5"}),
        ("INSERT", "elsewhere", {"table": "users"}),
        ("*", "whole schema", {"table": "*"}),
    ):
        handlers.add(handler_for("change", event, named(name), channel="posts", **narrow))
    for one in handlers.of(payload(new={"id": 9})):
        one.callback(None)
    assert calls == ["insert", "all", "filtered", "whole schema"]
    calls.clear()
    for one in handlers.of(payload(new={"id": 3})):
        one.callback(None)
    assert calls == ["insert", "all", "whole schema"]


def test_a_server_that_names_the_bindings_is_believed() -> None:
    handlers = Handlers()
    handlers.add(handler_for("change", "*", print, channel="posts", filter="title=ilike.a*"))
    binding = {"id": 4, "event": "*", "schema": "public", "table": "posts"}
    handlers.numbered([{**binding, "filter": "title=ilike.a*"}])
    assert handlers.of(payload("DELETE", old={"id": 1}, frame={"bindings": [4]}))
    assert not handlers.of(payload("DELETE", old={"id": 1}, frame={"bindings": [5]}))


def test_handlers_are_taken_away() -> None:
    class Owner:
        def method(self, event: Any) -> None: ...

    owner, handlers = Owner(), Handlers()
    handlers.add(handler_for("change", "INSERT", owner.method))
    handlers.add(handler_for("change", "INSERT", print))
    handlers.remove("change", "INSERT", owner.method)
    assert [one.callback for one in handlers.all] == [print]
    handlers.remove("change", "INSERT", None)
    assert not handlers


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("change", "UPSERT", print), ValueError),
        (("change", 7, print), TypeError),
        (("change", "*", lambda: None), TypeError),
        (("change", "*", lambda a, b: None), TypeError),
        (("presence", "came", print), ValueError),
        (("broadcast", None, print), TypeError),
    ],
)
def test_handlers_that_cannot_be_meant_so(arguments: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        handler_for(*arguments)
    with pytest.raises(ValueError, match="no condition"):
        handler_for("change", "*", print, filter="nonsense")
    with pytest.raises(TypeError, match="filter must be a str"):
        handler_for("change", "*", print, filter=3)  # type: ignore[arg-type]
    check_arguments(print, 2)


# --- inboxes -------------------------------------------------------------------------------------


def numbered(number: int, size: int = 10) -> RealtimePayload:
    return RealtimePayload("INSERT", {}, {}, "c", number, size)


@given(
    st.sampled_from(["drop_oldest", "drop_newest"]),
    st.lists(st.sampled_from("ptg"), max_size=200),
    st.integers(1, 6),
)
def test_what_overflows_is_counted_exactly(overflow: Any, moves: list[str], limit: int) -> None:
    inbox = Inbox("c", None, limit=limit, overflow=overflow)
    put, gaps, out = 0, 0, []
    for move in moves:
        if move == "p":
            put += 1
            inbox.put(numbered(put))
        elif move == "g":
            gaps += 1
            inbox.put(GapNotice("server_dropped", "c", missed=1000))
        else:
            out += inbox.take(2)
        assert len(inbox) <= limit + 1
    out += drained(inbox)
    seen = [one.sequence for one in out if isinstance(one, RealtimePayload)]
    notices = [one for one in out if isinstance(one, GapNotice)]
    missed = sum(one.missed or 0 for one in notices)
    assert seen == sorted(set(seen), key=lambda n: n or 0)
    assert len(seen) + inbox.dropped == put
    assert missed == inbox.dropped + 1000 * gaps
    lost = set(range(1, put + 1)) - set(seen)
    covered = {
        number
        for one in notices
        if one.after is not None and one.until is not None
        for number in range(one.after + 1, one.until + 1)
    }
    assert lost <= covered


def test_a_notice_stands_where_the_events_are_missing() -> None:
    oldest, newest = Inbox("c", None, limit=2), Inbox("c", None, limit=2, overflow="drop_newest")
    for number in range(1, 6):
        oldest.put(numbered(number))
        newest.put(numbered(number))
    found = drained(oldest)
    assert [one.type for one in found] == ["GAP", "INSERT", "INSERT"]
    assert (found[0]["missed"], found[0]["after"], found[0]["until"]) == (3, 0, 3)
    newest.put(numbered(6))
    first = newest.take(1)
    newest.put(numbered(7))
    found = first + drained(newest)
    assert [one.sequence or one["missed"] for one in found] == [1, 2, 4, 7]


def test_bytes_count_too_and_closing_is_final() -> None:
    inbox = Inbox("c", None, max_bytes=100)
    for number in range(1, 20):
        inbox.put(numbered(number, 30))
    assert 3 <= len(inbox) <= 4
    closing = Inbox("c", None, limit=1, overflow="close")
    assert closing.put(numbered(1))
    assert not closing.closed
    closing.put(numbered(2))
    assert closing.overflowed
    assert [one.type for one in drained(closing)] == ["INSERT", "GAP"]
    closing.put(numbered(3))
    assert drained(closing) == []


# --- presence ------------------------------------------------------------------------------------


def test_presence_is_read_in_every_dialect() -> None:
    meta = {"presence_ref": "1", "mood": "good"}
    assert read_presences({"a": [meta]}) == {"a": [meta]}
    assert read_presences({"a": meta}) == {"a": [meta]}
    assert read_presences({"a": {"metas": [meta]}}) == {"a": [meta]}
    assert read_presences({"a": [3], "b": []}) == {}
    assert read_presences([meta]) == {}


METAS = st.dictionaries(
    st.sampled_from("abc"),
    st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
    max_size=3,
).map(lambda d: {key: [{"presence_ref": f"{key}{ref}"} for ref in refs] for key, refs in d.items()})


@given(st.lists(st.tuples(st.sampled_from(["sync", "join", "leave"]), METAS), max_size=20))
def test_presence_keeps_to_a_model(steps: list[tuple[str, Any]]) -> None:
    state, model = PresenceState(), set[tuple[str, str]]()
    for event, who in steps:
        pairs = {(key, meta["presence_ref"]) for key, metas in who.items() for meta in metas}
        before = set(model)
        if event == "sync":
            joined, left = state.sync(who)
            model = set(pairs)
        elif event == "join":
            joined, left = state.join(who), {}
            model |= pairs
        else:
            joined, left = {}, state.leave(who)
            model -= pairs

        def flat(some: Any) -> set[tuple[str, str]]:
            return {(key, meta["presence_ref"]) for key, metas in some.items() for meta in metas}

        assert flat(state.copy()) == model
        assert flat(joined) == model - before
        assert flat(left) == before - model


def test_presence_of_a_channel() -> None:
    world = World()
    channel, inbox = world.channel()
    world.subscribe(channel)
    frame = {"type": "presence", "channel": CHANNEL}
    world.say({**frame, "event": "sync", "payload": {"a": [{"presence_ref": "1"}]}})
    world.say({**frame, "event": "join", "payload": {"b": {"presence_ref": "2"}}})
    world.say({**frame, "leaves": {"a": [{"presence_ref": "1"}]}, "joins": {}})
    world.say({**frame, "event": "sync", "payload": {"c": [{"presence_ref": "3"}]}})
    world.carry()
    found = [(one["event"], list(one["presences"])) for one in drained(inbox)]
    assert found == [
        ("join", ["a"]), ("sync", ["a"]), ("join", ["b"]), ("sync", ["a", "b"]),
        ("leave", ["a"]), ("sync", ["b"]), ("join", ["c"]), ("leave", ["b"]), ("sync", ["c"]),
    ]  # fmt: skip
    assert list(channel.presence.copy()) == ["c"]


def test_what_a_handler_does_to_the_presences_it_got_is_its_own() -> None:
    world = World()
    channel, inbox = world.channel()
    world.subscribe(channel)
    state = {"a": [{"presence_ref": "1", "mood": "good"}]}
    world.say({"type": "presence", "channel": CHANNEL, "event": "sync", "payload": state})
    world.carry()
    for message in drained(inbox):
        message["presences"]["a"][0].clear()
        message["presences"].clear()
    assert channel.presence.copy() == state


# --- small things --------------------------------------------------------------------------------


def test_failures_are_logged_once_in_ten_seconds() -> None:
    log = FailureLog()
    assert log.note("a", 0.0) == 1
    assert [log.note("a", 0.01 * number) for number in range(500)] == [None] * 500
    assert log.note("b", 1.0) == 1
    assert log.note("a", 10.5) == 501


def test_options_are_checked() -> None:
    options = RealtimeOptions(heartbeat=3, overflow="close")
    assert repr(options) == "RealtimeOptions(heartbeat=3.0, overflow='close')"
    assert options.replace(heartbeat=None) == RealtimeOptions(overflow="close")
    assert hash(options) == hash(options.replace())
    for wrong in ({"heartbeat": 0}, {"max_queue": 0}, {"overflow": "x"}, {"join_timeout": -1},
                  {"ping_interval": float("inf")}):  # fmt: skip
        with pytest.raises(ValueError, match=r"."):
            RealtimeOptions(**wrong)  # type: ignore[arg-type]
    for wrong_type in ({"heartbeat": "3"}, {"max_queue": 1.5}, {"max_queue": True}):
        with pytest.raises(TypeError):
            RealtimeOptions(**wrong_type)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        options.heartbeat = 3
