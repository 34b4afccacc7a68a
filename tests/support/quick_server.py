"""`LocalServer` over a cluster that runs already, for texts that start one after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from aerodb.local import LocalServer, migrations
from aerodb.local.clones import ClonedServer, open_template
from aerodb.local.database import Database


@contextmanager
def quick_server() -> Iterator[type[ClonedServer]]:
    """A class that does what `LocalServer` does, but for making and starting a cluster each time.

    The schema is applied by the same means, to a new copy of an empty instance.
    """
    template, database = open_template(LocalServer().settings)

    class QuickServer(ClonedServer):
        def __init__(self, **settings: Any) -> None:
            assert settings.keys().isdisjoint({"data", "database_url"})
            super().__init__(template, **settings)

        def _open_database(self) -> Database:
            opened = super()._open_database()
            wanted = migrations.collect(self._settings.schema, self._settings.migrations)
            with psycopg.connect(opened.owner, autocommit=True) as connection:
                migrations.apply(connection, wanted)
            return opened

    try:
        yield QuickServer
    finally:
        database.close()
