"""How much one client may do (wire contract §4.9)."""

from __future__ import annotations

import time
from collections.abc import Callable

MESSAGES_PER_SECOND = 10.0
BURST = 20.0
CONNECTIONS_PER_ADDRESS = 100


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
