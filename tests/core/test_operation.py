"""What may be told of a call: names that are few, and no value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.errors import CODES
from aerodb._core.http import Call, Origin
from aerodb._core.operation import Operation, shown_path
from aerodb.types import AeroDBError, AeroDBResponse

ORIGIN = Origin("https", "db.example.com", 443)


def operation(method: str, path: str, *headers: tuple[str, str]) -> Operation:
    call: Call[Any] = Call(method, path, lambda answer: AeroDBResponse(), headers=headers)
    return Operation(call, ORIGIN)


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/rest/v1/todos?select=*", "SELECT todos"),
        ("HEAD", "/rest/v1/todos", "SELECT todos"),
        ("GET", "/rest/v1/my%20table?id=eq.1", "SELECT my table"),
        ("GET", "/rest/v1/rpc/f?a=1", "EXECUTE f"),
        ("GET", "/rest/v1/", "GET rest"),
        ("GET", "/health", "GET health"),
        ("DELETE", "/auth/users/3f2a", "DELETE auth/users"),
        ("GET", "/storage/v1/object/avatars/a/b.png", "GET storage/object"),
        ("PATCH", "/storage/v1/upload/resumable/u1", "PATCH storage/upload"),
        ("POST", "/functions/v1/hello/sub/path?x=1", "POST functions/hello"),
    ],
)
def test_names(method: str, path: str, name: str) -> None:
    assert operation(method, path).name == name


def test_an_upsert_is_told_from_an_insert_by_what_it_prefers() -> None:
    merging = operation("POST", "/rest/v1/t", ("Prefer", "resolution=merge-duplicates"))
    assert (merging.name, operation("POST", "/rest/v1/t").name) == ("UPSERT t", "INSERT t")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/rest/v1/t?id=eq.7&order=a", "/rest/v1/t?id=***&order=***"),
        ("/rest/v1/t", "/rest/v1/t"),
        ("/storage/v1/object/sign/b/f?token=abc", "/storage/v1/object/sign/b/f?token=***"),
        ("/storage/v1/upload/resumable/Zm9v", "/storage/v1/upload/resumable/***"),
        ("/rest/v1/aero_sk_abcdef", "/rest/v1/aero_sk_***"),
    ],
)
def test_paths_show_no_value(path: str, shown: str) -> None:
    assert shown_path(path) == shown


@given(st.text(st.characters(codec="ascii", exclude_characters="&#?"), min_size=1))
def test_no_value_of_a_query_is_shown(value: str) -> None:
    assert shown_path(f"/t?a={value}&b") == "/t?a=***&b=***"


def test_what_is_known_as_secret_is_masked_wherever_it_stands() -> None:
    assert shown_path("/rest/v1/hunter2hunter2", ["hunter2hunter2"]) == "/rest/v1/***"


@pytest.mark.parametrize("code", [*CODES, "23505", "PGRST116", "row 7", "", "x" * 65])
def test_codes(code: str) -> None:
    seen = operation("GET", "/rest/v1/t", ("Accept-Profile", "public"))
    seen.ended(AeroDBResponse(error=AeroDBError("text", status=400, code=code)))
    known = code in CODES or code in ("23505", "PGRST116")
    assert seen.error_code == (code if known else "400")
    assert seen.database_code == (code if code in ("23505", "PGRST116") else None)
