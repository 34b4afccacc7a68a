"""Request bodies: JSON, CSV, urlencoded forms, and raw bytes for one unnamed parameter.

Wire contract §3.2. JSON is checked, never rewritten: PostgreSQL gets the text as it came. All
objects of an array must have the same keys, since one INSERT has one list of columns.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any, NoReturn

from aerodb.local.rest import media_types
from aerodb.local.rest.ast import Action, Payload
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.query_params import split_pairs

# The module's bound on one field (128 KiB) is for the whole process and smaller than a body.
csv.field_size_limit(2**31 - 1)

_EMPTY_ARRAY = Payload("json", b"[]", is_array=True)
_RAW = frozenset({media_types.TEXT, media_types.XML, media_types.BYTES})
_WITH_PAYLOAD = frozenset({Action.CREATE, Action.UPDATE, Action.UPSERT, Action.CALL})
_WITH_COLUMNS = frozenset({Action.CREATE, Action.UPDATE, Action.CALL})


def parse_payload(
    body: bytes, content_type: str, action: Action, columns: frozenset[str] | None
) -> tuple[Payload | None, frozenset[str]]:
    """The body and the names it sets, or 400 PGRST102. Actions without a body give None."""
    if action not in _WITH_PAYLOAD:
        return None, frozenset()
    given = columns if action in _WITH_COLUMNS else None
    payload = _parse(body, content_type, action is Action.CALL, given is not None)
    if payload.kind == "raw_json":
        return payload, given or frozenset()
    return payload, payload.keys


def _parse(body: bytes, content_type: str, is_call: bool, has_columns: bool) -> Payload:
    if content_type == media_types.JSON:
        if has_columns:
            return Payload("raw_json", body, is_array=body.lstrip()[:1] == b"[")
        return _json(b"{}" if is_call and not body else body)
    if content_type == media_types.CSV:
        return _csv(body)
    if content_type == media_types.URLENCODED:
        return _form(body, is_call)
    if is_call and content_type in _RAW:
        return Payload("raw", body)
    return _refuse(f"Content-Type not acceptable: {content_type}")


def _refuse(message: str) -> NoReturn:
    raise RestError(400, "PGRST102", message)


# --- JSON ----------------------------------------------------------------------------------------


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


def _decoded(body: bytes) -> Any:
    try:
        text = body.decode("utf-8")
        # Numbers are PostgreSQL's to read: as text they cost least and have no size limit.
        return json.loads(text, parse_constant=_no_constant, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        _refuse("Empty or invalid json")


def _json(body: bytes) -> Payload:
    decoded = _decoded(body)
    if isinstance(decoded, dict):
        return Payload("json", body, _names(decoded))  # pyright: ignore[reportUnknownArgumentType]
    if not isinstance(decoded, list) or not decoded:
        return _EMPTY_ARRAY
    return Payload("json", body, _uniform(decoded, "All object keys must match"), is_array=True)  # pyright: ignore[reportUnknownArgumentType]


def _names(value: dict[str, Any]) -> frozenset[str]:
    names = frozenset(value)
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        _refuse("Empty or invalid json")
    return names


def _uniform(items: list[Any], complaint: str) -> frozenset[str]:
    first = items[0]
    if not isinstance(first, dict):
        _refuse(complaint)
    wanted = first.keys()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    for item in items:
        if not isinstance(item, dict) or item.keys() != wanted:
            _refuse(complaint)
    return _names(first)  # pyright: ignore[reportUnknownArgumentType]


# --- CSV -----------------------------------------------------------------------------------------


def _csv(body: bytes) -> Payload:
    try:
        text = body.decode("utf-8")
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except (UnicodeDecodeError, csv.Error):
        _refuse("Invalid CSV")
    if not lines:
        _refuse("parse error (not enough input)")
    header, *records = lines
    rows = [
        {
            name: None if value == "NULL" else value
            for name, value in zip(header, record, strict=False)
        }
        for record in records
    ]
    if not rows:
        return _EMPTY_ARRAY
    keys = _uniform(rows, "All lines must have same number of fields")
    return Payload("json", json.dumps(rows, ensure_ascii=False).encode(), keys, is_array=True)


# --- forms ---------------------------------------------------------------------------------------


def _form(body: bytes, is_call: bool) -> Payload:
    pairs = tuple(
        (key.decode("utf-8", "replace"), (value or b"").decode("utf-8", "replace"))
        for key, value in split_pairs(body.removeprefix(b"?"))
    )
    keys = frozenset(key for key, _ in pairs)
    if is_call:
        return Payload("urlencoded", body, keys, pairs=pairs)
    return Payload("json", json.dumps(dict(pairs), ensure_ascii=False).encode(), keys)
