"""The verbs and the shape of the result, as steps. The twins wrap them to say the types."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from aerodb._core.database.columns import name_text
from aerodb._core.database.modifiers import choice, counted, max_affected, returning
from aerodb._core.database.plan import Plan, Step
from aerodb._core.frames.rows import frame_rows
from aerodb._core.values import BadValue, describe, kind_of
from aerodb.types import AeroDBResponse

__all__ = [
    "Unsent",
    "call_function",
    "batch_of",
    "count_only",
    "explain",
    "note_use",
    "one_column",
    "open_table",
    "reason_only",
    "row_shape",
    "select",
    "snapshot",
    "write_step",
]


def open_table(plan: Plan, step: Step) -> None:
    """Begin with a table."""
    _, _, plan.name, plan.row_type = step


def call_function(plan: Plan, step: Step) -> None:
    """Begin with a function."""
    _, _, plan.name, plan.arguments, get, head, count, plan.returns = step
    plan.verb, plan.mode = "rpc", "value"
    plan.get, plan.head = bool(get), bool(head)
    counted(plan, (None, None, count))


def select(plan: Plan, step: Step) -> None:
    """Apply `select`."""
    _, _, columns, count, head = step
    plan.columns = columns
    if count is not None:
        counted(plan, (None, None, count))
    if head:
        plan.head = True
    if plan.returning is not None:
        plan.returning = "representation"


def row_shape(plan: Plan, step: Step) -> None:
    """Apply `single`, `maybe_single` and `returns`."""
    _, _, mode, row_type = step
    if mode is not None:
        plan.mode = mode
    if row_type is not None:
        plan.row_type = row_type
        plan.returns = row_type if plan.verb == "rpc" else None


class Unsent:
    """Warns if a write was described and then forgotten: the usual slip is a missing `await` or
    `.execute()`.

    It lives in the step that all queries made from that write share, so it goes when the last of
    them goes, and reads have none. Looking at a query (`repr`, `to_request`) counts as use.
    """

    __slots__ = ("used", "verb")

    def __init__(self, verb: str) -> None:
        self.verb = verb
        self.used = False

    def __del__(self) -> None:
        if not self.used and not sys.is_finalizing():
            # what Python gives for a forgotten coroutine: it is shown unless filtered out
            message = (
                f"{self.verb}() was never executed, nothing was sent: call .execute(), "
                "and await it in async code"
            )
            warnings.warn(message, RuntimeWarning, stacklevel=2)


def note_use(steps: list[Step]) -> None:
    """A query that failed before its write was applied was executed all the same."""
    for step in steps:
        if isinstance(step[-1], Unsent):
            step[-1].used = True


def write_step(before: Step, verb: str, values: Any, options: dict[str, Any]) -> Step:
    """The step of a write, made when its method is called."""
    return (before, write, verb, snapshot(values), options, Unsent(verb))


def write(plan: Plan, step: Step) -> None:
    """Apply `insert`, `upsert`, `update` and `delete`."""
    _, _, verb, values, options, unsent = step
    unsent.used = True
    if plan.verb == "rpc":
        raise BadValue(f"{verb} was called on rpc(), expected filters and modifiers only")
    if plan.verb not in ("select", verb):
        raise BadValue(f"{plan.verb} and {verb} were both called, expected one of them")
    plan.verb, plan.values = verb, values
    returning(plan, (None, None, options.get("returning")))
    counted(plan, (None, None, options.get("count")))
    max_affected(plan, (None, None, options.get("max_affected")))
    plan.returning = plan.returning or "representation"
    plan.default_to_null = options.get("default_to_null", True)
    if verb == "upsert":
        plan.ignore_duplicates = bool(options.get("ignore_duplicates"))
        plan.on_conflict = conflict_target(options.get("on_conflict"))


def conflict_target(columns: Any) -> str | None:
    """The columns of `on_conflict`: a list of names, or one text with commas."""
    if columns is None or (isinstance(columns, str) and not columns.strip()):
        return None
    if isinstance(columns, str):
        columns = [part.strip() for part in columns.split(",")] if '"' not in columns else columns
    if isinstance(columns, str):
        return columns.strip()
    if isinstance(columns, Iterable) and not isinstance(columns, Mapping):
        names = [name_text(name) if isinstance(name, str) else None for name in columns]
        if names and all(names):
            return ",".join(str(name) for name in names)
    raise BadValue(f"on_conflict: {describe(columns)} was given, expected column names")


def snapshot(values: Any) -> Any:
    """What a write keeps of its argument, so that changing a dict later changes no query."""
    if isinstance(values, dict):
        return dict(values)
    if isinstance(values, (str, bytes, AeroDBResponse)) or kind_of(values) == "model":
        return values
    values = frame_rows(values)
    if isinstance(values, Iterable) and not isinstance(values, Mapping):
        return [dict(row) if type(row) is dict else row for row in values]
    return values


def count_only(plan: Plan, step: Step) -> None:
    """Ask for the number of rows and nothing else: of all that match, whatever the page."""
    if plan.verb not in ("select", "rpc"):
        raise BadValue(f"count() was called on {plan.verb}, expected a read")
    counted(plan, (None, None, step[2]))
    plan.head, plan.mode = True, "list"
    plan.limit = plan.offset = None


def reason_only(plan: Plan, step: Step) -> None:
    """Ask what HEAD asked by GET, for the body of the error alone: no row is fetched."""
    plan.head, plan.get, plan.mode = False, True, "list"
    plan.row_type = plan.returns = plan.count = plan.offset = None
    plan.limit = 0


def batch_of(plan: Plan, step: Step) -> None:
    """The so-many-th batch of an operation: a key that names the operation names each batch."""
    if plan.idempotency_key is not None:
        plan.idempotency_key += f".{step[2]}"


def one_column(plan: Plan, step: Step) -> None:
    """Select one column, as values."""
    plan.columns = (step[2],)
    plan.row_type = plan.returns = None


EXPLAIN_OPTIONS = ("analyze", "verbose", "settings", "buffers", "wal")


def explain(plan: Plan, step: Step) -> None:
    """Ask for the plan instead of the rows."""
    _, _, wanted, form = step
    options = "|".join(name for name in EXPLAIN_OPTIONS if wanted.get(name))
    plan.explain = choice(form, ("text", "json"), "format"), options
