"""What the end of a connection means, and when to try again (wire-contract §4.4, §4.9)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum

from aerodb._core.errors import Exchange, client_error, error_from_response
from aerodb._core.http import Retry
from aerodb.types import AeroDBError

__all__ = [
    "Ending",
    "Retries",
    "delay",
    "ending_of",
    "for_good",
    "in_doubt",
    "refusal",
    "why_closed",
]

AGAIN_WITHIN_SECONDS = 60.0
"""A close that may not come twice: the second within this time is the last."""

STABLE_SECONDS = 10.0
"""A connection that lasted so long has worked: the pauses begin anew."""

SLOW_SECONDS = 5.0


class Ending(Enum):
    """What follows the end of a connection."""

    RECONNECT = "connect again"
    RECONNECT_SLOWLY = "connect again, not too soon"
    ONCE = "connect again, unless it happened before: something we send or read is at fault"
    RENEW = "get a newer token and connect again, unless that was done before"


_ENDINGS = {
    1002: Ending.ONCE,
    1003: Ending.ONCE,
    1007: Ending.ONCE,
    1009: Ending.ONCE,
    4000: Ending.ONCE,
    4001: Ending.RENEW,
    4003: Ending.RENEW,
    4004: Ending.RENEW,
    4401: Ending.RENEW,
    4020: Ending.RECONNECT_SLOWLY,
    4021: Ending.RECONNECT_SLOWLY,
}

_WORDS = {
    1000: "was closed by the server",
    1001: "ended: the server is going away",
    1003: "ended: a frame was not understood",
    1006: "broke",
    1007: "ended: a frame was not valid",
    1009: "ended: a message was too large",
    1011: "ended: the server failed",
    1012: "ended: the server restarts",
    1013: "ended: the server is overloaded",
    4003: "ended: the token is not accepted",
    4004: "ended: a token is needed",
    4008: "ended: this program reads too slowly",
    4020: "ended: too many messages were sent",
    4021: "ended: a message was too large",
}


def ending_of(code: int) -> Ending:
    """What a close code asks for. Only our own close is final by itself."""
    return _ENDINGS.get(code, Ending.RECONNECT)


def delay(
    attempt: int, jitter: float, *, first: float, most: float, asked: float | None = None
) -> float:
    """Seconds before the `attempt`-th attempt (from 0): full jitter above half of the first
    pause, so that no two clients of a restarted server come back together (§4.5)."""
    ceiling = min(most, first * 2 ** min(attempt, 20))
    floor = min(first, most) / 2
    pause = float(floor + jitter * (ceiling - floor))
    return pause if asked is None else max(pause, asked)


class Retries:
    """When to connect again, and when not to.

    Attributes:
        at: When the next attempt is due; infinity: none is.
    """

    __slots__ = ("_attempt", "_first", "_most", "_seen", "at")

    def __init__(self, first: float, most: float) -> None:
        self._first, self._most = first, most
        self._attempt = 0
        self._seen: dict[Ending, float] = {}
        self.at = math.inf

    def begin(self) -> None:
        """Somebody asks for a connection: what was before does not count."""
        self._seen.clear()
        self._attempt = 0

    def lasted(self, seconds: float) -> None:
        """A connection ended that had worked for so long."""
        if seconds >= STABLE_SECONDS:
            self._attempt = 0

    def again(self, ending: Ending, now: float) -> bool:
        """Whether this was the second end of a kind that may not come twice."""
        before = self._seen.get(ending, -math.inf)
        if ending not in (Ending.ONCE, Ending.RENEW):
            return False
        self._seen[ending] = now
        return now - before < AGAIN_WITHIN_SECONDS

    def forgive(self, ending: Ending) -> None:
        """It has been put right since."""
        self._seen.pop(ending, None)

    def pause(self, now: float, jitter: float, asked: float | None = None) -> None:
        """Set the time of the next attempt."""
        self.at = now + delay(
            self._attempt, jitter, first=self._first, most=self._most, asked=asked
        )
        self._attempt += 1


def why_closed(code: int, reason: str) -> AeroDBError:
    """The end of a connection as an error."""
    word = _WORDS.get(code, "ended")
    said = f": {reason}" if reason and reason.isprintable() else ""
    message = f"the realtime connection {word} ({code}{said[:200]})"
    error = client_error("NOT_CONNECTED", message)
    return _passing(error)


def for_good(ending: Ending, error: AeroDBError) -> AeroDBError:
    """An end that is not followed by another connection."""
    if ending is Ending.RENEW:
        return AeroDBError(error.message, code="unauthorized", hint="sign in again")
    return AeroDBError(error.message, code=error.code, hint="it happened twice in a row")


def in_doubt(error: AeroDBError) -> AeroDBError:
    """What became of something that was sent and not answered when the connection ended."""
    return AeroDBError(
        error.message, code="NOT_CONNECTED", retryable=error.retryable, maybe_applied=True
    )


def _passing(error: AeroDBError) -> AeroDBError:
    return AeroDBError(
        error.message, code=error.code, hint=error.hint, retry_after=error.retry_after,
        retryable=True,
    )  # fmt: skip


_PASSING_STATUSES = frozenset({408, 425, 429})


def refusal(
    status: int,
    raw_headers: Sequence[tuple[bytes, bytes]],
    body: bytes,
    *,
    url: str,
    secrets: tuple[str, ...],
    now: float,
) -> tuple[AeroDBError, bool]:
    """An HTTP answer to the handshake: its error, and whether to try again (§4.4)."""
    exchange = Exchange("GET", url, Retry.SAFE, secrets=secrets)
    if status < 300:
        hint = "is `realtime_url` right, and does every proxy on the way pass WebSockets on?"
        error = client_error(
            "INVALID_RESPONSE",
            f"the server answered {status} instead of opening a WebSocket",
            hint=hint,
            status=status,
            exchange=exchange,
        )
        return error, False
    error = error_from_response(status, raw_headers, body, exchange, now=now)
    return error, status >= 500 or status in _PASSING_STATUSES
