"""`plan_request`: a parsed request to its statement."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aerodb.local.rest import ast
from aerodb.local.rest.ast import Action, Name
from aerodb.local.rest.catalog import Catalog, Routine, Table
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.plan.call import argument_names, check_max_affected, plan_call
from aerodb.local.rest.plan.mutate import Mutation, plan_mutation
from aerodb.local.rest.plan.negotiate import Negotiated, negotiate
from aerodb.local.rest.plan.read_tree import read_tree
from aerodb.local.rest.plan.slots import Constant, Slot, Source, bind
from aerodb.local.rest.plan.sql_body import (
    NO_INSERTED,
    NO_LOCATION,
    NOT_COUNTED,
    count_parts,
    outer_query,
    page_count_sql,
)
from aerodb.local.rest.plan.sql_call import call_sql
from aerodb.local.rest.plan.sql_fragments import EMPTY, Fragment, param, sql
from aerodb.local.rest.plan.sql_mutate import INSERTED, location_sql, mutation_sql
from aerodb.local.rest.plan.sql_read import count_query, read_query
from aerodb.local.rest.plan.statement import Statement, StatementKind
from aerodb.local.rest.plan.tree import ReadNode
from aerodb.local.rest.routines import find_routine
from aerodb.local.rest.suggestions import table_not_found
from aerodb.local.settings import RestSettings

_KINDS: dict[Action, StatementKind] = {
    Action.CREATE: "create",
    Action.UPDATE: "update",
    Action.UPSERT: "put",
    Action.DELETE: "delete",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement for every request of one shape: `bind` puts a request's values in."""

    statement: Statement
    slots: tuple[Slot, ...]
    explain_slots: tuple[Slot, ...] = ()

    def bind(self, request: ast.Request) -> Statement:
        """The statement with the values of a request of this shape."""
        source = Source(request)
        return replace(
            self.statement,
            params=bind(self.slots, source),
            explain_params=bind(self.explain_slots, source),
        )


def plan_request(request: ast.Request, catalog: Catalog, settings: RestSettings) -> Statement:
    """The statement of a request on a relation or a function.

    Raises RestError for what cannot be resolved or is not allowed: PGRST105, 107, 108, 118, 122,
    123, 127, 128 and 200 to 205 (wire contract §3.7).
    """
    return make_plan(request, catalog, settings).bind(request)


def make_plan(request: ast.Request, catalog: Catalog, settings: RestSettings) -> Plan:
    """The plan of a request's shape; raises what `plan_request` raises."""
    match request.action:
        case Action.READ:
            return _plan_read(request, catalog, settings)
        case Action.CALL | Action.CALL_READ | Action.INFO_ROUTINE:
            return _plan_call(request, catalog, settings)
        case Action.CREATE | Action.UPDATE | Action.UPSERT | Action.DELETE:
            return _plan_write(request, catalog, settings)
        case _:
            raise ValueError(f"{request.action} has no statement")


# --- read -------------------------------------------------------------------------------------


def _plan_read(request: ast.Request, catalog: Catalog, settings: RestSettings) -> Plan:
    table = _table(request.target, catalog)
    tree = read_tree(request, table.name, catalog, settings)
    negotiated = negotiate(request, table.name, catalog, settings, selects_whole_rows(tree))
    _check_preferences(request)
    counting = count_query(tree)
    statement = outer_query(
        read_query(tree),
        sql("SELECT * FROM pgrst_source"),
        negotiated.renderer,
        None,
        count=_counted(request, settings, counting, None),
        media=negotiated.media,
    )
    explain = EMPTY
    if request.preferences.count in ("planned", "estimated"):
        explain = sql("EXPLAIN (FORMAT JSON) ") + counting
    described = Statement(
        kind="read",
        sql=statement.text,
        params=(),
        read_only=True,
        target=table.name,
        media_type=negotiated.media.name,
        content_type=negotiated.media.content_type,
        singular=negotiated.media.kind == "object",
        is_explain=negotiated.media.kind == "plan",
        explain_sql=explain.text or None,
        table=table,
        legacy_names=tree.legacy_names(),
    )
    return Plan(described, statement.params, explain.params)


def _counted(
    request: ast.Request, settings: RestSettings, counting: Fragment, routine: Routine | None
) -> tuple[Fragment, Fragment]:
    preference, max_rows = request.preferences.count, settings.db_max_rows
    if preference not in ("exact", "estimated"):
        return EMPTY, NOT_COUNTED
    if preference == "estimated" and max_rows is not None and routine is None:
        # One more than max-rows is enough to know that the estimate is asked.
        counting = counting + sql(" LIMIT ") + param(Constant(str(max_rows + 1)))
    return count_parts(counting, page_count_sql(routine), request.top_range, max_rows)


def selects_whole_rows(tree: ReadNode) -> bool:
    """Whether nothing but `*` is selected."""
    return not tree.children and len(tree.select) == 1 and tree.select[0].field.name == "*"


def _table(target: Name, catalog: Catalog) -> Table:
    found = catalog.tables.get(target)
    if found is None:
        raise table_not_found(catalog, target)
    return found


def _check_preferences(request: ast.Request) -> None:
    preferences = request.preferences
    if preferences.invalid and preferences.handling == "strict":
        raise RestError(
            400,
            "PGRST122",
            "Invalid preferences given with handling=strict",
            f"Invalid preferences: {', '.join(preferences.invalid)}",
        )


# --- write ------------------------------------------------------------------------------------


def _plan_write(request: ast.Request, catalog: Catalog, settings: RestSettings) -> Plan:
    table = _table(request.target, catalog)
    tree = read_tree(request, table.name, catalog, settings)
    plan = plan_mutation(request, table, tree, catalog)
    _check_preferences(request)
    negotiated = negotiate(request, table.name, catalog, settings, selects_whole_rows(tree))
    counts_inserted = _counts_inserted(request, plan)
    rows = sql("SELECT * FROM pgrst_source")
    if negotiated.renderer.kind != "none":
        rows = read_query(tree)
    statement = outer_query(
        mutation_sql(plan),
        rows,
        negotiated.renderer,
        None,
        header=_location(request, plan),
        inserted=INSERTED if counts_inserted else NO_INSERTED,
        media=negotiated.media,
    )
    described = Statement(
        kind=_KINDS[request.action],
        sql=statement.text,
        params=(),
        read_only=False,
        target=table.name,
        media_type=negotiated.media.name,
        content_type=negotiated.media.content_type,
        singular=negotiated.media.kind == "object" and request.action is not Action.UPSERT,
        is_explain=negotiated.media.kind == "plan",
        table=table,
        counts_inserted=counts_inserted,
        resolution_applies=request.action is Action.CREATE
        and (bool(table.primary_key) or request.query.on_conflict is not None),
        max_affected=_max_affected(request),
        legacy_names=tree.legacy_names(),
        unfiltered=plan.kind != "insert" and not plan.where and not _sets_nothing(plan),
    )
    return Plan(described, statement.params)


def _sets_nothing(plan: Mutation) -> bool:
    return plan.kind == "update" and not plan.columns


def _counts_inserted(request: ast.Request, plan: Mutation) -> bool:
    merges = request.preferences.resolution == "merge-duplicates"
    return plan.kind == "insert" and (plan.is_put or merges)


def _location(request: ast.Request, plan: Mutation) -> Fragment:
    if plan.kind != "insert" or request.preferences.representation != "headers-only":
        return NO_LOCATION
    return location_sql(plan.table.primary_key)


def _max_affected(request: ast.Request) -> int | None:
    applies = request.action in (
        Action.UPDATE,
        Action.DELETE,
        Action.CALL,
        Action.CALL_READ,
    )
    strict = request.preferences.handling == "strict"
    return request.preferences.max_affected if applies and strict else None


# --- call -------------------------------------------------------------------------------------


def _plan_call(request: ast.Request, catalog: Catalog, settings: RestSettings) -> Plan:
    routine = find_routine(
        catalog,
        request.target,
        argument_names(request),
        content_type=request.content_type,
        is_get=request.action is not Action.CALL,
    )
    # The relation whose rows come back, so that they can embed others.
    name = routine.returns.type.name if routine.returns.composite else routine.name.name
    relation = Name(routine.name.schema, name)
    tree = read_tree(request, relation, catalog, settings)
    plan = plan_call(request, routine, tree)
    negotiated = negotiate(request, relation, catalog, settings, selects_whole_rows(tree))
    _check_preferences(request)
    check_max_affected(request, routine)
    if request.action is Action.INFO_ROUTINE:
        return _call_statement(request, routine, tree, EMPTY, negotiated, None)
    statement = outer_query(
        call_sql(plan),
        read_query(tree),
        negotiated.renderer,
        routine,
        count=_counted(request, settings, count_query(tree), routine),
        media=negotiated.media,
    )
    table = catalog.tables.get(relation)
    return _call_statement(request, routine, tree, statement, negotiated, table)


def _call_statement(
    request: ast.Request,
    routine: Routine,
    tree: ReadNode,
    statement: Fragment,
    negotiated: Negotiated,
    table: Table | None,
) -> Plan:
    described = Statement(
        kind="info" if request.action is Action.INFO_ROUTINE else "call",
        sql=statement.text,
        params=(),
        read_only=request.action is not Action.CALL or routine.volatility != "volatile",
        target=request.target,
        media_type=negotiated.media.name,
        content_type=negotiated.media.content_type,
        isolation=routine.isolation_level,
        settings=routine.settings,
        singular=negotiated.media.kind == "object",
        is_explain=negotiated.media.kind == "plan",
        table=table,
        routine=routine,
        returns_void=routine.returns.void,
        max_affected=_max_affected(request),
        legacy_names=tree.legacy_names(),
    )
    return Plan(described, statement.params)
