"""Writes, planned and run."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

FULL = "return=representation"


def written(shop: Any, method: str, target: str, body: Any, prefer: str = FULL, **more: str) -> Any:
    return shop.run(target, method, json.dumps(body), prefer=prefer, **more)


INSERTS: list[tuple[str, Any, str, Any]] = [
    ("/plain", {"a": 7}, "", [{"a": 7, "b": None}]),
    ("/plain", [{"a": 7, "b": 1}, {"a": 8, "b": 2}], "", [{"a": 7, "b": 1}, {"a": 8, "b": 2}]),
    ("/plain", [], "", []),
    ("/plain", {}, "", [{"a": None, "b": None}]),
    ("/plain", [{}, {}], "", [{"a": None, "b": None}] * 2),
    ("/plain?columns=a", [{"a": 7, "b": 1}, {}], "", [{"a": 7, "b": None}, {"a": None, "b": None}]),
    ("/orders?select=id,total", {"id": 9}, "", [{"id": 9, "total": 1.5}]),
    ("/orders?select=id,total&columns=id,total", {"id": 9}, ", missing=default",
     [{"id": 9, "total": 1.5}]),
    ("/orders?select=id,total,state&columns=id,total,state",
     [{"id": 8, "state": None}, {"id": 9, "total": 3}], ", missing=default",
     [{"id": 8, "total": 1.5, "state": None}, {"id": 9, "total": 3, "state": "new"}]),
    ("/customers?select=name,tags,meta->a", {"name": "Eve", "tags": ["x", "y"], "meta": {"a": [1]}},
     "", [{"name": "Eve", "tags": ["x", "y"], "a": [1]}]),
    ("/orders?select=id,c:customers!customer_id(name,addresses(city))",
     {"id": 9, "customer_id": 1}, "",
     [{"id": 9, "c": {"name": "Ada", "addresses": {"city": "London"}}}]),
    ("/order_products?select=quantity,...products(name)", {"order_id": 4, "product_id": 3}, "",
     [{"quantity": 1, "name": "Ink"}]),
    ("/customers?select=full_label,last_order(id)", {"name": "Eve"}, "",
     [{"full_label": "Eve!", "last_order": None}]),
    ("/paints", {"id": 9, "shade": "#00ff00"}, "", [{"id": 9, "shade": "#00ff00"}]),
    ('/odd%20%22names%22', {"per%cent": 2, 'a "b': "%s"}, "",
     [{"per%cent": 2, 'a "b': "%s", "select": None}]),
]  # fmt: skip


@pytest.mark.parametrize(("target", "body", "prefer", "expected"), INSERTS)
def test_insert(shop: Any, target: str, body: Any, prefer: str, expected: Any) -> None:
    if target.startswith("/orders?select=id,total") and "columns" not in target:
        body = {**body, "total": 1.5}  # an absent key is null, not the default
    answer = written(shop, "POST", target, body, FULL + prefer)
    assert answer.json == expected
    assert answer.page_total == len(expected)
    assert answer.response_inserted is None


UPSERTS: list[tuple[str, Any, str, Any, bytes | None]] = [
    ("/products?select=id,name", [{"id": 1, "name": "Crate"}, {"id": 9, "name": "Pin"}],
     "merge-duplicates", [{"id": 1, "name": "Crate"}, {"id": 9, "name": "Pin"}], b"1"),
    ("/products?select=id,name", {"id": 1, "name": "Crate"}, "merge-duplicates",
     [{"id": 1, "name": "Crate"}], b"0"),
    ("/products?select=id,name", [{"id": 1, "name": "Crate"}, {"id": 9, "name": "Pin"}],
     "ignore-duplicates", [{"id": 9, "name": "Pin"}], None),
    ("/products?select=id,name&on_conflict=name", {"id": 9, "name": "Box"}, "ignore-duplicates",
     [], None),
    ("/orders?select=id,state&on_conflict=id", {"id": 1, "state": "held"}, "merge-duplicates",
     [{"id": 1, "state": "held"}], b"0"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "body", "resolution", "expected", "inserted"), UPSERTS)
def test_upsert(
    shop: Any, target: str, body: Any, resolution: str, expected: Any, inserted: bytes | None
) -> None:
    answer = written(shop, "POST", target, body, f"{FULL}, resolution={resolution}")
    assert answer.json == expected
    assert answer.response_inserted == inserted


def test_upsert_without_any_key_only_inserts(shop: Any) -> None:
    statement = shop.plan("/plain", "POST", '{"a": 1}', prefer="resolution=merge-duplicates")
    assert not statement.resolution_applies
    assert shop.execute(statement).page_total == 1


PUTS: list[tuple[str, Any, int, bytes]] = [
    ("/products?id=eq.9", {"id": 9, "name": "Pin"}, 1, b"1"),
    ("/products?id=eq.1", {"id": 1, "name": "Crate"}, 1, b"0"),
    ("/products?id=eq.9", {"id": 8, "name": "Pin"}, 0, b""),
    ("/order_products?order_id=eq.4&product_id=eq.1",
     {"order_id": 4, "product_id": 1, "quantity": 3}, 1, b"1"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "body", "page", "inserted"), PUTS)
def test_put(shop: Any, target: str, body: Any, page: int, inserted: bytes) -> None:
    answer = written(shop, "PUT", target, body)
    assert answer.page_total == page
    assert (answer.response_inserted or b"") == inserted
    assert answer.json == ([] if not page else [answer.json[0]])


UPDATES: list[tuple[str, Any, Any]] = [
    ("/orders?select=id,state&state=eq.new&order=id.desc", {"state": "held"},
     [{"id": 3, "state": "held"}, {"id": 1, "state": "held"}]),
    ("/orders?select=id&id=eq.99", {"state": "held"}, []),
    ("/orders?id=eq.1", {}, []),
    ("/orders?select=id,full:state&columns=state&id=eq.1", {"state": "held", "id": 7},
     [{"id": 1, "full": "held"}]),
    ("/orders?select=id,customers!customer_id(name)&id=eq.1", {"customer_id": 2},
     [{"id": 1, "customers": {"name": "Ben"}}]),
    ("/orders?select=id,products(name)&id=eq.1&products.name=eq.Pen", {"state": "x"},
     [{"id": 1, "products": [{"name": "Pen"}]}]),
    ("/customers?select=id,orders!customer_id(id)&id=lt.3&orders.or=(id.eq.1,id.eq.3)&order=id",
     {"name": "Z"}, [{"id": 1, "orders": [{"id": 1}]}, {"id": 2, "orders": [{"id": 3}]}]),
    ("/orders?select=id&or=(id.eq.1,id.eq.2)&order=id", {"state": "x"}, [{"id": 1}, {"id": 2}]),
    ("/paints?shade=eq.%230000ff", {"shade": "#000001"}, [{"id": 1, "shade": "#000001"}]),
    # order by what is not selected
    ("/orders?select=id&id=lt.4&order=total.desc", {"state": "x"},
     [{"id": 2}, {"id": 3}, {"id": 1}]),
]  # fmt: skip


@pytest.mark.parametrize(("target", "body", "expected"), UPDATES)
def test_update(shop: Any, target: str, body: Any, expected: Any) -> None:
    answer = written(shop, "PATCH", target, body)
    assert answer.json == expected
    assert answer.page_total == len(expected)


def test_update_to_the_default(shop: Any) -> None:
    prefer = f"{FULL}, missing=default"
    answer = written(shop, "PATCH", "/orders?select=total&columns=total&id=eq.2", {}, prefer)
    assert answer.json == [{"total": 1.5}]


def test_delete(shop: Any) -> None:
    answer = shop.run("/order_products?select=quantity&order_id=eq.1", "DELETE", prefer=FULL)
    assert sorted(row["quantity"] for row in answer.json) == [1, 2]


@pytest.mark.parametrize("prefer", ["return=minimal", "return=headers-only", "count=exact"])
@pytest.mark.parametrize(
    ("method", "target", "body", "rows"),
    [
        ("POST", "/plain?select=nope", '[{"a": 1}, {"a": 2}]', 2),
        ("PATCH", "/orders?id=lt.3", '{"state": "x"}', 2),
        ("DELETE", "/order_products?order_id=eq.1", "", 2),
    ],
)
def test_rows_are_counted_without_a_body(
    shop: Any, method: str, target: str, body: str, rows: int, prefer: str
) -> None:
    if prefer == "return=headers-only":
        target = target.replace("select=nope", "select=a")
    answer = shop.run(target, method, body, prefer=prefer)
    assert (answer.page_total, answer.body) == (rows, b"")


LOCATIONS: list[tuple[str, Any, list[bytes]]] = [
    ("/products", {"id": 9, "name": "Pin"}, [b"id=eq.9"]),
    ("/order_products", {"order_id": 4, "product_id": 1}, [b"order_id=eq.4", b"product_id=eq.1"]),
    ("/products", [{"id": 8, "name": "a"}, {"id": 9, "name": "b"}], []),
    ("/plain", {"a": 1}, []),
    ("/odd%20%22names%22", {"per%cent": 5}, [b"per%cent=eq.5"]),
]


@pytest.mark.parametrize(("target", "body", "header"), LOCATIONS)
def test_location(shop: Any, target: str, body: Any, header: list[bytes]) -> None:
    assert written(shop, "POST", target, body, "return=headers-only").header == header


@pytest.mark.parametrize("accept", ["text/csv", "application/vnd.pgrst.object+json"])
def test_written_rows_in_other_media_types(shop: Any, accept: str) -> None:
    target = "/orders?select=state,id&id=eq.1"
    answer = written(shop, "PATCH", target, {"state": "x"}, accept=accept)
    expected = {"text/csv": b"state,id\nx,1"}.get(accept, b'{"state":"x","id":1}')
    assert answer.body == expected


@pytest.mark.parametrize(
    ("body", "state"),
    [('{"a": }', "22P02"), ('"text"', "22023"), ('[{"a": 1}, 2]', "22023")],
)
def test_payload_that_postgresql_refuses(shop: Any, body: str, state: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        shop.run("/plain?columns=a", "POST", body)
    assert caught.value.sqlstate == state
