"""Function calls, planned and run."""

from __future__ import annotations

from typing import Any

import pytest

CALLS: list[tuple[str, str, str, bytes]] = [
    # scalar, set of scalars, void
    ("POST", "/rpc/add", '{"a": 1, "b": 2}', b"3"),
    ("POST", "/rpc/add", '{"a": 1}', b"11"),
    ("POST", "/rpc/add?columns=a", '{"a": 1, "b": 2, "c": 3}', b"11"),
    ("POST", "/rpc/add", '[{"a": 1}, {"a": 2}]', b"11"),
    ("GET", "/rpc/add?a=1&b=2", "", b"3"),
    ("GET", "/rpc/numbers?n=3", "", b"[1, 2, 3]"),
    ("GET", "/rpc/numbers?n=0", "", b"[]"),
    ("GET", "/rpc/numbers?n=5&limit=2&offset=1", "", b"[2, 3]"),
    # void: looked at, so that it runs, and then answered by 204 without a body
    ("POST", "/rpc/nothing", "{}", b"null"),
    ("POST", "/rpc/nothing", "", b"null"),
    # composite and sets of them
    ("GET", "/rpc/one_customer?wanted=2&select=id,name", "", b'{"id":2,"name":"Ben"}'),
    ("GET", "/rpc/one_customer?wanted=99&select=id", "", b'{"id":null}'),
    ("GET", "/rpc/pair", "", b'{"x":1,"y":"two"}'),
    ("GET", "/rpc/listing?n=2&select=label,id&order=id.desc", "",
     b'[{"label":"no 2","id":2}, \n {"label":"no 1","id":1}]'),
    ("GET", "/rpc/orders_of?customer=1&select=id&total=gt.10", "", b'[{"id":2}]'),
    ("GET", "/rpc/orders_of?customer=1&select=id&order=total.desc", "",
     b'[{"id":2}, \n {"id":1}]'),
    ("GET", "/rpc/orders_of?customer=2&select=id,customers!customer_id(name)", "",
     b'[{"id":3,"customers":{"name": "Ben"}}]'),
    ("GET", "/rpc/orders_of?customer=1&select=id&and=(state.eq.sent,or(id.eq.1,id.eq.2))", "",
     b'[{"id":2}]'),
    ("GET", "/rpc/one_customer?wanted=1&select=name,last_order(id),full_label", "",
     b'{"name":"Ada","full_label":"Ada!","last_order":{"id": 2}}'),
    # variadic
    ("GET", "/rpc/joined?parts=a&parts=b,c", "", b'"a-b,c"'),
    ("GET", "/rpc/joined?parts=", "", b'""'),
    ("POST", "/rpc/joined", '{"parts": ["x", "y"]}', b'"x-y"'),
    # one unnamed parameter
    ("POST", "/rpc/echo_json", '{"z": [1, null], "a": "%s"}', b'{"z": [1, null], "a": "%s"}'),
    ("POST", "/rpc/echo_json", '[{"a": 1}]', b'[{"a": 1}]'),
]  # fmt: skip


@pytest.mark.parametrize(("method", "target", "body", "expected"), CALLS)
def test_call(shop: Any, method: str, target: str, body: str, expected: bytes) -> None:
    assert shop.run(target, method, body).body == expected


def test_form_arguments(shop: Any) -> None:
    form = "application/x-www-form-urlencoded"
    assert shop.run("/rpc/add", "POST", "a=1&b=2", content_type=form).body == b"3"
    assert shop.run("/rpc/joined", "POST", "parts=a&parts=b", content_type=form).body == b'"a-b"'


def test_whole_body_as_the_argument(shop: Any) -> None:
    octets = shop.run(
        "/rpc/count_bytes", "POST", b"\x00\xff%", content_type="application/octet-stream"
    )
    assert octets.body == b"3"
    text = shop.run("/rpc/echo_text", "POST", "é %s", content_type="text/plain")
    assert text.json == "é %s"


def test_a_domain_that_is_a_media_type_is_the_body_itself(shop: Any) -> None:
    statement = shop.plan("/rpc/dots", accept="image/x-dots")
    assert statement.media_type == statement.content_type == "image/x-dots"
    assert shop.execute(statement).body == b"\x00\xff"


@pytest.mark.parametrize(
    ("target", "page", "total"),
    [
        ("/rpc/numbers?n=5&limit=2", 2, 5),
        ("/rpc/numbers?n=5", 5, 5),
        ("/rpc/orders_of?customer=1&total=gt.10", 1, 1),
        ("/rpc/orders_of?customer=1&limit=1", 1, 2),
        ("/rpc/add?a=1", 1, 1),
        ("/rpc/nothing?select=*", 1, 1),
    ],
)
def test_exact_count(shop: Any, target: str, page: int, total: int) -> None:
    answer = shop.run(target, prefer="count=exact")
    assert (answer.page_total, answer.total_result_set) == (page, total)


def test_transaction_of_a_call(shop: Any) -> None:
    assert shop.plan("/rpc/add", "POST", '{"a": 1}').read_only  # immutable
    assert not shop.plan("/rpc/nothing", "POST", "{}").read_only
    assert shop.plan("/rpc/nothing").read_only  # GET
    assert shop.plan("/rpc/patient").settings == (("statement_timeout", "5s"),)


def test_options_of_a_function_has_no_statement(shop: Any) -> None:
    statement = shop.plan("/rpc/nothing", "OPTIONS")
    assert (statement.kind, statement.sql) == ("info", "")
    assert statement.routine is not None
    assert statement.routine.volatility == "volatile"
