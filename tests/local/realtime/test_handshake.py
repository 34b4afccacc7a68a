"""Who may open a WebSocket, and what a refusal says (wire contract §4.4, reliability D1, D2)."""

from __future__ import annotations

import json
import logging
import socket as sockets
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from aerodb.local import LocalServer

from .conftest import HANG, Socket, call, socket_to


async def refused(server: LocalServer, path: str = "/realtime", **headers: str) -> Any:
    """The HTTP answer to a handshake that is refused, with its body."""
    url = server.url.replace("http", "ws", 1) + path
    with pytest.raises(InvalidStatus) as problem:
        async with connect(url, additional_headers=headers, proxy=None):
            pass
    return problem.value.response


@pytest.mark.parametrize("path", ["/realtime", "/realtime/ws", "/realtime/v1/websocket"])
async def test_the_paths(rt_server: LocalServer, path: str) -> None:
    async with socket_to(rt_server, path=path) as socket:
        await socket.join("posts")


@pytest.mark.parametrize("path", ["/", "/rest/v1/posts", "/realtime/", "/realtime/x", "/auth"])
async def test_other_paths(rt_server: LocalServer, path: str) -> None:
    answer = await refused(rt_server, path, apikey=rt_server.anon_key)
    assert answer.status_code == 404
    assert "error" in json.loads(answer.body) or "code" in json.loads(answer.body)


async def test_credentials_that_are_no_good(rt_server: LocalServer) -> None:
    good = rt_server.create_token(sub="ann")
    late = rt_server.create_token(sub="ann", expires_in=-100)
    for headers, status, code in (
        ({"apikey": "aero_sk_guess"}, 401, "invalid_api_key"),
        ({"apikey": "x"}, 401, "invalid_api_key"),
        ({"Authorization": f"Bearer {good}x"}, 401, "invalid_token"),
        ({"Authorization": "Bearer "}, 401, "invalid_token"),
        ({"Authorization": f"Bearer {late}"}, 401, "token_expired"),
        (
            {"Authorization": f"Bearer {late}", "apikey": rt_server.service_key},
            401,
            "token_expired",
        ),
        (
            {"Authorization": f"Bearer {rt_server.create_token('postgres')}"},
            403,
            "insufficient_permissions",
        ),
        (
            {"Authorization": f"Bearer {rt_server.create_token('authenticator')}"},
            403,
            "insufficient_permissions",
        ),
        (
            {"Authorization": f"Bearer {rt_server.create_token('aerodb_realtime')}"},
            403,
            "insufficient_permissions",
        ),
    ):
        answer = await refused(rt_server, **headers)
        body = json.loads(answer.body)
        assert (answer.status_code, body["code"]) == (status, code), headers
        assert set(body) == {"error", "code", "message", "status"}
        assert answer.headers["x-aerodb-error"] == code
        assert answer.headers["content-type"].startswith("application/json")
        assert ("www-authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize(
    ("key", "token", "role"),
    [
        ("anon", None, "anon"),
        ("service", None, "service_role"),
        (None, None, "anon"),
        ("service", "authenticated", "authenticated"),
        ("anon", "service_role", "service_role"),
    ],
)
async def test_who_one_is(
    rt_server: LocalServer, key: str | None, token: str | None, role: str
) -> None:
    keys = {"anon": rt_server.anon_key, "service": rt_server.service_key}
    headers = {} if key is None else {"apikey": keys[key]}
    made = None if token is None else rt_server.create_token(token, sub=str(uuid4()))
    async with socket_to(rt_server, made, headers=headers) as socket:
        assert socket.welcome["payload"]["role"] == role


async def test_a_key_can_be_required() -> None:
    with LocalServer(require_apikey=True) as server:
        answer = await refused(server)
        assert (answer.status_code, json.loads(answer.body)["code"]) == (401, "missing_api_key")
        async with socket_to(server):
            pass


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost.evil.example", "file://", "https://[bad"],
)
async def test_pages_of_other_origins(rt_server: LocalServer, origin: str) -> None:
    answer = await refused(rt_server, Origin=origin, apikey=rt_server.anon_key)
    body = json.loads(answer.body)
    assert (answer.status_code, body["code"]) == (403, "origin_not_allowed")


async def test_pages_of_this_machine(rt_server: LocalServer) -> None:
    headers = {"apikey": rt_server.anon_key, "Origin": "http://localhost:3000"}
    async with socket_to(rt_server, headers=headers) as socket:
        await socket.join("posts")


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        (["evil.example"], 421),
        (["localhost.evil.example"], 421),
        (["127.0.0.1.nip.io:54321"], 421),
        ([], 400),
        (["localhost", "localhost"], 400),
        (["evil.example", "localhost"], 400),
    ],
)
def test_other_hosts(rt_server: LocalServer, hosts: list[str], status: int) -> None:
    host, _, port = rt_server.url.removeprefix("http://").partition(":")
    lines = [
        "GET /realtime HTTP/1.1",
        *(f"Host: {name}" for name in hosts),
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
        f"apikey: {rt_server.anon_key}",
    ]
    with sockets.create_connection((host, int(port)), timeout=HANG) as raw:
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        assert raw.recv(100).startswith(f"HTTP/1.1 {status} ".encode())


async def test_credentials_in_the_url(
    rt_server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Other clients send them there: taken, not logged, and answered with a notice."""
    token = rt_server.create_token(sub="ann")
    for name in (None, "uvicorn.error", "aerodb.local"):  # others in this process may be quiet
        caplog.set_level(logging.DEBUG, logger=name)
    with caplog.at_level(logging.DEBUG):
        url = rt_server.url.replace("http", "ws", 1)
        path = f"/realtime/v1/websocket?apikey={rt_server.anon_key}&token={token}&vsn=1.0.0"
        async with connect(url + path, proxy=None, logger=logging.getLogger("client")) as raw:
            socket = Socket(raw)
            welcome = await socket.until("connected")
            assert welcome["payload"]["role"] == "authenticated"
            notice = await socket.until("system")
            assert notice["event"] == "deprecated"
            await socket.join("posts")
    server_side = [r.getMessage() for r in caplog.records if not r.name.startswith("client")]
    assert server_side
    assert not [m for m in server_side if token in m or rt_server.anon_key in m]
    answer = await refused(rt_server, f"/realtime?apikey=aero_pk_guess&token={token}")
    assert answer.status_code == 401


async def test_headers_win_over_the_url(rt_server: LocalServer) -> None:
    path = f"/realtime?apikey={rt_server.service_key}"
    async with socket_to(rt_server, path=path) as socket:
        assert socket.welcome["payload"]["role"] == "anon"


async def test_credentials_in_the_url_can_be_switched_off() -> None:
    with LocalServer(realtime_query_credentials=False) as server:
        path = f"/realtime?apikey={server.service_key}"
        async with socket_to(server, path=path, headers={}) as socket:
            assert socket.welcome["payload"]["role"] == "anon"


async def test_a_session_that_has_ended(rt_server: LocalServer) -> None:
    person = {"email": f"{uuid4().hex}@example.com", "password": "correct horse"}
    token = call(rt_server, "POST", "/auth/signup", json=person).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    async with socket_to(rt_server, token) as socket:
        assert socket.welcome["payload"]["role"] == "authenticated"
        assert socket.welcome["payload"]["expires_at"] > 0
        assert call(rt_server, "POST", "/auth/logout", headers=bearer).status_code == 204
        await socket.send("auth", token=token)
        assert (await socket.until("error"))["code"] == "auth_failed"
    answer = await refused(rt_server, Authorization=f"Bearer {token}")
    assert (answer.status_code, json.loads(answer.body)["code"]) == (401, "session_revoked")


def test_health(rt_server: LocalServer) -> None:
    body = call(rt_server, "GET", "/health").json()
    assert body["services"]["realtime"] == "ok"
    assert {"realtime.auth", "realtime.resume", "realtime.presence"} <= set(body["features"])


async def test_it_can_be_left_out() -> None:
    with LocalServer(services=["rest", "auth"], schema=["create table t (id int)"]) as server:
        body = call(server, "GET", "/health").json()
        assert "realtime" not in body["services"]
        assert (await refused(server)).status_code == 404
