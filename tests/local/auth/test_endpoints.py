"""Every row of wire contract §2.1, over HTTP."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import psycopg
import pytest

from .conftest import PASSWORD, Api, Person, new_email, said

USER = {
    *("id", "email", "email_verified", "created_at", "updated_at", "last_sign_in_at", "role"),
    *("metadata", "app_metadata"),
}
UNKNOWN = UUID("00000000-0000-4000-8000-000000000000")
TOKENS = {"access_token", "token_type", "expires_in", "expires_at", "refresh_token"}


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


# --- sign up, in, out ---------------------------------------------------------------------------


def test_signing_up_gives_a_user_and_tokens(api: Api) -> None:
    email = new_email()
    before = int(time.time())
    answer = api.post(
        "/auth/signup",
        {"email": f"  {email.upper()} ", "password": PASSWORD, "metadata": {"name": "Zoë"}},
    )
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    result = answer.json()
    assert set(result) == TOKENS | {"user"}
    assert (result["token_type"], result["expires_in"]) == ("bearer", 900)
    assert before + 900 <= result["expires_at"] <= time.time() + 900
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", result["refresh_token"])
    user = result["user"]
    assert set(user) == USER
    assert (user["email"], user["role"], user["email_verified"]) == (email, "authenticated", False)
    assert (user["metadata"], user["app_metadata"]) == ({"name": "Zoë"}, {})
    assert UUID(user["id"])


def test_an_access_token_has_all_claims(api: Api) -> None:
    person = api.person(metadata={"a": 1})
    token = person.result["access_token"]
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    claims = jwt.decode(token, api.server.jwt_secret, algorithms=["HS256"], audience="aerodb")
    assert claims.pop("exp") - claims.pop("iat") == 900
    assert UUID(claims.pop("session_id"))
    assert UUID(claims.pop("jti"))
    assert claims == {
        "iss": "aerodb",
        "aud": "aerodb",
        "sub": person.id,
        "role": "authenticated",
        "email": person.email,
        "email_verified": False,
        "app_metadata": {},
        "user_metadata": {"a": 1},
    }


def test_an_address_has_one_account_whatever_its_case(api: Api) -> None:
    person = api.person()
    body = {"email": person.email.title(), "password": "another password"}
    assert said(api.post("/auth/signup", body)) == (409, "email_already_exists")
    assert api.sign_in(person.email.upper()).status_code == 200


def test_signing_in(api: Api) -> None:
    person = api.person()
    answer = api.sign_in(person.email)
    assert answer.status_code == 200
    result = answer.json()
    assert set(result) == TOKENS | {"user"}
    assert result["user"]["id"] == person.id
    assert result["user"]["last_sign_in_at"] > person.result["user"]["last_sign_in_at"]
    assert result["refresh_token"] != person.refresh_token
    sessions = {claims_of(r["access_token"])["session_id"] for r in (result, person.result)}
    assert len(sessions) == 2


def test_bearers_are_not_looked_at_where_the_body_has_the_credentials(api: Api) -> None:
    person = api.person()
    broken = {"Authorization": "Bearer no.such.token"}
    body = {"email": person.email, "password": PASSWORD}
    assert api.post("/auth/login", body, headers=broken).status_code == 200
    refresh = {"refresh_token": person.refresh_token}
    assert api.post("/auth/refresh", refresh, headers=broken).status_code == 200
    forgotten = api.post("/auth/forgot-password", {"email": person.email}, headers=broken)
    assert forgotten.status_code == 200
    unknown = {"apikey": "aero_pk_guess"}
    assert said(api.post("/auth/login", body, headers=unknown)) == (401, "invalid_api_key")


@pytest.mark.parametrize("scope", ["local", "global", "others", None])
def test_signing_out_ends_the_sessions_of_its_scope(api: Api, scope: str | None) -> None:
    person, stranger = api.person(), api.person()
    other = api.sign_in(person.email).json()
    query = "" if scope is None else f"?scope={scope}"
    answer = api.post(f"/auth/logout{query}", {"refresh_token": person.refresh_token})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers
    mine, theirs = api.refresh(person.refresh_token), api.refresh(other["refresh_token"])
    if scope == "others":
        assert mine.status_code == 200
    else:
        assert said(mine) == (401, "session_revoked")
    if scope in ("global", "others"):
        assert said(theirs) == (401, "session_revoked")
    else:
        assert theirs.status_code == 200
    assert api.refresh(stranger.refresh_token).status_code == 200


def test_signing_out_with_what_is_dead_or_unknown(api: Api) -> None:
    person = api.person()
    body = {"refresh_token": person.refresh_token}
    for _ in range(2):
        assert api.post("/auth/logout", body, headers=person.bearer).status_code == 204
    assert api.post("/auth/logout", {"refresh_token": "never given out"}).status_code == 204
    broken = {"Authorization": "Bearer no.such.token"}
    assert api.post("/auth/logout", body, headers=broken).status_code == 204


def test_a_dead_token_does_not_sign_others_out(api: Api) -> None:
    person = api.person()
    other = api.sign_in(person.email).json()
    body = {"refresh_token": person.refresh_token}
    assert api.post("/auth/logout", body).status_code == 204
    assert api.post("/auth/logout?scope=global", body).status_code == 204
    assert api.refresh(other["refresh_token"]).status_code == 200


def test_signing_out_with_the_bearer_alone(api: Api) -> None:
    person = api.person()
    assert api.post("/auth/logout", headers=person.bearer).status_code == 204
    assert said(person.call("GET", "/auth/user")) == (401, "session_revoked")
    assert said(api.post("/auth/logout")) == (400, "validation_failed")
    body = {"refresh_token": person.refresh_token}
    assert said(api.post("/auth/logout?scope=all", body)) == (400, "validation_failed")


# --- the own user -------------------------------------------------------------------------------


def test_the_own_user(api: Api) -> None:
    person = api.person(metadata={"a": 1})
    answer = person.call("GET", "/auth/user")
    assert answer.status_code == 200
    assert answer.json() == person.result["user"]
    head = person.call("HEAD", "/auth/user")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_metadata_is_replaced(api: Api, method: str) -> None:
    person = api.person(metadata={"a": 1})
    answer = person.call(method, "/auth/user", json={"metadata": {"b": 2}})
    assert answer.status_code == 200
    user = answer.json()
    assert user["metadata"] == {"b": 2}
    assert user["updated_at"] > person.result["user"]["updated_at"]
    assert person.call("GET", "/auth/user").json() == user
    refreshed = api.refresh(person.refresh_token).json()
    assert claims_of(refreshed["access_token"])["user_metadata"] == {"b": 2}


def test_the_address_is_changed(api: Api) -> None:
    person, other = api.person(), api.person()
    email = new_email()
    answer = person.call("PUT", "/auth/user", json={"email": email.upper()})
    assert answer.json()["email"] == email
    assert api.sign_in(email).status_code == 200
    assert said(api.sign_in(person.email)) == (401, "invalid_credentials")
    taken = person.call("PUT", "/auth/user", json={"email": other.email})
    assert said(taken) == (409, "email_already_exists")
    assert person.call("PUT", "/auth/user", json={"email": email}).status_code == 200
    for nothing in ({}, {"metadata": 5}, {"email": "no address"}):
        assert said(person.call("PUT", "/auth/user", json=nothing)) == (400, "validation_failed")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/auth/change-password"), ("PUT", "/auth/password")]
)
def test_changing_the_password_ends_the_other_sessions(api: Api, method: str, path: str) -> None:
    person = api.person()
    other = api.sign_in(person.email).json()
    body = {"current_password": PASSWORD, "new_password": "another password"}
    answer = person.call(method, path, json=body)
    assert (answer.status_code, set(answer.json())) == (200, {"message"})
    assert said(api.refresh(other["refresh_token"])) == (401, "session_revoked")
    assert api.refresh(person.refresh_token).status_code == 200
    assert said(api.sign_in(person.email)) == (401, "invalid_credentials")
    assert api.sign_in(person.email, "another password").status_code == 200


def test_a_password_is_not_changed_without_the_old_one_or_to_a_weak_one(api: Api) -> None:
    person = api.person()
    wrong = {"current_password": "not it at all", "new_password": "another password"}
    answer = person.call("POST", "/auth/change-password", json=wrong)
    assert said(answer) == (401, "invalid_credentials")
    weak = {"current_password": PASSWORD, "new_password": "short"}
    assert said(person.call("POST", "/auth/change-password", json=weak)) == (400, "weak_password")
    assert said(api.post("/auth/change-password", wrong)) == (401, "authentication_required")
    assert api.sign_in(person.email).status_code == 200


def test_the_password_policy(api: Api) -> None:
    assert api.http.get("/auth/password-policy").json() == {
        "min_length": 8,
        "require_uppercase": False,
        "require_lowercase": False,
        "require_number": False,
        "require_special": False,
    }


# --- sessions -----------------------------------------------------------------------------------


def test_own_sessions_are_listed_and_revoked(api: Api) -> None:
    person, stranger = api.person(), api.person()
    other = api.sign_in(person.email).json()
    listed = person.call("GET", "/auth/sessions").json()
    assert listed["total"] == len(listed["sessions"]) == 2
    for session in listed["sessions"]:
        assert set(session) == {"id", "user_id", "created_at", "expires_at", "is_revoked"}
        assert (session["user_id"], session["is_revoked"]) == (person.id, False)
    ended = claims_of(other["access_token"])["session_id"]
    assert said(stranger.call("DELETE", f"/auth/sessions/{ended}")) == (404, "not_found")
    assert person.call("DELETE", f"/auth/sessions/{ended}").status_code == 204
    assert said(api.refresh(other["refresh_token"])) == (401, "session_revoked")
    states = {
        s["id"]: s["is_revoked"] for s in person.call("GET", "/auth/sessions").json()["sessions"]
    }
    assert sorted(states.values()) == [False, True]
    assert states[ended] is True
    assert said(person.call("DELETE", f"/auth/sessions/{uuid4()}")) == (404, "not_found")
    assert said(person.call("DELETE", "/auth/sessions/5")) == (400, "validation_failed")


# --- users, for the service ---------------------------------------------------------------------


def test_users_are_looked_after_with_the_secret_key(api: Api) -> None:
    email = new_email()
    created = api.post(
        "/auth/users",
        {
            "email": email,
            "password": PASSWORD,
            "metadata": {"a": 1},
            "app_metadata": {"plan": "free"},
            "email_verified": True,
        },
        headers=api.service,
    )
    assert created.status_code == 201
    user = created.json()
    assert set(user) == USER
    assert (user["email_verified"], user["app_metadata"]) == (True, {"plan": "free"})
    path = f"/auth/users/{user['id']}"
    assert api.http.get(path, headers=api.service).json() == user
    signed_in = api.sign_in(email).json()
    assert claims_of(signed_in["access_token"])["app_metadata"] == {"plan": "free"}
    changes = {"app_metadata": {"plan": "paid"}, "password": "another password", "metadata": {}}
    changed = api.http.patch(path, json=changes, headers=api.service)
    assert changed.status_code == 200
    assert changed.json()["app_metadata"] == {"plan": "paid"}
    assert said(api.refresh(signed_in["refresh_token"])) == (401, "session_revoked")
    again = api.sign_in(email, "another password").json()
    assert api.http.delete(path, headers=api.service).status_code == 204
    for method in ("GET", "PATCH", "DELETE"):
        body = {"metadata": {}} if method == "PATCH" else None
        gone = api.http.request(method, path, json=body, headers=api.service)
        assert said(gone) == (404, "user_not_found")
    bearer = {"Authorization": f"Bearer {again['access_token']}"}
    assert said(api.http.get("/auth/user", headers=bearer)) == (404, "user_not_found")
    assert said(api.refresh(again["refresh_token"])) == (401, "invalid_refresh_token")


def test_users_are_listed_in_pages(api: Api) -> None:
    people = [api.person().id for _ in range(3)]

    def page(**query: int) -> httpx.Response:
        return api.http.get("/auth/users", params=query, headers=api.service)

    total = page().json()["total"]
    seen = [u["id"] for u in page(limit=1000).json()["users"]]
    assert len(seen) == total
    assert [i for i in seen if i in people] == people
    assert [u["id"] for u in page(limit=2, offset=1).json()["users"]] == seen[1:3]
    assert [u["id"] for u in page(page=2, per_page=2).json()["users"]] == seen[2:4]
    assert said(page(limit=0)) == (400, "validation_failed")
    assert said(page(offset=-1)) == (400, "validation_failed")
    assert page(page=10**8, per_page=1000).json()["users"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/auth/users"),
        ("POST", "/auth/users"),
        ("GET", f"/auth/users/{UNKNOWN}"),
        ("PATCH", f"/auth/users/{UNKNOWN}"),
        ("DELETE", f"/auth/users/{UNKNOWN}"),
        ("GET", "/_aerodb/outbox"),
        ("DELETE", "/_aerodb/outbox"),
    ],
)
def test_only_the_service_may(api: Api, somebody: Person, method: str, path: str) -> None:
    person = somebody
    assert said(person.call(method, path, json={})) == (403, "access_denied")
    both = person.call(method, path, json={}, headers=api.service)
    assert said(both) == (403, "access_denied"), "a bearer wins over a key"
    public = {"apikey": api.server.anon_key}
    answer = api.http.request(method, path, json={}, headers=public)
    assert said(answer) == (403, "access_denied")
    nobody = api.http.request(method, path, json={})
    assert said(nobody) == (401, "authentication_required")


def test_a_user_with_the_service_role_needs_a_live_session_too(api: Api) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD, "role": "service_role"}
    assert api.post("/auth/users", body, headers=api.service).status_code == 201
    result = api.sign_in(email).json()
    bearer = {"Authorization": f"Bearer {result['access_token']}"}
    assert api.http.get("/auth/users", headers=bearer).status_code == 200
    api.post("/auth/logout", {"refresh_token": result["refresh_token"]})
    assert said(api.http.get("/auth/users", headers=bearer)) == (401, "session_revoked")


@pytest.mark.parametrize("role", ["postgres", "authenticator", "aerodb_auth", "none", 'x"; drop'])
def test_users_get_only_roles_that_requests_can_take(api: Api, somebody: Person, role: str) -> None:
    body = {"email": new_email(), "password": PASSWORD, "role": role}
    assert said(api.post("/auth/users", body, headers=api.service)) == (400, "validation_failed")
    path = f"/auth/users/{somebody.id}"
    answer = api.http.patch(path, json={"role": role}, headers=api.service)
    assert said(answer) == (400, "validation_failed")


def test_a_user_without_a_password_cannot_sign_in_until_one_is_set(api: Api) -> None:
    email = new_email()
    created = api.post("/auth/users", {"email": email}, headers=api.service)
    assert created.status_code == 201
    for password in ("", PASSWORD, "None", "null"):
        assert said(api.sign_in(email, password)) == (401, "invalid_credentials")
    assert api.post("/auth/forgot-password", {"email": email}).status_code == 200
    token = api.mails(email)[-1]["token"]
    body = {"token": token, "new_password": PASSWORD}
    assert api.post("/auth/reset-password", body).status_code == 200
    assert api.sign_in(email).json()["user"]["email_verified"] is True


# --- the rest -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["/auth/authorize", "/auth/oauth/github", "/auth/magic-link", "/auth/otp", "/auth/mfa/enroll",
     "/auth/factors", "/auth/sso", "/auth/verify"],
)  # fmt: skip
def test_what_is_not_offered_says_so(api: Api, path: str) -> None:
    for method in ("GET", "POST"):
        assert said(api.http.request(method, path)) == (501, "not_implemented")


def test_unknown_paths_and_methods(api: Api) -> None:
    for path in ("/auth", "/auth/", "/auth/nothing", "/auth/user/x", "/auth/users/", "/_aerodb/x"):
        assert said(api.http.get(path)) == (404, "not_found")
    answer = api.http.get("/auth/login")
    assert said(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_health_tells_of_auth_and_its_grace(api: Api) -> None:
    health = api.http.get("/health").json()
    assert health["services"]["auth"] == "ok"
    assert "auth.reuse-grace" in health["features"]


def test_request_ids_come_back(api: Api) -> None:
    answer = api.post("/auth/login", headers={"X-Request-Id": "r-7"})
    assert answer.headers["x-request-id"] == "r-7"


# --- what the owner of the database does --------------------------------------------------------


def test_triggers_on_users_run(api: Api) -> None:
    person = api.person(metadata={"name": "Zoë"})
    rows = api.server.execute_sql("select name from profiles where id = %s", [person.id])
    assert rows == [{"name": "Zoë"}]
    body = {"email": "somebody@refused.example", "password": PASSWORD}
    answer = api.post("/auth/signup", body)
    assert said(answer) == (400, "validation_failed")
    assert "only for friends" in answer.json()["message"]
    assert said(api.sign_in(body["email"])) == (401, "invalid_credentials")


def test_lost_connections_are_replaced(api: Api) -> None:
    person = api.person()
    with ThreadPoolExecutor(16) as threads:  # so that there is more than one
        calls = [threads.submit(person.call, "GET", "/auth/user") for _ in range(16)]
    assert {call.result().status_code for call in calls} == {200}
    ended = api.server.execute_sql(
        "select count(pg_terminate_backend(pid)) as n from pg_stat_activity "
        "where usename = 'aerodb_auth'"
    )
    assert ended[0]["n"] > 0
    assert person.call("GET", "/auth/user").status_code == 200


def test_a_database_that_refuses_work_is_a_503(api: Api, somebody: Person) -> None:
    with psycopg.connect(api.server.database_url) as connection:
        connection.execute("set local lock_timeout = '5s'; lock table auth.sessions")
        api.server.execute_sql("alter role aerodb_auth set statement_timeout = '100ms'")
        try:
            end_backends(api)
            answer = somebody.call("GET", "/auth/user")
        finally:
            api.server.execute_sql("alter role aerodb_auth set statement_timeout = '10s'")
            connection.rollback()
            end_backends(api)
    assert said(answer) == (503, "service_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert somebody.call("GET", "/auth/user").status_code == 200


def end_backends(api: Api) -> None:
    """Have new connections made, which know the role's new settings."""
    api.server.execute_sql(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'aerodb_auth'"
    )


# --- rights -------------------------------------------------------------------------------------

GREEDY = {
    "role": "service_role",
    "app_metadata": {"admin": True},
    "email_verified": True,
    "id": str(UNKNOWN),
    "is_super_admin": True,
}


def test_nobody_gives_themselves_rights(api: Api) -> None:
    email = new_email()
    made = api.post("/auth/signup", {"email": email, "password": PASSWORD, **GREEDY})
    person = Person(email, api, made.json())
    changed = person.call("PUT", "/auth/user", json={"metadata": GREEDY, **GREEDY}).json()
    for user in (made.json()["user"], changed, person.call("GET", "/auth/user").json()):
        assert user["role"] == "authenticated"
        assert user["app_metadata"] == {}
        assert user["email_verified"] is False
        assert user["id"] != str(UNKNOWN)
    claims = claims_of(api.refresh(person.refresh_token).json()["access_token"])
    assert claims["role"] == "authenticated"
    assert claims["app_metadata"] == {}
    assert claims["user_metadata"] == GREEDY, "which is what users say of themselves"
