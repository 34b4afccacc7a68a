"""What a query must be to give a table of typed columns, and what is known of it before it runs."""

from __future__ import annotations

from typing import NamedTuple

from aerodb._core.database.chain import Chain
from aerodb._core.database.columns import select_list
from aerodb._core.database.plan import Plan, Step
from aerodb._core.database.render import plan_of
from aerodb._core.values import BadValue

__all__ = ["Asked", "as_rows", "asked_of"]


class Asked(NamedTuple):
    """The table a query asks, and its select list; no table if the answer is a function's."""

    table: str | None
    select: str


def asked_of(query: Chain) -> Asked:
    """What a query asks for. One that cannot be sent says why when it is."""
    try:
        plan = plan_of(query)
        table = plan.name if plan.verb != "rpc" and isinstance(plan.name, str) else None
        return Asked(table, select_list(plan.columns or ()))
    except BadValue:
        return Asked(None, "*")


def as_rows(plan: Plan, step: Step) -> None:
    """Rows as the server sends them: no row type; with all digits if the step says so."""
    if plan.mode in ("csv", "geojson", "plan"):
        raise BadValue(f"{plan.mode} was asked for, expected rows")
    plan.row_type = plan.returns = None
    plan.exact = step[2]
