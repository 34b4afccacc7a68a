"""Select lists and types, as far as a description tells; rows as columns."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb import AeroDBResponse
from aerodb._core.frames.columns import series_of
from aerodb._core.frames.kinds import JSON, TEXT, UNKNOWN, Kind, kind_of_type
from aerodb._core.frames.selecting import items_of, kinds_of_select
from aerodb._frames import Typing, built, typing_of

INT, NUMERIC = Kind("int32"), Kind("decimal")
TABLES: Mapping[str, dict[str, Kind]] = {
    "films": {"id": INT, "title": TEXT, "price": NUMERIC, "data": JSON, "a,b": INT},
    "makers": {"id": INT, "name": TEXT},
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("int8", Kind("int64")),
        ("bigint", Kind("int64")),
        ("numeric(10,2)", NUMERIC),
        ("Timestamp(3) With Time Zone", Kind("timestamptz")),
        ("character varying(20)[]", Kind("text", 1)),
        ("integer[][]", Kind("int32", 2)),
        ("pg_catalog.int4", INT),
        ("public.mood", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_types_by_postgresqls_names(name: str, kind: Kind) -> None:
    assert kind_of_type(name) == kind


@pytest.mark.parametrize(
    ("select", "columns"),
    [
        ("*", TABLES["films"]),
        ("id,title", {"id": INT, "title": TEXT}),
        ("n:id", {"n": INT}),
        ("id::text", {"id": TEXT}),
        ("n:id::numeric", {"n": NUMERIC}),
        ('"a,b",x:"a,b"', {"a,b": INT, "x": INT}),
        ("data->a", {"a": JSON}),
        ("data->a->>b", {"b": TEXT}),
        ("data->tags->>0", {"tags": TEXT}),
        ("first:data->0->>b::int", {"first": INT}),
        ("makers(id,name)", {"makers": JSON}),
        ("m:makers!maker_id!inner(id,films(title))", {"m": JSON}),
        ("id,...makers(name)", {"id": INT, "name": TEXT}),
        ("...makers!fk(maker:name,...films(title))", {"maker": TEXT, "title": TEXT}),
        ("...other(name)", {}),
        ("count()", {"count": Kind("int64")}),
        ("n:count(),price.max(),low:price.min(),price.avg()",
         {"n": Kind("int64"), "max": NUMERIC, "low": NUMERIC, "avg": UNKNOWN}),
        ("price.sum()::int8", {"sum": Kind("int64")}),
        ("unheard_of", {"unheard_of": UNKNOWN}),
    ],
)  # fmt: skip
def test_columns_of_a_select_list(select: str, columns: dict[str, Kind]) -> None:
    assert kinds_of_select(select, "films", TABLES) == columns


PLAIN = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


@given(
    st.lists(st.text('abz ,()"\\:.->*', min_size=1, max_size=9), min_size=1, max_size=5),
    st.lists(PLAIN, min_size=5, max_size=5, unique=True),
)
def test_any_name_in_quotes_is_one_column(names: list[str], aliases: list[str]) -> None:
    quoted = ['"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"' for name in names]
    select = ",".join(f"{a}:{q}" for a, q in zip(aliases, quoted, strict=False))
    tables = {"t": dict.fromkeys(names, INT)}
    assert kinds_of_select(select, "t", tables) == dict.fromkeys(aliases[: len(names)], INT)


@given(st.text('ab,()":.->*! \\', max_size=40))
def test_no_select_list_breaks_it(select: str) -> None:
    found = kinds_of_select(select, "films", TABLES)
    assert all(isinstance(kind, Kind) for kind in found.values())
    assert all(items_of(select))


@given(st.lists(st.integers(-(2**70), 2**70) | st.none() | st.booleans(), max_size=6))
def test_whole_numbers_keep_every_digit_or_are_told_of(values: list[Any]) -> None:
    rows = [{"n": value} for value in values]
    (series,), warnings = series_of(rows, {"n": Kind("int64")})
    assert series.values == values
    fits = all(
        value is None or (type(value) is int and -(2**63) <= value < 2**63) for value in values
    )
    assert (series.kind == Kind("int64") and not warnings) if fits else bool(warnings)


def test_columns_that_no_description_has() -> None:
    rows = [{"a": 1, "b": Decimal("0.5")}, {"a": 2, "c": "x", "b": 1}]
    found, warnings = series_of(rows, {"a": INT})
    assert [(one.name, one.kind, one.values) for one in found] == [
        ("a", INT, [1, 2]),
        ("b", Kind("float64"), [0.5, 1.0]),
        ("c", TEXT, [None, "x"]),
    ]
    assert warnings == ()


ODD = {
    "float and huge": ([1.5, 10**400], UNKNOWN),
    "float and huge, said": ([1.5, 10**400], Kind("float64")),
    "huge": ([1, 10**400], UNKNOWN),
    "huge for a str": ([1, 10**5000], UNKNOWN),
    "huge in json": ([{"b": 10**5000}], JSON),
    "large exponent": ([Decimal("1E+999999999999999999")], NUMERIC),
    "small exponent": ([Decimal("1E-999999999999999999")], NUMERIC),
    "PostgreSQL's largest": ([Decimal("9" * 131_072), Decimal("1E-16383")], NUMERIC),
    "half a pair": (["\ud800"], UNKNOWN),
    "half a pair, said": (["\ud800"], TEXT),
    "half a pair in json": ([{"b": "\ud800"}], JSON),
    "inf in json": ([{"b": float("inf")}], JSON),
}


@pytest.mark.parametrize("library", ["pandas", "polars", "arrow"])
@pytest.mark.parametrize("case", ODD)
def test_no_value_of_a_servers_is_raised(library: Any, case: str) -> None:
    values, kind = ODD[case]
    rows = [{"n": value} for value in values]
    response = built(library, AeroDBResponse(rows), Typing({"n": kind}, exact=True))
    if response.error is None:
        assert len(response.data) == len(rows)
    else:
        assert response.error.code == "INVALID_RESPONSE"
    named = built(library, AeroDBResponse([{"\ud800": 1}]), Typing({}, exact=False))
    assert named.error is not None
    assert named.error.code == "INVALID_RESPONSE"


def test_a_server_without_description_is_told_of() -> None:
    assert "inferred" in typing_of("*", "films", None).warnings[0]
    assert typing_of("*", None, None).warnings == ()


@pytest.mark.parametrize(
    ("library", "module"), [("pandas", "pandas"), ("polars", "polars"), ("arrow", "pyarrow")]
)
def test_a_library_that_is_missing_is_named(
    library: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'needs {module}: pip install "aerodb\[{library}\]"'):
        getattr(AeroDBResponse([{"a": 1}]), f"to_{library}")()


def test_digits_beyond_what_a_library_holds_are_text() -> None:
    value = "1" * 60 + ".5"
    response = AeroDBResponse([{"n": value}])
    types = {"n": "numeric"}
    assert response.to_polars(types).unwrap()["n"].to_list() == [value]
    assert response.to_arrow(types).unwrap()["n"].to_pylist() == [Decimal(value)]
    wide = "1" * 90
    assert AeroDBResponse([{"n": wide}]).to_arrow(types).unwrap()["n"].to_pylist() == [wide]
