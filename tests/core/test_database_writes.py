"""What writes and function calls send: method, path, headers, preferences, body."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from aerodb._core.database.render import prepare
from aerodb._core.http import Call, Retry
from aerodb.types import AeroDBResponse
from tests.support.queries import Bare, function, sent, table

t = table()


def headers(query: Bare) -> dict[str, str]:
    return dict(query.to_request().headers)


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Person:
    name: str
    born: datetime


def body(query: Bare) -> Any:
    request = query.to_request()
    assert request.error is None, request.error
    return None if request.body is None else json.loads(request.body)


def test_inserts() -> None:
    assert sent(t.insert({"a": 1})) == ("POST", "t")
    assert body(t.insert({"a": 1})) == {"a": 1}
    assert body(t.insert([{"a": 1}, {"a": 2}])) == [{"a": 1}, {"a": 2}]
    assert body(t.insert(row for row in [{"a": 1}])) == [{"a": 1}]
    assert body(t.insert([])) == []
    assert body(t.insert(Point(1, 2))) == {"x": 1, "y": 2}
    person = Person("Ada", datetime(2024, 1, 1, tzinfo=UTC))
    assert body(t.insert([person])) == [{"name": "Ada", "born": "2024-01-01T00:00:00+00:00"}]
    assert sent(t.insert([{"a": 1}, {"b": 2, "a b,c": 3}])) == ("POST", 't?columns=a,"a b,c",b')
    assert sent(t.insert([{"a": 1}, {"a": 2}])) == ("POST", "t")
    assert t.insert({"a": Decimal("1.10")}).to_request().body == b'{"a":1.10}'
    assert body(t.insert({"a": UUID(int=0)})) == {"a": str(UUID(int=0))}


def test_a_write_keeps_what_it_was_given() -> None:
    row: dict[str, Any] = {"a": 1}
    rows = [row]
    one, many = t.insert(row), t.insert(rows)
    row["a"] = 2
    rows.append({"a": 3})
    assert body(one) == {"a": 1}
    assert body(many) == [{"a": 1}]


@pytest.mark.parametrize(
    ("query", "prefer"),
    [
        (t.insert({}), "return=representation"),
        (t.insert({}, returning="minimal", count="exact"), "return=minimal,count=exact"),
        (t.insert({}, default_to_null=False), "return=representation,missing=default"),
        (t.insert({}).returning("headers-only"), "return=headers-only"),
        (t.insert({}, returning="minimal").select("a"), "return=representation"),
        (t.insert({}, returning="minimal").single(), "return=representation"),
        (t.upsert({}), "return=representation,resolution=merge-duplicates"),
        (t.upsert({}, ignore_duplicates=True),
         "return=representation,resolution=ignore-duplicates"),
        (t.delete(max_affected=3).eq("a", 1),
         "return=representation,handling=strict,max-affected=3"),
        (t.update({}).eq("a", 1).max_affected(0),
         "return=representation,handling=strict,max-affected=0"),
        (t.update({}, returning="minimal").eq("a", 1).expect_rows(), "return=minimal,count=exact"),
        (t.insert({}).rollback(), "return=representation,tx=rollback"),
        (t.select("a", count="planned"), "count=planned"),
        (t.prefer(timezone="UTC"), "timezone=UTC"),
        (t.select(count="exact").prefer(count="planned"), "count=planned"),
        (function("f", count="exact"), "count=exact"),
    ],
)  # fmt: skip
def test_preferences(query: Bare, prefer: str) -> None:
    assert headers(query)["Prefer"] == prefer


def test_upsert_targets() -> None:
    for target in ("a,b", "a, b", ["a", "b"], ("a", "b")):
        assert sent(t.upsert({}, on_conflict=target)) == ("POST", "t?on_conflict=a,b")
    assert sent(t.upsert({}, on_conflict=["x y", "z,"])) == ("POST", 't?on_conflict=x y,"z,"')
    assert sent(t.upsert({}, on_conflict="")) == ("POST", "t")


def test_accept_and_profile() -> None:
    assert headers(t) == {"Accept": "application/json", "Accept-Profile": "public"}
    assert headers(t.insert({})).keys() == {"Accept", "Content-Profile", "Prefer"}
    assert headers(table(schema="sales").delete().eq("a", 1))["Content-Profile"] == "sales"
    assert headers(function("f"))["Content-Profile"] == "public"
    assert headers(function("f", get=True))["Accept-Profile"] == "public"
    single = "application/vnd.pgrst.object+json"
    assert headers(t.single())["Accept"] == single
    assert headers(t.maybe_single().strip_nulls())["Accept"] == single + ";nulls=stripped"
    assert headers(t.strip_nulls())["Accept"] == "application/vnd.pgrst.array+json;nulls=stripped"
    assert headers(t.shaped("csv"))["Accept"] == "text/csv"
    plan = headers(t.explained("json", analyze=True, wal=True))["Accept"]
    assert plan == ('application/vnd.pgrst.plan+json; for="application/json"; options=analyze|wal')
    assert headers(t.explained())["Accept"] == (
        'application/vnd.pgrst.plan+text; for="application/json"'
    )
    assert headers(t.header("accept", "text/x"))["accept"] == "text/x"
    assert headers(t.insert({}).idempotency_key("k1"))["Idempotency-Key"] == "k1"


def test_functions() -> None:
    assert sent(function("f")) == ("POST", "rpc/f")
    assert body(function("f")) == {}
    assert body(function("f", {"a": [1], "b": None})) == {"a": [1], "b": None}
    assert sent(function("f", {"a": [1, "x,y"], "b": {"k": 1}}, get=True)) == (
        "GET", 'rpc/f?a={1,"x,y"}&b={"k":1}',
    )  # fmt: skip
    assert sent(function("f", {"a": "x"}, head=True)) == ("HEAD", "rpc/f?a=x")
    query = function("f", {"a": 1}).select("id").gt("b", 2).order("c").limit(1)
    assert sent(query) == ("POST", "rpc/f?select=id&b=gt.2&order=c.asc&limit=1")


@pytest.mark.parametrize(
    ("query", "retry"),
    [
        (t, Retry.SAFE),
        (t.select(head=True), Retry.SAFE),
        (t.insert({}), Retry.UNSENT),
        (t.delete().eq("a", 1), Retry.UNSENT),
        (t.delete().eq("a", 1).retry("ambiguous"), Retry.IDEMPOTENT),
        (t.insert({}).retry("never"), Retry.NEVER_ANSWERED),
        (t.retry("never"), Retry.NEVER_ANSWERED),
        (t.retry("ambiguous"), Retry.SAFE),
        (t.insert({}).retry("ambiguous").retry("default"), Retry.UNSENT),
        (t.insert({}).idempotency_key("k"), Retry.UNSENT),
        (function("f"), Retry.UNSENT),
        (function("f", get=True), Retry.SAFE),
    ],
)
def test_what_may_be_repeated(query: Bare, retry: Retry) -> None:
    call = prepare(query)
    assert isinstance(call, Call)
    assert call.retry is retry


@pytest.mark.parametrize(
    ("query", "keyed", "sent_key"),
    [
        (t.insert({}), None, None),
        (t.insert({}).idempotency_key("k"), "given", "k"),
        (t.idempotency_key("k").delete().eq("a", 1), "given", "k"),
        (t.insert({}).idempotency_key("k").idempotency_key("l"), "given", "l"),
        (t.insert({}).idempotency_key(), "made", None),
        (t.insert({}).idempotency_key("k").idempotency_key(), "made", None),
        (function("f").idempotency_key(), "made", None),
        (function("f", get=True).idempotency_key("k"), None, None),
        (t.idempotency_key("k"), None, None),
        (t.idempotency_key(), None, None),
    ],
)
def test_keys(query: Bare, keyed: str | None, sent_key: str | None) -> None:
    call = prepare(query)
    assert isinstance(call, Call)
    assert call.keyed == keyed
    assert dict(call.headers).get("Idempotency-Key") == sent_key


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, "a\n", 5, b"k"])
def test_keys_that_cannot_be_sent(key: Any) -> None:
    answer = prepare(t.insert({}).idempotency_key(key))
    assert isinstance(answer, AeroDBResponse)
    assert answer.error is not None
    assert answer.error.code == "INVALID_ARGUMENT"
    assert "idempotency_key must" in answer.error.message


@pytest.mark.parametrize("mode", [None, "", "always", 3])
def test_what_retry_does_not_know(mode: Any) -> None:
    answer = prepare(t.retry(mode))
    assert isinstance(answer, AeroDBResponse)
    assert answer.error is not None
    assert "retry:" in answer.error.message
    assert "never" in answer.error.message


def test_the_time_of_one_query() -> None:
    call = prepare(t.timeout(2))
    assert isinstance(call, Call)
    assert call.timeout == 2.0
