"""Names of buckets and objects: what is refused, and that nothing else is ever changed."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.storage.paths import (
    bucket_problem,
    bucket_url,
    new_bucket_problem,
    object_problem,
    object_url,
    prefix_problem,
)

REFUSED = [
    "", "/", "..", ".", "a/../b", "a/./b", "/etc/passwd", "//h/x", "a//b", "a/", "a\\..\\b",
    "\\\\h\\s", "a\x00b", "a\nb", "\x7f", "x" * 1025, "é" * 513, "\ud800", None, 7, b"a",
    "%2e%2e/x", "%252e%252e", "a/%2E", "..%2f", "a%2fb", "a%252Fb", "a%5cb", "a%00b", "a%2500b",
    "%0a",
]  # fmt: skip
ALLOWED = [
    "a", "a/b", "C:\uff3cx", "C:x", "con", "dot.", "100%", "50%20off", "%zz", "%2", "%e9", "a%2eb",
    "space ", "a?x", "a#x", "\u00e9", "e\u0301", "\u2024\u2024", "\u202egpj.exe", "...", "a;b",
    "a+b", "a&b=c", "空", '"', "'",
    "x" * 1024, "é" * 512,
]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_no_object_has(name: str) -> None:
    assert object_problem(name)


@pytest.mark.parametrize("name", ALLOWED)
def test_names_that_go_out_as_they_are(name: str) -> None:
    assert object_problem(name) is None
    url = object_url("b", name)
    assert url.isascii()
    assert unquote(url.removeprefix("/storage/v1/object/b/")) == name


@given(st.text(max_size=200))
def test_a_name_is_refused_or_means_the_same_behind_the_url(name: str) -> None:
    if object_problem(name) is not None:
        return
    url = object_url("b", name)
    found = urlsplit(f"http://h{url}")
    assert found.query == found.fragment == ""
    segments = found.path.split("/")[5:]
    assert not {"", ".", ".."} & {segment.replace("%2E", ".") for segment in segments}
    assert "/".join(unquote(segment) for segment in segments) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\x00", "public", "sign", 3, None,
                                  "%2e%2e", "a%2fb", "a%5Cb", "%252e"])  # fmt: skip
def test_names_that_no_bucket_has(name: str) -> None:
    assert bucket_problem(name)


def test_a_new_bucket_keeps_to_the_rule_and_another_server_may_not() -> None:
    assert new_bucket_problem("my-files_1.x") is None
    for name in ("ab", "-ab", "ab-", "Files", "x" * 64, "a b", "list"):
        assert new_bucket_problem(name)
    assert bucket_problem("My Files") is None
    assert bucket_url("My Files") == "/storage/v1/bucket/My%20Files"


def test_a_prefix_may_be_empty_and_end_anywhere() -> None:
    fine = ("", "a", "a/", "a/b", "..", "a/..", "%2e%2e", "a%2f")
    assert [prefix_problem(text) for text in fine] == [None] * len(fine)
    never = ("a\x00", "a\\b", "x" * 1025, None, "../", "a/../", "a//", "/", "%2e%2e/", "a%2fb/c")
    assert all(prefix_problem(text) for text in never)
