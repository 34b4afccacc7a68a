"""Order, limits, counting and everything else that shapes the answer, as steps of a query."""

from __future__ import annotations

from operator import index
from typing import Any, Literal, TypeVar

from aerodb._core.database.chain import Chain
from aerodb._core.database.columns import order_term
from aerodb._core.database.percent import percent
from aerodb._core.database.plan import Plan, Step, encoded_key
from aerodb._core.headers import header_problem
from aerodb._core.options import seconds
from aerodb._core.retry import RetryChoice, idempotency_key_problem
from aerodb._core.values import BadValue, describe

__all__ = ["CountMode", "Modifiers", "Returning"]

CountMode = Literal["exact", "planned", "estimated"]
Returning = Literal["representation", "minimal", "headers-only"]

_MAX_NUMBER = 2**63 - 1  # bigint, which LIMIT and OFFSET are

_TERMS: dict[str | tuple[str, bool | None, bool | None, bool | None], str] = {}
_TERMS_LIMIT = 1024


def number(value: Any, what: str) -> int:
    """A whole number that PostgreSQL's bigint can hold, not negative."""
    if type(value) is int and 0 <= value <= _MAX_NUMBER:
        return value
    try:
        found = index(value)
    except TypeError:
        found = -1
    if isinstance(value, bool) or not 0 <= found <= _MAX_NUMBER:
        raise BadValue(f"{what}: {describe(value)} was given, expected an int from 0 to 2**63-1")
    return found


def choice(value: Any, allowed: tuple[str, ...], what: str) -> str:
    """One of the words that the server knows; an enum of them will do."""
    text = getattr(value, "value", value)
    if not isinstance(text, str) or text not in allowed:
        raise BadValue(f"{what}: {describe(value)} was given, expected one of {', '.join(allowed)}")
    return str.__str__(text)


def assign(plan: Plan, step: Step) -> None:
    """Set one attribute of the plan."""
    setattr(plan, step[2], step[3])


def order(plan: Plan, step: Step) -> None:
    """Apply `order`."""
    _, _, column, ascending, desc, nulls_first, table = step
    said: Any = column
    if ascending is not None or desc is not None or nulls_first is not None:
        _check_flag(ascending, "ascending")
        _check_flag(desc, "desc")
        _check_flag(nulls_first, "nulls_first")
        said = column, ascending, desc, nulls_first
    # Texts only are remembered: other things may have an `==` of their own, as `col()` has.
    term = _TERMS.get(said) if type(column) is str else None
    if term is None:
        term = _order_term(column, ascending, desc, nulls_first)
        if type(column) is str:
            if len(_TERMS) >= _TERMS_LIMIT:
                _TERMS.clear()
            _TERMS[said] = term
    plan.add_order(f"{encoded_key(table)[0]}.order" if table else "order", term)


def _order_term(
    column: Any, ascending: bool | None, desc: bool | None, nulls_first: bool | None
) -> str:
    """The term, ready for the URL."""
    if ascending is not None and desc is not None and ascending is desc:
        raise BadValue("order: ascending= and desc= contradict each other")
    up = ascending if desc is None else not desc
    if isinstance(column, str) and column.startswith("-") and len(column) > 1:
        if up is not None:
            raise BadValue(f"order: {column!r} says the direction, and so does a keyword")
        column, up = column[1:], False
    return percent(order_term(column, up is not False, nulls_first))


def _check_flag(value: Any, what: str) -> None:
    """Only True and False are directions: `"desc"` and a second column would count as true."""
    if not (value is None or value is True or value is False):
        raise BadValue(
            f"order: {what}: {describe(value)} was given, expected True or False",
            hint="order() takes one column, call it once for each; descending is desc=True.",
        )


def limit(plan: Plan, step: Step) -> None:
    """Apply `limit`."""
    _, _, count, table = step
    count = number(count, "limit")
    if table:
        plan.set_range(f"{encoded_key(table)[0]}.limit", count)
    else:
        plan.limit = count


def offset(plan: Plan, step: Step) -> None:
    """Apply `offset`."""
    _, _, count, table = step
    count = number(count, "offset")
    if table:
        plan.set_range(f"{encoded_key(table)[0]}.offset", count)
    else:
        plan.offset = count


def row_range(plan: Plan, step: Step) -> None:
    """Apply `range`."""
    _, _, start, end, table = step
    first, last = number(start, "range"), number(end, "range")
    if last < first:
        raise BadValue(f"range: {first}-{last} was given, expected start <= end (both included)")
    offset(plan, (None, None, first, table))
    limit(plan, (None, None, last - first + 1, table))


def counted(plan: Plan, step: Step) -> None:
    """Ask for a total."""
    if step[2] is not None:
        plan.count = choice(step[2], ("exact", "planned", "estimated"), "count")


def returning(plan: Plan, step: Step) -> None:
    """Apply `returning`."""
    if step[2] is not None:
        words = ("representation", "minimal", "headers-only")
        plan.returning = choice(step[2], words, "returning")


def max_affected(plan: Plan, step: Step) -> None:
    """Apply `max_affected`."""
    if step[2] is not None:
        plan.max_affected = number(step[2], "max_affected")


def expect_rows(plan: Plan, step: Step) -> None:
    """Apply `expect_rows`."""
    plan.expect_rows = number(step[2], "expect_rows")


def header(plan: Plan, step: Step) -> None:
    """Apply `header`."""
    _, _, name, value = step
    problem = header_problem(name, value)
    if problem:
        raise BadValue(problem)
    kept = tuple(pair for pair in plan.headers if pair[0].lower() != name.lower())
    plan.headers = (*kept, (name, value))


def prefer(plan: Plan, step: Step) -> None:
    """Apply `prefer`."""
    for name, value in step[2].items():
        text = f"{name.replace('_', '-')}={value}"
        if header_problem("Prefer", text) or "," in text:
            raise BadValue(f"prefer: {text!a} was given, expected name=value without commas")
        plan.preferences = (*plan.preferences, (name.replace("_", "-"), text))


def timeout(plan: Plan, step: Step) -> None:
    """Apply `timeout`."""
    try:
        plan.timeout = seconds("timeout", step[2])
    except (TypeError, ValueError) as problem:
        raise BadValue(str(problem)) from None


def idempotency_key(plan: Plan, step: Step) -> None:
    """Apply `idempotency_key`."""
    key = step[2]
    problem = None if key is None else idempotency_key_problem(key)
    if problem:
        raise BadValue(problem)
    plan.keyed, plan.idempotency_key = True, key


def retry(plan: Plan, step: Step) -> None:
    """Apply `retry`."""
    mode: Any = choice(step[2], ("default", "ambiguous", "never"), "retry")
    plan.retry = mode


Query = TypeVar("Query", bound="Modifiers")
"""Not `Self`: completion by jedi takes that for the class where it stands."""


class Modifiers(Chain):
    """What shapes the answer. Each method gives a new query."""

    __slots__ = ()

    def order(
        self: Query,
        column: Any,
        ascending: bool | None = None,
        *,
        desc: bool | None = None,
        nulls_first: bool | None = None,
        nullsfirst: bool | None = None,
        foreign_table: str | None = None,
        reference_table: str | None = None,
        referenced_table: str | None = None,
    ) -> Query:
        """Sort by a column; further calls sort what is equal.

        Args:
            column: A column, `"-column"` for descending, or `"table(column)"` of a to-one relation.
            ascending: False for descending. `desc=True` says the same.
            nulls_first: Where NULLs go; unsaid, PostgreSQL puts them last if ascending.
            foreign_table: Sort the rows of an embedded table instead.
        """
        nulls = nullsfirst if nulls_first is None else nulls_first
        table = foreign_table or reference_table or referenced_table
        return self._add((self._steps, order, column, ascending, desc, nulls, table))

    def limit(
        self: Query,
        count: int,
        *,
        foreign_table: str | None = None,
        reference_table: str | None = None,
        referenced_table: str | None = None,
    ) -> Query:
        """At most so many rows, of this table or of an embedded one."""
        table = foreign_table or reference_table or referenced_table
        return self._add((self._steps, limit, count, table))

    def offset(
        self: Query,
        count: int,
        *,
        foreign_table: str | None = None,
        reference_table: str | None = None,
        referenced_table: str | None = None,
    ) -> Query:
        """Leave out the first so many rows."""
        table = foreign_table or reference_table or referenced_table
        return self._add((self._steps, offset, count, table))

    def range(
        self: Query,
        start: int,
        end: int,
        foreign_table: str | None = None,
        *,
        reference_table: str | None = None,
        referenced_table: str | None = None,
    ) -> Query:
        """Rows number `start` to `end`, both included, counted from 0."""
        table = foreign_table or reference_table or referenced_table
        return self._add((self._steps, row_range, start, end, table))

    def returning(self: Query, mode: Returning) -> Query:
        """What a write answers with: the rows, nothing, or only headers."""
        return self._add((self._steps, returning, mode))

    def max_affected(self: Query, value: int) -> Query:
        """Refuse, on the server, a write that would touch more rows than this."""
        return self._add((self._steps, max_affected, value))

    def expect_rows(self: Query, count: int = 1) -> Query:
        """Make it an error (`NO_ROWS_AFFECTED`) if a write touched fewer rows than this.

        Row-level security hides rows without a word; this tells.
        """
        return self._add((self._steps, expect_rows, count))

    def all_rows(self: Query) -> Query:
        """Allow an update or delete that has no filter."""
        return self._add((self._steps, assign, "all_rows", True))

    def strip_nulls(self: Query) -> Query:
        """Leave members that are null out of the rows."""
        return self._add((self._steps, assign, "strip_nulls", True))

    def rollback(self: Query) -> Query:
        """Do it, answer, and undo it. Servers may not allow that: then `meta.warnings` says so."""
        return self._add((self._steps, assign, "rollback", True))

    def header(self: Query, name: str, value: str) -> Query:
        """Send one more header with this query."""
        return self._add((self._steps, header, name, value))

    def prefer(self: Query, **preferences: str) -> Query:
        """Send one more preference: `prefer(timezone="Europe/Vienna")`."""
        return self._add((self._steps, prefer, preferences))

    def timeout(self: Query, seconds: float) -> Query:
        """Give this query its own total time instead of the client's."""
        return self._add((self._steps, timeout, seconds))

    def idempotency_key(self: Query, key: str | None = None) -> Query:
        """Have a write carried out once, however often it is sent (wire-contract §1.8).

        It goes with an `Idempotency-Key`, and is then repeated also after failures that leave open
        whether it was done, if the server honours such keys: it says so in `/health`, or
        `ClientOptions(idempotency_keys=True)` does. A read needs no key and sends none.

        Args:
            key: 1 to 255 visible ASCII characters, that name one operation for ever: executing the
                query again, even by another process, gives the answer of the first time. Batches of
                `insert_many()` add their number to it. None: each `execute()` makes a key of its
                own, the same for all its attempts.
        """
        return self._add((self._steps, idempotency_key, key))

    def retry(self: Query, mode: RetryChoice) -> Query:
        """Choose what this query is repeated after, within the client's `retries`.

        Args:
            mode: `"ambiguous"` repeats a write even when it may have been done already; `"never"`
                repeats nothing that may have reached the server; `"default"` repeats reads, and
                writes that were certainly not done.
        """
        return self._add((self._steps, retry, mode))
