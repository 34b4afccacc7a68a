"""Reads, planned and run: what comes back from a real PostgreSQL."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import psycopg
import pytest

READS: list[tuple[str, Any]] = [
    # columns, aliases, casts, JSON paths
    ("/plain?order=a", [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 3, "b": 2}]),
    ("/customers?select=id,who:name&id=eq.1", [{"id": 1, "who": "Ada"}]),
    ("/customers?select=id::text&id=eq.1", [{"id": "1"}]),
    ("/customers?select=meta->likes->0,meta->>level&id=eq.1", [{"likes": "tea", "level": "3"}]),
    ("/customers?select=tags->0&id=eq.1", [{"tags": "math"}]),
    ("/customers?select=notes->b,notes->>a&id=eq.1", [{"b": 2, "a": "1"}]),
    ("/customers?select=id,full_label&id=eq.2", [{"id": 2, "full_label": "Ben!"}]),
    (
        '/odd "names"?select="per%25cent","a \\"b","select"'.replace(" ", "%20").replace(
            '"', "%22"
        ),
        [{"per%cent": 1, 'a "b': "x", "select": "s"}],
    ),
    # operators
    ("/customers?select=id&name=eq.Ada", [{"id": 1}]),
    ("/customers?select=id&name=neq.Ada&order=id", [{"id": 2}, {"id": 3}]),
    ("/orders?select=id&total=gte.12.5&total=lt.20", [{"id": 3}]),
    ("/customers?select=id&name=like.*d*&order=id", [{"id": 1}, {"id": 3}]),
    ("/customers?select=id&name=ilike.a*", [{"id": 1}]),
    ("/customers?select=id&name=match.^B", [{"id": 2}]),
    ("/customers?select=id&name=like(any).{A*,*yd}&order=id", [{"id": 1}, {"id": 3}]),
    ("/customers?select=id&name=like(all).{*y*,*d}", [{"id": 3}]),
    ("/customers?select=id&id=eq(any).{1,3}&order=id", [{"id": 1}, {"id": 3}]),
    ('/customers?select=id&name=in.(Ada,"B\\\\en",Cyd)&order=id', [{"id": 1}, {"id": 3}]),
    ("/customers?select=id&id=in.()", []),
    ("/customers?select=id&id=not.in.(1,2)", [{"id": 3}]),
    ("/customers?select=id&born=is.null", [{"id": 3}]),
    ("/customers?select=id&born=is.not_null&order=id", [{"id": 1}, {"id": 2}]),
    ("/orders?select=id&state=isdistinct.new&order=id", [{"id": 2}, {"id": 4}]),
    ("/customers?select=id&tags=cs.{x}&order=id", [{"id": 1}, {"id": 3}]),
    ("/customers?select=id&meta=cs.%7B%22level%22:3%7D", [{"id": 1}]),
    ("/products?select=id&during=ov.[4,6)&order=id", [{"id": 1}, {"id": 2}]),
    ("/products?select=id&during=adj.[9,10)", [{"id": 2}]),
    ("/customers?select=id&about=fts(english).engine", [{"id": 1}]),
    ("/customers?select=id&about=plfts.kite", [{"id": 2}]),
    ("/products?select=id&name=fts.pen", [{"id": 2}]),
    ("/customers?select=id&meta->>level=eq.10", [{"id": 2}]),
    ("/customers?select=id&meta->level=gt.5", [{"id": 2}]),
    ("/customers?select=id&full_label=eq.Cyd!", [{"id": 3}]),
    # logic
    ("/customers?select=id&or=(id.eq.1,name.eq.Cyd)&order=id", [{"id": 1}, {"id": 3}]),
    ("/customers?select=id&not.or=(id.eq.1,and(id.gt.1,name.eq.Cyd))", [{"id": 2}]),
    # order, limit, offset
    (
        "/orders?select=id&order=state.desc.nullslast,id.desc",
        [{"id": 2}, {"id": 3}, {"id": 1}, {"id": 4}],
    ),
    ("/customers?select=id&order=meta->level.desc.nullslast&limit=2", [{"id": 2}, {"id": 1}]),
    ("/orders?select=id&order=id&limit=2&offset=1", [{"id": 2}, {"id": 3}]),
    ("/orders?select=id&limit=0", []),
    ("/plain?select=a&order=a.desc&order=a&limit=1", [{"a": 3}]),
    # values are values
    ("/customers?select=id&name=eq.Ada' or 'a'='a".replace(" ", "%20"), []),
    ("/customers?select=id&name=eq.%25s", []),
]

EMBEDS: list[tuple[str, Any]] = [
    # to-one, to-many, through a junction, by constraint, by column
    (
        "/orders?select=id,customers!orders_customer_id_fkey(name)&id=in.(3,4)&order=id",
        [{"id": 3, "customers": {"name": "Ben"}}, {"id": 4, "customers": None}],
    ),
    ("/orders?select=id,payer:billed_to(name)&id=eq.1", [{"id": 1, "payer": {"name": "Ben"}}]),
    ("/orders?select=id,customer_id(name)&id=eq.1", [{"id": 1, "customer_id": {"name": "Ada"}}]),
    (
        "/customers?select=name,orders!customer_id(id)&orders.order=id.desc&order=id",
        [
            {"name": "Ada", "orders": [{"id": 2}, {"id": 1}]},
            {"name": "Ben", "orders": [{"id": 3}]},
            {"name": "Cyd", "orders": []},
        ],
    ),
    (
        "/customers?select=id,addresses(city)&order=id&limit=1",
        [{"id": 1, "addresses": {"city": "London"}}],
    ),
    (
        "/orders?select=id,products(name)&products.order=name&id=eq.1",
        [{"id": 1, "products": [{"name": "Box"}, {"name": "Pen"}]}],
    ),
    (
        "/products?select=name,products(name)&products.order=id&id=eq.1",
        [{"name": "Box", "products": [{"name": "Pen"}, {"name": "Ink"}]}],
    ),
    (
        "/products?select=name,parent:parent_id(name)&id=eq.2",
        [{"name": "Pen", "parent": {"name": "Box"}}],
    ),
    ("/customers?select=name,last_order(id)&id=eq.1", [{"name": "Ada", "last_order": {"id": 2}}]),
    (
        "/big_orders?select=id,customers!customer_id(name)&order=id&limit=1",
        [{"id": 2, "customers": {"name": "Ada"}}],
    ),
    # deep, with modifiers on the way
    (
        "/customers?select=name,o:orders!customer_id(id,products(name,orders(id)))&id=eq.1"
        "&o.id=eq.1&o.products.order=id.desc&o.products.limit=1&o.products.orders.order=id",
        [
            {
                "name": "Ada",
                "o": [{"id": 1, "products": [{"name": "Pen", "orders": [{"id": 1}, {"id": 2}]}]}],
            }
        ],
    ),
    (
        "/customers?select=id,orders!customer_id(id)&orders.or=(id.eq.2,id.eq.3)&order=id&limit=2",
        [{"id": 1, "orders": [{"id": 2}]}, {"id": 2, "orders": [{"id": 3}]}],
    ),
    # inner joins and conditions on embeds
    (
        "/customers?select=id,orders!customer_id!inner(id)&orders.state=eq.sent",
        [{"id": 1, "orders": [{"id": 2}]}],
    ),
    ("/customers?select=id,addresses()&addresses=is.null", [{"id": 3}]),
    (
        "/customers?select=id,orders!customer_id()&orders=not.is.null&order=id",
        [{"id": 1}, {"id": 2}],
    ),
    (
        "/customers?select=id,addresses(),orders!customer_id()&or=(addresses.is.null,orders.is.null)",
        [{"id": 3}],
    ),
    # orders by an embed
    (
        "/orders?select=id,customers!customer_id(name)&order=customers(name).desc.nullslast,id",
        [
            {"id": 3, "customers": {"name": "Ben"}},
            {"id": 1, "customers": {"name": "Ada"}},
            {"id": 2, "customers": {"name": "Ada"}},
            {"id": 4, "customers": None},
        ],
    ),
    (
        "/orders?select=id,c:customers!customer_id(meta)&order=c(meta->level).desc.nullslast&limit=1",
        [{"id": 3, "c": {"meta": {"level": 10}}}],
    ),
    # an embed ordered by json has no order of json's own
    (
        "/orders?select=id,customers!customer_id(id)&customers.order=notes->a&id=eq.1",
        [{"id": 1, "customers": {"id": 1}}],
    ),
    # spreads
    (
        "/orders?select=id,...customers!customer_id(who:name,...addresses(city))&id=eq.1",
        [{"id": 1, "who": "Ada", "city": "London"}],
    ),
    (
        "/orders?select=id,...customers!customer_id(name,addresses(city))&id=eq.1",
        [{"id": 1, "name": "Ada", "addresses": {"city": "London"}}],
    ),
    (
        "/customers?select=name,...orders!customer_id(ids:id,state)&orders.order=total.desc&order=id",
        [
            {"name": "Ada", "ids": [2, 1], "state": ["sent", "new"]},
            {"name": "Ben", "ids": [3], "state": ["new"]},
            {"name": "Cyd", "ids": [], "state": []},
        ],
    ),
    (
        "/orders?select=id,...products(names:name)&products.order=id.desc&id=eq.1",
        [{"id": 1, "names": ["Pen", "Box"]}],
    ),
    # names that PostgreSQL would cut
    (
        "/a_table_whose_name_is_as_long_as_postgresql_allows_it_to_be_ab"
        "?select=id,a_long_alias_for_one:customers(id),a_long_alias_for_two:customers(name)",
        [{"id": 1, "a_long_alias_for_one": {"id": 1}, "a_long_alias_for_two": {"name": "Ada"}}],
    ),
]

AGGREGATES: list[tuple[str, Any]] = [
    ("/orders?select=count()", [{"count": 4}]),
    ("/orders?select=total.sum()::int,total.max()&state=eq.new", [{"sum": 18, "max": 12.50}]),
    (
        "/orders?select=state,n:count()&order=state.asc.nullslast",
        [{"state": "new", "n": 2}, {"state": "sent", "n": 1}, {"state": None, "n": 1}],
    ),
    (
        "/customers?select=id,orders!customer_id(total.sum())&order=id&limit=1",
        [{"id": 1, "orders": [{"sum": 25.00}]}],
    ),
    (
        "/orders?select=total.sum(),...customers!customer_id(name)&order=customers(name)&limit=2",
        [{"sum": 25.00, "name": "Ada"}, {"sum": 12.50, "name": "Ben"}],
    ),
    (
        "/orders?select=state,...customers!customer_id(id.count())&state=eq.new",
        [{"state": "new", "count": 2}],
    ),
    (
        "/orders?select=c:customers!customer_id(name),count()&customer_id=eq.1",
        [{"c": {"name": "Ada"}, "count": 2}],
    ),
]

REPRESENTATIONS: list[tuple[str, Any]] = [
    ("/paints?order=id", [{"id": 1, "shade": "#0000ff"}, {"id": 2, "shade": "#ff0000"}]),
    ("/paints?select=shade&id=eq.1", [{"shade": "#0000ff"}]),
    ("/paints?select=id&shade=eq.%23ff0000", [{"id": 2}]),
    ("/paints?select=id&shade=in.(%23ff0000,%23000000)", [{"id": 2}]),
]


@pytest.mark.parametrize(("target", "expected"), READS + EMBEDS + AGGREGATES + REPRESENTATIONS)
def test_read(shop: Any, target: str, expected: Any) -> None:
    answer = shop.run(target)
    assert answer.json == expected
    assert answer.page_total == len(expected)
    assert answer.total_result_set is None


def test_the_text_of_embeds_is_that_of_jsonb(shop: Any) -> None:
    answer = shop.run("/orders?select=customers!customer_id(name,id)&id=eq.1")
    assert answer.body == b'[{"customers":{"id": 1, "name": "Ada"}}]'
    answer = shop.run("/customers?select=orders!customer_id(state,id)&id=eq.2")
    assert answer.body == b'[{"orders":[{"id": 3, "state": "new"}]}]'


COUNTS: list[tuple[str, int, int]] = [
    ("/orders", 4, 4),
    ("/orders?limit=1", 1, 4),
    ("/orders?limit=2&offset=3", 1, 4),
    ("/orders?state=eq.new&limit=1", 1, 2),
    ("/customers?select=id,orders!customer_id!inner(id)&limit=1", 1, 2),
    ("/customers?select=id,orders!customer_id!inner(id)&orders.state=eq.sent&limit=1", 1, 1),
    ("/customers?select=id,addresses()&addresses=is.null&limit=5", 1, 1),
    ("/customers?select=id,addresses()&or=(addresses.not.is.null,id.eq.3)&limit=1", 1, 3),
    ("/customers?select=id,last_order!inner(id)&limit=1", 1, 2),
    ("/orders?select=id,products!inner(id)&products.name=eq.Pen&limit=1", 1, 2),
]


@pytest.mark.parametrize(("target", "page", "total"), COUNTS)
def test_exact_count(shop: Any, target: str, page: int, total: int) -> None:
    answer = shop.run(target, prefer="count=exact")
    assert (answer.page_total, answer.total_result_set) == (page, total)


@pytest.mark.parametrize("preference", ["planned", "estimated"])
def test_planned_count_is_explained_without_the_limit(shop: Any, preference: str) -> None:
    statement = shop.plan("/orders?limit=1", prefer=f"count={preference}")
    (row,) = shop.rows(statement.explain_sql, statement.explain_params)
    (plan,) = row["QUERY PLAN"] if isinstance(row["QUERY PLAN"], list) else _parsed(row)
    assert plan["Plan"]["Plan Rows"] == 4
    assert "LIMIT" not in statement.explain_sql


def _parsed(row: dict[str, Any]) -> Any:
    return json.loads(row["QUERY PLAN"])


def test_max_rows_bounds_every_level(shop: Any) -> None:
    settings = replace(shop.settings, db_max_rows=1)
    answer = shop.run(
        "/customers?select=id,orders!customer_id(id)&orders.order=id&order=id&limit=7",
        settings=settings,
        prefer="count=exact",
    )
    assert answer.json == [{"id": 1, "orders": [{"id": 1}]}]
    assert answer.total_result_set == 3


def test_estimated_count_stops_one_above_max_rows(shop: Any) -> None:
    settings = replace(shop.settings, db_max_rows=2)
    answer = shop.run("/orders", settings=settings, prefer="count=estimated")
    assert (answer.page_total, answer.total_result_set) == (2, 3)


@pytest.mark.parametrize(
    ("target", "state"),
    [
        ("/orders?select=nope", "42703"),
        ("/orders?nope=eq.1", "42703"),
        ("/orders?id=eq.x", "22P02"),
        ("/orders?select=id::nosuchtype", "42704"),
        ("/orders?select=id::text $$,id::text $$ from orders".replace(" ", "%20"), "42704"),
        ("/orders?select=c:customers!customer_id(id),c:customers!billed_to(id)", "42712"),
    ],
)
def test_what_only_postgresql_can_refuse(shop: Any, target: str, state: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        shop.run(target)
    assert caught.value.sqlstate == state


BODIES: list[tuple[str, str, bytes]] = [
    ("/plain?a=eq.1", "application/vnd.pgrst.object+json", b'{"a":1,"b":1}'),
    ("/customers?select=id,born&id=eq.3", "application/vnd.pgrst.array+json;nulls=stripped",
     b'[{"id":3}]'),
    ("/customers?select=id,born&id=eq.3", "application/vnd.pgrst.object+json;nulls=stripped",
     b'{"id":3}'),
    ("/plain?order=a&limit=2", "text/csv", b"a,b\n1,1\n2,1"),
    ("/plain?a=eq.9", "text/csv", b"\n"),
    ("/orders?select=id,customers!customer_id(name)&id=eq.1", "text/csv",
     b'id,customers\n1,"{""name"": ""Ada""}"'),
    ("/products?order=id", "text/x-lines", b"Box\nPen\nInk\n"),
    ("/plain?a=eq.9", "application/json", b"[]"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "accept", "expected"), BODIES)
def test_body(shop: Any, target: str, accept: str, expected: bytes) -> None:
    assert shop.run(target, accept=accept).body == expected


def test_head_makes_no_body(shop: Any) -> None:
    answer = shop.run("/orders", "HEAD", prefer="count=exact")
    assert (answer.body, answer.page_total, answer.total_result_set) == (b"", 4, 4)


def test_plan_as_a_media_type(shop: Any) -> None:
    accept = 'application/vnd.pgrst.plan+json; for="text/csv"; options=verbose'
    statement = shop.plan("/orders", accept=accept)
    assert statement.is_explain
    assert statement.content_type == f"{accept}; charset=utf-8"
    ((row,),) = [tuple(row.values()) for row in shop.rows(statement.sql, statement.params)]
    assert b"string_agg" in bytes(row)
