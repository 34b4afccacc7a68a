"""INSERT, UPDATE and DELETE of one table from one JSON parameter."""

from __future__ import annotations

from aerodb.local.rest.ast import Name
from aerodb.local.rest.plan.mutate import Mutation
from aerodb.local.rest.plan.sql_filters import condition_sql, where_sql
from aerodb.local.rest.plan.sql_fragments import (
    EMPTY,
    Fragment,
    column,
    concat,
    current_setting,
    ident,
    join,
    literal,
    qualified,
    sql,
)
from aerodb.local.rest.plan.sql_json import BODY, from_payload, named_columns

INSERTED = concat(current_setting("pgrst.inserted"))
"""How many rows an upsert inserted: counted by the statement itself in a setting of the
transaction, as RETURNING does not tell an inserted row from an updated one."""

_COUNT_UP = concat(
    sql("set_config('pgrst.inserted', (coalesce("),
    INSERTED,
    sql("::int, 0) + 1)::text, true) <> '0'"),
)
_COUNT_DOWN = concat(
    sql("set_config('pgrst.inserted', (coalesce("),
    INSERTED,
    sql("::int, 0) - 1)::text, true) <> '-1'"),
)


def mutation_sql(plan: Mutation) -> Fragment:
    """The statement that writes and returns what its answer needs."""
    match plan.kind:
        case "insert":
            return _insert(plan)
        case "update":
            return _update(plan)
        case "delete":
            return _delete(plan)


def _insert(plan: Mutation) -> Fragment:
    names = [ident(one.name) for one in plan.columns]
    merges = plan.conflict is not None and plan.conflict.resolution == "merge-duplicates"
    conditions = [condition_sql(BODY, one) for one in plan.where]
    if merges:
        conditions.insert(0, _COUNT_UP)
    return concat(
        sql("INSERT INTO "),
        qualified(plan.table.name),
        concat(sql("("), join(", ", names), sql(")")) if names else EMPTY,
        sql(" SELECT "),
        named_columns(plan.columns),
        sql(" "),
        from_payload(plan.columns, single=plan.single, defaults=plan.apply_defaults),
        where_sql(conditions),
        _on_conflict(plan, names),
        _returning(plan),
    )


def _on_conflict(plan: Mutation, names: list[Fragment]) -> Fragment:
    if plan.conflict is None or not plan.conflict.columns:
        return EMPTY
    target = join(", ", (ident(name) for name in plan.conflict.columns))
    clause = concat(sql(" ON CONFLICT("), target, sql(") DO "))
    if plan.conflict.resolution == "ignore-duplicates" or not names:
        return clause + sql("NOTHING")
    pairs = join(", ", (concat(name, sql(" = EXCLUDED."), name) for name in names))
    return concat(clause, sql("UPDATE SET "), pairs, sql(" WHERE "), _COUNT_DOWN)


def _update(plan: Mutation) -> Fragment:
    table = plan.table.name
    if not plan.columns:
        # Nothing to set is no row updated; the columns must still be there to be selected from.
        return concat(
            sql("SELECT "), _returned(plan, Name("", table.name)) or sql("NULL"), sql(" FROM ")
        ) + concat(qualified(table), sql(" WHERE false"))
    pairs = (concat(ident(one.name), sql(" = "), column(BODY, one.name)) for one in plan.columns)
    return concat(
        sql("UPDATE "),
        qualified(table),
        sql(" SET "),
        join(", ", pairs),
        sql(" "),
        from_payload(plan.columns, single=plan.single, defaults=plan.apply_defaults),
        where_sql([condition_sql(table, one) for one in plan.where]),
        _returning(plan),
    )


def _delete(plan: Mutation) -> Fragment:
    table = plan.table.name
    conditions = where_sql([condition_sql(table, one) for one in plan.where])
    return concat(sql("DELETE FROM "), qualified(table), conditions, _returning(plan))


def _returned(plan: Mutation, qualifier: Name) -> Fragment:
    return join(", ", (column(qualifier, name) for name in plan.returning))


def _returning(plan: Mutation) -> Fragment:
    """Rows are counted in any case."""
    return sql(" RETURNING ") + (_returned(plan, plan.table.name) or sql("1"))


def location_sql(keys: tuple[str, ...]) -> Fragment:
    """`Location` of a single row, as `key=eq.value` pairs."""
    if not keys:
        return sql("array[]::text[]")
    names = join(", ", (literal(key) for key in keys))
    pairs = concat(
        sql(
            "(WITH data AS (SELECT row_to_json(_) AS row FROM pgrst_source AS _ LIMIT 1) "
            "SELECT array_agg(json_data.key || '=' || "
            "coalesce('eq.' || json_data.value, 'is.null')) "
            "FROM data CROSS JOIN json_each_text(data.row) AS json_data "
            "WHERE json_data.key IN ("
        ),
        names,
        sql("))"),
    )
    return concat(
        sql("CASE WHEN pg_catalog.count(_postgrest_t) = 1 THEN coalesce("),
        pairs,
        sql(", array[]::text[]) ELSE array[]::text[] END"),
    )
