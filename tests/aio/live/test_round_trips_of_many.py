# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Arrays, JSON and ranges are written and found again, whatever they hold (reliability Q1-Q2)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aerodb import Range, col
from aerodb.aio import AeroDBClient

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


class Rows(dict[int, Any]):
    """What one property has written, kept over its examples."""

    def __repr__(self) -> str:
        return f"<{len(self)} rows>"


@pytest.fixture
def rows() -> Rows:
    return Rows()


async def write(client: AeroDBClient, rows: dict[int, Any], column: str, values: Any) -> Any:
    """Write one row a value; return what the server says it holds."""
    query = client.from_("kept").insert([{column: value} for value in values]).select("id", column)
    made = (await query.execute()).unwrap()
    rows.update(zip([row["id"] for row in made], values, strict=True))
    return [row[column] for row in made]


async def find(query: Any) -> set[int]:
    return {row["id"] for row in (await query.select("id").execute()).unwrap()}


def which(rows: dict[int, Any], holds: Any) -> set[int]:
    return {number for number, value in rows.items() if holds(value)}


@PROPERTY
@given(values=some(st.lists(WORD, max_size=4)))
async def test_arrays_of_text(client: AeroDBClient, rows: Any, values: list[list[str]]) -> None:
    assert await write(client, rows, "v_texts", values) == values
    table, column = client.from_("kept"), col("v_texts")
    for value in values:
        words = set(value)
        same = which(rows, lambda kept, words=words: set(kept) == words)
        both = table.contains("v_texts", value).contained_by("v_texts", value)
        assert await find(both) == same
        touching = which(rows, lambda kept, words=words: words & set(kept))
        assert await find(table.overlaps("v_texts", value)) == touching
    any_of = which(rows, lambda kept: any(set(value) <= set(kept) for value in values))
    trees = [column.contains(value) for value in values]
    assert await find(table.or_(col("id") == 0, *trees)) == any_of


@PROPERTY
@given(values=some(st.lists(st.integers(-(2**31), 2**31 - 1) | st.integers(0, 3), max_size=4)))
async def test_arrays_of_int(client: AeroDBClient, rows: Any, values: list[list[int]]) -> None:
    assert await write(client, rows, "v_ints", values) == values
    table = client.from_("kept")
    for value in values:
        holding = which(rows, lambda kept, value=value: set(value) <= set(kept))
        assert await find(table.contains("v_ints", value)) == holding
        touching = which(rows, lambda kept, value=value: set(value) & set(kept))
        assert await find(table.overlaps("v_ints", value)) == touching


def same_json(one: Any, other: Any) -> bool:
    """Equality of jsonb: true is not 1, and 1e22 comes back with all its digits."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return float(one) == float(other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return type(one) is type(other) and one == other


@PROPERTY
@given(values=some(st.dictionaries(WORD, JSON, max_size=4) | st.lists(JSON, max_size=3)))
async def test_json(client: AeroDBClient, rows: Any, values: list[Any]) -> None:
    """What JSON a list is meant as only the server knows: the column is jsonb."""
    held = await write(client, rows, "v_json", values)
    assert all(map(same_json, held, values))
    table = client.from_("kept")
    for value in values:
        same = which(rows, lambda kept, value=value: same_json(kept, value))
        assert await find(table.eq("v_json", value)) == same
        if isinstance(value, dict):
            assert same <= await find(table.contains("v_json", value))
    any_of = which(rows, lambda kept: any(same_json(kept, value) for value in values))
    trees = [col("v_json") == value for value in values]
    assert await find(table.or_(col("id") == 0, *trees)) == any_of


@PROPERTY
@given(members=some(st.tuples(WORD.filter(bool), WORD)))
async def test_members_of_json(
    client: AeroDBClient, rows: Any, members: list[tuple[str, str]]
) -> None:
    await write(client, rows, "v_json", [{key: value} for key, value in members])
    for key, value in members:
        part = {key: value}
        found = await find(client.from_("kept").contains("v_json", part))
        assert found == which(rows, lambda kept, part=part: kept == part)


BOUNDS = st.sampled_from(["[)", "[]", "(]", "()"])


def ranges(ends: Any) -> Any:
    """Ranges whose ends are in order, or open."""

    def ordered(made: tuple[Any, Any, str]) -> Range:
        lower, upper, bounds = made
        if lower is not None and upper is not None and upper < lower:
            lower, upper = upper, lower
        return Range(lower, upper, bounds)  # type: ignore[arg-type]

    return st.tuples(st.none() | ends, st.none() | ends, BOUNDS).map(ordered)


def holds(kept: Range, point: Any) -> bool:
    """Whether PostgreSQL's range has this point in it."""
    above = kept.lower is None or point > kept.lower
    below = kept.upper is None or point < kept.upper
    above = above or (kept.bounds[0] == "[" and point == kept.lower)
    below = below or (kept.bounds[1] == "]" and point == kept.upper)
    return above and below


@PROPERTY
@given(values=some(ranges(st.integers(-20, 20))), points=some(st.integers(-21, 21)))
async def test_ranges_of_int(
    client: AeroDBClient, rows: Any, values: list[Range], points: list[int]
) -> None:
    await write(client, rows, "v_whole", values)

    @cache
    def inside(kept: Range) -> frozenset[int]:
        return frozenset(at for at in range(-30, 31) if holds(kept, at))

    table = client.from_("kept")
    for value, point in zip(values, points, strict=False):
        mine = inside(value)
        same = which(rows, lambda kept, mine=mine: inside(kept) == mine)
        assert await find(table.eq("v_whole", value)) == same
        touching = which(rows, lambda kept, mine=mine: inside(kept) & mine)
        assert await find(table.overlaps("v_whole", value)) == touching
        holding = which(rows, lambda kept, point=point: point in inside(kept))
        assert await find(table.contains("v_whole", Range(point, point, "[]"))) == holding
    trees = [col("v_whole").overlaps(value) for value in values]
    any_of = frozenset().union(*map(inside, values))
    touching = which(rows, lambda kept: inside(kept) & any_of)
    assert await find(table.or_(col("id") == 0, *trees)) == touching


@PROPERTY
@given(values=some(ranges(st.dates(date(1900, 1, 1), date(2100, 1, 1)))), point=st.dates())
async def test_ranges_of_dates(
    client: AeroDBClient, rows: Any, values: list[Range], point: date
) -> None:
    await write(client, rows, "v_days", values)
    table = client.from_("kept")
    found = await find(table.contains("v_days", Range(point, point, "[]")))
    assert found == which(rows, lambda kept: holds(kept, point))
    expected = set(list(rows)[-len(values) :])
    assert expected <= await find(table.or_(*[col("v_days") == value for value in values]))


@PROPERTY
@given(values=some(ranges(st.decimals(-99, 99, places=3))), point=st.decimals(-99, 99, places=3))
async def test_ranges_of_decimals(
    client: AeroDBClient, rows: Any, values: list[Range], point: Decimal
) -> None:
    await write(client, rows, "v_between", values)
    table = client.from_("kept")
    found = await find(table.contains("v_between", Range(point, point, "[]")))
    assert found == which(rows, lambda kept: holds(kept, point))
    expected = set(list(rows)[-len(values) :])
    assert expected <= await find(table.or_(*[col("v_between") == value for value in values]))
