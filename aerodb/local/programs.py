"""PostgreSQL's own programs, run on a database: how they are found, and told where it is.

They get it by environment variables, never by arguments: those can be read by every user of the
machine (reliability C10).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from aerodb.local.errors import LocalError
from aerodb.local.postgres.binaries import find_binaries


def find_program(name: str) -> str:
    """The path of `pg_dump`, `psql`, ...: next to the PostgreSQL that is used here, or in PATH."""
    beside = _beside_postgres(name)
    found = str(beside) if beside is not None else shutil.which(name)
    if found is None:
        raise LocalError(
            f"{name} is not there. Install PostgreSQL's client programs, or name a folder that has "
            "it beside `postgres` and `initdb` in AERODB_PG_BIN."
        )
    return found


def _beside_postgres(name: str) -> Path | None:
    try:
        path = find_binaries().bin / name
    except LocalError:
        return None
    return path if path.is_file() else None


def environment_for(conninfo: str, base: Mapping[str, str]) -> dict[str, str]:
    """`base` with libpq's variables for this database, and none for any other."""
    variables = {
        option.keyword.decode(): option.envvar.decode()
        for option in pq.Conninfo.get_defaults()
        if option.envvar
    }
    made = {name: text for name, text in base.items() if name not in variables.values()}
    for keyword, value in conninfo_to_dict(conninfo).items():
        if value is None:
            continue
        if keyword not in variables:
            raise LocalError(
                f"The database URL says {keyword}, for which there is no environment variable: "
                "leave it out here."
            )
        made[variables[keyword]] = str(value)
    return made


def run_program(name: str, arguments: list[str], conninfo: str) -> int:
    """Run it on this terminal and return its status."""
    command = [find_program(name), *arguments]
    environment = environment_for(conninfo, os.environ)
    with subprocess.Popen(command, env=environment) as process:  # noqa: S603 - a program found above
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # it is the program's: psql cancels a query by it
                continue
