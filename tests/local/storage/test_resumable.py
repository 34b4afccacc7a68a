"""Resumable uploads: tus 1.0.0 (wire contract §5.5)."""

from __future__ import annotations

import base64
import hashlib
import io
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import pytest
from tusclient.client import TusClient

from tests.local.storage.conftest import PREFIX, Desk, Person, eventually, said

CHUNK = 300 * 1024
VERSION = {"Tus-Resumable": "1.0.0"}


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def announced(bucket: str, key: str, length: int, **more: str) -> dict[str, str]:
    values = {"bucketName": bucket, "objectName": key, **more}
    pairs = ",".join(f"{name} {b64(value)}" for name, value in values.items())
    return {**VERSION, "Upload-Length": str(length), "Upload-Metadata": pairs}


def begin(person: Person, bucket: str, key: str, length: int, **more: str) -> str:
    """Begin an upload; return its path below the prefix."""
    headers = announced(bucket, key, length, **more)
    answer = person.post("/upload/resumable", headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers["upload-expires"].endswith("GMT")
    return urlsplit(answer.headers["location"]).path.removeprefix(PREFIX)


def send(person: Person, path: str, offset: int, content: bytes, **more: str) -> httpx.Response:
    headers = {**VERSION, "Upload-Offset": str(offset)}
    headers["Content-Type"] = "application/offset+octet-stream"
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    return person.call("PATCH", path, headers=headers, content=content)


def progress(person: Person, path: str) -> int:
    answer = person.call("HEAD", path, headers=VERSION)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


def test_what_the_server_can_do(desk: Desk) -> None:
    answer = desk.nobody.call("OPTIONS", "/upload/resumable")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,termination,expiration,checksum"
    assert int(answer.headers["tus-max-size"]) == 5 * 1024**3
    assert "sha1" in answer.headers["tus-checksum-algorithm"].split(",")


def test_chunks_become_an_object(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    content = random.Random(1).randbytes(1_000_000)
    path = begin(
        alice,
        bucket,
        "d/é",
        len(content),
        contentType="text/x",
        cacheControl="60",
        metadata='{"a":1}',
    )
    head = alice.call("HEAD", path, headers=VERSION)
    assert head.headers["upload-length"] == str(len(content))
    assert "bucketName " in head.headers["upload-metadata"]
    for start in range(0, len(content), CHUNK):
        assert progress(alice, path) == start
        assert alice.keys(bucket) == []
        answer = send(alice, path, start, content[start : start + CHUNK])
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["tus-resumable"] == "1.0.0"
        assert int(answer.headers["upload-offset"]) == min(start + CHUNK, len(content))
    assert progress(alice, path) == len(content)
    assert send(alice, path, len(content), b"").status_code == 204
    assert alice.content(bucket, "d/%C3%A9") == content
    info = alice.get(f"/object/info/{bucket}/d/%C3%A9").json()
    assert info["etag"] == f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    assert (info["content_type"], info["cache_control"]) == ("text/x", "max-age=60")
    assert info["metadata"] == {"a": 1}
    desk.settle()


def test_an_empty_object_is_there_at_once(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    path = begin(alice, bucket, "empty", 0)
    assert progress(alice, path) == 0
    assert alice.content(bucket, "empty") == b""
    desk.settle()


def test_an_independent_client(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    content = random.Random(2).randbytes(1_000_003)
    url = f"{desk.server.url}{PREFIX}/upload/resumable"
    client = TusClient(url, headers=alice.headers)
    metadata = {"bucketName": bucket, "objectName": "by/tuspy", "contentType": "text/plain"}
    uploader = client.uploader(
        file_stream=io.BytesIO(content),
        chunk_size=CHUNK,
        metadata=metadata,
        upload_checksum=True,
    )
    uploader.upload_chunk()
    assert uploader.offset == CHUNK
    resumed = client.uploader(
        file_stream=io.BytesIO(content), chunk_size=CHUNK, url=uploader.url, upload_checksum=True
    )
    assert resumed.offset == CHUNK
    resumed.upload()
    assert alice.content(bucket, "by/tuspy") == content
    desk.settle()


def test_errors_of_a_creation(desk: Desk, alice: Person, bob: Person) -> None:
    bucket = alice.bucket(file_size_limit=100, allowed_mime_types=["text/plain"])
    good = announced(bucket, "k", 10, contentType="text/plain")

    def post(person: Person = alice, **more: str) -> tuple[int, str]:
        headers = good | {name.replace("_", "-"): value for name, value in more.items()}
        answer = person.post("/upload/resumable", headers=headers)
        assert answer.headers["tus-resumable"] == "1.0.0"
        return said(answer)

    assert post(Tus_Resumable="0.2.2") == (412, "unsupported_tus_version")
    for length in ("", "-1", "x", "1" * 30):
        assert post(Upload_Length=length) == (400, "validation_failed")
    assert post(Upload_Length="101") == (413, "file_too_large")
    for text in ("bucketName", f"bucketName {b64(bucket)}", "a %", ",", f"bucketName {b64('..')}"):
        assert post(Upload_Metadata=text)[0] == 400
    for key in ("../x", "a//b", "a\\b", "/"):
        assert post(**{"Upload-Metadata": announced(bucket, key, 1)["Upload-Metadata"]}) == (
            400,
            "invalid_path",
        )
    untyped = announced(bucket, "k", 10)["Upload-Metadata"]
    assert post(Upload_Metadata=untyped) == (415, "invalid_mime_type")
    assert post(bob) == (404, "bucket_not_found")
    assert post(desk.nobody) == (404, "bucket_not_found")
    alice.upload(bucket, "k", headers={"content-type": "text/plain"})
    assert post() == (409, "object_already_exists")
    over = alice.post("/upload/resumable", headers=good | {"x-upsert": "true"})
    assert over.status_code == 201
    desk.settle()


def test_errors_of_a_chunk(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    path = begin(alice, bucket, "k", 10)
    assert said(send(alice, path, 5, b"x")) == (409, "upload_offset_mismatch")
    assert said(send(alice, path, 0, b"x", Content_Type="text/plain")) == (
        415,
        "unsupported_media_type",
    )
    assert said(send(alice, path, 0, b"x", Tus_Resumable="2")) == (412, "unsupported_tus_version")
    assert said(send(alice, path, 0, b"x", Upload_Offset="-1")) == (400, "validation_failed")
    assert said(send(alice, path, 0, b"x" * 11)) == (413, "file_too_large")
    assert progress(alice, path) == 0
    assert send(alice, path, 0, b"").status_code == 204
    for missing in (
        "/upload/resumable/x",
        f"/upload/resumable/{'0' * 8}-0000-0000-0000-{'0' * 12}",
    ):
        assert said(send(alice, missing, 0, b"x")) == (404, "upload_not_found")
    assert said(alice.get(path)) == (405, "method_not_allowed")
    assert send(alice, path, 0, b"0123456789").status_code == 204
    assert said(send(alice, path, 10, b"x")) == (413, "file_too_large")
    assert send(alice, path, 10, b"").status_code == 204
    assert alice.content(bucket, "k") == b"0123456789"
    desk.settle()


def test_checksums_of_chunks(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    path = begin(alice, bucket, "k", 8)

    def checksum(name: str, content: bytes) -> str:
        digest = hashlib.new(name, content).digest()
        return f"{name} {base64.b64encode(digest).decode()}"

    wrong = send(alice, path, 0, b"abcd", Upload_Checksum=checksum("sha1", b"abce"))
    assert said(wrong) == (460, "upload_checksum_mismatch")
    assert progress(alice, path) == 0
    for text in ("crc32 AAAA", "sha1", "sha1 %"):
        refused = send(alice, path, 0, b"abcd", Upload_Checksum=text)
        assert refused.status_code in (400, 460)
    right = send(alice, path, 0, b"abcd", Upload_Checksum=checksum("sha1", b"abcd"))
    assert right.status_code == 204
    last = send(alice, path, 4, b"efgh", Upload_Checksum=checksum("sha256", b"efgh"))
    assert last.status_code == 204
    assert alice.content(bucket, "k") == b"abcdefgh"
    desk.settle()


def test_ending_an_upload(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    path = begin(alice, bucket, "k", 10)
    assert send(alice, path, 0, b"12345").status_code == 204
    assert alice.call("DELETE", path, headers=VERSION).status_code == 204
    gone = alice.call("HEAD", path, headers=VERSION)
    assert (gone.status_code, gone.headers["x-aerodb-error"]) == (404, "upload_not_found")
    assert said(send(alice, path, 5, b"67890")) == (404, "upload_not_found")
    desk.settle()


def test_an_upload_expires(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    path = begin(alice, bucket, "k", 10)
    assert send(alice, path, 0, b"12345").status_code == 204
    upload = path.rpartition("/")[2]
    desk.sql("update storage.uploads set expires_at = now() where id = %s", upload)
    assert said(send(alice, path, 5, b"67890")) == (404, "upload_not_found")
    alice.upload(bucket, "other")
    assert alice.delete(f"/object/{bucket}/other").status_code == 204  # wakes the sweeper
    parts = "select from storage.upload_parts where upload_id = %s"
    eventually(lambda: not desk.sql(parts, upload))
    desk.settle()


def test_an_upload_is_its_makers(desk: Desk, alice: Person, bob: Person) -> None:
    bucket = alice.bucket()
    path = begin(alice, bucket, "k", 5)
    for person in (bob, desk.nobody, desk.service):
        assert said(send(person, path, 0, b"evil!")) == (404, "upload_not_found")
        assert person.call("HEAD", path, headers=VERSION).status_code == 404
        answer = person.call("DELETE", path, headers=VERSION)
        assert said(answer) == (404, "upload_not_found")
    signed = path.replace("/resumable/", "/resumable/sign/")
    assert said(send(alice, signed, 0, b"evil!")) == (404, "upload_not_found")
    assert send(alice, path, 0, b"right").status_code == 204
    assert alice.content(bucket, "k") == b"right"


def test_with_a_signed_url(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    token = alice.post(f"/object/upload/sign/{bucket}/k").json()["token"]
    signature = {"x-signature": token}
    headers = announced(bucket, "k", 10) | signature
    refused = desk.nobody.post("/upload/resumable/sign", headers=announced(bucket, "k", 10))
    assert said(refused) == (403, "invalid_signature")
    other = announced(bucket, "other", 10) | signature
    assert said(desk.nobody.post("/upload/resumable/sign", headers=other)) == (
        403,
        "invalid_signature",
    )
    made = desk.nobody.post("/upload/resumable/sign", headers=headers)
    assert made.status_code == 201
    path = urlsplit(made.headers["location"]).path.removeprefix(PREFIX)
    assert path.startswith("/upload/resumable/sign/")
    assert said(send(desk.nobody, path, 0, b"01234")) == (403, "invalid_signature")
    assert send(desk.nobody, path, 0, b"01234", x_signature=token).status_code == 204
    plain = path.replace("/sign/", "/")
    assert said(send(desk.nobody, plain, 5, b"56789")) == (404, "upload_not_found")
    assert send(desk.nobody, path, 5, b"56789", x_signature=token).status_code == 204
    assert alice.content(bucket, "k") == b"0123456789"
    desk.settle()


def test_a_signed_url_that_ends_on_the_way(desk: Desk, alice: Person) -> None:
    """What was begun in time is not gone on with afterwards, except by a right that is good."""
    keys = desk.server.database.keys
    assert keys is not None
    bucket = alice.bucket()
    token = alice.post(f"/object/upload/sign/{bucket}/k").json()["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    expired = jwt.encode({**claims, "exp": int(time.time())}, keys.storage_secret, "HS256")
    headers = announced(bucket, "k", 10)
    late = desk.nobody.post("/upload/resumable/sign", headers=headers | {"x-signature": expired})
    assert said(late) == (403, "url_expired")
    made = desk.nobody.post("/upload/resumable/sign", headers=headers | {"x-signature": token})
    path = urlsplit(made.headers["location"]).path.removeprefix(PREFIX)
    assert send(desk.nobody, path, 0, b"01234", x_signature=token).status_code == 204
    refused = send(desk.nobody, path, 5, b"56789", x_signature=expired)
    assert said(refused) == (403, "url_expired")
    for method in ("HEAD", "DELETE"):
        answer = desk.nobody.call(method, path, headers=VERSION | {"x-signature": expired})
        assert answer.status_code == 403
    assert alice.get(f"/object/{bucket}/k").status_code == 404
    assert send(desk.nobody, path, 5, b"56789", x_signature=token).status_code == 204
    assert alice.content(bucket, "k") == b"0123456789"
    desk.settle()


def test_what_came_of_a_chunk_that_broke_off_is_kept(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    path = begin(alice, bucket, "k", 20)
    address = urlsplit(desk.server.url)
    head = (
        f"PATCH {PREFIX}{path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 20\r\n"
        f"Authorization: {alice.headers['Authorization']}\r\nTus-Resumable: 1.0.0\r\n"
        "Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n\r\n"
    )
    for pause in (0.1, 0.5, 2, 8):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(head.encode() + b"0123456789")
            time.sleep(pause)  # what is still in the socket when it breaks is lost
        with suppress(AssertionError):
            eventually(lambda: progress(alice, path) == 10, seconds=2)
            break
    assert send(alice, path, 10, b"abcdefghij").status_code == 204
    assert alice.content(bucket, "k") == b"0123456789abcdefghij"
    desk.settle()


def test_of_two_chunks_for_one_place_one_counts(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    for length in (CHUNK, 3 * CHUNK):
        path = begin(alice, bucket, f"k{length}", length)
        contents = [bytes([number]) * CHUNK for number in range(4)]
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(lambda c, p=path: send(alice, p, 0, c), contents))
        codes = sorted(answer.status_code for answer in answers)
        assert codes == [204, 409, 409, 409]
        winner = contents[[answer.status_code for answer in answers].index(204)]
        for start in range(CHUNK, length, CHUNK):
            assert send(alice, path, start, b"z" * CHUNK).status_code == 204
        assert alice.content(bucket, f"k{length}")[:CHUNK] == winner
    desk.settle()


def test_the_last_chunk_may_come_more_than_once(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    content = random.Random(7).randbytes(3 * CHUNK)
    for attempt in range(4):
        path = begin(alice, bucket, f"k{attempt}", len(content))
        for start in (0, CHUNK):
            chunk = content[start : start + CHUNK]
            assert send(alice, path, start, chunk).status_code == 204
        last = content[2 * CHUNK :]
        with ThreadPoolExecutor(3) as threads:
            answers = list(
                threads.map(lambda chunk, p=path: send(alice, p, 2 * CHUNK, chunk), [last] * 3)
            )
        assert {answer.status_code for answer in answers} <= {204, 409}
        assert 204 in {answer.status_code for answer in answers}
        assert alice.content(bucket, f"k{attempt}") == content
    desk.settle()


def test_an_upload_that_can_never_end_is_ended(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    path = begin(alice, bucket, "k", 10)
    assert send(alice, path, 0, b"01234").status_code == 204
    alice.upload(bucket, "k", b"first")
    assert said(send(alice, path, 5, b"56789")) == (409, "object_already_exists")
    assert said(send(alice, path, 5, b"56789")) == (404, "upload_not_found")
    assert alice.content(bucket, "k") == b"first"
    desk.settle()


@pytest.mark.parametrize("person", ["bob", "nobody"])
def test_what_became_of_the_right_to_write_decides(
    desk: Desk, alice: Person, bob: Person, person: str
) -> None:
    bucket = alice.bucket("authenticated")
    path = begin(bob, bucket, "k", 4)
    assert alice.call("PATCH", f"/bucket/{bucket}", json={"public": False}).status_code == 200
    assert alice.call("PATCH", f"/bucket/{bucket}", json={"policy": "private"}).status_code == 200
    other: Any = bob if person == "bob" else desk.nobody
    assert send(other, path, 0, b"late").status_code == 404
    assert alice.keys(bucket) == []
    desk.settle()


@pytest.mark.parametrize("kind", ["a/b\r\n;c", "a/b\n\n;c", "a/b\x0b;c", "a/b\x0c ;c"])
def test_a_type_that_no_header_can_hold_is_none(alice: Person, kind: str) -> None:
    bucket = alice.bucket()
    path = begin(alice, bucket, "k", 3, contentType=kind)
    assert send(alice, path, 0, b"abc").status_code == 204
    answer = alice.get(f"/object/{bucket}/k")
    assert (answer.status_code, answer.content) == (200, b"abc")
    assert answer.headers["content-type"] == "application/octet-stream"
