# GENERATED from tests/aio/live/test_round_trips.py by scripts/generate.py [cd0a9c1a6e90]: do not edit
"""Any value that a column can hold is written, found again and never mistaken (reliability Q1-Q8).

Each property writes a value, then asks for it in every way a filter can hold one; the rows found
must be exactly those that hold an equal value, among all rows written before.
"""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from aerodb.sync import AeroDBClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aerodb import col

pytestmark = [pytest.mark.usefixtures("empty"), pytest.mark.slow]

PROPERTY = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

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

    def write(self, value: Any) -> int:
        response = self.table.insert({self.column: value}).select("id").single().execute()
        number: int = response.unwrap()["id"]
        self.rows[number] = value
        return number

    def expected(self, holds: Any) -> set[int]:
        return {number for number, value in self.rows.items() if holds(value)}

    def find(self, query: Any) -> set[int]:
        response = query.select("id").execute()
        return {row["id"] for row in response.unwrap()}

    def check_equality(self, value: Any, *others: Any) -> None:
        """eq, neq, in_ and conditions find the rows with this value, and no other."""
        number, column = self.write(value), self.column
        same = self.expected(lambda kept: kept == value)
        recent = self.table.gt("id", number - 3)
        assert self.find(self.table.eq(column, value)) == same
        assert self.find(recent.neq(column, value)) == {
            kept for kept in range(max(1, number - 2), number + 1) if kept not in same
        }
        either = self.expected(lambda kept: kept == value or kept in others)
        assert self.find(self.table.in_(column, [value, *others])) == either
        tree = (col(column) == value) | col(column).in_(others)
        assert self.find(self.table.where(tree)) == either
        assert self.find(recent.not_.where(col(column) != value)) == {
            kept for kept in same if kept > number - 3
        }


@PROPERTY
@given(value=TEXT, other=TEXT)
def test_text(ledgers: Any, value: str, other: str) -> None:
    ledgers("v_text").check_equality(value, other)


@PROPERTY
@given(value=TEXT)
def test_parts_of_text(ledgers: Any, value: str) -> None:
    ledger = ledgers("v_text")
    ledger.write(value)
    table, expected = ledger.table, ledger.expected
    if "*" not in value:  # PostgREST reads it as %, and has no way to write it
        pattern = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        same = expected(lambda kept: kept == value)
        assert ledger.find(table.like("v_text", pattern)) == same
        assert ledger.find(table.or_(col("v_text").like(pattern), col("id") == 0)) == same
        assert ledger.find(table.like_any_of("v_text", [pattern, "no row has this"])) == same
        begin = expected(lambda kept: kept.startswith(value))
        assert ledger.find(table.startswith("v_text", value)) == begin
        end = expected(lambda kept: kept.endswith(value))
        assert ledger.find(table.endswith("v_text", value)) == end
        inside = expected(lambda kept: value in kept)
        assert ledger.find(table.contains_text("v_text", value)) == inside
    else:
        response = table.contains_text("v_text", value).select("id").execute()
        inside = expected(lambda kept: value in kept)
        if response.ok:
            assert {row["id"] for row in response.data} == inside
        else:
            assert response.error.code == "INVALID_ARGUMENT"


@PROPERTY
@given(value=TEXT)
def test_text_comes_back_as_it_went(ledgers: Any, value: str) -> None:
    number = ledgers("v_text").write(value)
    table = ledgers("v_text").table
    response = table.select("v_text").eq("id", number).single().execute()
    assert response.unwrap() == {"v_text": value}


@PROPERTY
@given(value=st.booleans())
def test_bool(ledgers: Any, value: bool) -> None:
    ledgers("v_bool").check_equality(value)


@PROPERTY
@given(
    value=st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1)), other=st.integers(-3, 3)
)
def test_int(ledgers: Any, value: int, other: int) -> None:
    ledgers("v_int").check_equality(value, other)


@PROPERTY
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_float(ledgers: Any, value: float) -> None:
    ledgers("v_float").check_equality(value)
    number = max(ledgers("v_float").rows)
    response = ledgers("v_float").table.select("v_float").eq("id", number).single().execute()
    assert response.unwrap()["v_float"] == value


@PROPERTY
@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=9))
def test_decimal(ledgers: Any, value: Decimal) -> None:
    ledgers("v_decimal").check_equality(value)
    number = max(ledgers("v_decimal").rows)
    text = ledgers("v_decimal").table.select("v:v_decimal::text").eq("id", number).execute()
    assert Decimal(text.unwrap()[0]["v"]) == value, "no digit may be lost on the way"


ZONES = st.sampled_from(
    [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))]
)


@PROPERTY
@given(value=st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=ZONES))
def test_datetime(ledgers: Any, value: datetime) -> None:
    ledgers("v_stamp").check_equality(value)
    number = max(ledgers("v_stamp").rows)
    response = ledgers("v_stamp").table.select("v_stamp").eq("id", number).single().execute()
    assert datetime.fromisoformat(response.unwrap()["v_stamp"]) == value


@PROPERTY
@given(value=st.dates())
def test_date(ledgers: Any, value: date) -> None:
    ledgers("v_date").check_equality(value)


@PROPERTY
@given(value=st.times())
def test_time(ledgers: Any, value: time) -> None:
    ledgers("v_time").check_equality(value)


@PROPERTY
@given(value=st.timedeltas(timedelta(days=-(10**6)), timedelta(days=10**6)))
def test_timedelta(ledgers: Any, value: timedelta) -> None:
    ledgers("v_span").check_equality(value)


@PROPERTY
@given(value=st.uuids(), other=st.uuids())
def test_uuid(ledgers: Any, value: UUID, other: UUID) -> None:
    ledgers("v_uuid").check_equality(value, other)


@PROPERTY
@given(value=st.sampled_from(Mood))
def test_enum(ledgers: Any, value: Mood) -> None:
    ledgers("v_mood").check_equality(value)


@PROPERTY
@given(value=st.binary(max_size=40))
def test_bytes(ledgers: Any, value: bytes) -> None:
    ledgers("v_bytes").check_equality(value)
    number = max(ledgers("v_bytes").rows)
    response = ledgers("v_bytes").table.select("v_bytes").eq("id", number).single().execute()
    assert bytes.fromhex(response.unwrap()["v_bytes"].removeprefix("\\x")) == value


@pytest.fixture
def ledgers(client: AeroDBClient) -> Any:
    """One ledger for each column, kept over the examples of a property."""
    made: dict[str, Ledger] = {}
    return lambda column: made.setdefault(column, Ledger(client, column))
