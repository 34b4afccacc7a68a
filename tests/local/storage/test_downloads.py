"""Ranges, conditions and what else a download says (RFC 9110 §13, §14; wire contract §5.2, S14)."""

from __future__ import annotations

import hashlib
import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.local.storage.disposition import attachment, is_active
from aerodb.local.storage.ranges import Span, Unsatisfiable, matches, not_modified, wanted_span
from tests.local.storage.conftest import PREFIX, Desk, Person, eventually, said

CONTENT = bytes(range(256)) * 40
SIZE = len(CONTENT)


@pytest.fixture(scope="module")
def owner(desk: Desk) -> Person:
    return desk.person()


@pytest.fixture(scope="module")
def url(owner: Person) -> str:
    bucket = owner.bucket()
    owner.upload(bucket, "k", CONTENT)
    owner.upload(bucket, "empty", b"")
    return f"/object/{bucket}/k"


def test_the_sum_of_the_whole_goes_along(desk: Desk, owner: Person, url: str) -> None:
    """Whatever part of it is asked for, by whichever way in."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    shared = owner.bucket("public")
    owner.upload(shared, "k", CONTENT)
    signed = owner.post(f"/object/sign/{url.removeprefix('/object/')}", {"expiresIn": 60}).json()
    for answer in (
        owner.get(url),
        owner.get(url, headers={"range": "bytes=2-5"}),
        owner.call("HEAD", url),
        desk.nobody.get(f"/object/public/{shared}/k"),
        desk.nobody.get(signed["signedURL"]),
    ):
        assert answer.headers["x-checksum-sha256"] == digest
    empty = owner.get(url.removesuffix("k") + "empty")
    assert empty.headers["x-checksum-sha256"] == hashlib.sha256(b"").hexdigest()


def test_the_sum_is_that_of_what_is_there_now(owner: Person) -> None:
    bucket = owner.bucket()
    for content in (b"one", b"two"):
        owner.upload(bucket, "k", content, headers={"x-upsert": "true"})
        owner.post("/object/copy", {"bucketId": bucket, "sourceKey": "k", "destinationKey": "c"},
                   headers={"x-upsert": "true"})  # fmt: skip
        for key in "kc":
            found = owner.get(f"/object/{bucket}/{key}").headers["x-checksum-sha256"]
            assert found == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=5-", 5, SIZE),
        ("bytes=-3", SIZE - 3, SIZE),
        (f"bytes=-{SIZE + 5}", 0, SIZE),
        (f"bytes=1-{10**17}", 1, SIZE),
        (f"bytes=1-{10**18}", 1, SIZE),
        (f"bytes=1-{'9' * 6000}", 1, SIZE),
        (f"bytes=-{10**30}", 0, SIZE),
        (f"bytes={'0' * 40}2-{'0' * 40}3", 2, 4),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        ("BYTES=2-3", 2, 4),
    ],
)
def test_one_range(owner: Person, url: str, header: str, start: int, end: int) -> None:
    answer = owner.get(url, headers={"range": header})
    assert answer.status_code == 206
    assert answer.content == CONTENT[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - start)
    assert answer.headers["accept-ranges"] == "bytes"
    head = owner.call("HEAD", url, headers={"range": header})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(SIZE)


@pytest.mark.parametrize(
    "header",
    [
        "bytes=0-1,3-4",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(2000)),
        "bytes=9-5",
        f"bytes={10**30}-{10**29}",
        "bytes=-",
        "bytes=a-b",
        "bytes=0x1-2",
        "bytes 0-1",
        "lines=0-1",
        "bytes=1-2-3",
        "bytes=٣-٤".encode().decode("latin-1"),
        "",
    ],
)
def test_a_range_that_is_none_or_many_gives_the_whole(owner: Person, url: str, header: str) -> None:
    answer = owner.get(url, headers={"range": header.encode("latin-1")})
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert "content-range" not in answer.headers


@pytest.mark.parametrize(
    "header",
    [
        f"bytes={SIZE}-",
        f"bytes={SIZE}-{SIZE + 9}",
        "bytes=-0",
        f"bytes={10**30}-",
        f"bytes={10**29}-{10**30}",
    ],
)
def test_a_range_behind_the_end(owner: Person, url: str, header: str) -> None:
    answer = owner.get(url, headers={"range": header})
    assert said(answer) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


def test_ranges_of_nothing(owner: Person, url: str) -> None:
    empty = url.replace("/k", "/empty")
    assert owner.get(empty).content == b""
    for header in ("bytes=0-", "bytes=0-0", "bytes=-1"):
        answer = owner.get(empty, headers={"range": header})
        assert said(answer) == (416, "range_not_satisfiable")


def test_if_range(owner: Person, url: str) -> None:
    first = owner.get(url)
    tag, date = first.headers["etag"], first.headers["last-modified"]
    for condition, status in [
        (tag, 206),
        (f"W/{tag}", 200),
        ('"other"', 200),
        (date, 206),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 200),
        ("nonsense", 200),
    ]:
        answer = owner.get(url, headers={"range": "bytes=1-2", "if-range": condition})
        assert answer.status_code == status, condition
        assert answer.content == (CONTENT[1:3] if status == 206 else CONTENT)


def test_conditions(owner: Person, url: str) -> None:
    first = owner.get(url)
    tag, date = first.headers["etag"], first.headers["last-modified"]
    later = format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)
    for headers, status in [
        ({"if-none-match": tag}, 304),
        ({"if-none-match": f"W/{tag}"}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": f'"a", {tag}'}, 304),
        ({"if-none-match": '"a"'}, 200),
        ({"if-none-match": '"a"', "if-modified-since": later}, 200),
        ({"if-modified-since": date}, 304),
        ({"if-modified-since": later}, 304),
        ({"if-modified-since": "Mon, 01 Jan 2001 00:00:00 GMT"}, 200),
        ({"if-modified-since": "nonsense"}, 200),
        ({"if-modified-since": "Fri, 31 Dec 9999 23:59:59 -2300"}, 200),
        ({"if-none-match": tag, "range": "bytes=0-1"}, 304),
    ]:
        for method in ("GET", "HEAD"):
            answer = owner.call(method, url, headers=headers)
            assert answer.status_code == status, headers
            if status == 304:
                assert answer.content == b""
                assert answer.headers["etag"] == tag


def test_the_tag_follows_the_content(owner: Person) -> None:
    bucket = owner.bucket()
    first = owner.upload(bucket, "k", b"1")["etag"]
    upsert = {"x-upsert": "true"}
    assert owner.upload(bucket, "k", b"2", headers=upsert)["etag"] != first
    assert owner.upload(bucket, "k", b"1", headers=upsert)["etag"] == first


@pytest.mark.parametrize(
    ("kind", "active"),
    [
        ("text/html", True),
        ("Text/HTML; charset=utf-8", True),
        ("image/svg+xml", True),
        ("application/xml", True),
        ("text/xml", True),
        ("application/xhtml+xml", True),
        ("application/rss+xml", True),
        ("text/xsl", True),
        ("application/xslt+xml", True),
        ("text/xml-external-parsed-entity", True),
        ("application/xml-external-parsed-entity", True),
        ("multipart/x-mixed-replace; boundary=x", True),
        ("multipart/related", True),
        ("application/xml-dtd", True),
        ("text/plain", False),
        ("image/png", False),
        ("application/json", False),
        ("application/octet-stream", False),
    ],
)
def test_what_a_browser_would_run_is_kept_from_running(
    desk: Desk, owner: Person, kind: str, active: bool
) -> None:
    assert is_active(kind) == active
    bucket = owner.bucket("public")
    owner.upload(bucket, "k", b"<script>", headers={"content-type": kind})
    signed = owner.post(f"/object/sign/{bucket}/k", {"expiresIn": 60}).json()["signedURL"]
    for answer in (
        desk.nobody.get(f"/object/public/{bucket}/k"),
        desk.nobody.get(signed),
        owner.get(f"/object/{bucket}/k"),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] == kind
        assert answer.headers.get("content-security-policy") == ("sandbox" if active else None)
        assert ("content-disposition" in answer.headers) == active


def test_downloads_under_a_name(owner: Person, url: str) -> None:
    own = owner.get(url, params={"download": ""})
    assert own.headers["content-disposition"] == 'attachment; filename="k"'
    evil = owner.get(url, params={"download": 'a"\r\nSet-Cookie: x=1\r\n\r\n<html>'})
    assert evil.status_code == 200
    assert "set-cookie" not in evil.headers
    assert evil.content == CONTENT


@given(st.text(min_size=1, max_size=50))
def test_attachment_names_survive_any_text(name: str) -> None:
    if name.encode("utf-8", "ignore").decode() != name:
        return
    value = attachment(name).decode("ascii")
    assert "\r" not in value
    assert "\n" not in value
    read = Message()
    read["Content-Disposition"] = value
    given_plain = value.partition('filename="')[2].partition('"')[0]
    assert len(given_plain) == len(name)
    extended = value.partition("filename*=UTF-8''")[2]
    assert (unquote(extended) if extended else given_plain) == name
    assert read.get_content_disposition() == "attachment"


# --- decisions alone ------------------------------------------------------------------------------

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)


RANGES = st.from_regex(r"bytes=\d{0,20}-\d{0,20}", fullmatch=True)


@given(st.text(max_size=30) | RANGES, st.integers(0, 100))
def test_any_range_is_whole_within_or_unsatisfiable(header: str, size: int) -> None:
    try:
        span = wanted_span({"range": header}, size, '"t"', MOMENT)
    except Unsatisfiable:
        return
    if span is not None:
        assert 0 <= span.start < span.start + span.length <= size


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 40))
def test_a_range_is_what_a_slice_is(first: int, last: int, size: int) -> None:
    content = bytes(range(size))
    try:
        span = wanted_span({"range": f"bytes={first}-{last}"}, size, '"t"', MOMENT)
    except Unsatisfiable:
        assert content[first : last + 1] == b""
        return
    if last < first:
        assert span is None
    else:
        assert span is not None
        assert content[span.start : span.start + span.length] == content[first : last + 1]
        assert span.header(size).endswith(f"/{size}".encode())


def test_spans_have_the_header_of_the_standard() -> None:
    assert Span(2, 3).header(10) == b"bytes 2-4/10"


@given(st.text(max_size=60), st.text(max_size=60))
def test_conditions_of_any_text_are_answered(tags: str, date: str) -> None:
    assert matches(tags, '"t"') in (True, False)
    headers: dict[str, Any] = {"if-none-match": tags, "if-modified-since": date, "if-range": date}
    assert not_modified(headers, '"t"', MOMENT) in (True, False)
    assert not_modified({"if-modified-since": date}, '"t"', MOMENT) in (True, False)
    assert wanted_span({**headers, "range": "bytes=0-"}, 3, '"t"', MOMENT) in (None, Span(0, 3))


# --- in the middle of a download ------------------------------------------------------------------


@pytest.mark.parametrize("what", ["replace", "delete"])
def test_who_is_reading_gets_the_old_bytes_to_the_end(desk: Desk, owner: Person, what: str) -> None:
    bucket = owner.bucket()
    content = b"old!" * (4 * 1024 * 1024)
    owner.upload(bucket, "k", content)
    with owner.http.stream("GET", f"{PREFIX}/object/{bucket}/k", headers=owner.headers) as answer:
        chunks = answer.iter_bytes(65536)
        received = next(chunks)
        if what == "replace":
            owner.upload(bucket, "k", b"new", headers={"x-upsert": "true"})
        else:
            assert owner.delete(f"/object/{bucket}/k").status_code == 204
        desk.settle()  # the old file has no name any more
        received += b"".join(chunks)
    assert received == content


def test_many_who_read_while_it_is_replaced(desk: Desk, owner: Person) -> None:
    bucket = owner.bucket()
    versions = [bytes([number]) * 100_000 for number in range(20)]
    owner.upload(bucket, "k", versions[0])
    done = False

    def read() -> int:
        count = 0
        with httpx.Client(base_url=desk.server.url, trust_env=False) as http:
            while not done or count == 0:
                answer = http.get(f"{PREFIX}/object/{bucket}/k", headers=owner.headers)
                assert answer.status_code == 200
                assert answer.content in versions
                count += 1
        return count

    with ThreadPoolExecutor(3) as threads:
        readers = [threads.submit(read) for _ in range(3)]
        for version in versions:
            owner.upload(bucket, "k", version, headers={"x-upsert": "true"})
        done = True
        assert all(reader.result() > 0 for reader in readers)
    desk.settle()


def test_who_leaves_in_the_middle_lets_go_of_the_file(desk: Desk, owner: Person) -> None:
    bucket = owner.bucket()
    owner.upload(bucket, "k", bytes(64 * 1024 * 1024))
    address = urlsplit(desk.server.url)
    head = (
        f"GET {PREFIX}/object/{bucket}/k HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: {owner.headers['Authorization']}\r\n\r\n"
    )
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    eventually(lambda: open_blobs(desk) == [])


def open_blobs(desk: Desk) -> list[str]:
    """The files of the store that this process, the instance's too, has open."""
    found: list[str] = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith(str(desk.root)):
            found.append(target)
    return found
