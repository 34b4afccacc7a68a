"""Public and signed URLs (wire contract §5.2, §5.4; reliability J9)."""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest

from tests.local.storage.conftest import PREFIX, Desk, Person, said


def sign(person: Person, bucket: str, key: str, **more: Any) -> dict[str, Any]:
    answer = person.post(f"/object/sign/{bucket}/{key}", {"expiresIn": 60, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


# --- public -------------------------------------------------------------------------------------


def test_what_is_public_needs_no_key(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket("public")
    alice.upload(bucket, "a b".replace(" ", "%20"), b"hello", headers={"content-type": "text/x"})
    for person in (desk.nobody, alice, desk.service):
        answer = person.get(f"/object/public/{bucket}/a%20b")
        assert (answer.status_code, answer.content) == (200, b"hello")
        assert answer.headers["x-content-type-options"] == "nosniff"
    bad = desk.nobody.get(f"/object/public/{bucket}/a%20b", headers={"apikey": "nonsense"})
    assert bad.status_code == 200
    info = desk.nobody.get(f"/object/info/public/{bucket}/a%20b").json()
    assert (info["path"], info["size"]) == ("a b", 5)
    head = desk.nobody.call("HEAD", f"/object/public/{bucket}/a%20b")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "5", b"")


def test_what_is_not_public_looks_like_what_is_missing(desk: Desk, alice: Person) -> None:
    private, shared, public = (alice.bucket(p) for p in ("private", "authenticated", "public"))
    alice.upload(private, "k")
    alice.upload(shared, "k")
    answers = [
        desk.nobody.get(f"/object/{info}public/{bucket}/{key}")
        for info in ("", "info/")
        for bucket, key in [(private, "k"), (shared, "k"), (public, "k"), ("no-such", "k")]
    ]
    assert {said(answer) for answer in answers} == {(404, "object_not_found")}
    assert len({answer.content for answer in answers}) == 1
    names = [sorted(set(answer.headers) - {"date"}) for answer in answers]
    assert all(found == names[0] for found in names)


# --- signed downloads ---------------------------------------------------------------------------


def test_a_signed_url_opens_one_object_for_a_while(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    alice.upload(bucket, "d/%C3%A9%20%23.txt", b"secret")
    signed = sign(alice, bucket, "d/%C3%A9%20%23.txt")
    assert set(signed) == {"signedUrl", "signedURL", "expires_at", "path"}
    assert signed["path"] == "d/é #.txt"
    assert signed["signedUrl"] == desk.server.url + PREFIX + signed["signedURL"]
    assert signed["signedURL"].startswith(f"/object/sign/{bucket}/d/%C3%A9%20%23.txt?token=")
    answer = desk.nobody.get(signed["signedURL"])
    assert (answer.status_code, answer.content) == (200, b"secret")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-disposition" not in answer.headers
    part = desk.nobody.get(signed["signedURL"], headers={"range": "bytes=1-2"})
    assert (part.status_code, part.content) == (206, b"ec")
    assert desk.nobody.call("HEAD", signed["signedURL"]).status_code == 200
    assert alice.delete(f"/object/{bucket}/d/%C3%A9%20%23.txt").status_code == 204
    assert said(desk.nobody.get(signed["signedURL"])) == (404, "object_not_found")


def test_who_may_not_read_gets_no_url(desk: Desk, alice: Person, bob: Person) -> None:
    bucket = alice.bucket()
    alice.upload(bucket, "k")
    for person in (bob, desk.nobody):
        answer = person.post(f"/object/sign/{bucket}/k", {"expiresIn": 60})
        assert said(answer) == (404, "object_not_found")
        many = person.post(f"/object/sign/{bucket}", {"expiresIn": 60, "paths": ["k", "none"]})
        errors = [(found["path"], found["signedUrl"], found["error"]) for found in many.json()]
        assert errors == [("k", None, "object_not_found"), ("none", None, "object_not_found")]


def test_many_at_once(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    alice.upload(bucket, "a/b", b"1")
    answer = alice.post(f"/object/sign/{bucket}", {"expiresIn": 60, "paths": ["none", "a/b"]})
    missing, found = answer.json()
    assert missing == {
        "path": "none",
        "signedUrl": None,
        "signedURL": None,
        "error": "object_not_found",
    }
    assert (found["path"], found["error"]) == ("a/b", None)
    assert httpx.get(found["signedUrl"], trust_env=False).content == b"1"
    for paths in (None, "a", ["x"] * 1001):
        body = {"expiresIn": 60, "paths": paths}
        assert said(alice.post(f"/object/sign/{bucket}", body)) == (400, "validation_failed")


@pytest.mark.parametrize("seconds", [0, -1, 604_801, "60", 1.5, True, None])
def test_how_long_a_url_may_live(alice: Person, seconds: Any) -> None:
    bucket = alice.bucket()
    alice.upload(bucket, "k")
    answer = alice.post(f"/object/sign/{bucket}/k", {"expiresIn": seconds})
    assert said(answer) == (400, "validation_failed")


def test_a_url_ends(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    alice.upload(bucket, "k", b"x")
    url = sign(alice, bucket, "k", expiresIn=1)["signedURL"]
    deadline = time.monotonic() + 30
    while desk.nobody.get(url).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert said(desk.nobody.get(url)) == (403, "url_expired")


def test_the_name_to_save_under(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    alice.upload(bucket, "d/own.txt", b"x")
    own = sign(alice, bucket, "d/own.txt", download=True)["signedURL"]
    answer = desk.nobody.get(own)
    assert answer.headers["content-disposition"] == 'attachment; filename="own.txt"'
    named = sign(alice, bucket, "d/own.txt", download="é.txt")["signedURL"]
    expected = "attachment; filename=\"_.txt\"; filename*=UTF-8''%C3%A9.txt"
    for url in (named, named.partition("&download=")[0], f"{named}&download=evil.html"):
        assert desk.nobody.get(url).headers["content-disposition"] == expected
    free = sign(alice, bucket, "d/own.txt")["signedURL"]
    answer = desk.nobody.get(f"{free}&download=mine.txt")
    assert answer.headers["content-disposition"] == 'attachment; filename="mine.txt"'
    refused = alice.post(f"/object/sign/{bucket}/d/own.txt", {"expiresIn": 1, "download": 3})
    assert said(refused) == (400, "validation_failed")
    transformed = {"expiresIn": 1, "transform": {"width": 10}}
    answer = alice.post(f"/object/sign/{bucket}/d/own.txt", transformed)
    assert said(answer) == (501, "not_implemented")


# --- attacks (J9) -------------------------------------------------------------------------------


def parted(token: str) -> tuple[str, dict[str, Any], str]:
    header, payload, signature = token.split(".")
    return header, json.loads(base64.urlsafe_b64decode(payload + "==")), signature


def encoded(claims: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def test_a_token_is_for_one_object_only(desk: Desk, alice: Person) -> None:
    bucket, other = alice.bucket(), alice.bucket()
    for key in ("b/c", "b", "b/c1", "c"):
        alice.upload(bucket, key)
        alice.upload(other, key)
    token = token_of(sign(alice, bucket, "b/c")["signedURL"])
    for path in (
        f"{bucket}/b",
        f"{bucket}/b/c1",
        f"{bucket}/c",
        f"{other}/b/c",
        f"{bucket}%2Fb/c",
        f"{bucket}/b%2Fc",
    ):
        answer = desk.nobody.get(f"/object/sign/{path}?token={token}")
        assert answer.status_code in (400, 403), path
    assert desk.nobody.get(f"/object/sign/{bucket}/b/c?token={token}").status_code == 200


def test_a_token_is_for_one_purpose_only(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    alice.upload(bucket, "k", b"kept")
    reading = token_of(sign(alice, bucket, "k")["signedURL"])
    url = f"/object/upload/sign/{bucket}/k?token={reading}"
    assert said(desk.nobody.call("PUT", url, content=b"evil")) == (403, "invalid_signature")
    made = alice.post(f"/object/upload/sign/{bucket}/k", headers={"x-upsert": "true"})
    writing = made.json()["token"]
    answer = desk.nobody.get(f"/object/sign/{bucket}/k?token={writing}")
    assert said(answer) == (403, "invalid_signature")
    assert said(desk.nobody.post(f"/object/sign/{bucket}/k?token={reading}")) == (
        400,
        "validation_failed",
    )
    bearer = {"Authorization": f"Bearer {reading}"}
    assert said(desk.nobody.get(f"/object/{bucket}/k", headers=bearer)) == (401, "invalid_token")
    assert alice.content(bucket, "k") == b"kept"


def test_tokens_that_somebody_made(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket()
    alice.upload(bucket, "k")
    alice.upload(bucket, "other")
    good = token_of(sign(alice, bucket, "k")["signedURL"])
    header, claims, signature = parted(good)
    keys = desk.server.database.keys
    assert keys is not None
    key = keys.storage_secret
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    now = int(time.time())
    for token in (
        "",
        "x",
        good[:-2],
        good + "A",
        f"{good}.",
        f"{header}.{encoded({**claims, 'exp': now + 10**6})}.{signature}",
        f"{header}.{encoded({**claims, 'path': 'other'})}.{signature}",
        f"{none}.{encoded(claims)}.",
        f"{none}.{encoded(claims)}.{signature}",
        jwt.encode(claims, desk.server.jwt_secret, algorithm="HS256"),
        jwt.encode(claims, key, algorithm="HS512"),
        jwt.encode({**claims, "scope": "upload"}, key, algorithm="HS256"),
        jwt.encode({**claims, "path": "other"}, key, algorithm="HS256"),
        jwt.encode({**claims, "path": ["k"]}, key, algorithm="HS256"),
        jwt.encode({**claims, "bucket": f"{bucket}/k", "path": ""}, key, algorithm="HS256"),
        jwt.encode({k: v for k, v in claims.items() if k != "exp"}, key, algorithm="HS256"),
        jwt.encode({k: v for k, v in claims.items() if k != "aud"}, key, algorithm="HS256"),
        jwt.encode({**claims, "exp": str(now + 60)}, key, algorithm="HS256"),
        jwt.encode({**claims, "exp": True}, key, algorithm="HS256"),
        jwt.encode({**claims, "exp": float(now + 60)}, key, algorithm="HS256"),
        "A" * 20_000,
    ):
        answer = desk.nobody.get(f"/object/sign/{bucket}/k", params={"token": token})
        assert said(answer) == (403, "invalid_signature"), token
    assert said(desk.nobody.get(f"/object/sign/{bucket}/k")) == (403, "invalid_signature")
    expired = jwt.encode({**claims, "exp": now - 1}, key, algorithm="HS256")
    answer = desk.nobody.get(f"/object/sign/{bucket}/k", params={"token": expired})
    assert said(answer) == (403, "url_expired")
    assert desk.nobody.get(f"/object/sign/{bucket}/k", params={"token": good}).status_code == 200


def test_the_signing_key_is_a_key_of_its_own(desk: Desk) -> None:
    keys = desk.server.database.keys
    assert keys is not None
    assert keys.storage_secret not in (keys.jwt_secret, keys.secret)
    assert len(keys.storage_secret) >= 43
    assert keys.storage_secret not in repr(keys) + repr(desk.server.database)


# --- signed uploads -----------------------------------------------------------------------------


def test_a_signed_upload(desk: Desk, alice: Person) -> None:
    bucket = alice.bucket(file_size_limit=10)
    made = alice.post(f"/object/upload/sign/{bucket}/a%20b")
    assert made.status_code == 200
    answer = made.json()
    assert set(answer) == {"url", "token", "path", "expires_at"}
    assert answer["path"] == "a b"
    assert answer["url"].startswith(desk.server.url + PREFIX + "/object/upload/sign/")
    too_large = httpx.put(answer["url"], content=b"x" * 11, trust_env=False)
    assert said(too_large) == (413, "file_too_large")
    put = httpx.put(answer["url"], content=b"signed", trust_env=False)
    assert (put.status_code, put.json()["path"]) == (201, "a b")
    assert alice.content(bucket, "a%20b") == b"signed"
    again = httpx.put(answer["url"], content=b"twice", trust_env=False)
    assert said(again) == (409, "object_already_exists")
    refused = alice.post(f"/object/upload/sign/{bucket}/a%20b")
    assert said(refused) == (409, "object_already_exists")
    upsert = alice.post(f"/object/upload/sign/{bucket}/a%20b", headers={"x-upsert": "true"})
    for content in (b"2", b"3"):
        form = httpx.put(upsert.json()["url"], files={"": content}, trust_env=False)
        assert form.status_code == 201
        assert alice.content(bucket, "a%20b") == content
    owners = desk.sql("select owner from storage.objects where bucket_id = %s", bucket)
    assert [str(row["owner"]) for row in owners] == [alice.id]
    desk.settle()


def test_who_may_not_write_gets_no_upload_url(desk: Desk, alice: Person, bob: Person) -> None:
    private, public = alice.bucket(), alice.bucket("public")
    for person, bucket, refusal in [
        (bob, private, (404, "bucket_not_found")),
        (desk.nobody, private, (404, "bucket_not_found")),
        (bob, public, (403, "access_denied")),
        (desk.nobody, public, (401, "authentication_required")),
    ]:
        assert said(person.post(f"/object/upload/sign/{bucket}/k")) == refusal
    desk.settle()
