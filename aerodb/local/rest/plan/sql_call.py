"""A function call as a query of its result."""

from __future__ import annotations

from aerodb.local.rest.ast import Name
from aerodb.local.rest.catalog import Parameter
from aerodb.local.rest.plan.call import Call
from aerodb.local.rest.plan.slots import (
    ArgumentList,
    ArgumentsJson,
    ArgumentText,
    PayloadBytes,
    PayloadText,
)
from aerodb.local.rest.plan.sql_body import is_scalar, is_set_of_scalar
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
    type_name,
)
from aerodb.local.rest.plan.sql_json import BODY, from_payload
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
    if plan.body is not None:
        return sql("FROM ") + _invocation(plan, _body_argument(plan, plan.body))
    if not plan.parameters:
        return sql("FROM ") + _invocation(plan, EMPTY)
    if plan.direct:
        arguments = [_direct_argument(plan, one) for one in plan.parameters]
        return sql("FROM ") + _invocation(plan, join(", ", arguments))
    fields = tuple(ResolvedField(one.name, type=one.type_max_length) for one in plan.parameters)
    arguments = [concat(_named(one), column(BODY, one.name)) for one in plan.parameters]
    return concat(
        from_payload(fields, single=plan.single, limit_one=True),
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


def _direct_argument(plan: Call, parameter: Parameter) -> Fragment:
    value = sql("NULL")
    if parameter.name in plan.given:
        slots = ArgumentList if parameter.variadic else ArgumentText
        value = param(slots(parameter.name))
    return concat(_named(parameter), value, sql("::"), type_name(parameter.type_max_length))


def _body_argument(plan: Call, parameter: Parameter) -> Fragment:
    if parameter.type == "bytea":
        return param(PayloadBytes())
    value = param(ArgumentsJson() if plan.direct else PayloadText())
    return concat(value, sql("::"), type_name(parameter.type))
