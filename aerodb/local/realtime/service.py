"""The ASGI side: the handshake (wire contract §4.4), and putting the part together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from aerodb.local.credentials import Identity
from aerodb.local.database import Database
from aerodb.local.realtime.bindings import Bindings
from aerodb.local.realtime.callers import Callers
from aerodb.local.realtime.connection import Connection
from aerodb.local.realtime.delivery import Delivery
from aerodb.local.realtime.feed import Feed
from aerodb.local.realtime.log import Log
from aerodb.local.realtime.parts import Parts
from aerodb.local.realtime.tables import Tables
from aerodb.local.replies import (
    Receive,
    Scope,
    Send,
    as_handshake_answer,
    platform_error_body,
    send_json,
)
from aerodb.local.rest.errors import RestError
from aerodb.local.settings import InstanceSettings

PREFIX = "/realtime"
FEATURES = ("realtime.auth", "realtime.resume", "realtime.presence")
Authenticate = Callable[[Mapping[str, str]], Identity]
Pool = AsyncConnectionPool[AsyncConnection[Any]]
_LOG_CONNECTIONS = 4
_CALLER_CONNECTIONS = 4
_WAIT_SECONDS = 10.0
_CLOSE_SECONDS = 3.0


class RealtimeService:
    """The realtime part over a database; `conninfo` opens its log, `login` is for callers."""

    def __init__(
        self, conninfo: str, login: str, database: Database, authenticate: Authenticate
    ) -> None:
        rest = database.rest
        self._conninfo = conninfo
        self._log_pool = _pool(conninfo, _LOG_CONNECTIONS, "aerodb-local-realtime")
        self._caller_pool = _pool(login, _CALLER_CONNECTIONS, "aerodb-local-realtime-callers")
        self._authenticate = authenticate
        self._tables = Tables(self._log_pool)
        self._callers = Callers(self._caller_pool, rest.db_extra_search_path)
        log = Log(self._log_pool, uuid4())
        delivery = Delivery(self._tables, self._callers)
        self._feed = Feed(log, self._tables, delivery, self._connect)
        self._feed.listen(rest.db_channel, self._schema_changed)
        bindings = Bindings(rest.db_schemas, self._tables, self._callers, log, self._feed)
        self._parts = Parts(self._feed, bindings, FEATURES)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Find the end of the log and follow it from there."""
        await self._log_pool.open()
        await self._caller_pool.open()
        await self._feed.open()
        self._task = asyncio.create_task(self._feed.run(), name="aerodb-realtime-feed")

    async def stop(self) -> None:
        """Close everything."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._caller_pool.close(timeout=_CLOSE_SECONDS)
        await self._log_pool.close(timeout=_CLOSE_SECONDS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket, or answer one HTTP request."""
        if scope["type"] == "websocket":
            await self._serve(scope, receive, send)
            return
        body = platform_error_body(404, "not_found", "There is nothing here.")
        await send_json(send, 404, body, [(b"x-aerodb-error", b"not_found")])

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        try:
            identity = self._authenticate(headers)
        except RestError as problem:
            code = "invalid_token"
            body = platform_error_body(problem.status, code, problem.message)
            said = [
                (n.lower().encode(), v.encode("latin-1", "replace")) for n, v in problem.headers
            ]
            said.append((b"x-aerodb-error", code.encode()))
            await send_json(as_handshake_answer(send), problem.status, body, said)
            return
        await send({"type": "websocket.accept"})
        connection = Connection(self._parts, identity, send)
        self._parts.connections[connection.id] = connection
        try:
            await connection.run(receive)
        finally:
            del self._parts.connections[connection.id]

    def _schema_changed(self, payload: str) -> None:
        self._tables.forget()
        self._callers.forget()

    async def _connect(self) -> AsyncConnection[Any]:
        return await AsyncConnection.connect(
            self._conninfo, autocommit=True, application_name="aerodb.local realtime"
        )


def make_realtime_service(
    settings: InstanceSettings, database: Database, authenticate: Authenticate
) -> RealtimeService | None:
    """Return the realtime part of an instance; None if it is not wanted, or has no log."""
    wanted = settings.services is None or "realtime" in settings.services
    if not wanted or database.realtime is None:
        return None
    return RealtimeService(database.realtime, database.login, database, authenticate)


def _pool(conninfo: str, most: int, name: str) -> Pool:
    return AsyncConnectionPool(
        conninfo,
        connection_class=AsyncConnection[Any],
        kwargs={"autocommit": True, "application_name": "aerodb.local realtime"},
        min_size=0,
        max_size=most,
        max_idle=60.0,
        timeout=_WAIT_SECONDS,
        open=False,
        name=name,
    )
