"""Objects in S3 (a stand-in for it, over real HTTP), and several instances over one database."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import boto3
import httpx
import psycopg
import pytest
from moto.server import ThreadedMotoServer
from psycopg import sql

from aerodb.local import LocalError, LocalServer
from aerodb.local.storage.s3 import S3Store
from tests.local.storage.conftest import Desk, Person, eventually, said
from tests.local.storage.test_resumable import begin, progress, send

SECRET = "a secret for tests, thirty-two characters or more"
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of an S3 that has the bucket `objects`."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "key")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        client(url).create_bucket(Bucket="objects")
        yield url
        server.stop()


def client(url: str):  # type: ignore[no-untyped-def]
    return boto3.client("s3", endpoint_url=url, region_name="us-east-1")


def stored(url: str) -> list[str]:
    found = client(url).list_objects_v2(Bucket="objects")
    return [entry["Key"] for entry in found.get("Contents", [])]


@pytest.fixture(scope="module")
def foreign_url(database_url: str) -> Iterator[str]:
    """A database of somebody else's, with nothing in it."""
    name = f"foreign_{uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        yield database_url.replace("/postgres?", f"/{name}?")
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def copies(s3: str, foreign_url: str) -> Iterator[list[Desk]]:
    """Two instances over one database and one object store; neither has a folder."""

    def start() -> LocalServer:
        return LocalServer(
            database_url=foreign_url,
            services=("rest", "storage"),
            install=True,
            storage_url=f"s3://objects/some/prefix?endpoint={s3}&region=us-east-1",
            jwt_secret=SECRET,
            db_anon_role="anon",
        )

    with (
        start() as one,
        start() as other,
        httpx.Client(base_url=one.url, trust_env=False, timeout=60) as http,
        httpx.Client(base_url=other.url, trust_env=False, timeout=60) as other_http,
    ):
        nowhere = Path("/nonexistent")
        yield [Desk(one, http, nowhere), Desk(other, other_http, nowhere)]


def both(copies: list[Desk]) -> tuple[Person, Person]:
    """One person, at either of the copies."""
    person = copies[0].person()
    return person, Person(copies[1].http, person.headers, person.id)


def settle(copies: list[Desk], s3: str) -> None:
    """Wait until what is stored is what the database knows of."""
    doomed = "select from storage.contents where doomed_at is not null"
    contents = "select from storage.contents"
    eventually(
        lambda: not copies[0].sql(doomed) and len(stored(s3)) == len(copies[0].sql(contents))
    )


@pytest.fixture
def pair(copies: list[Desk], s3: str) -> list[Desk]:
    """The copies, with nothing under way."""
    settle(copies, s3)
    return copies


def test_what_goes_into_one_copy_comes_out_of_the_other(pair: list[Desk], s3: str) -> None:
    here, there = both(pair)
    bucket = here.bucket()
    content = random.Random(4).randbytes(9 * MEBIBYTE)  # more than one part
    before = len(stored(s3))
    for key, body in [("large", content), ("small", b"x"), ("empty", b"")]:
        here.upload(bucket, key, body)
        assert there.content(bucket, key) == body
    keys = stored(s3)
    assert len(keys) == before + 3
    assert all(key.startswith("some/prefix/") for key in keys)
    part = there.get(f"/object/{bucket}/large", headers={"range": "bytes=5000000-5000009"})
    assert (part.status_code, part.content) == (206, content[5_000_000:5_000_010])
    signed = here.post(f"/object/sign/{bucket}/small", {"expiresIn": 60}).json()["signedURL"]
    assert pair[1].nobody.get(signed).content == b"x"
    there.upload(bucket, "small", b"new", headers={"x-upsert": "true"})
    assert here.content(bucket, "small") == b"new"
    assert there.delete(f"/bucket/{bucket}?force=true").status_code == 204
    eventually(lambda: len(stored(s3)) == before)


def test_a_failed_upload_leaves_nothing(pair: list[Desk], s3: str) -> None:
    here, _ = both(pair)
    bucket = here.bucket(file_size_limit=9 * MEBIBYTE)
    before = stored(s3)

    def too_much() -> Iterator[bytes]:
        for _ in range(10):
            yield bytes(MEBIBYTE)

    answer = here.call("POST", f"/object/{bucket}/k", content=too_much())
    assert said(answer) == (413, "file_too_large")
    wrong = here.post(f"/object/{bucket}/k", content=b"x", headers={"x-checksum-sha256": "0" * 64})
    assert said(wrong) == (400, "checksum_mismatch")
    settle(pair, s3)
    assert stored(s3) == before
    assert client(s3).list_multipart_uploads(Bucket="objects").get("Uploads", []) == []


def test_a_resumable_upload_over_both_copies(pair: list[Desk], s3: str) -> None:
    here, there = both(pair)
    bucket = here.bucket()
    before = len(stored(s3))
    path = begin(here, bucket, "k", 30)
    for start, person in [(0, there), (10, here), (20, there)]:
        assert progress(person, path) == start
        assert send(person, path, start, bytes([start]) * 10).status_code == 204
    assert here.content(bucket, "k") == bytes(10) + b"\x0a" * 10 + b"\x14" * 10
    eventually(lambda: len(stored(s3)) == before + 1)


def test_two_copies_write_one_key(pair: list[Desk], s3: str) -> None:
    people = both(pair)
    bucket = people[0].bucket()
    contents = [bytes([number]) * 100_000 for number in range(8)]

    def put(job: tuple[int, bytes]) -> int:
        number, content = job
        return people[number % 2].call("PUT", f"/object/{bucket}/k", content=content).status_code

    with ThreadPoolExecutor(4) as threads:
        codes = list(threads.map(put, enumerate(contents)))
    assert sorted(set(codes)) in ([200, 201], [200])
    assert people[0].content(bucket, "k") == people[1].content(bucket, "k")
    assert people[0].content(bucket, "k") in contents
    settle(pair, s3)


def test_a_store_that_does_not_answer(foreign_url: str, s3: str) -> None:
    with (
        LocalServer(storage_url=f"s3://no-such-bucket/x?endpoint={s3}&region=us-east-1") as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http,
    ):
        desk = Desk(server, http, Path("/nonexistent"))
        alice = desk.person()
        bucket = alice.bucket()
        answer = alice.post(f"/object/{bucket}/k", content=b"x")
        assert said(answer) == (503, "service_unavailable")
        assert alice.keys(bucket) == []


def test_nothing_is_installed_unless_asked_for(database_url: str, tmp_path: Path) -> None:
    name = f"untouched_{uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        url = database_url.replace("/postgres?", f"/{name}?")
        try:
            with LocalServer(database_url=url, jwt_secret=SECRET) as server:
                assert server.execute_sql("select to_regnamespace('storage') as s") == [{"s": None}]
                health = httpx.get(f"{server.url}/health", trust_env=False).json()
                assert "storage" not in health["services"]
                assert (
                    httpx.get(f"{server.url}/storage/v1/bucket", trust_env=False).status_code == 404
                )
            with pytest.raises(LocalError, match="say --install"):
                LocalServer(database_url=url, services=("rest", "storage"))
            with pytest.raises(LocalError, match="--storage-url"):
                LocalServer(
                    database_url=url,
                    services=("rest", "storage"),
                    install=True,
                    jwt_secret=SECRET,
                ).start()
            with (
                LocalServer(
                    database_url=url,
                    services=("rest", "auth", "storage"),
                    install=True,
                    storage_url=f"file://{tmp_path / 'objects'}",
                    jwt_secret=SECRET,
                    db_anon_role="anon",
                ) as server,
                httpx.Client(base_url=server.url, trust_env=False) as http,
            ):
                alice = Desk(server, http, tmp_path / "objects").person()
                bucket = alice.bucket()
                alice.upload(bucket, "k", b"here")
                assert alice.content(bucket, "k") == b"here"
        finally:
            owner.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://", "must be s3://"),
        ("ftp://x/y", "must be s3://"),
        ("s3://key:secret@bucket/x", "no credentials"),
        ("s3://bucket/x?secret=1", "'secret' is none of"),
        ("file://relative", "must be s3://"),
        ("file:relative", "must be s3://"),
        ("s3://[", "is no URL"),
    ],
)
def test_urls_that_are_none(url: str, message: str) -> None:
    with pytest.raises(LocalError, match=message):
        LocalServer(storage_url=url)


def test_the_keys_of_a_store_do_not_show(s3: str) -> None:
    store = S3Store("objects", "x", {"endpoint": s3, "region": "us-east-1"})
    assert "secret" not in repr(store)
