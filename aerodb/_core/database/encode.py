"""Values as PostgREST's query grammar wants them, one function per context (wire-contract §3.5).

What a function returns still has to be percent-encoded; nothing here knows about URLs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from aerodb._core import json
from aerodb._core.values import (
    BadValue,
    Kind,
    Range,
    decimal_text,
    describe,
    float_text,
    integer_text,
    kind_of,
    member_of,
    text_of,
)
from aerodb.types import AeroDBResponse

__all__ = [
    "array_literal",
    "container_text",
    "json_text",
    "list_literal",
    "listed",
    "quoted",
    "range_text",
    "scalar_text",
    "tree_text",
]

_LIST_SPECIAL = re.compile(r'[,()"\\:.\s]').search
_TREE_SPECIAL = re.compile(r'[,()"\\:.\s{}]').search
_ARRAY_PLAIN = re.compile(r"[A-Za-z0-9_-]+").fullmatch
_ARRAY_DEPTH = 6  # PostgreSQL's MAXDIM


def scalar_text(value: Any) -> str:
    """A single value as text: the operand of `eq` and its like. `None` is refused."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]  # the exact type was just checked
    if kind is int:
        return integer_text(value)
    return _scalar(value, kind_of(value))


def _scalar(value: Any, kind: Kind) -> str:
    if kind == "bool":
        return "true" if value else "false"
    if kind == "int":
        return integer_text(value)
    if kind == "float":
        return float_text(value)
    if kind == "decimal":
        return decimal_text(value)
    if kind == "enum":
        return scalar_text(value.value)
    if kind == "numpy":
        return scalar_text(member_of(value))
    if kind in ("mapping", "list", "model"):
        return json_text(value)
    if kind == "none":
        raise BadValue("None was given, expected a value", hint="Use is_(column, None).")
    if kind == "unknown":
        raise BadValue(
            f"{describe(value)} was given, expected a str, number, bool, date, time, datetime, "
            "timedelta, UUID, Enum, bytes, Range, list or mapping",
            hint="A filter compares a column with a value; two columns are compared in a view."
            if hasattr(value, "select_text")
            else None,
        )
    return text_of(value, kind)


def json_text(value: Any) -> str:
    """A value as JSON text."""
    return json.dumps(value).decode()


def quoted(text: str) -> str:
    """`text` in double quotes, its own quotes and backslashes escaped by a backslash."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def tree_text(text: str) -> str:
    """A value inside an and/or tree, quoted if the grammar could take it apart."""
    return quoted(text) if not text or _TREE_SPECIAL(text) else text


def listed(values: Any, name: str) -> tuple[Any, ...]:
    """The members of a list argument, taken out once so that a query can be sent twice."""
    if isinstance(values, (str, bytes, bytearray, Mapping, AeroDBResponse)) or not isinstance(
        values, Iterable
    ):
        raise BadValue(
            f"{name}: {describe(values)} was given, expected a list of values",
            hint=f"The server's own literal goes by filter(column, {name!r}, text)."
            if isinstance(values, str)
            else None,
        )
    return tuple(values)


def list_literal(values: tuple[Any, ...]) -> str:
    """The operand of `in`: `(a,"b,c",3)`. An empty tuple gives `()`, which matches nothing."""
    return "(" + ",".join([_list_element(value) for value in values]) + ")"


def _list_element(value: Any) -> str:
    if value is None:
        raise BadValue(
            "None was given in a list, expected values",
            hint='Combine with is_: col("a").in_([...]) | col("a").is_(None).',
        )
    text = scalar_text(value)
    return quoted(text) if not text or _LIST_SPECIAL(text) else text


def array_literal(values: Iterable[Any], depth: int = _ARRAY_DEPTH) -> str:
    """A PostgreSQL array literal: `{1,"a b",NULL}`. Nested lists are nested arrays."""
    if depth == 0:
        raise BadValue(
            f"a list nested deeper than {_ARRAY_DEPTH} levels was given, PostgreSQL's arrays end "
            "there"
        )
    return "{" + ",".join([_array_element(value, depth) for value in values]) + "}"


def _array_element(value: Any, depth: int) -> str:
    kind = kind_of(value)
    if kind == "none":
        return "NULL"
    if kind == "enum":
        return _array_element(value.value, depth)
    if kind == "numpy":
        return _array_element(member_of(value), depth)
    if kind == "list":
        return array_literal(value, depth - 1)
    text = _scalar(value, kind) if kind != "str" else text_of(value, kind)
    if _ARRAY_PLAIN(text) and text.lower() != "null":
        return text
    return quoted(text)


def container_text(value: Any) -> str:
    """The operand of `cs`, `cd` and `ov`: an array, a range, JSON, or a literal as text."""
    kind = kind_of(value)
    if kind == "list":
        return array_literal(value)
    if kind == "numpy" and isinstance(members := member_of(value), list):
        return array_literal(members)
    return scalar_text(value)


def range_text(value: Any) -> str:
    """The operand of a range operator: a `Range`, a pair, Python's `range`, or its text.

    A bare pair excludes both ends, as it does in postgrest-py.
    """
    kind = kind_of(value)
    if kind in ("str", "range"):
        return text_of(value, kind)
    if kind == "list" and not isinstance(value, (set, frozenset)) and len(value) == 2:
        lower, upper = value
        return text_of(Range(lower, upper, "()"), "range")
    raise BadValue(
        f"{describe(value)} was given, expected a Range, a pair (lower, upper) or text as '[1,5)'"
    )
