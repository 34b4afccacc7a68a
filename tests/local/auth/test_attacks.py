"""Attacks on accounts and tokens that need more than one request, or odd text."""

from __future__ import annotations

import base64
import json
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from .conftest import PASSWORD, Api, Person, new_email, said
from .test_bad_input import GOOD, claims_of, signed, tried

# --- addresses ----------------------------------------------------------------------------------


def other_spellings(email: str) -> list[str]:
    return [
        email.upper(),
        f"  {email}\n",
        unicodedata.normalize("NFD", email),
        unicodedata.normalize("NFC", email).upper(),
        email.replace("k", "\u212a"),  # the Kelvin sign is a k in lower case
    ]


def test_an_address_has_one_account_however_it_is_written(api: Api) -> None:
    email = f"zoë.k.{uuid4().hex}@exämple.com"
    person = api.person(email=email)
    for spelling in other_spellings(email):
        again = api.post("/auth/signup", {"email": spelling, "password": PASSWORD})
        assert said(again) == (409, "email_already_exists"), spelling
        signed_in = api.sign_in(spelling)
        assert signed_in.status_code == 200, spelling
        assert signed_in.json()["user"]["id"] == person.id
        made = api.post("/auth/users", {"email": spelling}, headers=api.service)
        assert said(made) == (409, "email_already_exists"), spelling
        other = api.person()
        moved = other.call("PUT", "/auth/user", json={"email": spelling})
        assert said(moved) == (409, "email_already_exists"), spelling


def test_a_mail_goes_to_the_address_of_the_account_and_not_to_a_spelling_of_it(api: Api) -> None:
    email = f"k.{uuid4().hex}@example.com"
    api.person(email=email)
    spelling = email.replace("k", "\u212a")
    assert api.post("/auth/forgot-password", {"email": spelling}).status_code == 200
    assert [mail["to"] for mail in api.mails(email) if mail["kind"] == "recovery"] == [email]


@pytest.mark.parametrize(
    "sign", list("\u200b\u200d\u2060\ufeff\u202e\u00ad\u3164\ue000\u00a0\ufe0f"), ids=ascii
)
def test_signs_that_nobody_sees_are_in_no_address(api: Api, sign: str) -> None:
    """With them, one address looks like another."""
    for email in (f"a{sign}b.{uuid4().hex}@example.com", f"{uuid4().hex}@exam{sign}ple.com"):
        answer = api.post("/auth/signup", {"email": email, "password": PASSWORD})
        assert said(answer) == (400, "validation_failed"), ascii(email)


def test_many_sign_ups_of_one_address_in_many_spellings_make_one_user(api: Api) -> None:
    email = f"zoë.k.{uuid4().hex}@example.com"
    spellings = [email, *other_spellings(email)] * 3

    def sign_up(spelling: str) -> int:
        return api.post("/auth/signup", {"email": spelling, "password": PASSWORD}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(sign_up, spellings))
    assert sorted(statuses) == [201] + [409] * (len(spellings) - 1)


# --- passwords ----------------------------------------------------------------------------------


@pytest.mark.parametrize("password", ["correct\0horse", "\0" * 8, "correct horse\0"])
def test_a_password_with_nul_is_refused_and_never_cut_short(api: Api, password: str) -> None:
    body = {"email": new_email(), "password": password}
    assert said(api.post("/auth/signup", body)) == (400, "validation_failed")
    person = api.person()
    assert said(api.sign_in(person.email, PASSWORD + "\0")) == (400, "validation_failed")


@pytest.mark.parametrize("length", [1025, 10**6, 9 * 10**6])
def test_a_long_password_is_not_hashed(api: Api, length: int) -> None:
    person = api.person(password="x" * 1024)
    assert said(api.sign_in(person.email, "x" * length)) == (401, "invalid_credentials")


# --- tokens -------------------------------------------------------------------------------------


def test_a_token_has_one_spelling(api: Api, somebody: Person) -> None:  # J5
    """Base64 leaves bits unused in the last character; another one there is another token."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = somebody.result["access_token"]
    last = alphabet.index(token[-1])
    assert last % 4 == 0
    for other in (last + 1, last + 2, last + 3):
        assert said(tried(api, token[:-1] + alphabet[other])) == (401, "invalid_token")
    for more in ("=", "==", "A", ".", ",x"):
        assert said(tried(api, token + more)) == (401, "invalid_token"), more


@pytest.mark.parametrize(
    "header",
    [
        {"alg": ["HS256"]},
        {"alg": {"HS256": 1}},
        {"alg": "hs256"},
        {"alg": "HS256 "},
        {"alg": "HS256\0"},
        {"alg": "HS512"},
        {"alg": "dir", "enc": "A256GCM"},
        {"alg": "HS256", "b64": False, "crit": ["b64"]},
        {"alg": "HS256", "crit": []},
        {"alg": "HS256", "crit": ["exp"]},
        {"alg": "HS256", "crit": "exp"},
        {"alg": "HS256", "kid": ""},
        {"alg": "HS256", "kid": 5},
        {"alg": "HS256", "kid": ["a"]},
        {"alg": "HS256", "kid": "/proc/self/environ"},
        {"alg": "HS256", "kid": "x' union select 'secret"},
    ],
)
def test_odd_headers(api: Api, somebody: Person, header: dict[str, Any]) -> None:  # J1-J3
    for secret in (None, "", "\0", "secret"):
        answer = tried(api, signed(api, header, claims_of(somebody), secret))
        assert said(answer) == (401, "invalid_token"), header


def test_a_name_that_stands_twice(api: Api, somebody: Person) -> None:  # J5
    claims = json.dumps(claims_of(somebody))
    twice = claims[:-1] + f', "sub": "{uuid4()}"' + "}"
    assert said(tried(api, signed(api, GOOD, twice.encode()))) == (401, "invalid_token")
    header = b'{"alg":"HS256","alg":"none"}'
    assert said(tried(api, signed(api, header, claims.encode()))) == (401, "invalid_token")


def test_a_token_without_an_end_or_a_session_is_nobodys(api: Api, somebody: Person) -> None:
    claims = claims_of(somebody)
    for missing in ("exp", "session_id", "sub"):
        token = signed(api, GOOD, {k: v for k, v in claims.items() if k != missing})
        for path in ("/auth/user", "/auth/sessions"):
            assert tried(api, token, path).status_code == 401, (missing, path)
        assert said(tried(api, token, "/auth/users")) == (403, "access_denied")


def test_a_token_in_other_places_is_no_token(api: Api, somebody: Person) -> None:
    token = somebody.result["access_token"]
    for path in (f"/auth/user?access_token={token}", f"/auth/user?token={token}"):
        assert said(api.http.get(path)) == (401, "authentication_required")
    for name in ("Cookie", "X-Access-Token", "Token"):
        answer = api.http.get("/auth/user", headers={name: f"access_token={token}"})
        assert said(answer) == (401, "authentication_required")
    basic = base64.b64encode(f"{somebody.email}:{PASSWORD}".encode()).decode()
    answer = api.http.get("/auth/user", headers={"Authorization": f"Basic {basic}"})
    assert said(answer) == (401, "authentication_required")


def test_two_bearers_are_no_choice(api: Api, somebody: Person) -> None:
    """Which of the two counts would depend on who reads them."""
    token = somebody.result["access_token"]
    pairs = [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer x")]
    for headers in (pairs, pairs[::-1]):
        answer = api.http.get("/auth/user", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
        rest = api.http.get("/rest/v1/shelves", headers=headers)
        assert (rest.status_code, rest.json()["code"]) == (400, "AERO400")
    keys = [("apikey", api.server.anon_key), ("apikey", api.server.service_key)]
    assert api.http.get("/auth/users", headers=keys).status_code == 400


# --- refresh tokens -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_thief_and_the_owner_at_once_end_with_one_chain_or_none(api: Api, seed: int) -> None:
    """Both hold one refresh token. Whoever is later presents a token that was spent."""
    person = api.person()

    def chain(token: str) -> list[int]:
        found = []
        for _ in range(4):
            answer = api.refresh(token)
            found.append(answer.status_code)
            if answer.status_code != 200:
                assert answer.json()["code"] in ("refresh_token_reused", "session_revoked")
                break
            token = answer.json()["refresh_token"]
        return found

    with ThreadPoolExecutor(8) as pool:
        chains = list(pool.map(chain, [person.refresh_token] * 8))
    assert any(401 in found for found in chains) or len({len(found) for found in chains}) == 1
    # the token that was stolen is worthless by now, and whoever tries it ends the session
    assert api.refresh(person.refresh_token).status_code == 401
    assert said(person.call("GET", "/auth/user")) == (401, "session_revoked")


@pytest.mark.parametrize("kind", ["access", "mail", "key"])
def test_other_secrets_are_no_refresh_tokens(api: Api, somebody: Person, kind: str) -> None:
    api.post("/auth/forgot-password", {"email": somebody.email})
    secret = {
        "access": somebody.result["access_token"],
        "mail": api.mails(somebody.email)[0]["token"],
        "key": api.server.service_key,
    }[kind]
    assert said(api.refresh(secret)) == (401, "invalid_refresh_token")
    body = {"token": somebody.refresh_token, "new_password": "another horse"}
    assert said(api.post("/auth/reset-password", body)) == (401, "invalid_token")


# --- rights -------------------------------------------------------------------------------------

ADMIN = [
    *(("GET", "/auth/users"), ("POST", "/auth/users"), ("GET", "/_aerodb/outbox")),
    *((method, "/auth/users/{id}") for method in ("GET", "PATCH", "DELETE")),
    ("DELETE", "/_aerodb/outbox"),
]


@pytest.mark.parametrize(("method", "path"), ADMIN)
def test_users_manage_nobody_not_even_themselves(
    api: Api, somebody: Person, method: str, path: str
) -> None:
    body = {"email": new_email(), "role": "service_role", "app_metadata": {"admin": True}}
    for key in ({}, {"apikey": api.server.anon_key}, api.service):
        answer = somebody.call(method, path.format(id=somebody.id), headers=key, json=body)
        assert said(answer) == (403, "access_denied"), key
    forged = somebody.call("GET", "/auth/users", headers={"X-Role": "service_role"})
    assert said(forged) == (403, "access_denied")


@pytest.mark.parametrize("path", ["/auth/user", "/auth/signup"])
def test_nobody_writes_what_only_the_service_may(api: Api, path: str) -> None:
    more = {
        "role": "service_role",
        "app_metadata": {"admin": True},
        "email_verified": True,
        "email_confirmed_at": "2020-01-01",
        "id": str(uuid4()),
        "encrypted_password": "x",
        "raw_app_meta_data": {"admin": True},
    }
    person = api.person(**more) if path == "/auth/signup" else api.person()
    if path == "/auth/user":
        changed = person.call("PUT", path, json={"metadata": {"a": 1}, **more})
        assert changed.status_code == 200
    user = person.call("GET", "/auth/user").json()
    assert (user["role"], user["app_metadata"]) == ("authenticated", {})
    assert user["email_verified"] is False
    assert user["id"] != more["id"]


# --- who is there -------------------------------------------------------------------------------


def test_a_user_learns_nothing_of_others_by_moving_to_their_address(strict_api: Api) -> None:
    api = strict_api
    api.server.execute_sql("truncate aerodb_internal.auth_attempts")
    taken, free = new_email(), new_email()
    mover, owner = _confirmed(api, new_email()), _confirmed(api, taken)
    answers = [mover.call("PUT", "/auth/user", json={"email": email}) for email in (taken, free)]
    assert [answer.status_code for answer in answers] == [200, 200]
    bodies = [answer.json() for answer in answers]
    assert bodies[0] == bodies[1]
    assert bodies[0]["email"] == mover.email
    # its owner is told, and gets no token that would do anything
    assert [mail["kind"] for mail in api.mails(taken)][-1] == "account_exists"
    assert all(mail["token"] is None or mail["kind"] == "confirmation" for mail in api.mails(taken))
    assert owner.call("GET", "/auth/user").json()["email"] == taken


def _confirmed(api: Api, email: str) -> Person:
    answer = api.post(
        "/auth/users",
        {"email": email, "password": PASSWORD, "email_verified": True},
        headers=api.service,
    )
    assert answer.status_code == 201, answer.text
    return Person(email, api, api.sign_in(email).json())


def test_unknown_and_wrong_differ_in_no_header_either(api: Api, somebody: Person) -> None:
    def seen(answer: httpx.Response) -> tuple[Any, ...]:
        varying = {"date", "x-request-id"}
        headers = sorted((k, v) for k, v in answer.headers.items() if k not in varying)
        return answer.status_code, answer.content, headers

    assert seen(api.sign_in(somebody.email, "not this one")) == seen(api.sign_in(new_email()))
