"""Sessions and refresh tokens: rotation, reuse detection, the parent grace (wire contract §2.4)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from aerodb.local.auth.errors import AuthError
from aerodb.local.auth.store import Connection, every, one, run
from aerodb.local.auth.tokens import TokenIssuer, digest, new_secret
from aerodb.local.auth.users import user_by_id, user_object

GRACE = timedelta(seconds=10)
REVOKED = "Session has been revoked"
_REFUSALS = {
    "unknown": ("invalid_refresh_token", "Invalid refresh token"),
    "revoked": ("session_revoked", REVOKED),
    "expired": ("session_expired", "Session expired or invalid"),
    "reused": ("refresh_token_reused", "The refresh token was used already; the session ends"),
}


class Sessions:
    """Begins, continues and ends sessions; every method runs in the caller's transaction."""

    def __init__(self, issuer: TokenIssuer, refresh_lifetime: int) -> None:
        self._issuer = issuer
        self._lifetime = timedelta(seconds=refresh_lifetime)

    async def begin(self, connection: Connection, user: dict[str, Any]) -> dict[str, Any]:
        """Begin a session for a row of auth.users; return an AuthResult (wire contract §2.2)."""
        gone = "delete from auth.sessions where user_id = %s and expires_at < now()"
        await run(connection, gone, user["id"])
        row = await one(
            connection,
            "insert into auth.sessions (user_id, expires_at) values (%s, now() + %s) returning id",
            user["id"],
            self._lifetime,
        )
        assert row is not None
        refresh_token = new_secret()
        await run(
            connection,
            "insert into auth.refresh_tokens (token_hash, session_id) values (%s, %s)",
            digest(refresh_token),
            row["id"],
        )
        return self._result(user, row["id"], refresh_token)

    async def refresh(self, connection: Connection, refresh_token: str) -> dict[str, Any] | str:
        """Spend a refresh token; return an AuthResult, or the name of what came out instead.

        That is a value and no exception: the end of a session whose token was reused must be
        committed.
        """
        child = self._issuer.child(refresh_token)
        spent = await one(
            connection,
            "select outcome, session from aerodb_internal.spend_refresh_token(%s, %s, %s, %s)",
            digest(refresh_token),
            digest(child),
            self._lifetime,
            GRACE,
        )
        assert spent is not None
        if spent["outcome"] not in ("rotated", "repeated"):
            return str(spent["outcome"])
        owner = await one(
            connection, "select user_id from auth.sessions where id = %s", spent["session"]
        )
        if owner is None:
            return "unknown"
        user = await user_by_id(connection, owner["user_id"])
        return self._result(user, spent["session"], child)

    def _result(self, user: dict[str, Any], session: UUID, refresh_token: str) -> dict[str, Any]:
        shown = user_object(user)
        access_token, expires_at = self._issuer.access_token(shown, str(session))
        return {
            "access_token": access_token,
            "token_type": "bearer",
            "expires_in": self._issuer.lifetime,
            "expires_at": expires_at,
            "refresh_token": refresh_token,
            "user": shown,
        }


def refusal(outcome: str) -> AuthError:
    """Return the error that the outcome of a refresh stands for."""
    code, message = _REFUSALS[outcome]
    return AuthError(code, message)


async def session_of_token(connection: Connection, refresh_token: str) -> dict[str, Any] | None:
    """Return the session that a refresh token, spent or not, belongs to, if it is still alive."""
    return await one(
        connection,
        "select s.id, s.user_id from auth.refresh_tokens t "
        "join auth.sessions s on s.id = t.session_id "
        "where t.token_hash = %s and s.revoked_at is null and s.expires_at > now()",
        digest(refresh_token),
    )


async def sessions_of(connection: Connection, user_id: UUID) -> list[dict[str, Any]]:
    """Return the sessions of a user that have not run out, the newest first."""
    return await every(
        connection,
        "select id, user_id, created_at, expires_at, revoked_at is not null as is_revoked "
        "from auth.sessions where user_id = %s and expires_at > now() "
        "order by created_at desc, id",
        user_id,
    )


async def is_live(connection: Connection, session_id: UUID, user_id: UUID) -> bool:
    """Tell whether a session of a user goes on."""
    query = (
        "select from auth.sessions where id = %s and user_id = %s "
        "and revoked_at is null and expires_at > now()"
    )
    return await one(connection, query, session_id, user_id) is not None


async def end_session(connection: Connection, session_id: UUID, user_id: UUID) -> bool:
    """Revoke one session of a user; tell whether there is such a session."""
    query = (
        "update auth.sessions set revoked_at = coalesce(revoked_at, now()) "
        "where id = %s and user_id = %s"
    )
    return await run(connection, query, session_id, user_id) > 0


async def end_sessions(connection: Connection, user_id: UUID, *, but: UUID | None = None) -> None:
    """Revoke all sessions of a user, but perhaps one."""
    await run(
        connection,
        "update auth.sessions set revoked_at = now() "
        "where user_id = %s and id is distinct from %s and revoked_at is null",
        user_id,
        but,
    )
