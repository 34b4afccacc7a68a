"""Connections to the database: as the storage part itself, and as whoever calls (§1.4)."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from aerodb.local.rest.roles import Roles, load_roles
from aerodb.local.storage.errors import StorageError, invalid

Connection: TypeAlias = psycopg.AsyncConnection[DictRow]
Query: TypeAlias = str | sql.SQL | sql.Composed
LOGIN_ROLES = frozenset({"authenticator", "aerodb_auth", "aerodb_storage", "none"})
"""No token may name one of these: they are for what the instance itself has to do (J6). The last
is no role: it would leave the login role as it is."""
_CONNECTIONS = 10
_WAIT_SECONDS = 10.0
_IDLE_SECONDS = 60.0
_CLOSE_SECONDS = 3.0
_ROLES_SECONDS = 60.0
_SECRET = frozenset({"authorization", "apikey", "cookie", "x-signature"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a statement runs as, and what it can learn about the request."""

    role: str
    claims: dict[str, Any] | None = field(repr=False)
    authenticated: bool
    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)

    @property
    def id(self) -> UUID | None:
        """The id of the signed-in user; None for keys, and for tokens of somebody without one."""
        try:
            return UUID(str((self.claims or {})["sub"]))
        except (KeyError, ValueError):
            return None

    def denied(self) -> StorageError:
        """Return the error of something that this caller may not do."""
        if not self.authenticated:
            return StorageError("authentication_required", "Authentication required")
        return StorageError("access_denied", "Not authorized to do this")

    def settings(self) -> list[tuple[str, str]]:
        """Return what the transaction knows about the request, the role among it."""
        shown = {name: text for name, text in self.headers.items() if name not in _SECRET}
        return [
            ("role", self.role),
            ("request.jwt.claims", json.dumps({**(self.claims or {}), "role": self.role})),
            ("request.method", self.method),
            ("request.path", self.path),
            ("request.headers", json.dumps(shown)),
            ("request.cookies", "{}"),
        ]


class Store:
    """A pool of connections as `aerodb_storage` (sql/080_storage.sql), opened when first used."""

    def __init__(self, conninfo: str) -> None:
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            conninfo,
            connection_class=psycopg.AsyncConnection[DictRow],
            kwargs={
                "autocommit": True,
                "application_name": "aerodb.local storage",
                "row_factory": dict_row,
            },
            min_size=0,
            max_size=_CONNECTIONS,
            max_idle=_IDLE_SECONDS,
            timeout=_WAIT_SECONDS,
            open=False,
            name="aerodb-local-storage",
        )
        self._roles = Roles()
        self._roles_until = 0.0

    async def open(self) -> None:
        """Make the pool ready; no connection is made yet."""
        await self._pool.open()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close(timeout=_CLOSE_SECONDS)

    @contextlib.asynccontextmanager
    async def as_service(self) -> AsyncGenerator[Connection]:
        """One transaction as the storage part itself; it is committed unless the block raises."""
        with _translated():
            async with self._connection() as connection, connection.transaction():
                yield connection

    @contextlib.asynccontextmanager
    async def as_caller(self, caller: Caller) -> AsyncGenerator[Connection]:
        """One transaction as `caller`; it is committed unless the block raises."""
        async with self.as_service() as connection, self.becoming(connection, caller):
            yield connection

    @contextlib.asynccontextmanager
    async def becoming(self, connection: Connection, caller: Caller) -> AsyncGenerator[None]:
        """The rest of a transaction as `caller`: nothing of ours may follow in it."""
        try:
            await self._become(connection, caller)
            yield
        except psycopg.errors.InsufficientPrivilege:
            raise caller.denied() from None

    async def _become(self, connection: Connection, caller: Caller) -> None:
        if caller.role in LOGIN_ROLES:
            raise _no_role(caller)
        settings = [*self._roles.settings.get(caller.role, ()), *caller.settings()]
        calls = [sql.SQL("set_config({}, {}, true)").format(*setting) for setting in settings]
        try:
            await connection.execute(sql.SQL("select ") + sql.SQL(", ").join(calls))
        except (psycopg.errors.InsufficientPrivilege, psycopg.DataError):
            raise _no_role(caller) from None

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Connection]:
        """A connection that works; if one has died unused, so have the others."""
        async with self._pool.connection() as connection:
            if await _works(connection):
                await self._learn_roles(connection)
                yield connection
                return
        await self._pool.check()
        async with self._pool.connection() as connection:
            yield connection

    async def _learn_roles(self, connection: Connection) -> None:
        """What `ALTER ROLE ... SET` says, now and then: SET ROLE does not apply it."""
        if time.monotonic() > self._roles_until:
            self._roles_until = time.monotonic() + _ROLES_SECONDS
            self._roles = await load_roles(connection)


async def _works(connection: Connection) -> bool:
    try:
        await connection.execute("")
    except psycopg.OperationalError:
        return False
    return True


def _no_role(caller: Caller) -> StorageError:
    message = f'permission denied to set role "{caller.role}"'
    return StorageError("insufficient_permissions", message)


@contextlib.contextmanager
def _translated() -> Generator[None]:
    """Say what has become of a transaction in this part's own words."""
    try:
        yield
    except psycopg.errors.DiskFull:
        raise StorageError("storage_full", "The database has no room left") from None
    except psycopg.errors.QueryCanceled:
        raise StorageError("service_unavailable", "The database took too long") from None
    except (PoolTimeout, TooManyRequests, PoolClosed, psycopg.OperationalError):
        raise StorageError("service_unavailable", "The database does not answer") from None
    except (psycopg.errors.RaiseException, psycopg.DataError, psycopg.IntegrityError) as problem:
        # A trigger, a check or a policy that the owner made has said no.
        raise invalid(problem.diag.message_primary or "refused by the database") from None


def _query(query: Query) -> bytes | sql.SQL | sql.Composed:
    return query.encode() if isinstance(query, str) else query


async def one(connection: Connection, query: Query, *parameters: Any) -> dict[str, Any] | None:
    """Return the first row of a statement, None if there is none."""
    cursor = await connection.execute(_query(query), parameters)
    return await cursor.fetchone()


async def every(connection: Connection, query: Query, *parameters: Any) -> list[dict[str, Any]]:
    """Return all rows of a statement."""
    cursor = await connection.execute(_query(query), parameters)
    return await cursor.fetchall()


async def run(connection: Connection, query: Query, *parameters: Any) -> int:
    """Run a statement; return how many rows it wrote."""
    cursor = await connection.execute(_query(query), parameters)
    return cursor.rowcount
