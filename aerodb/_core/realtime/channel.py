"""The life of one subscription, decided (wire-contract §4.5). Time comes in as `now`.

`states.CHANNEL_TABLE` is the state machine; this holds where one channel stands, what it has read
and what it asks for. It knows no socket: frames go to `Outputs`, and whether the connection is
open is an argument.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from aerodb._core.errors import client_error
from aerodb._core.realtime.config import ChannelConfig
from aerodb._core.realtime.cursor import Cursor, seq_about, whole
from aerodb._core.realtime.frames import (
    Frame,
    presence_frame,
    subscribe_frame,
    unsubscribe_frame,
)
from aerodb._core.realtime.handlers import Handlers
from aerodb._core.realtime.inbox import Inbox
from aerodb._core.realtime.messages import (
    ChannelEvent,
    GapNotice,
    PresenceMessage,
    RealtimePayload,
    SubscribeStatus,
)
from aerodb._core.realtime.outputs import Outputs, Ticket
from aerodb._core.realtime.presence import Presences, PresenceState, read_presences
from aerodb._core.realtime.states import CHANNEL_TABLE, Phase, Step
from aerodb.types import AeroDBError

__all__ = ["ChannelMachine"]

RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0)
LEAVE_SECONDS = 5.0
_REFUSED_USER = frozenset({"unauthorized", "auth_failed", "token_expired"})
_PASSES_BY = frozenset(
    {"rate_limit_exceeded", "message_too_large", "invalid_message", "unsupported"}
)


class ChannelMachine:
    """Where one channel stands.

    Attributes:
        name: The channel.
        phase: The state.
        error: Why it is errored or failed.
        owner: Whose channel it is; the core does not look inside.
        handlers, config, cursor, presence: See there.
        inboxes: Where its events go.
        due: When `tick` has something to do.
    """

    __slots__ = ("_asked", "_frame", "_leavers", "_out", "_ref", "_retries", "_told", "_tracked",
                 "_waiters", "config", "cursor", "due", "error", "handlers", "inboxes",
                 "join_timeout", "name", "owner", "phase", "presence")  # fmt: skip

    def __init__(self, name: str, out: Outputs, owner: Any, join_timeout: float) -> None:
        self.name = name
        self.owner = owner
        self.join_timeout = join_timeout
        self.phase = Phase.IDLE
        self.error: AeroDBError | None = None
        self.config = ChannelConfig()
        self.handlers = Handlers()
        self.cursor = Cursor(name)
        self.presence = PresenceState()
        self.inboxes: tuple[Inbox, ...] = ()
        self.due = math.inf
        self._out = out
        self._asked: dict[str, Any] | None = None
        self._ref: str | None = None
        self._retries = 0
        self._told = False
        self._tracked: Mapping[str, Any] | None = None
        self._waiters: list[Ticket] = []
        self._leavers: list[Ticket] = []

    def _go(self, step: Step) -> bool:
        after = CHANNEL_TABLE.get((self.phase, step))
        if after is None:
            return False
        self.phase = after
        return True

    @property
    def is_wanted(self) -> bool:
        """Whether it is, or is to be, subscribed."""
        return self.phase in (Phase.JOINING, Phase.JOINED, Phase.ERRORED)

    @property
    def is_asked_for(self) -> bool:
        """Whether the server has been asked for it on this connection."""
        joining = self.phase is Phase.JOINING and self.due < math.inf
        return joining or self.phase is Phase.JOINED

    def was_asked_with(self, ref: object) -> bool:
        """Whether the server was asked for it with this reference, the last time."""
        return self._ref is not None and self._ref == ref

    # --- joining --------------------------------------------------------------------------

    def tell_standing(self, listener: object) -> None:
        """Tell a new listener, and no other, that the channel is subscribed if it is."""
        if listener is not None and self.phase is Phase.JOINED:
            self._out.tell(self.owner, SubscribeStatus.SUBSCRIBED, only=listener)

    def subscribe(self, ticket: Ticket, now: float, *, ref: str, is_open: bool) -> None:
        """Be subscribed. One that is, and asks for nothing new, is that at once."""
        if self.phase is Phase.JOINED and self._asked == self.config.members(self.handlers):
            self._out.settle(ticket)
            return
        if self.phase in (Phase.IDLE, Phase.FAILED, Phase.LEAVING):
            self.cursor.reset()
            self.presence.clear()
            self._told = False
            for one in self._leavers:
                self._out.settle(one)
            self._leavers = []
        self._waiters.append(ticket)
        under_way = self.phase is Phase.JOINING and self.is_asked_for
        self._go(Step.SUBSCRIBE)
        self.error, self._retries = None, 0
        same = under_way and self._asked == self.config.members(self.handlers)
        if not is_open:
            self.due = math.inf
        elif not same:
            self.join(now, ref)

    def join(self, now: float, ref: str) -> None:
        """Ask the server for it. Without special wishes this is exactly the seed's frame."""
        self._go(Step.AGAIN)
        asked = self._asked = self.config.members(self.handlers)
        resume = self.cursor.resume
        members = {**asked, "resume": resume} if resume is not None else asked
        self._ref = ref if members else None
        self._out.send(subscribe_frame(self.name, self._ref, members))
        self.due = now + self.join_timeout

    def confirmed(self, frame: Frame) -> None:
        """`subscribed` came; one with the `ref` of an earlier attempt does not count."""
        ref = frame.get("ref")
        if isinstance(ref, str) and self._ref is not None and ref != self._ref:
            return
        again = self.phase is Phase.JOINED  # unasked: nothing has changed
        if not self._go(Step.CONFIRMED):
            return
        self.error, self._retries, self.due = None, 0, math.inf
        self.handlers.numbered(frame.get("bindings"))
        gap = self.cursor.confirmed(frame)
        status = SubscribeStatus.RESUBSCRIBED if self._told else SubscribeStatus.SUBSCRIBED
        self._told = True
        if not again:
            self._out.tell(self.owner, status)
        if gap is not None:
            self.deliver(gap)
        if self._tracked is not None and not (again and self._out.frames):
            self._out.send(self._presence_frame("track", self._tracked))
        self._settle_waiters(None)

    def failed(self, error: AeroDBError, now: float) -> None:
        """The server refused, now or for good (§4.9)."""
        if self.phase is Phase.JOINED and (error.code in _PASSES_BY):
            return
        lost = self.phase is Phase.JOINED and error.code == "not_subscribed"
        if error.retryable or lost:
            was_joined = self.phase is Phase.JOINED
            if self._go(Step.HELD_OFF):
                self.error = error
                self._retry(now, error.retry_after)
                if was_joined:
                    self._out.tell(self.owner, SubscribeStatus.RECONNECTING, error)
        else:
            self.give_up(error)

    def give_up(self, error: AeroDBError) -> None:
        """Not to be had: whoever waits for it is told, and whoever reads reads to the end."""
        if not self._go(Step.REFUSED):
            return
        self.error, self.due = error, math.inf
        self._out.tell(self.owner, SubscribeStatus.CHANNEL_ERROR, error)
        self._settle_waiters(error)
        self._end_inboxes()

    def _retry(self, now: float, asked: float | None = None) -> None:
        self.cursor.lost()
        pause = RETRY_SECONDS[min(self._retries, len(RETRY_SECONDS) - 1)]
        self._retries += 1
        self.due = now + max(pause, asked or 0.0)

    def _settle_waiters(self, error: AeroDBError | None) -> None:
        waiters, self._waiters = self._waiters, []
        for ticket in waiters:
            self._out.settle(ticket, error=error)

    def lost(self) -> None:
        """The connection ended; it is joined again when there is a new one."""
        joined = self.phase is Phase.JOINED
        if self._go(Step.LOST):
            self.due = math.inf
            self.cursor.lost()
            if joined:
                self._out.tell(self.owner, SubscribeStatus.RECONNECTING)
        elif self.phase is Phase.ERRORED:
            self.due = math.inf
        if self.phase is Phase.IDLE:
            self._left()

    def admitted(self) -> bool:
        """A new token: whether what was refused to the old one is worth another try."""
        error = self.error
        if error is None or not (error.status == 401 or error.code in _REFUSED_USER):
            return False
        return self._go(Step.ADMITTED)

    # --- leaving --------------------------------------------------------------------------

    def unsubscribe(self, ticket: Ticket, now: float, *, is_open: bool) -> None:
        """Be it no more. What waits for handlers is forgotten."""
        sent = self._asked is not None
        before = self.phase
        self._tracked = None
        for inbox in self.inboxes:
            inbox.clear()
        if not self._go(Step.UNSUBSCRIBE):
            if before is Phase.LEAVING:
                self._leavers.append(ticket)
            else:
                self._out.settle(ticket)
            return
        stopped = client_error("NOT_CONNECTED", f"channel {self.name!r} was unsubscribed")
        self._settle_waiters(stopped)
        self._leavers.append(ticket)
        if self.phase is Phase.LEAVING and is_open and sent:
            self._out.send(unsubscribe_frame(self.name))
            self.due = now + LEAVE_SECONDS
        else:
            self._left()

    def left(self) -> None:
        """`unsubscribed` came."""
        if self.phase is Phase.LEAVING:
            self._left()

    def _left(self) -> None:
        self.phase = Phase.IDLE
        self.due, self._asked, self._ref = math.inf, None, None
        self.presence.clear()
        self.cursor.reset()
        self._out.tell(self.owner, SubscribeStatus.CLOSED, self.error)
        for ticket in self._leavers:
            self._out.settle(ticket)
        self._leavers = []
        self._end_inboxes()

    def close(self, error: AeroDBError | None) -> None:
        """The client disconnects: everybody is told, nobody waits any more."""
        if self.phase is Phase.IDLE:
            return
        self.error = error
        for inbox in self.inboxes:
            if inbox.is_lasting:
                inbox.clear()
        self._settle_waiters(error or client_error("NOT_CONNECTED", "realtime was disconnected"))
        self._left()

    def _end_inboxes(self) -> None:
        for inbox in self.inboxes:
            if inbox.close():
                self._out.ring(inbox)

    def tick(self, now: float, *, ref: str, is_open: bool) -> None:
        """Do what is due."""
        if now < self.due:
            return
        self.due = math.inf
        if self.phase is Phase.LEAVING:
            self._left()
        elif self.phase is Phase.ERRORED and is_open:
            self.join(now, ref)
        elif self.phase is Phase.JOINING:
            message = f"the server did not confirm channel {self.name!r} in time"
            self.error = client_error("JOIN_TIMEOUT", message)
            self._go(Step.LATE)
            self._retry(now)
            self._out.tell(self.owner, SubscribeStatus.TIMED_OUT, self.error)
            self._settle_waiters(self.error)

    # --- what arrives ---------------------------------------------------------------------

    def deliver(self, item: ChannelEvent) -> None:
        """Put an event into every inbox."""
        if isinstance(item, GapNotice):
            self._out.missing(item)
        for inbox in self.inboxes:
            if inbox.put(item):
                self._out.ring(inbox)

    def _listens(self) -> bool:
        """Whether what arrives is for somebody. A server that confirms nothing and sends events
        all the same has confirmed (§4.3: acks are optional)."""
        if self.phase is Phase.JOINING and self.is_asked_for and self.cursor.is_waiting:
            self.confirmed({})
        return self.is_asked_for

    def change(self, kind: str, frame: Frame, inner: Mapping[str, Any], size: int) -> None:
        """A change came: once, and with a notice before it if others are missing."""
        if self.phase is not Phase.JOINED and not self._listens():
            return
        cursor = self.cursor
        seq = frame.get("seq")
        if type(seq) is not int:
            seq = whole(frame.get("sequence"))
        n: Any = frame.get("n")
        if seq is not None and seq <= cursor.seq and cursor.epoch is not None:
            cursor.holes(frame, n, seq)  # seen before: what it says of others was said before
            return
        if n is not None or "dropped" in frame:
            if n == cursor.n + 1 and "dropped" not in frame:
                cursor.n += 1
            else:
                gap = cursor.holes(frame, n, seq)
                if gap is not None:
                    self.deliver(gap)
        if seq is not None:
            cursor.seq = cursor.last = seq
        item = RealtimePayload(kind, frame, inner, self.name, seq, size)
        for inbox in self.inboxes:
            if inbox.put(item):
                self._out.ring(inbox)

    def dropped(self, frame: Frame) -> None:
        """The server told of losses apart from an event: no heartbeat passes them untold."""
        missed = whole(frame.get("dropped"))
        if missed and self.phase is Phase.JOINED:
            self.deliver(self.cursor.dropped(missed, seq_about(frame)))

    def message(self, item: ChannelEvent, frame: Frame) -> None:
        """A broadcast came."""
        if self._listens():
            missed = whole(frame.get("dropped"))
            if missed:
                self.deliver(GapNotice("server_dropped", self.name, missed=missed))
            self.deliver(item)

    def presences(self, event: str, frame: Frame, size: int) -> None:
        """`sync`, `join` or `leave` came (§4.10): who came and who went is told, then the whole."""
        if not self._listens():
            return
        inner = frame.get("payload")
        who = read_presences(inner)
        joined: Presences = {}
        left: Presences = {}
        if event == "sync":
            joined, left = self.presence.sync(who)
        elif event == "join":
            joined = self.presence.join(who)
        else:
            left = self.presence.leave(who)
        if joined:
            self.deliver(PresenceMessage("join", joined, frame, self.name, size))
        if left:
            self.deliver(PresenceMessage("leave", left, frame, self.name, size))
        if joined or left or event == "sync":
            state = self.presence.snapshot()
            self.deliver(PresenceMessage("sync", state, frame, self.name, size))

    def track(self, state: Mapping[str, Any] | None, ticket: Ticket) -> None:
        """Say that somebody is there, or no more. Remembered for the next connection.

        Raises BadValue for a state that JSON has no word for.
        """
        frame = self._presence_frame("untrack" if state is None else "track", state or {})
        self._tracked = None if state is None else dict(state)
        self._out.send(frame, ticket)

    def _presence_frame(self, event: str, state: Mapping[str, Any]) -> str:
        return presence_frame(self.name, event, state, self.config.sending_ref)

    @property
    def has_presence(self) -> bool:
        """Whether the server was asked to tell who is there."""
        return "presence" in (self._asked or {})

    def keep_tracked(self, state: Mapping[str, Any]) -> None:
        """Ask for presence with the next subscription, and track this then. Raises BadValue."""
        self._presence_frame("track", state)
        self._tracked, self.config.presence = dict(state), True

    def forget(self, ticket: Ticket) -> None:
        """The caller does not wait any more."""
        for waiting in (self._waiters, self._leavers):
            if ticket in waiting:
                waiting.remove(ticket)
