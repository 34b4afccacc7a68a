"""The outer query: body, counts and response settings of the source rows."""

from __future__ import annotations

from typing import LiteralString

from aerodb.local.rest.ast import Range
from aerodb.local.rest.catalog import Routine
from aerodb.local.rest.plan.negotiate import MediaType, Renderer
from aerodb.local.rest.plan.sql_fragments import (
    EMPTY,
    Fragment,
    concat,
    current_setting,
    join,
    qualified,
    sql,
)

NO_LOCATION = sql("array[]::text[]")
NOT_COUNTED = sql("NULL::bigint")
NO_INSERTED = sql("NULL::text")


def is_scalar(routine: Routine | None) -> bool:
    """Whether a function returns one value that is not a row."""
    return routine is not None and not (routine.returns.composite or routine.returns.set_of)


def is_set_of_scalar(routine: Routine | None) -> bool:
    """Whether a function returns values that are not rows."""
    return routine is not None and routine.returns.set_of and not routine.returns.composite


def body_sql(renderer: Renderer, routine: Routine | None) -> Fragment:
    """The aggregate over `_postgrest_t` that makes the body."""
    match renderer.kind:
        case "none":
            return sql("''::text")
        case "json" | "object":
            return _json(renderer, routine)
        case "csv":
            return _csv()
        case "geojson":
            return sql(
                "json_build_object('type', 'FeatureCollection', 'features', "
                "coalesce(json_agg(ST_AsGeoJSON(_postgrest_t)::json), '[]'))"
            )
        case "custom":
            return _custom(renderer, routine)


def _json(renderer: Renderer, routine: Routine | None) -> Fragment:
    scalar, scalars = is_scalar(routine), is_set_of_scalar(routine)
    alone = routine is not None and not routine.returns.set_of
    if renderer.kind == "object":
        alone, scalars = True, False
    row: LiteralString = "_postgrest_t.pgrst_scalar" if scalar or scalars else "_postgrest_t"
    rows = concat(sql("json_agg("), sql(row), sql(")"))
    value = rows + sql("->0") if alone else rows
    if renderer.nulls_stripped:
        value = concat(sql("json_strip_nulls("), value, sql(")"))
    return concat(sql("coalesce("), value, sql(", 'null')" if alone else ", '[]')"))


def _csv() -> Fragment:
    """A line of column names, then the rows in PostgreSQL's composite notation, which quotes as
    CSV does."""
    return sql(
        "(SELECT coalesce(string_agg(a.k, ','), '') FROM (SELECT json_object_keys(r) AS k FROM "
        "(SELECT row_to_json(hh) AS r FROM pgrst_rows AS hh LIMIT 1) s) a) || '\n' || "
        "coalesce(string_agg(substring(_postgrest_t::text, 2, length(_postgrest_t::text) - 2), "
        "'\n'), '')"
    )


def _custom(renderer: Renderer, routine: Routine | None) -> Fragment:
    if renderer.function is None:
        raise ValueError("a custom renderer has a function")
    argument = sql("_postgrest_t")
    if is_scalar(routine):
        argument = sql("_postgrest_t.pgrst_scalar")
    elif renderer.target is not None:
        argument = concat(sql("_postgrest_t::"), qualified(renderer.target))
    return concat(qualified(renderer.function), sql("("), argument, sql(")"))


def page_count_sql(routine: Routine | None) -> Fragment:
    """How many rows there are; a function that returns no set returns one."""
    if routine is not None and not routine.returns.set_of:
        return sql("1::bigint")
    return sql("pg_catalog.count(_postgrest_t)")


def count_parts(
    counting: Fragment, page_count: Fragment, bounds: Range, max_rows: int | None
) -> tuple[Fragment, Fragment]:
    """(common table expression, total) of an exact count; the page is all there is without limit,
    offset and max-rows."""
    if max_rows is None and bounds == Range():
        return EMPTY, page_count
    expression = concat(sql("pgrst_source_count AS ("), counting, sql(")"))
    return expression, sql("(SELECT pg_catalog.count(*) FROM pgrst_source_count)")


def outer_query(
    source: Fragment,
    rows: Fragment,
    renderer: Renderer,
    routine: Routine | None,
    *,
    count: tuple[Fragment, Fragment] = (EMPTY, NOT_COUNTED),
    header: Fragment = EMPTY,
    inserted: Fragment = NO_INSERTED,
    media: MediaType,
) -> Fragment:
    """The statement: `source` reads, writes or calls, `rows` are what the body shows of it.

    Its plan, when that is the media type: then without what only serves the answer's transport.
    """
    expressions = [concat(sql("pgrst_source AS ("), source, sql(")")), count[0]]
    if renderer.kind == "csv":
        # The names of the columns and the rows are read apart.
        expressions.append(concat(sql("pgrst_rows AS ("), rows, sql(")")))
        rows = sql("SELECT * FROM pgrst_rows")
    is_plan = media.kind == "plan"
    body = body_sql(renderer, routine)
    columns = (
        (count[1], "total_result_set"),
        (page_count_sql(routine), "page_total"),
        (header or (EMPTY if is_plan else NO_LOCATION), "header"),
        (body if is_plan else _transported(body, renderer), "body"),
        (current_setting("response.headers"), "response_headers"),
        (current_setting("response.status"), "response_status"),
        (inserted, "response_inserted"),
    )
    named = [concat(value, sql(" AS "), sql(name)) for value, name in columns if value]
    return concat(
        _explain(media) if is_plan else EMPTY,
        sql("WITH "),
        join(", ", [one for one in expressions if one]),
        sql(" SELECT "),
        join(", ", named),
        sql(" FROM ("),
        rows,
        sql(") _postgrest_t"),
    )


def _transported(body: Fragment, renderer: Renderer) -> Fragment:
    """JSON travels as text: a driver would read it."""
    is_json = renderer.kind in ("json", "object", "geojson")
    return body + sql("::text") if is_json else body


_OPTIONS: dict[str, LiteralString] = {
    "analyze": "ANALYZE",
    "verbose": "VERBOSE",
    "settings": "SETTINGS",
    "buffers": "BUFFERS",
    "wal": "WAL",
}


def _explain(media: MediaType) -> Fragment:
    shape = sql("FORMAT JSON") if media.plan_format == "json" else sql("FORMAT TEXT")
    options = [shape] + [sql(_OPTIONS[option]) for option in media.plan_options]
    return concat(sql("EXPLAIN ("), join(", ", options), sql(") "))
