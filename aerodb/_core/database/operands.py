"""Operators: which values each takes, and the text it becomes (wire-contract §3.4, §3.5).

`operand` is the one door: filter methods and expressions come through it. A name that starts with
`@` is ours, for what becomes an operator of the wire only when the value is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

from aerodb._core.database.encode import (
    array_literal,
    container_text,
    list_literal,
    listed,
    range_text,
    scalar_text,
)
from aerodb._core.values import BadValue, describe, kind_of

__all__ = ["MATCHES_ALL", "MATCHES_NONE", "IsValue", "Operand", "checked_operator", "operand"]

IsValue = Literal["null", "not_null", "true", "false", "unknown"]

Operand = tuple[bool, str, str]
"""Negated, operator, literal. What still needs quoting inside a tree is told by `quotable`."""

MATCHES_NONE = "in.none"
"""The operator that stands for an empty `in` list: not on the wire, see `render`."""
MATCHES_ALL = "in.all"

_PATTERNS = frozenset({"like", "ilike", "match", "imatch"})
_IS_WORDS = ("null", "not_null", "true", "false", "unknown")
_OPERATOR = re.compile(
    r"(eq|gte?|lte?|i?like|i?match)(?:\((any|all)\))?"
    r"|neq|isdistinct|in|is|cs|cd|ov|sl|sr|nxl|nxr|adj"
    r"|(?:pl|ph|w)?fts(?:\([A-Za-z0-9_$ ]+\))?"
).fullmatch
_CONFIG = re.compile(r"[A-Za-z0-9_$ ]+").fullmatch
_FTS = {
    None: "fts",
    "plain": "plfts",
    "phrase": "phfts",
    "websearch": "wfts",
    "web_search": "wfts",
}


def operand(operator: str, value: Any, negated: bool) -> Operand:
    """The negation, the operator and the unquoted literal of one condition."""
    special = _SPECIAL.get(operator)
    if special is not None:
        return special(operator, value, negated)
    if operator[-5:] in ("(any)", "(all)"):
        return negated, operator, array_literal(listed(value, operator))
    if type(value) is str:
        return negated, operator, value
    if operator in _PATTERNS and kind_of(value) not in ("str", "enum"):
        raise BadValue(f"{operator}: {describe(value)} was given, expected a pattern, a str")
    return negated, operator, scalar_text(value)


def _equality(operator: str, value: Any, negated: bool) -> Operand:
    if value is None:
        return negated is (operator == "eq"), "is", "null"
    return negated, operator, scalar_text(value)


def _distinct(operator: str, value: Any, negated: bool) -> Operand:
    if value is None:  # IS DISTINCT FROM NULL: the wire has no null operand here
        return not negated, "is", "null"
    return negated, operator, scalar_text(value)


def _is(operator: str, value: Any, negated: bool) -> Operand:
    if value is None:
        return negated, operator, "null"
    if kind_of(value) == "bool":
        return negated, operator, "true" if value else "false"
    if isinstance(value, str) and value.lower() in _IS_WORDS:
        return negated, operator, value.lower()
    raise BadValue(f"is: {describe(value)} was given, expected None, a bool or one of {_IS_WORDS}")


def _in(operator: str, value: Any, negated: bool) -> Operand:
    members = listed(value, "in")
    if not members:
        return False, MATCHES_ALL if negated else MATCHES_NONE, ""
    literal = list_literal(members)
    if literal == '("")':  # would be read as the empty list
        return negated, "eq", ""
    return negated, operator, literal


def _container(operator: str, value: Any, negated: bool) -> Operand:
    return negated, operator, container_text(value)


def _range(operator: str, value: Any, negated: bool) -> Operand:
    return negated, operator, range_text(value)


def fts_operator(kind: Any, config: Any) -> str:
    """The operator of a text search: `wfts(english)`."""
    name = _FTS.get(kind if kind is None or isinstance(kind, str) else "?")
    if name is None:
        raise BadValue(
            f"text search type {describe(kind)} was given, "
            "expected None, 'plain', 'phrase' or 'websearch'"
        )
    if config is None:
        return name
    if not isinstance(config, str) or not _CONFIG(config):
        raise BadValue(f"text search config {describe(config)} was given, expected a name")
    return f"{name}({config})"


_LIKE_SPECIAL = re.compile(r"[%_\\]")
_REGEX_SPECIAL = re.compile(r"[^\w\s]", re.ASCII)


def substring(text: Any, *, start: bool, end: bool, ignore_case: bool) -> tuple[str, str]:
    """Operator and pattern that look for `text` itself at the start, the end or anywhere.

    PostgREST reads `*` as `%` in a LIKE pattern and has no escape for it: then it is a regular
    expression that does the work.
    """
    if not isinstance(text, str):
        raise BadValue(f"{describe(text)} was given, expected a str")
    if "*" not in text:
        pattern = _LIKE_SPECIAL.sub(r"\\\g<0>", text)
        pattern = ("" if start else "%") + pattern + ("" if end else "%")
        return ("ilike" if ignore_case else "like"), pattern
    pattern = _REGEX_SPECIAL.sub(lambda m: m[0] if m[0] > "\x7f" else "\\" + m[0], text)
    pattern = ("^" if start else "") + pattern + ("$" if end else "")
    return ("imatch" if ignore_case else "match"), pattern


def _text_search(operator: str, value: Any, negated: bool) -> Operand:
    query, kind, config = value
    return negated, fts_operator(kind, config), scalar_text(query)


def _substring(operator: str, value: Any, negated: bool) -> Operand:
    name, pattern = substring(
        value,
        start=operator == "@startswith",
        end=operator == "@endswith",
        ignore_case=operator == "@icontains_text",
    )
    return negated, name, pattern


_SPECIAL: dict[str, Callable[[str, Any, bool], Operand]] = {
    "eq": _equality,
    "neq": _equality,
    "isdistinct": _distinct,
    "is": _is,
    "in": _in,
    "cs": _container,
    "cd": _container,
    "ov": _container,
    "sl": _range,
    "sr": _range,
    "nxl": _range,
    "nxr": _range,
    "adj": _range,
    "@fts": _text_search,
    "@startswith": _substring,
    "@endswith": _substring,
    "@contains_text": _substring,
    "@icontains_text": _substring,
}


def quotable(operator: str) -> bool:
    """Whether the literal is plain text inside a tree; the lists of `in` have their own quoting."""
    return operator not in ("in", "is")


def checked_operator(operator: Any, negated: bool) -> tuple[str, bool]:
    """An operator that a user wrote, `not.` taken off."""
    if isinstance(operator, str):
        text = operator.removeprefix("not.")
        if _OPERATOR(text):
            return text, negated is not (text != operator)
    raise BadValue(
        f"operator {describe(operator)} was given, expected eq, gt, in, is, cs, fts, ..."
    )
