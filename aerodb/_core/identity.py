"""Who a client is: users, sessions and tokens as values (wire-contract §2.2).

A session holds secrets, so it is no dataclass: `vars`, `asdict`, `repr`, `pickle` and `copy` find
no token in it (reliability C4). `dump()` and `Session.load()` are the one deliberate way out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Generic, Literal, NoReturn, TypeVar

from aerodb._core.error_body import load_json
from aerodb._core.headers import MAX_TOKEN, is_jwt_shaped, token_problem
from aerodb._core.redact import Secret
from aerodb._dataclass import dataclass, field

__all__ = [
    "AuthChange",
    "AuthData",
    "AuthEvent",
    "Page",
    "PasswordPolicy",
    "Session",
    "SessionInfo",
    "User",
    "key_role",
    "token_life",
    "unverified_claims",
]

T = TypeVar("T")

AuthEvent = Literal[
    "INITIAL_SESSION",
    "SIGNED_IN",
    "SIGNED_OUT",
    "TOKEN_REFRESHED",
    "USER_UPDATED",
    "REFRESH_FAILED",
]
"""What can happen to a session (wire-contract §2.3)."""

DEFAULT_LIFE = 900.0
"""Seconds that an access token lives if nothing says so (wire-contract §2.2)."""


@dataclass(frozen=True, slots=True)
class User:
    """A user as the server describes one. What it does not say is None, or empty.

    Attributes:
        id: The user's UUID; `auth.uid()` in the database.
        email: The address, as the server has it.
        email_verified: Whether the address was confirmed; False if the server does not say.
        created_at: When the user was made, as text.
        updated_at: When the user was last changed, as text.
        last_sign_in_at: When the user last signed in, as text.
        role: The database role.
        metadata: What the user may change.
        app_metadata: What only the service key may change.
    """

    id: str
    email: str | None = None
    email_verified: bool = False
    created_at: str | None = None
    updated_at: str | None = None
    last_sign_in_at: str | None = None
    role: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    app_metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Session:
    """The tokens of a signed-in user; immutable. Its repr shows none of them.

    Args:
        access_token: Sent with every request.
        refresh_token: Gets the next session; None if there is none.
        expires_in: Seconds that the access token lives from the moment it was given out.
        expires_at: The same as Unix time by the server's clock; for information only.
        user: Whose session it is, if known.

    Raises:
        TypeError, ValueError: a token cannot be sent; the text does not show it.
    """

    __slots__ = ("_access", "_refresh", "expires_at", "expires_in", "token_type", "user")

    expires_in: float | None
    expires_at: float | None
    token_type: str
    user: User | None

    def __init__(
        self,
        access_token: str,
        refresh_token: str | None = None,
        *,
        expires_in: float | None = None,
        expires_at: float | None = None,
        user: User | None = None,
    ) -> None:
        _refuse(access_token, "access_token")
        if refresh_token is not None:
            _refuse(refresh_token, "refresh_token")
        put = object.__setattr__
        put(self, "_access", Secret(access_token))
        put(self, "_refresh", None if refresh_token is None else Secret(refresh_token))
        put(self, "expires_in", expires_in)
        put(self, "expires_at", expires_at)
        put(self, "token_type", "bearer")
        put(self, "user", user)

    _access: Secret
    _refresh: Secret | None

    @property
    def access_token(self) -> str:
        """The access token itself."""
        return self._access.reveal()

    @property
    def refresh_token(self) -> str | None:
        """The refresh token itself, if there is one."""
        return None if self._refresh is None else self._refresh.reveal()

    def replace(self, **changes: Any) -> Session:
        """A copy with some arguments changed."""
        arguments: dict[str, Any] = {
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "expires_in": self.expires_in,
            "expires_at": self.expires_at,
            "user": self.user,
        }
        return Session(**(arguments | changes))

    def dump(self) -> str:
        """The session as JSON text, tokens included: for a place that keeps secrets."""
        user = self.user
        members = None if user is None else {name: getattr(user, name) for name in User.__slots__}
        return json.dumps(
            {
                "access_token": self.access_token,
                "refresh_token": self.refresh_token,
                "expires_in": self.expires_in,
                "expires_at": self.expires_at,
                "user": members,
            }
        )

    @staticmethod
    def load(text: str) -> Session:
        """Read what `dump` wrote.

        Raises:
            ValueError: It is no session; the text does not show it.
        """
        session = read_session(load_json(text.strip()))
        if session is None:
            raise ValueError("this text holds no session")
        return session

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Session is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Session is immutable")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Session):
            return NotImplemented
        return self._access == other._access and self._refresh == other._refresh

    def __hash__(self) -> int:
        return hash((self._access, self._refresh))

    def __repr__(self) -> str:
        email = None if self.user is None else self.user.email
        return f"<Session of {email or 'a user'}, tokens hidden>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a session is neither copied nor pickled: it holds tokens; "
            "session.dump() gives its text to a place that keeps secrets"
        )


def _refuse(token: object, what: str) -> None:
    problem = token_problem(token, what)
    if problem:
        raise (ValueError if isinstance(token, str) else TypeError)(problem)


@dataclass(frozen=True, slots=True)
class AuthData:
    """What signing up or in gave.

    Attributes:
        user: Who it is; None if the server did not say.
        session: The tokens; None if the address has to be confirmed first.
        confirmation_required: Whether the user has to follow a link in a mail first.
    """

    user: User | None
    session: Session | None = None
    confirmation_required: bool = False


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What a server asks of a password."""

    min_length: int = 8
    require_uppercase: bool = False
    require_lowercase: bool = False
    require_number: bool = False
    require_special: bool = False


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One of a user's sessions, without its tokens."""

    id: str
    user_id: str | None = None
    created_at: str | None = None
    expires_at: str | None = None
    is_revoked: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a longer list.

    Attributes:
        items: What is on this page.
        total: How many there are on all pages; None if the server does not say.
    """

    items: tuple[T, ...]
    total: int | None = None


@dataclass(frozen=True, slots=True)
class AuthChange:
    """A change of who the client is; `session` is what holds from now on."""

    event: AuthEvent
    session: Session | None


# --- reading, tolerant by wire-contract §1.6 --------------------------------------------------


def read_user(value: Any) -> User | None:
    """A user, bare or below `user` or `data`; None if there is none."""
    for name in ("user", "data"):
        inner = value.get(name) if isinstance(value, dict) else None
        if isinstance(inner, dict):
            return read_user(inner)
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        return None
    verified = value.get("email_verified")
    metadata = value.get("metadata")
    return User(
        id=value["id"],
        email=_text(value.get("email")),
        email_verified=verified is True or _text(value.get("email_confirmed_at")) is not None,
        created_at=_text(value.get("created_at")),
        updated_at=_text(value.get("updated_at")),
        last_sign_in_at=_text(value.get("last_sign_in_at")),
        role=_text(value.get("role")),
        metadata=_members(metadata if metadata is not None else value.get("user_metadata")),
        app_metadata=_members(value.get("app_metadata")),
    )


def read_session(value: Any) -> Session | None:
    """Tokens, flat or below `session` or `data`; None if there are none that can be used."""
    if not isinstance(value, dict):
        return None
    for name in ("session", "data"):
        if isinstance(value.get(name), dict) and "access_token" not in value:
            inner = value[name]
            return read_session({"user": value.get("user"), **inner})
    access, refresh = value.get("access_token"), value.get("refresh_token")
    try:
        return Session(
            access,  # type: ignore[arg-type]  # checked by the class
            refresh or None,
            expires_in=_number(value.get("expires_in")),
            expires_at=_number(value.get("expires_at")),
            user=read_user(value.get("user")),
        )
    except (TypeError, ValueError):
        return None


def unverified_claims(token: str) -> dict[str, Any] | None:
    """What a JWT says, unverified: only the server can tell whether it is true."""
    if not is_jwt_shaped(token) or len(token) > MAX_TOKEN:
        return None
    from base64 import urlsafe_b64decode  # when first needed: most programs sign nobody in

    part = token.split(".")[1]
    try:
        text = urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode("utf-8")
    except ValueError:
        return None
    claims = load_json(text)
    return claims if isinstance(claims, dict) else None


def token_life(session: Session) -> float:
    """Seconds that a token just given out will live (wire-contract §2.2)."""
    if session.expires_in is not None:
        return session.expires_in
    claims = unverified_claims(session.access_token) or {}
    issued, expires = _number(claims.get("iat")), _number(claims.get("exp"))
    if issued is not None and expires is not None and expires > issued:
        return expires - issued
    return DEFAULT_LIFE


def life_left(session: Session, wall_clock: float) -> float:
    """Seconds left of a token that was given out some time ago, by this machine's clock.

    A wrong clock costs one refresh, or a 401 that is answered by one: never the session.
    """
    life, expires = token_life(session), session.expires_at
    if expires is None:
        expires = _number((unverified_claims(session.access_token) or {}).get("exp"))
    return life if expires is None else min(life, expires - wall_clock)


def same_user(one: Session, other: Session) -> bool:
    """Whether two sessions are of one user, as far as can be told."""
    ids = [
        session.user.id
        if session.user is not None
        else (unverified_claims(session.access_token) or {}).get("sub")
        for session in (one, other)
    ]
    return None in ids or ids[0] == ids[1]


def key_role(key: str) -> str | None:
    """`service_role` or `anon` by a key's looks, or None if it does not show (§1.4)."""
    if key.startswith("aero_sk_"):
        return "service_role"
    if key.startswith("aero_pk_"):
        return "anon"
    return _text((unverified_claims(key) or {}).get("role"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -(2**53) < value < 2**53 else None


def _members(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
