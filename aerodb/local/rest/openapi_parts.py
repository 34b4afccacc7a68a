"""Types, definitions and shared parameters of the OpenAPI description."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from aerodb.local.rest.catalog import Catalog, Column, Relationship, Table

Json = dict[str, Any]

_TYPES = {
    "boolean": "boolean",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "numeric": "number",
    "real": "number",
    "double precision": "number",
    "json": None,
    "jsonb": None,
}
_FORMATS = {"smallint": "int32", "integer": "int32", "bigint": "int64"}


def swagger_type(type_name: str) -> str | None:
    """Return the JSON type of a PostgreSQL type; None if it may be any."""
    return _TYPES.get(type_name, "array" if type_name.endswith("[]") else "string")


def swagger_format(type_name: str) -> str:
    """Return the format: the PostgreSQL type, but for the integers, which have a standard name."""
    return _FORMATS.get(type_name, type_name)


def array_items(type_name: str) -> Json:
    """Return the schema of an array type's elements."""
    return compact({"type": swagger_type(type_name[:-2])})


def any_type(type_name: str) -> Json:
    """Return the schema of a value of a PostgreSQL type."""
    kind = swagger_type(type_name)
    items = array_items(type_name) if kind == "array" else None
    return compact({"type": kind, "format": swagger_format(type_name), "items": items})


def compact(members: Json) -> Json:
    """Leave out the members that are None."""
    return {name: value for name, value in members.items() if value is not None}


# --- definitions ------------------------------------------------------------------------------


def table_definition(table: Table, catalog: Catalog) -> Json:
    """Return the schema of a relation's rows."""
    keys = foreign_keys(table, catalog)
    columns = table.columns.values()
    return compact(
        {
            "type": "object",
            "description": table.description,
            "required": [one.name for one in columns if not one.nullable] or None,
            "properties": {one.name: _property(one, table, keys) for one in columns} or None,
        }
    )


def foreign_keys(table: Table, catalog: Catalog) -> dict[str, tuple[str, str]]:
    """Return (table, column) by the name of the column that points there; tables before views."""
    known = catalog.relationships.get((table.name, table.name.schema), ())
    pointing = [
        one
        for one in known
        if isinstance(one, Relationship)
        and (one.kind == "m2o" or (one.kind == "o2o" and not one.is_parent))
        and len(one.columns) == 1
    ]
    found: dict[str, tuple[str, str]] = {}
    for one in sorted(pointing, key=lambda one: one.foreign_table_is_view):
        ((column, foreign_column),) = one.columns
        found.setdefault(column, (one.foreign_table.name, foreign_column))
    return found


def _property(column: Column, table: Table, keys: dict[str, tuple[str, str]]) -> Json:
    return compact(
        {
            **any_type(column.type),
            "description": _column_description(column, table, keys.get(column.name)),
            "default": default_value(column),
            "enum": list(column.enum) or None,
            "maxLength": column.max_length,
        }
    )


def _column_description(column: Column, table: Table, target: tuple[str, str] | None) -> str | None:
    """Tell keys in the description: code generators read the tags."""
    notes: list[str] = []
    if column.name in table.primary_key:
        notes.append("This is a Primary Key.<pk/>")
    if target is not None:
        where, what = target
        notes.append(
            f"This is a Foreign Key to `{where}.{what}`.<fk table='{where}' column='{what}'/>"
        )
    if not notes:
        return column.description
    note = "\n".join(["Note:", *notes])
    return note if column.description is None else f"{column.description}\n\n{note}"


def default_value(column: Column) -> Any:
    """Return a column's default if it is a JSON value; text may be any expression."""
    text = column.default
    if text is None:
        return None
    if swagger_type(column.type) == "string":
        literal = text.removesuffix(f"::{column.type}")
        text = f'"{literal if literal == text else literal.strip(chr(39))}"'
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except ValueError:
        return None


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(digits)
    return number


# --- parameters -------------------------------------------------------------------------------


def parameter_reference(name: str) -> Json:
    """Point at a shared parameter."""
    return {"$ref": f"#/parameters/{name}"}


def query_parameter(name: str, *, required: bool = False, **shape: Any) -> Json:
    """Return a parameter of the query string."""
    return compact({"name": name, "in": "query", "required": required, **shape})


def body_parameter(
    name: str, schema: Json, *, required: bool, description: str | None = None
) -> Json:
    """Return a parameter that is the whole body."""
    return compact(
        {
            "name": name,
            "in": "body",
            "description": description,
            "required": required,
            "schema": schema,
        }
    )


def _header(name: str, description: str, **shape: Any) -> Json:
    return {
        "name": name,
        "in": "header",
        "description": description,
        "required": False,
        "type": "string",
        **shape,
    }


_RETURN = ["return=representation", "return=minimal", "return=none"]
_RESOLUTION = ["resolution=ignore-duplicates", "resolution=merge-duplicates"]
_PAGES = "Limiting and Pagination"


def _named(name: str, description: str) -> Json:
    return query_parameter(name, description=description, type="string")


_FIXED: Json = {
    "preferParams": _header("Prefer", "Preference"),
    "preferReturn": _header("Prefer", "Preference", enum=_RETURN),
    "preferCount": _header("Prefer", "Preference", enum=["count=none"]),
    "preferPost": _header("Prefer", "Preference", enum=[*_RETURN, *_RESOLUTION]),
    "select": _named("select", "Filtering Columns"),
    "on_conflict": _named("on_conflict", "On Conflict"),
    "order": _named("order", "Ordering"),
    "range": _header("Range", _PAGES),
    "rangeUnit": _header("Range-Unit", _PAGES, default="items"),
    "offset": _named("offset", _PAGES),
    "limit": _named("limit", _PAGES),
}


def shared_parameters(tables: Iterable[Table]) -> Json:
    """Return the parameters that paths refer to: the fixed ones, then bodies and filters."""
    parameters = dict(_FIXED)
    for table in tables:
        name = table.name.name
        schema = {"$ref": f"#/definitions/{name}"}
        parameters[f"body.{name}"] = body_parameter(name, schema, required=False, description=name)
        for column in table.columns.values():
            parameters[f"rowFilter.{name}.{column.name}"] = query_parameter(
                column.name, description=column.description, type="string"
            )
    return parameters
