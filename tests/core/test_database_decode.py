"""What a response becomes: rows, one row, a scalar, text; counts and what is known of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.database.pages import Pager
from aerodb._core.database.render import prepare
from aerodb._core.http import Call, RawResponse
from aerodb.types import AeroDBResponse
from tests.support.queries import Bare, function, table

t = table()


def answer(query: Bare, body: Any = b"", status: int = 200, **headers: str) -> AeroDBResponse[Any]:
    call = prepare(query)
    assert isinstance(call, Call)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    pairs = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    assert 200 <= status < 300 or status in call.answers
    return call.decode(RawResponse(status, pairs, raw))


def test_rows() -> None:
    response = answer(t, [{"a": 1}], content_range="0-0/*")
    assert response.data == [{"a": 1}]
    assert response.error is None
    assert response.count is None
    assert response.meta.range == (0, 0)


@pytest.mark.parametrize(
    ("header", "count", "range_"),
    [
        ("0-9/100", 100, (0, 9)),
        ("*/0", 0, None),
        ("*/*", None, None),
        ("5-9/*", None, (5, 9)),
        ("nonsense", None, None),
        ("0-9/" + "9" * 5000, None, None),
    ],
)
def test_content_range(header: str, count: int | None, range_: Any) -> None:
    response = answer(t.select(count="exact"), [], content_range=header)
    assert (response.count, response.meta.range) == (count, range_)
    assert answer(t, [], content_range=header).count is None, "nobody asked"


@pytest.mark.parametrize(
    ("query", "rows", "headers", "truncated"),
    [
        (t, 3, {"content_range": "0-2/3"}, False),
        (t, 3, {"content_range": "0-2/5"}, True),
        (t.offset(2), 3, {"content_range": "2-4/5"}, False),
        (t.limit(3), 3, {"content_range": "0-2/5"}, False),
        (t.limit(4), 3, {"content_range": "0-2/5"}, True),
        (t.limit(9), 5, {"content_range": "0-4/5"}, False),
        (t, 0, {}, False),
        (t.limit(3), 3, {}, False),
        (t, 3, {}, None),
        (t.limit(5), 3, {}, None),
        (t, 1000, {"content_range": "0-999/*"}, True),
        (t.limit(1500), 1000, {}, True),
        (t.limit(1000), 1000, {}, False),
        (t, 7, {"x_aerodb_max_rows": "7"}, True),
        (t, 6, {"x_aerodb_max_rows": "7"}, False),
        (function("f"), 1000, {"content_range": "0-999/*"}, True),
    ],
)
def test_truncation_is_visible(query: Bare, rows: int, headers: Any, truncated: Any) -> None:
    response = answer(query, [{"a": 1}] * rows, **headers)
    assert response.meta.truncated is truncated
    if truncated and "/*" in headers.get("content_range", "/*"):
        assert response.meta.warnings


@pytest.mark.parametrize(
    ("body", "data"),
    [
        ({"data": [{"a": 1}], "count": 1, "limit": 100, "offset": 0}, [{"a": 1}]),
        ({"data": {"a": 1}}, [{"a": 1}]),
        ({"deleted": True}, []),
        ({"data": [], "total": 9, "limit": 1, "offset": 0}, []),
    ],
)
def test_envelopes(body: Any, data: Any) -> None:
    """wire-contract §1.6: only where rows were expected, and never with a Content-Range."""
    assert answer(t, body).data == data
    refused = answer(t, body, content_range="*/*")
    assert refused.error is not None
    assert refused.error.code == "INVALID_RESPONSE"
    assert answer(function("f"), body).data == body
    assert answer(t.single(), body).data == body


def test_the_length_of_a_page_is_not_the_total() -> None:
    body = {"data": [{"a": 1}], "count": 1, "limit": 1, "offset": 0}
    response = answer(t.select(count="exact"), body)
    assert response.count is None
    assert response.meta.truncated is True
    assert answer(t, {"data": [], "total": 9}).count == 9


def test_single() -> None:
    assert answer(t.single(), {"a": 1}).data == {"a": 1}
    assert answer(t.single(), [{"a": 1}]).data == {"a": 1}
    for rows in ([], [{}, {}]):
        error = answer(t.single(), rows).error
        assert error is not None
        assert (error.code, error.status) == ("PGRST116", 406)
        assert f"{len(rows)} rows" in error.details
        assert ("maybe_single()" if not rows else "2 rows fit") in (error.hint or "")
    page = answer(t, b"<html>").error
    assert page is not None
    assert (page.code, "base URL" in (page.hint or "")) == ("INVALID_RESPONSE", True)
    empty = answer(t.single(), b"").error
    assert empty is not None
    assert empty.code == "INVALID_RESPONSE"


def refusal(rows: int) -> dict[str, Any]:
    return {"code": "PGRST116", "message": "m", "details": f"The result contains {rows} rows",
            "hint": None}  # fmt: skip


def test_maybe_single() -> None:
    query = t.maybe_single()
    assert answer(query, {"a": 1}).data == {"a": 1}
    assert answer(query, []).data is None
    none = answer(query, refusal(0), 406)
    assert (none.data, none.error) == (None, None)
    many = answer(query, refusal(10), 406).error
    assert many is not None
    assert many.code == "PGRST116"
    other = answer(query, {"code": "PGRST107", "message": "m"}, 406).error
    assert other is not None
    assert other.code == "PGRST107"
    local = answer(query, [{}, {}]).error
    assert local is not None
    assert local.code == "PGRST116"


@pytest.mark.parametrize("value", [5, "x", None, True, [1, 2], {"a": 1}, [], 1.5])
def test_a_function_answers_with_any_value(value: Any) -> None:
    assert answer(function("f"), value).data == value


def test_a_function_that_returns_nothing() -> None:
    response = answer(function("f"), b"", 204)
    assert (response.data, response.error) == (None, None)


def test_text_answers() -> None:
    assert answer(t.shaped("csv"), "a,b\né,2\n".encode()).data == "a,b\né,2\n"
    assert answer(t.explained(), b"Seq Scan").data == "Seq Scan"
    assert answer(t.explained("json"), [{"Plan": {}}]).data == [{"Plan": {}}]
    assert answer(t.shaped("geojson"), {"type": "FeatureCollection"}).data is not None
    broken = answer(t.shaped("csv"), b"\xff").error
    assert broken is not None
    assert broken.code == "INVALID_RESPONSE"


@pytest.mark.parametrize("body", [b"<html>", b"[1,", b'{"a":NaN}', b'"\xff"', b"null", b"5",
                                  b"[" * 200 + b"]" * 200, b'{"code":"x"}'])  # fmt: skip
def test_what_is_no_list_of_rows(body: bytes) -> None:
    error = answer(t, body).error
    assert error is not None
    assert error.code == "INVALID_RESPONSE"
    assert error.details is not None


@given(body=st.binary(), status=st.sampled_from([200, 201, 204, 206, 406]),
       content_range=st.text(max_size=20))  # fmt: skip
def test_no_answer_makes_it_raise(body: bytes, status: int, content_range: str) -> None:
    header = content_range.encode("latin-1", "replace")
    for query in (t, t.single(), t.maybe_single(), function("f"), t.shaped("csv"),
                  t.explained("json"), t.select(count="exact", head=True)):  # fmt: skip
        call = prepare(query)
        assert isinstance(call, Call)
        response = call.decode(RawResponse(status, [(b"Content-Range", header)], body))
        assert isinstance(response, AeroDBResponse)


def test_writes_tell_how_many() -> None:
    assert answer(t.insert([{}, {}]), [{}, {}], 201, content_range="*/*").meta.affected == 2
    minimal = t.update({"a": 1}, returning="minimal", count="exact").eq("a", 1)
    response = answer(minimal, b"", 204, content_range="0-2/3")
    assert (response.data, response.meta.affected, response.count) == ([], 3, 3)
    unknown = answer(t.delete(returning="minimal").eq("a", 1), b"", 204, content_range="*/*")
    assert unknown.meta.affected is None
    patched = answer(t.update({}, returning="minimal").eq("a", 1), b"", 204, content_range="0-1/*")
    assert patched.meta.affected == 2


def test_expected_rows() -> None:
    query = t.delete().eq("a", 1).expect_rows(2)
    assert answer(query, [{}, {}]).ok
    error = answer(query, [{}]).error
    assert error is not None
    assert error.code == "NO_ROWS_AFFECTED"
    nothing = prepare(t.delete().in_("a", []).expect_rows())
    assert isinstance(nothing, AeroDBResponse)
    assert nothing.error is not None


def test_a_rollback_that_was_not_confirmed() -> None:
    query = t.insert({}).rollback()
    assert answer(query, [{}], 201).meta.warnings
    confirmed = answer(query, [{}], 201, preference_applied="return=representation, tx=rollback")
    assert not confirmed.meta.warnings


def test_the_key_of_the_last_row_keeps_its_digits() -> None:
    pager = Pager(table(row_type=lambda row: row["other"]), 2, "key", None)
    text = "1.00000000000000000001"
    for shape in ("[{}]", '{{"data":[{}]}}'):
        query = pager.next_query()
        assert query is not None
        call = prepare(query)
        assert isinstance(call, Call)
        rows_text = f'{{"key":1,"other":0}},{{"key":{text},"other":1}}'
        response = call.decode(RawResponse(200, [], shape.format(rows_text).encode()))
        page = pager.feed(response)
        assert page is not None
        assert page.data == [0, 1]
        following = pager.next_query()
        assert following is not None
        assert f"key=gt.{text}&" in following.to_request().path
        pager = Pager(table(row_type=lambda row: row["other"]), 2, "key", None)


# --- typed rows


class Kind(Enum):
    GOOD = "good"


@dataclass
class Inner:
    n: int


@dataclass
class Row:
    id: int
    name: str | None = None
    made: datetime | None = None
    day: date | None = None
    key: UUID | None = None
    price: Decimal | None = None
    kind: Kind | None = None
    inner: Inner | None = None
    inners: list[Inner] = field(default_factory=list)
    raw: dict[str, int] | None = None
    word: Literal["a", "b"] = "a"
    ratio: float = 0.0
    blob: bytes = b""
    anything: Any = None


class Named(NamedTuple):
    id: int
    made: datetime | None = None


@attrs.define
class Attrs:
    id: int
    _made: datetime | None = None


class Struct(msgspec.Struct):
    id: int
    made: datetime | None = None


class Model(pydantic.BaseModel):
    id: int
    made: datetime | None = None


class Typed(TypedDict):
    id: int


STAMP = "2024-01-01T00:00:00+00:00"
WHEN = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("row_type", "row", "expected"),
    [
        (Named, {"id": 1, "made": STAMP}, Named(1, WHEN)),
        (Attrs, {"id": 1, "_made": STAMP}, Attrs(1, WHEN)),
        (Struct, {"id": 1, "made": STAMP}, Struct(1, WHEN)),
        (Model, {"id": 1, "made": STAMP}, Model(id=1, made=WHEN)),
        (Typed, {"id": 1}, {"id": 1}),
        (dict, {"id": 1}, {"id": 1}),
        (lambda row: row["id"], {"id": 1}, 1),
    ],
)
def test_row_types(row_type: Any, row: Any, expected: Any) -> None:
    assert answer(table(row_type=row_type), [row]).data == [expected]
    assert answer(table(row_type=row_type).single(), row).data == expected
    assert answer(t.shaped(None, row_type), [row]).data == [expected]


def test_fields_become_what_their_annotations_say() -> None:
    row = {"id": 1, "name": "x", "made": STAMP, "day": "2024-02-29", "key": str(UUID(int=5)),
           "price": 1.1, "kind": "good", "inner": {"n": 1, "new": 2}, "inners": [{"n": 2}],
           "raw": {"a": 1}, "word": "b", "ratio": 2, "blob": "\\x00ff", "anything": [1],
           "unknown column": 9}  # fmt: skip
    assert answer(table(row_type=Row), [row]).data == [
        Row(1, "x", WHEN, date(2024, 2, 29), UUID(int=5), Decimal("1.1"), Kind.GOOD, Inner(1),
            [Inner(2)], {"a": 1}, "b", 2.0, b"\x00\xff", [1])
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row_type", "bad", "named"),
    [
        (Row, {}, "Row"),
        (Row, {"id": "1"}, "id"),
        (Row, {"id": True}, "id"),
        (Row, {"id": 1, "made": "never"}, "made"),
        (Row, {"id": 1, "kind": "bad"}, "kind"),
        (Row, {"id": 1, "word": "c"}, "word"),
        (Row, {"id": 1, "inner": {"n": "x"}}, "inner"),
        (Row, {"id": 1, "inners": 5}, "inners"),
        (Row, 5, "Row"),
        (Named, {}, "Named"),
        (Attrs, {}, "Attrs"),
        (Struct, {"id": "x"}, "Struct"),
        (Model, {"id": "x"}, "Model"),
        (lambda row: row["nope"], {"id": 1}, "nope"),
    ],
)
def test_a_row_that_does_not_fit_is_named(row_type: Any, bad: Any, named: str) -> None:
    good = {"id": 1}
    typed = table(row_type=row_type)
    first = [good] if "nope" not in named else []
    response = answer(typed, [*first, bad])
    assert response.data is None
    assert response.error is not None
    assert response.error.code == "DECODE_ERROR"
    assert response.error.details["row"] == len(first)
    assert f"row {len(first)}" in response.error.message
    assert named in response.error.message


def test_typed_functions() -> None:
    assert answer(function("f", returns=int), 5).data == 5
    assert answer(function("f", returns=list[Inner]), [{"n": 1}]).data == [Inner(1)]
    assert answer(function("f", returns=Inner), {"n": 1}).data == Inner(1)
    assert answer(function("f", returns=Inner).single(), {"n": 1}).ok
    error = answer(function("f", returns=int), "x").error
    assert error is not None
    assert error.code == "DECODE_ERROR"
