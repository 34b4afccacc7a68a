"""`LocalServer`: a whole instance from Python, for tests, notebooks and the command line."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jwt
import psycopg
from psycopg.rows import dict_row

from aerodb.local.credentials import ISSUER
from aerodb.local.database import Database, open_database
from aerodb.local.errors import LocalError
from aerodb.local.hosts import is_loopback
from aerodb.local.keys import Keys
from aerodb.local.options import from_keywords
from aerodb.local.running import announce, withdraw
from aerodb.local.serving import HttpThread, preload
from aerodb.local.settings import SERVICES, InstanceSettings
from aerodb.local.storage.location import parse_location

_ANY_IPV4 = "0.0.0.0"  # noqa: S104 - only with allow_remote, see _check
_ANY_IPV6 = "::"
# PostgREST's words for "all addresses".
_WILDCARDS = {"!4": _ANY_IPV4, "*4": _ANY_IPV4, "*": _ANY_IPV4, "!6": _ANY_IPV6, "*6": _ANY_IPV6}


class LocalServer:
    """An AeroDB on a loopback port of this machine, over an embedded PostgreSQL.

        with LocalServer(schema=["schema.sql"]) as server:
            client = AeroDBClient(server.url, server.anon_key)

    Args:
        schema: SQL files (paths, or strings that end in `.sql`) or SQL texts, applied once.
        data: the data folder; None: a temporary one, deleted by `close`.
        migrations: a folder whose `*.sql` are applied in order, each once.
        database_url: another PostgreSQL (>= 14) to serve instead of an embedded one.
        functions: a folder whose `NAME.py` answer at `/functions/v1/NAME`.
        host, port: where to listen; port 0 is a free one.
        settings: more of `InstanceSettings`, and PostgREST's settings by their names, such as
            `db_schemas="public, api"` or `db_max_rows=100`.
    """

    def __init__(
        self,
        *,
        schema: Sequence[str | os.PathLike[str]] = (),
        data: str | os.PathLike[str] | None = None,
        migrations: str | os.PathLike[str] | None = None,
        database_url: str | None = None,
        functions: str | os.PathLike[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        **settings: Any,
    ) -> None:
        own = {name: settings.pop(name) for name in _own_names(settings)}
        self._settings = InstanceSettings(
            data=None if data is None else Path(data),
            database_url=database_url,
            schema=_schema(schema),
            migrations=None if migrations is None else Path(migrations),
            functions=None if functions is None else Path(functions),
            host=_WILDCARDS.get(host, host),
            port=port,
            explicit=from_keywords(settings),
            **own,
        )
        _check(self._settings)
        self._database: Database | None = None
        self._http: HttpThread | None = None
        self._port = 0

    def __repr__(self) -> str:
        state = f"url={self.url!r}" if self._http is not None else "not running"
        return f"<LocalServer {state}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> Self:
        """Start the database and the HTTP server; return when requests are answered."""
        if self._database is not None:
            raise LocalError("This server has been started already.")
        listener = _listen(self._settings.host, self._settings.port)
        try:
            self._port = int(listener.getsockname()[1])
            preload()
            self._database = self._open_database()
            self._http = HttpThread(self._settings, self._database, listener)
            self._http.start()
            if self._database.folder is not None:
                announce(self._database.folder.path, self.url)
        except BaseException:
            listener.close()
            self.close()
            raise
        return self

    def close(self) -> None:
        """Stop everything that was started; a second call does nothing."""
        http, self._http = self._http, None
        database, self._database = self._database, None
        if database is not None and database.folder is not None:
            withdraw(database.folder.path)
        try:
            if http is not None:
                http.stop()
        finally:
            if database is not None:
                self._close_database(database)

    def _open_database(self) -> Database:
        return open_database(self._settings)

    def _close_database(self, database: Database) -> None:
        database.close()

    def reload(self) -> None:
        """Read roles and catalog anew, as `NOTIFY pgrst` does; returns before that is done."""
        if self._http is not None:
            self._http.reload()

    @property
    def url(self) -> str:
        """The base URL, for `AeroDBClient(url, ...)`."""
        host = self._settings.host
        if host in (_ANY_IPV4, _ANY_IPV6):
            host = "127.0.0.1"
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    @property
    def settings(self) -> InstanceSettings:
        """What the server was made with."""
        return self._settings

    @property
    def listening_host(self) -> str:
        """The address that the server listens on."""
        return self._settings.host

    @property
    def anon_key(self) -> str:
        """The publishable key: role `anon`, may be shown to anybody."""
        return self._keys.publishable

    @property
    def service_key(self) -> str:
        """The secret key: role `service_role`, row-level security does not hold it back."""
        return self._keys.secret

    @property
    def jwt_secret(self) -> str:
        """The secret that access tokens are signed with."""
        configured = self._running.rest.jwt_secret
        return self._keys.jwt_secret if configured is None else configured

    @property
    def database_url(self) -> str:
        """A PostgreSQL URL for the owner of the database; it holds the password."""
        return self._running.url

    @property
    def database(self) -> Database:
        """What the running instance knows about its database."""
        return self._running

    @property
    def alive(self) -> bool:
        """Tell whether both the HTTP server and the database still run."""
        return (
            self._http is not None
            and self._http.alive
            and self._database is not None
            and self._database.healthy
        )

    def execute_sql(
        self, sql: str, parameters: Sequence[Any] | None = None
    ) -> list[dict[str, Any]]:
        """Run SQL as the owner of the database; return the rows of the last statement."""
        with (
            psycopg.connect(self._running.owner, autocommit=True) as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            cursor.execute(sql.encode(), parameters)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description is not None else []

    def create_token(
        self, role: str = "authenticated", *, expires_in: float = 3600.0, **claims: Any
    ) -> str:
        """Return an access token for `role`, signed by this instance (wire contract §1.4)."""
        now = int(time.time())
        issued = {"iss": ISSUER, "aud": ISSUER, "role": role, "iat": now}
        issued["exp"] = int(now + expires_in)
        return jwt.encode({**issued, **claims}, self.jwt_secret, algorithm="HS256")

    @property
    def _running(self) -> Database:
        if self._database is None:
            raise LocalError("This server is not running.")
        return self._database

    @property
    def _keys(self) -> Keys:
        keys = self._running.keys
        if keys is None:
            raise LocalError("Over a foreign database there are no API keys, only tokens.")
        return keys


_OWN_NAMES = frozenset(entry.name for entry in fields(InstanceSettings))


def _own_names(settings: dict[str, Any]) -> list[str]:
    return [name for name in settings if name in _OWN_NAMES]


def _schema(entries: Sequence[str | os.PathLike[str]]) -> tuple[str | Path, ...]:
    if isinstance(entries, str | os.PathLike):
        raise TypeError("schema must be a list of files or SQL texts, not a single one")
    return tuple(entry if isinstance(entry, str) else Path(entry) for entry in entries)


def _check(settings: InstanceSettings) -> None:
    if not settings.rest_path.startswith("/"):
        raise LocalError("The REST path must start with a slash.")
    _check_services(settings)
    if not is_loopback(settings.host) and not settings.allow_remote:
        raise LocalError(
            f"Listening on {settings.host} lets other machines in. This is a development server: "
            "say --allow-remote (allow_remote=True) if that is meant."
        )


def _check_services(settings: InstanceSettings) -> None:
    for name in settings.services or ():
        if name not in SERVICES:
            raise LocalError(f"There is no service {name!r}, only {', '.join(SERVICES)}.")
    if settings.services is not None and "rest" not in settings.services:
        raise LocalError("The service rest cannot be left out.")
    foreign = settings.database_url is not None and not settings.install
    for name in ("auth", "realtime", "storage"):
        if foreign and name in (settings.services or ()):
            raise LocalError(
                f"The service {name} makes tables of its own: say --install if it may."
            )
    if settings.storage_url is not None:
        parse_location(settings.storage_url)
    if settings.storage_max_file_size < 1:
        raise LocalError("An object must be allowed a byte at least.")
    _check_functions(settings)
    if min(settings.auth_access_token_ttl, settings.auth_refresh_token_ttl) < 1:
        raise LocalError("Tokens must live for a second at least.")


def _check_functions(settings: InstanceSettings) -> None:
    if settings.functions is None:
        if "functions" in (settings.services or ()):
            raise LocalError("The service functions needs a folder: say --functions DIR.")
        return
    if not settings.functions.is_dir():
        raise LocalError(f"There is no folder {settings.functions} with functions.")
    if not (settings.functions_timeout > 0 and settings.functions_workers > 0):
        raise LocalError("Functions need some time, and a worker at least.")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as problem:
        raise LocalError(f"Port {port} of {host} cannot be listened on: {problem}") from None
    # Accepted sockets inherit it. asyncio sets it only on sockets whose protocol number says TCP,
    # which those of create_server do not; a kept connection would then wait 40 ms per answer.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
