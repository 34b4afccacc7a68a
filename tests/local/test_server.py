"""A whole instance over HTTP: exposure (reliability D1-D3), settings, command line, clean ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from aerodb.local import LocalError, LocalServer
from aerodb.local.commands import make_server, serve
from aerodb.local.options import OPTIONS, from_environment

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = """
    create table notes (id int primary key, body text);
    insert into notes values (1, 'one'), (2, 'two');
    create function refuse() returns void language plpgsql stable
        as $$ begin raise exception 'refused'; end $$;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(schema=[SCHEMA], server_trace_header="X-Trace") as running:
        yield running


@pytest.fixture(scope="module")
def http(server: LocalServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield client


def raw(server: LocalServer, head: str) -> tuple[int, str]:
    """Send `head` as it stands; return status and all that came back."""
    port = httpx.URL(server.url).port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode("latin-1"))
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    text = answer.decode("latin-1")
    return int(text.split(" ", 2)[1]), text


# --- serving ----------------------------------------------------------------------------------


def test_the_rest_part_answers(server: LocalServer, http: httpx.Client) -> None:
    assert http.get("/rest/v1/notes?id=eq.1").json() == [{"id": 1, "body": "one"}]
    written = http.post("/rest/v1/notes", json={"id": 3}, headers={"apikey": server.service_key})
    assert written.status_code == 201
    assert server.execute_sql("delete from notes where id = 3 returning id") == [{"id": 3}]


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_stable_function_without_a_result_is_run(
    server: LocalServer, http: httpx.Client, method: str
) -> None:
    """PostgreSQL leaves out what nobody looks at: the answer has to look at it."""
    headers = {"apikey": server.service_key}
    answer = http.request(method, "/rest/v1/rpc/refuse", headers=headers)
    assert (answer.status_code, answer.json()["message"]) == (400, "refused")


@pytest.mark.parametrize("path", ["/health", "/observability/health"])
def test_health_tells_what_is_there(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["name"]) == ("ok", "aerodb.local")
    assert body["services"] == {"auth": "ok", "realtime": "ok", "rest": "ok", "storage": "ok"}
    assert "rest.postgrest" in body["features"]
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", body["version"])
    head = http.head(path)
    assert (head.status_code, head.content) == (200, b"")


def test_a_token_of_the_instance_is_taken(server: LocalServer, http: httpx.Client) -> None:
    token = server.create_token("authenticated", sub="u-1")
    headers = {"authorization": f"Bearer {token}"}
    assert http.get("/rest/v1/notes?limit=1", headers=headers).status_code == 200
    refused = http.get("/rest/v1/notes", headers={"authorization": f"Bearer {token}x"})
    assert (refused.status_code, refused.json()["code"]) == (401, "PGRST301")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    unknown = http.get("/rest/v1/notes", headers={"apikey": "aero_sk_guess"})
    assert (unknown.status_code, unknown.json()["code"]) == (401, "invalid_api_key")


def test_a_change_of_the_schema_is_seen(server: LocalServer, http: httpx.Client) -> None:
    server.execute_sql("create table later (a int)")
    until = time.monotonic() + 20
    while (answer := http.get("/rest/v1/later")).status_code != 200:
        assert time.monotonic() < until, answer.text
        time.sleep(0.02)
    assert answer.json() == []


def test_what_is_not_there(http: httpx.Client) -> None:
    answer = http.get("/nowhere")
    assert answer.status_code == 404
    assert answer.json()["code"] == answer.headers["x-aerodb-error"] == "not_found"
    assert http.get("/rest/v10/notes").status_code == 404


def test_request_ids_and_trace_headers_come_back(http: httpx.Client) -> None:
    sent = {"X-Request-Id": "r-1", "X-Trace": "t-1"}
    for path in ("/health", "/rest/v1/notes", "/nowhere"):
        answer = http.get(path, headers=sent)
        assert answer.headers.get_list("x-request-id") == ["r-1"]
        assert answer.headers.get_list("x-trace") == ["t-1"]
    assert "x-request-id" not in http.get("/health").headers


def test_sql_of_the_owner(server: LocalServer) -> None:
    assert server.execute_sql("select 1 as a; select 2 as b") == [{"b": 2}]
    assert server.execute_sql("select %s::int as a", [5]) == [{"a": 5}]
    assert server.execute_sql("create temporary table x ()") == []
    with psycopg.connect(server.database_url) as connection:
        assert connection.execute("select current_user").fetchone() == ("postgres",)


# --- exposure ---------------------------------------------------------------------------------

GOOD_HOSTS = ["localhost", "localhost:1", "LOCALHOST", "127.0.0.1", "127.8.8.8:80", "[::1]:5"]
BAD_HOSTS = [
    *("evil.com", "evil.com:54321", "localhost.evil.com", "127.0.0.1.nip.io", "0.0.0.0"),
    *("[::2]", "10.0.0.1", "localhost.", "a.localhost", "0x7f.1", "2130706433"),
]


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_loopback_names_are_answered(server: LocalServer, host: str) -> None:
    head = f"GET /health HTTP/1.1\nHost: {host}\nConnection: close\n\n"
    assert raw(server, head)[0] == 200


@pytest.mark.parametrize("path", ["/health", "/rest/v1/notes", "/nowhere"])
@pytest.mark.parametrize("host", BAD_HOSTS)
def test_other_names_are_refused(server: LocalServer, host: str, path: str) -> None:
    status, text = raw(server, f"GET {path} HTTP/1.1\nHost: {host}\nConnection: close\n\n")
    assert status == 421
    assert "one" not in text.partition("\r\n\r\n")[2]


@pytest.mark.parametrize(
    "head",
    [
        "GET /rest/v1/notes HTTP/1.1\nConnection: close\n\n",
        "GET /rest/v1/notes HTTP/1.0\n\n",
        "GET /rest/v1/notes HTTP/1.1\nHost: localhost\nHost: evil.com\nConnection: close\n\n",
        "GET /rest/v1/notes HTTP/1.1\nHost: local host\nConnection: close\n\n",
        "GET /rest/v1/notes HTTP/1.1\nHost: user@localhost\nConnection: close\n\n",
        "GET /rest/v1/notes HTTP/1.1\nHost: localhost:99999\nConnection: close\n\n",
        "GET /rest/v1/notes HTTP/1.1\nHost:\nConnection: close\n\n",
        "GET http://evil.com/rest/v1/notes HTTP/1.1\nHost: localhost\nConnection: close\n\n",
        "OPTIONS * HTTP/1.1\nHost: localhost\nConnection: close\n\n",
    ],
)
def test_requests_without_one_clear_host_and_path_are_refused(
    server: LocalServer, head: str
) -> None:
    status, text = raw(server, head)
    assert status == 400
    assert "two" not in text


EVIL = "https://evil.example"


@pytest.mark.parametrize("origin", [EVIL, "null", "http://localhost.evil.com", "file://"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_web_pages_from_elsewhere_are_refused(
    server: LocalServer, http: httpx.Client, origin: str, method: str
) -> None:
    before = server.execute_sql("select count(*) from notes")
    body = b'{"id": 99}' if method == "POST" else None
    headers = {"origin": origin, "content-type": "text/plain"}
    answer = http.request(method, "/rest/v1/notes", content=body, headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert answer.json()["code"] == "AERO403"
    assert server.execute_sql("select count(*) from notes") == before


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1:8000", "self"])
def test_web_pages_of_this_machine_may_call(
    server: LocalServer, http: httpx.Client, origin: str
) -> None:
    origin = server.url if origin == "self" else origin
    answer = http.get("/rest/v1/notes", headers={"origin": origin})
    assert answer.status_code == 200
    assert answer.headers.get_list("access-control-allow-origin") == [origin]
    assert "Content-Range" in answer.headers["access-control-expose-headers"]
    assert "origin" in answer.headers["vary"].lower()
    assert "access-control-allow-credentials" not in answer.headers


def test_a_preflight_is_answered_without_the_service(http: httpx.Client) -> None:
    headers = {
        "origin": "http://localhost:3000",
        "access-control-request-method": "PATCH",
        "access-control-request-headers": "apikey, content-type",
        "access-control-request-private-network": "true",
    }
    answer = http.options("/rest/v1/no_such_table", headers=headers)
    assert answer.status_code == 200
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"]
    assert "apikey" in allowed
    assert "Authorization" in allowed
    assert "access-control-allow-private-network" not in answer.headers


def test_origins_can_be_configured() -> None:
    with (
        LocalServer(server_cors_allowed_origins="https://a.example, https://b.example") as listed,
        httpx.Client(base_url=listed.url, trust_env=False) as client,
    ):
        good = client.get("/health", headers={"origin": "https://b.example"})
        assert good.headers["access-control-allow-origin"] == "https://b.example"
        bad = client.get("/health", headers={"origin": "http://localhost:3000"})
        assert bad.status_code == 403


def test_a_foreign_database_is_open_to_web_pages_as_with_postgrest(server: LocalServer) -> None:
    with (
        LocalServer(database_url=server.database_url, db_anon_role="anon") as foreign,
        httpx.Client(base_url=foreign.url, trust_env=False) as client,
    ):
        answer = client.get("/rest/v1/notes", headers={"origin": EVIL})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
        assert "access-control-allow-credentials" not in answer.headers
        asks = {"origin": EVIL, "access-control-request-method": "POST"}
        preflight = client.options("/rest/v1/notes", headers=asks)
        assert preflight.headers["access-control-allow-origin"] == "*"


def test_listed_origins_of_a_foreign_database_get_headers(server: LocalServer) -> None:
    listed = "https://a.example"
    with (
        LocalServer(
            database_url=server.database_url,
            db_anon_role="anon",
            server_cors_allowed_origins=listed,
        ) as foreign,
        httpx.Client(base_url=foreign.url, trust_env=False) as client,
    ):
        good = client.get("/rest/v1/notes", headers={"origin": listed})
        assert good.headers["access-control-allow-origin"] == listed
        assert good.headers["access-control-allow-credentials"] == "true"
        for method in ("GET", "OPTIONS"):
            asks = {"origin": EVIL, "access-control-request-method": "POST"}
            other = client.request(method, "/rest/v1/notes", headers=asks)
            assert other.status_code == 200
            assert other.headers.get("access-control-allow-origin") != EVIL
            assert "access-control-allow-methods" not in other.headers


# --- limits -----------------------------------------------------------------------------------


def test_too_large_a_body_is_refused(http: httpx.Client) -> None:
    large = b"[" + b" " * (10 * 1024 * 1024) + b"]"
    known = http.post("/rest/v1/notes", content=large)
    assert (known.status_code, known.json()["code"]) == (413, "AERO413")
    chunked = http.post("/rest/v1/notes", content=iter([large[:6_000_000], large[6_000_000:]]))
    assert (chunked.status_code, chunked.json()["code"]) == (413, "AERO413")
    assert http.get("/rest/v1/notes?id=eq.1").status_code == 200


def test_too_long_a_url_or_head_is_refused(http: httpx.Client) -> None:
    url = http.get("/rest/v1/notes?x=" + "a" * 33_000)
    assert (url.status_code, url.json()["code"]) == (414, "AERO414")
    head = http.get("/rest/v1/notes", headers={"x-large": "a" * 33_000})
    assert (head.status_code, head.json()["code"]) == (431, "AERO431")


# --- settings ---------------------------------------------------------------------------------


def test_the_rest_part_can_be_at_the_root() -> None:
    with (
        LocalServer(schema=[SCHEMA], rest_path="/") as root,
        httpx.Client(base_url=root.url, trust_env=False) as client,
    ):
        assert client.get("/notes?id=eq.2").json() == [{"id": 2, "body": "two"}]
        assert client.get("/health").json()["status"] == "ok"
        assert client.get("/a/b/c").json()["code"].startswith("PGRST")


def test_settings_can_live_in_the_database(tmp_path: Path) -> None:
    written = "alter role authenticator set pgrst.db_max_rows = '1'"
    with LocalServer(schema=[SCHEMA, written], data=tmp_path / "d") as one:
        assert len(httpx.get(f"{one.url}/rest/v1/notes", trust_env=False).json()) == 1
    with LocalServer(data=tmp_path / "d", db_max_rows=5) as two:
        assert two.database.rest.db_max_rows == 5
    with LocalServer(data=tmp_path / "d", db_config=False) as three:
        assert three.database.rest.db_max_rows == 1000


def test_every_setting_has_a_flag_and_a_variable(tmp_path: Path) -> None:
    flags = {name for parameter in serve.params for name in parameter.opts}
    assert {option.flag for option in OPTIONS} <= flags
    known = {"db_schemas": "a, b", "db_max_rows": "7", "db_tx_end": "rollback", "jwt_aud": "me"}
    environment = {f"PGRST_{name.upper()}": text for name, text in known.items()}
    assert from_environment(environment) == {
        "db_schemas": ("a", "b"),
        "db_max_rows": 7,
        "db_tx_end": "rollback",
        "jwt_aud": "me",
    }
    (tmp_path / "secret").write_text("s" * 40 + "\n")
    assert from_environment({"PGRST_JWT_SECRET": f"@{tmp_path}/secret"}) == {"jwt_secret": "s" * 40}
    assert from_environment({"PGRST_DB_SCHEMA": "x", "PGRST_DB_EXTRA_SEARCH_PATH": ""}) == {
        "db_schemas": ("x",),
        "db_extra_search_path": (),
    }
    assert from_environment({"PGRST_APP_SETTINGS_A": "1"}) == {
        "app_settings": (("app.settings.A", "1"),)
    }


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("DB_SCHEMAS", "public, pg_catalog", "db-schemas does not allow schema: 'pg_catalog'"),
        ("DB_TX_END", "random", "'random' is none of"),
        ("DB_MAX_ROWS", "many", "is not a whole number"),
        ("JWT_AUD", "http://%%localhorst.invalid", "jwt-aud should be a string or a valid URI"),
        ("OPENAPI_SERVER_PROXY_URI", "htp:/@@localhorst.invalid", "Malformed proxy uri"),
        ("JWT_SECRET", "@/nowhere/at/all", "cannot be read"),
    ],
)
def test_a_wrong_value_is_named(variable: str, text: str, message: str) -> None:
    with pytest.raises(LocalError, match=f"PGRST_{variable}: .*{re.escape(message)}"):
        from_environment({f"PGRST_{variable}": text})


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("True", True), ("1", True), ("0", False), ("FALSE", False)]
)
def test_true_and_false_have_many_spellings(text: str, value: bool) -> None:
    assert from_environment({"PGRST_DB_PLAN_ENABLED": text}) == {"db_plan_enabled": value}


def test_wrong_arguments_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unexpected setting 'no_such'"):
        LocalServer(no_such=1)
    with pytest.raises(TypeError, match="must be a list"):
        LocalServer(schema="create table t ()")
    with pytest.raises(LocalError, match="lets other machines in"):
        LocalServer(host="0.0.0.0")
    with pytest.raises(LocalError, match="must start with a slash"):
        LocalServer(rest_path="rest")
    with pytest.raises(LocalError, match="is not running"):
        _ = LocalServer().database_url


# --- a database of somebody else ----------------------------------------------------------------


def everything(server: LocalServer) -> list[dict[str, Any]]:
    return server.execute_sql(
        "select 'schema' as kind, nspname::text as name from pg_namespace "
        "where nspname !~ '^pg_(toast_)?temp' "
        "union all select 'role', rolname::text from pg_roles "
        "union all select 'relation', oid::regclass::text from pg_class where relkind <> 't' "
        "union all select 'function', oid::regprocedure::text from pg_proc "
        "union all select 'trigger', evtname::text from pg_event_trigger order by 1, 2"
    )


def test_a_foreign_database_is_served_and_left_alone(server: LocalServer) -> None:
    before = everything(server)
    with (
        LocalServer(
            database_url=server.database_url,
            rest_path="/",
            db_anon_role="anon",
            jwt_secret="a secret of more than thirty-two bytes",
        ) as foreign,
        httpx.Client(base_url=foreign.url, trust_env=False) as client,
    ):
        assert client.get("/notes?id=eq.1").json() == [{"id": 1, "body": "one"}]
        token = foreign.create_token("service_role")
        headers = {"authorization": f"Bearer {token}", "apikey": "ignored"}
        assert client.get("/notes?id=eq.2", headers=headers).status_code == 200
        with pytest.raises(LocalError, match="no API keys"):
            _ = foreign.anon_key
    assert everything(server) == before


def test_a_table_at_the_root_goes_before_the_health_of_the_instance(server: LocalServer) -> None:
    settings: dict[str, Any] = {"database_url": server.database_url, "db_anon_role": "anon"}
    with LocalServer(rest_path="/", **settings) as foreign:
        assert httpx.get(f"{foreign.url}/health", trust_env=False).json()["status"] == "ok"
    server.execute_sql("create table health (pulse int); insert into health values (72)")
    try:
        with LocalServer(rest_path="/", **settings) as foreign:
            answer = httpx.get(f"{foreign.url}/health", trust_env=False)
            assert answer.json() == [{"pulse": 72}]
        with LocalServer(**settings) as foreign:
            assert httpx.get(f"{foreign.url}/health", trust_env=False).json()["status"] == "ok"
    finally:
        server.execute_sql("drop table health")


def test_postgrest_defaults_hold_for_a_foreign_database(server: LocalServer) -> None:
    with LocalServer(database_url=server.database_url) as foreign:
        rules = foreign.database.rest
        assert (rules.db_max_rows, rules.db_anon_role, rules.safe_update) == (None, None, False)
        answer = httpx.get(f"{foreign.url}/rest/v1/notes", trust_env=False)
        assert (answer.status_code, answer.json()["code"]) == (401, "PGRST302")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_files_are_applied_to_a_foreign_database_only_on_request(server: LocalServer) -> None:
    server.execute_sql("create database elsewhere")
    url = server.database_url.replace("/postgres?", "/elsewhere?")
    with pytest.raises(LocalError, match="--install"):
        LocalServer(database_url=url, schema=["create table t ()"]).start()
    with LocalServer(database_url=url, schema=["create table t ()"], install=True) as foreign:
        assert foreign.execute_sql("select count(*) as n from t") == [{"n": 0}]
        assert foreign.execute_sql("select to_regnamespace('auth')") == [{"to_regnamespace": None}]


def test_a_database_that_does_not_answer_is_told() -> None:
    with pytest.raises(LocalError, match="does not answer") as caught:
        LocalServer(database_url="postgresql://u:hidden@127.0.0.1:1/x").start()
    assert "hidden" not in str(caught.value)


# --- life and death -----------------------------------------------------------------------------


def test_a_temporary_instance_leaves_nothing() -> None:
    threads = threading.active_count()
    server = LocalServer()
    with server:
        folder = server.database.folder
        assert folder is not None
        assert folder.path.exists()
        assert "url=" in repr(server)
    assert not folder.path.exists()
    assert threading.active_count() <= threads
    server.close()
    assert repr(server) == "<LocalServer not running>"


def test_data_keys_and_migrations_last(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "1.sql").write_text("create table t (a int);")
    wanted: dict[str, Any] = {"data": tmp_path / "d", "migrations": tmp_path / "migrations"}
    with LocalServer(**wanted) as first:
        first.execute_sql("insert into t values (7)")
        keys = (first.anon_key, first.service_key, first.jwt_secret)
        assert first.database.applied == ("1.sql",)
        assert first.database.unprotected == ("t",)
    with LocalServer(**wanted) as second:
        assert (second.anon_key, second.service_key, second.jwt_secret) == keys
        assert second.execute_sql("select a from t") == [{"a": 7}]
        assert second.database.applied == ()


def test_a_failed_start_leaves_nothing_running(tmp_path: Path) -> None:
    server = LocalServer(data=tmp_path / "d", schema=["select no_such_function()"])
    with pytest.raises(LocalError, match="no_such_function"):
        server.start()
    with LocalServer(data=tmp_path / "d") as again:
        assert again.execute_sql("select 1 as a") == [{"a": 1}]


def test_requests_are_printed_if_they_fail_or_all_if_asked(tmp_path: Path) -> None:
    schema = tmp_path / "failing.sql"
    schema.write_text(
        "create function fail() returns void language plpgsql as"
        " $$ begin raise sqlstate 'PT500' using message = 'no \x1b luck'; end $$",
        encoding="utf-8",
    )
    for words, lines in (
        ((), [r"POST /rest/v1/rpc/fail 500 \S+ no \\x1b luck \d+ ms"]),
        (("--log",), [r"GET /rest/v1/nope 404 PGRST205 .+ \d+ ms",
                      r"POST /rest/v1/rpc/fail 500 \S+ no \\x1b luck \d+ ms",
                      r"GET /health 200 \d+ ms"]),
    ):  # fmt: skip
        process = run_cli("aerodb.cli", "dev", "--temporary", "--port", "0", "--schema",
                          "failing.sql", *words, cwd=tmp_path)  # fmt: skip
        assert process.stdout is not None
        url = next(line for line in process.stdout if "URL" in line).split()[-1]
        with httpx.Client(base_url=url, trust_env=False) as http:
            http.get("/rest/v1/nope", params={"secret": "eq.hidden"})
            http.post("/rest/v1/rpc/fail")
            http.get("/health")
        process.terminate()
        _, problems = process.communicate(timeout=60)
        told = [line for line in problems.splitlines() if line.endswith(" ms")]
        assert len(told) == len(lines), problems
        for line, expected in zip(told, lines, strict=True):
            assert re.fullmatch(expected, line), line
        assert "hidden" not in problems


def _active(server: LocalServer, what: str) -> int:
    query = "select count(*)::int n from pg_stat_activity where state = 'active' and query like %s"
    return int(server.execute_sql(query, [f"%{what}%"])[0]["n"])


def _comes_to(wanted: int, ask: Callable[[], int]) -> bool:
    end = time.monotonic() + 30
    while ask() != wanted and time.monotonic() < end:
        time.sleep(0.05)
    return ask() == wanted


def test_a_read_ends_when_its_client_has_left(caplog: pytest.LogCaptureFixture) -> None:
    """And the pool, of which every connection was in such use, is there for the next."""
    schema = (
        "create table kept (n int);"
        "create function nap() returns int stable language sql as"
        " 'select 1 from pg_sleep(50)';"
        "create function note() returns int language sql as"
        " 'insert into kept select 1 from pg_sleep(2.5) returning n';"
    )
    with LocalServer(schema=[schema], db_pool=3) as server:
        headers = {"apikey": server.service_key}
        with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as http:
            for _ in range(2):
                sockets = [_asked(server, "nap") for _ in range(3)]
                assert _comes_to(3, lambda: _active(server, '"nap"'))
                for one in sockets:
                    one.close()
                assert _comes_to(0, lambda: _active(server, '"nap"'))
                answers = [http.get("/rest/v1/kept").status_code for _ in range(6)]
                assert answers == [200] * 6
            with _asked(server, "note"):  # a write goes on: nobody can tell what it is for
                assert _comes_to(1, lambda: _active(server, '"note"'))
            assert _comes_to(1, lambda: len(http.get("/rest/v1/kept").json()))
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


def _asked(server: LocalServer, function: str) -> socket.socket:
    """A connection over which a function was called, the answer still to come."""
    host, port = server.url.removeprefix("http://").split(":")
    made = socket.create_connection((host, int(port)))
    head = f"POST /rest/v1/rpc/{function} HTTP/1.1\r\nHost: {host}:{port}\r\n"
    made.sendall(f"{head}apikey: {server.service_key}\r\nContent-Length: 0\r\n\r\n".encode())
    return made


def test_a_body_with_two_lengths_is_refused(server: LocalServer) -> None:
    """A proxy that goes by the other one would take the rest for a request of somebody else."""
    port = httpx.URL(server.url).port
    status, text = raw(
        server,
        f"POST /rest/v1/notes HTTP/1.1\nHost: 127.0.0.1:{port}\nX-Request-Id: r-1\n"
        "Content-Length: 5\nTransfer-Encoding: chunked\n\n0\n\n"
        f"GET /rest/v1/notes HTTP/1.1\nHost: 127.0.0.1:{port}\n\n",
    )
    assert (status, text.count("HTTP/1.1 ")) == (400, 1)
    assert "AERO400" in text


def test_a_taken_port_is_told(server: LocalServer) -> None:
    with pytest.raises(LocalError, match="cannot be listened on"):
        LocalServer(port=httpx.URL(server.url).port or 0).start()


# --- the command line ---------------------------------------------------------------------------


def run_cli(*words: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    plain = {name: text for name, text in os.environ.items() if not name.startswith("PGRST_")}
    return subprocess.Popen(
        [sys.executable, "-m", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**plain, "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path)), **environment},
    )


def banner(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith("Press Ctrl-C"):
            return text
    assert process.stderr is not None
    raise AssertionError(f"it ended: {text} {process.stderr.read()}")


@pytest.mark.parametrize("words", [("aerodb.local",), ("aerodb.cli", "dev")])
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)]
)
def test_signals_stop_it_cleanly(
    tmp_path: Path, words: tuple[str, ...], number: signal.Signals, status: int
) -> None:
    process = run_cli(*words, "--port", "0", cwd=tmp_path)
    text = banner(process)
    url = re.search(r"AERODB_URL=(\S+) AERODB_KEY=(aero_pk_\S+)", text)
    assert url is not None
    assert httpx.get(f"{url[1]}/health", trust_env=False).json()["status"] == "ok"
    secret = re.search(r"secret key +(aero_sk_\S+)", text)
    assert secret is not None
    for key, status_of_users in ((url[2], 403), (secret[1], 200)):
        users = httpx.get(f"{url[1]}/auth/users", headers={"apikey": key}, trust_env=False)
        assert users.status_code == status_of_users
    postgres = int((tmp_path / ".aerodb/postgres/postmaster.pid").read_text().split()[0])
    process.send_signal(number)
    _, problems = process.communicate(timeout=60)
    assert process.returncode == status
    assert problems == ""
    assert not Path(f"/proc/{postgres}").exists()


def test_the_first_look_that_it_names_works(tmp_path: Path) -> None:
    (tmp_path / "todos.sql").write_text("create table todos (id int)", encoding="utf-8")
    process = run_cli("aerodb.local", "--port", "0", "--schema", "todos.sql", cwd=tmp_path)
    try:
        text = banner(process)
        given = re.search(r"export AERODB_URL=(\S+) AERODB_KEY=(\S+)", text)
        command = re.search(r"first look: +aerodb (\w+)", text)
        assert given is not None
        assert command is not None
        where = {"AERODB_URL": given[1], "AERODB_KEY": given[2]}
        look = run_cli("aerodb.cli", command[1], cwd=tmp_path, **where)
        shown, problems = look.communicate(timeout=60)
        assert (look.returncode, problems) == (0, "")
        assert "todos" in shown
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_postgrests_signals_reload_the_schema(
    server: LocalServer, tmp_path: Path, number: signal.Signals
) -> None:
    words = ["--services", "rest", "--port", "0", "--db-anon-role", "anon"]
    process = run_cli(
        "aerodb.local",
        *words,
        "--db-channel-enabled=false",
        cwd=tmp_path,
        AERODB_DATABASE_URL=server.database_url,
    )
    try:
        url = re.search(r"http://\S+", banner(process))
        assert url is not None
        server.execute_sql("create table latecomers (id int)")
        table = f"{url[0]}/rest/v1/latecomers"
        assert httpx.get(table, trust_env=False).status_code == 404
        process.send_signal(number)
        end = time.monotonic() + 30
        while httpx.get(table, trust_env=False).status_code != 200:
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        process.terminate()
        process.communicate(timeout=60)
        server.execute_sql("drop table if exists latecomers")


def test_secrets_are_printed_once_and_logged_nowhere(tmp_path: Path) -> None:
    (tmp_path / "s.sql").write_text("create table t (a int);")
    process = run_cli("aerodb.local", "--port", "0", "--schema", "s.sql", cwd=tmp_path)
    text = banner(process)
    keys = json.loads((tmp_path / ".aerodb/secrets.json").read_text())
    process.terminate()
    _, problems = process.communicate(timeout=60)
    log = (tmp_path / ".aerodb/postgres.log").read_text()
    assert keys["publishable"] in text
    assert keys["secret"] in text
    assert "everybody may read and write t" in problems
    for name, secret in keys.items():
        assert secret not in problems + log, name
    for name in ("jwt_secret", "authenticator_password"):
        assert keys[name] not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--host", "0.0.0.0"], "lets other machines in"),
        (["--db-tx-end", "never"], "--db-tx-end: 'never' is none of"),
        (["--app-settings", "x"], "not of the form KEY=VALUE"),
        (["--services", "mail"], "--services: 'mail' is none of rest, auth"),
        (["--schema", "missing.sql"], "missing.sql cannot be read: it does not exist"),
        (["--schema", "missing"], "The SQL file missing cannot be read: it does not exist"),
        (["--schema", "."], "The SQL file . cannot be read: it is a folder"),
    ],
)
def test_wrong_flags_are_told_in_one_line(tmp_path: Path, words: list[str], message: str) -> None:
    process = run_cli("aerodb.cli", "dev", *words, cwd=tmp_path)
    _, problems = process.communicate(timeout=60)
    assert process.returncode == 1
    assert message in problems
    assert "Traceback" not in problems


def test_a_taken_port_is_no_news_if_nothing_starts(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # then somebody else has taken it
            stack.enter_context(socket.create_server(("127.0.0.1", 54321)))
        process = run_cli("aerodb.cli", "dev", "--schema", "missing.sql", cwd=tmp_path)
        _, problems = process.communicate(timeout=60)
    assert problems.startswith("Error: The SQL file missing.sql")


def arguments(*words: str) -> dict[str, Any]:
    return serve.make_context("serve", list(words)).params


def test_flags_win_over_the_environment_and_the_database_over_that(server: LocalServer) -> None:
    environment = {
        "PGRST_DB_URI": server.database_url,
        "PGRST_DB_MAX_ROWS": "7",
        "PGRST_DB_ANON_ROLE": "anon",
        "PGRST_SERVER_PORT": "0",
    }
    flags = arguments("--db-max-rows", "3", "--db-plan-enabled", "--app-settings", "a=b=c")
    with make_server(flags, environment) as running:
        rules = running.database.rest
        assert (rules.db_max_rows, rules.db_anon_role, rules.db_plan_enabled) == (3, "anon", True)
        assert rules.app_settings == (("app.settings.a", "b=c"),)
        assert running.database.cluster is None


def test_without_the_extra_the_command_says_how_to_get_it(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['click'] = None; from aerodb.cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "dev"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))},
        timeout=60,
    )
    assert done.returncode == 1
    assert "pip install 'aerodb[local]'" in done.stderr
    assert "Traceback" not in done.stderr
