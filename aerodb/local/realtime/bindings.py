"""From what a `subscribe` frame asks for to bindings that hold (wire contract §4.7)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

import psycopg

from aerodb.local.credentials import Identity
from aerodb.local.realtime.callers import Callers
from aerodb.local.realtime.errors import FrameError
from aerodb.local.realtime.feed import Feed
from aerodb.local.realtime.filters import Condition, parse_filter
from aerodb.local.realtime.frames import Subscribe, WantedBinding
from aerodb.local.realtime.judging import check_filter, is_outage
from aerodb.local.realtime.log import Log
from aerodb.local.realtime.subscriptions import Binding
from aerodb.local.realtime.tables import Table, Tables

WRITERS_SECONDS = 9.0
"""How long a subscription waits for transactions that wrote before anybody watched: a little less
than the client waits for the ack (§4.5)."""
_LOOK_SECONDS = 0.02
Target = tuple[int, bool]
"""The oid of a table, or of a schema and True."""


class Bindings:
    """Makes bindings, and sees to it that the log has what they ask for."""

    def __init__(
        self, schemas: Sequence[str], tables: Tables, callers: Callers, log: Log, feed: Feed
    ) -> None:
        self._schemas = tuple(schemas)
        self._tables = tables
        self._callers = callers
        self._log = log
        self._feed = feed

    async def resolve(self, asked: Subscribe, identity: Identity) -> tuple[Binding, ...]:
        """Return the bindings of a subscription, or raise the error that it is refused with."""
        if asked.changes is None:
            return await self._implicit(asked.channel, identity)
        return tuple(
            [
                await self._explicit(number, wanted, identity)
                for number, wanted in enumerate(asked.changes, 1)
            ]
        )

    async def check(self, bindings: Sequence[Binding], identity: Identity) -> None:
        """Raise `unauthorized` if another identity may not have these bindings."""
        for binding in bindings:
            if binding.oid is not None:
                rights = await self._tables.rights(binding.oid, identity.role)
                filtered = {condition.column for condition in binding.conditions}
                if not rights.columns or not filtered <= set(rights.columns):
                    message = f"permission denied for table {binding.table}"
                    raise FrameError("unauthorized", message)

    async def watch(self, bindings: Sequence[Binding]) -> int:
        """Have everything logged that these bindings ask for.

        Returns the number after which all of it is in the log. It has been delivered up to there.
        """
        since = 0
        for oid, is_schema in dict.fromkeys([await self._target(b) for b in bindings]):
            since = max(since, await self._watch(oid, is_schema=is_schema))
        await self._feed.reached(since)
        return since

    async def renew(self, bindings: Iterable[Binding]) -> bool:
        """Keep everything logged that is subscribed to; False if it was not all the time."""
        wanted = {(b.oid, "") if b.oid is not None else (0, b.schema) for b in bindings}
        targets = [(oid, False) for oid, _ in wanted if oid]
        for oid, schema in wanted:
            found = None if oid else await self._tables.schema_oid(schema)
            targets += [] if found is None else [(found, True)]
        return not targets or await self._log.renew(targets)

    async def _watch(self, oid: int, *, is_schema: bool) -> int:
        since = await self._log.watch(oid, is_schema=is_schema)
        if since is not None:
            return since
        # Whoever writes from now on sees the watch. Those who wrote before hold a lock on the table
        # until they end; nobody has to wait for us.
        waiting = set(await self._log.writers(oid, is_schema=is_schema))
        deadline = time.monotonic() + WRITERS_SECONDS
        while waiting:
            if time.monotonic() > deadline:
                raise FrameError(
                    "service_unavailable",
                    "A transaction that has changed this table is still running.",
                    retry_after=1,
                )
            await asyncio.sleep(_LOOK_SECONDS)
            waiting &= set(await self._log.writers(oid, is_schema=is_schema))
        since = await self._log.watched(oid, is_schema=is_schema)
        self._feed.wake()
        return since or 0

    async def _target(self, binding: Binding) -> Target:
        if binding.oid is None:
            return await self._schema_oid(binding.schema), True
        return binding.oid, False

    async def _schema_oid(self, name: str) -> int:
        oid = await self._tables.schema_oid(name)
        if oid is None:
            raise _no_table(name, "*")
        return oid

    async def _implicit(self, channel: str, identity: Identity) -> tuple[Binding, ...]:
        """A channel that is called like a table that the caller may read is about that table."""
        schema, dot, name = channel.partition(".")
        names = [(self._schemas[0], channel)] if self._schemas else []
        if dot and schema in self._schemas:
            names.append((schema, name))
        for where, what in names:
            table = await self._tables.named(where, what)
            if table is not None and table.is_table:
                rights = await self._tables.rights(table.oid, identity.role)
                if rights.columns:
                    await self._follow(table)
                    return (Binding(1, "*", where, what, oid=table.oid),)
        return ()

    async def _explicit(self, number: int, wanted: WantedBinding, identity: Identity) -> Binding:
        schema = wanted.schema or (self._schemas[0] if self._schemas else "")
        if schema not in self._schemas:
            raise _no_table(schema, wanted.table)
        if wanted.table == "*":
            if wanted.filter is not None:
                message = "A filter needs a table: columns differ from table to table."
                raise FrameError("invalid_filter", message)
            return Binding(number, wanted.event, schema, "*")
        table = await self._tables.named(schema, wanted.table)
        if table is None or not table.is_table:
            raise _no_table(schema, wanted.table)
        rights = await self._tables.rights(table.oid, identity.role)
        if not rights.columns:
            raise FrameError("unauthorized", f"permission denied for table {wanted.table}")
        conditions: tuple[Condition, ...] = ()
        if wanted.filter is not None:
            conditions = await self._conditions(wanted.filter, table, rights.columns, identity)
        await self._follow(table)
        return Binding(
            number, wanted.event, schema, wanted.table, wanted.filter, conditions, table.oid
        )

    async def _conditions(
        self, text: str, table: Table, readable: Sequence[str], identity: Identity
    ) -> tuple[Condition, ...]:
        conditions = parse_filter(text)
        for condition in conditions:
            # The same words for a column that is not there: who may not read it learns no names.
            if condition.column not in readable:
                message = f"There is no column {condition.column[:63]!r} to filter by."
                raise FrameError("invalid_filter", message)
        try:
            async with self._callers.transaction(identity, table.schema) as (connection, _):
                await check_filter(connection, table, conditions)
        except psycopg.Error as problem:
            if is_outage(problem):
                raise
            message = problem.diag.message_primary or "PostgreSQL refuses it"
            raise FrameError("invalid_filter", f"The filter cannot be used: {message}") from None
        return conditions

    async def _follow(self, table: Table) -> None:
        if not table.followed:
            await self._log.attach(table.oid)
            self._tables.forget()


def _no_table(schema: str, table: str) -> FrameError:
    return FrameError("invalid_channel", f"There is no table {schema[:63]}.{table[:63]}.")
