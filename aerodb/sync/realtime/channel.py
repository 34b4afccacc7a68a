# GENERATED from aerodb_async_src/realtime/channel.py by scripts/generate.py [57953e5bb0d5]: do not edit
"""A channel: its handlers, its subscription, what is sent on it and who is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from aerodb._core.errors import client_error
from aerodb._core.realtime import calls, sending
from aerodb._core.realtime.channel import ChannelMachine
from aerodb._core.realtime.inbox import Overflow
from aerodb._core.realtime.messages import ChannelEvent, SendResult
from aerodb._core.realtime.outputs import Ticket
from aerodb._core.realtime.presence import Presences
from aerodb._core.realtime.states import Phase
from aerodb._core.realtime_options import checked_overflow
from aerodb._io.on_threads import Event, Mutex, check_handler, monotonic
from aerodb.types import AeroDBAPIError, AeroDBError, AeroDBResponse

from .._transport import Transport  # noqa: TID252  # of the same twin, whichever it is
from ._lane import Lane
from ._link import Link
from ._registering import Registering
from .stream import EventStream, Listening


class RealtimeChannel(Registering):
    """A channel of `client.channel(name)`.

    `client.channel("posts").on("INSERT", handler).subscribe()`. Handlers are called in
    order and one at a time, apart from the connection: they may take their time and use the
    client. They survive `unsubscribe()` and every reconnection.
    """

    __slots__ = ("_problem", "_stream", "_transport")

    def __init__(self, link: Link, transport: Transport, name: str, schema: str) -> None:
        self.name = name
        self._link = link
        self._transport = transport
        self._schema = schema
        self._problem = calls.channel_problem(name)
        self._stream: EventStream | None = None
        self._machine: ChannelMachine = link.machine.channel(name, self)
        self._lane = Lane(link, name, self._machine.handlers, **self._limits())
        self._lane.overflowed = self._overflowed

    def _limits(self) -> dict[str, Any]:
        options = self._link.options
        return {
            "limit": options.max_queue,
            "overflow": options.overflow,
            "max_bytes": options.max_queue_bytes,
        }

    @property
    def mutex(self) -> Mutex:
        return self._link.mutex

    @property
    def lane(self) -> Lane:
        return self._lane

    @property
    def machine(self) -> ChannelMachine:
        return self._machine

    @property
    def state(self) -> str:
        """`idle`, `joining`, `joined`, `leaving`, `errored` (it is tried again) or `failed`."""
        return self._machine.phase.value

    @property
    def subscribed(self) -> bool:
        """Whether the server has confirmed the subscription, and the connection stands."""
        return self._machine.phase is Phase.JOINED

    @property
    def error(self) -> AeroDBError | None:
        """Why it is errored or failed."""
        return self._machine.error

    @property
    def dropped(self) -> int:
        """How many events were dropped because its handlers were too slow."""
        return self._lane.inbox.dropped

    # --- the subscription -----------------------------------------------------------------

    def subscribe(
        self, callback: Callable[[Any, Any], Any] | None = None, *, timeout: float = 10.0
    ) -> AeroDBResponse[Self]:
        """Subscribe; the answer comes when the server has confirmed it, or will not.

        The first subscription opens the connection. `callback(status, error)` is told of every
        `SubscribeStatus` from now on, and at once if it is subscribed already. If nothing is
        confirmed within `timeout` seconds, the answer is `JOIN_TIMEOUT` or why there is no
        connection, and it is tried further until `unsubscribe()`. Codes: those, `CLIENT_CLOSED`,
        `INVALID_ARGUMENT`, and the server's own (`unauthorized`, `invalid_filter`,
        `too_many_subscriptions`).
        """
        if callback is not None:
            check_handler(callback)
            calls.check_arguments(callback, 2)
            with self.mutex:
                self._lane.listen(callback)
        problem = self._refusal(timeout) or calls.wishes_problem(self._machine)
        if problem is not None:
            return AeroDBResponse(error=problem)
        with self._link.watching.of("subscribe", self.name) as told:
            response = self._subscribe(timeout, callback)
            told.ended(response.error)
        return response

    def _subscribe(
        self, timeout: float, callback: Callable[[Any, Any], Any] | None
    ) -> AeroDBResponse[Self]:
        self._prepare_inboxes()
        ticket = Ticket(Event())
        link, machine = self._link, self._machine

        def ask(now: float) -> None:
            machine.tell_standing(callback)
            link.machine.subscribe(machine, ticket, now)

        link.do(ask)
        if not link.wait(ticket, timeout):
            cause = None if link.machine.is_open else link.machine.error
            return AeroDBResponse(error=calls.join_error(self.name, timeout, cause))
        if ticket.error is not None:
            return AeroDBResponse(error=ticket.error)
        return AeroDBResponse(self)

    def _refusal(self, timeout: float) -> AeroDBError | None:
        if self._problem is not None:
            return client_error("INVALID_ARGUMENT", self._problem)
        return self._link.closed_error() or calls.time_problem(timeout)

    def _prepare_inboxes(self) -> None:
        """Without a handler, events are kept for whoever will read them."""
        machine = self._machine
        if self._lane.inbox.overflowed:
            self._lane.inbox.reopen()
        open_streams = any(not inbox.closed for inbox in machine.inboxes)
        if not open_streams:
            self._own_stream()

    def unsubscribe(
        self, *, timeout: float = 5.0, clear_handlers: bool = False
    ) -> AeroDBResponse[None]:
        """Be subscribed no more. No handler runs when this has returned (but the one that calls
        it); they are kept for the next `subscribe()` unless they are to be cleared.

        Codes: `TIMEOUT` if a handler still runs after `timeout` seconds: it is the last one.
        """
        problem = calls.time_problem(timeout)
        if problem is not None:
            return AeroDBResponse(error=problem)
        ticket = Ticket(Event())
        link, machine, until = self._link, self._machine, monotonic() + timeout
        link.do(lambda now: link.machine.unsubscribe(machine, ticket, now))
        link.wait(ticket, timeout)
        rested = self._lane.rest(max(0.0, until - monotonic()))
        if clear_handlers:
            with self.mutex:
                machine.handlers.clear()
            self._lane.listeners = ()
        return AeroDBResponse(error=None if rested else calls.still_running(self.name, timeout))

    def _overflowed(self) -> None:
        """`overflow="close"`: the handlers were too slow, so the channel ends."""
        error = client_error(
            "SLOW_CONSUMER",
            f"the handlers of channel {self.name!r} were too slow, so it was given up",
            hint="make them quicker, or choose another RealtimeOptions(overflow=...)",
        )
        ticket, link, machine = Ticket(Event()), self._link, self._machine

        def give_up(now: float) -> None:
            machine.give_up(error)
            link.machine.unsubscribe(machine, ticket, now)

        link.do(give_up)

    # --- sending --------------------------------------------------------------------------

    def send(
        self, event: str, payload: Any = None, *, ack: bool | None = None, timeout: float = 10.0
    ) -> AeroDBResponse[SendResult]:
        """Send a message to the other subscribers of the channel.

        With `ack` the server says how many got it: `data.subscribers_notified`. Without, the
        answer comes when it was sent. Codes: `NOT_CONNECTED` (nothing was sent, or with
        `maybe_applied` nobody knows), `TIMEOUT`, `INVALID_ARGUMENT`, `rate_limit_exceeded`.
        """
        wants_ack = self._machine.config.broadcast_ack if ack is None else ack
        problem = self._refusal(timeout) or calls.payload_problem("payload", payload)
        if problem is not None:
            return AeroDBResponse(error=problem)
        ticket = Ticket(Event(), "answer" if wants_ack else "sent")
        machine = self._link.machine
        with self._link.watching.of("send", self.name) as told:
            response = self._carry_out(
                ticket,
                lambda now: sending.broadcast(machine, self._machine, event, payload, ticket),
                timeout,
                SendResult(),
            )
            told.ended(response.error)
        return response

    def http_send(self, event: str, payload: Any = None) -> AeroDBResponse[SendResult]:
        """As `send`, by one HTTP request: no subscription and no connection are needed."""
        if self._problem is not None:
            return AeroDBResponse(error=client_error("INVALID_ARGUMENT", self._problem))
        private = self._machine.config.private
        call = calls.http_broadcast(self.name, event, payload, private=private)
        return self._transport.execute(call)

    def track(
        self, state: Mapping[str, Any], *, timeout: float = 10.0
    ) -> AeroDBResponse[None]:
        """Tell the others of the channel that this client is there, and what it says of itself.

        It replaces what was tracked before, and is told again after a reconnection.
        """
        problem = calls.checked_state(state)
        return self._track(None if problem else state, problem, timeout)

    def untrack(self, *, timeout: float = 10.0) -> AeroDBResponse[None]:
        """Tell the others that this client is there no more."""
        return self._track(None, None, timeout)

    def _track(
        self, state: Mapping[str, Any] | None, problem: AeroDBError | None, timeout: float
    ) -> AeroDBResponse[None]:
        problem = problem or self._refusal(timeout)
        if problem is not None:
            return AeroDBResponse(error=problem)
        ticket, machine = Ticket(Event(), "sent"), self._link.machine
        return self._carry_out(
            ticket,
            lambda now: sending.track(machine, self._machine, state, ticket, now),
            timeout,
            None,
        )

    def _carry_out(
        self, ticket: Ticket, act: Callable[[float], Any], timeout: float, sent: Any
    ) -> AeroDBResponse[Any]:
        link = self._link
        problem = link.do(act)
        if problem is not None:
            return AeroDBResponse(error=problem)
        if not link.wait(ticket, timeout):
            message = f"the server did not answer within {timeout:g} s"
            error = client_error("TIMEOUT", message)
            made = AeroDBError(error.message, code=error.code, maybe_applied=True)
            return AeroDBResponse(error=made)
        if ticket.error is not None:
            return AeroDBResponse(error=ticket.error)
        return AeroDBResponse(sent if ticket.data is None else ticket.data)

    def presence_state(self) -> Presences:
        """Who is there: {key: [what each of its connections tracks]}. A copy."""
        with self.mutex:
            return self._machine.presence.copy()

    # --- reading --------------------------------------------------------------------------

    def events(
        self, *, maxsize: int = 1000, overflow: Overflow = "drop_oldest"
    ) -> EventStream:
        """A stream of its own of all events from now on: every stream gets every event.

        Raises:
            ValueError: `maxsize` is below 1, or there is no such policy.
        """
        if maxsize < 1:
            raise ValueError(f"maxsize must be at least 1, not {maxsize}")
        stream = EventStream(
            self,
            limit=maxsize,
            overflow=checked_overflow(overflow),
            max_bytes=self._link.options.max_queue_bytes,
        )
        with self.mutex:
            self._machine.inboxes = (*self._machine.inboxes, stream.inbox)
        return stream

    def _own_stream(self) -> EventStream:
        """The stream that `for`, `listen` and `collect` share."""
        stream = self._stream
        if stream is None or stream.is_closed:
            options = self._link.options
            stream = self.events(maxsize=options.max_queue, overflow=options.overflow)
            self._stream = stream
        return stream

    def _reading(self) -> EventStream:
        if self._machine.phase is Phase.IDLE:
            kept = self._stream
            if kept is None or not len(kept.inbox):
                message = f"channel {self.name!r} is not subscribed"
                error = client_error("NOT_CONNECTED", message, hint="call subscribe() first")
                raise AeroDBAPIError(error)
            return kept
        return self._own_stream()

    def __iter__(self) -> EventStream:
        return self._reading()

    def listen(self, timeout: float | None = None) -> Listening:
        """The events of this channel, until none comes for `timeout` seconds.

        A channel that was subscribed without handlers has kept its events since then. `listen`,
        iteration and `collect` read from one stream: an event goes to one of them.

        Raises:
            AeroDBAPIError: The channel is not subscribed, or was refused for good.
        """
        return Listening(self._reading(), timeout)

    def collect(
        self, count: int, timeout: float = 10.0
    ) -> AeroDBResponse[list[ChannelEvent]]:
        """The next `count` events. If they do not come within `timeout` seconds, the answer has
        those that came, and the error `TIMEOUT`."""
        found: list[ChannelEvent] = []
        until = monotonic() + timeout
        try:
            stream = self._reading()
            stream.read_into(found, count, until)
        except AeroDBAPIError as problem:
            return AeroDBResponse(found, problem.error)
        if len(found) == count:
            return AeroDBResponse(found)
        message = f"{len(found)} of {count} events came within {timeout:g} s"
        return AeroDBResponse(found, client_error("TIMEOUT", message))

    def leave(self, stream: EventStream) -> None:
        """Give a stream no more events."""
        with self.mutex:
            machine = self._machine
            machine.inboxes = tuple(one for one in machine.inboxes if one is not stream.inbox)
            stream.inbox.close()
        stream.ring()

    def end_of(self, stream: EventStream) -> None:
        """Raise why a stream has ended, if that was not wanted."""
        if stream.inbox.overflowed:
            message = f"a stream of channel {self.name!r} was read too slowly, so it was closed"
            raise AeroDBAPIError(client_error("SLOW_CONSUMER", message))
        if self._machine.phase is Phase.FAILED and self._machine.error is not None:
            raise AeroDBAPIError(self._machine.error)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} {self.state}>"
