# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Every operator, its negation, and conditions made of conditions (wire-contract §3.4)."""

from __future__ import annotations

from typing import Any

import pytest

from aerodb import Range, col
from aerodb.aio import AeroDBClient

# method, arguments, options, the users it finds, the users its negation finds: a row whose column
# is null is in neither, unless the operator is about null.
ENGLISH = {"config": "english"}
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], list[int], list[int]]] = [
    ("eq", ("name", "Ada"), {}, [1], [2, 3, 4, 5, 6]),
    ("eq", ("age", None), {}, [6], [1, 2, 3, 4, 5]),
    ("eq", ("active", True), {}, [1, 3, 5], [2, 6]),
    ("eq", ("score", 7.25), {}, [2, 4], [1, 5]),
    ("eq", ("data->>plan", "pro"), {}, [1, 3], [2, 5]),
    ("eq", ("data->seats", 10), {}, [3], [1, 2]),
    ("neq", ("age", 36), {}, [2, 3, 4, 5], [1]),
    ("neq", ("age", None), {}, [1, 2, 3, 4, 5], [6]),
    ("gt", ("age", 28), {}, [1, 3], [2, 4, 5]),
    ("gte", ("age", 28), {}, [1, 3, 4], [2, 5]),
    ("lt", ("age", 17), {}, [5], [1, 2, 3, 4]),
    ("lte", ("age", 17), {}, [2, 5], [1, 3, 4]),
    ("gt", ("born", "1990-12-09"), {}, [1, 2, 5], [3]),
    ("like", ("name", "%d%"), {}, [1, 3], [2, 4, 5, 6]),
    ("like", ("name", "_o_"), {}, [2], [1, 3, 4, 5, 6]),
    ("ilike", ("name", "d%"), {}, [4], [1, 2, 3, 5, 6]),
    ("like_all_of", ("name", ["%d%", "A%"]), {}, [1], [2, 3, 4, 5, 6]),
    ("like_any_of", ("name", ["A%", "B%"]), {}, [1, 2], [3, 4, 5, 6]),
    ("ilike_all_of", ("name", ["%D%", "a%"]), {}, [1], [2, 3, 4, 5, 6]),
    ("ilike_any_of", ("name", ["a%", "b%"]), {}, [1, 2], [3, 4, 5, 6]),
    ("eq_any_of", ("id", [1, 2]), {}, [1, 2], [3, 4, 5, 6]),
    ("eq_all_of", ("role", ["admin"]), {}, [1, 3, 5], [2, 4, 6]),
    ("gt_any_of", ("age", [28, 100]), {}, [1, 3], [2, 4, 5]),
    ("gt_all_of", ("age", [15, 28]), {}, [1, 3], [2, 4, 5]),
    ("gte_any_of", ("age", [28, 100]), {}, [1, 3, 4], [2, 5]),
    ("gte_all_of", ("age", [15, 28]), {}, [1, 3, 4], [2, 5]),
    ("lt_any_of", ("age", [16, 17]), {}, [5], [1, 2, 3, 4]),
    ("lt_all_of", ("age", [17, 28]), {}, [5], [1, 2, 3, 4]),
    ("lte_any_of", ("age", [15, 17]), {}, [2, 5], [1, 3, 4]),
    ("lte_all_of", ("age", [17, 28]), {}, [2, 5], [1, 3, 4]),
    ("match_any_of", ("name", ["^A", "^B"]), {}, [1, 2], [3, 4, 5, 6]),
    ("match_all_of", ("name", ["A", "d"]), {}, [1], [2, 3, 4, 5, 6]),
    ("imatch_any_of", ("name", ["^a", "^b"]), {}, [1, 2], [3, 4, 5, 6]),
    ("imatch_all_of", ("name", ["^a", "A$"]), {}, [1], [2, 3, 4, 5, 6]),
    ("startswith", ("name", "A"), {}, [1], [2, 3, 4, 5, 6]),
    ("endswith", ("name", "e"), {}, [4, 5], [1, 2, 3, 6]),
    ("contains_text", ("name", "O'N"), {}, [6], [1, 2, 3, 4, 5]),
    ("icontains_text", ("name", "ZO"), {}, [6], [1, 2, 3, 4, 5]),
    ("match_regex", ("name", "^[AB]"), {}, [1, 2], [3, 4, 5, 6]),
    ("imatch_regex", ("name", "^[ab]"), {}, [1, 2], [3, 4, 5, 6]),
    ("is_", ("active", True), {}, [1, 3, 5], [2, 4, 6]),
    ("is_", ("active", False), {}, [2, 6], [1, 3, 4, 5]),
    ("is_", ("active", None), {}, [4], [1, 2, 3, 5, 6]),
    ("is_", ("active", "null"), {}, [4], [1, 2, 3, 5, 6]),
    ("is_", ("active", "unknown"), {}, [4], [1, 2, 3, 5, 6]),
    ("is_", ("active", "not_null"), {}, [1, 2, 3, 5, 6], [4]),
    ("is_distinct", ("active", True), {}, [2, 4, 6], [1, 3, 5]),
    ("is_distinct", ("age", None), {}, [1, 2, 3, 4, 5], [6]),
    ("in_", ("id", [1, 3]), {}, [1, 3], [2, 4, 5, 6]),
    ("in_", ("name", ["Zoë O'Neil", "Ada", "x,y"]), {}, [1, 6], [2, 3, 4, 5]),
    ("in_", ("id", []), {}, [], [1, 2, 3, 4, 5, 6]),
    ("not_in", ("id", [1, 3]), {}, [2, 4, 5, 6], [1, 3]),
    ("contains", ("tags", ["red"]), {}, [1, 4], [2, 3, 5]),
    ("contains", ("tags", ["light blue"]), {}, [5], [1, 2, 3, 4]),
    ("contains", ("marks", [2]), {}, [1, 2], [3, 4, 5]),
    ("contains", ("data", {"plan": "pro"}), {}, [1, 3], [2, 5, 6]),
    ("contains", ("data->address", {"city": "Rome"}), {}, [3], [1]),
    ("contains", ("span", Range(6, 8)), {}, [1, 3], [2, 5, 6]),
    ("contained_by", ("tags", ["red", "blue"]), {}, [1, 2, 3, 4], [5]),
    ("contained_by", ("data", {"plan": "free", "seats": 1}), {}, [2, 6], [1, 3, 5]),
    ("contained_by", ("span", Range(0, 10)), {}, [1, 6], [2, 3, 5]),
    ("overlaps", ("tags", ["blue", "green"]), {}, [1, 2, 5], [3, 4]),
    ("overlaps", ("span", Range(8, 12)), {}, [1, 2, 3], [5, 6]),
    ("range_lt", ("span", Range(15, 25)), {}, [1, 3], [2, 5, 6]),
    ("range_lt", ("span", (15, 25)), {}, [1, 3], [2, 5, 6]),
    ("between", ("age", 17, 36), {}, [1, 2, 4], [3, 5]),
    ("match", ({"role": "admin", "team_id": 2},), {}, [3, 5], [1, 2, 4, 6]),
    ("range_gt", ("span", Range(0, 10)), {}, [2, 5], [1, 3, 6]),
    ("range_gte", ("span", Range(5, 8)), {}, [2, 3, 5], [1, 6]),
    ("range_lte", ("span", Range(0, 15)), {}, [1, 3], [2, 5, 6]),
    ("range_adjacent", ("span", Range(20, 25)), {}, [2], [1, 3, 5, 6]),
    ("text_search", ("bio", "fox & quick"), ENGLISH, [1], [2, 3, 5, 6]),
    ("text_search", ("bio", "lazy dogs"), ENGLISH | {"type": "plain"}, [2], [1, 3, 5, 6]),
    ("text_search", ("bio", "brown fox"), ENGLISH | {"type": "phrase"}, [1], [2, 3, 5, 6]),
    ("text_search", ("bio", "fox -quick"), ENGLISH | {"type": "websearch"}, [5], [1, 2, 3, 6]),
    ("filter", ("age", "gte", 28), {}, [1, 3, 4], [2, 5]),
]  # fmt: skip


def ids(response: Any) -> list[int]:
    return [row["id"] for row in response.unwrap()]


def users(client: AeroDBClient) -> Any:
    return client.from_("users").select("id").order("id")


@pytest.mark.parametrize(("method", "arguments", "options", "found", "_"), CASES)
async def test_operator(
    client: AeroDBClient, method: str, arguments: Any, options: Any, found: Any, _: Any
) -> None:
    assert ids(await getattr(users(client), method)(*arguments, **options).execute()) == found


@pytest.mark.parametrize(
    ("method", "arguments", "options", "_", "found"),
    CASES,
)
async def test_negated_operator(
    client: AeroDBClient, method: str, arguments: Any, options: Any, _: Any, found: Any
) -> None:
    query = getattr(users(client).not_, method)(*arguments, **options)
    assert ids(await query.execute()) == found


async def test_in_takes_any_iterable(client: AeroDBClient) -> None:
    query = users(client).in_("id", (number for number in (1, 3)))
    assert ids(await query.execute()) == [1, 3]
    assert ids(await query.execute()) == [1, 3], "a query is a value: it can be asked again"
    assert ids(await users(client).in_("id", range(2, 4)).execute()) == [2, 3]
    assert ids(await users(client).in_("id", {5}).execute()) == [5]


async def test_filters_add_up_even_on_one_column(client: AeroDBClient) -> None:
    query = users(client).gt("age", 15).lt("age", 50).neq("age", 28)
    assert ids(await query.execute()) == [1, 2]
    assert ids(await users(client).between("age", 17, 36).execute()) == [1, 2, 4]
    assert ids(
        await users(client).match({"role": "admin", "active": True, "email": None}).execute()
    ) == [3]


async def test_not_as_a_call(client: AeroDBClient) -> None:
    assert ids(await users(client).not_("age", "gt", 20).execute()) == [2, 5]
    assert ids(await users(client).not_("id", "in", [1, 2]).execute()) == [3, 4, 5, 6]


OLD = col("age") > 30
GUEST = col("role") == "guest"

TREES: list[tuple[Any, list[int]]] = [
    (OLD, [1, 3]),
    (OLD | GUEST, [1, 3, 4]),
    (OLD & ~(col("id") == 1), [3]),
    (~(OLD | GUEST), [2, 5]),
    (~(col("active").is_(True) & (col("age") > 20)), [2, 4, 5, 6]),
    ((OLD & (col("team_id") == 1)) | (~OLD & (col("team_id") == 2)), [1, 5]),
    (col("id").in_([1, 2]) | col("name").like("E%"), [1, 2, 5]),
    (col("age").is_(None) | (col("age") < 16), [5, 6]),
    (col("age") != 36, [2, 3, 4, 5]),
    ((col("age") >= 28) & (col("age") <= 36), [1, 4]),
    (col("tags").contains(["light blue"]) | col("span").overlaps(Range(0, 2)), [1, 5]),
    (col("data").contains({"plan": "pro"}) & (col("data").json("seats") == 10), [3]),
    ((col("name") == "x,y)") | (col("name") == 'a"b') | (col("name") == "Zoë O'Neil"), [6]),
    (~~OLD, [1, 3]),
]


@pytest.mark.parametrize(("condition", "found"), TREES)
async def test_where(client: AeroDBClient, condition: Any, found: list[int]) -> None:
    assert ids(await users(client).where(condition).execute()) == found


async def test_or_and_and_take_conditions_and_trusted_text(client: AeroDBClient) -> None:
    everybody = users(client)
    assert ids(await everybody.or_(OLD, GUEST).execute()) == [1, 3, 4]
    assert ids(await everybody.or_("age.gt.30,role.eq.guest").execute()) == [1, 3, 4]
    assert ids(await everybody.or_(OLD, "role.eq.guest").execute()) == [1, 3, 4]
    assert ids(await everybody.and_(OLD, col("team_id") == 2).execute()) == [3]
    assert ids(await everybody.or_("and(age.gt.30,team_id.eq.1),role.eq.guest").execute()) == [1, 4]


async def test_negated_groups(client: AeroDBClient) -> None:
    everybody = users(client)
    assert ids(await everybody.not_.or_(OLD, GUEST).execute()) == [2, 5]
    assert ids(await everybody.not_.and_(OLD, col("team_id") == 1).execute()) == [2, 3, 4, 5, 6]
    assert ids(await everybody.not_.where(OLD).execute()) == [2, 4, 5]


async def test_two_groups_add_up(client: AeroDBClient) -> None:
    query = users(client).or_(OLD, GUEST).or_(col("team_id") == 1, col("id") == 4)
    assert ids(await query.execute()) == [1, 4]


async def test_a_value_cannot_add_a_filter(client: AeroDBClient) -> None:
    """Security checklist Q1-Q3."""
    for text in ("x,or=(id.gt.0)", "x&select=*", "a.b", ")", '"', "\\", "#", "%", "+", "null", ""):
        assert ids(await users(client).eq("name", text).execute()) == []
        assert (
            ids(await users(client).in_("name", [text, "1),or=(1.eq.1", "(", "\\"]).execute()) == []
        )
        assert ids(
            await users(client).or_(col("name") == text, col("name") == "Bob").execute()
        ) == [2]
        assert ids(await users(client).not_("name", "neq", text).execute()) == []


async def test_a_column_that_needs_quotes_in_a_tree(client: AeroDBClient) -> None:
    rows = client.from_("odd_names").select("id").order("id")
    for name, value in (("order", "a"), ("two words", "b"), ('"a.dot"', "c"), ('say "hi"', "d")):
        assert ids(await rows.where(col(name) == value).execute()) == [2]
        assert ids(await rows.or_(col(name) == value, col("id") == 1).execute()) == [1, 2]


async def test_a_not_that_negates_nothing_is_an_error(client: AeroDBClient) -> None:
    for query in (users(client).not_, users(client).not_.limit(1), users(client).eq("id", 1).not_):
        response = await query.execute()
        assert response.error.code == "INVALID_ARGUMENT"
        assert response.meta.attempts == 0
