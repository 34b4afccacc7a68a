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
from collections.abc import Iterable, Mapping, Sequence

from aerodb.local.realtime.callers import Callers
from aerodb.local.realtime.log import Change, Wanted
from aerodb.local.realtime.subscriptions import Subscription
from aerodb.local.realtime.tables import Table, Tables
from aerodb.local.realtime.verdicts import Judge, Page, Verdict, concerns

Targets = Mapping[int, Mapping[Subscription, None]]
"""The subscriptions that changes of a table may concern, by its oid."""


class Delivery:
    """Judges pages and pushes what comes out of it."""

    def __init__(self, tables: Tables, callers: Callers) -> None:
        self._tables = tables
        self._judge = Judge(tables, callers)

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
        # What is told from now on is told by the rights of now: the changes are older than these.
        await self._tables.read_rights(page.tables, (s.owner.identity.role for s in everybody))
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
                verdicts |= await self._judge.judge(page, table, identity, concerned)
        _push(page, verdicts, [s for s in subscriptions if s.owner.identity_key == key], targets)
        for some in _by_identity(s for s in subscriptions if s.owner.identity_key != key):
            await self._tables.read_rights(page.tables, [some[0].owner.identity.role])
            await self._group(page, some, targets)


def _by_identity(subscriptions: Iterable[Subscription]) -> list[list[Subscription]]:
    groups: dict[str, list[Subscription]] = {}
    for subscription in subscriptions:
        groups.setdefault(subscription.owner.identity_key, []).append(subscription)
    return list(groups.values())


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
