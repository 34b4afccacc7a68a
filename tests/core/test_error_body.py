"""The eleven shapes of an error body, and garbage (wire-contract §1.5, §2.6; reliability C6)."""

from __future__ import annotations

import json
import pickle
import re
import sys

import pytest

from aerodb._core.errors import Exchange, error_from_response
from aerodb.types import AeroDBError

EXCHANGE = Exchange("POST", "https://h/rest/v1/t?x=1", request_id="r-1", attempts=2)


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
    error = error_from_response(500, [], body, EXCHANGE)
    assert error.message
    assert error.message.encode()  # no lone surrogate
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", str(error))
    assert pickle.loads(pickle.dumps(error)) == error


def test_only_a_400_has_another_status_inside() -> None:
    assert read(400, {"statusCode": 409, "message": "m"}).status == 409
    assert read(400, {"statusCode": "200", "message": "m"}).status == 400
    assert read(500, {"statusCode": "404", "message": "m"}).status == 500


@pytest.mark.parametrize(("depth", "read_as_json"), [(128, True), (129, False)])
def test_the_depth_of_json_is_limited(depth: int, read_as_json: bool) -> None:
    inner = depth - 1
    body = b'{"message":"m [[[\\"[[[","details":' + b"[" * inner + b"]" * inner + b"}"
    assert read(400, body).message.startswith("m" if read_as_json else "{")


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
