# GENERATED from tests/aio/live/test_round_trips_of_many.py by scripts/generate.py [3ec35af295b6]: do not edit
"""Arrays, JSON and ranges are written and found again, whatever they hold (reliability Q1-Q2)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from aerodb.sync import AeroDBClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aerodb import Range, col

pytestmark = [pytest.mark.usefixtures("empty"), pytest.mark.slow]

PROPERTY = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
WORD = st.one_of(
    st.sampled_from(
        ["", " ", "null", "NULL", "a,b", '"', "\\", "{", "}", "{}", "a b", "'", "\n", "é", "("]
    ),
    st.text(LETTERS, max_size=8),
    st.text('{}",\\ na', max_size=5),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORD
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@pytest.fixture
def rows() -> dict[int, Any]:
    """What one property has written, kept over its examples."""
    return {}


def write(client: AeroDBClient, rows: dict[int, Any], column: str, value: Any) -> Any:
    response = client.from_("kept").insert({column: value}).select("id", column).execute()
    row = response.unwrap()[0]
    rows[row["id"]] = value
    return row[column]


def find(query: Any) -> set[int]:
    return {row["id"] for row in (query.select("id").execute()).unwrap()}


@PROPERTY
@given(value=st.lists(WORD, max_size=4), other=WORD)
def test_arrays_of_text(
    client: AeroDBClient, rows: dict[int, Any], value: list[str], other: str
) -> None:
    assert write(client, rows, "v_texts", value) == value
    table = client.from_("kept")
    ask = {*value, other}
    same = {number for number, kept in rows.items() if set(kept) == set(value)}
    holding = {number for number, kept in rows.items() if set(value) <= set(kept)}
    within = {number for number, kept in rows.items() if set(kept) <= ask}
    touching = {number for number, kept in rows.items() if set(kept) & ask}
    assert find(table.contains("v_texts", value).contained_by("v_texts", value)) == same
    assert find(table.contains("v_texts", value)) == holding
    assert find(table.where(col("v_texts").contains(value) | (col("id") == 0))) == holding
    assert find(table.contained_by("v_texts", list(ask))) == within
    assert find(table.overlaps("v_texts", list(ask))) == touching


@PROPERTY
@given(value=st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(0, 3), max_size=4))
def test_arrays_of_int(client: AeroDBClient, rows: dict[int, Any], value: list[int]) -> None:
    assert write(client, rows, "v_ints", value) == value
    table = client.from_("kept")
    holding = {number for number, kept in rows.items() if set(value) <= set(kept)}
    touching = {number for number, kept in rows.items() if set(kept) & {*value, 0}}
    assert find(table.contains("v_ints", value)) == holding
    assert find(table.overlaps("v_ints", [*value, 0])) == touching


def same_json(one: Any, other: Any) -> bool:
    """Equality of jsonb: true is not 1, as it is in Python."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return (type(one) is type(other) and one == other) or (
        isinstance(one, int | float) and isinstance(other, int | float) and one == other
    )


@PROPERTY
@given(value=st.dictionaries(WORD, JSON, max_size=4))
def test_json(client: AeroDBClient, rows: dict[int, Any], value: dict[str, Any]) -> None:
    assert same_json(write(client, rows, "v_json", value), value)
    table = client.from_("kept")
    same = {number for number, kept in rows.items() if same_json(kept, value)}
    assert find(table.eq("v_json", value)) == same
    assert find(table.where((col("v_json") == value) | (col("id") == 0))) == same
    assert max(rows) in find(table.contains("v_json", value))
    for key, member in value.items():
        if isinstance(member, str):
            part = {key: member}
            holding = {number for number, kept in rows.items() if kept.get(key) == member}
            assert find(table.contains("v_json", part)) == holding


@PROPERTY
@given(value=st.lists(JSON, max_size=3))
def test_json_arrays(client: AeroDBClient, rows: dict[int, Any], value: list[Any]) -> None:
    """A list is written to a jsonb column as JSON; only the server knows the column's type."""
    assert same_json(write(client, rows, "v_json", value), value)
    same = {number for number, kept in rows.items() if same_json(kept, value)}
    assert find(client.from_("kept").eq("v_json", value)) == same


BOUNDS = st.sampled_from(["[)", "[]", "(]", "()"])


def ranges(ends: Any) -> Any:
    """Ranges whose ends are in order, or open."""

    def ordered(made: tuple[Any, Any, str]) -> Range:
        lower, upper, bounds = made
        if lower is not None and upper is not None and upper < lower:
            lower, upper = upper, lower
        return Range(lower, upper, bounds)  # type: ignore[arg-type]

    return st.tuples(st.none() | ends, st.none() | ends, BOUNDS).map(ordered)


INSIDE: dict[str, Any] = {
    "[)": lambda point, lower, upper: lower <= point < upper,
    "[]": lambda point, lower, upper: lower <= point <= upper,
    "(]": lambda point, lower, upper: lower < point <= upper,
    "()": lambda point, lower, upper: lower < point < upper,
}


def holds(kept: Range, point: Any, least: Any, most: Any) -> bool:
    lower = least if kept.lower is None else kept.lower
    upper = most if kept.upper is None else kept.upper
    return bool(INSIDE[kept.bounds](point, lower, upper))


@PROPERTY
@given(value=ranges(st.integers(-20, 20)), point=st.integers(-21, 21))
def test_ranges_of_int(
    client: AeroDBClient, rows: dict[int, Any], value: Range, point: int
) -> None:
    write(client, rows, "v_whole", value)
    table, whole = client.from_("kept"), range(-30, 31)
    points = {
        number: {at for at in whole if holds(kept, at, -99, 99)} for number, kept in rows.items()
    }
    mine = points[max(rows)]
    same = {number for number, kept in points.items() if kept == mine}
    touching = {number for number, kept in points.items() if kept & mine}
    assert find(table.eq("v_whole", value)) == same
    assert find(table.overlaps("v_whole", value)) == touching
    assert find(table.where(col("v_whole").overlaps(value) | (col("id") == 0))) == touching
    single = {number for number, kept in points.items() if point in kept}
    assert find(table.contains("v_whole", Range(point, point, "[]"))) == single


@PROPERTY
@given(value=ranges(st.dates(date(1900, 1, 1), date(2100, 1, 1))), point=st.dates())
def test_ranges_of_dates(
    client: AeroDBClient, rows: dict[int, Any], value: Range, point: date
) -> None:
    write(client, rows, "v_days", value)
    table = client.from_("kept")
    found = find(table.contains("v_days", Range(point, point, "[]")))
    assert found == {n for n, kept in rows.items() if holds(kept, point, date.min, date.max)}
    assert max(rows) in find(table.eq("v_days", value))


@PROPERTY
@given(value=ranges(st.decimals(-99, 99, places=3)), point=st.decimals(-99, 99, places=3))
def test_ranges_of_decimals(
    client: AeroDBClient, rows: dict[int, Any], value: Range, point: Decimal
) -> None:
    write(client, rows, "v_between", value)
    table = client.from_("kept")
    found = find(table.contains("v_between", Range(point, point, "[]")))
    assert found == {
        n for n, kept in rows.items() if holds(kept, point, Decimal(-999), Decimal(999))
    }
    assert max(rows) in find(table.eq("v_between", value))
