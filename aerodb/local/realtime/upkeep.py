"""What happens by the clock: tokens run out, clients fall silent, the log is pruned."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg_pool import PoolTimeout

from aerodb.local.realtime.bindings import Bindings
from aerodb.local.realtime.connection import Connection
from aerodb.local.realtime.feed import Feed
from aerodb.local.realtime.log import Log
from aerodb.local.realtime.peers import Peers
from aerodb.local.realtime.presence import Presence

log = logging.getLogger("aerodb.local.realtime")
LOOK_SECONDS = 1.0
SKEW_SECONDS = 30.0
"""How long a token is good after its end (wire contract §1.4), and a connection after that."""
PRESENT_SECONDS = 60.0
IDLE_SECONDS = 90.0
INSTANCE_SECONDS = 4.0
RENEW_EVERY = 15
"""Every how many rounds watches are renewed and the log is pruned."""


@dataclass(slots=True)
class Watched:
    """An open connection; `heard` says when its client was last heard of, by the loop's clock."""

    connection: Connection
    heard: Callable[[], float]
    expired_at: float | None = None
    silent: bool = False


class Sweep:
    """Looks after all connections."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.open: dict[str, Watched] = {}

    async def run(self) -> None:
        """Look at every connection once a second."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for watched in [*self.open.values()]:
                self.look(watched, loop.time())

    def look(self, watched: Watched, monotonic: float) -> None:
        """Wire contract §4.4 (expiry), §4.6 (silence)."""
        connection = watched.connection
        if connection.closing:
            return
        silent_for = monotonic - watched.heard()
        if silent_for > IDLE_SECONDS:
            connection.close(1001, "idle")
            return
        if silent_for > PRESENT_SECONDS and not watched.silent:
            connection.untrack_all()
        watched.silent = silent_for > PRESENT_SECONDS
        expires = connection.expires_at
        overdue = 0.0 if expires is None else self._now() - expires - SKEW_SECONDS
        if overdue <= 0:
            watched.expired_at = None
        elif watched.expired_at != expires:
            watched.expired_at = expires
            connection.expire()
        elif overdue > SKEW_SECONDS:
            connection.close(4003, "token_expired")


class Upkeep:
    """Looks after the database side."""

    def __init__(
        self, log_: Log, feed: Feed, bindings: Bindings, peers: Peers, presence: Presence
    ) -> None:
        self._log = log_
        self._feed = feed
        self._bindings = bindings
        self._peers = peers
        self._presence = presence

    async def run(self) -> None:
        """Do what is due until cancelled."""
        turn = 0
        while True:
            try:
                await self.once(thorough=turn % RENEW_EVERY == 0)
                turn += 1
            except (psycopg.Error, PoolTimeout, OSError) as problem:
                log.warning("the database is not looked after: %s", type(problem).__name__)
            await asyncio.sleep(INSTANCE_SECONDS)

    async def once(self, *, thorough: bool) -> None:
        """Renew our row; `thorough`: the watches too, and prune the log."""
        self._presence.only_of(await self._peers.renew(self._feed.safe_seq))
        if not thorough:
            return
        if not await self._bindings.renew([*self._feed.bindings()]):
            # This machine slept, or the database crashed: something may be missing from the log.
            log.warning("a watch had run out: subscribers are told to read again")
            await self._log.restart()
            self._peers.publish({"kind": "restart"})
            self._feed.wake(recover=True)
        await self._log.prune()
