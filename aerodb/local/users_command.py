"""`aerodb users create|list|delete`: the users of an instance, from the command line.

It works on the database itself, whether the instance runs (then next to it) or not (then the
database is started for as long as it takes). Passwords come from a prompt or the environment, never
from an argument: those can be read by every user of the machine (reliability C10).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

import click
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb

from aerodb.local.auth.errors import AuthError
from aerodb.local.auth.passwords import hash_password
from aerodb.local.auth.users import DEFAULT_ROLE, INSERT, ROLE_CAN_BE_TAKEN, user_object
from aerodb.local.auth.validation import email_address, new_password
from aerodb.local.database import open_database
from aerodb.local.errors import LocalError
from aerodb.local.keys import load_or_create_keys
from aerodb.local.postgres.initialise import SUPERUSER
from aerodb.local.settings import InstanceSettings

PASSWORD_VARIABLE = "AERODB_PASSWORD"  # noqa: S105 - a name, not a secret
_FOLDER = click.Path(file_okay=False, path_type=Path)
_PID_FILE_PORT, _PID_FILE_SOCKET = 3, 4


def _take_data(context: click.Context, _option: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.obj = value


_own_data = click.option(
    "--data",
    type=_FOLDER,
    expose_value=False,
    callback=_take_data,
    help="Data folder, as before the command.",
)


@click.group(context_settings={"show_default": True, "max_content_width": 100})
@click.option("--data", type=_FOLDER, default=".aerodb", envvar="AERODB_DATA", help="Data folder.")
@click.pass_context
def users(context: click.Context, data: Path) -> None:
    """Create, list and delete the users of an instance."""
    context.obj = data


@users.command()
@click.argument("email")
@click.option("--role", default=DEFAULT_ROLE, help="Database role of the user's requests.")
@click.option("--unverified", is_flag=True, help="Leave the address to be confirmed.")
@_own_data
@click.pass_obj
def create(data: Path, email: str, role: str, unverified: bool) -> None:
    """Create a user and print the id. The password is asked for, or taken from AERODB_PASSWORD."""
    with _problems_told():
        address = email_address(email)
        hashed = hash_password(new_password(_password()))
        with _connected(data) as connection:
            known = connection.execute(ROLE_CAN_BE_TAKEN, [role]).fetchone()
            if known is None or not known["known"]:
                raise LocalError(f"{role!r} is no role that requests can take.")
            row = connection.execute(
                INSERT, [address, hashed, Jsonb({}), Jsonb({}), role, not unverified]
            ).fetchone()
    if row is None:
        raise click.ClickException(f"{address} has a user already.")
    click.echo(row["id"])


@users.command("list")
@_own_data
@click.pass_obj
def list_users(data: Path) -> None:
    """Print id, address, role and whether the address is confirmed, a line for each user."""
    with _problems_told(), _connected(data) as connection:
        rows = connection.execute("select * from auth.users order by created_at, id").fetchall()
    for user in map(user_object, rows):
        state = "verified" if user["email_verified"] else "unverified"
        click.echo("\t".join((user["id"], user["email"], user["role"], state)))


@users.command()
@click.argument("user")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_own_data
@click.pass_obj
def delete(data: Path, user: str, yes: bool) -> None:
    """Delete a user, named by address or id, with all sessions."""
    if not yes:
        click.confirm(f"Delete {user}?", abort=True)
    with _problems_told(), _connected(data) as connection:
        query = "delete from auth.users where email = lower(trim(%s)) or id::text = lower(trim(%s))"
        if connection.execute(query, [user, user]).rowcount == 0:
            raise LocalError(f"There is no user {user}.")
    click.echo(f"Deleted {user}")


def _password() -> str:
    given = os.environ.get(PASSWORD_VARIABLE)
    if given is not None:
        return given
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


@contextlib.contextmanager
def _problems_told() -> Generator[None]:
    """Turn what a user can do something about into one line."""
    try:
        yield
    except (AuthError, LocalError) as problem:
        raise click.ClickException(str(problem)) from None
    except psycopg.Error as problem:
        raise click.ClickException(f"The database refuses: {problem}") from None


@contextlib.contextmanager
def _connected(data: Path) -> Generator[psycopg.Connection[DictRow]]:
    """Connect as the owner, to the running database or to one started for this."""
    if not (data / "secrets.json").exists():
        raise LocalError(f"There is no instance in {data}. `aerodb dev` makes one.")
    running = _running_database(data)
    if running is not None:
        with _opened(running) as connection:
            yield connection
        return
    database = open_database(InstanceSettings(data=data))
    try:
        with _opened(database.owner) as connection:
            yield connection
    finally:
        database.close()


def _opened(conninfo: str) -> psycopg.Connection[DictRow]:
    return psycopg.Connection[DictRow].connect(conninfo, row_factory=dict_row)


def _running_database(data: Path) -> str | None:
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
