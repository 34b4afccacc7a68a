"""Fresh databases for tests: one cluster with a template in it, and a copy for each who asks.

A copy takes PostgreSQL a fraction of what a cluster takes to start. The cluster belongs to one
process, the host; others, such as the workers of a test run, are told how to reach it and serve
copies of their own. Nothing is ever connected to the template, which PostgreSQL asks of one.
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from aerodb.local.bootstrap import AUTH_LOGIN, AUTHENTICATOR, REALTIME_LOGIN, STORAGE_LOGIN
from aerodb.local.database import Database, effective_settings, open_database, socket_url
from aerodb.local.folder import DataFolder
from aerodb.local.keys import Keys
from aerodb.local.postgres.cluster import PORT
from aerodb.local.postgres.initialise import SUPERUSER
from aerodb.local.server import LocalServer
from aerodb.local.settings import INSTANCE_REST, InstanceSettings

_MAINTENANCE = "template1"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Template:
    """How to reach the cluster, and all that opens it: nothing of it shows in a repr."""

    socket_folder: str = field(repr=False)
    keys: Keys = field(repr=False)

    def dump(self) -> dict[str, Any]:
        """As JSON, for a private file or pipe: it holds every secret of the cluster."""
        return asdict(self)

    @staticmethod
    def load(members: dict[str, Any]) -> Template:
        """Read what `dump` made."""
        return Template(members["socket_folder"], Keys(**members["keys"]))

    def login(self, user: str, password: str, database: str) -> str:
        """A connection string; it holds the password."""
        return make_conninfo(
            host=self.socket_folder, port=PORT, user=user, password=password, dbname=database
        )


def open_template(settings: InstanceSettings) -> tuple[Template, Database]:
    """Start a cluster whose database is ready to be copied. Closing the second stops it."""
    database = open_database(settings)
    assert database.cluster is not None
    assert database.keys is not None
    return Template(str(database.cluster.socket_folder), database.keys), database


class ClonedServer(LocalServer):
    """An instance over a copy of a template's database; `close` removes the copy.

    Args:
        template: Of what.
        settings: As for `LocalServer`; what belongs to the database was settled by the template.
    """

    def __init__(self, template: Template, **settings: Any) -> None:
        super().__init__(**settings)
        self._template = template
        self._name = f"aerodb_{os.getpid()}_{next(_numbers)}_{secrets.token_hex(3)}"

    def _open_database(self) -> Database:
        self._maintain("create database {} template {}", self._name, SUPERUSER)
        folder = DataFolder(None)
        try:
            return _database(self._template, self._name, self._settings, folder)
        except BaseException:
            self._remove(folder)
            raise

    def _close_database(self, database: Database) -> None:
        assert database.folder is not None
        self._remove(database.folder)

    def _remove(self, folder: DataFolder) -> None:
        folder.close()
        shutil.rmtree(folder.path, ignore_errors=True)
        self._maintain("drop database if exists {} with (force)", self._name)

    def _maintain(self, statement: LiteralString, *names: str) -> None:
        keys = self._template.keys
        login = self._template.login(SUPERUSER, keys.superuser_password, _MAINTENANCE)
        with psycopg.connect(login, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _database(
    template: Template, name: str, settings: InstanceSettings, folder: DataFolder
) -> Database:
    keys = template.keys
    owner = template.login(SUPERUSER, keys.superuser_password, name)
    with psycopg.connect(owner, autocommit=True) as connection:
        rest, pool = effective_settings(settings, INSTANCE_REST, connection, AUTHENTICATOR)
    return Database(
        owner=owner,
        login=template.login(AUTHENTICATOR, keys.authenticator_password, name),
        url=socket_url(template.socket_folder, keys, name),
        rest=rest,
        pool=pool,
        keys=keys,
        auth=template.login(AUTH_LOGIN, keys.auth_password, name),
        realtime=template.login(REALTIME_LOGIN, keys.realtime_password, name),
        storage=template.login(STORAGE_LOGIN, keys.storage_password, name),
        signing_key=keys.storage_secret,
        folder=folder,
    )
