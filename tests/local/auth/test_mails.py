"""Confirmation, recovery, the outbox and rate limits (wire contract §2.1, §2.6; J10, J11)."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from aerodb.local.auth.tokens import digest

from .conftest import PASSWORD, Api, Person, new_email, said


def signed_up(api: Api, **more: Any) -> tuple[str, httpx.Response]:
    email = new_email()
    answer = api.post("/auth/signup", {"email": email, "password": PASSWORD, **more})
    api.server.execute_sql("truncate aerodb_internal.auth_attempts")
    return email, answer


def confirmed(api: Api) -> Person:
    email, _ = signed_up(api)
    body = {"token": api.mails(email)[0]["token"]}
    assert api.post("/auth/verify-email", body).status_code == 200
    return Person(email, api, api.sign_in(email).json())


# --- confirmation -------------------------------------------------------------------------------


def test_nobody_signs_in_before_the_address_is_confirmed(strict: Api) -> None:
    email, answer = signed_up(strict)
    assert answer.status_code == 201
    assert set(answer.json()) == {"user"}
    assert answer.json()["user"]["email_verified"] is False
    assert said(strict.sign_in(email)) == (403, "email_not_verified")
    assert said(strict.sign_in(email, "wrong password")) == (401, "invalid_credentials")
    mails = strict.mails(email)
    assert [mail["kind"] for mail in mails] == ["confirmation"]
    token = mails[0]["token"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert token in mails[0]["body"]
    done = strict.post("/auth/verify-email", {"token": token})
    assert (done.status_code, set(done.json())) == (200, {"message"})
    assert strict.sign_in(email).json()["user"]["email_verified"] is True
    assert said(strict.post("/auth/verify-email", {"token": token})) == (401, "invalid_token")


def test_a_taken_address_looks_like_a_free_one(strict: Api) -> None:
    metadata = {"bb": 1, "a": [1.50, 1e2, "x"]}
    person = confirmed(strict)
    body = {"email": person.email, "password": "another password", "metadata": metadata}
    taken = strict.post("/auth/signup", body)
    strict.server.execute_sql("truncate aerodb_internal.auth_attempts")
    free = strict.post("/auth/signup", {**body, "email": new_email()})
    assert (taken.status_code, free.status_code) == (201, 201)
    own = {"id": "", "email": "", "created_at": "", "updated_at": ""}
    shapes = [list((answer.json()["user"] | own).items()) for answer in (taken, free)]
    assert shapes[0] == shapes[1]
    texts = [re.sub(r'"metadata":(\{.*?\}).*', r"\1", answer.text) for answer in (taken, free)]
    assert texts[0][-30:] == texts[1][-30:]
    assert taken.json()["user"]["id"] != person.id
    assert [mail["kind"] for mail in strict.mails(person.email)][-1] == "account_exists"
    assert strict.sign_in(person.email).status_code == 200
    assert said(strict.sign_in(person.email, "another password")) == (401, "invalid_credentials")


def test_without_the_setting_an_address_can_be_confirmed_all_the_same(api: Api) -> None:
    person = api.person()
    assert person.result["user"]["email_verified"] is False
    body = {"token": api.mails(person.email)[0]["token"]}
    assert api.post("/auth/verify-email", body).status_code == 200
    assert person.call("GET", "/auth/user").json()["email_verified"] is True


def test_a_confirmation_can_be_sent_again_and_only_the_last_counts(strict: Api) -> None:
    email, _ = signed_up(strict)
    assert strict.post("/auth/resend-verification", {"email": email}).status_code == 200
    first, second = (mail["token"] for mail in strict.mails(email))
    assert said(strict.post("/auth/verify-email", {"token": first})) == (401, "invalid_token")
    assert strict.post("/auth/verify-email", {"token": second}).status_code == 200
    assert strict.post("/auth/resend-verification", {"email": email}).status_code == 200
    assert len(strict.mails(email)) == 2, "there is nothing left to confirm"


def test_a_new_address_waits_for_its_confirmation(strict: Api) -> None:
    person, email = confirmed(strict), new_email()
    answer = person.call("PUT", "/auth/user", json={"email": email, "metadata": {"a": 1}})
    assert answer.status_code == 200
    assert (answer.json()["email"], answer.json()["metadata"]) == (person.email, {"a": 1})
    mail = strict.mails(email)[0]
    assert mail["kind"] == "email_change"
    assert strict.post("/auth/verify-email", {"token": mail["token"]}).status_code == 200
    user = person.call("GET", "/auth/user").json()
    assert (user["email"], user["email_verified"]) == (email, True)


def test_a_confirmation_is_for_the_address_it_was_sent_to(api: Api) -> None:
    person = api.person()
    old = api.mails(person.email)[0]["token"]
    email = new_email()
    person.call("PUT", "/auth/user", json={"email": email})
    assert said(api.post("/auth/verify-email", {"token": old})) == (401, "invalid_token")
    user = person.call("GET", "/auth/user").json()
    assert (user["email"], user["email_verified"]) == (email, False)


# --- recovery -----------------------------------------------------------------------------------


def forgotten(api: Api, email: str) -> str:
    assert api.post("/auth/forgot-password", {"email": email}).status_code == 200
    mail = api.mails(email)[-1]
    assert mail["kind"] == "recovery"
    token: str = mail["token"]
    return token


def test_a_password_is_reset_and_all_sessions_end(api: Api) -> None:
    person = api.person()
    token = forgotten(api, person.email)
    body = {"token": token, "new_password": "another password"}
    done = api.post("/auth/reset-password", body)
    assert (done.status_code, set(done.json())) == (200, {"message"})
    assert said(api.refresh(person.refresh_token)) == (401, "session_revoked")
    assert said(api.sign_in(person.email)) == (401, "invalid_credentials")
    result = api.sign_in(person.email, "another password").json()
    assert result["user"]["email_verified"] is True
    assert said(api.post("/auth/reset-password", body)) == (401, "invalid_token")


def test_a_weak_password_does_not_use_up_the_token(api: Api) -> None:
    person = api.person()
    token = forgotten(api, person.email)
    weak = {"token": token, "new_password": "short"}
    assert said(api.post("/auth/reset-password", weak)) == (400, "weak_password")
    good = {"token": token, "new_password": "another password"}
    assert api.post("/auth/reset-password", good).status_code == 200


def test_of_many_uses_at_once_one_counts(api: Api) -> None:
    person = api.person()
    token = forgotten(api, person.email)

    def use(number: int) -> int:
        body = {"token": token, "new_password": f"password {number}"}
        return api.post("/auth/reset-password", body).status_code

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(use, range(6))) == [200] + [401] * 5


def test_reset_tokens_expire_and_are_kept_as_hashes(api: Api) -> None:
    person = api.person()
    token = forgotten(api, person.email)
    rows = api.server.execute_sql(
        "select token_hash, t::text as text, expires_at - created_at = interval '1 h' as hour "
        "from auth.one_time_tokens t where user_id = %s and kind = 'recovery'",
        [person.id],
    )
    assert [bytes(row["token_hash"]) for row in rows] == [digest(token)]
    assert rows[0]["hour"] is True
    assert token not in rows[0]["text"]
    api.server.execute_sql(
        "update auth.one_time_tokens set expires_at = now() where user_id = %s", [person.id]
    )
    body = {"token": token, "new_password": "another password"}
    assert said(api.post("/auth/reset-password", body)) == (401, "invalid_token")


def test_one_kind_of_token_is_no_other(api: Api) -> None:
    person = api.person()
    confirmation = api.mails(person.email)[0]["token"]
    recovery = forgotten(api, person.email)
    body = {"token": confirmation, "new_password": "another password"}
    assert said(api.post("/auth/reset-password", body)) == (401, "invalid_token")
    assert said(api.post("/auth/verify-email", {"token": recovery})) == (401, "invalid_token")
    assert said(api.refresh(recovery)) == (401, "invalid_refresh_token")
    for token in ("", "x", recovery.upper(), person.refresh_token):
        assert said(api.post("/auth/verify-email", {"token": token})) == (401, "invalid_token")


def test_a_changed_password_makes_reset_mails_worthless(api: Api) -> None:
    person = api.person()
    token = forgotten(api, person.email)
    body = {"current_password": PASSWORD, "new_password": "another password"}
    assert person.call("POST", "/auth/change-password", json=body).status_code == 200
    reset = {"token": token, "new_password": "of the attacker"}
    assert said(api.post("/auth/reset-password", reset)) == (401, "invalid_token")


# --- the outbox ---------------------------------------------------------------------------------


def test_the_outbox_is_read_and_emptied(api: Api) -> None:
    people = [api.person(), api.person()]
    both = api.http.get("/_aerodb/outbox", headers=api.service).json()
    assert [mail["to"] for mail in both["mails"]][-2:] == [person.email for person in people]
    assert both["total"] == len(both["mails"])
    assert set(both["mails"][0]) == {
        *("id", "to", "kind", "subject", "body", "token", "created_at")
    }
    assert api.http.delete("/_aerodb/outbox", headers=api.service).status_code == 204
    assert api.http.get("/_aerodb/outbox", headers=api.service).json() == {"mails": [], "total": 0}


# --- rate limits --------------------------------------------------------------------------------


def limited(answer: httpx.Response, most: int) -> None:
    assert said(answer) == (429, "rate_limit_exceeded")
    assert 0 < int(answer.headers["retry-after"]) <= most


@pytest.mark.parametrize("known", [True, False])
def test_sign_ins_are_limited_for_each_address(strict: Api, known: bool) -> None:
    email = confirmed(strict).email if known else new_email()
    strict.server.execute_sql("truncate aerodb_internal.auth_attempts")
    for spelling in (email, email.upper(), f" {email}", email, email):
        assert said(strict.sign_in(spelling, "wrong password")) == (401, "invalid_credentials")
    limited(strict.sign_in(email), 900)
    assert said(strict.sign_in(new_email())) == (401, "invalid_credentials")
    strict.server.execute_sql("update aerodb_internal.auth_attempts set window_ends = now()")
    assert strict.sign_in(email).status_code == (200 if known else 401)


def test_sign_ups_are_limited_for_each_client(strict: Api) -> None:
    for _ in range(3):
        body = {"email": new_email(), "password": PASSWORD}
        assert strict.post("/auth/signup", body).status_code == 201
    limited(strict.post("/auth/signup", {"email": new_email(), "password": PASSWORD}), 3600)


@pytest.mark.parametrize("path", ["/auth/forgot-password", "/auth/resend-verification"])
def test_mails_are_limited_for_each_address(strict: Api, path: str) -> None:
    email = new_email()
    for _ in range(3):
        assert strict.post(path, {"email": email}).status_code == 200
    limited(strict.post(path, {"email": email}), 3600)
    assert strict.post(path, {"email": new_email()}).status_code == 200


def test_guesses_at_once_are_all_counted(strict: Api) -> None:
    email = new_email()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: strict.sign_in(email, "a guess"), range(16)))
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 11


def test_without_the_flag_nothing_is_limited(api: Api) -> None:
    email = new_email()
    for _ in range(7):
        assert said(api.sign_in(email, "wrong password")) == (401, "invalid_credentials")
    assert api.server.execute_sql("select * from aerodb_internal.auth_attempts") == []
