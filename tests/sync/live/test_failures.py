# GENERATED from tests/aio/live/test_failures.py by scripts/generate.py [84c2c4a3c432]: do not edit
"""What can go wrong, and how it is told (wire-contract §1.5, §1.8, §3.7)."""

from __future__ import annotations

import socket
from decimal import Decimal
from typing import Any

import pytest

from aerodb import ClientOptions, col
from aerodb._io.on_threads import monotonic
from aerodb.sync import AeroDBClient


def teams(client: AeroDBClient) -> Any:
    return client.from_("teams").select("id")


SERVER_ERRORS: list[tuple[Any, int, set[str]]] = [
    (lambda c: c.from_("nowhere").select("*"), 404, {"PGRST205"}),
    (lambda c: c.from_("nowhere").insert({"a": 1}), 404, {"PGRST205"}),
    (lambda c: c.from_("teams").select("nope"), 400, {"42703"}),
    (lambda c: c.from_("teams").select("id").eq("nope", 1), 400, {"42703"}),
    (lambda c: c.from_("teams").select("id").order("nope"), 400, {"42703"}),
    (lambda c: c.from_("notes").insert({"nope": 1}), 400, {"42703", "PGRST204"}),
    (lambda c: c.from_("notes").insert([{"nope": 1}, {"title": "x"}]), 400, {"42703", "PGRST204"}),
    (lambda c: c.from_("notes").update({"nope": 1}).eq("id", 1), 400, {"42703", "PGRST204"}),
    (lambda c: c.from_("bulk").insert([{"n": 1}, {"n": 1}]), 409, {"23505"}),
    (lambda c: c.from_("required").insert({"name": None}), 400, {"23502"}),
    (lambda c: c.from_("notes").insert({"stars": -1}), 400, {"23514"}),
    (lambda c: c.from_("notes").insert({"team_id": 99}), 409, {"23503"}),
    (lambda c: c.from_("notes").insert({"stars": "many"}), 400, {"22P02"}),
    (lambda c: c.from_("teams").select("id").eq("id", "many"), 400, {"22P02"}),
    (lambda c: c.from_("teams").select("id").in_("id", ["1,2"]), 400, {"22P02"}),
    (lambda c: c.from_("teams").select("id").or_(col("id") == "many"), 400, {"22P02"}),
    (lambda c: c.from_("users").select("id").gt("born", "never"), 400, {"22007"}),
    (lambda c: c.from_("teams").select("id").or_("trusted nonsense"), 400, {"PGRST100"}),
    (lambda c: c.from_("teams").select("id,,("), 400, {"PGRST100"}),
    (lambda c: c.from_("teams").select("id").match_regex("name", "("), 400, {"2201B"}),
]


@pytest.mark.parametrize(("make", "status", "codes"), SERVER_ERRORS)
def test_what_the_server_refuses(
    client: AeroDBClient, empty: None, make: Any, status: int, codes: set[str]
) -> None:
    response = make(client).execute()
    assert response.data is None
    error = response.error
    assert error.code in codes
    assert error.status == response.meta.status == status
    assert error.message
    assert error.request_id
    assert error.attempts == 1
    assert error.retryable is False
    assert error.maybe_applied is False


def test_the_error_says_which_row_and_constraint(client: AeroDBClient, empty: None) -> None:
    (client.from_("bulk").insert({"n": 1}).execute()).unwrap()
    error = (client.from_("bulk").insert({"n": 1}).execute()).error
    assert "bulk_pkey" in error.message
    assert "(n)=(1)" in error.details
    assert error.method == "POST"
    assert error.url.endswith("/rest/v1/bulk")


NEVER_SENT: list[Any] = [
    lambda c: c.from_("kept").insert({"v_float": float("nan")}),
    lambda c: c.from_("kept").insert({"v_float": float("inf")}),
    lambda c: c.from_("kept").insert({"v_json": {"deep": [float("-inf")]}}),
    lambda c: c.from_("kept").insert({"v_decimal": Decimal("NaN")}),
    lambda c: c.from_("kept").insert({"v_text": "\ud800"}),
    lambda c: c.from_("kept").insert({"v_json": {"\udfff": 1}}),
    lambda c: c.from_("kept").insert({"v_text": object()}),
    lambda c: c.from_("kept").insert({"v_text": "a\0b"}),
    lambda c: c.from_("kept").insert("text"),
    lambda c: c.from_("kept").insert(None),
    lambda c: c.from_("kept").insert([{"v_int": 1}, 2]),
    lambda c: c.from_("kept").insert({1: 2}),
    lambda c: c.from_("kept").update({"v_text": "\ud800"}).eq("id", 1),
    lambda c: c.from_("kept").upsert({"v_float": float("nan")}),
    lambda c: c.from_("teams").select("id").eq("name", "\ud800"),
    lambda c: c.from_("teams").select("id").eq("name", "a\0b"),
    lambda c: c.from_("teams").select("id").in_("name", ["ok", "\0"]),
    lambda c: c.from_("teams").select("id").or_(col("name") == "\0", col("id") == 1),
    lambda c: c.from_("teams").select("id").in_("id", [1, None]),
    lambda c: c.from_("teams").select("id").in_("id", "123"),
    lambda c: c.from_("teams").select("id").in_("id", 1),
    lambda c: c.from_("teams").select("id").gt("id", None),
    lambda c: c.from_("teams").select("id").like("name", None),
    lambda c: c.from_("teams").select("id").eq("name", object()),
    lambda c: c.from_("teams").select("id").eq("na\nme\0", 1),
    lambda c: c.from_("teams").select("id").filter("id", "eq.1&x", 1),
    lambda c: c.from_("teams").select("id").filter("id", "nonsense", 1),
    lambda c: c.from_("teams").select("id").limit(-1),
    lambda c: c.from_("teams").select("id").offset(-1),
    lambda c: c.from_("teams").select("id").range(5, 2),
    lambda c: c.from_("teams").select("id").order("id.desc,secret"),
    lambda c: c.from_("teams\nx").select("id"),
    lambda c: c.from_("a/b").select("id"),
    lambda c: c.from_("").select("id"),
    lambda c: c.rpc("greet", {"name": float("nan")}),
]


@pytest.mark.parametrize("make", NEVER_SENT)
def test_what_is_refused_before_it_is_sent(client: AeroDBClient, make: Any) -> None:
    response = make(client).execute()
    assert response.data is None
    assert response.error.code == "INVALID_ARGUMENT"
    assert response.error.message
    assert response.meta.attempts == 0


@pytest.mark.parametrize("column", ["id=gt.0&x", "a->>'b'", 'a"b', "select", "and", "or", "limit"])
def test_column_names_cannot_become_other_parameters(
    client: AeroDBClient, column: str
) -> None:
    """Security checklist Q5: refused here, or a column that the server does not find."""
    query = client.from_("teams").select("id").eq("id", 1).eq(column, "x")
    response = query.execute()
    assert response.data is None
    assert response.error.code in ("INVALID_ARGUMENT", "42703", "PGRST108", "PGRST204")


LONG = [f"a name that is not there {number:04}" for number in range(600)]


@pytest.mark.parametrize(
    "make",
    [
        lambda users: users.in_("name", LONG),
        lambda users: users.in_("name", LONG).order("id").limit(2),
        lambda users: users.not_in("name", LONG),
        lambda users: users.or_(col("name").in_(LONG), col("id") == 3),
        lambda users: users.delete().in_("name", LONG),
        lambda users: users.update({"age": 1}).in_("name", LONG),
    ],
)
def test_a_list_too_long_for_a_url(client: AeroDBClient, make: Any) -> None:
    """20 KB are refused with advice: never cut, and never a server's 414 (wire-contract §1.7)."""
    response = make(client.from_("users").select("id")).execute()
    assert response.data is None
    assert response.error.code == "INVALID_ARGUMENT"
    assert "16384" in response.error.message
    assert response.error.hint
    assert response.meta.attempts == 0


def test_a_list_that_just_fits(client: AeroDBClient) -> None:
    query = client.from_("users").select("id").in_("name", [*LONG[:300], "Ada"])
    assert (query.execute()).unwrap() == [{"id": 1}]


def test_a_key_cannot_add_a_header(server: Any) -> None:
    for key in ("aero_pk_x\nX-Evil: 1", "aero_pk_x\r\n\r\nGET /", "aero\0pk"):
        with pytest.raises(ValueError, match="key") as caught:
            AeroDBClient(server.url, key)
        assert "Evil" not in str(caught.value)


def test_plain_http_stays_on_this_machine() -> None:
    for url in ("http://db.example.org", "http://10.0.0.1:8000", "http://localhost.example.org"):
        with pytest.raises(ValueError, match="INSECURE_URL"):
            AeroDBClient(url, "aero_pk_x")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_nobody_listens() -> None:
    options = ClientOptions(retries=1)
    with AeroDBClient(f"http://127.0.0.1:{closed_port()}", "k", options=options) as client:
        for query in (teams(client), client.from_("notes").insert({"title": "x"})):
            error = (query.execute()).error
            assert error.code == "NETWORK_ERROR"
            assert error.status is None
            assert error.retryable is True
            assert error.attempts == 2
            assert error.maybe_applied is False, "nothing was sent"


def test_a_closed_client(server: Any) -> None:
    client = AeroDBClient(server.url, server.service_key)
    (teams(client).execute()).unwrap()
    client.close()
    client.close()
    assert client.is_closed
    for response in (
        teams(client).execute(),
        client.from_("notes").insert({"title": "x"}).execute(),
        client.rpc("nothing").execute(),
        client.from_("teams").count("exact"),
    ):
        assert response.error.code == "CLIENT_CLOSED"


def test_the_deadline_of_one_call(client: AeroDBClient) -> None:
    sleep = 4.0
    started = monotonic()
    response = client.rpc("slow", {"seconds": sleep}).timeout(0.3).execute()
    elapsed = monotonic() - started
    assert response.error.code == "TIMEOUT"
    assert response.error.maybe_applied is True, "a function may have written"
    assert elapsed < sleep, "answered before the function can have ended: the deadline did it"
    assert (teams(client).execute()).error is None, "the client goes on"


def test_the_deadline_covers_all_attempts(client: AeroDBClient) -> None:
    """A read may be tried again, but not past its deadline."""
    sleep = 2.0
    started = monotonic()
    response = client.rpc("slow", {"seconds": sleep}, get=True).timeout(0.3).execute()
    assert response.error.code == "TIMEOUT"
    assert monotonic() - started < sleep


def test_the_deadline_of_a_client(server: Any) -> None:
    options = ClientOptions(timeout=0.3)
    with AeroDBClient(server.url, server.service_key, options=options) as client:
        slow = client.rpc("slow", {"seconds": 2}).execute()
        assert slow.error.code == "TIMEOUT"
        patient = client.rpc("slow", {"seconds": 0.5}).timeout(20).execute()
        assert patient.unwrap() == "done"


def test_the_deadline_of_a_write_is_kept_too(client: AeroDBClient, empty: None) -> None:
    query = client.from_("notes").insert({"title": "x"}).timeout(30)
    assert (query.execute()).error is None


def test_an_answer_larger_than_allowed(server: Any) -> None:
    options = ClientOptions(max_response_bytes=2000)
    with AeroDBClient(server.url, server.service_key, options=options) as client:
        response = client.from_("numbers").select("*").execute()
        assert response.data is None
        assert response.error.code == "RESPONSE_TOO_LARGE"
        assert (teams(client).execute()).error is None
