"""Following the log: one task hears that something was committed, another reads and delivers.

`settled` is how far every subscription has been served, `taken` the end of the page that is being
delivered. A subscription joins at a place of its own choosing and is brought up to `taken` page by
page before it becomes one of those that the live feed serves; nobody waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

import psycopg
from psycopg_pool import PoolTimeout

from aerodb.local.realtime.delivery import Delivery, Targets
from aerodb.local.realtime.listening import LONGEST_PAUSE, Connect, Listening
from aerodb.local.realtime.log import RING_CHANGES, Change, Cursor, Log, Pruned, State
from aerodb.local.realtime.subscriptions import Binding, Index, Owner, Subscription
from aerodb.local.realtime.tables import Table, Tables

log = logging.getLogger("aerodb.local.realtime")
COMMITS = "aerodb_realtime_commits"
POLL_SECONDS = 5.0
"""How often the log is looked at though nothing was heard."""
LIVE_PATIENCE = 0.25
JUDGE_PATIENCE = 1.0
MAXIMUM_LAG = 2 * RING_CHANGES
JOIN_PATIENCE = 10.0
Trouble = (psycopg.Error, PoolTimeout, OSError)


def _nothing() -> None:
    """Nobody wants to know."""


class Feed:
    """Serves all subscriptions of this instance."""

    def __init__(
        self, log_: Log, tables: Tables, delivery: Delivery, apart: Delivery, connect: Connect
    ) -> None:
        self.index = Index()
        self.epoch = ""
        self.settled = 0
        self._taken = 0
        self._log = log_
        self._tables = tables
        self._delivery = delivery
        self._apart = apart  # with connections of its own, for those who catch up
        self._aside: set[asyncio.Task[None]] = set()
        self._heard: list[str] = []
        self._recover = True
        self._horizon = "0"
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._learned: set[int] = set()
        self.joining: set[Subscription] = set()
        self.listening = Listening(connect, self._listens)
        self.listening.add(COMMITS, self._hear)
        self._failing = False
        self.on_restart: Callable[[], None] = _nothing
        """Called when the log is another one: nobody's place in it is worth anything."""
        self.on_listening: Callable[[], None] = _nothing
        """Called when a listening connection is there (again): what was notified before is lost."""

    @property
    def follows(self) -> bool:
        """Whether changes are heard of and read; False while that has to be made possible again."""
        return not (self._failing or self.listening.lost)

    async def open(self) -> None:
        """Find the end of the log: that is where the feed begins."""
        state = await self._log.state()
        self._begin(state)

    async def run(self) -> None:
        """Follow the log until cancelled.

        What nobody has foreseen must not end it: it goes on at the end of the log, and subscribers
        are sent away, so that they come back and learn what they missed.
        """
        pause = 0.1
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self.listening.run(), name="aerodb-realtime-listen")
                    tasks.create_task(self._follow(), name="aerodb-realtime-follow")
            except Exception:
                log.exception("the feed of changes has failed; it begins again")
                self._failing = True
                pause = await self._begin_again(pause)

    async def _begin_again(self, pause: float) -> float:
        """Return how long to wait the next time."""
        while True:
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                await self._start_over()
            except Trouble as problem:
                log.warning("the log of changes cannot be read: %s", type(problem).__name__)
            else:
                self._moved.set()
                self.wake(recover=True)
                return pause

    def wake(self, *, recover: bool = False) -> None:
        """Something was put into the log; `recover`: it may even be another one."""
        self._recover = self._recover or recover
        self._wake.set()

    @property
    def safe_seq(self) -> int:
        """Everything up to here was read by all who are served by this instance.

        But for those who are hopelessly behind: the log does not wait for them.
        """
        oldest = self.settled - MAXIMUM_LAG
        behind = (s.position for s in self.joining if s.position > oldest)
        return min([self.settled, *behind])

    async def reached(self, seq: int) -> None:
        """Wait until everything up to `seq` has been delivered."""
        while self.settled < seq:
            self._wake.set()
            self._moved.clear()
            await self._moved.wait()

    def bindings(self) -> Iterable[Binding]:
        """Everything that is subscribed to."""
        for subscription in [*self.index.all(), *self.joining]:
            yield from subscription.bindings

    # --- joining -----------------------------------------------------------------------------

    async def can_resume(self, epoch: str, since: int, complete_from: int) -> bool:
        """Whether everything after `since` can be replayed (wire contract §4.8)."""
        state = await self._log.state()
        same = epoch == self.epoch == state.epoch
        # not `settled`: while a page is being delivered, and on other instances, some are ahead
        return same and max(complete_from, state.pruned_seq) <= since <= state.last_seq

    async def join(self, *group: Subscription) -> None:
        """Serve subscriptions of one connection what follows their positions, and then what
        happens. Of several, the events come in the order of commits.

        Raises `Pruned` if what follows has been thrown away in this moment.
        """
        owner = group[0].owner
        cursor: Cursor | None = None
        self.joining.update(group)
        try:
            while some := {s: None for s in group if s.active}:
                position = min(s.position for s in some)
                if position >= self._taken:
                    break
                if not owner.delivers:
                    return
                if cursor is None:
                    cursor = await self._log.cursor(position)
                changes, targets = await self._page(cursor, some)
                if not changes:
                    break
                await self._apart.deliver(changes, targets)
                for subscription in some:
                    subscription.position = max(subscription.position, changes[-1].seq)
                await owner.outbox.roomy(JOIN_PATIENCE)
            for subscription in group:
                if subscription.active and owner.delivers:
                    self.index.add(subscription)
        finally:
            if owner.delivers:
                self.joining.difference_update(group)
            else:
                self.joining -= {s for s in group if not s.active}

    def leave(self, subscription: Subscription) -> None:
        """Serve it no more."""
        subscription.active = False
        self.joining.discard(subscription)
        self.index.remove(subscription)

    def suspend(self, subscription: Subscription) -> None:
        """Stop to serve it; `join` goes on where this was."""
        if subscription not in self.joining:
            self.index.remove(subscription)
            subscription.position = max(self.settled, subscription.last_seq)
            self.joining.add(subscription)

    def _set_aside(self, late: Iterable[Subscription]) -> None:
        """Whose policies are slow catches up on its own time, with all that its connection has: on
        one connection, changes come in the order of commits."""
        owners = {s.owner for s in late if s.active}
        if not owners:
            return
        groups: dict[Owner, list[Subscription]] = {owner: [] for owner in owners}
        for subscription in self.index.all():
            if subscription.owner in owners:
                groups[subscription.owner].append(subscription)
        for group in groups.values():
            for subscription in group:
                self.suspend(subscription)
            if group:
                task = asyncio.create_task(self._catch_up(group), name="aerodb-realtime-late")
                self._aside.add(task)
                task.add_done_callback(self._aside.discard)

    async def _catch_up(self, group: list[Subscription]) -> None:
        try:
            await self.join(*group)
        except (*Trouble, Pruned):
            group[0].owner.close(1011, "cannot_keep_up")
        except Exception:
            log.exception("a connection cannot catch up")
            group[0].owner.close(1011, "cannot_keep_up")

    def seq_of(self, subscriptions: Iterable[Subscription]) -> int:
        """Return up to where all of these have been served."""
        behind = (s.position for s in subscriptions if s in self.joining)
        return min([self.settled, *behind])

    # --- following ---------------------------------------------------------------------------

    def _begin(self, state: State) -> None:
        self.epoch = state.epoch
        self.settled = self._taken = state.last_seq
        self._cursor = Cursor(state.last_seq)

    def _hear(self, payload: str) -> None:
        # Whoever may connect to the database may notify: a word that is no number stays outside.
        if payload.isascii() and payload.isdigit() and int(payload[:21]) < 2**64:
            self._heard.append(payload)
            self._wake.set()

    def _listens(self) -> None:
        # What was committed before is not heard of: it has to be looked for.
        self.wake(recover=True)
        self.on_listening()

    async def _follow(self) -> None:
        pause = 0.1
        late: set[str] = set()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
            polled = not self._wake.is_set()
            self._wake.clear()
            try:
                late = await self._number(late, polled=polled)
                await self._read()
                pause, self._failing = 0.1, False
            except Pruned:
                # This process slept for long. Nobody may take what is left for the whole.
                await self._start_over()
            except Trouble as problem:
                log.warning("the log of changes cannot be read: %s", type(problem).__name__)
                self._recover = self._failing = True
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                self._wake.set()

    async def _number(self, late: set[str], *, polled: bool) -> set[str]:
        """Have what was committed numbered, in the order of commits.

        Transactions that nothing was heard of are numbered when the listening connection is a new
        one, or when they were there already at the last look.
        """
        recover, self._recover = self._recover, False
        heard, self._heard = self._heard, []
        try:
            if recover:
                await self._check_epoch()
            batch = list(dict.fromkeys(heard))
            if recover or polled:
                found, self._horizon = await self._log.unnumbered(self._horizon)
                silent = [xid for xid in found if xid not in heard]
                batch += [xid for xid in silent if recover or xid in late]
                late = set(silent)
            if batch:
                await self._log.number(batch)
        except BaseException:
            self._heard = heard + self._heard
            raise
        return late

    async def _start_over(self) -> None:
        state = await self._log.state()
        self._begin(state)
        self.on_restart()

    async def _check_epoch(self) -> None:
        state = await self._log.state()
        if state.epoch != self.epoch:
            self._begin(state)
            self._horizon = "0"
            self.on_restart()

    async def _read(self) -> None:
        """Deliver everything that has a number."""
        if self.index.is_empty:
            await self._skip()
        while True:
            at = replace(self._cursor)
            changes, targets = await self._page(at, None)
            if not changes:
                return
            self._taken = changes[-1].seq
            self._set_aside(await self._delivery.deliver(changes, targets, JUDGE_PATIENCE))
            self._cursor = at
            self.settled = at.seq
            self._moved.set()
            await self._patiently(s for some in targets.values() for s in some)

    async def _skip(self) -> None:
        """Nobody is served: go to the end. Who joins meanwhile reads what it wants by itself."""
        state = await self._log.state()
        # Somebody may have come while that was asked: what they wait for must not be passed over.
        still_nobody = self.index.is_empty and state.epoch == self.epoch
        if still_nobody and state.last_seq > self.settled:
            self._begin(state)
            self._moved.set()

    async def _patiently(self, subscriptions: Iterable[Subscription]) -> None:
        """Give connections a moment to send what they got, so that a long transaction fits."""
        boxes = {id(s.owner.outbox): s.owner.outbox for s in subscriptions}
        waits = [box.roomy(LIVE_PATIENCE) for box in boxes.values() if box.crowded]
        if waits:
            await asyncio.gather(*waits)

    async def _page(
        self, at: Cursor, only: dict[Subscription, None] | None
    ) -> tuple[list[Change], Targets]:
        """Read the next page and find whom it may concern: everybody, or `only` some.

        Nobody else can run between finding everybody and the return: who joins later than that
        sees that the page was taken, if the caller says so at once.
        """
        start = replace(at)
        while True:
            schemas, wanted = {*self.index.schemas()}, {*self.index.tables(), *self._learned}
            for subscription in only or ():
                wanted |= {b.oid for b in subscription.bindings if b.oid is not None}
            changes = await self._log.page(at, await self._delivery.wanted(wanted))
            left_out = {change.relation for change in changes} - wanted
            again = await self._learn(left_out, only)
            tables = [
                await self._tables.table(oid) for oid in {c.relation for c in changes} & wanted
            ]
            if only is None and left_out:
                # Somebody may have come meanwhile, for what was left out.
                again = again or not left_out.isdisjoint(self.index.tables())
                again = again or not schemas.issuperset(self.index.schemas())
            if not again:
                return changes, self._targets(tables, only)
            at.seq, at.commit, at.id = start.seq, start.commit, start.id

    async def _learn(self, unknown: set[int], only: dict[Subscription, None] | None) -> bool:
        """Find tables that only a subscription to a whole schema asks for."""
        schemas = {*self.index.schemas()}
        schemas |= {b.schema for s in only or () for b in s.bindings if b.oid is None}
        found = False
        for oid in unknown if schemas else ():
            table = await self._tables.table(oid)
            if table is not None and table.schema in schemas:
                self._learned.add(oid)
                found = True
        return found

    def _targets(
        self, tables: Iterable[Table | None], only: dict[Subscription, None] | None
    ) -> Targets:
        targets: dict[int, dict[Subscription, None]] = {}
        for table in tables:
            if table is not None:
                some = self.index.of(table.oid, table.schema) if only is None else only
                if some:
                    targets[table.oid] = some
        return targets
