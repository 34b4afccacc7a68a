"""Columns as pandas, polars and pyarrow have them. A library is imported when it is asked for.

What a type becomes is a table for each library; what the values are is decided in
`aerodb._core.frames`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from importlib import import_module
from typing import Any, Literal, NamedTuple

from aerodb._core.errors import client_error
from aerodb._core.frames.columns import Series, needs_exact, series_of
from aerodb._core.frames.kinds import TEXT, Kind, Word, kind_of_type
from aerodb._core.frames.selecting import Columns, columns_of, kinds_of_select
from aerodb._display import cut_note
from aerodb.types import AeroDBResponse

__all__ = [
    "Library",
    "Typing",
    "built",
    "check_installed",
    "floats_for_decimals",
    "framed",
    "typing_of",
    "warn_if_cut",
]

Library = Literal["pandas", "polars", "arrow"]

_MODULES = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow"}
_NO_DESCRIPTION = (
    "the server does not describe its tables: the types of the columns are inferred from the values"
)


class Typing(NamedTuple):
    """What is known of a query's columns before it runs."""

    kinds: Columns
    exact: bool
    warnings: tuple[str, ...] = ()


def check_installed(library: Library) -> None:
    """Import the library, or raise an `ImportError` that says how to get it."""
    name = _MODULES[library]
    try:
        import_module(name)
    except ImportError as error:
        text = f'to_{library}() needs {name}: pip install "aerodb[{library}]"'
        raise ImportError(text, name=name) from error


def typing_of(select: str, table: str | None, tables: Sequence[Any] | None) -> Typing:
    """The columns that a select list gives; `tables` is None if the server describes nothing."""
    if table is None:  # a function's answer has no description
        return Typing({}, exact=False)
    if tables is None:
        return Typing({}, exact=False, warnings=(_NO_DESCRIPTION,))
    kinds = kinds_of_select(select, table, {one.name: columns_of(one) for one in tables})
    return Typing(kinds, needs_exact(kinds.values()))


def floats_for_decimals(typing: Typing) -> Typing:
    """The same columns, with the numeric ones as floats."""
    kinds = {
        name: Kind("float64", kind.depth) if kind.word == "decimal" else kind
        for name, kind in typing.kinds.items()
    }
    return typing._replace(kinds=kinds, exact=needs_exact(kinds.values()))


def framed(
    library: Library, response: AeroDBResponse[Any], types: Mapping[str, str] | None
) -> AeroDBResponse[Any]:
    """A response's rows as a data frame, by types that the caller names."""
    check_installed(library)
    kinds = {name: kind_of_type(said) for name, said in (types or {}).items()}
    warn_if_cut(response, "query.all() gets every row")
    return built(library, response, Typing(kinds, exact=False))


def warn_if_cut(response: AeroDBResponse[Any], remedy: str) -> None:
    """Warn who calls the caller's caller that rows are missing: a frame is looked at without
    the response that would say so."""
    note = cut_note(response, remedy)
    if note is not None:
        warnings.warn(note, UserWarning, stacklevel=4)


def built(library: Library, response: AeroDBResponse[Any], typing: Typing) -> AeroDBResponse[Any]:
    """A response's rows as a data frame; an error stays as it is."""
    if response.error is not None:
        return response
    data: Any = response.data
    rows = [] if data is None else [data] if isinstance(data, dict) else data
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        problem = f"data: {type(data).__name__} was given, expected rows as dicts"
        return AeroDBResponse(error=client_error("INVALID_ARGUMENT", problem), meta=response.meta)
    series, warnings = series_of(rows, typing.kinds)
    try:
        frame = _BUILDERS[library](series, len(rows))
    except (ValueError, ArithmeticError) as problem:  # as for half of a surrogate pair
        message = f"{library} cannot hold these rows: {type(problem).__name__}"
        error = client_error("INVALID_RESPONSE", message, hint="execute() gives them as they are")
        return AeroDBResponse(error=error, meta=response.meta)
    meta = replace(response.meta, warnings=(*response.meta.warnings, *typing.warnings, *warnings))
    return AeroDBResponse(frame, None, response.count, meta)


# --- pandas ----------------------------------------------------------------------------------

_PANDAS: dict[Word, str] = {
    "bool": "boolean", "int16": "Int16", "int32": "Int32", "int64": "Int64",
    "float32": "float32", "float64": "float64", "text": "string",
    "timestamptz": "datetime64[us, UTC]", "timestamp": "datetime64[us]",
}  # fmt: skip


def _pandas(series: Sequence[Series], rows: int) -> Any:
    pandas = import_module("pandas")
    columns = {}
    for one in series:
        dtype = "object" if one.kind.depth else _PANDAS.get(one.kind.word, "object")
        columns[one.name] = pandas.Series(one.values, dtype=dtype, index=range(rows))
    return pandas.DataFrame(columns, index=pandas.RangeIndex(rows))


# --- polars ----------------------------------------------------------------------------------


def _polars(series: Sequence[Series], rows: int) -> Any:
    polars = import_module("polars")
    return polars.DataFrame([_polars_series(polars, one) for one in series])


def _polars_series(polars: Any, one: Series) -> Any:
    if one.kind.word == "json":
        return polars.Series(one.name, one.values, dtype=polars.Object)
    digits, scale = _digits(one)
    if digits > 38:
        return polars.Series(one.name, _as_text(one.values), dtype=_nested(
            polars.List, polars.String, one.kind.depth))  # fmt: skip
    types: dict[Word, Any] = {
        "bool": polars.Boolean, "int16": polars.Int16, "int32": polars.Int32,
        "int64": polars.Int64, "float32": polars.Float32, "float64": polars.Float64,
        "decimal": polars.Decimal(38, scale), "text": polars.String, "bytes": polars.Binary,
        "timestamptz": polars.Datetime("us", "UTC"), "timestamp": polars.Datetime("us"),
        "date": polars.Date, "time": polars.Time,
    }  # fmt: skip
    dtype = _nested(polars.List, types[one.kind.word], one.kind.depth)
    return polars.Series(one.name, one.values, dtype=dtype)


# --- Arrow -----------------------------------------------------------------------------------


def _arrow(series: Sequence[Series], rows: int) -> Any:
    arrow = import_module("pyarrow")
    arrays = [_arrow_array(arrow, one) for one in series]
    return arrow.table(dict(zip([one.name for one in series], arrays, strict=True)))


def _arrow_array(arrow: Any, one: Series) -> Any:
    values, kind = one.values, one.kind
    digits, scale = _digits(one)
    if kind.word == "json":
        values, kind = [_json_text(value) for value in values], TEXT
    elif digits > 76:
        values, kind = _as_text(values), Kind("text", kind.depth)
    types: dict[Word, Any] = {
        "bool": arrow.bool_(), "int16": arrow.int16(), "int32": arrow.int32(),
        "int64": arrow.int64(), "float32": arrow.float32(), "float64": arrow.float64(),
        "decimal": arrow.decimal128(38, scale) if digits <= 38 else arrow.decimal256(76, scale),
        "text": arrow.string(), "bytes": arrow.binary(),
        "timestamptz": arrow.timestamp("us", "UTC"), "timestamp": arrow.timestamp("us"),
        "date": arrow.date32(), "time": arrow.time64("us"),
    } if digits <= 76 else {"text": arrow.string()}  # fmt: skip
    return arrow.array(values, type=_nested(arrow.list_, types[kind.word], kind.depth))


# --- what they share -------------------------------------------------------------------------


def _nested(list_of: Callable[[Any], Any], inner: Any, depth: int) -> Any:
    for _ in range(depth):
        inner = list_of(inner)
    return inner


def _digits(one: Series) -> tuple[int, int]:
    """How many digits a numeric column needs in all, and how many of them after the point."""
    if one.kind.word != "decimal":
        return 0, 0
    whole = scale = 0
    pending: list[Any] = list(one.values)
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, Decimal):
            exponent = value.as_tuple().exponent
            assert isinstance(exponent, int)  # the values are finite
            scale = max(scale, -exponent)
            whole = max(whole, value.adjusted() + 1)
    return whole + scale, scale


def _as_text(values: Sequence[Any]) -> list[Any]:
    return [
        None if v is None else _as_text(v) if isinstance(v, list) else format(v, "f")
        for v in values
    ]


def _json_text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


_BUILDERS: dict[Library, Callable[[Sequence[Series], int], Any]] = {
    "pandas": _pandas,
    "polars": _polars,
    "arrow": _arrow,
}
