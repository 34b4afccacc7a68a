# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Reading rows: columns, order, pages, counts, single rows (wire-contract §3.2-3.4)."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from aerodb import col
from aerodb.aio import AeroDBClient

EVERYBODY = [1, 2, 3, 4, 5, 6]


def ids(rows: Any) -> list[int]:
    return [row["id"] for row in rows]


async def test_the_chain_of_the_seed(client: AeroDBClient) -> None:
    response = await (
        client.from_("users")
        .select("id, name, email")
        .eq("role", "admin")
        .gt("age", 18)
        .order("created_at", ascending=False)
        .limit(10)
        .execute()
    )
    assert response.error is None
    assert response.data == [
        {"id": 3, "name": "Cyd", "email": None},
        {"id": 1, "name": "Ada", "email": "ada@example.org"},
    ]


async def test_data_and_error_unpack(client: AeroDBClient) -> None:
    data, error = await client.from_("teams").select("id").eq("id", 1).execute()
    assert (data, error) == ([{"id": 1}], None)
    data, error = await client.from_("nowhere").select("id").execute()
    assert data is None
    assert error.code == "PGRST205"


async def test_health(client: AeroDBClient) -> None:
    health = (await client.health()).unwrap()
    assert health.ok
    assert health.services["rest"] == "ok"


async def test_meta_tells_about_the_exchange(client: AeroDBClient) -> None:
    response = await client.from_("teams").select("id").execute()
    assert response.meta.status == 200
    assert response.meta.attempts == 1
    assert response.meta.request_id
    assert response.meta.headers["x-request-id"] == response.meta.request_id
    assert response.meta.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (("id",), {"id": 1}),
        (("id", "name"), {"id": 1, "name": "Ada"}),
        (("id, name",), {"id": 1, "name": "Ada"}),
        ((" id ,\n name ",), {"id": 1, "name": "Ada"}),
        (("who:name",), {"who": "Ada"}),
        (("age::text",), {"age": "36"}),
        (("old:age::text",), {"old": "36"}),
        (("data->plan",), {"plan": "pro"}),
        (("data->>seats",), {"seats": "3"}),
        (("data->address->>city",), {"city": "Oslo"}),
        (("town:data->address->>city",), {"town": "Oslo"}),
        (("seats:data->>seats::int",), {"seats": 3}),
        (("marks->0",), {"marks": 1}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
async def test_columns(client: AeroDBClient, columns: Any, expected: Any) -> None:
    response = await client.from_("users").select(*columns).eq("id", 1).execute()
    assert response.unwrap() == [expected]


async def test_all_columns_are_the_default(client: AeroDBClient) -> None:
    expected = [{"id": 1, "name": "Red", "city": "Oslo"}]
    for query in (
        client.from_("teams").eq("id", 1),
        client.from_("teams").select().eq("id", 1),
        client.from_("teams").select("*").eq("id", 1),
        client.table("teams").select("*").eq("id", 1),
    ):
        assert (await query.execute()).unwrap() == expected


@pytest.mark.parametrize(
    ("column", "value"),
    [("order", "first"), ("two words", "second"), ('"a.dot"', "third"), ('say "hi"', "fourth")],
)
async def test_odd_column_names(client: AeroDBClient, column: str, value: str) -> None:
    """A dot is for embedded tables: a name that has one goes in quotes."""
    found = await client.from_("odd_names").select("id").eq(column, value).order(column).execute()
    assert ids(found.unwrap()) == [1]


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        (("age",), {}, [5, 2, 4, 1, 3, 6]),
        (("age",), {"ascending": False}, [6, 3, 1, 4, 2, 5]),
        (("age", False), {}, [6, 3, 1, 4, 2, 5]),
        (("age",), {"desc": True}, [6, 3, 1, 4, 2, 5]),
        (("age",), {"nulls_first": True}, [6, 5, 2, 4, 1, 3]),
        (("age",), {"ascending": False, "nulls_first": False}, [3, 1, 4, 2, 5, 6]),
    ],
)
async def test_order(client: AeroDBClient, arguments: Any, options: Any, expected: Any) -> None:
    response = await client.from_("users").select("id").order(*arguments, **options).execute()
    assert ids(response.unwrap()) == expected


async def test_orders_add_up(client: AeroDBClient) -> None:
    query = client.from_("users").select("id").order("role").order("age", ascending=False)
    assert ids((await query.execute()).unwrap()) == [3, 1, 5, 4, 6, 2]


async def test_order_by_a_json_path(client: AeroDBClient) -> None:
    query = client.from_("users").select("id").order("data->seats").order("id")
    assert ids((await query.execute()).unwrap()) == [2, 1, 3, 4, 5, 6]


async def test_limit_offset_and_range(client: AeroDBClient) -> None:
    users = client.from_("users").select("id").order("id")
    assert ids((await users.limit(2).execute()).unwrap()) == [1, 2]
    assert ids((await users.limit(2).offset(3).execute()).unwrap()) == [4, 5]
    assert ids((await users.offset(4).execute()).unwrap()) == [5, 6]
    assert ids((await users.range(1, 3).execute()).unwrap()) == [2, 3, 4]
    assert ids((await users.range(4, 100).execute()).unwrap()) == [5, 6]
    assert (await users.limit(0).execute()).unwrap() == []


async def test_the_range_of_the_page_is_in_meta(client: AeroDBClient) -> None:
    response = await client.from_("users").select("id").order("id").range(1, 3).execute()
    assert response.meta.range == (1, 3)


@pytest.mark.parametrize("mode", ["exact", "planned", "estimated"])
async def test_count_along_with_rows(client: AeroDBClient, mode: Any) -> None:
    response = await client.from_("numbers").select("n", count=mode).limit(5).execute()
    assert len(response.unwrap()) == 5
    assert response.count == 2500  # the table is analysed and not filtered: plans know it


async def test_no_count_unless_asked(client: AeroDBClient) -> None:
    response = await client.from_("teams").select("id").execute()
    assert response.count is None


async def test_head_counts_without_rows(client: AeroDBClient) -> None:
    response = await client.from_("users").select("*", count="exact", head=True).execute()
    assert response.error is None
    assert response.count == 6
    assert not response.data


async def test_count_shortcut(client: AeroDBClient) -> None:
    users = client.from_("users")
    assert (await users.count()).unwrap() == 6
    assert (await users.eq("role", "admin").count("exact")).unwrap() == 3
    assert (await users.eq("role", "nobody").count("exact")).unwrap() == 0
    assert (await users.in_("id", []).count("exact")).unwrap() == 0


async def test_a_count_that_fails_has_a_code(client: AeroDBClient) -> None:
    """The answer to HEAD has no body: the reason is asked for."""
    failed = await client.from_("nowhere").count("exact")
    assert (failed.data, failed.error.status, failed.error.code) == (None, 404, "PGRST205")
    assert "'public.nowhere'" in failed.error.message
    failed = await client.from_("teams").eq("nope", 1).count("exact")
    assert (failed.data, failed.error.status, failed.error.code) == (None, 400, "42703")
    assert failed.error.message == "column teams.nope does not exist"


async def test_single(client: AeroDBClient) -> None:
    users = client.from_("users").select("id")
    assert (await users.eq("id", 2).single().execute()).unwrap() == {"id": 2}
    for query in (users.eq("id", 99), users.eq("role", "admin")):
        response = await query.single().execute()
        assert response.data is None
        assert response.error.code == "PGRST116"
        assert response.error.status == 406


async def test_maybe_single(client: AeroDBClient) -> None:
    users = client.from_("users").select("id")
    one = await users.eq("id", 2).maybe_single().execute()
    assert one.unwrap() == {"id": 2}
    none = await users.eq("id", 99).maybe_single().execute()
    assert none.error is None
    assert none.data is None
    many = await users.eq("role", "admin").maybe_single().execute()
    assert many.error.code == "PGRST116"


async def test_get_by_key(client: AeroDBClient) -> None:
    assert (await client.from_("teams").get(2).execute()).unwrap()["name"] == "Blue"
    by_name = await client.from_("teams").get("Red", column="name").execute()
    assert by_name.unwrap()["id"] == 1


async def test_first_exists_and_scalars(client: AeroDBClient) -> None:
    users = client.from_("users").order("id")
    assert (await users.select("id").first()).unwrap() == {"id": 1}
    assert (await users.select("id").eq("id", 99).first()).unwrap() is None
    assert (await users.eq("role", "guest").exists()).unwrap() is True
    assert (await users.eq("role", "nobody").exists()).unwrap() is False
    assert (await users.limit(3).scalars("name")).unwrap() == ["Ada", "Bob", "Cyd"]


async def test_csv(client: AeroDBClient) -> None:
    query = client.from_("users").select("id, name, email").in_("id", [1, 3, 6]).order("id")
    text = (await query.csv()).unwrap()
    assert list(csv.reader(io.StringIO(text))) == [
        ["id", "name", "email"],
        ["1", "Ada", "ada@example.org"],
        ["3", "Cyd", ""],
        ["6", "Zoë O'Neil", "zoe@example.org"],
    ]


async def test_explain(client: AeroDBClient) -> None:
    query = client.from_("users").select("id").eq("id", 1)
    assert "cost=" in (await query.explain()).unwrap()
    assert "actual time=" in (await query.explain(analyze=True)).unwrap()
    plan = (await query.explain(format="json")).unwrap()
    assert "Plan" in plan[0]


async def test_the_empty_list_in_every_way_to_read(client: AeroDBClient) -> None:
    """Nothing is sent, and the answer is what the server would say of no rows."""
    nobody = client.from_("users").select("id").in_("id", [])
    for response in (await nobody.execute(), await nobody.all()):
        assert response.unwrap() == []
    assert (await nobody.maybe_single().execute()).unwrap() is None
    assert (await nobody.first()).unwrap() is None
    assert (await nobody.exists()).unwrap() is False
    assert (await nobody.scalars("id")).unwrap() == []
    assert (await nobody.single().execute()).error.code == "PGRST116"
    counted = await client.from_("users").select("id", count="exact").in_("id", []).execute()
    assert (counted.data, counted.count) == ([], 0)
    assert [row async for row in nobody.iterate()] == []
    async with nobody.stream() as rows:
        assert [row async for row in rows] == []
    either = (
        await client.from_("users").select("id").or_(col("id").in_([]), col("id") == 1).execute()
    )
    assert either.unwrap() == [{"id": 1}]


async def test_more_ways_to_say_the_order(client: AeroDBClient) -> None:
    users = client.from_("users").select("id").not_.is_("age", None)
    assert ids((await users.order("-age").execute()).unwrap()) == [3, 1, 4, 2, 5]
    contradiction = await users.order("age", ascending=True, desc=True).execute()
    assert contradiction.error.code == "INVALID_ARGUMENT"


async def test_columns_as_expressions(client: AeroDBClient) -> None:
    query = client.from_("users").select(
        "id",
        col("age").cast("text").as_("old"),
        col("data").json_text("address", "city").as_("town"),
    )
    assert (await query.eq("id", 1).execute()).unwrap() == [{"id": 1, "old": "36", "town": "Oslo"}]


async def test_a_preference_of_ones_own(client: AeroDBClient) -> None:
    query = client.from_("users").select("created_at").eq("id", 1).prefer(timezone="Asia/Tokyo")
    assert (await query.execute()).unwrap() == [{"created_at": "2024-01-01T19:00:00+09:00"}]


async def test_strip_nulls(client: AeroDBClient) -> None:
    query = client.from_("users").select("id, email, name").eq("id", 3).strip_nulls()
    assert (await query.execute()).unwrap() == [{"id": 3, "name": "Cyd"}]


async def test_aggregates_are_off_and_say_so(client: AeroDBClient) -> None:
    response = await client.from_("users").select("count()").execute()
    assert response.error.code == "PGRST123"


async def test_a_query_is_a_value_that_can_be_forked(client: AeroDBClient) -> None:
    base = client.from_("users").select("id").order("id")
    forks = [base.eq("id", number) for number in EVERYBODY]
    base.limit(1)  # a new query, thrown away: it changes nothing
    for number, fork in zip(EVERYBODY, forks, strict=True):
        assert ids((await fork.execute()).unwrap()) == [number]
    assert ids((await base.execute()).unwrap()) == EVERYBODY


async def test_a_query_may_be_executed_twice(client: AeroDBClient) -> None:
    query = client.from_("teams").select("id").eq("id", 1)
    assert (await query.execute()).data == (await query.execute()).data == [{"id": 1}]


async def test_a_column_called_data_is_no_envelope(client: AeroDBClient) -> None:
    response = await client.from_("users").select("data, id").eq("id", 6).execute()
    assert response.unwrap() == [{"data": {}, "id": 6}]
    response = await client.from_("users").select("data").eq("id", 2).single().execute()
    assert response.unwrap() == {"data": {"plan": "free", "seats": 1}}


async def test_values_as_they_come(client: AeroDBClient) -> None:
    columns = "age, score, born, created_at, tags, marks, data, active, span"
    row = (await client.from_("users").select(columns).eq("id", 1).single().execute()).unwrap()
    assert row == {
        "age": 36,
        "score": 9.5,
        "born": "1990-12-10",
        "created_at": "2024-01-01T10:00:00+00:00",
        "tags": ["red", "blue"],
        "marks": [1, 2, 3],
        "data": {"plan": "pro", "seats": 3, "address": {"city": "Oslo"}},
        "active": True,
        "span": "[1,10)",
    }
