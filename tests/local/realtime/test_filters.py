"""Filters of subscriptions (wire contract §4.7)."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.local import LocalServer
from aerodb.local.realtime.errors import FrameError
from aerodb.local.realtime.filters import Condition, parse_filter

from .conftest import bound, settle, socket_to

ROWS = """
    insert into posts (id, title, likes, made, tags, price) values
        (1, 'apple', 1, '2024-01-01', '{a}', 1.5),
        (2, 'Apple pie', 2, '2024-06-01', '{b}', 2.5),
        (3, 'pear, "ripe"', 3, '2025-01-01', null, null),
        (4, null, 4, null, '{a,b}', 10),
        (5, 'a%b', 10, '2026-01-01', '{}', 9)
"""
MATCHES = {
    "id=eq.3": [3],
    "id=neq.3": [1, 2, 4, 5],
    "likes=lt.3": [1, 2],
    "likes=lte.3": [1, 2, 3],
    "likes=gt.3": [4, 5],
    "likes=gte.4": [4, 5],
    "likes=in.(1,4,99)": [1, 4],
    "likes=in.()": [],
    'title=in.("pear, \\"ripe\\"",apple)': [1, 3],
    'title=eq."pear, \\"ripe\\""': [3],
    "title=eq.apple": [1],
    "title=is.null": [4],
    "title=is.not_null": [1, 2, 3, 5],
    "title=not.is.null": [1, 2, 3, 5],
    "title=like.a*": [1, 5],
    "title=like.*%*": [1, 2, 3, 5],
    "title=ilike.APPLE*": [1, 2],
    "title=match.^a.*e$": [1],
    "title=imatch.^A.*E$": [1, 2],
    "title=isdistinct.apple": [2, 3, 4, 5],
    "title=not.eq.apple": [2, 3, 5],
    "title=not.in.(apple)": [2, 3, 5],
    "made=gte.2025-01-01": [3, 5],
    "price=gt.2": [2, 4, 5],
    "price=lt.10": [1, 2, 5],
    "tags=eq.{a}": [1],
    "likes=gt.1,likes=lt.10,title=not.is.null": [2, 3],
    "title=not.like.a*,id=gt.2": [3],
}


@pytest.mark.parametrize("text", MATCHES)
async def test_filters_by_the_types_of_columns(
    rt_server: LocalServer, empty: psycopg.Connection[Any], text: str
) -> None:
    async with socket_to(rt_server) as socket:
        ack = await socket.join("mine", postgres_changes=[bound("*", "posts", text)])
        assert ack["bindings"][0]["filter"] == text
        empty.execute(ROWS)
        found = await socket.events(len(MATCHES[text]))
        assert [e["payload"]["new"]["id"] for e in found] == MATCHES[text]
        await socket.nothing_more(settle(rt_server, empty))


async def test_a_delete_is_filtered_by_what_is_told_of_it(
    rt_server: LocalServer, empty: psycopg.Connection[Any]
) -> None:
    empty.execute(ROWS)
    settle(rt_server, empty)
    async with socket_to(rt_server) as socket:
        await socket.join("key", postgres_changes=[bound("DELETE", "posts", "id=eq.3")])
        for number, text in enumerate(("likes=gt.0", "title=is.null", "title=isdistinct.x")):
            await socket.join(f"other{number}", postgres_changes=[bound("DELETE", "posts", text)])
        empty.execute("delete from posts")
        event = await socket.until("event")
        assert (event["channel"], event["payload"]["old"]) == ("key", {"id": 3})
        await socket.nothing_more(settle(rt_server, empty))


async def test_a_filter_over_what_a_large_row_is_cut_down_by(
    rt_server: LocalServer, empty: psycopg.Connection[Any]
) -> None:
    """Nobody can tell whether it holds; who might want the row can read it."""
    async with socket_to(rt_server) as socket:
        await socket.join("ours", postgres_changes=[bound("*", "posts", "likes=eq.7")])
        await socket.join("key", postgres_changes=[bound("*", "posts", "id=eq.2")])
        empty.execute("insert into posts (id, title, likes) values (1, repeat('x', 600000), 7)")
        event = await socket.until("event")
        assert (event["channel"], event["payload"]["new"]) == ("ours", {"id": 1})
        assert event["payload"]["errors"] == ["payload_too_large"]
        await socket.nothing_more(settle(rt_server, empty))


async def test_json_null_is_null(rt_server: LocalServer, empty: psycopg.Connection[Any]) -> None:
    """As in the frames, where the two are one."""
    async with socket_to(rt_server) as socket:
        await socket.join("none", postgres_changes=[bound("*", "posts", "data=is.null")])
        await socket.join("some", postgres_changes=[bound("*", "posts", "data=not.is.null")])
        empty.execute(
            "insert into posts (id, data) values (1, 'null'), (2, null), (3, '[null]'), (4, '0')"
        )
        told = [(e["channel"], e["payload"]["new"]["id"]) for e in await socket.events(4)]
        assert told == [("none", 1), ("none", 2), ("some", 3), ("some", 4)]


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "id",
        "id=",
        "id=eq",
        "=eq.1",
        "id=what.1",
        "id=eq.one",
        "made=gt.yesterday-ish",
        "nothing=eq.1",
        "id=is.seven",
        "id=in.1,2",
        "id=in.(" + ",".join(map(str, range(101))) + ")",
        "id=in.(a)",
        "title=match.(",
        "title=imatch.[",
        'title=eq."open',
        "id=eq.1,",
        "id=eq.\0",
        "id; drop table posts=eq.1",
        'id" = 1 or "id=eq.1',
        ",".join(["id=eq.1"] * 21),
        "data=eq.{",
    ],
)
async def test_a_filter_that_makes_no_sense(rt_server: LocalServer, text: str) -> None:
    async with socket_to(rt_server) as socket:
        refused = await socket.ask("mine", postgres_changes=[bound("*", "posts", text)])
        assert (refused["type"], refused["code"]) == ("error", "invalid_filter"), refused
        assert refused["retryable"] is False
        # the connection goes on
        await socket.join("posts")


async def test_a_filter_over_a_whole_schema(rt_server: LocalServer) -> None:
    async with socket_to(rt_server) as socket:
        refused = await socket.ask("x", postgres_changes=[bound("*", "*", "id=eq.1")])
        assert refused["code"] == "invalid_filter"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    found: tuple[Condition, ...] | str
    try:
        found = parse_filter(text)
    except FrameError as problem:
        found = problem.code
    assert found == "invalid_filter" or isinstance(found, tuple)
    assert found != ()


@given(st.text(min_size=1, max_size=20).filter(lambda text: "\0" not in text), st.integers())
def test_a_quoted_column_comes_back(name: str, number: int) -> None:
    column = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    for text in (f"{column}=eq.{number},b=in.(1,2)", f"b=in.(1,2), {column}=eq.{number}"):
        conditions = {one.column: one.values for one in parse_filter(text)}
        assert conditions == {"b": ("1", "2"), name: (str(number),)} or name == "b"


@given(st.lists(st.text(max_size=20).filter(lambda text: "\0" not in text), max_size=10))
def test_quoted_values_come_back(values: list[str]) -> None:
    quoted = ",".join('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values)
    conditions = parse_filter(f"a=in.({quoted}),b=eq.1")
    assert [c.column for c in conditions] == ["a", "b"]
    assert list(conditions[0].values) == values
