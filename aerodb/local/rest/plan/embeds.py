"""Embeds: the relationship of each, how it joins its parent, what the parent selects from it."""

from __future__ import annotations

import zlib
from dataclasses import replace

from aerodb.local.rest.ast import Is, Name, SelectRelation
from aerodb.local.rest.catalog import AnyRelationship, Catalog, ComputedRelationship
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.plan.tree import (
    Condition,
    ConditionTree,
    EmbedCondition,
    JoinCondition,
    JsonEmbed,
    Junctor,
    ReadNode,
    ResolvedOrder,
    SpreadEmbed,
    SpreadField,
)
from aerodb.local.rest.relationships import find_relationship

_MAX_IDENTIFIER = 63


def embed(parent: ReadNode, item: SelectRelation, schema: str, catalog: Catalog) -> ReadNode:
    """The node of one `relation(...)` below `parent`; PGRST200 or PGRST201 without a single
    relationship."""
    found = find_relationship(catalog, schema, parent.table.name, item.relation, item.hint)
    depth = parent.depth + 1
    node = ReadNode(
        name=item.relation,
        source=found.foreign_table,
        depth=depth,
        alias=item.alias,
        hint=item.hint,
        join=item.join,
        table=found.foreign_table,
        relationship=found,
        parent_alias=parent.qualifier,
        aggregate_alias=short_alias(f"{found.table.name}_{item.alias or item.relation}_{depth}"),
    )
    if item.spread:
        node.spread = "to_one" if found.to_one else "to_many"
    if isinstance(found, ComputedRelationship) or found.junction is None:
        # Two tables in one FROM clause go by their own names, as errors show them.
        node.source_alias = short_alias(f"{found.foreign_table.name}_{depth}")
    if not isinstance(found, ComputedRelationship):
        node.joins = _join_conditions(node, parent.qualifier, found)
    return node


def short_alias(alias: str) -> str:
    """An alias that PostgreSQL keeps whole: it would cut two long ones to the same name."""
    encoded = alias.encode()
    if len(encoded) <= _MAX_IDENTIFIER:
        return alias
    kept = encoded[: _MAX_IDENTIFIER - 9].decode(errors="ignore")
    return f"{kept}_{zlib.crc32(encoded):08x}"


def _join_conditions(
    node: ReadNode, parent: Name, found: AnyRelationship
) -> tuple[JoinCondition, ...]:
    if isinstance(found, ComputedRelationship):
        return ()
    here = node.qualifier
    if found.junction is None:
        return tuple(
            JoinCondition((here, foreign), (parent, own)) for own, foreign in found.columns
        )
    junction = found.junction.table
    targets = found.junction.target_columns
    sources = found.junction.source_columns
    return tuple(
        JoinCondition((junction, through), (here, own)) for own, through in targets
    ) + tuple(JoinCondition((junction, through), (parent, own)) for own, through in sources)


# --- conditions and orders that name an embed -------------------------------------------------


def resolve_related_orders(root: ReadNode) -> None:
    """`order=rel(column)`: the embed must be selected (PGRST108) and to-one (PGRST118)."""
    for node in root.walk():
        node.order = [_related_order(node, term) for term in node.order]


def _related_order(node: ReadNode, term: ResolvedOrder) -> ResolvedOrder:
    if term.relation is None:
        return term
    child = _shown(node, term.relation)
    if child is None:
        raise not_embedded(term.relation)
    if child.relationship is None or not child.relationship.to_one:
        origin, target = node.table.name, child.shown_name
        raise RestError(
            400,
            "PGRST118",
            f"A related order on '{target}' is not possible",
            f"'{origin}' and '{target}' do not form a many-to-one or one-to-one relationship",
        )
    return replace(term, relation=child.aggregate_alias)


def not_embedded(name: str) -> RestError:
    """PGRST108: there is no such embed in `select`."""
    return RestError(
        400,
        "PGRST108",
        f"'{name}' is not an embedded resource in this request",
        hint=f"Verify that '{name}' is included in the 'select' query parameter.",
    )


def resolve_embed_conditions(root: ReadNode) -> None:
    """`rel=is.null` and `rel=not.is.null`, where `rel` is an embed: whether it has rows."""
    for node in root.walk():
        node.where = [_embed_condition(node, condition) for condition in node.where]


def _embed_condition(node: ReadNode, condition: ConditionTree) -> ConditionTree:
    if isinstance(condition, Junctor):
        children = tuple(_embed_condition(node, child) for child in condition.children)
        return replace(condition, children=children)
    if not isinstance(condition, Condition) or condition.field.path:
        return condition
    child = _shown(node, condition.field.name)
    if child is None or condition.operation != Is("null"):
        return condition
    return EmbedCondition(child.aggregate_alias, present=condition.negated)


def _shown(node: ReadNode, name: str) -> ReadNode | None:
    return next((child for child in node.children if child.shown_name == name), None)


# --- what a parent selects --------------------------------------------------------------------


def select_embeds(node: ReadNode) -> None:
    """Fill in `embeds` of the whole tree, the leaves first: a spread takes what lies below it."""
    for child in node.children:
        select_embeds(child)
        if child.spread is not None:
            node.embeds.append(SpreadEmbed(_spread_fields(child), child))
        else:
            to_one = child.relationship is not None and child.relationship.to_one
            empty = all(not below.select for below in child.walk())
            node.embeds.append(JsonEmbed(child.shown_name, child, to_one, empty))


def _spread_fields(node: ReadNode) -> tuple[SpreadField, ...]:
    fields = [SpreadField(column.alias or column.field.name) for column in node.select]
    for below in node.embeds:
        if isinstance(below, JsonEmbed):
            fields.append(SpreadField(below.name))
        else:
            fields.extend(below.fields)
    return tuple(fields)
