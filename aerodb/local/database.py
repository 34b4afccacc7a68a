"""The database side of an instance: a cluster of its own, or one that somebody else runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import quote

import psycopg

from aerodb.local import migrations
from aerodb.local.bootstrap import (
    AUTH_LOGIN,
    AUTHENTICATOR,
    STORAGE_LOGIN,
    bootstrap,
    install_auth,
    install_storage,
    prepare_foreign,
    tables_without_row_security,
)
from aerodb.local.errors import LocalError
from aerodb.local.folder import DataFolder
from aerodb.local.in_database import read_in_database_settings
from aerodb.local.keys import Keys, load_or_create_keys
from aerodb.local.options import POOL_FIELDS, REST_FIELDS
from aerodb.local.postgres import Cluster
from aerodb.local.settings import (
    FOREIGN_REST,
    INSTANCE_REST,
    InstanceSettings,
    PoolSettings,
    RestSettings,
)

T = TypeVar("T")
MINIMUM_SERVER_VERSION = 140000
CONNECT_SECONDS = 10


@dataclass(slots=True)
class Database:
    """A database that is ready to be served.

    `owner` is for migrations and `execute_sql`, `login` for requests, `auth` for the auth part and
    `storage` for the storage part: None if it cannot be served. `signing_key` signs URLs. `keys` is
    None for a foreign database, `url` is for users.
    """

    owner: str = field(repr=False)
    login: str = field(repr=False)
    url: str = field(repr=False)
    rest: RestSettings
    pool: PoolSettings
    keys: Keys | None = None
    auth: str | None = field(default=None, repr=False)
    storage: str | None = field(default=None, repr=False)
    signing_key: str | None = field(default=None, repr=False)
    cluster: Cluster | None = None
    folder: DataFolder | None = None
    applied: tuple[str, ...] = ()
    unprotected: tuple[str, ...] = ()

    @property
    def bootstrapped(self) -> bool:
        """Whether the instance has its own tables and functions in this database."""
        return self.keys is not None

    @property
    def healthy(self) -> bool:
        """False once the embedded PostgreSQL has gone away by itself."""
        return self.cluster is None or self.cluster.alive

    def close(self) -> None:
        """Stop the cluster and release the data folder."""
        if self.cluster is not None:
            self.cluster.stop()
        if self.folder is not None:
            self.folder.close()


def open_database(settings: InstanceSettings) -> Database:
    """Return the database of `settings`, started, prepared and migrated."""
    if settings.database_url is not None:
        return _open_foreign(settings, settings.database_url)
    return _open_embedded(settings)


def _open_embedded(settings: InstanceSettings) -> Database:
    wanted = migrations.collect(settings.schema, settings.migrations)
    folder = DataFolder(settings.data)
    cluster: Cluster | None = None
    try:
        exists = (folder.cluster / "PG_VERSION").exists()
        keys = load_or_create_keys(folder.path / "secrets.json", may_create=not exists)
        cluster = Cluster(
            folder.cluster,
            log=folder.log,
            password=keys.superuser_password,
            throwaway=folder.temporary,
            keep_open=folder.server_lock,
            remove=(folder.path,) if folder.temporary else (),
        )
        cluster.start()
        return _prepare_embedded(settings, wanted, folder, cluster, keys)
    except BaseException:
        if cluster is not None:
            cluster.stop()
        folder.close()
        if folder.temporary:
            shutil.rmtree(folder.path, ignore_errors=True)
        raise


def _prepare_embedded(
    settings: InstanceSettings,
    wanted: list[migrations.Migration],
    folder: DataFolder,
    cluster: Cluster,
    keys: Keys,
) -> Database:
    owner = cluster.conninfo()
    with psycopg.connect(owner, autocommit=True) as connection:
        # Which schemas are exposed may be said in the database, and migrations may say it.
        rest, pool = _effective(settings, INSTANCE_REST, connection, AUTHENTICATOR)
        bootstrap(connection, keys, rest.db_schemas)
        applied = migrations.apply(connection, wanted)
        if applied:
            rest, pool = _effective(settings, INSTANCE_REST, connection, AUTHENTICATOR)
            bootstrap(connection, keys, rest.db_schemas)
        unprotected = tables_without_row_security(connection, rest.db_schemas)
    return Database(
        owner=owner,
        login=cluster.conninfo(user=AUTHENTICATOR, password=keys.authenticator_password),
        url=_socket_url(cluster, keys),
        rest=rest,
        pool=pool,
        keys=keys,
        auth=cluster.conninfo(user=AUTH_LOGIN, password=keys.auth_password),
        storage=cluster.conninfo(user=STORAGE_LOGIN, password=keys.storage_password),
        signing_key=keys.storage_secret,
        cluster=cluster,
        folder=folder,
        applied=tuple(applied),
        unprotected=tuple(unprotected),
    )


def _open_foreign(settings: InstanceSettings, url: str) -> Database:
    wanted = migrations.collect(settings.schema, settings.migrations)
    if wanted and not settings.install:
        raise LocalError(
            "Schema files and migrations are not applied to a database that was given by "
            "--database-url, unless --install is given too."
        )
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS)
    except psycopg.Error as problem:
        raise LocalError(f"The database does not answer: {problem}") from None
    with connection:
        if connection.info.server_version < MINIMUM_SERVER_VERSION:
            raise LocalError("The database is older than PostgreSQL 14.")
        applied: list[str] = []
        auth = settings.install and "auth" in (settings.services or ())
        signing_key: str | None = None
        if auth:
            _install(install_auth, "auth", connection)
        if settings.install and "storage" in (settings.services or ()):
            signing_key = _install(install_storage, "storage", connection)
        if wanted:
            prepare_foreign(connection)
            applied = migrations.apply(connection, wanted)
        rest, pool = _effective(settings, FOREIGN_REST, connection, None)
    return Database(
        owner=url,
        login=url,
        url=url,
        rest=rest,
        pool=pool,
        auth=url if auth else None,
        storage=None if signing_key is None else url,
        signing_key=signing_key,
        applied=tuple(applied),
    )


def _install(
    installer: Callable[[psycopg.Connection[Any]], T],
    part: str,
    connection: psycopg.Connection[Any],
) -> T:
    try:
        return installer(connection)
    except psycopg.errors.InsufficientPrivilege as problem:
        raise LocalError(
            f"The role in the database URL may not install the {part} part: {problem}"
        ) from None


def _effective(
    settings: InstanceSettings,
    defaults: RestSettings,
    connection: psycopg.Connection[Any],
    role: str | None,
) -> tuple[RestSettings, PoolSettings]:
    """Lay the sources of settings over each other; PostgREST's database wins over environment."""
    values: dict[str, Any] = dict(settings.environment)
    if settings.db_config:
        values |= read_in_database_settings(connection, role, settings.db_pre_config)
    values |= settings.explicit
    if "jwt_secret" in values and "jwt_aud" not in values:
        # Tokens of somebody else's making need not be for us, unless that is asked for.
        values["jwt_aud"] = None
    return (
        replace(defaults, **_only(values, REST_FIELDS)),
        PoolSettings(**_only(values, POOL_FIELDS)),
    )


def _only(values: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}


def _socket_url(cluster: Cluster, keys: Keys) -> str:
    password = quote(keys.superuser_password, safe="")
    return f"postgresql://postgres:{password}@/postgres?host={quote(str(cluster.socket_folder))}"
