"""`Idempotency-Key` on a real instance: what is sent twice happens once (wire contract §1.8)."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from aerodb.local import LocalServer
from tests.conftest import LossyProxy

SCHEMA = """
create table notes (
  id    int generated always as identity primary key,
  title text not null unique,
  owner text default auth.uid()::text
);
create table pairs (id int primary key, value text);
create table events (id int generated always as identity primary key, label text);
create table witnesses (name text);

create function remember() returns trigger language plpgsql as $$
begin insert into witnesses values (current_user); return null; end $$;
create constraint trigger late after insert on events deferrable initially deferred
  for each row execute function remember();

create function log(label text, seconds float default 0) returns int language plpgsql as $$
begin
  perform pg_sleep(seconds);
  insert into events (label) values (log.label);
  return (select count(*) from events e where e.label = log.label);
end $$;
create function strictly(label text) returns int language sql
  set default_transaction_isolation = 'serializable' as $$
  insert into events (label) values (label) returning 1 $$;
create function level() returns text language sql volatile
  set default_transaction_isolation = 'repeatable read'
  as $$ select current_setting('transaction_isolation') $$;
create function large(size int) returns text language sql volatile as $$
  insert into events (label) values ('large'); select repeat('x', size) $$;
create function read_only() returns text language sql stable
  as $$ select current_setting('transaction_read_only') $$;
create function teapot(label text) returns json language plpgsql as $$
begin
  insert into events (label) values (teapot.label);
  perform set_config('response.status', '418', true);
  perform set_config('response.headers', '[{"Set-Cookie": "a=b"}, {"Location": "/x"}]', true);
  return '{}';
end $$;
create function peek() returns bigint language sql volatile
  as 'select count(*) from aerodb_internal.idempotency_records';
create function claim() returns text language sql volatile
  as $$ select state from aerodb_internal.claim_idempotency_key('a', 'b', 1) $$;
"""


@pytest.fixture(scope="module")
def instance() -> Iterator[LocalServer]:
    with LocalServer(schema=[SCHEMA], db_tx_end="commit-allow-override") as running:
        yield running


@pytest.fixture
def owner(instance: LocalServer) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(instance.database_url, autocommit=True) as connection:
        connection.execute(
            "truncate notes, pairs, events, witnesses, aerodb_internal.idempotency_records"
        )
        yield connection


class Caller:
    """Sends requests, each with the key that it is told."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}", "Prefer": "return=representation"}
        self.http = httpx.Client(base_url=f"{url}/rest/v1", headers=headers, timeout=30)

    def __call__(
        self, method: str, path: str, key: str | None, json: Any = None, **headers: str
    ) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            named["Idempotency-Key"] = key
        return self.http.request(method, path, json=json, headers=named)


@pytest.fixture
def call(instance: LocalServer, owner: Any) -> Iterator[Caller]:
    caller = Caller(instance.url, instance.create_token("authenticated", sub=str(uuid.uuid4())))
    with caller.http:
        yield caller


def count(owner: psycopg.Connection[Any], table: str) -> int:
    row = owner.execute(f"select count(*) from {table}").fetchone()
    assert row is not None
    return int(row[0])


def records(owner: psycopg.Connection[Any]) -> int:
    return count(owner, "aerodb_internal.idempotency_records")


def replayed(response: httpx.Response) -> bool:
    return response.headers.get("idempotency-replayed") == "true"


def error(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"code", "message", "details", "hint"}
    assert response.headers["proxy-status"] == f"PostgREST; error={body['code']}"
    return response.status_code, body["code"]


# --- once ----------------------------------------------------------------------------------------


def test_a_second_insert_gets_the_first_ones_answer(call: Caller, owner: Any) -> None:
    first, second = (call("POST", "/notes", "k", {"title": "one"}) for _ in range(2))
    assert (first.status_code, replayed(first)) == (201, False)
    assert (second.status_code, replayed(second)) == (201, True)
    assert second.content == first.content
    assert second.json()[0]["title"] == "one"
    for name in ("content-type", "content-range", "preference-applied", "vary", "content-length"):
        assert second.headers[name] == first.headers[name]
    assert count(owner, "notes") == 1


def test_location_is_kept_too(call: Caller, owner: Any) -> None:
    prefer = "return=headers-only"
    first, second = (call("POST", "/notes", "k", {"title": "one"}, Prefer=prefer) for _ in range(2))
    assert replayed(second)
    assert second.headers["location"] == first.headers["location"]
    assert second.content == b""


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/pairs?id=eq.1", {"value": "new"}),
        ("DELETE", "/pairs?id=eq.1", None),
        ("PUT", "/pairs?id=eq.1", {"id": 1, "value": "put"}),
        ("POST", "/rpc/log", {"label": "x"}),
    ],
)
def test_every_method_that_writes(
    call: Caller, owner: Any, method: str, path: str, body: Any
) -> None:
    owner.execute("insert into pairs values (1, 'old')")
    first = call(method, path, "k", body)
    assert first.is_success
    # What the first one did is undone: a second run would have an effect, or another answer.
    owner.execute("truncate pairs")
    second = call(method, path, "k", body)
    assert replayed(second)
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert count(owner, "pairs") == 0
    assert count(owner, "events") == (1 if "rpc" in path else 0)


def test_nothing_to_say_is_replayed_as_such(call: Caller, owner: Any) -> None:
    owner.execute("insert into pairs values (1, 'old')")
    for expected in (False, True):
        response = call("DELETE", "/pairs?id=eq.1", "k", Prefer="return=minimal")
        assert (response.status_code, response.content) == (204, b"")
        assert "content-length" not in response.headers
        assert replayed(response) is expected


def test_what_a_function_says_of_its_answer(call: Caller, owner: Any) -> None:
    first = call("POST", "/rpc/teapot", "k", {"label": "x"})
    assert first.headers["set-cookie"] == "a=b"
    second = call("POST", "/rpc/teapot", "k", {"label": "x"})
    assert (second.status_code, replayed(second)) == (418, True)
    assert second.headers["location"] == "/x"
    assert "set-cookie" not in second.headers
    assert count(owner, "events") == 1


def test_a_function_that_only_reads_still_only_reads(call: Caller, owner: Any) -> None:
    for expected in (False, True):
        response = call("POST", "/rpc/read_only", "k", {})
        assert response.json() == "on"
        assert replayed(response) is expected


@pytest.mark.parametrize("isolated", ["level", "strictly"])
def test_stricter_isolation(call: Caller, owner: Any, isolated: str) -> None:
    body = {"label": "x"} if isolated == "strictly" else {}
    first, second = (call("POST", f"/rpc/{isolated}", "k", body) for _ in range(2))
    assert first.json() == (1 if isolated == "strictly" else "repeatable read")
    assert replayed(second)
    assert second.json() == first.json()


# --- whose key, and for what ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "title", "headers"),
    [
        ("/notes", "two", {}),
        ("/notes?select=id", "one", {}),
        ("/notes", "one", {"Prefer": "return=minimal"}),
        ("/notes", "one", {"Accept": "text/csv"}),
        ("/notes", "one", {"Content-Profile": "public"}),
    ],
)
def test_a_key_is_for_one_request(
    call: Caller, owner: Any, path: str, title: str, headers: dict[str, str]
) -> None:
    assert call("POST", "/notes", "k", {"title": "one"}).status_code == 201
    refused = call("POST", path, "k", {"title": title}, **headers)
    assert error(refused) == (422, "idempotency_key_reused")
    assert refused.headers["x-aerodb-error"] == "idempotency_key_reused"
    assert count(owner, "notes") == 1


def test_a_key_belongs_to_one_caller(instance: LocalServer, call: Caller, owner: Any) -> None:
    token = instance.create_token("authenticated", sub=str(uuid.uuid4()))
    other = Caller(instance.url, token)
    robot = Caller(instance.url, instance.create_token("service_role"))
    seen = set()
    with other.http, robot.http:
        for caller in (call, other, robot):
            response = caller("POST", "/events", "k", {"label": "x"})
            assert not replayed(response)
            seen.add(response.json()[0]["id"])
    assert len(seen) == count(owner, "events") == 3


def test_another_path_or_method_is_another_scope(call: Caller, owner: Any) -> None:
    assert call("POST", "/notes", "k", {"title": "one"}).is_success
    assert call("POST", "/events", "k", {"label": "x"}).is_success
    assert call("PATCH", "/events?label=eq.x", "k", {"label": "y"}).is_success
    assert records(owner) == 3


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é", "a\tb"])
def test_what_is_no_key(call: Caller, owner: Any, key: str) -> None:
    headers = {"Idempotency-Key": key.encode()}
    response = call.http.post("/notes", json={"title": "one"}, headers=headers)
    assert error(response) == (400, "invalid_idempotency_key")
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert error(call.http.post("/notes", json={}, headers=twice))[0] == 400
    assert count(owner, "notes") == 0


def test_without_a_key_and_for_reads_nothing_is_kept(call: Caller, owner: Any) -> None:
    assert call("POST", "/events", None, {"label": "x"}).status_code == 201
    assert call("GET", "/events", "k").status_code == 200
    assert call("GET", "/rpc/read_only", "k").status_code == 200
    assert records(owner) == 0


# --- only what was committed ---------------------------------------------------------------------


def test_what_failed_may_be_tried_again(call: Caller, owner: Any) -> None:
    owner.execute("insert into notes (title) values ('one')")
    failed = call("POST", "/notes", "k", {"title": "one"})
    assert error(failed) == (409, "23505")
    owner.execute("truncate notes")
    response = call("POST", "/notes", "k", {"title": "one"})
    assert (response.status_code, replayed(response)) == (201, False)


def test_a_count_that_was_refused_leaves_nothing(call: Caller, owner: Any) -> None:
    owner.execute("insert into pairs values (1, 'a'), (2, 'a')")
    single = "application/vnd.pgrst.object+json"
    for _ in range(2):
        refused = call("PATCH", "/pairs?value=eq.a", "k", {"value": "b"}, Accept=single)
        assert error(refused) == (406, "PGRST116")
    assert records(owner) == 0
    assert owner.execute("select distinct value from pairs").fetchall() == [("a",)]


def test_a_failure_at_the_commit_leaves_nothing(call: Caller, owner: Any) -> None:
    owner.execute("alter table witnesses add constraint none check (name is null)")
    try:
        assert error(call("POST", "/events", "k", {"label": "x"})) == (400, "23514")
    finally:
        owner.execute("alter table witnesses drop constraint none")
    assert records(owner) == count(owner, "events") == 0
    assert call("POST", "/events", "k", {"label": "x"}).status_code == 201


def test_what_is_rolled_back_on_request(call: Caller, owner: Any) -> None:
    for _ in range(2):
        response = call("POST", "/events", "k", {"label": "x"}, Prefer="tx=rollback")
        assert (response.status_code, replayed(response)) == (201, False)
    assert records(owner) == count(owner, "events") == 0


def test_what_fires_at_the_commit_has_the_callers_role(call: Caller, owner: Any) -> None:
    assert call("POST", "/events", "k", {"label": "x"}).is_success
    assert owner.execute("select name from witnesses").fetchall() == [("authenticated",)]


def test_an_answer_too_large_to_keep(call: Caller, owner: Any) -> None:
    assert call("POST", "/rpc/large", "small", {"size": 1_000_000}).is_success
    assert replayed(call("POST", "/rpc/large", "small", {"size": 1_000_000}))
    owner.execute("truncate events")
    first = call("POST", "/rpc/large", "k", {"size": 1_100_000})
    assert len(first.json()) == 1_100_000
    again = call("POST", "/rpc/large", "k", {"size": 1_100_000})
    assert error(again) == (409, "idempotency_response_unavailable")
    assert count(owner, "events") == 1


# --- at the same time, and in trouble ------------------------------------------------------------


def test_two_at_once_run_once(call: Caller, owner: Any) -> None:
    body = {"label": "x", "seconds": 0.7}
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(call, "POST", "/rpc/log", "k", body) for _ in range(2)]
        ran, waiting = sorted((one.result() for one in both), key=lambda one: one.status_code)
    assert (ran.status_code, ran.json()) == (200, 1)
    assert error(waiting) == (409, "idempotency_key_in_progress")
    assert waiting.headers["retry-after"] == "1"
    assert replayed(call("POST", "/rpc/log", "k", body))
    assert count(owner, "events") == 1


def test_many_at_once_run_once(call: Caller, owner: Any) -> None:
    gate = threading.Barrier(8)

    def one(key: str) -> httpx.Response:
        gate.wait()
        return call("POST", "/events", key, {"label": key})

    with ThreadPoolExecutor(8) as pool:
        for number in range(10):
            answers = list(pool.map(one, [f"k{number}"] * 8))
            assert sum(answer.is_success and not replayed(answer) for answer in answers) == 1
            assert {answer.status_code for answer in answers} <= {201, 409}
    assert count(owner, "events") == 10


def test_an_answer_that_is_lost_on_the_way(instance: LocalServer, owner: Any) -> None:
    """Between the commit and the answer anything may break: the effect is there once."""
    token = instance.create_token("authenticated")
    with LossyProxy(instance.url) as proxy:
        caller = Caller(proxy.url, token)
        with caller.http:
            for number in range(1, 4):
                proxy.lose(1)
                with pytest.raises(httpx.TransportError):
                    caller("POST", "/rpc/log", f"k{number}", {"label": "x"})
                again = caller("POST", "/rpc/log", f"k{number}", {"label": "x"})
                assert (again.json(), replayed(again)) == (number, True)
    assert count(owner, "events") == 3


def test_a_database_connection_that_is_lost_on_the_way(call: Caller, owner: Any) -> None:
    """The instance may run it again by itself, as the key keeps it from being done twice."""
    body = {"label": "x", "seconds": 1.0}
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(call, "POST", "/rpc/log", "k", body)
        while not owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'"
        ).fetchall():
            time.sleep(0.02)
        interrupted = running.result()
    assert interrupted.status_code in (200, 503)
    again = call("POST", "/rpc/log", "k", body)
    assert (again.status_code, again.json()) == (200, 1)
    assert count(owner, "events") == 1


# --- for how long --------------------------------------------------------------------------------


def test_keys_are_free_again_after_a_day(call: Caller, owner: Any) -> None:
    body = {"label": "one"}
    age = "update aerodb_internal.idempotency_records set made_at = made_at - interval '%s'"
    assert call("POST", "/events", "k", body).status_code == 201
    owner.execute(age % "23 hours 59 minutes")
    assert replayed(call("POST", "/events", "k", body))
    owner.execute(age % "1 minute")
    response = call("POST", "/events", "k", body)
    assert (response.status_code, replayed(response)) == (201, False)
    assert replayed(call("POST", "/events", "k", body))
    assert (count(owner, "events"), records(owner)) == (2, 1)


def test_old_records_go_a_few_at_a_time(call: Caller, owner: Any) -> None:
    owner.execute(
        "insert into aerodb_internal.idempotency_records "
        "select n::text::bytea, '', 200, '[]', '', now() - interval '25 hours' "
        "from generate_series(1, 15) n"
    )
    left = []
    for number in range(3):
        assert call("POST", "/events", f"k{number}", {"label": "x"}).is_success
        left.append(records(owner))
    assert left == [15 - 10 + 1, 2, 3]


# --- who may know --------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", ["peek", "claim"])
def test_sql_of_a_request_reaches_no_record(call: Caller, owner: Any, attempt: str) -> None:
    assert call("POST", "/notes", "k", {"title": "secret"}).is_success
    for key in (None, "k"):
        assert error(call("POST", f"/rpc/{attempt}", key, {})) == (403, "42501")


def test_no_api_role_has_a_right_to_any_of_it(owner: psycopg.Connection[Any]) -> None:
    found = owner.execute(
        "select r.rolname, p.oid::regprocedure::text from pg_proc p "
        "cross join unnest(array['anon', 'authenticated', 'service_role']) r (rolname) "
        "where p.proname in ('claim_idempotency_key', 'keep_idempotent_answer') "
        "and has_function_privilege(r.rolname, p.oid, 'execute')"
    ).fetchall()
    assert found == []
    readers = owner.execute(
        "select rolname from pg_roles where not rolsuper and rolname !~ '^pg_' and "
        "has_table_privilege(rolname, 'aerodb_internal.idempotency_records', 'select')"
    ).fetchall()
    assert readers == []


# --- where it is offered -------------------------------------------------------------------------


def test_health_lists_it(instance: LocalServer) -> None:
    assert "idempotency-key" in httpx.get(f"{instance.url}/health").json()["features"]


def test_over_a_foreign_database_the_header_means_nothing(
    instance: LocalServer, owner: Any
) -> None:
    settings = {"db_anon_role": "anon", "db_schemas": "public"}
    with LocalServer(database_url=instance.database_url, **settings) as foreign:
        assert "idempotency-key" not in httpx.get(f"{foreign.url}/health").json()["features"]
        for _ in range(2):
            response = httpx.post(
                f"{foreign.url}/rest/v1/events",
                json={"label": "x"},
                headers={"Idempotency-Key": "k"},
            )
            assert response.status_code == 201
    assert count(owner, "events") == 2
