# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Requests that go through httpx: a user's own client, proxies, and who goes directly."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
import trustme

from aerodb._core.http import Origin, Request, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io.on_asyncio import HttpClient, Worker, monotonic, pause
from tests.support.scripted import (
    ScriptedServer,
    Seen,
    answer,
    chunked,
    close,
    echo,
    head,
    send,
    trickle,
    wait,
)

ELSEWHERE = Origin("http", "example.test", 80)
MANY = bytes(range(256)) * 500


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_PROXY".upper(), raising=False)


def get(origin: Origin, target: str = "/") -> Request:
    return Request("GET", origin, target, [(b"apikey", b"k")], None)


# A user's own client


async def test_respx_mocks_a_users_client() -> None:
    async with httpx.AsyncClient() as mine:
        http = HttpClient(HttpSettings(), client=mine)
        with respx.mock() as router:
            route = router.post("http://example.test/rest/v1/t?a=eq.1").respond(
                201, json=[{"id": 1}], headers={"Content-Range": "0-0/1"}
            )
            request = Request("POST", ELSEWHERE, "/rest/v1/t?a=eq.1", [(b"apikey", b"k")], b"[]")
            response = await http.send(request, monotonic() + 20)
        assert (response.status, response.body) == (201, b'[{"id": 1}]') or (
            response.body == b'[{"id":1}]'
        )
        assert response.header(b"content-range") == "0-0/1"
        sent = route.calls.last.request
        assert (sent.headers["apikey"], sent.content) == ("k", b"[]")
        assert sent.headers["host"] == "example.test"
        await http.close()


@pytest.mark.parametrize(
    ("raised", "kind", "sent"),
    [
        (httpx.ConnectError, "connect", False),
        (httpx.ConnectTimeout, "timeout", False),
        (httpx.PoolTimeout, "timeout", False),
        (httpx.ReadTimeout, "timeout", True),
        (httpx.WriteError, "closed", True),
        (httpx.ReadError, "closed", True),
        (httpx.RemoteProtocolError, "closed", True),
        (httpx.ProxyError, "connect", False),
    ],
)
async def test_httpx_errors_become_ours(raised: Any, kind: str, sent: bool) -> None:
    async with httpx.AsyncClient() as mine:
        http = HttpClient(HttpSettings(), client=mine)
        with respx.mock() as router:
            router.get("http://example.test/").mock(side_effect=raised("s3cret"))
            with pytest.raises(TransportError) as caught:
                await http.send(get(ELSEWHERE), monotonic() + 20)
        assert (caught.value.kind, caught.value.sent) == (kind, sent)
        assert "s3cret" not in str(caught.value)
        await http.close()


async def test_an_error_that_is_not_of_the_network_is_not_dressed_up() -> None:
    async with httpx.AsyncClient() as mine:
        http = HttpClient(HttpSettings(), client=mine)
        with respx.mock() as router:
            router.get("http://example.test/").mock(side_effect=ZeroDivisionError)
            with pytest.raises(ZeroDivisionError):
                await http.send(get(ELSEWHERE), monotonic() + 20)
        await http.close()


async def test_a_transport_that_answers_from_memory() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"path": request.url.path})

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as mine:
        http = HttpClient(HttpSettings(max_response_bytes=100), client=mine)
        response = await http.send(get(ELSEWHERE, "/x"), monotonic() + 20)
        assert b"/x" in response.body
        stream = await http.stream(get(ELSEWHERE, "/y"), None, None)
        assert b"/y" in b"".join([piece async for piece in stream])
        await http.close()


async def test_a_users_client_is_never_closed(scripted: ScriptedServer) -> None:
    async with httpx.AsyncClient() as mine:
        http = HttpClient(HttpSettings(), client=mine)
        response = await http.send(get(scripted.origin, "/a"), monotonic() + 20)
        assert response.body == b"/a\n"
        await http.close()
        with pytest.raises(TransportError) as caught:
            await http.send(get(scripted.origin), monotonic() + 20)
        assert caught.value.kind == "client_closed"
        assert not mine.is_closed
        assert (await mine.get(f"http://127.0.0.1:{scripted.port}/b")).text == "/b\n"


async def test_a_users_client_keeps_our_promises(scripted: ScriptedServer) -> None:
    import gzip

    scripted.on("/redirect", answer(302, b"", [("Location", "/elsewhere")]))
    scripted.on("/gzip", answer(200, gzip.compress(MANY), [("Content-Encoding", "gzip")]))
    scripted.on("/twice", answer(200, b"x", [("Content-Encoding", "gzip, gzip")]))
    scripted.on("/cut", [*chunked([b"123"], complete=False), close()])
    scripted.on("/large", answer(200, bytes(1_000_000)))
    async with httpx.AsyncClient(follow_redirects=True) as mine:
        http = HttpClient(HttpSettings(max_response_bytes=200_000), client=mine)

        async def status(target: str) -> Any:
            try:
                return (await http.send(get(scripted.origin, target), monotonic() + 20)).status
            except TransportError as error:
                return error.kind

        targets = ["/redirect", "/gzip", "/twice", "/cut", "/large", "/echo"]
        found = [await status(target) for target in targets]
        assert found == [302, 200, "encoding", "closed", "too_large", 200]
        stream = await http.stream(get(scripted.origin, "/gzip"), None, 5.0)
        assert b"".join([piece async for piece in stream]) == MANY
        await http.close()
    assert "/elsewhere" not in [seen.target for seen in scripted.seen]


async def test_the_gate_stands_before_a_users_client(scripted: ScriptedServer) -> None:
    scripted.on("/slow", [wait(0.02), echo])
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=50)) as mine:
        http = HttpClient(HttpSettings(max_connections=3), client=mine)

        async def ask() -> None:
            for _ in range(3):
                await http.send(get(scripted.origin, "/slow"), monotonic() + 20)

        workers = [Worker(ask, f"ask-{number}") for number in range(12)]
        for worker in workers:
            assert await worker.join(60)
        assert len(scripted.seen) == 36
        assert scripted.most_at_once <= 3
        await http.close()


@pytest.mark.parametrize(
    "steps",
    [[wait(4)], [send(head(200, [("Content-Length", "50")])), trickle(b"x" * 50, 0.1)]],
    ids=["silence", "slow body"],
)
async def test_the_deadline_holds_for_a_users_client(scripted: ScriptedServer, steps: Any) -> None:
    scripted.on("/", steps)
    async with httpx.AsyncClient() as mine:
        http = HttpClient(HttpSettings(), client=mine)
        with pytest.raises(TransportError) as caught:
            await http.send(get(scripted.origin), monotonic() + 0.4)
        assert (caught.value.kind, caught.value.sent) == ("timeout", True)
        assert (await http.send(get(scripted.origin, "/x"), monotonic() + 20)).status == 200
        await http.close()


async def test_something_else_as_client_is_refused() -> None:
    with pytest.raises(TypeError, match="http_client must be an httpx"):
        HttpClient(HttpSettings(), client=object())


async def test_http2_without_its_package_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "h2", None)
    with pytest.raises(ValueError, match="needs the package h2"):
        HttpClient(HttpSettings(http2=True))


async def test_http2_falls_back_where_the_server_has_none(scripted: ScriptedServer) -> None:
    pytest.importorskip("h2")
    http = HttpClient(HttpSettings(http2=True))
    assert (await http.send(get(scripted.origin, "/x"), monotonic() + 20)).body == b"/x\n"
    await http.close()


# Proxies


async def test_a_proxy_gets_the_whole_url(scripted: ScriptedServer) -> None:
    url = "http://example.test/a%20b?x=eq.1&y=in.(1,2)"
    scripted.on(url.partition("?")[0], answer(200, b"by proxy"))
    http = HttpClient(HttpSettings(proxy=f"http://me:s3cret@127.0.0.1:{scripted.port}"))
    response = await http.send(get(ELSEWHERE, "/a%20b?x=eq.1&y=in.(1,2)"), monotonic() + 20)
    assert response.body == b"by proxy"
    (seen,) = scripted.seen
    assert seen.target == url
    assert seen.header("host") == "example.test"
    assert seen.header("proxy-authorization") == "Basic bWU6czNjcmV0"
    await http.close()
    assert "s3cret" not in repr(HttpSettings(proxy="http://me:s3cret@h"))


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
async def test_the_environment_names_a_proxy(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, f"http://127.0.0.1:{scripted.port}")
    http = HttpClient(HttpSettings())
    assert (await http.send(get(ELSEWHERE, "/x"), monotonic() + 20)).status == 200
    assert scripted.seen[0].target == "http://example.test/x"
    await http.close()


@pytest.mark.parametrize("settings", [HttpSettings(trust_env=False), HttpSettings()])
async def test_who_is_excepted_goes_directly(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch, settings: HttpSettings
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "other.test, 127.0.0.1")
    http = HttpClient(settings)
    if not settings.trust_env:
        monkeypatch.delenv("no_proxy")
    assert (await http.send(get(scripted.origin, "/x"), monotonic() + 20)).body == b"/x\n"
    await http.close()


async def test_a_proxy_that_is_down_has_not_sent() -> None:
    with ScriptedServer() as gone:
        pass
    http = HttpClient(HttpSettings(proxy=f"http://127.0.0.1:{gone.port}"))
    with pytest.raises(TransportError) as caught:
        await http.send(get(ELSEWHERE), monotonic() + 20)
    assert (caught.value.kind, caught.value.sent) == ("connect", False)
    await http.close()


async def test_a_proxy_url_of_no_use_is_an_error_without_its_password() -> None:
    http = HttpClient(HttpSettings(proxy="gopher://me:s3cret@127.0.0.1:1"))
    with pytest.raises(TransportError) as caught:
        await http.send(get(ELSEWHERE), monotonic() + 20)
    assert (caught.value.kind, caught.value.sent) == ("unsupported", False)
    assert "s3cret" not in str(caught.value)
    await http.close()


def relay(port: int) -> Any:
    """A step that makes the connection a tunnel to a port of this machine."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            sink.close()

    def step(sock: socket.socket, seen: Seen) -> None:
        with socket.create_connection(("127.0.0.1", port)) as target:
            back = threading.Thread(target=pump, args=(target, sock), daemon=True)
            back.start()
            pump(sock, target)
            back.join(10)

    return step


async def test_https_goes_through_a_tunnel(scripted: ScriptedServer) -> None:
    ca = trustme.CA()
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(ours)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("example.test").configure_cert(theirs)
    with ScriptedServer(tls=theirs) as secure:
        scripted.on("example.test:443", [send(head(200)), relay(secure.port)])
        http = HttpClient(HttpSettings(proxy=f"http://127.0.0.1:{scripted.port}", verify=ours))
        origin = Origin("https", "example.test", 443)
        for number in range(3):
            response = await http.send(get(origin, f"/{number}"), monotonic() + 20)
            assert response.body == f"/{number}\n".encode()
        await http.close()
    (seen,) = scripted.seen
    assert seen.line == "CONNECT example.test:443 HTTP/1.1"
    assert seen.header("apikey") is None


async def test_a_refused_tunnel_has_not_sent(scripted: ScriptedServer) -> None:
    scripted.on("example.test:443", answer(403, b"no"))
    http = HttpClient(HttpSettings(proxy=f"http://127.0.0.1:{scripted.port}", verify=False))
    with pytest.raises(TransportError) as caught:
        await http.send(get(Origin("https", "example.test", 443)), monotonic() + 20)
    assert (caught.value.kind, caught.value.sent) == ("connect", False)
    await http.close()


async def test_no_cookie_is_kept_behind_a_proxy(scripted: ScriptedServer) -> None:
    scripted.on("http://example.test/", answer(200, b"", [("Set-Cookie", "a=b; Path=/")]))
    http = HttpClient(HttpSettings(proxy=f"http://127.0.0.1:{scripted.port}"))
    await http.send(get(ELSEWHERE), monotonic() + 20)
    await http.send(get(ELSEWHERE), monotonic() + 20)
    assert [seen.header("cookie") for seen in scripted.seen] == [None, None]
    await http.close()


async def test_closing_ends_a_call_through_a_proxy(scripted: ScriptedServer) -> None:
    scripted.on("http://example.test/", [wait(3), *answer()])
    http = HttpClient(HttpSettings(proxy=f"http://127.0.0.1:{scripted.port}"))
    kinds: list[str] = []

    async def ask() -> None:
        with pytest.raises(TransportError) as caught:
            await http.send(get(ELSEWHERE), monotonic() + 1.0)
        kinds.append(caught.value.kind)

    worker = Worker(ask, "ask")
    await pause(0.3)
    await http.close()
    assert await worker.join(30)
    assert kinds == ["client_closed"]
