"""Column filters of a subscription: read, and checked again on this side (wire-contract §4.7).

A filter is a comma-separated AND of `column=[not.]op.value`. The server applies it; a server that
names the bindings of an event is believed. Others are checked here, and what cannot be judged
from what the event holds is let through: nothing may be lost by a second opinion.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["MAX_LIST", "Filter", "Term", "in_list", "parse_filter", "quoted"]

MAX_LIST = 100
_COLUMN = re.compile(r'\s*(not\.)?("(?:[^"\\]|\\.)*"|[^\s=,"()]+)=(not\.)?([a-z]+)\.', re.DOTALL)
_SPECIAL = re.compile(r'[,()"\\:.\s]')
_COMPARED = frozenset({"eq", "neq", "lt", "lte", "gt", "gte"})
_PATTERNS = frozenset({"like", "ilike", "match", "imatch"})
_KNOWN = _COMPARED | _PATTERNS | {"in", "is", "isdistinct"}


def quoted(text: str) -> str:
    """A value as it stands in a filter: in quotes if it would be read as something else."""
    if text and not _SPECIAL.search(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def in_list(values: list[str]) -> str:
    """The operand of `in`."""
    return f"({','.join(quoted(value) for value in values)})"


class Term(NamedTuple):
    """One condition."""

    column: str
    negated: bool
    operator: str
    value: str
    values: tuple[str, ...] = ()


class Filter(NamedTuple):
    """All of these must hold. `text` is as it goes to the server."""

    text: str
    terms: tuple[Term, ...]

    def admits(self, record: Mapping[str, Any] | None) -> bool:
        """Whether a row may pass, as far as can be told here."""
        if record is None:
            return True
        for term in self.terms:
            if term.column in record and _holds(term, record[term.column]) is False:
                return False
        return True


def parse_filter(text: str) -> Filter:
    """Read a filter.

    Raises:
        ValueError: It cannot be read; the text says where and what was expected.
    """
    terms: list[Term] = []
    rest = text
    while True:
        head = _COLUMN.match(rest)
        if head is None:
            raise ValueError(f"{rest[:60]!r} is no condition: expected column=operator.value")
        negated = bool(head[1]) != bool(head[3])
        column, operator = _unquoted(head[2]), head[4]
        if operator not in _KNOWN:
            raise ValueError(
                f"{operator!r} is no operator of a realtime filter: expected one of "
                + ", ".join(sorted(_KNOWN))
            )
        value, rest = _value(rest[head.end() :])
        terms.append(_term(column, negated, operator, value))
        if not rest:
            return Filter(text, tuple(terms))


def _term(column: str, negated: bool, operator: str, value: str) -> Term:
    if operator != "in":
        return Term(column, negated, operator, _unquoted(value))
    if not (value.startswith("(") and value.endswith(")")):
        raise ValueError(f"in wants a list like (1,2), not {value[:60]!r}")
    values: list[str] = []
    inner = value[1:-1]
    while inner:
        one, inner = _value(inner)
        values.append(_unquoted(one))
    if len(values) > MAX_LIST:
        raise ValueError(f"in has {len(values)} values: at most {MAX_LIST}")
    return Term(column, negated, operator, value, tuple(values))


def _value(text: str) -> tuple[str, str]:
    """The value up to the next comma outside quotes and brackets; and what follows the comma."""
    depth, inside, skip = 0, False, False
    for at, mark in enumerate(text):
        if skip:
            skip = False
        elif inside:
            skip, inside = mark == "\\", mark != '"'
        elif mark == '"':
            inside = True
        elif mark == "(":
            depth += 1
        elif mark == ")":
            depth -= 1
        elif mark == "," and depth == 0:
            if not text[at + 1 :].strip():
                raise ValueError("the filter ends in a comma")
            return text[:at], text[at + 1 :]
    if inside or depth:
        raise ValueError(f"{text[:60]!r} has a quote or bracket that is not closed")
    return text, ""


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return text


# --- judging -------------------------------------------------------------------------------------


def _holds(term: Term, value: Any) -> bool | None:
    """Whether a condition holds; None if that cannot be told here (SQL's null does not hold)."""
    found = _judge(term, value)
    if found is None or not term.negated:
        return found
    # not (null = 1) is null, which lets nothing pass; `is` and `isdistinct` know no null
    return False if value is None and term.operator in _COMPARED | _PATTERNS | {"in"} else not found


def _judge(term: Term, value: Any) -> bool | None:
    if term.operator == "is":
        return _is(term.value.lower(), value)
    if term.operator == "isdistinct":
        return None if value is None else _negation(_compare("eq", value, term.value))
    if value is None:
        return False
    if term.operator == "in":
        found = [_compare("eq", value, one) for one in term.values]
        return True if True in found else None if None in found else False
    if term.operator in _COMPARED:
        return _compare(term.operator, value, term.value)
    return None  # patterns: the database's collations are not known here


def _negation(found: bool | None) -> bool | None:
    return None if found is None else not found


def _is(word: str, value: Any) -> bool | None:
    known = {"null": value is None, "true": value is True, "false": value is False}
    known |= {"unknown": value is None, "not_null": value is not None}
    return known.get(word)


def _compare(operator: str, value: Any, text: str) -> bool | None:
    if isinstance(value, bool):
        said = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
        wanted = said.get(text.lower())
        equal = None if wanted is None else value is wanted
    elif isinstance(value, int | float):
        try:
            number = float(text) if isinstance(value, float) else int(text)
        except ValueError:
            return None
        equal = value == number
        if operator not in ("eq", "neq"):
            return _ordered(operator, value, number)
    elif isinstance(value, str):
        # as text these differ; as dates, numerics or citext they may be equal
        equal = True if value == text else None
    else:
        return None
    if equal is None or operator not in ("eq", "neq"):
        return None
    return equal if operator == "eq" else not equal


def _ordered(operator: str, one: float, other: float) -> bool:
    below, same = one < other, one == other
    return {"lt": below, "lte": below or same, "gt": not (below or same), "gte": not below}[
        operator
    ]
