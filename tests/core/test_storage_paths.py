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
]  # fmt: skip
ALLOWED = [
    "a", "a/b", "%2e%2e/x", "%252e%252e", "..%2f", "C:\uff3cx", "C:x", "con", "a%00b", "dot.",
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


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\x00", "public", "sign", 3, None])
def test_names_that_no_bucket_has(name: str) -> None:
    assert bucket_problem(name)


def test_a_new_bucket_keeps_to_the_rule_and_another_server_may_not() -> None:
    assert new_bucket_problem("my-files_1.x") is None
    for name in ("ab", "-ab", "ab-", "Files", "x" * 64, "a b", "list"):
        assert new_bucket_problem(name)
    assert bucket_problem("My Files") is None
    assert bucket_url("My Files") == "/storage/v1/bucket/My%20Files"


def test_a_prefix_may_be_empty_and_end_anywhere() -> None:
    assert [prefix_problem(text) for text in ("", "a", "a/", "a/b", "..")] == [None] * 5
    assert all(prefix_problem(text) for text in ("a\x00", "a\\b", "x" * 1025, None))
