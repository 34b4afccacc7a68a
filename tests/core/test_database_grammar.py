"""Whatever a value holds, the server reads back that value and nothing else (reliability Q1-Q8).

Every query is rendered by the client and read by `tests/support/postgrest_grammar.py`, which was
written from PostgREST's grammar and shares no code with the client.
"""

from __future__ import annotations

import enum
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerodb._core.database import Range, col
from aerodb._core.database.query import QueryBase
from tests.support.postgrest_grammar import Filter, Query, Tree, read_array, read_query
from tests.support.queries import table

PROPERTY = settings(max_examples=300, deadline=None)
NASTY = (
    "", " ", "  x ", "null", "NULL", "true", "x,y", "a.b", "(", ")", "()", "{}", "{a,b}", "[1,2)",
    '"', '""', '\\"', "\\", "\\\\", "'", "%", "%25", "_", "*", "**", "+", "&", "=", "#", "?",
    "/", "..", ":", "::text", "->", "->>", "eq.1", "not.eq.1", "x,or=(id.gt.0)", "x&select=*",
    "in.(1,2)", "1),or=(1.eq.1", "a\nb", "\r\n", "\t", "\x01\x7f", "\u00a0", "\u2028", "é",
    "\U0001f600", ",", '","', '")', "and(a.eq.1)", "not.or(x", "{", "}", '{"a":1}',
)  # fmt: skip
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXT = st.one_of(
    st.sampled_from(NASTY),
    st.text(LETTERS, max_size=20),
    st.text(",.:()[]{}\"'\\%_*+&=# \n\tabn", max_size=12),
)


def query_of(query: QueryBase) -> Query:
    request = query.to_request()
    assert request.error is None, request.error
    assert request.path.isascii()
    path, _, text = request.path.partition("?")
    assert path == "/rest/v1/t"
    return read_query(text)


def only_filter(query: QueryBase) -> Filter:
    found = query_of(query)
    assert len(found.filters) == 1
    assert not found.trees
    assert found.filters[0].field.path == ()
    return found.filters[0]


@PROPERTY
@given(value=TEXT, name=st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike"]))
def test_a_text_is_one_literal(value: str, name: str) -> None:
    found = only_filter(getattr(table(), name)("c", value))
    assert (found.field.name, found.operator, found.value) == ("c", name, value)
    assert not found.negated


@PROPERTY
@given(value=TEXT)
def test_the_same_negated(value: str) -> None:
    found = only_filter(table().not_.eq("c", value))
    assert (found.negated, found.operator, found.value) == (True, "eq", value)


@PROPERTY
@given(values=st.lists(TEXT, min_size=1, max_size=4))
def test_a_list_keeps_its_members(values: list[str]) -> None:
    found = only_filter(table().in_("c", values))
    read = [found.value] if found.operator == "eq" else found.value
    assert read == values
    assert found.operator in ("in", "eq")


@PROPERTY
@given(value=TEXT, others=st.lists(TEXT, min_size=1, max_size=3))
def test_a_tree_keeps_its_members(value: str, others: list[str]) -> None:
    tree = (col("a") == value) | ~((col("b") > value) & col("c").in_(others))
    (found,) = query_of(table().where(tree)).trees
    first, second = found.members
    assert (first.operator, first.value) == ("eq", value)
    assert isinstance(second, Tree)
    assert second.negated
    assert (second.members[0].operator, second.members[0].value) == ("gt", value)
    listed = second.members[1]
    assert ([listed.value] if listed.operator == "eq" else listed.value) == others


@PROPERTY
@given(values=st.lists(TEXT | st.none() | st.lists(TEXT, min_size=1, max_size=2), max_size=4))
def test_an_array_keeps_its_members(values: list[Any]) -> None:
    for operator, query in (
        ("cs", table().contains("c", values)),
        ("cd", table().contained_by("c", values)),
        ("ov", table().overlaps("c", values)),
    ):
        found = only_filter(query)
        assert found.operator == operator
        assert read_array(found.value) == values
    (tree,) = query_of(table().or_(col("c").contains(values), col("d") == 1)).trees
    assert read_array(tree.members[0].value) == values
    assert tree.members[1].value == "1"


@PROPERTY
@given(values=st.lists(TEXT, min_size=1, max_size=3))
def test_quantified_patterns_keep_their_members(values: list[str]) -> None:
    for name, quantifier in (("like_any_of", "any"), ("ilike_all_of", "all")):
        found = only_filter(getattr(table(), name)("c", values))
        assert found.operator == name.split("_")[0]
        assert found.modifier == quantifier
        assert read_array(found.value) == values


@PROPERTY
@given(name=st.text(LETTERS, min_size=1, max_size=12) | st.sampled_from([n for n in NASTY if n]))
def test_a_column_is_one_column(name: str) -> None:
    """`col()` takes any name as one name, unless it leads into JSON or is quoted already."""
    if "->" in name or name.startswith('"'):
        return
    found = only_filter(table().where(col(name) == "x"))
    assert (found.field.name, found.field.json, found.value) == (name, (), "x")
    (tree,) = query_of(table().or_(col(name) == "x", col("d") == "y")).trees
    assert tree.members[0].field.name == name
    (item,) = query_of(table().select(col(name))).select or ()
    assert (item.field.name if name != "*" else "*") == name
    (terms,) = query_of(table().order(col(name))).orders.values()
    assert terms[0].field.name == name


@PROPERTY
@given(keys=st.lists(TEXT.filter(bool) | st.integers(-5, 5), min_size=1, max_size=3))
def test_json_steps_are_kept(keys: list[Any]) -> None:
    found = only_filter(table().where(col("data").json_text(*keys) == "x"))
    assert found.field.name == "data"
    assert [key for _, key in found.field.json] == keys
    assert [arrow for arrow, _ in found.field.json] == ["->"] * (len(keys) - 1) + ["->>"]


@PROPERTY
@given(value=TEXT)
def test_text_search(value: str) -> None:
    found = only_filter(table().text_search("c", value, type="websearch", config="english"))
    assert (found.operator, found.modifier, found.value) == ("wfts", "english", value)


@PROPERTY
@given(value=TEXT, path=st.lists(st.sampled_from(["posts", "my table", "order"]), max_size=2))
def test_filters_of_embedded_tables(value: str, path: list[str]) -> None:
    column = ".".join([*path, "title"])
    (found,) = query_of(table().eq(column, value)).filters
    assert (found.field.path, found.field.name, found.value) == (tuple(path), "title", value)


class Mood(enum.Enum):
    HAPPY = "happy,sad"


class Level(enum.IntEnum):
    LOW = 1


class Word(str, enum.Enum):  # noqa: UP042  # its str() is not its value, unlike StrEnum
    ONE = "one"


STAMP = datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
SCALARS: list[tuple[Any, str]] = [
    (True, "true"),
    (False, "false"),
    (0, "0"),
    (-(2**70), str(-(2**70))),
    (1.5, "1.5"),
    (1e300, "1e+300"),
    (float("inf"), "Infinity"),
    (float("-inf"), "-Infinity"),
    (float("nan"), "NaN"),
    (Decimal("1.50"), "1.50"),
    (Decimal("NaN"), "NaN"),
    (STAMP, "2024-01-02T03:04:05.000678+00:00"),
    (datetime(1, 1, 1), "0001-01-01T00:00:00"),
    (date(2024, 2, 29), "2024-02-29"),
    (time(23, 59, 59, 1), "23:59:59.000001"),
    (timedelta(days=1, hours=2, seconds=3, microseconds=40), "P1DT2H3.00004S"),
    (timedelta(days=-1, hours=-2), "P-1DT-2H"),
    (timedelta(0), "PT0S"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Mood.HAPPY, "happy,sad"),
    (Level.LOW, "1"),
    (Word.ONE, "one"),
    (b"\x00\xff", "\\x00ff"),
    (bytearray(b"a"), "\\x61"),
    ({"a": [1, None, "é"]}, '{"a":[1,null,"é"]}'),
    ([1, "a"], '[1,"a"]'),
    (Range(1, 5), "[1,5)"),
    (Range(None, date(2024, 1, 1), "(]"), "(,2024-01-01]"),
    (Range(STAMP, None), "[2024-01-02T03:04:05.000678+00:00,)"),
    (Range("a,b", 'c"d', "[]"), '["a,b","c\\"d"]'),
]


@pytest.mark.parametrize(("value", "text"), SCALARS)
def test_every_kind_of_value_in_every_context(value: Any, text: str) -> None:
    assert only_filter(table().eq("c", value)).value == text
    (tree,) = query_of(table().or_(col("c") == value, col("d") == 1)).trees
    assert tree.members[0].value == text
    listed = only_filter(table().in_("c", [value, "x"]))
    assert listed.value == [text, "x"]
    if not isinstance(value, list):
        assert read_array(only_filter(table().contains("c", [value])).value) == [text]


@PROPERTY
@given(value=st.timedeltas())
def test_a_timedelta_is_exact(value: timedelta) -> None:
    text = only_filter(table().eq("c", value)).value
    assert text.startswith("P")
    date_part, _, time_part = text[1:].partition("T")
    parts = {"D": date_part.removesuffix("D") or "0", "H": "0", "M": "0", "S": "0"}
    number = ""
    for char in time_part:
        if char in "HMS":
            parts[char], number = number, ""
        else:
            number += char
    micros = int(Decimal(parts["S"]) * 1_000_000)
    total = timedelta(
        days=int(parts["D"]), hours=int(parts["H"]), minutes=int(parts["M"]), microseconds=micros
    )
    assert total == value


@PROPERTY
@given(value=st.floats())
def test_a_float_is_exact(value: float) -> None:
    found = float(only_filter(table().eq("c", value)).value)
    assert found == value or (found != found and value != value)


@PROPERTY
@given(value=st.recursive(TEXT | st.integers() | st.booleans() | st.none(),
                          lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
                          max_leaves=5))  # fmt: skip
def test_json_is_exact(value: Any) -> None:
    found = only_filter(table().contains("c", {"k": value}))
    assert json.loads(found.value) == {"k": value}
