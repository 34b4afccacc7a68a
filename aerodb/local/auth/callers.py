"""Who calls an endpoint: a key, a user of a live session, or the service (wire contract §1.4).

Unlike the REST part, which believes an access token until it expires, everything here asks the
database whether the session still goes on (§2.4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from aerodb.local.auth.errors import AuthError
from aerodb.local.auth.http import Request
from aerodb.local.auth.sessions import REVOKED, is_live
from aerodb.local.auth.store import Connection, Store
from aerodb.local.auth.users import user_by_id
from aerodb.local.credentials import SERVICE_ROLE, Identity
from aerodb.local.rest.errors import RestError

Authenticate = Callable[[Mapping[str, str]], Identity]
_ANONYMOUS_REFUSED = "PGRST302"
_OWN_CODES = {"invalid_api_key": "invalid_api_key", "no_api_key": "missing_api_key"}
_MISSING = "Authentication required"


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in user: the session and the row of auth.users."""

    user_id: UUID
    session_id: UUID
    user: dict[str, Any] = field(repr=False)


class Callers:
    """Reads credentials. `authenticate` holds the rules for keys and tokens."""

    def __init__(self, authenticate: Authenticate, store: Store) -> None:
        self._authenticate = authenticate
        self._store = store

    def check_key(self, request: Request) -> None:
        """Refuse an unknown API key; a bearer token is not looked at.

        That is for endpoints whose credentials are in the body: an expired access token must not
        break a refresh (wire contract §1.2).
        """
        key = request.headers.get("apikey")
        try:
            self._authenticate({} if key is None else {"apikey": key})
        except RestError as problem:
            if problem.code == _ANONYMOUS_REFUSED:
                return
            code = _OWN_CODES.get(problem.code, "invalid_api_key")
            raise AuthError(code, problem.message) from None

    async def user(self, request: Request) -> Caller:
        """Return the signed-in caller, or raise the 401 (or 404) that fits."""
        user_id, session_id = _session_claims(self._identity(request))
        async with self._store.transaction() as connection:
            return await self.again(connection, user_id, session_id)

    async def again(self, connection: Connection, user_id: UUID, session_id: UUID) -> Caller:
        """Return the caller as the database knows it now."""
        row = await user_by_id(connection, user_id)
        if not await is_live(connection, session_id, user_id):
            raise AuthError("session_revoked", REVOKED, bearer=True)
        return Caller(user_id, session_id, row)

    async def session_lives(self, claims: Mapping[str, Any]) -> bool:
        """Tell whether the session of these claims still goes on; False if they name none."""
        try:
            user_id, session_id = UUID(str(claims["sub"])), UUID(str(claims["session_id"]))
        except (KeyError, ValueError):
            return False
        async with self._store.transaction() as connection:
            return await is_live(connection, session_id, user_id)

    async def service(self, request: Request) -> None:
        """Refuse everybody but the service."""
        identity = self._identity(request)
        if identity.role != SERVICE_ROLE:
            if not {"authorization", "apikey"} & request.headers.keys():
                raise AuthError("authentication_required", _MISSING)
            raise AuthError("access_denied", "Not authorized to access this resource")
        if identity.claims is not None and "session_id" in identity.claims:
            await self.user(request)

    def _identity(self, request: Request) -> Identity:
        try:
            return self._authenticate(request.headers)
        except RestError as problem:
            raise _refused(problem) from None


def _refused(problem: RestError) -> AuthError:
    if problem.code in _OWN_CODES:
        return AuthError(_OWN_CODES[problem.code], problem.message)
    if problem.code == _ANONYMOUS_REFUSED:
        return AuthError("authentication_required", _MISSING)
    if problem.status == 403:
        return AuthError("insufficient_permissions", problem.message)
    if problem.message == "JWT expired":
        return AuthError("token_expired", "Token expired", bearer=True)
    return AuthError("invalid_token", f"Invalid or expired token: {problem.message}", bearer=True)


def _session_claims(identity: Identity) -> tuple[UUID, UUID]:
    """Return the user and the session of a token of ours; others name no session."""
    claims = identity.claims
    if claims is None or "sub" not in claims:
        raise AuthError("authentication_required", _MISSING)
    try:
        if "exp" not in claims:
            raise ValueError
        return UUID(str(claims["sub"])), UUID(str(claims["session_id"]))
    except (KeyError, ValueError):
        message = "Invalid or expired token: it belongs to no session"
        raise AuthError("invalid_token", message, bearer=True) from None
