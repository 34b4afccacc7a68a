"""What `aerodb db` does."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

import psycopg

from aerodb.local import migrations
from aerodb.local.bootstrap import prepare_foreign
from aerodb.local.commands import chosen_database
from aerodb.local.database import open_database
from aerodb.local.errors import LocalError
from aerodb.local.folder import DataFolder
from aerodb.local.owner import problems_told, reachable, running_database
from aerodb.local.programs import run_program
from aerodb.local.settings import InstanceSettings

__all__ = ["push", "reset", "run_program", "target"]


def push(
    data: Path, database_url: str | None, schema: tuple[str, ...], folder: Path | None
) -> list[str]:
    """Apply schema files and migrations, each once; those that were applied now."""
    with problems_told():
        url = chosen_database(database_url, os.environ)
        wanted = migrations.collect(schema, folder)
        running = running_database(data) if url is None else url
        if running is None:
            return _opened_once(data, schema, folder)
        with psycopg.connect(running, autocommit=True) as connection:
            if url is not None:
                prepare_foreign(connection)
            return migrations.apply(connection, wanted)


def _opened_once(data: Path, schema: tuple[str, ...], folder: Path | None) -> list[str]:
    database = open_database(InstanceSettings(data=data, schema=schema, migrations=folder))
    database.close()
    return [*database.applied]


def reset(
    data: Path, schema: tuple[str, ...], folder: Path | None, confirm: Callable[[], None]
) -> list[str]:
    """Remove all data of a data folder, but for its keys; then apply what is given."""
    with problems_told():
        if not (data / "secrets.json").exists():
            raise LocalError(f"There is no instance in {data}. `aerodb dev` makes one.")
        migrations.collect(schema, folder)  # before anything is removed: they can be read
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
