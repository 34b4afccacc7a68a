"""Paths: what is refused, and that nothing ever leaves the store (S9, S10; reliability C2)."""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aerodb._core.storage.paths import bucket_problem, object_problem, prefix_problem
from aerodb.local.storage.errors import StorageError
from aerodb.local.storage.names import (
    RESERVED,
    bucket_segment,
    end_of,
    joined,
    object_key,
    prefix,
    segments,
)
from tests.local.storage.conftest import PREFIX, Desk, Person

REFUSED = [
    "..",
    ".",
    "a/../b",
    "a/./b",
    "%2e%2e/x",
    "%2E",
    "%252e%252e",
    "%25252e%25252e",
    "..%2f",
    "..%2F..%2Fetc",
    "..%252fx",
    "a%5cb",
    "a%5C..%5Cb",
    "a%255cb",
    "/etc/passwd",
    "/h/x",
    "C:%5Cx",
    "%5C%5Ch%5Cs",
    "a%00b",
    "a%2500b",
    "a//b",
    "a/",
    "a%0d%0ab",
    "a%7fb",
    "a%1fb",
    "a%",
    "a%zz",
    "a%e9",
    "%c0%ae%c0%ae",
    "%ed%a0%80",
    quote("x" * 1025),
    quote("é" * 513),
]
TAKEN = [
    ("con", "con"),
    ("a.", "a."),
    ("a%20", "a "),
    ("%20", " "),
    ("a%3Fx", "a?x"),
    ("a%23x", "a#x"),
    ("%C3%A9", "é"),
    ("e%CC%81", "e\u0301"),
    ("%E2%80%A4%E2%80%A4", "\u2024\u2024"),
    ("a%E2%80%AEb", "a\u202eb"),
    ("...", "..."),
    ("..a", "..a"),
    ("100%25", "100%"),
    ("50%2520off", "50%20off"),
    ("C:x", "C:x"),
    ("a%26b=c+d;e", "a&b=c+d;e"),
    ("a:b@c", "a:b@c"),
    ("public/sign", "public/sign"),
    ("x" * 1024, "x" * 1024),
    ("/".join(["d"] * 300), "/".join(["d"] * 300)),
]


def raw(desk: Desk, method: str, target: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Send a target as it is: HTTP libraries would tidy it up."""
    address = urlsplit(desk.server.url)
    lines = [f"{method} {target} HTTP/1.1", f"Host: {address.netloc}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall("\r\n".join(lines).encode() + body)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


@pytest.fixture(scope="module")
def owner(desk: Desk) -> Person:
    return desk.person()


@pytest.fixture(scope="module")
def bucket(owner: Person) -> str:
    return owner.bucket()


@pytest.fixture(scope="module")
def littered(owner: Person) -> str:
    """A bucket for names that nobody foresees, which would be found among those of other tests."""
    return owner.bucket()


@pytest.mark.parametrize("path", REFUSED)
def test_paths_that_are_refused(desk: Desk, owner: Person, bucket: str, path: str) -> None:
    for method, route in [
        ("POST", "object"),
        ("PUT", "object"),
        ("GET", "object"),
        ("DELETE", "object"),
        ("GET", "object/public"),
        ("GET", "object/info"),
        ("POST", "object/sign"),
        ("GET", "object/sign"),
        ("POST", "object/upload/sign"),
    ]:
        target = f"{PREFIX}/{route}/{bucket}/{path}"
        answer = raw(desk, method, target, b"", owner.headers)
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert b'"code":"invalid_path"' in answer
    key = unquote(path)
    if "\ufffd" not in key and "\0" not in key and not path.endswith(("%", "%zz")):
        body = {"bucketId": bucket, "sourceKey": "k", "destinationKey": key}
        for answer in (
            owner.post("/object/move", body),
            owner.post("/object/copy", {**body, "sourceKey": key, "destinationKey": "k"}),
            owner.delete(f"/object/{bucket}", json={"prefixes": [key]}),
            owner.post(f"/object/sign/{bucket}", {"expiresIn": 1, "paths": [key]}),
        ):
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_path")


@pytest.mark.parametrize(("path", "key"), TAKEN)
def test_paths_that_are_taken_as_they_are(owner: Person, bucket: str, path: str, key: str) -> None:
    made = owner.call("PUT", f"/object/{bucket}/{path}", content=key.encode())
    assert made.status_code == 201, made.text
    assert (made.json()["path"], made.json()["name"]) == (key, key.rpartition("/")[2])
    assert owner.get(f"/object/{bucket}/{path}").content == key.encode()
    assert owner.keys(bucket, prefix=key) == [key]
    assert owner.delete(f"/object/{bucket}/{path}").status_code == 204


@pytest.mark.parametrize("name", ["..", ".", "%2e%2e", "a%2fb", "a%5cb", "%00", "", "%252e%252e"])
def test_buckets_of_a_path_are_looked_at_too(desk: Desk, owner: Person, name: str) -> None:
    for method, target in [
        ("GET", f"/object/{name}/k"),
        ("POST", f"/object/{name}/k"),
        ("GET", f"/object/public/{name}/k"),
        ("GET", f"/object/list/{name}"),
        ("GET", f"/bucket/{name}"),
        ("DELETE", f"/bucket/{name}"),
    ]:
        answer = raw(desk, method, PREFIX + target, b"", owner.headers)
        assert answer.startswith(b"HTTP/1.1 400 "), (target, answer)
        assert b'"code":"invalid_path"' in answer


def test_the_prefix_of_the_service_is_not_decoded(desk: Desk, owner: Person) -> None:
    for target in ("/%73torage/v1/bucket", "/storage%2Fv1/bucket", "/storage/v1%2Fbucket"):
        answer = raw(desk, "GET", target, b"", owner.headers)
        assert answer.startswith(b"HTTP/1.1 404 "), (target, answer)
    answer = raw(desk, "GET", "/storage/v1/../v1/bucket", b"", owner.headers)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 "))


@pytest.mark.parametrize("start", ["../", "a/../", "a//", "/", "a\\", "a\x00", "x" * 1025])
def test_prefixes_that_are_refused(owner: Person, bucket: str, start: str) -> None:
    answer = owner.post(f"/object/list/{bucket}", {"prefix": start})
    assert answer.status_code == 400, answer.text
    with pytest.raises(StorageError):
        prefix(start)


# --- properties -----------------------------------------------------------------------------------

SEGMENT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
KEYS = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join)
TRICKS = st.sampled_from(
    ["%", "2e", "%2e", "%252e", "%2f", "%25", "%5c", "%00", ".", "..", "/", "\\", "\x00", "\x7f",
     "\x85", "é", "\ud800", "a", "0" * 400]
)  # fmt: skip
NAMES = st.lists(TRICKS | st.text(max_size=3), max_size=8).map("".join)


def safe(key: str) -> bool:
    """S10 and its reading of double decoding, said again in another way."""
    seen = key
    for _ in range(2000):
        parts = seen.split("/")
        if any(part in ("", ".", "..") for part in parts) or len(parts) != key.count("/") + 1:
            return False
        if any(ord(letter) < 32 or letter in "\x7f\\" for letter in seen):
            return False
        decoded = unquote(seen, errors="replace")
        if decoded == seen:
            return len(key.encode()) <= 1024
        seen = decoded
    return False


def outcome(read: Callable[[], str]) -> str:
    """What was read, or the code of the refusal."""
    try:
        return read()
    except StorageError as problem:
        return problem.code


@settings(max_examples=300)
@given(KEYS)
@example("%2e%2e")
@example("a%252Fb")
@example("100%")
def test_what_is_encoded_once_comes_back_as_it_was(key: str) -> None:
    encoded = "/" + "/".join(quote(part, safe="") for part in key.split("/"))
    expected = key if safe(key) else "invalid_path"
    assert outcome(lambda: joined(segments(encoded.encode()))) == expected
    assert outcome(lambda: object_key(key)) == expected


@settings(max_examples=2000)
@given(NAMES)
def test_the_client_refuses_what_the_server_would(name: str) -> None:
    """And nothing else: what is refused is never sent (S10)."""
    assert (object_problem(name) is None) == (outcome(lambda: object_key(name)) == name)
    assert (prefix_problem(name) is None) == (outcome(lambda: prefix(name)) == name)
    refused = bucket_problem(name) is not None
    if name not in RESERVED and not any("\x80" <= letter <= "\x9f" for letter in name):
        assert refused == (outcome(lambda: bucket_segment(name)) != name or "/" in name)


@pytest.mark.parametrize("path", REFUSED)
def test_the_client_refuses_the_names_of_the_table(path: str) -> None:
    name = unquote(path, errors="surrogateescape")
    a_lone_percent = path.endswith(("%", "%zz"))  # malformed in a URL, and the client escapes it
    assert (object_problem(name) is None) == a_lone_percent


@given(st.binary(max_size=60))
def test_no_bytes_in_a_path_break_it(path: bytes) -> None:
    found = outcome(lambda: joined(segments(b"/" + path)))
    assert found == "invalid_path" or safe(found)


@settings(max_examples=25)
@given(st.text(min_size=1, max_size=30), st.binary(max_size=20))
@example("../../../../tmp/evil", b"x")
@example("/etc/passwd", b"x")
def test_no_name_puts_a_file_outside_of_the_store(
    desk: Desk, owner: Person, littered: str, key: str, content: bytes
) -> None:
    folder = desk.root.parent
    before = {path for path in folder.iterdir() if not path.name.startswith("postgres")}
    encoded = quote(key.encode("utf-8", "replace"), safe="")
    answer = raw(desk, "PUT", f"{PREFIX}/object/{littered}/{encoded}", content, owner.headers)
    assert answer.split(b" ", 2)[1] in (b"200", b"201", b"400")
    after = {path for path in folder.iterdir() if not path.name.startswith("postgres")}
    assert after == before
    for path in desk.files():
        relative = path.relative_to(desk.root).parts
        assert relative[0] in ("blobs", "parts")
        assert all(part.isalnum() and part.isascii() for part in relative)


@given(KEYS, KEYS)
def test_what_begins_with_a_prefix_is_a_range(start: str, other: str) -> None:
    for key in (other, start + other, start, start[:-1]):
        assert (start <= key < end_of(start)) == key.startswith(start)
        assert key < end_of("")


@pytest.mark.parametrize("last", ["\ud7ff", "\U0010ffff", "z\U0010ffff\U0010ffff"])
def test_the_range_ends_at_the_next_character_there_is(
    owner: Person, bucket: str, last: str
) -> None:
    key = f"edge/{last}"
    path = quote(f"{key}/k", safe="/")
    assert owner.call("PUT", f"/object/{bucket}/{path}", content=b"x").status_code == 201
    assert owner.keys(bucket, prefix=key) == [f"{key}/k"]
    assert owner.delete(f"/object/{bucket}/{path}").status_code == 204
