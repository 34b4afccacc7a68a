"""What makes a download whole: every way in which it can be less is an error or is made good."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.storage.ranges import Again, Fetch, fetch_problem
from aerodb.types import AeroDBError

BROKEN = AeroDBError("broke", code="NETWORK_ERROR", retryable=True)


def heads(**given: Any) -> list[tuple[bytes, bytes]]:
    return [
        (name.replace("_", "-").encode(), str(value).encode())
        for name, value in given.items()
        if value is not None
    ]


def code(verdict: object) -> str | None:
    return verdict.code if isinstance(verdict, AeroDBError) else None


def asked(fetch: Fetch) -> dict[str, str]:
    return dict(fetch.call().headers)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {"content_length": 10}, None),
        (200, {"transfer_encoding": "chunked"}, None),
        (200, {}, "INVALID_RESPONSE"),  # its end would be the connection's, whatever that means
        (200, {"content_length": 10, "content_encoding": "gzip"}, "INVALID_RESPONSE"),
        (200, {"content_length": 10, "content_encoding": "identity"}, None),
        (206, {"content_length": 5, "content_range": "bytes 0-4/10"}, "INVALID_RESPONSE"),
    ],
)
def test_the_first_answer(status: int, headers: Any, expected: str | None) -> None:
    assert code(Fetch("b", "p").answered(status, heads(**headers))) == expected


@pytest.mark.parametrize(
    ("content_range", "length", "expected"),
    [
        ("bytes 4-9/10", 6, None),
        ("bytes 4-9/10", None, None),
        ("bytes 0-9/10", 10, "INVALID_RESPONSE"),
        ("bytes 5-9/10", 5, "INVALID_RESPONSE"),
        ("bytes 4-8/10", 5, "INVALID_RESPONSE"),
        ("bytes 4-9/10", 5, "INVALID_RESPONSE"),
        ("bytes 4-9/9", 6, "INVALID_RESPONSE"),
        ("bytes 4-10/11", 7, "SOURCE_CHANGED"),
        ("bytes 9-4/10", 6, "INVALID_RESPONSE"),
        ("bytes */10", 6, "INVALID_RESPONSE"),
        ("items 4-9/10", 6, "INVALID_RESPONSE"),
        (None, 6, "INVALID_RESPONSE"),
    ],
)
def test_the_rest_must_be_the_rest(
    content_range: str | None, length: int | None, expected: str | None
) -> None:
    fetch = Fetch("b", "p")
    assert fetch.answered(200, heads(content_length=10, etag='"v1"')) == "go"
    assert fetch.received(4) is None
    assert isinstance(fetch.broken(BROKEN, 0.0), Again)
    assert asked(fetch) == {"Range": "bytes=4-", "If-Range": '"v1"'}
    rest = heads(content_length=length, content_range=content_range, etag='"v1"')
    assert code(fetch.answered(206, rest)) == expected


def test_another_version_is_taken_from_its_beginning() -> None:
    fetch = Fetch("b", "p")
    fetch.answered(200, heads(content_length=10, etag='"v1"'))
    fetch.received(4)
    fetch.broken(BROKEN, 0.0)
    assert fetch.answered(200, heads(content_length=7, etag='"v2"')) == "anew"
    assert (fetch.got, fetch.size) == (0, 7)
    part = heads(content_length=6, content_range="bytes 4-9/10", etag='"v2"')
    other = Fetch("b", "p")
    other.answered(200, heads(content_length=10, etag='"v1"'))
    other.received(4)
    other.broken(BROKEN, 0.0)
    assert other.answered(206, part) == "again"
    assert (other.got, asked(other)) == (0, {})


def test_what_was_given_out_cannot_begin_anew() -> None:
    fetch = Fetch("b", "p", restartable=False)
    fetch.answered(200, heads(content_length=10, etag='"v1"'))
    fetch.received(4)
    assert isinstance(fetch.broken(BROKEN, 0.0), Again)
    assert code(fetch.answered(200, heads(content_length=10, etag='"v2"'))) == "SOURCE_CHANGED"


@pytest.mark.parametrize("etag", [None, 'W/"v1"', "v1"])
def test_without_a_strong_tag_nothing_is_joined(etag: str | None) -> None:
    fetch = Fetch("b", "p")
    fetch.answered(200, heads(content_length=10, etag=etag))
    fetch.received(4)
    assert isinstance(fetch.broken(BROKEN, 0.0), Again)
    assert fetch.begins_anew
    assert not fetch.begins_anew
    assert asked(fetch) == {}
    stream = Fetch("b", "p", restartable=False)
    stream.answered(200, heads(content_length=10, etag=etag))
    stream.received(4)
    assert stream.broken(BROKEN, 0.0) is BROKEN


def test_patience_ends_without_progress_only() -> None:
    fetch = Fetch("b", "p", retries=2)
    fetch.answered(200, heads(content_length=100, etag='"v1"'))
    for start in range(1, 50):
        assert fetch.received(1) is None
        assert isinstance(fetch.broken(BROKEN, 0.0), Again)
        assert asked(fetch)["Range"] == f"bytes={start}-"
    assert isinstance(fetch.broken(BROKEN, 0.0), Again)
    assert fetch.broken(BROKEN, 0.0) is BROKEN
    final = AeroDBError("no", code="INVALID_RESPONSE")
    assert Fetch("b", "p").broken(final, 0.0) is final


def test_a_beginning_that_comes_again_is_no_progress() -> None:
    fetch, rounds = Fetch("b", "p", retries=2), 0
    while True:
        fetch.answered(200, heads(content_length=10))
        fetch.received(4)
        rounds += 1
        if not isinstance(fetch.broken(BROKEN, 0.0), Again):
            break
    assert rounds == 3


def test_too_much_and_too_little() -> None:
    fetch = Fetch("b", "p")
    fetch.answered(200, heads(content_length=10))
    assert fetch.received(10) is None
    assert fetch.is_complete
    assert fetch.ended() is None
    assert code(fetch.received(1)) == "INVALID_RESPONSE"
    short = Fetch("b", "p")
    short.answered(200, heads(content_length=10))
    short.received(9)
    assert code(short.ended()) == "INVALID_RESPONSE"


def test_limits_hold_before_and_while_it_comes() -> None:
    fetch = Fetch("b", "p", max_bytes=9)
    assert code(fetch.answered(200, heads(content_length=10))) == "RESPONSE_TOO_LARGE"
    chunked = Fetch("b", "p", max_bytes=9)
    assert chunked.answered(200, heads(transfer_encoding="chunked")) == "go"
    assert chunked.received(9) is None
    assert code(chunked.received(1)) == "RESPONSE_TOO_LARGE"


@given(first=st.integers(0, 50), length=st.integers(1, 50), got=st.integers(0, 49))
def test_a_part_is_resumed_within_itself(first: int, length: int, got: int) -> None:
    last = first + length - 1
    got %= length
    fetch = Fetch("b", "p", span=(first, last))
    assert asked(fetch) == {"Range": f"bytes={first}-{last}"}
    whole = heads(content_length=length, content_range=f"bytes {first}-{last}/200", etag='"v"')
    assert fetch.answered(206, whole) == "go"
    assert fetch.size == length
    fetch.received(got)
    fetch.broken(BROKEN, 0.0)
    assert asked(fetch)["Range"] == f"bytes={first + got}-{last}"
    rest = heads(
        content_length=length - got, content_range=f"bytes {first + got}-{last}/200", etag='"v"'
    )
    assert fetch.answered(206, rest) == "go"
    assert fetch.received(length - got) is None
    assert fetch.ended() is None


def test_a_server_that_ignores_ranges_is_not_taken_for_one_that_does_not() -> None:
    fetch = Fetch("b", "p", span=(2, 3))
    assert code(fetch.answered(200, heads(content_length=10))) == "INVALID_RESPONSE"


@pytest.mark.parametrize(
    ("headers", "digest"),
    [
        ({"x_checksum_sha256": "A" * 64}, "a" * 64),
        ({"etag": f'"{"b" * 64}"'}, "b" * 64),
        ({"etag": f'"{"b" * 32}"'}, None),  # it may be an MD5 just as well
        ({"etag": '"tag"'}, None),
        ({}, None),
    ],
)
def test_where_the_digest_is_found(headers: Any, digest: str | None) -> None:
    fetch = Fetch("b", "p")
    fetch.answered(200, heads(content_length=1, **headers))
    assert fetch.digest == digest


@pytest.mark.parametrize(
    ("span", "says", "known"),
    [
        ((0, None), "bytes 0-9/10", True),
        ((0, 9), "bytes 0-9/10", True),
        ((0, 9), "bytes 0-8/9", True),
        ((0, 8), "bytes 0-8/10", False),
        ((1, None), "bytes 1-9/10", False),
        ((0, 9), "bytes 0-9/*", False),
    ],
)
def test_the_digest_of_the_whole_says_nothing_of_a_part(span: Any, says: str, known: bool) -> None:
    fetch = Fetch("b", "p", span=span)
    assert fetch.answered(206, heads(content_range=says, x_checksum_sha256="a" * 64)) == "go"
    assert fetch.digest == ("a" * 64 if known else None)


def test_what_is_joined_is_the_whole_again() -> None:
    fetch = Fetch("b", "p")
    fetch.answered(200, heads(content_length=10, etag='"v"', x_checksum_sha256="a" * 64))
    fetch.received(4)
    fetch.answered(206, heads(content_range="bytes 4-9/10", etag='"v"', x_checksum_sha256="a" * 64))
    assert fetch.digest == "a" * 64


@pytest.mark.parametrize("span", [(2, 1), (-1, 2), (1,), "1-2", (True, 2), (0, 2.5)])
def test_spans_that_are_none(span: object) -> None:
    assert fetch_problem("b", "p", span, None)
    assert fetch_problem("b", "p", (0, None), None) is None
    assert fetch_problem("b", "p", None, -1)


@pytest.mark.parametrize(
    ("span", "content_range", "expected"),
    [
        ((8, 20), "bytes 8-20/100", None),
        ((8, 20), "bytes 8-9/100", "INVALID_RESPONSE"),
        ((8, 20), "bytes 8-9/10", None),  # there is no more
        ((8, 20), "bytes 8-20/*", None),
        ((8, 20), "bytes 8-9/*", "INVALID_RESPONSE"),  # nobody knows whether there is more
        ((8, None), "bytes 8-9/*", "INVALID_RESPONSE"),
        ((8, None), "bytes 8-9/10", None),
    ],
)
def test_a_part_has_all_that_was_asked_for(span: Any, content_range: str, expected: str) -> None:
    fetch = Fetch("b", "p", span=span)
    assert code(fetch.answered(206, heads(content_range=content_range))) == expected


@pytest.mark.parametrize("restartable", [True, False])
def test_a_part_of_an_object_that_was_replaced_meanwhile(restartable: bool) -> None:
    for status, said in (
        (200, heads(content_length=9, etag='"v2"')),
        (206, heads(content_range="bytes 6-8/9", etag='"v2"')),
        (416, heads(content_range="bytes */3")),
    ):
        fetch = Fetch("b", "p", span=(2, 8), restartable=restartable)
        assert fetch.answered(206, heads(content_range="bytes 2-8/10", etag='"v1"')) == "go"
        fetch.received(4)
        assert isinstance(fetch.broken(BROKEN, 0.0), Again)
        assert asked(fetch) == {"Range": "bytes=6-8", "If-Range": '"v1"'}
        verdict = fetch.answered(status, said)
        if not restartable:
            assert code(verdict) == "SOURCE_CHANGED"
            continue
        assert verdict == "again"
        assert asked(fetch) == {"Range": "bytes=2-8"}
        assert fetch.answered(206, heads(content_range="bytes 2-8/9", etag='"v2"')) == "go"


def test_a_server_that_knows_no_ranges() -> None:
    fetch = Fetch("b", "p", span=(2, 8))
    assert fetch.answered(206, heads(content_range="bytes 2-8/10", etag='"v1"')) == "go"
    fetch.received(4)
    assert isinstance(fetch.broken(BROKEN, 0.0), Again)
    same = fetch.answered(200, heads(content_length=10, etag='"v1"'))
    assert code(same) == "INVALID_RESPONSE"


def test_a_new_version_each_time_is_not_followed_for_ever() -> None:
    fetch = Fetch("b", "p", span=(2, 8), retries=2)
    verdicts: list[Any] = []
    for version in range(5):
        head = heads(content_range="bytes 2-8/10", etag=f'"v{version}"')
        assert fetch.answered(206, head) == "go"
        fetch.received(4)
        if not isinstance(fetch.broken(BROKEN, 0.0), Again):
            break
        verdicts.append(fetch.answered(200, heads(content_length=9, etag='"other"')))
    assert verdicts == ["again"]
