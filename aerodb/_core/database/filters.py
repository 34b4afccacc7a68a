"""The filters of a query: one method an operator, each gives a new query.

Values are data: whatever they hold, they add no operator and no column (wire-contract §1.9 S11).
Nothing here looks at a value; a bad one is reported when the query is executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, overload

from aerodb._core.database.chain import Chain
from aerodb._core.database.expressions import Condition, Group, Leaf, condition_of, kept
from aerodb._core.database.operands import IsValue, checked_operator
from aerodb._core.database.percent import percent
from aerodb._core.database.plan import Plan, Step
from aerodb._core.values import BadValue, describe

__all__ = ["Filters"]

_unsaid: Any = object()


def compare(plan: Plan, step: Step) -> None:
    """Apply one comparison."""
    _, _, operator, column, value = step
    plan.add_leaf(column, operator, value, plan.negate)
    plan.negate = False


def compare_not_in(plan: Plan, step: Step) -> None:
    """Apply `not_in`."""
    _, _, column, values = step
    plan.add_leaf(column, "in", values, not plan.take_negation())


def compare_checked(plan: Plan, step: Step) -> None:
    """Apply a comparison whose operator the user wrote."""
    _, _, column, operator, value, raw = step
    name, negated = checked_operator(operator, plan.take_negation())
    if (raw and isinstance(value, str) and name == "in") or (
        name.endswith(("(any)", "(all)")) and isinstance(value, str)
    ):
        plan.add_literal(column, f"{'not.' if negated else ''}{name}.", value)
    else:
        plan.add_leaf(column, name, value, negated)


def search(plan: Plan, step: Step) -> None:
    """Apply `text_search`."""
    _, _, column, query, options, kind, config = step
    given = {} if options is None else options
    if not isinstance(given, Mapping) or not given.keys() <= {"type", "config"}:
        raise BadValue(
            f"text_search: options: {describe(given)} was given, "
            "expected a mapping of 'type' and 'config'"
        )
    value = query, kind or given.get("type"), config or given.get("config")
    plan.add_leaf(column, "@fts", value, plan.take_negation())


def negate(plan: Plan, _step: Step) -> None:
    """Apply `not_`."""
    plan.negate = not plan.negate


def conditions(plan: Plan, step: Step) -> None:
    """Apply `where`, `or_`, `and_`."""
    _, _, operator, members, table = step
    if operator and table is None and len(members) == 2 and _is_table(members[1]):
        members, table = members[:1], members[1]
    found = tuple(condition_of(member) for member in members)
    negated = plan.take_negation()
    group = Group(operator or "and", found, negated)
    if operator is None and len(found) == 1:
        plan.add_condition(~found[0] if negated else found[0])
    elif operator is None:
        plan.add_condition(group)
    else:
        plan.add_group(group, table)


def between(plan: Plan, step: Step) -> None:
    """Apply `between`."""
    _, _, column, low, high = step
    ends = (Leaf(column, "gte", low), Leaf(column, "lte", high))
    plan.add_condition(Group("and", ends, plan.take_negation()))


def match(plan: Plan, step: Step) -> None:
    """Apply `match`."""
    _, _, query = step
    if not isinstance(query, Mapping) or not query:
        raise BadValue(f"match: {type(query).__name__} was given, expected a mapping of columns")
    leaves = tuple(Leaf(column, "eq", value) for column, value in query.items())
    plan.add_condition(Group("and", leaves, plan.take_negation()))


def raw_filter(plan: Plan, step: Step) -> None:
    """Apply `raw_filter`."""
    _, _, key, value = step
    if not isinstance(key, str) or not isinstance(value, str):
        raise BadValue("raw_filter: expected the key and the value as text")
    plan.filtered = plan.filtered or ("." not in key and key not in _NO_FILTERS)
    plan.pairs.append(f"{percent(key)}={percent(value)}")


_NO_FILTERS = ("select", "columns", "on_conflict", "order", "limit", "offset")
_TABLE = re.compile(r"\w+(?:\.\w+)?").fullmatch


def _is_table(member: Any) -> bool:
    """Whether this is what postgrest-py takes in second place, its `reference_table`: no condition
    is as short, it is `column.operator.value`."""
    return isinstance(member, str) and _TABLE(member) is not None


Query = TypeVar("Query", bound="Filters")
"""Not `Self`: completion by jedi takes that for the class where it stands."""


class Filters(Chain):
    """The filter methods, the same on every kind of query, before or after its verb."""

    __slots__ = ()

    # --- comparisons

    def eq(self: Query, column: str, value: Any) -> Query:
        """`column = value`. `None` becomes `IS NULL`."""
        return self._add((self._steps, compare, "eq", column, value))

    def neq(self: Query, column: str, value: Any) -> Query:
        """`column <> value`. `None` becomes `IS NOT NULL`."""
        return self._add((self._steps, compare, "neq", column, value))

    def gt(self: Query, column: str, value: Any) -> Query:
        """`column > value`."""
        return self._add((self._steps, compare, "gt", column, value))

    def gte(self: Query, column: str, value: Any) -> Query:
        """`column >= value`."""
        return self._add((self._steps, compare, "gte", column, value))

    def lt(self: Query, column: str, value: Any) -> Query:
        """`column < value`."""
        return self._add((self._steps, compare, "lt", column, value))

    def lte(self: Query, column: str, value: Any) -> Query:
        """`column <= value`."""
        return self._add((self._steps, compare, "lte", column, value))

    def between(self: Query, column: str, low: Any, high: Any) -> Query:
        """`low <= column <= high`."""
        return self._add((self._steps, between, column, low, high))

    def is_(self: Query, column: str, value: bool | IsValue | None) -> Query:
        """`column IS value`: None, True, False, `"not_null"` or `"unknown"`."""
        return self._add((self._steps, compare, "is", column, value))

    def is_distinct(self: Query, column: str, value: Any) -> Query:
        """`column IS DISTINCT FROM value`: unequal, NULL counted as a value."""
        return self._add((self._steps, compare, "isdistinct", column, value))

    def in_(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column = ANY(values)`. An empty list matches nothing, and asks nobody."""
        return self._add((self._steps, compare, "in", column, kept(values)))

    def not_in(self: Query, column: str, values: Iterable[Any]) -> Query:
        """The opposite of `in_`. An empty list filters nothing."""
        return self._add((self._steps, compare_not_in, column, kept(values)))

    # --- text

    def like(self: Query, column: str, pattern: str) -> Query:
        """`column LIKE pattern`: `%` and `*` stand for any text, `_` for one character."""
        return self._add((self._steps, compare, "like", column, pattern))

    def ilike(self: Query, column: str, pattern: str) -> Query:
        """`like` without regard to case."""
        return self._add((self._steps, compare, "ilike", column, pattern))

    def match_regex(self: Query, column: str, pattern: str) -> Query:
        """`column ~ pattern`: a POSIX regular expression."""
        return self._add((self._steps, compare, "match", column, pattern))

    def imatch_regex(self: Query, column: str, pattern: str) -> Query:
        """`match_regex` without regard to case."""
        return self._add((self._steps, compare, "imatch", column, pattern))

    regex = match_regex
    iregex = imatch_regex

    def startswith(self: Query, column: str, text: str) -> Query:
        """Begins with exactly this text; nothing in it is a wildcard."""
        return self._add((self._steps, compare, "@startswith", column, text))

    def endswith(self: Query, column: str, text: str) -> Query:
        """Ends with exactly this text; nothing in it is a wildcard."""
        return self._add((self._steps, compare, "@endswith", column, text))

    def contains_text(self: Query, column: str, text: str) -> Query:
        """Has exactly this text somewhere; nothing in it is a wildcard."""
        return self._add((self._steps, compare, "@contains_text", column, text))

    def icontains_text(self: Query, column: str, text: str) -> Query:
        """`contains_text` without regard to case."""
        return self._add((self._steps, compare, "@icontains_text", column, text))

    def text_search(
        self: Query,
        column: str,
        query: str,
        options: Mapping[str, Any] | None = None,
        *,
        type: str | None = None,
        config: str | None = None,
    ) -> Query:
        """Full-text search.

        Args:
            column: A tsvector, text or JSON column.
            query: What to look for, in the language of `type`.
            options: `{"type": ..., "config": ...}`, as other clients take them.
            type: None for tsquery syntax, `plain`, `phrase`, or `websearch` (as in search engines).
            config: The text search configuration, as `english`.
        """
        return self._add((self._steps, search, column, query, options, type, config))

    def fts(self: Query, column: str, query: str, config: str | None = None) -> Query:
        """Full-text search; see `text_search`."""
        return self._add((self._steps, compare, "@fts", column, (query, None, config)))

    def plfts(self: Query, column: str, query: str, config: str | None = None) -> Query:
        """Full-text search of type `plain`; see `text_search`."""
        return self._add((self._steps, compare, "@fts", column, (query, "plain", config)))

    def phfts(self: Query, column: str, query: str, config: str | None = None) -> Query:
        """Full-text search of type `phrase`; see `text_search`."""
        return self._add((self._steps, compare, "@fts", column, (query, "phrase", config)))

    def wfts(self: Query, column: str, query: str, config: str | None = None) -> Query:
        """Full-text search of type `websearch`; see `text_search`."""
        return self._add((self._steps, compare, "@fts", column, (query, "websearch", config)))

    # --- arrays, JSON, ranges

    def contains(self: Query, column: str, value: Any) -> Query:
        """`column @> value`: a list for arrays, a mapping for JSON, a `Range`, or literal text."""
        return self._add((self._steps, compare, "cs", column, value))

    def contained_by(self: Query, column: str, value: Any) -> Query:
        """`column <@ value`, the other way round."""
        return self._add((self._steps, compare, "cd", column, value))

    def overlaps(self: Query, column: str, value: Any) -> Query:
        """`column && value`: a list for arrays, or a `Range`."""
        return self._add((self._steps, compare, "ov", column, value))

    cs = contains
    cd = contained_by
    ov = overlaps

    def range_lt(self: Query, column: str, range: Any) -> Query:
        """`column << range`: the column's range lies wholly before it."""
        return self._add((self._steps, compare, "sl", column, range))

    def range_gt(self: Query, column: str, range: Any) -> Query:
        """`column >> range`: the column's range lies wholly after it."""
        return self._add((self._steps, compare, "sr", column, range))

    def range_gte(self: Query, column: str, range: Any) -> Query:
        """`column &> range`: the column's range does not begin before it."""
        return self._add((self._steps, compare, "nxl", column, range))

    def range_lte(self: Query, column: str, range: Any) -> Query:
        """`column &< range`: the column's range does not end after it."""
        return self._add((self._steps, compare, "nxr", column, range))

    def range_adjacent(self: Query, column: str, range: Any) -> Query:
        """`column -|- range`: the two touch and do not overlap."""
        return self._add((self._steps, compare, "adj", column, range))

    sl = range_lt
    sr = range_gt
    nxl = range_gte
    nxr = range_lte
    adj = range_adjacent

    # --- any operator, trees

    def match(self: Query, query: Mapping[str, Any]) -> Query:
        """Every named column equals its value."""
        kept_query = dict(query) if isinstance(query, Mapping) else query
        return self._add((self._steps, match, kept_query))

    def filter(self: Query, column: str, operator: str, value: Any) -> Query:
        """Any operator of the wire by name: `filter("age", "not.gte", 18)`.

        Text for `in` and for `(any)`/`(all)` is taken as the server's own literal: trusted input.
        """
        return self._add((self._steps, compare_checked, column, operator, kept_value(value), True))

    def raw_filter(self: Query, key: str, value: str) -> Query:
        """Add a query parameter as it is, percent-encoded only: trusted input."""
        return self._add((self._steps, raw_filter, key, value))

    @property
    def not_(self: Query) -> Query:
        """Negate the next condition: `q.not_.eq("a", 1)`, or in one call `q.not_("a", "eq", 1)`
        or `q.not_(col("a") == 1)`."""
        return self._add((self._steps, negate))

    @overload
    def __call__(self: Query, column: str, operator: str, value: Any) -> Query: ...

    @overload
    def __call__(self: Query, column: Condition) -> Query: ...

    def __call__(
        self: Query, column: Any = None, operator: Any = None, value: Any = _unsaid
    ) -> Query:
        """The second half of `q.not_("age", "gt", 3)`."""
        if self._steps[1] is not negate:
            raise TypeError("a query is not callable: only q.not_(column, operator, value) is")
        if isinstance(column, Condition) and operator is None:
            return self.where(column)
        if value is _unsaid:
            raise TypeError("not_ takes (column, operator, value), or one condition made by col()")
        return self._add((self._steps, compare_checked, column, operator, kept_value(value), False))

    def where(self: Query, *conditions_: Condition | str) -> Query:
        """All of these conditions: `where((col("a") > 1) | col("b").is_(None))`."""
        return self._add((self._steps, conditions, None, conditions_, None))

    def or_(
        self: Query,
        *conditions_: Condition | str,
        foreign_table: str | None = None,
        reference_table: str | None = None,
        referenced_table: str | None = None,
    ) -> Query:
        """At least one of these conditions. Text is the server's own grammar: trusted input.

        `foreign_table` (also `reference_table`, `referenced_table`, or a bare name in second place)
        filters an embedded table.
        """
        table = foreign_table or reference_table or referenced_table
        return self._add((self._steps, conditions, "or", conditions_, table))

    def and_(
        self: Query,
        *conditions_: Condition | str,
        foreign_table: str | None = None,
        reference_table: str | None = None,
        referenced_table: str | None = None,
    ) -> Query:
        """All of these conditions, see `or_`."""
        table = foreign_table or reference_table or referenced_table
        return self._add((self._steps, conditions, "and", conditions_, table))


def kept_value(value: Any) -> Any:
    """An iterator taken out once; anything else as it is."""
    return tuple(value) if hasattr(value, "__next__") else value
