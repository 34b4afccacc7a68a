"""Function calls as plans (wire contract §3.1, rpc)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from aerodb.local.rest.ast import Action, Payload, Request
from aerodb.local.rest.catalog import Parameter, Routine
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.plan.mutate import needed_columns
from aerodb.local.rest.plan.tree import Condition, ConditionTree, Junctor, ReadNode

DirectArguments = dict[str, str | tuple[str, ...]]
"""Arguments as text; several values for a variadic parameter."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call. `direct` is set for arguments from the query string or a form, otherwise `payload`
    is the JSON object of arguments, or the whole value of a `single` unnamed parameter."""

    routine: Routine
    parameters: tuple[Parameter, ...]
    single: Parameter | None
    direct: DirectArguments | None
    payload: Payload | None
    returned: tuple[str, ...]


def argument_names(request: Request) -> frozenset[str]:
    if request.action is Action.CALL:
        return request.payload_columns
    return frozenset(name for name, _ in request.query.params)


def plan_call(request: Request, routine: Routine, tree: ReadNode) -> Call:
    given = argument_names(request)
    parameters = tuple(one for one in routine.parameters if one.name in given)
    single: Parameter | None = None
    if len(routine.parameters) == 1 and not routine.parameters[0].name:
        single = routine.parameters[0]
    direct: DirectArguments | None = None
    if request.action is not Action.CALL:
        direct = _direct(routine, request.query.params)
    elif request.payload is not None and request.payload.kind == "urlencoded":
        direct = _direct(routine, request.payload.pairs)
    returned = needed_columns(tree, ())
    if returned and returned != ("*",):
        returned = tuple(sorted({*returned, *_condition_fields(tree.where)}))
    return Call(routine, parameters, single, direct, request.payload, returned)


def check_max_affected(request: Request, routine: Routine) -> None:
    """PGRST128: there is no number of rows to hold to a maximum."""
    preferences = request.preferences
    if preferences.max_affected is None or preferences.handling != "strict":
        return
    if not routine.returns.set_of:
        raise RestError(
            400,
            "PGRST128",
            "Function must return SETOF or TABLE when max-affected preference is used with "
            "handling=strict",
        )


def _direct(routine: Routine, pairs: tuple[tuple[str, str], ...]) -> DirectArguments:
    """The last of repeated arguments counts; a variadic one takes them all."""
    variadic = {one.name for one in routine.parameters if one.variadic}
    arguments: DirectArguments = {}
    for name, value in pairs:
        before = arguments.get(name, ())
        if name in variadic and isinstance(before, tuple):
            arguments[name] = (*before, value)
        else:
            arguments[name] = value
    return arguments


def direct_json(arguments: DirectArguments) -> str:
    return json.dumps(arguments, ensure_ascii=False)


def _condition_fields(conditions: list[ConditionTree]) -> set[str]:
    names: set[str] = set()
    for condition in conditions:
        if isinstance(condition, Junctor):
            names |= _condition_fields(list(condition.children))
        elif isinstance(condition, Condition):
            names.add(condition.field.name)
    return names
