"""What a handler reads of its request."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.local.functions.request import BadBody, Request

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        b"NaN",
        b"[1, Infinity]",
        b"-Infinity",
        b'{"a": 1e999}',
        b"-1" + b"0" * 400 + b".5",
        rb'["\ud800"]',
        rb'{"\uDC00": 1}',
        rb'"\ud83d\\ude00"',
        b'"\xff"',
        '"a"'.encode("utf-16"),
        b"\xef\xbb\xbf1",
        b"",
        b"{",
        b"1 2",
        b"[" * 100_000,
        b"1" * 5000,
    ],
)
def test_what_is_no_json_is_said_so(body: bytes) -> None:
    with pytest.raises(BadBody):
        Request("f", body=body).json()


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b' {"a": [1, 1.5e308, null]}\n', {"a": [1, 1.5e308, None]}),
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (rb'"\\ud800"', "\\ud800"),
        (b'"NaN 1e999"', "NaN 1e999"),
    ],
)
def test_what_is_json(body: bytes, value: object) -> None:
    assert Request("f", body=body).json() == value


@given(TREES, st.booleans())
def test_what_others_write(tree: object, ascii_only: bool) -> None:
    try:
        body = json.dumps(tree, ensure_ascii=ascii_only).encode()
    except ValueError:
        return
    assert Request("f", body=body).json() == tree
