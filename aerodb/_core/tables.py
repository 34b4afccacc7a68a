"""Which tables there are: out of the OpenAPI 2.0 description that a server gives of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aerodb._core.errors import client_error
from aerodb._core.http import Call, Prepared, RawResponse, Retry
from aerodb._core.json import loads
from aerodb._dataclass import dataclass
from aerodb.types import AeroDBResponse

_PRIMARY = "<pk/>"
_SERIAL = frozenset({"integer", "bigint", "smallint"})
_NAMES = {"int16": "smallint", "int32": "integer", "int64": "bigint"}
"""OpenAPI's names of types that PostgreSQL calls otherwise; servers differ in which they use."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: As the server has it.
        kind: OpenAPI's word: string, integer, number, boolean, array, object; None for JSON.
        format: PostgreSQL's name of the type, `text[]` and `public.mood` included. Where the server
            says `int32`, a smallint is an `integer` too.
        words: The values of an enum; empty if it is none.
        nullable: Whether it may be null. The columns of a view always may.
        optional: Whether an insert may leave it out: it may be null, has a default, or is a whole
            number that is the primary key, which the database usually counts by itself.
        item: OpenAPI's word for the items of an array.
        primary: Whether it is the primary key, or a part of it.
    """

    name: str
    kind: str | None = None
    format: str = ""
    words: tuple[str, ...] = ()
    nullable: bool = True
    optional: bool = True
    item: str | None = None
    primary: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.format or self.kind or 'json'}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view that the caller may use.

    Attributes:
        name: As `from_` takes it.
        columns: In the order of the table.
        description: What its owner says of it.
        writable: Whether rows can be inserted or updated.
    """

    name: str
    columns: tuple[Column, ...] = ()
    description: str = ""
    writable: bool = True

    def __str__(self) -> str:
        """Its name and its columns, one a line: what `print` shows."""
        from aerodb._display import printable, text_table

        rows = text_table(self._rows(), most_rows=None) if self.columns else "no columns"
        return f"{printable(self.name)}\n{rows}"

    def _repr_html_(self) -> str:
        """What a notebook shows. Every value is escaped."""
        from aerodb._display import html_table

        return html_table(self._rows(), most_rows=None, title=self.name)

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {
                "column": column.name,
                "type": column.format or column.kind or "json",
                "nullable": column.nullable,
                "primary": column.primary,
            }
            for column in self.columns
        ]


def tables_call(schema: str) -> Prepared[list[Table]]:
    """The call that asks for the description of a schema: `GET /rest/v1/` (wire-contract §3.1)."""
    given: object = schema
    if not isinstance(given, str) or not given or not (given.isascii() and given.isprintable()):
        problem = f"schema: {schema!a} was given, expected a name in visible ASCII"
        return AeroDBResponse(error=client_error("INVALID_ARGUMENT", problem))
    headers = [("Accept", "application/openapi+json")]
    if schema != "public":
        headers.append(("Accept-Profile", schema))
    return Call("GET", "/rest/v1/", _decode, headers=tuple(headers), retry=Retry.SAFE)


def _decode(response: RawResponse) -> AeroDBResponse[list[Table]]:
    try:
        document = loads(response.body)
    except ValueError:
        document = None
    if not _is_description(document):
        problem = "the answer of /rest/v1/ is no description of the database"
        return AeroDBResponse(error=client_error("INVALID_RESPONSE", problem))
    return AeroDBResponse(read_tables(document))


def _is_description(document: Any) -> bool:
    """PostgREST leaves `definitions` out where there is no table."""
    if not isinstance(document, dict):
        return False
    if "definitions" in document:
        return isinstance(document["definitions"], dict)
    return "swagger" in document


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
    form = _NAMES.get(form, form)
    enum = said.get("enum")
    words: list[Any] = enum if isinstance(enum, list) else []
    primary = _PRIMARY in _text(said.get("description"))
    items = said.get("items")
    item = items.get("type") if isinstance(items, Mapping) else None
    return Column(
        name=name,
        kind=kind if isinstance(kind, str) else None,
        format=form,
        words=tuple(word for word in words if isinstance(word, str)),
        nullable=nullable,
        optional=nullable or "default" in said or (primary and form in _SERIAL),
        item=item if isinstance(item, str) else None,
        primary=primary,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
