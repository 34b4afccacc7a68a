"""What the planner refuses, and the exact errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aerodb.local.rest.errors import RestError

REFUSED: list[tuple[str, str, dict[str, str], int, str, str, Any, str | None]] = [
    ("GET", "/addresses?select=city,products(*)", {}, 400, "PGRST200",
     "Could not find a relationship between 'addresses' and 'products' in the schema cache",
     "Searched for a foreign key relationship between 'addresses' and 'products' in the schema "
     "'api', but no matches were found.", None),
    ("GET", "/customers?nope.id=eq.1", {}, 400, "PGRST108",
     "'nope' is not an embedded resource in this request", None,
     "Verify that 'nope' is included in the 'select' query parameter."),
    ("GET", "/customers?order=addresses(city)", {}, 400, "PGRST108",
     "'addresses' is not an embedded resource in this request", None,
     "Verify that 'addresses' is included in the 'select' query parameter."),
    ("GET", "/customers?select=id,o:orders!customer_id(id)&order=o(id)", {}, 400, "PGRST118",
     "A related order on 'o' is not possible",
     "'customers' and 'o' do not form a many-to-one or one-to-one relationship", None),
    ("GET", "/customers?select=...orders!customer_id(id.sum())", {}, 400, "PGRST127",
     "Feature not implemented",
     "Aggregates are not implemented for one-to-many or many-to-many spreads.", None),
    ("GET", "/nothing_here_at_all", {}, 404, "PGRST205",
     "Could not find the table 'api.nothing_here_at_all' in the schema cache", None, None),
    ("GET", "/customers", {"accept": "image/png, text/html"}, 406, "PGRST107",
     "None of these media types are available: image/png, text/html", None, None),
    ("GET", "/customers?select=id", {"accept": "text/x-lines"}, 406, "PGRST107",
     "None of these media types are available: text/x-lines", None, None),
    ("POST", "/plain", {"accept": "image/png"}, 406, "PGRST107",
     "None of these media types are available: image/png", None, None),
    ("GET", "/customers", {"prefer": "handling=strict, anything=else"}, 400, "PGRST122",
     "Invalid preferences given with handling=strict", "Invalid preferences: anything=else", None),
    ("POST", "/plain?columns=a,nope", {}, 400, "PGRST204",
     "Could not find the 'nope' column of 'plain' in the schema cache", None, None),
    ("GET", "/rpc/add?a=1", {"prefer": "handling=strict, max-affected=1"}, 400, "PGRST128",
     "Function must return SETOF or TABLE when max-affected preference is used with "
     "handling=strict", None, None),
    ("GET", "/customers?name=eq.%00", {}, 400, "22021",
     'invalid byte sequence for encoding "UTF8": 0x00', None, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "target", "headers", "status", "code", "message", "details", "hint"), REFUSED
)
def test_refusal(
    shop: Any,
    method: str,
    target: str,
    headers: dict[str, str],
    status: int,
    code: str,
    message: str,
    details: Any,
    hint: str | None,
) -> None:
    with pytest.raises(RestError) as caught:
        shop.plan(target, method, '{"a": 1}' if method == "POST" else "", **headers)
    error = caught.value
    assert (error.status, error.code) == (status, code)
    assert error.message == message
    assert error.details == details
    assert error.hint == hint


def test_two_foreign_keys_are_ambiguous(shop: Any) -> None:
    with pytest.raises(RestError) as caught:
        shop.plan("/orders?select=customers(*)")
    assert (caught.value.status, caught.value.code) == (300, "PGRST201")
    assert {one["relationship"] for one in caught.value.details} == {
        "billed_to using orders(billed_id) and customers(id)",
        "orders_customer_id_fkey using orders(customer_id) and customers(id)",
    }


@pytest.mark.parametrize(
    "query",
    [
        "",
        "id=eq.1&name=eq.Box",
        "name=eq.Box",
        "id=gt.1",
        "id=not.eq.1",
        "id=eq(any).{1}",
        "id=eq.1&or=(id.eq.1,id.eq.2)",
    ],
)
def test_put_names_one_row_by_its_key(shop: Any, query: str) -> None:
    with pytest.raises(RestError) as caught:
        shop.plan(f"/products?{query}", "PUT", '{"id": 1, "name": "Box"}')
    assert (caught.value.status, caught.value.code) == (405, "PGRST105")


def test_put_needs_a_key_at_all(shop: Any) -> None:
    with pytest.raises(RestError) as caught:
        shop.plan("/plain", "PUT", '{"a": 1}')
    assert caught.value.code == "PGRST105"


@pytest.mark.parametrize(
    "target", ["/orders?select=count()", "/orders?select=c:customers!customer_id(id.max())"]
)
def test_aggregates_are_refused_unless_enabled(shop: Any, target: str) -> None:
    settings = replace(shop.settings, db_aggregates_enabled=False)
    with pytest.raises(RestError) as caught:
        shop.plan(target, settings=settings)
    assert (caught.value.status, caught.value.code) == (400, "PGRST123")


def test_plans_are_refused_unless_enabled(shop: Any) -> None:
    settings = replace(shop.settings, db_plan_enabled=False)
    with pytest.raises(RestError) as caught:
        shop.plan("/orders", accept="application/vnd.pgrst.plan", settings=settings)
    assert (caught.value.status, caught.value.code) == (406, "PGRST107")


def test_text_that_is_not_utf8(shop: Any) -> None:
    with pytest.raises(RestError) as caught:
        shop.plan("/rpc/echo_text", "POST", b"a\xffb", content_type="text/plain")
    assert caught.value.code == "22021"


def test_names_of_aliased_relations(shop: Any) -> None:
    target = "/customers?select=id,o:orders!customer_id(id)&orders.id=eq.2&id=eq.1"
    assert shop.run(target).json == [{"id": 1, "o": [{"id": 2}]}]
    settings = replace(shop.settings, url_use_legacy_target_names=False)
    with pytest.raises(RestError) as caught:
        shop.plan(target, settings=settings)
    assert caught.value.code == "PGRST108"
    assert caught.value.details == "Target names are not allowed in filters if they have an alias"
    assert caught.value.hint == "Change 'orders' to 'o' in filters, orders or limits."


def test_a_relations_name_means_the_first_embed_that_has_it(shop: Any) -> None:
    def shown(modifiers: str, **changes: Any) -> tuple[Any, Any, tuple[tuple[str, str], ...]]:
        target = f"/customers?select=mine:orders!customer_id(id),orders!billed_to(id){modifiers}"
        settings = replace(shop.settings, **changes)
        (row,) = shop.run(f"{target}&id=eq.1", settings=settings).json
        return row["mine"], row["orders"], shop.plan(target, settings=settings).legacy_names

    every_mine, every_billed, names = shown("")
    assert len(every_mine) > 0
    assert len(every_billed) > 0
    assert names == ()
    assert shown("&orders.id=eq.0") == ([], every_billed, (("orders", "mine"),))
    assert shown("&orders.id=eq.0", url_use_legacy_target_names=False) == (every_mine, [], ())
    assert shown("&mine.id=eq.0") == ([], every_billed, ())


def test_the_embed_named_last_in_the_query_is_the_first_from_then_on(shop: Any) -> None:
    target = "/customers?select=orders!billed_to(id),mine:orders!customer_id(id)&id=eq.1"
    (plain,) = shop.run(f"{target}&orders.id=eq.0").json
    assert (plain["orders"], plain["mine"] != []) == ([], True)
    (moved,) = shop.run(f"{target}&orders.id=eq.0&mine.id=gt.0").json
    assert (moved["orders"] != [], moved["mine"]) == (True, [])
