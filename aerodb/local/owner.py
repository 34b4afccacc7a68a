"""The database of a data folder, for commands: next to the instance if it runs, and started for
as long as it takes if not."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

import click
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row

from aerodb.local.auth.errors import AuthError
from aerodb.local.database import open_database
from aerodb.local.errors import LocalError
from aerodb.local.keys import load_or_create_keys
from aerodb.local.postgres.initialise import SUPERUSER
from aerodb.local.settings import InstanceSettings

_PID_FILE_PORT, _PID_FILE_SOCKET = 3, 4


@contextlib.contextmanager
def problems_told() -> Generator[None]:
    """Turn what a user can do something about into one line."""
    try:
        yield
    except (AuthError, LocalError) as problem:
        raise click.ClickException(str(problem)) from None
    except psycopg.Error as problem:
        raise click.ClickException(f"The database refuses: {problem}") from None


@contextlib.contextmanager
def connected(data: Path) -> Generator[psycopg.Connection[DictRow]]:
    """Connect as the owner."""
    with reachable(data) as conninfo, _opened(conninfo) as connection:
        yield connection


@contextlib.contextmanager
def reachable(data: Path) -> Generator[str]:
    """How the owner reaches the database, while the block runs. It holds the password."""
    if not (data / "secrets.json").exists():
        raise LocalError(f"There is no instance in {data}. `aerodb dev` makes one.")
    running = running_database(data)
    if running is not None:
        yield running
        return
    database = open_database(InstanceSettings(data=data))
    try:
        yield database.owner
    finally:
        database.close()


def _opened(conninfo: str) -> psycopg.Connection[DictRow]:
    return psycopg.Connection[DictRow].connect(conninfo, row_factory=dict_row)


def running_database(data: Path) -> str | None:
    """Return how to reach the PostgreSQL that runs on a data folder, None if none does."""
    try:
        lines = (data / "postgres" / "postmaster.pid").read_text().splitlines()
        folder, port = lines[_PID_FILE_SOCKET], lines[_PID_FILE_PORT]
    except (OSError, IndexError):
        return None
    keys = load_or_create_keys(data / "secrets.json", may_create=False)
    conninfo = make_conninfo(
        host=folder,
        port=port,
        user=SUPERUSER,
        password=keys.superuser_password,
        dbname=SUPERUSER,
    )
    try:
        psycopg.connect(conninfo).close()
    except psycopg.OperationalError:
        return None
    return conninfo
