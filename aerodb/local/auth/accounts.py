"""Signing up, in, out, and staying signed in (wire contract §2.1)."""

from __future__ import annotations

from uuid import UUID

from aerodb.local.auth.errors import AuthError, invalid
from aerodb.local.auth.http import Reply, Request
from aerodb.local.auth.limits import LOGIN, SIGNUP
from aerodb.local.auth.one_time import send_token
from aerodb.local.auth.outbox import post
from aerodb.local.auth.parts import Parts
from aerodb.local.auth.sessions import end_session, end_sessions, refusal, session_of_token
from aerodb.local.auth.store import Connection
from aerodb.local.auth.users import (
    email_taken,
    insert_user,
    lookalike,
    signed_in,
    user_by_email,
    user_object,
)
from aerodb.local.auth.validation import (
    email_field,
    metadata_field,
    new_password_field,
    text_field,
)

SCOPES = ("local", "global", "others")


class Accounts:
    """The endpoints that take their credentials in the body."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def sign_up(self, request: Request) -> Reply:
        """POST /auth/signup"""
        parts, body = self._parts, request.json()
        parts.callers.check_key(request)
        email = email_field(body)
        password = new_password_field(body, "password")
        metadata = metadata_field(body, "metadata") or {}
        await parts.limits.count(SIGNUP, request.address)
        # Before it is known whether the address is taken: the work is the same either way.
        password_hash = await parts.passwords.hash(password)
        async with parts.store.transaction() as connection:
            row = await insert_user(connection, email, password_hash, metadata=metadata)
            if row is not None:
                await send_token(connection, row["id"], "confirmation", email)
            if parts.confirm_email:
                if row is None:  # reliability J11: the reply is that of a new user
                    await _tell_the_owner(connection, email)
                    row = await lookalike(connection, email, metadata)
                return Reply(201, {"user": user_object(row)})
            if row is None:
                raise email_taken()
            row = await signed_in(connection, row["id"], password_hash)
            assert row is not None
            return Reply(201, await parts.sessions.begin(connection, row))

    async def sign_in(self, request: Request) -> Reply:
        """POST /auth/login

        A wrong password and an unknown address differ in nothing: status, body, work (reliability
        J8).
        """
        parts, body = self._parts, request.json()
        parts.callers.check_key(request)
        email, password = email_field(body), text_field(body, "password")
        await parts.limits.count(LOGIN, email)
        async with parts.store.transaction() as connection:
            found = await user_by_email(connection, email)
        stored = None if found is None else found["encrypted_password"]
        right = await parts.passwords.verify(stored, password)
        if found is None or not right:
            raise wrong_credentials()
        if parts.confirm_email and found["email_confirmed_at"] is None:
            raise AuthError("email_not_verified", "Email not verified")
        async with parts.store.transaction() as connection:
            row = await signed_in(connection, found["id"], stored)
            if row is None:
                raise wrong_credentials()
            return Reply(200, await parts.sessions.begin(connection, row))

    async def refresh(self, request: Request) -> Reply:
        """POST /auth/refresh"""
        parts, body = self._parts, request.json()
        parts.callers.check_key(request)
        refresh_token = text_field(body, "refresh_token")
        async with parts.store.transaction() as connection:
            result = await parts.sessions.refresh(connection, refresh_token)
        if isinstance(result, str):
            raise refusal(result)
        return Reply(200, result)

    async def sign_out(self, request: Request) -> Reply:
        """POST /auth/logout: 204 also for a token that is dead or was never given out."""
        parts, body = self._parts, request.json()
        scope = request.query.get("scope", "local")
        if scope not in SCOPES:
            raise invalid(f"scope is none of {', '.join(SCOPES)}")
        refresh_token = body.get("refresh_token")
        if refresh_token is not None:
            parts.callers.check_key(request)
            async with parts.store.transaction() as connection:
                token = text_field(body, "refresh_token")
                session = await session_of_token(connection, token)
                if session is not None:
                    await _end(connection, scope, session["user_id"], session["id"])
            return Reply(204)
        if "authorization" not in request.headers:
            raise invalid("refresh_token is missing")
        caller = await parts.callers.user(request)
        async with parts.store.transaction() as connection:
            await _end(connection, scope, caller.user_id, caller.session_id)
        return Reply(204)


async def _end(connection: Connection, scope: str, user_id: UUID, session_id: UUID) -> None:
    if scope == "local":
        await end_session(connection, session_id, user_id)
    else:
        await end_sessions(connection, user_id, but=session_id if scope == "others" else None)


async def _tell_the_owner(connection: Connection, email: str) -> None:
    """Nobody is told that an address is taken, but its owner is."""
    owner = await user_by_email(connection, email)
    if owner is not None and owner["email_confirmed_at"] is None:
        await send_token(connection, owner["id"], "confirmation", email)
    else:
        await post(connection, email, "account_exists")


def wrong_credentials() -> AuthError:
    """Return the one error for every way in which e-mail and password do not belong together."""
    return AuthError("invalid_credentials", "Invalid credentials")
