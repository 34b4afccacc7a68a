"""What `aerodb db` does."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from aerodb.local import migrations
from aerodb.local.bootstrap import (
    AUTHENTICATOR,
    prepare_foreign,
    tables_without_policies,
    tables_without_row_security,
)
from aerodb.local.commands import chosen_database, files_of
from aerodb.local.database import effective_settings, open_database
from aerodb.local.errors import LocalError
from aerodb.local.folder import DataFolder
from aerodb.local.owner import problems_told, reachable, running_database
from aerodb.local.programs import run_program
from aerodb.local.settings import INSTANCE_REST, InstanceSettings

__all__ = ["exposure", "push", "reset", "run_program", "target"]


Applied = tuple[list[str], list[str]]
"""The files that were applied now, and the tables without row-level security, of an instance."""


def push(
    data: Path, database_url: str | None, schema: tuple[str, ...], folder: Path | None
) -> Applied:
    """Apply schema files and migrations, each once."""
    with problems_told():
        url = chosen_database(database_url, os.environ)
        wanted = migrations.collect(files_of(schema), folder)
        running = running_database(data) if url is None else url
        if running is None:
            return _opened_once(data, schema, folder)
        with psycopg.connect(running, autocommit=True) as connection:
            if url is not None:
                prepare_foreign(connection)
                return migrations.apply(connection, wanted), []
            applied = migrations.apply(connection, wanted)
            return applied, tables_without_row_security(connection, _exposed(connection))


def exposure(data: Path) -> tuple[list[str], list[str]] | None:
    """Of an instance that runs: the tables that are open to everybody, and those that are empty to
    all but the secret key. None if its database does not tell."""
    try:
        url = running_database(data)
        if url is None:
            return None
        with psycopg.connect(url, autocommit=True) as connection:
            schemas = _exposed(connection)
            opened = tables_without_row_security(connection, schemas)
            return opened, tables_without_policies(connection, schemas)
    except (LocalError, psycopg.Error):
        return None


def _exposed(connection: psycopg.Connection[Any]) -> Sequence[str]:
    """The schemas that the database says are exposed; what a running instance was told on its own
    command line is not known here."""
    settings = InstanceSettings()
    rest, _ = effective_settings(settings, INSTANCE_REST, connection, AUTHENTICATOR)
    return rest.db_schemas


def _opened_once(data: Path, schema: tuple[str, ...], folder: Path | None) -> Applied:
    files = tuple(files_of(schema))
    database = open_database(InstanceSettings(data=data, schema=files, migrations=folder))
    database.close()
    return [*database.applied], [*database.unprotected]


def reset(
    data: Path, schema: tuple[str, ...], folder: Path | None, confirm: Callable[[], None]
) -> Applied:
    """Remove all data of a data folder, but for its keys; then apply what is given."""
    with problems_told():
        if not (data / "secrets.json").exists():
            raise LocalError(f"There is no instance in {data}. `aerodb dev` makes one.")
        migrations.collect(files_of(schema), folder)  # before anything is removed: they can be read
        confirm()
        _empty(data)
        return _opened_once(data, schema, folder)


def _empty(data: Path) -> None:
    folder = DataFolder(data)  # refuses while an instance runs
    try:
        for part in (folder.cluster, folder.path / "storage"):
            if part.exists():
                shutil.rmtree(part)
    except OSError as problem:
        raise LocalError(f"The data folder {data} cannot be emptied: {problem}") from None
    finally:
        folder.close()


@contextlib.contextmanager
def target(data: Path, database_url: str | None) -> Generator[str]:
    """How programs reach the database: the one named, or that of the folder."""
    with problems_told():
        url = chosen_database(database_url, os.environ)
        if url is not None:
            yield url
            return
        with reachable(data) as conninfo:
            yield conninfo
