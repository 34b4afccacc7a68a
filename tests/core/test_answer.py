"""Joining a decoder's reading with what is known of the exchange."""

from __future__ import annotations

import pytest

from aerodb._core.answer import HeaderMap, answered, failed, placed
from aerodb._core.errors import Exchange
from aerodb._core.http import Retry
from aerodb.types import AeroDBError, AeroDBResponse, ResponseMeta


def test_headers_by_any_spelling_and_repeated_ones_joined() -> None:
    headers = HeaderMap([(b"Content-Type", b"a/b"), (b"X", b"1"), (b"x", b"2")])
    assert headers["content-type"] == headers["Content-Type"] == "a/b"
    assert dict(headers) == {"content-type": "a/b", "x": "1, 2"}
    assert len(headers) == 2
    assert "1" not in repr(headers)


def test_an_answer_keeps_what_the_decoder_read() -> None:
    meta = ResponseMeta(range=(0, 1), truncated=True, affected=2, warnings=("w",))
    decoded = AeroDBResponse([1, 2], None, 7, meta)
    whole = answered(decoded, 200, [(b"a", b"b")], attempts=2, elapsed=0.5, request_id="r")
    assert (whole.data, whole.count, whole.meta.status) == ([1, 2], 7, 200)
    assert (whole.meta.range, whole.meta.truncated, whole.meta.affected) == ((0, 1), True, 2)
    assert (whole.meta.attempts, whole.meta.elapsed, whole.meta.request_id) == (2, 0.5, "r")
    assert whole.meta.warnings == ("w",)
    assert whole.meta.headers["a"] == "b"


def test_a_failure_carries_the_error_and_the_exchange() -> None:
    response = failed(AeroDBError("m", 503, attempts=3, request_id="r"), [], 1.5)
    assert response.error is not None
    assert (response.meta.status, response.meta.attempts, response.meta.elapsed) == (503, 3, 1.5)


@pytest.mark.parametrize(
    ("retry", "status", "carried_out"),
    [
        (Retry.UNSENT, 201, True),
        (Retry.IDEMPOTENT, 200, True),
        (Retry.SAFE, 200, False),
        (Retry.UNSENT, 406, False),
        (Retry.UNSENT, None, False),
    ],
)
def test_a_write_that_was_answered_has_been_carried_out(
    retry: Retry, status: int | None, carried_out: bool
) -> None:
    exchange = Exchange("POST", "https://h/t?token=s", retry, "r", 2)
    error = placed(AeroDBError("m", code="DECODE_ERROR"), exchange, status)
    assert error.maybe_applied is carried_out
    found = (error.status, error.method, error.attempts, error.request_id)
    assert found == (status, "POST", 2, "r")
    assert error.url is not None
    assert "token=s" not in error.url
