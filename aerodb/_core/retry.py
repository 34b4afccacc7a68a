"""Decides whether a failed attempt is followed by another, and when (wire-contract §1.8).

Three questions, in this order. May it be repeated at all without a write happening twice? Is
there time? Does the client's budget allow it, so that an outage is not made worse by everybody
asking three times? The budget is asked last, as asking takes from it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Literal, NamedTuple

from aerodb._core.errors import IN_DOUBT_CODES, RETRY_STATUSES
from aerodb._core.http import Retry, find_header
from aerodb.types import AeroDBError

BASE_SECONDS = 0.25
MAX_BACKOFF_SECONDS = 8.0
MAX_RETRY_AFTER_SECONDS = 60.0

RetryChoice = Literal["default", "ambiguous", "never"]
RETRY_CHOICES: frozenset[str] = frozenset({"default", "ambiguous", "never"})

Reason = Literal["final", "not_repeatable", "attempts", "retry_after", "deadline", "budget"]

_RETRY_COST = 5
_TIMEOUT_COST = 10  # a server that does not answer at all is in deeper trouble
_REWARD = 1


class Wait(NamedTuple):
    """Try again after so many seconds. The budget is already charged."""

    seconds: float


class GiveUp(NamedTuple):
    """Hand the error to the caller."""

    reason: Reason


class RetryBudget:
    """How many retries a client may still make; shared by all its calls and threads.

    A bucket of tokens: a retry takes five (a timeout ten), a success puts one back. However long
    an outage, once the bucket is empty at most every fifth success pays for a retry, so there are
    never more than 1.2 attempts per call. No clock: a client that makes no calls needs no retries.

    The tokens are the items of a `deque`, whose `pop` and `append` are atomic with and without
    the GIL: no lock is needed, none is ever lost, and `maxlen` caps the bucket.
    """

    __slots__ = ("_tokens",)

    def __init__(self, retries: int | None = 100) -> None:
        """`retries` that may be made in a row when full; 0: none ever; None: no limit."""
        self._tokens: deque[None] | None = None
        if retries is not None:
            capacity = retries * _RETRY_COST
            self._tokens = deque([None] * capacity, maxlen=capacity)

    @property
    def available(self) -> float:
        """How many retries could be made right now."""
        return math.inf if self._tokens is None else len(self._tokens) / _RETRY_COST

    def spend(self, cost: int = _RETRY_COST) -> bool:
        """Take `cost` tokens; False, and nothing taken, if there are too few."""
        if self._tokens is None:
            return True
        for taken in range(cost):
            try:
                self._tokens.pop()
            except IndexError:
                self._tokens.extend([None] * taken)
                return False
        return True

    def succeeded(self) -> None:
        """Put a token back: once for every success. `decide` does it for a clear no (4xx)."""
        if self._tokens is not None:
            self._tokens.append(None)


def effective_retry(
    call_retry: Retry, choice: RetryChoice = "default", *, keyed: bool = False
) -> Retry:
    """Apply the user's `retry=` and an idempotency key that the server honours (`keyed`).

    "never" still repeats what was not sent: nobody saw that attempt.
    """
    if choice == "never":
        return Retry.NEVER_ANSWERED
    if call_retry is Retry.UNSENT and (keyed or choice == "ambiguous"):
        return Retry.IDEMPOTENT
    return call_retry


def answered_retry(call_retry: Retry, headers: Sequence[tuple[bytes, bytes]]) -> Retry:
    """What an answer with these headers may be followed by: a refusal of the platform's own says
    that no user code has run, one of user code does not."""
    if call_retry is Retry.PLATFORM and find_header(headers, b"x-aerodb-error") is not None:
        return Retry.UNSENT
    return call_retry


def decide(
    attempt: int,
    call_retry: Retry,
    outcome: AeroDBError,
    *,
    sent: bool,
    remaining_seconds: float,
    budget: RetryBudget,
    jitter: float,
    retries: int = 2,
) -> Wait | GiveUp:
    """Decide what follows the `attempt`-th attempt (from 1), which ended in `outcome`.

    `sent` is `TransportError.sent`, True for a response. `jitter` is uniform in [0, 1).
    `remaining_seconds` is what is left of the call's deadline, infinity if it has none.
    """
    reason = _forbidden(call_retry, outcome, sent)
    if reason is not None:
        if outcome.status is not None and outcome.status < 500 and not outcome.retryable:
            budget.succeeded()  # a clear no is an answer: the server is well
        return GiveUp(reason)
    if attempt > retries:
        return GiveUp("attempts")
    seconds = _delay(attempt, outcome.retry_after, jitter)
    if seconds > MAX_RETRY_AFTER_SECONDS:
        return GiveUp("retry_after")
    if seconds >= remaining_seconds:
        return GiveUp("deadline" if outcome.retry_after is None else "retry_after")
    if not budget.spend(_TIMEOUT_COST if outcome.code == "TIMEOUT" else _RETRY_COST):
        return GiveUp("budget")
    return Wait(seconds)


def _forbidden(call_retry: Retry, outcome: AeroDBError, sent: bool) -> Reason | None:
    """The table of wire-contract §1.8: a row is `call_retry`, a column what came back."""
    refused = (
        outcome.retry_after is not None
        and outcome.status in {429, 503}
        and outcome.code not in IN_DOUBT_CODES
    )
    waiting = outcome.retry_after is not None and outcome.code == "idempotency_key_in_progress"
    passing = outcome.status is None or outcome.status in RETRY_STATUSES or waiting
    if not (outcome.retryable and passing):
        return "final"
    if not sent:
        return None
    if call_retry in (Retry.NEVER_ANSWERED, Retry.PLATFORM):
        return "not_repeatable"
    if call_retry is Retry.UNSENT and not (refused or waiting):
        return "not_repeatable"
    return None


def _delay(attempt: int, retry_after: float | None, jitter: float) -> float:
    """Full jitter: after a common failure no two clients come back together (reliability T4)."""
    return backoff(attempt, jitter) if retry_after is None else retry_after


def backoff(attempt: int, jitter: float) -> float:
    """Seconds to wait after the `attempt`-th failure in a row (from 1), by the draw `jitter`."""
    exponent = min(attempt - 1, 10)  # 2**10 is past the cap; larger powers only cost
    return float(jitter * min(MAX_BACKOFF_SECONDS, BASE_SECONDS * 2**exponent))


def idempotency_key_problem(key: object) -> str | None:
    """Say why a key cannot be sent: 1-255 visible ASCII characters (wire-contract §1.8)."""
    if not isinstance(key, str):
        return f"idempotency_key must be a str, not {type(key).__name__}"
    if not 1 <= len(key) <= 255:
        return f"idempotency_key must have 1 to 255 characters, not {len(key)}"
    if " " in key or not (key.isascii() and key.isprintable()):
        return "idempotency_key must hold visible ASCII characters only"
    return None
