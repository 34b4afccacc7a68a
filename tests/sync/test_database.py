# GENERATED from tests/aio/test_database.py by scripts/generate.py [c8a10146f68d]: do not edit
"""Queries on their way to a server and back, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from aerodb import AeroDBAPIError, ClientOptions, col
from aerodb.sync import AeroDBClient
from tests.support.postgrest_grammar import decode
from tests.support.scripted import ScriptedServer, answer, chunked, reset

USERS = "/rest/v1/users"
JSON = ("Content-Type", "application/json")


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def client(scripted: ScriptedServer) -> Iterator[AeroDBClient]:
    options = ClientOptions(retries=0)
    url = f"http://127.0.0.1:{scripted.port}"
    with AeroDBClient(url, "aero_pk_x", options=options) as connected:
        yield connected


def rows(data: Any, content_range: str = "", status: int = 200) -> Any:
    headers = [JSON, ("Content-Range", content_range)] if content_range else [JSON]
    return answer(status, json.dumps(data).encode(), headers)


def pages_of(count: int, size: int) -> list[Any]:
    """The answers to offset paging over so many rows."""
    found = []
    for start in range(0, count + size, size):
        page = [{"id": number} for number in range(start, min(start + size, count))]
        found.append(rows(page, f"{start}-{start + len(page) - 1}/*" if page else "*/*"))
    return found


def targets(scripted: ScriptedServer) -> list[str]:
    return [decode(seen.target).removeprefix("/rest/v1/") for seen in scripted.seen]


def test_the_chain_of_the_seed(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(USERS, rows([{"id": 1}]))
    response = (
        client.from_("users")
        .select("id, name, email")
        .eq("role", "admin")
        .gt("age", 18)
        .order("created_at", ascending=False)
        .limit(10)
        .execute()
    )
    assert response.data == [{"id": 1}]
    assert response.error is None
    (seen,) = scripted.seen
    assert seen.method == "GET"
    assert seen.header("accept") == "application/json"
    assert seen.header("accept-profile") == "public"
    assert seen.header("apikey") == "aero_pk_x"
    assert decode(seen.target) == (
        "/rest/v1/users?select=id,name,email&role=eq.admin&age=gt.18&order=created_at.desc&limit=10"
    )


def test_writes(client: AeroDBClient, scripted: ScriptedServer) -> None:
    users = client.schema("sales").from_("users")
    scripted.on(USERS, rows([{"id": 1}], "*/*", 201))
    inserted = users.insert({"name": "Ada"}).execute()
    assert (inserted.data, inserted.meta.affected) == ([{"id": 1}], 1)
    users.upsert([{"id": 1}], on_conflict="id").execute()
    users.update({"name": "Bob"}).eq("id", 1).execute()
    users.eq("id", 1).delete(returning="minimal").execute()
    assert [seen.method for seen in scripted.seen] == ["POST", "POST", "PATCH", "DELETE"]
    assert {seen.header("content-profile") for seen in scripted.seen} == {"sales"}
    assert {seen.header("content-type") for seen in scripted.seen} == {"application/json"}
    assert scripted.seen[0].body == b'{"name":"Ada"}'
    assert targets(scripted)[1:] == ["users?on_conflict=id", "users?id=eq.1", "users?id=eq.1"]


def test_nothing_is_sent_for_a_bad_value(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    users = client.from_("users")
    for query, code in (
        (users.eq("a", "\ud800"), "INVALID_ARGUMENT"),
        (users.in_("a", range(9000)), "INVALID_ARGUMENT"),
        (users.insert({"a": float("nan")}), "INVALID_ARGUMENT"),
        (users.delete(), "MISSING_FILTER"),
    ):
        response = query.execute()
        assert response.data is None
        assert response.error is not None
        assert response.error.code == code
        assert response.meta.attempts == 0
    assert (users.in_("a", []).execute()).data == []
    assert (users.in_("a", []).count()).data == 0
    assert not scripted.seen


def test_one_row(client: AeroDBClient, scripted: ScriptedServer) -> None:
    users = client.from_("users").select("id")
    scripted.on(USERS, rows({"id": 1}))
    assert (users.single().execute()).data == {"id": 1}
    assert (users.maybe_single().execute()).data == {"id": 1}
    assert (users.get(1).execute()).data == {"id": 1}
    refusal = {"code": "PGRST116", "message": "m", "details": "The result contains 0 rows"}
    scripted.on(USERS, rows(refusal, status=406))
    missing = users.maybe_single().execute()
    assert (missing.data, missing.error, missing.meta.status) == (None, None, 406)
    error = (users.single().execute()).error
    assert error is not None
    assert (error.code, error.status, error.method) == ("PGRST116", 406, "GET")
    assert error.url is not None
    assert "/rest/v1/users?select=id" in error.url


def test_short_answers(client: AeroDBClient, scripted: ScriptedServer) -> None:
    users = client.from_("users").select("id")
    scripted.on(USERS, rows([{"id": 7}]))
    assert (users.first()).data == {"id": 7}
    assert (users.exists()).data is True
    assert (users.scalars("id")).data == [7]
    scripted.on(USERS, rows([]))
    assert (users.first()).data is None
    assert (users.exists()).data is False
    assert targets(scripted)[0] == "users?select=id&limit=1"


def test_count(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(USERS, answer(200, b"", [("Content-Range", "0-9/42")]))
    response = client.from_("users").eq("a", 1).count("planned")
    assert response.data == 42
    assert scripted.seen[0].method == "HEAD"
    assert scripted.seen[0].header("prefer") == "count=planned"
    assert len(scripted.seen) == 1
    scripted.on(USERS, answer(200, b"", [("Content-Range", "0-9/*")]))
    silent = client.from_("users").count()
    assert silent.error is not None
    assert silent.error.code == "INVALID_RESPONSE"


def test_text(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(USERS, answer(200, b"id\n1\n"))
    assert (client.from_("users").csv()).data == "id\n1\n"
    assert (client.from_("users").explain(analyze=True)).data == "id\n1\n"
    assert scripted.seen[0].header("accept") == "text/csv"
    assert "options=analyze" in (scripted.seen[1].header("accept") or "")


def test_functions(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on("/rest/v1/rpc/add", rows(5))
    assert (client.rpc("add", {"a": 2, "b": 3}).execute()).data == 5
    assert (client.rpc("add", {"a": 2}, get=True).execute()).data == 5
    assert [seen.method for seen in scripted.seen] == ["POST", "GET"]
    assert scripted.seen[0].body == b'{"a":2,"b":3}'
    assert targets(scripted)[1] == "rpc/add?a=2"


@dataclass
class User:
    id: int


def test_typed_rows(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(USERS, rows([{"id": 1, "more": 2}]))
    users = client.from_("users", User)
    assert (users.execute()).data == [User(1)]
    assert (users.first()).data == User(1)
    assert (client.from_("users").returns(User).execute()).data == [User(1)]
    scripted.on(USERS, rows([{"id": 1}, {"id": "x"}]))
    error = (users.execute()).error
    assert error is not None
    assert (error.code, error.details["row"]) == ("DECODE_ERROR", 1)
    assert error.request_id


def test_all_rows_page_by_page(client: AeroDBClient, scripted: ScriptedServer) -> None:
    users = client.from_("users").select("id")
    scripted.on(USERS, *pages_of(25, 10))
    response = users.all(page_size=10)
    assert [row["id"] for row in response.unwrap()] == list(range(25))
    assert (response.meta.truncated, response.meta.range) == (False, (0, 24))
    assert targets(scripted) == [f"users?select=id&offset={n}&limit=10" for n in (0, 10, 20)]
    scripted.on(USERS, *pages_of(25, 10))
    assert [row["id"] for row in users.iterate(page_size=10)] == list(range(25))
    scripted.on(USERS, *pages_of(25, 10))
    sizes = [len(page.unwrap()) for page in users.pages(page_size=10)]
    assert sizes == [10, 10, 5]
    scripted.on(USERS, *pages_of(25, 10))
    capped = users.all(page_size=10, max_rows=10)
    assert (len(capped.unwrap()), capped.meta.truncated) == (10, True)


def test_pages_by_key(client: AeroDBClient, scripted: ScriptedServer) -> None:
    users = client.from_("users").select("id")
    scripted.on(USERS, rows([{"id": 1}, {"id": 5}]), rows([{"id": 9}]), rows([]))
    found = [row["id"] for row in users.iterate(page_size=2, key="id")]
    assert found == [1, 5, 9]
    assert targets(scripted) == [
        "users?select=id&order=id.asc&limit=2",
        "users?select=id&id=gt.5&order=id.asc&offset=0&limit=2",
        "users?select=id&or=(id.is.null)&offset=0&limit=1",
    ]


def test_an_error_between_pages(client: AeroDBClient, scripted: ScriptedServer) -> None:
    users = client.from_("users").select("id")

    def script() -> None:
        scripted.on(USERS, pages_of(25, 10)[0], answer(500, b'{"code":"XX000","message":"no"}'))

    script()
    response = users.all(page_size=10)
    assert response.data is None
    assert response.error is not None
    assert response.error.code == "XX000"
    script()
    pages = [page for page in users.pages(page_size=10)]
    assert [page.ok for page in pages] == [True, False]
    script()
    seen = []
    with pytest.raises(AeroDBAPIError, match="XX000"):
        for row in users.iterate(page_size=10):
            seen.append(row["id"])
    assert seen == list(range(10))
    wrong = [page for page in users.pages(page_size=0)]
    assert [page.error.code if page.error else None for page in wrong] == ["INVALID_ARGUMENT"]


def test_a_streamed_answer(client: AeroDBClient, scripted: ScriptedServer) -> None:
    data = [{"id": number, "text": "},{" * 20} for number in range(3000)]
    body = json.dumps(data).encode()
    parts = [body[start : start + 1000] for start in range(0, len(body), 1000)]
    scripted.on(USERS, chunked(parts, [JSON]))
    with client.from_("users").stream() as streamed:
        assert streamed.error is None
        assert streamed.response.meta.status == 200
        assert [row for row in streamed] == data
    with client.from_("users", User).stream() as typed:
        for user in typed:
            assert user == User(0)
            break
    with client.from_("users").in_("id", []).stream() as nothing:
        assert [row for row in nothing] == []


def test_streams_that_fail(client: AeroDBClient, scripted: ScriptedServer) -> None:
    users = client.from_("users")
    start = json.dumps([{"id": number} for number in range(5000)]).encode()[:-10]
    cases: list[tuple[Any, str]] = [
        (answer(404, b'{"code":"PGRST205","message":"no table"}', [JSON]), "PGRST205"),
        ([*chunked([start], [JSON], complete=False), reset()], "NETWORK_ERROR"),
        (chunked([start], [JSON]), "INVALID_RESPONSE"),
        (answer(200, b"<html>"), "INVALID_RESPONSE"),
    ]
    for script, code in cases:
        scripted.on(USERS, script)
        with users.stream() as streamed:
            with pytest.raises(AeroDBAPIError) as caught:
                [row for row in streamed]
            assert caught.value.code == code
            assert streamed.error is not None
            assert streamed.error.code == code
    with users.eq("a", "\0").stream() as streamed:
        with pytest.raises(AeroDBAPIError, match="INVALID_ARGUMENT"):
            [row for row in streamed]
    with pytest.raises(TypeError, match="context manager"):
        [row for row in users.stream()]


def test_insert_many(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(USERS, answer(201, b""))
    seen: list[Any] = []
    source = ({"id": number} for number in range(25))
    response = client.from_("users").insert_many(source, batch_size=10, progress=seen.append)
    report = response.unwrap()
    assert (report.inserted, report.batches, report.errors) == (25, 3, ())
    assert [progress.rows for progress in seen] == [10, 20, 25]
    assert [len(json.loads(request.body)) for request in scripted.seen] == [10, 10, 5]
    assert scripted.seen[0].header("prefer") == "return=minimal"


def test_insert_many_at_once(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(USERS, answer(201, b""))
    source = [{"id": number} for number in range(95)]
    response = client.from_("users").insert_many(source, batch_size=10, concurrency=4)
    assert response.unwrap().inserted == 95
    sent = [row["id"] for request in scripted.seen for row in json.loads(request.body)]
    assert sorted(sent) == list(range(95))


@pytest.mark.parametrize(
    ("on_error", "inserted", "batches"), [("stop", 10, 2), ("continue", 20, 3)]
)
def test_insert_many_with_a_failure(
    client: AeroDBClient, scripted: ScriptedServer, on_error: Any, inserted: int, batches: int
) -> None:
    failure = answer(409, b'{"code":"23505","message":"duplicate"}', [JSON])
    scripted.on(USERS, answer(201, b""), failure, answer(201, b""))
    users = client.from_("users")
    source = [{"id": number} for number in range(30)]
    response = users.insert_many(
        source, batch_size=10, on_error=on_error, on_conflict="id", ignore_duplicates=True
    )
    assert response.error is not None
    assert response.error.code == "23505"
    assert response.data is not None
    assert (response.data.inserted, response.data.batches) == (inserted, batches)
    assert [(bad.first, bad.last) for bad in response.data.errors] == [(10, 19)]
    assert targets(scripted)[0] == "users?on_conflict=id"
    before = len(scripted.seen)
    uncallable: Any = 5
    for options in ({"batch_size": 0}, {"concurrency": 0}, {"progress": uncallable}):
        wrong = users.insert_many(source, **options)
        assert wrong.error is not None
        assert wrong.error.code == "INVALID_ARGUMENT"
    assert len(scripted.seen) == before


def test_a_query_that_has_not_run_holds_no_rows(client: AeroDBClient) -> None:
    """The usual slip: it was described, and taken for its answer."""
    query: Any = client.from_("notes").select()
    for slip in (list, tuple, iter, dict, lambda q: client.from_("t").in_("id", q)):
        with pytest.raises(TypeError, match="this query has not run"):
            slip(query)
    with pytest.raises(TypeError, match="this query has not run"):
        _data, _error = query
    for name in ("data", "error"):
        with pytest.raises(AttributeError, match="this query has not run"):
            getattr(query, name)


def test_a_query_is_a_value(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(USERS, rows([]))
    base = client.from_("users").select("id")
    for number in range(3):
        base.where((col("a") == number) | col("b").is_(None)).execute()
    base.execute()
    assert targets(scripted) == [
        *(f"users?select=id&or=(a.eq.{n},b.is.null)" for n in range(3)),
        "users?select=id",
    ]
    with pytest.raises(AttributeError, match="not run"):
        _ = base.data


def test_the_reason_of_a_refused_head_is_asked_for(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    body = {"code": "42703", "message": "column users.titel does not exist", "hint": "title?"}
    bare = answer(400, b"", [("Proxy-Status", "PostgREST; error=42703")])
    scripted.on(USERS, bare, answer(400, json.dumps(body).encode(), [JSON]))
    failed = client.from_("users").eq("titel", 1).limit(7).offset(3).count()
    assert failed.error is not None
    assert (failed.error.message, failed.error.hint) == (body["message"], "title?")
    assert [seen.method for seen in scripted.seen] == ["HEAD", "GET"]
    assert targets(scripted)[1] == "users?titel=eq.1&limit=0"


def test_no_reason_is_made_up(client: AeroDBClient, scripted: ScriptedServer) -> None:
    head = client.from_("users").select("id", head=True)
    scripted.on(USERS, answer(403, b""), rows([]))  # by then it is allowed
    assert (head.execute()).error.message == "HTTP 403 Forbidden"  # type: ignore[union-attr]
    scripted.on(USERS, answer(503, b""))
    assert (head.execute()).error is not None
    assert [seen.method for seen in scripted.seen] == ["HEAD", "GET", "HEAD"]


def test_all_rows_says_so(client: AeroDBClient, scripted: ScriptedServer) -> None:
    users = client.from_("users")
    refusal = {"code": "21000", "message": "DELETE requires a WHERE clause"}
    scripted.on(USERS, answer(400, json.dumps(refusal).encode(), [JSON]), rows([]))
    failed = users.delete().all_rows().execute()
    assert failed.error is not None
    assert "not_null" in str(failed.error.hint)
    assert (users.delete().all_rows().eq("id", 1).execute()).ok
    marks = [seen.header("x-aerodb-all-rows") for seen in scripted.seen]
    assert marks == ["true", None]


# --- what is often meant otherwise ---------------------------------------------------------------


def test_a_query_says_that_it_has_not_run(client: AeroDBClient) -> None:
    query: Any = client.from_("users").select("id")
    for name in ("unwrap", "ok", "data", "error"):
        with pytest.raises(AttributeError, match="this query has not run"):
            getattr(query, name)
    with pytest.raises(TypeError, match=r"not run.*\.count\(\)"):
        len(query)
    with pytest.raises(TypeError, match=r"not run.*\.first\(\)"):
        query[0]
    assert query


def test_a_response_says_that_it_is_no_query_and_no_list(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    scripted.on(USERS, rows([]))
    response: Any = client.from_("users").select("id").execute()
    assert response  # no row is no failure
    with pytest.raises(AttributeError, match=r"has run.*\.eq\(\) comes before"):
        response.eq("id", 1)
    with pytest.raises(TypeError, match=r"len\(response\.data\)"):
        len(response)
    with pytest.raises(TypeError, match=r"rows are in \.data"):
        response[0]
    assert list(response) == [[], None]
    scripted.on(USERS, answer(403, b"{}"))
    assert not client.from_("users").select("id").execute()


def test_options_and_services_are_not_taken_for_more(scripted: ScriptedServer) -> None:
    url = f"http://127.0.0.1:{scripted.port}"
    make: Any = AeroDBClient
    with pytest.raises(TypeError, match=r"options=ClientOptions\(timeout=\.\.\.\)"):
        make(url, "aero_pk_x", timeout=3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'nope'"):
        make(url, "aero_pk_x", nope=3)
    with pytest.raises(ValueError, match=rf"must not end in /rest/v1.*use '{url}/db'"):
        make(f"{url}/db/rest/v1/")
    with make(f"{url}/rest/v10"):
        pass


def test_a_mapping_is_no_address(client: AeroDBClient) -> None:
    auth: Any = client.auth
    with pytest.raises(TypeError, match=r"no mapping.*\(email='\.\.\.', password='\.\.\.'\)"):
        auth.sign_in_with_password({"email": "ada@example.com", "password": "horse 9"})
    with pytest.raises(TypeError, match="needs a password"):
        auth.sign_in_with_password("ada@example.com")


def test_hints_that_only_the_query_can_give(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    missing = {"code": "PGRST205", "message": "Could not find the table", "hint": "Perhaps"}
    scripted.on("/rest/v1/public.todos", answer(404, json.dumps(missing).encode(), [JSON]))
    failed = client.from_("public.todos").select().execute()
    assert failed.error is not None
    assert "client.schema('public').from_('todos')" in str(failed.error.hint)
    missing = {"code": "PGRST202", "message": "Could not find the function", "hint": "Perhaps"}
    scripted.on("/rest/v1/rpc/public.add", answer(404, json.dumps(missing).encode(), [JSON]))
    failed = client.rpc("public.add").execute()
    assert failed.error is not None
    assert "client.schema('public').rpc('add')" in str(failed.error.hint)
    null = json.dumps({"code": "23502", "message": "null value in column"}).encode()
    scripted.on(USERS, *[answer(400, null, [JSON])] * 3)
    users = client.from_("users")
    unlike: list[dict[str, Any]] = [{"a": 1}, {"a": 1, "b": 2}]
    for query, told in (
        (users.insert(unlike), True),
        (users.insert(unlike, default_to_null=False), False),
        (users.insert([{"a": 1}, {"a": 2}]), False),
    ):
        error = (query.execute()).error
        assert error is not None
        assert ("default_to_null=False" in str(error.hint)) is told
