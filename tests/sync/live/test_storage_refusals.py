# GENERATED from tests/aio/live/test_storage_refusals.py by scripts/generate.py [cea6fc941f48]: do not edit
"""What a real instance refuses, by every way up: its code, and that nothing of it is left."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import uuid4

import jwt
import pytest

from aerodb import AeroDBError
from aerodb._io.on_threads import pause
from aerodb.sync import AeroDBClient, StorageBucket

LARGE = b"x" * 300_000


@pytest.fixture
def name(client: AeroDBClient) -> Iterator[str]:
    """A bucket that takes small texts, with one in it."""
    made = f"b-{uuid4().hex[:12]}"
    storage = client.storage
    (
        storage.create_bucket(made, file_size_limit=1000, allowed_mime_types=["text/plain"])
    ).unwrap()
    (storage.from_(made).upload("kept.txt", b"kept")).unwrap()
    yield made
    (storage.delete_bucket(made, force=True)).unwrap()


@pytest.fixture
def bucket(client: AeroDBClient, name: str) -> StorageBucket:
    return client.storage.from_(name)


def refusals(
    bucket: StorageBucket, folder: Path, path: str, content: bytes, kind: str = "text/plain"
) -> list[AeroDBError | None]:
    """What every way up answers."""
    file = folder / "file"
    file.write_bytes(content)
    token = (bucket.create_signed_upload_url(path, upsert=True)).unwrap().token
    halves = [content[: len(content) // 2], content[len(content) // 2 :]]
    answers = (
        bucket.upload(path, content, kind, upsert=True),
        bucket.upload(path, file, kind, upsert=True),
        bucket.upload(path, iter(halves), kind, upsert=True),
        bucket.update(path, file, kind),
        bucket.upload_resumable(path, file, kind, upsert=True, chunk_size=1024),
        bucket.upload_resumable(path, file, kind, token=token, chunk_size=1024),
        bucket.upload_to_signed_url(path, token, file, kind),
    )
    return [response.error for response in answers]


def nothing_is_left(server: Any, bucket: StorageBucket) -> None:
    """The object that was there is as it was, and the store has no byte that nobody refers to."""
    assert [file.path for file in (bucket.list()).unwrap()] == ["kept.txt"]
    assert (bucket.download("kept.txt")).unwrap() == b"kept"
    store = server.database.folder.path / "storage"
    end = time.monotonic() + 30
    while not settled(server, store):
        assert time.monotonic() < end, "something is left"
        pause(0.02)


def settled(server: Any, store: Path) -> bool:
    doomed = server.execute_sql("select from storage.contents where doomed_at is not null", None)
    known = server.execute_sql("select from storage.contents", None)
    return not doomed and len(known) == sum(1 for path in store.rglob("*") if path.is_file())


CODES = [(413, "file_too_large"), (415, "invalid_mime_type")]


@pytest.mark.parametrize("path", ["new.txt", "kept.txt"])
@pytest.mark.parametrize(("status", "code"), CODES)
def test_what_a_bucket_does_not_take(
    server: Any, bucket: StorageBucket, tmp_path: Path, path: str, status: int, code: str
) -> None:
    too_large = code == "file_too_large"
    given = (LARGE, "text/plain") if too_large else (b"<svg/>", "image/svg+xml")
    for error in refusals(bucket, tmp_path, path, *given):
        assert error is not None
        assert (error.status, error.code) == (status, code)
        assert not error.maybe_applied
    nothing_is_left(server, bucket)


def test_what_is_not_there(client: AeroDBClient, bucket: StorageBucket) -> None:
    nowhere = client.storage.from_("no-such-bucket")
    for path, found in (("none.txt", bucket), ("x.txt", nowhere)):
        for response in (
            found.download(path),
            found.info(path),
            found.copy(path, "y.txt"),
            found.move(path, "y.txt"),
            found.create_signed_url(path, 60),
        ):
            assert response.error is not None
            assert response.error.status == 404
            assert response.error.code in ("object_not_found", "bucket_not_found")
        assert (found.exists(path)).data is False
        with found.download_stream(path) as stream:
            assert stream.error is not None
            assert stream.error.code == "object_not_found"
    for response in (
        nowhere.upload("x.txt", b"x"),
        nowhere.upload("x.txt", iter([b"x"])),
        nowhere.update("x.txt", b"x"),
        nowhere.upload_resumable("x.txt", b"x"),
        nowhere.create_signed_upload_url("x.txt"),
        nowhere.list(),
    ):
        assert response.error is not None
        assert (response.error.status, response.error.code) == (404, "bucket_not_found")


def test_bytes_that_are_others_than_was_said(server: Any, bucket: StorageBucket) -> None:
    for path in ("new.txt", "kept.txt"):
        error = (bucket.upload(path, b"some", upsert=True, checksum="0" * 64)).error
        assert error is not None
        assert (error.status, error.code) == (400, "checksum_mismatch")
    nothing_is_left(server, bucket)


def test_signatures_that_are_forged_or_for_something_else(
    server: Any, bucket: StorageBucket, anon: AeroDBClient, name: str
) -> None:
    theirs = anon.storage.from_(name)
    right = (bucket.create_signed_upload_url("new.txt")).unwrap().token
    signed = (bucket.create_signed_url("kept.txt", 60)).unwrap().url
    assert signed is not None
    head, _, body_and_signature = right.partition(".")
    body, _, signature = body_and_signature.partition(".")
    forged = f"{head}.{body}.{signature[::-1]}"
    unsigned = f"{head}.{body}."
    for_reading = signed.partition("token=")[2]
    for path, token in (("new.txt", forged), ("new.txt", unsigned), ("new.txt", for_reading),
                        ("kept.txt", right)):  # fmt: skip
        for response in (
            theirs.upload_to_signed_url(path, token, b"x"),
            theirs.upload_resumable(path, b"x", token=token),
        ):
            assert response.error is not None
            assert (response.error.status, response.error.code) == (403, "invalid_signature")
    for url in (signed[:-4], signed.replace("kept", "other"), signed.replace(for_reading, right)):
        assert refused(url) == (403, "invalid_signature")
    nothing_is_left(server, bucket)


def test_a_url_is_good_for_its_time(bucket: StorageBucket) -> None:
    signed = (bucket.create_signed_url("kept.txt", 1)).unwrap().url
    assert signed is not None
    pause(1.1)
    assert refused(signed) == (403, "url_expired")


def test_a_right_to_write_is_good_for_its_time(
    server: Any, bucket: StorageBucket, anon: AeroDBClient, name: str
) -> None:
    """A token that is the server's own in all but its hour; the same one in time is taken."""
    theirs, key = anon.storage.from_(name), server.database.keys.storage_secret
    for path in ("new.txt", "kept.txt"):
        given = (bucket.create_signed_upload_url(path, upsert=True)).unwrap().token
        claims = jwt.decode(given, options={"verify_signature": False})
        now = int(time.time())
        over = {**claims, "iat": now - 7200, "exp": now}
        expired = jwt.encode(over, key, algorithm="HS256")
        for response in (
            theirs.upload_to_signed_url(path, expired, b"late", "text/plain"),
            theirs.upload_to_signed_url(path, expired, iter([b"late"]), "text/plain"),
            theirs.upload_resumable(path, b"late", "text/plain", token=expired),
        ):
            assert response.error is not None
            assert (response.error.status, response.error.code) == (403, "url_expired")
            assert not response.error.maybe_applied
    nothing_is_left(server, bucket)
    in_time = jwt.encode({**over, "exp": now + 60}, key, algorithm="HS256")
    (theirs.upload_to_signed_url("kept.txt", in_time, b"in time", "text/plain")).unwrap()
    assert (bucket.download("kept.txt")).unwrap() == b"in time"


def refused(url: str) -> tuple[int, str]:
    """How a URL is answered to somebody who has nothing else."""
    with pytest.raises(HTTPError) as caught:
        urlopen(url)
    with caught.value as answer:
        return answer.code, json.loads(answer.read())["code"]


def test_a_file_that_has_become_shorter(
    server: Any, bucket: StorageBucket, tmp_path: Path
) -> None:
    """What was announced does not come: the request stays incomplete."""
    file = tmp_path / "file"

    def cut(now: Any) -> None:
        file.write_bytes(b"short")

    for path in ("new.txt", "kept.txt"):
        file.write_bytes(b"x" * 900)
        error = (bucket.upload(path, file, upsert=True, progress=cut)).error
        assert error is not None
        assert error.code == "SOURCE_CHANGED"
    nothing_is_left(server, bucket)
