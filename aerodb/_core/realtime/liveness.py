"""Whether the other side still lives, and how far it is away (wire-contract §4.6)."""

from __future__ import annotations

import math

from aerodb._core.realtime.frames import PING, Frame, heartbeat_frame

__all__ = ["Liveness"]

DEFAULT_SECONDS = 30.0
_LEAST, _MOST = 1.0, 120.0


class Liveness:
    """The heartbeats of one connection after another.

    Attributes:
        heard: When the last frame came, whichever it was.
        latency: Seconds that the last answered heartbeat was on its way; None before the first.
    """

    __slots__ = ("_given", "_interval", "_next", "_pings", "_ref", "_sent", "heard", "latency")

    def __init__(self, interval: float | None) -> None:
        self._given = interval
        self.latency: float | None = None
        self.begin(-math.inf)

    def begin(self, now: float) -> None:
        """A connection is open."""
        self.heard = now
        self._interval = DEFAULT_SECONDS if self._given is None else self._given
        self._next = now + self._interval
        self._pings = False
        self._ref: str | None = None
        self._sent = now

    def advised(self, milliseconds: object) -> None:
        """`connected` said how often. A setting of the program's own wins."""
        if self._given is None and isinstance(milliseconds, int | float) and milliseconds > 0:
            seconds = min(_MOST, max(_LEAST, milliseconds / 1000))
            self._next += seconds - self._interval
            self._interval = seconds

    @property
    def due(self) -> float:
        """When there is something to do or to look at."""
        return min(self._next, self.heard + 2 * self._interval)

    def is_dead(self, now: float) -> bool:
        """Whether nothing at all came for too long."""
        return now >= self.heard + 2 * self._interval

    def beat(self, now: float, ref: str) -> str | None:
        """The sign of life to send now, if it is time."""
        if now < self._next:
            return None
        self._next, self._ref, self._sent = now + self._interval, ref, now
        return PING if self._pings else heartbeat_frame(ref)

    def answered(self, frame: Frame, now: float) -> None:
        """`heartbeat` or `pong` came, with a reference or without (§4.3)."""
        ref = frame.get("ref") or frame.get("ref_id")
        if self._ref is not None and (ref is None or ref == self._ref):
            self.latency = max(0.0, now - self._sent)
            self._ref = None

    def not_understood(self, ref: object) -> bool:
        """An error says that a frame's type is unknown; whether it was the heartbeat's."""
        if self._ref is None or (ref is not None and ref != self._ref):
            return False
        self._ref = None
        if not self._pings:
            self._pings = True
            self._next = self._sent  # at once, as no answer has come; the second time it may wait
        return True
