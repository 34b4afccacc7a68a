"""Rows that were deleted before anybody could judge what had been written of them.

Nobody can see such a row, so nobody can be asked whether they may. If the policies read nothing but
columns of the row (and the caller's claims), they can be asked about what was written instead.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from aerodb.local.credentials import Identity
from aerodb.local.realtime.callers import Callers
from aerodb.local.realtime.judging import ask, is_outage, make_question
from aerodb.local.realtime.log import Change
from aerodb.local.realtime.tables import Rights, Table, quoted

_SEES_ALL = Identity("service_role", {"role": "service_role"})
# Those that hold for the role: one that permits has to be true, and all that restrict.
_POLICIES = sql.SQL("""
select p.polpermissive, pg_catalog.pg_get_expr(p.polqual, p.polrelid) from pg_catalog.pg_policy p
where p.polrelid = %s::oid and p.polcmd::text in ('r', '*') and p.polqual is not null
  and exists (
    select from pg_catalog.unnest(p.polroles) role
    where role = 0 or pg_catalog.pg_has_role(current_user, role, 'usage')
  )
""")


class Gone:
    """Which rows of one table, of one page, are there no more."""

    def __init__(self, callers: Callers, table: Table, changes: Sequence[Change]) -> None:
        self._callers = callers
        self.table = table
        self._changes = changes
        self._lock = asyncio.Lock()
        self._asked_at = 0.0
        self._found: frozenset[int] = frozenset()

    async def since(self, moment: float) -> frozenset[int]:
        """Return the numbers of the changes whose row was there no more at that moment, or after
        it. By the monotonic clock; who asks for the same moment shares an answer."""
        async with self._lock:
            if self._asked_at < moment:
                self._asked_at = time.monotonic()
                self._found = await self._ask()
            return self._found

    async def _ask(self) -> frozenset[int]:
        writes = [c for c in self._changes if c.new is not None]
        rights = Rights(tuple(self.table.columns), restricted=True)
        there = sql.SQL("exists (select from {} t where {})").format(
            self.table.identifier,
            sql.SQL(" and ").join(
                sql.SQL("t.{0} = (page.r).{0}").format(quoted(c)) for c in self.table.key
            ),
        )
        query, parameters = make_question(self.table, rights, [], seen=there)
        try:
            async with self._callers.transaction(_SEES_ALL, self.table.schema) as (connection, _):
                rows, cut = [c.new for c in writes], [c.new_is_cut for c in writes]
                found = await ask(connection, query, [rows, cut, *parameters])
        except psycopg.Error as problem:
            if is_outage(problem):
                raise
            return frozenset()  # there is no such role, or it may not read the table
        return frozenset(c.seq for c, row in zip(writes, found, strict=False) if not row[0])


def is_whole(change: Change, table: Table) -> bool:
    """Whether what was written has all that the policies of now read."""
    if table.policy_columns is None or change.new is None:
        return False
    written: dict[str, Any] = json.loads(change.new)
    return set(table.policy_columns) <= written.keys()


async def seen_as_written(connection: AsyncConnection[Any], table: Table) -> sql.Composable:
    """Return an expression over `page.r`: whether the role may see a row of these contents.

    For policies that read columns alone (`Table.policy_columns`).
    """
    permitting: list[sql.Composable] = []
    restricting: list[sql.Composable] = []
    for permits, expression in await ask(connection, _POLICIES, [table.oid]):
        text = sql.SQL("(" + expression.replace("%", "%%") + ")")
        (permitting if permits else restricting).append(text)
    if not permitting:
        return sql.SQL("false")
    some = sql.SQL("({})").format(sql.SQL(" or ").join(permitting))
    return sql.SQL("(select {} from (select (page.r).*) t)").format(
        sql.SQL(" and ").join([some, *restricting])
    )
