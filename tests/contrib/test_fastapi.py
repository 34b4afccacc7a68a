"""A real FastAPI program under uvicorn, over a real AeroDB: who asks, and what comes back."""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
import uvicorn
from fastapi import FastAPI

from aerodb import AeroDBClient, Session
from aerodb.contrib.fastapi import (
    DB,
    CurrentUser,
    OptionalUserDB,
    UserDB,
    aerodb_lifespan,
    get_db,
    install_error_handlers,
)
from aerodb.local import LocalServer


def make_app(url: str, key: str, **options: Any) -> FastAPI:
    app = FastAPI(lifespan=aerodb_lifespan(url, key, **options))
    install_error_handlers(app)

    @app.get("/board")
    async def board(db: DB) -> list[dict[str, Any]]:
        return (await db.from_("board").select("*")).unwrap()

    @app.get("/board/{number}")
    async def one(db: DB, number: str) -> dict[str, Any]:
        return (await db.from_("board").select("*").eq("id", number).single()).unwrap()

    @app.get("/notes")
    async def notes(db: UserDB) -> list[str]:
        return (await db.from_("notes").scalars("body")).unwrap()

    @app.post("/notes")
    async def write(db: UserDB, body: str) -> dict[str, Any]:
        return (await db.from_("notes").insert({"body": body})).unwrap()[0]

    @app.get("/anybody")
    async def anybody(db: OptionalUserDB) -> list[str]:
        return (await db.from_("notes").scalars("body")).unwrap()

    @app.post("/sign-in")
    async def sign_in(db: DB, email: str, password: str) -> str:
        session = (await db.auth.sign_in(email, password)).unwrap().session
        assert session is not None
        return session.access_token

    @app.get("/me")
    async def me(user: CurrentUser) -> str | None:
        return user.email

    @app.get("/slow")
    async def slow(db: DB, seconds: float) -> str:
        return str((await db.rpc("slow", {"seconds": seconds})).data)

    @app.get("/faults/{kind}")
    async def fault(db: DB, kind: str) -> Any:
        table = db.from_("board")
        if kind == "column":
            return (await table.select("titel")).unwrap()
        if kind == "table":
            return (await db.from_("bord").select("*")).unwrap()
        if kind == "function":
            return (await db.rpc("sloow", {"seconds": 1})).unwrap()
        if kind == "filter":
            return (await table.update({"text": "all"})).unwrap()
        if kind == "several rows":
            return (await db.from_("twice").select("*").single()).unwrap()
        return (await db.rpc("stopped")).unwrap()

    return app


class Running:
    """An ASGI program under uvicorn on a port of its own."""

    def __init__(self, app: FastAPI) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._socket.close()


@pytest.fixture(scope="module")
def app(aerodb_server: LocalServer) -> FastAPI:
    return make_app(aerodb_server.url, aerodb_server.anon_key)


@pytest.fixture(scope="module")
def http(app: FastAPI) -> Iterator[httpx.Client]:
    with Running(app) as running, httpx.Client(base_url=running.url, timeout=30) as client:
        yield client


def bearer(session: Session) -> dict[str, str]:
    return {"Authorization": f"Bearer {session.access_token}"}


def test_the_programs_client_acts_by_its_key(http: httpx.Client) -> None:
    assert http.get("/board").json() == [{"id": 1, "text": "Welcome"}]


def test_everybody_sees_their_own_rows_only(
    http: httpx.Client, alice: Session, bob: Session
) -> None:
    for person in (alice, bob):
        text = str(uuid4())
        assert (
            http.post("/notes", params={"body": text}, headers=bearer(person)).json()["body"]
            == text
        )
    hers = http.get("/notes", headers=bearer(alice)).json()
    his = http.get("/notes", headers=bearer(bob)).json()
    assert hers
    assert his
    assert not set(hers) & set(his)
    assert http.get("/anybody", headers=bearer(alice)).json() == hers
    assert http.get("/anybody").json() == []


def test_who_signs_in_by_the_programs_client_does_not_become_everybody(
    http: httpx.Client, aerodb_server: LocalServer
) -> None:
    who = {"email": f"{uuid4()}@example.com", "password": "correct horse"}
    with AeroDBClient(aerodb_server.url, aerodb_server.anon_key) as client:
        client.auth.sign_up(who["email"], who["password"]).unwrap()
    hers = {"Authorization": f"Bearer {http.post('/sign-in', params=who).json()}"}
    text = str(uuid4())
    http.post("/notes", params={"body": text}, headers=hers).raise_for_status()
    assert http.get("/notes", headers=hers).json() == [text]
    assert http.get("/anybody").json() == []


@pytest.mark.parametrize("path", ["/notes", "/me"])
@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, "Bearer"),
        ({"Authorization": "Basic YTpi"}, "Bearer"),
        ({"Authorization": "Bearer a.b.c"}, 'Bearer error="invalid_token"'),
        ({"Authorization": "Bearer \x80\x81"}, 'Bearer error="invalid_token"'),
    ],
)
def test_no_token_or_a_bad_one_is_401(
    http: httpx.Client, path: str, headers: dict[str, str], challenge: str
) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = http.get(path, headers=raw)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == challenge
    assert answer.json()["detail"]
    assert answer.json()["code"]


def test_an_api_key_is_nobody(http: httpx.Client, aerodb_server: LocalServer) -> None:
    """AeroDB takes it as a bearer token; it would make the caller the program."""
    role = jwt.encode({"role": "anon", "iss": "someone"}, "x" * 32, "HS256")
    for key in (aerodb_server.anon_key, aerodb_server.service_key, role):
        headers = {"Authorization": f"Bearer {key}"}
        for answer in (
            http.post("/notes", params={"body": "x"}, headers=headers),
            http.get("/anybody", headers=headers),
            http.get("/me", headers=headers),
        ):
            assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
            assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_the_current_user(http: httpx.Client, alice: Session, bob: Session) -> None:
    for person in (alice, bob, alice):
        assert person.user is not None
        assert http.get("/me", headers=bearer(person)).json() == person.user.email


def test_who_a_caller_is_is_asked_once_a_minute(
    aerodb_server: LocalServer, http: httpx.Client
) -> None:
    """A session that was ended is still known for a while; a query of it is not believed longer
    than its token, which is AeroDB's own rule."""
    with AeroDBClient(aerodb_server.url, aerodb_server.anon_key) as client:
        client.auth.sign_up(f"{uuid4()}@example.com", "correct horse").unwrap()
        session = client.auth.get_session()
        assert session is not None
        assert http.get("/me", headers=bearer(session)).status_code == 200
        client.auth.sign_out("global").unwrap()
        assert http.get("/me", headers=bearer(session)).status_code == 200
        client.auth.sign_up(f"{uuid4()}@example.com", "correct horse").unwrap()
        other = client.auth.get_session()
        assert other is not None
        client.auth.sign_out("global").unwrap()
        assert http.get("/me", headers=bearer(other)).status_code == 401


def test_the_openapi_description_has_the_scheme(http: httpx.Client) -> None:
    description = http.get("/openapi.json").json()
    assert description["components"]["securitySchemes"]["AeroDB"]["scheme"] == "bearer"
    assert description["paths"]["/notes"]["get"]["security"] == [{"AeroDB": []}]
    assert "security" not in description["paths"]["/board"]["get"]


def test_errors_become_answers(http: httpx.Client, alice: Session) -> None:
    missing = http.get("/board/77")
    assert (missing.status_code, missing.json()["code"]) == (404, "PGRST116")
    assert missing.headers["X-Request-Id"]
    wrong = http.get("/board/x")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "22P02")
    twice = [http.post("/notes", params={"body": "the same"}, headers=bearer(alice)) for _ in "ab"]
    assert twice[1].status_code == 409
    refused = http.post("/notes", params={"body": "a\0b"}, headers=bearer(alice))
    assert (refused.status_code, refused.json()["code"]) == (422, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        ("column", "42703", 500),
        ("table", "PGRST205", 500),
        ("function", "PGRST202", 500),
        ("filter", "MISSING_FILTER", 500),
        ("several rows", "PGRST116", 500),
        ("time", "57014", 504),
    ],
)
def test_what_the_program_does_wrong_is_told_to_its_log_only(
    http: httpx.Client, kind: str, code: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    answer = http.get(f"/faults/{kind}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json().keys() == {"detail", "code"}
    for name in ("board", "bord", "text", "titel", "sloow", "twice", "public"):
        assert name not in answer.text
    told = [one for one in caplog.records if one.name == "aerodb.contrib.fastapi"]
    (record,) = [one for one in told if one.levelno == logging.ERROR]
    assert f"GET /faults/{{kind}}: {status}, for {code}" in record.getMessage()
    assert (record.exc_info is not None) == (status == 500)


@pytest.mark.parametrize("path", ["/board", "/me", "/notes", "/anybody"])
def test_a_key_that_is_not_taken_is_no_fault_of_the_callers(
    aerodb_server: LocalServer, alice: Session, path: str
) -> None:
    with Running(make_app(aerodb_server.url, "aero_pk_wrong")) as running:
        answer = httpx.get(f"{running.url}{path}", headers=bearer(alice))
    assert (answer.status_code, answer.json()["code"]) == (500, "invalid_api_key")
    assert "key" not in answer.json()["detail"]


def test_a_program_without_logging_says_on_stderr_what_is_wrong(
    aerodb_server: LocalServer,
) -> None:
    """uvicorn sets up its own loggers only."""
    code = f"""
import asyncio, httpx, logging.config, uvicorn.config
from fastapi import FastAPI
from tests.contrib.test_fastapi import make_app

logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)
app = make_app({aerodb_server.url!r}, {aerodb_server.anon_key!r})

async def main():
    async with app.router.lifespan_context(app) as state:
        async def asgi(scope, receive, send):
            await app({{**scope, "state": dict(state)}}, receive, send)
        transport = httpx.ASGITransport(asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            for path in ("/faults/column", "/board/77"):
                print((await client.get(path)).status_code)

asyncio.run(main())
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.split() == ["500", "404"]
    first = "GET /faults/{kind}: 500, for 42703 400: column board.titel does not exist"
    assert done.stderr.startswith(first)
    assert done.stderr.count("for ") == 1  # the caller's own faults are not errors


def test_an_aerodb_that_is_away_is_503_without_details() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    app = make_app(f"http://127.0.0.1:{port}", "aero_pk_nobody")
    with Running(app) as running:
        answer = httpx.get(f"{running.url}/board", timeout=60)
    assert answer.status_code == 503
    assert answer.json()["code"] == "NETWORK_ERROR"
    assert str(port) not in answer.text


def test_without_a_client_the_error_says_how_to_get_one() -> None:
    app = FastAPI()

    @app.get("/")
    async def root(db: DB) -> None:
        raise AssertionError

    async def call() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            await client.get("/")

    with pytest.raises(RuntimeError, match="aerodb_lifespan"):
        asyncio.run(call())


def test_a_dependency_can_be_overridden(aerodb_server: LocalServer) -> None:
    app = make_app(aerodb_server.url, aerodb_server.anon_key)

    async def none_of_it() -> None:
        raise ZeroDivisionError("the override was asked")

    app.dependency_overrides[get_db] = none_of_it

    async def call() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            await client.get("/board")

    with pytest.raises(ZeroDivisionError):
        asyncio.run(call())


def test_callers_that_hang_up_leave_the_pool_healthy(
    aerodb_server: LocalServer, http: httpx.Client, app: FastAPI
) -> None:
    """Ten times as many as there are connections, all gone before their answer (reliability X1)."""
    port = httpx.URL(http.base_url).port
    request = b"GET /slow?seconds=0.3 HTTP/1.1\r\nHost: a\r\n\r\n"
    for _ in range(10):
        lines = [socket.create_connection(("127.0.0.1", port or 0)) for _ in range(40)]
        for line in lines:
            line.sendall(request)
        for line in lines:
            line.close()
    for _ in range(20):
        assert http.get("/board").status_code == 200
