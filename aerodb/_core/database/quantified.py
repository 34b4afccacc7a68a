"""Filters that compare with any or all members of a list: `like(any).{a,b}`, wire-contract §3.4."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from aerodb._core.database.chain import Chain
from aerodb._core.database.expressions import kept
from aerodb._core.database.filters import compare
from aerodb._core.database.plan import Plan, Step

__all__ = ["QuantifiedFilters"]


def patterns(plan: Plan, step: Step) -> None:
    """Apply a comparison with patterns; text is the inside of an array literal, as postgrest-py
    takes it."""
    _, _, operator, column, value = step
    negated = plan.take_negation()
    if isinstance(value, str):
        plan.add_literal(column, f"{'not.' if negated else ''}{operator}.", "{" + value + "}")
    else:
        plan.add_leaf(column, operator, value, negated)


Query = TypeVar("Query", bound="QuantifiedFilters")
"""Not `Self`: completion by jedi takes that for the class where it stands."""


class QuantifiedFilters(Chain):
    """`*_any_of` and `*_all_of` for the nine operators that PostgREST quantifies."""

    __slots__ = ()

    def eq_any_of(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column =` at least one of the values."""
        return self._add((self._steps, compare, "eq(any)", column, kept(values)))

    def eq_all_of(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column =` every one of the values."""
        return self._add((self._steps, compare, "eq(all)", column, kept(values)))

    def gt_any_of(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column >` at least one of the values."""
        return self._add((self._steps, compare, "gt(any)", column, kept(values)))

    def gt_all_of(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column >` every one of the values."""
        return self._add((self._steps, compare, "gt(all)", column, kept(values)))

    def gte_any_of(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column >=` at least one of the values."""
        return self._add((self._steps, compare, "gte(any)", column, kept(values)))

    def gte_all_of(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column >=` every one of the values."""
        return self._add((self._steps, compare, "gte(all)", column, kept(values)))

    def lt_any_of(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column <` at least one of the values."""
        return self._add((self._steps, compare, "lt(any)", column, kept(values)))

    def lt_all_of(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column <` every one of the values."""
        return self._add((self._steps, compare, "lt(all)", column, kept(values)))

    def lte_any_of(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column <=` at least one of the values."""
        return self._add((self._steps, compare, "lte(any)", column, kept(values)))

    def lte_all_of(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column <=` every one of the values."""
        return self._add((self._steps, compare, "lte(all)", column, kept(values)))

    def like_any_of(self: Query, column: str, values: Iterable[str] | str) -> Query:
        """`column LIKE` at least one of the values."""
        return self._add((self._steps, patterns, "like(any)", column, kept(values)))

    def like_all_of(self: Query, column: str, values: Iterable[str] | str) -> Query:
        """`column LIKE` every one of the values."""
        return self._add((self._steps, patterns, "like(all)", column, kept(values)))

    def ilike_any_of(self: Query, column: str, values: Iterable[str] | str) -> Query:
        """`column ILIKE` at least one of the values."""
        return self._add((self._steps, patterns, "ilike(any)", column, kept(values)))

    def ilike_all_of(self: Query, column: str, values: Iterable[str] | str) -> Query:
        """`column ILIKE` every one of the values."""
        return self._add((self._steps, patterns, "ilike(all)", column, kept(values)))

    def match_any_of(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column ~` at least one of the values."""
        return self._add((self._steps, compare, "match(any)", column, kept(values)))

    def match_all_of(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column ~` every one of the values."""
        return self._add((self._steps, compare, "match(all)", column, kept(values)))

    def imatch_any_of(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column ~*` at least one of the values."""
        return self._add((self._steps, compare, "imatch(any)", column, kept(values)))

    def imatch_all_of(self: Query, column: str, values: Iterable[Any]) -> Query:
        """`column ~*` every one of the values."""
        return self._add((self._steps, compare, "imatch(all)", column, kept(values)))

    like_any = like_any_of
    like_all = like_all_of
    ilike_any = ilike_any_of
    ilike_all = ilike_all_of
