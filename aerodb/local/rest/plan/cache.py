"""Plans by the shape of their requests.

Two requests have the same shape when they differ only in values that are parameters: what filters
compare with, limits and offsets, arguments and payloads. What else a plan depends on is in the
key. Errors are not kept: they are made anew, with the request's own words.
"""

from __future__ import annotations

from collections.abc import Hashable

from aerodb.local.rest.ast import Filter, Fts, In, Is, LogicTree, Op, Operation, Range, Request
from aerodb.local.rest.catalog import Catalog
from aerodb.local.rest.plan.planner import Plan, make_plan
from aerodb.local.rest.plan.slots import begins_as_object, given_arguments
from aerodb.local.rest.plan.statement import Statement
from aerodb.local.settings import RestSettings

_MAXIMUM_TEXT = 20_000
"""Longer statements and keys are not kept: a client could fill the memory with them."""


class Planner:
    """Plans requests against one catalog and keeps the plans, the oldest forgotten first."""

    def __init__(self, catalog: Catalog, settings: RestSettings, size: int = 512) -> None:
        self._catalog = catalog
        self._settings = settings
        self._size = size
        self._plans: dict[Hashable, Plan] = {}

    def __len__(self) -> int:
        return len(self._plans)

    def plan_request(self, request: Request) -> Statement:
        """What `plan.plan_request` gives for this request."""
        key = shape(request)
        plan = self._plans.get(key)
        if plan is None:
            plan = make_plan(request, self._catalog, self._settings)
            asked = sum(map(len, request.accept)) + len(request.content_type)
            if len(plan.statement.sql) + asked <= _MAXIMUM_TEXT:
                while len(self._plans) >= self._size:
                    del self._plans[next(iter(self._plans))]
                self._plans[key] = plan
        return plan.bind(request)


def shape(request: Request) -> Hashable:
    """All that a plan depends on, besides the catalog and the settings."""
    query, preferences = request.query, request.preferences
    return (
        request.action,
        request.target,
        request.headers_only,
        request.accept,
        request.content_type,
        query.select,
        query.order,
        query.on_conflict,
        query.filter_fields,
        tuple([_filter(one) for one in query.filters_root]),
        tuple([(path, _filter(one)) for path, one in query.filters_not_root]),
        tuple([(path, _logic(tree)) for path, tree in query.logic]),
        _range(request.top_range),
        tuple([(path, _range(one)) for path, one in query.ranges.items()]),
        preferences.representation,
        preferences.count,
        preferences.resolution,
        preferences.missing,
        preferences.handling,
        preferences.max_affected,
        bool(preferences.invalid),
        request.payload_columns,
        request.payload is not None and request.payload.kind,
        begins_as_object(request.payload),
        frozenset([name for name, _ in given_arguments(request)]),
    )


def _filter(found: Filter) -> Hashable:
    return found.field, found.negated, _operation(found.operation)


def _operation(operation: Operation) -> Hashable:
    match operation:
        case Op():
            return operation.name, operation.quantifier
        case In():
            return "in", operation.values == ("",)
        case Is():
            return "is", operation.value
        case Fts():
            return operation.name, operation.language
        case _:
            return "isdistinct"


def _logic(tree: LogicTree) -> Hashable:
    if isinstance(tree, Filter):
        return _filter(tree)
    return tree.operator, tree.negated, tuple([_logic(child) for child in tree.children])


def _range(bounds: Range) -> Hashable:
    """Whether there are bounds at all, and an upper one."""
    return bounds.limit is None, bounds.limit is None and bounds.offset == 0
