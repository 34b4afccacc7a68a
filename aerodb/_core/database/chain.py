"""The immutable chain that every query is made of."""

from __future__ import annotations

from typing import Any, TypeVar

from aerodb._core.database.plan import Step

__all__ = ["Chain"]

_new = object.__new__


Query = TypeVar("Query", bound="Chain")
"""Not `Self`: completion by jedi takes that for the class where it stands."""


class Chain:
    """Where a query goes, and the last of the steps that made it.

    A step is `(previous, apply, *arguments)`, so a query shares all its past with the queries it
    was forked from, and adding to it costs one small object (performance.md, target e).
    """

    __slots__ = ("_source", "_steps")

    _source: Any
    _steps: Step

    def _add(self: Query, step: Step) -> Query:
        query = _new(self.__class__)
        query._source = self._source
        query._steps = step
        return query

    def _turn(self, step: Step) -> Any:
        """As `_add`, for steps that change what comes back: the caller says the new type."""
        query = _new(self.__class__)
        query._source = self._source
        query._steps = step
        return query
