# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Signing up, in and out against a real instance, and what a user sees then."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from aerodb._core.options import ClientOptions
from aerodb.aio import AeroDBClient

PASSWORD = "correct horse 9"


def somebody() -> str:
    return f"{uuid4().hex}@example.com"


async def signed_up(anon: AeroDBClient, email: str) -> AeroDBClient:
    """A view that acts as a new user."""
    data = (await anon.auth.sign_up(email, PASSWORD)).unwrap()
    assert data.session is not None
    await anon.auth.sign_out("others")
    return anon.as_user(data.session.access_token, data.session.refresh_token)


async def entries(client: AeroDBClient) -> list[Any]:
    return (await client.from_("diaries").select("entry").order("id").execute()).unwrap()


async def test_the_seeds_flow(anon: AeroDBClient) -> None:
    email = somebody()
    made = (await anon.auth.sign_up(email, PASSWORD, {"name": "Ada"})).unwrap()
    assert made.user is not None
    assert dict(made.user.metadata) == {"name": "Ada"}
    assert (await anon.auth.sign_out()).ok
    assert (await anon.from_("diaries").insert({"entry": "no"}).execute()).error is not None
    signed_in = (await anon.auth.sign_in(email.upper(), PASSWORD)).unwrap()
    assert signed_in.user is not None
    assert signed_in.user.id == made.user.id
    assert (await anon.from_("diaries").insert({"entry": "mine"}).execute()).ok
    assert await entries(anon) == [{"entry": "mine"}]
    assert (await anon.auth.get_user()).unwrap().email == email
    before = anon.auth.get_session()
    after = (await anon.auth.refresh_session()).unwrap()
    assert before is not None
    assert before.refresh_token != after.refresh_token
    assert await entries(anon) == [{"entry": "mine"}]
    assert (await anon.auth.sign_out()).ok
    assert await entries(anon) == []


async def test_users_see_their_own_rows_only(client: AeroDBClient, anon: AeroDBClient) -> None:
    one, other = await signed_up(anon, somebody()), await signed_up(anon, somebody())
    assert (await one.from_("diaries").insert({"entry": "one's"}).execute()).ok
    assert (await other.from_("diaries").insert({"entry": "other's"}).execute()).ok
    assert await entries(one) == [{"entry": "one's"}]
    assert await entries(other) == [{"entry": "other's"}]
    changed = await other.from_("diaries").update({"entry": "gone"}).eq("entry", "one's").execute()
    assert changed.unwrap() == []
    assert (await other.from_("diaries").count("exact")).unwrap() == 1
    assert {"entry": "one's"} in await entries(client)


async def test_a_forged_or_expired_token_is_refused_and_renewed(anon: AeroDBClient) -> None:
    data = (await anon.auth.sign_up(somebody(), PASSWORD)).unwrap()
    assert data.session is not None
    forged = data.session.access_token[:-8] + "AAAAAAAA"
    refused = await anon.as_user(forged).from_("diaries").select().execute()
    assert refused.error is not None
    assert refused.error.status == 401
    renewed = anon.as_user(forged, data.session.refresh_token)
    answer = await renewed.from_("diaries").select().execute()
    assert answer.ok
    assert answer.meta.attempts == 2


async def test_wrong_password_and_unknown_user_look_the_same(anon: AeroDBClient) -> None:
    email = somebody()
    await anon.auth.sign_up(email, PASSWORD)
    wrong = (await anon.auth.sign_in(email, "not this one")).error
    unknown = (await anon.auth.sign_in(somebody(), PASSWORD)).error
    assert wrong is not None
    assert unknown is not None
    assert wrong.code == unknown.code == "invalid_credentials"
    assert (wrong.status, wrong.message) == (unknown.status, unknown.message)


async def test_bad_sign_ups(anon: AeroDBClient) -> None:
    email = somebody()
    assert (await anon.auth.sign_up(email, PASSWORD)).ok
    for address, password, code in (
        (somebody(), "short", "weak_password"),
        (email, PASSWORD, "email_already_exists"),
        ("no address", PASSWORD, "INVALID_ARGUMENT"),
    ):
        error = (await anon.auth.sign_up(address, password)).error
        assert error is not None
        assert error.code == code


async def test_a_refresh_token_spent_twice_ends_the_session(anon: AeroDBClient) -> None:
    first = (await anon.auth.sign_up(somebody(), PASSWORD)).unwrap().session
    assert first is not None
    assert first.refresh_token is not None
    for _ in range(2):
        assert (await anon.auth.refresh_session()).ok
    thief = await anon.auth.refresh_session(first.refresh_token)
    assert thief.error is not None
    assert thief.error.code == "refresh_token_reused"
    mine = await anon.auth.refresh_session()
    assert mine.error is not None
    assert mine.error.code == "SESSION_EXPIRED"
    assert anon.auth.get_session() is None


async def test_signing_out_ends_the_session_on_the_server(anon: AeroDBClient) -> None:
    session = (await anon.auth.sign_up(somebody(), PASSWORD)).unwrap().session
    assert session is not None
    assert (await anon.auth.sign_out()).ok
    spent = await anon.auth.refresh_session(session.refresh_token)
    assert spent.error is not None
    assert spent.error.code == "session_revoked"


async def test_passwords_metadata_and_sessions(anon: AeroDBClient, server: Any) -> None:
    email = somebody()
    assert (await anon.auth.sign_up(email, PASSWORD)).ok
    assert (await anon.auth.update_user(metadata={"a": 1})).unwrap().metadata == {"a": 1}
    session = anon.auth.get_session()
    assert session is not None
    assert session.user is not None
    assert session.user.metadata == {"a": 1}
    async with AeroDBClient(server.url, server.anon_key) as elsewhere:
        assert (await elsewhere.auth.sign_in(email, PASSWORD)).ok
        listed = (await anon.auth.list_sessions()).unwrap()
        assert len([info for info in listed if not info.is_revoked]) == 2
        wrong = await anon.auth.change_password("not this one", "another horse 8")
        assert wrong.error is not None
        assert wrong.error.code == "invalid_credentials"
        assert (await anon.auth.change_password(PASSWORD, "another horse 8")).ok
        ended = await elsewhere.auth.refresh_session()
        assert ended.error is not None
        assert ended.error.code == "SESSION_EXPIRED"
    assert (await anon.auth.refresh_session()).ok
    assert (await anon.auth.sign_in(email, "another horse 8")).ok
    assert (await anon.auth.get_password_policy()).unwrap().min_length >= 8


def mailed(server: Any, email: str) -> list[tuple[str, str]]:
    """Kind and token of the mails to an address, the oldest first."""
    asked = {"to": email}
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        answer = http.get("/_aerodb/outbox", params=asked, headers={"apikey": server.service_key})
    return [(mail["kind"], mail["token"]) for mail in answer.raise_for_status().json()["mails"]]


async def test_what_is_mailed_confirms_addresses_and_resets_passwords(
    anon: AeroDBClient, server: Any
) -> None:
    email = somebody()
    made = (await anon.auth.sign_up(email, PASSWORD)).unwrap()
    assert made.user is not None
    assert not made.user.email_verified
    assert (await anon.auth.resend_verification(email)).ok
    first, last = mailed(server, email)
    assert first[0] == last[0] == "confirmation"
    late = (await anon.auth.verify_email(first[1])).error
    assert late is not None
    assert late.code == "invalid_token"
    assert (await anon.auth.verify_email(last[1])).ok
    assert (await anon.auth.get_user()).unwrap().email_verified
    for address in (email, somebody()):  # the answer does not tell whether there is such a user
        assert (await anon.auth.reset_password_for_email(address)).ok
    kind, token = mailed(server, email)[-1]
    assert kind == "recovery"
    weak = (await anon.auth.confirm_password_reset(token, "short")).error
    assert weak is not None
    assert weak.code == "weak_password"
    assert (await anon.auth.confirm_password_reset(token, "another horse 8")).ok
    used = (await anon.auth.confirm_password_reset(token, "another horse 7")).error
    assert used is not None
    assert used.code == "invalid_token"
    ended = (await anon.auth.refresh_session()).error
    assert ended is not None
    assert ended.code == "SESSION_EXPIRED"
    assert (await anon.auth.sign_in(email, PASSWORD)).error is not None
    assert (await anon.auth.sign_in(email, "another horse 8")).ok


@pytest.mark.parametrize("scope", ["local", "global", "others"])
async def test_signing_out_ends_the_sessions_of_its_scope(
    anon: AeroDBClient, server: Any, scope: Any
) -> None:
    email = somebody()
    assert (await anon.auth.sign_up(email, PASSWORD)).ok
    async with AeroDBClient(server.url, server.anon_key) as elsewhere:
        assert (await elsewhere.auth.sign_in(email, PASSWORD)).ok
        assert (await anon.auth.sign_out(scope)).ok
        assert (anon.auth.get_session() is None) == (scope != "others")
        assert (await elsewhere.auth.refresh_session()).ok == (scope == "local")
        assert (await anon.auth.refresh_session()).ok == (scope == "others")


async def test_one_of_the_own_sessions_is_revoked_and_nobody_elses(
    anon: AeroDBClient, server: Any
) -> None:
    email = somebody()
    assert (await anon.auth.sign_up(email, PASSWORD)).ok
    async with AeroDBClient(server.url, server.anon_key) as elsewhere:
        assert (await elsewhere.auth.sign_in(email, PASSWORD)).ok
        newest = (await anon.auth.list_sessions()).unwrap()[0]
        assert (await elsewhere.auth.sign_up(somebody(), PASSWORD)).ok
        stranger = (await elsewhere.auth.revoke_session(newest.id)).error
        assert stranger is not None
        assert stranger.code == "not_found"
        assert (await anon.auth.revoke_session(newest.id)).ok
        left = (await anon.auth.list_sessions()).unwrap()
        assert [info.is_revoked for info in left if info.id == newest.id] == [True]
        assert (await anon.auth.refresh_session()).ok


async def test_an_access_token_that_has_run_out_is_renewed_on_the_way(
    anon: AeroDBClient, server: Any
) -> None:
    session = (await anon.auth.sign_up(somebody(), PASSWORD)).unwrap().session
    assert session is not None
    claims = jwt.decode(session.access_token, options={"verify_signature": False})
    old = jwt.encode(claims | {"exp": claims["exp"] - 3600}, server.jwt_secret, algorithm="HS256")
    view = anon.as_user(old, session.refresh_token)
    answer = await view.from_("diaries").insert({"entry": "late"}).execute()
    assert answer.ok
    alone = (await anon.as_user(old).from_("diaries").select().execute()).error
    assert alone is not None
    assert alone.status == 401


async def test_users_by_the_service_key(client: AeroDBClient, anon: AeroDBClient) -> None:
    admin, email = client.auth.admin, somebody()
    made = (await admin.create_user(email, PASSWORD, app_metadata={"plan": "x"})).unwrap()
    assert (await admin.get_user(made.id)).unwrap().email == email
    page = (await admin.list_users(per_page=1)).unwrap()
    assert len(page.items) == 1
    assert page.total is not None
    changed = (await admin.update_user(made.id, metadata={"a": 1})).unwrap()
    assert (changed.metadata, changed.app_metadata) == ({"a": 1}, {"plan": "x"})
    assert (await anon.auth.sign_in(email, PASSWORD)).ok
    held = await client.auth.sign_in(email, PASSWORD)
    assert held.meta.warnings
    assert client.auth.get_session() is None
    assert (await admin.delete_user(made.id)).ok
    gone = await admin.get_user(made.id)
    assert gone.error is not None
    assert gone.error.code == "user_not_found"
    assert (await anon.auth.refresh_session()).error is not None


@pytest.mark.parametrize("key", ["aero_pk_unknown", "aero_sk_unknown"])
async def test_an_unknown_key_is_refused(server: Any, key: str) -> None:
    async with AeroDBClient(server.url, key, options=ClientOptions(retries=0)) as client:
        answer = await client.auth.sign_in(somebody(), PASSWORD)
        assert answer.error is not None
        assert answer.error.code == "invalid_api_key"
