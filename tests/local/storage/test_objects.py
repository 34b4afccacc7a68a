"""Objects from upload to removal (wire contract §5.2)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.local.storage.body import read_upload
from aerodb.local.storage.errors import StorageError
from aerodb.local.storage.http import Request
from tests.local.storage.conftest import Desk, Person, held, said, waiting


def tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def test_an_object_from_upload_to_removal(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    made = alice.post(
        f"/object/{bucket}/a/b.txt",
        content=b"hello",
        headers={
            "content-type": "text/plain",
            "cache-control": "max-age=5",
            "x-metadata": base64.b64encode(b'{"k": [1]}').decode(),
        },
    )
    assert made.status_code == 201
    found = made.json()
    assert found == {
        "id": found["id"],
        "name": "b.txt",
        "bucket": bucket,
        "path": "a/b.txt",
        "size": 5,
        "content_type": "text/plain",
        "etag": tag(b"hello"),
        "cache_control": "max-age=5",
        "metadata": {"k": [1]},
        "created_at": found["created_at"],
        "updated_at": found["updated_at"],
    }
    assert alice.get(f"/object/info/{bucket}/a/b.txt").json() == found
    answer = alice.get(f"/object/{bucket}/a/b.txt")
    assert (answer.status_code, answer.content) == (200, b"hello")
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["content-length"] == "5"
    assert answer.headers["etag"] == tag(b"hello")
    assert answer.headers["cache-control"] == "max-age=5"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert alice.get(f"/object/authenticated/{bucket}/a/b.txt").content == b"hello"
    gone = alice.delete(f"/object/{bucket}/a/b.txt")
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (
        alice.get(f"/object/{bucket}/a/b.txt"),
        alice.get(f"/object/info/{bucket}/a/b.txt"),
        alice.delete(f"/object/{bucket}/a/b.txt"),
    ):
        assert said(answer) == (404, "object_not_found")
    desk.settle()


def test_a_form_brings_cache_control_and_metadata(alice: Person) -> None:
    bucket = alice.bucket()
    answer = alice.post(
        f"/object/{bucket}/p.png",
        files={"": ("../../etc/passwd", b"\x89PNG", "image/png")},
        data={"cacheControl": "3600", "metadata": '{"a": "b"}'},
    )
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["path"], found["size"]) == ("p.png", 4)
    assert (found["content_type"], found["cache_control"]) == ("image/png", "max-age=3600")
    assert found["metadata"] == {"a": "b"}
    assert alice.content(bucket, "p.png") == b"\x89PNG"


def test_replacing_needs_to_be_asked_for(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    first = alice.upload(bucket, "k", b"one")
    refused = alice.post(f"/object/{bucket}/k", content=b"two")
    assert said(refused) == (409, "object_already_exists")
    assert alice.content(bucket, "k") == b"one"
    second = alice.post(f"/object/{bucket}/k", content=b"two", headers={"x-upsert": "true"})
    assert second.status_code == 200
    assert second.json()["id"] == first["id"]
    assert second.json()["created_at"] == first["created_at"]
    assert second.json()["updated_at"] > first["updated_at"]
    assert second.json()["etag"] == tag(b"two")
    third = alice.call("PUT", f"/object/{bucket}/k", content=b"three")
    assert (third.status_code, third.json()["size"]) == (200, 5)
    assert alice.call("PUT", f"/object/{bucket}/new", content=b"").status_code == 201
    assert alice.content(bucket, "new") == b""
    desk.settle()


def test_conditions_of_a_put(alice: Person) -> None:
    bucket = alice.bucket()
    url = f"/object/{bucket}/k"

    def put(content: bytes, **headers: str) -> Any:
        return alice.call(
            "PUT",
            url,
            content=content,
            headers={k.replace("_", "-"): v for k, v in headers.items()},
        )

    assert said(put(b"a", if_match='"x"')) == (412, "precondition_failed")
    assert put(b"a", if_none_match="*").status_code == 201
    assert said(put(b"b", if_none_match="*")) == (412, "precondition_failed")
    assert said(put(b"b", if_match=tag(b"b"))) == (412, "precondition_failed")
    assert said(put(b"b", if_match=f"W/{tag(b'a')}")) == (412, "precondition_failed")
    assert put(b"b", if_match=f'"other", {tag(b"a")}').status_code == 200
    assert put(b"c", if_match="*").status_code == 200
    assert alice.content(bucket, "k") == b"c"


def test_a_checksum_is_compared(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    right = hashlib.sha256(b"data").hexdigest()
    for checksum, result in [(right, 201), (right.upper(), 201), ("0" * 64, 400), ("0" * 63, 400)]:
        answer = alice.post(
            f"/object/{bucket}/{checksum}", content=b"data", headers={"x-checksum-sha256": checksum}
        )
        assert answer.status_code == result
    answer = alice.post(
        f"/object/{bucket}/x", content=b"data", headers={"x-checksum-sha256": "0" * 64}
    )
    assert said(answer) == (400, "checksum_mismatch")
    assert len(alice.keys(bucket)) == 2
    desk.settle()


def test_limits_and_types_of_a_bucket(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket(file_size_limit=10, allowed_mime_types=["text/plain", "image/*"])
    text = {"content-type": "text/plain; charset=utf-8"}
    assert alice.post(f"/object/{bucket}/a", content=b"x" * 10, headers=text).status_code == 201
    too_large = alice.post(f"/object/{bucket}/b", content=b"x" * 11, headers=text)
    assert said(too_large) == (413, "file_too_large")
    announced = alice.post(f"/object/{bucket}/b", content=b"x" * 500_000, headers=text)
    assert said(announced) == (413, "file_too_large")
    form = alice.post(f"/object/{bucket}/b", files={"f": ("f", b"x" * 11, "image/png")})
    assert said(form) == (413, "file_too_large")
    html = alice.post(f"/object/{bucket}/c", content=b"x", headers={"content-type": "text/html"})
    assert said(html) == (415, "invalid_mime_type")
    assert said(alice.post(f"/object/{bucket}/c", content=b"x")) == (415, "invalid_mime_type")
    assert alice.keys(bucket) == ["a"]
    desk.settle()


def test_a_body_may_be_larger_than_those_of_other_services(alice: Person) -> None:
    bucket, content = alice.bucket(), bytes(11 * 1024 * 1024)
    assert alice.upload(bucket, "large", content)["size"] == len(content)
    assert alice.content(bucket, "large") == content


def test_uploading_into_what_is_not_there(desk: Desk, alice: Person, bob: Person) -> None:
    missing = alice.post("/object/no-such-bucket/k", content=b"x")
    assert said(missing) == (404, "bucket_not_found")
    assert said(desk.service.post("/object/no-such-bucket/k", content=b"x")) == said(missing)
    hidden = bob.post(f"/object/{alice.bucket()}/k", content=b"x")
    assert hidden.json() == missing.json()


def test_removing_many(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    for key in ("a", "b/c", "b/d", "e"):
        alice.upload(bucket, key)
    answer = alice.delete(f"/object/{bucket}", json={"prefixes": ["e", "b/c", "b", "none", "e"]})
    assert answer.status_code == 200
    assert [found["path"] for found in answer.json()] == ["e", "b/c"]
    assert alice.keys(bucket) == ["a", "b/d"]
    for body in ({}, {"prefixes": "a"}, {"prefixes": ["a"] * 1001}):
        assert said(alice.delete(f"/object/{bucket}", json=body)) == (400, "validation_failed")
    refused = alice.delete(f"/object/{bucket}", json={"prefixes": ["a", "../x"]})
    assert said(refused) == (400, "invalid_path")
    desk.settle()


def test_the_flat_list(alice: Person) -> None:
    bucket = alice.bucket()
    for key in ("b/1", "b/2", "b%25", "ba", "B", "c_d", "cxd"):
        alice.upload(bucket, key, key.encode() * (3 if key == "B" else 1))
    assert alice.keys(bucket) == ["B", "b%", "b/1", "b/2", "ba", "c_d", "cxd"]
    assert alice.keys(bucket, prefix="b/") == ["b/1", "b/2"]
    assert alice.keys(bucket, prefix="b%") == ["b%"]
    assert alice.keys(bucket, prefix="c_") == ["c_d"]
    assert alice.keys(bucket, search="D") == ["c_d", "cxd"]
    assert alice.keys(bucket, limit=2, offset=1) == ["b%", "b/1"]
    assert alice.keys(bucket, sort="name.desc", limit=1) == ["cxd"]
    assert alice.keys(bucket, sort="created_at.asc")[0] == "b/1"
    assert alice.keys(bucket, sort="size.desc")[0] in ("b%", "b/1", "b/2", "c_d", "cxd", "B")
    posted = alice.post(f"/object/list/{bucket}", {"prefix": "b", "limit": 2})
    assert [found["path"] for found in posted.json()] == ["b%", "b/1"]
    ordered = alice.post(
        f"/object/list/{bucket}", {"sortBy": {"column": "name", "order": "desc"}, "limit": 1}
    )
    assert [found["path"] for found in ordered.json()] == ["cxd"]
    for query in ({"limit": "0"}, {"sort": "owner.asc"}, {"sort": "name.up"}, {"offset": "-1"}):
        answer = alice.get(f"/object/list/{bucket}", params=query)
        assert said(answer) == (400, "validation_failed")
    assert said(alice.get("/object/list/no-such-bucket")) == (404, "bucket_not_found")


def test_moving(desk: Desk, alice: Person) -> None:
    bucket, other = alice.bucket(), alice.bucket(allowed_mime_types=["text/plain"])
    first = alice.upload(bucket, "a", b"one")
    alice.upload(bucket, "b", b"two")

    def move(source: str, target: str, to: str = bucket, **headers: str) -> Any:
        body = {"bucketId": bucket, "sourceKey": source, "destinationKey": target}
        return alice.post("/object/move", body | {"destinationBucket": to}, headers=headers)

    assert said(move("none", "x")) == (404, "object_not_found")
    assert said(move("a", "b")) == (409, "object_already_exists")
    assert said(move("a", "../b")) == (400, "invalid_path")
    assert said(move("a", "a", other)) == (415, "invalid_mime_type")
    assert said(move("a", "a", "no-such-bucket")) == (404, "bucket_not_found")
    assert move("a", "a").json()["id"] == first["id"]
    moved = move("a", "c/d")
    assert moved.status_code == 200
    assert moved.json()["message"]
    assert (moved.json()["id"], moved.json()["path"]) == (first["id"], "c/d")
    assert alice.keys(bucket) == ["b", "c/d"]
    over = alice.post(
        "/object/move",
        {"bucketId": bucket, "sourceKey": "c/d", "destinationKey": "b"},
        headers={"x-upsert": "true"},
    )
    assert over.status_code == 200
    assert alice.content(bucket, "b") == b"one"
    assert alice.keys(bucket) == ["b"]
    desk.settle()


def test_what_comes_while_it_is_removed_is_another(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    with ThreadPoolExecutor() as threads, held(desk, "after delete") as connection:
        answer = threads.submit(alice.delete, f"/object/{bucket}/k")
        waiting(desk, answer)
        alice.upload(bucket, "k", b"new")
        connection.execute("select pg_advisory_unlock(4711)")
        assert said(answer.result()) == (404, "object_not_found")
    assert alice.content(bucket, "k") == b"new"


def test_what_comes_while_it_is_moved_is_another(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    alice.upload(bucket, "k", b"old")
    order = {"bucketId": bucket, "sourceKey": "k", "destinationKey": "there"}
    with ThreadPoolExecutor() as threads, held(desk, "before update") as connection:
        answer = threads.submit(alice.post, "/object/move", order)
        waiting(desk, answer)
        assert alice.delete(f"/object/{bucket}/k").status_code == 204
        alice.upload(bucket, "k", b"new")
        connection.execute("select pg_advisory_unlock(4711)")
        assert said(answer.result()) == (404, "object_not_found")
    assert alice.keys(bucket) == ["k"]


def test_copying(desk: Desk, alice: Person) -> None:
    bucket, other = alice.bucket(), alice.bucket()
    metadata = {"x-metadata": base64.b64encode(b'{"a": 1}').decode()}
    source = alice.upload(bucket, "a", b"one", headers=metadata)

    def copy(target: str, **more: Any) -> Any:
        headers = more.pop("headers", {})
        body = {"bucketId": bucket, "sourceKey": "a", "destinationKey": target, **more}
        return alice.post("/object/copy", body, headers=headers)

    copied = copy("b")
    assert copied.status_code == 200
    assert copied.json()["id"] != source["id"]
    assert (copied.json()["etag"], copied.json()["metadata"]) == (source["etag"], {"a": 1})
    assert said(copy("b")) == (409, "object_already_exists")
    bare = copy("b", copyMetadata=False, headers={"x-upsert": "true"})
    assert (bare.status_code, bare.json()["metadata"]) == (200, {})
    own = copy("c", destinationBucket=other, metadata={"own": True})
    assert (own.json()["bucket"], own.json()["metadata"]) == (other, {"own": True})
    assert alice.delete(f"/object/{bucket}/a").status_code == 204
    desk.settle()
    assert alice.content(bucket, "b") == alice.content(other, "c") == b"one"
    assert said(copy("d")) == (404, "object_not_found")


@pytest.mark.parametrize("event", ["before delete", "before update"])
def test_what_is_moved_away_meanwhile_is_not_refused(desk: Desk, alice: Person, event: str) -> None:
    bucket = alice.bucket()
    alice.upload(bucket, "k")
    order = {"bucketId": bucket, "sourceKey": "k", "destinationKey": "there"}
    with ThreadPoolExecutor() as threads, held(desk, event) as connection:
        if event == "before delete":
            answer = threads.submit(alice.delete, f"/object/{bucket}/k")
        else:
            answer = threads.submit(alice.post, "/object/move", order)
        waiting(desk, answer)
        elsewhere = "update storage.objects set name = 'away' where bucket_id = %s"
        connection.execute(elsewhere, [bucket])
        connection.execute("select pg_advisory_unlock(4711)")
        assert said(answer.result()) == (404, "object_not_found")
    assert alice.keys(bucket) == ["away"]


@pytest.mark.parametrize("verb", ["copy", "move"])
def test_many_go_to_another_bucket_at_once(alice: Person, verb: str) -> None:
    bucket, other = alice.bucket(), alice.bucket()
    keys = [f"k{number}" for number in range(40)]
    for key in keys:
        alice.upload(bucket, key)

    def go(key: str) -> int:
        order = {"bucketId": bucket, "sourceKey": key}
        order |= {"destinationBucket": other, "destinationKey": key}
        return alice.post(f"/object/{verb}", order).status_code

    with ThreadPoolExecutor(40) as threads:
        assert set(threads.map(go, keys)) == {200}
    assert alice.keys(other) == sorted(keys)


def test_a_copy_shares_the_bytes_until_the_last_is_gone(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    desk.settle()
    before = len(desk.files())
    alice.upload(bucket, "a", b"shared")
    body = {"bucketId": bucket, "sourceKey": "a", "destinationKey": "b"}
    assert alice.post("/object/copy", body).status_code == 200
    assert len(desk.files()) == before + 1
    assert alice.call("PUT", f"/object/{bucket}/a", content=b"new").status_code == 200
    desk.settle()
    assert (alice.content(bucket, "a"), alice.content(bucket, "b")) == (b"new", b"shared")
    assert alice.delete(f"/object/{bucket}/b").status_code == 204
    desk.settle()
    assert len(desk.files()) == before + 1


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ({}, "application/octet-stream"),
        ({"content-type": "nonsense"}, "application/octet-stream"),
        ({"content-type": "text/plain;charset=utf-8"}, "text/plain;charset=utf-8"),
        ({"content-type": "a/" + "b" * 300}, "application/octet-stream"),
    ],
)
def test_types_that_are_none_are_unknown_bytes(
    alice: Person, headers: dict[str, str], kept: str
) -> None:
    assert alice.upload(alice.bucket(), "k", headers=headers)["content_type"] == kept


@pytest.mark.parametrize(
    "headers",
    [
        {"x-metadata": "%"},
        {"x-metadata": base64.b64encode(b"[1]").decode()},
        {"x-metadata": base64.b64encode(b'{"a": "\\u0000"}').decode()},
        {"x-checksum-sha256": "zz"},
        {"content-type": "multipart/form-data"},
        {"content-type": f"multipart/form-data; boundary={'x' * 300}"},
        {"content-type": "multipart/form-data; boundary=x"},
    ],
)
def test_malformed_uploads_leave_nothing(
    desk: Desk, alice: Person, headers: dict[str, str]
) -> None:
    bucket = alice.bucket()
    answer = alice.post(f"/object/{bucket}/k", content=b"--y\r\n\r\n", headers=headers)
    assert said(answer) == (400, "validation_failed")
    assert alice.keys(bucket) == []
    desk.settle()


def form(*parts: tuple[str, bytes], end: bytes = b"--x--\r\n") -> bytes:
    return (
        b"".join(
            b"--x\r\n" + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"
            for disposition, content in parts
        )
        + end
    )


PIECES = [
    b"--x\r\n",
    b"--x--\r\n",
    b"\r\n--x\r\n",
    b'Content-Disposition: form-data; name="metadata"\r\n\r\n',
    b'Content-Disposition: form-data; name="f"; filename="f"\r\n\r\n',
    b"Content-Type: text/plain\r\n",
    b"\r\n\r\n",
    b"{}",
]
FILE = 'Content-Disposition: form-data; name="file"; filename="f"'
FIELD = 'Content-Disposition: form-data; name="metadata"'


@pytest.mark.parametrize(
    "body",
    [
        form((FIELD, b"{}")),
        form((FILE, b"x"), (FILE, b"y")),
        form((FILE, b"x"), (FIELD, b"{}")),
        form((FILE, b"x"), end=b""),
        form((FIELD, b"{}"), end=b""),
        form((FIELD, b"["), (FILE, b"x")),
        form((FIELD, b'"' + b"x" * 70_000 + b'"'), (FILE, b"x")),
        form(("Content-Disposition: attachment", b"x")),
        form(("X: y", b"x")),
        form((f"{FILE}\r\nX: {'y' * 9000}", b"x")),
        form(("\r\n".join([FILE, *(f"X-{i}: y" for i in range(20))]), b"x")),
        form(*[(FIELD, b"{}")] * 20, (FILE, b"x")),
    ],
)
def test_forms_that_are_none(desk: Desk, alice: Person, body: bytes) -> None:
    bucket = alice.bucket()
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = alice.post(f"/object/{bucket}/k", content=body, headers=headers)
    assert said(answer) == (400, "validation_failed")
    assert alice.keys(bucket) == []
    desk.settle()


@given(st.lists(st.binary(max_size=40) | st.sampled_from(PIECES), max_size=12))
def test_no_bytes_break_the_reading_of_a_form(chunks: list[bytes]) -> None:
    assert outcome_of(chunks) in ("read", "validation_failed")


@pytest.mark.parametrize("chunk", [b"x" * 100_000, b"\r\n" * 50_000])
def test_what_is_around_a_file_does_not_go_on_for_ever(chunk: bytes) -> None:
    whole = form((FILE, b"x"))
    for chunks in ([chunk] * 100, [whole, *[chunk] * 100]):
        taken: list[int] = []
        assert outcome_of(chunks, taken) == "validation_failed"
        assert len(taken) < 20


def outcome_of(chunks: list[bytes], taken: list[int] | None = None) -> str:
    """Read a form without a server, and say what comes of it."""
    left = list(enumerate(chunks))

    async def receive() -> dict[str, Any]:
        if not left:
            return {"type": "http.request", "body": b"", "more_body": False}
        number, chunk = left.pop(0)
        if taken is not None:
            taken.append(number)
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def read() -> str:
        headers = {"content-type": "multipart/form-data; boundary=x"}
        request = Request("POST", "/", headers, {}, receive, "http://localhost")
        try:
            upload = await read_upload(request)
            async for _ in upload.chunks:
                pass
        except StorageError as problem:
            return problem.code
        return "read"

    return asyncio.run(read())


def test_a_form_in_any_pieces_is_read_alike(alice: Person) -> None:
    bucket = alice.bucket()
    content = b"\r\n--x\r\n-\r\n--y".replace(b"--x", b"--z")
    body = form((FIELD, b'{"a":1}'), (FILE, content))
    headers = {"content-type": 'multipart/form-data; boundary="x"'}
    for size in (1, 7, len(body)):
        pieces = (body[at : at + size] for at in range(0, len(body), size))
        answer = alice.call("PUT", f"/object/{bucket}/k", content=pieces, headers=headers)
        assert answer.status_code in (200, 201), answer.text
        assert alice.content(bucket, "k") == content
        assert answer.json()["metadata"] == {"a": 1}


def test_what_is_not_served(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket("public")
    for path in (f"/render/image/public/{bucket}/a.png", f"/render/image/{bucket}/a.png"):
        assert said(alice.get(path)) == (501, "not_implemented")
    assert said(alice.get("/nothing")) == (404, "not_found")
    assert said(alice.get("/object/x1x")) == (405, "method_not_allowed")
    refused = alice.call("PATCH", f"/object/{bucket}/k", content=b"")
    assert said(refused) == (405, "method_not_allowed")
    assert refused.headers["allow"] == "DELETE, GET, POST, PUT"
    assert said(alice.post("/object/move", content=json.dumps([]))) == (400, "validation_failed")


def test_credentials_that_are_wrong(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket("public")
    bad = {"Authorization": "Bearer x.y.z"}
    assert said(desk.nobody.get(f"/object/{bucket}/k", headers=bad)) == (401, "invalid_token")
    wrong = {"apikey": "aero_sk_wrong"}
    assert said(desk.nobody.get(f"/object/{bucket}/k", headers=wrong)) == (401, "invalid_api_key")
    for role in ("postgres", "authenticator", "aerodb_storage", "aerodb_auth", "nobody", "none"):
        token = desk.server.create_token(role)
        headers = {"Authorization": f"Bearer {token}"}
        answer = desk.nobody.get(f"/object/{bucket}/k", headers=headers)
        assert said(answer) == (403, "insufficient_permissions"), role
