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

from aerodb.local.extra import needed

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
@click.option("--role", default="authenticated", help="Database role of the user's requests.")
@click.option("--unverified", is_flag=True, help="Leave the address to be confirmed.")
@_own_data
@click.pass_obj
def create(data: Path, email: str, role: str, unverified: bool) -> None:
    """Create a user and print the id. The password is asked for, or taken from AERODB_PASSWORD."""
    with needed():
        from aerodb.local.users_work import create_user
    click.echo(create_user(data, email, _password, role=role, verified=not unverified))


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_own_data
@click.pass_obj
def list_users(data: Path, as_json: bool) -> None:
    """Print id, address, role and whether the address is confirmed, a line for each user."""
    with needed():
        from aerodb.local.users_work import all_users
    found = all_users(data)
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
    with needed():
        from aerodb.local.users_work import delete_user

    def confirm(email: str) -> None:
        if not yes:
            click.confirm(f"Delete {email}?", abort=True)

    click.echo(f"Deleted {delete_user(data, user, confirm)}")


def _password() -> str:
    given = os.environ.get(PASSWORD_VARIABLE)
    if given is not None:
        return given
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
