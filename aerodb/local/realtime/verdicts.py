"""Verdicts: what an identity may see of changes, and which filters they pass (see `delivery`)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg_pool import PoolTimeout

from aerodb.local.credentials import Identity
from aerodb.local.realtime.callers import Callers
from aerodb.local.realtime.errors import FrameError
from aerodb.local.realtime.gone import Gone, is_whole, seen_as_written
from aerodb.local.realtime.judging import Filter, ask, check_filter, is_outage, make_question
from aerodb.local.realtime.log import Change
from aerodb.local.realtime.subscriptions import Binding, Subscription, encode
from aerodb.local.realtime.tables import Rights, Table, Tables

log = logging.getLogger("aerodb.local.realtime")
_SEEN_WRITES = ("INSERT", "UPDATE")
_NOTED = ("TRUNCATE", "LOST")
_MOST_QUESTIONS = 40
"""How often a page that fails is cut in two, to find the rows that are to blame."""


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
    gone: dict[int, Gone] = field(default_factory=dict[int, Gone])

    def of(self, oid: int) -> list[Change]:
        """Return the changes of one table that have rows."""
        return [c for c in self.changes if c.relation == oid and c.kind in HEADS]


class _Stale(Exception):
    """The table is another one than was known."""


@dataclass(slots=True)
class _Case:
    """One table under one identity."""

    table: Table
    identity: Identity
    rights: Rights
    filters: list[Filter]
    gone: Gone | None
    questions: int = 0


class Judge:
    """Asks PostgreSQL what it has to be asked. Nothing but an outage of it is raised."""

    def __init__(self, tables: Tables, callers: Callers) -> None:
        self._tables = tables
        self._callers = callers

    async def judge(
        self, page: Page, table: Table, identity: Identity, subscriptions: Sequence[Subscription]
    ) -> dict[int, Verdict]:
        """Return the verdicts on the changes of one table, by number.

        A subscription with a filter that makes no sense any more is ended.
        """
        changes = page.of(table.oid)
        noted = {c.seq: NOTED for c in page.changes if c.relation == table.oid and c.kind in _NOTED}
        try:
            found = await self._judge(page, table, identity, subscriptions)
            return {} if found is None else noted | found
        except (psycopg.Error, PoolTimeout, OSError):
            raise
        except Exception:
            # Whatever it is must not end the feed: subscribers learn that they missed something.
            log.exception("changes of %s cannot be judged", table.name)
            return noted | _lost(changes)

    async def _judge(
        self, page: Page, table: Table, identity: Identity, subscriptions: Sequence[Subscription]
    ) -> dict[int, Verdict] | None:
        """Return None if the table may not be read. What is known about it may have changed."""
        changes = page.of(table.oid)
        for last in (False, True):
            rights = await self._tables.rights(table.oid, identity.role)
            if not rights.columns:
                return None
            if not set(rights.columns) <= set(table.columns):
                again = await self._tables.read_again(table.oid)
                if again is None:
                    return None
                table = again
            _withdraw(subscriptions, table, rights)
            gone = self._gone(page, table) if rights.restricted else None
            case = _Case(table, identity, rights, _filters(subscriptions, table), gone)
            try:
                return await self._verdicts(changes, case, blame=last)
            except _Stale:
                again = await self._tables.read_again(table.oid)
                if again is None:
                    return None
                table = again
                await self._tables.read_rights([table.oid], [identity.role])
                await self._end_failing_filters(table, identity, subscriptions)
        return _lost(changes)

    def _gone(self, page: Page, table: Table) -> Gone | None:
        if not table.key or table.policy_columns is None:
            return None
        known = page.gone.get(table.oid)
        if known is None or known.table is not table:
            known = page.gone[table.oid] = Gone(self._callers, table, page.of(table.oid))
        return known

    async def _verdicts(
        self, changes: list[Change], case: _Case, *, blame: bool
    ) -> dict[int, Verdict]:
        """`blame`: what is known about the table is new, so a failure is that of a row."""
        table, rights = case.table, case.rights
        if not changes:
            return {}
        if rights.are_whole(table) and not rights.restricted and not case.filters:
            return {c.seq: Verdict(_payload(c, table, c.new, c.old_full or c.old)) for c in changes}
        case.questions += 1
        try:
            return await self._ask(changes, case)
        except psycopg.Error as problem:
            if is_outage(problem):
                raise
            timed_out = isinstance(problem, psycopg.errors.QueryCanceled)
            if not blame and not timed_out:
                raise _Stale from None
            if len(changes) == 1 or timed_out or case.questions > _MOST_QUESTIONS:
                # A policy that fails shows nothing; subscribers learn that they missed it.
                name = type(problem).__name__
                log.warning("changes of %s cannot be judged: %s", table.name, name)
                return _lost(changes)
        half = len(changes) // 2
        first = await self._verdicts(changes[:half], case, blame=True)
        return first | await self._verdicts(changes[half:], case, blame=True)

    async def _answers(
        self, changes: list[Change], case: _Case, *, as_written: bool = False
    ) -> list[tuple[Any, ...]]:
        rows = [
            (c.new if c.kind in _SEEN_WRITES else _old_of(c, case.rights, case.table)) or "{}"
            for c in changes
        ]
        table = case.table
        async with self._callers.transaction(case.identity, table.schema) as (connection, _):
            seen = await seen_as_written(connection, table) if as_written else None
            query, parameters = make_question(table, case.rights, case.filters, seen=seen)
            cut = [change.new_is_cut for change in changes]
            answers = await ask(connection, query, [rows, cut, *parameters])
        if len(answers) != len(changes):
            raise _Stale
        return answers

    async def _ask(self, changes: list[Change], case: _Case) -> dict[int, Verdict]:
        table, rights, filters = case.table, case.rights, case.filters
        answers = await self._answers(changes, case)
        hidden = [
            n
            for n, (change, answer) in enumerate(zip(changes, answers, strict=True))
            if change.kind in _SEEN_WRITES and not answer[0]
        ]
        if hidden and case.gone is not None:
            gone = await case.gone.since(time.monotonic())
            hidden = [n for n in hidden if changes[n].seq in gone and is_whole(changes[n], table)]
            written = [changes[n] for n in hidden]
            found = await self._answers(written, case, as_written=True) if written else []
            for n, answer in zip(hidden, found, strict=True):
                answers[n] = answer
        verdicts: dict[int, Verdict] = {}
        for change, (seen, reduced, *passed) in zip(changes, answers, strict=True):
            is_write = change.kind in _SEEN_WRITES
            if is_write and not seen:
                continue
            told = _told_columns(change, rights, table)
            held = frozenset(
                conditions
                for conditions, holds in zip(filters, passed, strict=True)
                if (holds if told.issuperset(c.column for c in conditions) else change.new_is_cut)
            )
            old = _old_of(change, rights, table)
            if is_write:
                payload = _payload(change, table, reduced, _beside(old, table, rights))
            else:
                payload = _payload(change, table, None, reduced)
            verdicts[change.seq] = Verdict(payload, held)
        return verdicts

    async def _end_failing_filters(
        self, table: Table, identity: Identity, subscriptions: Sequence[Subscription]
    ) -> None:
        for conditions in _filters(subscriptions, table):
            if not {c.column for c in conditions} <= set(table.columns):
                continue  # `_withdraw` ends it
            try:
                async with self._callers.transaction(identity, table.schema) as (connection, _):
                    await check_filter(connection, table, conditions)
            except psycopg.Error as problem:
                if is_outage(problem):
                    raise
                reason = problem.diag.message_primary or "PostgreSQL refuses it"
                refusal = FrameError("invalid_filter", f"The filter cannot be used: {reason}")
                for subscription in subscriptions:
                    if any(
                        b.conditions == conditions and concerns(b, table)
                        for b in subscription.bindings
                    ):
                        subscription.end(refusal)


def _lost(changes: Iterable[Change]) -> dict[int, Verdict]:
    return {change.seq: Verdict(None, lost=True) for change in changes}


def _withdraw(subscriptions: Iterable[Subscription], table: Table, rights: Rights) -> None:
    """End the subscriptions that filter by a column that is gone, or that may not be read any more:
    what comes through a filter tells what is in the column."""
    readable = set(rights.columns) & set(table.columns)
    for subscription in subscriptions:
        for binding in subscription.bindings:
            if not binding.conditions or not concerns(binding, table) or not subscription.active:
                continue
            missing = [c.column for c in binding.conditions if c.column not in readable]
            if missing:
                message = f"There is no column {missing[0][:63]!r} to filter by any more."
                subscription.end(FrameError("invalid_filter", message))


def _told_columns(change: Change, rights: Rights, table: Table) -> set[str]:
    """The columns of which a filter can say anything. One over what was cut off a new row that is
    too large holds: who is told of the row in vain can read it, who is not told misses it."""
    if change.kind in _SEEN_WRITES:
        return set(table.key if change.new_is_cut else table.columns)
    whole = change.old_full and rights.are_whole(table) and not rights.restricted
    return set(table.columns) if whole else set(table.key)


def _old_of(change: Change, rights: Rights, table: Table) -> str | None:
    """The old row as far as it may be told: whole only if nothing is kept from the role."""
    whole = rights.are_whole(table) and not rights.restricted
    return change.old_full or change.old if whole else change.old


def _beside(old: str | None, table: Table, rights: Rights) -> str | None:
    """An old row that is told besides a new one."""
    return old if old is None or set(table.key) <= set(rights.columns) else "{}"


def _filters(subscriptions: Iterable[Subscription], table: Table) -> list[Filter]:
    found: dict[Filter, None] = {}
    for subscription in subscriptions:
        for binding in subscription.bindings:
            if binding.conditions and subscription.active and concerns(binding, table):
                found[binding.conditions] = None
    return list(found)


def concerns(binding: Binding, table: Table) -> bool:
    """Whether the binding is about this table."""
    if binding.oid is None:
        return binding.schema == table.schema
    return binding.oid == table.oid


HEADS = {kind: f'{{"type":"{kind}","schema":' for kind in ("INSERT", "UPDATE", "DELETE")}


def _payload(change: Change, table: Table, new: str | None, old: str | None) -> str:
    errors = ',"errors":["payload_too_large"]' if change.too_large else ""
    return (
        f'{HEADS[change.kind]}{encode(table.schema)},"table":{encode(table.name)},'
        f'"commit_timestamp":"{change.committed_at}","new":{new or "null"},'
        f'"old":{old or "null"}{errors}}}'
    )
