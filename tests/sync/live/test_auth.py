# GENERATED from tests/aio/live/test_auth.py by scripts/generate.py [3c1b8ba45129]: do not edit
"""Signing up, in and out against a real instance, and what a user sees then."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from aerodb._core.options import ClientOptions
from aerodb.sync import AeroDBClient

PASSWORD = "correct horse 9"


def somebody() -> str:
    return f"{uuid4().hex}@example.com"


def signed_up(anon: AeroDBClient, email: str) -> AeroDBClient:
    """A view that acts as a new user."""
    data = (anon.auth.sign_up(email, PASSWORD)).unwrap()
    assert data.session is not None
    anon.auth.sign_out("others")
    return anon.as_user(data.session.access_token, data.session.refresh_token)


def entries(client: AeroDBClient) -> list[Any]:
    return (client.from_("diaries").select("entry").order("id").execute()).unwrap()


def test_the_seeds_flow(anon: AeroDBClient) -> None:
    email = somebody()
    made = (anon.auth.sign_up(email, PASSWORD, {"name": "Ada"})).unwrap()
    assert made.user is not None
    assert dict(made.user.metadata) == {"name": "Ada"}
    assert (anon.auth.sign_out()).ok
    assert (anon.from_("diaries").insert({"entry": "no"}).execute()).error is not None
    signed_in = (anon.auth.sign_in(email.upper(), PASSWORD)).unwrap()
    assert signed_in.user is not None
    assert signed_in.user.id == made.user.id
    assert (anon.from_("diaries").insert({"entry": "mine"}).execute()).ok
    assert entries(anon) == [{"entry": "mine"}]
    assert (anon.auth.get_user()).unwrap().email == email
    before = anon.auth.get_session()
    after = (anon.auth.refresh_session()).unwrap()
    assert before is not None
    assert before.refresh_token != after.refresh_token
    assert entries(anon) == [{"entry": "mine"}]
    assert (anon.auth.sign_out()).ok
    assert entries(anon) == []


def test_users_see_their_own_rows_only(client: AeroDBClient, anon: AeroDBClient) -> None:
    one, other = signed_up(anon, somebody()), signed_up(anon, somebody())
    assert (one.from_("diaries").insert({"entry": "one's"}).execute()).ok
    assert (other.from_("diaries").insert({"entry": "other's"}).execute()).ok
    assert entries(one) == [{"entry": "one's"}]
    assert entries(other) == [{"entry": "other's"}]
    changed = other.from_("diaries").update({"entry": "gone"}).eq("entry", "one's").execute()
    assert changed.unwrap() == []
    assert (other.from_("diaries").count("exact")).unwrap() == 1
    assert {"entry": "one's"} in entries(client)


def test_a_forged_or_expired_token_is_refused_and_renewed(anon: AeroDBClient) -> None:
    data = (anon.auth.sign_up(somebody(), PASSWORD)).unwrap()
    assert data.session is not None
    forged = data.session.access_token[:-8] + "AAAAAAAA"
    refused = anon.as_user(forged).from_("diaries").select().execute()
    assert refused.error is not None
    assert refused.error.status == 401
    renewed = anon.as_user(forged, data.session.refresh_token)
    answer = renewed.from_("diaries").select().execute()
    assert answer.ok
    assert answer.meta.attempts == 2


def test_wrong_password_and_unknown_user_look_the_same(anon: AeroDBClient) -> None:
    email = somebody()
    anon.auth.sign_up(email, PASSWORD)
    wrong = (anon.auth.sign_in(email, "not this one")).error
    unknown = (anon.auth.sign_in(somebody(), PASSWORD)).error
    assert wrong is not None
    assert unknown is not None
    assert wrong.code == unknown.code == "invalid_credentials"
    assert (wrong.status, wrong.message) == (unknown.status, unknown.message)


def test_bad_sign_ups(anon: AeroDBClient) -> None:
    email = somebody()
    assert (anon.auth.sign_up(email, PASSWORD)).ok
    for address, password, code in (
        (somebody(), "short", "weak_password"),
        (email, PASSWORD, "email_already_exists"),
        ("no address", PASSWORD, "INVALID_ARGUMENT"),
    ):
        error = (anon.auth.sign_up(address, password)).error
        assert error is not None
        assert error.code == code


def test_a_refresh_token_spent_twice_ends_the_session(anon: AeroDBClient) -> None:
    first = (anon.auth.sign_up(somebody(), PASSWORD)).unwrap().session
    assert first is not None
    assert first.refresh_token is not None
    for _ in range(2):
        assert (anon.auth.refresh_session()).ok
    thief = anon.auth.refresh_session(first.refresh_token)
    assert thief.error is not None
    assert thief.error.code == "refresh_token_reused"
    mine = anon.auth.refresh_session()
    assert mine.error is not None
    assert mine.error.code == "SESSION_EXPIRED"
    assert anon.auth.get_session() is None


def test_signing_out_ends_the_session_on_the_server(anon: AeroDBClient) -> None:
    session = (anon.auth.sign_up(somebody(), PASSWORD)).unwrap().session
    assert session is not None
    assert (anon.auth.sign_out()).ok
    spent = anon.auth.refresh_session(session.refresh_token)
    assert spent.error is not None
    assert spent.error.code == "session_revoked"


def test_passwords_metadata_and_sessions(anon: AeroDBClient, server: Any) -> None:
    email = somebody()
    assert (anon.auth.sign_up(email, PASSWORD)).ok
    assert (anon.auth.update_user(metadata={"a": 1})).unwrap().metadata == {"a": 1}
    session = anon.auth.get_session()
    assert session is not None
    assert session.user is not None
    assert session.user.metadata == {"a": 1}
    with AeroDBClient(server.url, server.anon_key) as elsewhere:
        assert (elsewhere.auth.sign_in(email, PASSWORD)).ok
        listed = (anon.auth.list_sessions()).unwrap()
        assert len([info for info in listed if not info.is_revoked]) == 2
        wrong = anon.auth.change_password("not this one", "another horse 8")
        assert wrong.error is not None
        assert wrong.error.code == "invalid_credentials"
        assert (anon.auth.change_password(PASSWORD, "another horse 8")).ok
        ended = elsewhere.auth.refresh_session()
        assert ended.error is not None
        assert ended.error.code == "SESSION_EXPIRED"
    assert (anon.auth.refresh_session()).ok
    assert (anon.auth.sign_in(email, "another horse 8")).ok
    assert (anon.auth.get_password_policy()).unwrap().min_length >= 8


def mailed(server: Any, email: str) -> list[tuple[str, str]]:
    """Kind and token of the mails to an address, the oldest first."""
    asked = {"to": email}
    with httpx.Client(base_url=server.url, trust_env=False) as http:
        answer = http.get("/_aerodb/outbox", params=asked, headers={"apikey": server.service_key})
    return [(mail["kind"], mail["token"]) for mail in answer.raise_for_status().json()["mails"]]


def test_what_is_mailed_confirms_addresses_and_resets_passwords(
    anon: AeroDBClient, server: Any
) -> None:
    email = somebody()
    made = (anon.auth.sign_up(email, PASSWORD)).unwrap()
    assert made.user is not None
    assert not made.user.email_verified
    assert (anon.auth.resend_verification(email)).ok
    first, last = mailed(server, email)
    assert first[0] == last[0] == "confirmation"
    late = (anon.auth.verify_email(first[1])).error
    assert late is not None
    assert late.code == "invalid_token"
    assert (anon.auth.verify_email(last[1])).ok
    assert (anon.auth.get_user()).unwrap().email_verified
    for address in (email, somebody()):  # the answer does not tell whether there is such a user
        assert (anon.auth.reset_password_for_email(address)).ok
    kind, token = mailed(server, email)[-1]
    assert kind == "recovery"
    weak = (anon.auth.confirm_password_reset(token, "short")).error
    assert weak is not None
    assert weak.code == "weak_password"
    assert (anon.auth.confirm_password_reset(token, "another horse 8")).ok
    used = (anon.auth.confirm_password_reset(token, "another horse 7")).error
    assert used is not None
    assert used.code == "invalid_token"
    ended = (anon.auth.refresh_session()).error
    assert ended is not None
    assert ended.code == "SESSION_EXPIRED"
    assert (anon.auth.sign_in(email, PASSWORD)).error is not None
    assert (anon.auth.sign_in(email, "another horse 8")).ok


@pytest.mark.parametrize("scope", ["local", "global", "others"])
def test_signing_out_ends_the_sessions_of_its_scope(
    anon: AeroDBClient, server: Any, scope: Any
) -> None:
    email = somebody()
    assert (anon.auth.sign_up(email, PASSWORD)).ok
    with AeroDBClient(server.url, server.anon_key) as elsewhere:
        assert (elsewhere.auth.sign_in(email, PASSWORD)).ok
        assert (anon.auth.sign_out(scope)).ok
        assert (anon.auth.get_session() is None) == (scope != "others")
        assert (elsewhere.auth.refresh_session()).ok == (scope == "local")
        assert (anon.auth.refresh_session()).ok == (scope == "others")


def test_one_of_the_own_sessions_is_revoked_and_nobody_elses(
    anon: AeroDBClient, server: Any
) -> None:
    email = somebody()
    assert (anon.auth.sign_up(email, PASSWORD)).ok
    with AeroDBClient(server.url, server.anon_key) as elsewhere:
        assert (elsewhere.auth.sign_in(email, PASSWORD)).ok
        newest = (anon.auth.list_sessions()).unwrap()[0]
        assert (elsewhere.auth.sign_up(somebody(), PASSWORD)).ok
        stranger = (elsewhere.auth.revoke_session(newest.id)).error
        assert stranger is not None
        assert stranger.code == "not_found"
        assert (anon.auth.revoke_session(newest.id)).ok
        left = (anon.auth.list_sessions()).unwrap()
        assert [info.is_revoked for info in left if info.id == newest.id] == [True]
        assert (anon.auth.refresh_session()).ok


def test_an_access_token_that_has_run_out_is_renewed_on_the_way(
    anon: AeroDBClient, server: Any
) -> None:
    session = (anon.auth.sign_up(somebody(), PASSWORD)).unwrap().session
    assert session is not None
    claims = jwt.decode(session.access_token, options={"verify_signature": False})
    old = jwt.encode(claims | {"exp": claims["exp"] - 3600}, server.jwt_secret, algorithm="HS256")
    view = anon.as_user(old, session.refresh_token)
    answer = view.from_("diaries").insert({"entry": "late"}).execute()
    assert answer.ok
    alone = (anon.as_user(old).from_("diaries").select().execute()).error
    assert alone is not None
    assert alone.status == 401


def test_users_by_the_service_key(client: AeroDBClient, anon: AeroDBClient) -> None:
    admin, email = client.auth.admin, somebody()
    made = (admin.create_user(email, PASSWORD, app_metadata={"plan": "x"})).unwrap()
    assert (admin.get_user(made.id)).unwrap().email == email
    page = (admin.list_users(per_page=1)).unwrap()
    assert len(page.items) == 1
    assert page.total is not None
    changed = (admin.update_user(made.id, metadata={"a": 1})).unwrap()
    assert (changed.metadata, changed.app_metadata) == ({"a": 1}, {"plan": "x"})
    assert (anon.auth.sign_in(email, PASSWORD)).ok
    held = client.auth.sign_in(email, PASSWORD)
    assert held.meta.warnings
    assert client.auth.get_session() is None
    assert (admin.delete_user(made.id)).ok
    gone = admin.get_user(made.id)
    assert gone.error is not None
    assert gone.error.code == "user_not_found"
    assert (anon.auth.refresh_session()).error is not None


@pytest.mark.parametrize("key", ["aero_pk_unknown", "aero_sk_unknown"])
def test_an_unknown_key_is_refused(server: Any, key: str) -> None:
    with AeroDBClient(server.url, key, options=ClientOptions(retries=0)) as client:
        answer = client.auth.sign_in(somebody(), PASSWORD)
        assert answer.error is not None
        assert answer.error.code == "invalid_api_key"
