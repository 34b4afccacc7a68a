"""The auth service as calls (wire-contract §2.1), its answers read tolerantly (§1.6).

A function returns the call, or the answer if an argument cannot be sent. Calls that take
credentials in the body go out as whoever holds the key: an expired bearer must not break them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from aerodb._core.errors import client_error
from aerodb._core.headers import token_problem
from aerodb._core.http import Call, Prepared, RawResponse, Retry
from aerodb._core.identity import (
    AuthData,
    Page,
    PasswordPolicy,
    Session,
    SessionInfo,
    User,
    read_session,
    read_user,
)
from aerodb._core.json import BadJSON, dumps, loads
from aerodb._core.url import quote_segment, segment_problem
from aerodb._core.values import BadValue, describe
from aerodb.types import AeroDBError, AeroDBResponse

T = TypeVar("T")

SignOutScope = Literal["local", "global", "others"]
_SCOPES = frozenset({"local", "global", "others"})
_MAX_EMAIL = 320  # RFC 5321 §4.5.3.1: 64 + 1 + 255
_MAX_PASSWORD = 1024  # wire-contract S12


# --- reading ----------------------------------------------------------------------------------


def _loaded(response: RawResponse) -> Any:
    """The body's JSON; None for an empty body, or for one that is no JSON."""
    if not response.body:
        return None
    try:
        return loads(response.body)
    except BadJSON:
        return None


def _unreadable(what: str) -> AeroDBResponse[Any]:
    return AeroDBResponse(
        error=AeroDBError(f"the answer holds no {what} that can be read", code="INVALID_RESPONSE")
    )


def _decoder(read: Callable[[Any], T | None], what: str) -> Callable[..., AeroDBResponse[T]]:
    def decode(response: RawResponse) -> AeroDBResponse[T]:
        found = read(_loaded(response))
        return _unreadable(what) if found is None else AeroDBResponse(found)

    return decode


def _nothing(response: RawResponse) -> AeroDBResponse[None]:
    return AeroDBResponse()


def _maybe_user(response: RawResponse) -> AeroDBResponse[User | None]:
    return AeroDBResponse(read_user(_loaded(response)))


def _auth_data(value: Any) -> AuthData | None:
    session = read_session(value)
    if session is not None:
        return AuthData(session.user, session)
    user = read_user(value)
    return None if user is None else AuthData(user, None, confirmation_required=True)


def _signed_in(value: Any) -> AuthData | None:
    session = read_session(value)
    return None if session is None else AuthData(session.user, session)


def _policy(value: Any) -> PasswordPolicy | None:
    if not isinstance(value, dict):
        return None
    least = value.get("min_length")
    if not isinstance(least, int) or isinstance(least, bool):
        least = PasswordPolicy().min_length
    wanted = ("uppercase", "lowercase", "number", "special")
    return PasswordPolicy(least, *(value.get(f"require_{kind}") is True for kind in wanted))


def _items(value: Any, name: str) -> list[Any] | None:
    for inner in (value, *(value.get(key) for key in (name, "data") if isinstance(value, dict))):
        if isinstance(inner, list):
            return inner
    return None


def _session_list(value: Any) -> list[SessionInfo] | None:
    items = _items(value, "sessions")
    return None if items is None else [_session_info(i) for i in items if _has_id(i)]


def _has_id(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("id"), str)


def _session_info(value: dict[str, Any]) -> SessionInfo:
    texts = {n: v for n in ("user_id", "created_at", "expires_at")
             if isinstance(v := value.get(n), str)}  # fmt: skip
    return SessionInfo(value["id"], is_revoked=value.get("is_revoked") is True, **texts)


def _users(value: Any) -> Page[User] | None:
    items = _items(value, "users")
    if items is None:
        return None
    total = value.get("total") if isinstance(value, dict) else None
    counted = isinstance(total, int) and not isinstance(total, bool)
    users = (read_user(item) for item in items)
    return Page(tuple(user for user in users if user is not None), total if counted else None)


# --- asking -----------------------------------------------------------------------------------


def _call(
    method: str,
    path: str,
    decode: Callable[[RawResponse], AeroDBResponse[T]],
    body: Mapping[str, Any] | None = None,
    *,
    problems: tuple[str | None, ...] = (),
    secrets: tuple[Any, ...] = (),
    **options: Any,
) -> Prepared[T]:
    problem = next((text for text in problems if text), None)
    if problem:
        return AeroDBResponse(error=client_error("INVALID_ARGUMENT", problem))
    try:
        data = None if body is None else dumps(body)
    except BadValue as error:
        return AeroDBResponse(error=client_error(error.code, error.message, hint=error.hint))
    known = tuple(text for text in secrets if text)
    return Call(method, path, decode, body=data, secrets=known, **options)


def _email(email: object) -> str | None:
    if not isinstance(email, str):
        return f"email must be a str, not {type(email).__name__}"
    text = email.strip()
    if not 3 <= len(text) <= _MAX_EMAIL or "@" not in text[1:-1] or not text.isprintable():
        return "email must be an address like name@example.com"
    return None


def _password(password: object, what: str = "password") -> str | None:
    """What no server would take; how strong it must be, the server's policy says."""
    if not isinstance(password, str):
        return f"{what} must be a str, not {type(password).__name__}"
    if not password:
        return f"{what} must not be empty"
    if len(password.encode("utf-8", "surrogatepass")) > _MAX_PASSWORD:
        return f"{what} must have at most {_MAX_PASSWORD} bytes"
    return None


def _object(value: object, what: str) -> str | None:
    if value is None or isinstance(value, Mapping):
        return None
    return f"{what} must be a mapping, not {type(value).__name__}"


def _some(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _bearer(token: str | None) -> tuple[tuple[str, str], ...]:
    return () if token is None else (("Authorization", f"Bearer {token}"),)


def sign_up_call(
    email: str, password: str, metadata: Mapping[str, Any] | None = None
) -> Prepared[AuthData]:
    """POST /auth/signup; 201 with tokens, or without while the address is unconfirmed."""
    problems = (_email(email), _password(password), _object(metadata, "metadata"))
    body = _some(email=email, password=password, metadata=metadata)
    decode = _decoder(_auth_data, "user")
    return _call("POST", "/auth/signup", decode, body, problems=problems, secrets=(password,),
                 retry=Retry.NEVER_ANSWERED, identity="key")  # fmt: skip


def sign_in_call(email: str, password: str) -> Prepared[AuthData]:
    """POST /auth/login; a 429 surfaces at once (§1.8)."""
    problems = (_email(email), _password(password))
    body = {"email": email, "password": password}
    decode = _decoder(_signed_in, "tokens")
    return _call("POST", "/auth/login", decode, body, problems=problems, secrets=(password,),
                 retry=Retry.NEVER_ANSWERED, identity="key")  # fmt: skip


def refresh_call(refresh_token: str, *, timeout: float | None = None) -> Prepared[Session]:
    """POST /auth/refresh. A lost answer is the session keeper's to judge, not the loop's."""
    return _call("POST", "/auth/refresh", _decoder(read_session, "tokens"),
                 {"refresh_token": refresh_token},
                 problems=(token_problem(refresh_token, "refresh_token"),),
                 secrets=(refresh_token,), identity="key", timeout=timeout)  # fmt: skip


def sign_out_call(session: Session, scope: str = "local") -> Prepared[None]:
    """POST /auth/logout, with the bearer of the session that is left (§2.1)."""
    known = isinstance(scope, str) and scope in _SCOPES
    problem = None if known else f"scope must be local, global or others, not {describe(scope)}"
    path = "/auth/logout" if scope == "local" else f"/auth/logout?scope={scope}"
    return _call("POST", path, _nothing, _some(refresh_token=session.refresh_token),
                 problems=(problem,), secrets=(session.refresh_token, session.access_token),
                 headers=_bearer(session.access_token),
                 retry=Retry.IDEMPOTENT, identity="key")  # fmt: skip


def get_user_call(access_token: str | None = None) -> Prepared[User]:
    """GET /auth/user, of the session or of the token given."""
    decode = _decoder(read_user, "user")
    if access_token is None:
        return _call("GET", "/auth/user", decode, retry=Retry.SAFE)
    problem = token_problem(access_token, "access_token")
    return _call("GET", "/auth/user", decode, problems=(problem,), secrets=(access_token,),
                 headers=_bearer(None if problem else access_token),
                 retry=Retry.SAFE, identity="key")  # fmt: skip


def update_user_call(
    email: str | None = None, metadata: Mapping[str, Any] | None = None
) -> Prepared[User]:
    """PUT /auth/user; `metadata` replaces what was there."""
    empty = email is None and metadata is None
    problems = (
        "give an email or metadata to change" if empty else None,
        None if email is None else _email(email),
        _object(metadata, "metadata"),
    )
    body = _some(email=email, metadata=metadata)
    return _call("PUT", "/auth/user", _decoder(read_user, "user"), body,
                 problems=problems, retry=Retry.IDEMPOTENT)  # fmt: skip


def change_password_call(current: str, new: str) -> Prepared[None]:
    """POST /auth/change-password, as the user of the session."""
    problems = (_password(current, "current_password"), _password(new, "new_password"))
    body = {"current_password": current, "new_password": new}
    return _call("POST", "/auth/change-password", _nothing, body,
                 problems=problems, secrets=(current, new))  # fmt: skip


def forgot_password_call(email: str) -> Prepared[None]:
    """POST /auth/forgot-password; 200 whether or not there is such a user."""
    return _call("POST", "/auth/forgot-password", _nothing, {"email": email},
                 problems=(_email(email),), identity="key")  # fmt: skip


def reset_password_call(token: str, new: str) -> Prepared[None]:
    """POST /auth/reset-password, with the token of the mail."""
    problems = (token_problem(token, "token"), _password(new, "new_password"))
    return _call("POST", "/auth/reset-password", _nothing, {"token": token, "new_password": new},
                 problems=problems, secrets=(token, new), identity="key")  # fmt: skip


def verify_email_call(token: str) -> Prepared[User | None]:
    """POST /auth/verify-email, with the token of the mail."""
    return _call("POST", "/auth/verify-email", _maybe_user, {"token": token},
                 problems=(token_problem(token, "token"),), secrets=(token,),
                 identity="key")  # fmt: skip


def resend_verification_call(email: str) -> Prepared[None]:
    """POST /auth/resend-verification; 200 whether or not there is such a user."""
    return _call("POST", "/auth/resend-verification", _nothing, {"email": email},
                 problems=(_email(email),), identity="key")  # fmt: skip


def password_policy_call() -> Prepared[PasswordPolicy]:
    """GET /auth/password-policy."""
    return _call("GET", "/auth/password-policy", _decoder(_policy, "password policy"),
                 retry=Retry.SAFE, identity="key")  # fmt: skip


def list_sessions_call() -> Prepared[list[SessionInfo]]:
    """GET /auth/sessions, of the session's user."""
    decode = _decoder(_session_list, "list of sessions")
    return _call("GET", "/auth/sessions", decode, retry=Retry.SAFE)


def revoke_session_call(session_id: str) -> Prepared[None]:
    """DELETE /auth/sessions/{id}."""
    path, problem = _below("/auth/sessions", session_id, "session_id")
    return _call("DELETE", path, _nothing, problems=(problem,), retry=Retry.IDEMPOTENT)


# --- users, by the service key ----------------------------------------------------------------


def _below(root: str, name: object, what: str) -> tuple[str, str | None]:
    problem = segment_problem(name, what)
    return (root if problem else f"{root}/{quote_segment(str(name))}"), problem


def list_users_call(page: int = 1, per_page: int = 50) -> Prepared[Page[User]]:
    """GET /auth/users, a page of them."""
    problems = tuple(
        None if type(value) is int and 1 <= value <= most else f"{name} must be 1 to {most}"
        for name, value, most in (("page", page, 2**31 - 1), ("per_page", per_page, 1000))
    )
    path = "/auth/users"
    if not any(problems):  # else they may be anything, and have no text
        path = f"{path}?page={page}&per_page={per_page}"
    return _call("GET", path, _decoder(_users, "list of users"), problems=problems,
                 retry=Retry.SAFE, identity="key")  # fmt: skip


def get_user_by_id_call(user_id: str) -> Prepared[User]:
    """GET /auth/users/{id}."""
    path, problem = _below("/auth/users", user_id, "user_id")
    return _call("GET", path, _decoder(read_user, "user"), problems=(problem,),
                 retry=Retry.SAFE, identity="key")  # fmt: skip


def create_user_call(email: str, password: str | None, **members: Any) -> Prepared[User]:
    """POST /auth/users."""
    problems = (
        _email(email),
        None if password is None else _password(password),
        *_member_problems(members),
    )
    body = _some(email=email, password=password, **members)
    return _call("POST", "/auth/users", _decoder(read_user, "user"), body,
                 problems=problems, secrets=(password,), identity="key")  # fmt: skip


def update_user_by_id_call(user_id: str, **members: Any) -> Prepared[User]:
    """PATCH /auth/users/{id}."""
    path, problem = _below("/auth/users", user_id, "user_id")
    body = _some(**members)
    email, password = body.get("email"), body.get("password")
    problems = (
        problem,
        None if body else "give something to change",
        None if email is None else _email(email),
        None if password is None else _password(password),
        *_member_problems(members),
    )
    return _call("PATCH", path, _decoder(read_user, "user"), body, problems=problems,
                 secrets=(password,), retry=Retry.IDEMPOTENT, identity="key")  # fmt: skip


def _member_problems(members: Mapping[str, Any]) -> tuple[str | None, ...]:
    role, verified = members.get("role"), members.get("email_verified")
    return (
        _object(members.get("metadata"), "metadata"),
        _object(members.get("app_metadata"), "app_metadata"),
        None if role is None or isinstance(role, str) else "role must be a str",
        None if verified is None or isinstance(verified, bool) else "email_verified must be a bool",
    )


def delete_user_call(user_id: str) -> Prepared[None]:
    """DELETE /auth/users/{id}."""
    path, problem = _below("/auth/users", user_id, "user_id")
    return _call("DELETE", path, _nothing, problems=(problem,),
                 retry=Retry.IDEMPOTENT, identity="key")  # fmt: skip
