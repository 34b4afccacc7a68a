"""Answers that go on, under uvicorn over a real AeroDB; and callers who leave in the middle."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from aerodb import AeroDBClient, Session
from aerodb.contrib._streaming import _uses
from aerodb.contrib.fastapi import (
    DB,
    UserDB,
    aerodb_lifespan,
    channel_events,
    install_error_handlers,
    stream_object,
)
from aerodb.local import LocalServer
from tests.contrib.test_fastapi import Running, bearer

BYTES = os.urandom(8 * 1024 * 1024)


@pytest.fixture(scope="module")
def service(aerodb_server: LocalServer) -> Iterator[AeroDBClient]:
    with AeroDBClient(aerodb_server.url, aerodb_server.service_key) as client:
        client.storage.create_bucket("shelf", policy="authenticated").unwrap()
        client.storage.from_("shelf").upload("big é.bin", BYTES).unwrap()
        client.storage.from_("shelf").upload("page.html", b"<p>").unwrap()
        yield client


@pytest.fixture(scope="module")
def http(aerodb_server: LocalServer) -> Iterator[httpx.Client]:
    app = FastAPI(lifespan=aerodb_lifespan(aerodb_server.url, aerodb_server.anon_key))
    install_error_handlers(app)

    @app.get("/events/{name}")
    async def events(db: DB, name: str) -> StreamingResponse:
        return channel_events(db.channel(name), heartbeat=0.2)

    @app.get("/mine")
    async def mine(db: UserDB) -> StreamingResponse:
        return channel_events(db.channel("notes"), prepare=lambda event: event.new["body"])

    @app.get("/channels")
    async def channels(db: DB) -> dict[str, str]:
        return {channel.name: channel.state for channel in db.get_channels()}

    @app.get("/files/{path:path}")
    async def file(db: UserDB, path: str) -> StreamingResponse:
        return stream_object(db.storage.from_("shelf"), path, headers={"Cache-Control": "private"})

    with Running(app) as running, httpx.Client(base_url=running.url, timeout=30) as client:
        yield client


def lines_of(answer: httpx.Response) -> Iterator[str]:
    return (line for line in answer.iter_lines() if line)


def eventually(what: Callable[[], Any], wanted: Any) -> None:
    for _ in range(300):
        if (found := what()) == wanted:
            return
        time.sleep(0.1)
    raise AssertionError(f"{found!r} is not {wanted!r}")


def test_changes_are_server_sent_events(http: httpx.Client, service: AeroDBClient) -> None:
    with http.stream("GET", "/events/talk") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = lines_of(answer)
        assert next(lines) == ": still here"
        service.from_("talk").insert({"text": "two\nlines"}).execute().unwrap()
        found = [line for _, line in zip(range(20), lines, strict=False) if line[0] != ":"][:3]
    names = [line.partition(": ")[0] for line in found]
    assert names == ["id", "event", "data"]
    assert int(found[0].removeprefix("id: ")) > 0
    assert found[1] == "event: INSERT"
    assert json.loads(found[2].removeprefix("data: "))["new"]["text"] == "two\nlines"


def test_heartbeats_come_while_nothing_happens(http: httpx.Client) -> None:
    with http.stream("GET", "/events/quiet") as answer:
        lines = lines_of(answer)
        assert [next(lines) for _ in range(3)] == [": still here"] * 3


def test_everybody_hears_of_their_own_rows_only(
    http: httpx.Client, service: AeroDBClient, alice: Session
) -> None:
    with http.stream("GET", "/mine", headers=bearer(alice)) as answer:
        lines = lines_of(answer)
        assert next(lines) == ": still here"
        assert alice.user is not None
        for owner, body in ((None, "SSE not hers"), (alice.user.id, "SSE hers")):
            row = {"body": body, "owner": owner or "00000000-0000-0000-0000-000000000000"}
            service.from_("notes").insert(row).execute().unwrap()
        data = next(line for line in lines if line.startswith("data"))
    assert data == 'data: "SSE hers"'
    service.from_("notes").delete().like("body", "SSE%").execute().unwrap()


def test_a_channel_that_is_refused_has_a_status(http: httpx.Client) -> None:
    answer = http.get(f"/events/{'x' * 300}")
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_ARGUMENT")


def test_the_last_to_leave_ends_the_subscription(http: httpx.Client, service: AeroDBClient) -> None:
    """Thirty leave in the middle, one stays and misses nothing; then nothing is left."""
    state = lambda: http.get("/channels").json().get("talk")  # noqa: E731
    with http.stream("GET", "/events/talk") as answer:
        lines = lines_of(answer)
        assert next(lines) == ": still here"
        request = b"GET /events/talk HTTP/1.1\r\nHost: a\r\n\r\n"
        port = http.base_url.port or 0
        for _ in range(30):
            with closing(socket.create_connection(("127.0.0.1", port))) as line:
                line.sendall(request)
                assert line.recv(100)
        eventually(lambda: [use.count for use in _uses.values()], [1])
        assert state() == "joined"
        service.from_("talk").insert({"text": "still"}).execute().unwrap()
        assert '"still"' in next(line for line in lines if line.startswith("data"))
    eventually(state, "idle")
    assert _uses == {}


# --- objects -------------------------------------------------------------------------------------


def test_an_object_is_passed_on(http: httpx.Client, service: AeroDBClient, alice: Session) -> None:
    answer = http.get("/files/big é.bin", headers=bearer(alice))
    assert answer.status_code == 200
    assert answer.content == BYTES
    info = service.storage.from_("shelf").info("big é.bin").unwrap()
    assert answer.headers["content-length"] == str(len(BYTES))
    assert answer.headers["etag"] == info.etag
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == "private"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [("bytes=0-9", 0, 10), ("bytes=100-", 100, None), ("bytes=8388600-9999999", 8388600, None)],
)
def test_a_range_is_passed_on(
    http: httpx.Client, service: AeroDBClient, alice: Session, asked: str, first: int,
    end: int | None,
) -> None:  # fmt: skip
    answer = http.get("/files/big é.bin", headers={**bearer(alice), "Range": asked})
    assert answer.status_code == 206
    assert answer.content == BYTES[first:end]
    last = (len(BYTES) if end is None else end) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(BYTES)}"
    assert answer.headers["content-length"] == str(last - first + 1)


@pytest.mark.parametrize("asked", ["bytes=-5", "bytes=0-1,4-5", "lines=1-2", "bytes=9-1"])
def test_other_ranges_are_answered_by_the_whole(
    http: httpx.Client, service: AeroDBClient, alice: Session, asked: str
) -> None:
    answer = http.get("/files/page.html", headers={**bearer(alice), "Range": asked})
    assert (answer.status_code, answer.content) == (200, b"<p>")


def test_what_guards_a_page_is_passed_on(
    http: httpx.Client, service: AeroDBClient, alice: Session
) -> None:
    """An uploaded page must not run as one of the program's own."""
    answer = http.get("/files/page.html", headers=bearer(alice))
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]


def test_an_object_that_is_not_there_is_404(
    http: httpx.Client, service: AeroDBClient, alice: Session
) -> None:
    answer = http.get("/files/none", headers=bearer(alice))
    assert answer.status_code == 404
    assert http.get("/files/page.html").status_code == 401


def test_callers_that_leave_in_the_middle_leave_the_pool_healthy(
    http: httpx.Client, service: AeroDBClient, alice: Session
) -> None:
    """Twice as many as there are connections, each gone after the first bytes."""
    request = (
        "GET /files/big%20%C3%A9.bin HTTP/1.1\r\nHost: a\r\n"
        f"Authorization: Bearer {alice.access_token}\r\n\r\n"
    ).encode()
    port = http.base_url.port or 0
    for _ in range(5):
        lines = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        for line in lines:
            line.sendall(request)
        for line in lines:
            assert line.recv(100).startswith(b"HTTP/1.1 200")
            line.close()
    assert http.get("/files/page.html", headers=bearer(alice)).content == b"<p>"
