"""Transactions that run as a subscriber does: its role, its claims, its time limit.

Wire contract §1.4. Connections are of the login that requests use, and none of them keeps anything of
one caller for the next: all of it is local to a transaction that is taken back.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from aerodb.local.credentials import Identity
from aerodb.local.realtime.subscriptions import encode
from aerodb.local.rest.roles import Roles, load_roles


class Callers:
    """Opens such transactions."""

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection[Any]], search_path: tuple[str, ...]
    ) -> None:
        self._pool = pool
        self._search_path = search_path
        self._roles: Roles | None = None

    def forget(self) -> None:
        """The schema has changed, and perhaps what is set for roles."""
        self._roles = None

    @contextlib.asynccontextmanager
    async def transaction(
        self, identity: Identity, schema: str, topic: str | None = None
    ) -> AsyncGenerator[AsyncConnection[Any]]:
        """A read-only transaction as `identity`; `topic` is a private channel's name."""
        async with self._pool.connection() as connection:
            if self._roles is None:
                self._roles = await load_roles(connection)
            async with connection.transaction(force_rollback=True):
                await self._become(connection, identity, schema, topic)
                yield connection

    async def _become(
        self, connection: AsyncConnection[Any], identity: Identity, schema: str, topic: str | None
    ) -> None:
        assert self._roles is not None
        path = ", ".join(
            '"' + name.replace('"', '""') + '"' for name in (schema, *self._search_path)
        )
        claims = {**(identity.claims or {}), "role": identity.role}
        values = [
            *self._roles.settings.get(identity.role, ()),
            ("search_path", path),
            ("request.method", "GET"),
            ("request.path", "/realtime"),
            ("request.headers", "{}"),
            ("request.cookies", "{}"),
            ("request.jwt.claims", encode(claims)),
            ("realtime.topic", topic or ""),
            ("role", identity.role),
        ]
        query = ", ".join(["pg_catalog.set_config(%s, %s, true)"] * len(values))
        async with connection.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(
                f"select {query}".encode(), [part for pair in values for part in pair]
            )
