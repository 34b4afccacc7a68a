"""The log of changes, read in the order of commits (`sql/080_realtime.sql`).

Why nothing is skipped: a change gets its number after its transaction has committed, by one session
at a time, and the numbers only grow. So whoever has read up to a number has read everything that
was visible when it was given; a transaction that commits later gets later numbers, however early it
began.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

PAGE_ROWS = 500
PAGE_BYTES = 4 * 1024 * 1024
MAXIMUM_ROW_BYTES = 512 * 1024
MAXIMUM_ROWS_BYTES = 1024 * 1024 - 32 * 1024
"""Of a new row and an old one together: a client takes frames of 1 MiB (wire contract §4.1)."""
RING_CHANGES = 10_000
RING_SECONDS = 300
LEASE_SECONDS = 600
_FRESH_LEASE_SECONDS = 60
"""A watch with less than this left counts as over, so that no clock has to be exact."""

# The keys of each wanted table come as JSON: {"oid": ["column", ...]}.
_PAGE = b"""
with candidate as (
  select k.last_seq, k.first_seq, k.committed_at, c.id, c.relation, c.kind, c.new_row, c.old_row,
    sum(coalesce(octet_length(c.new_row), 0) + coalesce(octet_length(c.old_row), 0))
      over (order by k.last_seq, c.id) as bytes,
    row_number() over (order by k.last_seq, c.id) as nth
  from (
    select * from aerodb_internal.realtime_commits
    where last_seq > %(seq)s order by last_seq limit %(rows)s
  ) k cross join lateral (
    select * from aerodb_internal.realtime_changes change
    where change.xid = k.xid
      and change.id > case when k.last_seq = %(commit)s then %(id)s else 0 end
    order by change.id limit %(rows)s
  ) c
  order by k.last_seq, c.id limit %(rows)s
)
select last_seq, first_seq, id, relation, kind,
  to_char(committed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  case
    when not %(keys)s::jsonb ? relation::text then null
    when new_is_cut then coalesce((
      select json_object_agg(e.key, e.value) from json_each(new_row::json) e
      where %(keys)s::jsonb -> relation::text ? e.key), '{}')::text
    else new_row
  end,
  case when %(keys)s::jsonb ? relation::text and old_row is not null then coalesce((
    select json_object_agg(e.key, e.value) from json_each(old_row::json) e
    where %(keys)s::jsonb -> relation::text ? e.key), '{}')::text
  end,
  case when relation = any (%(full)s::oid[]) and octet_length(old_row) <= room
    then old_row end,
  new_is_cut or coalesce(octet_length(old_row) > room and relation = any (%(full)s::oid[]), false),
  new_is_cut
from (
  select *, coalesce(octet_length(new_row) > %(largest)s, false) as new_is_cut,
    -- A new row and an old one have to fit into one frame.
    case when octet_length(new_row) <= %(largest)s
      then least(%(largest)s, %(both)s - octet_length(new_row)) else %(largest)s end as room
  from candidate
) candidate where bytes <= %(bytes)s or nth = 1
order by last_seq, id
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one row. `new` and the two `old`s are JSON texts; `old` has the key alone,
    `old_full` is there with REPLICA IDENTITY FULL. A `too_large` row is cut down to its key;
    `new_is_cut` says that the new one is."""

    seq: int
    relation: int
    kind: str
    committed_at: str
    new: str | None
    old: str | None
    old_full: str | None
    too_large: bool
    new_is_cut: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader wants to have of the rows: only of these tables, by their keys."""

    keys: Mapping[int, Sequence[str]]
    full: Sequence[int]


@dataclass(slots=True)
class Cursor:
    """A place in the log: everything up to `seq` has been read."""

    seq: int
    commit: int = 0
    id: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """`epoch` names this log, `last_seq` is its end, nothing up to `pruned_seq` is left."""

    epoch: str
    last_seq: int
    pruned_seq: int


class Pruned(Exception):
    """What was to be read next is not there any more."""


class Log:
    """The statements over the tables of the log."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], instance: UUID) -> None:
        self._pool = pool
        self._instance = instance

    async def state(self) -> State:
        """Return the state of the log; begin it if there is none."""
        await self._run(
            b"insert into aerodb_internal.realtime_state default values on conflict do nothing"
        )
        rows = await self._run(
            b"select epoch, last_seq, pruned_seq from aerodb_internal.realtime_state"
        )
        epoch, last_seq, pruned_seq = rows[0]
        return State(str(epoch), last_seq, pruned_seq)

    async def number(self, committed: Sequence[str]) -> None:
        """Give numbers to the changes of these transactions, in this order."""
        await self._run(
            b"select aerodb_internal.realtime_number(%s::text[]::xid8[])", [list(committed)]
        )

    async def unnumbered(self, horizon: str) -> tuple[list[str], str]:
        """Return transactions from `horizon` on that are committed and have no numbers.

        And the next horizon: all below it has ended.

        In the order of their last changes: of two that changed the same row, the later comes later.
        """
        rows = await self._run(
            b"select c.xid::text, pg_snapshot_xmin(pg_current_snapshot())::text "
            b"from aerodb_internal.realtime_changes c where c.xid >= %s::xid8 and not exists ("
            b"select from aerodb_internal.realtime_commits k where k.xid = c.xid) "
            b"group by c.xid order by max(c.id)",
            [horizon],
        )
        if rows:
            return [row[0] for row in rows], horizon
        newest = await self._run(b"select pg_snapshot_xmin(pg_current_snapshot())::text")
        return [], newest[0][0]

    async def cursor(self, seq: int) -> Cursor:
        """Return the place right after the change `seq`."""
        rows = await self._run(
            b"select k.last_seq, (select c.id from aerodb_internal.realtime_changes c "
            b"where c.xid = k.xid order by c.id offset %(seq)s - k.first_seq limit 1) "
            b"from aerodb_internal.realtime_commits k "
            b"where k.last_seq > %(seq)s and k.first_seq <= %(seq)s",
            {"seq": seq},
        )
        return Cursor(seq, rows[0][0], rows[0][1]) if rows else Cursor(seq)

    async def page(self, at: Cursor, wanted: Wanted) -> list[Change]:
        """Return the next changes after `at`, and move it behind them.

        Numbers have no holes: if the next one is missing, it has been pruned (`Pruned`).
        """
        keys = {str(oid): list(columns) for oid, columns in wanted.keys.items()}
        rows = await self._run(
            _PAGE,
            {
                "seq": at.seq,
                "commit": at.commit,
                "id": at.id,
                "rows": PAGE_ROWS,
                "bytes": PAGE_BYTES,
                "largest": MAXIMUM_ROW_BYTES,
                "both": MAXIMUM_ROWS_BYTES,
                "keys": json.dumps(keys),
                "full": list(wanted.full),
            },
        )
        found: list[Change] = []
        for commit, first_seq, identity, *rest in rows:
            seq = at.seq + 1 if commit == at.commit else max(first_seq, at.seq + 1)
            if seq != at.seq + 1:
                raise Pruned
            at.seq, at.commit, at.id = seq, commit, identity
            found.append(Change(seq, *rest))
        return found

    async def watch(self, target: int, *, is_schema: bool) -> int | None:
        """Have a table (or all of a schema) logged from now on.

        Returns the number after which everything is in the log; None if that cannot be said yet,
        because transactions may run that have not noticed: see `writers` and `watched`.
        """
        rows = await self._run(
            b"insert into aerodb_internal.realtime_watched as w (target, is_schema, expires_at) "
            b"values (%(target)s, %(is_schema)s, now() + make_interval(secs => %(lease)s)) "
            b"on conflict (target, is_schema) do update set "
            b"expires_at = excluded.expires_at, since_seq = case when w.expires_at > "
            b"now() + make_interval(secs => %(fresh)s) then w.since_seq end returning since_seq",
            {
                "target": target,
                "is_schema": is_schema,
                "lease": LEASE_SECONDS,
                "fresh": _FRESH_LEASE_SECONDS,
            },
        )
        since: int | None = rows[0][0]
        return since

    async def writers(self, target: int, *, is_schema: bool) -> list[str]:
        """Return the running transactions that have written to a table (or to one of a schema)."""
        rows = await self._run(
            b"select distinct l.virtualtransaction from pg_catalog.pg_locks l "
            b"join pg_catalog.pg_class c on c.oid = l.relation "
            b"where l.locktype = 'relation' and l.granted and l.pid is distinct from "
            b"pg_backend_pid() and l.database = (select oid from pg_catalog.pg_database "
            b"where datname = current_database()) and l.mode in ('RowExclusiveLock', "
            b"'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') and case when "
            b"%(is_schema)s then c.relnamespace = %(target)s or (c.relispartition and exists ("
            b"select from pg_catalog.pg_class r where r.oid = pg_partition_root(c.oid) "
            b"and r.relnamespace = %(target)s)) "
            b"else coalesce(pg_partition_root(c.oid), c.oid) = %(target)s end",
            {"target": target, "is_schema": is_schema},
        )
        return [row[0] for row in rows]

    async def watched(self, target: int, *, is_schema: bool) -> int | None:
        """Note that all who had not noticed a watch are gone.

        Returns the number since when everything is in the log, None if the watch is gone too.
        """
        rows = await self._run(
            b"select aerodb_internal.realtime_watched_from(%s, %s)", [target, is_schema]
        )
        since: int | None = rows[0][0]
        return since

    async def renew(self, targets: Sequence[tuple[int, bool]]) -> bool:
        """Renew watches; tell whether none of them had run out (or had gone with a crash)."""
        rows = await self._run(
            b"update aerodb_internal.realtime_watched w "
            b"set expires_at = now() + make_interval(secs => %(lease)s) "
            b"from unnest(%(oids)s::oid[], %(schemas)s::bool[]) t(target, is_schema) "
            b"where w.target = t.target and w.is_schema = t.is_schema "
            b"and w.expires_at > now() and w.since_seq is not null returning 1",
            {
                "lease": LEASE_SECONDS,
                "oids": [oid for oid, _ in targets],
                "schemas": [is_schema for _, is_schema in targets],
            },
        )
        return len(rows) == len(set(targets))

    async def restart(self) -> None:
        """Give the log another name: what somebody has read of it does not count any more."""
        await self._run(b"update aerodb_internal.realtime_state set epoch = gen_random_uuid()")

    async def prune(self) -> None:
        """Throw away what is older than the ring and read by every living instance (§4.8)."""
        await self._run(
            b"select aerodb_internal.realtime_prune(%s, make_interval(secs => %s))",
            [RING_CHANGES, RING_SECONDS],
        )

    async def attach(self, oid: int) -> None:
        """Put the triggers on a table that has none."""
        await self._run(b"select aerodb_internal.realtime_attach(%s)", [oid])

    async def _run(self, query: bytes, parameters: Any = None) -> list[tuple[Any, ...]]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(query, parameters)
            return await cursor.fetchall() if cursor.description is not None else []
