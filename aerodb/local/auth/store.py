"""Connections to the database for the auth part, and what their failures are called."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any, TypeAlias

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from aerodb.local.auth.errors import AuthError, invalid

Connection: TypeAlias = psycopg.AsyncConnection[DictRow]
_CONNECTIONS = 5
_WAIT_SECONDS = 10.0
_IDLE_SECONDS = 60.0
_CLOSE_SECONDS = 3.0


class Store:
    """A pool of connections as `aerodb_auth` (sql/070_auth_tables.sql), opened when first used."""

    def __init__(self, conninfo: str) -> None:
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            conninfo,
            connection_class=psycopg.AsyncConnection[DictRow],
            kwargs={
                "autocommit": True,
                "application_name": "aerodb.local auth",
                "row_factory": dict_row,
            },
            min_size=0,
            max_size=_CONNECTIONS,
            max_idle=_IDLE_SECONDS,
            timeout=_WAIT_SECONDS,
            open=False,
            name="aerodb-local-auth",
        )

    async def open(self) -> None:
        """Make the pool ready; no connection is made yet."""
        await self._pool.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close(timeout=_CLOSE_SECONDS)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """One transaction: it is committed unless the block raises."""
        try:
            async with self._connection() as connection, connection.transaction():
                yield connection
        except (PoolTimeout, TooManyRequests, PoolClosed, psycopg.OperationalError):
            message = "The database does not answer."
            raise AuthError("service_unavailable", message, retry_after=1) from None
        except psycopg.errors.RaiseException as problem:
            # A trigger that the owner put on these tables has said no.
            raise invalid(problem.diag.message_primary or "refused by a trigger") from None

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection]:
        """A connection that works.

        What broke one while it lay unused has broken all of them: they are replaced at once. The
        pool's own check would wait a little longer after each.
        """
        async with self._pool.connection() as connection:
            if await _works(connection):
                yield connection
                return
        await self._pool.check()
        async with self._pool.connection() as connection:
            yield connection


async def _works(connection: Connection) -> bool:
    try:
        await connection.execute("")
    except psycopg.OperationalError:
        return False
    return True


async def one(connection: Connection, query: str, *parameters: Any) -> dict[str, Any] | None:
    """Return the first row of a statement, None if there is none."""
    cursor = await connection.execute(query.encode(), parameters)
    return await cursor.fetchone()


async def every(connection: Connection, query: str, *parameters: Any) -> list[dict[str, Any]]:
    """Return all rows of a statement."""
    cursor = await connection.execute(query.encode(), parameters)
    return await cursor.fetchall()


async def run(connection: Connection, query: str, *parameters: Any) -> int:
    """Run a statement; return how many rows it wrote."""
    cursor = await connection.execute(query.encode(), parameters)
    return cursor.rowcount
