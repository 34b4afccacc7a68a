"""Queries without a client, for tests of the core."""

from __future__ import annotations

from typing import Any, Self

from aerodb._core.database import verbs
from aerodb._core.database.query import QueryBase
from tests.support.postgrest_grammar import decode


class Bare(QueryBase):
    """A query that can be built and looked at, with the verbs and no way to run."""

    __slots__ = ()

    def select(self, *columns: Any, count: Any = None, head: bool = False) -> Self:
        return self._add((self._steps, verbs.select, columns, count, head))

    def write(self, verb: str, values: Any = None, **options: Any) -> Self:
        return self._add(verbs.write_step(self._steps, verb, values, options))

    def insert(self, values: Any, **options: Any) -> Self:
        return self.write("insert", values, **options)

    def upsert(self, values: Any, **options: Any) -> Self:
        return self.write("upsert", values, **options)

    def update(self, values: Any, **options: Any) -> Self:
        return self.write("update", values, **options)

    def delete(self, **options: Any) -> Self:
        return self.write("delete", None, **options)

    def shaped(self, mode: str | None, row_type: Any = None) -> Self:
        return self._add((self._steps, verbs.row_shape, mode, row_type))

    def single(self) -> Self:
        return self.shaped("single")

    def maybe_single(self) -> Self:
        return self.shaped("maybe_single")

    def counted(self, mode: Any) -> Self:
        return self._add((self._steps, verbs.count_only, mode))

    def explained(self, form: str = "text", **wanted: bool) -> Self:
        return self._add((self._steps, verbs.explain, wanted, form))


def begin(step: tuple[Any, ...], schema: Any = "public") -> Bare:
    """A query that begins with this step."""
    query = Bare()
    query._source = (None, schema)
    query._steps = step
    return query


def table(name: Any = "t", row_type: Any = None, schema: Any = "public") -> Bare:
    """A query on a table."""
    return begin((None, verbs.open_table, name, row_type), schema)


def function(name: Any, params: Any = None, *, get: bool = False, head: bool = False,
             count: Any = None, returns: Any = None) -> Bare:  # fmt: skip
    """A query on a function."""
    return begin((None, verbs.call_function, name, params, get, head, count, returns))


def sent(query: Bare) -> tuple[str, str]:
    """Method, and path and query decoded: what a person would write."""
    request = query.to_request()
    assert request.error is None, request.error
    return request.method, decode(request.path).removeprefix("/rest/v1/")
