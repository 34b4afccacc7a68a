"""Forgotten passwords and unconfirmed addresses (wire contract §2.1).

The answers to an address say nothing about whether it has a user (reliability J11).
"""

from __future__ import annotations

from aerodb.local.auth.http import Reply, Request
from aerodb.local.auth.limits import RECOVERY, VERIFICATION
from aerodb.local.auth.one_time import drop_tokens, send_token, take_token
from aerodb.local.auth.parts import Parts
from aerodb.local.auth.sessions import end_sessions
from aerodb.local.auth.users import change_user, user_by_email, user_by_id
from aerodb.local.auth.validation import (
    PASSWORD_POLICY,
    email_field,
    new_password_field,
    text_field,
)

MAILED = "If there is such an account, a mail is on its way"


class Recovery:
    """The endpoints around mailed tokens."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def forgot_password(self, request: Request) -> Reply:
        """POST /auth/forgot-password"""
        parts = self._parts
        email = email_field(request.json())
        parts.callers.check_key(request)
        await parts.limits.count(RECOVERY, email)
        async with parts.store.transaction() as connection:
            user = await user_by_email(connection, email)
            if user is not None:
                await send_token(connection, user["id"], "recovery", email)
        return Reply(200, {"message": MAILED})

    async def reset_password(self, request: Request) -> Reply:
        """POST /auth/reset-password: ends all sessions; confirms the address that got the mail."""
        parts, body = self._parts, request.json()
        parts.callers.check_key(request)
        token, password = text_field(body, "token"), new_password_field(body, "new_password")
        password_hash = await parts.passwords.hash(password)
        async with parts.store.transaction() as connection:
            used = await take_token(connection, token, "recovery")
            user = await user_by_id(connection, used["user_id"])
            changes = {"encrypted_password": password_hash}
            if user["email"] == used["email"] and user["email_confirmed_at"] is None:
                changes["email_confirmed_at"] = used["now"]
            await change_user(connection, used["user_id"], changes)
            await end_sessions(connection, used["user_id"])
            await drop_tokens(connection, used["user_id"])
        return Reply(200, {"message": "Password changed"})

    async def verify_email(self, request: Request) -> Reply:
        """POST /auth/verify-email: confirms the address that the token was mailed to."""
        parts, body = self._parts, request.json()
        parts.callers.check_key(request)
        token = text_field(body, "token")
        async with parts.store.transaction() as connection:
            used = await take_token(connection, token, "confirmation", "email_change")
            changes = {"email": used["email"], "email_confirmed_at": used["now"]}
            await change_user(connection, used["user_id"], changes)
        return Reply(200, {"message": "Email verified"})

    async def resend_verification(self, request: Request) -> Reply:
        """POST /auth/resend-verification"""
        parts = self._parts
        email = email_field(request.json())
        parts.callers.check_key(request)
        await parts.limits.count(VERIFICATION, email)
        async with parts.store.transaction() as connection:
            user = await user_by_email(connection, email)
            if user is not None and user["email_confirmed_at"] is None:
                await send_token(connection, user["id"], "confirmation", email)
        return Reply(200, {"message": MAILED})

    async def password_policy(self, request: Request) -> Reply:
        """GET /auth/password-policy"""
        return Reply(200, PASSWORD_POLICY)
