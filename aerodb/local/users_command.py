"""`aerodb users create|list|delete`: the users of an instance, from the command line.

It works on the database itself, whether the instance runs (then next to it) or not (then the
database is started for as long as it takes). Passwords come from a prompt or the environment, never
from an argument: those can be read by every user of the machine (reliability C10).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
from psycopg.types.json import Jsonb

from aerodb.local.auth.passwords import hash_password
from aerodb.local.auth.users import DEFAULT_ROLE, INSERT, ROLE_CAN_BE_TAKEN, user_object
from aerodb.local.auth.validation import email_address, new_password
from aerodb.local.errors import LocalError
from aerodb.local.owner import connected, problems_told

PASSWORD_VARIABLE = "AERODB_PASSWORD"  # noqa: S105 - a name, not a secret
_FOLDER = click.Path(file_okay=False, path_type=Path)


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
    with problems_told():
        address = email_address(email)
        hashed = hash_password(new_password(_password()))
        with connected(data) as connection:
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_own_data
@click.pass_obj
def list_users(data: Path, as_json: bool) -> None:
    """Print id, address, role and whether the address is confirmed, a line for each user."""
    with problems_told(), connected(data) as connection:
        rows = connection.execute("select * from auth.users order by created_at, id").fetchall()
    found = [user_object(row) for row in rows]
    if as_json:
        names = ("id", "email", "role", "email_verified")
        click.echo(json.dumps([{name: user[name] for name in names} for user in found]))
        return
    for user in found:
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
    with problems_told(), connected(data) as connection:
        query = "delete from auth.users where email = lower(trim(%s)) or id::text = lower(trim(%s))"
        if connection.execute(query, [user, user]).rowcount == 0:
            raise LocalError(f"There is no user {user}.")
    click.echo(f"Deleted {user}")


def _password() -> str:
    given = os.environ.get(PASSWORD_VARIABLE)
    if given is not None:
        return given
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
