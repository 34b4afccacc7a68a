# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Functions of a real instance, called by a real client (wire-contract §6)."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aerodb import AeroDBAPIError
from aerodb.aio import AeroDBClient


async def called(client: AeroDBClient, **more: Any) -> dict[str, Any]:
    data = (await client.functions.invoke("echo", **more)).unwrap()
    assert isinstance(data, dict)
    return data


async def test_a_function_gets_what_was_sent(anon: AeroDBClient) -> None:
    seen = await called(
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
async def test_every_method(anon: AeroDBClient, method: Any) -> None:
    assert (await called(anon, method=method))["method"] == method


async def test_head_has_no_data(anon: AeroDBClient) -> None:
    answer = await anon.functions.invoke("echo", method="HEAD")
    assert (answer.data, answer.error, answer.meta.status) == (None, None, 200)


async def test_no_key_reaches_a_function(server: Any, client: AeroDBClient) -> None:
    seen = await called(client)
    assert seen["role"] == "service_role"
    assert server.service_key not in str(seen)
    by_bearer = await called(client, headers={"Authorization": f"Bearer {server.service_key}"})
    assert by_bearer["role"] == "service_role"
    assert server.service_key not in str(by_bearer)


async def test_a_user_is_who_the_token_says(server: Any, anon: AeroDBClient) -> None:
    token = server.create_token(sub="5b0e8f0e-0000-4000-8000-000000000001", email="a@b.example")
    seen = await called(anon.as_user(token))
    assert seen["role"] == "authenticated"
    assert seen["claims"]["email"] == "a@b.example"
    assert seen["headers"]["authorization"] == f"Bearer {token}"  # to act as the user
    assert (await called(anon))["role"] == "anon"
    refused = (await anon.as_user(token + "x").functions.invoke("echo")).error
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
async def test_what_handlers_return(anon: AeroDBClient, path: str, status: int, data: Any) -> None:
    answer = await anon.functions.invoke("answers", path=path)
    assert answer.error is None
    assert answer.meta.status == status
    assert answer.data == data


async def test_headers_of_a_function(anon: AeroDBClient) -> None:
    answer = await anon.functions.invoke("answers", path="headers")
    assert (answer.data, answer.meta.status) == ("x", 201)
    assert answer.meta.headers["x-own"] == "1"
    for forged in ("x-aerodb-error", "x-relay-error"):
        assert forged not in answer.meta.headers


async def test_a_functions_own_refusal_is_told_from_the_platforms(anon: AeroDBClient) -> None:
    own = (await anon.functions.invoke("answers", path="teapot")).error
    assert own is not None
    assert (own.status, own.code, own.message) == (418, "teapot", "no tea")
    assert own.details == {"error": "no tea", "code": "teapot", "extra": [1]}
    unavailable = await anon.functions.invoke("answers", path="unavailable")
    assert unavailable.error is not None
    assert unavailable.error.attempts == 1
    assert unavailable.error.maybe_applied
    missing = (await anon.functions.invoke("no_such")).error
    assert missing is not None
    assert (missing.status, missing.code, missing.details) == (404, "function_not_found", None)


@pytest.mark.parametrize("path", ["raise", "exit", "killed", "unsendable"])
async def test_a_failing_function_tells_nothing_of_itself(anon: AeroDBClient, path: str) -> None:
    answer = await anon.functions.invoke("failing", path=path)
    assert answer.error is not None
    assert (answer.error.status, answer.error.code) == (500, "function_error")
    assert "s3cr3t" not in str(answer)
    assert (await anon.functions.invoke("failing", {"ok": 1}, path="json")).data == {"ok": 1}


@pytest.mark.parametrize("path", ["bad status", "bad header", "no such key"])
async def test_answers_that_cannot_be_sent(anon: AeroDBClient, path: str) -> None:
    answer = await anon.functions.invoke("answers", path=path)
    assert answer.error is not None
    assert answer.error.code == "function_error"
    assert "x-forged" not in answer.meta.headers


async def test_refusals_of_the_platform(anon: AeroDBClient) -> None:
    delete = await anon.functions.invoke("failing", method="DELETE")
    assert delete.error is not None
    assert (delete.error.status, delete.error.code) == (405, "method_not_allowed")
    assert delete.meta.headers["allow"] == "GET, HEAD, POST"
    not_json = (await anon.functions.invoke("failing", "{", path="json")).error
    assert not_json is not None
    assert (not_json.status, not_json.code) == (400, "validation_failed")
    large = (await anon.functions.invoke("echo", b"x" * (10 * 1024 * 1024 + 1))).error
    assert large is not None
    assert (large.status, large.code) == (413, "payload_too_large")
    unread = await anon.functions.invoke("echo", iter([b"x" * 1024 * 1024] * 11))
    assert unread.error is not None
    assert unread.error.code in ("payload_too_large", "NETWORK_ERROR")


async def numbers() -> AsyncIterator[bytes]:
    for number in range(1000):
        yield b"%d," % number


async def test_bodies_that_are_read_as_they_are_sent(anon: AeroDBClient, tmp_path: Path) -> None:
    written = "".join(f"{number}," for number in range(1000))
    seen = await called(anon, body=numbers())
    assert seen["body"] == written
    assert seen["headers"]["content-type"] == "application/octet-stream"
    assert (await called(anon, body=io.BytesIO(written.encode())))["body"] == written
    assert (await called(anon, body=iter([b"a", bytearray(b"b")])))["body"] == "ab"
    (tmp_path / "f.txt").write_text(written)
    assert (await called(anon, body=tmp_path / "f.txt"))["body"] == written
    form = await called(anon, files={"a": tmp_path / "f.txt", "b": ("b", iter([b"it", b"er"]))})
    head = 'filename="f.txt"\r\nContent-Type: application/octet-stream\r\n\r\n'
    assert head + written in form["body"]
    assert "\r\n\r\niter\r\n--" in form["body"]
    assert (await called(anon, body=iter([])))["body"] == ""


async def test_form_data(anon: AeroDBClient) -> None:
    seen = await called(anon, body={"title": "x"}, files={"file": ("a.txt", b"content")})
    assert seen["headers"]["content-type"].startswith("multipart/form-data; boundary=")
    assert 'name="file"; filename="a.txt"' in seen["body"]


@dataclass
class Echo:
    method: str
    role: str


async def test_typed_answers(anon: AeroDBClient) -> None:
    answer = await anon.functions.invoke("echo", returns=Echo)
    assert answer.unwrap() == Echo("POST", "anon")
    wrong = (await anon.functions.invoke("answers", path="list", returns=Echo)).error
    assert wrong is not None
    assert wrong.code == "DECODE_ERROR"
    assert wrong.maybe_applied


async def test_lines_and_pieces(anon: AeroDBClient) -> None:
    async with anon.functions.stream("stream", path="text") as stream:
        assert (stream.status, stream.error) == (200, None)
        assert stream.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert [line async for line in stream.iter_lines()] == ["one", "two", "drei ä"]
    async with anon.functions.stream("stream", path="objects") as stream:
        assert stream.headers["content-type"] == "application/x-ndjson"
        pieces = [piece async for piece in stream.iter_bytes()]
        assert b"".join(pieces) == b'{"n":0}\n{"n":1}\n{"n":2}\n'
    async with anon.functions.stream("stream", path="empty") as stream:
        assert [piece async for piece in stream.iter_bytes()] == []
    whole = await anon.functions.invoke("stream", path="text")
    assert whole.data == "one\ntwo\ndrei ä"


async def test_events(anon: AeroDBClient) -> None:
    async with anon.functions.stream("stream", path="events") as stream:
        events = [event async for event in stream.iter_events()]
    assert (events[0].event, events[0].id, events[0].data) == ("greeting", "1", "first\nsecond")
    assert [event.json() for event in events[1:]] == [{"n": 0}, {"n": 1}, {"n": 2}]


async def test_a_stream_without_end_is_left_at_will(anon: AeroDBClient) -> None:
    for _ in range(3):
        count = 0
        async with anon.functions.stream("stream", path="endless") as stream:
            async for _event in stream.iter_events():
                count += 1
                if count == 5:
                    break
        assert count == 5
    assert (await called(anon))["method"] == "POST"


async def test_a_stream_that_breaks_is_told(anon: AeroDBClient) -> None:
    async with anon.functions.stream("stream", path="breaking") as stream:
        with pytest.raises(AeroDBAPIError) as caught:
            assert [piece async for piece in stream.iter_bytes()] == []
        assert stream.error is not None
        assert caught.value.error is stream.error
        assert stream.error.code == "NETWORK_ERROR"
        assert stream.error.maybe_applied


async def test_a_stream_that_cannot_be_opened(anon: AeroDBClient) -> None:
    async with anon.functions.stream("no_such") as stream:
        assert stream.error is not None
        assert stream.error.code == "function_not_found"
        assert (stream.status, stream.response.ok) == (404, False)
        with pytest.raises(AeroDBAPIError, match="function_not_found"):
            assert [event async for event in stream.iter_events()] == []
    async with anon.functions.stream("answers", path="teapot") as stream:
        assert stream.error is not None
        assert stream.error.details["extra"] == [1]


async def test_the_list(anon: AeroDBClient) -> None:
    found = {info.name: info for info in (await anon.functions.list()).unwrap()}
    assert {"answers", "echo", "failing", "stream"} <= set(found)
    assert found["failing"].methods == ("GET", "POST")
    assert found["echo"].methods is None
    assert found["echo"].version
    health = (await anon.health()).unwrap()
    assert health.services["functions"] == "ok"
    assert health.supports("functions.stream")
