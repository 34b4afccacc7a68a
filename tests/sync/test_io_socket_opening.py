# GENERATED from tests/aio/test_io_socket_opening.py by scripts/generate.py [adb27a8f5236]: do not edit
"""How WebSockets are opened: the handshake, its refusals, TLS, proxies, and what is not told."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from aerodb._core.http import TransportError
from aerodb._core.websocket import HandshakeRefused, SocketClosed, SocketSettings
from aerodb._io.on_threads import WebSocket, monotonic, pause
from tests.support.scripted import (
    ScriptedServer,
    Step,
    answer,
    chunked,
    close,
    head,
    hold,
    reset,
    send,
    trickle,
    wait,
)
from tests.support.sockets import (
    TEXT,
    SocketServer,
    answer_pings,
    dribble,
    frame,
    open_descriptors,
    tunnel,
    upgrade,
)

SOON = 20.0
PLAIN = SocketSettings(trust_env=False)
CANARY = "c4n4ry-of-a-key"


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_PROXY".upper(), raising=False)


def connect(
    where: ScriptedServer | SocketServer,
    headers: list[tuple[bytes, bytes]] | None = None,
    settings: SocketSettings = PLAIN,
    seconds: float = SOON,
) -> WebSocket:
    url = f"ws://127.0.0.1:{where.port}/"
    return WebSocket.connect(url, headers or [], settings, seconds)


def refusal(where: ScriptedServer, seconds: float = SOON) -> HandshakeRefused:
    with pytest.raises(HandshakeRefused) as caught:
        connect(where, seconds=seconds)
    return caught.value


def failure(
    where: ScriptedServer | SocketServer, settings: SocketSettings = PLAIN, seconds: float = SOON
) -> TransportError:
    with pytest.raises(TransportError) as caught:
        connect(where, settings=settings, seconds=seconds)
    return caught.value


def until(condition: Any) -> None:
    """Wait for something that another thread is about to do."""
    give_up = monotonic() + 30
    while not condition():
        assert monotonic() < give_up
        pause(0.005)


# What is sent


def test_the_handshake_is_complete_and_nothing_more(scripted: ScriptedServer) -> None:
    scripted.on("/realtime", [upgrade(), answer_pings()])
    headers = [(b"apikey", b"k"), (b"Authorization", b"Bearer t"), (b"User-Agent", b"u")]
    url = f"ws://127.0.0.1:{scripted.port}/realtime"
    ws = WebSocket.connect(url, headers, PLAIN, SOON)
    (seen,) = scripted.seen
    assert seen.line == "GET /realtime HTTP/1.1"
    assert len(seen.header("sec-websocket-key") or "") == 24
    assert [pair for pair in seen.headers if pair[0] != "sec-websocket-key"] == [
        ("host", f"127.0.0.1:{scripted.port}"), ("upgrade", "websocket"), ("connection", "Upgrade"),
        ("sec-websocket-version", "13"), ("apikey", "k"), ("authorization", "Bearer t"),
        ("user-agent", "u"),
    ]  # fmt: skip
    ws.close()


def test_no_cookie_is_kept(scripted: ScriptedServer) -> None:
    for _ in range(2):
        scripted.on("/", [upgrade(extra=[("Set-Cookie", "a=b; Path=/")]), answer_pings()])
        (connect(scripted)).close()
    assert [seen.header("cookie") for seen in scripted.seen] == [None, None]
    keys = {seen.header("sec-websocket-key") for seen in scripted.seen}
    assert len(keys) == 2


@pytest.mark.parametrize("value", [
    b"c4n4ry-of-a-key\r\nX-Evil: 1", b"c4n4ry-of-a-key\nX-Evil: 1", b"c4n4ry-of-a-key\r",
    b"c4n4ry-of-a-key\x00", b"c4n4ry\x01-of-a-key", b"\nc4n4ry-of-a-key", b"c4n4ry-of-a-key ",
    b"c4n4ry-of-a-key\x7f",
])  # fmt: skip
def test_a_bad_header_is_refused_without_naming_its_value(
    scripted: ScriptedServer, value: bytes
) -> None:
    with pytest.raises(TransportError) as caught:
        connect(scripted, [(b"Authorization", value)])
    assert (caught.value.kind, caught.value.sent) == ("unsupported", False)
    text = "".join(traceback.format_exception(caught.value))
    assert CANARY not in text
    assert caught.value.__cause__ is None
    assert scripted.connections == 0


@pytest.mark.parametrize("name", [
    b"X\r\nEvil", b"X: a", b"", b"X y", b"Host", b"upgrade", b"Connection", b"Sec-WebSocket-Key",
    b"sec-websocket-protocol", b"Content-Length", b"Transfer-Encoding", b"Cookie",
])  # fmt: skip
def test_a_header_that_would_change_the_handshake_is_refused(
    scripted: ScriptedServer, name: bytes
) -> None:
    with pytest.raises(TransportError) as caught:
        connect(scripted, [(name, b"x")])
    assert (caught.value.kind, caught.value.sent) == ("unsupported", False)
    assert scripted.connections == 0


@pytest.mark.parametrize(
    "url", ["", "http//x", "ftp://127.0.0.1/", "ws://", "ws://u:p@127.0.0.1/", "ws://127.1/"]
)
def test_a_url_that_is_none_is_wrong_python(url: str) -> None:
    with pytest.raises(ValueError):
        WebSocket.connect(url, [], PLAIN, SOON)


# What comes back


@pytest.mark.parametrize("status", [200, 204, 301, 307, 400, 401, 403, 404, 426, 429, 500, 503])
def test_any_other_answer_is_a_refusal(scripted: ScriptedServer, status: int) -> None:
    body = b"" if status == 204 else b'{"code": "no"}'
    scripted.on("/", answer(status, body, [("Retry-After", "7"), ("X-Odd", "\xe9")]))
    error = refusal(scripted)
    assert (error.status, error.body) == (status, body)
    found = {name.lower(): value for name, value in error.raw_headers}
    assert (found[b"retry-after"], found[b"x-odd"]) == (b"7", b"\xe9")
    assert str(status) in str(error)


def test_a_redirect_is_not_followed(scripted: ScriptedServer) -> None:
    with ScriptedServer() as elsewhere:
        location = f"http://127.0.0.1:{elsewhere.port}/"
        scripted.on("/", answer(301, b"", [("Location", location)]))
        error = refusal(scripted)
        assert (error.status, dict(error.raw_headers)[b"Location"]) == (301, location.encode())
        assert (elsewhere.connections, scripted.connections) == (0, 1)


def test_the_body_of_a_refusal_may_be_chunked(scripted: ScriptedServer) -> None:
    steps = chunked([b"a" * 10, b"b" * 10])
    scripted.on("/", [send(head(401, [("Transfer-Encoding", "chunked")])), *steps[1:], send(
        b"a\r\n" + b"a" * 10 + b"\r\n0\r\n\r\n")])  # fmt: skip
    error = refusal(scripted)
    assert (error.status, error.body) == (401, b"a" * 10)


@pytest.mark.parametrize("size", [64 * 1024 - 1, 64 * 1024, 1_000_000])
def test_the_body_of_a_refusal_is_bounded(scripted: ScriptedServer, size: int) -> None:
    scripted.on("/", answer(403, b"x" * size))
    error = refusal(scripted)
    assert (error.status, len(error.body)) == (403, min(size, 64 * 1024))


def test_a_refusal_without_an_end_is_not_waited_for(scripted: ScriptedServer) -> None:
    done = threading.Event()
    scripted.on("/", [send(head(401) + b"partly"), hold(done)])
    started = monotonic()
    error = refusal(scripted)
    assert (error.status, error.body) == (401, b"partly")
    assert monotonic() - started < 10
    done.set()


@pytest.mark.parametrize("end", [close(), reset()])
def test_a_refusal_that_breaks_off_is_one(scripted: ScriptedServer, end: Step) -> None:
    scripted.on("/", [send(head(401, [("Content-Length", "100")]) + b"partly"), wait(0.1), end])
    error = refusal(scripted)
    assert (error.status, error.body) == (401, b"partly")


@pytest.mark.parametrize("wire", [
    b"SSH-2.0-OpenSSH_9.9\r\n", b"\x00\x01\x02\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/1.1 101 OK\r\nbad header\r\n\r\n", b"x" * 100_000,
    b"HTTP/1.1 101 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)),
    b"HTTP/1.1 101 OK\r\nX: " + b"y" * 200_000,
], ids=["ssh", "binary", "status", "header", "no line", "many headers", "long header"])  # fmt: skip
def test_what_is_not_http_is_a_protocol_error(scripted: ScriptedServer, wire: bytes) -> None:
    scripted.on("/", [send(wire), hold(threading.Event())])
    error = failure(scripted)
    assert (error.kind, error.sent) == ("protocol", True)


@pytest.mark.parametrize("headers", [
    [], [("Upgrade", "websocket"), ("Connection", "Upgrade")],
    [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", "bm8=")],
])  # fmt: skip
def test_an_upgrade_that_proves_nothing_is_refused(
    scripted: ScriptedServer, headers: list[tuple[str, str]]
) -> None:
    scripted.on("/", [send(head(101, headers)), hold(threading.Event())])
    error = failure(scripted)
    assert (error.kind, error.sent) == ("protocol", True)


@pytest.mark.parametrize("extra", [
    ("Sec-WebSocket-Extensions", "permessage-deflate"), ("Sec-WebSocket-Protocol", "chat"),
    ("Upgrade", "h2c"),
])  # fmt: skip
def test_what_was_not_offered_is_not_accepted(
    scripted: ScriptedServer, extra: tuple[str, str]
) -> None:
    scripted.on("/", [upgrade(extra=[extra]), hold(threading.Event())])
    assert (failure(scripted)).kind == "protocol"


def test_other_informational_answers_are_passed_over(scripted: ScriptedServer) -> None:
    early = head(100) + head(103, [("Link", "</x>")])
    scripted.on("/", [send(early), upgrade(frame(TEXT, b"x")), answer_pings()])
    ws = connect(scripted)
    assert ws.receive(SOON) == "x"
    ws.close()


def test_the_answer_may_come_byte_by_byte(scripted: ScriptedServer) -> None:
    def slowly(sock: socket.socket, seen: Any) -> None:
        class Pieces:
            def sendall(self, data: bytes) -> None:
                dribble(data)(sock, seen)

        upgrade(frame(TEXT, b"x"), [("X-Long", "y" * 500)])(Pieces(), seen)  # type: ignore[arg-type]

    scripted.on("/", [slowly, answer_pings()])
    ws = connect(scripted)
    assert ws.receive(SOON) == "x"
    ws.close()


@pytest.mark.parametrize("end", [[close()], [reset()], [send(b"HTTP/1.1 101 Sw"), close()]])
def test_no_answer_is_a_closed_connection(scripted: ScriptedServer, end: list[Step]) -> None:
    scripted.on("/", end)
    error = failure(scripted)
    assert (error.kind, error.sent) == ("closed", True)


# Time


@pytest.mark.parametrize("steps", [
    [], [send(b"HTTP/1.1 101 S\r\n")], [trickle(b"HTTP/1.1 101 S\r\nX: " + b"y" * 1000, 0.05)]
], ids=["silence", "half a head", "a trickle"])  # fmt: skip
def test_the_deadline_covers_the_handshake(
    scripted: ScriptedServer, steps: list[Step]
) -> None:
    done = threading.Event()
    scripted.on("/", [*steps, hold(done)])
    started = monotonic()
    error = failure(scripted, seconds=0.3)
    assert (error.kind, error.sent) == ("timeout", True)
    assert 0.2 < monotonic() - started < 10
    done.set()


def test_the_deadline_covers_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # accepts, and says nothing
        url = f"wss://127.0.0.1:{listener.getsockname()[1]}/"
        for settings, seconds in (
            (SocketSettings(trust_env=False, connect_timeout=0.2), SOON),
            (SocketSettings(trust_env=False), 0.2),
        ):
            started = monotonic()
            with pytest.raises(TransportError) as caught:
                WebSocket.connect(url, [], settings, seconds)
            assert (caught.value.kind, caught.value.sent) == ("timeout", False)
            assert monotonic() - started < 10


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TransportError) as caught:
        WebSocket.connect(f"ws://127.0.0.1:{port}/", [], PLAIN, SOON)
    assert (caught.value.kind, caught.value.sent) == ("connect", False)


def test_failures_leave_no_descriptor_behind(scripted: ScriptedServer) -> None:
    scripted.on("/", answer(401, b"no"), [send(b"junk\r\n\r\n")], [close()], [wait(0.3)])
    refusal(scripted)
    before = open_descriptors() - scripted.now_open
    for _ in range(3):
        scripted.on("/", answer(401, b"no"), [send(b"junk\r\n\r\n")], [close()], [wait(0.3)])
        refusal(scripted)
        failure(scripted)
        failure(scripted)
        failure(scripted, seconds=0.1)
    until(lambda: open_descriptors() - scripted.now_open <= before)


# TLS


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder: Path) -> None:
        made = trustme.CA()
        self.file = str(folder / "ca.pem")
        made.cert_pem.write_to_path(self.file)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.issue_cert("localhost").configure_cert(self.context)
        self.settings = SocketSettings(verify=self.file, trust_env=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("by", ["file", "environment", "not at all"])
def test_a_trusted_server_is_talked_to(
    authority: Authority, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "file": authority.settings,
        "environment": SocketSettings(),
        "not at all": SocketSettings(verify=False),
    }[by]
    if by == "environment":
        monkeypatch.setenv("SSL_CERT_FILE", authority.file)
    with SocketServer(tls=authority.context) as server:
        url = server.url(host="localhost")
        ws = WebSocket.connect(url, [], settings, SOON)
        for size in (1, 20_000, 1_000_000):
            ws.send("x" * size)
            assert ws.receive(SOON) == "x" * size
        ws.send("!burst 500")
        assert [ws.receive(SOON) for _ in range(500)] == [str(n) for n in range(500)]
        assert ws.receive(0.05) is None
        ws.close(4000)
        until(lambda: server.ended)
        assert server.ended == [(4000, "")]


def test_senders_and_a_reader_over_tls(authority: Authority) -> None:
    with SocketServer(tls=authority.context) as server:
        url = server.url("/flood", host="localhost")
        ws = WebSocket.connect(url, [], authority.settings, SOON)
        for number in range(3_000):
            message = ws.receive(SOON)
            assert isinstance(message, str)
            assert int(message.rstrip(".")) == number
        ws.close(timeout=10)


@pytest.mark.parametrize(("settings", "host", "says"), [
    (PLAIN, "localhost", "not trusted"), (None, "127.0.0.1", "not trusted"),
])  # fmt: skip
def test_an_untrusted_server_gets_no_handshake(
    authority: Authority, settings: SocketSettings | None, host: str, says: str
) -> None:
    with SocketServer(tls=authority.context) as server:
        with pytest.raises(TransportError) as caught:
            WebSocket.connect(server.url(host=host), [], settings or authority.settings, SOON)
        assert (caught.value.kind, caught.value.sent) == ("connect", False)
        assert says in caught.value.message
        assert server.headers == []


# Proxies


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("by", ["settings", "environment"])
def test_a_proxy_gets_its_own_credentials_and_no_others(
    scripted: ScriptedServer,
    authority: Authority,
    by: str,
    secure: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = f"http://us%20er:p%40ss@127.0.0.1:{scripted.port}"
    given = {"proxy": proxy} if by == "settings" else {"trust_env": True}
    if by == "environment":
        monkeypatch.setenv("HTTPS_PROXY" if secure else "HTTP_PROXY", proxy)
    with SocketServer(tls=authority.context if secure else None) as server:
        scripted.on(f"localhost:{server.port}", [tunnel(server.port)])
        settings = SocketSettings(**{"trust_env": False, "verify": authority.file, **given})  # type: ignore[arg-type]
        headers = [(b"apikey", CANARY.encode())]
        ws = WebSocket.connect(server.url(host="localhost"), headers, settings, SOON)
        ws.send("hello")
        assert ws.receive(SOON) == "hello"
        ws.close()
        assert server.headers[0]["apikey"] == CANARY
    (seen,) = scripted.seen
    assert seen.line == f"CONNECT localhost:{server.port} HTTP/1.1"
    assert seen.headers == [
        ("host", f"localhost:{server.port}"),
        ("proxy-authorization", "Basic dXMgZXI6cEBzcw=="),
    ]


def test_no_proxy_is_respected(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{scripted.port}")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    with SocketServer() as server:
        ws = connect(server, settings=SocketSettings())
        ws.send("hello")
        assert ws.receive(SOON) == "hello"
        ws.close()
    assert scripted.connections == 0


@pytest.mark.parametrize("reply", [
    answer(407, b"who are you?"), answer(502), [send(head(200) + b"HTTP/1.1 101 x\r\n")], [close()],
    [send(head(101))], [send(b"junk\r\n\r\n")],
], ids=["407", "502", "speaks for the server", "hangs up", "101", "junk"])  # fmt: skip
def test_a_proxy_that_does_not_connect(scripted: ScriptedServer, reply: list[Step]) -> None:
    scripted.on("example.test:80", reply)
    proxy = f"http://user:{CANARY}@127.0.0.1:{scripted.port}"
    settings = SocketSettings(proxy=proxy)
    with pytest.raises(TransportError) as caught:
        WebSocket.connect("ws://example.test/", [], settings, SOON)
    assert caught.value.sent is False
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert CANARY not in repr(settings)


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "https://127.0.0.1:1", "http://", "x:y"])
def test_a_proxy_of_another_kind_is_not_supported(proxy: str) -> None:
    with pytest.raises(TransportError) as caught:
        WebSocket.connect("ws://example.test/", [], SocketSettings(proxy=proxy), SOON)
    assert (caught.value.kind, caught.value.sent) == ("unsupported", False)


# Secrets


def test_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("websockets", "websockets.client", "websocket", "asyncio", "h11"):
        caplog.set_level(logging.DEBUG, name)
    with SocketServer() as server:
        ws = connect(server, [(b"Authorization", b"Bearer " + CANARY.encode())])
        ws.send(CANARY)
        assert ws.receive(SOON) == CANARY
        ws.send("!close 4003 " + CANARY)
        with pytest.raises(SocketClosed):
            ws.receive(SOON)
        ws.close()
    assert CANARY not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("websocket")]


def test_a_lost_handshake_names_no_secret(scripted: ScriptedServer) -> None:
    scripted.on("/", [reset()])
    with pytest.raises(TransportError) as caught:
        connect(scripted, [(b"apikey", CANARY.encode())])
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [f for f in shown.stack if "/aerodb/" in f.filename]
    assert ours
    assert CANARY not in str([f.locals for f in ours])
