"""A data frame as rows that can be inserted, recognised by its methods.

pandas: what is missing (NaN, NaT, NA) is null, as pandas has no other way to say it; a float
column with gaps whose numbers are all whole is sent as whole numbers, as that is what pandas
makes of an integer column with gaps. polars and pyarrow have a null of their own, so there NaN is
a number, and JSON has no word for it: it is refused when the rows are written (`INVALID_ARGUMENT`).
A pandas index with a name was a column before `set_index` or `groupby`, and is one again.
"""

from __future__ import annotations

from typing import Any

from aerodb._core.values import BadValue

__all__ = ["frame_rows"]

_MISSING = frozenset({"NAType", "NaTType"})


def frame_rows(value: Any) -> Any:
    """The rows of a pandas, polars or pyarrow table; anything else as it is.

    What a table has that cannot be a row comes back as a `BadValue`, for the response.
    """
    if isinstance(value, type):
        return value
    try:
        if hasattr(value, "to_pylist") and hasattr(value, "schema"):
            _check_names(list(value.schema.names))
            return value.to_pylist()
        if hasattr(value, "to_dicts") and hasattr(value, "schema"):
            return value.to_dicts()
        if hasattr(value, "iterrows") and hasattr(value, "to_dict"):
            return _pandas_rows(value)
    except BadValue as problem:
        return problem
    except (ValueError, OverflowError) as problem:
        return BadValue(f"the table cannot be taken apart into rows: {problem}")
    return value


def _check_names(names: list[Any]) -> None:
    doubled = sorted({str(name) for name in names if names.count(name) > 1})
    if doubled:
        raise BadValue(f"the column {doubled[0]!r} is there twice, expected names that differ")


def _pandas_rows(frame: Any) -> list[dict[Any, Any]]:
    levels = [at for at, name in enumerate(frame.index.names) if name is not None]
    names = [*(frame.index.names[at] for at in levels), *frame.columns]
    _check_names(names)
    found = [*map(frame.index.get_level_values, levels), *(frame[name] for name in frame.columns)]
    columns = [_pandas_column(one.tolist()) for one in found]
    if not columns:
        return [{} for _ in range(len(frame))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _pandas_column(values: list[Any]) -> list[Any]:
    given = [None if _is_missing(value) else value for value in values]
    present = [value for value in given if value is not None]
    gaps = len(present) < len(given)
    if gaps and present and all(isinstance(v, float) and v.is_integer() for v in present):
        return [None if value is None else int(value) for value in given]
    return given


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in _MISSING:
        return True
    return isinstance(value, float) and value != value
