"""Conditions as a tree: `(col("age") > 18) & ~col("role").in_(["bot"]) | col("vip").is_(True)`.

`&`, `|` and `~` build on it. A condition is a value: it can be kept, shared and put into any
query by `where`, `or_` and `and_`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, NoReturn

from aerodb._core.database.columns import json_key, name_text, path_text, whole_name
from aerodb._core.database.encode import tree_text
from aerodb._core.database.operands import (
    MATCHES_ALL,
    MATCHES_NONE,
    operand,
    quotable,
)
from aerodb._core.values import BadValue, describe
from aerodb.types import AeroDBResponse

_TYPE = re.compile(r"[A-Za-z0-9_$ ]+").fullmatch
_NAME = re.compile(r"\w+").fullmatch
_PRECEDENCE = "put each comparison in parentheses, as in (col('a') == 1) | (col('b') == 2)"

__all__ = ["Column", "Condition", "Group", "Leaf", "Raw", "col"]


class Condition:
    """What `where`, `or_` and `and_` take. Combine with `&`, `|` and `~`."""

    __slots__ = ()

    def __and__(self, other: Condition) -> Condition:
        return _group("and", self, other)

    def __or__(self, other: Condition) -> Condition:
        return _group("or", self, other)

    def __invert__(self) -> Condition:
        raise NotImplementedError

    def __bool__(self) -> NoReturn:
        raise TypeError("a condition has no truth value: combine with & | ~, not with and or not")

    def tree_text(self) -> str:
        """The text inside an and/or tree."""
        raise NotImplementedError

    def __repr__(self) -> str:
        try:
            return self.tree_text()
        except BadValue as error:
            return f"<bad condition: {error.message}>"


class Leaf(Condition):
    """One comparison."""

    __slots__ = ("column", "negated", "operator", "value")

    def __init__(self, column: Any, operator: str, value: Any, negated: bool = False) -> None:
        self.column = column
        self.operator = operator
        self.value = value
        self.negated = negated

    def __invert__(self) -> Leaf:
        return Leaf(self.column, self.operator, self.value, not self.negated)

    def tree_text(self) -> str:
        """The text inside an and/or tree."""
        column = path_text(self.column, dotted=False)
        try:
            negated, operator, text = operand(self.operator, self.value, self.negated)
        except BadValue as error:
            raise BadValue(f"{column}: {error.message}", code=error.code, hint=error.hint) from None
        if operator in (MATCHES_NONE, MATCHES_ALL):
            return f"{column}.{'in' if operator == MATCHES_NONE else 'not.in'}.()"
        literal = tree_text(text) if quotable(operator) else text
        return f"{column}.{'not.' if negated else ''}{operator}.{literal}"


class Group(Condition):
    """Several conditions under one `and` or `or`."""

    __slots__ = ("conditions", "negated", "operator")

    def __init__(
        self,
        operator: Literal["and", "or"],
        conditions: tuple[Condition, ...],
        negated: bool = False,
    ) -> None:
        self.operator: Literal["and", "or"] = operator
        self.conditions = conditions
        self.negated = negated

    def __invert__(self) -> Group:
        return Group(self.operator, self.conditions, not self.negated)

    @property
    def splits(self) -> bool:
        """Whether the members may stand as conditions of their own."""
        return self.operator == "and" and not self.negated and bool(self.conditions)

    def inner_text(self) -> str:
        """The members in parentheses: the value of an `or=` parameter."""
        if not self.conditions:
            raise BadValue(f"{self.operator}_() got no condition, expected at least one")
        return "(" + ",".join([c.tree_text() for c in self.conditions]) + ")"

    def tree_text(self) -> str:
        """The text inside an and/or tree."""
        return f"{'not.' if self.negated else ''}{self.operator}{self.inner_text()}"


class Raw(Condition):
    """A piece of the server's own grammar, trusted as it is."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __invert__(self) -> Group:
        return Group("and", (self,), True)

    def tree_text(self) -> str:
        """The text itself, if its parentheses and quotes are balanced."""
        depth, in_quotes, escaped, before = 0, False, False, ","
        for char in self.text:
            if escaped:
                escaped = False
            elif in_quotes:
                escaped = char == "\\"
                in_quotes = char != '"'
            elif char == '"':
                in_quotes = before in ".,("  # elsewhere it is a character as any other
            else:
                depth += (char == "(") - (char == ")")
                if depth < 0:
                    break
            before = char
        if depth or in_quotes or not self.text.strip():
            raise BadValue(
                f"{self.text!r} was given, expected conditions with balanced ( ) and quotes",
                hint="A value that has brackets or commas goes in quotes: 'span.ov.\"[1,5)\"'.",
            )
        return self.text


def condition_of(value: Any) -> Condition:
    """A condition, or text of the server's grammar."""
    if isinstance(value, Condition):
        return value
    if isinstance(value, str):
        if _NAME(value):  # postgrest-py's second positional argument is the embedded table
            raise BadValue(
                f"{value!r} was given, expected conditions such as 'age.gt.18'",
                hint="Name an embedded table with foreign_table=.",
            )
        return Raw(value)
    raise BadValue(f"{describe(value)} was given, expected a condition as col('a') > 1, or text")


def _group(operator: Literal["and", "or"], left: Condition, right: Any) -> Condition:
    if not isinstance(right, Condition):
        raise TypeError(f"cannot combine a condition with {type(right).__name__}: {_PRECEDENCE}")
    members: tuple[Condition, ...] = ()
    for side in (left, right):
        if isinstance(side, Group) and side.operator == operator and not side.negated:
            members += side.conditions
        else:
            members += (side,)
    return Group(operator, members)


class Column:
    """A column in an expression. Made by `col`."""

    __slots__ = ("_alias", "_suffixes", "path")

    def __init__(self, path: str, suffixes: tuple[str, ...] = (), alias: str | None = None) -> None:
        self.path = path
        self._suffixes = suffixes
        self._alias = alias

    __hash__ = None  # type: ignore[assignment]  # == builds a condition

    def __bool__(self) -> NoReturn:
        raise TypeError("a column has no truth value: compare it, as in col('active').is_(True)")

    def __or__(self, other: Any) -> NoReturn:
        raise TypeError(f"a column is no condition: {_PRECEDENCE}")

    __and__ = __ror__ = __rand__ = __or__

    def __invert__(self) -> NoReturn:
        raise TypeError("a column is no condition: compare it, as in col('active').is_(False)")

    def __repr__(self) -> str:
        return f"col({self.path!r})"

    # --- comparisons

    def __eq__(self, value: object) -> Leaf:  # type: ignore[override]
        return Leaf(self.path, "eq", value)

    def __ne__(self, value: object) -> Leaf:  # type: ignore[override]
        return Leaf(self.path, "neq", value)

    def __gt__(self, value: Any) -> Leaf:
        return Leaf(self.path, "gt", value)

    def __ge__(self, value: Any) -> Leaf:
        return Leaf(self.path, "gte", value)

    def __lt__(self, value: Any) -> Leaf:
        return Leaf(self.path, "lt", value)

    def __le__(self, value: Any) -> Leaf:
        return Leaf(self.path, "lte", value)

    def eq(self, value: Any) -> Leaf:
        """`column = value`; `None` becomes `IS NULL`."""
        return Leaf(self.path, "eq", value)

    def neq(self, value: Any) -> Leaf:
        """`column <> value`; `None` becomes `IS NOT NULL`."""
        return Leaf(self.path, "neq", value)

    def gt(self, value: Any) -> Leaf:
        """`column > value`."""
        return Leaf(self.path, "gt", value)

    def gte(self, value: Any) -> Leaf:
        """`column >= value`."""
        return Leaf(self.path, "gte", value)

    def lt(self, value: Any) -> Leaf:
        """`column < value`."""
        return Leaf(self.path, "lt", value)

    def lte(self, value: Any) -> Leaf:
        """`column <= value`."""
        return Leaf(self.path, "lte", value)

    def between(self, low: Any, high: Any) -> Group:
        """`low <= column <= high`."""
        return Group("and", (Leaf(self.path, "gte", low), Leaf(self.path, "lte", high)))

    def is_(self, value: Any) -> Leaf:
        """`column IS value`: None, a bool, or `"not_null"`, `"unknown"`."""
        return Leaf(self.path, "is", value)

    def is_distinct(self, value: Any) -> Leaf:
        """`column IS DISTINCT FROM value`: unequal, NULL counted as a value."""
        return Leaf(self.path, "isdistinct", value)

    def in_(self, values: Iterable[Any]) -> Leaf:
        """`column = ANY(values)`. An empty list matches nothing."""
        return Leaf(self.path, "in", kept(values))

    def not_in(self, values: Iterable[Any]) -> Leaf:
        """The opposite of `in_`. An empty list matches everything."""
        return Leaf(self.path, "in", kept(values), True)

    def like(self, pattern: str) -> Leaf:
        """`column LIKE pattern`; `%` and `*` stand for any text, `_` for one character."""
        return Leaf(self.path, "like", pattern)

    def ilike(self, pattern: str) -> Leaf:
        """`like` without regard to case."""
        return Leaf(self.path, "ilike", pattern)

    def regex(self, pattern: str) -> Leaf:
        """`column ~ pattern`: a POSIX regular expression."""
        return Leaf(self.path, "match", pattern)

    def iregex(self, pattern: str) -> Leaf:
        """`regex` without regard to case."""
        return Leaf(self.path, "imatch", pattern)

    def startswith(self, text: str) -> Leaf:
        """Begins with exactly this text; nothing in it is a wildcard."""
        return Leaf(self.path, "@startswith", text)

    def endswith(self, text: str) -> Leaf:
        """Ends with exactly this text; nothing in it is a wildcard."""
        return Leaf(self.path, "@endswith", text)

    def contains_text(self, text: str) -> Leaf:
        """Has exactly this text somewhere; nothing in it is a wildcard."""
        return Leaf(self.path, "@contains_text", text)

    def icontains_text(self, text: str) -> Leaf:
        """`contains_text` without regard to case."""
        return Leaf(self.path, "@icontains_text", text)

    def contains(self, value: Any) -> Leaf:
        """`column @> value`: a list for arrays, a mapping for JSON, a `Range`, or literal text."""
        return Leaf(self.path, "cs", value)

    def contained_by(self, value: Any) -> Leaf:
        """`column <@ value`, the other way round."""
        return Leaf(self.path, "cd", value)

    def overlaps(self, value: Any) -> Leaf:
        """`column && value`: a list for arrays, or a `Range`."""
        return Leaf(self.path, "ov", value)

    def text_search(
        self, query: str, *, type: str | None = None, config: str | None = None
    ) -> Leaf:
        """Full-text search, see the query method of the same name."""
        return Leaf(self.path, "@fts", (query, type, config))

    # --- in a select list

    def json(self, *keys: str | int) -> Column:
        """A member inside a JSON column, as JSON: `col("meta").json("tags", 0)`."""
        return self._member(keys, "->")

    def json_text(self, *keys: str | int) -> Column:
        """The same, the last step as text (`->>`)."""
        return self._member(keys, "->>")

    def _member(self, keys: tuple[Any, ...], last: str) -> Column:
        if not keys:
            raise TypeError("a JSON path needs at least one key: json('tags', 0)")
        for key in keys:
            if not isinstance(key, (str, int)):
                problem: Any = BadValue(f"json: key {describe(key)} was given, expected str or int")
                return Column(problem)
        *before, end = map(json_key, keys)
        return Column(self.path + "".join(f"->{key}" for key in before) + last + end)

    def cast(self, type_name: str) -> Column:
        """Convert to a PostgreSQL type. Only in a select list."""
        return self._with(f"::{type_name}")

    def as_(self, alias: str) -> Column:
        """Rename in the answer. Only in a select list."""
        return Column(self.path, self._suffixes, alias)

    def count(self) -> Column:
        """Count the rows that have a value. Only in a select list."""
        return self._with(".count()")

    def sum(self) -> Column:
        """Add up. Only in a select list."""
        return self._with(".sum()")

    def avg(self) -> Column:
        """The mean. Only in a select list."""
        return self._with(".avg()")

    def min(self) -> Column:
        """The least. Only in a select list."""
        return self._with(".min()")

    def max(self) -> Column:
        """The greatest. Only in a select list."""
        return self._with(".max()")

    def _with(self, suffix: str) -> Column:
        return Column(self.path, (*self._suffixes, suffix), self._alias)

    def select_text(self) -> str:
        """The text of this item in `select`."""
        for suffix in self._suffixes:
            if suffix.startswith("::") and not _TYPE(suffix[2:]):
                raise BadValue(f"cast: {suffix[2:]!r} was given, expected the name of a type")
        if self._alias is not None and not isinstance(self._alias, str):
            raise BadValue(f"as_: {describe(self._alias)} was given, expected a str")
        alias = f"{name_text(self._alias)}:" if self._alias else ""
        suffix = "".join(self._suffixes)
        if self.path == "*":
            return f"{alias}{suffix.removeprefix('.') or '*'}"
        return f"{alias}{path_text(self.path, dotted=False)}{suffix}"


def kept(values: Any) -> Any:
    """A list argument taken out of its iterator; what is no list waits for its error."""
    if isinstance(values, (str, bytes, tuple, AeroDBResponse)) or not isinstance(values, Iterable):
        return values
    return values if isinstance(values, dict) else tuple(values)


def col(name: str) -> Column:
    """Name a column in a condition or a select list.

    `col("age") >= 18`, `col("tags").contains(["a"])`, `col("meta").json_text("city").as_("city")`.
    Any character belongs to the name, a dot as well; only `->` and `->>` lead into JSON.
    """
    return Column(whole_name(name))
