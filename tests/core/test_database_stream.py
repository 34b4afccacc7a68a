"""Rows out of bytes, however the bytes are cut, and in bounded memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerodb._core.database import stream
from aerodb._core.database.render import prepare
from aerodb._core.database.stream import RowDecoder, pieces
from aerodb._core.database.streaming import StreamReader
from aerodb._core.json import BadJSON
from aerodb.types import AeroDBAPIError
from tests.support.queries import table

TEXT = st.text(st.sampled_from('{},:[]"\\ aé\U0001f600\n'), max_size=12)
VALUES = st.recursive(
    TEXT | st.integers() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (", \n ", ":"), (" ,\t", " : ")])


@pytest.fixture(params=[1, 64, 16 * 1024], ids=["each byte", "small", "as it is"])
def threshold(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small bodies take the same paths as large ones if the decoder does not wait for more."""
    monkeypatch.setattr(stream, "_SMALL", request.param)


def decode(chunks: Iterable[bytes]) -> list[Any]:
    decoder = RowDecoder()
    rows: list[Any] = []
    for chunk in chunks:
        for piece in pieces(chunk):
            rows += decoder.feed(piece)
    return rows + decoder.finish()


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(VALUES, max_size=8) | st.lists(st.fixed_dictionaries({"id": VALUES}), max_size=8),
    separators=SEPARATORS,
    cuts=st.lists(st.integers(0, 400), max_size=12),
    ascii_only=st.booleans(),
    small=st.sampled_from([1, 8, 64]),
)
def test_any_chunking(
    rows: list[Any], separators: Any, cuts: list[int], ascii_only: bool, small: int
) -> None:
    body = json.dumps(rows, separators=separators, ensure_ascii=ascii_only).encode()
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "_SMALL", small)
        found = decode(body[a:b] for a, b in pairwise(edges))
    assert found == rows


@pytest.mark.usefixtures("threshold")
@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"a": "},{"}, {"a": "}, {"}],
        [{"a": [{"b": 1}, {"b": 2}]}, {"a": []}] * 50,
        [{"a": [{"a": 1}, {"a": 2}]}, {"a": []}] * 50,
        list(range(1000)),
        ["a,b", '"', "\\", "},{"] * 20,
        [None, [], {}, [[]], [{}]] * 20,
        [{"é": "\U0001f600" * 20}] * 30,
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_nasty_bodies(rows: list[Any], size: int) -> None:
    body = json.dumps(rows, ensure_ascii=False).encode()
    assert decode(body[i : i + size] for i in range(0, len(body), size)) == rows


def test_a_body_in_an_envelope() -> None:
    assert decode([b' {"data": [{"a"', b":1}]} "]) == [{"a": 1}]


@pytest.mark.usefixtures("threshold")
@pytest.mark.parametrize(
    "body",
    [
        b"", b"  ", b"[", b'[{"a":1}', b'[{"a":1},', b'[{"a":1},]', b'[{"a":1}]x', b"null",
        b'{"code":"x"}', b'[{"a":NaN},{"a":1}]', b'[{"a":"\xff"},{"a":1},{"a":2}]', b"[1,,2]",
        b"[" * 300 + b"]" * 300, b"[1,2" + b",3" * 100, b"<html>" * 20,
        b'[{"a":' + b"[" * 200 + b"]" * 200 + b'},{"a":1}]',
    ],
)  # fmt: skip
def test_what_is_no_array_of_rows(body: bytes) -> None:
    with pytest.raises(BadJSON):
        decode(body[i : i + 3] for i in range(0, len(body), 3))


def make_body(count: int) -> Iterator[bytes]:
    yield b"["
    for number in range(count):
        row = {"id": number, "name": f"user {number}", "tags": [{"id": 1}, {"id": 2}], "x": "},{"}
        yield (b"," if number else b"") + json.dumps(row).encode()
    yield b"]"


def test_memory_does_not_grow_with_the_body() -> None:
    def peak(rows: int) -> int:
        decoder = RowDecoder()
        tracemalloc.start()
        seen = sum(len(decoder.feed(piece)) for piece in make_body(rows))
        seen += len(decoder.finish())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert seen == rows
        return most

    peak(100)
    assert peak(40_000) < 2 * peak(4_000) + 200_000


@dataclass
class Row:
    a: int


def test_typed_rows_and_the_row_that_does_not_fit() -> None:
    reader = StreamReader(prepare(table(row_type=Row)))
    rows = [row for batch in reader.feed(b'[{"a":1},{"a":2}]') for row in batch]
    assert rows + reader.finish() == [Row(1), Row(2)]
    reader = StreamReader(prepare(table(row_type=Row)))
    list(reader.feed(b'[{"a":1},{"a":"x"}]'))
    with pytest.raises(AeroDBAPIError, match="row 1") as caught:
        reader.finish()
    assert caught.value.code == "DECODE_ERROR"


def test_a_broken_body_says_how_far_it_got() -> None:
    reader = StreamReader(prepare(table()))
    list(reader.feed(b'[{"a":1}'))
    with pytest.raises(AeroDBAPIError, match="0 rows") as caught:
        reader.finish()
    assert caught.value.code == "INVALID_RESPONSE"
