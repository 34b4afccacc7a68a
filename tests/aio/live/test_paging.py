# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""More rows than one answer holds: the server sends 1000 at most (wire-contract §1.7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from aerodb import AeroDBAPIError
from aerodb.aio import AeroDBClient

ALL = list(range(1, 2501))


def numbers(client: AeroDBClient) -> Any:
    return client.from_("numbers").select("n").order("n")


async def test_the_cap_is_visible(client: AeroDBClient) -> None:
    response = await numbers(client).execute()
    assert len(response.unwrap()) == 1000
    assert response.meta.truncated is True


async def test_more_than_the_cap_was_asked_for(client: AeroDBClient) -> None:
    response = await numbers(client).limit(1500).execute()
    assert len(response.unwrap()) == 1000
    assert response.meta.truncated is True


async def test_what_is_whole_is_not_called_truncated(client: AeroDBClient) -> None:
    small = await client.from_("teams").select("id", count="exact").execute()
    assert small.meta.truncated is False
    page = await numbers(client).limit(10).execute()
    assert page.meta.truncated is False
    capped = await client.from_("numbers").select("n", count="exact").execute()
    assert (len(capped.unwrap()), capped.count, capped.meta.truncated) == (1000, 2500, True)
    last = await client.from_("numbers").select("n", count="exact").gt("n", 2400).execute()
    assert len(last.unwrap()) == 100
    assert last.meta.truncated is False


async def test_all(client: AeroDBClient) -> None:
    response = await numbers(client).all()
    assert [row["n"] for row in response.unwrap()] == ALL
    assert response.meta.truncated is False


async def test_all_stops_at_max_rows(client: AeroDBClient) -> None:
    response = await numbers(client).all(max_rows=1200)
    assert [row["n"] for row in response.unwrap()] == ALL[:1200]
    assert response.meta.truncated is True
    assert response.meta.warnings


async def test_all_within_a_limit_and_an_offset(client: AeroDBClient) -> None:
    """Paging goes on from what the query itself says."""
    for query, expected in (
        (numbers(client).limit(1500), ALL[:1500]),
        (numbers(client).offset(2400), ALL[2400:]),
        (numbers(client).range(100, 1399), ALL[100:1400]),
        (numbers(client).limit(5), ALL[:5]),
    ):
        response = await query.all()
        assert [row["n"] for row in response.unwrap()] == expected
        assert response.meta.truncated is False, "all that was asked for came"
        assert response.meta.warnings == ()


async def test_all_hands_over_the_error(client: AeroDBClient) -> None:
    response = await client.from_("nowhere").select("n").all()
    assert response.data is None
    assert response.error.code == "PGRST205"


@pytest.mark.parametrize(
    "options", [{"key": "n"}, {"key": ["n"]}, {}], ids=["key", "keys", "offset"]
)
@pytest.mark.parametrize("page_size", [1000, 700])
async def test_iterate(client: AeroDBClient, options: Any, page_size: int) -> None:
    query = client.from_("numbers").select("n") if options else numbers(client)
    found = [row["n"] async for row in query.iterate(page_size=page_size, **options)]
    assert found == ALL


async def test_iterate_beyond_the_cap(client: AeroDBClient) -> None:
    """A page larger than the server sends must not end the iteration, nor skip a row."""
    found = [row["n"] async for row in numbers(client).iterate(page_size=2000)]
    assert found == ALL
    by_key = client.from_("numbers").select("n").iterate(page_size=2000, key="n")
    assert [row["n"] async for row in by_key] == ALL


async def test_iterate_with_filters_and_max_rows(client: AeroDBClient) -> None:
    even = client.from_("numbers").select("n").eq("parity", "even")
    found = [row["n"] async for row in even.iterate(page_size=100, key="n", max_rows=250)]
    assert found == ALL[1::2][:250]


async def test_iterate_by_a_key_of_two_columns(
    client: AeroDBClient, empty: None, database: Any
) -> None:
    database.execute(
        "insert into pairs select a, b from generate_series(1,5) a, generate_series(1,7) b"
    )
    query = client.from_("pairs").select("a, b").gt("a", 1)
    found = [(row["a"], row["b"]) async for row in query.iterate(page_size=4, key=["a", "b"])]
    assert found == [(a, b) for a in range(2, 6) for b in range(1, 8)]


async def test_iterate_by_keys_of_any_text(
    client: AeroDBClient, empty: None, database: Any
) -> None:
    """The last key of a page goes into a filter: no text may make it skip or repeat a row."""
    slugs = [
        "",
        " ",
        "a,b",
        'say "hi"',
        "\\",
        "(x)",
        "{y}",
        "null",
        "%",
        "*",
        "a.b",
        "é",
        "Z",
        "z",
        "\n",
    ]
    rows = [{"slug": slug} for slug in slugs]
    (await client.from_("notes").insert(rows, returning="minimal").execute()).unwrap()
    expected = database.execute("select slug from notes order by slug").fetchall()
    for size in (1, 2, 4):
        query = client.from_("notes").select("slug").iterate(page_size=size, key="slug")
        assert [(row["slug"],) async for row in query] == expected


async def test_iterate_by_keys_of_other_types(
    client: AeroDBClient, empty: None, database: Any
) -> None:
    """Close neighbours: a key that loses a digit on the way would repeat or skip rows."""
    database.execute("""
        insert into kept (v_int, v_float, v_stamp, v_date, v_uuid)
        select 9007199254740990 + n, 0.1::float8 + n * 1e-16,
               '2024-03-31 01:59:59.99999+02'::timestamptz + n * '1 microsecond'::interval,
               '2024-02-28'::date + n, gen_random_uuid()
        from generate_series(1, 9) n""")
    for column in ("v_int", "v_float", "v_stamp", "v_date", "v_uuid"):
        query = client.from_("kept").select("id", column)
        found = [row["id"] async for row in query.iterate(page_size=2, key=column, max_rows=50)]
        order = database.execute(f"select id from kept order by {column}").fetchall()
        assert found == [number for (number,) in order], column


@pytest.mark.parametrize("start", ["1", "0.1234567890123456789"])
async def test_iterate_by_a_key_with_more_digits_than_a_float(
    client: AeroDBClient, empty: None, database: Any, start: str
) -> None:
    """All rows or an error: never a part of them that looks like all."""
    database.execute(
        "insert into kept (v_decimal) select %s::numeric + n * 1e-20::numeric"
        " from generate_series(1, 9) n",
        [start],
    )
    query = client.from_("kept").select("id, v_decimal")
    found: list[int] = []
    async for page in query.pages(page_size=2, key="v_decimal"):
        if page.error is not None:
            break
        found += [row["id"] for row in page.data]
    else:
        assert found == list(range(1, 10))


@pytest.mark.parametrize("page_size", [1, 2, 5, 10])
async def test_iterate_by_a_key_that_may_be_null(client: AeroDBClient, page_size: int) -> None:
    """A row without a key is found by no comparison: an error, whatever the size of the page."""
    query = client.from_("users").select("id, age")
    pages = [page async for page in query.pages(page_size=page_size, key="age")]
    assert pages[-1].error.code == "INVALID_ARGUMENT"
    assert "'age'" in pages[-1].error.message


async def test_iterate_by_key_has_its_own_order(client: AeroDBClient) -> None:
    query = client.from_("numbers").select("n").order("n", ascending=False).gt("n", 2450)
    pages = [page async for page in query.pages(page_size=20, key="n")]
    assert [page.error.code for page in pages] == ["INVALID_ARGUMENT"]


async def test_iterate_by_a_key_that_is_not_selected(client: AeroDBClient) -> None:
    query = client.from_("numbers").select("parity").gt("n", 2450)
    pages = [page async for page in query.pages(page_size=20, key="n")]
    assert [page.error.code for page in pages] == ["INVALID_ARGUMENT"]
    assert "'n'" in pages[0].error.message


async def test_iterate_may_be_left_early(client: AeroDBClient) -> None:
    seen = []
    async for row in numbers(client).iterate(page_size=10):
        seen.append(row["n"])
        if len(seen) == 15:
            break
    assert seen == ALL[:15]
    assert (await client.from_("teams").count("exact")).unwrap() == 3


async def test_pages(client: AeroDBClient) -> None:
    sizes = []
    async for page in numbers(client).pages(page_size=900):
        assert page.error is None
        sizes.append(len(page.data))
    assert sum(sizes) == 2500
    assert sizes[:2] == [900, 900]


async def test_pages_hand_over_the_error_and_end(client: AeroDBClient) -> None:
    pages = [page async for page in client.from_("nowhere").select("n").pages()]
    assert len(pages) == 1
    assert pages[0].error.code == "PGRST205"


async def test_stream(client: AeroDBClient) -> None:
    async with client.from_("numbers").select("n, parity").order("n").stream() as rows:
        found = [row async for row in rows]
    assert len(found) == 1000
    assert found[0] == {"n": 1, "parity": "odd"}
    assert found[-1] == {"n": 1000, "parity": "even"}


async def test_a_stream_of_nasty_rows(client: AeroDBClient, empty: None) -> None:
    """Brackets, quotes and long texts inside of rows, and pieces that end anywhere."""
    rows = [
        {"v_text": part * size, "v_json": {part: [part, {"x": part * (size % 7)}]}}
        for size in (1, 50, 3000)
        for part in ('"', "\\", "]", "},{", "[[", "\n", "é", "\U0001f600", '\\"', "a,b", "\u2028")
    ]
    kept = client.from_("kept")
    (await kept.insert(rows, returning="minimal").execute()).unwrap()
    async with kept.select("v_text, v_json").order("id").stream() as stream:
        assert [row async for row in stream] == rows


async def test_a_stream_may_be_left_early(client: AeroDBClient) -> None:
    for _ in range(3):
        async with numbers(client).stream() as rows:
            async for row in rows:
                assert row == {"n": 1}
                break
    assert (await client.from_("teams").count("exact")).unwrap() == 3


async def test_a_stream_of_nothing(client: AeroDBClient) -> None:
    async with numbers(client).eq("n", -1).stream() as rows:
        assert [row async for row in rows] == []


async def test_iterating_has_no_response_so_it_raises(client: AeroDBClient) -> None:
    nowhere = client.from_("nowhere").select("n")
    async with nowhere.stream() as rows:
        assert rows.error.code == "PGRST205"
        with pytest.raises(AeroDBAPIError, match="PGRST205") as caught:
            [row async for row in rows]
    assert caught.value.error.status == 404
    with pytest.raises(AeroDBAPIError, match="PGRST205"):
        [row async for row in nowhere.iterate(key="n")]


def make_rows(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"n": number, "label": f"label {number}"}


async def test_insert_many_over_three_pages(client: AeroDBClient, empty: None) -> None:
    bulk = client.from_("bulk")
    report = (await bulk.insert_many(make_rows(2500), batch_size=1000)).unwrap()
    assert report.inserted == 2500
    assert (await bulk.count("exact")).unwrap() == 2500
    rows = (await bulk.select("n").order("n").all()).unwrap()
    assert [row["n"] for row in rows] == list(range(2500))


async def test_insert_many_with_other_batches(client: AeroDBClient, empty: None) -> None:
    bulk = client.from_("bulk")
    seen: list[Any] = []
    query = bulk.insert_many(make_rows(95), batch_size=10, progress=seen.append)
    assert (await query).unwrap().inserted == 95
    assert len(seen) == 10
    assert (await bulk.count("exact")).unwrap() == 95


async def test_insert_many_at_once(client: AeroDBClient, empty: None) -> None:
    bulk = client.from_("bulk")
    report = (await bulk.insert_many(make_rows(300), batch_size=20, concurrency=4)).unwrap()
    assert report.inserted == 300
    assert (await bulk.count("exact")).unwrap() == 300


async def test_insert_many_ignores_duplicates(client: AeroDBClient, empty: None) -> None:
    bulk = client.from_("bulk")
    (await bulk.insert_many(make_rows(20), batch_size=10)).unwrap()
    again = await bulk.insert_many(make_rows(30), batch_size=10, ignore_duplicates=True)
    assert again.error is None
    assert (await bulk.count("exact")).unwrap() == 30


async def test_insert_many_stops_at_the_first_error(client: AeroDBClient, empty: None) -> None:
    bulk = client.from_("bulk")
    (await bulk.insert({"n": 15}).execute()).unwrap()
    response = await bulk.insert_many(make_rows(40), batch_size=10)
    assert response.error.code == "23505"
    stored = (await bulk.select("n").order("n").execute()).unwrap()
    assert [row["n"] for row in stored] == [*range(10), 15], "batches before the error stay"


async def test_insert_many_goes_on_if_told_to(client: AeroDBClient, empty: None) -> None:
    bulk = client.from_("bulk")
    (await bulk.insert({"n": 15}).execute()).unwrap()
    response = await bulk.insert_many(make_rows(40), batch_size=10, on_error="continue")
    stored = (await bulk.select("n").order("n").execute()).unwrap()
    assert [row["n"] for row in stored] == [*range(10), 15, *range(20, 40)]
    assert response.error.code == "23505"
    assert response.data.inserted == 30
    assert [(failed.first, failed.last) for failed in response.data.errors] == [(10, 19)]


async def test_insert_many_from_a_source_that_waits(client: AeroDBClient, empty: None) -> None:
    async def rows() -> AsyncIterator[dict[str, Any]]:
        for row in make_rows(25):
            yield row

    report = (await client.from_("bulk").insert_many(rows(), batch_size=10)).unwrap()
    assert report.inserted == 25


async def test_insert_many_merges(client: AeroDBClient, empty: None) -> None:
    pairs = client.from_("pairs")
    (await pairs.insert({"a": 1, "b": 1, "value": "old"}).execute()).unwrap()
    rows = [{"a": 1, "b": number, "value": "new"} for number in range(25)]
    response = await pairs.insert_many(rows, batch_size=10, on_conflict=["a", "b"])
    assert response.error is None
    assert (await pairs.eq("value", "new").count("exact")).unwrap() == 25


async def test_insert_many_of_nothing(client: AeroDBClient, empty: None) -> None:
    report = (await client.from_("bulk").insert_many([])).unwrap()
    assert report.inserted == 0
