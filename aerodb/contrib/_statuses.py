"""What a web program answers its own caller with when AeroDB did not answer it well.

A stranger is told what they can do something about, and nothing of the database: no name of a
table, a column or a constraint. What the program itself does wrong, such as a column that is not
there or a key that is not taken, is 500.
"""

from __future__ import annotations

import math
import re
from typing import Any

from aerodb import AeroDBError

_AS_IT_IS = frozenset({400, 401, 403, 404, 409, 413, 415, 416, 422, 429})
_BY_CODE = {
    "57014": 504,  # the statement took too long
    "INVALID_ARGUMENT": 422,
    "INVALID_RESPONSE": 502,
    "JOIN_TIMEOUT": 504,
    "MISSING_FILTER": 500,
    "NETWORK_ERROR": 503,
    "NOT_AUTHENTICATED": 401,
    "NOT_CONNECTED": 503,
    "NO_ROWS_AFFECTED": 404,
    "PGRST103": 416,  # the offset is past the end
    "PGRST302": 401,
    "SESSION_EXPIRED": 401,
    "TIMEOUT": 504,
    "authentication_required": 401,
    "rate_limit_exceeded": 429,
    "service_unavailable": 503,
    "unauthorized": 403,  # a realtime channel
}
"""Codes whose status is another one, or that come without: realtime frames have none."""

_OF_A_TOKEN = {
    "PGRST301": 401,
    "PGRST303": 401,
    "auth_failed": 401,
    "insufficient_permissions": 403,
    "invalid_token": 401,
    "session_expired": 401,
    "session_revoked": 401,
    "token_expired": 401,
}
"""Refusals of an access token: the caller's own fault only if the caller has one."""

_OF_THE_PROGRAM = frozenset(
    {
        "bad_request",
        "function_not_found",
        "invalid_api_key",
        "invalid_channel",
        "invalid_filter",
        "missing_api_key",
        "no_api_key",
        "not_found",  # no such path at all
        "origin_not_allowed",
    }
)
_PROGRAM_FAULT = re.compile(r"PGRST[0-9A-Z]+|AERO4(?!13).+|(?!22|23|44)[0-4][0-9A-Z]{4}")
"""PostgREST's codes are about the query. SQLSTATEs that begin with 0 to 4 are the standard's; of
those only 22 (data), 23 and 44 (constraints) depend on values. Functions choose their own."""

_OF_A_PROXY = frozenset({413, 429, 503, 504})

_PRIVATE = {
    500: "Something went wrong here.",
    502: "The database gave no usable answer.",
    503: "The database cannot be reached at the moment.",
    504: "The database did not answer in time.",
}
_NEUTRAL = {
    "23502": "A value is missing.",
    "23503": "What this refers to does not exist, or is still needed.",
    "23505": "This exists already.",
    "23514": "A value is not allowed here.",
    "23P01": "This is in conflict with what is there.",
    "42501": "This is not allowed.",
    "NO_ROWS_AFFECTED": "There is nothing of this kind.",
    "PGRST116": "There is nothing of this kind.",
}
"""In place of PostgreSQL's texts that name tables, columns and constraints."""
_OF_CONSTRAINTS: dict[str, str] = {
    "23": "This does not fit what is there.",
    "44": "This does not fit what is there.",
}


def status_of(error: AeroDBError, *, has_token: bool = True) -> int:
    """The HTTP status for the caller. What the caller did not cause is 500 or above.

    `has_token` says whether the caller sent an access token, or has signed in.
    """
    code, status = error.code or "", error.status
    if code in _BY_CODE:
        return _BY_CODE[code]
    if code in _OF_A_TOKEN:
        return _OF_A_TOKEN[code] if has_token else 500
    if code == "PGRST116":  # one row was asked for: none is the caller's, several are not
        return 500 if re.search(r"\b[1-9][0-9]* rows", str(error.details)) else 404
    if status is None or code in _OF_THE_PROGRAM:
        return 500
    if code.startswith("http_"):  # not from an AeroDB
        return status if status in _OF_A_PROXY else 502
    if status < 500:
        if code.startswith("PT") or code == "42501":  # PT402: a function chose the status
            return status
        return status if status in _AS_IT_IS and not _PROGRAM_FAULT.fullmatch(code) else 500
    if error.retryable:
        return 504 if status == 504 else 503
    return status if status in (503, 504) else 502


def answer_of(
    error: AeroDBError, *, has_token: bool = True
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, JSON body and headers. The body of a 5xx says nothing of the database."""
    status = status_of(error, has_token=has_token)
    code = error.code or ""
    neutral = _PRIVATE.get(status) or _NEUTRAL.get(code) or _OF_CONSTRAINTS.get(code[:2])
    body: dict[str, Any] = {"detail": neutral or error.message, "code": code or None}
    if error.hint and neutral is None:
        body["hint"] = error.hint
    headers: dict[str, str] = {}
    if error.request_id:
        headers["X-Request-Id"] = error.request_id
    if error.retry_after is not None and status in (429, 503):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if status == 401:
        headers["WWW-Authenticate"] = challenge(invalid=has_token)
    return status, body, headers


def challenge(*, invalid: bool) -> str:
    """`WWW-Authenticate` of a 401. It names an error only if there was a token (RFC 6750 §3)."""
    return 'Bearer error="invalid_token"' if invalid else "Bearer"
