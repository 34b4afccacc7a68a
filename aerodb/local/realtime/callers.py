"""Transactions that run as a subscriber does: its role, its claims, its time limit.

Wire contract §1.4. Connections are of the login that requests use, and none of them keeps anything
of one caller for the next: all of it is local to a transaction that is taken back.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from aerodb.local.credentials import Identity
from aerodb.local.realtime.subscriptions import encode
from aerodb.local.realtime.tables import FRESH_SECONDS
from aerodb.local.rest.roles import Roles, load_roles

_REMEMBERED_ROLES = 1000


class Callers:
    """Opens such transactions."""

    def __init__(
        self, pool: AsyncConnectionPool[AsyncConnection[Any]], search_path: tuple[str, ...]
    ) -> None:
        self._pool = pool
        self._search_path = search_path
        self._roles: Roles | None = None
        self._may_become: dict[str, tuple[float, bool]] = {}

    def forget(self) -> None:
        """The schema has changed, and perhaps what is set for roles."""
        self._roles = None
        self._may_become.clear()

    async def may_become(self, role: str) -> bool:
        """Whether requests can act as this role: what a token names need not be one of them."""
        known = self._may_become.get(role)
        if known is not None and time.monotonic() - known[0] < FRESH_SECONDS:
            return known[1]
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            right = "set" if connection.info.server_version >= 160000 else "member"
            await cursor.execute(
                "select pg_catalog.pg_has_role(current_user, r.oid, %s) "
                "from pg_catalog.pg_roles r where r.rolname = %s",
                [right, role],
            )
            row = await cursor.fetchone()
        may = row is not None and bool(row[0])
        if len(self._may_become) >= _REMEMBERED_ROLES:
            self._may_become.clear()
        self._may_become[role] = (time.monotonic(), may)
        return may

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
        await cursor.execute(f"select {calls}".encode(), [part for pair in values for part in pair])


def user_of(identity: Identity) -> str | None:
    """Return the user that an identity acts for."""
    sub = (identity.claims or {}).get("sub")
    return sub if isinstance(sub, str) and sub else None
