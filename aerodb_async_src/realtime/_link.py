# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""The one connection of a client: waits, and has `RealtimeMachine` decide.

One worker connects, reads and rests, as the machine's state says; nobody else touches the
connection's beginning or end. The machine is touched only under the mutex, which is never held
across a wait. What it wants done (`Outputs`) is done by whoever stirred it up.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from aerodb._core.errors import client_error
from aerodb._core.realtime.handlers import Handlers
from aerodb._core.realtime.machine import RealtimeMachine
from aerodb._core.realtime.outputs import Notice, Ticket
from aerodb._core.realtime.states import LinkPhase
from aerodb._core.realtime_options import RealtimeOptions
from aerodb._core.websocket import ABNORMAL, SocketClosed
from aerodb._io.on_asyncio import (
    Event,
    Mutex,
    WebSocket,
    Worker,
    at_exit,
    jitter,
    logger,
    monotonic,
    watch_forks,
)
from aerodb.types import AeroDBError

from .._changes import AuthSubscription  # noqa: TID252  # of the same twin, whichever it is
from .._transport import AsyncTransport  # noqa: TID252  # of the same twin, whichever it is
from ._handshake import AsyncHandshake, NotOpened
from ._lane import AsyncLane
from ._telling import AsyncTelling
from ._watching import Watching

CLOSE_SECONDS = 1.0
JOIN_SECONDS = 2.0


class AsyncLink:
    """A connection that is made when it is needed, and made again when it is lost."""

    __slots__ = ("__weakref__", "_alarm", "_closed", "_flushing", "_handshake", "_inherited",
                 "_opened_before", "_pid", "_socket", "_subscription", "_transport",
                 "_waits_until", "_worker", "lane", "machine", "mutex", "options", "telling",
                 "watching")  # fmt: skip

    def __init__(self, transport: AsyncTransport, url: str, options: RealtimeOptions) -> None:
        self._transport = transport
        self._handshake = AsyncHandshake(transport, url, options)
        self.options = options
        self.machine = RealtimeMachine(options)
        self.mutex = Mutex()
        self._alarm = Event()
        self._closed = False
        self.telling = AsyncTelling()
        self.watching = Watching(transport, url)
        self.lane = AsyncLane(self, "", Handlers())
        self._flushing = False
        self._inherited: list[object] = []
        self._opened_before = False
        self._pid = os.getpid()
        self._socket: WebSocket | None = None
        self._subscription: AuthSubscription | None = None
        self._waits_until = 0.0
        self._worker: Worker | None = None
        watch_forks(self)

    @property
    def is_closed(self) -> bool:
        return self._closed

    # --- what callers do ------------------------------------------------------------------

    async def do(self, act: Callable[[float], Any]) -> Any:
        """Have the machine do something, and do what follows from it; what `act` returned."""
        self.reset_after_fork()
        with self.mutex:
            if self._worker is not None and not self._worker.is_alive:
                self._worker = None  # its event loop has ended, and the socket with it
                self._drop_socket()
                self.machine.abandon()
                self._reopen_lanes()
            answer = act(monotonic())
            self._see_to_worker()
        await self.put_out()
        self._nudge()
        return answer

    def _see_to_worker(self) -> None:
        """Have somebody connect and read, if that is called for. Under the mutex."""
        if self._worker is None and self.machine.state not in (LinkPhase.IDLE, LinkPhase.CLOSED):
            if self._subscription is None:
                changes = self._transport.session.changes
                self._subscription = changes.listen(self._session_changed, None)
                at_exit(self.stop)
            self._worker = Worker(self._run, "aerodb-realtime")

    def _nudge(self) -> None:
        """Have the worker look at the machine again, if it would wait too long."""
        self._alarm.set()
        socket = self._socket
        if socket is not None and (
            self.machine.deadline < self._waits_until or not self.machine.is_open
        ):
            socket.wake()

    async def wait(self, ticket: Ticket, timeout: float) -> bool:
        """Wait for the end of an operation; False if it did not come in time."""
        try:
            return await ticket.bell.wait(timeout) or ticket.done
        finally:
            if not ticket.done:
                with self.mutex:
                    self.machine.forget(ticket)

    def closed_error(self) -> AeroDBError | None:
        """Why nothing may be done any more, if so."""
        if not self._closed:
            return None
        hint = "make a new client, or close this one later"
        return client_error("CLIENT_CLOSED", "the client is closed", hint=hint)

    async def close(self) -> None:
        """End everything within a few seconds, also from within a handler."""
        self.reset_after_fork()
        self._closed = True
        with self.mutex:
            worker = self._worker
            self.machine.disconnect(self.closed_error())
            if self._subscription is not None:
                self._subscription.unsubscribe()
        await self.put_out()
        self._nudge()
        if worker is not None:
            await worker.join(JOIN_SECONDS)
        await self.telling.close(CLOSE_SECONDS)

    async def stop(self) -> None:
        """The interpreter ends: let go at once."""
        socket = self._socket
        self._closed = True
        with self.mutex:
            self.machine.disconnect(None)
            self.machine.out.notices.clear()
        if socket is not None:
            socket.abort()
        self._nudge()
        if self._worker is not None:
            await self._worker.join(CLOSE_SECONDS / 2)
        await self.telling.close(CLOSE_SECONDS / 2)

    def reset_after_fork(self) -> None:
        """A forked child has the channels and handlers, and no connection of its parent's."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        # kept, so that no finalizer touches what the parent uses
        self._inherited += [self._socket, self._worker]
        self._socket, self._worker = None, None
        self._opened_before = False
        self.telling.reset_after_fork()
        self._reopen_lanes()
        self.machine.abandon()
        for channel in self.machine.channels.values():
            channel.close(None)
        self.machine.out.clear()

    def _reopen_lanes(self) -> None:
        """Whoever was to call the handlers is gone: let somebody else be rung for it."""
        self._flushing = False
        self.lane.inbox.busy = False
        for channel in self.machine.channels.values():
            for inbox in channel.inboxes:
                inbox.busy = len(inbox) > 0
                if inbox.busy:
                    self.machine.out.ring(inbox)

    # --- what the machine wants done ------------------------------------------------------

    async def put_out(self) -> None:
        """Do it. Whoever stirred the machine calls this, under no mutex."""
        out = self.machine.out
        while True:
            if out.stirred:
                self._act()
            self._ring()
            await self._flush()
            if not out.stirred:
                return

    def _act(self) -> None:
        """What takes no time: answer callers, tell statuses, begin a renewal."""
        out = self.machine.out
        with self.mutex:
            out.stirred = False
            settled, out.settled = out.settled, []
            notices, out.notices = out.notices, []
            gaps, out.gaps = out.gaps, []
            renewal, self.machine.renewal = self.machine.renewal, False
            told = [(self._lane_of(one), one) for one in notices if one.status is not None]
            idle = [lane for lane, notice in told if lane.note(notice)]
        for ticket in settled:
            ticket.bell.set()
        for gap in gaps if self.watching else ():
            with self.watching.of("gap", gap.channel, gap):
                pass
        for lane in idle:
            lane.ring()
        for notice in notices:
            if notice.status is None and notice.error is not None:
                self.telling.tell_error(notice.error)
        if renewal:
            Worker(self._renew, "aerodb-realtime-token")

    def _ring(self) -> None:
        """Wake those whose inboxes have something in them."""
        ready = self.machine.out.ready
        try:
            while ready:
                ready.popleft().owner.ring()
        except IndexError:
            pass  # another thread was quicker

    async def _flush(self) -> None:
        """Send what waits to be sent, unless somebody is at it: that one sends this too."""
        while True:
            with self.mutex:
                socket, out = self._socket, self.machine.out
                if socket is None or self._flushing or not out.frames:
                    return
                self._flushing = True
                text, ticket = out.next_frame()
            try:
                try:
                    await socket.send(text)
                finally:
                    self._flushing = False  # before the reader wakes and looks at it
            except SocketClosed:
                with self.mutex:
                    out.settle(ticket, error=_unsent())
                return  # the reader is about to find out
            except BaseException:
                socket.wake()  # whoever sends is cancelled: the reader sends the rest
                raise
            if ticket is not None and ticket.when == "sent":
                with self.mutex:
                    out.settle(ticket)

    def _lane_of(self, notice: Notice) -> AsyncLane:
        lane: AsyncLane = self.lane if notice.channel is None else notice.channel.lane
        return lane

    # --- the worker -----------------------------------------------------------------------

    async def _run(self) -> None:
        """Connect, read, rest, until nobody needs the connection."""
        try:
            while True:
                if self._socket is not None:
                    await self._read(self._socket)
                with self.mutex:
                    state = self.machine.state
                    if state in (LinkPhase.IDLE, LinkPhase.CLOSED):
                        self._worker = None
                        return
                if state is LinkPhase.CONNECTING:
                    await self._connect()
                else:
                    await self._rest()
        except BaseException:
            # cancelled, or a fault of ours: nobody reads any more
            with self.mutex:
                self._worker = None
                self._drop_socket()
                self.machine.abandon()
            raise

    def _drop_socket(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.abort()

    async def _connect(self) -> None:
        machine = self.machine
        with self.watching.of("reconnect" if self._opened_before else "connect") as told:
            opened = await self._handshake.open(rejected=machine.rejected)
            told.ended(opened.error if isinstance(opened, NotOpened) else None)
        grant = self._handshake.grant
        unwanted: WebSocket | None = None
        with self.mutex:
            now = monotonic()
            if isinstance(opened, NotOpened):
                machine.not_opened(opened.error, now, jitter(), final=opened.final)
            elif machine.opened(grant.token, grant.renew_at, now):
                self._socket = opened
                self._opened_before = True
                self._follow_session(now)
            else:
                unwanted = opened
        await self.put_out()
        if unwanted is not None:
            await unwanted.close(timeout=CLOSE_SECONDS)

    async def _rest(self) -> None:
        """Until the next attempt is due, or somebody rings."""
        machine = self.machine
        self._alarm.clear()
        with self.mutex:
            machine.tick(monotonic())
            waiting, deadline = machine.state is LinkPhase.BACKOFF, machine.deadline
        await self.put_out()
        if waiting:
            await self._alarm.wait(min(60.0, max(0.0, deadline - monotonic())))

    async def _read(self, socket: WebSocket) -> None:
        """Take in what comes, as long as the machine wants this connection; then end it."""
        machine, mutex = self.machine, self.mutex
        receive, out = socket.receive, machine.out
        now = monotonic()
        try:
            while machine.state is LinkPhase.OPEN:
                self._waits_until = deadline = machine.deadline
                text = await receive(min(60.0, max(0.0, deadline - now)))
                now = monotonic()
                with mutex:
                    if text is not None:
                        machine.receive(text, now)
                    if now >= machine.deadline:
                        machine.tick(now, jitter())
                if out.ready and not socket.has_more:
                    self._ring()
                if out.stirred or text is None:
                    await self.put_out()
        except SocketClosed as end:
            with mutex:
                machine.lost(end.code, end.reason, monotonic(), jitter())
        with mutex:
            hangup, machine.hangup = machine.hangup, None
            last, machine.farewell = machine.farewell, []
            self._socket = None
        await self.put_out()
        if hangup is None or hangup[0] == ABNORMAL:
            socket.abort()
        else:
            await socket.close(*hangup, timeout=CLOSE_SECONDS, last=last)

    # --- tokens ---------------------------------------------------------------------------

    def _session_changed(self, change: object) -> None:
        """The session has other tokens: told while whoever changed it waits, so only noted."""
        with self.mutex:
            if self._worker is not None or self.machine.state is LinkPhase.CLOSED:
                self._follow_session(monotonic())
            if not self._closed:
                self._see_to_worker()
        self._alarm.set()
        socket = self._socket
        if socket is not None:
            socket.wake()

    def _follow_session(self, now: float) -> None:
        """Under the mutex."""
        granted = self._handshake.current()
        if isinstance(granted, AeroDBError):
            self.machine.disconnect(granted)
        else:
            self.machine.renew_at = granted.renew_at
            self.machine.rotate(granted.token, now)

    async def _renew(self) -> None:
        """Have the session renewed: realtime alone makes no requests that would see to that."""
        granted = await self._handshake.renewed()
        with self.mutex:
            now = monotonic()
            if isinstance(granted, AeroDBError):
                logger("aerodb.realtime").info("no newer token: %s", granted.message)
            elif self.machine.is_open and now < granted.renew_at:
                self._follow_session(now)
        await self.put_out()
        self._nudge()


def _unsent() -> AeroDBError:
    return client_error("NOT_CONNECTED", "the realtime connection ended; nothing was sent")
