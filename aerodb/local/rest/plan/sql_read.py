"""The tree as one query: embeds are lateral subqueries, joined and turned into JSON where they
are (wire contract §3.4)."""

from __future__ import annotations

from typing import LiteralString

from aerodb.local.rest.ast import Aggregate, Name, Range
from aerodb.local.rest.catalog import ComputedRelationship
from aerodb.local.rest.plan.slots import LimitValue, OffsetValue
from aerodb.local.rest.plan.sql_filters import (
    cast_sql,
    condition_sql,
    field_sql,
    formatted_field,
    join_sql,
    junctor_sql,
    order_sql,
    where_sql,
)
from aerodb.local.rest.plan.sql_fragments import (
    EMPTY,
    Fragment,
    column,
    concat,
    ident,
    join,
    param,
    qualified,
    sql,
)
from aerodb.local.rest.plan.tree import (
    ConditionTree,
    EmbedCondition,
    EmbedSelect,
    JsonEmbed,
    Junctor,
    ReadNode,
    ResolvedField,
    SelectColumn,
    SpreadEmbed,
    SpreadField,
)

_AGGREGATES: dict[Aggregate, LiteralString] = {
    "sum": "sum(",
    "avg": "avg(",
    "max": "max(",
    "min": "min(",
    "count": "count(",
}
_STAR = SelectColumn(ResolvedField("*"))


def read_query(root: ReadNode) -> Fragment:
    """The rows of the tree.

    Embeds are jsonb, by which rows can be grouped, and whose text is PostgREST's to the byte.
    """
    table = root.qualifier
    columns = root.select if root.select or root.children else [_STAR]
    own = [_select_item(table, selected) for selected in columns]
    own += [_extra_item(table, relation, extra) for relation, extra in root.extra_selects]
    embedded = [item for found in root.embeds for item in _embed_items(found)]
    conditions = [condition_sql(table, condition) for condition in root.where]
    return concat(
        sql("SELECT "),
        join(", ", own + embedded),
        _from(root),
        *(_join(found) for found in root.embeds),
        where_sql(conditions + [join_sql(condition) for condition in root.joins]),
        _group_by(root, columns),
        order_sql(table, root.order),
        _limit(root),
    )


def _aggregates(node: ReadNode) -> bool:
    if any(selected.aggregate for selected in node.select):
        return True
    spreads = (found for found in node.embeds if isinstance(found, SpreadEmbed))
    return any(field.aggregate for found in spreads for field in found.fields)


def _select_item(table: Name, selected: SelectColumn) -> Fragment:
    value = cast_sql(formatted_field(table, selected.field), selected.cast)
    value = _aggregate(value, selected.aggregate, selected.aggregate_cast)
    return value + _as(selected.alias)


def _extra_item(table: Name, relation: str | None, extra: SelectColumn) -> Fragment:
    return _select_item(Name("", relation) if relation is not None else table, extra)


def _aggregate(value: Fragment, function: Aggregate | None, cast: str | None) -> Fragment:
    if function is None:
        return value
    return cast_sql(concat(sql(_AGGREGATES[function]), value, sql(")")), cast)


def _as(alias: str | None) -> Fragment:
    return sql(" AS ") + ident(alias) if alias is not None else EMPTY


def _from(node: ReadNode) -> Fragment:
    found = node.relationship
    if isinstance(found, ComputedRelationship):
        # The cast chooses among overloads: a row of a common table expression has no type name.
        owner = node.parent_alias.name
        source = concat(
            qualified(found.function), sql("("), ident(owner), sql("::"), qualified(found.table)
        ) + sql(")")
    else:
        source = qualified(node.source)
    text = concat(sql(" FROM "), source, _as(node.source_alias))
    if found is None or isinstance(found, ComputedRelationship) or found.junction is None:
        return text
    return concat(text, sql(", "), qualified(found.junction.table))


def _limit(node: ReadNode) -> Fragment:
    if node.range == Range():
        return EMPTY
    limit = sql("ALL")
    if node.range.limit is not None:
        limit = param(LimitValue(node.range_path, node.max_rows))
    return concat(sql(" LIMIT "), limit, sql(" OFFSET "), param(OffsetValue(node.range_path)))


# --- embeds -----------------------------------------------------------------------------------


def _embed_items(found: EmbedSelect) -> list[Fragment]:
    alias = ident(found.node.aggregate_alias)
    if isinstance(found, SpreadEmbed):
        return [_spread_item(found.node.aggregate_alias, field) for field in found.fields]
    if found.empty:
        return []
    if found.to_one:
        value = concat(sql("row_to_json("), alias, sql(".*)::jsonb"))
    else:
        value = concat(sql("COALESCE("), alias, sql("."), alias, sql(", '[]')"))
    return [value + _as(found.name)]


def _spread_item(alias: str, field: SpreadField) -> Fragment:
    value = _aggregate(column(Name("", alias), field.name), field.aggregate, field.aggregate_cast)
    return value + _as(field.alias)


def _join(found: EmbedSelect) -> Fragment:
    node = found.node
    alias = ident(node.aggregate_alias)
    subquery = read_query(node)
    condition = sql("TRUE")
    if _is_many(found):
        subquery = concat(
            join(", ", _many_items(found, alias)),
            sql(" FROM ("),
            subquery,
            sql(") AS "),
            alias,
        )
        subquery = sql("SELECT ") + subquery
        if node.join == "inner":
            condition = alias + sql(" IS NOT NULL")
    kind = sql(" INNER") if node.join == "inner" else sql(" LEFT")
    return concat(
        kind, sql(" JOIN LATERAL ("), subquery, sql(") AS "), alias, sql(" ON "), condition
    )


def _is_many(found: EmbedSelect) -> bool:
    if isinstance(found, JsonEmbed):
        return not found.to_one
    return found.node.spread == "to_many"


def _many_items(found: EmbedSelect, alias: Fragment) -> list[Fragment]:
    """The rows of a to-many embed as one array, then a spread's columns as an array each."""
    items = [concat(sql("json_agg("), alias, sql(")::jsonb AS "), alias)]
    if isinstance(found, SpreadEmbed):
        owner = Name("", found.node.aggregate_alias)
        order = order_sql(owner, found.node.spread_order)
        for field in found.fields:
            values = concat(sql("json_agg("), column(owner, field.name), order, sql(")"))
            values = concat(sql("COALESCE("), values, sql(", '[]')::jsonb"))
            items.append(values + _as(field.alias or field.name))
    return items


# --- groups -----------------------------------------------------------------------------------


def _group_by(node: ReadNode, columns: list[SelectColumn]) -> Fragment:
    if not _aggregates(node):
        return EMPTY
    table = node.qualifier
    terms = [
        ident(selected.alias) if selected.alias is not None else field_sql(table, selected.field)
        for selected in columns
        if selected.aggregate is None
    ]
    for found in node.embeds:
        alias = Name("", found.node.aggregate_alias)
        if isinstance(found, SpreadEmbed):
            terms += [
                column(alias, field.alias or field.name)
                for field in found.fields
                if field.aggregate is None
            ]
        elif not found.empty:
            terms.append(ident(found.name))
    return sql(" GROUP BY ") + join(", ", terms) if terms else EMPTY


# --- counting ---------------------------------------------------------------------------------


def count_query(node: ReadNode) -> Fragment:
    """One row for each row of the root without limit and offset: embeds matter only where they
    restrict, and then by their existence."""
    conditions = [_counted(node, condition) for condition in node.where]
    conditions += [join_sql(condition) for condition in node.joins]
    conditions += [_exists(child) for child in node.children if child.join == "inner"]
    return concat(sql("SELECT 1"), _from(node), where_sql([one for one in conditions if one]))


def _exists(node: ReadNode) -> Fragment:
    return concat(sql("EXISTS ("), count_query(node), sql(")"))


def _counted(node: ReadNode, condition: ConditionTree) -> Fragment:
    if isinstance(condition, Junctor):
        return junctor_sql(condition, [_counted(node, child) for child in condition.children])
    if isinstance(condition, EmbedCondition):
        alias = condition.aggregate_alias
        child = next(one for one in node.children if one.aggregate_alias == alias)
        return _exists(child) if condition.present else sql("NOT ") + _exists(child)
    return condition_sql(node.qualifier, condition)
