"""What a statement says of itself, and that its text depends on the request's shape alone."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aerodb.local.rest.plan.slots import array_literal
from aerodb.local.rest.plan.sql_fragments import ident, literal

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
PROPERTY = settings(max_examples=30, deadline=None)

SHAPES: list[tuple[tuple[str, str], tuple[str, str]]] = [
    (("GET", "/orders?id=eq.1&limit=1"), ("GET", "/orders?id=eq.22&limit=7")),
    (("GET", "/orders?id=in.(1,2)&state=like.a*"), ("GET", "/orders?id=in.(3)&state=like.*")),
    (("GET", "/orders?select=id,products(id)&products.id=gt.1&products.limit=1"),
     ("GET", "/orders?select=id,products(id)&products.id=gt.9&products.limit=8")),
    (("GET", "/rpc/add?a=1&b=2"), ("GET", "/rpc/add?b=3&a=4")),
    (("DELETE", "/orders?id=eq.1"), ("DELETE", "/orders?id=eq.2")),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SHAPES)
def test_equal_shapes_have_equal_text(
    shop: Any, one: tuple[str, str], other: tuple[str, str]
) -> None:
    first, second = (shop.plan(target, method) for method, target in (one, other))
    assert first.sql == second.sql
    assert first.params != second.params
    assert first.explain_sql == second.explain_sql


def test_a_payload_of_the_same_keys_has_the_same_text(shop: Any) -> None:
    first = shop.plan("/plain", "POST", '{"a": 1, "b": 2}')
    second = shop.plan("/plain", "POST", '{"b": "x\'y%s", "a": null}')
    assert first.sql == second.sql


@PROPERTY
@given(value=TEXT)
def test_any_text_comes_back_as_it_was_sent(shop: Any, value: str) -> None:
    body = json.dumps({"name": value, "meta": {value: [value]}})
    shown = shop.run("/customers?select=name,meta", "POST", body, prefer="return=representation")
    assert shown.json == [{"name": value, "meta": {value: [value]}}]


@PROPERTY
@given(value=TEXT, other=TEXT)
@example(value="a,b", other="a")
@example(value="", other="")
@example(value="NULL", other="null")
def test_a_filter_finds_its_value_and_no_other(shop: Any, value: str, other: str) -> None:
    body = json.dumps({"wanted": other})
    expected = [{"value": other}] if value == other else []
    listed = "".join(f"\\{one}" if one in '\\"' else one for one in value)
    for condition in (f"eq.{value}", f'in.("{listed}","")' if value else "eq."):
        target = f"/rpc/echoes?value={quote(condition, safe='')}"
        found = shop.run(target, "POST", body).json
        assert found == (expected or ([{"value": ""}] if "in." in condition and not other else []))


def test_flags_of_writes(shop: Any) -> None:
    create = shop.plan("/orders", "POST", '{"id": 1}', prefer="resolution=merge-duplicates")
    assert (create.kind, create.read_only, create.counts_inserted) == ("create", False, True)
    assert create.resolution_applies
    assert shop.plan("/orders?id=eq.1", "PUT", '{"id": 1}').counts_inserted
    assert shop.plan("/orders", "PATCH", '{"state": "x"}').unfiltered
    assert shop.plan("/orders", "DELETE").unfiltered
    assert not shop.plan("/orders", "PATCH", "{}").unfiltered
    assert not shop.plan("/orders?or=(id.eq.1,id.eq.2)", "DELETE").unfiltered
    assert not shop.plan("/orders", "POST", "[]").unfiltered


def test_max_affected_counts_under_strict_handling_only(shop: Any) -> None:
    strict = "handling=strict, max-affected=3"
    assert shop.plan("/orders", "DELETE", prefer=strict).max_affected == 3
    assert shop.plan("/orders", "DELETE", prefer="max-affected=3").max_affected is None
    assert shop.plan("/orders", "POST", "{}", prefer=strict).max_affected is None
    assert shop.plan("/rpc/numbers?n=1", prefer=strict).max_affected == 3


@pytest.mark.parametrize(
    ("accept", "content_type", "singular"),
    [
        ("*/*", "application/json; charset=utf-8", False),
        ("text/csv", "text/csv; charset=utf-8", False),
        ("image/png, */*;q=0.1", "application/json; charset=utf-8", False),
        (
            "application/vnd.pgrst.object;nulls=stripped",
            "application/vnd.pgrst.object+json;nulls=stripped; charset=utf-8",
            True,
        ),
        ("text/x-lines, */*", "text/x-lines", False),
    ],
)
def test_media_type(shop: Any, accept: str, content_type: str, singular: bool) -> None:
    statement = shop.plan("/products", accept=accept)
    assert (statement.content_type, statement.singular) == (content_type, singular)


def test_put_answers_an_object_without_requiring_one(shop: Any) -> None:
    accept = "application/vnd.pgrst.object+json"
    assert not shop.plan("/products?id=eq.1", "PUT", '{"id": 1}', accept=accept).singular


# --- fragments --------------------------------------------------------------------------------


@PROPERTY
@given(name=TEXT.filter(lambda name: 0 < len(name) < 16), value=TEXT)
def test_quoting_survives_postgresql(shop: Any, name: str, value: str) -> None:
    fragment = ident(name)
    text = f"select {literal(value).text}::text as {fragment.text}, %s::text as other"
    ((shown, other),) = [tuple(row.values()) for row in shop.rows(text, (value,))]
    assert (shown.decode(), other.decode()) == (value, value)


@PROPERTY
@given(values=st.lists(TEXT))
def test_array_literal_keeps_every_element(shop: Any, values: list[str]) -> None:
    text = "select to_json(%s::text[]) as shown"
    (row,) = shop.rows(text, (array_literal(tuple(values)),))
    assert json.loads(row["shown"]) == values


def test_identifiers_are_cut_at_nul() -> None:
    assert ident('a"%\0b').text == '"a""%%"'
