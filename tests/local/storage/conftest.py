"""An instance with its storage part, and people who keep things in it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from aerodb.local import LocalServer

PREFIX = "/storage/v1"


@dataclass(slots=True)
class Person:
    """A user with a token; `headers` {} is somebody who has none."""

    http: httpx.Client = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    id: str | None = None

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {**self.headers, **more.pop("headers", {})}
        return self.http.request(method, PREFIX + path, headers=headers, **more)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.call("GET", path, **more)

    def post(self, path: str, json: Any = None, **more: Any) -> httpx.Response:
        return self.call("POST", path, json=json, **more)

    def delete(self, path: str, **more: Any) -> httpx.Response:
        return self.call("DELETE", path, **more)

    def bucket(self, policy: str = "private", **settings: Any) -> str:
        """Make a bucket with a name of its own."""
        name = new_name()
        answer = self.post("/bucket", {"name": name, "policy": policy, **settings})
        assert answer.status_code == 201, answer.text
        return name

    def upload(self, bucket: str, key: str, content: bytes = b"x", **more: Any) -> dict[str, Any]:
        """Store an object; `key` must need no escape."""
        answer = self.post(f"/object/{bucket}/{key}", content=content, **more)
        assert answer.status_code in (200, 201), answer.text
        found: dict[str, Any] = answer.json()
        return found

    def content(self, bucket: str, key: str) -> bytes:
        answer = self.get(f"/object/{bucket}/{key}")
        assert answer.status_code == 200, answer.text
        return answer.content

    def keys(self, bucket: str, **query: Any) -> list[str]:
        answer = self.get(f"/object/list/{bucket}", params=query)
        assert answer.status_code == 200, answer.text
        return [found["path"] for found in answer.json()]


@dataclass(slots=True)
class Desk:
    """An instance, and where it keeps its files."""

    server: LocalServer
    http: httpx.Client = field(repr=False)
    root: Path

    def person(self) -> Person:
        """Somebody new, signed in."""
        user = str(uuid4())
        token = self.server.create_token(sub=user)
        return Person(self.http, {"Authorization": f"Bearer {token}"}, user)

    @property
    def service(self) -> Person:
        return Person(self.http, {"apikey": self.server.service_key})

    @property
    def nobody(self) -> Person:
        return Person(self.http, {})

    def sql(self, text: str, *parameters: Any) -> list[dict[str, Any]]:
        return self.server.execute_sql(text, parameters or None)

    def files(self) -> list[Path]:
        """Every file in the object store."""
        return [path for path in self.root.rglob("*") if path.is_file()]

    def settle(self) -> None:
        """Wait until as many files are there as the database knows of, and none is doomed."""
        eventually(
            lambda: (
                not self.sql("select from storage.contents where doomed_at is not null")
                and len(self.files()) == len(self.sql("select from storage.contents"))
            )
        )


def new_name() -> str:
    return f"b-{uuid4().hex}"


def eventually(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


@contextlib.contextmanager
def held(desk: Desk, event: str, table: str = "objects") -> Generator[psycopg.Connection[Any]]:
    """Statements of `event` on a table wait while the connection given here has its lock."""
    desk.sql(
        "create or replace function held_back() returns trigger language plpgsql "
        "security definer as $$ begin perform pg_advisory_xact_lock(4711); return null; end $$"
    )
    desk.sql(
        f"create trigger held {event} on storage.{table} "
        "for each statement execute function held_back()"
    )
    try:
        with psycopg.connect(desk.server.database_url, autocommit=True) as connection:
            connection.execute("select pg_advisory_lock(4711)")
            yield connection
    finally:
        desk.sql(f"drop trigger held on storage.{table}")
        desk.sql("drop function held_back")


def waiting(desk: Desk, answer: Future[httpx.Response]) -> None:
    """Wait until a request has come to where `held` holds it, or to its end without."""
    query = "select from pg_locks where locktype = 'advisory' and not granted"
    eventually(lambda: answer.done() or bool(desk.sql(query)))


def said(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, whose whole shape is looked at (wire contract §1.3, §1.5)."""
    body = answer.json()
    assert set(body) == {"error", "code", "message", "status"}, answer.text
    assert body["error"] == body["message"] != ""
    assert body["status"] == answer.status_code
    assert answer.headers["x-aerodb-error"] == body["code"]
    assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)
    return answer.status_code, body["code"]


def opened(server: LocalServer) -> Iterator[Desk]:
    folder = server.database.folder
    assert folder is not None
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http:
        yield Desk(server, http, folder.path / "storage")


@pytest.fixture(scope="session")
def storage_server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture(scope="session")
def desk(storage_server: LocalServer) -> Iterator[Desk]:
    yield from opened(storage_server)


@pytest.fixture
def alice(desk: Desk) -> Person:
    return desk.person()


@pytest.fixture
def bob(desk: Desk) -> Person:
    return desk.person()
