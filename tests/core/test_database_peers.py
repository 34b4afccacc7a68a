"""Chains that users of other PostgREST clients know ask the server for the same thing here.

Each row is a chain and the parameters, decoded, that it must become; the facts were read off the
wire of those clients, where they follow the server's grammar.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from tests.support.queries import Bare, table

t = table("t")

SAME: list[tuple[Bare, list[tuple[str, str]]]] = [
    (t.select("id, name"), [("select", "id,name")]),
    (t.select("id", "posts (\n  id,\n  title\n)"), [("select", "id,posts(id,title)")]),
    (t.select("x : a->>b :: text"), [("select", "x:a->>b::text")]),
    (t.eq("data->>a", "v,1"), [("data->>a", "eq.v,1")]),
    (
        t.eq("posts.id", 1).eq("a", 2).eq("a", 3),
        [("posts.id", "eq.1"), ("a", "eq.2"), ("a", "eq.3")],
    ),
    (t.in_("a", ["x", "y,z", 'q"', 1]), [("a", 'in.(x,"y,z","q\\"",1)')]),
    (t.not_.in_("a", [1, 2]), [("a", "not.in.(1,2)")]),
    (t.filter("a", "not.in", '("x,y",z)'), [("a", 'not.in.("x,y",z)')]),
    (t.not_("a", "is", None), [("a", "not.is.null")]),
    (t.filter("a", "like(any)", "{%x%,y}"), [("a", "like(any).{%x%,y}")]),
    (t.like_any_of("a", "%x%,y"), [("a", "like(any).{%x%,y}")]),
    (t.contains("a", "[1,5)"), [("a", "cs.[1,5)")]),
    (t.contains("a", ["is:open", "x y"]), [("a", 'cs.{"is:open","x y"}')]),
    (t.contains("a", {"k": 1}), [("a", 'cs.{"k":1}')]),
    (t.range_gt("a", "[1,5)"), [("a", "sr.[1,5)")]),
    (t.range_adjacent("a", (1, 5)), [("a", "adj.(1,5)")]),
    (
        t.text_search("a", "'fat' & 'cat'", {"type": "plain", "config": "english"}),
        [("a", "plfts(english).'fat' & 'cat'")],
    ),
    (t.text_search("a", "x", options={"type": "web_search"}), [("a", "wfts.x")]),
    (t.match({"a": 1, "b": "x"}), [("a", "eq.1"), ("b", "eq.x")]),
    (t.or_("id.gt.1, and(a.eq.x,b.is.null)"), [("or", "(id.gt.1, and(a.eq.x,b.is.null))")]),
    (t.not_.or_("a.eq.1,b.eq.2"), [("not.or", "(a.eq.1,b.eq.2)")]),
    (t.or_("a.eq.1", reference_table="posts"), [("posts.or", "(a.eq.1)")]),
    (t.or_("a.eq.1,b.gt.2", "posts"), [("posts.or", "(a.eq.1,b.gt.2)")]),
    (
        t.not_.or_("a.eq.1,b.eq.2", foreign_table="posts.notes"),
        [("posts.notes.not.or", "(a.eq.1,b.eq.2)")],
    ),
    (
        t.order("a", desc=True, nullsfirst=False).order("b").order("c", foreign_table="posts"),
        [("order", "a.desc.nullslast,b.asc"), ("posts.order", "c.asc")],
    ),
    (t.range(10, 19), [("offset", "10"), ("limit", "10")]),
    (t.range(2, 5, foreign_table="posts"), [("posts.offset", "2"), ("posts.limit", "4")]),
    (
        t.upsert([{"a": 1}, {"b c": 2}], on_conflict="a, b"),
        [("columns", "a,b c"), ("on_conflict", "a,b")],
    ),
]


@pytest.mark.parametrize(("query", "pairs"), SAME, ids=[str(n) for n in range(len(SAME))])
def test_known_chains(query: Bare, pairs: list[tuple[str, str]]) -> None:
    request = query.to_request()
    assert request.error is None
    assert parse_qsl(request.path.partition("?")[2], strict_parsing=True) == pairs


@pytest.mark.parametrize(
    "query",
    [
        t.or_("posts"),
        t.or_("a.eq.1", "b.eq.2", "posts"),
        t.where("a.eq.1", "posts"),
        t.and_("posts", "a.eq.1"),
    ],
)
def test_a_name_is_no_condition(query: Bare) -> None:
    """Elsewhere the second argument of `or_` is the embedded table, and so it is here. In any other
    place a name could only be the server's syntax error."""
    error = query.to_request().error
    assert error is not None
    assert error.code == "INVALID_ARGUMENT"
    assert "'posts'" in error.message
    assert "foreign_table" in (error.hint or "")
