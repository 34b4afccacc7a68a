# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""What observers are told of a call: OpenTelemetry's real SDK, and the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import baggage, context
from opentelemetry.trace import SpanKind, StatusCode

from aerodb import ClientOptions
from aerodb.aio import AeroDBClient, _transport
from aerodb.contrib.otel import OpenTelemetry
from tests.support.scripted import ScriptedServer, answer, close
from tests.support.telemetry import Recorder

KEY = "aero_pk_Canary7xKey0123456789"
CANARY = "Canary7x"
JSON = ("Content-Type", "application/json")
ROWS = answer(200, b'[{"id":1,"secret":"Canary7xRow"}]', [JSON])
BUSY = answer(503, b'{"message":"Canary7xBusy"}', [JSON, ("Retry-After", "0")])
CONFLICT = answer(
    409, b'{"code":"23505","message":"Canary7xText","details":"(id)=(Canary7x)"}', [JSON]
)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    assert CANARY not in made.everything()
    made.shutdown()


def watched(recorder: Recorder, **more: Any) -> ClientOptions:
    return ClientOptions(trust_env=False, telemetry=recorder.telemetry, **more)


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transport, "jitter", lambda: 0.0)


def url_of(server: ScriptedServer) -> str:
    return f"http://127.0.0.1:{server.port}"


async def test_a_call_is_one_span_by_the_conventions(
    scripted: ScriptedServer, recorder: Recorder
) -> None:
    scripted.on("/rest/v1/todos", ROWS)
    async with AeroDBClient(url_of(scripted), KEY, options=watched(recorder)) as client:
        (await client.from_("todos").select("*").eq("title", "Canary7x").execute()).unwrap()
    span, attributes = recorder.only()
    assert (span.name, span.kind) == ("SELECT todos", SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.UNSET
    assert attributes == {
        "db.system.name": "aerodb",
        "db.namespace": "public",
        "db.collection.name": "todos",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT todos",
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": scripted.port,
    }


async def test_the_names_of_operations(scripted: ScriptedServer, recorder: Recorder) -> None:
    for path in ("/rest/v1/t", "/rest/v1/rpc/f", "/auth/login", "/functions/v1/hello"):
        scripted.on(path, answer(200, b"[]", [JSON]))
    scripted.on("/storage/v1/object/b", answer(200, b"[]", [JSON]))
    async with AeroDBClient(url_of(scripted), KEY, "app", options=watched(recorder)) as client:
        table = client.from_("t")
        await table.insert({"a": "Canary7x"}).execute()
        await table.upsert({"a": "Canary7x"}).execute()
        await table.update({"a": "Canary7x"}).eq("id", 1).execute()
        await table.delete().eq("a", "Canary7x").execute()
        await table.count()
        await client.rpc("f", {"a": "Canary7x"}).execute()
        await client.functions.invoke("hello", body={"a": "Canary7x"}, query={"a": "Canary7x"})
        await client.auth.sign_in("a@example.com", "Canary7xPassword")
        await client.storage.from_("b").list("Canary7x")
    assert [span.name for span in recorder.spans] == [
        "INSERT t",
        "UPSERT t",
        "UPDATE t",
        "DELETE t",
        "SELECT t",
        "EXECUTE f",
        "POST functions/hello",
        "POST auth/login",
        "GET storage/object",
    ]
    called = dict(recorder.spans[5].attributes or {})
    assert called["db.stored_procedure.name"] == "f"
    assert "db.collection.name" not in called
    assert {(span.attributes or {}).get("db.namespace") for span in recorder.spans[:6]} == {"app"}
    assert not any(name.startswith("db.") for name in recorder.spans[6].attributes or {})


@pytest.mark.usefixtures("at_once")
async def test_retries_are_counted_within_the_one_span(
    scripted: ScriptedServer, recorder: Recorder
) -> None:
    scripted.on("/rest/v1/t", BUSY, BUSY, ROWS)
    async with AeroDBClient(url_of(scripted), KEY, options=watched(recorder)) as client:
        response = await client.from_("t").select("*").execute()
    assert response.meta.attempts == len(scripted.seen) == 3
    span, attributes = recorder.only()
    assert attributes["http.request.resend_count"] == 2
    assert span.status.status_code is StatusCode.UNSET
    assert len({seen.header("traceparent") for seen in scripted.seen}) == 1


async def test_an_error_of_the_database_has_its_code_and_no_text(
    scripted: ScriptedServer, recorder: Recorder
) -> None:
    scripted.on("/rest/v1/t", CONFLICT)
    async with AeroDBClient(url_of(scripted), KEY, options=watched(recorder)) as client:
        await client.from_("t").insert({"id": "Canary7x"}).execute()
    span, attributes = recorder.only()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert attributes["db.response.status_code"] == attributes["error.type"] == "23505"
    assert attributes["http.response.status_code"] == 409


async def test_an_error_of_the_network_has_a_type_and_no_status(
    scripted: ScriptedServer, recorder: Recorder
) -> None:
    scripted.on("/rest/v1/t", [close()])
    async with AeroDBClient(url_of(scripted), KEY, options=watched(recorder, retries=0)) as client:
        await client.from_("t").select("*").execute()
    _, attributes = recorder.only()
    assert attributes["error.type"] == "NETWORK_ERROR"
    assert not {"db.response.status_code", "http.response.status_code"} & set(attributes)


async def test_a_code_that_no_convention_knows_is_not_passed_on(
    scripted: ScriptedServer, recorder: Recorder
) -> None:
    scripted.on("/rest/v1/t", answer(400, b'{"code":"the row Canary7x","message":"m"}', [JSON]))
    async with AeroDBClient(url_of(scripted), KEY, options=watched(recorder)) as client:
        await client.from_("t").select("*").execute()
    _, attributes = recorder.only()
    assert attributes["error.type"] == "400"


async def test_the_trace_goes_on_at_the_server_and_baggage_stays(
    scripted: ScriptedServer, recorder: Recorder
) -> None:
    scripted.on("/rest/v1/t", ROWS)
    headers = {"Traceparent": "00-11111111111111111111111111111111-2222222222222222-01"}
    token = context.attach(baggage.set_baggage("who", "Canary7x"))
    try:
        with recorder.provider.get_tracer("test").start_as_current_span("view") as outer:
            async with AeroDBClient(
                url_of(scripted), KEY, headers=headers, options=watched(recorder)
            ) as client:
                await client.from_("t").select("*").execute()
    finally:
        context.detach(token)
    ours, view = recorder.spans
    assert ours.parent is not None
    assert (view.name, ours.parent.span_id) == ("view", outer.get_span_context().span_id)
    sent = [value for name, value in scripted.seen[0].headers if name == "traceparent"]
    assert ours.context is not None
    here = f"00-{ours.context.trace_id:032x}-{ours.context.span_id:016x}"
    assert [value.rpartition("-")[0] for value in sent] == [here]  # without its flags
    assert scripted.seen[0].header("baggage") is None


async def test_nothing_is_sent_along_where_propagation_is_off(
    scripted: ScriptedServer, recorder: Recorder
) -> None:
    scripted.on("/rest/v1/t", ROWS)
    telemetry = OpenTelemetry(tracer_provider=recorder.provider, propagate=False)
    options = ClientOptions(trust_env=False, telemetry=telemetry)
    async with AeroDBClient(url_of(scripted), KEY, options=options) as client:
        await client.from_("t").select("*").execute()
    assert scripted.seen[0].header("traceparent") is None
    assert len(recorder.spans) == 1


async def test_views_and_streams_are_observed_too(
    scripted: ScriptedServer, recorder: Recorder
) -> None:
    scripted.on("/functions/v1/f", answer(200, b"one\ntwo\n", [("Content-Type", "text/plain")]))
    scripted.on("/rest/v1/t", ROWS)
    async with AeroDBClient(url_of(scripted), KEY, options=watched(recorder)) as client:
        await client.as_user("Canary7xToken").from_("t").select("*").execute()
        await client.with_options(timeout=5).from_("t").select("*").execute()
        async with client.functions.stream("f") as stream:
            assert [line async for line in stream.iter_lines()] == ["one", "two"]
    assert [span.name for span in recorder.spans] == [
        "SELECT t",
        "SELECT t",
        "POST functions/f",
    ]


class Refusing:
    """An observer that fails."""

    @contextmanager
    def observe(self, operation: Any) -> Iterator[None]:
        raise RuntimeError("of the observer")
        yield


async def test_what_an_observer_raises_reaches_the_caller_and_nothing_is_sent(
    scripted: ScriptedServer,
) -> None:
    options = ClientOptions(trust_env=False, telemetry=Refusing())
    async with AeroDBClient(url_of(scripted), KEY, options=options) as client:
        with pytest.raises(RuntimeError, match="of the observer"):
            await client.from_("t").select("*").execute()
    assert scripted.seen == []


async def test_an_interrupted_call_ends_its_span(
    scripted: ScriptedServer, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*given: Any, **more: Any) -> float:
        raise KeyboardInterrupt

    scripted.on("/rest/v1/t", BUSY)
    monkeypatch.setattr(_transport, "jitter", interrupt)
    async with AeroDBClient(url_of(scripted), KEY, options=watched(recorder)) as client:
        with pytest.raises(KeyboardInterrupt):
            await client.from_("t").select("*").execute()
    span, attributes = recorder.only()
    assert attributes["error.type"] == "KeyboardInterrupt"
    assert span.status.status_code is StatusCode.ERROR
    assert not span.events


# --- metrics -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("at_once")
async def test_a_call_is_measured_by_the_conventions(
    scripted: ScriptedServer, recorder: Recorder
) -> None:
    scripted.on("/rest/v1/todos", BUSY, ROWS, ROWS, CONFLICT)
    scripted.on("/auth/login", answer(401, b'{"code":"invalid_credentials","message":"m"}', [JSON]))
    async with AeroDBClient(url_of(scripted), KEY, options=watched(recorder)) as client:
        for _ in range(2):
            await client.from_("todos").select("*").eq("title", "Canary7x").execute()
        await client.from_("todos").insert({"title": "Canary7x"}).execute()
        await client.auth.sign_in("a@example.com", "Canary7xPassword")
    server = {"server.address": "127.0.0.1", "server.port": scripted.port}
    table = {
        **server,
        "db.system.name": "aerodb",
        "db.namespace": "public",
        "db.collection.name": "todos",
    }
    selected = {**table, "db.operation.name": "SELECT", "db.query.summary": "SELECT todos"}
    inserted = {**table, "db.operation.name": "INSERT", "db.query.summary": "INSERT todos"}
    refused = {"error.type": "23505", "db.response.status_code": "23505"}
    login = {"aerodb.operation.name": "POST auth/login", "error.type": "invalid_credentials"}
    points = recorder.points()
    assert len(points) == 4
    assert ("db.client.operation.duration", selected, 2) in points
    assert ("db.client.operation.duration", inserted | refused, 1) in points
    assert ("aerodb.client.operation.duration", server | login, 1) in points
    assert ("aerodb.client.retries", selected, 1) in points


# --- the log -------------------------------------------------------------------------------------


@pytest.fixture
def ours() -> Iterator[logging.Logger]:
    """The library's logger, put back as it was."""
    found = logging.getLogger("aerodb")
    level, handlers = found.level, list(found.handlers)
    yield found
    found.setLevel(level)
    found.handlers[:] = handlers


@pytest.mark.usefixtures("at_once", "ours")
async def test_the_log_has_a_line_for_each_call_and_no_secret(
    scripted: ScriptedServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AERODB_LOG", "debug")
    scripted.on("/rest/v1/t", BUSY, ROWS, CONFLICT)
    scripted.on("/auth/login", answer(401, b'{"error":"Canary7x"}', [JSON]))
    async with AeroDBClient(url_of(scripted), KEY) as client:
        await client.from_("t").select("id").eq("a", "Canary7x").execute()
        await client.from_("t").insert({"a": "Canary7x"}).execute()
        await client.auth.sign_in("a@example.com", "Canary7xPassword")
    lines = [record.getMessage() for record in caplog.records if record.name == "aerodb"]
    assert [line.partition(", ")[0] for line in lines[:2]] == [
        "GET /rest/v1/t?select=***&a=***: 200",
        "POST /rest/v1/t: 409 23505",
    ]
    assert "2 attempts" in lines[0]
    assert lines[2].startswith("POST /auth/login: 401")
    assert CANARY not in caplog.text
    assert all(CANARY not in repr(vars(record)) for record in caplog.records)


@pytest.mark.usefixtures("ours")
async def test_a_logger_that_is_set_to_debug_is_enough(
    scripted: ScriptedServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AERODB_LOG", raising=False)
    scripted.on("/rest/v1/t", ROWS)
    async with AeroDBClient(url_of(scripted), KEY) as silent:
        await silent.from_("t").select("id").execute()
    assert caplog.records == []
    with caplog.at_level(logging.DEBUG, logger="aerodb"):
        async with AeroDBClient(url_of(scripted), KEY) as client:
            await client.from_("t").select("id").execute()
    assert any("/rest/v1/t" in record.getMessage() for record in caplog.records)
