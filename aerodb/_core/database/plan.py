"""What a chain of steps adds up to, before it is rendered.

A query is a linked list of steps `(previous, apply, *arguments)`. `Plan` is what they are applied
to, first to last; it lives for one rendering. `apply` functions raise `BadValue`, which
`render.prepare` turns into a response.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

from aerodb._core.database.columns import path_text
from aerodb._core.database.expressions import Condition, Group, Leaf
from aerodb._core.database.operands import MATCHES_ALL, MATCHES_NONE, operand
from aerodb._core.database.percent import percent, safe
from aerodb._core.retry import RetryChoice
from aerodb._core.values import BadValue

__all__ = ["LastKey", "Plan", "Step", "Verb", "encoded_key"]

Step = tuple[Any, ...]
"""`(previous step or None, apply, *arguments)`."""

Apply = Callable[["Plan", Step], None]

Verb = Literal["select", "insert", "upsert", "update", "delete", "rpc"]

Mode = Literal["list", "single", "maybe_single", "value", "csv", "plan", "geojson"]

_LEAST_PLAIN, _MOST_PLAIN = -(10**18), 10**18
_PLAIN_OPERATORS = frozenset({"eq", "neq", "gt", "gte", "lt", "lte"})

_KEYS: dict[str, tuple[str, bool]] = {}
_KEYS_LIMIT = 1024
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def encoded_key(column: str) -> tuple[str, bool]:
    """A column as the key of a parameter, ready for the URL, and whether it is of the table itself
    (not of an embedded one). The usual few are remembered."""
    try:
        return _KEYS[column]
    except (KeyError, TypeError):
        pass
    path = path_text(column)
    found = percent(path), "." not in _QUOTED.sub("", path)
    if len(_KEYS) >= _KEYS_LIMIT:
        _KEYS.clear()
    _KEYS[column] = found
    return found


class LastKey:
    """Where the decoder leaves the key of a page's last row, for the next page to begin after it.

    As the server sent it, before a row type gets to see it; a fraction with all its digits, as a
    float could land beside the row.
    """

    __slots__ = ("names", "values")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.values: list[Any] | None = None


class Plan:
    """Everything known of one query. In slots, and all set: most are read, and few are changed."""

    __slots__ = (
        "all_rows",
        "arguments",
        "columns",
        "count",
        "default_to_null",
        "empty",
        "exact",
        "expect_rows",
        "explain",
        "filtered",
        "get",
        "head",
        "headers",
        "idempotency_key",
        "ignore_duplicates",
        "keyed",
        "last_key",
        "limit",
        "max_affected",
        "mode",
        "name",
        "negate",
        "offset",
        "on_conflict",
        "orders",
        "pairs",
        "preferences",
        "ranges",
        "retry",
        "returning",
        "returns",
        "rollback",
        "row_type",
        "strip_nulls",
        "timeout",
        "values",
        "verb",
    )

    def __init__(self) -> None:
        self.pairs: list[str] = []
        self.name: Any = None
        self.row_type: Any = None
        self.verb: Verb = "select"
        self.mode: Mode = "list"
        self.columns: tuple[Any, ...] | None = None
        self.values: Any = None
        self.arguments: Any = None
        self.returns: Any = None
        self.head = False
        self.get = False
        self.count: str | None = None
        self.returning: str | None = None
        self.on_conflict: Any = None
        self.ignore_duplicates = False
        self.default_to_null = True
        self.max_affected: int | None = None
        self.expect_rows: int | None = None
        self.limit: int | None = None
        self.offset: int | None = None
        self.all_rows = False
        self.strip_nulls = False
        self.exact = False
        self.rollback = False
        self.explain: tuple[str, str] | None = None
        self.retry: RetryChoice = "default"
        self.keyed = False
        self.idempotency_key: str | None = None
        self.timeout: float | None = None
        self.negate = False
        self.filtered = False
        self.empty = False
        self.ranges: dict[str, int] | None = None
        self.orders: dict[str, str] | None = None
        self.last_key: LastKey | None = None
        self.headers: tuple[tuple[str, str], ...] = ()
        self.preferences: tuple[tuple[str, str], ...] = ()

    def take_negation(self) -> bool:
        """Whether `not_` came before this condition; it is used up."""
        negated = self.negate
        if negated:
            self.negate = False
        return negated

    def add_leaf(self, column: Any, operator: str, value: Any, negated: bool) -> None:
        """One condition as a parameter of its own: its value is literal to the end."""
        try:
            key, own = _KEYS[column]
        except (KeyError, TypeError):
            key, own = encoded_key(column)
        if operator in _PLAIN_OPERATORS:
            kind = type(value)
            if (
                (value.isalnum() and value.isascii()) or safe(value)  # most need no look at each
                if kind is str
                else kind is int and _LEAST_PLAIN < value < _MOST_PLAIN
            ):
                if own:
                    self.filtered = True
                way = f"not.{operator}" if negated else operator
                self.pairs.append(f"{key}={way}.{value}")
                return
        try:
            negated, operator, text = operand(operator, value, negated)
        except BadValue as error:
            raise BadValue(f"{column}: {error.message}", code=error.code, hint=error.hint) from None
        if operator == MATCHES_NONE:
            self.empty = self.empty or own
            operator, text = "in", "()"
        elif operator == MATCHES_ALL:
            return
        if own:
            self.filtered = True
        try:
            literal = percent(text)
        except BadValue as error:
            raise BadValue(f"{column}: {error.message}") from None
        if operator[-1] == ")":
            operator = percent(operator)
        self.pairs.append(f"{key}={'not.' if negated else ''}{operator}.{literal}")

    def add_literal(self, column: Any, operator: str, literal: str) -> None:
        """A condition whose operand is already in the server's own grammar."""
        key, own = encoded_key(column)
        if own:
            self.filtered = True
        self.pairs.append(f"{key}={percent(operator + literal)}")

    def add_condition(self, condition: Condition, table: Any = None) -> None:
        """A tree: conditions joined by AND become parameters of their own."""
        if table is None:
            if isinstance(condition, Leaf):
                self.add_leaf(
                    condition.column, condition.operator, condition.value, condition.negated
                )
                return
            if isinstance(condition, Group) and condition.splits:
                for member in condition.conditions:
                    self.add_condition(member)
                return
        group = condition if isinstance(condition, Group) else Group("and", (condition,))
        self.add_group(group, table)

    def add_group(self, group: Group, table: Any = None) -> None:
        """One `and=` or `or=` parameter, negated or not, of this table or an embedded one."""
        text = percent(group.inner_text())
        prefix = ""
        if table is None:
            self.filtered = True
        else:
            prefix = encoded_key(table)[0] + "."
        self.pairs.append(f"{prefix}{'not.' if group.negated else ''}{group.operator}={text}")

    def set_range(self, key: str, value: int) -> None:
        """A limit or offset of an embedded table; the last one wins, as on the server."""
        self.ranges = {**(self.ranges or {}), key: value}

    def add_order(self, key: str, term: str) -> None:
        """One more sort term of this table or an embedded one, ready for the URL."""
        orders = self.orders
        if orders is None:
            self.orders = {key: term}
            return
        before = orders.get(key)
        orders[key] = term if before is None else f"{before}%2C{term}"
