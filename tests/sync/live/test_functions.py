# GENERATED from tests/aio/live/test_functions.py by scripts/generate.py [1dad5998c512]: do not edit
"""Functions of a real instance, called by a real client (wire-contract §6)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aerodb import AeroDBAPIError
from aerodb.sync import AeroDBClient


def called(client: AeroDBClient, **more: Any) -> dict[str, Any]:
    data = (client.functions.invoke("echo", **more)).unwrap()
    assert isinstance(data, dict)
    return data


def test_a_function_gets_what_was_sent(anon: AeroDBClient) -> None:
    seen = called(
        anon,
        body={"a": 1},
        headers={"X-Own": "1"},
        method="PATCH",
        query={"x": [1, 2], "y": "a b"},
        path="some/ä path",
    )
    assert seen["name"] == "echo"
    assert seen["method"] == "PATCH"
    assert seen["path"] == "some/ä path"
    assert seen["query"] == {"x": "2", "y": "a b"}
    assert seen["body"] == '{"a":1}'
    assert seen["headers"]["content-type"] == "application/json"
    assert seen["headers"]["x-own"] == "1"
    assert seen["request_id"] == seen["headers"]["x-request-id"]
    assert (seen["role"], seen["claims"]) == ("anon", None)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method(anon: AeroDBClient, method: Any) -> None:
    assert (called(anon, method=method))["method"] == method


def test_head_has_no_data(anon: AeroDBClient) -> None:
    answer = anon.functions.invoke("echo", method="HEAD")
    assert (answer.data, answer.error, answer.meta.status) == (None, None, 200)


def test_no_key_reaches_a_function(server: Any, client: AeroDBClient) -> None:
    seen = called(client)
    assert seen["role"] == "service_role"
    assert server.service_key not in str(seen)
    by_bearer = called(client, headers={"Authorization": f"Bearer {server.service_key}"})
    assert by_bearer["role"] == "service_role"
    assert server.service_key not in str(by_bearer)


def test_a_user_is_who_the_token_says(server: Any, anon: AeroDBClient) -> None:
    token = server.create_token(sub="5b0e8f0e-0000-4000-8000-000000000001", email="a@b.example")
    seen = called(anon.as_user(token))
    assert seen["role"] == "authenticated"
    assert seen["claims"]["email"] == "a@b.example"
    assert seen["headers"]["authorization"] == f"Bearer {token}"  # to act as the user
    assert (called(anon))["role"] == "anon"
    refused = (anon.as_user(token + "x").functions.invoke("echo")).error
    assert refused is not None
    assert (refused.status, refused.code) == (401, "invalid_token")


@pytest.mark.parametrize(
    ("path", "status", "data"),
    [
        ("nothing", 204, None),
        ("object", 200, {"ä": [1, 2.5, None, True]}),
        ("list", 200, [1, 2]),
        ("number", 200, 7),
        ("text", 200, "höher"),
        ("bytes", 200, b"\0\xff"),
        ("foreign", 202, b"foreign"),
        ("large", 200, b"x" * 3_000_000),
    ],
)
def test_what_handlers_return(anon: AeroDBClient, path: str, status: int, data: Any) -> None:
    answer = anon.functions.invoke("answers", path=path)
    assert answer.error is None
    assert answer.meta.status == status
    assert answer.data == data


def test_headers_of_a_function(anon: AeroDBClient) -> None:
    answer = anon.functions.invoke("answers", path="headers")
    assert (answer.data, answer.meta.status) == ("x", 201)
    assert answer.meta.headers["x-own"] == "1"
    for forged in ("x-aerodb-error", "x-relay-error"):
        assert forged not in answer.meta.headers


def test_a_functions_own_refusal_is_told_from_the_platforms(anon: AeroDBClient) -> None:
    own = (anon.functions.invoke("answers", path="teapot")).error
    assert own is not None
    assert (own.status, own.code, own.message) == (418, "teapot", "no tea")
    assert own.details == {"error": "no tea", "code": "teapot", "extra": [1]}
    unavailable = anon.functions.invoke("answers", path="unavailable")
    assert unavailable.error is not None
    assert unavailable.error.attempts == 1
    assert unavailable.error.maybe_applied
    missing = (anon.functions.invoke("no_such")).error
    assert missing is not None
    assert (missing.status, missing.code, missing.details) == (404, "function_not_found", None)


@pytest.mark.parametrize("path", ["raise", "exit", "killed", "unsendable"])
def test_a_failing_function_tells_nothing_of_itself(anon: AeroDBClient, path: str) -> None:
    answer = anon.functions.invoke("failing", path=path)
    assert answer.error is not None
    assert (answer.error.status, answer.error.code) == (500, "function_error")
    assert "s3cr3t" not in str(answer)
    assert (anon.functions.invoke("failing", {"ok": 1}, path="json")).data == {"ok": 1}


@pytest.mark.parametrize("path", ["bad status", "bad header", "no such key"])
def test_answers_that_cannot_be_sent(anon: AeroDBClient, path: str) -> None:
    answer = anon.functions.invoke("answers", path=path)
    assert answer.error is not None
    assert answer.error.code == "function_error"
    assert "x-forged" not in answer.meta.headers


def test_refusals_of_the_platform(anon: AeroDBClient) -> None:
    delete = anon.functions.invoke("failing", method="DELETE")
    assert delete.error is not None
    assert (delete.error.status, delete.error.code) == (405, "method_not_allowed")
    assert delete.meta.headers["allow"] == "GET, HEAD, POST"
    not_json = (anon.functions.invoke("failing", "{", path="json")).error
    assert not_json is not None
    assert (not_json.status, not_json.code) == (400, "validation_failed")
    large = (anon.functions.invoke("echo", b"x" * (10 * 1024 * 1024 + 1))).error
    assert large is not None
    assert (large.status, large.code) == (413, "payload_too_large")
    unread = anon.functions.invoke("echo", iter([b"x" * 1024 * 1024] * 11))
    assert unread.error is not None
    assert unread.error.code in ("payload_too_large", "NETWORK_ERROR")


def numbers() -> Iterator[bytes]:
    for number in range(1000):
        yield b"%d," % number


def test_bodies_that_are_read_as_they_are_sent(anon: AeroDBClient, tmp_path: Path) -> None:
    written = "".join(f"{number}," for number in range(1000))
    seen = called(anon, body=numbers())
    assert seen["body"] == written
    assert seen["headers"]["content-type"] == "application/octet-stream"
    assert (called(anon, body=io.BytesIO(written.encode())))["body"] == written
    assert (called(anon, body=iter([b"a", bytearray(b"b")])))["body"] == "ab"
    (tmp_path / "f.txt").write_text(written)
    assert (called(anon, body=tmp_path / "f.txt"))["body"] == written
    form = called(anon, files={"a": tmp_path / "f.txt", "b": ("b", iter([b"it", b"er"]))})
    head = 'filename="f.txt"\r\nContent-Type: application/octet-stream\r\n\r\n'
    assert head + written in form["body"]
    assert "\r\n\r\niter\r\n--" in form["body"]
    assert (called(anon, body=iter([])))["body"] == ""


def test_form_data(anon: AeroDBClient) -> None:
    seen = called(anon, body={"title": "x"}, files={"file": ("a.txt", b"content")})
    assert seen["headers"]["content-type"].startswith("multipart/form-data; boundary=")
    assert 'name="file"; filename="a.txt"' in seen["body"]


@dataclass
class Echo:
    method: str
    role: str


def test_typed_answers(anon: AeroDBClient) -> None:
    answer = anon.functions.invoke("echo", returns=Echo)
    assert answer.unwrap() == Echo("POST", "anon")
    wrong = (anon.functions.invoke("answers", path="list", returns=Echo)).error
    assert wrong is not None
    assert wrong.code == "DECODE_ERROR"
    assert wrong.maybe_applied


def test_lines_and_pieces(anon: AeroDBClient) -> None:
    with anon.functions.stream("stream", path="text") as stream:
        assert (stream.status, stream.error) == (200, None)
        assert stream.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert [line for line in stream.iter_lines()] == ["one", "two", "drei ä"]
    with anon.functions.stream("stream", path="objects") as stream:
        assert stream.headers["content-type"] == "application/x-ndjson"
        pieces = [piece for piece in stream.iter_bytes()]
        assert b"".join(pieces) == b'{"n":0}\n{"n":1}\n{"n":2}\n'
    with anon.functions.stream("stream", path="empty") as stream:
        assert [piece for piece in stream.iter_bytes()] == []
    whole = anon.functions.invoke("stream", path="text")
    assert whole.data == "one\ntwo\ndrei ä"


def test_events(anon: AeroDBClient) -> None:
    with anon.functions.stream("stream", path="events") as stream:
        events = [event for event in stream.iter_events()]
    assert (events[0].event, events[0].id, events[0].data) == ("greeting", "1", "first\nsecond")
    assert [event.json() for event in events[1:]] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_stream_without_end_is_left_at_will(anon: AeroDBClient) -> None:
    for _ in range(3):
        count = 0
        with anon.functions.stream("stream", path="endless") as stream:
            for _event in stream.iter_events():
                count += 1
                if count == 5:
                    break
        assert count == 5
    assert (called(anon))["method"] == "POST"


def test_a_stream_that_breaks_is_told(anon: AeroDBClient) -> None:
    with anon.functions.stream("stream", path="breaking") as stream:
        with pytest.raises(AeroDBAPIError) as caught:
            assert [piece for piece in stream.iter_bytes()] == []
        assert stream.error is not None
        assert caught.value.error is stream.error
        assert stream.error.code == "NETWORK_ERROR"
        assert stream.error.maybe_applied


def test_a_stream_that_cannot_be_opened(anon: AeroDBClient) -> None:
    with anon.functions.stream("no_such") as stream:
        assert stream.error is not None
        assert stream.error.code == "function_not_found"
        assert (stream.status, stream.response.ok) == (404, False)
        with pytest.raises(AeroDBAPIError, match="function_not_found"):
            assert [event for event in stream.iter_events()] == []
    with anon.functions.stream("answers", path="teapot") as stream:
        assert stream.error is not None
        assert stream.error.details["extra"] == [1]


def test_the_list(anon: AeroDBClient) -> None:
    found = {info.name: info for info in (anon.functions.list()).unwrap()}
    assert {"answers", "echo", "failing", "stream"} <= set(found)
    assert found["failing"].methods == ("GET", "POST")
    assert found["echo"].methods is None
    assert found["echo"].version
    health = (anon.health()).unwrap()
    assert health.services["functions"] == "ok"
    assert health.supports("functions.stream")
