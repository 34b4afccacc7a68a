"""Deciding who may see which change, and handing it over (wire contract §4.7).

A page of changes is judged once per identity (role and claims) and table, not per subscriber: one
transaction under the identity's role asks for all rows at once whether they can be seen now, and
whether filters hold. Where neither row-level security nor a filter nor a missing column right is
concerned, nothing is asked at all.

A row that can be seen now need not be the row that was written: its key may have passed to another
row, or its owner may have changed since. What a change says is delivered only if the columns that
the policies read are still as they were written then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import tuple_row

from aerodb.local.credentials import Identity
from aerodb.local.realtime.callers import Callers
from aerodb.local.realtime.filters import Condition
from aerodb.local.realtime.log import Change, Wanted
from aerodb.local.realtime.subscriptions import Binding, Subscription, encode
from aerodb.local.realtime.tables import Rights, Table, Tables

log = logging.getLogger("aerodb.local.realtime")
_SEEN_WRITES = ("INSERT", "UPDATE")
_NOTED = ("TRUNCATE", "LOST")
Filter = tuple[Condition, ...]
Targets = Mapping[int, Mapping[Subscription, None]]
"""The subscriptions that changes of a table may concern, by its oid."""


@dataclass(slots=True)
class Verdict:
    """What an identity may see of one change; `payload` None: nothing. `passed` are the filters
    that hold."""

    payload: str | None
    passed: frozenset[Filter] = frozenset()
    lost: bool = False


NOTED = Verdict(None)
"""Of what is no change of a row: who may read the table is told of it."""


@dataclass(slots=True)
class Page:
    """Changes, and what is known about their tables."""

    changes: Sequence[Change]
    tables: dict[int, Table] = field(default_factory=dict[int, Table])

    def of(self, oid: int) -> list[Change]:
        """Return the changes of one table that have rows."""
        return [c for c in self.changes if c.relation == oid and c.kind in _HEADS]


class Delivery:
    """Judges pages and pushes what comes out of it."""

    def __init__(self, tables: Tables, callers: Callers) -> None:
        self._tables = tables
        self._callers = callers

    async def wanted(self, oids: Iterable[int]) -> Wanted:
        """Return what has to be read of these tables."""
        keys: dict[int, tuple[str, ...]] = {}
        full: list[int] = []
        for oid in oids:
            table = await self._tables.table(oid)
            if table is not None:
                keys[oid] = table.key
                full += [oid] if table.full_identity else []
        return Wanted(keys, full)

    async def deliver(
        self, changes: Sequence[Change], targets: Targets, patience: float | None = None
    ) -> list[Subscription]:
        """Give `changes` to the subscriptions that `targets` has for their tables.

        Returns those whose policies or filters took longer than `patience`: they got nothing, and
        the others need not wait.
        """
        page = Page(changes)
        for oid in targets:
            table = await self._tables.table(oid)
            if table is not None:
                page.tables[oid] = table
        everybody = dict.fromkeys(s for some in targets.values() for s in some)
        groups = {
            asyncio.create_task(self._group(page, some, targets)): some
            for some in _by_identity(everybody)
        }
        if not groups:
            return []
        try:
            done, late = await asyncio.wait(groups, timeout=patience)
        finally:
            for task in groups:
                task.cancel()
            await asyncio.gather(*groups, return_exceptions=True)
        for task in done:
            task.result()
        return [subscription for task in late for subscription in groups[task]]

    async def _group(self, page: Page, subscriptions: list[Subscription], targets: Targets) -> None:
        """Serve subscriptions of one identity. Who has changed identity meanwhile is judged anew:
        nothing that was found out for the old claims goes out after they were replaced."""
        identity, key = subscriptions[0].owner.identity, subscriptions[0].owner.identity_key
        verdicts: dict[int, Verdict] = {}
        for oid, table in page.tables.items():
            concerned = [s for s in subscriptions if s in targets[oid]]
            if concerned:
                verdicts |= await self._judge(page, table, identity, concerned)
        _push(page, verdicts, [s for s in subscriptions if s.owner.identity_key == key], targets)
        for some in _by_identity(s for s in subscriptions if s.owner.identity_key != key):
            await self._group(page, some, targets)

    async def _judge(
        self, page: Page, table: Table, identity: Identity, subscriptions: list[Subscription]
    ) -> dict[int, Verdict]:
        """Return the verdicts on the changes of one table, by number."""
        changes = page.of(table.oid)
        rights = await self._tables.rights(table.oid, identity.role)
        if not rights.columns:
            return {}
        noted = {c.seq: NOTED for c in page.changes if c.relation == table.oid and c.kind in _NOTED}
        if not changes:
            return noted
        filters = _filters(subscriptions, table)
        whole = len(rights.columns) == len(table.columns)
        if whole and not rights.restricted and not filters:
            return noted | {
                c.seq: Verdict(_payload(c, table, c.new, c.old_full or c.old)) for c in changes
            }
        try:
            return noted | await self._ask(changes, table, identity, rights, filters)
        except psycopg.Error as problem:
            if is_outage(problem):
                raise
            # A policy or a filter that fails shows nothing; subscribers learn that they missed it.
            log.warning("changes of %s cannot be judged: %s", table.name, type(problem).__name__)
            return noted | {c.seq: Verdict(None, lost=True) for c in changes}

    async def _ask(
        self,
        changes: list[Change],
        table: Table,
        identity: Identity,
        rights: Rights,
        filters: Sequence[Filter],
    ) -> dict[int, Verdict]:
        rows = [
            (c.new if c.kind in _SEEN_WRITES else _old_of(c, rights, table)) or "{}"
            for c in changes
        ]
        query, parameters = _question(table, rights, filters)
        async with self._callers.transaction(identity, table.schema) as (connection, _):
            answers = await _answers(connection, query, [rows, *parameters])
        verdicts: dict[int, Verdict] = {}
        for change, (seen, reduced, *passed) in zip(changes, answers, strict=True):
            is_write = change.kind in _SEEN_WRITES
            if is_write and not seen:
                continue
            held = frozenset(f for f, holds in zip(filters, passed, strict=True) if holds)
            old = _old_of(change, rights, table)
            if is_write:
                payload = _payload(change, table, reduced, _beside(old, table, rights))
            else:
                payload = _payload(change, table, None, reduced)
            verdicts[change.seq] = Verdict(payload, held)
        return verdicts


def is_outage(problem: psycopg.Error) -> bool:
    """Whether the database is to blame, and not what was asked of it: then it is asked again."""
    state = problem.sqlstate
    if state is None:
        return isinstance(problem, psycopg.OperationalError)
    return state.startswith(("08", "53", "57P"))


def _by_identity(subscriptions: Iterable[Subscription]) -> list[list[Subscription]]:
    groups: dict[str, list[Subscription]] = {}
    for subscription in subscriptions:
        groups.setdefault(subscription.owner.identity_key, []).append(subscription)
    return list(groups.values())


def _old_of(change: Change, rights: Rights, table: Table) -> str | None:
    """The old row as far as it may be told: whole only if nothing is kept from the role."""
    whole = len(rights.columns) == len(table.columns) and not rights.restricted
    return change.old_full or change.old if whole else change.old


def _beside(old: str | None, table: Table, rights: Rights) -> str | None:
    """An old row that is told besides a new one."""
    return old if old is None or set(table.key) <= set(rights.columns) else "{}"


def _filters(subscriptions: Iterable[Subscription], table: Table) -> list[Filter]:
    found: dict[Filter, None] = {}
    for subscription in subscriptions:
        for binding in subscription.bindings:
            if binding.conditions and concerns(binding, table):
                found[binding.conditions] = None
    return list(found)


def concerns(binding: Binding, table: Table) -> bool:
    """Whether the binding is about this table."""
    if binding.oid is None:
        return binding.schema == table.schema
    return binding.oid == table.oid


def _question(
    table: Table, rights: Rights, filters: Sequence[Filter]
) -> tuple[sql.Composed, list[Any]]:
    """One row per change: whether it can be seen, what of it, and whether each filter holds."""
    parameters: list[Any] = []
    parts: list[sql.Composable] = [_seen(table, rights)]
    if len(rights.columns) == len(table.columns):
        parts.append(sql.SQL("page.element"))
    else:
        parts.append(
            sql.SQL(
                "coalesce((select pg_catalog.json_object_agg(e.key, e.value) "
                "from pg_catalog.json_each(page.element::json) e "
                "where e.key = any (%s)), '{}')::text"
            )
        )
        parameters.append(list(rights.columns))
    for conditions in filters:
        terms: list[sql.Composed] = []
        for condition in conditions:
            term, more = condition.render(table.columns)
            terms.append(sql.SQL("({})").format(term))
            parameters += more
        parts.append(sql.SQL(" and ").join(terms))
    return (
        sql.SQL(
            "with page as materialized (select nth, element, "
            "pg_catalog.json_populate_record(null::{table}, element::json) as r "
            "from pg_catalog.unnest(%s::text[]) with ordinality as p(element, nth)) "
            "select {parts} from page order by nth"
        ).format(table=table.identifier, parts=sql.SQL(", ").join(parts)),
        parameters,
    )


def _seen(table: Table, rights: Rights) -> sql.Composable:
    """Whether the row as written is there and visible, see above. Without a key nobody can tell."""
    if not rights.restricted:
        return sql.SQL("true")
    compared = tuple(table.columns) if table.policy_columns is None else table.policy_columns
    if not table.key or not {*compared, *table.key} <= set(rights.columns):
        return sql.SQL("false")
    same = [
        sql.SQL("t.{0} = (page.r).{0}").format(sql.Identifier(column)) for column in table.key
    ] + [
        sql.SQL("t.{0}::text is not distinct from (page.r).{0}::text").format(
            sql.Identifier(column)
        )
        for column in compared
        if column not in table.key
    ]
    return sql.SQL("exists (select from {} t where {})").format(
        table.identifier, sql.SQL(" and ").join(same)
    )


async def _answers(
    connection: AsyncConnection[Any], query: sql.SQL | sql.Composed, parameters: list[Any]
) -> list[tuple[Any, ...]]:
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query, parameters)
        return await cursor.fetchall()


_HEADS = {kind: f'{{"type":"{kind}","schema":' for kind in ("INSERT", "UPDATE", "DELETE")}


def _payload(change: Change, table: Table, new: str | None, old: str | None) -> str:
    errors = ',"errors":["payload_too_large"]' if change.too_large else ""
    return (
        f'{_HEADS[change.kind]}{encode(table.schema)},"table":{encode(table.name)},'
        f'"commit_timestamp":"{change.committed_at}","new":{new or "null"},'
        f'"old":{old or "null"}{errors}}}'
    )


def _push(
    page: Page,
    verdicts: dict[int, Verdict],
    subscriptions: list[Subscription],
    targets: Targets,
) -> None:
    """Queue the changes in their order, for each subscription that has a binding for them."""
    by_table = {oid: [s for s in subscriptions if s in some] for oid, some in targets.items()}
    for change in page.changes:
        verdict = verdicts.get(change.seq)
        if verdict is None:
            continue
        table = page.tables[change.relation]
        for subscription in by_table[change.relation]:
            if (
                subscription.active
                and subscription.owner.delivers
                and change.seq > subscription.position
            ):
                _push_one(change, verdict, table, subscription)


def _push_one(change: Change, verdict: Verdict, table: Table, subscription: Subscription) -> None:
    bindings = [binding for binding in subscription.bindings if concerns(binding, table)]
    if change.kind == "TRUNCATE" and bindings:
        message = f"{table.name} was emptied."
        subscription.push_notice("truncate", message, table.schema, table.name, change.seq)
        return
    if change.kind == "LOST" and bindings:
        subscription.miss(change.seq)
        return
    matching = [
        binding.id
        for binding in bindings
        if binding.takes(change.kind)
        and (not binding.conditions or verdict.lost or binding.conditions in verdict.passed)
    ]
    if matching and verdict.payload is None:
        subscription.miss(change.seq)
    elif matching:
        subscription.push(change.seq, matching, verdict.payload or "null")


async def check_filter(
    connection: AsyncConnection[Any], table: Table, conditions: Sequence[Condition]
) -> None:
    """Let PostgreSQL say whether a filter makes sense: types, operators, values."""
    # A pattern is only looked at when there is something to match it with.
    patterns = [c.values[0] for c in conditions if c.operator in ("match", "imatch")]
    if patterns:
        await _answers(
            connection,
            sql.SQL("select '' ~ pattern from pg_catalog.unnest(%s::text[]) pattern"),
            [patterns],
        )
    query, parameters = _question(table, Rights(tuple(table.columns), False), [tuple(conditions)])
    await _answers(connection, query, [["{}"], *parameters])
