# GENERATED from tests/aio/test_transport_answers.py by scripts/generate.py [99bfb184e0df]: do not edit
"""What becomes of answers that are too large, damaged, or not what was asked for (reliability C6).

And what never shows, whatever happens: the key (S1, S2, S4).
"""

from __future__ import annotations

import dataclasses
import gzip
import logging
import pprint
import traceback
import zlib
from collections.abc import Iterator, Iterator
from typing import Any

import httpx
import pytest
import respx

from aerodb import AeroDBAPIError, ClientOptions
from aerodb.sync import AeroDBClient
from tests.support.faults import FaultProxy
from tests.support.scripted import (
    ScriptedServer,
    answer,
    chunked,
    close,
    head,
    reset,
    send,
    wait,
)

CANARY = "aero_sk_C4n4ry0123456789abcdefghijkl"
JSON = ("Content-Type", "application/json")
GZIP = ("Content-Encoding", "gzip")
LIMIT = 100_000
TABLE = "/rest/v1/t"


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def url_of(server: ScriptedServer | FaultProxy) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture
def client(scripted: ScriptedServer) -> Iterator[AeroDBClient]:
    options = ClientOptions(retries=0, max_response_bytes=LIMIT)
    with AeroDBClient(url_of(scripted), CANARY, options=options) as connected:
        yield connected


# --- bodies --------------------------------------------------------------------------------------

PACKED = gzip.compress(b'[{"id":1}]')
UNREADABLE = {
    "HTML": b"<!doctype html><title>Welcome</title>",
    "text": b"hello",
    "half an array": b'[{"id":1}',
    "two values": b"[] []",
    "single quotes": b"[{'id':1}]",
    "NaN": b'[{"id":NaN}]',
    "Infinity": b'[{"id":-Infinity}]',
    "trailing comma": b'[{"id":1},]',
    "not UTF-8": b'[{"id":"\xff"}]',
    "UTF-16": '[{"id":1}]'.encode("utf-16"),
    "deep arrays": b"[" * 5000 + b"]" * 5000,
    "deep objects": b"[" + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"]",
    "deep and open": b"[" * 50_000,
    "an object": b'{"id":1}',
    "a number": b"17",
    "null": b"null",
    "a string": b'"rows"',
    "true": b"true",
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("verb", ["select", "insert", "stream"])
def test_a_success_that_cannot_be_read(
    client: AeroDBClient, scripted: ScriptedServer, name: str, verb: str
) -> None:
    scripted.on(TABLE, answer(200, UNREADABLE[name], [JSON]))
    table = client.from_("t")
    if verb == "stream":
        with table.stream() as rows:
            with pytest.raises(AeroDBAPIError) as caught:
                [row for row in rows]
        error = caught.value.error
    else:
        query: Any = table.select() if verb == "select" else table.insert({"a": 1})
        response = query.execute()
        assert response.data is None
        error = response.error
    assert error is not None
    assert (error.code, error.status, error.attempts) == ("INVALID_RESPONSE", 200, 1)
    assert error.maybe_applied is (verb == "insert")  # it was: the status says so
    assert error.request_id == scripted.seen[0].header("x-request-id")
    assert str(error.url).startswith(url_of(scripted))
    scripted.on(TABLE, answer(200, b'[{"id":1}]', [JSON]))
    assert (table.select().execute()).data == [{"id": 1}]


@pytest.mark.parametrize("status", [200, 201, 204])
def test_an_empty_success_is_no_rows(
    client: AeroDBClient, scripted: ScriptedServer, status: int
) -> None:
    empty = answer(200) if status == 200 else [send(head(status, [("Content-Length", "0")]))]
    scripted.on(TABLE, empty if status != 204 else [send(head(204))])
    table = client.from_("t")
    assert (table.select().execute()).data == []
    assert (table.insert({"a": 1}).execute()).data == []
    error = (table.select().single().execute()).error
    assert error is not None
    assert error.code == "INVALID_RESPONSE"


def test_rows_at_the_edge_of_json(client: AeroDBClient, scripted: ScriptedServer) -> None:
    depth = 120
    rows = b'[{"n":%b,"f":1e999,"s":"\\ud800","d":%b}]' % (
        b"9" * 5000,
        b"[" * depth + b"]" * depth,
    )
    scripted.on(TABLE, answer(200, rows, [JSON]))
    (row,) = (client.from_("t").select().execute()).unwrap()
    assert row["n"] == 10**5000 - 1
    with client.from_("t").stream() as streamed:
        assert [item["n"] for item in streamed] == [row["n"]]


@pytest.mark.parametrize(
    "text",
    [
        "<html>Bad Gateway</html>",
        "[" * 5000,
        '{"message":' * 5000,
        "\x00\x1b[31m",
        "x" * 70_000,
        "",
    ],
    ids=["HTML", "deep", "deep objects", "control", "long", "empty"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_that_cannot_be_read(
    client: AeroDBClient, scripted: ScriptedServer, text: str, stream: bool
) -> None:
    scripted.on(TABLE, answer(502, text.encode(), [("Content-Type", "text/html")]))
    if stream:
        with client.from_("t").stream() as rows:
            error = rows.error
    else:
        error = (client.from_("t").select().execute()).error
    assert error is not None
    assert (error.code, error.status) == ("http_502", 502)
    assert error.message.isprintable()
    assert len(error.message) <= 500


def encoded(data: bytes, coding: str) -> list[Any]:
    return answer(200, data, [JSON, ("Content-Encoding", coding)])


@pytest.mark.parametrize(
    ("steps", "good"),
    [
        (encoded(PACKED, "gzip"), True),
        (encoded(PACKED, "x-gzip"), True),
        (encoded(zlib.compress(b'[{"id":1}]'), "deflate"), True),
        (encoded(b'[{"id":1}]', "identity"), True),
        (encoded(PACKED[:-4], "gzip"), False),
        (encoded(PACKED[: len(PACKED) // 2], "gzip"), False),
        (encoded(b'[{"id":1}]', "gzip"), False),
        (encoded(gzip.compress(PACKED), "gzip, gzip"), False),
        (encoded(PACKED, "gzip, identity"), True),
        (encoded(PACKED, "br"), False),
        (encoded(PACKED, "zstd"), False),
    ],
)
def test_content_codings(
    client: AeroDBClient, scripted: ScriptedServer, steps: Any, good: bool
) -> None:
    scripted.on(TABLE, steps)
    response = client.from_("t").select().execute()
    with client.from_("t").stream() as rows:
        streamed = outcome_of(rows)
    if good:
        assert response.data == streamed == [{"id": 1}]
    else:
        assert response.error is not None
        assert response.error.code == streamed == "INVALID_RESPONSE"
        assert not response.error.retryable


def outcome_of(rows: Any) -> Any:
    """The rows, or the code of the error."""
    try:
        return [row for row in rows]
    except AeroDBAPIError as failure:
        return failure.code


@pytest.mark.parametrize(
    "steps",
    [
        answer(200, b"[%b]" % (b" " * LIMIT), [JSON]),
        [send(head(200, [JSON, ("Content-Length", str(2**40))])), wait(5)],
        chunked([b"[" + b" " * 50_000] * 3, [JSON], complete=False),
        answer(200, gzip.compress(b"[" + b" " * 50_000_000), [JSON, GZIP]),
        chunked([gzip.compress(b" " * 60_000)] * 3, [JSON, GZIP]),
        [send(head(200, [JSON]) + b"[" + b" " * LIMIT), close()],
        answer(502, b"x" * (LIMIT + 1)),
    ],
    ids=["length", "claimed", "chunks", "bomb", "members", "until the end", "error"],
)
def test_an_answer_over_the_limit(
    client: AeroDBClient, scripted: ScriptedServer, steps: Any
) -> None:
    scripted.on(TABLE, steps)
    error = (client.from_("t").insert({"a": 1}).execute()).error
    assert error is not None
    assert error.code == "RESPONSE_TOO_LARGE"
    assert (error.attempts, error.retryable, error.maybe_applied) == (1, False, True)
    assert "max_response_bytes" in str(error.hint)
    error = (client.from_("t").select().execute()).error
    assert error is not None
    assert (error.code, error.maybe_applied) == ("RESPONSE_TOO_LARGE", False)
    scripted.on(TABLE, answer(200, b"[%b]" % (b" " * (LIMIT - 2)), [JSON]))
    assert (client.from_("t").select().execute()).data == []


def test_a_bomb_in_a_streamed_error_is_read_no_further_than_needed(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    packed = gzip.compress(b"x" * 50_000_000)
    scripted.on(TABLE, answer(400, packed, [GZIP]))
    with client.from_("t").stream() as rows:
        assert rows.error is not None
        assert (rows.error.code, rows.error.status) == ("http_400", 400)


def test_a_stream_has_no_limit_but_the_row(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    rows = b"[" + b",".join(b'{"id":%d}' % n for n in range(30_000)) + b"]"
    assert len(rows) > 2 * LIMIT
    scripted.on(TABLE, answer(200, gzip.compress(rows), [JSON, GZIP]))
    with client.from_("t").stream() as streamed:
        assert sum([row["id"] for row in streamed]) == 30_000 * 29_999 // 2


@pytest.mark.parametrize("broken", [True, False])
def test_a_truncated_body_is_never_taken_for_a_whole_one(
    client: AeroDBClient, scripted: ScriptedServer, broken: bool
) -> None:
    text = b'[{"id":1},{"id":2},{"id":3}]'
    end = reset() if broken else close()
    for size in range(len(text)):
        framed = head(200, [JSON, ("Content-Length", str(len(text)))]) + text[:size]
        bare = head(200, [JSON]) + text[:size]
        for whole in (framed, bare):
            scripted.on(TABLE, [send(whole), end])
            response = client.from_("t").select().execute()
            if response.error is None:
                assert (size, whole, response.data) == (0, bare, [])
            else:
                assert response.error.code in {"NETWORK_ERROR", "INVALID_RESPONSE"}


# --- the key never shows -------------------------------------------------------------------------


class Everything(logging.Handler):
    """Keeps each record as its text, its parts and its traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.getMessage()} {record.args!r} {vars(record)!r}")


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """All that any logger of the process says, at DEBUG."""
    root = logging.getLogger()
    handler, level = Everything(), root.level
    touched = {
        name: logger.level
        for name, logger in logging.Logger.manager.loggerDict.items()
        if isinstance(logger, logging.Logger)
    }
    for name in touched:
        logging.getLogger(name).setLevel(logging.DEBUG)
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler.texts
    root.removeHandler(handler)
    root.setLevel(level)
    for name, before in touched.items():
        logging.getLogger(name).setLevel(before)


def shown(thing: Any) -> str:
    """Every text that common tools make of a value."""
    texts = [
        repr(thing),
        str(thing),
        f"{thing}",
        f"{thing!r:>10}",
        pprint.pformat(thing),
        "%r" % (thing,),  # noqa: UP031  # as loggers do
    ]
    if hasattr(thing, "__dict__"):
        texts += [repr(vars(thing)), pprint.pformat(vars(thing))]
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        texts.append(repr(dataclasses.asdict(thing)))
    return "\n".join(texts)


def echoing(sock: Any, seen: Any) -> None:
    """An unkind server: it says in every way what it was sent."""
    keys = " ".join(value for name, value in seen.headers if name in {"apikey", "authorization"})
    text = f'{{"message":"you sent {keys}","details":{{"k":["{keys}"]}},"hint":"{keys}"}}'.encode()
    lines = [JSON, ("Content-Length", str(len(text))), ("X-Echo", keys), ("Set-Cookie", "a=b")]
    sock.sendall(head(400, lines) + text)


def echoing_as(status: int, start: str) -> Any:
    def step(sock: Any, seen: Any) -> None:
        text = (start + str(seen.header("apikey"))).encode()
        location = ("Location", f"https://elsewhere.test/?k={seen.header('apikey')}")
        sock.sendall(head(status, [("Content-Length", str(len(text))), location]) + text)

    return [step]


UNKIND: dict[str, Any] = {
    "an error with the headers in it": [echoing],
    "text": echoing_as(500, "you sent "),
    "HTML": echoing_as(502, "<html>"),
    "no JSON": echoing_as(200, "you sent "),
    "a redirect": echoing_as(302, ""),
    "a reset": [reset()],
    "no HTTP": [send(b"what?\r\n\r\n"), close()],
    "a damaged coding": answer(200, b"xx", [GZIP]),
    "too large": answer(200, b" " * (LIMIT + 1)),
    "silence": [wait(2)],
}


@pytest.mark.parametrize("name", UNKIND)
def test_the_key_is_in_no_error(
    scripted: ScriptedServer, logged: list[str], name: str
) -> None:
    scripted.on(TABLE, UNKIND[name])
    bearer = {"Authorization": f"Bearer {CANARY}"}
    options = ClientOptions(retries=1, max_response_bytes=LIMIT)
    with AeroDBClient(url_of(scripted), CANARY, headers=bearer, options=options) as client:
        texts = [shown(client), shown(options)]
        for query in (client.from_("t").select(), client.from_("t").insert({"a": 1})):
            response = query.timeout(0.3).execute()
            texts += [shown(query), shown(response), shown(response.error), shown(response.meta)]
            texts += [query.to_curl(), query.to_curl(redact=False), shown(query.to_request())]
            with pytest.raises(AeroDBAPIError) as caught:
                response.unwrap()
            texts += [shown(caught.value), every_frame(caught.value)]
        with client.from_("t").select().timeout(0.3).stream() as rows:
            texts += [shown(rows), failing(rows), shown(rows.error)]
    assert [text for text in texts if CANARY in text] == []
    # httpcore reports, at DEBUG, the head that a server sends: that one holds what it echoes.
    ours = [text for text in logged if "receive_response_headers.complete" not in text]
    assert [text for text in ours if CANARY in text] == []
    assert scripted.seen[0].header("apikey") == CANARY  # it was there to be leaked


def failing(rows: Any) -> str:
    with pytest.raises(AeroDBAPIError) as caught:
        [row for row in rows]
    return shown(caught.value) + every_frame(caught.value)


def every_frame(error: BaseException) -> str:
    """A traceback with all local variables, but for those of this file."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in told.stack if frame.filename != __file__]
    assert error.__cause__ is None
    return "".join(traceback.StackSummary.from_list(frames).format())


def test_the_key_is_in_no_log_of_a_users_client(
    scripted: ScriptedServer, logged: list[str]
) -> None:
    scripted.on(TABLE, answer(200, b"[]", [JSON]), [reset()])
    with httpx.Client() as mine:
        client = AeroDBClient(url_of(scripted), CANARY, http_client=mine)
        query = client.from_("t").select().retry("never")
        responses = [query.execute() for _ in range(2)]
        client.close()
    assert [response.ok for response in responses] == [True, False]
    assert any("HTTP Request: GET" in text for text in logged)
    assert [text for text in logged if CANARY in text] == []


@pytest.mark.parametrize("key", [CANARY + "\r\nX: y", CANARY + "\x00", "ä" + CANARY, "a " + CANARY])
def test_a_key_that_cannot_be_sent_is_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="key has white space") as caught:
        AeroDBClient("https://db.example.com", key)
    assert CANARY not in shown(caught.value)
    with pytest.raises(ValueError, match="header") as caught:
        AeroDBClient("https://db.example.com", headers={"X": f"{CANARY}\r\n"})
    assert CANARY not in shown(caught.value)


def test_a_key_from_a_file_loses_its_newline(scripted: ScriptedServer) -> None:
    scripted.on(TABLE, answer(200, b"[]", [JSON]))
    with AeroDBClient(url_of(scripted), f"{CANARY}\n") as client:
        assert (client.from_("t").select().execute()).ok
    assert scripted.seen[0].header("apikey") == CANARY


# --- a recipe: tests without a server ------------------------------------------------------------


def test_a_users_test_mocks_the_server_with_respx() -> None:
    with httpx.Client() as mine:
        client = AeroDBClient("https://db.example.com", "k", http_client=mine)
        with respx.mock(base_url="https://db.example.com/rest/v1") as server:
            listing = server.get("/todos", params={"done": "is.false"}).respond(json=[{"id": 1}])
            server.post("/todos").respond(409, json={"code": "23505", "message": "taken"})
            server.get("/down").mock(side_effect=httpx.ConnectError("no route"))
            todos = client.from_("todos")
            assert (todos.select().is_("done", False).execute()).data == [{"id": 1}]
            error = (todos.insert({"id": 1}).execute()).error
            assert error is not None
            assert (error.code, error.status) == ("23505", 409)
            error = (client.from_("down").select().timeout(0.001).execute()).error
            assert error is not None
            assert (error.code, error.maybe_applied) == ("NETWORK_ERROR", False)
        assert listing.calls.last.request.headers["apikey"] == "k"
        client.close()
        assert not mine.is_closed
