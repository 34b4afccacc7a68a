"""The HTTP side of an instance: a thread with an event loop, a connection pool and uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from importlib import import_module
from typing import Any, Protocol

import uvicorn
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from aerodb.local.app import Front, unavailable
from aerodb.local.auth.routes import DEVELOPMENT_PREFIX, PREFIX
from aerodb.local.auth.service import FEATURES as AUTH_FEATURES
from aerodb.local.auth.service import AuthService, make_auth_service
from aerodb.local.cors import CorsPolicy
from aerodb.local.credentials import Identity, InstanceCredentials, PostgrestCredentials
from aerodb.local.database import Database
from aerodb.local.errors import LocalError
from aerodb.local.functions.service import FEATURES as FUNCTIONS_FEATURES
from aerodb.local.functions.service import PREFIX as FUNCTIONS_PREFIX
from aerodb.local.functions.service import FunctionsService, make_functions_service
from aerodb.local.hosts import HostGate
from aerodb.local.protocol import BoundedProtocol
from aerodb.local.realtime.service import FEATURES as REALTIME_FEATURES
from aerodb.local.realtime.service import PREFIX as REALTIME_PREFIX
from aerodb.local.realtime.service import RealtimeService, make_realtime_service
from aerodb.local.replies import AsgiApp, Receive, Scope, Send
from aerodb.local.request_log import RequestLog
from aerodb.local.settings import InstanceSettings, PoolSettings, RestSettings
from aerodb.local.storage.http import PREFIX as STORAGE_PREFIX
from aerodb.local.storage.service import FEATURES as STORAGE_FEATURES
from aerodb.local.storage.service import StorageService, make_storage_service
from aerodb.local.websocket import MAXIMUM_MESSAGE_BYTES, BoundedWebSocket

FEATURES = ("rest.postgrest",)
OWN_FEATURES = ("idempotency-key",)
"""Of a database that `bootstrap` has put the instance's own tables into (wire contract §7)."""
START_SECONDS = 30.0
STOP_SECONDS = 10.0
_GRACE_SECONDS = 3
_LOOK_SECONDS = 0.05
_PARSER_BYTES = 128 * 1024
Authenticate = Callable[[Mapping[str, str]], Identity]
_REST_HANDLER = "aerodb.local.rest.handler"

log = logging.getLogger("aerodb.local")


class RestApp(Protocol):
    """What `aerodb.local.rest.handler.RestService` offers."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def reload(self) -> None: ...
    def has_relation(self, name: str) -> bool: ...
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class HttpThread:
    """Serves one database on one listening socket until `stop`."""

    def __init__(
        self, settings: InstanceSettings, database: Database, listener: socket.socket
    ) -> None:
        self._settings = settings
        self._database = database
        self._listener = listener
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._server: uvicorn.Server | None = None
        self._rest_status = "starting"
        self._handler = _rest_handler()
        self._rest: RestApp | None = None
        self._auth: AuthService | None = None
        self._realtime: RealtimeService | None = None
        self._storage: StorageService | None = None
        self._functions: FunctionsService | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="aerodb-local-http", daemon=True)

    def start(self) -> None:
        """Start the thread and wait until requests are answered."""
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise LocalError(f"The HTTP server did not start in {START_SECONDS:g} s.")
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Finish running requests, at most a few seconds, and end the thread."""
        if self._server is not None:
            self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def reload(self) -> None:
        """Ask the REST part to read roles and catalog anew; returns at once."""
        if self._loop is not None and self._rest is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                asyncio.run_coroutine_threadsafe(self._rest.reload(), self._loop)

    @property
    def alive(self) -> bool:
        """Tell whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            with _quiet():
                asyncio.run(self._serve())
        except BaseException as problem:
            self._failure = problem  # for the thread that waits
            if self._ready.is_set():  # nobody waits any more
                log.error("the HTTP side of the instance broke down", exc_info=problem)
        finally:
            self._listener.close()
            self._ready.set()

    async def _serve(self) -> None:
        credentials = make_authenticator(self._settings, self._database)
        async with _opened_pool(self._database.login, self._database) as pool:
            self._loop = asyncio.get_running_loop()
            self._rest = rest = self._rest_service(pool, credentials)
            self._auth = make_auth_service(self._settings, self._database, credentials)
            self._storage = make_storage_service(self._settings, self._database, credentials)
            self._realtime = make_realtime_service(
                self._settings,
                self._database,
                credentials,
                None if self._auth is None else self._auth.session_lives,
            )
            self._functions = make_functions_service(
                self._settings, self._database, credentials, self._url
            )
            parts = (rest, self._auth, self._storage, self._realtime, self._functions)
            async with contextlib.AsyncExitStack() as stack:
                for service in parts:
                    if service is not None:
                        stack.push_async_callback(service.stop)
                        await service.start()
                self._rest_status = "starting" if rest is None else "ok"
                await self._listen(RequestLog(self._front(rest or unavailable)))

    def _rest_service(
        self, pool: AsyncConnectionPool[Any], authenticate: Authenticate
    ) -> RestApp | None:
        if self._handler is None:
            return None
        service: RestApp = self._handler.RestService(
            pool, self._database.rest, authenticate, idempotency=self._database.bootstrapped
        )
        return service

    def _front(self, rest: AsgiApp) -> Front:
        settings, rules = self._settings, self._database.rest
        mounts = {settings.rest_path: rest}
        features = FEATURES + (OWN_FEATURES if self._database.bootstrapped else ())
        if self._auth is not None:
            mounts |= {PREFIX: self._auth, DEVELOPMENT_PREFIX: self._auth}
            features += AUTH_FEATURES
        if self._realtime is not None:
            mounts[REALTIME_PREFIX] = self._realtime
            features += REALTIME_FEATURES
        if self._storage is not None:
            mounts[STORAGE_PREFIX] = self._storage
            features += STORAGE_FEATURES
        if self._functions is not None:
            mounts |= {FUNCTIONS_PREFIX: self._functions}
            features += FUNCTIONS_FEATURES
        return Front(
            mounts,
            rest_path=settings.rest_path,
            gate=HostGate(settings.host, settings.allow_hosts),
            cors=CorsPolicy(
                rules.server_cors_allowed_origins,
                refuses=self._database.bootstrapped or len(mounts) > 1,  # more than PostgREST has
            ),
            health=self._health,
            features=features,
            max_body_bytes=rules.max_body_bytes,
            own_limits=(STORAGE_PREFIX,),
            max_url_bytes=rules.max_url_bytes,
            trace_header=rules.server_trace_header,
            websocket=self._realtime,
            is_relation=self._is_relation,
        )

    @property
    def _url(self) -> str:
        """Where programs on this machine reach the instance."""
        bound, port = self._listener.getsockname()[:2]
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound to
        host = everywhere.get(str(bound), str(bound))
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def _is_relation(self, path: str) -> bool:
        """Tell whether the path is a table of a REST part that is at the root."""
        if self._rest is None or self._settings.rest_path != "/":
            return False
        return self._rest.has_relation(path[1:])

    async def _listen(self, app: AsgiApp) -> None:
        config = uvicorn.Config(
            app,
            # Over h11, which refuses two Host headers and leaves the target as it was.
            http=BoundedProtocol,
            ws=BoundedWebSocket,
            ws_max_size=MAXIMUM_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            ws_ping_interval=None,
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            h11_max_incomplete_event_size=_PARSER_BYTES,
        )
        self._server = _ReadyServer(config, self._ready.set)
        await self._server.serve(sockets=[self._listener])

    def _health(self) -> tuple[str, dict[str, str]]:
        rest = self._rest_status if self._database.healthy else "down"
        services = {"rest": rest}
        if self._auth is not None:
            services["auth"] = "ok" if self._database.healthy else "down"
        if self._realtime is not None:
            follows = self._database.healthy and self._realtime.alive
            services["realtime"] = "ok" if follows else "down"
        if self._storage is not None:
            services["storage"] = "ok" if self._database.healthy else "down"
        if self._functions is not None:
            services["functions"] = "ok"
        whole = "degraded" if "down" in services.values() else rest
        return whole, services


_EXPECTED = (
    "Cancel %s running task(s), timeout graceful shutdown exceeded",
    "discarding closed connection",
    "query cancellation interrupted",
)


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Leave out what two libraries warn of and what is meant here: that requests are cut short at
    the end, and that a connection whose statement was cancelled is not used again."""
    thread = threading.get_ident()

    def is_news(record: logging.LogRecord) -> bool:
        return record.thread != thread or not str(record.msg).startswith(_EXPECTED)

    loggers = [logging.getLogger(name) for name in ("uvicorn.error", "psycopg.pool", "psycopg")]
    for logger in loggers:
        logger.addFilter(is_news)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_news)


class _ReadyServer(uvicorn.Server):
    """Tells when it listens, which uvicorn itself only writes to a log."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close those too who come in meanwhile, and in the end whoever is still there.

        uvicorn tells those whom it knows at the beginning, and leaves open what outlasts its grace.
        asyncio loses those whom it has accepted, and not yet introduced, when it stops to listen.
        """
        for listener in sockets or []:
            asyncio.get_running_loop().remove_reader(listener)
        await asyncio.sleep(0)  # introduces those who have been accepted
        told = set(self.server_state.connections)
        ending = asyncio.ensure_future(super().shutdown(sockets))
        while not ending.done():
            for connection in self.server_state.connections - told:
                connection.shutdown()
                told.add(connection)
            await asyncio.wait({ending}, timeout=_LOOK_SECONDS)
        await ending
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the process's signals to whoever owns the process."""
        yield


def make_authenticator(settings: InstanceSettings, database: Database) -> Authenticate:
    """Return the rules of wire contract §1.4 for an own database, PostgREST's for a foreign one."""
    if database.keys is None:
        return PostgrestCredentials(database.rest).authenticate
    return InstanceCredentials(
        database.rest, database.keys, require_apikey=settings.require_apikey
    ).authenticate


@contextlib.asynccontextmanager
async def _opened_pool(
    conninfo: str, database: Database
) -> AsyncGenerator[AsyncConnectionPool[Any]]:
    pool = make_pool(conninfo, database.pool, database.rest)
    try:
        await pool.open(wait=True, timeout=database.pool.db_pool_acquisition_timeout)
        yield pool
    except PoolTimeout:
        raise LocalError("The database does not take connections for requests.") from None
    finally:
        await pool.close(timeout=_GRACE_SECONDS)


def make_pool(conninfo: str, pool: PoolSettings, rest: RestSettings) -> AsyncConnectionPool[Any]:
    """Return the pool that requests take their connections from, not opened yet."""
    options: dict[str, Any] = {"autocommit": True, "application_name": "aerodb.local"}
    if not rest.db_prepared_statements:
        options["prepare_threshold"] = None
    return AsyncConnectionPool(
        conninfo,
        kwargs=options,
        min_size=1,
        max_size=max(1, pool.db_pool),
        open=False,
        name="aerodb-local",
        timeout=pool.db_pool_acquisition_timeout,
        max_lifetime=pool.db_pool_max_lifetime,
        max_idle=pool.db_pool_max_idletime,
    )


def preload() -> None:
    """Import the REST part in a thread of its own, while the start waits for PostgreSQL.

    Whatever is wrong with it comes up again, and is told, when `HttpThread` imports it.
    """

    def load() -> None:
        with contextlib.suppress(ImportError):
            import_module(_REST_HANDLER)

    threading.Thread(target=load, name="aerodb-local-import", daemon=True).start()


def _rest_handler() -> Any:
    try:
        return import_module(_REST_HANDLER)
    except ModuleNotFoundError as problem:
        if problem.name != _REST_HANDLER:
            raise
        return None
