"""How much one client may do (wire contract §4.9)."""

from __future__ import annotations

import time
from collections.abc import Callable

from aerodb.local.realtime.errors import FrameError

MESSAGES_PER_SECOND = 10.0
BURST = 20.0
FRAMES_PER_SECOND = 100.0
FRAMES_BURST = 400.0
MAXIMUM_REFUSALS = 100
"""Frames beyond the burst that are answered; one more closes the connection."""
MAXIMUM_CHANNELS = 100


class Allowance:
    """A bucket of messages that fills up again."""

    def __init__(
        self,
        rate: float = MESSAGES_PER_SECOND,
        burst: float = BURST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._at = clock()

    def take(self) -> float:
        """Take one; return 0, or how many seconds there is none."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) / self._rate


class Allowances:
    """Allowances by whatever names them: clients without a connection, the channels of one."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._known: dict[tuple[str, ...], Allowance] = {}

    def spend(self, *name: str) -> None:
        """Take one message; raise `rate_limit_exceeded` if there is none."""
        allowance = self._known.pop(name, None) or Allowance()
        self._known[name] = allowance  # the last to be used is the last to be forgotten
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        wait = allowance.take()
        if wait:
            message = "Too many messages on this channel."
            raise FrameError("rate_limit_exceeded", message, retry_after=wait)
