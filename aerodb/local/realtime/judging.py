"""What PostgreSQL is asked about a page of changes, under the role of a subscriber."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import tuple_row

from aerodb.local.realtime.filters import Condition
from aerodb.local.realtime.tables import Rights, Table, quoted

Filter = tuple[Condition, ...]


def is_outage(problem: psycopg.Error) -> bool:
    """Whether the database is to blame, and not what was asked of it: then it is asked again."""
    state = problem.sqlstate
    if state is None:
        return isinstance(problem, psycopg.OperationalError)
    return state.startswith(("08", "53", "57P"))


def make_question(
    table: Table,
    rights: Rights,
    filters: Sequence[Filter],
    *,
    seen: sql.Composable | None = None,
) -> tuple[sql.Composed, list[Any]]:
    """Return a question about rows, and its parameters but for the first two: the rows as JSON, and
    for each whether all but its key was cut off.

    The answer has a line for each: whether it can be seen, what of it, whether each filter holds.
    `seen` asks the first in another way.
    """
    parameters: list[Any] = []
    parts: list[sql.Composable] = [_seen(table, rights) if seen is None else seen]
    if rights.are_whole(table):
        parts.append(sql.SQL("page.element"))
    else:
        parts.append(
            sql.SQL(
                "coalesce((select pg_catalog.json_object_agg(e.key, e.value) "
                "from pg_catalog.json_each(page.element::json) e "
                "where e.key = any (%s)), '{}')::text"
            )
        )
        parameters.append(list(rights.columns))
    for conditions in filters:
        terms = [condition.render(table.columns) for condition in conditions]
        parts.append(sql.SQL(" and ").join(sql.SQL("({})").format(term) for term, _ in terms))
        parameters += [value for _, more in terms for value in more]
    parameters += [sql.Identifier(table.schema, table.name).as_string(None), table.oid]
    return (
        sql.SQL(
            "with page as materialized (select nth, element, is_cut, "
            "pg_catalog.json_populate_record(null::{table}, element::json) as r "
            "from rows from (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::bool[])) "
            "with ordinality as p(element, is_cut, nth)) "
            # The name may be another table's by now, with other policies: no answer then.
            "select {parts} from page where pg_catalog.to_regclass(%s)::oid = %s::oid order by nth"
        ).format(table=table.identifier, parts=sql.SQL(", ").join(parts)),
        parameters,
    )


def _seen(table: Table, rights: Rights) -> sql.Composable:
    """Whether the row as written is there and visible. Without a key nobody can tell.

    If it cannot be told what the policies read, or if the role may not read that, the row has to be
    as it was written in all that is told of it: then it tells no more than a SELECT would now. So
    does the key of a row that is too large to be told.
    """
    if not rights.restricted:
        return sql.SQL("true")
    if not table.key or not set(table.key) <= set(rights.columns):
        return sql.SQL("false")
    compared = table.policy_columns
    if compared is None or not set(compared) <= set(rights.columns):
        compared = tuple(column for column in table.columns if column in rights.columns)
    keys = [sql.SQL("t.{0} = (page.r).{0}").format(quoted(column)) for column in table.key]
    others = [quoted(column) for column in compared if column not in table.key]
    if not others:
        return sql.SQL("exists (select from {} t where {})").format(
            table.identifier, sql.SQL(" and ").join(keys)
        )
    # Both as what JSON makes of them, which is not all that was there, and as a text: not every
    # type can be compared.
    same = sql.SQL("now.{0}::text is not distinct from (page.r).{0}::text")
    return sql.SQL(
        "exists (select from {table} t, lateral pg_catalog.json_populate_record(null::{table}, "
        "(select pg_catalog.row_to_json(o) from (select {columns}) o)) now "
        "where {keys} and (page.is_cut or ({same})))"
    ).format(
        table=table.identifier,
        columns=sql.SQL(", ").join(sql.SQL("t.{}").format(one) for one in others),
        keys=sql.SQL(" and ").join(keys),
        same=sql.SQL(" and ").join(same.format(one) for one in others),
    )


async def ask(
    connection: AsyncConnection[Any], query: sql.SQL | sql.Composed, parameters: list[Any]
) -> list[tuple[Any, ...]]:
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query, parameters)
        return await cursor.fetchall()


async def check_filter(
    connection: AsyncConnection[Any], table: Table, conditions: Sequence[Condition]
) -> None:
    """Let PostgreSQL say whether a filter makes sense: types, operators, values."""
    # A pattern is only looked at when there is something to match it with.
    patterns = [c.values[0] for c in conditions if c.operator in ("match", "imatch")]
    if patterns:
        await ask(
            connection,
            sql.SQL("select '' ~ pattern from pg_catalog.unnest(%s::text[]) pattern"),
            [patterns],
        )
    query, parameters = make_question(
        table, Rights(tuple(table.columns), False), [tuple(conditions)]
    )
    await ask(connection, query, [["{}"], [False], *parameters])
