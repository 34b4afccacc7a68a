"""Transactions that run as a subscriber does: its role, its claims, its time limit.

Wire contract §1.4. Connections are of the login that requests use, and none of them keeps anything of
one caller for the next: all of it is local to a transaction that is taken back.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
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
        self,
        identity: Identity,
        schema: str,
        topic: str | None = None,
        *,
        writes: bool = False,
        before: Callable[[AsyncConnection[Any]], Awaitable[Any]] | None = None,
    ) -> AsyncGenerator[tuple[AsyncConnection[Any], Any]]:
        """A transaction as `identity`, with what `before` returned, which ran before that.

        `topic` is a private channel's name. Whatever is written is taken back.
        """
        async with self._pool.connection() as connection:
            if self._roles is None:
                self._roles = await load_roles(connection)
            async with connection.transaction(force_rollback=True):
                found = None if before is None else await before(connection)
                values = self._values(self._roles, identity, schema, topic)
                if not writes:
                    values.append(("transaction_read_only", "on"))
                await _set(connection, values)
                yield connection, found

    def _values(
        self, roles: Roles, identity: Identity, schema: str, topic: str | None
    ) -> list[tuple[str, str]]:
        """Settings of the role come first: the role itself may not have the right to them."""
        path = ", ".join(
            '"' + name.replace('"', '""') + '"' for name in (schema, *self._search_path)
        )
        claims = {**(identity.claims or {}), "role": identity.role}
        return [
            *roles.settings.get(identity.role, ()),
            ("search_path", path),
            ("request.method", "GET"),
            ("request.path", "/realtime"),
            ("request.headers", "{}"),
            ("request.cookies", "{}"),
            ("request.jwt.claims", encode(claims)),
            ("realtime.topic", topic or ""),
            ("role", identity.role),
        ]


async def _set(connection: AsyncConnection[Any], values: list[tuple[str, str]]) -> None:
    calls = ", ".join(["pg_catalog.set_config(%s, %s, true)"] * len(values))
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            f"select {calls}".encode(), [part for pair in values for part in pair]
        )
