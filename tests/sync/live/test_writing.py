# GENERATED from tests/aio/live/test_writing.py by scripts/generate.py [8826dc4f4158]: do not edit
"""Insert, upsert, update, delete, and what guards them (wire-contract §3.1, §3.3, §3.6)."""

from __future__ import annotations

from typing import Any

import pytest

from aerodb.sync import AeroDBClient

pytestmark = pytest.mark.usefixtures("empty")


def titles(client: AeroDBClient) -> list[str]:
    response = client.from_("notes").select("title").order("id").execute()
    return [row["title"] for row in response.unwrap()]


def make(client: AeroDBClient, *names: str) -> None:
    rows = [{"title": name, "slug": name} for name in names]
    (client.from_("notes").insert(rows, returning="minimal").execute()).unwrap()


def test_insert_one(client: AeroDBClient) -> None:
    response = client.from_("notes").insert({"title": "one", "stars": 3}).execute()
    assert response.error is None
    assert response.meta.status == 201
    assert len(response.data) == 1
    row = response.data[0]
    assert (row["id"], row["title"], row["stars"]) == (1, "one", 3)
    assert titles(client) == ["one"]


def test_insert_many(client: AeroDBClient) -> None:
    rows = [{"title": f"note {number}"} for number in range(5)]
    response = client.from_("notes").insert(rows).execute()
    assert [row["title"] for row in response.unwrap()] == [row["title"] for row in rows]
    assert response.meta.affected == 5


def test_insert_nothing(client: AeroDBClient) -> None:
    response = client.from_("notes").insert([]).execute()
    assert response.unwrap() == []
    assert titles(client) == []


def test_insert_a_row_of_defaults(client: AeroDBClient) -> None:
    row = (client.from_("notes").insert({}).select("title, stars").execute()).unwrap()
    assert row == [{"title": "untitled", "stars": 7}]


def test_a_write_returns_more_rows_than_a_read(client: AeroDBClient) -> None:
    """The server's cap is for reads (wire-contract §1.7)."""
    bulk = client.from_("bulk")
    inserted = bulk.insert([{"n": number} for number in range(1500)]).execute()
    assert [row["n"] for row in inserted.unwrap()] == list(range(1500))
    assert inserted.meta.truncated is not True
    deleted = bulk.delete().gte("n", 0).execute()
    assert len(deleted.unwrap()) == 1500


def test_update_with_nothing(client: AeroDBClient) -> None:
    make(client, "a")
    response = client.from_("notes").update({}).eq("title", "a").execute()
    assert response.unwrap() == []
    assert titles(client) == ["a"]


def test_insert_is_all_or_nothing(client: AeroDBClient) -> None:
    rows = [{"title": "good"}, {"title": "bad", "stars": -1}]
    response = client.from_("notes").insert(rows).execute()
    assert response.error.code == "23514"
    assert titles(client) == []


def test_rows_with_different_keys(client: AeroDBClient) -> None:
    """What a row leaves out is null, or the column's default if so asked."""
    rows = [{"title": "a", "stars": 1}, {"title": "b", "body": "text"}]
    notes = client.from_("notes")
    as_null = (notes.insert(rows).select("title, stars, body").execute()).unwrap()
    assert as_null == [
        {"title": "a", "stars": 1, "body": None},
        {"title": "b", "stars": None, "body": "text"},
    ]
    query = notes.insert(rows, default_to_null=False).select("title, stars, body")
    assert (query.execute()).unwrap() == [
        {"title": "a", "stars": 1, "body": None},
        {"title": "b", "stars": 7, "body": "text"},
    ]


def test_a_single_row_uses_defaults_for_what_it_leaves_out(client: AeroDBClient) -> None:
    response = client.from_("notes").insert({"body": "x"}).select("title, stars").execute()
    assert response.unwrap() == [{"title": "untitled", "stars": 7}]


def test_returning(client: AeroDBClient) -> None:
    notes = client.from_("notes")
    minimal = notes.insert({"title": "a"}, returning="minimal").execute()
    assert minimal.error is None
    assert not minimal.data
    headers = notes.insert({"title": "b"}, returning="headers-only").execute()
    assert headers.error is None
    assert headers.meta.headers["location"].endswith("/notes?id=eq.2")
    whole = notes.insert({"title": "c"}, returning="representation").execute()
    assert whole.unwrap()[0]["id"] == 3
    narrow = notes.insert({"title": "d"}).select("id, title").execute()
    assert narrow.unwrap() == [{"id": 4, "title": "d"}]


def test_the_count_of_a_write(client: AeroDBClient) -> None:
    make(client, "a", "b", "c")
    notes = client.from_("notes")
    inserted = notes.insert([{"title": "d"}], count="exact").execute()
    assert inserted.count == 1
    updated = notes.update({"stars": 1}, count="exact").in_("title", ["a", "b"]).execute()
    assert updated.count == 2
    deleted = notes.delete(count="exact", returning="minimal").gt("id", 0).execute()
    assert deleted.count == 4
    assert deleted.meta.affected == 4


def test_single_row_of_a_write(client: AeroDBClient) -> None:
    one = client.from_("notes").insert({"title": "a"}).select("title").single().execute()
    assert one.unwrap() == {"title": "a"}
    make(client, "b", "c")
    many = client.from_("notes").delete().gt("id", 0).single().execute()
    assert many.error is not None
    assert titles(client) == ["a", "b", "c"], "what failed must not have deleted"


def test_single_row_of_a_write_that_finds_none(client: AeroDBClient) -> None:
    query = client.from_("notes").update({"stars": 1}).eq("id", 99)
    assert (query.single().execute()).error.code == "PGRST116"
    assert (query.maybe_single().execute()).unwrap() is None


def test_expecting_rows(client: AeroDBClient) -> None:
    """Row-level security hides rows without a word: this tells (complaint 39)."""
    make(client, "a")
    hit = client.from_("notes").update({"stars": 1}).eq("title", "a").expect_rows().execute()
    assert len(hit.unwrap()) == 1
    miss = client.from_("notes").delete().eq("title", "b").expect_rows().execute()
    assert miss.error.code == "NO_ROWS_AFFECTED"


def test_a_rollback_that_the_server_does_not_offer_says_so(client: AeroDBClient) -> None:
    response = client.from_("notes").insert({"title": "a"}).rollback().execute()
    assert titles(client) == ["a"]
    assert "rollback" in response.meta.warnings[0]


def test_upsert_merges_by_primary_key(client: AeroDBClient) -> None:
    pairs = client.from_("pairs")
    pairs.insert(
        [{"a": 1, "b": 1, "value": "old"}, {"a": 1, "b": 2, "value": "old"}]
    ).execute()
    response = pairs.upsert(
        [{"a": 1, "b": 1, "value": "new"}, {"a": 2, "b": 1, "value": "new"}]
    ).execute()
    assert {(row["a"], row["b"], row["value"]) for row in response.unwrap()} == {
        (1, 1, "new"),
        (2, 1, "new"),
    }
    rows = (pairs.select("a, b, value").order("a").order("b").execute()).unwrap()
    assert [(row["a"], row["b"], row["value"]) for row in rows] == [
        (1, 1, "new"),
        (1, 2, "old"),
        (2, 1, "new"),
    ]


def test_upsert_ignores_duplicates(client: AeroDBClient) -> None:
    pairs = client.from_("pairs")
    pairs.insert({"a": 1, "b": 1, "value": "old"}).execute()
    rows = [{"a": 1, "b": 1, "value": "new"}, {"a": 2, "b": 2, "value": "new"}]
    response = pairs.upsert(rows, ignore_duplicates=True).execute()
    assert [row["a"] for row in response.unwrap()] == [2]
    assert (pairs.select("value").eq("a", 1).execute()).unwrap() == [{"value": "old"}]


@pytest.mark.parametrize("target", ["slug", ["slug"]])
def test_upsert_on_another_unique_column(client: AeroDBClient, target: Any) -> None:
    make(client, "a", "b")
    notes = client.from_("notes")
    row = {"slug": "a", "title": "changed"}
    response = notes.upsert(row, on_conflict=target).select("id, title").execute()
    assert response.unwrap() == [{"id": 1, "title": "changed"}]
    assert sorted(titles(client)) == ["b", "changed"]


def test_upsert_on_two_columns(client: AeroDBClient) -> None:
    pairs = client.from_("pairs")
    row = {"a": 1, "b": 1, "value": "x"}
    for target in ("a,b", ["a", "b"], ("a", "b")):
        assert (pairs.upsert(row, on_conflict=target).execute()).error is None
    assert (pairs.count("exact")).unwrap() == 1


def test_upsert_on_a_column_that_is_not_unique(client: AeroDBClient) -> None:
    response = client.from_("notes").upsert({"title": "x"}, on_conflict="title").execute()
    assert response.error.code == "42P10"


def test_update(client: AeroDBClient) -> None:
    make(client, "a", "b", "c")
    response = (
        client.from_("notes").update({"stars": 9, "body": None}).eq("title", "b").execute()
    )
    assert [(row["title"], row["stars"]) for row in response.unwrap()] == [("b", 9)]
    stars = client.from_("notes").order("id").scalars("stars")
    assert sorted(stars.unwrap()) == [7, 7, 9]


def test_update_that_matches_nothing(client: AeroDBClient) -> None:
    response = client.from_("notes").update({"stars": 1}).eq("id", 99).execute()
    assert response.unwrap() == []
    assert response.meta.affected == 0


def test_delete(client: AeroDBClient) -> None:
    make(client, "a", "b", "c")
    response = client.from_("notes").delete().neq("title", "b").select("title").execute()
    assert sorted(row["title"] for row in response.unwrap()) == ["a", "c"]
    assert titles(client) == ["b"]


def test_filters_before_and_after_the_verb(client: AeroDBClient) -> None:
    make(client, "a", "b", "c", "d")
    notes = client.from_("notes")
    before = notes.eq("title", "a").update({"stars": 1}).execute()
    after = notes.update({"stars": 1}).eq("title", "b").execute()
    around = notes.gt("id", 1).update({"stars": 2}).lt("id", 4).execute()
    assert [len(response.unwrap()) for response in (before, after, around)] == [1, 1, 2]
    assert len((notes.eq("title", "a").delete().execute()).unwrap()) == 1
    assert titles(client) == ["b", "c", "d"]


def test_what_has_no_filter_is_refused(client: AeroDBClient) -> None:
    make(client, "a", "b")
    notes = client.from_("notes")
    for query in (notes.delete(), notes.update({"title": "x"}), notes.select("*").delete()):
        response = query.execute()
        assert response.error.code == "MISSING_FILTER"
        assert response.meta.attempts == 0
    assert sorted(titles(client)) == ["a", "b"]
    assert len((notes.update({"title": "x"}).all_rows().execute()).unwrap()) == 2
    assert len((notes.all_rows().delete().execute()).unwrap()) == 2


def test_an_empty_list_is_no_missing_filter(client: AeroDBClient) -> None:
    make(client, "a", "b")
    response = client.from_("notes").delete().in_("id", []).execute()
    assert response.unwrap() == []
    assert response.meta.attempts == 0
    assert titles(client) == ["a", "b"]


@pytest.mark.parametrize(
    "make",
    [
        lambda notes: notes.delete().gt("id", 0).limit(1),
        lambda notes: notes.limit(1).delete().gt("id", 0),
        lambda notes: notes.delete().gt("id", 0).order("id").limit(1),
        lambda notes: notes.delete().gt("id", 0).offset(1),
        lambda notes: notes.update({"stars": 1}).gt("id", 0).range(0, 1),
    ],
)
def test_a_write_has_no_limit(client: AeroDBClient, make: Any) -> None:
    """The server would drop it, and write to every row that matches (wire-contract §3.6)."""
    make_notes_and_refuse(client, make(client.from_("notes")).execute)


@pytest.mark.parametrize(
    "run",
    [
        lambda query: query.first,
        lambda query: query.exists,
        lambda query: query.count,
        lambda query: query.all,
        lambda query: query.select("*", head=True).execute,
    ],
)
def test_shortcuts_for_reading_do_not_write(client: AeroDBClient, run: Any) -> None:
    make_notes_and_refuse(client, run(client.from_("notes").delete().gt("id", 0)))


def make_notes_and_refuse(client: AeroDBClient, run: Any) -> None:
    make(client, "a", "b", "c")
    response = run()
    assert response.error.code == "INVALID_ARGUMENT"
    assert response.meta.attempts == 0
    assert titles(client) == ["a", "b", "c"]


def test_an_insert_has_no_filter(client: AeroDBClient) -> None:
    """The server would drop it: what was meant as a condition would not hold."""
    make(client, "a")
    notes = client.from_("notes")
    for query in (
        notes.eq("id", 99).insert({"title": "b"}),
        notes.insert({"title": "b"}).eq("id", 99),
        notes.upsert({"id": 1, "title": "b"}).eq("title", "c"),
    ):
        response = query.execute()
        assert response.error.code == "INVALID_ARGUMENT"
    assert titles(client) == ["a"]


@pytest.mark.parametrize("early", [True, False])
def test_max_affected(client: AeroDBClient, early: bool) -> None:
    make(client, "a", "b", "c")
    notes = client.from_("notes")
    one = notes.delete(max_affected=1) if early else notes.delete().max_affected(1)
    refused = one.gt("id", 0).execute()
    assert refused.error.code == "PGRST124"
    assert titles(client) == ["a", "b", "c"]
    allowed = one.eq("title", "a").execute()
    assert len(allowed.unwrap()) == 1
    refused = notes.update({"stars": 1}, max_affected=1).gt("id", 0).execute()
    assert refused.error.code == "PGRST124"


def test_a_written_null_stays_null(client: AeroDBClient) -> None:
    response = client.from_("notes").insert({"stars": None, "title": "x"}).execute()
    assert response.unwrap()[0]["stars"] is None


def test_keys_that_need_quotes_elsewhere(client: AeroDBClient, database: Any) -> None:
    rows: list[dict[str, Any]] = [
        {"id": 11, "order": "1", "two words": "2", "a.dot": "3"},
        {"id": 12, 'say "hi"': "4"},
    ]
    try:
        response = client.from_("odd_names").insert(rows).execute()
        assert response.unwrap()[0]["a.dot"] == "3"
        assert response.unwrap()[1]['say "hi"'] == "4"
    finally:
        database.execute("delete from odd_names where id > 10")


def test_a_write_to_another_schema(client: AeroDBClient) -> None:
    reports = client.schema("archive").from_("reports")
    (reports.insert({"id": 1, "title": "old"}).execute()).unwrap()
    (reports.update({"title": "older"}).eq("id", 1).execute()).unwrap()
    assert (reports.select("*").execute()).unwrap() == [{"id": 1, "title": "older"}]
    assert (reports.delete().eq("id", 1).execute()).unwrap()[0]["id"] == 1
