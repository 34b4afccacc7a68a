"""A JSON payload as rows: one parameter, unpacked by PostgreSQL with the columns' own types."""

from __future__ import annotations

from typing import LiteralString

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
    kind = sql("::jsonb") if defaults else sql("::json")
    body, filled = sql("pgrst_payload.json_data"), EMPTY
    if defaults:
        body, filled = sql("pgrst_json_defs.val"), _with_defaults(fields, single)
    names: tuple[LiteralString, LiteralString] = ("json_to_record", "json_array_elements")
    if not single:
        names = ("json_to_recordset", "json_array_elements")
    if defaults:
        names = ("jsonb_to_record" if single else "jsonb_to_recordset", "jsonb_array_elements")
    columns = join(", ", (_parsed(field) for field in fields))
    if fields:
        typed = join(", ", (_typed(field) for field in fields))
        rows = concat(sql(names[0]), sql("("), body, sql(") AS _("), typed, sql(")"))
        if limit_one:
            rows += sql(" LIMIT 1")
    elif single:
        rows = sql("(VALUES (1)) _")
    else:
        rows = concat(sql(names[1]), sql("("), body, sql(") _"))
    return concat(
        sql("FROM (SELECT "),
        param(PayloadText()),
        kind,
        sql(" AS json_data) pgrst_payload, "),
        filled,
        sql("LATERAL (SELECT "),
        columns,
        sql(" FROM "),
        rows,
        sql(") pgrst_body"),
    )


def named_columns(fields: tuple[ResolvedField, ...]) -> Fragment:
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
