# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Calling functions of the database, and other schemas (wire-contract §3.1, features §1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from aerodb.aio import AeroDBClient


@dataclass
class TeamSize:
    team: str
    size: int


@pytest.mark.parametrize("get", [False, True])
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("add", {"a": 2, "b": 3}, 5),
        ("greet", None, "Hello, you"),
        ("greet", {"name": 'a,b"c)&x=1 %+#é\n'}, 'Hello, a,b"c)&x=1 %+#é\n'),
        ("greet", {"name": ""}, "Hello, "),
        ("no_text", {}, None),
        ("sum_all", {"numbers": [1, 2, 3]}, 6),
        ("join_words", {"words": ["a,b", 'c"d', "{e}", "", "null", "f\\g"]},
         'a,b|c"d|{e}||null|f\\g'),
        ("echo_json", {"payload": {"a": [1, None, {"b": "c"}], "d": "e,f"}},
         {"a": [1, None, {"b": "c"}], "d": "e,f"}),
        ("words_of", {"phrase": "to be or"}, ["to", "be", "or"]),
        ("team_sizes", None, [{"team": "Blue", "size": 3}, {"team": "Empty", "size": 0},
                              {"team": "Red", "size": 2}]),
    ],
)  # fmt: skip
async def test_calls(
    client: AeroDBClient, name: str, arguments: Any, expected: Any, get: bool
) -> None:
    response = await client.rpc(name, arguments, get=get).execute()
    assert response.unwrap() == expected


async def test_null_argument(client: AeroDBClient) -> None:
    assert (await client.rpc("greet", {"name": None}).execute()).unwrap() is None


async def test_void(client: AeroDBClient) -> None:
    response = await client.rpc("nothing").execute()
    assert response.error is None
    assert response.data is None
    assert response.meta.status == 204


async def test_what_returns_rows_can_be_queried(client: AeroDBClient) -> None:
    adults = client.rpc("adults", {"min_age": 18})
    everybody = (await adults.execute()).unwrap()
    assert [row["id"] for row in everybody] == [1, 3, 4]
    query = adults.select("id, name").gt("age", 30).order("age", ascending=False).limit(1)
    assert (await query.execute()).unwrap() == [{"id": 3, "name": "Cyd"}]
    single = await adults.select("id").eq("id", 4).single().execute()
    assert single.unwrap() == {"id": 4}
    got = await client.rpc("adults", {"min_age": 30}, get=True).select("id").eq("id", 1).execute()
    assert got.unwrap() == [{"id": 1}]


async def test_one_row_type(client: AeroDBClient) -> None:
    response = await client.rpc("one_user", {"user_id": 2}).select("id, name").execute()
    assert response.unwrap() == {"id": 2, "name": "Bob"}


@pytest.mark.parametrize("get", [False, True])
async def test_count_of_a_function(client: AeroDBClient, get: bool) -> None:
    response = (
        await client.rpc("adults", {"min_age": 18}, count="exact", get=get).limit(1).execute()
    )
    assert len(response.unwrap()) == 1
    assert response.count == 3


async def test_head_of_a_function(client: AeroDBClient) -> None:
    response = await client.rpc("adults", head=True, count="exact").execute()
    assert response.error is None
    assert response.count == 3


async def test_typed_results(client: AeroDBClient) -> None:
    sizes = await client.rpc("team_sizes", returns=list[TeamSize]).execute()
    assert sizes.unwrap()[0] == TeamSize("Blue", 3)
    assert (await client.rpc("add", {"a": 1, "b": 2}, returns=int).execute()).unwrap() == 3


async def test_unknown_function(client: AeroDBClient) -> None:
    for name, arguments in (("nope", {}), ("add", {"a": 1}), ("add", {"a": 1, "c": 2})):
        response = await client.rpc(name, arguments).execute()
        assert response.error.status == 404
        assert response.error.code == "PGRST202"


async def test_a_function_that_writes_is_not_for_get(client: AeroDBClient, empty: None) -> None:
    refused = await client.rpc("log_call", {"label": "x"}, get=True).execute()
    assert refused.error.status == 405
    assert refused.error.code == "25006"
    assert (await client.rpc("log_call", {"label": "x"}).execute()).unwrap() == 1


async def test_errors_raised_in_sql(client: AeroDBClient) -> None:
    refused = (await client.rpc("refuse", {"code": "P0001"}).execute()).error
    assert (refused.status, refused.code, refused.message) == (400, "P0001", "refused")
    assert (refused.details, refused.hint) == ("the detail", "the hint")
    teapot = (await client.rpc("refuse", {"code": "PT418"}).execute()).error
    assert teapot.status == 418


@pytest.mark.parametrize(
    "name", ["../auth/v1/admin", "http://evil/", "//evil", "a?b", "a#b", "%2e%2e", "..", "", "a\nb"]
)
async def test_names_that_are_no_names(client: AeroDBClient, name: str) -> None:
    """Security checklist Q9: refused here, or one path segment for the server to refuse."""
    response = await client.rpc(name).execute()
    assert response.data is None
    assert response.error.code in ("INVALID_ARGUMENT", "PGRST202")
    rows = await client.from_(name).select("*").execute()
    assert rows.error.code in ("INVALID_ARGUMENT", "PGRST205")


async def test_another_schema(client: AeroDBClient, empty: None, database: Any) -> None:
    archive = client.schema("archive")
    assert (await archive.rpc("ping").execute()).unwrap() == "archived"
    assert (await archive.rpc("ping", get=True).execute()).unwrap() == "archived"
    database.execute("insert into archive.reports values (1, 'one')")
    assert (await archive.from_("reports").select("id").execute()).unwrap() == [{"id": 1}]
    assert (await client.from_("reports").select("id").execute()).error.code == "PGRST205"
    assert (await archive.from_("teams").select("id").execute()).error.code == "PGRST205"


async def test_the_schema_of_a_client(server: Any) -> None:
    async with AeroDBClient(server.url, server.service_key, "archive") as archive:
        assert (await archive.rpc("ping").execute()).unwrap() == "archived"
        assert (await archive.from_("reports").select("id").execute()).error is None


async def test_a_schema_that_is_not_exposed(client: AeroDBClient) -> None:
    response = await client.schema("auth").from_("users").select("*").execute()
    assert response.error.status == 406
    assert response.error.code == "PGRST106"


async def test_a_schema_name_cannot_add_a_header(client: AeroDBClient) -> None:
    """Security checklist Q10."""
    for name in ("public\r\nX-Evil: 1", "public\n", "pub\0lic"):
        response = await client.schema(name).from_("teams").select("id").execute()
        assert response.error.code == "INVALID_ARGUMENT"
        assert response.meta.attempts == 0
