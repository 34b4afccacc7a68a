# GENERATED from tests/aio/test_functions.py by scripts/generate.py [6709ac05c1c6]: do not edit
"""Calls of functions over real sockets: headers, identities, repetition, streams (§6, §1.8)."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from aerodb import AeroDBAPIError
from aerodb._core.options import ClientOptions
from aerodb.sync import AeroDBClient, _transport
from tests.support.forms import form_of
from tests.support.scripted import (
    ScriptedServer,
    answer,
    chunked,
    close,
    head,
    hold,
    reset,
    send,
    wait,
)
from tests.support.token_desk import TokenDesk, refusal, reply

PUBLISHABLE = "aero_pk_0123456789abcdef"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl"
PATH = "/functions/v1/f"
PLATFORM = ("X-Aerodb-Error", "function_error")
AT_ONCE = ("Retry-After", "0")
EVENTS = ("Content-Type", "text/event-stream")


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance always picks the shortest wait between two attempts."""
    monkeypatch.setattr(_transport, "jitter", lambda: 0.0)


def make(scripted: ScriptedServer, key: str | None = PUBLISHABLE, **more: Any) -> AeroDBClient:
    options = ClientOptions(trust_env=False, **more)
    return AeroDBClient(f"http://127.0.0.1:{scripted.port}", key, options=options)


@pytest.fixture
def client(scripted: ScriptedServer) -> Iterator[AeroDBClient]:
    with make(scripted) as made:
        yield made


# --- headers and identities -----------------------------------------------------------------------


def test_headers_of_one_call_are_gone_with_it(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    given = {"X-Own": "1", "X-Client-Info": "mine", "Authorization": "Bearer mine"}
    client.functions.invoke("f", {"a": 1}, given)
    client.functions.invoke("f")
    with client.functions.stream("f", None, given, "GET"):
        pass
    client.functions.invoke("f", "text")
    client.from_("t").select().execute()
    own = [seen.header("x-own") for seen in scripted.seen]
    assert own == ["1", None, "1", None, None]
    bearers = [seen.header("authorization") for seen in scripted.seen]
    assert bearers == ["Bearer mine", None, "Bearer mine", None, None]
    kinds = [seen.header("content-type") for seen in scripted.seen[:4]]
    assert kinds == ["application/json", None, None, "text/plain; charset=utf-8"]
    assert scripted.seen[0].header("x-client-info") == "mine"
    assert str(scripted.seen[1].header("x-client-info")).startswith("aerodb-py/")
    assert given["X-Own"] == "1"


def test_who_calls(scripted: ScriptedServer) -> None:
    """Wire-contract §1.2: a user's token, else the caller's own, else a key that is a JWT."""
    own = {"authorization": "Bearer own"}
    with make(scripted) as opaque, make(scripted, JWT) as shaped:
        for client in (opaque, shaped, shaped.as_user("user-token")):
            client.functions.invoke("f")
            client.functions.invoke("f", None, own)
    bearers = [seen.header("authorization") for seen in scripted.seen]
    assert bearers == [
        None,
        "Bearer own",
        f"Bearer {JWT}",
        "Bearer own",
        "Bearer user-token",
        "Bearer user-token",
    ]
    keys = [seen.header("apikey") for seen in scripted.seen]
    assert keys == [PUBLISHABLE] * 2 + [JWT] * 4


def test_no_credential_of_one_call_shows_in_an_error(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    def echo(sock: Any, seen: Any) -> None:
        body = f"you are {seen.header('authorization')} and {seen.header('apikey')}".encode()
        for step in answer(400, body, [("Content-Type", "text/plain")]):
            step(sock, seen)

    scripted.on(PATH, [echo])
    token = "a-token-of-ones-own"
    refused = client.functions.invoke("f", None, {"Authorization": f"Bearer {token}"})
    assert refused.error is not None
    assert "you are" in refused.error.message
    assert token not in str(refused.error) + repr(refused)
    assert PUBLISHABLE not in str(refused.error) + repr(refused)


# --- repetition -----------------------------------------------------------------------------------

FINE = answer(200, b'{"ok":true}', [("Content-Type", "application/json")])


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("failure", "for_writes"),
    [
        (reply(503, None, AT_ONCE, PLATFORM), True),
        (reply(429, None, AT_ONCE, PLATFORM), True),
        (reply(503, None, AT_ONCE), False),
        (reply(429, None, AT_ONCE), False),
        (reply(503, None, PLATFORM), False),
        (reply(502), False),
        (reply(504, None, PLATFORM), False),
        ([reset()], False),
    ],
)
def test_what_is_repeated(
    client: AeroDBClient,
    scripted: ScriptedServer,
    method: Any,
    failure: Any,
    for_writes: bool,
) -> None:
    last = answer(200) if method == "HEAD" else FINE
    scripted.on(PATH, failure, last)
    answered = client.functions.invoke("f", method=method)
    repeated = for_writes or method in ("GET", "HEAD")
    assert (answered.error is None) == repeated
    assert len(scripted.seen) == (2 if repeated else 1)
    assert len({seen.header("x-request-id") for seen in scripted.seen}) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_answer_that_breaks_off(
    client: AeroDBClient, scripted: ScriptedServer, method: Any
) -> None:
    half = [send(head(200, [("Content-Length", "9")]) + b"half"), close()]
    scripted.on(PATH, half, FINE)
    answered = client.functions.invoke("f", method=method)
    assert len(scripted.seen) == (2 if method == "GET" else 1)
    if method == "GET":
        assert answered.data == {"ok": True}
    else:
        assert answered.error is not None
        assert answered.error.maybe_applied


@pytest.mark.parametrize("status", [400, 404, 500, 501])
def test_what_is_never_repeated(
    client: AeroDBClient, scripted: ScriptedServer, status: int
) -> None:
    scripted.on(PATH, reply(status, None, AT_ONCE, PLATFORM), FINE)
    assert (client.functions.invoke("f", method="GET")).error is not None
    assert len(scripted.seen) == 1


def test_a_body_that_is_read_as_it_is_sent_is_sent_once(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    refused = reply(503, None, AT_ONCE, PLATFORM)
    scripted.on(PATH, refused, refused, FINE)
    answered = client.functions.invoke("f", iter([b"a" * 100_000, b"b" * 100_000]))
    assert answered.error is not None
    assert (answered.error.status, answered.error.attempts) == (503, 1)
    assert scripted.seen[0].body == b"a" * 100_000 + b"b" * 100_000
    assert scripted.seen[0].header("transfer-encoding") == "chunked"
    assert scripted.seen[0].header("content-length") is None
    again = client.functions.invoke("f", b"held in memory")
    assert again.data == {"ok": True}
    assert len(scripted.seen) == 3


def test_nothing_follows_a_body_that_was_not_sent_to_its_end(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    """The server goes on reading, and would take the next call for the rest of this one."""
    scripted.early = answer(413, b"too much")
    error = (client.functions.invoke("f", iter([bytes(30_000_000)]))).error
    assert error is not None
    assert error.status == 413
    scripted.early = None
    assert (client.functions.invoke("f", "next")).ok


def test_a_body_that_nobody_has_read_can_still_be_sent() -> None:
    with ScriptedServer() as gone:
        port = gone.port
    pieces = iter([b"first", b"second"])
    options = ClientOptions(trust_env=False)
    with AeroDBClient(f"http://127.0.0.1:{port}", options=options) as client:
        answered = client.functions.invoke("f", pieces)
    assert answered.error is not None
    assert (answered.error.code, answered.error.attempts) == ("NETWORK_ERROR", 3)
    assert not answered.error.maybe_applied
    assert next(pieces) == b"first"


CONTENT = bytes(range(256)) * 1500


@pytest.mark.parametrize("kind", ["path", "file", "BytesIO"])
def test_a_file_has_a_length_and_can_be_sent_again(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "f.bin"
    path.write_bytes(CONTENT)
    standing = io.BytesIO(b"skip" + CONTENT)
    standing.seek(4)
    refused = reply(503, None, AT_ONCE, PLATFORM)
    scripted.on(PATH, refused, FINE)
    with path.open("rb") as opened:
        given: Any = {"path": path, "file": opened, "BytesIO": standing}[kind]
        (client.functions.invoke("f", given)).unwrap()
        assert not opened.closed
    assert [seen.body for seen in scripted.seen] == [CONTENT, CONTENT]
    assert {seen.header("content-length") for seen in scripted.seen} == {str(len(CONTENT))}
    assert {seen.header("content-type") for seen in scripted.seen} == {"application/octet-stream"}


@pytest.mark.parametrize("whole", [True, False])
def test_files_of_a_form_are_read_as_they_are_sent(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path, whole: bool
) -> None:
    path = tmp_path / "f.bin"
    path.write_bytes(CONTENT)
    scripted.on(PATH, FINE)
    with path.open("rb") as opened:
        files: Any = {"one": path, "two": ("b.txt", opened, "text/plain"), "three": b"3"}
        if not whole:
            files["four"] = ("d", iter([CONTENT[:10], CONTENT[10:]]))
        (client.functions.invoke("f", {"title": "t"}, files=files)).unwrap()
    seen = scripted.seen[0]
    expected = [("one", "f.bin", CONTENT), ("two", "b.txt", CONTENT), ("three", "three", b"3"),
                ("four", "d", CONTENT)]  # fmt: skip
    assert form_of(seen) == ({"title": b"t"}, expected[:3] if whole else expected)
    assert seen.header("content-length") == (str(len(seen.body)) if whole else None)


def test_a_stream_takes_files_too(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "f.bin").write_bytes(CONTENT)
    scripted.on(PATH, FINE)
    with client.functions.stream("f", files={"a": tmp_path / "f.bin"}) as stream:
        assert stream.error is None
    assert form_of(scripted.seen[0]) == ({}, [("a", "f.bin", CONTENT)])


def test_what_cannot_be_read_is_not_sent(
    client: AeroDBClient, scripted: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("text")
    with (tmp_path / "text").open() as text:
        for given, code in (
            (tmp_path / "none", "FILE_ERROR"),
            (tmp_path, "FILE_ERROR"),
            (text, "INVALID_ARGUMENT"),
        ):
            for body, files in ((given, None), (None, {"a": given}), (None, {"a": ("n", given)})):
                error = (client.functions.invoke("f", body, files=files)).error
                assert error is not None
                assert error.code == code
            with client.functions.stream("f", given) as stream:
                assert stream.error is not None
                assert stream.error.code == code
    assert scripted.seen == []


def test_a_file_that_changes_is_no_call(scripted: ScriptedServer, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x" * 5_000_000)
    options = ClientOptions(trust_env=False)
    scripted.on(PATH, FINE)

    def shrinking() -> Iterator[bytes]:
        yield b"first"
        path.write_bytes(b"short")

    with AeroDBClient(f"http://127.0.0.1:{scripted.port}", options=options) as client:
        files: Any = {"a": ("a", shrinking()), "b": path}
        error = (client.functions.invoke("f", files=files)).error
    assert error is not None
    assert error.code == "SOURCE_CHANGED"
    assert not error.maybe_applied


class Broken(Exception):
    pass


def breaking() -> Iterator[bytes]:
    yield b"x" * 300_000
    raise Broken


def test_what_the_callers_own_source_raises_goes_to_the_caller(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    with pytest.raises(Broken):
        client.functions.invoke("f", breaking())
    error = (client.functions.invoke("f", iter(["text"]))).error
    assert error is not None
    assert error.code == "INVALID_ARGUMENT"
    assert "rb" in str(error.hint)
    scripted.on(PATH, FINE)
    assert (client.functions.invoke("f")).data == {"ok": True}


# --- the 401 replay (§2.5, 4) ---------------------------------------------------------------------

BEARER = ("WWW-Authenticate", 'Bearer error="invalid_token"')


@pytest.fixture
def desk(scripted: ScriptedServer) -> TokenDesk:
    return TokenDesk(scripted)


@pytest.mark.parametrize(
    ("headers", "replayed"),
    [
        ([BEARER], True),
        ([("X-Aerodb-Error", "token_expired")], True),
        ([], False),
        ([("WWW-Authenticate", "Bearer")], False),
        ([("WWW-Authenticate", 'Basic realm="mine"')], False),
    ],
)
def test_a_401_is_replayed_only_if_the_platform_made_it(
    client: AeroDBClient,
    scripted: ScriptedServer,
    desk: TokenDesk,
    headers: Any,
    replayed: bool,
) -> None:
    client.auth.set_session(*desk.open())
    scripted.on(PATH, reply(401, {"error": "no"}, *headers), FINE)
    answered = client.functions.invoke("f", {"a": 1})
    assert (answered.error is None) == replayed
    assert desk.refreshes == int(replayed)
    expected = ["Bearer access1", "Bearer access2"][: 2 if replayed else 1]
    assert desk.bearers(PATH) == expected
    sent = [seen.body for seen in scripted.seen if seen.target == PATH]
    assert sent == [b'{"a":1}'] * len(expected)


def test_a_401_to_a_one_shot_body_renews_the_session_and_no_more(
    client: AeroDBClient, scripted: ScriptedServer, desk: TokenDesk
) -> None:
    client.auth.set_session(*desk.open())
    scripted.on(PATH, refusal(401, "token_expired"), FINE)
    answered = client.functions.invoke("f", iter([b"x"]))
    assert answered.error is not None
    assert (answered.error.status, answered.error.code) == (401, "token_expired")
    assert desk.refreshes == 1
    assert (client.functions.invoke("f", iter([b"x"]))).data == {"ok": True}
    assert desk.bearers(PATH) == ["Bearer access1", "Bearer access2"]


# --- errors ---------------------------------------------------------------------------------------


def test_errors_of_a_relay(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(PATH, reply(500, None, ("x-relay-error", "true")))
    answered = client.functions.invoke("f")
    assert answered.error is not None
    assert (answered.error.status, answered.error.code) == (500, "relay_error")
    assert answered.error.maybe_applied


def test_a_redirect_is_not_followed(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(PATH, reply(302, None, ("Location", "https://elsewhere.example/")))
    for method in ("POST", "GET"):
        answered = client.functions.invoke("f", method=method)  # type: ignore[call-overload]
        assert answered.error.code == "UNEXPECTED_REDIRECT"


def test_time_runs_out(client: AeroDBClient, scripted: ScriptedServer) -> None:
    never = threading.Event()
    scripted.on(PATH, [hold(never)])
    answered = client.functions.invoke("f", timeout=0.2)
    never.set()
    assert answered.error is not None
    assert answered.error.code == "TIMEOUT"
    assert answered.error.maybe_applied
    assert len(scripted.seen) == 1


def test_nothing_is_sent_for_arguments_that_cannot_be(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    calls: list[dict[str, Any]] = [
        {"name": "../auth/v1/admin"},
        {"name": "f", "body": {"a": 1}, "method": "GET"},
        {"name": "f", "headers": {"Host": "evil"}},
        {"name": "f", "path": "../g"},
    ]
    for arguments in calls:
        refused = client.functions.invoke(**arguments)
        assert refused.error is not None
        assert refused.error.code == "INVALID_ARGUMENT"
        with client.functions.stream(**arguments) as stream:
            assert stream.error == refused.error
            assert stream.status is None
    assert scripted.seen == []


# --- streams --------------------------------------------------------------------------------------


def test_a_stream_lasts_longer_than_its_timeout_if_it_is_not_silent(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    events = [step for n in range(5) for step in (send(b"9\r\ndata: %d\n\n\r\n" % n), wait(0.5))]
    start = send(head(200, [EVENTS, ("Transfer-Encoding", "chunked")]))
    scripted.on(PATH, [start, *events, send(b"0\r\n\r\n")])
    with client.functions.stream("f", timeout=2) as stream:
        assert [event.data for event in stream.iter_events()] == ["0", "1", "2", "3", "4"]


def test_a_silent_stream_times_out(client: AeroDBClient, scripted: ScriptedServer) -> None:
    never = threading.Event()
    start = head(200, [EVENTS, ("Transfer-Encoding", "chunked")])
    scripted.on(PATH, [send(start + b"9\r\ndata: 1\n\n\r\n"), hold(never)])
    seen = []
    with client.functions.stream("f", timeout=0.3) as stream:
        with pytest.raises(AeroDBAPIError) as caught:
            for event in stream.iter_events():
                seen.append(event.data)
    never.set()
    assert seen == ["1"]
    assert caught.value.code == "TIMEOUT"
    assert stream.error is caught.value.error


def test_a_stream_whose_beginning_does_not_come(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    never = threading.Event()
    scripted.on(PATH, [hold(never)])
    with client.functions.stream("f", timeout=0.2) as stream:
        assert stream.error is not None
        assert stream.error.code == "TIMEOUT"
    never.set()


def test_a_stream_without_limit(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(PATH, chunked([b"a\n", b"b"]))
    with client.functions.stream("f", timeout=float("inf")) as stream:
        assert [line for line in stream.iter_lines()] == ["a", "b"]


def test_lines_and_events_are_not_held_without_limit(scripted: ScriptedServer) -> None:
    scripted.on(PATH, chunked([b"data: " + b"x" * 3000] * 3, complete=False))
    with make(scripted, max_response_bytes=8000) as client:
        for kind in ("iter_lines", "iter_events"):
            with client.functions.stream("f") as stream:
                with pytest.raises(AeroDBAPIError) as caught:
                    for _ in getattr(stream, kind)():
                        pass
            assert caught.value.code == "RESPONSE_TOO_LARGE"
            assert stream.error is caught.value.error


def test_a_stream_that_breaks_off(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on(PATH, [*chunked([b"one\n", b"two"], complete=False), close()])
    lines = []
    with client.functions.stream("f") as stream:
        with pytest.raises(AeroDBAPIError) as caught:
            for line in stream.iter_lines():
                lines.append(line)
        assert lines == ["one"]
        assert caught.value.code == "NETWORK_ERROR"
        with pytest.raises(AeroDBAPIError):
            for _ in stream.iter_bytes():
                pass


def test_how_a_stream_is_used(client: AeroDBClient, scripted: ScriptedServer) -> None:
    stream = client.functions.stream("f")
    with pytest.raises(TypeError, match="context manager"):
        for _ in stream.iter_bytes():
            pass
    assert scripted.seen == []
    with stream:
        pass
    with pytest.raises(TypeError, match="opened already"):
        with stream:
            pass
    assert len(scripted.seen) == 1


def test_a_stream_given_up_gives_its_connection_up(scripted: ScriptedServer) -> None:
    scripted.on(PATH, chunked([b"x" * 1000], complete=False))
    with make(scripted, max_connections=1) as client:
        for _ in range(3):
            with client.functions.stream("f") as stream:
                for _piece in stream.iter_bytes():
                    break
    assert len(scripted.seen) == 3


# --- through httpx --------------------------------------------------------------------------------


def test_through_a_client_of_ones_own(scripted: ScriptedServer) -> None:
    scripted.on("/functions/v1/s", chunked([b"data: 1\n\ndata", b": 2\n\n"], [EVENTS]))
    with httpx.Client(trust_env=False) as mine:
        client = AeroDBClient(f"http://127.0.0.1:{scripted.port}", http_client=mine)
        answered = client.functions.invoke("f", iter([b"a", b"b"]), response_type="text")
        assert answered.data == f"{PATH}\nab"
        with client.functions.stream("s") as stream:
            assert [event.data for event in stream.iter_events()] == ["1", "2"]
        client.close()
    assert scripted.seen[0].header("transfer-encoding") == "chunked"


def test_the_list(client: AeroDBClient, scripted: ScriptedServer) -> None:
    scripted.on("/functions/v1", reply(200, [{"name": "f", "version": 3}]))
    (found,) = (client.functions.list()).unwrap()
    assert (found.name, found.version, found.methods) == ("f", "3", None)
    scripted.on("/functions/v1", reply(200, json.dumps({"no": "list"})))
    refused = (client.functions.list()).error
    assert refused is not None
    assert refused.code == "INVALID_RESPONSE"
