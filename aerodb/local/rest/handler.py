"""The REST part as an ASGI application (wire contract §3).

A request goes through authentication, parsing, planning, one transaction, and the answer; each
step either goes on or raises the `RestError` that is the answer.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from itertools import pairwise
from time import perf_counter
from typing import Any, TypeVar

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from aerodb.local.rest.ast import Action, Name, Request
from aerodb.local.rest.catalog import Catalog
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.exchange import Connection, ConnectionLost, has_word
from aerodb.local.rest.idempotency import idempotency_key, run_once
from aerodb.local.rest.leaving import Gone, unless_gone
from aerodb.local.rest.media_types import ANY, JSON, OPENAPI
from aerodb.local.rest.openapi import ServerAddress, openapi_document
from aerodb.local.rest.openapi_load import load_openapi_parts
from aerodb.local.rest.plan import Planner
from aerodb.local.rest.plan.statement import Statement
from aerodb.local.rest.request import HttpRequest, decoded_headers, parse_request
from aerodb.local.rest.responses import (
    Response,
    allowed_media,
    error_response,
    info_response,
    root_response,
    sendable,
    statement_response,
)
from aerodb.local.rest.schema_cache import SchemaCache
from aerodb.local.rest.surroundings import Caller, Context
from aerodb.local.rest.transaction import run_in_transaction, run_statement
from aerodb.local.settings import RestSettings

log = logging.getLogger("aerodb.local.rest")

T = TypeVar("T")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

OPENAPI_VERSION = "14.0"
_WITHOUT_STATEMENT = frozenset({Action.INFO_RELATION, Action.INFO_ROOT})


class RestService:
    """The database over HTTP, in PostgREST's dialect.

    `authenticate` gets the request's headers (lower-case names) and tells the role, or raises the
    `RestError` of a 401. `idempotency` honours `Idempotency-Key` headers, for which the database
    must hold what `bootstrap` puts there.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        settings: RestSettings,
        authenticate: Callable[[Mapping[str, str]], Caller],
        *,
        idempotency: bool = False,
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._authenticate = authenticate
        self._idempotency = idempotency
        self._cache = SchemaCache(pool, settings)
        self._minimal = settings.client_error_verbosity == "minimal"

    async def start(self) -> None:
        """Load the schema cache and listen for its reload; a failed load is retried for ever."""
        await self._cache.start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._cache.stop()

    async def reload(self) -> None:
        """Read roles and catalog anew, as a notification has it done."""
        await self._cache.reload()

    def has_relation(self, name: str) -> bool:
        """Tell whether an exposed schema has a relation of this name."""
        loaded = self._cache.current
        schemas = self._settings.db_schemas
        return loaded is not None and any(Name(s, name) in loaded.catalog.tables for s in schemas)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        try:
            http = await self._received(scope, receive)
            response = await self._guarded(http, scope, receive)
        except RestError as error:
            response = error_response(self._with_retry_hint(error), minimal=self._minimal)
        except Gone:
            return
        complete = sendable(self._traced(response, scope))
        await _send(send, complete, scope["method"] == "HEAD")

    # --- the request -------------------------------------------------------------------------

    async def _received(self, scope: Scope, receive: Receive) -> HttpRequest:
        path = _path_below_mount(scope)
        query: bytes = scope["query_string"]
        if len(path) + len(query) > self._settings.max_url_bytes:
            raise RestError(414, "AERO414", "URL is too long")
        headers = decoded_headers(scope["headers"])
        body = await _body(headers, receive, self._settings.max_body_bytes)
        return HttpRequest(scope["method"], path, query, headers, body)

    async def _guarded(self, http: HttpRequest, scope: Scope, receive: Receive) -> Response:
        """The answer; a fault of ours is told as one, with the traceback in the log alone."""
        try:
            return await self._answer(http, scope, receive)
        except (RestError, Gone):
            raise
        except Exception:
            log.exception("a request could not be answered")
            raise RestError(500, "PGRSTX00", "Internal error") from None

    async def _answer(self, http: HttpRequest, scope: Scope, receive: Receive) -> Response:
        started = perf_counter()
        # Of several headers of one name the first counts, here as everywhere.
        caller = self._authenticate(dict(reversed(http.headers)))
        loaded = self._cache.current
        if loaded is None:
            message = "Could not query the database for the schema cache. Retrying."
            raise RestError(503, "PGRST002", message)
        context = Context(self._settings, loaded.roles, loaded.epoch)
        authenticated = perf_counter()
        request = parse_request(http, self._settings)
        parsed = perf_counter()
        if request.action is Action.ROOT:
            planned = parsed
            response = await self._root(request, loaded.catalog, caller, context, scope)
            executed = perf_counter()
        else:
            statement = _planned(request, loaded.planner)
            planned = executed = perf_counter()
            if statement is None or statement.kind == "info":
                routine = None if statement is None else statement.routine
                response = info_response(request, loaded.catalog, routine)
            else:
                self._refuse_unsafe(request, statement, caller, context)
                work = self._carried_out(http, request, statement, caller, context)
                reads = statement.read_only
                response, executed = await (unless_gone(work, receive) if reads else work)
        if not self._settings.server_timing_enabled:
            return response
        moments = (started, authenticated, parsed, planned, executed, perf_counter())
        return _timed(response, moments)

    async def _carried_out(
        self,
        http: HttpRequest,
        request: Request,
        statement: Statement,
        caller: Caller,
        context: Context,
    ) -> tuple[Response, float]:
        """The answer, and when the transaction had ended."""
        key = idempotency_key(http, caller) if self._idempotency else None
        if key is not None:
            response = await self._with_connection(
                lambda connection: run_once(connection, request, statement, caller, context, key),
                repeatable=True,
            )
            return response, perf_counter()
        outcome = await self._with_connection(
            lambda connection: run_statement(connection, request, statement, caller, context),
            repeatable=statement.read_only,
        )
        executed = perf_counter()
        response = statement_response(request, statement, outcome, minimal=self._minimal)
        return response, executed

    def _refuse_unsafe(
        self, request: Request, statement: Statement, caller: Caller, context: Context
    ) -> None:
        """No UPDATE or DELETE of a whole table by accident (wire contract §3.6): a client whose
        user asked for all rows says so in a header."""
        if not (self._settings.safe_update and statement.unfiltered):
            return
        if ("x-aerodb-all-rows", "true") in request.headers:
            return
        if caller.role not in context.roles.bypassing:
            verb = "UPDATE" if request.action is Action.UPDATE else "DELETE"
            raise RestError(400, "21000", f"{verb} requires a WHERE clause")

    async def _root(
        self, request: Request, catalog: Catalog, caller: Caller, context: Context, scope: Scope
    ) -> Response:
        if not {OPENAPI, JSON, ANY}.intersection(request.accept):
            raise allowed_media(request.accept)
        settings = self._settings
        parts = await self._with_connection(
            lambda connection: run_in_transaction(
                connection,
                request,
                caller,
                context,
                lambda inner: load_openapi_parts(inner, catalog, request.schema, settings),
            ),
            repeatable=True,
        )
        document = openapi_document(
            parts,
            catalog,
            version=OPENAPI_VERSION,
            server=_server_address(scope, settings),
            security_active=settings.openapi_security_active,
        )
        return root_response(request, _json(document))

    # --- the connection ----------------------------------------------------------------------

    async def _with_connection(
        self, work: Callable[[Connection], Awaitable[T]], *, repeatable: bool
    ) -> T:
        """Run `work`; once more if the connection was lost and nothing can have been written."""
        try:
            return await self._once(work)
        except _Lost:
            # What broke one connection has broken all that were idle: they are replaced now.
            await self._pool.check()
            if repeatable:
                with suppress(_Lost):
                    return await self._once(work)
        message = "Database client error. Retrying the connection."
        raise RestError(503, "PGRST001", message)

    async def _once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        connection = await self._acquired()
        try:
            value = await work(connection)
        except (psycopg.OperationalError, ConnectionLost):
            await connection.close()
            await self._pool.putconn(connection)
            raise _Lost from None
        except BaseException:
            # Also when this task is cancelled: the connection goes back, whatever comes.
            await asyncio.shield(self._pool.putconn(connection))
            raise
        await self._pool.putconn(connection)
        return value

    async def _acquired(self) -> Connection:
        """A connection that lives, as far as can be told without asking the server."""
        while True:
            connection = await self._lent()
            if not has_word(connection):
                return connection
            await connection.close()
            await self._pool.putconn(connection)

    async def _lent(self) -> Connection:
        try:
            connection: Connection = await self._pool.getconn()
        except (PoolTimeout, TooManyRequests, PoolClosed):
            if not self._cache.connected:
                raise RestError(503, "PGRST000", "Database connection error.") from None
            message = "Timed out acquiring connection from connection pool."
            raise RestError(504, "PGRST003", message) from None
        return connection

    # --- the answer --------------------------------------------------------------------------

    def _with_retry_hint(self, error: RestError) -> RestError:
        if error.status == 503 and not any(n.lower() == "retry-after" for n, _ in error.headers):
            error.headers = (*error.headers, ("Retry-After", str(self._cache.retry_after)))
        return error

    def _traced(self, response: Response, scope: Scope) -> Response:
        name = self._settings.server_trace_header
        if name is None:
            return response
        wanted = name.lower().encode("latin-1")
        value = next((v for k, v in scope["headers"] if k == wanted), b"").decode("latin-1")
        return Response(response.status, ((name, value), *response.headers), response.body)


def _planned(request: Request, planner: Planner) -> Statement | None:
    """The statement of the request; None where the catalog alone answers."""
    return None if request.action in _WITHOUT_STATEMENT else planner.plan_request(request)


class _Lost(Exception):
    """The connection to the database broke while it was used."""


def _path_below_mount(scope: Scope) -> str:
    """The percent-encoded path without the mount point."""
    raw: bytes | None = scope.get("raw_path")
    root = str(scope.get("root_path") or "")
    path = raw.partition(b"?")[0].decode("latin-1") if raw else str(scope["path"])
    return path.removeprefix(root) or "/"


async def _body(headers: tuple[tuple[str, str], ...], receive: Receive, limit: int) -> bytes:
    for name, value in headers:
        if name == "content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        if chunk:
            chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _too_large(limit: int) -> RestError:
    return RestError(413, "AERO413", f"Request body is larger than {limit} bytes")


def _server_address(scope: Scope, settings: RestSettings) -> ServerAddress:
    if settings.openapi_server_proxy_uri is not None:
        return ServerAddress.of_proxy(settings.openapi_server_proxy_uri)
    host, port = scope.get("server") or ("127.0.0.1", 80)
    base = str(scope.get("root_path") or "") or "/"
    return ServerAddress(str(scope.get("scheme", "http")), str(host), int(port or 80), base)


def _timed(response: Response, moments: tuple[float, ...]) -> Response:
    names = ("jwt", "parse", "plan", "transaction", "response")
    timing = ", ".join(
        f"{name};dur={(end - start) * 1000:.1f}"
        for name, (start, end) in zip(names, pairwise(moments), strict=True)
    )
    headers = (*response.headers, ("Server-Timing", timing))
    return Response(response.status, headers, response.body)


async def _send(send: Send, response: Response, head: bool) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in response.headers
            ],
        }
    )
    await send({"type": "http.response.body", "body": b"" if head else response.body})
