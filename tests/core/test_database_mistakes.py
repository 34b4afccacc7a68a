"""Natural mistakes in queries: what is said of them. Building a query raises for no value."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from aerodb._core.database import Range, col, embed
from aerodb.types import AeroDBError, AeroDBResponse
from tests.support.queries import Bare, function, sent, table

t = table()
ANY: Any = None


def nested(depth: int) -> Any:
    return functools.reduce(lambda inner, _: [inner], range(depth), ANY)


def endless() -> Any:
    members: list[Any] = []
    members.append(members)
    return members


# what was given, and words that the message or the hint must have
REFUSED: list[tuple[str, Callable[[], Bare], list[str]]] = [
    ("embed no name", lambda: t.select(embed("")), ["empty"]),
    ("embed None", lambda: t.select(embed(ANY)), ["embed", "None", "str"]),
    ("embed a number", lambda: t.select(embed(5, "a")), ["embed", "int 5", "str"]),  # type: ignore[arg-type]
    ("alias", lambda: t.select(embed("a", alias=5)), ["alias", "int 5"]),  # type: ignore[arg-type]
    ("hint", lambda: t.select(embed("a", hint=5)), ["hint", "int 5"]),  # type: ignore[arg-type]
    ("col None", lambda: t.where(col(ANY) == 1), ["column", "None", "str"]),
    ("col of a number", lambda: t.select(col(5)), ["column", "int 5", "str"]),  # type: ignore[arg-type]
    ("order by col None", lambda: t.order(col(ANY)), ["column", "None"]),
    ("json None", lambda: t.select(col("a").json(ANY)), ["json", "None"]),
    ("as_ a number", lambda: t.select(col("a").as_(5)), ["as_", "int 5"]),  # type: ignore[arg-type]
    ("search options", lambda: t.text_search("a", "b", "english"),  # type: ignore[arg-type]
     ["options", "'english'", "mapping"]),
    ("search option misspelt", lambda: t.text_search("a", "b", {"typ": "plain"}),
     ["'typ'", "type", "config"]),
    ("a deep list", lambda: t.contains("a", nested(5000)), ["a", "nested deeper", "6"]),
    ("a list in itself", lambda: t.contains("a", endless()), ["nested deeper"]),
    ("the same in a tree", lambda: t.where(col("a").overlaps(endless()) | (col("b") == 1)),
     ["nested deeper"]),
    ("a response", lambda: t.eq("a", AeroDBResponse([1])), ["a:", "AeroDBResponse", ".data"]),
    ("a response in a list", lambda: t.in_("a", [AeroDBResponse(1)]), ["AeroDBResponse", ".data"]),
    ("a response as list", lambda: t.in_("a", AeroDBResponse([1])), ["AeroDBResponse", ".data"]),
    ("a response as row", lambda: t.insert(AeroDBResponse({"a": 1})), ["AeroDBResponse", ".data"]),
    ("a response among rows", lambda: t.insert([AeroDBResponse({"a": 1})]), ["row 0", ".data"]),
    ("a response in a row", lambda: t.insert({"a": AeroDBResponse(1)}), ["a:", "AeroDBResponse"]),
    ("a response as update", lambda: t.update(AeroDBResponse({"a": 1})).eq("id", 1), [".data"]),
    ("a response as arguments", lambda: function("f", AeroDBResponse({"a": 1})), [".data"]),
    ("an error", lambda: t.eq("a", AeroDBError("no")), ["AeroDBError"]),
    ("two columns", lambda: t.where(col("a") == col("b")), ["col('b')", "view"]),
    ("two columns in a filter", lambda: t.gt("a", col("b")), ["col('b')", "view"]),
    ("col as name", lambda: t.eq(col("a"), 1), ["col('a')", "where"]),  # type: ignore[arg-type]
    ("text for a list", lambda: t.eq_any_of("a", "abc"), ["'abc'", "list"]),
    ("a literal for a list", lambda: t.gt_all_of("a", "{1,2}"), ["list", "filter("]),
    ("text of regular expressions", lambda: t.match_any_of("a", "^x"), ["'^x'", "list"]),
    ("a direction in the name", lambda: t.order("a desc"), ["'a desc'", "desc=True"]),
    ("a direction in capitals", lambda: t.order("created_at DESC"), ["desc=True"]),
    ("the usual direction", lambda: t.order("a asc"), ["'a asc'"]),
    ("a bad value in a tree", lambda: t.where((col("a") == object()) | (col("b") == 1)),
     ["a: object"]),
    ("half a range", lambda: t.or_("span.ov.[1,5)"), ["balanced", '"[1,5)"']),
    ("NUL by GET", lambda: function("f", {"name": "\0"}, get=True), ["name", "NUL"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_is_refused(make: Callable[[], Bare], words: list[str]) -> None:
    request = make().to_request()
    assert request.method == ""
    error = request.error
    assert error is not None
    assert error.code == "INVALID_ARGUMENT"
    said = f"{error.message} {error.hint or ''}"
    for word in words:
        assert word in said, said


MEANT: list[tuple[str, Bare, str]] = [
    ("a condition negated", t.not_(col("a") == 1), "t?a=not.eq.1"),
    ("a tree negated", t.not_((col("a") == 1) | (col("b") == 2)), "t?not.or=(a.eq.1,b.eq.2)"),
    ("None negated", t.not_("a", "is", None), "t?a=not.is.null"),
    ("an empty key", t.select(col("a").json("")), 't?select=a->""'),
    ("a name like a direction", t.order('"a desc"'), 't?order="a desc".asc'),
    ("a name that ends so", t.order("adesc"), "t?order=adesc.asc"),
    ("arrays of arrays", t.contains("a", nested(6)), "t?a=cs.{{{{{{NULL}}}}}}"),
    ("a literal by filter", t.filter("a", "eq(any)", "{1,2}"), "t?a=eq(any).{1,2}"),
    ("a range quoted", t.or_('span.ov."[1,5)"'), 't?or=(span.ov."[1,5)")'),
    ("a range as value", t.where(col("span").overlaps(Range(1, 5)) | (col("a") == 1)),
     't?or=(span.ov."[1,5)",a.eq.1)'),
    ("the table of or_ in second place", t.or_("a.eq.1,b.eq.2", "posts"),
     "t?posts.or=(a.eq.1,b.eq.2)"),
    ("and of an embedded one", t.or_("a.eq.1", "posts.notes"), "t?posts.notes.or=(a.eq.1)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "line"), [row[1:] for row in MEANT], ids=[row[0] for row in MEANT]
)
def test_what_is_meant(query: Bare, line: str) -> None:
    assert sent(query) == ("GET", line)


@pytest.mark.parametrize(
    "slip",
    [
        lambda: (col("a") == 1) | 2,
        lambda: col("a") == 1 | col("b") == 2,
        lambda: col("a") | col("b"),
        lambda: col("a") & (col("b") == 2),
        lambda: (col("a") == 1) & col("b"),
        lambda: ~col("a"),
    ],
)
def test_conditions_without_parentheses(slip: Callable[[], Any]) -> None:
    """`&` and `|` bind more tightly than `==`."""
    with pytest.raises(TypeError, match=r"parentheses|compare it"):
        slip()


def test_a_json_path_without_a_key() -> None:
    for slip in (col("a").json, col("a").json_text):
        with pytest.raises(TypeError, match="key"):
            slip()


def test_not_without_anything() -> None:
    with pytest.raises(TypeError, match="column, operator, value"):
        t.not_()  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="column, operator, value"):
        t.not_("a", "eq")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="not callable"):
        t("a", "eq", 1)


def test_a_response_says_that_it_is_the_answer() -> None:
    """`csv()`, `count()`, `first()` and their like run the query; elsewhere `execute()` follows."""
    answer: Any = AeroDBResponse([1])
    with pytest.raises(AttributeError, match=r"execute.*has run.*\.data"):
        answer.execute()
    with pytest.raises(AttributeError, match="no attribute 'rows'"):
        _ = answer.rows
    assert not hasattr(answer, "__await__")


@pytest.mark.parametrize("flag", ["ascending", "desc", "nulls_first"])
def test_what_counts_as_true_is_no_direction_although_true_is(flag: str) -> None:
    good: dict[str, Any] = {flag: True}
    bad: dict[str, Any] = {flag: 1}  # equal to True, also where terms are remembered
    assert table("t").order("a", **good).to_request().error is None
    error = table("t").order("a", **bad).to_request().error
    assert error is not None
    assert flag in error.message


def test_equal_queries_of_unequal_kinds_share_nothing() -> None:
    name = "remembered"
    assert table(name).select("a").to_request().path == "/rest/v1/remembered?select=a"
    assert table(name).to_request().path == "/rest/v1/remembered"
    assert function(name, {}, get=True).to_request().path == "/rest/v1/rpc/remembered"
    assert table(name).select("a").eq("b", "x y").to_request().path.endswith("select=a&b=eq.x%20y")
    assert table(name).eq("b", "é").to_request().path.endswith("?b=eq.%C3%A9")
