"""How far a channel has read, and what is missing (wire-contract §4.8).

`seq` is the server's position: it only grows, and looks gappy to one subscriber. `n` counts the
events of this subscription without a hole, so what is missing is judged by `n` and `dropped`.
"""

from __future__ import annotations

from typing import Any

from aerodb._core.realtime.frames import Frame
from aerodb._core.realtime.messages import GapNotice, GapReason

__all__ = ["Cursor", "seq_about", "whole"]


def whole(value: object) -> int | None:
    """A counting number, or None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53:
        return value
    return None


def seq_about(frame: Frame) -> int | None:
    """The position that a `system` frame is about."""
    details = frame.get("details")
    return whole((details if isinstance(details, dict) else frame).get("seq"))


class Cursor:
    """The position of one channel.

    Attributes:
        epoch: Which log the position is in; it changes when a server starts without its history.
        seq: Everything up to here has come, or cannot come any more.
        last: The position of the last event itself: what is missing comes after it.
        n: The number of the last event since the server confirmed the subscription.
    """

    __slots__ = ("_away", "_channel", "_joined", "_told", "epoch", "last", "n", "seq")

    def __init__(self, channel: str) -> None:
        self._channel = channel
        self.reset()

    def reset(self) -> None:
        """Begin anew: what was before does not matter any more."""
        self.epoch: str | None = None
        self.seq = self.last = -1
        self.n = 0
        self._told = (0, 0)
        self._joined = False
        self._away = False

    def lost(self) -> None:
        """The connection or the subscription has ended: from here on changes may be missed."""
        self._away = True

    @property
    def is_waiting(self) -> bool:
        """Whether the server has yet to confirm, on this connection."""
        return self._away or not self._joined

    def skip(self) -> None:
        """Do not ask for what was missed: there is something in it that cannot be read."""
        self.epoch = None

    @property
    def resume(self) -> dict[str, Any] | None:
        """What to ask the server to go on from, if it is known."""
        if self.epoch is None or self.seq < 0:
            return None
        return {"epoch": self.epoch, "since": self.seq}

    def confirmed(self, frame: Frame) -> GapNotice | None:
        """The server confirmed the subscription; what may be missing since the last time."""
        epoch, seq = frame.get("epoch"), whole(frame.get("seq"))
        resumed = frame.get("resume")
        self.n, self._told = 0, (0, 0)
        gap = self._gap(epoch, seq, resumed)
        if not (resumed == "ok" and gap is None and self._joined):
            # a resumed one goes on where it was: what is replayed now is below `seq`
            self.seq = self.last = -1 if seq is None else seq
        self.epoch = epoch if isinstance(epoch, str) else None
        self._joined, self._away = True, False
        return gap

    def _gap(self, epoch: object, seq: int | None, resumed: object) -> GapNotice | None:
        if not self._joined or not (self._away or resumed == "gap"):
            return None
        reason: GapReason = "resume_unsupported"
        if self.epoch is not None and isinstance(epoch, str) and epoch != self.epoch:
            reason = "epoch_changed"
        elif resumed == "ok" and self.epoch is not None:
            return None
        elif resumed == "gap":
            reason = "buffer_overrun"
        after = None if self.last < 0 else self.last
        return GapNotice(reason, self._channel, after=after, until=seq)

    def holes(self, frame: Frame, n: object, seq: int | None) -> GapNotice | None:
        """Note an event's number; what is missing before it."""
        number, dropped = whole(n), whole(frame.get("dropped")) or 0
        missed = dropped
        if number is not None:
            missed = max(missed, number - self.n - 1 - self._told_of)
            self.n = max(self.n, number)
        if missed <= 0:
            return None
        return self._dropped(missed, None if seq is None else seq - 1)

    def dropped(self, missed: int, until: int | None) -> GapNotice:
        """The server told of losses by themselves: the hole that the next event shows is known."""
        self._told = (self.n, self._told_of + missed)
        return self._dropped(missed, until)

    @property
    def _told_of(self) -> int:
        """How many numbers after the last one may be missing without another word."""
        n, missed = self._told
        return missed if n == self.n else 0

    def _dropped(self, missed: int, until: int | None) -> GapNotice:
        after = None if self.last < 0 else self.last
        return GapNotice("server_dropped", self._channel, missed=missed, after=after, until=until)

    def heard(self, seq: int) -> None:
        """A heartbeat said that everything up to `seq` was sent already."""
        if self._joined and not self._away and seq > self.seq >= 0:
            self.seq = seq
