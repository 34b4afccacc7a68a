"""Tokens that a mail carries: 256 bits, hashed, for one use and one address (reliability J10)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from aerodb.local.auth.errors import AuthError
from aerodb.local.auth.outbox import post
from aerodb.local.auth.store import Connection, one, run
from aerodb.local.auth.tokens import digest, new_secret

Kind = Literal["confirmation", "email_change", "recovery"]
LIFETIMES: dict[Kind, timedelta] = {
    "confirmation": timedelta(hours=24),
    "email_change": timedelta(hours=24),
    "recovery": timedelta(hours=1),
}


async def send_token(connection: Connection, user_id: UUID, kind: Kind, email: str) -> None:
    """Mail a token to `email`. An older one of the same kind is no longer good."""
    await run(
        connection,
        "delete from auth.one_time_tokens where user_id = %s and kind = %s",
        user_id,
        kind,
    )
    token = new_secret()
    await run(
        connection,
        "insert into auth.one_time_tokens (token_hash, user_id, kind, email, expires_at) "
        "values (%s, %s, %s, %s, now() + %s)",
        digest(token),
        user_id,
        kind,
        email,
        LIFETIMES[kind],
    )
    await post(connection, email, kind, token)


async def take_token(connection: Connection, token: str, *kinds: Kind) -> dict[str, Any]:
    """Use up a token; return its user_id, kind, email and the time (now), or raise invalid_token.

    The DELETE is what makes it single use: of two at a time only one finds the row.
    """
    row = await one(
        connection,
        "delete from auth.one_time_tokens where token_hash = %s and kind = any(%s) "
        "and expires_at > now() returning user_id, kind, email, now() as now",
        digest(token),
        list(kinds),
    )
    if row is None:
        raise AuthError("invalid_token", "Invalid or expired token")
    return row


async def drop_tokens(connection: Connection, user_id: UUID) -> None:
    """Make all tokens that a user was mailed worthless."""
    await run(connection, "delete from auth.one_time_tokens where user_id = %s", user_id)
