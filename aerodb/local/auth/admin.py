"""Looking after users, and reading their mails: for the service alone (wire contract §2.1)."""

from __future__ import annotations

import ipaddress
from typing import Any

from psycopg.types.json import Jsonb

from aerodb.local.auth import outbox
from aerodb.local.auth.errors import AuthError, invalid
from aerodb.local.auth.http import Reply, Request
from aerodb.local.auth.one_time import drop_tokens
from aerodb.local.auth.parts import Parts
from aerodb.local.auth.sessions import end_sessions
from aerodb.local.auth.store import Connection
from aerodb.local.auth.users import (
    DEFAULT_ROLE,
    change_user,
    check_role,
    email_taken,
    insert_user,
    remove_user,
    user_by_id,
    user_object,
    users_page,
)
from aerodb.local.auth.validation import (
    email_address,
    email_field,
    identifier,
    metadata_field,
    new_password_field,
    text_field,
)

_PAGE = 50
_LARGEST_PAGE = 1000
_FAR = 10**9


class Admin:
    """The endpoints for the secret key."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def list_users(self, request: Request) -> Reply:
        """GET /auth/users?page=&per_page=, or ?limit=&offset="""
        await self._parts.callers.service(request)
        size = "limit" if "limit" in request.query else "per_page"
        limit = request.number(size, _PAGE, 1, _LARGEST_PAGE)
        skipped = (request.number("page", 1, 1, _FAR) - 1) * limit
        offset = request.number("offset", skipped, 0, _FAR)
        async with self._parts.store.transaction() as connection:
            rows, total = await users_page(connection, limit, offset)
        return Reply(200, {"users": [user_object(row) for row in rows], "total": total})

    async def create_user(self, request: Request) -> Reply:
        """POST /auth/users"""
        await self._parts.callers.service(request)
        body = request.json()
        email, given = email_field(body), await self._given(body)
        async with self._parts.store.transaction() as connection:
            role = await _role(connection, body)
            row = await insert_user(
                connection,
                email,
                given.get("encrypted_password"),
                metadata=metadata_field(body, "metadata"),
                app_metadata=metadata_field(body, "app_metadata"),
                role=role or DEFAULT_ROLE,
                verified=_flag(body, "email_verified") or False,
            )
            if row is None:
                raise email_taken()
        return Reply(201, user_object(row))

    async def get_user(self, request: Request) -> Reply:
        """GET /auth/users/{id}"""
        await self._parts.callers.service(request)
        wanted = identifier(request.argument)
        async with self._parts.store.transaction() as connection:
            return Reply(200, user_object(await user_by_id(connection, wanted)))

    async def update_user(self, request: Request) -> Reply:
        """PATCH /auth/users/{id}: a new password ends all sessions of the user."""
        await self._parts.callers.service(request)
        wanted, body = identifier(request.argument), request.json()
        changes = await self._given(body)
        if body.get("email") is not None:
            changes["email"] = email_field(body)
        async with self._parts.store.transaction() as connection:
            user = await user_by_id(connection, wanted, lock=True)
            role = await _role(connection, body)
            changes |= {} if role is None else {"role": role}
            verified = _flag(body, "email_verified")
            if changes.get("email", user["email"]) != user["email"]:
                verified = verified or False
                await drop_tokens(connection, wanted)
            if verified is not None:
                now = user["email_confirmed_at"] or user["now"]
                changes["email_confirmed_at"] = now if verified else None
            if not changes:
                raise invalid("nothing to change")
            row = await change_user(connection, wanted, changes)
            if "encrypted_password" in changes:
                await end_sessions(connection, wanted)
                await drop_tokens(connection, wanted)
        return Reply(200, user_object(row))

    async def delete_user(self, request: Request) -> Reply:
        """DELETE /auth/users/{id}"""
        await self._parts.callers.service(request)
        wanted = identifier(request.argument)
        async with self._parts.store.transaction() as connection:
            await remove_user(connection, wanted)
        return Reply(204)

    async def read_outbox(self, request: Request) -> Reply:
        """GET /_aerodb/outbox?to="""
        await self._own_machine(request)
        recipient = request.query.get("to")
        address = None if recipient is None else email_address(recipient)
        async with self._parts.store.transaction() as connection:
            mails = await outbox.mails(connection, address)
        return Reply(200, {"mails": mails, "total": len(mails)})

    async def empty_outbox(self, request: Request) -> Reply:
        """DELETE /_aerodb/outbox"""
        await self._own_machine(request)
        async with self._parts.store.transaction() as connection:
            await outbox.empty(connection)
        return Reply(204)

    async def _own_machine(self, request: Request) -> None:
        """Mails hold tokens: with the secret key only, and from this machine only."""
        await self._parts.callers.service(request)
        if not ipaddress.ip_address(request.address or "0.0.0.0").is_loopback:  # noqa: S104
            raise AuthError("access_denied", "The outbox is for this machine alone")

    async def _given(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the columns that a body sets, without e-mail, role and confirmation."""
        changes: dict[str, Any] = {}
        for name, column in (
            ("metadata", "raw_user_meta_data"),
            ("app_metadata", "raw_app_meta_data"),
        ):
            value = metadata_field(body, name)
            if value is not None:
                changes[column] = Jsonb(value)
        if body.get("password") is not None:
            password = new_password_field(body, "password")
            changes["encrypted_password"] = await self._parts.passwords.hash(password)
        return changes


async def _role(connection: Connection, body: dict[str, Any]) -> str | None:
    if body.get("role") is None:
        return None
    role = text_field(body, "role")
    await check_role(connection, role)
    return role


def _flag(body: dict[str, Any], name: str) -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"{name} must be true or false")
    return value
