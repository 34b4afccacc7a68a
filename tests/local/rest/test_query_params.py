"""The query string: what parses, what does not, and where the complaint points."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.local.rest.ast import (
    Field,
    Filter,
    Fts,
    In,
    Is,
    IsDistinct,
    JsonStep,
    Logic,
    Op,
    OrderTerm,
    QueryParams,
    Range,
    SelectField,
    SelectRelation,
)
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.query_params import parse_query, split_pairs
from aerodb.local.rest.reader import MAX_DEPTH


def parsed(query: bytes, *, rpc_read: bool = False) -> QueryParams:
    return parse_query(split_pairs(query), rpc_read=rpc_read)[0]


def refused(query: bytes, *, rpc_read: bool = False) -> RestError:
    with pytest.raises(RestError) as caught:
        parsed(query, rpc_read=rpc_read)
    assert (caught.value.status, caught.value.code) == (400, "PGRST100")
    return caught.value


def column(name: str, **rest: object) -> SelectField:
    return SelectField(Field(name), **rest)  # type: ignore[arg-type]


# --- pairs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        (b"", []),
        (b"a=1&b=2", [(b"a", b"1"), (b"b", b"2")]),
        (b"a=1;b=2", [(b"a", b"1"), (b"b", b"2")]),
        (b"a", [(b"a", None)]),
        (b"a=", [(b"a", b"")]),
        (b"a=b=c", [(b"a", b"b=c")]),
        (b"a=1+2%2B3", [(b"a", b"1 2+3")]),
        (b"a=%zz%4", [(b"a", b"%zz%4")]),
        (b"%C3%A9=%C3%A9", [("é".encode(), "é".encode())]),
        (b"a=1&", [(b"a", b"1")]),
    ],
)
def test_pairs(query: bytes, pairs: list[tuple[bytes, bytes | None]]) -> None:
    assert split_pairs(query) == pairs


def test_canonical_sorts_by_key_and_joins_equal_keys() -> None:
    assert parsed(b"b=eq.1&a=gt.2&b=lt.3").canonical == "a=gt.2&b=eq.1,lt.3"
    assert parsed(b"select=*,x(y)").canonical == "select=%2A%2Cx%28y%29"


def test_a_pair_without_equals_is_no_parameter() -> None:
    assert parsed(b"id&name=eq.x").filters_root == (Filter(Field("name"), Op("eq", "x")),)
    assert parsed(b"select&select=a").select == (column("*"),)


# --- select --------------------------------------------------------------------------------------

SELECTS = [
    ("", ()),
    ("*", (column("*"),)),
    ("a,b", (column("a"), column("b"))),
    (" a , b ", (column("a"), column("b"))),
    ("x:a::text", (column("a", alias="x", cast="text"),)),
    ("with space,with-dash", (column("with space"), column("with-dash"))),
    ('"a,b":"c.d"', (column("c.d", alias="a,b"),)),
    ('"a\\"b\\\\c"', (column('a"b\\c'),)),
    (
        "d->a->>0",
        (SelectField(Field("d", (JsonStep("a", False, False), JsonStep("0", True, True)))),),
    ),
    ("d->-1::int", (SelectField(Field("d", (JsonStep("-1", True, False),)), cast="int"),)),
    ("d->1a", (SelectField(Field("d", (JsonStep("1a", False, False),))),)),
    ("amount.sum()", (column("amount", aggregate="sum"),)),
    (
        "a:amount::int.max()::text",
        (column("amount", alias="a", cast="int", aggregate="max", aggregate_cast="text"),),
    ),
    ("count()", (column("*", aggregate="count"),)),
    ("n:count()::int", (column("*", alias="n", aggregate="count", aggregate_cast="int"),)),
    ("r(*)", (SelectRelation("r", children=(column("*"),)),)),
    ("r()", (SelectRelation("r"),)),
    (
        "a:r!hint!inner(b,c(d))",
        (
            SelectRelation(
                "r",
                "a",
                "hint",
                "inner",
                children=(column("b"), SelectRelation("c", children=(column("d"),))),
            ),
        ),
    ),
    ("r!left!hint(x)", (SelectRelation("r", None, "hint", "left", children=(column("x"),)),)),
    ("...r(x)", (SelectRelation("r", spread=True, children=(column("x"),)),)),
]


@pytest.mark.parametrize(("text", "items"), SELECTS)
def test_select(text: str, items: object) -> None:
    assert parse_query([(b"select", text.encode())], rpc_read=False)[0].select == items


BAD_SELECTS = [
    ("id,clients(name[])", 16, "unexpected '['"),
    ("name!hint", 5, "unexpected '!'"),
    ("name::", 7, "unexpected end of input"),
    ("data->>-78xy", 11, "unexpected 'x'"),
    ("a,,b", 3, 'unexpected ","'),
    ("r(a", 4, "unexpected end of input"),
]


@pytest.mark.parametrize(("text", "place", "complaint"), BAD_SELECTS)
def test_bad_select(text: str, place: int, complaint: str) -> None:
    with pytest.raises(RestError) as caught:
        parse_query([(b"select", text.encode())], rpc_read=False)
    error = caught.value
    assert error.message == f'"failed to parse select parameter ({text})" (line 1, column {place})'
    assert error.details.startswith(complaint)


def test_expectations_are_listed() -> None:
    assert refused(b"select=name!hint").details == (
        'unexpected \'!\' expecting letter, digit, "-", "->>", "->", "::", ".", ")", '
        '"," or end of input'
    )


def test_nesting_has_a_bound() -> None:
    deep = b"a(" * MAX_DEPTH + b"b" + b")" * MAX_DEPTH
    assert parsed(b"select=" + deep).select
    too_deep = b"a(" * 5000 + b")" * 5000
    assert "levels of nesting" in refused(b"select=" + too_deep).details
    assert "levels of nesting" in refused(b"or=" + b"(or" * 5000).details


# --- filters -------------------------------------------------------------------------------------

FILTERS = [
    ("eq.1", Op("eq", "1"), False),
    ("eq.", Op("eq", ""), False),
    ("eq.a.b,c)", Op("eq", "a.b,c)"), False),
    ("not.neq.x", Op("neq", "x"), True),
    ("gte.1", Op("gte", "1"), False),
    ("like(any).{a*,b*}", Op("like", "{a*,b*}", "any"), False),
    ("not.imatch(all).{a}", Op("imatch", "{a}", "all"), True),
    ("cs.{1,2}", Op("cs", "{1,2}"), False),
    ("adj.(1,10)", Op("adj", "(1,10)"), False),
    ("nxl.(1,10)", Op("nxl", "(1,10)"), False),
    ('in.(1,"a,b","q\\"q",)', In(("1", "a,b", 'q"q', "")), False),
    ("in.()", In(("",)), False),
    ('in.("a"b)', In(('"a"b',)), False),
    ("is.null", Is("null"), False),
    ("is.NOT_NULL", Is("not_null"), False),
    ("not.is.True", Is("true"), True),
    ("isdistinct.5", IsDistinct("5"), False),
    ("fts.cat & rat", Fts("fts", None, "cat & rat"), False),
    ("plfts(english).cat", Fts("plfts", "english", "cat"), False),
]


@pytest.mark.parametrize(("value", "operation", "negated"), FILTERS)
def test_filter(value: str, operation: object, negated: bool) -> None:
    found = parse_query([(b"id", value.encode())], rpc_read=False)[0]
    assert found.filters_root == (Filter(Field("id"), operation, negated),)  # type: ignore[arg-type]
    assert found.filter_fields == {"id"}


@pytest.mark.parametrize("value", ["val", "1", "eq", "noop.1", "eq().1", "in.1,2", "is.nope"])
def test_bad_filter(value: str) -> None:
    error = refused(b"id=" + value.encode())
    assert error.message.startswith(f'"failed to parse filter ({value})" (line 1, column ')


def test_bad_filter_is_told_exactly() -> None:
    error = refused(b"id=noop.0")
    assert error.message == '"failed to parse filter (noop.0)" (line 1, column 1)'
    assert error.details == 'unexpected "o" expecting "not" or operator (eq, gt, ...)'


def test_embedded_and_quoted_keys() -> None:
    found = parsed(b'clients.projects.data->>name=eq.x&"order"=eq.1')
    path, below = found.filters_not_root[0]
    assert path == ("clients", "projects")
    assert below.field == Field("data", (JsonStep("name", False, True),))
    assert found.filters_root == (Filter(Field("order"), Op("eq", "1")),)


def test_rpc_arguments_are_what_has_no_operator() -> None:
    found = parsed(b"id=5&name=eq.x&text=hello world", rpc_read=True)
    assert found.params == (("id", "5"), ("text", "hello world"))
    assert found.filters_root == (Filter(Field("name"), Op("eq", "x")),)
    refused(b"id=not.5", rpc_read=True)  # it began like an operator


# --- logic ---------------------------------------------------------------------------------------


def test_logic_tree() -> None:
    found = parsed(b'or=(a.eq.1,not.and(b.in.(1,2),c.not.is.null),d.cs.{x,y},e.eq."q,)")')
    path, tree = found.logic[0]
    assert path == ()
    assert tree == Logic(
        "or",
        (
            Filter(Field("a"), Op("eq", "1")),
            Logic(
                "and",
                (
                    Filter(Field("b"), In(("1", "2"))),
                    Filter(Field("c"), Is("null"), negated=True),
                ),
                negated=True,
            ),
            Filter(Field("d"), Op("cs", "{x,y}")),
            Filter(Field("e"), Op("eq", "q,)")),
        ),
    )


def test_logic_paths() -> None:
    found = parsed(b"clients.not.or=(a.eq.1,b.eq.2)&and=(a.eq.1)")
    assert [(path, tree.negated) for path, tree in found.logic] == [
        (("clients",), True),
        ((), False),
    ]


@pytest.mark.parametrize(
    ("value", "place", "details"),
    [
        (
            "()",
            4,
            'unexpected ")" expecting field name (* or [a..z0..9_$]), negation operator (not) '
            "or logic operator (and, or)",
        ),
        (")(", 3, 'unexpected ")" expecting "("'),
        ("(id.in.1,2,id.eq.3)", 10, 'unexpected "1" expecting "("'),
        ("(id.eq.1,not.xor(id.eq.2))", 16, 'unexpected "x" expecting logic operator (and, or)'),
    ],
)
def test_bad_logic(value: str, place: int, details: str) -> None:
    error = refused(b"or=" + value.encode())
    assert error.message == f'"failed to parse logic tree ({value})" (line 1, column {place})'
    assert error.details == details


# --- order, ranges, columns ----------------------------------------------------------------------


def test_order() -> None:
    found = parsed(b"order=a,b.desc,c.asc.nullsfirst,d.nullslast,r(e->x).desc&r.order=f")
    assert found.order == (
        (
            (),
            (
                OrderTerm(Field("a")),
                OrderTerm(Field("b"), "desc"),
                OrderTerm(Field("c"), "asc", "first"),
                OrderTerm(Field("d"), None, "last"),
                OrderTerm(Field("e", (JsonStep("x", False, False),)), "desc", None, "r"),
            ),
        ),
        (("r",), (OrderTerm(Field("f")),)),
    )


@pytest.mark.parametrize(
    ("value", "place", "details"),
    [
        ("id.ac", 4, 'unexpected "c" expecting "asc", "desc", "nullsfirst" or "nullslast"'),
        ("id.descc", 8, "unexpected 'c' expecting delimiter (.), \",\" or end of input"),
        ("id.asc.smth34", 8, 'unexpected "s" expecting "nullsfirst" or "nullslast"'),
        ("id.nullslasttt", 13, "unexpected 't' expecting \",\" or end of input"),
    ],
)
def test_bad_order(value: str, place: int, details: str) -> None:
    error = refused(b"order=" + value.encode())
    assert error.message == f'"failed to parse order ({value})" (line 1, column {place})'
    assert error.details == details


def test_ranges_of_embeds() -> None:
    found, root = parse_query(
        split_pairs(b"limit=10&offset=5&r.limit=3&r.s.offset=2&t.limit=x"), rpc_read=False
    )
    assert root == (5, 14)
    assert found.ranges == {("r",): Range(0, 3), ("r", "s"): Range(2, None), ("t",): Range()}


def test_columns_and_on_conflict() -> None:
    found = parsed(b'columns=a,"b c"&on_conflict=x, y')
    assert found.columns == {"a", "b c"}
    assert found.on_conflict == ("x", "y")
    assert "columns parameter" in refused(b"columns=").message
    assert "on_conflict parameter" in refused(b"on_conflict=,").message


# --- anything ------------------------------------------------------------------------------------

GRAMMAR = st.lists(
    st.sampled_from(
        [
            *'()!.,:"\\*->{}&=;% \t\n%00',
            *("select=", "order=", "or=", "and=", "a", "not", "eq.", "in.", "is.", "fts", "any"),
            *("->>", "::", "count()", "...", "limit=", "offset=", "columns=", "é", "\x00", "9"),
        ]
    ),
    max_size=30,
).map(lambda parts: "".join(parts).encode())


@given(st.one_of(st.binary(max_size=200), GRAMMAR), st.booleans())
def test_every_query_string_parses_or_is_refused(query: bytes, rpc_read: bool) -> None:
    error: RestError | None = None
    try:
        parsed(query, rpc_read=rpc_read)
    except RestError as raised:
        error = raised
    if error is not None:
        assert (error.status, error.code) == (400, "PGRST100")
        assert error.message.startswith('"failed to parse ')
        assert isinstance(error.details, str)
