"""`GET /health` is read, whatever comes (wire-contract §7)."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.health import HealthStatus, decode_health, health_call, health_from_body
from aerodb._core.http import RawResponse, Retry

FULL = {
    "status": "ok",
    "version": "1.2.3",
    "name": "aerodb.local",
    "services": {"auth": "ok", "rest": "degraded", "odd": 5},
    "features": ["idempotency-key", "realtime.auth", 7, None],
    "more": {},
}


def response(body: object, status: int = 200) -> RawResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RawResponse(status, [], raw)


def test_a_report_travels() -> None:
    health = health_from_body(json.dumps(FULL).encode())
    assert health is not None
    assert pickle.loads(pickle.dumps(health)) == health == copy.deepcopy(health)


def test_the_call() -> None:
    call = health_call()
    assert (call.method, call.path, call.retry, call.timeout) == ("GET", "/health", Retry.SAFE, 5.0)
    assert call.decode(response(FULL)).unwrap().version == "1.2.3"


def test_a_full_report() -> None:
    status = decode_health(response(FULL)).unwrap()
    assert status == HealthStatus(
        "ok",
        "1.2.3",
        "aerodb.local",
        {"auth": "ok", "rest": "degraded"},
        frozenset({"idempotency-key", "realtime.auth"}),
    )
    assert status.ok
    assert status.supports("idempotency-key")
    assert not status.supports("storage.tus")
    with pytest.raises(TypeError):
        status.services["auth"] = "x"  # type: ignore[index]


def test_a_real_server_says_little() -> None:
    status = decode_health(response({"status": "healthy", "version": "0.9"})).unwrap()
    assert status == HealthStatus("healthy", "0.9", None, {}, frozenset())
    assert status.ok


@pytest.mark.parametrize("word", ["starting", "degraded", "on fire"])
def test_a_server_that_is_not_well(word: str) -> None:
    status = health_from_body(json.dumps({"status": word}).encode())
    assert status is not None
    assert (status.status, status.ok) == (word, False)


def test_a_server_that_starts_is_data_and_error() -> None:
    body = json.dumps({"status": "starting", "version": "1"}).encode()
    answer = health_call().decode(RawResponse(503, [(b"Retry-After", b"2")], body))
    assert answer.data is not None
    assert answer.data.status == "starting"
    assert not answer.ok
    assert answer.error is not None
    assert (answer.error.code, answer.error.status) == ("service_unavailable", 503)
    assert (answer.error.retryable, answer.error.retry_after) == (True, 2.0)
    assert "starting" in answer.error.message
    assert 503 in health_call().answers


def test_a_503_of_somebody_else_is_an_error_only() -> None:
    answer = decode_health(response(b"<html>", 503))
    assert answer.data is None
    assert answer.error is not None
    assert (answer.error.code, answer.error.status) == ("http_503", 503)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"OK", b"<html>", b"[]", b"{}", b'{"status":1}', b'{"status":""}', b"\xff"),
        pytest.param(b"[" * 99_999, id="deep"),
        pytest.param(b'{"status":"ok","pad":"' + b"x" * 70_000 + b'"}', id="long"),
    ],
)
def test_what_is_no_report(body: bytes) -> None:
    error = decode_health(response(body)).error
    assert error is not None
    assert (error.code, error.status) == ("INVALID_RESPONSE", 200)


@given(st.binary() | st.dictionaries(st.sampled_from(["status", "services", "features"]),
       st.text() | st.lists(st.text()) | st.dictionaries(st.text(), st.text())))  # fmt: skip
def test_no_body_raises(body: object) -> None:
    decode_health(response(body))
