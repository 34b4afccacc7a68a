"""What a signed-in user does with the own account (wire contract §2.1)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from aerodb.local.auth.accounts import wrong_credentials
from aerodb.local.auth.errors import AuthError, invalid
from aerodb.local.auth.http import Reply, Request
from aerodb.local.auth.limits import LOGIN
from aerodb.local.auth.one_time import Kind, drop_tokens, send_token
from aerodb.local.auth.outbox import post
from aerodb.local.auth.parts import Parts
from aerodb.local.auth.sessions import end_session, end_sessions, sessions_of
from aerodb.local.auth.store import Connection
from aerodb.local.auth.users import change_user, email_taken, user_by_email, user_by_id, user_object
from aerodb.local.auth.validation import (
    email_field,
    identifier,
    metadata_field,
    new_password_field,
    text_field,
)


class Profile:
    """The endpoints behind the bearer token of a live session."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def get_user(self, request: Request) -> Reply:
        """GET /auth/user"""
        caller = await self._parts.callers.user(request)
        return Reply(200, user_object(caller.user))

    async def update_user(self, request: Request) -> Reply:
        """PUT /auth/user: metadata replaces; a new address waits for its confirmation, if asked."""
        caller, body = await self._parts.callers.user(request), request.json()
        metadata = metadata_field(body, "metadata")
        email = None if body.get("email") is None else email_field(body)
        if metadata is None and email is None:
            raise invalid("nothing to change: metadata or email must be given")
        changes: dict[str, Any] = {}
        if metadata is not None:
            changes["raw_user_meta_data"] = Jsonb(metadata)
        moved = email is not None and email != caller.user["email"]
        if moved and not self._parts.confirm_email:
            changes |= {"email": email, "email_confirmed_at": None}
        async with self._parts.store.transaction() as connection:
            await self._parts.callers.again(connection, caller.user_id, caller.session_id)
            user = caller.user
            if moved and email is not None:
                await self._move(connection, caller.user_id, email)
            if changes:
                user = await change_user(connection, caller.user_id, changes)
        return Reply(200, user_object(user))

    async def _move(self, connection: Connection, user_id: UUID, email: str) -> None:
        """Mail a token to a new address. Where addresses are confirmed first, the answer does not
        tell whether one is taken (reliability J11), but its owner is told."""
        strict = self._parts.confirm_email
        taken = await user_by_email(connection, email) is not None
        if taken and not strict:
            raise email_taken()
        await drop_tokens(connection, user_id)
        if taken:
            await post(connection, email, "account_exists")
        else:
            kind: Kind = "email_change" if strict else "confirmation"
            await send_token(connection, user_id, kind, email)

    async def change_password(self, request: Request) -> Reply:
        """POST /auth/change-password: ends all other sessions of the user."""
        parts = self._parts
        caller, body = await parts.callers.user(request), request.json()
        current = text_field(body, "current_password")
        password = new_password_field(body, "new_password")
        await parts.limits.count(LOGIN, caller.user["email"])
        stored = caller.user["encrypted_password"]
        if not await parts.passwords.verify(stored, current):
            raise wrong_credentials()
        password_hash = await parts.passwords.hash(password)
        async with parts.store.transaction() as connection:
            # Behind the lock all is asked again: the session may have ended, the password changed.
            locked = await user_by_id(connection, caller.user_id, lock=True)
            now = await parts.callers.again(connection, caller.user_id, caller.session_id)
            if locked["encrypted_password"] != stored:
                raise wrong_credentials()
            await change_user(connection, now.user_id, {"encrypted_password": password_hash})
            await end_sessions(connection, now.user_id, but=now.session_id)
            await drop_tokens(connection, now.user_id)
        return Reply(200, {"message": "Password changed"})

    async def list_sessions(self, request: Request) -> Reply:
        """GET /auth/sessions"""
        caller = await self._parts.callers.user(request)
        async with self._parts.store.transaction() as connection:
            rows = await sessions_of(connection, caller.user_id)
        sessions = [
            {
                "id": str(row["id"]),
                "user_id": str(row["user_id"]),
                "created_at": row["created_at"].isoformat(),
                "expires_at": row["expires_at"].isoformat(),
                "is_revoked": row["is_revoked"],
            }
            for row in rows
        ]
        return Reply(200, {"sessions": sessions, "total": len(sessions)})

    async def revoke_session(self, request: Request) -> Reply:
        """DELETE /auth/sessions/{id}: another user's is as unknown as none."""
        caller = await self._parts.callers.user(request)
        wanted = identifier(request.argument)
        async with self._parts.store.transaction() as connection:
            if not await end_session(connection, wanted, caller.user_id):
                raise AuthError("not_found", "There is no such session")
        return Reply(204)
