"""What a web program answers with, error by error."""

from __future__ import annotations

import pytest

from aerodb import AeroDBError
from aerodb.contrib._statuses import answer_of, status_of


@pytest.mark.parametrize(
    ("code", "status", "answered"),
    [
        # what the caller sent, may or may not
        ("22P02", 400, 400),
        ("23505", 409, 409),
        ("44000", 400, 400),
        ("42501", 403, 403),
        ("42501", 401, 401),
        ("P0001", 400, 400),
        ("PT402", 402, 402),
        ("MY001", 400, 400),
        ("PGRST103", 416, 416),
        ("PGRST301", 401, 401),
        ("PGRST302", 401, 401),
        ("insufficient_permissions", 403, 403),
        ("INVALID_ARGUMENT", None, 422),
        ("NO_ROWS_AFFECTED", None, 404),
        ("unauthorized", None, 403),
        ("object_not_found", 404, 404),
        ("invalid_mime_type", 415, 415),
        ("AERO413", 413, 413),
        ("http_413", 413, 413),
        ("rate_limit_exceeded", None, 429),
        ("idempotency_key_in_progress", 409, 409),
        # what the program does wrong
        ("42703", 400, 500),
        ("42883", 404, 500),
        ("42P01", 404, 500),
        ("21000", 400, 500),
        ("25006", 405, 500),
        ("PGRST100", 400, 500),
        ("PGRST106", 406, 500),
        ("PGRST124", 400, 500),
        ("PGRST200", 400, 500),
        ("PGRST204", 400, 500),
        ("PGRST205", 404, 500),
        ("MISSING_FILTER", None, 500),
        ("CLIENT_CLOSED", None, 500),
        ("DECODE_ERROR", 200, 500),
        ("invalid_api_key", 401, 500),
        ("no_api_key", 401, 500),
        ("function_not_found", 404, 500),
        ("AERO414", 414, 500),
        (None, None, 500),
        # what is wrong with AeroDB
        ("NETWORK_ERROR", None, 503),
        ("TIMEOUT", None, 504),
        ("57014", 500, 504),
        ("PGRST003", 504, 504),
        ("57P01", 503, 503),
        ("42P17", 500, 502),
        ("internal_error", 500, 502),
        ("INVALID_RESPONSE", 200, 502),
        ("http_404", 404, 502),
        ("http_401", 401, 502),
        ("http_502", 502, 502),
        ("http_503", 503, 503),
    ],
)
def test_whose_fault_it_is(code: str | None, status: int | None, answered: int) -> None:
    error = AeroDBError("relation todos", status, code, hint="todos?")
    assert status_of(error) == answered
    _, body, _ = answer_of(error)
    assert body["code"] == code
    assert answered < 500 or "todos" not in str(body)


def test_what_passes_by_itself_is_503() -> None:
    assert status_of(AeroDBError("", 500, "40001", retryable=True)) == 503


@pytest.mark.parametrize(("rows", "answered"), [(0, 404), (2, 500), (10, 500)])
def test_one_row_was_asked_for(rows: int, answered: int) -> None:
    error = AeroDBError("", 406, "PGRST116", details=f"The result contains {rows} rows")
    assert status_of(error) == answered


@pytest.mark.parametrize("code", ["PGRST301", "invalid_token", "session_revoked"])
def test_a_token_is_the_callers_fault_only_if_there_is_one(code: str) -> None:
    error = AeroDBError("", 401, code)
    assert status_of(error) == 401
    assert status_of(error, has_token=False) == 500


@pytest.mark.parametrize("code", ["23502", "23505", "23001", "42501", "44000", "PGRST116"])
def test_names_of_the_database_stay_here(code: str) -> None:
    error = AeroDBError('"todos_key" of "todos"', 409, code, hint="grant on todos")
    assert "todos" not in str(answer_of(error)[1])


def test_what_a_function_of_the_database_says_is_meant_for_the_caller() -> None:
    error = AeroDBError("Too late.", 400, "P0001", hint="Come earlier.")
    assert answer_of(error)[1] == {"detail": "Too late.", "code": "P0001", "hint": "Come earlier."}
