"""Reading more rows than a server gives at once: which page to ask for next, and when to stop.

The server may cap pages at any size without saying so. So a short page ends the table only if a
page as long as that was seen before, or the total is known; else one more page is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from aerodb._core.database.expressions import Condition, Group, Leaf
from aerodb._core.database.modifiers import assign, number
from aerodb._core.database.plan import LastKey
from aerodb._core.database.query import QueryBase
from aerodb._core.database.render import local_error, plan_of
from aerodb._core.values import BadValue, describe
from aerodb.types import AeroDBResponse

__all__ = ["Pager"]

Q = TypeVar("Q", bound=QueryBase)


class Pager(Generic[Q]):
    """Decides page by page: `next_query()` to execute, `feed()` its response, until None.

    With `key` (a unique, not null column, or several that are unique together) a page begins
    after the last row of the one before: rows that come and go meanwhile shift nothing. Without,
    pages are cut by offset, and the order is the query's own business.
    """

    __slots__ = (
        "_asked",
        "_base",
        "_before",
        "_cut_short",
        "_descending",
        "_done",
        "_jumped",
        "_keys",
        "_largest",
        "_last",
        "_left",
        "_offset",
        "_page_size",
        "_probing",
        "_query",
        "_seen",
        "problem",
        "truncated",
    )  # fmt: skip

    def __init__(
        self, query: Q, page_size: int, key: str | Sequence[str] | None, max_rows: int | None
    ) -> None:
        self._query: Q = query
        self._done = False
        self._asked = 0
        self._largest = 0
        self._cut_short = True
        self._jumped = False
        self._probing = False
        self._before: Any = None
        self._last: list[Any] | None = None
        self._seen: LastKey | None = None
        self.truncated = False
        self.problem: AeroDBResponse[Any] | None = None
        try:
            self._begin(page_size, key, max_rows)
        except BadValue as problem:
            self.problem = local_error(problem)

    def _begin(self, page_size: int, key: Any, max_rows: int | None) -> None:
        self._page_size = number(page_size, "page_size")
        if not self._page_size:
            raise BadValue("page_size: 0 was given, expected at least 1")
        plan = plan_of(self._query)
        if plan.verb not in ("select", "rpc") or plan.mode not in ("list", "value") or plan.head:
            raise BadValue("only a query for a list of rows has pages")
        self._left = None if max_rows is None else number(max_rows, "max_rows")
        if plan.limit is not None and (self._left is None or plan.limit <= self._left):
            self._left = plan.limit  # all that was asked for: to stop there leaves nothing out
            self._cut_short = False
        self._base = self._offset = plan.offset or 0
        names = [] if key is None else [key] if isinstance(key, str) else _names(key)
        self._descending = [name.startswith("-") for name in names]
        self._keys = [name.removeprefix("-") for name in names]
        if self._keys and "order" in (plan.orders or {}):
            raise BadValue(
                "iterating by key sorts by that key, the query has an order() of its own",
                hint="Leave order() out, or leave key= out.",
            )

    def next_query(self) -> Q | None:
        """The query of the next page; None when there is none."""
        if self.problem is not None:
            return None
        if self._done:
            return self._probe()
        asked = self._page_size if self._left is None else min(self._page_size, self._left)
        if asked == 0:
            self.truncated = self._cut_short and self._largest > 0
            return None
        self._asked = asked
        query = self._query.limit(asked)
        if not self._keys:
            return query.offset(self._offset)
        self._seen = LastKey(tuple(self._keys))
        query = query._add((query._steps, assign, "last_key", self._seen))
        for name, descending in zip(self._keys, self._descending, strict=True):
            query = query.order(name, desc=descending)
        if self._last is None:
            return query
        self._jumped = True
        return query.offset(0).where(self._after(self._last))

    def _probe(self) -> Q | None:
        """Ask at the end whether rows have no key: they sort last, and no comparison finds them.

        Sorting them first would show them on the first page, but no usual index sorts so.
        """
        pairs = zip(self._keys, self._descending, strict=True)
        unseen = tuple(Leaf(name, "is", None) for name, descending in pairs if not descending)
        if not self._jumped or not unseen:
            return None
        self._jumped, self._probing = False, True
        return self._query.offset(0).limit(1).where(Group("or", unseen))

    def _after(self, last: list[Any]) -> Condition:
        """Rows behind `last`: `a > 1`, or `a > 1 or (a = 1 and b > 2)`."""
        found: Condition | None = None
        for position in range(len(self._keys) - 1, -1, -1):
            operator = "lt" if self._descending[position] else "gt"
            here: Condition = Leaf(self._keys[position], operator, last[position])
            if found is not None:
                here = here | (Leaf(self._keys[position], "eq", last[position]) & found)
            found = here
        assert found is not None
        return found

    def feed(self, response: AeroDBResponse[Any]) -> AeroDBResponse[Any] | None:
        """Take the response of the last query; return it, or the problem that it shows; None if it
        was no page."""
        rows = response.data
        if self._probing:
            self._probing = False
            if response.error is None:
                return local_error(self._no_key()) if rows else None
        if response.error is not None or not isinstance(rows, list):
            self._done, self._jumped = True, False
            problem = BadValue("the answer is no list of rows", code="INVALID_RESPONSE")
            return response if response.error else local_error(problem)
        try:
            self._advance(rows, response)
        except BadValue as problem:
            self._done, self._jumped = True, False
            return local_error(problem)
        return response

    def _no_key(self) -> BadValue:
        return BadValue(
            f"{', '.join(map(repr, self._keys))}: null in a row",
            hint="key= needs columns that are not null.",
        )

    def _advance(self, rows: list[Any], response: AeroDBResponse[Any]) -> None:
        size = len(rows)
        if size < self._asked:
            known = response.meta.truncated is False or min(self._asked, self._largest) > size
            self._done = known or size == 0
        self._largest = max(self._largest, size)
        if self._left is not None:
            self._left = max(0, self._left - size)
        if size == 0:
            return
        if self._keys:
            self._remember(rows[-1])
        else:
            self._check_offset(rows, response)
        self._offset += size

    def _remember(self, row: Any) -> None:
        seen = self._seen.values if self._seen is not None else None
        last = [_member(row, name) for name in self._keys] if seen is None else seen
        if None in last:
            raise self._no_key()
        if last == self._last:
            raise BadValue(
                f"the page after {', '.join(map(str, last))} is the same page again",
                code="INVALID_RESPONSE",
                hint="Is the key unique, and does the server filter by it?",
            )
        self._last = last

    def _check_offset(self, rows: list[Any], response: AeroDBResponse[Any]) -> None:
        """A server that ignores `offset` would be asked for ever."""
        page = response.meta.range
        again = page[0] != self._offset if page is not None else rows == self._before
        if again and self._offset > self._base:
            raise BadValue(
                f"the server does not heed offset={self._offset}: the same page again",
                code="INVALID_RESPONSE",
            )
        self._before = rows


def _names(key: Any) -> list[str]:
    if not isinstance(key, (list, tuple)) or not all(isinstance(name, str) for name in key):
        raise BadValue(f"key: {describe(key)} was given, expected a column name or several")
    return list(key)


def _member(row: Any, name: str) -> Any:
    try:
        return row[name] if isinstance(row, Mapping) else getattr(row, name)
    except (KeyError, AttributeError):
        raise BadValue(
            f"the rows have no {name!r}", hint="select() has to include the columns of key=."
        ) from None
