"""Every failure becomes an `AeroDBError` (wire-contract §1.5, §2.6; reliability C6, E2, T3)."""

from __future__ import annotations

import json
import math
import re
import sys
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


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(status: int) -> None:
    error = read(status, b"", Location=f"https://evil/?token={CANARY}")
    assert (error.code, error.status) == ("UNEXPECTED_REDIRECT", status)
    assert "https://evil/" in error.message
    assert CANARY not in str(error)
    assert not error.retryable


def test_300_is_no_redirect() -> None:
    assert read(300, {"code": "PGRST203", "message": "m"}, Location="/x").code == "PGRST203"


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
        (503, "PGRST001", {}, True),
        (503, "PGRST001", {"Retry_After": "1"}, True),
        (503, "PGRST002", {"Retry_After": "1"}, False),
        (503, "08006", {}, True),
        (503, "08006", {"Retry_After": "1"}, True),
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


@pytest.mark.parametrize(
    ("code", "doubt"),
    [
        ("idempotency_key_in_progress", True),
        ("idempotency_response_unavailable", True),
        ("idempotency_key_reused", False),
        ("invalid_idempotency_key", False),
    ],
)
def test_whether_another_request_under_the_key_has_an_effect(code: str, doubt: bool) -> None:
    assert read(409, {"code": code, "message": "m"}).maybe_applied is doubt


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


MEMBERS = [
    *("error", "message", "msg", "code", "error_code", "error_description", "details", "hint"),
    *("statusCode", "retry_after", "status", "success", "setup_url", "x"),
]
NAMES = st.sampled_from(MEMBERS) | st.text()
ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
    max_leaves=12,
)
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
    assert error.retry_after is None or 0 <= error.retry_after < math.inf
    assert str(error).encode()


@pytest.mark.parametrize(
    ("kind", "text", "sent", "code", "hint"),
    [
        (
            "connect",
            "[Errno 111] Connection refused",
            False,
            "NETWORK_ERROR",
            "is a server running",
        ),
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
        "CLIENT_CLOSED NOT_CONNECTED JOIN_TIMEOUT UNSAFE_LOCATION DECODE_ERROR NO_ROWS_AFFECTED "
        "HANDLER_FAILED SLOW_CONSUMER SESSION_STORE_FAILED "
        "FILE_ERROR INTEGRITY_ERROR NOT_SUPPORTED SOURCE_CHANGED"
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


@pytest.mark.parametrize(
    ("code", "details", "hint"),
    [
        ("PGRST116", "The result contains 0 rows", "maybe_single() allows that"),
        ("PGRST116", "The result contains 31 rows", "31 rows fit"),
        ("invalid_api_key", None, "`aerodb dev` prints"),
    ],
)
def test_a_message_that_does_not_help_has_a_hint(code: str, details: str, hint: str) -> None:
    said = {"code": code, "message": "m", "details": details, "hint": None}
    assert hint in (error_from_response(406, (), json.dumps(said).encode(), EXCHANGE).hint or "")
    own = json.dumps({**said, "hint": "the server's own"}).encode()
    assert error_from_response(406, (), own, EXCHANGE).hint == "the server's own"
    strange = json.dumps({**said, "code": "PGRST116", "details": ["rows"]}).encode()
    assert error_from_response(406, (), strange, EXCHANGE).hint is None


def test_a_code_in_a_header_is_an_aerodb_error_and_needs_no_hint() -> None:
    headers = [(b"proxy-status", b"PostgREST; error=42P01")]
    error = error_from_response(404, headers, b"", Exchange("HEAD", "http://localhost/rest/v1/t"))
    assert error.code == "42P01"
    assert error.hint is None


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        ("PGRST123", "Use of aggregate functions is not allowed", "db-aggregates-enabled"),
        (
            "PGRST107",
            "None of these media types are available: application/vnd.pgrst.plan+text",
            "db-plan-enabled",
        ),
        ("PGRST107", "None of these media types are available: text/xml", None),
        ("PGRST100", '"failed to parse logic tree ((age > 5))" (line 1, column 9)', "age.gt.60"),
        ("PGRST100", '"failed to parse order (age.up)" (line 1, column 5)', None),
    ],
)
def test_what_a_server_refuses_without_saying_what_helps(
    code: str, message: str, hint: str | None
) -> None:
    said = read(400, {"code": code, "message": message}).hint
    assert said is None if hint is None else hint in (said or "")


@pytest.mark.parametrize("code", ["bucket_not_found", "object_not_found"])
def test_what_is_not_there_in_storage_is_named(code: str) -> None:
    """The server's words name nothing, and a traceback does not show the arguments of a call."""
    url = f"https://h/storage/v1/object/docs/a%20b.txt?token={CANARY}"
    error = read(404, {"error": code, "message": "Not found"}, EXCHANGE._replace(url=url))
    assert error.code == code
    assert (error.hint or "").endswith("/storage/v1/object/docs/a%20b.txt")
