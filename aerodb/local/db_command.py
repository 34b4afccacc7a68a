"""`aerodb db push|reset|dump|psql`: the database behind an instance, from the command line.

On the database itself: next to the instance if it runs, started for as long as it takes if not, or
another PostgreSQL by `--database-url`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from aerodb.local.extra import needed

_FOLDER = click.Path(file_okay=False, path_type=Path)
_SETTINGS = {"show_default": True, "max_content_width": 100}
Command = Callable[..., Any]

_data = click.option(
    "--data", type=_FOLDER, default=".aerodb", envvar="AERODB_DATA", help="Data folder."
)
_database = click.option(
    "--database-url",
    default=None,
    help="Another PostgreSQL; @FILE reads it from a file.  "
    "[env: AERODB_DATABASE_URL, PGRST_DB_URI]",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _files(function: Command) -> Command:
    for option in (
        click.option(
            "--migrations", "folder", type=_FOLDER, default=None, help="Apply this folder's *.sql."
        ),
        click.option("--schema", multiple=True, metavar="FILE.sql", help="Apply it; repeatable."),
    ):
        function = option(function)
    return function


@click.group(context_settings=_SETTINGS)
def db() -> None:
    """Push schema files, reset, dump and open the database of an instance."""


@db.command()
@_files
@_data
@_database
@_json
def push(schema: tuple[str, ...], folder: Path | None, **options: Any) -> None:
    """Apply schema files and migrations, each once, as `aerodb dev` does, and end."""
    if not schema and folder is None:
        raise click.UsageError("say what to apply: --schema FILE.sql or --migrations FOLDER")
    with needed():
        from aerodb.local import db_work
    applied = db_work.push(options["data"], options["database_url"], schema, folder)
    _tell(applied, as_json=options["as_json"])


@db.command()
@_files
@_data
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
def reset(
    schema: tuple[str, ...], folder: Path | None, data: Path, yes: bool, as_json: bool
) -> None:
    """Remove all data of a data folder, users and objects too; then apply what is given.

    The keys stay. The instance must not run. Another PostgreSQL is not reset by this: drop and
    make the database there, and push.
    """
    with needed():
        from aerodb.local import db_work

    def confirm() -> None:
        if not yes:
            click.confirm(f"Remove everything in {data.absolute()}?", abort=True, err=True)

    _tell(db_work.reset(data, schema, folder, confirm), as_json=as_json)


def _tell(done: tuple[list[str], list[str]], *, as_json: bool) -> None:
    from aerodb.local.commands import warn_of_unprotected

    applied, unprotected = done
    if as_json:
        click.echo(json.dumps({"applied": applied}))
    else:
        click.echo(f"applied: {', '.join(applied)}" if applied else "nothing to apply")
        warn_of_unprotected(unprotected)


@db.command()
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), default=None, metavar="FILE.sql",
    help="Write here, readable by you alone; to stdout if unsaid.",
)  # fmt: skip
@click.argument("arguments", nargs=-1, metavar="[-- PG_DUMP_OPTIONS]")
@_data
@_database
def dump(output: Path | None, arguments: tuple[str, ...], **where: Any) -> None:
    """Write the database as SQL, by pg_dump; what follows -- are options of that."""
    with needed():
        from aerodb.local import db_work
    words = [*arguments]
    with db_work.target(**where) as conninfo:
        if output is not None:
            os.close(os.open(output, os.O_WRONLY | os.O_CREAT, 0o600))
            words.append(f"--file={output}")
        code = db_work.run_program("pg_dump", words, conninfo)
    sys.exit(1 if code else 0)


@db.command()
@click.argument("arguments", nargs=-1, metavar="[-- PSQL_OPTIONS]")
@_data
@_database
def psql(arguments: tuple[str, ...], **where: Any) -> None:
    """Open psql on the database as its owner; what follows -- are options of that."""
    with needed():
        from aerodb.local import db_work
    with db_work.target(**where) as conninfo:
        code = db_work.run_program("psql", [*arguments], conninfo)
    sys.exit(code if code >= 0 else 128 - code)
