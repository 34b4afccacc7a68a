"""Python types for PostgreSQL's, as values arrive (wire-contract §3.8) or as models read them."""

from __future__ import annotations

from aerodb._core.tables import Column

_BY_KIND = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_BY_FORMAT = {
    "uuid": "UUID",
    "date": "date",
    "timestamp with time zone": "datetime",
    "timestamp without time zone": "datetime",
    "timestamptz": "datetime",
    "timestamp": "datetime",
    "time without time zone": "time",
    "time": "time",
    "numeric": "Decimal",
}
MODULES = {
    "UUID": "uuid",
    "Decimal": "decimal",
    "date": "datetime",
    "datetime": "datetime",
    "time": "datetime",
    "dataclass": "dataclasses",
    "field": "dataclasses",
    "BaseModel": "pydantic",
    "ConfigDict": "pydantic",
    "Field": "pydantic",
    "Any": "typing",
    "Literal": "typing",
    "NotRequired": "typing",
    "TypedDict": "typing",
}
"""Where the names come from that classes are written with."""


def annotation(column: Column, *, parsed: bool) -> str:
    """The annotation of a column.

    Args:
        column: Whose.
        parsed: With the types that models make of JSON (datetime, UUID, Decimal); without, those
            that JSON has.
    """
    if column.words:
        text = f"Literal[{', '.join(ascii(word) for word in column.words)}]"
    elif column.kind == "array":
        text = f"list[{_item(column, parsed=parsed)}]"
    else:
        text = _scalar(column.kind, column.format, parsed=parsed)
    return f"{text} | None" if column.nullable and text != "Any" else text


def _item(column: Column, *, parsed: bool) -> str:
    return _scalar(column.item, column.format.removesuffix("[]"), parsed=parsed)


def _scalar(kind: str | None, form: str, *, parsed: bool) -> str:
    name = form.partition("(")[0].strip()
    if parsed and name in _BY_FORMAT:
        return _BY_FORMAT[name]
    return _BY_KIND.get(kind or "", "Any")
