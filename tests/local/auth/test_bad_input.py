"""What must not pass: forged tokens, bad bodies, guesses (reliability C5, wire contract §2.6)."""

from __future__ import annotations

import base64
import hmac
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import argon2
import httpx
import jwt
import pytest

from aerodb.local.auth import passwords

from .conftest import PASSWORD, Api, Person, new_email, said


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims_of(person: Person) -> dict[str, Any]:
    token = person.result["access_token"]
    return jwt.decode(token, options={"verify_signature": False})


def signed(api: Api, header: Any, claims: Any, secret: str | None = None) -> str:
    """A token whose parts are taken as they stand, with a right HS256 signature."""
    text = f"{part(header)}.{part(claims)}"
    key = (api.server.jwt_secret if secret is None else secret).encode()
    return f"{text}.{part(hmac.digest(key, text.encode(), 'sha256'))}"


def tried(api: Api, token: str, path: str = "/auth/user") -> httpx.Response:
    return api.http.get(path, headers={"Authorization": f"Bearer {token}"})


GOOD = {"alg": "HS256", "typ": "JWT"}


# --- tokens -------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "NONE", "HS384", "RS256", "", None])
def test_the_algorithm_is_fixed(api: Api, somebody: Person, algorithm: str | None) -> None:  # J1
    claims = claims_of(somebody)
    header = {"typ": "JWT"} if algorithm is None else {"alg": algorithm, "typ": "JWT"}
    unsigned = f"{part(header)}.{part(claims)}."
    for token in (unsigned, signed(api, header, claims)):
        answer = tried(api, token)
        assert said(answer) == (401, "invalid_token")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert tried(api, token, "/rest/v1/notes").status_code == 401


@pytest.mark.parametrize(
    "extra",
    [
        {"kid": "../../dev/null"},
        {"kid": "x' or '1'='1"},
        {"kid": "http://127.0.0.1:1/key"},
        {"crit": ["x"], "x": 1},  # J3
    ],
)
def test_key_ids_and_critical_headers_do_not_help(
    api: Api, somebody: Person, extra: dict[str, Any]
) -> None:  # J2
    claims = claims_of(somebody)
    for secret in (None, "", "public"):
        assert said(tried(api, signed(api, GOOD | extra, claims, secret))) == (401, "invalid_token")


def test_a_key_in_the_token_is_not_its_key(api: Api, somebody: Person) -> None:  # J2
    claims = claims_of(somebody)
    key = {"kty": "oct", "k": part(b"of the attacker, thirty-two bytes")}
    for extra in ({"jwk": key}, {"jku": "http://127.0.0.1:1/"}, {"x5u": "http://127.0.0.1:1/"}):
        token = signed(api, GOOD | extra, claims, "of the attacker, thirty-two bytes")
        assert said(tried(api, token)) == (401, "invalid_token")


@pytest.mark.parametrize(
    "changes",
    [
        *({"exp": None}, {"exp": "soon"}, {"exp": -1}, {"exp": 10**30}, {"exp": []}),
        *({"nbf": 4102444800}, {"iat": 4102444800}, {"iss": "aerodb.evil"}, {"iss": "aero"}),
        *({"aud": "other"}, {"aud": ["other"]}, {"aud": 5}, {"aud": "aerodb2"}),
        *({"sub": None}, {"sub": "x"}, {"sub": 5}, {"session_id": None}, {"session_id": "x"}),
        {"session_id": "00000000-0000-0000-0000-000000000000"},
    ],
)
def test_claims_are_checked(api: Api, somebody: Person, changes: dict[str, Any]) -> None:  # J4
    claims = {k: v for k, v in (claims_of(somebody) | changes).items() if v is not None}
    status, code = said(tried(api, signed(api, GOOD, claims)))
    assert status == 401
    assert code in {
        "invalid_token", "token_expired", "session_revoked", "authentication_required"
    }  # fmt: skip


def test_an_expired_token_is_called_so_and_grants_nothing(api: Api, somebody: Person) -> None:
    person = somebody
    claims = claims_of(person)
    fresh = signed(api, GOOD, claims | {"exp": int(time.time()) - 20})
    assert tried(api, fresh).status_code == 200, "30 s of skew"
    old = signed(api, GOOD, claims | {"exp": int(time.time()) - 40})
    for path in ("/auth/user", "/auth/sessions"):
        assert said(tried(api, old, path)) == (401, "token_expired")
    rest = tried(api, old, "/rest/v1/shelves")
    assert (rest.status_code, rest.json()["code"]) == (401, "PGRST303")
    both = {"Authorization": f"Bearer {old}", "apikey": api.server.service_key}
    assert api.http.get("/rest/v1/shelves", headers=both).status_code == 401
    assert said(api.http.get("/auth/users", headers=both)) == (401, "token_expired")


def test_a_session_of_somebody_else_does_not_fit(api: Api) -> None:
    mine, other = claims_of(api.person()), claims_of(api.person())
    token = signed(api, GOOD, mine | {"sub": other["sub"]})
    assert said(tried(api, token)) == (401, "session_revoked")


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b", "a.b.c", "a.b.c.d", "...", "é.é.é", "A" * 20_000, f"{'.' * 500}"],
)
def test_what_is_no_token(api: Api, token: str) -> None:  # J5
    value = f"Bearer {token}".rstrip().encode("latin-1")
    answer = api.http.get("/auth/user", headers={b"Authorization": value})
    assert said(answer) == (401, "invalid_token")


def test_malformed_payloads(api: Api, somebody: Person) -> None:  # J5
    claims = json.dumps(claims_of(somebody))
    payloads = [
        (claims + "x").encode(),
        b"[" * 5000 + b"]" * 5000,
        claims.replace("{", '{"exp": NaN, ', 1).encode(),
        b"\xff\xfe",
        b"null",
        b"",
    ]
    for payload in payloads:
        assert said(tried(api, signed(api, GOOD, payload))) == (401, "invalid_token")


def test_a_token_is_refused_with_any_byte_changed(api: Api, somebody: Person) -> None:
    person = somebody
    head, payload, signature = person.result["access_token"].split(".")
    for at in range(0, len(signature) - 1, 6):
        other = "A" if signature[at] != "A" else "B"
        changed = f"{head}.{payload}.{signature[:at]}{other}{signature[at + 1 :]}"
        assert said(tried(api, changed)) == (401, "invalid_token")
    admin = part(json.loads(base64.urlsafe_b64decode(payload + "==")) | {"role": "service_role"})
    assert said(tried(api, f"{head}.{admin}.{signature}", "/auth/users")) == (401, "invalid_token")


@pytest.mark.parametrize("role", ["postgres", "aerodb_auth", "pg_read_server_files", '"; drop'])
def test_roles_that_requests_cannot_take(api: Api, somebody: Person, role: str) -> None:  # J6
    claims = claims_of(somebody) | {"role": role}
    answer = tried(api, signed(api, GOOD, claims), "/rest/v1/shelves")
    assert answer.status_code in (401, 403)
    assert said(tried(api, signed(api, GOOD, claims), "/auth/users")) == (403, "access_denied")


def test_unknown_keys(api: Api, somebody: Person) -> None:
    person = somebody
    for key in ("aero_sk_guess", "aero_pk_guess", "x", api.server.service_key[:-1], "a.b.c"):
        headers = {"apikey": key}
        body = {"refresh_token": person.refresh_token}
        assert said(api.post("/auth/refresh", body, headers=headers)) == (401, "invalid_api_key")
        assert api.http.get("/auth/users", headers=headers).status_code == 401
        assert person.call("GET", "/auth/user", headers=headers).status_code == 401
    assert api.refresh(person.refresh_token).status_code == 200


def test_the_secrets_are_the_instances_own(api: Api, strict_api: Api) -> None:  # J12
    assert len(api.server.jwt_secret.encode()) >= 32
    assert api.server.jwt_secret != strict_api.server.jwt_secret
    folder = api.server.database.folder
    assert folder is not None
    mode = stat.S_IMODE(os.stat(folder.path / "secrets.json").st_mode)
    assert mode == 0o600
    assert tried(strict_api, api.person().result["access_token"]).status_code == 401


# --- bodies -------------------------------------------------------------------------------------

ADDRESSES = [
    *("", "x", "@", "a@", "@b.c", "a b@c.d", "a@b c", "a@@b.c", "a@b@c.d", "a..b@c.d", ".a@b.c"),
    *("a.@b.c", "a@b..c", "a@-b.c", "a@b-.c", "a@.b", "a@b.", "a\n@b.c", "a@b.c\nbcc:x@y.z"),
    *("a\0@b.c", "a\u2028@b.c", "<a@b.c>", "a,b@c.d", f"{'a' * 65}@b.c", f"a@{'b' * 255}.c"),
    *("\ud800@b.c", '"a"@b.c'),
]


@pytest.mark.parametrize("email", ADDRESSES)
def test_malformed_addresses(api: Api, email: str) -> None:
    content = json.dumps({"email": email, "password": PASSWORD}).encode()
    for path in ("/auth/signup", "/auth/login", "/auth/forgot-password"):
        answer = api.http.post(path, content=content, headers={"content-type": "application/json"})
        assert said(answer) == (400, "validation_failed")


@pytest.mark.parametrize(
    "email", ["a+b@c.d", "o'hara@c.d", "a@localhost", "ä@ö.example", "a_b-c.d@e-f.gh", "a%b@c.d"]
)
def test_unusual_addresses(api: Api, email: str) -> None:
    local, _, domain = email.partition("@")
    person = api.person(email=f"{local}.{uuid4().hex[:8]}@{domain}")
    assert api.sign_in(person.email).status_code == 200


BODIES: list[bytes] = [
    *(b"{", b"[]", b"null", b"5", b'"x"', b"{}", b'{"email": 5}', b"\xff", b'{"email": NaN}'),
    b'{"email": "a@b.c", "password": null}',
    b'{"email": "a@b.c", "password": ["correct horse"]}',
    b'{"email": {"a": 1}, "password": "correct horse"}',
    b'{"email": "a@b.c", "password": "correct horse", "metadata": []}',
    b'{"email": "a@b.c", "password": "correct horse", "metadata": {"a": "\\u0000"}}',
    b'{"email": "a@b.c", "password": "correct horse", "metadata": {"\\ud800": 1}}',
    b'{"email": "a@b.c", "password": "correct horse", "metadata": {"a": 1e999}}',
    b'{"email": "a@b.c", "password": "correct horse", "metadata": {"a": %s}}' % (b"9" * 5000),
    b'{"email": "a@b.c", "password": "correct horse", "metadata": {"a": "%s"}}' % (b"x" * 9000),
    b'{"email": "a@b.c", "password": "correct horse", "metadata": {"a": %s%s}}'
    % (b"[" * 200, b"]" * 200),
    b'{"a": %s%s}' % (b"[" * 100_000, b"]" * 100_000),
    b'{"email": "a@b.c", "password": "correct \\ud83d horse"}',
]


@pytest.mark.parametrize("content", BODIES, ids=range(len(BODIES)))
def test_bodies_that_are_not_what_they_should_be(api: Api, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = api.http.post("/auth/signup", content=content, headers=headers)
    assert said(answer) == (400, "validation_failed")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "x", "*/*"])
def test_other_types_than_json(api: Api, somebody: Person, kind: str) -> None:
    person = somebody
    content = json.dumps({"email": person.email, "password": PASSWORD})
    answer = api.http.post("/auth/login", content=content, headers={"content-type": kind})
    assert said(answer) == (400, "validation_failed")
    good = {"content-type": "application/json; charset=UTF-8"}
    assert api.http.post("/auth/login", content=content, headers=good).status_code == 200


@pytest.mark.parametrize("password", ["", "1234567", "é" * 7, "x" * 1025, "é" * 513, "x" * 10**6])
def test_weak_and_oversize_passwords(api: Api, somebody: Person, password: str) -> None:  # J10
    person = somebody
    body = {"email": new_email(), "password": password}
    assert said(api.post("/auth/signup", body)) == (400, "weak_password")
    change = {"current_password": PASSWORD, "new_password": password}
    assert said(person.call("POST", "/auth/change-password", json=change)) == (400, "weak_password")
    reset = {"token": "x", "new_password": password}
    assert said(api.post("/auth/reset-password", reset)) == (400, "weak_password")
    assert said(api.sign_in(person.email, password)) == (401, "invalid_credentials")
    made = api.post("/auth/users", body, headers=api.service)
    assert said(made) == (400, "weak_password")


@pytest.mark.parametrize("password", ["12345678", "x" * 1024, "é" * 512, "päß wörd\t\n", "🔑" * 8])
def test_passwords_of_all_kinds(api: Api, password: str) -> None:
    person = api.person(password=password)
    assert api.sign_in(person.email, password).status_code == 200
    for other in (password[:-1], password + "x"):
        assert said(api.sign_in(person.email, other)) == (401, "invalid_credentials")


def test_sql_in_every_field_is_just_text(api: Api) -> None:
    text = "'; drop table auth.users; --"
    person = api.person(password=text + text, metadata={text: text})
    assert person.result["user"]["metadata"] == {text: text}
    assert api.sign_in(person.email, text + text).status_code == 200
    assert said(api.refresh(text)) == (401, "invalid_refresh_token")
    answer = api.http.get("/_aerodb/outbox", params={"to": "'or'1@b.c"}, headers=api.service)
    assert answer.json()["mails"] == []


# --- who is there -------------------------------------------------------------------------------


class Counting:
    """The real Argon2, counted."""

    def __init__(self, inner: argon2.PasswordHasher) -> None:
        self.inner = inner
        self.hashes = 0
        self.checks = 0

    def hash(self, password: bytes) -> str:
        self.hashes += 1
        return self.inner.hash(password)

    def verify(self, stored: str, password: bytes) -> bool:
        self.checks += 1
        return self.inner.verify(stored, password)


@pytest.fixture
def argon(monkeypatch: pytest.MonkeyPatch) -> Counting:
    counting = Counting(passwords._HASHER)
    monkeypatch.setattr(passwords, "_HASHER", counting)
    return counting


@contextmanager
def counted(argon: Counting) -> Iterator[list[int]]:
    before, spent = (argon.hashes, argon.checks), [0, 0]
    yield spent
    spent[:] = [argon.hashes - before[0], argon.checks - before[1]]


def alike(one: httpx.Response, other: httpx.Response) -> None:
    """Nothing that a caller sees differs, but for the clock."""
    assert one.status_code == other.status_code
    assert one.content == other.content
    assert dict(one.headers) | {"date": ""} == dict(other.headers) | {"date": ""}


def test_wrong_password_and_unknown_user_are_alike(api: Api, argon: Counting) -> None:  # J8
    person = api.person()
    without = new_email()
    assert api.post("/auth/users", {"email": without}, headers=api.service).status_code == 201
    with counted(argon) as for_wrong:
        wrong = api.sign_in(person.email, "not the password")
    with counted(argon) as for_unknown:
        unknown = api.sign_in(new_email(), "not the password")
    with counted(argon) as for_none:
        none = api.sign_in(without, "not the password")
    assert for_wrong == for_unknown == for_none == [0, 1]
    assert said(wrong) == (401, "invalid_credentials")
    alike(wrong, unknown)
    alike(wrong, none)


def test_a_taken_address_costs_as_much_as_a_free_one(api: Api, argon: Counting) -> None:  # J11
    person = api.person()
    with counted(argon) as for_taken:
        taken = api.post("/auth/signup", {"email": person.email, "password": PASSWORD})
    with counted(argon) as for_free:
        api.person()
    assert for_taken == for_free == [1, 0]
    assert said(taken) == (409, "email_already_exists")


def test_a_forgotten_password_tells_nothing(api: Api) -> None:  # J11
    person = api.person()
    for path in ("/auth/forgot-password", "/auth/resend-verification"):
        known = api.post(path, {"email": person.email})
        assert known.status_code == 200
        alike(known, api.post(path, {"email": new_email()}))


def test_passwords_are_argon2id_with_a_salt_each(api: Api) -> None:
    ids = [api.person().id, api.person().id]
    rows = api.server.execute_sql(
        "select encrypted_password as hash from auth.users where id = any(%s::uuid[])", [ids]
    )
    hashes = [row["hash"] for row in rows]
    assert hashes[0] != hashes[1]
    for text in hashes:
        found = argon2.extract_parameters(text)
        assert found.type is argon2.Type.ID
        assert (found.memory_cost, found.time_cost) >= (19 * 1024, 2)
