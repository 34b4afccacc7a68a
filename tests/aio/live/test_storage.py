# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Storage against a real instance: every operation, and names of every kind."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aerodb import ClientOptions
from aerodb._core.storage.paths import object_problem
from aerodb.aio import AeroDBClient, StorageBucket
from tests.support.faults import FaultProxy
from tests.support.soak import many

MIB = 1024 * 1024


@pytest.fixture
async def name(client: AeroDBClient) -> AsyncIterator[str]:
    """A bucket of its own for a test."""
    made = f"b-{uuid4().hex[:12]}"
    (await client.storage.create_bucket(made)).unwrap()
    yield made
    (await client.storage.delete_bucket(made, force=True)).unwrap()


@pytest.fixture
async def bucket(client: AeroDBClient, name: str) -> StorageBucket:
    return client.storage.from_(name)


def fetched(url: str) -> bytes:
    """What anybody gets who has the URL and nothing else."""
    with urlopen(url) as answer:
        body: bytes = answer.read()
        return body


def put_to(request: Request) -> int:
    with urlopen(request) as answer:
        status: int = answer.status
        return status


def paths_of(files: Any) -> list[str]:
    return [file.path for file in files]


async def test_a_buckets_life(client: AeroDBClient) -> None:
    storage, name = client.storage, f"life-{uuid4().hex[:8]}"
    made = (
        await storage.create_bucket(
            name, public=True, file_size_limit=10, allowed_mime_types=["text/*"]
        )
    ).unwrap()
    assert (made.name, made.public, made.policy) == (name, True, "public")
    assert (made.file_size_limit, made.allowed_mime_types) == (10, ("text/*",))
    again = await storage.create_bucket(name)
    assert again.error is not None
    assert again.error.code == "bucket_already_exists"
    assert name in [one.name for one in (await storage.list_buckets(search=name)).unwrap()]
    bucket = storage.from_(name)
    for path, content, code in (
        ("a.txt", b"far too long", "file_too_large"),
        ("a.png", b"x", "invalid_mime_type"),
    ):
        error = (await bucket.upload(path, content)).error
        assert error is not None
        assert error.code == code
    (await bucket.upload("a.txt", b"x")).unwrap()
    changed = (
        await storage.update_bucket(
            name, public=False, file_size_limit=None, allowed_mime_types=None
        )
    ).unwrap()
    assert (changed.public, changed.file_size_limit) == (False, None)
    assert (await storage.get_bucket(name)).unwrap() == changed
    error = (await storage.delete_bucket(name)).error
    assert error is not None
    assert error.code == "bucket_not_empty"
    assert (await storage.empty_bucket(name)).ok
    assert (await storage.delete_bucket(name)).ok
    missing = await storage.get_bucket(name)
    assert missing.error is not None
    assert missing.error.code == "bucket_not_found"


async def test_an_objects_life(bucket: StorageBucket, name: str) -> None:
    made = (
        await bucket.upload(
            "a/b.txt", b"one", metadata={"by": "Ada"}, cache_control=60, checksum=True
        )
    ).unwrap()
    assert (made.path, made.name, made.bucket, made.size) == ("a/b.txt", "b.txt", name, 3)
    assert (made.content_type, dict(made.metadata)) == ("text/plain", {"by": "Ada"})
    assert "60" in str(made.cache_control)
    assert (await bucket.info("a/b.txt")).unwrap() == made
    error = (await bucket.upload("a/b.txt", b"two")).error
    assert error is not None
    assert (error.code, error.status) == ("object_already_exists", 409)
    wrong = (await bucket.upload("a/c.txt", b"two", checksum="0" * 64)).error
    assert wrong is not None
    assert wrong.code == "checksum_mismatch"
    assert (await bucket.exists("a/c.txt")).unwrap() is False
    replaced = (await bucket.upload("a/b.txt", b"two!", upsert=True)).unwrap()
    assert replaced.etag != made.etag
    assert (await bucket.update("a/b.txt", iter([b"th", b"ree"]))).unwrap().size == 5
    assert (await bucket.download("a/b.txt")).unwrap() == b"three"
    assert (await bucket.download("a/b.txt", range=(1, 2))).unwrap() == b"hr"
    assert (await bucket.download("a/b.txt", range=(3, None))).unwrap() == b"ee"
    (await bucket.copy("a/b.txt", "a/copy.txt")).unwrap()
    (await bucket.move("a/b.txt", "moved.txt")).unwrap()
    assert [(await bucket.exists(p)).unwrap() for p in ("a/b.txt", "a/copy.txt", "moved.txt")] == [
        False,
        True,
        True,
    ]
    removed = (await bucket.remove(["moved.txt", "never.txt"])).unwrap()
    assert paths_of(removed) == ["moved.txt"]
    gone = (await bucket.download("moved.txt")).error
    assert gone is not None
    assert (gone.code, gone.status) == ("object_not_found", 404)


async def test_lists(bucket: StorageBucket) -> None:
    names = ["a.txt", "b/1.txt", "b/2.txt", "b/c/3.txt", "d.txt"]
    many = await bucket.upload_many({path: path.encode() for path in names})
    assert many.error is None
    assert paths_of((await bucket.list(sort_by=("name", "asc"))).unwrap()) == names
    assert paths_of((await bucket.list("b/", limit=1, sort_by=("name", "desc"))).unwrap()) == [
        "b/c/3.txt"
    ]
    page = (await bucket.list_v2(with_delimiter=True)).unwrap()
    assert paths_of(page.objects) == ["a.txt", "d.txt"]
    assert [folder.rstrip("/") for folder in page.folders] == ["b"]
    inner = (await bucket.list_v2("b/", with_delimiter=True)).unwrap()
    assert paths_of(inner.objects) == names[1:3]
    found = [file.path async for file in bucket.iter_files(page_size=2)]
    assert found == names
    assert [f.path async for f in bucket.iter_files("b/", recursive=False)] == names[1:3]
    assert len((await bucket.remove(names)).unwrap()) == len(names)
    assert (await bucket.list()).unwrap() == []


async def test_a_thousand_names_and_one_are_two_requests(bucket: StorageBucket) -> None:
    (await bucket.upload("last.txt", b"x")).unwrap()
    names = [f"no-{number}" for number in range(1000)]
    removed = await bucket.remove([*names, "last.txt"])
    assert paths_of(removed.unwrap()) == ["last.txt"]


async def test_urls(client: AeroDBClient, bucket: StorageBucket, name: str) -> None:
    (await bucket.upload("ä b?.txt", b"signed")).unwrap()
    signed = (await bucket.create_signed_url("ä b?.txt", 60, download="x.txt")).unwrap()
    assert fetched(signed.url) == b"signed"
    several = (await bucket.create_signed_urls(["ä b?.txt", "none"], 60)).unwrap()
    assert [one.url is not None for one in several] == [True, False]
    assert several[1].error
    assert [one.expires_at is not None for one in several] == [True, False]
    right = (await bucket.create_signed_upload_url("up/loaded.txt")).unwrap()
    put = Request(right.url, b"raw", {"Content-Type": "text/plain"}, method="PUT")
    assert put_to(put) == 201
    assert (await bucket.download("up/loaded.txt")).unwrap() == b"raw"
    other = (await bucket.create_signed_upload_url("up/other.txt")).unwrap()
    (await bucket.upload_to_signed_url("up/other.txt", other.token, b"by token")).unwrap()
    wrong = (await bucket.upload_to_signed_url("up/third.txt", other.token, b"x")).error
    assert wrong is not None
    assert wrong.status in (400, 403)
    (await client.storage.update_bucket(name, public=True)).unwrap()
    assert fetched(bucket.get_public_url("ä b?.txt")) == b"signed"


async def test_what_anybody_may(anon: AeroDBClient, bucket: StorageBucket, name: str) -> None:
    (await bucket.upload("a.txt", b"private")).unwrap()
    theirs = anon.storage.from_(name)
    assert (await theirs.exists("a.txt")).data is not True
    for response in (await theirs.download("a.txt"), await theirs.upload("b.txt", b"x")):
        assert response.error is not None


# --- transfers ------------------------------------------------------------------------------------


async def test_a_large_file_there_and_back(bucket: StorageBucket, tmp_path: Path) -> None:
    data = os.urandom(9 * MIB + 1)
    (tmp_path / "f").write_bytes(data)
    for path, up in (("plain", bucket.upload), ("chunks", bucket.upload_resumable)):
        made = (await up(path, tmp_path / "f", "application/x-thing")).unwrap()
        assert (made.size, made.content_type) == (len(data), "application/x-thing")
        saved = (await bucket.download_to(path, tmp_path / path)).unwrap()
        assert datetime.fromisoformat(str(saved.updated_at)).tzinfo is not None
        assert (tmp_path / path).read_bytes() == data
        assert (await bucket.download(path)).unwrap() == data
    empty = (await bucket.upload_resumable("empty", b"")).unwrap()
    assert empty.size == 0
    assert (await bucket.download("empty")).unwrap() == b""


async def test_in_chunks_with_a_signed_url(
    anon: AeroDBClient, bucket: StorageBucket, name: str, tmp_path: Path
) -> None:
    data = os.urandom(2 * MIB + 5)
    (tmp_path / "f.png").write_bytes(data)
    theirs = anon.storage.from_(name)
    assert not (await theirs.upload_resumable("in/box", tmp_path / "f.png")).ok
    for path, file, size in (("in/box", tmp_path / "f.png", len(data)), ("in/none", b"", 0)):
        right = (await bucket.create_signed_upload_url(path)).unwrap()
        sent = await theirs.upload_resumable(path, file, token=right.token, chunk_size=MIB)
        assert (sent.unwrap().path, sent.unwrap().size) == (path, size)
        found = (await bucket.info(path)).unwrap()
        assert found.size == size
    assert (await bucket.download("in/box")).unwrap() == data
    other = await theirs.upload_resumable("in/other", b"x", token=right.token)
    assert other.error is not None
    assert (other.error.status, other.error.code) == (403, "invalid_signature")


async def test_over_a_line_that_breaks(
    server: Any, bucket: StorageBucket, name: str, tmp_path: Path
) -> None:
    data = os.urandom(4 * MIB)
    port = int(server.url.rpartition(":")[2])
    with FaultProxy(port) as proxy:
        options = ClientOptions(retries=4)
        url = f"http://127.0.0.1:{proxy.port}"
        async with AeroDBClient(url, server.service_key, options=options) as client:
            weak = client.storage.from_(name)
            cuts = [1, 2, 3]

            def cut(now: Any) -> None:
                if cuts and now.transferred >= cuts[0] * MIB:
                    cuts.pop(0)
                    proxy.cut_all()

            (await weak.upload_resumable("up", data, chunk_size=MIB, progress=cut)).unwrap()
            assert not cuts
            assert (await bucket.download("up")).unwrap() == data
            cuts[:] = [1, 2, 3]
            (await weak.download_to("up", tmp_path / "down", progress=cut)).unwrap()
            assert (tmp_path / "down").read_bytes() == data
            assert not cuts


@pytest.mark.parametrize("span", [None, (5, 30 * MIB)])
async def test_an_object_that_is_replaced_while_the_line_breaks(
    server: Any, bucket: StorageBucket, name: str, span: Any
) -> None:
    old, new = bytes(32 * MIB), os.urandom(31 * MIB)
    (await bucket.upload("f", old)).unwrap()
    with FaultProxy(int(server.url.rpartition(":")[2])) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        async with AeroDBClient(url, server.service_key) as client:
            weak = client.storage.from_(name)
            seen: list[int] = []

            async def replace(now: Any) -> None:
                seen.append(now.transferred)
                if len(seen) == 1:
                    (await bucket.update("f", new)).unwrap()
                    proxy.cut_all()

            found = (await weak.download("f", range=span, progress=replace)).unwrap()
    assert found == (new if span is None else new[5 : 30 * MIB + 1])
    assert sorted(seen) != seen  # it began anew


def begun(server: Any, bucket: str, path: str, data: bytes, length: int) -> str:
    """An upload that has got as far as `data`; its URL."""
    named = {"bucketName": bucket, "objectName": path}
    pairs = (f"{k} {b64encode(v.encode()).decode()}" for k, v in named.items())
    headers = {"apikey": server.service_key, "Tus-Resumable": "1.0.0", "Upload-Length": str(length),
               "Upload-Metadata": ",".join(pairs)}  # fmt: skip
    root = f"{server.url}/storage/v1/upload/resumable"
    with urlopen(Request(root, b"", headers, method="POST")) as answer:
        url = str(answer.headers["Location"])
    more = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    assert put_to(Request(url, data, {**headers, **more}, method="PATCH")) == 204
    return url


async def test_an_upload_of_another_object_is_not_gone_on_with(
    server: Any, bucket: StorageBucket, name: str
) -> None:
    data = os.urandom(5000)
    url = begun(server, name, "theirs", data[:2000], 5000)
    error = (await bucket.upload_resumable("mine", data, upload_url=url)).error
    assert error is not None
    assert error.code == "INVALID_ARGUMENT"
    assert "theirs" in error.message
    assert (await bucket.list()).unwrap() == []
    (await bucket.upload_resumable("theirs", data, upload_url=url)).unwrap()
    assert (await bucket.download("theirs")).unwrap() == data


async def test_an_upload_of_another_content_is_found_out(
    server: Any, bucket: StorageBucket, name: str
) -> None:
    data = os.urandom(5000)
    url = begun(server, name, "f", data[:2000], 5000)
    (await bucket.upload_resumable("f", data, upload_url=url, checksum=True)).unwrap()
    (await bucket.remove("f")).unwrap()
    url = begun(server, name, "f", bytes(2000), 5000)
    error = (await bucket.upload_resumable("f", data, upload_url=url, checksum=True)).error
    assert error is not None
    assert (error.code, error.maybe_applied) == ("INTEGRITY_ERROR", True)


# --- names ----------------------------------------------------------------------------------------

NASTY = [
    "%2e%2e", "..%2f", "a%00b", "con", "C:", "a?x", "a#b", "dot.", " ", "\u00e9", "e\u0301",
    "\u202e", "%", "%25", "+", "~", "*", "a&b=c", ";", '"', "'", "\u2024\u2024", ".", "..",
]  # fmt: skip
segments = st.text(max_size=12) | st.sampled_from(NASTY)


@settings(max_examples=many(25, 2000), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(segments, min_size=1, max_size=3))
@example(parts=["x" * 1024])
@example(parts=["\u00e9", "e\u0301", "%252e%252e"])
async def test_a_name_comes_back_as_it_was_or_is_refused(
    bucket: StorageBucket, parts: list[str]
) -> None:
    await comes_back_or_is_refused(bucket, "/".join(parts))


REFUSED = [
    "..", ".", "a/../b", "%2e%2e/x", "%252e%252e", "..%2f", "a\\..\\b", "/etc/passwd", "//h/x",
    "C:\\x", "\\\\h\\s", "a%00b", "a\x00b", "x" * 1025, "\u00e9" * 513, "a//b", "a/", "", "\ud800",
]  # fmt: skip
TAKEN = [
    "con", "C:x", "dot.", "space ", " ", "a?x", "a#x", "\u00e9", "e\u0301", "\u2024\u2024",
    "\u202egpj.exe", "x" * 1024, "100%", "50%20off",
]  # fmt: skip


async def test_the_names_that_others_have_stumbled_over(server: Any, bucket: StorageBucket) -> None:
    """The table of reliability C2; and the store has no file but by ids of its own."""
    folder = server.database.folder.path
    around = {path.name for path in folder.iterdir()}
    assert [await comes_back_or_is_refused(bucket, path) for path in REFUSED] == [False] * len(
        REFUSED
    )
    assert [await comes_back_or_is_refused(bucket, path) for path in TAKEN] == [True] * len(TAKEN)
    for path in TAKEN:
        (await bucket.upload(path, path.encode())).unwrap()
    assert {path.name for path in folder.iterdir()} == around
    assert sorted(paths_of((await bucket.list()).unwrap())) == sorted(TAKEN)
    for stored in (folder / "storage").rglob("*"):
        assert all(part.isascii() and part.isalnum() for part in stored.relative_to(folder).parts)


async def comes_back_or_is_refused(bucket: StorageBucket, path: str) -> bool:
    """Whether it is a name. What is none is never sent."""
    content = path.encode("utf-8", "surrogatepass")
    made = await bucket.upload(path, content, upsert=True)
    if object_problem(path) is not None:
        assert made.error is not None
        assert (made.error.code, made.error.attempts) == ("INVALID_ARGUMENT", 0)
        return False
    assert made.unwrap().path == path
    assert (await bucket.download(path)).unwrap() == content
    assert (await bucket.info(path)).unwrap().path == path
    assert path in paths_of((await bucket.list(path)).unwrap())
    signed = (await bucket.create_signed_url(path, 60)).unwrap()
    assert fetched(signed.url) == content
    assert paths_of((await bucket.remove([path])).unwrap()) == [path]
    return True
