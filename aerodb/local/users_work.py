"""What `aerodb users` does, on the database itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from psycopg.types.json import Jsonb

from aerodb.local.auth.passwords import hash_password
from aerodb.local.auth.users import INSERT, ROLE_CAN_BE_TAKEN, user_object
from aerodb.local.auth.validation import email_address, new_password
from aerodb.local.errors import LocalError
from aerodb.local.owner import connected, problems_told

_FIND = (
    "select id, email from auth.users where email = lower(trim(%s)) or id::text = lower(trim(%s))"
)


def create_user(
    data: Path, email: str, ask_password: Callable[[], str], *, role: str, verified: bool
) -> str:
    """Create a user; the id."""
    with problems_told():
        address = email_address(email)
        hashed = hash_password(new_password(ask_password()))
        with connected(data) as connection:
            known = connection.execute(ROLE_CAN_BE_TAKEN, [role]).fetchone()
            if known is None or not known["known"]:
                raise LocalError(f"{role!r} is no role that requests can take.")
            row = connection.execute(
                INSERT, [address, hashed, Jsonb({}), Jsonb({}), role, verified]
            ).fetchone()
        if row is None:
            raise LocalError(f"{address} has a user already.")
        return str(row["id"])


def all_users(data: Path) -> list[dict[str, Any]]:
    """Every user, the oldest first."""
    with problems_told(), connected(data) as connection:
        rows = connection.execute("select * from auth.users order by created_at, id").fetchall()
    return [user_object(row) for row in rows]


def delete_user(data: Path, user: str, confirm: Callable[[str], None]) -> str:
    """Delete a user, named by address or id, with all sessions; the address."""
    with problems_told(), connected(data) as connection:
        row = connection.execute(_FIND, [user, user]).fetchone()
        if row is None:
            raise LocalError(f"There is no user {user}.")
        connection.rollback()  # while somebody thinks, nothing is held
        confirm(row["email"])
        connection.execute("delete from auth.users where id = %s", [row["id"]])
        return str(row["email"])
