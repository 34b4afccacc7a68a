"""The mails of a development instance: kept in the database, never sent (wire contract §1.1)."""

from __future__ import annotations

from typing import Any

from aerodb.local.auth.store import Connection, every, run

_KEPT = 1000
_TEXTS = {
    "confirmation": (
        "Confirm your e-mail address",
        "Somebody, hopefully you, signed up with this address. The token that confirms it:",
    ),
    "email_change": (
        "Confirm your new e-mail address",
        "This address is to replace that of an account. The token that confirms it:",
    ),
    "recovery": (
        "Reset your password",
        "Somebody, hopefully you, asked for a new password. The token that sets one:",
    ),
    "account_exists": (
        "You have an account already",
        "Somebody, hopefully you, wanted an account with this address, which has one already.",
    ),
}


async def post(connection: Connection, recipient: str, kind: str, token: str | None = None) -> None:
    """Put a mail into the outbox, in the caller's transaction; the oldest ones make room."""
    subject, text = _TEXTS[kind]
    await run(
        connection,
        "insert into aerodb_internal.outbox (recipient, kind, token, subject, body) "
        "values (%s, %s, %s, %s, %s)",
        recipient,
        kind,
        token,
        subject,
        text if token is None else f"{text}\n\n{token}\n",
    )
    await run(
        connection,
        "delete from aerodb_internal.outbox where id <= "
        "(select max(id) from aerodb_internal.outbox) - %s",
        _KEPT,
    )


async def mails(connection: Connection, recipient: str | None) -> list[dict[str, Any]]:
    """Return the mails, or those to one address, the oldest first."""
    rows = await every(
        connection,
        "select id, recipient, kind, token, subject, body, created_at "
        "from aerodb_internal.outbox where %s::text is null or recipient = %s order by id",
        recipient,
        recipient,
    )
    return [
        {
            "id": row["id"],
            "to": row["recipient"],
            "kind": row["kind"],
            "subject": row["subject"],
            "body": row["body"],
            "token": row["token"],
            "created_at": row["created_at"].isoformat(),
        }
        for row in rows
    ]


async def empty(connection: Connection) -> None:
    """Throw all mails away."""
    await run(connection, "delete from aerodb_internal.outbox")
