# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""What observers are told of realtime: OpenTelemetry's real SDK, over real sockets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from aerodb import ClientOptions, RealtimeOptions, RealtimePayload
from aerodb._io.on_asyncio import monotonic, pause
from aerodb.aio import AeroDBClient
from aerodb.aio.realtime import _watching
from tests.support.scripted_realtime import ScriptedRealtime
from tests.support.telemetry import Recorder

KEY = "aero_pk_Canary7xKey0123456789"
CANARY = "Canary7x"
SOON = 20.0


@pytest.fixture
def server() -> Iterator[ScriptedRealtime]:
    with ScriptedRealtime() as running:
        yield running


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    assert CANARY not in made.everything()
    made.shutdown()


def make(server: ScriptedRealtime, telemetry: Any) -> AeroDBClient:
    quick = RealtimeOptions(reconnect_delay=0.05, max_reconnect_delay=0.2)
    options = ClientOptions(trust_env=False, realtime=quick, telemetry=telemetry)
    return AeroDBClient(server.url, KEY, options=options)


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so."""
    end = monotonic() + SOON
    while not condition():
        assert monotonic() < end, "it did not come about"
        await pause(0.01)


def named(recorder: Recorder, name: str) -> list[ReadableSpan]:
    return [span for span in recorder.spans if span.name == name]


def seen(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_connecting_subscribing_handling_and_sending_are_spans(
    server: ScriptedRealtime, recorder: Recorder
) -> None:
    def handler(event: RealtimePayload) -> None:
        with recorder.provider.get_tracer("test").start_as_current_span("within"):
            pass

    async with make(server, recorder.telemetry) as client:
        with recorder.provider.get_tracer("test").start_as_current_span("view"):
            channel = client.channel("posts").on("INSERT", handler)
            (await channel.subscribe()).unwrap()
            (await channel.send("Canary7x", {"secret": "Canary7x"}, ack=True)).unwrap()
        server.insert("posts", title="Canary7x")
        await until(lambda: named(recorder, "process posts"))
    place = {"server.address": "127.0.0.1", "server.port": server.port}
    common = {**place, "messaging.system": "aerodb"}
    there = {**common, "messaging.destination.name": "posts"}
    (view,), (connect,) = named(recorder, "view"), named(recorder, "connect")
    assert view.context is not None
    assert (connect.kind, connect.parent) == (SpanKind.CLIENT, None)
    assert seen(connect) == {**common, "messaging.operation.name": "connect"}
    (subscribe,), (send,) = named(recorder, "subscribe"), named(recorder, "send")
    for span, kind in ((subscribe, SpanKind.CLIENT), (send, SpanKind.PRODUCER)):
        assert span.kind is kind
        assert span.parent is not None
        assert span.parent.span_id == view.context.span_id
        assert span.status.status_code is StatusCode.UNSET
    assert seen(subscribe) == {**there, "messaging.operation.name": "subscribe"}
    sent = {"messaging.operation.name": "send", "messaging.operation.type": "send"}
    assert seen(send) == {**there, **sent}
    (process,), (within,) = named(recorder, "process posts"), named(recorder, "within")
    assert (process.kind, process.parent) == (SpanKind.CONSUMER, None)
    assert within.parent is not None
    assert process.context is not None
    assert within.parent.span_id == process.context.span_id
    assert seen(process) == {
        **there,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "aerodb.event.type": "INSERT",
        "db.collection.name": "posts",
    }


async def test_a_connection_that_comes_again_is_told_apart(
    server: ScriptedRealtime, recorder: Recorder
) -> None:
    async with make(server, recorder.telemetry) as client:
        (await client.channel("posts").subscribe()).unwrap()
        server.refusals.append((503, {}, b"Canary7x"))
        server.kill()
        await until(lambda: len(named(recorder, "reconnect")) == 2)
    first, second = named(recorder, "reconnect")
    assert seen(first)["http.response.status_code"] == 503
    assert first.status.status_code is StatusCode.ERROR
    assert first.status.description is None
    assert second.status.status_code is StatusCode.UNSET
    assert len(named(recorder, "connect")) == 1


async def test_what_a_handler_raises_is_an_error_without_its_text(
    server: ScriptedRealtime, recorder: Recorder
) -> None:
    async def failing(event: RealtimePayload) -> None:
        raise KeyError("Canary7x")

    heard: list[Any] = []
    async with make(server, recorder.telemetry) as client:
        channel = client.channel("posts").on("INSERT", failing).on("INSERT", heard.append)
        (await channel.subscribe()).unwrap()
        server.insert("posts", 2)
        await until(lambda: len(named(recorder, "process posts")) == 4)
    assert len(heard) == 2
    broken = [span for span in recorder.spans if span.status.status_code is StatusCode.ERROR]
    assert [seen(span)["error.type"] for span in broken] == ["KeyError", "KeyError"]
    assert not [event for span in broken for event in span.events]


async def test_a_subscription_that_is_refused_has_its_code(
    server: ScriptedRealtime, recorder: Recorder
) -> None:
    async with make(server, recorder.telemetry) as client:
        server.answers["subscribe"] = lambda connection, frame: None
        answer = await client.channel("posts").subscribe(timeout=0.1)
    assert answer.error is not None
    (span,) = named(recorder, "subscribe")
    assert seen(span)["error.type"] == answer.error.code == "JOIN_TIMEOUT"


async def test_realtime_is_measured(server: ScriptedRealtime, recorder: Recorder) -> None:
    gaps: list[Any] = []
    async with make(server, recorder.telemetry) as client:
        channel = client.channel("room").on("INSERT", lambda event: None)
        (await channel.on_gap(gaps.append).subscribe()).unwrap()
        server.insert("room")
        await until(lambda: len(named(recorder, "process room")) == 1)
        server.restart()
        await until(lambda: named(recorder, "process"))
    assert len(gaps) == 1
    place = {"server.address": "127.0.0.1", "server.port": server.port}
    counted = [
        (name, attributes.get("messaging.operation.name"), attributes.get("aerodb.event.type"))
        for name, attributes, count in recorder.points()
        if count == 1
    ]
    assert sorted(counted, key=repr) == [
        ("aerodb.realtime.gaps", None, None),
        ("messaging.client.operation.duration", "connect", None),
        ("messaging.client.operation.duration", "reconnect", None),
        ("messaging.client.operation.duration", "subscribe", None),
        ("messaging.process.duration", "process", "GAP"),
        ("messaging.process.duration", "process", "INSERT"),
    ]
    assert len(recorder.points()) == len(counted)
    gap = place | {"aerodb.gap.reason": "epoch_changed"}
    assert ("aerodb.realtime.gaps", gap, 1) in recorder.points()
    assert "messaging.destination.name" not in repr(recorder.points())


class Failing:
    """An observer whose every part fails."""

    def __init__(self, *, late: bool) -> None:
        self.late = late

    @contextmanager
    def observe(self, operation: Any) -> Iterator[None]:
        yield

    @contextmanager
    def observe_realtime(self, operation: Any) -> Iterator[None]:
        if not self.late:
            raise RuntimeError("of the observer")
        yield
        raise RuntimeError("of the observer")


@pytest.mark.parametrize("late", [False, True])
async def test_an_observer_that_fails_is_logged_and_ends_no_connection(
    server: ScriptedRealtime, caplog: pytest.LogCaptureFixture, late: bool
) -> None:
    heard: list[Any] = []
    async with make(server, Failing(late=late)) as client:
        channel = client.channel("posts").on("INSERT", heard.append)
        (await channel.subscribe()).unwrap()
        server.insert("posts", 2)
        await until(lambda: len(heard) == 2)
    lines = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert {line.getMessage() for line in lines} == {
        f"the telemetry failed: {name}" for name in ("connect", "subscribe", "process posts")
    }


class CallsOnly:
    """An observer that knows nothing of realtime."""

    @contextmanager
    def observe(self, operation: Any) -> Iterator[None]:
        yield


async def test_an_observer_need_not_ask_for_realtime(server: ScriptedRealtime) -> None:
    heard: list[Any] = []
    async with make(server, CallsOnly()) as client:
        (await client.channel("posts").on("INSERT", heard.append).subscribe()).unwrap()
        server.insert("posts")
        await until(lambda: heard)


async def test_nothing_is_made_for_nobody(
    server: ScriptedRealtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*given: Any, **more: Any) -> None:
        raise AssertionError("made")

    monkeypatch.setattr(_watching, "RealtimeOperation", never)
    heard: list[Any] = []
    async with make(server, None) as client:
        channel = client.channel("posts").on("INSERT", heard.append)
        (await channel.subscribe()).unwrap()
        (await channel.send("x", ack=True)).unwrap()
        server.insert("posts")
        await until(lambda: heard)
        server.restart()
        await until(lambda: len(server.opened) == 2)
    with pytest.raises(AssertionError, match="made"):
        await make(server, CallsAndMore()).channel("posts").subscribe()


class CallsAndMore(CallsOnly):
    """One that does ask."""

    observe_realtime = CallsOnly.observe
