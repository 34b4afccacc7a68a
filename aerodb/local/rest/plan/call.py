"""Function calls as plans (wire contract §3.1, rpc)."""

from __future__ import annotations

from dataclasses import dataclass

from aerodb.local.rest.ast import Action, Request
from aerodb.local.rest.catalog import Parameter, Routine
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.plan.mutate import needed_columns
from aerodb.local.rest.plan.slots import begins_as_object, given_arguments
from aerodb.local.rest.plan.tree import Condition, ConditionTree, Junctor, ReadNode


@dataclass(frozen=True, slots=True)
class Call:
    """A call with the parameters that are given.

    `body` is the one unnamed parameter that the whole payload is for. `direct` says that arguments
    come from the query string or a form, otherwise they are the members of a JSON payload, which
    is an object if `single`.
    """

    routine: Routine
    parameters: tuple[Parameter, ...]
    body: Parameter | None
    direct: bool
    given: frozenset[str]
    single: bool
    returned: tuple[str, ...]


def argument_names(request: Request) -> frozenset[str]:
    """The names by which an overload is chosen."""
    if request.action is Action.CALL:
        return request.payload_columns
    return frozenset(name for name, _ in request.query.params)


def plan_call(request: Request, routine: Routine, tree: ReadNode) -> Call:
    """The call of `routine` that a request means."""
    given = argument_names(request)
    parameters = tuple(one for one in routine.parameters if one.name in given)
    body: Parameter | None = None
    if len(routine.parameters) == 1 and not routine.parameters[0].name:
        body = routine.parameters[0]
    payload = request.payload
    form = payload is not None and payload.kind == "urlencoded"
    returned = needed_columns(tree, ())
    if returned and returned != ("*",):
        returned = tuple(sorted({*returned, *_condition_fields(tree.where)}))
    return Call(
        routine,
        parameters,
        body,
        direct=request.action is not Action.CALL or form,
        given=frozenset(name for name, _ in given_arguments(request)),
        single=begins_as_object(payload),
        returned=returned,
    )


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


def _condition_fields(conditions: list[ConditionTree]) -> set[str]:
    names: set[str] = set()
    for condition in conditions:
        if isinstance(condition, Junctor):
            names |= _condition_fields(list(condition.children))
        elif isinstance(condition, Condition):
            names.add(condition.field.name)
    return names
