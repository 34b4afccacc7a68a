"""The plan cache gives what planning gives, whatever came before."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from aerodb.local.rest.ast import Request
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.plan import Planner, Statement, plan_request
from aerodb.local.rest.request import HttpRequest, parse_request

READS = [
    "/orders",
    "/orders?limit=1",
    "/orders?limit=9",
    "/orders?limit=0",
    "/orders?offset=2",
    "/orders?offset=0",
    "/orders?limit=1&offset=2",
    "/orders?id=eq.1",
    "/orders?id=eq.2",
    "/orders?id=not.eq.2",
    "/orders?id=gt.2",
    "/orders?id=eq(any).{1}",
    "/orders?id=eq(all).{1}",
    "/orders?id=in.(1)",
    "/orders?id=in.(1,2,3)",
    "/orders?id=in.()",
    "/orders?state=in.(,a)",
    "/orders?state=is.null",
    "/orders?state=is.not_null",
    "/orders?state=isdistinct.a",
    "/orders?state=isdistinct.b",
    "/orders?state=like.*a*",
    "/orders?state=like.b",
    "/orders?state=eq.*a*",
    "/orders?state=fts.a",
    "/orders?state=fts(english).a",
    "/orders?state=plfts(english).a",
    "/orders?id=eq.1&state=eq.a",
    "/orders?state=eq.a&id=eq.1",
    "/orders?id=eq.1&id=eq.1",
    "/orders?id=eq.1&id=eq.2",
    "/orders?or=(id.eq.1,id.eq.2)",
    "/orders?or=(id.eq.1,id.eq.1)",
    "/orders?and=(id.eq.1,id.eq.2)",
    "/orders?not.or=(id.eq.1,id.eq.2)",
    "/orders?or=(id.eq.1,and(id.eq.2,state.like.*))&or=(id.eq.5,id.eq.6)&id=eq.7",
    "/orders?select=id,products(id)&products.id=eq.1&products.limit=1&id=eq.3",
    "/orders?select=id,products(id)&products.id=eq.2&products.limit=7&id=eq.4",
    "/orders?select=id,products(id)&products.limit=7",
    "/orders?select=id,p:products(id)&p.or=(id.eq.1,id.eq.2)&or=(id.eq.3,id.eq.4)",
    "/orders?select=id,products()&products=is.null&id=eq.1",
    "/orders?select=id&order=id",
    "/orders?select=id&order=id.desc",
    "/customers?meta->a=eq.1",
    "/customers?meta->b=eq.1",
    "/customers?meta->>a=eq.1",
    "/customers?select=meta->a",
    "/customers?select=meta->0",
    "/rpc/add?a=1",
    "/rpc/add?a=2&b=3",
    "/rpc/add?b=3&a=2",
    "/rpc/joined?parts=a",
    "/rpc/joined?parts=a&parts=b",
    "/rpc/orders_of?customer=1&id=eq.1",
    "/rpc/orders_of?customer=2&id=eq.9&limit=1",
]
WRITES = [
    ("POST", "/plain", '{"a": 1}'),
    ("POST", "/plain", '{"a": 2}'),
    ("POST", "/plain", '[{"a": 2}]'),
    ("POST", "/plain", '{"b": 2}'),
    ("POST", "/plain?columns=a", '{"a": 1, "b": 2}'),
    ("POST", "/plain?columns=a", '[{"a": 1, "b": 2}]'),
    ("POST", "/orders?on_conflict=id", '{"id": 1}'),
    ("PUT", "/orders?id=eq.1", '{"id": 1}'),
    ("PATCH", "/orders?id=eq.1", '{"state": "a"}'),
    ("PATCH", "/orders?id=eq.2&or=(id.eq.3,id.eq.4)", '{"state": "b"}'),
    ("PATCH", "/orders?select=id,products(id)&products.id=eq.1&id=eq.2", '{"state": "b"}'),
    ("PATCH", "/orders", "{}"),
    ("DELETE", "/orders?id=eq.1", ""),
    ("DELETE", "/orders", ""),
    ("POST", "/rpc/add", '{"a": 1}'),
    ("POST", "/rpc/add", '[{"a": 1}]'),
    ("POST", "/rpc/echo_json", '{"a": 1}'),
    ("POST", "/rpc/echo_json", '{"b": 1}'),
    ("OPTIONS", "/rpc/add", ""),
    ("HEAD", "/orders", ""),
]
HEADERS: list[dict[str, str]] = [
    {},
    {"prefer": "count=exact"},
    {"prefer": "count=estimated"},
    {"prefer": "return=representation"},
    {"prefer": "return=headers-only"},
    {"prefer": "resolution=merge-duplicates, return=representation"},
    {"prefer": "missing=default, return=representation"},
    {"prefer": "handling=strict, max-affected=2"},
    {"prefer": "handling=strict, max-affected=3"},
    {"accept": "text/csv", "prefer": "return=representation"},
    {"accept": "application/vnd.pgrst.object+json", "prefer": "return=representation"},
    {"accept": 'application/vnd.pgrst.plan+json; for="text/csv"'},
]


def requests(shop: Any) -> list[Request]:
    """Every request with every set of headers that it can have."""
    found: list[Request] = []
    asked = [("GET", target, "") for target in READS] + WRITES
    for (method, target, body), headers in itertools.product(asked, HEADERS):
        path, _, query = target.partition("?")
        named = tuple(headers.items())
        http = HttpRequest(method, path, query.encode(), named, body.encode())
        found.append(parse_request(http, shop.settings))
    return found


def outcome(plan: Callable[[], Statement]) -> Statement | dict[str, Any]:
    try:
        return plan()
    except RestError as error:
        return error.body()


@pytest.mark.parametrize("size", [2000, 5])
def test_cached_plans_are_the_plans(shop: Any, size: int) -> None:
    cache = Planner(shop.catalog, shop.settings, size)
    asked = requests(shop)
    order = random.Random(size).sample(range(len(asked)), len(asked))
    for index in itertools.chain(order, order):
        request = asked[index]
        expected = outcome(partial(plan_request, request, shop.catalog, shop.settings))
        assert outcome(partial(cache.plan_request, request)) == expected
        assert len(cache) <= size


def test_a_plan_is_kept_for_its_shape(shop: Any) -> None:
    cache = Planner(shop.catalog, shop.settings)
    for request in requests(shop)[: len(HEADERS)]:
        cache.plan_request(request)
    before = len(cache)
    for request in requests(shop)[: len(HEADERS)]:
        cache.plan_request(request)
    assert 0 < before == len(cache) <= len(HEADERS)


def test_values_are_refused_each_time(shop: Any) -> None:
    cache = Planner(shop.catalog, shop.settings)
    good, bad = (
        parse_request(HttpRequest("GET", "/orders", query, ()), shop.settings)
        for query in (b"state=eq.a", b"state=eq.%00")
    )
    assert cache.plan_request(good).params == ("a",)
    with pytest.raises(RestError):
        cache.plan_request(bad)
    assert cache.plan_request(good).params == ("a",)
