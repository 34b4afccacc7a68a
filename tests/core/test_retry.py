"""What is repeated, and when (wire-contract §1.8; reliability T1-T4)."""

from __future__ import annotations

import math
import random
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.errors import Exchange, error_from_response, error_from_transport
from aerodb._core.http import FailureKind, Retry, TransportError
from aerodb._core.retry import (
    GiveUp,
    RetryBudget,
    RetryChoice,
    Wait,
    decide,
    effective_retry,
    idempotency_key_problem,
)
from aerodb.types import AeroDBError

EXCHANGE = Exchange("POST", "https://h/x")


def answered(status: int, retry_after: str = "", code: str = "") -> AeroDBError:
    headers = [(b"Retry-After", retry_after.encode())] if retry_after else []
    body = f'{{"code":"{code}","message":"m"}}'.encode() if code else b""
    return error_from_response(status, headers, body, EXCHANGE)


def failed(kind: FailureKind, *, sent: bool, text: str = "") -> AeroDBError:
    return error_from_transport(TransportError(kind, text, sent=sent), EXCHANGE)


def decided(
    outcome: AeroDBError,
    retry: Retry = Retry.SAFE,
    *,
    attempt: int = 1,
    sent: bool = True,
    remaining: float = 30.0,
    jitter: float = 0.5,
    budget: RetryBudget | None = None,
    retries: int = 2,
) -> Wait | GiveUp:
    return decide(
        attempt, retry, outcome, sent=sent, remaining_seconds=remaining, jitter=jitter,
        budget=budget or RetryBudget(), retries=retries,
    )  # fmt: skip


P = Retry.PLATFORM  # without the platform's mark, as here: see test_functions.py for those with it
S, I, U, N = Retry.SAFE, Retry.IDEMPOTENT, Retry.UNSENT, Retry.NEVER_ANSWERED  # noqa: E741


@pytest.mark.parametrize(
    ("outcome", "sent", "repeated"),
    [
        (failed("connect", sent=False), False, {S, I, U, N, P}),
        (failed("timeout", sent=False), False, {S, I, U, N, P}),
        (failed("closed", sent=False), False, {S, I, U, N, P}),
        (failed("timeout", sent=True), True, {S, I}),
        (failed("closed", sent=True), True, {S, I}),
        (failed("protocol", sent=True), True, {S, I}),
        (failed("connect", sent=False, text="CERTIFICATE_VERIFY_FAILED"), False, set()),
        (failed("too_large", sent=True), True, set()),
        (failed("encoding", sent=True), True, set()),
        (failed("client_closed", sent=False), False, set()),
        (failed("unsupported", sent=False), False, set()),
        (answered(429, "1"), True, {S, I, U}),
        (answered(503, "1"), True, {S, I, U}),
        (answered(503, "1", "PGRST002"), True, {S, I, U}),
        (answered(503, "1", "PGRST001"), True, {S, I}),
        (answered(503, "1", "08006"), True, {S, I}),
        (answered(429), True, {S, I}),
        (answered(503), True, {S, I}),
        (answered(408), True, {S, I}),
        (answered(408, "1"), True, {S, I}),
        (answered(502), True, {S, I}),
        (answered(502, "1"), True, {S, I}),
        (answered(504), True, {S, I}),
        (answered(504, "1"), True, {S, I}),
        (answered(409, "1", "idempotency_key_in_progress"), True, {S, I, U}),
        (answered(409, "", "idempotency_key_in_progress"), True, set()),
        (answered(409, "1"), True, set()),
        (answered(500), True, set()),
        (answered(500, "1"), True, set()),
        (answered(500, "", "40001"), True, set()),
        (answered(503, "1", "AERO_SETUP_REQUIRED"), True, set()),
        (answered(400), True, set()),
        (answered(401), True, set()),
        (answered(404, "1"), True, set()),
        (answered(300), True, set()),
        (answered(302), True, set()),
        (answered(501), True, set()),
    ],
)
def test_the_table(outcome: AeroDBError, sent: bool, repeated: set[Retry]) -> None:
    for retry in Retry:
        verdict = decided(outcome, retry, sent=sent)
        assert isinstance(verdict, Wait) is (retry in repeated), retry


def test_a_write_in_doubt_is_never_repeated() -> None:
    """Reliability T1, over every outcome: not unless asked for, or certainly not applied."""
    outcomes = [answered(s, a) for s in range(300, 600) for a in ("", "1")]
    outcomes += [failed(kind, sent=True) for kind in ("connect", "timeout", "closed", "protocol")]
    for outcome in outcomes:
        if isinstance(decided(outcome, Retry.UNSENT), Wait):
            assert not outcome.maybe_applied


def test_the_reasons() -> None:
    bad = answered(503)
    assert decided(answered(400)) == GiveUp("final")
    assert decided(bad, Retry.UNSENT) == GiveUp("not_repeatable")
    assert decided(bad, attempt=3) == GiveUp("attempts")
    assert decided(bad, retries=0) == GiveUp("attempts")
    assert decided(answered(503, "61")) == GiveUp("retry_after")
    assert decided(answered(503, "31")) == GiveUp("retry_after")
    assert decided(bad, remaining=0.1) == GiveUp("deadline")
    assert decided(bad, remaining=-1.0, jitter=0.0) == GiveUp("deadline")
    assert decided(bad, remaining=0.0, jitter=0.0) == GiveUp("deadline")
    assert decided(bad, budget=RetryBudget(0)) == GiveUp("budget")


def test_only_what_happens_is_charged() -> None:
    budget = RetryBudget(2)
    for outcome, options in (
        (answered(400), {}),
        (answered(503), {"attempt": 9}),
        (answered(503, "61"), {}),
        (answered(503), {"remaining": 0.0}),
    ):
        decided(outcome, budget=budget, **options)  # type: ignore[arg-type]
    assert budget.available == 2
    assert isinstance(decided(answered(503), budget=budget), Wait)
    assert budget.available == 1
    assert decided(failed("timeout", sent=True), budget=budget) == GiveUp("budget")
    assert budget.available == 1


@pytest.mark.parametrize(
    ("outcome", "earned"),
    [
        *((answered(404), 1), (answered(300), 1), (answered(429), 0), (answered(500), 0)),
        *((answered(503), 0), (failed("encoding", sent=True), 0)),
        (failed("closed", sent=True), 0),
    ],
)
def test_a_clear_no_earns_like_a_success(outcome: AeroDBError, earned: int) -> None:
    budget = RetryBudget(1)
    budget.spend()
    for _ in range(5):
        decided(outcome, Retry.NEVER_ANSWERED, budget=budget)
    assert budget.available == earned


def test_retry_after_is_honoured_to_the_second() -> None:
    for seconds in ("0", "7", "29.5"):
        assert decided(answered(429, seconds), jitter=0.9) == Wait(float(seconds))
    assert decided(answered(429, "60"), remaining=61) == Wait(60.0)
    assert decided(answered(429, "60.001"), remaining=math.inf) == GiveUp("retry_after")
    assert answered(429, "61").retry_after == 61


@pytest.mark.parametrize(
    ("attempt", "longest"),
    [(1, 0.25), (2, 0.5), (3, 1.0), (5, 4.0), (6, 8.0), (9, 8.0), (10**9, 8.0)],
)
def test_the_delay_is_spread_evenly(attempt: int, longest: float) -> None:
    """Reliability T4: 10,000 draws, every tenth of the range within 20 %."""
    source = random.Random(attempt)
    budget = RetryBudget(None)
    buckets: Counter[int] = Counter()
    for _ in range(10_000):
        verdict = decided(
            answered_503, attempt=attempt, retries=10**9, jitter=source.random(), budget=budget
        )
        assert isinstance(verdict, Wait)
        assert 0 <= verdict.seconds < longest
        buckets[int(verdict.seconds / longest * 10)] += 1
    assert set(buckets) == set(range(10))
    assert all(800 <= count <= 1200 for count in buckets.values()), buckets


answered_503 = answered(503)


def test_a_thousand_clients_do_not_come_back_together() -> None:
    """Reliability T4. Of the second retry on, 100 ms hold a share; the first spans 250 ms."""
    source = random.Random(1)
    buckets: Counter[int] = Counter()
    for _ in range(1000):
        verdict = decided(answered_503, attempt=6, retries=9, jitter=source.random())
        assert isinstance(verdict, Wait)
        buckets[int(verdict.seconds * 10)] += 1
    assert max(buckets.values()) <= 50


@given(
    st.integers(1, 100), st.sampled_from(Retry), st.booleans(), st.floats(0, 1, exclude_max=True),
    st.floats(allow_nan=False), st.integers(300, 599), st.none() | st.floats(0, 1e12),
)  # fmt: skip
def test_no_wait_outlives_the_deadline(
    attempt: int, retry: Retry, sent: bool, jitter: float, remaining: float, status: int,
    retry_after: float | None,
) -> None:  # fmt: skip
    outcome = AeroDBError("m", status, "c", retry_after=retry_after, retryable=True)
    verdict = decided(
        outcome, retry, attempt=attempt, sent=sent, remaining=remaining, jitter=jitter, retries=50
    )
    if isinstance(verdict, Wait):
        assert 0 <= verdict.seconds < remaining
        assert verdict.seconds <= 60
        assert attempt <= 50


class Client:
    """A client in virtual time: every call runs to its end at once, delays do not matter."""

    def __init__(self) -> None:
        self.budget = RetryBudget()
        self.calls = self.attempts = 0

    def call(self, *, healthy: bool, timing_out: bool = False) -> None:
        self.calls += 1
        attempt = 0
        while True:
            attempt += 1
            self.attempts += 1
            if healthy:
                self.budget.succeeded()
                return
            outcome = failed_timeout if timing_out else answered_503
            if isinstance(decided(outcome, attempt=attempt, budget=self.budget), GiveUp):
                return

    def ratio(self) -> float:
        ratio = self.attempts / self.calls
        self.calls = self.attempts = 0
        return ratio


failed_timeout = failed("timeout", sent=True)
RATE = 200


@pytest.mark.parametrize("timing_out", [False, True])
def test_an_outage_is_not_amplified(timing_out: bool) -> None:
    """Reliability T2: 200 calls a second, 60 s of 503, then health."""
    client = Client()
    for _ in range(60 * RATE):
        client.call(healthy=False, timing_out=timing_out)
    assert client.ratio() <= 1.02  # the whole outage, the bucket's first contents included
    client.call(healthy=False, timing_out=timing_out)
    assert client.ratio() == 1
    seconds = 0
    while client.budget.available < 100:
        seconds += 1
        for _ in range(RATE):
            client.call(healthy=True)
    assert seconds <= 30
    for _ in range(10):
        client.call(healthy=False)
    assert client.ratio() < 1.1 or client.budget.available == 80


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_a_brownout_is_not_amplified(share: float) -> None:
    """However many calls fail, an empty bucket allows 1.2 attempts per call."""
    source = random.Random(7)
    client = Client()
    while client.budget.available >= 1:
        client.call(healthy=False)
    client.ratio()
    for _ in range(20_000):
        client.call(healthy=source.random() >= share)
    assert client.ratio() <= 1.2


def test_a_few_failures_among_many_calls_are_all_retried() -> None:
    client = Client()
    for number in range(10_000):
        client.call(healthy=number % 20 != 0)  # 5 %, of two retries each
    assert client.attempts == 10_000 + 500 * 2


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_the_budget_is_a_bucket(retries: int) -> None:
    budget = RetryBudget(retries)
    for _ in range(50):
        budget.succeeded()
    assert budget.available == retries
    assert [budget.spend() for _ in range(retries + 1)] == [True] * retries + [False]
    for _ in range(4):
        budget.succeeded()
    assert not budget.spend()
    assert budget.available == min(retries, 0.8)


def test_no_budget_is_no_limit() -> None:
    budget = RetryBudget(None)
    assert all(budget.spend() for _ in range(10_000))
    budget.succeeded()
    assert budget.available == math.inf


def test_threads_never_spend_a_token_twice() -> None:
    budget = RetryBudget(1000)
    spent: list[int] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        spent.append(sum(budget.spend() for _ in range(500)))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(spent) + int(budget.available) == 1000


@pytest.mark.parametrize(
    ("retry", "choice", "keyed", "expected"),
    [
        (U, "default", False, U),
        (U, "ambiguous", False, I),
        (U, "default", True, I),
        (U, "never", True, N),
        (S, "ambiguous", True, S),
        (S, "never", False, N),
        (I, "ambiguous", False, I),
        (N, "ambiguous", False, N),
        (N, "default", True, N),
    ],
)
def test_what_the_user_may_choose(
    retry: Retry, choice: RetryChoice, keyed: bool, expected: Retry
) -> None:
    assert effective_retry(retry, choice, keyed=keyed) is expected


@pytest.mark.parametrize("key", ["a", "a" * 255, "!~", "order-42"])
def test_good_idempotency_keys(key: str) -> None:
    assert idempotency_key_problem(key) is None


@pytest.mark.parametrize("key", ["", "a" * 256, "a b", "a\n", "\u00e9", "\x7f", None, 5, b"a"])
def test_bad_idempotency_keys(key: object) -> None:
    problem = idempotency_key_problem(key)
    assert problem is not None
    assert problem.startswith("idempotency_key must ")
