"""Who is calling: (Authorization, apikey) -> database role and claims (wire contract §1.4).

Two ways. An instance over its own database knows API keys and signs its own tokens. Over somebody
else's database there is nothing but a Bearer token, and PostgREST's rules hold to the letter.
An invalid credential is always 401, never a fall back to a lesser role.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aerodb.local import tokens
from aerodb.local.claim_path import MISSING, ClaimPath, parse_claim_path
from aerodb.local.errors import LocalError
from aerodb.local.keys import PUBLISHABLE_PREFIX, SECRET_PREFIX, Keys
from aerodb.local.rest.errors import RestError
from aerodb.local.settings import RestSettings

ISSUER = "aerodb"
SERVICE_ROLE = "service_role"
LOGIN_ROLE = "authenticator"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a request acts as. `claims` is None if there was no token and no key.

    `authenticated` decides whether a refused permission is a 403 or a 401 (wire contract §3.7).
    """

    role: str
    claims: dict[str, Any] | None = field(default=None, repr=False)
    authenticated: bool = False


class PostgrestCredentials:
    """PostgREST's rules: a Bearer token or nothing.

    `refused_roles` are roles that no token may name although the login role could become them.
    """

    def __init__(
        self, settings: RestSettings, *, refused_roles: frozenset[str] = frozenset()
    ) -> None:
        self._settings = settings
        # SET ROLE takes this for no role: the statement would run as the login role itself.
        self._refused_roles = refused_roles | {"none"}
        self._reader: tokens.TokenReader | None = None
        if settings.jwt_secret is not None:
            self._reader = tokens.TokenReader(
                tokens.load_keys(settings.jwt_secret, is_base64=settings.jwt_secret_is_base64)
            )
        self._path = _claim_path(settings)

    def authenticate(self, headers: Mapping[str, str]) -> Identity:
        """Return the identity that `headers` (lower-case names) prove, or raise RestError."""
        token = bearer_token(headers)
        if token is None:
            return self.identity(None)
        return self.identity(self.claims(token))

    def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that is valid now."""
        if self._reader is None:
            raise RestError(500, "PGRST300", "Server lacks JWT secret")
        claims = self._reader.claims(token)
        tokens.check_claims(claims, self._settings.jwt_aud)
        return claims

    def identity(self, claims: dict[str, Any] | None) -> Identity:
        """Return the identity of `claims`: the role they name, or the anonymous one."""
        anonymous = self._settings.db_anon_role
        named = MISSING if claims is None else self._path.first(claims)
        role = anonymous if named is MISSING else _role_text(named)
        if role is None:
            raise RestError(
                401,
                "PGRST302",
                "Anonymous access is disabled",
                headers=(("WWW-Authenticate", "Bearer"),),
            )
        allowed = self._settings.allowed_roles
        outside = allowed is not None and role not in allowed and role != anonymous
        if outside or role in self._refused_roles:
            raise RestError(403, "42501", f'permission denied to set role "{role}"')
        return Identity(role, claims, authenticated=role != anonymous)


class InstanceCredentials:
    """The table of wire contract §1.4: API keys besides tokens."""

    def __init__(self, settings: RestSettings, keys: Keys, *, require_apikey: bool = False) -> None:
        own = keys.jwt_secret if settings.jwt_secret is None else settings.jwt_secret
        encoded = settings.jwt_secret is not None and settings.jwt_secret_is_base64
        self._settings = settings
        self._keys = keys
        self._own_issuer = settings.jwt_secret is None
        self._reader = tokens.TokenReader(tokens.load_keys(own, is_base64=encoded))
        self._require_apikey = require_apikey
        # The login role is for what the instance itself has to do (reliability J6).
        self._roles = PostgrestCredentials(settings, refused_roles=frozenset({LOGIN_ROLE}))

    def authenticate(self, headers: Mapping[str, str]) -> Identity:
        """Return the identity that `headers` (lower-case names) prove, or raise RestError."""
        key = headers.get("apikey")
        bearer = bearer_token(headers)
        from_key = None if key is None else self._by_key(key)
        if bearer is None or (key is not None and _same(bearer, key)):
            if from_key is None and self._require_apikey:
                raise _refused("no_api_key", "An API key is required")
            return from_key or self._roles.identity(None)
        opaque = self._opaque(bearer)
        return opaque or self._by_token(bearer)

    def _by_key(self, key: str) -> Identity:
        """An API key is one of ours, or a token of ours (as the keys of Supabase are)."""
        opaque = self._opaque(key)
        if opaque is not None:
            return opaque
        if key.count(".") == 2 and not key.startswith((PUBLISHABLE_PREFIX, SECRET_PREFIX)):
            return self._by_token(key)
        raise _refused("invalid_api_key", "The API key is not one of this server")

    def _opaque(self, key: str) -> Identity | None:
        # Both are compared whatever the first says, so that time tells nothing.
        secret, publishable = _same(key, self._keys.secret), _same(key, self._keys.publishable)
        if secret:
            return Identity(SERVICE_ROLE, {"role": SERVICE_ROLE}, authenticated=True)
        return self._roles.identity(None) if publishable else None

    def _by_token(self, token: str) -> Identity:
        claims = self._reader.claims(token)
        tokens.check_claims(claims, self._settings.jwt_aud)
        if self._own_issuer:
            tokens.check_issuer(claims, ISSUER)
        return self._roles.identity(claims)


def doubled_credentials(headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, str] | None:
    """Return (status, message) if a request has two tokens or two keys.

    Which of them counts would depend on who reads them: a proxy that looks at the first would let
    through what the last one is allowed to do.
    """
    names = [name for name, _ in headers if name in (b"authorization", b"apikey")]
    if len(set(names)) == len(names):
        return None
    return 400, "The request has two Authorization or apikey headers."


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """Return what follows `Bearer` in any case, "" if nothing does; None for other schemes."""
    value = headers.get("authorization")
    if value is None:
        return None
    scheme, _, rest = value.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else None


def _claim_path(settings: RestSettings) -> ClaimPath:
    try:
        return parse_claim_path(settings.jwt_role_claim_key)
    except ValueError as problem:
        raise LocalError(str(problem)) from None


def _role_text(value: Any) -> str:
    """A role that is no text is taken as its JSON, which no role is called (PostgREST's rule)."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))


def _refused(code: str, message: str) -> RestError:
    return RestError(401, code, message, headers=(("WWW-Authenticate", "Bearer"),))
