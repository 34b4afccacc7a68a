"""Tables and columns, out of the OpenAPI 2.0 description of a PostgREST-compatible server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PRIMARY = "<pk/>"
_SERIAL = frozenset({"integer", "int32", "int64", "bigint", "smallint", "int16"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: As the server has it.
        kind: OpenAPI's word: string, integer, number, boolean, array, object; None for JSON.
        format: PostgreSQL's name of the type, `text[]` and `public.mood` included.
        words: The values of an enum; empty if it is none.
        nullable: Whether it may be null. The columns of a view always may.
        optional: Whether an insert may leave it out: it may be null, has a default, or is a whole
            number that is the primary key, which the database usually counts by itself.
        item: OpenAPI's word for the items of an array.
    """

    name: str
    kind: str | None = None
    format: str = ""
    words: tuple[str, ...] = ()
    nullable: bool = True
    optional: bool = True
    item: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view, and what its owner says of it."""

    name: str
    columns: tuple[Column, ...] = ()
    description: str = ""
    writable: bool = True


def read_tables(document: Any) -> list[Table]:
    """The tables of an OpenAPI document, by name. What does not fit is left out."""
    if not isinstance(document, Mapping):
        return []
    definitions, paths = document.get("definitions"), document.get("paths")
    if not isinstance(definitions, Mapping):
        return []
    found = []
    for name, definition in sorted(definitions.items()):
        if isinstance(name, str) and isinstance(definition, Mapping):
            path = paths.get(f"/{name}") if isinstance(paths, Mapping) else None
            writable = not isinstance(path, Mapping) or "post" in path or "patch" in path
            found.append(_table(name, definition, writable=writable))
    return found


def _table(name: str, definition: Mapping[str, Any], *, writable: bool) -> Table:
    required = definition.get("required")
    needed = set(required) if isinstance(required, list) else set()
    properties = definition.get("properties")
    columns = tuple(
        _column(column, said, nullable=column not in needed)
        for column, said in (properties.items() if isinstance(properties, Mapping) else ())
        if isinstance(said, Mapping)
    )
    return Table(name, columns, _text(definition.get("description")), writable)


def _column(name: str, said: Mapping[str, Any], *, nullable: bool) -> Column:
    kind, form = said.get("type"), _text(said.get("format"))
    enum = said.get("enum")
    words: list[Any] = enum if isinstance(enum, list) else []
    counted = _PRIMARY in _text(said.get("description")) and form in _SERIAL
    items = said.get("items")
    item = items.get("type") if isinstance(items, Mapping) else None
    return Column(
        name=name,
        kind=kind if isinstance(kind, str) else None,
        format=form,
        words=tuple(word for word in words if isinstance(word, str)),
        nullable=nullable,
        optional=nullable or "default" in said or counted,
        item=item if isinstance(item, str) else None,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
