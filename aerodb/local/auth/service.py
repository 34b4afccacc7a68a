"""Putting the auth part together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aerodb.local.auth.callers import Authenticate, Callers
from aerodb.local.auth.errors import AuthError
from aerodb.local.auth.limits import RateLimits
from aerodb.local.auth.parts import Parts
from aerodb.local.auth.passwords import PasswordWorkers
from aerodb.local.auth.routes import AuthRoutes
from aerodb.local.auth.sessions import Sessions
from aerodb.local.auth.store import Store
from aerodb.local.auth.tokens import TokenIssuer, signing_key
from aerodb.local.credentials import ISSUER
from aerodb.local.database import Database
from aerodb.local.errors import LocalError
from aerodb.local.replies import Receive, Scope, Send
from aerodb.local.rest.errors import RestError
from aerodb.local.settings import InstanceSettings

FEATURES = ("auth.reuse-grace",)


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """How the auth part behaves; the lifetimes are seconds (wire contract §1.4, §2.2)."""

    confirm_email: bool = False
    rate_limits: bool = False
    access_token_ttl: int = 900
    refresh_token_ttl: int = 30 * 24 * 3600
    audience: str | None = None
    signing_key: bytes = field(default=b"", repr=False)


class AuthService:
    """The auth part over the database that `conninfo` opens as `aerodb_auth`."""

    def __init__(self, conninfo: str, settings: AuthSettings, authenticate: Authenticate) -> None:
        self._store = Store(conninfo)
        self._passwords = PasswordWorkers()
        issuer = TokenIssuer(
            settings.signing_key, settings.access_token_ttl, settings.audience or ISSUER
        )
        self._callers = Callers(authenticate, self._store)
        self._routes = AuthRoutes(
            Parts(
                store=self._store,
                passwords=self._passwords,
                sessions=Sessions(issuer, settings.refresh_token_ttl),
                callers=self._callers,
                limits=RateLimits(self._store, active=settings.rate_limits),
                confirm_email=settings.confirm_email,
            )
        )

    async def start(self) -> None:
        """Make ready."""
        await self._store.open()

    async def stop(self) -> None:
        """Close the connections and end the threads."""
        self._passwords.close()
        await self._store.close()

    async def session_lives(self, claims: Mapping[str, Any]) -> bool:
        """Tell whether the session that a token names still goes on (wire contract §2.4)."""
        try:
            return await self._callers.session_lives(claims)
        except AuthError as problem:
            raise RestError(problem.status, problem.code, problem.message) from None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        await self._routes(scope, receive, send)


def make_auth_service(
    settings: InstanceSettings, database: Database, authenticate: Authenticate
) -> AuthService | None:
    """Return the auth part of an instance; None if it is not wanted, or cannot be.

    It cannot over a database without its tables, nor with a secret that can only verify tokens.
    """
    wanted = settings.services is None or "auth" in settings.services
    if not wanted or database.auth is None:
        return None
    own = None if database.keys is None else database.keys.jwt_secret
    key = signing_key(database.rest, own)
    if key is None and settings.services is not None:
        raise LocalError("The service auth needs a secret that it can sign with: set jwt-secret.")
    if key is None:
        return None
    chosen = AuthSettings(
        confirm_email=settings.auth_confirm_email,
        rate_limits=settings.auth_rate_limits,
        access_token_ttl=settings.auth_access_token_ttl,
        refresh_token_ttl=settings.auth_refresh_token_ttl,
        audience=database.rest.jwt_aud,
        signing_key=key,
    )
    return AuthService(database.auth, chosen, authenticate)
