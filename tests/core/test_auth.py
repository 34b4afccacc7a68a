"""The calls of the auth service, and its answers in all their shapes (wire-contract §1.6, §2)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aerodb._core import auth
from aerodb._core.http import Call, RawResponse, Retry
from aerodb._core.identity import Page, PasswordPolicy, Session, SessionInfo, User
from aerodb.types import AeroDBResponse

USER = {"id": "1", "email": "ada@example.com"}
TOKENS = {"access_token": "a", "refresh_token": "r", "expires_in": 899}


def decoded(call: Any, body: Any, status: int = 200) -> AeroDBResponse[Any]:
    assert isinstance(call, Call)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = call.decode(RawResponse(status, [], data))
    assert isinstance(answer, AeroDBResponse)
    return answer


HUGE = 10**5000  # Python refuses to write it out
SESSION = Session("access", "refresh")
CALLS = [
    (auth.sign_up_call("a@b.c", "pw", {"n": 1}), "POST /auth/signup",
     {"email": "a@b.c", "password": "pw", "metadata": {"n": 1}}, "key", Retry.NEVER_ANSWERED),
    (auth.sign_up_call("a@b.c", "pw"), "POST /auth/signup",
     {"email": "a@b.c", "password": "pw"}, "key", Retry.NEVER_ANSWERED),
    (auth.sign_in_call("a@b.c", "pw"), "POST /auth/login",
     {"email": "a@b.c", "password": "pw"}, "key", Retry.NEVER_ANSWERED),
    (auth.refresh_call("r"), "POST /auth/refresh", {"refresh_token": "r"}, "key", Retry.UNSENT),
    (auth.sign_out_call(SESSION), "POST /auth/logout",
     {"refresh_token": "refresh"}, "key", Retry.IDEMPOTENT),
    (auth.sign_out_call(SESSION, "global"), "POST /auth/logout?scope=global",
     {"refresh_token": "refresh"}, "key", Retry.IDEMPOTENT),
    (auth.get_user_call(), "GET /auth/user", None, "session", Retry.SAFE),
    (auth.get_user_call("t"), "GET /auth/user", None, "key", Retry.SAFE),
    (auth.update_user_call("a@b.c", {"n": 1}), "PUT /auth/user",
     {"email": "a@b.c", "metadata": {"n": 1}}, "session", Retry.IDEMPOTENT),
    (auth.change_password_call("old", "new"), "POST /auth/change-password",
     {"current_password": "old", "new_password": "new"}, "session", Retry.UNSENT),
    (auth.forgot_password_call("a@b.c"), "POST /auth/forgot-password",
     {"email": "a@b.c"}, "key", Retry.UNSENT),
    (auth.reset_password_call("t", "new"), "POST /auth/reset-password",
     {"token": "t", "new_password": "new"}, "key", Retry.UNSENT),
    (auth.verify_email_call("t"), "POST /auth/verify-email", {"token": "t"}, "key", Retry.UNSENT),
    (auth.resend_verification_call("a@b.c"), "POST /auth/resend-verification",
     {"email": "a@b.c"}, "key", Retry.UNSENT),
    (auth.password_policy_call(), "GET /auth/password-policy", None, "key", Retry.SAFE),
    (auth.list_sessions_call(), "GET /auth/sessions", None, "session", Retry.SAFE),
    (auth.revoke_session_call("a/b"), "DELETE /auth/sessions/a%2Fb",
     None, "session", Retry.IDEMPOTENT),
    (auth.list_users_call(), "GET /auth/users?page=1&per_page=50", None, "key", Retry.SAFE),
    (auth.get_user_by_id_call("7"), "GET /auth/users/7", None, "key", Retry.SAFE),
    (auth.create_user_call("a@b.c", "pw", role="editor", metadata=None), "POST /auth/users",
     {"email": "a@b.c", "password": "pw", "role": "editor"}, "key", Retry.UNSENT),
    (auth.update_user_by_id_call("7", email_verified=False), "PATCH /auth/users/7",
     {"email_verified": False}, "key", Retry.IDEMPOTENT),
    (auth.delete_user_call("7"), "DELETE /auth/users/7", None, "key", Retry.IDEMPOTENT),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "line", "body", "identity", "retry"), CALLS, ids=[row[1] for row in CALLS]
)
def test_what_is_sent(call: Any, line: str, body: Any, identity: str, retry: Retry) -> None:
    assert isinstance(call, Call)
    assert f"{call.method} {call.path}" == line
    assert (None if call.body is None else json.loads(call.body)) == body
    assert (call.identity, call.retry) == (identity, retry)


@pytest.mark.parametrize(
    "refused",
    [
        auth.sign_in_call("", "pw"),
        auth.sign_in_call("nobody", "pw"),
        auth.sign_in_call("a@b.c\n", ""),
        auth.sign_in_call("a@b\0.c", "pw"),
        auth.sign_in_call(7, "pw"),  # type: ignore[arg-type]
        auth.sign_in_call("a@b.c", None),  # type: ignore[arg-type]
        auth.sign_in_call("a@b.c", "x" * 1025),
        auth.sign_in_call("a@b.c", "\ud800"),
        auth.sign_up_call("a@b.c", "pw", [1]),  # type: ignore[arg-type]
        auth.sign_up_call("a@b.c", "pw", {"x": object()}),
        auth.refresh_call("two words"),
        auth.sign_out_call(SESSION, "everywhere"),
        auth.get_user_call("line\nbreak"),
        auth.update_user_call(),
        auth.revoke_session_call(""),
        auth.revoke_session_call(".."),
        auth.list_users_call(0),
        auth.list_users_call(1, 1001),
        auth.list_users_call(True),
        auth.list_users_call(HUGE),
        auth.list_users_call({"a": HUGE}),  # type: ignore[arg-type]
        auth.get_user_call({"a": HUGE}),  # type: ignore[arg-type]
        auth.update_user_by_id_call("7"),
        auth.create_user_call("a@b.c", None, role=7),
        auth.create_user_call("a@b.c", None, email_verified="yes"),
        auth.delete_user_call("a\nb"),
    ],
)
def test_what_is_not_sent(refused: Any) -> None:
    assert isinstance(refused, AeroDBResponse)
    assert refused.error is not None
    assert refused.error.code == "INVALID_ARGUMENT"
    assert refused.error.attempts == 0


@pytest.mark.parametrize(
    "body",
    [
        {**TOKENS, "user": USER},
        {"session": TOKENS, "user": USER},
        {"session": {**TOKENS, "user": USER}},
        {"data": {**TOKENS, "user": USER}},
        {"data": {"session": TOKENS, "user": USER}},
    ],
)
def test_tokens_in_all_their_places(body: Any) -> None:
    for call in (auth.sign_in_call("a@b.c", "pw"), auth.sign_up_call("a@b.c", "pw")):
        data = decoded(call, body).unwrap()
        assert data.session == Session("a", "r")
        assert data.session.expires_in == 899
        assert data.user == User("1", "ada@example.com")
        assert not data.confirmation_required


def test_a_refresh_without_a_user() -> None:
    session = decoded(auth.refresh_call("r"), TOKENS).unwrap()
    assert session == Session("a", "r")
    assert session.user is None


@pytest.mark.parametrize(
    "body", [USER, {"user": USER}, {"data": USER}, {"user": USER, "session": None}]
)
def test_an_unconfirmed_user(body: Any) -> None:
    data = decoded(auth.sign_up_call("a@b.c", "pw"), body, 201).unwrap()
    assert data.session is None
    assert data.confirmation_required
    assert data.user == User("1", "ada@example.com")


@pytest.mark.parametrize(
    "body",
    [b"", b"oops", [], {}, {"access_token": 7}, {"access_token": "a\nb"}, USER, "text", None],
)
def test_no_tokens_is_no_sign_in(body: Any) -> None:
    answer = decoded(auth.sign_in_call("a@b.c", "pw"), body)
    assert answer.error is not None
    assert answer.error.code == "INVALID_RESPONSE"


@pytest.mark.parametrize(
    ("body", "user"),
    [
        ({"id": "1"}, User("1")),
        ({"id": "1", "email_verified": True}, User("1", email_verified=True)),
        ({"id": "1", "email_confirmed_at": "2026-01-01"}, User("1", email_verified=True)),
        ({"id": "1", "email_confirmed_at": None}, User("1")),
        ({"id": "1", "user_metadata": {"a": 1}}, User("1", metadata={"a": 1})),
        ({"id": "1", "metadata": {"a": 1}, "user_metadata": {}}, User("1", metadata={"a": 1})),
        ({"id": "1", "email": 7, "metadata": "x", "new": 1}, User("1")),
        ({"user": {"id": "1"}}, User("1")),
        ({"data": {"id": "1"}}, User("1")),
    ],
)
def test_users(body: Any, user: User) -> None:
    assert decoded(auth.get_user_call(), body).data == user


@pytest.mark.parametrize("body", [{}, {"id": 7}, [], None, b"", {"user": None}])
def test_no_user(body: Any) -> None:
    assert decoded(auth.get_user_call(), body).error is not None
    assert decoded(auth.verify_email_call("t"), body) == AeroDBResponse()


def test_lists() -> None:
    info = {"id": "s", "user_id": "1", "created_at": "c", "expires_at": "e", "is_revoked": True}
    full = [SessionInfo("s", "1", "c", "e", is_revoked=True)]
    for body in ([info], {"sessions": [info], "total": 1}, {"data": [info]}):
        assert decoded(auth.list_sessions_call(), body).data == full
    odd = [{"id": "s"}, {}, 7, None]
    assert decoded(auth.list_sessions_call(), odd).data == [SessionInfo("s")]
    assert decoded(auth.list_sessions_call(), {}).error is not None
    page = decoded(auth.list_users_call(), {"users": [USER, {}], "total": 9}).data
    assert page == Page((User("1", "ada@example.com"),), 9)
    assert decoded(auth.list_users_call(), [USER]).data.total is None


def test_password_policy() -> None:
    body = {"min_length": 12, "require_number": True, "require_special": "yes"}
    policy = decoded(auth.password_policy_call(), body).data
    assert policy == PasswordPolicy(12, require_number=True)
    assert decoded(auth.password_policy_call(), {}).data == PasswordPolicy()


def test_answers_without_content() -> None:
    for call in (auth.sign_out_call(SESSION), auth.change_password_call("old", "new")):
        assert decoded(call, b"", 204) == AeroDBResponse()
        assert decoded(call, {"message": "done"}) == AeroDBResponse()


def test_secrets_of_a_call_are_known_to_who_writes_errors() -> None:
    for call, secrets in (
        (auth.sign_in_call("a@b.c", "pass"), ("pass",)),
        (auth.refresh_call("token"), ("token",)),
        (auth.sign_out_call(SESSION), ("refresh", "access")),
        (auth.change_password_call("old", "new"), ("old", "new")),
    ):
        assert isinstance(call, Call)
        assert call.secrets == secrets
