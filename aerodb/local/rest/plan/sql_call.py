"""A function call as a query of its result."""

from __future__ import annotations

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import Parameter
from aerodb.local.rest.plan.call import Call, DirectArguments, direct_json
from aerodb.local.rest.plan.sql_body import is_scalar, is_set_of_scalar
from aerodb.local.rest.plan.sql_fragments import (
    EMPTY,
    Fragment,
    column,
    concat,
    ident,
    join,
    param,
    param_bytes,
    param_list,
    qualified,
    sql,
    type_name,
)
from aerodb.local.rest.plan.sql_json import BODY, decode, from_payload
from aerodb.local.rest.plan.tree import ResolvedField

_RESULT = Name("", "pgrst_call")


def call_sql(plan: Call) -> Fragment:
    """The rows of the result; a scalar is the column `pgrst_scalar`."""
    routine = plan.routine
    if is_scalar(routine) or is_set_of_scalar(routine):
        columns = sql("pgrst_call.pgrst_scalar")
    elif plan.returned in ((), ("*",)):
        columns = sql("pgrst_call.*")
    else:
        columns = join(", ", (column(_RESULT, name) for name in plan.returned))
    return concat(sql("SELECT "), columns, sql(" "), _source(plan))


def _source(plan: Call) -> Fragment:
    if plan.single is not None:
        return sql("FROM ") + _invocation(plan, _single_argument(plan, plan.single))
    if not plan.parameters:
        return sql("FROM ") + _invocation(plan, EMPTY)
    if plan.direct is not None:
        arguments = [_direct_argument(one, plan.direct) for one in plan.parameters]
        return sql("FROM ") + _invocation(plan, join(", ", arguments))
    fields = tuple(ResolvedField(one.name, type=one.type_max_length) for one in plan.parameters)
    arguments = [concat(_named(one), column(BODY, one.name)) for one in plan.parameters]
    return concat(
        from_payload(plan.payload, fields, limit_one=True),
        sql(", LATERAL "),
        _invocation(plan, join(", ", arguments)),
    )


def _invocation(plan: Call, arguments: Fragment) -> Fragment:
    routine = plan.routine
    invoked = concat(qualified(routine.name), sql("("), arguments, sql(")"))
    if is_scalar(routine) or is_set_of_scalar(routine):
        return concat(sql("(SELECT "), invoked, sql(" pgrst_scalar) pgrst_call"))
    return invoked + sql(" pgrst_call")


def _named(parameter: Parameter) -> Fragment:
    prefix = sql("VARIADIC ") if parameter.variadic else EMPTY
    return concat(prefix, ident(parameter.name), sql(" := "))


def _direct_argument(parameter: Parameter, arguments: DirectArguments) -> Fragment:
    value = arguments.get(parameter.name)
    if value is None:
        shown = sql("NULL")
    elif isinstance(value, tuple):
        shown = param_list(value)
    else:
        shown = param(value)
    return concat(_named(parameter), shown, sql("::"), type_name(parameter.type_max_length))


def _single_argument(plan: Call, parameter: Parameter) -> Fragment:
    raw = plan.payload.raw if plan.payload is not None else None
    if parameter.type == "bytea":
        return param_bytes(raw)
    if plan.direct is not None:
        value = param(direct_json(plan.direct))
    elif raw is None:
        value = Fragment("%s", (None,))
    else:
        value = param(decode(raw))
    return concat(value, sql("::"), type_name(parameter.type))
