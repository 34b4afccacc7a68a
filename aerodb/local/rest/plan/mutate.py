"""Writes: INSERT, UPDATE, upsert and DELETE as plans (wire contract §3.1, §3.3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import Literal

from aerodb.local.rest.ast import Action, Filter, Op, QueryParams, Request
from aerodb.local.rest.catalog import Catalog, ComputedRelationship, Table
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.plan.read_tree import resolve_filter, resolve_logic
from aerodb.local.rest.plan.representations import Resolver
from aerodb.local.rest.plan.slots import begins_as_object, numbered_filters, numbered_logic
from aerodb.local.rest.plan.tree import ConditionTree, ReadNode, ResolvedField

Resolution = Literal["merge-duplicates", "ignore-duplicates"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """`ON CONFLICT(columns)`; `columns` is empty for a table without a primary key: no clause."""

    resolution: Resolution
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A write of one table from a payload, which is an object if `single`.

    `where` of an insert is PUT's: what the payload must be equal to.
    """

    kind: Literal["insert", "update", "delete"]
    table: Table
    columns: tuple[ResolvedField, ...] = ()
    single: bool = True
    conflict: Conflict | None = None
    where: tuple[ConditionTree, ...] = ()
    returning: tuple[str, ...] = ()
    apply_defaults: bool = False
    is_put: bool = False


def plan_mutation(request: Request, table: Table, tree: ReadNode, catalog: Catalog) -> Mutation:
    """The write of a request; PGRST204 for an unknown column, PGRST105 for a PUT that does not name
    one row by its primary key."""
    query, preferences = request.query, request.preferences
    resolver = Resolver(catalog, table.name)
    where = _root_conditions(query, resolver)
    returning: tuple[str, ...] = ()
    if preferences.representation in ("representation", "headers-only"):
        returning = needed_columns(tree, table.primary_key)
    plan = Mutation("delete", table, where=where, returning=returning)
    if request.action is Action.DELETE:
        return plan
    if request.action is Action.UPSERT and not _names_one_row(request, table):
        raise RestError(
            405,
            "PGRST105",
            "Filters must include all and only primary key columns with 'eq' operators",
        )
    columns = tuple(resolver.payload_field(table, name) for name in sorted(request.payload_columns))
    plan = replace(plan, columns=columns, single=begins_as_object(request.payload))
    defaults = preferences.missing == "default"
    if request.action is Action.UPDATE:
        return replace(plan, kind="update", apply_defaults=defaults)
    if request.action is Action.UPSERT:
        conflict = Conflict("merge-duplicates", table.primary_key)
        return replace(plan, kind="insert", conflict=conflict, is_put=True)
    conflict_on = query.on_conflict if query.on_conflict is not None else table.primary_key
    resolution = preferences.resolution
    return replace(
        plan,
        kind="insert",
        where=(),
        conflict=Conflict(resolution, conflict_on) if resolution else None,
        apply_defaults=defaults,
    )


def _root_conditions(query: QueryParams, resolver: Resolver) -> tuple[ConditionTree, ...]:
    filters = [
        resolve_filter(found, resolver, slot)
        for slot, path, found in numbered_filters(query)
        if not path
    ]
    logic = [
        resolve_logic(found, resolver, count(slot))
        for slot, path, found in numbered_logic(query)
        if not path
    ]
    return (*filters, *logic)


def _names_one_row(request: Request, table: Table) -> bool:
    query = request.query
    return (
        not query.logic
        and bool(table.primary_key)
        and query.filter_fields == frozenset(table.primary_key)
        and all(_is_plain_equality(one) for one in query.filters_root)
    )


def _is_plain_equality(found: Filter) -> bool:
    operation = found.operation
    return (
        isinstance(operation, Op)
        and operation.name == "eq"
        and operation.quantifier is None
        and not found.negated
    )


def needed_columns(tree: ReadNode, keys: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that a write or a call must return for its tree to be read: those selected and
    ordered by, those that embeds join on, and `keys`; `*` when all are asked for, or when a
    computed relationship needs the row."""
    names = {selected.field.name for selected in tree.select}
    if "*" in names:
        return ("*",)
    names |= {term.field.name for term in tree.order if term.relation is None}
    for child in tree.children:
        found = child.relationship
        if isinstance(found, ComputedRelationship):
            return ("*",)
        if found is not None:
            pairs = found.junction.source_columns if found.junction else found.columns
            names |= {own for own, _ in pairs}
    return tuple(sorted(names | set(keys)))
