"""Uploads that break off, a disk that is full, a process that is killed (reliability S1-S3)."""

from __future__ import annotations

import asyncio
import hashlib
import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from aerodb import AeroDBClient, AsyncAeroDBClient
from tests.local.storage.conftest import PREFIX, Desk, Person, eventually, said
from tests.local.storage.instance import OtherProcess
from tests.local.storage.test_resumable import begin, progress, send

MEBIBYTE = 1024 * 1024


def head(person: Person, path: str, length: int | None, method: str = "POST", **more: str) -> bytes:
    """The head of a request that is sent by hand."""
    address = urlsplit(str(person.http.base_url))
    lines = [f"{method} {PREFIX}{path} HTTP/1.1", f"Host: {address.netloc}"]
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    headers = {**person.headers, **{name.replace("_", "-"): text for name, text in more.items()}}
    lines += [framing, *(f"{name}: {text}" for name, text in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def connected(person: Person) -> socket.socket:
    address = urlsplit(str(person.http.base_url))
    return socket.create_connection((address.hostname, address.port), timeout=60)


# --- what a client does to it -------------------------------------------------------------------


@pytest.mark.parametrize("multipart", [False, True])
@pytest.mark.parametrize("reset", [False, True])
def test_an_upload_that_breaks_off_leaves_nothing(
    desk: Desk, alice: Person, multipart: bool, reset: bool
) -> None:
    bucket = alice.bucket()
    alice.upload(bucket, "kept", b"old")
    desk.settle()
    before = sorted(desk.files())
    kind = "multipart/form-data; boundary=x" if multipart else "text/plain"
    form = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    for key, length in [("new", 10 * MEBIBYTE), ("kept", 10 * MEBIBYTE), ("chunked", None)]:
        with connected(alice) as connection:
            start = head(
                alice, f"/object/{bucket}/{key}", length, Content_Type=kind, x_upsert="true"
            )
            body = (form if multipart else b"") + bytes(MEBIBYTE)
            if length is None:
                body = f"{len(body):x}\r\n".encode() + body + b"\r\n"
            connection.sendall(start + body)
            eventually(lambda: len(desk.files()) > len(before))
            if reset:
                linger = (1).to_bytes(4, "little") + bytes(4)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        desk.settle()
        assert sorted(desk.files()) == before
    assert alice.keys(bucket) == ["kept"]
    assert alice.content(bucket, "kept") == b"old"


def test_lengths_that_lie(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    for length, sent in [(10, b"12345"), (3, b"12345")]:
        with connected(alice) as connection:
            connection.sendall(head(alice, f"/object/{bucket}/k{length}", length) + sent)
            connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                while connection.recv(65536):
                    pass
    desk.settle()
    assert alice.keys(bucket) == ["k3"]
    assert alice.content(bucket, "k3") == b"123"
    for length in ("-1", "x", "1, 2"):
        bad = head(alice, f"/object/{bucket}/bad", 5).replace(
            b"Content-Length: 5", f"Content-Length: {length}".encode()
        )
        with connected(alice) as connection:
            connection.sendall(bad + b"12345")
            assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
    assert alice.keys(bucket) == ["k3"]


def test_who_may_not_write_is_told_before_the_body(desk: Desk, alice: Person, bob: Person) -> None:
    bucket = alice.bucket()
    with connected(bob) as connection:
        connection.sendall(head(bob, f"/object/{bucket}/k", 10**12))
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
    with connected(alice) as connection:
        connection.sendall(head(alice, f"/object/{bucket}/k", 10**12))
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
    with connected(alice) as connection:
        connection.sendall(head(alice, f"/object/{bucket}/k", 3, Expect="100-continue"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"abc")
        assert connection.recv(65536).startswith(b"HTTP/1.1 201 ")
    desk.settle()


def test_two_uploads_of_one_key(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    contents = [bytes([number]) * MEBIBYTE for number in range(6)]

    def create(content: bytes) -> int:
        return alice.post(f"/object/{bucket}/new", content=content).status_code

    def put(content: bytes) -> int:
        return alice.call("PUT", f"/object/{bucket}/k", content=content).status_code

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(create, contents)) == [201, *[409] * 5]
        assert sorted(threads.map(put, contents)) == [*[200] * 5, 201]
    for key in ("new", "k"):
        info = alice.get(f"/object/info/{bucket}/{key}").json()
        content = alice.content(bucket, key)
        assert content in contents
        assert info["etag"] == f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    desk.settle()


def test_an_upload_into_a_bucket_that_goes_meanwhile(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    with connected(alice) as connection:
        connection.sendall(head(alice, f"/object/{bucket}/k", MEBIBYTE) + bytes(MEBIBYTE // 2))
        assert alice.delete(f"/bucket/{bucket}").status_code == 204
        connection.sendall(bytes(MEBIBYTE // 2))
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
    desk.settle()


# --- what happens to the process ----------------------------------------------------------------


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OtherProcess]:
    with OtherProcess(tmp_path_factory.mktemp("instance") / "data") as process:
        yield process


def test_a_full_disk(other: OtherProcess) -> None:
    desk = other.desk
    alice = desk.person()
    bucket = alice.bucket()
    alice.upload(bucket, "before", b"kept")
    path = begin(alice, bucket, "resumable", 4 * MEBIBYTE)
    assert send(alice, path, 0, b"first").status_code == 204
    other.ask(f"limit {MEBIBYTE}")
    for method in ("POST", "PUT"):
        key = "new" if method == "POST" else "before"
        answer = alice.call(method, f"/object/{bucket}/{key}", content=bytes(2 * MEBIBYTE))
        assert said(answer) == (507, "storage_full")
    assert said(send(alice, path, 5, bytes(2 * MEBIBYTE))) == (507, "storage_full")
    assert progress(alice, path) == 5
    assert alice.keys(bucket) == ["before"]
    assert alice.content(bucket, "before") == b"kept"
    desk.settle()
    alice.upload(bucket, "small", b"there is room for that")
    other.ask("limit -1")
    alice.upload(bucket, "new", bytes(2 * MEBIBYTE))


async def through(colour: str, url: str, key: str, bucket: str, path: Path) -> list[Any]:
    """The answers of the client to uploads by all its ways."""
    zeros = [bytes(MEBIBYTE)] * 2
    if colour == "sync":
        with AeroDBClient(url, key) as client:
            to = client.storage.from_(bucket)
            return [to.upload("new", path), to.update("before", path),
                    to.upload("new", iter(zeros)),
                    to.upload_resumable("new", path)]  # fmt: skip
    async with AsyncAeroDBClient(url, key) as other:
        at = other.storage.from_(bucket)
        return [await at.upload("new", path), await at.update("before", path),
                await at.upload("new", iter(zeros)),
                await at.upload_resumable("new", path)]  # fmt: skip


@pytest.mark.parametrize("colour", ["aio", "sync"])
def test_the_client_is_told_of_a_full_disk(
    other: OtherProcess, tmp_path: Path, colour: str
) -> None:
    desk = other.desk
    bucket = desk.service.bucket()
    desk.service.upload(bucket, "before", b"kept")
    (tmp_path / "f").write_bytes(bytes(2 * MEBIBYTE))
    other.ask(f"limit {MEBIBYTE}")
    key = other.desk.server.service_key
    try:
        answers = asyncio.run(through(colour, desk.server.url, key, bucket, tmp_path / "f"))
    finally:
        other.ask("limit -1")
    for answer in answers:
        assert (answer.error.status, answer.error.code) == (507, "storage_full")
    assert desk.service.keys(bucket) == ["before"]
    assert desk.service.content(bucket, "before") == b"kept"
    url = answers[-1].error.details["upload_url"]  # which would go on once there is room
    assert desk.service.delete(urlsplit(url).path.removeprefix(PREFIX),
                               headers={"Tus-Resumable": "1.0.0"}).status_code == 204  # fmt: skip
    desk.settle()


def test_memory_stays_what_it_was(other: OtherProcess) -> None:
    alice = other.desk.person()
    bucket = alice.bucket(file_size_limit="1GB")
    alice.upload(bucket, "warm", bytes(8 * MEBIBYTE))
    assert len(alice.content(bucket, "warm")) == 8 * MEBIBYTE
    before = int(other.ask("rss"))
    block, blocks = bytes(MEBIBYTE), 128

    def body() -> Iterator[bytes]:
        for _ in range(blocks):
            yield block

    assert alice.call("PUT", f"/object/{bucket}/raw", content=body()).status_code == 201
    path = begin(alice, bucket, "tus", blocks * MEBIBYTE)
    for start in range(0, blocks * MEBIBYTE, 32 * MEBIBYTE):
        assert send(alice, path, start, bytes(32 * MEBIBYTE)).status_code == 204
    for key in ("raw", "tus"):
        with alice.http.stream(
            "GET", f"{PREFIX}/object/{bucket}/{key}", headers=alice.headers
        ) as answer:
            assert sum(len(chunk) for chunk in answer.iter_bytes()) == blocks * MEBIBYTE
    grown = int(other.ask("rss")) - before
    assert grown < 32 * 1024, f"{grown} KiB for {blocks} MiB"


OWNER = "5a9e2c4c-9f0e-4f4e-8a33-3a8c2f6b7d10"


def owner_at(other: OtherProcess) -> Person:
    token = other.desk.server.create_token(sub=OWNER)
    return Person(other.http, {"Authorization": f"Bearer {token}"}, OWNER)


class Writers:
    """Write objects until the server dies; what was sent and what was answered is remembered.

    Each has keys of its own, so the order of what was sent for one key is known.
    """

    def __init__(self, person: Person, bucket: str) -> None:
        self.url = f"{person.http.base_url}{PREFIX}/object/{bucket}/"
        self.headers = person.headers
        self.sent: dict[str, list[bytes]] = {}
        self.answered: dict[str, bytes] = {}
        for key in person.keys(bucket):
            self.sent[key] = [person.content(bucket, key)]
            self.answered[key] = self.sent[key][0]

    def write(self, prefix: str, source: random.Random) -> None:
        with httpx.Client(trust_env=False) as http, suppress(httpx.HTTPError):
            while True:
                key = f"{prefix}-{source.randrange(3)}"
                content = source.randbytes(source.randrange(1, 600_000))
                self.sent.setdefault(key, []).append(content)
                answer = http.put(self.url + key, content=content, headers=self.headers)
                assert answer.status_code in (200, 201), answer.text
                self.answered[key] = content

    def check(self, desk: Desk, person: Person, bucket: str) -> None:
        """Every object is whole or absent; what was answered is there; nothing else is left."""
        desk.settle()
        keys = person.keys(bucket)
        assert set(self.answered) <= set(keys) <= set(self.sent)
        for key in keys:
            allowed = self.sent[key]
            if key in self.answered:
                allowed = allowed[allowed.index(self.answered[key]) :]
            assert person.content(bucket, key) in allowed
        assert len(desk.files()) == len(keys)


def test_an_instance_that_is_killed_while_it_takes_objects_in(tmp_path: Path) -> None:
    shuffler = random.Random(5)
    bucket = ""
    writers: Writers | None = None
    for life in range(3):
        with OtherProcess(tmp_path / "data") as other:
            alice = owner_at(other)
            bucket = bucket or alice.bucket()
            if writers is not None:
                writers.check(other.desk, alice, bucket)
            if life == 2:
                break
            writers = Writers(alice, bucket)
            sources = [random.Random(shuffler.random()) for _ in range(3)]
            with ThreadPoolExecutor(3) as threads:
                jobs = [threads.submit(writers.write, f"w{n}", s) for n, s in enumerate(sources)]
                try:
                    eventually(lambda found=writers: len(found.answered) >= 3)
                    time.sleep(shuffler.uniform(0, 0.2))
                finally:
                    other.kill()
            for job in jobs:
                job.result()


def test_a_resumable_upload_goes_on_after_a_crash(tmp_path: Path) -> None:
    data = tmp_path / "data"
    content = random.Random(6).randbytes(2 * MEBIBYTE)
    bucket = path = ""
    lives = 0
    while True:
        lives += 1
        with OtherProcess(data) as other:
            alice = owner_at(other)
            if not path:
                bucket = alice.bucket()
                path = begin(alice, bucket, "k", len(content))
            start = progress(alice, path)
            assert start >= MEBIBYTE * (lives - 1)
            chunk = content[start : start + MEBIBYTE]
            assert send(alice, path, start, chunk).status_code == 204
            if start + len(chunk) == len(content):
                assert alice.content(bucket, "k") == content
                other.desk.settle()
                assert len(other.desk.files()) == 1
                break
            with connected(alice) as connection:
                patch = head(
                    alice, path, MEBIBYTE, "PATCH",
                    Tus_Resumable="1.0.0",
                    Upload_Offset=str(start + len(chunk)),
                    Content_Type="application/offset+octet-stream",
                )  # fmt: skip
                connection.sendall(patch + bytes(MEBIBYTE // 2))
                other.kill()
    assert lives == 2
