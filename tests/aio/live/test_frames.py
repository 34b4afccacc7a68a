# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Data frames: PostgreSQL's types in the columns of three libraries, and back into rows."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import numpy
import pandas
import polars
import pyarrow
import pytest

from aerodb.aio import AeroDBClient
from aerodb.local import LocalServer

pytestmark = pytest.mark.usefixtures("empty")

LIBRARIES = ("pandas", "polars", "arrow")
BIG = 2**53 + 1
DIGITS = Decimal("12345678901234567890.123456789")
MOMENT = datetime(2024, 1, 1, 10, 0, 0, 123456, tzinfo=UTC)
FULL: dict[str, Any] = {
    "v_text": "NULL", "v_bool": True, "v_int": BIG, "v_float": 0.1, "v_decimal": DIGITS,
    "v_stamp": MOMENT, "v_date": date(2024, 2, 29), "v_time": time(13, 14, 15, 500000),
    "v_uuid": "6f9619ff-8b86-d011-b42d-00cf4fc964ff", "v_mood": "sad", "v_bytes": b"\x00\xff",
    "v_texts": ["a", None, "b,c"], "v_ints": [1, 2],
}  # fmt: skip
NAMES = list(FULL)


async def frame_of(query: Any, library: str) -> Any:
    return (await getattr(query, f"to_{library}")()).unwrap()


def rows_of(frame: Any) -> list[dict[str, Any]]:
    """The rows as Python values, missing ones as None."""
    if isinstance(frame, pyarrow.Table):
        return frame.to_pylist()  # type: ignore[no-any-return]
    if isinstance(frame, polars.DataFrame):
        return frame.to_dicts()
    plain = frame.astype(object)
    return plain.where(plain.notna(), None).to_dict("records")  # type: ignore[no-any-return]


def types_of(frame: Any) -> dict[str, str]:
    if isinstance(frame, pyarrow.Table):
        return {field.name: str(field.type) for field in frame.schema}
    if isinstance(frame, polars.DataFrame):
        return {name: str(dtype) for name, dtype in frame.schema.items()}
    return {name: str(dtype) for name, dtype in frame.dtypes.items()}


@pytest.mark.parametrize("library", LIBRARIES)
async def test_every_value_is_exact(client: AeroDBClient, library: str) -> None:
    kept = client.from_("kept")
    (await kept.insert([FULL, dict.fromkeys(NAMES)]).execute()).unwrap()
    rows = rows_of(await frame_of(kept.select(*NAMES).order("id"), library))
    assert rows == [FULL, dict.fromkeys(NAMES)]
    assert isinstance(rows[0]["v_decimal"], Decimal)
    assert rows[0]["v_stamp"].utcoffset().total_seconds() == 0


@pytest.mark.parametrize("library", LIBRARIES)
async def test_no_rows_have_the_same_columns_and_types(client: AeroDBClient, library: str) -> None:
    kept = client.from_("kept")
    empty = types_of(await frame_of(kept.select("*"), library))
    await kept.insert(FULL | {"v_json": {"a": 1}, "v_decimal": 5, "v_between": "[1.5,2)"}).execute()
    full = types_of(await frame_of(kept.select("*"), library))
    assert empty == full
    assert list(empty)[:2] == ["id", "v_text"]
    assert len(set(empty.values())) > 5


@pytest.mark.parametrize("library", LIBRARIES)
async def test_a_frame_goes_in_as_it_came_out(client: AeroDBClient, library: str) -> None:
    kept = client.from_("kept")
    await kept.insert([FULL, dict.fromkeys(NAMES)]).execute()
    frame = await frame_of(kept.select(*NAMES).order("id"), library)
    (await kept.insert(frame).execute()).unwrap()
    rows = rows_of(await frame_of(kept.select(*NAMES).order("id"), library))
    assert rows == [FULL, dict.fromkeys(NAMES)] * 2


async def test_types_follow_aliases_casts_paths_and_embedding(client: AeroDBClient) -> None:
    users = client.from_("users")
    for part, types in (
        (
            "years:age, score, word:score::text, whole:score::int8",
            {"years": "int32", "score": "decimal128(38, 2)", "word": "string", "whole": "int64"},
        ),
        (
            "data->seats, plan:data->>plan, data->address->>city",
            {"seats": "string", "plan": "string", "city": "string"},
        ),
        ("teams(name)", {"teams": "string"}),
        ("id, ...teams(team:name, number:id)", {"id": "int32", "team": "string",
                                                "number": "int32"}),
        ("*", None),
    ):  # fmt: skip
        table = await frame_of(users.select(part).lt("age", 40).gt("score", 8), "arrow")
        found = types_of(table)
        assert found == types or (types is None and found["marks"] == "list<item: int32>")
        none = types_of(await frame_of(users.select(part).eq("id", -1), "arrow"))
        assert list(none) == list(found)
    table = await frame_of(users.select("n:name", "teams(name)").eq("id", 1), "pandas")
    assert rows_of(table) == [{"n": "Ada", "teams": {"name": "Red"}}]


async def test_numerics_stay_exact_in_json_columns_only_as_json(client: AeroDBClient) -> None:
    kept = client.from_("kept")
    await kept.insert({"v_json": {"a": [1, 0.5]}, "v_decimal": DIGITS}).execute()
    (row,) = rows_of(await frame_of(kept.select("v_json", "v_decimal"), "pandas"))
    assert row == {"v_json": {"a": [1, 0.5]}, "v_decimal": DIGITS}
    assert type(row["v_json"]["a"][1]) is float


async def test_what_a_type_cannot_hold_is_said(client: AeroDBClient) -> None:
    kept = client.from_("kept")
    await kept.insert(
        [{"v_stamp": "infinity", "v_int": 1}, {"v_stamp": MOMENT, "v_int": 2}]
    ).execute()
    response = await kept.select("v_stamp", "v_int").order("id").to_polars()
    assert types_of(response.unwrap()) == {"v_stamp": "String", "v_int": "Int64"}
    (warning,) = response.meta.warnings
    assert "v_stamp" in warning
    assert response.unwrap()["v_stamp"][0] == "infinity"


async def test_nan_is_a_number_where_the_column_has_it(client: AeroDBClient) -> None:
    kept = client.from_("kept")
    await kept.insert([{"v_float": "NaN"}, {"v_float": None}, {"v_float": "Infinity"}]).execute()
    frame = await frame_of(kept.select("v_float").order("id"), "polars")
    assert frame["v_float"].is_nan().to_list() == [True, None, False]


async def test_functions_and_errors(client: AeroDBClient) -> None:
    frame = await frame_of(client.rpc("team_sizes"), "pandas")
    assert types_of(frame) == {"team": "string", "size": "Int64"}
    scalar = await client.rpc("add", {"a": 1, "b": 2}).to_pandas()
    assert scalar.error is not None
    assert scalar.error.code == "INVALID_ARGUMENT"
    missing = await client.from_("nowhere").select("id").to_polars()
    assert missing.error is not None
    assert missing.error.code == "PGRST205"
    one = await frame_of(client.from_("teams").select("name").eq("id", 1).single(), "arrow")
    assert one.to_pylist() == [{"name": "Red"}]


async def test_all_pages(client: AeroDBClient) -> None:
    numbers = client.from_("numbers").select("n").order("n")
    with pytest.warns(UserWarning, match=r"only 1,000 rows came.*all_pages=True") as seen:
        cut = await numbers.to_arrow()
    assert cut.meta.truncated
    assert seen[0].filename == __file__
    whole = await numbers.to_arrow(all_pages=True)
    assert whole.unwrap()["n"].to_pylist() == list(range(1, 2501))


@pytest.mark.parametrize(
    ("library", "float_type"), [("pandas", "float64"), ("polars", "Float64"), ("arrow", "double")]
)
async def test_numerics_as_floats(client: AeroDBClient, library: str, float_type: str) -> None:
    query = client.from_("users").select("id, score").order("id")
    frame = (await getattr(query, f"to_{library}")(decimals="float")).unwrap()
    assert types_of(frame)["score"] == float_type
    assert isinstance(rows_of(frame)[1]["score"], float)
    wrong = await getattr(query, f"to_{library}")(decimals="floats")
    assert wrong.error.code == "INVALID_ARGUMENT"


async def test_the_description_is_asked_for_once(client: AeroDBClient) -> None:
    asked = client._transport.described
    assert asked == {}
    await frame_of(client.from_("teams").select("id"), "arrow")
    first = asked["public"]
    await frame_of(client.from_("users").select("id"), "arrow")
    assert asked["public"] is first
    assert client.with_options(timeout=9)._transport.described == {}


async def test_rows_that_are_there_already(client: AeroDBClient) -> None:
    response = (
        await client.from_("users")
        .select("id, score, created_at")
        .lt("id", 3)
        .order("id")
        .execute()
    )
    inferred = types_of(response.to_arrow().unwrap())
    assert inferred == {"id": "int64", "score": "double", "created_at": "string"}
    said = {"score": "numeric", "created_at": "timestamptz", "id": "int4"}
    table = response.to_arrow(said).unwrap()
    assert table.to_pylist()[1]["score"] == Decimal("7.25")
    assert polars.DataFrame(response).schema == {
        "id": polars.Int64, "score": polars.Float64, "created_at": polars.String,
    }  # fmt: skip
    failed = await client.from_("nowhere").select("id").execute()
    assert failed.to_pandas().error is failed.error


async def test_a_response_is_not_taken_for_two_rows(client: AeroDBClient) -> None:
    """pandas and numpy would take `data` and `error` for them, and say something else of it."""
    for table in ("users", "nowhere"):
        response: Any = await client.from_(table).select("id").limit(2).execute()
        for taken in (pandas.DataFrame, numpy.asarray):
            with pytest.raises(TypeError, match=r"response\.to_pandas\(\)\.unwrap\(\)"):
                taken(response)


# --- data frames as rows -------------------------------------------------------------------------


async def stored(client: AeroDBClient, *columns: str) -> list[dict[str, Any]]:
    return (await client.from_("kept").select(*columns).order("id").execute()).unwrap()


async def test_what_pandas_misses_is_null(client: AeroDBClient) -> None:
    frame = pandas.DataFrame(
        {
            "v_float": [0.5, float("nan")],
            "v_int": [7, None],  # pandas makes floats of it
            "v_stamp": [pandas.Timestamp(MOMENT), pandas.NaT],
            "v_text": pandas.Categorical(["a", None]),
            "v_bool": pandas.array([True, None], dtype="boolean"),
        }
    )
    assert str(frame["v_int"].dtype) == "float64"
    (await client.from_("kept").insert(frame).execute()).unwrap()
    rows = await stored(client, "v_float", "v_int", "v_stamp", "v_text", "v_bool")
    assert rows[0] == {"v_float": 0.5, "v_int": 7, "v_stamp": MOMENT.isoformat(), "v_text": "a",
                       "v_bool": True}  # fmt: skip
    assert set(rows[1].values()) == {None}


@pytest.mark.parametrize("make", [polars.DataFrame, pyarrow.table])
async def test_a_nan_that_is_no_null_is_refused(client: AeroDBClient, make: Any) -> None:
    response = await client.from_("kept").insert(make({"v_float": [None, float("nan")]})).execute()
    assert response.error is not None
    assert response.error.code == "INVALID_ARGUMENT"
    assert "[1].v_float" in response.error.message
    assert await stored(client, "id") == []


async def test_tables_are_upserted_and_inserted_in_batches(client: AeroDBClient) -> None:
    frame = polars.DataFrame({"n": range(1, 1201), "label": ["x"] * 1200})
    report = (await client.from_("bulk").insert_many(frame, batch_size=500)).unwrap()
    assert (report.inserted, report.batches) == (1200, 3)
    changed = pandas.DataFrame({"n": [1, 1201], "label": ["y", "z"]})
    (await client.from_("bulk").upsert(changed, on_conflict="n").execute()).unwrap()
    rows = (
        await client.from_("bulk").select().in_("n", [1, 2, 1201]).order("n").execute()
    ).unwrap()
    assert [row["label"] for row in rows] == ["y", "x", "z"]


async def test_an_index_with_a_name_is_a_column(client: AeroDBClient) -> None:
    """What `groupby` and `set_index` make is written whole, what is only counted is not."""
    seen = pandas.DataFrame({"n": [2001, 2001, 2002], "label": ["a", "b", "c"]})
    last = seen.groupby("n").last()
    assert list(last.columns) == ["label"]
    (await client.from_("bulk").upsert(last, on_conflict="n").execute()).unwrap()
    both = seen.iloc[:1].assign(n=2003).set_index(["n", "label"])
    (await client.from_("bulk").upsert(both, on_conflict="n").execute()).unwrap()
    part = seen.iloc[2:].assign(n=2004).set_index("label", append=True)
    (await client.from_("bulk").upsert(part, on_conflict="n").execute()).unwrap()
    rows = await client.from_("bulk").select("n", "label").gt("n", 2000).order("n").execute()
    expected = [(2001, "b"), (2002, "c"), (2003, "a"), (2004, "c")]
    assert [tuple(row.values()) for row in rows.unwrap()] == expected
    kept = seen.set_index(pandas.Index(["a", "b", "c"], name="label"))
    error = (await client.from_("bulk").insert(kept).execute()).error
    assert error is not None
    assert "'label' is there twice" in error.message


async def test_a_column_that_is_there_twice_is_refused(client: AeroDBClient) -> None:
    doubled = pandas.DataFrame([[1, "a", "b"]], columns=["n", "label", "label"])
    for response in (
        await client.from_("bulk").insert(doubled).execute(),
        await client.from_("bulk").insert_many(doubled),
    ):
        assert response.error is not None
        assert "'label' is there twice" in response.error.message


async def test_a_server_without_description() -> None:
    with LocalServer(
        schema=["create table prices (id int8 primary key, price numeric)"],
        openapi_mode="disabled",
    ) as server:
        async with AeroDBClient(server.url, server.service_key) as client:
            prices = client.from_("prices")
            (await prices.insert({"id": BIG, "price": 1.5}).execute()).unwrap()
            response = await prices.select("*").to_arrow()
            assert types_of(response.unwrap()) == {"id": "int64", "price": "double"}
            assert response.unwrap().to_pylist() == [{"id": BIG, "price": 1.5}]
            (warning,) = response.meta.warnings
            assert "inferred" in warning
            assert client._transport.described == {"public": []}  # it is not asked again
