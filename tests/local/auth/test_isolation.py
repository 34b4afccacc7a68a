"""Nobody sees or changes another's rows, nor what the auth part keeps (issue: RLS end to end)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import psycopg
import pytest

from .conftest import Api, Person, said

_numbers = count(1)


@pytest.fixture
def two(api: Api) -> Iterator[tuple[Person, Person]]:
    """Two people; each has one folder and two notes in it."""
    people = (api.person(), api.person())
    for person in people:
        folder = write(person, "POST", "folders", {"name": "mine"})[0]["id"]
        for body in ("first", "second"):
            row = {"id": next(_numbers), "folder_id": folder, "body": body}
            write(person, "POST", "notes", row)
    yield people
    api.server.execute_sql("delete from notes; delete from folders")


def write(person: Person, method: str, path: str, body: Any = None, **headers: str) -> Any:
    prefer = {"Prefer": "return=representation", **headers}
    answer = person.call(method, f"/rest/v1/{path}", json=body, headers=prefer)
    assert answer.status_code < 300, answer.text
    return answer.json()


def read(person: Person, path: str, **headers: str) -> Any:
    answer = person.call("GET", f"/rest/v1/{path}", headers=headers)
    assert answer.status_code < 300, answer.text
    return answer.json()


def notes_of(api: Api, person: Person) -> list[dict[str, Any]]:
    return api.server.execute_sql(
        "select id, body, folder_id from notes where owner = %s order by id", [person.id]
    )


def test_requests_act_as_the_user_of_their_token(api: Api) -> None:
    person = api.person(metadata={"a": 1})
    found = person.call("GET", "/rest/v1/rpc/whoami").json()
    assert (found["id"], found["email"]) == (person.id, person.email)
    assert (found["role"], found["user"]) == ("authenticated", "authenticated")
    assert found["claims"]["user_metadata"] == {"a": 1}
    nobody = api.http.get("/rest/v1/rpc/whoami").json()
    assert (nobody["id"], nobody["role"]) == (None, "anon")
    key = person.call("GET", "/rest/v1/rpc/whoami", headers=api.service).json()
    assert key["user"] == "authenticated", "a bearer wins over a key"


def test_reading_counting_and_embedding(api: Api, two: tuple[Person, Person]) -> None:
    for mine, other in (two, two[::-1]):
        assert {row["owner"] for row in read(mine, "notes")} == {mine.id}
        assert {row["owner"] for row in read(mine, "own_notes")} == {mine.id}
        assert read(mine, f"notes?owner=eq.{other.id}") == []
        assert read(mine, "notes?select=count()") == [{"count": 2}]
        assert read(mine, "rpc/note_count") == 2
        counted = mine.call("HEAD", "/rest/v1/notes", headers={"Prefer": "count=exact"})
        assert counted.headers["content-range"] == "0-1/2"
        embedded = read(mine, "folders?select=owner,notes(owner)")
        assert embedded == [{"owner": mine.id, "notes": [{"owner": mine.id}] * 2}]
        upwards = read(mine, "notes?select=folders!inner(owner)")
        assert upwards == [{"folders": {"owner": mine.id}}] * 2
    assert api.http.get("/rest/v1/notes").json() == []
    everything = api.http.get("/rest/v1/notes", headers=api.service).json()
    assert len(everything) == 4


def test_updating_and_deleting(api: Api, two: tuple[Person, Person]) -> None:
    mine, other = two
    before = notes_of(api, other)
    theirs = ",".join(str(row["id"]) for row in before)
    assert write(mine, "PATCH", "notes?id=gte.0", {"body": "changed"}) == read(mine, "notes")
    assert write(mine, "PATCH", f"notes?id=in.({theirs})", {"body": "taken"}) == []
    assert write(mine, "DELETE", f"notes?id=in.({theirs})") == []
    assert write(mine, "DELETE", f"notes?owner=eq.{other.id}") == []
    assert notes_of(api, other) == before
    assert len(write(mine, "DELETE", "notes?id=gte.0")) == 2
    assert notes_of(api, other) == before


def test_writing_into_anothers_name(api: Api, two: tuple[Person, Person]) -> None:
    mine, other = two
    before = notes_of(api, other)
    attempts: list[tuple[str, str, Any, str]] = [
        ("POST", "notes", {"id": next(_numbers), "owner": other.id, "body": "x"}, ""),
        ("PATCH", "notes?id=gte.0", {"owner": other.id}, ""),
        ("POST", "notes", {"id": before[0]["id"], "body": "x"}, "resolution=merge-duplicates"),
        ("POST", "notes", [{"id": r["id"], "body": "x", "owner": other.id} for r in before],
         "resolution=merge-duplicates"),
        ("PUT", f"notes?id=eq.{before[0]['id']}",
         {"id": before[0]["id"], "folder_id": None, "owner": mine.id, "body": "x"}, ""),
    ]  # fmt: skip
    for method, path, body, prefer in attempts:
        headers = {"Prefer": prefer} if prefer else {}
        answer = mine.call(method, f"/rest/v1/{path}", json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "42501"), (method, path, body)
        assert notes_of(api, other) == before
    ignored = write(
        mine,
        "POST",
        "notes",
        {"id": before[0]["id"], "body": "x"},
        Prefer="resolution=ignore-duplicates,return=representation",
    )
    assert ignored == []
    assert notes_of(api, other) == before


def test_deleting_a_user_takes_the_own_rows_along(api: Api, two: tuple[Person, Person]) -> None:
    mine, other = two
    before = notes_of(api, other)
    gone = api.http.delete(f"/auth/users/{mine.id}", headers=api.service)
    assert gone.status_code == 204
    assert notes_of(api, mine) == []
    assert notes_of(api, other) == before


def test_alternating_users_on_few_connections(api: Api, two: tuple[Person, Person]) -> None:
    for turn in range(100):
        person = two[turn % 2]
        if turn % 5 == 0:  # an error, which must leave nothing behind on its connection
            body = {"id": "no number"}
            assert person.call("POST", "/rest/v1/notes", json=body).status_code == 400
        assert {row["owner"] for row in read(person, "notes")} == {person.id}


def test_the_rest_part_believes_a_token_until_it_expires(api: Api) -> None:
    person = api.person()
    api.post("/auth/logout", {"refresh_token": person.refresh_token})
    assert said(person.call("GET", "/auth/user")) == (401, "session_revoked")
    assert person.call("GET", "/rest/v1/notes").status_code == 200


# --- what the auth part keeps -------------------------------------------------------------------

KEPT = [
    *("auth.users", "auth.sessions", "auth.refresh_tokens", "auth.one_time_tokens"),
    *("aerodb_internal.outbox", "aerodb_internal.auth_attempts"),
]


def callers(somebody: Person) -> list[dict[str, str]]:
    return [{}, somebody.bearer, somebody.api.service]


@pytest.mark.parametrize("table", KEPT)
def test_no_request_reaches_the_tables(api: Api, somebody: Person, table: str) -> None:
    schema, name = table.split(".")
    statements = [
        f"select * from {table}",
        f"delete from {table}",
        f"truncate {table}",
        f"alter table {table} disable row level security",
        f"set local role aerodb_auth; select * from {table}",
        f"set local role postgres; select * from {table}",
        f"set local role authenticator; select * from {table}",
        f"reset role; select * from {table}",
        f"set session authorization aerodb_auth; select * from {table}",
    ]
    for headers in callers(somebody):
        hidden = api.http.get(f"/rest/v1/{name}", headers=headers)
        assert hidden.status_code == 404
        other = {**headers, "Accept-Profile": schema}
        assert api.http.get(f"/rest/v1/{name}", headers=other).status_code == 406
        for statement in statements:
            body = {"statement": statement}
            answer = api.http.post("/rest/v1/rpc/run_sql", json=body, headers=headers)
            assert answer.status_code in (401, 403), (statement, answer.text)
            assert answer.json()["code"] == "42501"


def test_no_request_calls_the_functions(api: Api, somebody: Person) -> None:
    for call in (
        "aerodb_internal.spend_refresh_token('', '', '1 h', '1 h')",
        "aerodb_internal.count_attempt('', 1, '1 h')",
    ):
        for headers in callers(somebody):
            for role in ("", "reset role; ", "set local role authenticator; "):
                body = {"statement": f"{role}select {call}"}
                answer = api.http.post("/rest/v1/rpc/run_sql", json=body, headers=headers)
                assert answer.json()["code"] == "42501"


def test_exposing_the_schema_does_not_open_it() -> None:
    from aerodb.local import LocalServer

    with LocalServer(db_schemas="public, auth, aerodb_internal") as server:
        import httpx

        with httpx.Client(base_url=server.url, trust_env=False) as http:
            for table in KEPT:
                schema, name = table.split(".")
                headers = {"Accept-Profile": schema, "apikey": server.service_key}
                answer = http.get(f"/rest/v1/{name}", headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (403, "42501")


def test_a_grant_by_mistake_shows_no_row(api: Api) -> None:
    person = api.person()
    with psycopg.connect(api.server.database_url) as connection:
        connection.execute("grant select on all tables in schema auth to authenticated")
        connection.execute("set local role authenticated")
        for table in KEPT[:4]:
            rows = connection.execute(f"select count(*) from {table}".encode()).fetchone()
            assert rows == (0,)
        connection.rollback()
    assert person.call("GET", "/auth/user").status_code == 200


def test_the_login_of_the_auth_part_can_do_nothing_else(api: Api) -> None:
    login = api.server.database.auth
    assert login is not None
    with psycopg.connect(login, autocommit=True) as connection:
        assert connection.execute("select count(*) from auth.users").fetchone() is not None
        for statement in (
            "select * from public.notes",
            "create table public.x ()",
            "create table auth.x ()",
            "drop table auth.users",
            "set role postgres",
            "set role service_role",
            "select * from aerodb_internal.idempotency_records",
            "select pg_read_file('postgresql.conf')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
