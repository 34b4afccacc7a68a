"""Rows as columns: each value as its column's type has it in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple

from aerodb._core.frames.kinds import JSON, TEXT, UNKNOWN, Kind, Word
from aerodb._core.frames.selecting import Columns

__all__ = ["Series", "needs_exact", "series_of"]

_MAX_DIGITS = 131_072  # of PostgreSQL's numeric, before the decimal point; fewer after it
_BOUNDS = {"int16": 2**15, "int32": 2**31, "int64": 2**63}


class Series(NamedTuple):
    """One column: its kind (never unknown) and a value, or None, for each row."""

    name: str
    kind: Kind
    values: list[Any]


def needs_exact(kinds: Iterable[Kind]) -> bool:
    """Whether fractions must be read as Decimals: some column is, or may be, numeric."""
    return any(kind.word in ("decimal", "unknown") for kind in kinds)


def series_of(
    rows: Sequence[Mapping[str, Any]], kinds: Columns
) -> tuple[list[Series], tuple[str, ...]]:
    """The columns of `rows`, the known ones first, and warnings.

    A column whose values do not fit its kind gets the kind that they have, and a warning.
    """
    names = list(kinds)
    if rows:
        seen = dict.fromkeys(name for row in rows for name in row)
        names = [name for name in names if name in seen] + [n for n in seen if n not in kinds]
    found: list[Series] = []
    warnings: list[str] = []
    for name in names:
        given = [row.get(name) for row in rows]
        kind = kinds.get(name, UNKNOWN)
        if kind != UNKNOWN:
            try:
                found.append(Series(name, kind, [_converted(value, kind) for value in given]))
                continue
            except (TypeError, ValueError, ArithmeticError):
                warnings.append(
                    f"column {name!a}: values that {kind.word} cannot hold; "
                    "its type is inferred from them"
                )
        found.append(_inferred(name, given))
    return found, tuple(warnings)


def _converted(value: Any, kind: Kind) -> Any:
    if value is None:
        return None
    if kind.depth:
        if not isinstance(value, list):
            raise TypeError
        inner = Kind(kind.word, kind.depth - 1)
        return [_converted(item, inner) for item in value]
    return _CONVERT[kind.word](value)


def _inferred(name: str, given: list[Any]) -> Series:
    """By the JSON values alone: booleans, whole numbers, fractions, text, all else as it is."""
    values = [_floats(value) for value in given]
    types = {type(value) for value in values if value is not None}
    if types == {bool}:
        return Series(name, Kind("bool"), values)
    if types == {int} and all(v is None or -(2**63) <= v < 2**63 for v in values):
        return Series(name, Kind("int64"), values)
    if float in types and types <= {int, float}:
        with suppress(OverflowError):  # a whole number that no float can hold
            return Series(name, Kind("float64"), [None if v is None else float(v) for v in values])
    if types == {str}:
        return Series(name, TEXT, values)
    return Series(name, JSON, values)


def _floats(value: Any) -> Any:
    """A JSON value as the ordinary decoder gives it: fractions are floats."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_floats(item) for item in value]
    if isinstance(value, dict):
        return {key: _floats(item) for key, item in value.items()}
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _whole(bound: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str) or isinstance(value, float):
            raise TypeError
        number = int(value)
        if not -bound <= number < bound:
            raise ValueError
        return number

    return convert


def _float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    return float(value)  # PostgreSQL sends NaN and Infinity as text


def _decimal(value: Any) -> Decimal:
    if isinstance(value, bool):
        raise TypeError
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or abs(number.adjusted()) > _MAX_DIGITS:
        raise ValueError
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _bytes(value: Any) -> bytes:
    text = _text(value)
    if not text.startswith("\\x"):
        raise ValueError
    return bytes.fromhex(text[2:])


def _timestamptz(value: Any) -> datetime:
    found = datetime.fromisoformat(_text(value))
    if found.tzinfo is None:
        raise ValueError
    return found.astimezone(UTC)


def _timestamp(value: Any) -> datetime:
    found = datetime.fromisoformat(_text(value))
    if found.tzinfo is not None:
        raise ValueError
    return found


_CONVERT: dict[Word, Callable[[Any], Any]] = {
    "bool": _bool,
    "int16": _whole(_BOUNDS["int16"]),
    "int32": _whole(_BOUNDS["int32"]),
    "int64": _whole(_BOUNDS["int64"]),
    "float32": _float,
    "float64": _float,
    "decimal": _decimal,
    "text": _text,
    "bytes": _bytes,
    "timestamptz": _timestamptz,
    "timestamp": _timestamp,
    "date": lambda value: date.fromisoformat(_text(value)),
    "time": lambda value: time.fromisoformat(_text(value)),
    "json": _floats,
}
