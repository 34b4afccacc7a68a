"""Stars, aliases and aggregates.

Aggregates inside a to-one spread are computed by the nearest node above that is not spread to-one:
inside the joined subquery they would see one row each (PostgREST's documentation, "aggregate
functions" and "spread embedded resources").
"""

from __future__ import annotations

from dataclasses import replace

from aerodb.local.rest.ast import Aggregate
from aerodb.local.rest.catalog import Catalog
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.plan.embeds import short_alias
from aerodb.local.rest.plan.representations import Resolver, column_field
from aerodb.local.rest.plan.tree import (
    EmbedSelect,
    JsonEmbed,
    ReadNode,
    ResolvedField,
    ResolvedOrder,
    SelectColumn,
    SpreadEmbed,
    SpreadField,
)

# --- stars ------------------------------------------------------------------------------------


def expand_stars(node: ReadNode, catalog: Catalog, aggregated: bool = False) -> None:
    """Name the columns of `*` where SQL's own star will not do: beside aggregates (they must be
    grouped by), in to-many spreads (each is aggregated) and for domain representations."""
    aggregated = (
        aggregated
        or any(column.aggregate is not None for column in node.select)
        or node.spread == "to_many"
    )
    resolver = Resolver(catalog, node.table)
    formatted = any(resolver.has_output_format(column) for column in resolver.columns())
    starred = any(_expands(column, node) for column in node.select)
    if starred and (aggregated or formatted):
        node.select = [
            expanded for column in node.select for expanded in _expand(column, node, resolver)
        ]
    for child in node.children:
        expand_stars(child, catalog, aggregated)


def _expands(column: SelectColumn, node: ReadNode) -> bool:
    if column.field.name != "*":
        return False
    counts_rows = node.spread is not None and column.aggregate == "count"
    return column.aggregate is None or counts_rows


def _expand(column: SelectColumn, node: ReadNode, resolver: Resolver) -> list[SelectColumn]:
    if not _expands(column, node) or column.field.path:
        return [column]
    if column.aggregate is not None:
        return [replace(column, field=replace(column.field, full_row=True))]
    return [
        replace(column, field=resolver.formatted(column_field(found)))
        for found in resolver.columns()
    ]


# --- aliases ----------------------------------------------------------------------------------


def add_aliases(root: ReadNode) -> None:
    """Name what PostgreSQL would not name as its request reads: JSON paths by their last key,
    formatted columns by the column, aggregates in a spread by their function."""
    for node in root.walk():
        node.select = [_with_alias(column, node.spread is not None) for column in node.select]


def _with_alias(column: SelectColumn, spread: bool) -> SelectColumn:
    if column.alias is not None:
        return column
    if column.aggregate is not None:
        return replace(column, alias=column.aggregate) if spread else column
    if column.field.path:
        return replace(column, alias=_last_key(column.field))
    if column.field.transform is not None:
        return replace(column, alias=column.field.name)
    return column


def _last_key(field: ResolvedField) -> str:
    keys = (step.operand for step in reversed(field.path) if not step.is_index)
    return next(keys, field.name)


# --- aggregates -------------------------------------------------------------------------------


def check_aggregates(root: ReadNode, enabled: bool) -> None:
    """PGRST123 if there are aggregates and `db-aggregates-enabled` is off."""
    used = any(column.aggregate for node in root.walk() for column in node.select)
    if used and not enabled:
        raise RestError(400, "PGRST123", "Use of aggregate functions is not allowed")


Hoisted = dict[tuple[str, str], tuple[Aggregate, str | None, str | None]]
"""(aggregate alias of the embed, its column) to (function, cast of the result, alias)."""


def hoist_aggregates(node: ReadNode) -> Hoisted:
    """Move aggregates out of to-one spreads; returns those for the parent to compute."""
    below: Hoisted = {}
    for child in node.children:
        below.update(hoist_aggregates(child))
    if node.spread != "to_one":
        node.embeds = [_receive(selected, below) for selected in node.embeds]
        return {}
    hoisted: Hoisted = {}
    kept: list[SelectColumn] = []
    for column in node.select:
        if column.aggregate is not None:
            key = (node.aggregate_alias, column.alias or column.field.name)
            hoisted[key] = (column.aggregate, column.aggregate_cast, column.alias)
            column = replace(column, aggregate=None, aggregate_cast=None)
        kept.append(column)
    node.select = kept
    for (_, name), found in below.items():
        hoisted.setdefault((node.aggregate_alias, name), found)
    return hoisted


def _receive(selected: EmbedSelect, hoisted: Hoisted) -> EmbedSelect:
    if isinstance(selected, JsonEmbed):
        return selected
    alias = selected.node.aggregate_alias
    return replace(
        selected, fields=tuple(_aggregated(one, alias, hoisted) for one in selected.fields)
    )


def _aggregated(field: SpreadField, embed_alias: str, hoisted: Hoisted) -> SpreadField:
    found = hoisted.get((embed_alias, field.name))
    if found is None:
        return field
    function, cast, alias = found
    return replace(field, aggregate=function, aggregate_cast=cast, alias=alias)


# --- to-many spreads --------------------------------------------------------------------------


def move_to_many_orders(root: ReadNode) -> None:
    """The order of a to-many spread orders each of its aggregated columns: select what it needs
    under a name of its own, and keep the order for the place where the columns are aggregated."""
    for node in root.walk():
        if node.spread != "to_many":
            continue
        if _has_aggregates(node):
            raise RestError(
                400,
                "PGRST127",
                "Feature not implemented",
                "Aggregates are not implemented for one-to-many or many-to-many spreads.",
            )
        for index, term in enumerate(node.order, 1):
            alias = short_alias(f"{node.aggregate_alias}_{term.field.name}_{index}")
            node.extra_selects.append((term.relation, SelectColumn(term.field, alias=alias)))
            node.spread_order.append(
                ResolvedOrder(ResolvedField(alias), term.direction, term.nulls)
            )
        node.order = []


def _has_aggregates(node: ReadNode) -> bool:
    if any(column.aggregate for column in node.select):
        return True
    spreads = (found for found in node.embeds if isinstance(found, SpreadEmbed))
    return any(field.aggregate for found in spreads for field in found.fields)
