# GENERATED from tests/aio/live/test_round_trips.py by scripts/generate.py [2c250912b443]: do not edit
"""Any value that a column can hold is written, found again and never mistaken (reliability Q1-Q8).

Each property writes a value, then asks for it in every way a filter can hold one; the rows found
must be exactly those that hold an equal value, among all rows written before.
"""

from __future__ import annotations

import enum
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aerodb import col
from aerodb.sync import AeroDBClient

pytestmark = [pytest.mark.usefixtures("empty"), pytest.mark.slow]

# Five values or more an example, written in one request and asked for in few: 200 at least.
PROPERTY = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """The values of one example."""
    return st.lists(values, min_size=5, max_size=7)


NASTY = (
    "", " ", "  x ", "null", "NULL", "true", "x,y", "a.b", "(", ")", "()", "{}", "{a,b}", "[1,2)",
    '"', '""', '\\"', "\\", "\\\\", "'", "''", "%", "%25", "_", "*", "**", "+", "&", "=", "#", "?",
    "/", "..", ":", "::text", "->", "->>", "eq.1", "not.eq.1", "x,or=(id.gt.0)", "x&select=*",
    "in.(1,2)", "1),or=(1.eq.1", "a\nb", "\r\n", "\t", "\x01\x7f", "\u00a0", "\u2028", "\ufeff",
    "\ufffe", "é", "e\u0301", "ß", "漢字", "\U0001f600", "\U0001f468\u200d\U0001f469", "\u202eabc",
    "--", ";", "$1", ":p", "%s", "{0}",
)  # fmt: skip
LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXT = st.one_of(
    st.sampled_from(NASTY),
    st.text(LETTERS, max_size=30),
    st.text(",.:()[]{}\"'\\%_*+&=# \n\tabn", max_size=12),
)


class Mood(enum.Enum):
    HAPPY = "happy"
    SAD = "sad"


class Ledger:
    """The rows that one property has written, and what it expects to find."""

    def __init__(self, client: AeroDBClient, column: str) -> None:
        self.table = client.from_("kept")
        self.column = column
        self.rows: dict[int, Any] = {}

    def write(self, values: list[Any], read: str | None = None) -> list[Any]:
        """Write one row a value; return what the server says it holds, read as `read`."""
        rows = [{self.column: value} for value in values]
        query = self.table.insert(rows).select("id", f"read:{read or self.column}")
        made = (query.execute()).unwrap()
        assert len(made) == len(values)
        self.rows.update(zip([row["id"] for row in made], values, strict=True))
        return [row["read"] for row in made]

    def expected(self, holds: Any) -> set[int]:
        return {number for number, value in self.rows.items() if holds(value)}

    def find(self, query: Any) -> set[int]:
        response = query.select("id").execute()
        return {row["id"] for row in response.unwrap()}

    def check_equality(self, values: list[Any]) -> None:
        """eq, neq, in_ and conditions find the rows with these values, and no other."""
        column = self.column
        for value in values:
            same = self.expected(lambda kept, value=value: kept == value)
            assert self.find(self.table.eq(column, value)) == same
        any_of = self.expected(lambda kept: kept in values)
        assert self.find(self.table.in_(column, values)) == any_of
        tree = reduce(or_, [col(column) == value for value in values[1:]])
        tree = col(column).in_(values[:1]) | tree
        assert self.find(self.table.where(tree)) == any_of
        none_of = self.table
        for value in values:
            none_of = none_of.neq(column, value)
        assert self.find(none_of) == set(self.rows) - any_of


@pytest.fixture
def ledger(client: AeroDBClient) -> Any:
    """One ledger a column, kept over the examples of a property."""
    made: dict[str, Ledger] = {}
    return lambda column: made.setdefault(column, Ledger(client, column))


@PROPERTY
@given(values=some(TEXT))
def test_text(ledger: Any, values: list[str]) -> None:
    assert ledger("v_text").write(values) == values
    ledger("v_text").check_equality(values)


@PROPERTY
@given(values=some(TEXT))
def test_patterns(ledger: Any, values: list[str]) -> None:
    """`like` with the wildcards escaped is equality; PostgREST reads * as %, so it is left out."""
    texts = ledger("v_text")
    texts.write(values)
    plain = [value for value in values if "*" not in value]
    patterns = [re.sub(r"([\\%_])", r"\\\1", value) for value in plain]
    for value, pattern in zip(plain, patterns, strict=True):
        same = texts.expected(lambda kept, value=value: kept == value)
        assert texts.find(texts.table.like("v_text", pattern)) == same
    any_of = texts.expected(lambda kept: kept in plain)
    assert texts.find(texts.table.like_any_of("v_text", patterns)) == any_of
    trees = [col("v_text").like(pattern) for pattern in patterns]
    assert texts.find(texts.table.or_(col("id") == 0, *trees)) == any_of


@PROPERTY
@given(values=some(TEXT))
def test_parts_of_text(ledger: Any, values: list[str]) -> None:
    texts = ledger("v_text")
    texts.write(values)
    for value in values:
        table, expected = texts.table, texts.expected
        begin = expected(lambda kept, value=value: kept.startswith(value))
        assert texts.find(table.startswith("v_text", value)) == begin
        end = expected(lambda kept, value=value: kept.endswith(value))
        assert texts.find(table.endswith("v_text", value)) == end
        inside = expected(lambda kept, value=value: value in kept)
        assert texts.find(table.contains_text("v_text", value)) == inside


@settings(PROPERTY, max_examples=10)
@given(values=some(st.booleans()))
def test_bool(ledger: Any, values: list[bool]) -> None:
    assert ledger("v_bool").write(values) == values
    ledger("v_bool").check_equality(values)


@PROPERTY
@given(values=some(st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))))
def test_int(ledger: Any, values: list[int]) -> None:
    assert ledger("v_int").write(values) == values
    ledger("v_int").check_equality(values)


@PROPERTY
@given(values=some(st.floats(allow_nan=False, allow_infinity=False)))
def test_float(ledger: Any, values: list[float]) -> None:
    assert ledger("v_float").write(values) == values
    ledger("v_float").check_equality(values)


@PROPERTY
@given(values=some(st.decimals(allow_nan=False, allow_infinity=False, places=9)))
def test_decimal(ledger: Any, values: list[Decimal]) -> None:
    """Not one digit may be lost on the way."""
    texts = ledger("v_decimal").write(values, "v_decimal::text")
    assert [Decimal(text) for text in texts] == values
    ledger("v_decimal").check_equality(values)


EAST, WEST = timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))
STAMPS = st.datetimes(
    datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.sampled_from([UTC, EAST, WEST])
)


@PROPERTY
@given(values=some(STAMPS))
def test_datetime(ledger: Any, values: list[datetime]) -> None:
    texts = ledger("v_stamp").write(values)
    assert [datetime.fromisoformat(text) for text in texts] == values
    ledger("v_stamp").check_equality(values)


@PROPERTY
@given(values=some(st.dates()))
def test_date(ledger: Any, values: list[date]) -> None:
    texts = ledger("v_date").write(values)
    assert [date.fromisoformat(text) for text in texts] == values
    ledger("v_date").check_equality(values)


@PROPERTY
@given(values=some(st.times()))
def test_time(ledger: Any, values: list[time]) -> None:
    texts = ledger("v_time").write(values)
    assert [time.fromisoformat(text) for text in texts] == values
    ledger("v_time").check_equality(values)


@PROPERTY
@given(values=some(st.timedeltas(timedelta(days=-(10**6)), timedelta(days=10**6))))
def test_timedelta(ledger: Any, values: list[timedelta]) -> None:
    ledger("v_span").write(values)
    ledger("v_span").check_equality(values)


@PROPERTY
@given(values=some(st.uuids()))
def test_uuid(ledger: Any, values: list[UUID]) -> None:
    assert ledger("v_uuid").write(values) == [str(value) for value in values]
    ledger("v_uuid").check_equality(values)


@settings(PROPERTY, max_examples=10)
@given(values=some(st.sampled_from(Mood)))
def test_enum(ledger: Any, values: list[Mood]) -> None:
    assert ledger("v_mood").write(values) == [value.value for value in values]
    ledger("v_mood").check_equality(values)


@PROPERTY
@given(values=some(st.binary(max_size=40)))
def test_bytes(ledger: Any, values: list[bytes]) -> None:
    texts = ledger("v_bytes").write(values)
    assert [bytes.fromhex(text.removeprefix("\\x")) for text in texts] == values
    ledger("v_bytes").check_equality(values)
