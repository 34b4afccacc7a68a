"""Attacks over real HTTP: injection, row-level security, leaks between callers, tokens, bad HTTP.

Reliability C1, C5 to C8. Whatever is sent, the answer has PostgREST's shape, tells nothing of the
inside, and the server goes on.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import os
import random
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import FrameType
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from aerodb.local import LocalServer
from aerodb.local.app import Front
from aerodb.local.cors import CorsPolicy
from aerodb.local.hosts import HostGate
from aerodb.local.protocol import BoundedProtocol
from aerodb.local.replies import Message, Receive, Scope, Send
from aerodb.local.rest import exchange, media_types, preferences
from aerodb.local.rest.fuzzy import FuzzySet, similarity

ALICE = "00000000-0000-0000-0000-000000000001"
BOB = "00000000-0000-0000-0000-000000000002"
SCHEMA = r"""
create table notes (id int primary key, owner uuid, body text, tags text[], span int4range);
insert into notes
select n, ('00000000-0000-0000-0000-00000000000' || n % 2 + 1)::uuid, 'note ' || n, '{x}', '[1,3)'
from generate_series(1, 20) n;
alter table notes enable row level security;
create policy own on notes to authenticated
    using (owner = auth.uid()) with check (owner = auth.uid());

create table secrets (id int primary key, note_id int references notes, secret text);
insert into secrets values (1, 1, 'canary');
revoke all on secrets from anon, authenticated;

create table parts (id int primary key, note_id int references notes, shown text, hidden text);
insert into parts select n, n, 'p' || n, 'canary' || n from generate_series(1, 20) n;
revoke all on parts from anon, authenticated;
grant select (id, note_id, shown), insert, update (shown), delete on parts to anon, authenticated;

create table items (id int primary key, name text unique, n int, j jsonb);
insert into items select n, 'item ' || n, n, jsonb_build_object('k', n)
from generate_series(1, 9) n;
create table "odd" (id int primary key);
alter table "odd" rename to "odd
name ";

create function who() returns json language sql stable as $$
    select json_build_object('user', current_user, 'sub', auth.uid(), 'role', auth.role())
$$;
create function set_it(name text, value text) returns text language sql as
    $$ select set_config(name, value, false) $$;
create function setting(name text) returns text language sql stable as
    $$ select current_setting(name, true) $$;
create function run(command text) returns text language plpgsql as
    $$ begin execute command; return current_user; end $$;
create function slow(seconds float) returns text language sql as
    $$ select current_user::text from pg_sleep(seconds) $$;
create function backend() returns int language sql stable as 'select pg_backend_pid()';
create function prepared() returns bigint language sql as
    'select count(*) from pg_prepared_statements';
create function add(a int, b int) returns int language sql immutable as 'select a + b';
create function echo(json) returns json language sql immutable as 'select $1';
create function fail(code text, message text, detail text) returns int language plpgsql as $$ begin
    raise exception using errcode = code, message = message, detail = detail;
end $$;
create function answer(status text, headers text) returns text language plpgsql as $$ begin
    perform set_config('response.status', status, true);
    perform set_config('response.headers', headers, true);
    return 'x';
end $$;
"""
REST = "/rest/v1"
SHAPE = {"code", "details", "hint", "message"}
INSIDE = re.compile(r"Traceback|pgrst_source|_postgrest_t|psycopg|site-packages")


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(schema=[SCHEMA]) as running:
        yield running


Connect = Callable[..., httpx.Client]


@pytest.fixture(scope="module")
def connect(server: LocalServer) -> Iterator[Connect]:
    """Clients of the REST part, closed at the end."""
    opened: list[httpx.Client] = []

    def make(**headers: str) -> httpx.Client:
        base = server.url + REST
        opened.append(httpx.Client(base_url=base, headers=headers, trust_env=False, timeout=30))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


@pytest.fixture(scope="module")
def anon(connect: Connect) -> httpx.Client:
    return connect()


@pytest.fixture(scope="module")
def alice(connect: Connect, server: LocalServer) -> httpx.Client:
    return connect(Authorization=f"Bearer {server.create_token(sub=ALICE)}")


@pytest.fixture(scope="module")
def service(connect: Connect, server: LocalServer) -> httpx.Client:
    return connect(apikey=server.service_key)


def checked(answer: httpx.Response) -> httpx.Response:
    """An error has exactly PostgREST's members, and is not ours unless PostgreSQL made it."""
    assert not INSIDE.search(answer.text), answer.text
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        body = answer.json()
        assert set(body) == SHAPE
        assert body["code"] != "PGRSTX00", (answer.request.url, body)
    return answer


def exchange_raw(server: LocalServer, data: bytes) -> bytes:
    """Send bytes as they stand; all that came back until the server closed."""
    port = httpx.URL(server.url).port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        received = b""
        with suppress(ConnectionError):  # the server may close while we still send
            connection.sendall(data)
        with suppress(ConnectionError):
            while chunk := connection.recv(65536):
                received += chunk
        return received


def is_alive(server: LocalServer) -> bool:
    answer = httpx.get(f"{server.url}{REST}/items?select=id&id=eq.1", trust_env=False)
    return answer.json() == [{"id": 1}]


# --- injection (C7) -----------------------------------------------------------------------------

EVIL = [
    '"x"; drop table items; --', 'x"', "id'--", "pg_catalog.pg_authid", "public.items", "a" * 64,
    "\uff02x\uff02", "id::text; select", "a->>'x'' or 1=1'", "j->0'", "%", "%s", "%%s", "$1", "$$",
    "{0}", "\\", "\0", "*", "id,*", "id::text)", "id::$1", "id::setof int", "(", ")", "a(b", "...",
    "!inner", "secrets!inner(*)", "...secrets(secret)", "parts!x(hidden)", "id.sum()", '""', '"',
    "'", "/*", "--", "null", "-1", "9" * 40, "\U0001f600", "not.and", "order", "select",
]  # fmt: skip
PLACES = [
    "/{}", "/rpc/{}", "/items?select={}", "/items?select=id::{}", "/items?select=id.{}",
    "/items?{}=eq.1", "/items?id={}", "/items?id=eq.{}", "/items?id=in.({})", "/items?id=is.{}",
    "/items?name=like.{}", "/items?name=like(any).{{{}}}", "/items?j->>{}=eq.1", "/items?j={}.1",
    "/items?order={}", "/items?order=id.{}", "/items?order=id.asc.{}", "/items?or=({})",
    "/items?and=(id.eq.{},n.eq.1)", "/items?name=fts({}).x", "/items?name=wfts(english).{}",
    "/items?limit={}", "/items?offset={}", "/items?columns={}", "/items?on_conflict={}",
    "/notes?span=ov.{}", "/notes?tags=cs.{}", "/notes?tags=cs.{{{}}}", "/notes?select=id,{}(id)",
    "/notes?select=id,parts!{}(id)", "/notes?select=id,parts(id)&parts.{}=eq.1",
    "/notes?select=id,parts(id)&parts.order={}", "/rpc/add?a={}&b=1", "/rpc/add?{}=1",
    "/rpc/who?select={}",
]  # fmt: skip


def not_a_syntax_error(evil: str, answer: httpx.Response) -> bool:
    """Also with the empty name, which PostgreSQL does not take even in quotes."""
    return '"42601"' not in answer.text or ('""' in evil and "zero-length" in answer.text)


@pytest.mark.parametrize("place", PLACES)
def test_no_name_and_no_value_gets_into_the_sql(anon: httpx.Client, place: str) -> None:
    for evil in EVIL:
        answer = checked(anon.get(place.format(quote(evil, safe=""))))
        assert answer.status_code < 500 or answer.json()["code"] == "54001"
        assert "canary" not in answer.text
        # A syntax error means that something got through. Only what a cast names is not quoted.
        assert "::" in place or not_a_syntax_error(evil, answer)


@pytest.mark.parametrize(
    "name", ["Prefer", "Accept", "Range", "Accept-Profile", "Content-Type", "Cookie", "apikey"]
)
def test_no_header_gets_into_the_sql(anon: httpx.Client, name: str) -> None:
    for evil in EVIL:
        sent = evil.encode().replace(b"\0", b"")
        for value in (sent, b"timezone=" + sent, b"max-affected=" + sent, b"application/" + sent):
            answer = checked(anon.get("/items?select=id", headers={name.encode(): value}))
            assert answer.status_code < 500
            assert not_a_syntax_error(evil, answer)


def test_no_key_of_a_body_gets_into_the_sql(service: httpx.Client) -> None:
    rows: list[Callable[[str], httpx.Response]] = [
        lambda evil: service.post("/items", json={evil: 1}),
        lambda evil: service.post("/items", json=[{evil: 1, "id": 1}]),
        lambda evil: service.patch("/items?id=eq.0", json={evil: 1}),
        lambda evil: service.post("/rpc/add", json={evil: 1}),
        lambda evil: service.post("/rpc/add", data={evil: "1", "b": evil}),
        lambda evil: service.post(
            "/items", content=f"id,{evil}\n1,2\n", headers={"Content-Type": "text/csv"}
        ),
        lambda evil: service.post(
            f"/items?on_conflict={quote(evil, safe='')}",
            json={"id": 1},
            headers={"Prefer": "resolution=merge-duplicates"},
        ),
    ]
    for send in rows:
        for evil in EVIL:
            answer = checked(send(evil))
            assert answer.status_code < 500
            assert not_a_syntax_error(evil, answer)


# --- row-level security and privileges (C8) -----------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/secrets"),
        ("HEAD", "/secrets"),
        ("GET", "/notes?select=id,secrets(*)"),
        ("GET", "/notes?select=id,secrets!inner()"),
        ("GET", "/notes?select=id,...secrets(secret)"),
        ("GET", "/parts"),
        ("GET", "/notes?select=id,parts(*)"),
        ("GET", "/parts?select=id&order=hidden"),
        ("GET", "/parts?select=id&hidden=like.canary*"),
        ("GET", "/notes?select=id,parts(id)&parts.hidden=eq.x"),
        ("GET", "/notes?select=id,parts(id)&parts.order=hidden"),
        ("PATCH", "/parts?id=eq.1"),
        ("PATCH", "/parts?hidden=like.canary*&select=id"),
        ("DELETE", "/parts?hidden=eq.nothing"),
    ],
)
@pytest.mark.parametrize("count", ["exact", "planned", "estimated"])
def test_what_is_not_granted_is_not_told(
    alice: httpx.Client, method: str, path: str, count: str
) -> None:
    prefer = f"return=representation, count={count}"
    body = b'{"shown": "new"}' if method == "PATCH" else b""
    answer = checked(alice.request(method, path, content=body, headers={"Prefer": prefer}))
    assert answer.status_code == 403
    assert "canary" not in answer.text
    assert "/" not in answer.headers.get("content-range", "")


def test_rows_of_others_can_not_be_counted_changed_or_taken(
    alice: httpx.Client, server: LocalServer
) -> None:
    counted = alice.get("/notes?select=id,owner", headers={"Prefer": "count=exact"})
    assert counted.headers["content-range"] == "0-9/10"
    assert {row["owner"] for row in counted.json()} == {ALICE}
    theirs = {"id": 1, "owner": ALICE, "body": "stolen"}  # the first note is Bob's
    for resolution in ("merge-duplicates", "ignore-duplicates"):
        prefer = f"resolution={resolution}, return=representation"
        taken = checked(alice.post("/notes", json=theirs, headers={"Prefer": prefer}))
        assert (taken.status_code, taken.json()) == (201, []) or taken.status_code == 403
    row = {**theirs, "tags": None, "span": None}
    assert checked(alice.put("/notes?id=eq.1", json=row)).status_code == 403
    wanted = {"Prefer": "return=representation"}
    assert alice.patch("/notes?id=eq.1", json={"body": "x"}, headers=wanted).json() == []
    assert alice.request("DELETE", "/notes?id=eq.1", headers=wanted).json() == []
    assert checked(alice.patch("/notes?id=eq.2", json={"owner": BOB})).status_code == 403
    # A constraint answers for rows that cannot be seen, but tells nothing of them.
    duplicate = checked(alice.post("/notes", json={"id": 1, "owner": ALICE})).json()
    assert (duplicate["code"], duplicate["details"]) == ("23505", None)
    (found,) = server.execute_sql("select owner::text, body from notes where id = 1")
    assert found == {"owner": BOB, "body": "note 1"}


@pytest.mark.parametrize(
    "query",
    ["", "?select=id", "?limit=1&order=id", "?columns=body", "?select=id,parts(id)&parts.id=eq.1"],
)
def test_a_whole_table_is_not_written_by_accident(alice: httpx.Client, query: str) -> None:
    for answer in (
        alice.patch(f"/notes{query}", json={"body": "x"}),
        alice.delete(f"/notes{query}"),
    ):
        assert (checked(answer).status_code, answer.json()["code"]) == (400, "21000")


@pytest.mark.parametrize(
    "command",
    [
        "set session authorization postgres", "set role postgres", "copy notes to '/tmp/x'",
        "copy notes to program 'id'", "select pg_read_file('/etc/passwd')", "load 'x'",
        "create extension dblink", "create extension file_fdw", "grant postgres to anon",
        "alter role authenticator superuser", "create table public.t (x int)",
        "table aerodb_internal.migrations", "alter table notes disable row level security",
        "select aerodb_internal.claim_idempotency_key('a', 'b', 1)",
    ],
)  # fmt: skip
def test_sql_of_a_caller_has_no_more_rights_than_the_caller(
    alice: httpx.Client, command: str
) -> None:
    answer = checked(alice.post("/rpc/run", json={"command": command}))
    assert (answer.status_code, answer.json()["code"]) == (403, "42501")


# --- from one caller to the next (C8) -----------------------------------------------------------

LEFT_BEHIND = [
    ("role", "service_role"), ("role", "none"), ("request.jwt.claims", '{"sub":"x"}'),
    ("statement_timeout", "1ms"), ("default_transaction_read_only", "on"),
    ("search_path", "pg_temp"), ("client_encoding", "LATIN1"), ("DateStyle", "German, DMY"),
    ("standard_conforming_strings", "off"), ("response.status", "418"), ("lock_timeout", "1ms"),
    ("response.headers", '[{"Set-Cookie": "a=canary"}]'), ("app.user", "alice"),
    ("default_transaction_isolation", "serializable"), ("pgrst.inserted", "5"),
]  # fmt: skip


@pytest.fixture(scope="module")
def narrow(server: LocalServer) -> Iterator[httpx.Client]:
    """Another server over the same database with one connection: every request takes the same."""
    settings: dict[str, Any] = {"db_anon_role": "anon", "db_pool": 1}
    with (
        LocalServer(
            database_url=server.database_url, db_pool_acquisition_timeout=1, **settings
        ) as one,
        httpx.Client(base_url=one.url + REST, trust_env=False, timeout=30) as client,
    ):
        yield client


@pytest.mark.parametrize(("name", "value"), LEFT_BEHIND)
def test_settings_of_one_request_are_gone_in_the_next(
    narrow: httpx.Client, name: str, value: str
) -> None:
    answer = narrow.post("/rpc/set_it", json={"name": name, "value": value})
    assert answer.status_code in (200, 418)
    after = narrow.get("/rpc/who")
    assert (after.status_code, after.json()["user"]) == (200, "anon")
    assert "set-cookie" not in after.headers
    row = {"id": random.randrange(10**6, 10**9)}
    assert checked(narrow.post("/items", json=row)).status_code == 201
    if name not in ("role", "request.jwt.claims", "search_path"):  # those are every request's own
        kept = narrow.get(f"/rpc/setting?name={name}").json()
        assert kept != value


def test_temporary_tables_of_one_request_are_gone_in_the_next(narrow: httpx.Client) -> None:
    make = {"command": "create temp table notes as select 'canary' as secret"}
    assert checked(narrow.post("/rpc/run", json=make)).status_code == 200
    look = narrow.post("/rpc/run", json={"command": "table pg_temp.notes"})
    assert (look.status_code, look.json()["code"]) == (404, "42P01")


@pytest.mark.parametrize(
    "command", ["deallocate all", "reset all", "reset role", "close all", "unlisten *"]
)
def test_the_connection_works_after_sql_that_cleared_its_state(
    narrow: httpx.Client, command: str
) -> None:
    for _ in range(3):
        narrow.get("/items?select=id,n&id=eq.1")  # prepared by now
    assert checked(narrow.post("/rpc/run", json={"command": command})).status_code == 200
    assert narrow.get("/items?select=id,n&id=eq.1").json() == [{"id": 1, "n": 1}]
    assert narrow.get("/rpc/who").json()["user"] == "anon"


def test_prepared_statements_are_bounded(
    narrow: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_KEPT", 20)
    for number in range(40):
        for _ in range(2):
            narrow.get(f"/items?select=a{number}:id&limit=1")
    before = narrow.post("/rpc/prepared").json()
    assert 10 < before <= 25
    conditions = ",".join(["id.eq.1"] * 1200)
    for _ in range(3):
        assert narrow.get(f"/items?select=id&or=({conditions})").json() == [{"id": 1}]
    assert narrow.post("/rpc/prepared").json() <= before + 1


def test_a_full_pool_is_told_and_passes(narrow: httpx.Client) -> None:
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(narrow.post, "/rpc/slow", json={"seconds": 1.6})
        others = [threads.submit(narrow.post, "/rpc/slow", json={"seconds": 1.6}) for _ in "abc"]
        answers = [checked(each.result()) for each in (first, *others)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 2 <= len(refused) <= 3
    assert {(one.status_code, one.json()["code"]) for one in refused} == {(504, "PGRST003")}
    assert narrow.get("/rpc/who").status_code == 200


def test_no_role_leaks_between_callers(server: LocalServer, service: httpx.Client) -> None:
    """Callers take turns on the pooled connections; a fifth of the requests is given up half-way,
    functions try to leave things behind, and connections are killed in between."""
    callers: dict[str, tuple[dict[str, str], str, str | None, str]] = {
        "anon": ({}, "anon", None, "0"),
        "alice": ({"Authorization": f"Bearer {server.create_token(sub=ALICE)}"},
                  "authenticated", ALICE, "10"),
        "bob": ({"Authorization": f"Bearer {server.create_token(sub=BOB)}"},
                "authenticated", BOB, "10"),
        "service": ({"apikey": server.service_key}, "service_role", None, "20"),
    }  # fmt: skip
    leaks: list[object] = []
    seen: set[str] = set()

    def one_caller(number: int) -> None:
        rng = random.Random(number)
        with httpx.Client(base_url=server.url + REST, trust_env=False) as client:
            for _ in range(40):
                name = rng.choice(list(callers))
                given_up = rng.random() < 0.2
                # Only the wait is cut short: the request itself has been sent.
                timeout = httpx.Timeout(30, read=rng.random() * 0.02 + 0.001 if given_up else 30)
                with suppress(httpx.TransportError):
                    step(client, rng, name, timeout)

    def step(client: httpx.Client, rng: random.Random, name: str, timeout: httpx.Timeout) -> None:
        headers, role, sub, total = callers[name]
        kind = rng.randrange(8)
        if kind < 3:
            answer = client.get("/rpc/who", headers=headers, timeout=timeout)
            expected: Any = {"user": role, "sub": sub, "role": role}
            found: Any = answer.json() if answer.status_code == 200 else expected
        elif kind < 5:
            wanted = {**headers, "Prefer": "count=exact"}
            answer = client.get("/notes?select=owner", headers=wanted, timeout=timeout)
            expected = total
            ok = answer.status_code in (200, 206)
            found = answer.headers["content-range"].split("/")[1] if ok else expected
        elif kind == 5:
            setting, value = rng.choice(LEFT_BEHIND)
            body: dict[str, object] = {"name": setting, "value": value}
            client.post("/rpc/set_it", json=body, headers=headers, timeout=timeout)
            return
        else:
            body = {"seconds": rng.random() * 0.03}
            answer = client.post("/rpc/slow", json=body, headers=headers, timeout=timeout)
            expected, ok = role, answer.status_code == 200
            found = answer.json() if ok else expected
        seen.add(name)
        if found != expected or "set-cookie" in answer.headers or answer.status_code == 418:
            leaks.append((name, kind, found, expected))

    with ThreadPoolExecutor(16) as threads:
        runs = [threads.submit(one_caller, number) for number in range(16)]
        for _ in range(3):
            time.sleep(0.3)
            server.execute_sql(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where usename = 'authenticator' and random() < 0.3"
            )
        for run in runs:
            run.result()
    assert leaks == []
    assert seen == set(callers)


def test_the_server_recovers_when_a_backend_is_killed(
    server: LocalServer, narrow: httpx.Client
) -> None:
    """PostgreSQL ends all connections then, and recovers (reliability L2)."""
    with httpx.Client(base_url=server.url + REST, trust_env=False, timeout=30) as client:
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(client.post, "/rpc/slow", json={"seconds": 2})
            time.sleep(0.3)
            (found,) = server.execute_sql(
                "select pid from pg_stat_activity where state = 'active' and query like '%slow%' "
                "and usename = 'authenticator'"
            )
            os.kill(found["pid"], signal.SIGKILL)
            answer = checked(waiting.result())
            assert (answer.status_code, answer.json()["code"]) == (503, "PGRST001")
        for each in (client, narrow):
            for _ in range(100):
                answer = checked(each.get("/items?select=id&id=eq.1"))
                if answer.status_code == 200:
                    break
                assert answer.status_code == 503
                time.sleep(0.1)
            assert answer.json() == [{"id": 1}]


def test_connections_that_died_while_they_were_idle_cost_no_write(
    server: LocalServer, anon: httpx.Client
) -> None:
    """Whoever writes gets one that lives: a write is not repeated on another."""
    with ThreadPoolExecutor(6) as threads:
        runs = [threads.submit(anon.post, "/rpc/slow", json={"seconds": 0.5}) for _ in range(6)]
        assert {run.result().status_code for run in runs} == {200}
    server.execute_sql(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity "
        "where usename = 'authenticator' and application_name = 'aerodb.local'"
    )
    for _ in range(8):
        assert anon.post("/rpc/slow", json={"seconds": 0}).status_code == 200


# --- tokens (C5) --------------------------------------------------------------------------------


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(server: LocalServer, header: object, claims: object) -> str:
    """A token with a right signature over whatever it says; bytes stand as they are."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode()
             for part in (header, claims)]  # fmt: skip
    message = ".".join(encoded(part) for part in parts)
    made = hmac.new(server.jwt_secret.encode(), message.encode(), hashlib.sha256)
    return f"{message}.{encoded(made.digest())}"


HS256 = {"alg": "HS256", "typ": "JWT"}
CLAIMS: dict[str, Any] = {"role": "authenticated", "sub": ALICE, "iss": "aerodb", "aud": "aerodb"}
RAW = json.dumps(CLAIMS)[:-1].encode()


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        *(({**HS256, "alg": alg}, CLAIMS)
          for alg in ("none", "None", "nOnE", "", "HS384", "RS256", "hs256", None, 1, [])),
        ({"typ": "JWT"}, CLAIMS),
        *(({**HS256, "kid": kid}, CLAIMS) for kid in ("../../dev/null", "' or 1=1", 1, [])),
        *(({**HS256, "crit": crit}, CLAIMS) for crit in (["x"], ["exp"], [], "x")),
        ({**HS256, "b64": False}, CLAIMS),
        (b'{"alg":"none","alg":"HS256"}', CLAIMS),
        (b'{"alg":' + b"[" * 9000 + b"]" * 9000 + b"}", CLAIMS),
        *((HS256, {**CLAIMS, "exp": exp})
          for exp in ("1e10", "9999999999", -1, 0, 10**400, -(10**30), True, [], {}, 1e308)),
        (HS256, RAW + b',"exp":1e999}'),
        (HS256, RAW + b',"exp":NaN}'),
        (HS256, RAW + b',"exp":' + b"9" * 5000 + b"}"),
        (HS256, RAW + b',"x":1e400}'),
        (HS256, RAW + b',"role":"service_role"}'),
        (HS256, RAW + b',"exp":1,"exp":99999999999}'),
        (HS256, RAW + b',"x":' + b"[" * 6000 + b"]" * 6000 + b"}"),
        (HS256, RAW + b"} x"),
        (HS256, b"\xef\xbb\xbf" + RAW + b"}"),
        (HS256, (RAW + b"}").decode().encode("utf-16")),
        (HS256, RAW + b',"x":"\xff"}'),
        *((HS256, payload) for payload in (b"[]", b'"x"', b"null", b"", b"\xff")),
        *((HS256, {**CLAIMS, "iss": who}) for who in ("x", "aerodb2", "aero", ["aerodb"], "")),
        *((HS256, {**CLAIMS, "aud": who}) for who in ("x", "aero", "", 1, {}, ["x"])),
        *((HS256, {**CLAIMS, "role": role})
          for role in ('"; drop table items; --', "NONE", "", "x" * 64, None, 1, ["service_role"],
                       " authenticated", "current_user")),
    ],
)  # fmt: skip
def test_tokens_that_are_refused(
    server: LocalServer, anon: httpx.Client, header: object, claims: object
) -> None:
    token = signed(server, header, claims)
    for headers in ({"Authorization": f"Bearer {token}"}, {"apikey": token}):
        answer = checked(anon.get("/rpc/who", headers=headers))
        assert answer.status_code == 401, answer.text


@pytest.mark.parametrize("role", ["postgres", "pg_read_server_files", "none", "authenticator"])
def test_roles_that_no_token_may_take(server: LocalServer, anon: httpx.Client, role: str) -> None:
    token = signed(server, HS256, {**CLAIMS, "role": role})
    answer = checked(anon.get("/rpc/who", headers={"Authorization": f"Bearer {token}"}))
    assert (answer.status_code, answer.json()["code"]) == (403, "42501")
    assert answer.json()["message"] == f'permission denied to set role "{role}"'


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token + "=", lambda token: token + "!", lambda token: token + ".x",
        lambda token: token[:-5] + "!" + token[-5:], lambda token: token.rpartition(".")[0] + ".",
        lambda token: token.replace(".", "=.", 1), lambda token: ".." , lambda token: "",
        lambda token: "a." + "b" * 29000 + ".c",
    ],
)  # fmt: skip
def test_tokens_have_one_spelling(
    server: LocalServer, anon: httpx.Client, spoil: Callable[[str], str]
) -> None:
    good = signed(server, HS256, CLAIMS)
    accepted = anon.get("/rpc/who", headers={"Authorization": f"Bearer {good}"})
    assert accepted.json()["sub"] == ALICE
    value = f"Bearer {spoil(good)}".strip()
    assert checked(anon.get("/rpc/who", headers={"Authorization": value})).status_code == 401


def test_two_credentials_are_refused(server: LocalServer, anon: httpx.Client) -> None:
    """A proxy may look at one of them, and the server at the other."""
    good, bad = f"Bearer {signed(server, HS256, CLAIMS)}", "Bearer a.b.c"
    for first, second in ((good, bad), (bad, good), (good, good)):
        headers = [("Authorization", first), ("Authorization", second)]
        assert checked(anon.get("/rpc/who", headers=headers)).status_code == 400


# --- HTTP ---------------------------------------------------------------------------------------


def get(target: str, *headers: str, host: str = "127.0.0.1") -> bytes:
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(body: bytes, *headers: str, target: str = f"{REST}/items", length: bool = True) -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


CHUNKED = "Transfer-Encoding: chunked"
ONE = f"{REST}/items?limit=1"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (get(ONE, host="evil.com"), 421),
        (get(ONE, host="localhost.evil.com:54321"), 421),
        (get(ONE, host="127.0.0.1@evil.com"), 400),
        (get(ONE, "Host: evil.com"), 400),
        (get(f"http://127.0.0.1{ONE}"), 400),
        (get(f"http://evil.com{ONE}"), 400),
        (get("*"), 400),
        *((get(ONE, f"Origin: {origin}"), 403)
          for origin in ("http://[::1", "http://[", "http://[zz]", "null", "file://", "",
                         "http://localhost.evil.com", "http://localhost@evil.com")),
        (get(ONE + "&x=" + "a" * 40_000), 414),
        (get(ONE, "X: " + "a" * 40_000), 431),
        (get(ONE, "X: " + "a" * 1_000_000), 400),
        (get(ONE, "X: a\0b"), 400),
        (get(ONE, "Accept: \xff/\xfe"), 406),
        (get(f"{REST}/%ff%fe"), 404),
        (get(f"{REST}/items%00"), 404),
        (get(f"{REST}/rpc//"), 404),
        (get(f"{REST}/../v1/items"), 404),
        (get(f"{REST}/items?id=eq.%00"), 400),
        (get(f"{REST}/items?id=eq.%ff"), 400),
        (post(b"[]", "Content-Length: 3"), 400),
        (post(b"x", "Content-Length: -1", length=False), 400),
        (post(b"", "Content-Length: 99999999999", length=False), 413),
        (post(b" " * 10_485_761), 413),
        (post(chunked(b" " * 10_485_761), CHUNKED, length=False), 413),
        (post(b"zz\r\n", CHUNKED, length=False), 400),
        (post(gzip.compress(b"[]"), "Content-Encoding: gzip"), 400),
        *((post(b'{"id": 7}', f"Content-Type: {kind}"), 400)
          for kind in ("text/plain", "application/xml", "multipart/form-data; boundary=x", "\xff")),
        *((post(body), 400)
          for body in (b"", b"\0", b'{"id":NaN}', b"[-Infinity]", b'{"id":1} x', b"\xff", b"[1]",
                       b'[{"id":7},{"n":2}]', b'{"name":"\\u0000","id":7}', b'{"\\ud800":1}',
                       b'{"name":"\\ud800","id":7}', b'{"n":1e999,"id":7}', b"[" * 100_000,
                       b'{"n":' + b"9" * 1_000_000 + b"}", b'{"j":' + b"[" * 100_000 + b"}",
                       "{}".encode("utf-16"), b"\xef\xbb\xbf{}")),
        (post(b'id,"n\n1,2', "Content-Type: text/csv"), 400),
        (post(b"id\n\xff\n", "Content-Type: text/csv"), 400),
    ],
)  # fmt: skip
def test_bad_http_is_refused(server: LocalServer, data: bytes, status: int) -> None:
    answer = exchange_raw(server, data)
    assert int(answer.split(b" ", 2)[1]) == status, answer[:300]
    assert not INSIDE.search(answer.decode("latin-1"))
    assert is_alive(server)


def test_deep_json_that_only_postgresql_reads_is_its_error(service: httpx.Client) -> None:
    body = b'{"j":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    answer = checked(service.post("/items?columns=j", content=body))
    assert (answer.status_code, answer.json()["code"]) == (500, "54001")


def test_a_request_behind_another_passes_the_same_gate(server: LocalServer) -> None:
    first = get(ONE).replace(b"Connection: close\r\n", b"")
    answers = exchange_raw(server, first + get(ONE, host="evil.com"))
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"421"]


def test_a_request_that_does_not_arrive_is_given_up(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.2)
    monkeypatch.setattr(BoundedProtocol, "body_seconds", 0.2)
    port = httpx.URL(server.url).port
    assert port is not None
    for part in (b"", b"GET / HT", post(b"[]")[:-1]):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(part)
            while connection.recv(65536):
                pass  # ends, though we did not
    # The time that an answer takes is not counted.
    body = b'{"seconds": 0.6}'
    answer = exchange_raw(server, post(body, target=f"{REST}/rpc/slow"))
    assert answer.startswith(b"HTTP/1.1 200")


# --- what the database says about the answer ----------------------------------------------------


@pytest.mark.parametrize("status", [204, 205, 304, 418, 599])
def test_any_status_of_a_function_leaves_the_connection_usable(
    anon: httpx.Client, status: int
) -> None:
    answer = anon.post("/rpc/answer", json={"status": str(status), "headers": ""})
    assert answer.status_code == status
    assert answer.text == ("" if status in (204, 304) else '"x"')
    raised = anon.post("/rpc/fail", json={"code": f"PT{status}", "message": "m", "detail": "d"})
    assert raised.status_code == status
    control = {"status": status, "headers": {"X-A": " b\r\nc ", "Content-Length": "1"}}
    body = {"code": " é\r\nX: 1 ", "message": "m"}
    values = {"code": "PGRST", "message": json.dumps(body), "detail": json.dumps(control)}
    custom = anon.post("/rpc/fail", json=values)
    assert (custom.status_code, custom.headers["x-a"]) == (status, "b  c")
    assert "x" not in custom.headers


def test_a_status_that_is_no_answer_is_refused(anon: httpx.Client) -> None:
    for status in (100, 101, 199, 600):
        control = {"status": status, "headers": {}}
        values = {"code": "PGRST", "message": '{"code": "1", "message": "m"}'}
        answer = checked(anon.post("/rpc/fail", json={**values, "detail": json.dumps(control)}))
        assert (answer.status_code, answer.json()["code"]) == (500, "PGRST121")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Length", "5"), ("Content-Length", "x"), ("Transfer-Encoding", "gzip"),
        ("Connection", "upgrade"), ("X-A", " padded "), ("X-A", "é€"), ("X-A", ""),
    ],
)  # fmt: skip
def test_headers_of_a_function_do_not_break_the_answer(
    anon: httpx.Client, name: str, value: str
) -> None:
    headers = json.dumps([{name: value}])
    answer = anon.post("/rpc/answer", json={"status": "", "headers": headers})
    assert (answer.status_code, answer.text) == (200, '"x"')
    if name == "X-A":
        assert dict(answer.headers.raw)[b"X-A"] == value.strip().encode()


def test_headers_can_not_be_split(anon: httpx.Client) -> None:
    headers = json.dumps([{"X-A": "a\r\nX-B: b"}])
    answer = checked(anon.post("/rpc/answer", json={"status": "", "headers": headers}))
    assert answer.json()["code"] == "PGRST111"
    odd = anon.get("/odd%0Aname%20?limit=1")
    assert (odd.status_code, odd.headers["content-location"]) == (200, "/odd%0Aname ?limit=1")


def test_no_header_is_longer_than_clients_read(anon: httpx.Client) -> None:
    ids = ",".join(["1"] * 15_000)
    connection = socket.create_connection(("127.0.0.1", anon.base_url.port or 80), timeout=30)
    with connection:
        connection.sendall(get(f"{REST}/items?select=id&id=in.({ids})"))
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head = received.partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 200")
    assert max(map(len, head.split(b"\r\n"))) <= 32 * 1024 + 64


# --- work and memory ----------------------------------------------------------------------------


def calls_of(work: Callable[[], object], name: str) -> int:
    """How often a function of that name is called by `work`."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call" and frame.f_code.co_name == name

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_suggestions_do_not_search_for_what_can_not_be_near() -> None:
    names = FuzzySet(["items", "notes", "parts"])
    assert calls_of(lambda: names.search("items" * 6000), "gram_vector") == 0
    assert calls_of(lambda: names.search("itemz"), "gram_vector") > 0
    rng = random.Random(7)
    entries = ["".join(rng.choices("abc", k=rng.randrange(1, 9))) for _ in range(40)]
    several = FuzzySet(entries)
    for _ in range(300):
        text = "".join(rng.choices("abc", k=rng.randrange(1, 40)))
        minimum = rng.choice([0.2, 0.33, 0.75])
        if max(similarity(text, entry) for entry in entries) < minimum:
            assert several.search(text, minimum) == []


def test_many_unknown_arguments_are_answered(anon: httpx.Client) -> None:
    names = {f"k{number}": 1 for number in range(100_000)}
    answer = checked(anon.post("/rpc/add", json=names))
    assert (answer.status_code, answer.json()["hint"]) == (404, None)


def test_long_requests_are_not_remembered() -> None:
    long = "a/" + "b" * 5000
    before = [cached.cache_info().currsize for cached in (
        exchange._numbered, media_types._accepted_types, media_types._canonical,
        preferences._parse)]  # fmt: skip
    assert exchange.numbered("select %s, '%%'" + " " * 30_000).startswith("select $1, '%'")
    assert media_types.accepted_types(long) == (long,)
    assert preferences.parse_preferences([long], transaction_override=False).invalid == (long,)
    after = [cached.cache_info().currsize for cached in (
        exchange._numbered, media_types._accepted_types, media_types._canonical,
        preferences._parse)]  # fmt: skip
    assert after == before


# --- the end ------------------------------------------------------------------------------------


def test_requests_in_flight_are_answered_when_the_server_stops(server: LocalServer) -> None:
    """Short ones with their result, those beyond the grace with a 503."""
    with LocalServer(database_url=server.database_url, db_anon_role="anon") as stopping:
        url = f"{stopping.url}{REST}/rpc/slow"

        def call(seconds: float) -> httpx.Response:
            return httpx.post(url, json={"seconds": seconds}, trust_env=False, timeout=30)

        with ThreadPoolExecutor(2) as threads:
            server.execute_sql("alter role anon set statement_timeout = '20s'")
            short, long = threads.submit(call, 1.0), threads.submit(call, 15.0)
            time.sleep(0.4)
            stopping.close()
            assert (short.result().status_code, short.result().json()) == (200, "anon")
            ended = checked(long.result())
    server.execute_sql("alter role anon set statement_timeout = '3s'")
    assert (ended.status_code, ended.json()["code"]) in ((503, "AERO503"), (500, "57014"))
    assert is_alive(server)


async def test_a_request_that_the_end_interrupts_is_answered() -> None:
    started = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        started.set()
        await asyncio.Event().wait()

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    sent: list[Message] = []
    gate, cors = HostGate("127.0.0.1"), CorsPolicy(None)
    front = Front({REST: endless}, rest_path=REST, gate=gate, cors=cors, health=lambda: ("ok", {}))
    scope: Scope = {"type": "http", "method": "GET", "path": f"{REST}/x", "query_string": b""}
    scope |= {"raw_path": f"{REST}/x".encode(), "headers": [(b"host", b"localhost")]}
    task = asyncio.create_task(front(scope, receive, send))
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    assert sent[0]["status"] == 503
    body = json.loads(sent[1]["body"])
    assert (set(body), body["code"]) == (SHAPE, "AERO503")
