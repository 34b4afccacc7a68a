"""From `select`, filters, orders and ranges to the resolved tree, stage by stage.

The stages and their errors are those of PostgREST's documentation, "resource embedding".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from aerodb.local.rest.ast import (
    Action,
    EmbedPath,
    Field,
    Filter,
    Logic,
    LogicTree,
    Name,
    OrderTerm,
    Request,
    SelectField,
    SelectItem,
)
from aerodb.local.rest.catalog import Catalog
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.plan.aggregates import (
    add_aliases,
    check_aggregates,
    expand_stars,
    hoist_aggregates,
    move_to_many_orders,
)
from aerodb.local.rest.plan.embeds import (
    embed,
    not_embedded,
    resolve_embed_conditions,
    resolve_related_orders,
    select_embeds,
)
from aerodb.local.rest.plan.representations import Resolver
from aerodb.local.rest.plan.slots import numbered_filters, numbered_logic, restricted
from aerodb.local.rest.plan.sql_fragments import SOURCE
from aerodb.local.rest.plan.tree import (
    Condition,
    ConditionTree,
    Junctor,
    ReadNode,
    ResolvedOrder,
    SelectColumn,
)
from aerodb.local.settings import RestSettings

_WRITES = (Action.CREATE, Action.UPDATE, Action.UPSERT, Action.DELETE)


def read_tree(request: Request, root: Name, catalog: Catalog, settings: RestSettings) -> ReadNode:
    """The tree of a request on `root`.

    A write or a call is the common table expression that the tree then reads, under the relation's
    own name, so that embeds are found as for a read.
    """
    writes = request.action in _WRITES
    node = ReadNode(name=root.name, source=root, table=root, depth=0)
    if request.action is not Action.READ:
        node.source, node.source_alias = SOURCE, root.name
    _add_items(node, request.query.select, root.schema, catalog)
    _place_modifiers(_Embeds(node, settings.url_use_legacy_target_names), request, catalog, writes)
    expand_stars(node, catalog)
    add_aliases(node)
    resolve_related_orders(node)
    resolve_embed_conditions(node)
    select_embeds(node)
    check_aggregates(node, settings.db_aggregates_enabled)
    hoist_aggregates(node)
    move_to_many_orders(node)
    if not writes:
        _restrict_ranges(node, settings.db_max_rows)
    return node


def _add_items(
    node: ReadNode, items: tuple[SelectItem, ...], schema: str, catalog: Catalog
) -> None:
    resolver = Resolver(catalog, node.table)
    for item in items:
        if isinstance(item, SelectField):
            node.select.append(
                SelectColumn(
                    resolver.output(item.field),
                    item.aggregate,
                    item.aggregate_cast,
                    item.cast,
                    item.alias,
                )
            )
        else:
            child = embed(node, item, schema, catalog)
            node.children.append(child)
            _add_items(child, item.children, schema, catalog)


# --- filters, orders and ranges to their nodes ------------------------------------------------


def _place_modifiers(embeds: _Embeds, request: Request, catalog: Catalog, writes: bool) -> None:
    """Filters, orders, ranges, trees, the last of each first: which embed has a name may depend on
    those that were named before, and the fault that is told is the first one met."""
    query = request.query
    # A write applies the root's filters itself.
    for slot, path, found in reversed(tuple(numbered_filters(query))):
        if path or not writes:
            target = embeds.at(path)
            target.where.insert(0, resolve_filter(found, Resolver(catalog, target.table), slot))
    for path, terms in reversed(query.order):  # the first of several counts
        target = embeds.at(path)
        target.order = [_resolve_order(term, target, catalog) for term in terms]
    if not writes:
        embeds.root.range, embeds.root.range_path = request.top_range, ()
        for path, requested in reversed(query.ranges.items()):
            if path:
                target = embeds.at(path)
                target.range, target.range_path = requested, path
    trees: list[tuple[ReadNode, ConditionTree]] = []
    for slot, path, tree in reversed(tuple(numbered_logic(query))):
        if path or not writes:
            target = embeds.at(path)
            resolver = Resolver(catalog, target.table)
            trees.append((target, resolve_logic(tree, resolver, count(slot))))
    for target, condition in reversed(trees):  # in SQL they stand as the request has them
        target.where.append(condition)


@dataclass(frozen=True, slots=True)
class _Embeds:
    """Finds embeds by path. With `legacy`, an aliased one goes by its relation's name too.

    One name may fit several embeds then. As in PostgREST it is the first one that counts, and one
    that was found once is the first from then on.
    """

    root: ReadNode
    legacy: bool
    _siblings: dict[int, list[ReadNode]] = field(default_factory=dict[int, list[ReadNode]])

    def at(self, path: EmbedPath) -> ReadNode:
        """The embed of that path; PGRST108 when the request has none."""
        node = self.root
        for name in path:
            node = self._child(node, name)
        return node

    def _child(self, node: ReadNode, name: str) -> ReadNode:
        siblings = self._siblings.setdefault(id(node), list(node.children))
        for index, child in enumerate(siblings):
            by_target = child.name == name and child.alias not in (None, name)
            if child.shown_name == name or (by_target and self.legacy):
                siblings.insert(0, siblings.pop(index))
                child.named_by_target |= by_target
                return child
        for child in siblings:
            if child.name == name and child.alias is not None:
                raise _named_by_target(name, child.alias)
        raise not_embedded(name)


def _named_by_target(name: str, alias: str) -> RestError:
    return RestError(
        400,
        "PGRST108",
        f"'{name}' is not an embedded resource in this request",
        "Target names are not allowed in filters if they have an alias",
        f"Change '{name}' to '{alias}' in filters, orders or limits.",
    )


def resolve_filter(requested: Filter, resolver: Resolver, slot: int) -> Condition:
    """A filter on a column of the resolver\'s relation."""
    return Condition(
        resolver.query_input(requested.field, requested.operation),
        requested.operation,
        requested.negated,
        slot,
    )


def resolve_logic(tree: LogicTree, resolver: Resolver, slots: Iterator[int]) -> ConditionTree:
    """A tree whose filters take their slots in order."""
    if isinstance(tree, Logic):
        children = tuple(resolve_logic(child, resolver, slots) for child in tree.children)
        return Junctor(tree.operator, children, tree.negated)
    return resolve_filter(tree, resolver, next(slots))


def _resolve_order(term: OrderTerm, node: ReadNode, catalog: Catalog) -> ResolvedOrder:
    if term.relation is not None:
        field = Resolver(catalog, Name("", "")).field(Field(term.field.name, term.field.path))
        # A column of an embed's subquery: of a type that only that subquery knows.
        field = replace(field, to_json=False)
        return ResolvedOrder(field, term.direction, term.nulls, term.relation)
    field = Resolver(catalog, node.table).field(term.field)
    if node.depth and field.type == "json":
        field = replace(field, to_json=True)  # json itself has no order
    return ResolvedOrder(field, term.direction, term.nulls)


# --- max-rows ---------------------------------------------------------------------------------


def _restrict_ranges(root: ReadNode, max_rows: int | None) -> None:
    """No level gives more than `db-max-rows` rows."""
    for node in root.walk():
        node.range, node.max_rows = restricted(node.range, max_rows), max_rows
