"""Schema files and migrations: applied in order, each once, by the owner of the database.

What was applied is recorded with a checksum in `aerodb_internal.migrations`. A file that changed
since is an error and not a second run. Instances that start together take turns by an advisory
lock.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from aerodb.local.errors import LocalError
from aerodb.local.sqltext import Include, Statement, split_statements

NO_TRANSACTION = "-- aerodb: no transaction"
_LOCK = 0x6165726F6462  # "aerodb"
_TABLE = sql.Identifier("aerodb_internal", "migrations")
_MAXIMUM_INCLUDE_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Migration:
    """A named piece of SQL. `folder` is where `\\ir` looks; None: the working directory."""

    name: str
    source: str
    folder: Path | None = None

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, line ends and a byte-order mark aside."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def transactional(self) -> bool:
        """False if a line of the file says `-- aerodb: no transaction`."""
        return not any(line.strip() == NO_TRANSACTION for line in self.source.splitlines())


def read_migration(path: Path) -> Migration:
    """Return the file `path` as a migration named after the file."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise LocalError(f"The SQL file {path} cannot be read: it {what}.")
    try:
        source = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise LocalError(f"The SQL file {path} cannot be read: {problem}") from None
    return Migration(path.name, source.replace("\r\n", "\n"), path.absolute().parent)


def collect(
    schema: Sequence[str | os.PathLike[str]] = (), folder: str | os.PathLike[str] | None = None
) -> list[Migration]:
    """Return what is to be applied: the `schema` files or texts, then `folder`'s *.sql by name."""
    found = [_from_argument(entry) for entry in schema]
    if folder is not None:
        if not Path(folder).is_dir():
            raise LocalError(f"The migrations folder {os.fspath(folder)} does not exist.")
        found += [read_migration(path) for path in sorted(Path(folder).glob("*.sql"))]
    names = [migration.name for migration in found]
    for name in names:
        if names.count(name) > 1:
            raise LocalError(f"Two SQL files are called {name}; their names must differ.")
    return found


def _from_argument(entry: str | os.PathLike[str]) -> Migration:
    """A path is a file; so is a string that ends in `.sql` on one line. Other strings are SQL."""
    if isinstance(entry, os.PathLike):
        return read_migration(Path(entry))
    if "\n" not in entry and entry.lower().endswith(".sql"):
        return read_migration(Path(entry).expanduser())
    if _is_path(entry):
        raise LocalError(f"There is no such SQL file: {entry}. A path given as text ends in .sql.")
    digest = hashlib.sha256(entry.encode()).hexdigest()[:12]
    return Migration(f"text-{digest}", entry)


def _is_path(entry: str) -> bool:
    """Whether it can only be meant as a path: no SQL is one word with a dot or a slash."""
    if not entry or "\n" in entry:
        return False
    if len(entry.split()) == 1 and ";" not in entry and ("/" in entry or "." in entry):
        return True
    try:
        return Path(entry).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long for a name, for one
        return False


def apply(connection: psycopg.Connection[Any], migrations: Sequence[Migration]) -> list[str]:
    """Apply what has not been applied yet, and return the names. Wants an autocommit connection."""
    if not migrations:
        return []
    connection.execute("select pg_advisory_lock(%s)", [_LOCK])
    try:
        done = _recorded(connection)
        for migration in migrations:
            if done.get(migration.name, migration.checksum) != migration.checksum:
                raise LocalError(
                    f"The SQL file {migration.name} was changed after it had been applied to this "
                    "database. Undo the change and put it into a new file. Or start over without "
                    "any data: `aerodb db reset`, with the same --schema and --migrations."
                )
        applied = [migration for migration in migrations if migration.name not in done]
        for migration in applied:
            _apply_one(connection, migration)
        return [migration.name for migration in applied]
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(%s)", [_LOCK])


def _recorded(connection: psycopg.Connection[Any]) -> dict[str, str]:
    query = sql.SQL("select name, checksum from {}").format(_TABLE)
    return dict(connection.execute(query).fetchall())


def _apply_one(connection: psycopg.Connection[Any], migration: Migration) -> None:
    if not migration.transactional:
        run_script(connection, migration)
        _record(connection, migration)
        return
    with connection.transaction():
        run_script(connection, migration)
        _record(connection, migration)


def _record(connection: psycopg.Connection[Any], migration: Migration) -> None:
    # Files may change these for the session (dumps empty the search path).
    connection.execute("reset role")
    connection.execute("reset search_path")
    connection.execute(
        sql.SQL("insert into {} (name, checksum) values (%s, %s)").format(_TABLE),
        [migration.name, migration.checksum],
    )


def run_script(connection: psycopg.Connection[Any], migration: Migration) -> None:
    """Run the statements of one file; an error names the file and the line."""
    for statement in _statements(migration, 0):
        try:
            _run(connection, statement)
        except psycopg.Error as problem:
            diagnosis = problem.diag.message_primary or str(problem)
            hint = f" ({problem.diag.message_hint})" if problem.diag.message_hint else ""
            raise LocalError(
                f"{migration.name}, line {statement.line}: {diagnosis}{hint}"
            ) from problem


def _statements(migration: Migration, depth: int) -> Iterator[Statement]:
    for found in split_statements(migration.source, migration.name):
        if isinstance(found, Statement):
            yield found
        elif depth >= _MAXIMUM_INCLUDE_DEPTH:
            raise LocalError(f"{migration.name}, line {found.line}: too many nested includes.")
        else:
            yield from _statements(_included(migration, found), depth + 1)


def _included(migration: Migration, include: Include) -> Migration:
    return read_migration((migration.folder or Path.cwd()) / include.path)


def _run(connection: psycopg.Connection[Any], statement: Statement) -> None:
    # The text is the user's own program and has no parameters: sent as it stands.
    query = statement.text.encode()
    if statement.rows is None:
        connection.execute(query)
        return
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        copy.write(statement.rows)
