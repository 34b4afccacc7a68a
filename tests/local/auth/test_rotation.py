"""Refresh tokens: rotation, reuse, the grace for a parent (wire contract §2.4, reliability R4)."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest

from aerodb.local.auth.tokens import digest

from .conftest import PASSWORD, Api, Person, new_email, said


def later(api: Api, token: str, seconds: float) -> None:
    """Let a token have been used so many seconds earlier."""
    api.server.execute_sql(
        "update auth.refresh_tokens set used_at = used_at - make_interval(secs => %s) "
        "where token_hash = %s",
        [seconds, digest(token)],
    )


def tokens_of(api: Api, person: Person) -> list[dict[str, Any]]:
    return api.server.execute_sql(
        "select t.used_at is not null as used, t.token_hash, t.parent_hash "
        "from auth.refresh_tokens t join auth.sessions s on s.id = t.session_id "
        "where s.user_id = %s order by t.created_at",
        [person.id],
    )


def test_a_token_is_spent_and_followed(api: Api) -> None:
    person = api.person()
    seen = [person.refresh_token]
    for _ in range(3):
        answer = api.refresh(seen[-1])
        assert answer.status_code == 200
        result = answer.json()
        assert result["user"]["id"] == person.id
        assert result["token_type"] == "bearer"
        assert 0 < result["expires_in"] <= 900
        bearer = {"Authorization": f"Bearer {result['access_token']}"}
        assert api.http.get("/auth/user", headers=bearer).status_code == 200
        seen.append(result["refresh_token"])
    assert len(set(seen)) == 4
    rows = tokens_of(api, person)
    assert [row["used"] for row in rows] == [True, True, True, False]
    assert [bytes(row["token_hash"]) for row in rows] == [digest(token) for token in seen]


def test_the_session_stays_the_same_and_goes_on(api: Api) -> None:
    person = api.person()
    before = person.call("GET", "/auth/sessions").json()["sessions"]
    api.refresh(person.refresh_token)
    after = person.call("GET", "/auth/sessions").json()["sessions"]
    assert [s["id"] for s in after] == [s["id"] for s in before]
    assert after[0]["expires_at"] > before[0]["expires_at"]


def test_a_parent_is_answered_again_with_the_same_child(api: Api) -> None:
    person = api.person()
    first = api.refresh(person.refresh_token).json()
    later(api, person.refresh_token, 9)
    second = api.refresh(person.refresh_token)
    assert second.status_code == 200
    assert second.json()["refresh_token"] == first["refresh_token"]
    assert second.json()["access_token"] != first["access_token"]
    assert len(tokens_of(api, person)) == 2
    assert api.refresh(first["refresh_token"]).status_code == 200


def test_a_parent_after_ten_seconds_ends_the_session(api: Api) -> None:
    person = api.person()
    other = api.sign_in(person.email).json()
    child = api.refresh(person.refresh_token).json()
    later(api, person.refresh_token, 10)
    assert said(api.refresh(person.refresh_token)) == (401, "refresh_token_reused")
    for token in (child["refresh_token"], person.refresh_token):
        assert said(api.refresh(token)) == (401, "session_revoked")
    bearer = {"Authorization": f"Bearer {child['access_token']}"}
    assert said(api.http.get("/auth/user", headers=bearer)) == (401, "session_revoked")
    assert api.refresh(other["refresh_token"]).status_code == 200, "only that session ends"


def test_a_parent_whose_child_was_used_ends_the_session(api: Api) -> None:
    person = api.person()
    child = api.refresh(person.refresh_token).json()["refresh_token"]
    grandchild = api.refresh(child).json()["refresh_token"]
    assert api.refresh(child).json()["refresh_token"] == grandchild, "the direct parent may"
    assert said(api.refresh(person.refresh_token)) == (401, "refresh_token_reused")
    assert said(api.refresh(grandchild)) == (401, "session_revoked")


def test_old_sessions_expire(api: Api) -> None:
    person = api.person()
    api.server.execute_sql(
        "update auth.sessions set expires_at = now() - interval '1 s' where user_id = %s",
        [person.id],
    )
    assert said(api.refresh(person.refresh_token)) == (401, "session_expired")
    assert said(person.call("GET", "/auth/user")) == (401, "session_revoked")
    assert api.post("/auth/logout", {"refresh_token": person.refresh_token}).status_code == 204
    api.sign_in(person.email)
    left = api.server.execute_sql(
        "select count(*) as n from auth.sessions where user_id = %s", [person.id]
    )
    assert left == [{"n": 1}], "a sign-in tidies up"


def test_a_session_lives_thirty_days(api: Api) -> None:
    person = api.person()
    rows = api.server.execute_sql(
        "select expires_at - now() between interval '719 hours' and interval '720 hours' as ok "
        "from auth.sessions where user_id = %s",
        [person.id],
    )
    assert rows == [{"ok": True}]


@pytest.mark.parametrize("token", ["", "x", "a" * 100_000, "A" * 43])
def test_unknown_tokens(api: Api, token: str) -> None:
    assert said(api.refresh(token)) == (401, "invalid_refresh_token")


@pytest.mark.parametrize("body", [{}, {"refresh_token": None}, {"refresh_token": 5}])
def test_no_token_at_all(api: Api, body: dict[str, Any]) -> None:
    assert said(api.post("/auth/refresh", body)) == (400, "validation_failed")


def test_only_hashes_are_kept(api: Api) -> None:
    person = api.person()
    child = api.refresh(person.refresh_token).json()["refresh_token"]
    rows = api.server.execute_sql(
        "select r::text as text from auth.refresh_tokens r union all "
        "select s::text from auth.sessions s union all select u::text from auth.users u"
    )
    text = "".join(row["text"] for row in rows)
    for secret in (child, person.refresh_token, PASSWORD):
        assert secret not in text
        assert secret.encode().hex() not in text


def test_rights_that_changed_are_in_the_next_token(api: Api) -> None:
    person = api.person()
    path = f"/auth/users/{person.id}"
    api.http.patch(path, json={"app_metadata": {"admin": True}}, headers=api.service)
    token = api.refresh(person.refresh_token).json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["app_metadata"] == {"admin": True}


# --- at once ------------------------------------------------------------------------------------


def test_of_64_refreshes_at_once_one_rotates_and_all_are_answered(api: Api) -> None:
    person = api.person()

    async def all_at_once() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=64)
        async with httpx.AsyncClient(
            base_url=api.server.url, trust_env=False, limits=limits, timeout=60
        ) as http:
            body = {"refresh_token": person.refresh_token}
            calls = (http.post("/auth/refresh", json=body) for _ in range(64))
            return await asyncio.gather(*calls)

    answers = asyncio.run(all_at_once())
    assert Counter(answer.status_code for answer in answers) == {200: 64}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert len({answer.json()["access_token"] for answer in answers}) == 64
    rows = tokens_of(api, person)
    assert [row["used"] for row in rows] == [True, False]
    assert api.refresh(answers[0].json()["refresh_token"]).status_code == 200


def test_a_race_of_sign_out_and_refresh_ends_signed_out(api: Api) -> None:
    people = [api.person() for _ in range(20)]
    with ThreadPoolExecutor(8) as threads:
        refreshing = [threads.submit(api.refresh, person.refresh_token) for person in people]
        ending = [
            threads.submit(api.post, "/auth/logout", {"refresh_token": person.refresh_token})
            for person in people
        ]
    assert {future.result().status_code for future in ending} == {204}
    for person, future in zip(people, refreshing, strict=True):
        answer = future.result()
        if answer.status_code == 200:
            answer = api.refresh(answer.json()["refresh_token"])
        assert said(answer) == (401, "session_revoked")
        assert said(api.refresh(person.refresh_token)) == (401, "session_revoked")


def test_no_session_outlives_a_race_with_a_new_password(api: Api) -> None:
    """A sign-in with the old password either comes first, and is ended, or is refused."""
    person = api.person()
    body = {"current_password": PASSWORD, "new_password": "another password"}
    with ThreadPoolExecutor(8) as threads:
        signing_in = [threads.submit(api.sign_in, person.email) for _ in range(7)]
        changing = threads.submit(person.call, "POST", "/auth/change-password", json=body)
    assert changing.result().status_code == 200
    for future in signing_in:
        answer = future.result()
        if answer.status_code == 200:
            answer = api.refresh(answer.json()["refresh_token"])
            assert said(answer) == (401, "session_revoked")
        else:
            assert said(answer) == (401, "invalid_credentials")


def test_of_many_sign_ups_at_once_one_gets_the_address(api: Api) -> None:
    body = {"email": new_email(), "password": PASSWORD}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: api.post("/auth/signup", body), range(8)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 7}
