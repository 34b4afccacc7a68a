"""PostgreSQL's errors as HTTP answers (wire contract §3.7)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from psycopg.pq import DiagnosticField
from psycopg.pq.abc import PGresult

from aerodb.local.rest.errors import RestError


@dataclass(frozen=True, slots=True)
class PgError:
    """The fields of PostgreSQL's error that are told to clients."""

    code: str
    message: str
    detail: str | None = None
    hint: str | None = None


_BY_CODE = {
    "23503": 409,
    "23505": 409,
    "25006": 405,
    "53400": 500,
    "57P01": 503,
    "P0001": 400,
    "42P01": 404,
    "42P17": 500,
}
_BY_CLASS = {
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    "25": 500,
    "28": 403,
    "2D": 500,
    "38": 500,
    "39": 500,
    "3B": 500,
    "40": 500,
    "53": 503,
    "54": 500,
    "55": 500,
    "57": 500,
    "58": 500,
    "F0": 500,
    "HV": 500,
    "P0": 500,
    "XX": 500,
}


def error_of(result: PGresult) -> PgError:
    """The error that a failed result carries."""

    def field(which: DiagnosticField) -> str | None:
        value = result.error_field(which)
        return None if value is None else value.decode("utf-8", "replace")

    return PgError(
        field(DiagnosticField.SQLSTATE) or "XX000",
        field(DiagnosticField.MESSAGE_PRIMARY) or "",
        field(DiagnosticField.MESSAGE_DETAIL),
        field(DiagnosticField.MESSAGE_HINT),
    )


def rest_error(error: PgError, *, authenticated: bool) -> RestError:
    """The answer to an error; who is not signed in gets 401 where others get 403."""
    if error.code == "PGRST":
        return _raised(error)
    status = _status(error, authenticated)
    challenge = (("WWW-Authenticate", "Bearer"),) if status == 401 else ()
    return RestError(status, error.code, error.message, error.detail, error.hint, challenge)


def _status(error: PgError, authenticated: bool) -> int:
    code, message = error.code, error.message
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code == "42501":
        return 403 if authenticated else 401
    if code == "21000":
        return 400 if message.endswith("requires a WHERE clause") else 500
    if code == "22023":
        is_role = message.startswith("role") and message.endswith("does not exist")
        return 401 if is_role else 400
    if code == "42883":
        return 406 if message.startswith("function xmlagg(") else 404
    if code.startswith("PT"):
        return _custom_status(code[2:])
    return _BY_CLASS.get(code[:2], 400)


def _custom_status(digits: str) -> int:
    """The status that `RAISE SQLSTATE 'PT402'` names."""
    status = int(digits) if digits.isascii() and digits.isdigit() else 500
    return status if 200 <= status <= 599 else 500


# --- RAISE SQLSTATE 'PGRST' ----------------------------------------------------------------------


def _raised(error: PgError) -> RestError:
    """Message and detail are JSON objects with the body and with status and headers."""
    body = _object(error.message)
    if body is None or not _is_body(body):
        return _unreadable("MESSAGE", error.message)
    if error.detail is None:
        return _malformed("DETAIL is missing in the RAISE statement", _DETAIL_HINT)
    control = _object(error.detail)
    if control is None or not _is_control(control):
        return _unreadable("DETAIL", error.detail)
    return RestError(
        control["status"],
        body["code"],
        body["message"],
        body.get("details"),
        body.get("hint"),
        tuple(control["headers"].items()),
    )


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType]


def _is_body(body: dict[str, Any]) -> bool:
    optional = (body.get("details"), body.get("hint"))
    return (
        isinstance(body.get("code"), str)
        and isinstance(body.get("message"), str)
        and all(value is None or isinstance(value, str) for value in optional)
    )


def _is_control(control: dict[str, Any]) -> bool:
    status, headers = control.get("status"), control.get("headers")
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        return False
    if not isinstance(headers, dict):
        return False
    pairs: dict[Any, Any] = headers  # pyright: ignore[reportUnknownVariableType]
    return all(isinstance(value, str) for value in pairs.values())


_MESSAGE_HINT = (
    "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: "
    "'details', 'hint'."
)
_DETAIL_HINT = (
    "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: "
    "'status_text'."
)


def _unreadable(part: str, text: str) -> RestError:
    hint = _MESSAGE_HINT if part == "MESSAGE" else _DETAIL_HINT
    return _malformed(f"Invalid JSON value for {part}: '{text}'", hint)


def _malformed(details: str, hint: str) -> RestError:
    message = "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error"
    return RestError(500, "PGRST121", message, details, hint)
