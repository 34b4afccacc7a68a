"""Every failure becomes an `AeroDBError` (wire-contract §1.5, §2.6; reliability C6, E2, T3)."""

from __future__ import annotations

import json
import math
import pickle
import re
import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerodb._core.errors import (
    CODES,
    Exchange,
    client_error,
    error_from_response,
    error_from_transport,
)
from aerodb._core.http import FailureKind, Retry, TransportError
from aerodb._core.retry_after import parse_http_date
from aerodb.types import AeroDBError

EXCHANGE = Exchange("POST", "https://h/rest/v1/t?x=1", request_id="r-1", attempts=2)
READ = EXCHANGE._replace(method="GET", retry=Retry.SAFE)
CANARY = "c4n4ry-0123456789"


def read(
    status: int, body: object = b"", exchange: Exchange = EXCHANGE, /, **headers: str
) -> AeroDBError:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_from_response(status, raw, text, exchange, now=1_000_000_000.0)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        # 1: the seed's, and AeroDB's with an integer code
        (400, {"error": "text"}, ("text", 400, "http_400", None, None)),
        (401, {"error": "text", "code": 401}, ("text", 401, "http_401", None, None)),
        (
            401,
            {"error": "Invalid credentials", "code": 401},
            ("Invalid credentials", 401, "invalid_credentials", None, None),
        ),
        # 2: PostgREST's
        (
            406,
            {"code": "PGRST116", "message": "m", "details": "0 rows", "hint": None},
            ("m", 406, "PGRST116", "0 rows", None),
        ),
        (
            409,
            {"code": "23505", "message": "dup", "details": None, "hint": "h"},
            ("dup", 409, "23505", None, "h"),
        ),
        (
            300,
            {"code": "PGRST201", "message": "m", "details": [{"a": 1}], "hint": "Try x"},
            ("m", 300, "PGRST201", [{"a": 1}], "Try x"),
        ),
        (
            400,
            {"code": "MY_OWN", "message": "raised", "details": None, "hint": None},
            ("raised", 400, "MY_OWN", None, None),
        ),
        # 3: nested
        (
            429,
            {"error": {"code": "rate_limit_exceeded", "message": "slow", "status": 429}},
            ("slow", 429, "rate_limit_exceeded", None, None),
        ),
        # 4: nested in an envelope
        (
            404,
            {
                "success": False,
                "data": None,
                "error": {"code": "USER_NOT_FOUND", "message": "gone", "status": 404},
            },
            ("gone", 404, "user_not_found", None, None),
        ),
        # 5: not set up yet
        (
            503,
            {
                "error": "SETUP_REQUIRED",
                "code": "AERO_SETUP_REQUIRED",
                "message": "Set it up",
                "setup_url": "/setup",
            },
            ("Set it up", 503, "setup_required", None, "finish the setup at /setup"),
        ),
        # 6: object storage
        (
            409,
            {"error": "409 Conflict", "message": "not empty", "code": "BUCKET_NOT_EMPTY"},
            ("not empty", 409, "bucket_not_empty", None, None),
        ),
        # 7: the real status inside
        (
            400,
            {"statusCode": "404", "error": "not_found", "message": "Object not found"},
            ("Object not found", 404, "not_found", None, None),
        ),
        # 8: auth
        (
            400,
            {"code": 400, "error_code": "weak_password", "msg": "too weak"},
            ("too weak", 400, "weak_password", None, None),
        ),
        (422, {"code": "x", "message": "text"}, ("text", 422, "x", None, None)),
        # 9: OAuth
        (
            400,
            {"error": "invalid_grant", "error_description": "text"},
            ("text", 400, "invalid_grant", None, None),
        ),
        # 10: text, HTML, broken JSON
        (404, b" not here \n", ("not here", 404, "http_404", None, None)),
        (
            422,
            b"Failed to deserialize the JSON body into the target type: missing field",
            (
                "Failed to deserialize the JSON body into the target type: missing field",
                422,
                "validation_failed",
                None,
                None,
            ),
        ),
        (400, b'{"error": "cut', ('{"error": "cut', 400, "http_400", None, None)),
        (400, b'"quoted"', ("quoted", 400, "http_400", None, None)),
        (501, b"<!DOCTYPE html><p>no", ("HTTP 501 Not Implemented", 501, "http_501", None, None)),
        (413, b"x" * 999, ("x" * 500, 413, "http_413", None, None)),
        # 11: nothing
        (406, b"", ("HTTP 406 Not Acceptable", 406, "http_406", None, None)),
        (599, b"", ("HTTP 599", 599, "http_599", None, None)),
        # what aerodb.local emits outside REST
        (
            403,
            {"error": "no", "code": "access_denied", "message": "no", "status": 403, "details": 5},
            ("no", 403, "access_denied", 5, None),
        ),
        # JSON that says nothing that we know
        (500, {"oops": 1}, ("HTTP 500 Internal Server Error", 500, "http_500", {"oops": 1}, None)),
        (500, [1, 2], ("HTTP 500 Internal Server Error", 500, "http_500", [1, 2], None)),
        (500, {"message": 7, "code": True}, None),
        (500, {"message": "", "error": "text"}, ("text", 500, "http_500", None, None)),
    ],
)
def test_shapes(status: int, body: object, expected: tuple[object, ...] | None) -> None:
    error = read(status, body)
    expected = expected or ("HTTP 500 Internal Server Error", 500, "http_500", body, None)
    assert (error.message, error.status, error.code, error.details, error.hint) == expected
    assert (error.request_id, error.attempts, error.method) == ("r-1", 2, "POST")
    assert error.url == "https://h/rest/v1/t?x=1"


@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (401, "Invalid credentials", "invalid_credentials"),
        (409, "Email already registered", "email_already_exists"),
        (400, "Password does not meet requirements: short", "weak_password"),
        (403, "Email not verified", "email_not_verified"),
        (400, "Validation error: email", "validation_failed"),
        (401, "Token expired", "token_expired"),
        (400, "Malformed token", "invalid_token"),
        (401, "Invalid token signature", "invalid_token"),
        (401, "Invalid or expired token", "invalid_token"),
        (401, "Authentication required", "authentication_required"),
        (401, "Missing authorization header", "authentication_required"),
        (401, "Invalid refresh token", "invalid_refresh_token"),
        (401, "Session has been revoked", "session_revoked"),
        (401, "Session expired or invalid", "session_expired"),
        (403, "Not authorized to access this resource", "access_denied"),
        (404, "User not found", "user_not_found"),
        (429, "Rate limit exceeded. Retry in 60 s", "rate_limit_exceeded"),
    ],
)
def test_message_texts_stand_for_codes(status: int, text: str, code: str) -> None:
    assert read(status, {"error": text, "code": status}).code == code
    assert read(status, text.encode()).code == code
    assert read(status, {"error": text, "code": "own"}).code == "own"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Proxy_Status": "PostgREST; error=PGRST116"}, "PGRST116"),
        ({"proxy_status": 'edge; error=dns, PostgREST; x=1; error="42501"'}, "42501"),
        ({"Proxy_Status": "edge; error=connection_timeout"}, "http_404"),
        ({"X_Aerodb_Error": "function_not_found"}, "function_not_found"),
        ({"X_Aerodb_Error": "no code at all!"}, "http_404"),
        ({"X_Aerodb_Error": "a", "Proxy_Status": "PostgREST; error=b"}, "a"),
    ],
)
def test_an_empty_body_has_its_code_in_a_header(headers: dict[str, str], code: str) -> None:
    assert read(404, b"", **headers).code == code
    assert read(404, {"code": "own", "message": "m"}, **headers).code == "own"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(status: int) -> None:
    error = read(status, b"", Location=f"https://evil/?token={CANARY}")
    assert (error.code, error.status) == ("UNEXPECTED_REDIRECT", status)
    assert "https://evil/" in error.message
    assert CANARY not in str(error)
    assert not error.retryable


def test_300_is_no_redirect() -> None:
    assert read(300, {"code": "PGRST203", "message": "m"}, Location="/x").code == "PGRST203"


DATE = "Sun, 09 Sep 2001 01:46:40 GMT"  # 1_000_000_000


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"Retry_After": "3"}, {}, 3.0),
        ({"retry_after": " 1.5 "}, {}, 1.5),
        ({"Retry_After": "0"}, {}, 0.0),
        ({"Retry_After_Ms": "250", "Retry_After": "9"}, {}, 0.25),
        ({"Retry_After": "Sun, 09 Sep 2001 01:46:50 GMT"}, {}, 10.0),
        ({"Retry_After": "Sunday, 09-Sep-01 01:46:50 GMT"}, {}, 10.0),
        ({"Retry_After": "Sun Sep  9 01:46:50 2001"}, {}, 10.0),
        ({"Retry_After": "Sun, 09 Sep 2001 01:46:30 GMT"}, {}, 0.0),
        (
            {"Retry_After": "Mon, 01 Jan 2035 00:00:07 GMT", "Date": "Mon, 01 Jan 2035 00:00:00 GMT"},
            {},
            7.0,
        ),
        ({}, {"error": "x", "retry_after": 4}, 4.0),
        ({}, {"error": {"message": "x", "retry_after": 4.5}}, 4.5),
        ({}, {"error": "x", "retry_after": "4"}, 4.0),
        ({"Retry_After": "soon"}, {"retry_after": 4}, 4.0),
        ({"Retry_After": "2"}, {"retry_after": 4}, 2.0),
        ({"Retry_After": "-1"}, {}, None),
        ({"Retry_After": "inf"}, {}, None),
        ({"Retry_After": "nan"}, {}, None),
        ({"Retry_After": "1e309"}, {}, None),
        ({"Retry_After": "9" * 400}, {}, None),
        ({"Retry_After": ""}, {}, None),
        ({"Retry_After": "1_0"}, {}, None),
        ({"Retry_After": "Sun, 32 Sep 2001 01:46:50 GMT"}, {}, None),
        ({"Retry_After": "Sun, 09 Foo 2001 01:46:50 GMT"}, {}, None),
        ({"Retry_After": "Sun, 09 Sep 2001 25:46:50 GMT"}, {}, None),
        ({}, {"retry_after": -1}, None),
        ({}, {"retry_after": True}, None),
        ({}, {"retry_after": None}, None),
        ({}, {"retry_after": [1]}, None),
        ({}, b'{"retry_after": 1e309}', None),
        ({}, b'{"retry_after": NaN}', None),
        ({}, b'{"retry_after": ' + b"9" * 4000 + b"}", None),
    ],
)
def test_retry_after(headers: dict[str, str], body: object, expected: float | None) -> None:
    assert read(503, body, **headers).retry_after == expected


def test_a_retry_after_in_arabic_digits_is_garbage() -> None:
    raw = [(b"retry-after", "\u0663".encode())]
    assert error_from_response(503, raw, b"", EXCHANGE).retry_after is None


def test_a_date_without_any_clock_is_ignored() -> None:
    raw = [(b"retry-after", DATE.encode())]
    assert error_from_response(503, raw, b"", EXCHANGE).retry_after is None


@given(st.integers(0, 4_102_444_800))
def test_dates_are_read_as_they_are_written(moment: int) -> None:
    assert parse_http_date(formatdate(moment, usegmt=True)) == moment
    written = time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(moment))
    assert parse_http_date(written) == moment


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_what_may_pass_is_retryable(status: int) -> None:
    assert read(status).retryable


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (400, "x", False),
        (401, "PGRST301", False),
        (404, "x", False),
        (409, "23505", False),
        (409, "idempotency_key_in_progress", True),
        (500, "XX000", False),
        (500, "40001", True),
        (500, "40P01", True),
        (501, "not_implemented", False),
        (503, "AERO_SETUP_REQUIRED", False),
        (503, "PGRST002", True),
    ],
)
def test_retryable_by_status_and_code(status: int, code: str, retryable: bool) -> None:
    assert read(status, {"code": code, "message": "m"}).retryable is retryable


@pytest.mark.parametrize(
    ("status", "code", "headers", "doubt"),
    [
        (400, "x", {}, False),
        (409, "23505", {}, False),
        (429, "x", {}, False),
        (408, "x", {}, True),
        (500, "http_500", {}, True),
        (500, "internal_error", {}, True),
        (500, "57014", {}, False),
        (500, "P0001", {}, False),
        (502, "http_502", {}, True),
        (503, "http_503", {}, True),
        (503, "http_503", {"Retry_After": "1"}, False),
        (503, "PGRST001", {}, False),
        (503, "08006", {}, True),
        (504, "PGRST003", {}, False),
        (504, "http_504", {}, True),
    ],
)
def test_whether_a_write_may_have_happened(
    status: int, code: str, headers: dict[str, str], doubt: bool
) -> None:
    body = {"code": code, "message": "m"}
    assert read(status, body, **headers).maybe_applied is doubt
    assert read(status, body, READ, **headers).maybe_applied is False
    earlier = EXCHANGE._replace(maybe_applied=True)
    assert read(status, body, earlier, **headers).maybe_applied is True


def test_no_secret_in_any_field() -> None:
    exchange = Exchange("GET", f"https://h/x?token={CANARY}&y={CANARY}", secrets=(CANARY,))
    body = {
        "message": f"bad key {CANARY}",
        "code": CANARY,
        "details": {"password": "pw-c4n4ry", "echo": [f"Bearer {CANARY}"]},
        "hint": f"not {CANARY}",
    }
    error = read(401, body, exchange)
    assert CANARY not in repr(error)
    assert "pw-c4n4ry" not in repr(error)
    failure = TransportError("connect", f"Illegal header value b'Bearer {CANARY}'", sent=False)
    assert CANARY not in repr(error_from_transport(failure, exchange))


HOSTILE = [
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"[" * 30_000 + b"]" * 30_000,
    b'{"message":"m","details":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    b"9" * 10_000_000,
    b'{"code":' + b"9" * 10_000_000 + b"}",
    b'{"message":"m","code":' + b"9" * 5_000 + b"}",
    b"\xff\xfe\x00" * 30_000,
    b'{"message":"\xff\xfe"}',
    b'{"message":NaN}',
    b'{"message":"m","details":Infinity}',
    b'{"message":"m","details":1e999}',
    b'{"message":"a","message":"b"}',
    b'{"message":"\\ud800"}',
    b"\xef\xbb\xbf{}",
    b'"' + b"\\" * 60_000,
    b'"' * 60_000,
    b'["' * 30_000,
    b"{" * 200 + b'"\\',
    b"\x1b[31mred\x07",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b" " * 70_000,
]


@pytest.mark.parametrize("body", HOSTILE, ids=[f"{b[:12]!r}-{len(b)}" for b in HOSTILE])
def test_hostile_bodies(body: bytes) -> None:
    started = time.process_time()
    error = error_from_response(500, [], body, EXCHANGE)
    assert time.process_time() - started < 2  # reliability C6's bar
    assert error.message
    assert error.message.encode()  # no lone surrogate
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", str(error))
    assert pickle.loads(pickle.dumps(error)) == error


def test_duplicate_members_last_wins() -> None:
    assert read(400, b'{"message":"a","message":"b"}').message == "b"


def test_only_the_first_64_kib_are_looked_at() -> None:
    body = b'{"message":"m","pad":"' + b"x" * 70_000 + b'"}'
    assert read(400, body).message.startswith('{"message"')


def test_depth_does_not_depend_on_how_deep_the_caller_is() -> None:
    body = b'{"message":"m","details":' + b"[" * 120 + b"]" * 120 + b"}"

    def deep(levels: int) -> AeroDBError:
        return deep(levels - 1) if levels else read(400, body)

    assert deep(sys.getrecursionlimit() - 500).message == "m"


ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(
            ["error", "message", "msg", "code", "error_code", "details", "hint", "statusCode"]
            + ["retry_after", "status", "success", "setup_url", "error_description", "x"]
        )
        | st.text(),
        inner,
    ),
    max_leaves=12,
)  # fmt: skip
HEADER_NAMES = st.sampled_from(
    [b"retry-after", b"Retry-After-Ms", b"date", b"proxy-status", b"x-aerodb-error", b"location"]
)
HEADERS = st.lists(st.tuples(HEADER_NAMES | st.binary(), st.binary()), max_size=4)


@settings(max_examples=300)
@given(
    st.integers(),
    HEADERS,
    st.binary() | ANY_JSON.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(Retry),
)
def test_no_response_raises(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes, retry: Retry
) -> None:
    exchange = Exchange("POST", "https://h/x", retry)
    error = error_from_response(status, headers, body, exchange, now=0.0)
    assert error.message
    assert error.code
    assert error.retry_after is None or (0 <= error.retry_after and math.isfinite(error.retry_after))
    assert str(error).encode()


@pytest.mark.parametrize(
    ("kind", "text", "sent", "code", "hint"),
    [
        ("connect", "[Errno 111] Connection refused", False, "NETWORK_ERROR", "is a server running"),
        ("connect", "[Errno -2] Name or service not known", False, "NETWORK_ERROR", "not found"),
        ("connect", "nodename nor servname provided", False, "NETWORK_ERROR", "not found"),
        ("connect", "CERTIFICATE_VERIFY_FAILED", False, "NETWORK_ERROR", "SSL_CERT_FILE"),
        ("connect", "[SSL] record layer failure", False, "NETWORK_ERROR", "https"),
        ("connect", "", False, "NETWORK_ERROR", None),
        ("timeout", "", False, "TIMEOUT", "firewall"),
        ("timeout", "", True, "TIMEOUT", "timeout="),
        ("closed", "reset by peer", True, "NETWORK_ERROR", None),
        ("protocol", "bad status line", True, "INVALID_RESPONSE", "HTTP"),
        ("too_large", "more than 64 MiB", True, "RESPONSE_TOO_LARGE", "max_response_bytes"),
        ("encoding", "bad gzip", True, "INVALID_RESPONSE", None),
        ("client_closed", "", False, "CLIENT_CLOSED", "new client"),
        ("unsupported", "bad method", False, "INVALID_ARGUMENT", None),
    ],
)
def test_transport_failures(
    kind: FailureKind, text: str, sent: bool, code: str, hint: str | None
) -> None:
    exchange = EXCHANGE._replace(timeout=2.5)
    error = error_from_transport(TransportError(kind, text, sent=sent), exchange)
    assert error.code == code
    assert code in CODES
    assert (error.hint is None) if hint is None else (hint in (error.hint or ""))
    assert error.status is None
    assert text in error.message or kind in ("client_closed", "timeout")
    assert error.retryable is (
        kind in ("connect", "timeout", "closed", "protocol") and "CERTIFICATE" not in text
    )
    assert error.maybe_applied is sent
    assert (error.request_id, error.attempts, error.method) == ("r-1", 2, "POST")
    safe = error_from_transport(TransportError(kind, text, sent=sent), READ)
    assert safe.maybe_applied is False
    if kind == "timeout":
        assert "2.5 s" in error.message


def test_every_kind_of_failure_is_known() -> None:
    for kind in get_args(FailureKind):
        error = error_from_transport(TransportError(kind, "x", sent=True), EXCHANGE)
        assert error.code in CODES


def test_a_local_server_that_is_not_there_is_easily_started() -> None:
    failure = TransportError("connect", "Connection refused", sent=False)
    local = EXCHANGE._replace(url="http://127.0.0.1:54321/rest/v1/t")
    assert "http://127.0.0.1:54321" in error_from_transport(failure, local).message
    assert "aerodb dev" in (error_from_transport(failure, local).hint or "")
    assert "aerodb dev" not in (error_from_transport(failure, EXCHANGE).hint or "")


@given(st.sampled_from(get_args(FailureKind)), st.text(), st.text(), st.booleans())
def test_no_transport_failure_raises(kind: FailureKind, text: str, url: str, sent: bool) -> None:
    error = error_from_transport(TransportError(kind, text, sent=sent), Exchange("GET", url))
    assert error.message
    assert error.code in CODES


def test_errors_of_the_client() -> None:
    error = client_error("MISSING_FILTER", "no filter", hint="h")
    assert error == AeroDBError("no filter", code="MISSING_FILTER", hint="h")
    error = client_error("INVALID_RESPONSE", "m", status=200, exchange=EXCHANGE)
    assert (error.status, error.request_id, error.attempts) == (200, "r-1", 2)


def test_the_codes_are_those_that_are_listed() -> None:
    listed = (
        "NETWORK_ERROR NOT_AUTHENTICATED NO_REFRESH_TOKEN TIMEOUT INVALID_ARGUMENT INSECURE_URL "
        "UNEXPECTED_REDIRECT INVALID_RESPONSE RESPONSE_TOO_LARGE MISSING_FILTER SESSION_EXPIRED "
        "CLIENT_CLOSED NOT_CONNECTED JOIN_TIMEOUT UNSAFE_LOCATION"
    )
    assert set(CODES) == set(listed.split())
    assert all(text.endswith(".") and "\n" not in text for text in CODES.values())


def test_no_code_is_made_up_in_the_core() -> None:
    """Style: codes are listed in `errors.py` and nowhere else."""
    folder = Path(sys.modules[Exchange.__module__].__file__ or "").parent
    text = (folder / "errors.py").read_text(encoding="utf-8")
    used = set(re.findall(r'return "([A-Z_]{6,})"', text))
    assert used
    assert used <= set(CODES)
