"""Filters of subscriptions: `a=eq.1,b=not.in.(x,y)`, read and made into SQL (wire contract §4.7).

Comparing is left to PostgreSQL, which knows the types: a filter becomes an expression over a row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from aerodb.local.realtime.errors import FrameError
from aerodb.local.realtime.tables import quoted

MAXIMUM_VALUES = 100
MAXIMUM_TERMS = 20
MAXIMUM_LENGTH = 8192
_COMPARISONS = {
    "eq": sql.SQL("="),
    "neq": sql.SQL("<>"),
    "lt": sql.SQL("<"),
    "lte": sql.SQL("<="),
    "gt": sql.SQL(">"),
    "gte": sql.SQL(">="),
    "isdistinct": sql.SQL("is distinct from"),
}
_PATTERNS = {
    "like": sql.SQL("like"),
    "ilike": sql.SQL("ilike"),
    "match": sql.SQL("~"),
    "imatch": sql.SQL("~*"),
}
_IS = {
    "null": sql.SQL("is null"),
    "not_null": sql.SQL("is not null"),
    "true": sql.SQL("is true"),
    "false": sql.SQL("is false"),
    "unknown": sql.SQL("is unknown"),
}
_TERM = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^=]*?)\s*=(.*)', re.DOTALL)
Types = Mapping[str, tuple[str, str]]
"""The types of columns, by schema and name."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One term; `values` has one entry but for `in`."""

    column: str
    operator: str
    values: tuple[str, ...]
    negated: bool = False

    def render(self, types: Types) -> tuple[sql.Composable, list[Any]]:
        """Return an expression over the row `page.r`, and its parameters."""
        column = sql.SQL("(page.r).{}").format(quoted(self.column))
        found, parameters = self._comparison(column, quoted(*types[self.column]))
        if self.negated:
            return sql.SQL("not ({})").format(found), parameters
        return found, parameters

    def _comparison(
        self, column: sql.Composable, kind: sql.Composable
    ) -> tuple[sql.Composable, list[Any]]:
        if self.operator == "in":
            if not self.values:
                return sql.SQL("false"), []
            each = sql.SQL("%s::{}").format(kind)
            listed = sql.SQL(", ").join([each] * len(self.values))
            return sql.SQL("{} in ({})").format(column, listed), list(self.values)
        (value,) = self.values
        if self.operator == "is":
            return sql.SQL("{} {}").format(column, _IS[value]), []
        if self.operator in _PATTERNS:
            if self.operator in ("like", "ilike"):
                value = value.replace("*", "%")
            return sql.SQL("{}::text {} %s").format(column, _PATTERNS[self.operator]), [value]
        operator = _COMPARISONS[self.operator]
        return sql.SQL("{} {} %s::{}").format(column, operator, kind), [value]


def parse_filter(text: str) -> tuple[Condition, ...]:
    """Return the terms of a filter, which all have to hold; raise `invalid_filter`."""
    if len(text) > MAXIMUM_LENGTH:
        raise _bad(f"longer than {MAXIMUM_LENGTH} characters")
    if "\0" in text:
        raise _bad("it holds a NUL character")
    terms = _split(text)
    if len(terms) > MAXIMUM_TERMS:
        raise _bad(f"more than {MAXIMUM_TERMS} terms")
    return tuple(_term(term) for term in terms)


def _bad(why: str) -> FrameError:
    return FrameError("invalid_filter", f"The filter cannot be used: {why}.")


def _split(text: str) -> list[str]:
    """Cut at commas that are neither inside quotes nor inside parentheses."""
    parts, start, depth, quoted, at = [], 0, 0, False, 0
    while at < len(text):
        character = text[at]
        if quoted:
            at += character == "\\"
            quoted = character != '"'
        elif character == '"' and (not text[start:at].strip() or text[at - 1] in "(,."):
            quoted = True
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    if quoted:
        raise _bad("a quote is opened and never closed")
    return [*parts, text[start:]]


def _term(text: str) -> Condition:
    found = _TERM.fullmatch(text)
    if found is None or not found[1]:
        raise _bad(f"{text[:100]!r} is not of the form column=operator.value")
    column, rest = _unquoted(found[1]), found[2]
    negated = rest.startswith("not.")
    operator, dot, value = rest.removeprefix("not.").partition(".")
    if not dot:
        raise _bad(f"{text[:100]!r} is not of the form column=operator.value")
    if operator == "in":
        return Condition(column, operator, _list(value), negated)
    if operator == "is":
        if value.lower() not in _IS:
            raise _bad(f"`is` takes one of {', '.join(_IS)}")
        return Condition(column, operator, (value.lower(),), negated)
    if operator not in _COMPARISONS and operator not in _PATTERNS:
        raise _bad(f"there is no operator {operator[:40]!r}")
    return Condition(column, operator, (_unquoted(value),), negated)


def _list(text: str) -> tuple[str, ...]:
    if not (text.startswith("(") and text.endswith(")")):
        raise _bad("`in` takes a list in parentheses")
    inside = text[1:-1]
    values = [_unquoted(part.strip()) for part in _split_list(inside)] if inside else []
    if len(values) > MAXIMUM_VALUES:
        raise _bad(f"`in` takes at most {MAXIMUM_VALUES} values")
    return tuple(values)


def _split_list(text: str) -> list[str]:
    parts, start, quoted, at = [], 0, False, 0
    while at < len(text):
        character = text[at]
        if quoted:
            at += character == "\\"
            quoted = character != '"'
        elif character == '"' and not text[start:at].strip():
            quoted = True
        elif character == ",":
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [*parts, text[start:]]


def _unquoted(text: str) -> str:
    """Take off double quotes and the backslashes inside them (wire contract §3.5)."""
    if len(text) < 2 or not (text.startswith('"') and text.endswith('"')):
        return text
    found, escaped = [], False
    for character in text[1:-1]:
        if character == "\\" and not escaped:
            escaped = True
            continue
        found.append(character)
        escaped = False
    return "".join(found)
