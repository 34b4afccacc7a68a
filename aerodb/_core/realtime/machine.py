"""The realtime connection, decided (wire-contract §4): frames and time go in; frames to send,
events, statuses and the next deadline come out.

`RealtimeMachine` knows no socket, no clock and no lock. The driver (the twins' `_link`) calls it
under a mutex, waits as `plan` says, and does what `out` holds. What frames mean is in `incoming`.
"""

from __future__ import annotations

import math
from typing import Any

from aerodb._core.errors import client_error
from aerodb._core.json import BadJSON, loads_text
from aerodb._core.realtime import incoming
from aerodb._core.realtime.channel import ChannelMachine
from aerodb._core.realtime.closing import (
    SLOW_SECONDS,
    Ending,
    Retries,
    ending_of,
    for_good,
    in_doubt,
    why_closed,
)
from aerodb._core.realtime.frames import unsubscribe_frame
from aerodb._core.realtime.liveness import Liveness
from aerodb._core.realtime.messages import CHANGES, RealtimeStatus
from aerodb._core.realtime.outputs import Outputs, Ticket
from aerodb._core.realtime.states import LINK_TABLE, LinkPhase, Phase, Turn
from aerodb._core.realtime.tokens import ANSWER_SECONDS, Tokens
from aerodb._core.realtime_options import RealtimeOptions
from aerodb.types import AeroDBError

__all__ = ["RealtimeMachine"]


class RealtimeMachine:
    """One connection, its channels, and what both have to do next.

    Attributes:
        state: Where the connection stands.
        channels: By name, in the order in which they were made.
        out: What is to be done; see `Outputs`.
        deadline: When `tick` is to be called, at the latest.
        hangup: The driver is to close the socket itself: (code, reason). `farewell`: frames
            that are to be sent before, if the peer takes them.
        renewal: The driver is to get a newer token, apart from reading.
        rejected: The next connection needs a newer token than the last one had.
        error: Why the connection ended last.
        malformed: How many frames could not be read.
    """

    __slots__ = ("_counter", "_held", "_linger", "_opened", "_options", "_retries", "_tokens",
                 "_waiters", "channels", "deadline", "error", "farewell", "hangup", "liveness",
                 "malformed", "opens", "out", "pending", "rejected", "renew_at", "renewal",
                 "state")  # fmt: skip

    def __init__(self, options: RealtimeOptions) -> None:
        self._options = options
        self.out = Outputs()
        self.channels: dict[str, ChannelMachine] = {}
        self.state = LinkPhase.IDLE
        self.deadline = math.inf
        self.hangup: tuple[int, str] | None = None
        self.farewell: list[str] = []
        self.renewal = self.rejected = False
        self.renew_at = math.inf
        self.error: AeroDBError | None = None
        self.liveness = Liveness(options.heartbeat)
        self.malformed = self.opens = self._counter = 0
        self.pending: dict[str, Ticket] = {}
        self._waiters: list[Ticket] = []
        self._linger = math.inf
        self._tokens = Tokens()
        self._retries = Retries(options.reconnect_delay, options.max_reconnect_delay)
        self._held = False
        self._opened = -math.inf

    def _go(self, turn: Turn, error: AeroDBError | None = None) -> bool:
        after = LINK_TABLE.get((self.state, turn))
        if after is None:
            return False
        if after is not self.state:
            self.state = after
            self.out.tell(None, RealtimeStatus(after.value), error)
        return True

    def ref(self) -> str:
        """The next reference."""
        self._counter += 1
        return str(self._counter)

    @property
    def is_open(self) -> bool:
        """Whether frames can be sent."""
        return self.state is LinkPhase.OPEN

    def _is_needed(self) -> bool:
        return self._held or any(one.phase is not Phase.IDLE for one in self.channels.values())

    # --- what callers want ----------------------------------------------------------------

    def channel(self, name: str, owner: Any) -> ChannelMachine:
        """The channel of that name; a new one belongs to `owner`."""
        found = self.channels.get(name)
        if found is None:
            found = ChannelMachine(name, self.out, owner, self._options.join_timeout)
            self.channels[name] = found
        return found

    def connect(self, ticket: Ticket) -> None:
        """Be connected, and stay so without channels."""
        self._held = True
        if self.is_open:
            self.out.settle(ticket)
            return
        self._waiters.append(ticket)
        self._want(at_once=True)

    def _want(self, *, at_once: bool = False) -> None:
        if self.state is LinkPhase.BACKOFF and not at_once:
            return
        if self.state is LinkPhase.CLOSED:
            self._retries.begin()
        if self._go(Turn.WANTED):
            self._retries.at = math.inf

    def subscribe(self, channel: ChannelMachine, ticket: Ticket, now: float) -> None:
        """Have a channel; the ticket ends when it is joined, or will not be."""
        self.channels[channel.name] = channel
        channel.subscribe(ticket, now, ref=self.ref(), is_open=self.is_open)
        self._want()
        self.replan(now)

    def unsubscribe(self, channel: ChannelMachine, ticket: Ticket, now: float) -> None:
        """Have a channel no more."""
        channel.unsubscribe(ticket, now, is_open=self.is_open)
        self._unneeded(now)
        self.replan(now)

    def remove(self, channel: ChannelMachine) -> None:
        """Forget a channel that is not subscribed; one that is being left is so from now on."""
        channel.left()
        if self.channels.get(channel.name) is channel and channel.phase is Phase.IDLE:
            del self.channels[channel.name]

    def forget(self, ticket: Ticket) -> None:
        """A caller does not wait any more."""
        for channel in self.channels.values():
            channel.forget(ticket)
        for ref in [ref for ref, one in self.pending.items() if one is ticket]:
            del self.pending[ref]
        self._waiters = [one for one in self._waiters if one is not ticket]

    def disconnect(self, error: AeroDBError | None = None) -> None:
        """Be connected no more: channels end, whoever waits is told."""
        self._held = False
        if self.is_open:
            self.hangup = (1000, "")
            self.farewell = [
                unsubscribe_frame(one.name) for one in self.channels.values() if one.is_asked_for
            ]
        for channel in list(self.channels.values()):
            channel.close(error)
        gone = error or client_error("NOT_CONNECTED", "realtime was disconnected")
        self.out.unsent(gone)
        self._drop_pending(gone)
        self._settle_waiters(gone)
        self._go(Turn.DISCONNECT, error)
        self.deadline = self.renew_at = math.inf

    # --- tokens ---------------------------------------------------------------------------

    def rotate(self, token: str | None, now: float) -> None:
        """The session has another token, or none: the server has to know (§4.4)."""
        if self.state is LinkPhase.CLOSED and token is not None and self._tokens.is_news(token):
            again = [one for one in self.channels.values() if one.admitted()]
            if again:
                self._want()
            return
        if not self.is_open or not self._tokens.is_news(token):
            return
        if self._tokens.is_unknown:
            self._reconnect_as_other(now)
            return
        self.out.send(self._tokens.push(token, self.ref(), now))
        self.replan(now)

    def _reconnect_as_other(self, now: float) -> None:
        """For a server that learns of a token by the handshake only."""
        self.hangup = (1000, "")
        self._lost(None, now)
        self._retries.at = now
        self.replan(now)

    def accepted(self, ref: object, now: float) -> None:
        """The server took the new token: what was refused to the old one may be tried again."""
        if self._tokens.is_another(ref):
            return
        self._tokens.answered()
        self._retries.forgive(Ending.RENEW)
        for channel in self.channels.values():
            if channel.admitted():
                channel.join(now, self.ref())

    def refused_token(self, error: AeroDBError, ref: object, now: float) -> bool:
        """An error may be about the token that was sent; whether it is."""
        if not self._tokens.is_meant(ref):
            return False
        self._tokens.answered()
        if incoming.is_unknown_type(error):
            self._tokens.is_unknown = True
            self._reconnect_as_other(now)
        else:
            self.hangup = (1000, "")
            self._end(Ending.RECONNECT if error.retryable else Ending.RENEW, error, now, 0.0)
        return True

    # --- connecting -----------------------------------------------------------------------

    def opened(self, token: str | None, renew_at: float, now: float) -> bool:
        """The handshake went well. `token` is what it carried; renew it from `renew_at` on."""
        if not self._go(Turn.OPENED):
            return False
        self._opened, self.renew_at = now, renew_at
        self._tokens.carried(token)
        self.rejected, self.error, self.hangup = False, None, None
        self.liveness.begin(now)
        self.opens += 1
        self._settle_waiters(None)
        for channel in self.channels.values():
            if channel.is_wanted:
                channel.join(now, self.ref())
        self._unneeded(now)
        self.replan(now)
        return True

    def not_opened(
        self, error: AeroDBError, now: float, jitter: float, *, final: bool = False
    ) -> None:
        """The handshake did not go well."""
        if self.state is not LinkPhase.CONNECTING:
            return
        self.error = error
        if final:
            self._go(Turn.REFUSED, error)
            self._give_up(error)
        else:
            self._go(Turn.FAILED, error)
            self._retries.pause(now, jitter, error.retry_after)
        self.replan(now)

    def _give_up(self, error: AeroDBError) -> None:
        self._held = False
        for channel in self.channels.values():
            channel.give_up(error)
        self._drop_pending(error)
        self._settle_waiters(error)

    def _settle_waiters(self, error: AeroDBError | None) -> None:
        waiters, self._waiters = self._waiters, []
        for ticket in waiters:
            self.out.settle(ticket, error=error)

    # --- ending ---------------------------------------------------------------------------

    def lost(self, code: int, reason: str, now: float, jitter: float) -> None:
        """The connection ended, whoever ended it (§4.9)."""
        if self.is_open:
            self._end(ending_of(code), why_closed(code, reason), now, jitter)
        self.replan(now)

    def _end(self, ending: Ending, error: AeroDBError, now: float, jitter: float) -> None:
        if self._retries.again(ending, now):
            self._end_for_good(ending, error)
            return
        if ending is Ending.ONCE:
            for channel in self.channels.values():
                channel.cursor.skip()  # what cannot be read must not come again (reliability W9)
        self.rejected = ending is Ending.RENEW
        self._retries.lasted(now - self._opened)
        self._lost(error, now)
        slow = SLOW_SECONDS if ending is Ending.RECONNECT_SLOWLY else None
        self._retries.pause(now, jitter, slow)

    def _end_for_good(self, ending: Ending, error: AeroDBError) -> None:
        self.error = error = for_good(ending, error)
        self._go(Turn.ENDED, error)
        self.out.unsent(error)
        self._give_up(error)

    def _lost(self, error: AeroDBError | None, now: float) -> None:
        self.error = error
        self._go(Turn.LOST, error)
        gone = error or client_error("NOT_CONNECTED", "the connection is being made anew")
        self.out.unsent(gone)
        self._drop_pending(gone)
        self.renew_at = self._linger = math.inf
        self._tokens.answered()
        for channel in self.channels.values():
            channel.lost()
        if not self._is_needed():
            self._go(Turn.EMPTY)

    def _drop_pending(self, error: AeroDBError) -> None:
        """What was sent and not answered: nobody knows what became of it."""
        pending, self.pending = self.pending, {}
        for ticket in pending.values():
            self.out.settle(ticket, error=in_doubt(error))

    def abandon(self) -> None:
        """Whoever read is gone (its event loop, its process): as if the connection was lost."""
        if self.state in (LinkPhase.OPEN, LinkPhase.CONNECTING, LinkPhase.BACKOFF):
            error = why_closed(1006, "")
            self.state = LinkPhase.BACKOFF
            self._lost(error, 0.0)
            self.state = LinkPhase.IDLE
            self._retries.at = self.deadline = math.inf

    def _unneeded(self, now: float) -> None:
        if self._is_needed():
            self._linger = math.inf
        elif self.is_open and self._linger == math.inf:
            self._linger = now + self._options.idle_timeout
        elif self.state is LinkPhase.BACKOFF:
            self._go(Turn.EMPTY)

    # --- time and frames ------------------------------------------------------------------

    def replan(self, now: float) -> None:
        """Find the next deadline anew."""
        own: tuple[float, ...] = ()
        if self.state is LinkPhase.OPEN:
            own = (self.liveness.due, self._tokens.due, self._linger, self.renew_at)
        elif self.state is LinkPhase.BACKOFF:
            own = (self._retries.at,)
        theirs = (channel.due for channel in self.channels.values())
        self.deadline = min((*own, *theirs), default=math.inf)

    def tick(self, now: float, jitter: float = 0.0) -> None:
        """Do what is due."""
        if self.state is LinkPhase.OPEN:
            self._tick_open(now, jitter)
        elif self.state is LinkPhase.BACKOFF and now >= self._retries.at:
            self._go(Turn.DUE)
            self._retries.at = math.inf
        for channel in self.channels.values():
            channel.tick(now, ref=self.ref(), is_open=self.is_open)
        self._unneeded(now)
        self.replan(now)

    def _tick_open(self, now: float, jitter: float) -> None:
        if self.liveness.is_dead(now):
            self.hangup = (1006, "silent")
            error = client_error("NOT_CONNECTED", "nothing was heard of the server for too long")
            self._end(Ending.RECONNECT, error, now, jitter)
            return
        if now >= self._tokens.due:
            self._reconnect_as_other(now)
            return
        if now >= self._linger:
            self._linger = math.inf
            self.hangup = (1000, "")
            self._go(Turn.EMPTY)
            return
        if now >= self.renew_at:
            self.renewal, self.out.stirred = True, True
            self.renew_at = now + ANSWER_SECONDS
        beat = self.liveness.beat(now, self.ref())
        if beat is not None:
            self.out.send(beat)

    def receive(self, text: str | bytes, now: float) -> None:
        """A frame came."""
        self.liveness.heard = now
        try:
            frame = loads_text(text) if isinstance(text, str) else None
        except BadJSON:
            frame = None
        if type(frame) is not dict:
            self.malformed += 1
            return
        if frame.get("type") == "event":
            inner: Any = frame.get("payload")
            channel: Any = None
            kind: Any = None
            if type(inner) is dict:
                kind = inner.get("type")
                try:
                    if kind in CHANGES:
                        channel = self.channels.get(frame["channel"])
                except (TypeError, KeyError):
                    channel = None  # a list for a name, or none at all
            if channel is not None:
                channel.change(kind, frame, inner, len(text))
                return
        incoming.read(self, frame, len(text), now)
        if self.out.stirred:
            self.replan(now)
