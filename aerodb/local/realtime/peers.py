"""Telling other instances over the same database of broadcasts and presence.

By NOTIFY, through a table where a message is longer than a notification may be. An instance that
has nobody to tell writes nothing. Each renews a row now and then; whose row has run out is dead,
and what it had told of who is present is over with it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

log = logging.getLogger("aerodb.local.realtime")
CHANNEL = "aerodb_realtime_peers"
LEASE_SECONDS = 15
_LONGEST_NOTICE = 7000
_LONGEST_QUEUE = 10_000
Receiver = Callable[[str, dict[str, Any]], None]


class Peers:
    """The other instances. `receive` is called with (instance, message), in order."""

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection[Any]], instance: UUID, receive: Receiver
    ) -> None:
        self._pool = pool
        self._instance = instance
        self._receive = receive
        self._outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_LONGEST_QUEUE)
        self._incoming: asyncio.Queue[str] = asyncio.Queue()
        self.living: set[str] = set()

    def publish(self, message: dict[str, Any]) -> None:
        """Tell all others, if there are any. What the database is too slow for is lost."""
        if self.living:
            self._put(message)

    def announce(self) -> None:
        """Tell that this instance is here (again): the others say what they know."""
        self._put({"kind": "hello"})

    def hear(self, payload: str) -> None:
        """A notification has come."""
        self._incoming.put_nowait(payload)

    async def run(self) -> None:
        """Send and receive until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send(), name="aerodb-realtime-peers-out")
            tasks.create_task(self._take(), name="aerodb-realtime-peers-in")

    async def renew(self, read_seq: int) -> set[str]:
        """Renew our row and return who lives besides."""
        rows = await self._run(
            b"with renewed as (insert into aerodb_internal.realtime_instances as i "
            b"(id, read_seq, expires_at) values (%(id)s, %(seq)s, "
            b"now() + make_interval(secs => %(lease)s)) on conflict (id) do update "
            b"set read_seq = excluded.read_seq, expires_at = excluded.expires_at) "
            b"select id::text from aerodb_internal.realtime_instances "
            b"where id <> %(id)s and expires_at > now()",
            {"id": self._instance, "seq": read_seq, "lease": LEASE_SECONDS},
        )
        self.living = {row[0] for row in rows}
        return self.living

    async def resign(self) -> None:
        """Say goodbye."""
        await self._run(
            b"delete from aerodb_internal.realtime_instances where id = %s or expires_at < now()",
            [self._instance],
        )
        await self._notify({"kind": "bye"})

    def _put(self, message: dict[str, Any]) -> None:
        try:
            self._outgoing.put_nowait(message)
        except asyncio.QueueFull:
            log.warning("other instances cannot be told fast enough: a message is lost")

    async def _send(self) -> None:
        while True:
            message = await self._outgoing.get()
            try:
                await self._notify(message)
            except (psycopg.Error, PoolTimeout, OSError) as problem:
                log.warning("other instances cannot be told: %s", type(problem).__name__)
                await asyncio.sleep(0.5)

    async def _notify(self, message: dict[str, Any]) -> None:
        text = json.dumps({"from": str(self._instance), **message}, separators=(",", ":"))
        if len(text) <= _LONGEST_NOTICE:
            await self._run(b"select pg_notify(%s, %s)", [CHANNEL, text])
            return
        await self._run(
            b"with kept as (insert into aerodb_internal.realtime_mail (message) values (%s) "
            b"returning id) select pg_notify(%s, json_build_object('from', %s::text, 'mail', id)"
            b"::text) from kept",
            [text, CHANNEL, str(self._instance)],
        )

    async def _take(self) -> None:
        while True:
            payload = await self._incoming.get()
            try:
                await self._handle(payload)
            except (psycopg.Error, PoolTimeout, OSError) as problem:
                log.warning("a message is lost: %s", type(problem).__name__)
            except (ValueError, LookupError, TypeError, AttributeError):
                # Whoever may connect to the database may notify.
                log.warning("a message of another instance cannot be read")

    async def _handle(self, payload: str) -> None:
        told = json.loads(payload)
        sender = str(UUID(told["from"]))
        if sender == str(self._instance):
            return
        if "mail" in told:
            rows = await self._run(
                b"select message from aerodb_internal.realtime_mail where id = %s", [told["mail"]]
            )
            told = json.loads(rows[0][0]) if rows else {"kind": "nothing"}
        self._receive(sender, told)

    async def _run(self, query: bytes, parameters: Any) -> list[tuple[Any, ...]]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(query, parameters)
            return await cursor.fetchall() if cursor.description is not None else []
