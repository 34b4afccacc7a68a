"""What a chain sends: method, path, headers, body; and what is refused before it is sent."""

from __future__ import annotations

import gc
from decimal import Decimal
from typing import Any

import pytest

from aerodb._core.database import Range, col, embed
from aerodb._core.database.render import prepare
from aerodb.types import AeroDBResponse
from tests.support.queries import Bare, function, sent, table

t = table()


def refused(query: Bare) -> Any:
    answer = prepare(query)
    assert isinstance(answer, AeroDBResponse)
    assert answer.error is not None
    return answer.error


PATHS: list[tuple[Bare, str]] = [
    # the seed's chain
    (t.select("id, name, email").eq("role", "admin").gt("age", 18)
      .order("created_at", ascending=False).limit(10),
     "t?select=id,name,email&role=eq.admin&age=gt.18&order=created_at.desc&limit=10"),
    (t, "t"),
    (t.select(), "t?select=*"),
    (t.select("id", "name"), "t?select=id,name"),
    (t.select(" id ,\n name , posts ( title ) "), "t?select=id,name,posts(title)"),
    (t.select('id, "two  words", first name'), 't?select=id,"two  words",first name'),
    (t.select("a:b::text, c -> d ->> e, ...f(g)"), "t?select=a:b::text,c->d->>e,...f(g)"),
    (t.select("count()", "x.sum()"), "t?select=count(),x.sum()"),
    (t.select("a").select("b"), "t?select=b"),
    (t.select(col("m").json("a b", 0).cast("text").as_("x")), "t?select=x:m->a b->0::text"),
    (t.select(col("n").sum().cast("int").as_("s"), col("*").count()),
     "t?select=s:n.sum()::int,count()"),
    (t.select(embed("posts", "id", embed("tags"), inner=True, alias="p", hint="fk")),
     "t?select=p:posts!fk!inner(id,tags(*))"),
    (t.select(embed("team", "city", spread=True)), "t?select=...team(city)"),
    (t.eq("a", None).neq("b", None), "t?a=is.null&b=not.is.null"),
    (t.not_.eq("a", None).not_.neq("b", None), "t?a=not.is.null&b=is.null"),
    (t.is_("a", None).is_("b", True).is_("c", "NOT_NULL"), "t?a=is.null&b=is.true&c=is.not_null"),
    (t.is_distinct("a", 1).is_distinct("b", None), "t?a=isdistinct.1&b=not.is.null"),
    (t.in_("a", [1, "x,y"]).not_in("b", (2,)), 't?a=in.(1,"x,y")&b=not.in.(2)'),
    (t.not_.not_in("a", [1]), "t?a=in.(1)"),
    (t.in_("a", [""]).not_in("b", [""]), "t?a=eq.&b=not.eq."),
    (t.not_in("a", []), "t"),
    (t.not_.in_("a", []), "t"),
    (t.where((col("a") == 1) | col("b").in_([])), "t?or=(a.eq.1,b.in.())"),
    (t.like("a", "x%").ilike("b", "*y"), "t?a=like.x%&b=ilike.*y"),
    (t.like_all_of("a", ["x%", "%y"]).ilike_any("b", "p,q"),
     't?a=like(all).{"x%","%y"}&b=ilike(any).{p,q}'),
    (t.gt_any_of("a", [1, 2]).eq_all_of("b", [True]), "t?a=gt(any).{1,2}&b=eq(all).{true}"),
    (t.match_regex("a", "^x").imatch_regex("b", "y$"), "t?a=match.^x&b=imatch.y$"),
    (t.regex("a", "x").iregex("b", "y"), "t?a=match.x&b=imatch.y"),
    (t.startswith("a", "50%_\\"), "t?a=like.50\\%\\_\\\\%"),
    (t.endswith("a", "x"), "t?a=like.%x"),
    (t.contains_text("a", "x*y"), "t?a=match.x\\*y"),
    (t.startswith("a", "x*").endswith("b", "*y"), "t?a=match.^x\\*&b=match.\\*y$"),
    (t.icontains_text("a", "x"), "t?a=ilike.%x%"),
    (t.contains("a", ["x", 1]).contained_by("b", {"k": 1}).overlaps("c", "[1,2)"),
     't?a=cs.{x,1}&b=cd.{"k":1}&c=ov.[1,2)'),
    (t.cs("a", [1]).cd("b", [2]).ov("c", [3]), "t?a=cs.{1}&b=cd.{2}&c=ov.{3}"),
    (t.range_lt("a", (1, 5)).range_gt("b", Range(1, 5)).range_gte("c", "[1,2)")
      .range_lte("d", range(1, 3)).range_adjacent("e", Range(None, 5)),
     "t?a=sl.(1,5)&b=sr.[1,5)&c=nxl.[1,2)&d=nxr.[1,3)&e=adj.[,5)"),
    (t.sl("a", (1, 2)).sr("a", (1, 2)).nxl("a", (1, 2)).nxr("a", (1, 2)).adj("a", (1, 2)),
     "t?a=sl.(1,2)&a=sr.(1,2)&a=nxl.(1,2)&a=nxr.(1,2)&a=adj.(1,2)"),
    (t.text_search("a", "x & y"), "t?a=fts.x & y"),
    (t.text_search("a", "x", {"type": "plain", "config": "english"}), "t?a=plfts(english).x"),
    (t.text_search("a", "x", type="web_search"), "t?a=wfts.x"),
    (t.fts("a", "x").plfts("b", "y", "german").phfts("c", "z").wfts("d", "w"),
     "t?a=fts.x&b=plfts(german).y&c=phfts.z&d=wfts.w"),
    (t.match({"a": 1, "b": None}), "t?a=eq.1&b=is.null"),
    (t.not_.match({"a": 1, "b": "x"}), "t?not.and=(a.eq.1,b.eq.x)"),
    (t.between("a", 1, 2), "t?a=gte.1&a=lte.2"),
    (t.not_.between("a", 1, 2), "t?not.and=(a.gte.1,a.lte.2)"),
    (t.filter("a", "not.gte", 1).filter("b", "in", "(1,2)").filter("c", "in", [1, 2]),
     "t?a=not.gte.1&b=in.(1,2)&c=in.(1,2)"),
    (t.filter("a", "like(any)", "{x,y}").filter("b", "like(all)", ["x"]),
     "t?a=like(any).{x,y}&b=like(all).{x}"),
    (t.filter("a", "is", None).filter("b", "fts(english)", "x"), "t?a=is.null&b=fts(english).x"),
    (t.raw_filter("a", "eq.1"), "t?a=eq.1"),
    (t.not_("a", "gt", 3).not_("b", "is", None).not_("c", "in", [1]),
     "t?a=not.gt.3&b=not.is.null&c=not.in.(1)"),
    (t.not_.not_.eq("a", 1), "t?a=eq.1"),
    (t.not_.limit(1).eq("a", 1), "t?a=not.eq.1&limit=1"),
    (t.or_("a.eq.1,b.gt.2"), "t?or=(a.eq.1,b.gt.2)"),
    (t.or_("a.eq.1", col("b") > 2).and_(col("c") == 1, col("d") == 2),
     "t?or=(a.eq.1,b.gt.2)&and=(c.eq.1,d.eq.2)"),
    (t.not_.or_("a.eq.1,b.gt.2"), "t?not.or=(a.eq.1,b.gt.2)"),
    (t.or_("a.eq.1", foreign_table="posts").or_("b.eq.1", reference_table="p.q")
      .not_.or_("c.eq.1", referenced_table="my table"),
     "t?posts.or=(a.eq.1)&p.q.or=(b.eq.1)&my table.not.or=(c.eq.1)"),
    (t.where((col("a") > 1) & (col("b") == "x")), "t?a=gt.1&b=eq.x"),
    (t.where(~(col("a") > 1)), "t?a=not.gt.1"),
    (t.where(~~(col("a") > 1)), "t?a=gt.1"),
    (t.where(~(col("a").is_(None) | (col("b") < 2))), "t?not.or=(a.is.null,b.lt.2)"),
    (t.where((col("a") == 1) | (col("b") == 2) | (col("c") == 3)),
     "t?or=(a.eq.1,b.eq.2,c.eq.3)"),
    (t.where(col("a").between(1, 2) | ~col("b").contains(["x y"])),
     't?or=(and(a.gte.1,a.lte.2),b.not.cs."{\\"x y\\"}")'),
    (t.not_.where(col("a") == 1), "t?a=not.eq.1"),
    (t.where(col("a") == 1, col("b") == 2), "t?a=eq.1&b=eq.2"),
    (t.eq("order", 1).eq("select", 2).eq("posts.and", 3),
     't?"order"=eq.1&"select"=eq.2&posts."and"=eq.3'),
    (t.eq("posts.title", "x").eq('"a.b"', 1), 't?posts.title=eq.x&"a.b"=eq.1'),
    (t.eq("data->a->>b c", "x").eq("data->>0", 1), "t?data->a->>b c=eq.x&data->>0=eq.1"),
    (t.eq("id=gt.0&x", 1), 't?"id=gt"."0&x"=eq.1'),
    (t.order("a").order("b", desc=True, nulls_first=True), "t?order=a.asc,b.desc.nullsfirst"),
    (t.order("a", nullsfirst=False), "t?order=a.asc.nullslast"),
    (t.order("-a").order("b", False), "t?order=a.desc,b.desc"),
    (t.order("team(name)", desc=True).order("data->>x"), "t?order=team(name).desc,data->>x.asc"),
    (t.order("a", foreign_table="posts").order("b", foreign_table="posts"),
     "t?posts.order=a.asc,b.asc"),
    (t.limit(5).limit(3).offset(0), "t?offset=0&limit=3"),
    (t.range(10, 19), "t?offset=10&limit=10"),
    (t.limit(0), "t?limit=0"),
    (t.limit(2, foreign_table="p").offset(1, foreign_table="p").range(1, 2, "q"),
     "t?p.limit=2&p.offset=1&q.offset=1&q.limit=2"),
    (table("my table"), "my table"),
    (table("größe?"), "größe?"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "path"), PATHS, ids=lambda v: v if isinstance(v, str) else "")
def test_reads(query: Bare, path: str) -> None:
    assert sent(query) == ("GET", path)
    assert sent(query) == ("GET", path), "rendering changes nothing"


def test_only_unreserved_characters_stay_as_they_are() -> None:
    path = t.select("a,b").eq("c", "x y+z&é~-._").to_request().path
    assert path == "/rest/v1/t?select=a%2Cb&c=eq.x%20y%2Bz%26%C3%A9~-._"
    assert table("a/b?").to_request().error is not None
    assert table("a?b").to_request().path == "/rest/v1/a%3Fb"


REFUSED: list[tuple[Bare, str]] = [
    (t.eq("a", "\ud800"), "surrogate"),
    (t.eq("a", "x\0"), "NUL"),
    (t.in_("a", ["\0"]), "NUL"),
    (t.eq("a\0", 1), "NUL"),
    (t.eq("a", object()), "object"),
    (t.eq("", 1), "empty"),
    (t.eq(5, 1), "5"),  # type: ignore[arg-type]
    (t.gt("a", None), "None"),
    (t.like("a", None), "None"),  # type: ignore[arg-type]
    (t.in_("a", [1, None]), "None"),
    (t.in_("a", "abc"), "abc"),
    (t.in_("a", 5), "5"),  # type: ignore[arg-type]
    (t.not_("a", "in", "(1,2)"), "list"),
    (t.is_("a", "maybe"), "maybe"),  # type: ignore[arg-type]
    (t.range_gt("a", (1, 2, 3)), "pair"),
    (t.range_gt("a", Range(1, 2, "<>")), "bounds"),  # type: ignore[arg-type]
    (t.filter("a", "eq.1&x", 1), "operator"),
    (t.filter("a", "nonsense", 1), "nonsense"),
    (t.text_search("a", "x", type="fancy"), "fancy"),
    (t.text_search("a", "x", config="a)b"), "config"),
    (t.match({}), "match"),
    (t.or_(), "or_"),
    (t.or_("a.eq.1)"), "balanced"),
    (t.or_('a.eq."x'), "balanced"),
    (t.or_(5), "5"),  # type: ignore[arg-type]
    (t.or_(col("posts") == 1, "")  , "balanced"),
    (t.not_, "not_"),
    (t.eq("a", 1).not_.limit(1), "not_"),
    (t.order("a.desc"), "a.desc"),
    (t.order("a,b"), "one column"),
    (t.order("a", True, desc=True), "contradict"),
    (t.order("-a", ascending=True), "direction"),
    (t.order("a", "b"), "ascending"),  # type: ignore[arg-type]
    (t.order("a", "desc"), "ascending"),  # type: ignore[arg-type]
    (t.order("a", 0), "ascending"),  # type: ignore[arg-type]
    (t.order("a", desc="no"), "desc"),  # type: ignore[arg-type]
    (t.order("a", nulls_first="no"), "nulls_first"),  # type: ignore[arg-type]
    (t.limit(-1), "-1"),
    (t.limit(True), "True"),
    (t.limit(10**30), "1000"),
    (t.limit("5"), "5"),  # type: ignore[arg-type]
    (t.range(5, 2), "5-2"),
    (t.select(5), "5"),
    (t.select(["a", "b"]), "list"),
    (table(""), "empty"),
    (table("t", "User"), "row type"),
    (table("t", 5), "row type"),
    (t.select(col("a").cast("int); drop")), "cast"),
    (t.select(count="all"), "all"),
    (t.timeout(0), "timeout"),
    (t.header("Host", "x"), "Host"),
    (t.header("X", "a\r\nb"), "X"),
    (t.prefer(timezone="a,b"), "prefer"),
    (t.retry("always"), "always"),  # type: ignore[arg-type]
    (t.expect_rows(), "write"),
    (t.insert({"a": 1}).update({"b": 1}).eq("a", 1), "both"),
    (t.insert({"a": 1}).select("a", head=True), "head"),
    (t.insert("text"), "text"),
    (t.insert([1]), "row 0"),
    (t.insert({"a": float("nan")}), "a: NaN"),
    (t.insert([{"a": 1}, {"a": {"b": [Decimal("Infinity")]}}]), "[1].a.b[0]"),
    (t.insert({"a": "\ud800"}), "surrogate"),
    (t.insert({"a": "x\0"}), "NUL"),
    (t.insert({1: 2}), "key"),
    (t.upsert({"a": 1}, on_conflict=5), "on_conflict"),
    (t.update([{"a": 1}]).eq("a", 1), "mapping"),
    (t.delete(returning="all").eq("a", 1), "returning"),
    (t.delete(max_affected=-1).eq("a", 1), "max_affected"),
    (table(""), "table"), (table(".."), "table"), (table("a/b"), "table"), (table("a\nb"), "table"),
    (table(None), "table"),
    (table(schema="a\r\nX: 1"), "schema"), (table(schema=""), "schema"),
    (function("../x"), "function"), (function("a?b"), "function"), (function("%2e"), "function"),
    (function("f", [1]), "mapping"),
    (function("f", {"a": None}, get=True), "None"),
    (function("f", {"a": "eq.1"}, get=True), "filter"),
    (function("f", {"a": "not.x"}, get=True), "filter"),
    (function("f", {"limit": 1}, get=True), "limit"),
    (function("f").insert({"a": 1}), "rpc"),
    # what the server would drop, or could not mean
    (t.delete().eq("a", 1).limit(1), "limit"),
    (t.range(0, 1).update({"a": 1}).eq("a", 1), "limit"),
    (t.insert({"a": 1}).eq("a", 1), "filter"),
    (t.eq("a", 1).upsert({"a": 1}), "filter"),
    (t.select("a").max_affected(1), "max_affected"),
    (t.like("a", 5), "like"),
    (t.ilike("a", ["b"]), "ilike"),
    (t.regex("a", {"b": 1}), "match"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "named"), REFUSED, ids=lambda v: v if isinstance(v, str) else "")
def test_a_bad_value_is_an_error_that_names_it(query: Bare, named: str) -> None:
    error = refused(query)
    assert error.code == "INVALID_ARGUMENT"
    assert named in error.message
    assert error.code in repr(query)
    assert query.to_curl().startswith("# nothing is sent: INVALID_ARGUMENT")


def test_a_count_is_of_all_that_match() -> None:
    assert sent(t.eq("a", 1).limit(5).offset(9).counted("exact")) == ("HEAD", "t?a=eq.1")


def test_wrong_python_raises() -> None:
    with pytest.raises(TypeError):
        t.eq("a")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        t.limit(1, table="x")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="not callable"):
        t("a", "eq", 1)
    with pytest.raises(TypeError, match="truth"):
        bool(col("a") == 1)
    with pytest.raises(TypeError, match="truth"):
        bool(col("a"))
    with pytest.raises(TypeError, match="combine"):
        (col("a") == 1) | "b"  # type: ignore[operator]
    with pytest.raises(TypeError):
        embed("a", inner=True, left=True)


@pytest.mark.parametrize(
    "query",
    [
        t.update({"a": 1}),
        t.delete(),
        t.delete().limit(1),
        t.delete().eq("posts.id", 1),
        t.delete().eq('posts."odd name"', 1),
        t.delete().or_("a.eq.1", foreign_table="posts"),
        t.delete().not_in("a", []),
        t.delete().where(),
        t.select("*").delete(),
        t.update({"a": 1}).order("a").raw_filter("limit", "1"),
    ],
)
def test_a_write_without_a_filter_is_refused(query: Bare) -> None:
    assert refused(query).code in ("MISSING_FILTER", "INVALID_ARGUMENT")
    assert sent(t.delete().all_rows()) == ("DELETE", "t")


def test_filters_before_and_after_the_verb() -> None:
    assert sent(t.eq("a", 1).update({"b": 2})) == sent(t.update({"b": 2}).eq("a", 1))
    assert sent(t.eq("a", 1).update({"b": 2})) == ("PATCH", "t?a=eq.1")
    assert sent(t.delete().where(col("a") > 1)) == ("DELETE", "t?a=gt.1")


def test_an_empty_list_needs_no_request() -> None:
    for query in (t.in_("a", []), t.delete().in_("a", []), t.in_("a", []).select("a")):
        answer = prepare(query)
        assert isinstance(answer, AeroDBResponse)
        assert (answer.data, answer.error, answer.count) == ([], None, None)
    counted = prepare(t.in_("a", []).counted("exact"))
    assert isinstance(counted, AeroDBResponse)
    assert counted.count == 0
    assert sent(t.in_("a", []).single()) == ("GET", "t?a=in.()")
    assert sent(t.in_("posts.a", [])) == ("GET", "t?posts.a=in.()")
    assert sent(function("f").in_("a", [])) == ("POST", "rpc/f?a=in.()")


def test_a_url_too_long_names_the_filter() -> None:
    error = refused(t.eq("short", 1).in_("member", range(5000)))
    assert error.code == "INVALID_ARGUMENT"
    assert "member" in error.message
    assert error.hint


def test_a_query_is_a_value_that_can_be_forked() -> None:
    base = t.select("id").eq("a", 1)
    forks = [base.eq("b", number).limit(number) for number in range(100)]
    assert sent(base) == ("GET", "t?select=id&a=eq.1")
    for number, fork in enumerate(forks):
        assert sent(fork) == ("GET", f"t?select=id&a=eq.1&b=eq.{number}&limit={number}")


def test_an_iterator_is_taken_out_once() -> None:
    query = t.in_("a", iter([1, 2]))
    assert sent(query) == sent(query) == ("GET", "t?a=in.(1,2)")
    values = [1]
    kept = t.in_("a", values)
    values.append(2)
    assert sent(kept) == ("GET", "t?a=in.(1)")


def test_curl_shows_no_secret() -> None:
    query = t.insert({"a": "it's"}).header("Authorization", "Bearer secret-token")
    assert "secret-token" not in query.to_curl()
    assert "secret-token" in query.to_curl(redact=False)
    assert "it'\\''s" in query.to_curl()
    assert '"$AERODB_URL"' in query.to_curl()
    assert query.to_curl().startswith("curl -X POST")


def forget(query: Bare) -> None:
    del query
    gc.collect()


def test_a_forgotten_write_warns() -> None:
    with pytest.warns(RuntimeWarning, match=r"insert\(\) was never executed"):
        forget(t.insert({"a": 1}).select("a"))


def test_only_the_last_of_a_chain_counts(recwarn: pytest.WarningsRecorder) -> None:
    for query in (t.update({"a": 1}).eq("b", 1).select("a"), t.limit(-1).insert({"a": 1})):
        assert prepare(query) is not None
    del query
    t.select("a").eq("b", 1)
    gc.collect()
    assert not recwarn.list


def test_a_query_is_shown_as_it_was_written() -> None:
    query = t.select("id, name").eq("name", "Zoë & co\x1b[31m")
    assert repr(query) == "<Bare GET /rest/v1/t?select=id,name&name=eq.Zoë & co\\x1b[31m>"
    assert repr(t.insert({"a": 1})) == "<Bare POST /rest/v1/t; not sent before it is executed>"
