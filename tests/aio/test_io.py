# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""The contract of the shim's HTTP client, the same on both sides, over real sockets."""

from __future__ import annotations

import gc
import gzip
import pickle
import socket
import threading
import traceback
import warnings
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from aerodb._core.http import AnyBody, Origin, RawResponse, Request, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io.on_asyncio import HttpClient, Worker, monotonic, pause
from tests.support.faults import FaultProxy
from tests.support.scripted import (
    ScriptedServer,
    answer,
    chunked,
    close,
    echo,
    half_close,
    head,
    hold,
    reset,
    send,
    trickle,
    wait,
)

SOON = 20.0


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient(HttpSettings(trust_env=False))
    yield client
    await client.close()


def get(where: ScriptedServer | FaultProxy, target: str = "/", **headers: str) -> Request:
    listed = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Request("GET", where.origin, target, listed, None)


def post(where: ScriptedServer | FaultProxy, target: str, body: AnyBody) -> Request:
    return Request("POST", where.origin, target, [], body)


async def fetch(client: HttpClient, request: Request, seconds: float = SOON) -> RawResponse:
    return await client.send(request, monotonic() + seconds)


async def failure(client: HttpClient, request: Request, seconds: float = SOON) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await fetch(client, request, seconds)
    return caught.value


async def all_done(workers: list[Worker]) -> None:
    for worker in workers:
        assert await worker.join(60)


async def until(condition: Any) -> None:
    """Wait for something that another thread is about to do."""
    give_up = monotonic() + 30
    while not condition():
        assert monotonic() < give_up
        await pause(0.005)


# What is sent


async def test_a_request_arrives_complete(scripted: ScriptedServer, http: HttpClient) -> None:
    response = await fetch(http, get(scripted, "/a%20b?x=1&y=%2C", apikey="k"))
    assert (response.status, response.body) == (200, b"/a%20b?x=1&y=%2C\n")
    assert response.header(b"content-length") == "17"
    (seen,) = scripted.seen
    assert seen.line == "GET /a%20b?x=1&y=%2C HTTP/1.1"
    assert seen.headers == [
        ("host", f"127.0.0.1:{scripted.port}"),
        ("apikey", "k"),
        ("accept-encoding", "gzip"),
    ]


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
async def test_a_body_arrives_whole(scripted: ScriptedServer, http: HttpClient, size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    response = await fetch(http, post(scripted, "/p", body))
    assert response.body == b"/p\n" + body
    assert scripted.seen[0].header("content-length") == str(size)


class Pieces:
    """A body that is read while it is sent, of the length it says or not."""

    replayable = True
    begun = False
    handed = 0

    def __init__(self, length: int | None, *pieces: bytes | memoryview) -> None:
        self.length = length
        self.pieces = pieces

    async def chunks(self) -> AsyncIterator[bytes | memoryview]:
        for piece in self.pieces:
            yield piece


PIECES = [b"", b"ab" * 500, memoryview(b"c" * 300_000), b"", bytes(300_000), memoryview(b"ef")]


@pytest.mark.parametrize("sized", [True, False])
async def test_a_body_in_pieces_arrives_whole(
    scripted: ScriptedServer, http: HttpClient, sized: bool
) -> None:
    body = b"".join(PIECES)
    for _ in range(2):
        sent = Pieces(len(body) if sized else None, *PIECES)
        assert (await fetch(http, post(scripted, "/p", sent))).body == b"/p\n" + body
    assert scripted.seen[0].header("content-length") == (str(len(body)) if sized else None)
    assert len({seen.connection for seen in scripted.seen}) == 1


@pytest.mark.parametrize("difference", [-1, 1, 300_000])
async def test_a_body_of_another_length_than_it_says_is_refused(
    scripted: ScriptedServer, http: HttpClient, difference: int
) -> None:
    length = sum(map(len, PIECES)) + difference
    error = await failure(http, post(scripted, "/p", Pieces(length, *PIECES)))
    assert (error.kind, error.sent) == ("unsupported", True)
    assert http.sockets == 0
    assert (await fetch(http, get(scripted, "/next"))).body == b"/next\n"
    assert "/p" not in [seen.target for seen in scripted.seen]


async def test_a_post_without_body_says_so(scripted: ScriptedServer, http: HttpClient) -> None:
    await fetch(http, post(scripted, "/p", None))
    await fetch(http, get(scripted, "/g"))
    assert scripted.seen[0].header("content-length") == "0"
    assert scripted.seen[1].header("content-length") is None


async def test_the_callers_accept_encoding_stays(
    scripted: ScriptedServer, http: HttpClient
) -> None:
    await fetch(http, get(scripted, Accept_Encoding="identity"))
    assert [v for k, v in scripted.seen[0].headers if k == "accept-encoding"] == ["identity"]


async def test_no_cookie_is_kept(scripted: ScriptedServer, http: HttpClient) -> None:
    scripted.on("/", answer(200, b"", [("Set-Cookie", "a=b; Path=/")]))
    await fetch(http, get(scripted))
    await fetch(http, get(scripted))
    assert scripted.seen[1].header("cookie") is None


@pytest.mark.parametrize("value", ["s3cret\n", "s3cret\r\nX-Evil: 1", "s3cret\x00"])
async def test_a_bad_header_is_refused_without_naming_its_value(
    scripted: ScriptedServer, http: HttpClient, value: str
) -> None:
    error = await failure(http, get(scripted, Authorization=value))
    assert (error.kind, error.sent) == ("unsupported", False)
    assert "s3cret" not in "".join(traceback.format_exception(error))
    assert error.__cause__ is None
    assert scripted.seen == []
    assert (await fetch(http, get(scripted))).status == 200


# What comes back


@pytest.mark.parametrize("status", [200, 301, 307, 401, 429, 500, 599])
async def test_any_final_status_is_an_answer(
    scripted: ScriptedServer, http: HttpClient, status: int
) -> None:
    scripted.on("/", answer(status, b"x", [("Location", "/elsewhere")]))
    response = await fetch(http, get(scripted))
    assert (response.status, response.body) == (status, b"x")
    assert len(scripted.seen) == 1


async def test_interim_answers_are_skipped(scripted: ScriptedServer, http: HttpClient) -> None:
    scripted.on("/", [send(head(103, [("Link", "</a>")])), *answer(200, b"end")])
    assert (await fetch(http, get(scripted))).body == b"end"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_an_answer_without_body_may_describe_one(
    scripted: ScriptedServer, http: HttpClient, method: str, status: int
) -> None:
    headers = [("Content-Encoding", "gzip")]
    if status != 204:
        headers.append(("Content-Length", str(1 << 40)))
    scripted.on("/", [send(head(status, headers))])
    response = await fetch(http, Request(method, scripted.origin, "/", [], None))
    assert (response.status, response.body) == (status, b"")
    assert (await fetch(http, get(scripted, "/next"))).body == b"/next\n"
    assert scripted.connections == 1


DATA = b"".join(b"row %d\n" % number for number in range(20_000))


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


@pytest.mark.parametrize(
    ("coding", "wire"),
    [
        ("gzip", gzip.compress(DATA)),
        ("GZIP", gzip.compress(DATA)),
        ("x-gzip", gzip.compress(DATA)),
        ("gzip", gzip.compress(DATA[:999]) + gzip.compress(DATA[999:])),
        ("deflate", zlib.compress(DATA)),
        ("deflate", raw_deflate(DATA)),
        ("identity", DATA),
        ("", DATA),
    ],
)
@pytest.mark.parametrize("size", [1 << 30, 1000])
async def test_content_codings(
    scripted: ScriptedServer, http: HttpClient, coding: str, wire: bytes, size: int
) -> None:
    pieces = [wire[start : start + size] for start in range(0, len(wire), size)]
    scripted.on("/", chunked(pieces, [("Content-Encoding", coding)]))
    assert (await fetch(http, get(scripted))).body == DATA
    stream = await http.stream(get(scripted), monotonic() + SOON, None)
    assert b"".join([piece async for piece in stream]) == DATA
    assert scripted.connections == 1


@pytest.mark.parametrize(
    ("coding", "wire"),
    [
        ("gzip", gzip.compress(DATA)[:-1]),
        ("gzip", gzip.compress(DATA)[:2000]),
        ("gzip", gzip.compress(DATA)[:1]),
        ("gzip", b"not gzip at all"),
        ("gzip", gzip.compress(DATA) + b"more"),
        ("deflate", zlib.compress(DATA)[:-3]),
        ("deflate", zlib.compress(DATA) + b"more"),
        ("gzip, gzip", gzip.compress(gzip.compress(DATA))),
        ("gzip,identity,gzip", gzip.compress(gzip.compress(DATA))),
        ("br", DATA),
        ("zstd", DATA),
    ],
)
async def test_a_damaged_or_unwanted_coding_is_an_error(
    scripted: ScriptedServer, http: HttpClient, coding: str, wire: bytes
) -> None:
    scripted.on("/", answer(200, wire, [("Content-Encoding", coding)]))
    error = await failure(http, get(scripted))
    assert (error.kind, error.sent) == ("encoding", True)
    with pytest.raises(TransportError) as caught:
        stream = await http.stream(get(scripted), monotonic() + SOON, None)
        assert [piece async for piece in stream]
    assert caught.value.kind == "encoding"


async def test_two_coding_headers_count_together(
    scripted: ScriptedServer, http: HttpClient
) -> None:
    twice = [("Content-Encoding", "gzip"), ("content-encoding", "gzip")]
    scripted.on("/", answer(200, gzip.compress(gzip.compress(DATA)), twice))
    assert (await failure(http, get(scripted))).kind == "encoding"


BOMB = gzip.compress(bytes(50_000_000))


@pytest.mark.parametrize(
    "steps",
    [
        answer(200, bytes(100_001)),
        chunked([bytes(60_000), bytes(60_000)]),
        answer(200, BOMB, [("Content-Encoding", "gzip")]),
        [send(head(200) + bytes(200_000)), close()],
        [send(head(200, [("Content-Length", str(1 << 50))])), wait(30)],
    ],
    ids=["length", "chunked", "gzip", "until close", "announced"],
)
async def test_a_body_over_the_limit_is_refused(scripted: ScriptedServer, steps: Any) -> None:
    http = HttpClient(HttpSettings(max_response_bytes=100_000, trust_env=False))
    scripted.on("/", steps)
    error = await failure(http, get(scripted))
    assert (error.kind, error.sent) == ("too_large", True)
    assert "100000" in error.message
    assert (await fetch(http, get(scripted, "/next"))).body == b"/next\n"
    await http.close()


async def test_a_body_of_exactly_the_limit_is_not(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(max_response_bytes=100_000, trust_env=False))
    scripted.on("/", answer(200, bytes(100_000)))
    assert len((await fetch(http, get(scripted))).body) == 100_000
    await http.close()


async def test_a_stream_hands_out_a_bomb_in_small_pieces(
    scripted: ScriptedServer, http: HttpClient
) -> None:
    scripted.on("/", answer(200, BOMB, [("Content-Encoding", "gzip")]))
    stream = await http.stream(get(scripted), monotonic() + SOON, None)
    sizes = [len(piece) async for piece in stream]
    assert sum(sizes) == 50_000_000
    assert max(sizes) <= 1 << 20


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ([close()], "closed"),
        ([reset()], "closed"),
        ([send(b"HTTP/1.1 200 OK\r\nConte"), close()], "closed"),
        ([send(head(200, [("Content-Length", "10")]) + b"12345"), close()], "closed"),
        ([send(head(200, [("Content-Length", "10")]) + b"12345"), reset()], "closed"),
        ([*chunked([b"12345"], complete=False), close()], "closed"),
        ([send(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), wait(1)], "protocol"),
        ([send(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 300_000), wait(1)], "protocol"),
        ([send(head(200, [("Content-Length", "ten")])), wait(1)], "protocol"),
        ([send(head(200, [("Transfer-Encoding", "chunked")]) + b"zz\r\n"), wait(1)], "protocol"),
        ([send(head(101, [("Upgrade", "x"), ("Connection", "upgrade")])), wait(1)], "protocol"),
    ],
)
async def test_a_broken_answer_is_an_error(
    scripted: ScriptedServer, http: HttpClient, steps: Any, kind: str
) -> None:
    scripted.on("/", steps)
    error = await failure(http, get(scripted))
    assert (error.kind, error.sent) == (kind, True)
    assert (await fetch(http, get(scripted, "/next"))).body == b"/next\n"


async def test_an_answer_before_the_body_was_read_is_seen(
    scripted: ScriptedServer, http: HttpClient
) -> None:
    with ScriptedServer() as early:
        early.on("/p", [*answer(413, b"too much", [("Connection", "close")]), close()])
        assert (await fetch(http, post(early, "/p", b"x" * 100_000))).status == 413
    assert http.sockets == 0


@pytest.mark.parametrize("end", [half_close, close, reset])
@pytest.mark.parametrize("pieces", [1, 40])
async def test_a_peer_that_goes_while_a_body_is_sent(
    http: HttpClient, end: Any, pieces: int
) -> None:
    """Also one who only says no more, and reads on."""
    with ScriptedServer() as leaving:
        leaving.early = [end()]
        body = b"x" * (20_000_000 // pieces)
        sent = Pieces(len(body) * pieces, *[body] * pieces) if pieces > 1 else body
        error = await failure(http, post(leaving, "/p", sent))
        assert (error.kind, error.sent) == ("closed", True)
        assert http.sockets == 0


@pytest.mark.parametrize("pieces", [1, 40])
async def test_who_answers_early_and_goes_is_heard(http: HttpClient, pieces: int) -> None:
    """Although what is sent meanwhile makes the connection break."""
    body = b"x" * (8_000_000 // pieces)
    for _ in range(10):
        with ScriptedServer() as hasty:
            hasty.early = [*answer(413, b"too much", [("Connection", "close")]), close()]
            sent = Pieces(None, *[body] * pieces) if pieces > 1 else body
            assert (await fetch(http, post(hasty, "/p", sent))).body == b"too much"
        assert http.sockets == 0


# Connections


async def test_connections_are_used_again(scripted: ScriptedServer, http: HttpClient) -> None:
    for number in range(5):
        await fetch(http, get(scripted, f"/{number}"))
    assert {seen.connection for seen in scripted.seen} == {1}
    assert http.sockets == 1


async def test_the_last_one_used_is_used_first(scripted: ScriptedServer, http: HttpClient) -> None:
    gate = threading.Event()
    scripted.on("/held", [hold(gate), echo])

    async def ask() -> None:
        await fetch(http, get(scripted, "/held"))

    workers = [Worker(ask, f"ask-{number}") for number in range(3)]
    await until(lambda: len(scripted.seen) == 3)
    gate.set()
    await all_done(workers)
    for _ in range(6):
        await fetch(http, get(scripted))
    assert scripted.connections == 3
    assert len({seen.connection for seen in scripted.seen[3:]}) == 1


@pytest.mark.parametrize("headers", [[("Connection", "close")], [("Connection", "Close")]])
async def test_a_connection_that_ends_is_not_kept(
    scripted: ScriptedServer, http: HttpClient, headers: Any
) -> None:
    scripted.on("/", [*answer(200, b"x", headers), close()])
    await fetch(http, get(scripted))
    assert http.sockets == 0
    await fetch(http, get(scripted))
    assert scripted.connections == 2


async def test_a_connection_that_the_peer_closed_is_noticed(
    scripted: ScriptedServer, http: HttpClient
) -> None:
    for number in range(5):
        response = await fetch(http, post(scripted, f"/{number}", b"once"))
        assert response.status == 200
        scripted.hang_up()
        await until(lambda: scripted.now_open == 0)
        await pause(0.02)
    assert len(scripted.seen) == 5
    assert scripted.connections == 5


async def test_bytes_nobody_asked_for_end_a_connection(
    scripted: ScriptedServer, http: HttpClient
) -> None:
    said = threading.Event()
    unasked = head(408, [("Content-Length", "0")])
    scripted.on("/", [*answer(200, b"x"), wait(0.05), send(unasked), lambda *_: said.set()])
    await fetch(http, get(scripted))
    await until(said.is_set)
    await pause(0.02)
    assert (await fetch(http, get(scripted, "/next"))).status == 200
    assert scripted.connections == 2


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_second_answer_is_not_taken_for_the_next_ones(
    scripted: ScriptedServer, http: HttpClient, method: str
) -> None:
    foreign = head(200, [("Content-Length", "7")]) + b"foreign"
    own = head(200, [("Content-Length", "3")]) + (b"own" if method == "GET" else b"")
    scripted.on("/", [send(own + foreign)])
    await fetch(http, Request(method, scripted.origin, "/", [], None))
    assert (await fetch(http, get(scripted, "/next"))).body == b"/next\n"
    stream = await http.stream(Request(method, scripted.origin, "/", [], None), None, None)
    assert b"".join([piece async for piece in stream]) in (b"own", b"")
    assert (await fetch(http, get(scripted, "/again"))).body == b"/again\n"


async def test_an_old_connection_is_dropped(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(keepalive_seconds=0.05, trust_env=False))
    await fetch(http, get(scripted))
    await pause(0.1)
    await fetch(http, get(scripted))
    assert scripted.connections == 2
    await until(lambda: scripted.now_open == 1)
    await http.close()


async def test_a_reused_connection_that_dies_has_sent(
    scripted: ScriptedServer, http: HttpClient
) -> None:
    await fetch(http, get(scripted))
    scripted.on("/", [reset()])
    error = await failure(http, post(scripted, "/", b"once"))
    assert (error.kind, error.sent) == ("closed", True)
    assert scripted.connections == 1


async def test_a_refused_connection_has_not_sent(http: HttpClient) -> None:
    with ScriptedServer() as server:
        pass
    error = await failure(http, get(server))
    assert (error.kind, error.sent) == ("connect", False)
    assert str(server.port) in error.message


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".test", "a..test"])
async def test_an_unknown_name_has_not_sent(http: HttpClient, host: str) -> None:
    error = await failure(http, Request("GET", Origin("http", host, 80), "/", [], None))
    assert (error.kind, error.sent) == ("connect", False)


class Resolver:
    """What the system's resolver answers for names that end in `.test`; it can be slow."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, list[tuple[str, int]]] = {}
        self.go_on = threading.Event()
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: Any, *arguments: Any, **options: Any) -> Any:
        if host not in self.answers:
            return self._real(host, *arguments, **options)
        if not self.answers[host]:
            self.go_on.wait(10)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in self.answers[host]
        ]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    fake = Resolver(monkeypatch)
    yield fake
    fake.go_on.set()


@pytest.fixture
def dead_end() -> Iterator[tuple[str, int]]:
    """An address that lets every connection attempt hang: its backlog is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address: tuple[str, int] = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(address)
        yield address
        for sock in waiting:
            sock.close()


async def test_the_connect_timeout_covers_the_resolver(resolver: Resolver) -> None:
    http = HttpClient(HttpSettings(connect_timeout=0.2, trust_env=False))
    resolver.answers["slow.test"] = []
    error = await failure(http, Request("GET", Origin("http", "slow.test", 80), "/", [], None))
    assert (error.kind, error.sent) == ("timeout", False)
    resolver.go_on.set()
    await http.close()


@pytest.mark.parametrize("turns", [1, 3])
async def test_an_address_that_does_not_answer_is_passed_over(
    scripted: ScriptedServer,
    http: HttpClient,
    resolver: Resolver,
    dead_end: tuple[str, int],
    turns: int,
) -> None:
    good = ("127.0.0.1", scripted.port)
    resolver.answers["both.test"] = [dead_end] * turns + [good, ("127.0.0.1", 1)]
    origin = Origin("http", "both.test", 80)
    response = await fetch(http, Request("GET", origin, "/x", [], None))
    assert response.body == b"/x\n"
    assert scripted.seen[0].header("host") == "both.test"
    assert http.sockets == 1


async def test_connecting_where_nobody_answers_ends_in_time(
    resolver: Resolver, dead_end: tuple[str, int]
) -> None:
    http = HttpClient(HttpSettings(connect_timeout=0.4, trust_env=False))
    for addresses in ([dead_end], [dead_end, ("127.0.0.1", 1)]):
        resolver.answers["dead.test"] = addresses
        error = await failure(http, Request("GET", Origin("http", "dead.test", 80), "/", [], None))
        assert (error.kind, error.sent) == ("timeout", False)
    assert http.sockets == 0
    await http.close()


async def test_all_addresses_refusing_is_a_refusal(http: HttpClient, resolver: Resolver) -> None:
    with ScriptedServer() as gone:
        pass
    resolver.answers["gone.test"] = [("127.0.0.1", gone.port), ("127.0.0.2", gone.port)]
    error = await failure(http, Request("GET", Origin("http", "gone.test", 80), "/", [], None))
    assert (error.kind, error.sent) == ("connect", False)
    assert "refused" in error.message


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_localhost_is_both_loopback_addresses(http: HttpClient, address: str) -> None:
    try:
        server = ScriptedServer(address=address)
    except OSError:
        pytest.skip(f"no {address} on this machine")
    with server:
        origin = Origin("http", "localhost", server.port)
        response = await fetch(http, Request("GET", origin, "/x", [], None))
        assert response.body == b"/x\n"
        assert server.seen[0].header("host") == f"localhost:{server.port}"
        literal = await fetch(http, get(server, "/y"))
        assert literal.body == b"/y\n"


async def test_other_origins_idle_connections_make_room() -> None:
    http = HttpClient(HttpSettings(max_connections=2, trust_env=False))
    with ScriptedServer() as one, ScriptedServer() as two, ScriptedServer() as three:
        for server in (one, two, three, one, two, three):
            await fetch(http, get(server))
            assert http.sockets <= 2
    await http.close()


# The gate


async def test_never_more_in_flight_than_connections(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(max_connections=4, trust_env=False))
    scripted.on("/slow", [wait(0.01), echo])
    statuses: list[int] = []

    async def ask() -> None:
        for _ in range(3):
            statuses.append((await fetch(http, get(scripted, "/slow"))).status)

    await all_done([Worker(ask, f"ask-{number}") for number in range(24)])
    assert statuses == [200] * 72
    assert scripted.most_at_once <= 4
    await http.close()


async def test_first_come_first_served(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(max_connections=1, trust_env=False))
    gate = threading.Event()
    scripted.on("/held", [hold(gate), echo])
    started: list[int] = []

    def asking(number: int) -> Any:
        async def ask() -> None:
            started.append(number)
            await fetch(http, get(scripted, "/held" if number == 0 else f"/{number}"))

        return ask

    workers: list[Worker] = []
    for number in range(8):
        workers.append(Worker(asking(number), f"ask-{number}"))
        await until(lambda: len(started) == len(workers))
        await pause(0.02)
    gate.set()
    await all_done(workers)
    assert [seen.target for seen in scripted.seen] == ["/held", *(f"/{n}" for n in range(1, 8))]
    await http.close()


async def test_waiting_for_a_permit_ends_with_the_deadline(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(max_connections=1, trust_env=False))
    stream = await http.stream(get(scripted), None, None)
    error = await failure(http, get(scripted, "/second"), 0.1)
    assert (error.kind, error.sent) == ("timeout", False)
    with pytest.raises(TransportError) as caught:
        await http.stream(get(scripted, "/second"), None, 0.1)
    assert (caught.value.kind, caught.value.sent) == ("timeout", False)
    assert [seen.target for seen in scripted.seen] == ["/"]
    await stream.close()
    assert (await fetch(http, get(scripted, "/third"))).status == 200
    await http.close()


async def test_too_many_in_the_queue_fail_at_once(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(max_connections=1, max_waiting=0, trust_env=False))
    stream = await http.stream(get(scripted), None, None)
    error = await failure(http, get(scripted, "/second"))
    assert (error.kind, error.sent) == ("timeout", False)
    await stream.close()
    await http.close()


# The deadline

TRICKLED = head(200, [("Content-Length", "100"), ("X-Padding", "x" * 50)]) + b"x" * 100


@pytest.mark.parametrize(
    "steps",
    [
        [wait(5), *answer()],
        [trickle(TRICKLED, 0.1)],
        [send(TRICKLED[:-100]), trickle(TRICKLED[-100:], 0.1)],
        [send(head(200, [("Transfer-Encoding", "chunked")])), trickle(b"1\r\nx\r\n" * 20, 0.1)],
    ],
    ids=["silence", "slow head", "slow body", "slow chunks"],
)
async def test_one_deadline_covers_all_reading(scripted: ScriptedServer, steps: Any) -> None:
    http = HttpClient(HttpSettings(trust_env=False))
    scripted.on("/", steps)
    started = monotonic()
    error = await failure(http, get(scripted), 0.4)
    assert (error.kind, error.sent) == ("timeout", True)
    assert monotonic() - started < 4.0  # the server needs five seconds and more
    assert (await fetch(http, get(scripted, "/next"))).status == 200
    await http.close()


async def test_one_deadline_covers_writing(scripted: ScriptedServer, http: HttpClient) -> None:
    with FaultProxy(scripted.port) as proxy:
        proxy.set("throttle", seconds=0.5, size=1024)
        error = await failure(http, post(proxy, "/p", bytes(20_000_000)), 0.4)
    assert (error.kind, error.sent) == ("timeout", True)


async def test_a_deadline_that_has_passed_sends_nothing(
    scripted: ScriptedServer, http: HttpClient
) -> None:
    error = await failure(http, get(scripted), -1.0)
    assert (error.kind, error.sent) == ("timeout", False)
    await fetch(http, get(scripted, "/warm"))
    error = await failure(http, get(scripted), -1.0)
    assert (error.kind, error.sent) == ("timeout", False)
    assert [seen.target for seen in scripted.seen] == ["/warm"]


async def test_the_connect_timeout_covers_the_handshake(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(connect_timeout=0.2, verify=False, trust_env=False))
    silent = Origin("https", "127.0.0.1", scripted.port)
    error = await failure(http, Request("GET", silent, "/", [], None))
    assert (error.kind, error.sent) == ("timeout", False)
    assert scripted.seen == []
    await http.close()


# Faults on the way


@pytest.mark.parametrize("mode", ["refuse", "reset"])
async def test_after_a_fault_has_gone_calls_work_again(
    scripted: ScriptedServer, http: HttpClient, mode: Any
) -> None:
    with FaultProxy(scripted.port) as proxy:
        assert (await fetch(http, get(proxy))).status == 200
        proxy.set(mode)
        await pause(0.05)
        error = await failure(http, get(proxy))
        assert error.kind == ("connect" if mode == "refuse" else "closed")
        assert error.sent == (mode == "reset")
        proxy.set("pass")
        assert (await fetch(http, get(proxy))).status == 200


@pytest.mark.parametrize("size", [1, 15, 40, 60, 1000])
async def test_a_cut_anywhere_is_an_error(
    scripted: ScriptedServer, http: HttpClient, size: int
) -> None:
    scripted.on("/", answer(200, b"x" * 5000))
    with FaultProxy(scripted.port) as proxy:
        proxy.set("cut", size=size)
        error = await failure(http, get(proxy))
    assert (error.kind, error.sent) == ("closed", True)


async def test_a_swallowed_request_ends_with_the_deadline(
    scripted: ScriptedServer, http: HttpClient
) -> None:
    with FaultProxy(scripted.port) as proxy:
        assert (await fetch(http, get(proxy))).status == 200
        proxy.set("blackhole")
        error = await failure(http, get(proxy), 0.3)
        assert (error.kind, error.sent) == ("timeout", True)
        proxy.set("latency", seconds=0.05)
        assert (await fetch(http, get(proxy))).status == 200


async def test_a_half_closed_connection_is_an_error(
    scripted: ScriptedServer, http: HttpClient
) -> None:
    scripted.on("/", [wait(0.2), *answer(200, b"late")])
    with FaultProxy(scripted.port) as proxy:
        failed: list[TransportError] = []

        async def ask() -> None:
            failed.append(await failure(http, get(proxy)))

        worker = Worker(ask, "ask")
        await until(lambda: len(scripted.seen) == 1)
        proxy.set("half_close")
        assert await worker.join(30)
    assert (failed[0].kind, failed[0].sent) == ("closed", True)


# Sharing


async def test_answers_never_cross(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(max_connections=8, trust_env=False))
    wrong: list[str] = []

    def asking(name: int) -> Any:
        async def ask() -> None:
            for number in range(20):
                target = f"/{name}/{number}"
                response = await fetch(http, post(scripted, target, target.encode()))
                if response.body != target.encode() + b"\n" + target.encode():
                    wrong.append(target)

        return ask

    await all_done([Worker(asking(name), f"ask-{name}") for name in range(16)])
    assert wrong == []
    assert len(scripted.seen) == 320
    assert scripted.most_at_once <= 8
    await http.close()


# Streams


async def test_a_stream_is_read_in_pieces_and_gives_its_connection_back(
    scripted: ScriptedServer, http: HttpClient
) -> None:
    go_on = threading.Event()
    first = head(200, [("Content-Length", "10"), ("X-A", "b")]) + b"12345"
    scripted.on("/", [send(first), hold(go_on), send(b"67890")])
    stream = await http.stream(get(scripted), monotonic() + SOON, None)
    assert stream.status == 200
    assert (b"X-A", b"b") in stream.raw_headers
    pieces: list[bytes] = []
    async for piece in stream:
        pieces.append(piece)
        go_on.set()
    assert pieces == [b"12345", b"67890"]
    await stream.close()
    await fetch(http, get(scripted, "/next"))
    assert scripted.connections == 1


async def test_a_stream_closed_early_gives_up_its_connection(
    scripted: ScriptedServer, http: HttpClient
) -> None:
    scripted.on("/", [send(head(200, [("Content-Length", "10")]) + b"12345"), wait(1)])
    stream = await http.stream(get(scripted), monotonic() + SOON, None)
    await stream.close()
    await stream.close()
    assert [piece async for piece in stream] == []
    await fetch(http, get(scripted, "/next"))
    assert scripted.connections == 2
    await until(lambda: http.sockets == 1)


async def test_a_stream_that_breaks_raises_once(scripted: ScriptedServer, http: HttpClient) -> None:
    scripted.on("/", [*chunked([b"12345"], complete=False), close()])
    stream = await http.stream(get(scripted), monotonic() + SOON, None)
    pieces: list[bytes] = []
    with pytest.raises(TransportError) as caught:
        async for piece in stream:
            pieces.append(piece)
    assert (caught.value.kind, caught.value.sent) == ("closed", True)
    assert pieces == [b"12345"]
    assert [piece async for piece in stream] == []


@pytest.mark.parametrize(("deadline", "idle"), [(0.3, None), (None, 0.2), (20.0, 0.2)])
@pytest.mark.parametrize("after_head", [True, False])
async def test_a_silent_stream_ends(
    scripted: ScriptedServer, deadline: float | None, idle: float | None, after_head: bool
) -> None:
    http = HttpClient(HttpSettings(max_connections=1, trust_env=False))
    start = [send(head(200, [("Content-Length", "10")]) + b"1")] if after_head else []
    scripted.on("/", [*start, wait(3)])
    until_then = None if deadline is None else monotonic() + deadline
    with pytest.raises(TransportError) as caught:
        stream = await http.stream(get(scripted), until_then, idle)
        async for _ in stream:
            pass
    assert (caught.value.kind, caught.value.sent) == ("timeout", True)
    assert (await fetch(http, get(scripted, "/next"))).status == 200
    await http.close()


async def test_an_idle_timeout_lets_a_slow_stream_live(
    scripted: ScriptedServer, http: HttpClient
) -> None:
    scripted.on("/", [trickle(head(200, [("Content-Length", "8")]), 0.0), trickle(b"x" * 8, 0.1)])
    stream = await http.stream(get(scripted), None, 0.7)
    assert b"".join([piece async for piece in stream]) == b"x" * 8


async def test_a_forgotten_stream_gives_its_permit_back(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(max_connections=1, trust_env=False))
    scripted.on("/", [send(head(200, [("Content-Length", "10")]) + b"1"), wait(1)])
    stream = await http.stream(get(scripted), None, None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del stream
        gc.collect()
    assert "neither closed nor read" in str([warning.message for warning in caught])
    assert (await fetch(http, get(scripted, "/next"))).status == 200
    await until(lambda: http.sockets == 1)
    await http.close()


# The end


async def test_a_closed_client_says_so(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(trust_env=False))
    await fetch(http, get(scripted))
    await http.close()
    await http.close()
    error = await failure(http, get(scripted))
    assert (error.kind, error.sent) == ("client_closed", False)
    with pytest.raises(TransportError) as caught:
        await http.stream(get(scripted), None, None)
    assert caught.value.kind == "client_closed"
    await until(lambda: scripted.now_open == 0)


async def test_an_unused_client_can_be_closed() -> None:
    http = HttpClient(HttpSettings())
    await http.close()
    await http.close()


async def test_closing_ends_calls_under_way(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(max_connections=2, trust_env=False))
    scripted.on("/held", [wait(3), *answer()])
    kinds: list[tuple[str, bool]] = []

    async def ask() -> None:
        error = await failure(http, get(scripted, "/held"))
        kinds.append((error.kind, error.sent))

    workers = [Worker(ask, f"ask-{number}") for number in range(4)]
    await until(lambda: len(scripted.seen) == 2)
    await pause(0.02)

    async def end() -> None:
        await http.close()

    workers += [Worker(end, f"end-{number}") for number in range(20)]
    await all_done(workers)
    assert sorted(kinds) == [("client_closed", False)] * 2 + [("client_closed", True)] * 2
    assert http.sockets == 0


async def test_a_client_is_never_pickled(http: HttpClient) -> None:
    with pytest.raises(TypeError, match="make one where it is used"):
        pickle.dumps(http)
