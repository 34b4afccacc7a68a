"""How long a server asks to wait (RFC 9110 §10.2.3; reliability T3)."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.errors import Exchange, error_from_response
from aerodb._core.retry_after import parse_http_date
from aerodb.types import AeroDBError

EXCHANGE = Exchange("POST", "https://h/rest/v1/t?x=1", request_id="r-1", attempts=2)


def read(
    status: int, body: object = b"", exchange: Exchange = EXCHANGE, /, **headers: str
) -> AeroDBError:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_from_response(status, raw, text, exchange, now=1_000_000_000.0)


DATE = "Sun, 09 Sep 2001 01:46:40 GMT"  # 1_000_000_000
LATER = "Mon, 01 Jan 2035 00:00"


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
            {"Retry_After": f"{LATER}:07 GMT", "Date": f"{LATER}:00 GMT"},
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


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_the_three_forms_of_rfc_9110(text: str) -> None:
    assert parse_http_date(text) == 784_111_777


@given(st.integers(0, 4_102_444_800))
def test_dates_are_read_as_they_are_written(moment: int) -> None:
    assert parse_http_date(formatdate(moment, usegmt=True)) == moment
    written = time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(moment))
    assert parse_http_date(written) == moment
