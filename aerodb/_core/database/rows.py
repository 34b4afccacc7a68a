"""Typed rows: from decoded JSON to the class that the caller named.

A TypedDict is a promise to the type checker only. pydantic and msgspec convert by themselves.
Dataclasses, attrs classes and NamedTuples are built field by field, with what their annotations
ask for (datetime, UUID, Decimal, Enum, nested classes, lists, optionals). Anything else that can
be called gets the row. None of these libraries is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from aerodb.types import AeroDBError

__all__ = ["DecodeFailure", "converter", "is_row_type", "type_name"]

Convert = Callable[[Any], Any]

_CACHE: dict[Any, Convert | None] = {}
_CACHE_LIMIT = 512


class DecodeFailure(Exception):
    """A row does not fit its type. Caught by the decoder."""

    def __init__(self, error: AeroDBError) -> None:
        super().__init__(error.message)
        self.error = error

    @classmethod
    def of(cls, error: Exception, row: int | None, target: str) -> DecodeFailure:
        """From what a row type raised: whatever its author chose, so any exception counts."""
        where = "the answer" if row is None else f"row {row}"
        text = str(error) or type(error).__name__
        return cls(
            AeroDBError(
                f"{where} does not fit {target}: {text[:500]}",
                code="DECODE_ERROR",
                details={"row": row, "error": type(error).__name__},
            )
        )


def type_name(row_type: Any) -> str:
    """A row type for a message."""
    name: str = getattr(row_type, "__name__", "")
    return name if name and get_origin(row_type) is None else repr(row_type)


def is_row_type(value: Any) -> bool:
    """Whether rows can be made of it: a class, a function, `list[int]`, `int | None`, an alias."""
    return callable(value) or get_origin(value) is not None or hasattr(value, "__value__")


def converter(row_type: Any) -> Convert | None:
    """The function that makes one row; None if rows stay as they are."""
    if row_type is None or row_type is dict or row_type is Any or row_type is object:
        return None
    try:
        return _CACHE[row_type]
    except (KeyError, TypeError):
        pass
    found = _find(row_type)
    if len(_CACHE) >= _CACHE_LIMIT:
        _CACHE.clear()
    with suppress(TypeError):  # a callable that cannot be hashed is looked at each time
        _CACHE[row_type] = found
    return found


def _find(target: Any) -> Convert | None:
    if not isinstance(target, type) or get_origin(target) is not None:
        if get_origin(target) is not None or not callable(target):
            return _of_hint(target)
        return target  # type: ignore[no-any-return]  # a function of the caller's
    if issubclass(target, dict) or target is Mapping:
        return None if target is not dict and hasattr(target, "__total__") else _check(target, dict)
    if hasattr(target, "model_validate"):
        validate: Convert = target.model_validate
        return validate
    if hasattr(target, "__struct_fields__"):
        return _of_msgspec(target)
    if hasattr(target, "__attrs_attrs__"):
        names = {a.name: a.alias or a.name.lstrip("_") for a in target.__attrs_attrs__ if a.init}
        return _of_fields(target, names)
    if hasattr(target, "__dataclass_fields__"):
        fields = sys.modules["dataclasses"].fields(target)
        columns = {f.metadata.get("column", f.name): f.name for f in fields if f.init}
        return _of_fields(target, columns)
    if issubclass(target, tuple) and hasattr(target, "_fields"):
        named: tuple[str, ...] = vars(target).get("_fields", ())
        return _of_fields(target, {name: name for name in named})
    return _of_hint(target)


def _of_msgspec(target: Any) -> Convert:
    convert = sys.modules["msgspec"].convert
    return lambda row: convert(row, target)


def _of_fields(target: Any, names: dict[str, str]) -> Convert:
    """Build `target` from the columns it knows; others are ignored, so a new column breaks
    nothing. A missing one is the constructor's business: it may have a default."""
    try:
        hints = get_type_hints(target)
    except NameError:  # a name only there for type checkers: its field stays as it came
        hints = {}
    known = {
        name: (argument, _of_hint(hints.get(name, hints.get(argument))))
        for name, argument in names.items()
    }

    def build(row: Any) -> Any:
        if isinstance(row, target):
            return row
        if not isinstance(row, dict):
            raise TypeError(f"{type(row).__name__} was given, expected an object")
        arguments: dict[str, Any] = {}
        for name, value in row.items():
            field = known.get(name)
            if field is not None:
                argument, convert = field
                try:
                    arguments[argument] = value if convert is None else convert(value)
                except (TypeError, ValueError, ArithmeticError) as error:
                    raise ValueError(f"{name}: {error}") from None
        return target(**arguments)

    return build


def _of_hint(hint: Any) -> Convert | None:
    origin = get_origin(hint)
    if origin is not None:
        return _of_generic(hint, origin)
    if hint is Any or hint is object or not isinstance(hint, type):
        return None
    if hint is type(None):
        return _check(hint, hint)
    if hint is float:
        return _to_float
    if hint in (str, int, bool, list, dict):
        return _check(hint, hint)
    return _BY_NAME.get(f"{hint.__module__}.{hint.__qualname__}", _constructor)(hint)


def _of_generic(hint: Any, origin: Any) -> Convert | None:
    arguments = get_args(hint)
    if origin is Union or getattr(origin, "__qualname__", "") == "UnionType":
        return _of_union([converter(member) for member in arguments])
    if origin is Literal:
        return _of_literal(arguments)
    if getattr(origin, "__qualname__", "") == "Annotated" or hasattr(hint, "__metadata__"):
        return converter(arguments[0])
    if origin in (list, tuple, set, frozenset) or getattr(origin, "__name__", "") == "Sequence":
        return _of_sequence(origin if isinstance(origin, type) else list, arguments)
    if isinstance(origin, type) and issubclass(origin, dict):
        return _of_dict(converter(arguments[1]) if len(arguments) == 2 else None)
    return None


def _of_union(members: list[Convert | None]) -> Convert | None:
    if any(member is None for member in members):
        return None

    def either(value: Any) -> Any:
        problems: list[str] = []
        for member in members:
            try:
                return member(value) if member is not None else value
            except (TypeError, ValueError, ArithmeticError) as error:
                problems.append(str(error))
        raise ValueError("; ".join(problems))

    return either


def _of_literal(words: tuple[Any, ...]) -> Convert:
    def one(value: Any) -> Any:
        if value not in words:
            raise ValueError(f"{value!r} was given, expected one of {words}")
        return value

    return one


def _of_sequence(origin: type, arguments: tuple[Any, ...]) -> Convert:
    convert = converter(arguments[0]) if arguments else None
    kind = origin if origin in (tuple, set, frozenset) else list

    def every(value: Any) -> Any:
        if not isinstance(value, list):
            raise TypeError(f"{_name(value)} was given, expected a list")
        return kind(value if convert is None else [convert(item) for item in value])

    return every


def _of_dict(convert: Convert | None) -> Convert:
    def every(value: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError(f"{_name(value)} was given, expected an object")
        return value if convert is None else {k: convert(item) for k, item in value.items()}

    return every


def _check(target: type, base: type) -> Convert:
    def checked(value: Any) -> Any:
        if not isinstance(value, base) or (target is int and isinstance(value, bool)):
            raise TypeError(f"{_name(value)} was given, expected {target.__name__}")
        return value

    return checked


def _to_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{_name(value)} was given, expected a number")
    return float(value)


def _from_text(hint: type) -> Convert:
    """Types that read their own ISO text: datetime, date, time."""

    def parse(value: Any) -> Any:
        if isinstance(value, str):
            return hint.fromisoformat(value)  # type: ignore[attr-defined]
        raise TypeError(f"{_name(value)} was given, expected ISO 8601 text")

    return parse


def _decimal(hint: type) -> Convert:
    def parse(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise TypeError(f"{_name(value)} was given, expected a number")
        return hint(repr(value) if isinstance(value, float) else value)

    return parse


def _bytes(_hint: type) -> Convert:
    def parse(value: Any) -> bytes:
        if isinstance(value, str) and value.startswith("\\x"):
            return bytes.fromhex(value[2:])
        raise TypeError(f"{_name(value)} was given, expected \\x... text")

    return parse


def _constructor(hint: type) -> Convert | None:
    """A class of the caller's, an Enum, a UUID: found again by its marks, or called."""
    marks = ("model_validate", "__struct_fields__", "__attrs_attrs__", "__dataclass_fields__")
    if any(hasattr(hint, mark) for mark in marks) or issubclass(hint, (dict, tuple)):
        return converter(hint)

    def construct(value: Any) -> Any:
        return value if isinstance(value, hint) else hint(value)  # type: ignore[call-arg]

    return construct


_BY_NAME: dict[str, Callable[[type], Convert | None]] = {
    "datetime.datetime": _from_text,
    "datetime.date": _from_text,
    "datetime.time": _from_text,
    "decimal.Decimal": _decimal,
    "builtins.bytes": _bytes,
}


def _name(value: Any) -> str:
    return f"{type(value).__name__} {ascii(value)[:40]}"
