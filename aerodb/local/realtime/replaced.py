"""Tables that were dropped, renamed or made anew while somebody was subscribed to them by name."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import psycopg
from psycopg_pool import PoolTimeout

from aerodb.local.realtime.errors import FrameError
from aerodb.local.realtime.feed import Feed
from aerodb.local.realtime.subscriptions import Binding, Subscription
from aerodb.local.realtime.tables import Tables

log = logging.getLogger("aerodb.local.realtime")
SETTLE_SECONDS = 1.0
"""How long a migration may take from dropping a table to making it anew."""
_LOOK_SECONDS = 60.0
"""How often it is looked at where no event trigger tells of changes of the schema."""


class Replaced:
    """Ends the subscriptions to such tables: nothing would ever come of them."""

    def __init__(self, tables: Tables, feed: Feed) -> None:
        self._tables = tables
        self._feed = feed
        self._changed = asyncio.Event()

    def look(self) -> None:
        """The schema has changed: look soon."""
        self._changed.set()

    async def run(self) -> None:
        """Look when the schema has changed, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _LOOK_SECONDS)
            await asyncio.sleep(SETTLE_SECONDS)
            self._changed.clear()
            try:
                await self._look()
            except (psycopg.Error, PoolTimeout, OSError) as problem:
                log.warning("tables are not looked at: %s", type(problem).__name__)

    async def _look(self) -> None:
        for subscription in self._feed.index.all() | self._feed.joining:
            for binding in subscription.bindings:
                if binding.oid is not None and subscription.active:
                    await self._compare(subscription, binding, binding.oid)

    async def _compare(self, subscription: Subscription, binding: Binding, oid: int) -> None:
        table = await self._tables.named(binding.schema, binding.table)
        name = f"{binding.schema}.{binding.table}"
        if table is None or not table.is_table:
            message = f"There is no table {name} any more."
            subscription.end(FrameError("invalid_channel", message))
        elif table.oid != oid:
            # All rows that were known are gone, and nobody knows what has been written since.
            message = f"{name} was made anew."
            position = max(subscription.position, subscription.last_seq)
            subscription.push_notice("truncate", message, binding.schema, binding.table, position)
            subscription.end(FrameError("service_unavailable", message))
