"""Request bodies."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.local.rest.ast import Action, Payload
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.payload import parse_payload

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def parsed(body: bytes, content_type: str = JSON, action: Action = Action.CREATE) -> Payload:
    payload, _ = parse_payload(body, content_type, action, None)
    assert payload is not None
    return payload


def refused(body: bytes, content_type: str = JSON, action: Action = Action.CREATE) -> str:
    with pytest.raises(RestError) as caught:
        parse_payload(body, content_type, action, None)
    assert (caught.value.status, caught.value.code) == (400, "PGRST102")
    return caught.value.message


def test_json_goes_on_as_it_came() -> None:
    body = b' {"a": 1.10, "b": {"c": [1e400]}} '
    assert parsed(body) == Payload("json", body, frozenset({"a", "b"}))
    rows = b'[{"a":1,"b":2},{"b":3,"a":4}]'
    assert parsed(rows) == Payload("json", rows, frozenset({"a", "b"}), is_array=True)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null", b"true"])
def test_what_is_no_object_counts_as_no_rows(body: bytes) -> None:
    assert parsed(body) == Payload("json", b"[]", is_array=True)


@pytest.mark.parametrize(
    "body", [b'[{"a":1},{"b":1}]', b'[{"a":1},{"a":1,"b":1}]', b"[1]", b'[{"a":1},2]', b"[[]]"]
)
def test_keys_must_match(body: bytes) -> None:
    assert refused(body) == "All object keys must match"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"a":NaN}', b'{"a":Infinity}', b'{"\xff":1}', b"[" * 100_000, b'{"\\ud800":1}'],
)
def test_bad_json(body: bytes) -> None:
    assert refused(body) == "Empty or invalid json"


def test_numbers_have_no_size_limit() -> None:
    assert parsed(b'{"n":' + b"9" * 10_000 + b"}").keys == {"n"}


def test_with_columns_the_body_is_not_read() -> None:
    payload, names = parse_payload(b" [nonsense", JSON, Action.CREATE, frozenset({"a"}))
    assert payload == Payload("raw_json", b" [nonsense", is_array=True)
    assert names == {"a"}


def test_an_empty_call_has_no_arguments() -> None:
    assert parsed(b"", action=Action.CALL) == Payload("json", b"{}")
    assert refused(b"", action=Action.UPDATE) == "Empty or invalid json"


def test_csv() -> None:
    payload = parsed(b'a,b\n1,NULL\n"x, ""y""","two\nlines"\n\n', "text/csv")
    assert payload.keys == {"a", "b"}
    assert json.loads(payload.raw) == [
        {"a": "1", "b": None},
        {"a": 'x, "y"', "b": "two\nlines"},
    ]


def test_bad_csv() -> None:
    assert refused(b"a,b\n1,2\n3\n", "text/csv") == "All lines must have same number of fields"
    assert refused(b"", "text/csv") == "parse error (not enough input)"
    assert refused(b'a\n"x"y\n', "text/csv") == "Invalid CSV"


def test_forms() -> None:
    body = b"a=1+2&b=%C3%A9&a=3"
    call = parsed(body, FORM, Action.CALL)
    assert (call.kind, call.pairs) == ("urlencoded", (("a", "1 2"), ("b", "é"), ("a", "3")))
    row = parsed(body, FORM)
    assert (row.kind, json.loads(row.raw)) == ("json", {"a": "3", "b": "é"})


def test_raw_bodies_are_for_calls() -> None:
    assert parsed(b"\x00\xff", "application/octet-stream", Action.CALL).raw == b"\x00\xff"
    message = refused(b"x", "text/plain")
    assert message == "Content-Type not acceptable: text/plain"


def test_reads_and_deletes_have_no_payload() -> None:
    for action in (Action.READ, Action.DELETE, Action.CALL_READ):
        assert parse_payload(b"{nonsense", JSON, action, None) == (None, frozenset())


@given(
    st.binary(max_size=200),
    st.sampled_from([JSON, FORM, "text/csv", "text/plain", "image/png"]),
    st.sampled_from([Action.CREATE, Action.UPDATE, Action.UPSERT, Action.CALL]),
)
def test_every_body_parses_or_is_refused(body: bytes, content_type: str, action: Action) -> None:
    error: RestError | None = None
    try:
        parse_payload(body, content_type, action, None)
    except RestError as raised:
        error = raised
    assert error is None or (error.status, error.code) == (400, "PGRST102")
