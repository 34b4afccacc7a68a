"""A reader of PostgREST's query grammar, for tests: what the server would understand.

Written from the grammar alone and sharing nothing with the client, so that a mistake in rendering
is not undone by the same mistake in reading. Raises `GrammarError` where PostgREST would answer
PGRST100. Also here: a reader of PostgreSQL's array literals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.postgrest_reader import (
    RESERVED,
    Field,
    Filter,
    GrammarError,
    Item,
    Reader,
    Related,
    Term,
    Tree,
)

__all__ = [
    "Field", "Filter", "GrammarError", "Item", "Query", "Related", "Term", "Tree", "decode",
    "read_array", "read_query",
]  # fmt: skip


def decode(text: str) -> str:
    """Percent-decoding, and `+` as a space, as the server does it."""
    raw = bytearray()
    at = 0
    while at < len(text):
        char = text[at]
        if char == "%":
            raw.append(int(text[at + 1 : at + 3], 16))
            at += 3
        else:
            raw += b" " if char == "+" else char.encode()
            at += 1
    return raw.decode()


@dataclass(frozen=True)
class Query:
    """A query string as the server understands it."""

    select: tuple[Any, ...] | None
    filters: tuple[Filter, ...]
    trees: tuple[Tree, ...]
    orders: dict[tuple[str, ...], tuple[Term, ...]]
    numbers: dict[str, int]
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] | None = None


def read_query(query: str) -> Query:
    """Read everything behind the `?`."""
    pairs = []
    for part in query.split("&") if query else []:
        key, _, value = part.partition("=")
        pairs.append((decode(key), decode(value)))
    found = dict(pairs)
    filters, trees = [], []
    orders: dict[tuple[str, ...], tuple[Term, ...]] = {}
    numbers: dict[str, int] = {}
    for key, value in pairs:
        last = key.split(".")[-1]
        if last in ("and", "or"):
            trees.append(_tree(key, value))
        elif last == "order":
            orders[tuple(_path(key)[:-1])] = Reader(value).order()
        elif last in ("limit", "offset"):
            numbers[key] = int(value)
        elif key not in RESERVED:
            filters.append(_filter(key, value))
    return Query(
        _select(found["select"]) if "select" in found else None,
        tuple(filters),
        tuple(trees),
        orders,
        numbers,
        _names(found.get("columns")),
        _names(found.get("on_conflict")),
    )


def _select(text: str) -> tuple[Any, ...]:
    reader = Reader(text)
    items = reader.forest()
    reader.end()
    return items


def _names(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    reader = Reader(text)
    names = [reader.name()]
    while not reader.done:
        reader.lexeme(",")
        names.append(reader.name())
    return tuple(names)


def _path(key: str) -> list[str]:
    reader = Reader(key)
    names = [reader.name()]
    while reader.take("."):
        names.append(reader.name())
    reader.end()
    return names


def _filter(key: str, value: str) -> Filter:
    reader = Reader(key)
    names = [reader.name()]
    while reader.take("."):
        names.append(reader.name())
    field = Field(names[-1], tuple(names[:-1]), reader.json_path())
    reader.end()
    condition = Reader(value)
    found = condition.condition(field, condition.rest)
    condition.end()
    return found


def _tree(key: str, value: str) -> Tree:
    names = _path(key)
    negated = "not" in names
    reader = Reader(names[-1] + value)
    found = reader.tree()
    reader.end()
    assert isinstance(found, Tree)
    path = tuple(name for name in names[:-1] if name != "not")
    return Tree(found.operator, negated, found.members, path)


def read_array(literal: str) -> list[Any]:
    """A PostgreSQL array literal; elements are text, None or arrays."""
    reader = Reader(literal)
    found = _array(reader)
    reader.end()
    return found


def _array(reader: Reader) -> list[Any]:
    reader.expect("{")
    found: list[Any] = []
    if reader.take("}"):
        return found
    while True:
        if reader.peek() == "{":
            found.append(_array(reader))
        elif reader.peek() == '"':
            found.append(reader.quoted())
        else:
            text = reader.until(',{}"\\')
            if not text or text != text.strip():
                raise GrammarError(f"a bare array element: {text!r}")
            found.append(None if text.lower() == "null" else text)
        if reader.take("}"):
            return found
        reader.expect(",")
