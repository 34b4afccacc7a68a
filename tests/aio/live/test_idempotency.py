# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""A write with an idempotency key happens once, and is repeated until it is known to have happened
(wire-contract §1.8, §10 item 7)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from aerodb import ClientOptions
from aerodb.aio import AeroDBClient
from tests.support.scripted import ScriptedServer, answer, close

pytestmark = pytest.mark.usefixtures("empty")

CREATED = answer(201, b'[{"id":1}]', [("Content-Type", "application/json")])


@pytest.fixture
async def unlucky(server: Any, lossy: Any) -> AsyncIterator[AeroDBClient]:
    """A client whose answers may get lost on the way; it knows nothing of the server yet."""
    async with AeroDBClient(lossy.url, server.service_key) as connected:
        yield connected


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def health(*features: str) -> Any:
    body = {"status": "ok", "features": list(features)}
    return answer(200, json.dumps(body).encode(), [("Content-Type", "application/json")])


def url_of(scripted: ScriptedServer) -> str:
    return f"http://127.0.0.1:{scripted.port}"


def seen_by(scripted: ScriptedServer) -> list[str]:
    return [f"{seen.method} {seen.target.partition('?')[0]}" for seen in scripted.seen]


def keys_seen_by(scripted: ScriptedServer) -> list[str]:
    return [seen.header("idempotency-key") for seen in scripted.seen if seen.method == "POST"]


# --- through a server that honours it ------------------------------------------------------------


@pytest.mark.parametrize("ask_first", [False, True])
async def test_an_insert_whose_answer_is_lost_is_made_sure_of(
    client: AeroDBClient, unlucky: AeroDBClient, lossy: Any, ask_first: bool
) -> None:
    if ask_first:
        assert (await unlucky.health()).unwrap().supports("idempotency-key")
    lossy.lose(1)
    response = await unlucky.from_("notes").insert({"title": "once"}).idempotency_key().execute()
    assert [row["title"] for row in response.unwrap()] == ["once"]
    assert response.meta.status == 201
    assert response.meta.attempts == 2
    assert response.meta.headers["Idempotency-Replayed"] == "true"
    assert (await client.from_("notes").scalars("title")).unwrap() == ["once"]


async def test_without_a_key_it_is_an_error_after_one_attempt(
    client: AeroDBClient, unlucky: AeroDBClient, lossy: Any
) -> None:
    lossy.lose(1)
    response = await unlucky.from_("notes").insert({"title": "once"}).execute()
    assert response.error.code == "NETWORK_ERROR"
    assert response.error.maybe_applied is True
    assert response.error.attempts == 1
    assert (await client.from_("notes").count("exact")).unwrap() == 1


async def test_every_kind_of_write(client: AeroDBClient, unlucky: AeroDBClient, lossy: Any) -> None:
    notes = unlucky.from_("notes")
    rows = [{"title": "a", "stars": 1}, {"title": "b", "stars": 1}]
    for query, expected in (
        (notes.insert(rows).select("title"), [{"title": "a"}, {"title": "b"}]),
        (notes.update({"title": "c"}).eq("title", "a").select("title"), [{"title": "c"}]),
        (notes.delete().eq("title", "c").select("title"), [{"title": "c"}]),
        (unlucky.from_("pairs").upsert({"a": 1, "b": 1}).select("a"), [{"a": 1}]),
        (unlucky.rpc("log_call", {"label": "x"}), 1),
    ):
        lossy.lose(1)
        response = await query.idempotency_key().execute()
        assert response.unwrap() == expected
        assert response.meta.attempts == 2
    assert (await client.from_("notes").scalars("title")).unwrap() == ["b"]
    assert (await client.from_("calls").scalars("label")).unwrap() == ["x"]


async def test_two_answers_that_are_lost(
    client: AeroDBClient, unlucky: AeroDBClient, lossy: Any
) -> None:
    assert (await unlucky.health()).ok
    lossy.lose(2)
    response = await unlucky.from_("notes").insert({"title": "once"}).idempotency_key().execute()
    assert response.unwrap()
    assert response.meta.attempts == 3
    lossy.lose(3)
    response = await unlucky.from_("notes").insert({"title": "twice"}).idempotency_key().execute()
    assert response.error.maybe_applied is True
    assert response.error.attempts == 3
    lossy.lose(0)
    titles = (await client.from_("notes").order("id").scalars("title")).unwrap()
    assert titles == ["once", "twice"]


async def test_a_key_that_is_given_holds_across_calls(client: AeroDBClient) -> None:
    query = client.from_("notes").insert({"title": "x"}).idempotency_key("import-2026-07")
    first = await query.execute()
    second = await query.execute()
    assert second.unwrap() == first.unwrap()
    assert (await client.from_("notes").count("exact")).unwrap() == 1
    other = client.from_("notes").insert({"title": "y"}).idempotency_key("import-2026-07")
    error = (await other.execute()).error
    assert (error.status, error.code) == (422, "idempotency_key_reused")
    assert error.maybe_applied is False


async def test_a_key_that_is_made_is_for_one_call(client: AeroDBClient) -> None:
    query = client.from_("notes").insert({"title": "x"}).idempotency_key()
    (await query.execute()).unwrap()
    (await query.execute()).unwrap()
    assert (await client.from_("notes").count("exact")).unwrap() == 2


async def test_insert_many_has_a_key_for_every_batch(
    client: AeroDBClient, unlucky: AeroDBClient, lossy: Any
) -> None:
    def rows() -> Any:
        for number in range(30):
            if number == 15:
                lossy.lose(1)
            yield {"label": f"{number}"}

    response = await unlucky.from_("calls").idempotency_key().insert_many(rows(), batch_size=10)
    assert response.unwrap().inserted == 30
    labels = (await client.from_("calls").order("id").scalars("label")).unwrap()
    assert labels == [f"{number}" for number in range(30)]


async def test_an_attempt_that_meets_the_first_one_waits_for_it(scripted: ScriptedServer) -> None:
    body = b'{"code":"idempotency_key_in_progress","message":"m","details":null,"hint":null}'
    busy = answer(409, body, [("Content-Type", "application/json"), ("Retry-After", "0")])
    scripted.on("/health", health("idempotency-key"))
    scripted.on("/rest/v1/notes", [close()], busy, CREATED)
    async with AeroDBClient(url_of(scripted)) as client:
        response = await client.from_("notes").insert({}).idempotency_key().execute()
        assert response.unwrap() == [{"id": 1}]
        scripted.on("/rest/v1/notes", busy)
        response = await client.from_("notes").insert({}).idempotency_key().execute()
        assert response.error.code == "idempotency_key_in_progress"
        assert response.error.maybe_applied is True
        assert response.error.attempts == 3


# --- what the client knows of the server ---------------------------------------------------------


async def test_the_key_is_the_same_for_all_attempts_of_a_call(scripted: ScriptedServer) -> None:
    scripted.on("/health", health("idempotency-key"))
    scripted.on("/rest/v1/notes", [close()], CREATED)
    async with AeroDBClient(url_of(scripted)) as client:
        for _ in range(2):
            query = client.from_("notes").insert({}).idempotency_key()
            assert (await query.execute()).ok
        assert (await client.from_("notes").insert({}).idempotency_key("mine").execute()).ok
        assert (await client.from_("notes").insert({}).execute()).ok
    first, repeated, second, third, none = keys_seen_by(scripted)
    assert first == repeated
    assert len({first, second, "mine"}) == 3
    assert (third, none) == ("mine", None)


async def test_the_server_is_asked_when_it_matters_and_once(scripted: ScriptedServer) -> None:
    scripted.on("/health", health("idempotency-key"))
    scripted.on("/rest/v1/notes", CREATED, [close()], CREATED, [close()], CREATED)
    async with AeroDBClient(url_of(scripted)) as client:
        for _ in range(3):
            assert (await client.from_("notes").insert({}).idempotency_key().execute()).ok
    post = "POST /rest/v1/notes"
    assert seen_by(scripted) == [post, post, "GET /health", post, post, post]


@pytest.mark.parametrize(
    "report",
    [health(), health("rest.postgrest"), answer(404), answer(200, b"<html>")],
    ids=["none", "another", "not_found", "html"],
)
async def test_a_server_that_does_not_list_it_gets_nothing_twice(
    scripted: ScriptedServer, report: Any
) -> None:
    scripted.on("/health", report)
    scripted.on("/rest/v1/notes", [close()], CREATED)
    async with AeroDBClient(url_of(scripted)) as client:
        response = await client.from_("notes").insert({}).idempotency_key().execute()
    assert response.error.code == "NETWORK_ERROR"
    assert response.error.maybe_applied is True
    assert response.error.attempts == 1
    assert seen_by(scripted) == ["POST /rest/v1/notes", "GET /health"]


@pytest.mark.parametrize("trusted", [True, False])
async def test_the_options_may_say_it(scripted: ScriptedServer, trusted: bool) -> None:
    scripted.on("/health", health(*([] if trusted else ["idempotency-key"])))
    scripted.on("/rest/v1/notes", [close()], CREATED)
    options = ClientOptions(idempotency_keys=trusted)
    async with AeroDBClient(url_of(scripted), options=options) as client:
        assert (await client.health()).ok
        response = await client.from_("notes").insert({}).idempotency_key().execute()
    assert response.ok is trusted
    assert len(seen_by(scripted)) == (3 if trusted else 2)


async def test_insert_many_with_one_key_writes_every_row_once(client: AeroDBClient) -> None:
    keyed = client.from_("notes").idempotency_key("import-1")
    for _ in range(2):
        rows = [{"id": number, "title": str(number)} for number in range(1, 26)]
        report = await keyed.insert_many(rows, batch_size=10)
        assert report.unwrap().inserted == 25
    assert (await client.from_("notes").count()).unwrap() == 25


@pytest.mark.parametrize("retries", [0, 2])
async def test_retry_never_and_no_retries_hold_with_a_key(
    scripted: ScriptedServer, retries: int
) -> None:
    scripted.on("/health", health("idempotency-key"))
    scripted.on("/rest/v1/notes", [close()], CREATED)
    options = ClientOptions(retries=retries)
    async with AeroDBClient(url_of(scripted), options=options) as client:
        query = client.from_("notes").insert({}).idempotency_key()
        response = await (query.retry("never") if retries else query).execute()
    assert response.error.maybe_applied is True
    assert seen_by(scripted) == ["POST /rest/v1/notes"]


async def test_a_database_that_was_lost_in_mid_write_is_no_refusal(
    scripted: ScriptedServer,
) -> None:
    """A 503 with `Retry-After` may be repeated, but not if the write may have been committed."""
    body = b'{"code":"PGRST001","message":"m","details":null,"hint":null}'
    lost = answer(503, body, [("Content-Type", "application/json"), ("Retry-After", "0")])
    scripted.on("/rest/v1/notes", lost, CREATED)
    async with AeroDBClient(url_of(scripted)) as client:
        response = await client.from_("notes").insert({}).execute()
    assert response.error.code == "PGRST001"
    assert response.error.maybe_applied is True
    assert response.error.attempts == 1
