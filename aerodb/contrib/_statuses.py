"""What a web program answers its own caller with when AeroDB did not answer it well."""

from __future__ import annotations

import math
from typing import Any

from aerodb import AeroDBError

_AS_IT_IS = frozenset({400, 401, 403, 404, 409, 413, 415, 416, 422, 429})
_BY_CODE = {
    "PGRST116": 404,  # one row was asked for
    "INVALID_ARGUMENT": 422,
    "NOT_AUTHENTICATED": 401,
    "SESSION_EXPIRED": 401,
    "NETWORK_ERROR": 503,
    "TIMEOUT": 504,
}
_PRIVATE = {
    500: "Something went wrong here.",
    502: "The database gave no usable answer.",
    503: "The database cannot be reached at the moment.",
    504: "The database did not answer in time.",
}


def status_of(error: AeroDBError) -> int:
    """The HTTP status for the caller. What the caller did not cause is 500 or above."""
    by_code = _BY_CODE.get(error.code or "")
    if by_code is not None:
        return by_code
    if error.status is None:
        return 500
    if error.status in _AS_IT_IS:
        return error.status
    if error.status == 503:
        return 503
    return 502 if error.status >= 500 else 500


def answer_of(error: AeroDBError) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, JSON body and headers. The body of a 5xx says nothing of the database."""
    status = status_of(error)
    detail = _PRIVATE.get(status) or error.message
    body: dict[str, Any] = {"detail": detail, "code": error.code}
    if error.hint and status < 500:
        body["hint"] = error.hint
    headers: dict[str, str] = {}
    if error.request_id:
        headers["X-Request-Id"] = error.request_id
    if error.retry_after is not None and status in (429, 503):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return status, body, headers
