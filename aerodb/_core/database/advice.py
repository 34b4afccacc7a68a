"""What to do about an error that only who knows the query can advise on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from aerodb._core.database.plan import Plan
from aerodb._core.http import RawResponse
from aerodb._dataclass import replace
from aerodb.types import AeroDBError

__all__ = ["advice", "means_all"]

Complete = Callable[[AeroDBError, RawResponse, Sequence[str]], AeroDBError]


def means_all(plan: Plan) -> bool:
    """Whether a write of a whole table was asked for."""
    return plan.all_rows and not plan.filtered and plan.verb in ("update", "delete")


def advice(plan: Plan) -> Complete | None:
    """What completes the errors of a query: hints by code. None if there is nothing to add."""
    if not (plan.all_rows or plan.values is not None or "." in plan.name):
        return None  # as a rule: this is asked for every query
    hints: dict[str, str] = {}
    if means_all(plan):
        hints["21000"] = (  # a guard such as pg-safeupdate
            "This server changes no table without a filter: add one that every row meets, "
            "such as .is_('id', 'not_null') on the primary key."
        )
    if "." in plan.name:
        schema, _, name = plan.name.partition(".")
        way = f"client.schema({schema!r})"
        hints["PGRST205"] = f"A schema is not part of a table's name: {way}.from_({name!r})."
        hints["PGRST202"] = f"A schema is not part of a function's name: {way}.rpc({name!r})."
    if plan.default_to_null and any(pair.startswith("columns=") for pair in plan.pairs):
        hints["23502"] = (
            "Columns that only some of the rows have were sent as null: "
            "default_to_null=False gives them their default."
        )
    return partial(_completed, hints) if hints else None


def _completed(
    hints: dict[str, str], error: AeroDBError, raw: RawResponse, secrets: Any
) -> AeroDBError:
    hint = hints.get(error.code or "")
    return error if hint is None else replace(error, hint=hint)
