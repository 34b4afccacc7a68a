"""A JSON payload as rows: one parameter, unpacked by PostgreSQL with the columns' own types."""

from __future__ import annotations

from aerodb.local.rest.ast import Name
from aerodb.local.rest.plan.slots import PayloadText
from aerodb.local.rest.plan.sql_fragments import (
    EMPTY,
    Fragment,
    call,
    column,
    concat,
    expression,
    ident,
    join,
    literal,
    param,
    sql,
    type_name,
)
from aerodb.local.rest.plan.tree import ResolvedField

BODY = Name("", "pgrst_body")


def from_payload(
    fields: tuple[ResolvedField, ...],
    *,
    single: bool,
    defaults: bool = False,
    limit_one: bool = False,
) -> Fragment:
    """A FROM clause whose `pgrst_body` has a row for each object and a column for each field.

    `single` says that the payload is an object and not an array of objects. With `defaults`,
    absent keys take the column's default instead of NULL (`missing=default`).
    """
    kind, body, filled = sql("::json"), sql("pgrst_payload.json_data"), EMPTY
    if defaults:
        kind, body = sql("::jsonb"), sql("pgrst_json_defs.val")
        filled = _with_defaults(fields, single)
    rows = _rows(fields, body, single=single, binary=defaults)
    return concat(
        sql("FROM (SELECT "),
        param(PayloadText()),
        kind,
        sql(" AS json_data) pgrst_payload, "),
        filled,
        sql("LATERAL (SELECT "),
        join(", ", (_parsed(field) for field in fields)),
        sql(" FROM "),
        rows,
        sql(" LIMIT 1") if limit_one and fields else EMPTY,
        sql(") pgrst_body"),
    )


def _rows(
    fields: tuple[ResolvedField, ...], body: Fragment, *, single: bool, binary: bool
) -> Fragment:
    """The objects of `body` as rows; without fields there are still as many rows."""
    prefix = sql("jsonb") if binary else sql("json")
    if fields:
        unpack = sql("_to_record(") if single else sql("_to_recordset(")
        typed = join(", ", (_typed(field) for field in fields))
        return concat(prefix, unpack, body, sql(") AS _("), typed, sql(")"))
    if single:
        return sql("(VALUES (1)) _")
    return concat(prefix, sql("_array_elements("), body, sql(") _"))


def named_columns(fields: tuple[ResolvedField, ...]) -> Fragment:
    """The columns of `pgrst_body`."""
    return join(", ", (column(BODY, field.name) for field in fields))


def _with_defaults(fields: tuple[ResolvedField, ...], single: bool) -> Fragment:
    given = [
        concat(literal(field.name), sql(", "), expression(field.default))
        for field in fields
        if field.default is not None
    ]
    defaults = concat(sql("jsonb_build_object("), join(", ", given), sql(")"))
    if single:
        value = concat(sql("SELECT "), defaults, sql(" || pgrst_payload.json_data AS val"))
    else:
        value = concat(
            sql("SELECT jsonb_agg("),
            defaults,
            sql(" || elem) AS val FROM jsonb_array_elements(pgrst_payload.json_data) elem"),
        )
    return concat(sql("LATERAL ("), value, sql(") pgrst_json_defs, "))


def _parsed(field: ResolvedField) -> Fragment:
    name = ident(field.name)
    return concat(call(field.transform, name), sql(" AS "), name) if field.transform else name


def _typed(field: ResolvedField) -> Fragment:
    return concat(ident(field.name), sql(" "), type_name(field.type))
