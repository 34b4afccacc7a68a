# GENERATED from aerodb_async_src/_session.py by scripts/generate.py [401170ed0d69]: do not edit
"""Keeps a client's session: grants tokens to requests, refreshes them once for everybody.

`SessionMachine` decides; this waits. The machine is touched only under the mutex, which is never
held across a wait. A refresh is a flight with a worker of its own: no caller that is cancelled
takes it down, and callers on any thread or event loop may wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aerodb._core.identity import (
    Session,
    life_left,
    same_user,
    token_life,
)
from aerodb._core.session import (
    REPEAT_WITHIN_SECONDS,
    Decision,
    Grant,
    Happening,
    Outcome,
    Refresh,
    Use,
    Wait,
    not_refreshed,
    nothing_to_refresh,
    outcome_of,
    session_ended,
    session_gone,
)
from aerodb._io.on_asyncio import Worker, monotonic, wall_clock
from aerodb._io.on_asyncio import pause as sleep
from aerodb.types import AeroDBError, AeroDBResponse

from ._holder import AsyncSessionHolder
from ._refreshing import AsyncRefreshing
from ._store import AsyncStoreKeeper, store_problem

if TYPE_CHECKING:
    from ._transport import AsyncTransport


class AsyncSessionKeeper(AsyncSessionHolder):
    """The session of one client, shared by all its tasks and threads.

    Args:
        store: Where the session is kept beyond this object.
        required: Never be anybody but the user: without a session, calls answer an error.
        timeout: Seconds for a refresh, whoever is in a hurry for it.
    """

    __slots__ = ("_flight", "_required", "_timeout")

    def __init__(self, store: Any = None, *, required: bool = False, timeout: float = 30.0) -> None:
        super().__init__(store)
        self._timeout = timeout
        self._flight: AsyncRefreshing | None = None
        self._required = required

    @property
    def is_required(self) -> bool:
        """Whether the client is this user, or nobody."""
        return self._required

    # --- what requests ask ----------------------------------------------------------------

    async def grant(self, transport: AsyncTransport, deadline: float) -> Grant | AeroDBError:
        """What a request that is about to go out sends along, or why it must not go."""
        if self._store is not None and self._store.is_unread():
            problem = await self._read_store()
            if problem is not None:
                return problem
        grant = self._machine.grant
        if grant.token is None and self._required:
            return self._machine.error or session_gone()
        if monotonic() < grant.renew_at:
            return grant
        settled: Grant | AeroDBError = await self._settle(
            transport, deadline, grant, self._machine.decide
        )
        return settled

    async def granted_again(
        self, transport: AsyncTransport, deadline: float, used: Grant
    ) -> Grant | AeroDBError | None:
        """After a 401: what to replay the request with; None if the 401 is the answer (§2.5)."""

        def ask(now: float) -> Decision | None:
            return self._machine.refused(used, now)

        settled: Grant | AeroDBError | None = await self._settle(transport, deadline, used, ask)
        return settled

    async def _settle(
        self,
        transport: AsyncTransport,
        deadline: float,
        grant: Grant,
        ask: Callable[[float], Decision | None],
    ) -> Any:
        """Wait until `ask` has an answer that ends the waiting."""
        while True:
            with self.mutex:
                now = monotonic()
                if self._machine.generation != grant.generation:
                    return self._machine.error or session_gone()
                decision = ask(now)
                flight = (
                    self._take_off(transport, decision.event)
                    if isinstance(decision, Refresh)
                    else None
                )
            if isinstance(decision, Use):
                return decision.grant
            if isinstance(decision, Wait):
                if now + decision.seconds >= deadline:
                    return self._machine.error or not_refreshed(None)
                await sleep(decision.seconds)
            elif flight is None or not isinstance(decision, Refresh):
                return None
            elif not await flight.wait(min(decision.patience, deadline - now)):
                in_time = monotonic() < min(deadline, self._machine.deadline)
                return grant if in_time and decision.is_early else not_refreshed(None)
            elif flight.outcome is not None:
                return self._after(flight, early=decision.is_early)

    def _after(self, flight: AsyncRefreshing, *, early: bool) -> Grant | AeroDBError:
        """What a request does when the refresh that it waited for has ended."""
        grant = self._machine.grant
        if grant.generation != flight.generation:
            return flight.error or session_gone()
        unexpired = early and monotonic() < self._machine.deadline
        if flight.outcome is Outcome.OK or unexpired:
            return grant
        return flight.error or session_gone()

    # --- refreshing -----------------------------------------------------------------------

    def _take_off(self, transport: AsyncTransport, event: Happening) -> AsyncRefreshing | None:
        """The flight under way, or a new one. Under the mutex; begins it, and does not wait."""
        flight, generation = self._flight, self._machine.generation
        if flight is not None and flight.generation == generation and not flight.is_over:
            return flight
        session = self._machine.begin(event)
        if session is None:
            return None
        made = self._flight = AsyncRefreshing(session, generation)

        async def fly() -> None:
            await self._fly(transport, made)

        made.worker = Worker(fly, "aerodb-session-refresh")
        return made

    async def absence(self) -> AeroDBError | None:
        """Why there is no user, if there is none."""
        problem = await self._read_store()
        if problem is None and self._machine.session is None:
            return self._machine.error or nothing_to_refresh(None)
        return problem

    async def ensure(self, transport: AsyncTransport, least: float) -> AeroDBResponse[Session]:
        """The session, refreshed first if its token lives less than `least` seconds."""
        problem = await self.absence()
        if problem is not None:
            return AeroDBResponse(error=problem)
        if monotonic() + least < self._machine.deadline:
            return AeroDBResponse(self._machine.session)
        return await self.refresh(transport)

    async def refresh(self, transport: AsyncTransport) -> AeroDBResponse[Session]:
        """Refresh now, or join the refresh that is under way."""
        problem = await self.absence()
        if problem is not None:
            return AeroDBResponse(error=problem)
        while True:
            with self.mutex:
                session = self._machine.session
                flight = self._take_off(transport, Happening.DUE)
            if flight is None:
                return AeroDBResponse(error=nothing_to_refresh(session))
            await flight.wait(transport.options.timeout)
            if flight.outcome is Outcome.OK:
                return AeroDBResponse(self._machine.session)
            if flight.outcome is not None or not flight.is_over:
                return AeroDBResponse(error=flight.error or not_refreshed(None))

    async def _fly(self, transport: AsyncTransport, flight: AsyncRefreshing) -> None:
        """The worker's part."""
        try:
            if self._store is None:
                await self._renew(transport, flight, flight.session)
            else:
                await self._renew_shared(self._store, transport, flight)
        except OSError as failure:
            self._unreachable(flight, store_problem(failure))
        except Exception:
            # a store of the user's own: without an outcome, those who wait would try again at once
            self._unreachable(flight, store_problem(None))
            raise
        finally:
            if flight.outcome is None:
                with self.mutex:
                    self._machine.abandoned(flight.generation, monotonic())
            flight.done.set()
        await self.changes.tell()

    async def _renew_shared(
        self, store: AsyncStoreKeeper, transport: AsyncTransport, flight: AsyncRefreshing
    ) -> None:
        """Lock, look whether another process was quicker, and only then refresh (R5)."""
        release = await store.lock(self._timeout)
        if release is None:
            self._unreachable(flight, not_refreshed(None))
            return
        try:
            stored = await store.load()
            if stored is None and store.was_written and not store.is_behind:
                self._rejected(flight, session_ended("it was signed out by another process"))
            elif stored is None or stored == flight.session:
                await self._renew(transport, flight, flight.session)
            elif not same_user(stored, flight.session):
                self.adopt_unsaved(stored, life_left(stored, wall_clock()))
                flight.outcome, flight.error = Outcome.REJECTED, session_gone()
            elif life_left(stored, wall_clock()) > 1.0:
                self._renewed(flight, stored, life_left(stored, wall_clock()), monotonic())
            else:
                await self._renew(transport, flight, stored)
        finally:
            release()

    async def _renew(
        self, transport: AsyncTransport, flight: AsyncRefreshing, session: Session
    ) -> None:
        """Spend the refresh token, and conclude from the answer."""
        from aerodb._core.auth import refresh_call, sign_out_call  # most programs never need them

        call = refresh_call(session.refresh_token or "", timeout=self._timeout)
        sent = monotonic()
        response = await transport.execute(call)
        error = response.error
        lost = error is not None and error.maybe_applied and error.retryable
        if lost and monotonic() - sent < REPEAT_WITHIN_SECONDS:
            sent = monotonic()
            response = await transport.execute(call)
        outcome, fresh = outcome_of(response.error), response.data
        if fresh is not None and outcome is Outcome.OK:
            if fresh.refresh_token is None:  # RFC 6749 §6: the old one stays good
                fresh = fresh.replace(refresh_token=session.refresh_token)
            if self._renewed(flight, fresh, token_life(fresh), sent):
                await self._save(flight.generation)
            elif self._machine.session is None:
                # signed out meanwhile: what was just given out must not outlive that
                await transport.execute(sign_out_call(fresh))
        elif outcome is Outcome.REJECTED and response.error is not None:
            if self._rejected(flight, session_ended(response.error.message, response.error)):
                await self._clear(self._timeout, locked=True)
        else:
            self._unreachable(flight, not_refreshed(response.error))

    def _renewed(self, flight: AsyncRefreshing, session: Session, life: float, now: float) -> bool:
        with self.mutex:
            applied = self._machine.renewed(session, flight.generation, life, now)
            if applied:
                self._note("TOKEN_REFRESHED")
            else:
                flight.error = session_gone()
            flight.outcome = Outcome.OK if applied else Outcome.REJECTED
        return applied

    def _rejected(self, flight: AsyncRefreshing, error: AeroDBError) -> bool:
        with self.mutex:
            applied = self._machine.rejected(flight.generation, error)
            flight.outcome, flight.error = Outcome.REJECTED, error
            if applied:
                self._note("SIGNED_OUT")
        return applied

    def _unreachable(self, flight: AsyncRefreshing, error: AeroDBError) -> None:
        with self.mutex:
            if self._machine.unreachable(flight.generation, error, monotonic()):
                self._note("REFRESH_FAILED")
            flight.outcome, flight.error = Outcome.UNREACHABLE, error

    async def sign_out(self, transport: AsyncTransport, scope: str) -> AeroDBResponse[None]:
        """Be nobody, first and whatever happens; then tell the server."""
        from aerodb._core.auth import sign_out_call

        await self._read_store()
        with self.mutex:
            held = self._machine.sign_out()
            if held is not None:
                self._note("SIGNED_OUT")
        await self._clear(REPEAT_WITHIN_SECONDS)
        try:
            if held is None:
                return AeroDBResponse()
            return await transport.execute(sign_out_call(held, scope))
        finally:
            await self.changes.tell()
