"""The HTTP side: paths, methods, credentials, who may call at all (wire contract §6, §1.4)."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from aerodb.local import LocalError, LocalServer

from .conftest import Instance, Maker, said

SEEN = """
    def handler(request):
        return {"name": request.name, "path": request.path, "role": request.role,
                "method": request.method, "query": dict(request.query),
                "headers": dict(request.headers), "text": request.query_string}
"""


@pytest.fixture(scope="module")
def seen(shared: Instance) -> Instance:
    shared.write("seen", SEEN)
    shared.write("only_get", "METHODS = ['GET']\n" + "def handler(request): return 'got'\n")
    shared.write("size", "def handler(request): return len(request.body)")
    return shared


def raw(instance: Instance, target: str, method: str = "POST", **headers: str) -> tuple[int, str]:
    """Send a target byte by byte as it is; status and body."""
    host, _, port = instance.server.url.removeprefix("http://").partition(":")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}:{port}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection((host, int(port)), timeout=30) as sock:
        sock.sendall("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode("latin-1"))
        answer = b""
        while data := sock.recv(65536):
            answer += data
    status, _, body = answer.partition(b"\r\n\r\n")
    return int(status.split()[1]), body.decode("utf-8", "replace")


def test_paths(seen: Instance) -> None:
    for path in ("seen", "invoke/seen"):
        assert seen.call(path).json()["path"] == ""
        assert seen.call(f"{path}/").json()["path"] == ""
        found = seen.call(f"{path}/a/b%20c/?x=1&x=2&y=%C3%A4").json()
        assert found["name"] == "seen"
        assert found["path"] == "a/b c/"
        assert found["query"] == {"x": "2", "y": "ä"}
        assert found["text"] == "x=1&x=2&y=%C3%A4"


@pytest.mark.parametrize(
    "target",
    [
        "/functions/v1/../auth/user", "/functions/v1/%2e%2e/seen", "/functions/v1/..%2fseen",
        "/functions/v1//seen", "/functions/v1/seen%00", "/functions/v1/s%65en",
        "/functions/v1/%2Fetc%2Fpasswd", "/functions/v1/seen.py", "/functions/v1/_seen",
        "/functions/v1/invoke/..%2fseen", "/functions/v1/invoke/invoke",
        "/functions/v1/" + "a" * 65, "/functions/v1/seen;x", "/functions/v1/seen\\x",
    ],
)  # fmt: skip
def test_no_path_is_another_file(seen: Instance, target: str) -> None:
    status, body = raw(seen, target)
    assert status in (400, 404)
    assert "name" not in body or "no such function" in body


def test_methods(seen: Instance) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        assert seen.call("seen", method=method).json()["method"] == method
    head = seen.call("seen", method="HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 100
    assert said(seen.call("only_get")) == (405, "method_not_allowed")
    assert seen.call("only_get").headers["allow"] == "GET, HEAD"
    assert seen.call("only_get", method="GET").text == "got"
    assert said(seen.call("seen", method="TRACE")) == (405, "method_not_allowed")
    options = seen.call("only_get", method="OPTIONS")
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert said(seen.call("nothing", method="OPTIONS")) == (404, "function_not_found")


def test_the_list_and_what_is_not_offered(seen: Instance) -> None:
    listed = seen.http.get("/functions/v1").json()
    assert [entry["name"] for entry in listed] == ["only_get", "seen", "size"]
    assert listed[0]["methods"] == ["GET"]
    assert "methods" not in listed[1]
    assert seen.http.get("/functions/v1/").json() == listed
    assert seen.http.head("/functions/v1").content == b""
    for method, path in (("POST", ""), ("PUT", ""), ("POST", "deploy"), ("POST", "webhook/x")):
        assert said(seen.call(path, method=method)) == (501, "not_implemented")


def test_credentials(seen: Instance) -> None:
    token = seen.server.create_token("postgres")
    known = seen.call("seen", headers={"Authorization": f"Bearer {token}", "apikey": "anything"})
    assert known.json()["role"] == "postgres"
    assert known.json()["headers"]["authorization"] == f"Bearer {token}"
    assert "apikey" not in known.json()["headers"]
    expired = seen.server.create_token("postgres", expires_in=-3600)
    for bad, code in ((expired, "token_expired"), (token + "x", "invalid_token")):
        answer = seen.call("seen", headers={"Authorization": f"Bearer {bad}"})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
        assert said(answer)[1] == code
        listed = seen.http.get("/functions/v1", headers={"Authorization": f"Bearer {bad}"})
        assert listed.status_code == 401


def test_without_an_anonymous_role_everybody_needs_a_token(make: Maker) -> None:
    closed = make(db_anon_role=None)
    closed.write("f", "def handler(request): return 1")
    answer = closed.call("f")
    assert said(answer) == (401, "authentication_required")
    assert answer.headers["www-authenticate"] == "Bearer"
    bearer = {"Authorization": f"Bearer {closed.server.create_token('postgres')}"}
    assert closed.call("f", headers=bearer).json() == 1


def test_keys_of_an_instance_of_its_own(seen: Instance) -> None:
    with (
        LocalServer(functions=seen.folder, require_apikey=True) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http,
    ):
        url = "/functions/v1/seen"
        assert said(http.post(url)) == (401, "missing_api_key")
        assert said(http.post(url, headers={"apikey": "aero_pk_wrong"})) == (401, "invalid_api_key")
        for key, role in ((server.anon_key, "anon"), (server.service_key, "service_role")):
            for headers in ({"apikey": key}, {"Authorization": f"Bearer {key}"}):
                found = http.post(url, headers=headers)
                assert found.json()["role"] == role
                assert key not in found.text
        health = http.get("/health").json()
        parts = ("rest", "auth", "realtime", "storage", "functions")
        assert health["services"] == dict.fromkeys(parts, "ok")
        assert "functions.stream" in health["features"]


def test_pages_and_names_from_elsewhere_are_kept_out(seen: Instance) -> None:
    evil = seen.call("seen", headers={"Origin": "https://evil.example"})
    assert said(evil) == (403, "origin_not_allowed")
    assert said(seen.call("seen", headers={"Host": "evil.example"})) == (421, "misdirected_request")
    preflight = seen.call(
        "seen",
        method="OPTIONS",
        headers={
            "Origin": "http://localhost:3000",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-own",
        },
    )
    assert preflight.status_code == 200
    assert "x-own" in preflight.headers["access-control-allow-headers"]
    page = seen.call("seen", headers={"Origin": "http://localhost:3000"})
    assert page.headers["access-control-allow-origin"] == "http://localhost:3000"


def test_sizes(seen: Instance) -> None:
    assert said(seen.call("seen", b"x" * (10 * 1024 * 1024 + 1))) == (413, "payload_too_large")
    many = "&".join(f"a{number}=1" for number in range(1001))
    assert said(seen.call(f"seen?{many}")) == (400, "validation_failed")
    assert seen.call("size", b"x" * (10 * 1024 * 1024)).json() == 10 * 1024 * 1024


def test_where_functions_are_served(database_url: str, make: Maker, tmp_path: Any) -> None:
    unwanted = make(services=["rest"])
    answer = unwanted.call("f")
    assert said(answer) == (404, "function_not_found")
    assert "--functions" in answer.json()["message"]
    assert said(unwanted.http.get("/functions/v2")) == (404, "not_found")
    assert unwanted.http.get("/health").json()["services"] == {"rest": "ok"}
    for settings, problem in (
        ({"services": ["rest", "functions"]}, "needs a folder"),
        ({"functions": tmp_path / "nowhere"}, "no folder"),
        ({"functions": tmp_path, "functions_timeout": 0}, "some time"),
        ({"functions": tmp_path, "functions_workers": 0}, "a worker"),
    ):
        with pytest.raises(LocalError, match=problem):
            LocalServer(**settings)
