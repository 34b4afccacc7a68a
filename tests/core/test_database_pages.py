"""Paging decides which page is next and never loses a row, whatever the server's cap is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerodb._core.database.expressions import col
from aerodb._core.database.pages import Pager
from aerodb._core.database.results import all_rows
from aerodb.types import AeroDBError, AeroDBResponse, ResponseMeta
from tests.support.postgrest_grammar import Filter, Tree, read_query
from tests.support.queries import Bare, function, table

t = table()


class Server:
    """Rows (a, b) in order, pages cut at a cap, filters of keyset paging understood."""

    def __init__(self, rows: list[dict[str, Any]], cap: int, *, tells: bool = True) -> None:
        self.rows = rows
        self.cap = cap
        self.tells = tells
        self.requests = 0

    def answer(self, query: Bare) -> AeroDBResponse[Any]:
        self.requests += 1
        assert self.requests < 500, "it never ends"
        request = query.to_request()
        assert request.error is None, request.error
        asked = read_query(request.path.partition("?")[2])
        found = [row for row in self.rows if self._fits(row, asked.filters, asked.trees)]
        for term in reversed(asked.orders.get((), ())):
            name, down = term.field.name, term.direction == "desc"
            found.sort(key=lambda row: (row[name] is None, row[name] or 0), reverse=down)
        offset, limit = asked.numbers.get("offset", 0), asked.numbers["limit"]
        page = found[offset : offset + min(limit, self.cap)]
        known = (offset, offset + len(page) - 1) if page and self.tells else None
        return AeroDBResponse(page, meta=ResponseMeta(range=known))

    def _fits(self, row: Any, filters: Any, trees: Any) -> bool:
        return all(self._holds(row, condition) for condition in [*filters, *trees])

    def _holds(self, row: Any, condition: Filter | Tree) -> bool:
        if isinstance(condition, Tree):
            found = [self._holds(row, member) for member in condition.members]
            return all(found) if condition.operator == "and" else any(found)
        value = row[condition.field.name]
        if condition.operator == "is" or value is None:
            return value is None and condition.operator == "is"
        limit = int(condition.value)
        return {"gt": value > limit, "lt": value < limit, "eq": value == limit}[condition.operator]


def read(pager: Pager[Bare], server: Server) -> list[AeroDBResponse[Any]]:
    found = []
    while (query := pager.next_query()) is not None:
        page = pager.feed(server.answer(query))
        if page is not None:
            found.append(page)
    return found


def fed(pager: Pager[Bare], response: AeroDBResponse[Any]) -> AeroDBResponse[Any]:
    page = pager.feed(response)
    assert page is not None
    return page


ROWS = [{"a": a, "b": b} for a in range(12) for b in range(7)]


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(0, 84),
    cap=st.integers(1, 30),
    page_size=st.integers(1, 40),
    key=st.sampled_from([None, ["a", "b"], ["-a", "b"], ["a", "-b"], ["-a", "-b"]]),
    max_rows=st.none() | st.integers(0, 90),
    tells=st.booleans(),
)
def test_every_row_once_and_in_order(
    count: int, cap: int, page_size: int, key: Any, max_rows: Any, tells: bool
) -> None:
    rows = ROWS[:count]
    pager = Pager(t, page_size, key, max_rows)
    response = all_rows(read(pager, Server(list(rows), cap, tells=tells)), pager)
    expected = list(rows)
    for name in reversed(key or []):
        column = name.removeprefix("-")
        expected.sort(key=lambda row: row[column], reverse=name.startswith("-"))
    assert response.error is None
    assert response.data == expected[:max_rows]
    if max_rows is not None and max_rows < count and max_rows > 0:
        assert response.meta.truncated is True


def requests(rows: int, cap: int, page_size: int, key: Any = None) -> int:
    server = Server(ROWS[:rows], cap)
    read(Pager(t, page_size, key, None), server)
    return server.requests


def test_it_asks_no_more_than_it_must() -> None:
    assert requests(25, 1000, 10) == 3
    assert requests(20, 1000, 10) == 3, "only an empty page tells that the second was the last"
    assert requests(5, 1000, 10) == 2, "a cap of five cannot be told from the end"
    assert requests(25, 10, 20) == 3, "the cap shows itself"


def test_a_known_total_ends_it() -> None:
    pager = Pager(t, 10, None, None)
    assert pager.next_query() is not None
    pager.feed(AeroDBResponse([{"a": 1}], meta=ResponseMeta(truncated=False)))
    assert pager.next_query() is None


def test_limit_and_offset_of_the_query_are_kept() -> None:
    pager = Pager(t.offset(5).limit(12), 10, None, None)
    pages = read(pager, Server(ROWS[:40], 1000))
    assert [len(page.data or []) for page in pages] == [10, 2]
    assert pages[0].data == ROWS[5:15]
    pager = Pager(t.limit(12), 10, None, 100)
    assert all_rows(read(pager, Server(ROWS[:40], 1000)), pager).meta.truncated is False
    keyed = Pager(t.offset(5).limit(12), 10, ["a", "b"], None)
    assert all_rows(read(keyed, Server(ROWS[:40], 1000)), keyed).data == ROWS[5:17]


@pytest.mark.parametrize(
    ("query", "options", "named"),
    [
        (t, {"page_size": 0}, "page_size"),
        (t, {"page_size": "5"}, "page_size"),
        (t, {"max_rows": -1}, "max_rows"),
        (t.order("a"), {"key": "b"}, "order"),
        (t.insert({}), {}, "list of rows"),
        (t.single(), {}, "list of rows"),
        (t.select(head=True), {}, "list of rows"),
        (t.limit(-1), {}, "limit"),
        (t, {"key": 5}, "key: int 5"),
        (t, {"key": ["a", None]}, "key: list"),
        (t, {"key": {"a": 1}}, "key: dict"),
        (t, {"key": col("a")}, "key: Column"),
    ],
)
def test_what_has_no_pages(query: Bare, options: Any, named: str) -> None:
    given_ = {"page_size": 10, "key": None, "max_rows": None} | options
    pager = Pager(query, given_["page_size"], given_["key"], given_["max_rows"])
    assert pager.next_query() is None
    assert pager.problem is not None
    assert pager.problem.error is not None
    assert named in pager.problem.error.message
    query.to_request()


def test_an_error_ends_it() -> None:
    pager = Pager(t, 10, None, None)
    assert pager.next_query() is not None
    error = AeroDBError("gone", code="NETWORK_ERROR")
    assert fed(pager, AeroDBResponse(None, error)).error is error
    assert pager.next_query() is None


@pytest.mark.parametrize("key", [None, "a"])
@pytest.mark.parametrize("tells", [True, False])
def test_a_server_that_repeats_itself_is_not_asked_for_ever(key: Any, tells: bool) -> None:
    pager = Pager(t, 2, key, None)
    page = AeroDBResponse([{"a": 1}, {"a": 2}], meta=ResponseMeta(range=(0, 1) if tells else None))
    assert pager.next_query() is not None
    assert fed(pager, page).ok
    assert pager.next_query() is not None
    error = fed(pager, page).error
    assert error is not None
    assert error.code == "INVALID_RESPONSE"
    assert pager.next_query() is None


@pytest.mark.parametrize("page_size", [1, 2, 3, 10])
@pytest.mark.parametrize("key", ["a", "-a", ["b", "a"]])
def test_rows_without_a_key_are_not_lost_in_silence(page_size: int, key: Any) -> None:
    rows: list[dict[str, Any]] = [{"a": a, "b": 1} for a in (3, 1, None, 2, 5)]
    pager = Pager(t, page_size, key, None)
    response = all_rows(read(pager, Server(rows, 1000)), pager)
    if response.error is None:
        assert len(response.data or []) == len(rows)
    else:
        assert response.error.code == "INVALID_ARGUMENT"
        assert "'a'" in response.error.message


@pytest.mark.parametrize("row", [{"b": 1}, {"a": None}])
def test_rows_without_their_key(row: Any) -> None:
    pager = Pager(t, 1, "a", None)
    assert pager.next_query() is not None
    error = fed(pager, AeroDBResponse([row])).error
    assert error is not None
    assert "'a'" in error.message


def test_functions_have_pages() -> None:
    pager = Pager(function("f"), 10, None, None)
    query = pager.next_query()
    assert query is not None
    assert query.to_request().path == "/rest/v1/rpc/f?offset=0&limit=10"
    assert fed(pager, AeroDBResponse(5)).error is not None
