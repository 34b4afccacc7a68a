# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Rows of related tables within rows (wire-contract §3.4)."""

from __future__ import annotations

from typing import Any

import pytest

from aerodb import embed
from aerodb.aio import AeroDBClient

AUTHOR = "posts!posts_author_id_fkey"


async def rows(query: Any) -> Any:
    return (await query.execute()).unwrap()


async def test_to_one(client: AeroDBClient) -> None:
    query = client.from_("users").select("id, teams(name)").in_("id", [1, 4]).order("id")
    assert await rows(query) == [{"id": 1, "teams": {"name": "Red"}}, {"id": 4, "teams": None}]


async def test_to_many(client: AeroDBClient) -> None:
    query = (
        client.from_("teams")
        .select("name, users(id)")
        .order("id")
        .order("id", foreign_table="users")
    )
    assert await rows(query) == [
        {"name": "Red", "users": [{"id": 1}, {"id": 2}]},
        {"name": "Blue", "users": [{"id": 3}, {"id": 5}, {"id": 6}]},
        {"name": "Empty", "users": []},
    ]


async def test_many_to_many(client: AeroDBClient) -> None:
    query = (
        client.from_("posts")
        .select("id, labels(label)")
        .order("id")
        .order("label", foreign_table="labels")
    )
    assert await rows(query) == [
        {"id": 1, "labels": [{"label": "python"}, {"label": "sql"}]},
        {"id": 2, "labels": [{"label": "sql"}]},
        {"id": 3, "labels": [{"label": "sql"}]},
        {"id": 4, "labels": []},
    ]


async def test_hints_and_aliases(client: AeroDBClient) -> None:
    query = (
        client.from_("posts")
        .select("id, author:users!posts_author_id_fkey(name), editor:users!editor_id(name)")
        .in_("id", [1, 2])
        .order("id")
    )
    assert await rows(query) == [
        {"id": 1, "author": {"name": "Ada"}, "editor": {"name": "Cyd"}},
        {"id": 2, "author": {"name": "Ada"}, "editor": None},
    ]


async def test_a_table_within_itself(client: AeroDBClient) -> None:
    query = client.from_("users").select("id, boss:boss_id(name)").in_("id", [1, 2]).order("id")
    assert await rows(query) == [{"id": 1, "boss": None}, {"id": 2, "boss": {"name": "Ada"}}]


async def test_ambiguous_without_a_hint(client: AeroDBClient) -> None:
    response = await client.from_("posts").select("id, users(name)").execute()
    assert response.error.status == 300
    assert response.error.code == "PGRST201"
    assert len(response.error.details) == 2


async def test_no_relationship(client: AeroDBClient) -> None:
    response = await client.from_("posts").select("id, numbers(n)").execute()
    assert response.error.status == 400
    assert response.error.code == "PGRST200"


async def test_inner_drops_the_rows_without_a_match(client: AeroDBClient) -> None:
    teams = client.from_("teams").order("id")
    assert await rows(teams.select("id, users!inner(id)").eq("users.name", "Ada")) == [
        {"id": 1, "users": [{"id": 1}]}
    ]
    outer = await rows(teams.select("id, users(id)").eq("users.name", "Ada"))
    assert [team["id"] for team in outer] == [1, 2, 3]
    assert outer[1]["users"] == []


async def test_filters_order_limit_and_offset_inside(client: AeroDBClient) -> None:
    query = (
        client.from_("teams")
        .select("id, users(id, age)")
        .eq("id", 2)
        .not_.is_("users.age", None)
        .order("age", ascending=False, foreign_table="users")
        .limit(1, foreign_table="users")
    )
    assert await rows(query) == [{"id": 2, "users": [{"id": 3, "age": 52}]}]
    further = query.offset(1, foreign_table="users")
    assert await rows(further) == [{"id": 2, "users": [{"id": 5, "age": 15}]}]
    both = query.range(0, 1, foreign_table="users")
    assert [user["id"] for user in (await rows(both))[0]["users"]] == [3, 5]


async def test_either_or_inside(client: AeroDBClient) -> None:
    query = (
        client.from_("teams")
        .select("id, users(id)")
        .or_("age.lt.16,age.gt.50", foreign_table="users")
        .order("id")
        .order("id", foreign_table="users")
    )
    assert [[user["id"] for user in team["users"]] for team in await rows(query)] == [
        [],
        [3, 5],
        [],
    ]


async def test_filters_by_alias(client: AeroDBClient) -> None:
    query = client.from_("teams").select("id, people:users!inner(id)").eq("people.role", "member")
    assert await rows(query.order("id")) == [
        {"id": 1, "people": [{"id": 2}]},
        {"id": 2, "people": [{"id": 6}]},
    ]


async def test_rows_with_or_without_a_related_row(client: AeroDBClient) -> None:
    users = client.from_("users").select("id, teams()").order("id")
    assert [row["id"] for row in await rows(users.is_("teams", None))] == [4]
    assert [row["id"] for row in await rows(users.not_.is_("teams", None))] == [1, 2, 3, 5, 6]


async def test_nested(client: AeroDBClient) -> None:
    query = (
        client.from_("teams")
        .select("name", f"users(name, {AUTHOR}(title, labels(label)))")
        .eq("id", 2)
        .eq("users.id", 3)
    )
    assert await rows(query) == [
        {
            "name": "Blue",
            "users": [{"name": "Cyd", "posts": [{"title": "Third", "labels": [{"label": "sql"}]}]}],
        }
    ]


async def test_modifiers_two_levels_down(client: AeroDBClient) -> None:
    query = (
        client.from_("teams")
        .select(f"id, users(id, {AUTHOR}(id))")
        .eq("id", 1)
        .eq("users.id", 1)
        .order("stars", ascending=False, foreign_table="users.posts")
        .limit(1, foreign_table="users.posts")
    )
    assert await rows(query) == [{"id": 1, "users": [{"id": 1, "posts": [{"id": 1}]}]}]


async def test_order_by_a_related_column(client: AeroDBClient) -> None:
    query = client.from_("users").select("id, teams(name)").order("teams(name)").order("id")
    assert [row["id"] for row in await rows(query)] == [3, 5, 6, 1, 2, 4]


async def test_spread(client: AeroDBClient) -> None:
    query = client.from_("users").select("id, ...teams(team:name)").eq("id", 1)
    assert await rows(query) == [{"id": 1, "team": "Red"}]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (embed("teams", "name"), {"id": 1, "teams": {"name": "Red"}}),
        (embed("teams", "name", alias="team"), {"id": 1, "team": {"name": "Red"}}),
        (embed("posts", "id", hint="posts_editor_id_fkey"), {"id": 1, "posts": [{"id": 3}]}),
        (embed("teams", "city", spread=True), {"id": 1, "city": "Oslo"}),
        (embed("teams", "name", inner=True), {"id": 1, "teams": {"name": "Red"}}),
    ],
)
async def test_the_helper(client: AeroDBClient, part: Any, expected: Any) -> None:
    assert await rows(client.from_("users").select("id", part).eq("id", 1)) == [expected]


async def test_embedding_in_what_a_write_returns(client: AeroDBClient, empty: None) -> None:
    query = client.from_("notes").insert({"title": "x", "team_id": 1}).select("title, teams(name)")
    assert await rows(query) == [{"title": "x", "teams": {"name": "Red"}}]


async def test_embedding_in_what_a_function_returns(client: AeroDBClient) -> None:
    query = client.rpc("adults", {"min_age": 50}).select("id, teams(name)")
    assert await rows(query) == [{"id": 3, "teams": {"name": "Blue"}}]
