"""Users in the database, and as the wire shows them (wire contract §2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from aerodb.local.auth.errors import AuthError, invalid
from aerodb.local.auth.store import Connection, every, one, run

Row = dict[str, Any]
DEFAULT_ROLE = "authenticated"
INSERT = (
    "insert into auth.users (email, encrypted_password, raw_user_meta_data, raw_app_meta_data, "
    "role, email_confirmed_at) "
    "values (%s, %s, %s, %s, %s, case when %s then now() end) "
    "on conflict (email) do nothing returning *"
)
ROLE_CAN_BE_TAKEN = (
    "select exists (select from pg_catalog.pg_roles r where r.rolname = %s "
    "and r.rolname <> 'authenticator' and pg_catalog.pg_has_role('authenticator', r.oid, 'MEMBER'))"
    " as known"
)


def user_object(row: Mapping[str, Any]) -> Row:
    """Return a row of auth.users as the wire shows it: without anything secret."""
    signed_in = row["last_sign_in_at"]
    return {
        "id": str(row["id"]),
        "email": row["email"],
        "email_verified": row["email_confirmed_at"] is not None,
        "created_at": row["created_at"].isoformat(),
        "updated_at": row["updated_at"].isoformat(),
        "last_sign_in_at": None if signed_in is None else signed_in.isoformat(),
        "role": row["role"],
        "metadata": row["raw_user_meta_data"],
        "app_metadata": row["raw_app_meta_data"],
    }


async def insert_user(
    connection: Connection,
    email: str,
    password_hash: str | None,
    *,
    metadata: Mapping[str, Any] | None = None,
    app_metadata: Mapping[str, Any] | None = None,
    role: str = DEFAULT_ROLE,
    verified: bool = False,
) -> Row | None:
    """Make a user; None if the address has one already."""
    return await one(
        connection,
        INSERT,
        email,
        password_hash,
        Jsonb(metadata or {}),
        Jsonb(app_metadata or {}),
        role,
        verified,
    )


async def lookalike(connection: Connection, email: str, metadata: Mapping[str, Any]) -> Row:
    """Return what `insert_user` would have returned, and keep nothing.

    PostgreSQL makes it, so that it looks the same down to the order of keys in the metadata.
    """
    query = (
        "select gen_random_uuid() as id, %s as email, null::timestamptz as email_confirmed_at, "
        "null::timestamptz as last_sign_in_at, %s as role, %s::jsonb as raw_user_meta_data, "
        "'{}'::jsonb as raw_app_meta_data, now() as created_at, now() as updated_at"
    )
    row = await one(connection, query, email, DEFAULT_ROLE, Jsonb(metadata))
    assert row is not None
    return row


async def user_by_email(connection: Connection, email: str) -> Row | None:
    """Return the user of an address, None if there is none."""
    return await one(connection, "select * from auth.users where email = %s", email)


async def user_by_id(connection: Connection, user_id: UUID, *, lock: bool = False) -> Row:
    """Return a user and the time (now), or raise user_not_found.

    With `lock` it waits for others who change the user, and makes them wait.
    """
    query = "select *, now() as now from auth.users where id = %s"
    row = await one(connection, query + " for no key update" if lock else query, user_id)
    if row is None:
        raise no_such_user()
    return row


async def users_page(connection: Connection, limit: int, offset: int) -> tuple[list[Row], int]:
    """Return some users, the oldest first, and how many there are."""
    query = "select * from auth.users order by created_at, id limit %s offset %s"
    counted = await one(connection, "select count(*) as total from auth.users")
    assert counted is not None
    return await every(connection, query, limit, offset), counted["total"]


async def change_user(connection: Connection, user_id: UUID, changes: Mapping[str, Any]) -> Row:
    """Set columns of a user and return the new row."""
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder()) for name in changes
    )
    query = sql.SQL(
        "update auth.users set {}, updated_at = now() where id = {} returning *"
    ).format(assignments, sql.Placeholder())
    try:
        cursor = await connection.execute(query, [*changes.values(), user_id])
    except psycopg.errors.UniqueViolation:
        raise email_taken() from None
    row = await cursor.fetchone()
    if row is None:
        raise no_such_user()
    return row


async def signed_in(connection: Connection, user_id: UUID, password_hash: str | None) -> Row | None:
    """Note a sign-in; None if the password is no longer the one that was checked.

    The update waits for whoever changes the password, and they, when they end sessions, for us: no
    session begins with a password that was already replaced.
    """
    query = (
        "update auth.users set last_sign_in_at = now() "
        "where id = %s and encrypted_password is not distinct from %s returning *"
    )
    return await one(connection, query, user_id, password_hash)


async def remove_user(connection: Connection, user_id: UUID) -> None:
    """Delete a user and all that hangs on it, or raise user_not_found."""
    if await run(connection, "delete from auth.users where id = %s", user_id) == 0:
        raise no_such_user()


async def check_role(connection: Connection, role: str) -> None:
    """Refuse a role that no request could take (wire contract §1.4, reliability J6)."""
    row = await one(connection, ROLE_CAN_BE_TAKEN, role)
    if row is None or not row["known"]:
        raise invalid("role is none that requests can take")


def no_such_user() -> AuthError:
    """Return the error of an unknown user."""
    return AuthError("user_not_found", "User not found")


def email_taken() -> AuthError:
    """Return the error of an address that has a user."""
    return AuthError("email_already_exists", "Email already registered")
