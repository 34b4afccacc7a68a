"""(Authorization, apikey) -> role and claims (wire contract §1.4, reliability C5)."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from aerodb.local.claim_path import MISSING, parse_claim_path
from aerodb.local.credentials import (
    Identity,
    InstanceCredentials,
    PostgrestCredentials,
    bearer_token,
)
from aerodb.local.errors import LocalError
from aerodb.local.keys import new_keys
from aerodb.local.rest.errors import RestError
from aerodb.local.settings import INSTANCE_REST, RestSettings

SECRET = "a secret of more than thirty-two bytes"
KEYS = new_keys()
OWN = InstanceCredentials(INSTANCE_REST, KEYS)
FOREIGN = PostgrestCredentials(RestSettings(jwt_secret=SECRET))
LATER = 9999999999


def sign(claims: dict[str, Any], secret: str = SECRET, **header: Any) -> str:
    return jwt.encode(claims, secret, algorithm="HS256", headers=header or None)


def own_token(**claims: Any) -> str:
    return sign({"role": "authenticated", "exp": LATER, **claims}, KEYS.jwt_secret)


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def refusal(act: Callable[[], Any]) -> RestError:
    with pytest.raises(RestError) as caught:
        act()
    return caught.value


def said(error: RestError) -> tuple[int, str, str, Any]:
    return error.status, error.code, error.message, error.details


def fixed_id(value: Any) -> str:
    """Parameters hold random secrets; every worker has to call its tests the same."""
    return type(value).__name__


# --- the table of §1.4 ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "role", "authenticated"),
    [
        ({}, "anon", False),
        ({"apikey": KEYS.publishable}, "anon", False),
        ({"apikey": KEYS.secret}, "service_role", True),
        ({"apikey": own_token(role="anon")}, "anon", False),
        ({"apikey": own_token(role="service_role")}, "service_role", True),
        (bearer(own_token()), "authenticated", True),
        (bearer(own_token()) | {"apikey": KEYS.publishable}, "authenticated", True),
        (bearer(own_token()) | {"apikey": KEYS.secret}, "authenticated", True),
        (bearer(own_token(role="anon")) | {"apikey": KEYS.secret}, "anon", False),
        (bearer(KEYS.secret) | {"apikey": KEYS.secret}, "service_role", True),
        (bearer(KEYS.publishable) | {"apikey": KEYS.publishable}, "anon", False),
        (bearer(KEYS.secret), "service_role", True),
        (bearer(own_token(role="editor")), "editor", True),
        (bearer(sign({"exp": LATER}, KEYS.jwt_secret)), "anon", False),
        ({"authorization": "Basic eDp5"}, "anon", False),
    ],
    ids=fixed_id,
)
def test_who_is_calling(headers: dict[str, str], role: str, authenticated: bool) -> None:
    identity = OWN.authenticate(headers)
    assert (identity.role, identity.authenticated) == (role, authenticated)


def test_the_claims_of_the_token_are_kept() -> None:
    identity = OWN.authenticate(bearer(own_token(sub="u-1", app={"a": [1]})))
    assert identity.claims is not None
    assert identity.claims["sub"] == "u-1"
    assert identity.claims["app"] == {"a": [1]}
    assert OWN.authenticate({}).claims is None


@pytest.mark.parametrize(
    "other", [{}, {"apikey": KEYS.publishable}, {"apikey": KEYS.secret}], ids=["none", "pk", "sk"]
)
@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        "",
        "aero_sk_guessed",
        own_token(exp=1),
        sign({"role": "service_role"}, "another secret of more than 32 bytes"),
    ],
    ids=["no token", "empty", "unknown key", "expired", "forged"],
)
def test_a_bad_bearer_never_falls_back_to_a_key(token: str, other: dict[str, str]) -> None:
    error = refusal(lambda: OWN.authenticate(bearer(token) | other))
    assert error.status == 401
    assert dict(error.headers)["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


@pytest.mark.parametrize("token", [None, own_token()], ids=["alone", "with a good token"])
@pytest.mark.parametrize(
    "key", ["", "x", "aero_pk_guessed", "aero_sk_guessed", KEYS.secret + "x"], ids=fixed_id
)
def test_an_unknown_key_is_refused(key: str, token: str | None) -> None:
    headers = {"apikey": key} | ({} if token is None else bearer(token))
    error = refusal(lambda: OWN.authenticate(headers))
    assert (error.status, error.code) == (401, "invalid_api_key")


def test_a_key_can_be_required() -> None:
    strict = InstanceCredentials(INSTANCE_REST, KEYS, require_apikey=True)
    assert refusal(lambda: strict.authenticate({})).status == 401
    assert strict.authenticate({"apikey": KEYS.publishable}).role == "anon"
    assert strict.authenticate(bearer(own_token())).role == "authenticated"


def test_tokens_of_another_issuer_or_audience_are_refused() -> None:
    assert refusal(lambda: OWN.authenticate(bearer(own_token(iss="aerodb.evil")))).status == 401
    assert said(refusal(lambda: OWN.authenticate(bearer(own_token(aud="other")))))[2] == (
        "JWT not in audience"
    )
    assert OWN.authenticate(bearer(own_token(iss="aerodb", aud=["x", "aerodb"]))).role


def test_a_configured_secret_replaces_the_own_one() -> None:
    settings = RestSettings(jwt_secret=SECRET)
    mixed = InstanceCredentials(settings, KEYS)
    assert mixed.authenticate(bearer(sign({"role": "web", "iss": "somebody"}))).role == "web"
    assert refusal(lambda: mixed.authenticate(bearer(own_token()))).status == 401
    assert mixed.authenticate({"apikey": KEYS.secret}).role == "service_role"


def test_a_list_of_roles_is_kept_to() -> None:
    settings = RestSettings(jwt_secret=SECRET, allowed_roles=frozenset({"web"}))
    listed = PostgrestCredentials(settings)
    assert listed.authenticate(bearer(sign({"role": "web"}))).role == "web"
    assert listed.authenticate({}).role == "anon"
    error = refusal(lambda: listed.authenticate(bearer(sign({"role": "postgres"}))))
    assert said(error)[:3] == (403, "42501", 'permission denied to set role "postgres"')


def test_no_secret_shows_in_an_identity() -> None:
    assert "u-1" not in repr(OWN.authenticate(bearer(own_token(sub="u-1"))))
    assert "sub" not in repr(Identity("anon", {"sub": "u-1"}))


# --- PostgREST's rules ------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(scheme: str) -> None:
    token = sign({"role": "web"})
    assert FOREIGN.authenticate({"authorization": f"{scheme} {token}"}).role == "web"


def test_what_counts_as_a_bearer_token() -> None:
    assert bearer_token({"authorization": "Bearer"}) == ""
    assert bearer_token({"authorization": "Bearer   x "}) == "x"
    assert bearer_token({"authorization": "Bearerx y"}) is None
    assert bearer_token({}) is None


NO_KEY = "No suitable key was found to decode the JWT"
WRONG = "None of the keys was able to decode the JWT"
UNSECURED = "JWT is unsecured but expected 'alg' was not 'none'"
GOOD = sign({"role": "web"})
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")


@pytest.mark.parametrize(
    ("token", "message", "details"),
    [
        ("", "Empty JWT is sent in Authorization header", None),
        ("a.b", "Expected 3 parts in JWT; got 2", None),
        ("a.b.c.d", "Expected 3 parts in JWT; got 4", None),
        ("a.b.c", "JWT cryptographic operation failed", None),
        (f"{part([])}.{PAYLOAD}.{SIGNATURE}", "JWT cryptographic operation failed", None),
        (f"{part({})}.{PAYLOAD}.{SIGNATURE}", "JWT cryptographic operation failed", None),
        (
            f"{part({'alg': 'none'})}.{PAYLOAD}.",
            "Wrong or unsupported encoding algorithm",
            UNSECURED,
        ),
        (f"{part({'alg': 'None'})}.{PAYLOAD}.", "JWT cryptographic operation failed", None),
        (f"{part({'alg': 'nOnE'})}.{PAYLOAD}.", "JWT cryptographic operation failed", None),
        (
            f"{part({'alg': 'HS512'})}.{PAYLOAD}.{SIGNATURE}",
            "No suitable key or wrong key type",
            NO_KEY,
        ),
        (
            f"{part({'alg': 'RS256'})}.{PAYLOAD}.{SIGNATURE}",
            "No suitable key or wrong key type",
            NO_KEY,
        ),
        (sign({}, kid="../../dev/null"), "No suitable key or wrong key type", NO_KEY),
        (sign({}, crit=["x"], x=1), "No suitable key or wrong key type", WRONG),
        (sign({}, "x" * 40), "No suitable key or wrong key type", WRONG),
        (f"{HEADER}.{PAYLOAD}x.{SIGNATURE}", "No suitable key or wrong key type", WRONG),
        (f"{HEADER}.{PAYLOAD}.", "No suitable key or wrong key type", WRONG),
        (f"{HEADER}.{part({'role': 'x'})}.{SIGNATURE}", "No suitable key or wrong key type", WRONG),
    ],
    ids=fixed_id,
)
def test_tokens_that_cannot_be_decoded(token: str, message: str, details: str | None) -> None:
    error = refusal(lambda: FOREIGN.authenticate(bearer(token)))
    assert said(error) == (401, "PGRST301", message, details)
    challenge = f'Bearer error="invalid_token", error_description="{message}"'
    assert error.headers == (("WWW-Authenticate", challenge),)


def signed_bytes(payload: bytes) -> str:
    return jwt.api_jws.encode(payload, SECRET, algorithm="HS256")


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"[]", "Parsing claims failed"),
        (b"no json", "Parsing claims failed"),
        (b'{"exp": NaN}', "Parsing claims failed"),
        (b'{"x": ' + b"[" * 128 + b"]" * 128 + b"}", "Parsing claims failed"),
        (b'{"x": ' * 129 + b"1" + b"}" * 129, "Parsing claims failed"),
        (b'{"x": ' + b"[" * 5000 + b"]" * 5000 + b"}", "Parsing claims failed"),
        (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "Parsing claims failed"),
        (b'{"exp": ' + b"9" * 5000 + b"}", "Parsing claims failed"),
        (b'{"exp": "9999999999"}', "The JWT 'exp' claim must be a number"),
        (b'{"nbf": true}', "The JWT 'nbf' claim must be a number"),
        (b'{"iat": {}}', "The JWT 'iat' claim must be a number"),
        (b'{"exp": 0}', "JWT expired"),
        (b'{"exp": -1}', "JWT expired"),
        (b'{"exp": 9999999999.5}', "JWT expired"),
        (b'{"exp": 99999999999999999999}', "JWT expired"),
        (b'{"nbf": 9999999999}', "JWT not yet valid"),
        (b'{"iat": 9999999999}', "JWT issued at future"),
        (b'{"aud": {}}', "The JWT 'aud' claim must be a string or an array of strings"),
        (b'{"aud": ["a", 1]}', "The JWT 'aud' claim must be a string or an array of strings"),
    ],
)
def test_claims_that_do_not_hold(payload: bytes, message: str) -> None:
    error = refusal(lambda: FOREIGN.authenticate(bearer(signed_bytes(payload))))
    assert said(error) == (401, "PGRST303", message, None)
    assert f'error_description="{message}"' in dict(error.headers)["WWW-Authenticate"]


def test_claims_may_be_nested_so_deep() -> None:
    """As deep as a request's JSON, on every Python: their parsers take more or less."""
    payload = b'{"role": "web", "x": ' + b"[" * 127 + b"]" * 127 + b"}"
    assert FOREIGN.authenticate(bearer(signed_bytes(payload))).role == "web"


def test_clocks_may_differ_by_half_a_minute() -> None:
    now = time.time()
    for claims in ({"exp": now - 20}, {"nbf": now + 20}, {"iat": now + 20}):
        whole = {name: int(value) for name, value in claims.items()}
        assert FOREIGN.authenticate(bearer(sign({"role": "web", **whole}))).role == "web"
    late = sign({"role": "web", "exp": int(now - 35)})
    assert said(refusal(lambda: FOREIGN.authenticate(bearer(late))))[2] == "JWT expired"


@pytest.mark.parametrize(
    ("aud", "accepted"),
    [
        ("us", True),
        ("them", False),
        ("", False),
        (["us"], True),
        (["them", "us"], True),
        (["them"], False),
        ([], True),
        (None, True),
    ],
)
def test_the_audience(aud: Any, accepted: bool) -> None:
    strict = PostgrestCredentials(RestSettings(jwt_secret=SECRET, jwt_aud="us"))
    token = sign({"role": "web", "aud": aud})
    if accepted:
        assert strict.authenticate(bearer(token)).role == "web"
    else:
        error = refusal(lambda: strict.authenticate(bearer(token)))
        assert said(error) == (401, "PGRST303", "JWT not in audience", None)
    assert FOREIGN.authenticate(bearer(token)).role == "web"


def test_without_a_secret_no_token_is_taken() -> None:
    plain = PostgrestCredentials(RestSettings())
    error = refusal(lambda: plain.authenticate(bearer(GOOD)))
    assert said(error) == (500, "PGRST300", "Server lacks JWT secret", None)
    assert plain.authenticate({}).role == "anon"


def test_without_an_anonymous_role_a_token_is_needed() -> None:
    closed = PostgrestCredentials(RestSettings(jwt_secret=SECRET, db_anon_role=None))
    for headers in ({}, bearer(sign({"sub": "x"}))):
        error = refusal(lambda headers=headers: closed.authenticate(headers))  # type: ignore[misc]
        assert said(error) == (401, "PGRST302", "Anonymous access is disabled", None)
        assert error.headers == (("WWW-Authenticate", "Bearer"),)
    assert closed.authenticate(bearer(GOOD)).role == "web"


# --- keys -------------------------------------------------------------------------------------


def test_a_base64_secret() -> None:
    raw = bytes(range(200, 240))
    for text in (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()):
        encoded = PostgrestCredentials(RestSettings(jwt_secret=text, jwt_secret_is_base64=True))
        token = jwt.encode({"role": "web"}, raw, algorithm="HS256")
        assert encoded.authenticate(bearer(token)).role == "web"
    with pytest.raises(LocalError, match="base64"):
        PostgrestCredentials(RestSettings(jwt_secret="no base-64!", jwt_secret_is_base64=True))


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(LocalError, match="at least 32 characters"):
        PostgrestCredentials(RestSettings(jwt_secret="x" * 31))


def test_a_set_of_keys_is_searched_by_id_and_algorithm() -> None:
    one, two = b"1" * 64, b"2" * 64
    document = {
        "keys": [
            {"kty": "oct", "k": part(one), "kid": "one"},
            {"kty": "oct", "k": part(two), "kid": "two", "alg": "HS512"},
            {"kty": "oct", "k": part(b"3" * 64), "use": "enc"},
            {"kty": "unknown"},
        ]
    }
    several = PostgrestCredentials(RestSettings(jwt_secret=json.dumps(document)))

    def role(secret: bytes, algorithm: str, **header: str) -> str:
        token = jwt.encode({"role": "web"}, secret, algorithm=algorithm, headers=header)
        return several.authenticate(bearer(token)).role

    assert role(one, "HS256", kid="one") == "web"
    assert role(one, "HS512") == "web"
    assert role(two, "HS512", kid="two") == "web"
    assert refusal(lambda: role(two, "HS256", kid="two")).details == NO_KEY
    assert refusal(lambda: role(one, "HS256", kid="other")).details == NO_KEY
    assert refusal(lambda: role(b"3" * 64, "HS256")).details == WRONG


def test_an_rsa_key_verifies_its_own_algorithm_only() -> None:
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    from jwt.algorithms import RSAAlgorithm

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    document = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    asymmetric = PostgrestCredentials(RestSettings(jwt_secret=json.dumps(document)))
    token = jwt.encode({"role": "web"}, private, algorithm="RS256")
    assert asymmetric.authenticate(bearer(token)).role == "web"
    # The classic confusion: the public key, which everybody has, used as an HMAC secret.
    target = f"{part({'alg': 'HS256'})}.{part({'role': 'service_role'})}"
    digest = hmac.digest(json.dumps(document).encode(), target.encode(), "sha256")
    forged = f"{target}.{part(digest)}"
    assert refusal(lambda: asymmetric.authenticate(bearer(forged))).details == NO_KEY


# --- where the role stands --------------------------------------------------------------------

CLAIMS = {
    "role": "author",
    "postgrest": {"roles": ["other", "author"], "a_role": "author"},
    "https://www.example.com/roles": [{"value": "author"}],
    "number": 7,
    "nothing": None,
}


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("$.role", "author"),
        (".role", "author"),
        ("$.postgrest.a_role", "author"),
        ("$.postgrest.roles[1]", "author"),
        ("$.postgrest.roles[-1]", "author"),
        ("$.postgrest.roles[1:]", "author"),
        ("$.postgrest.roles[*]", "other"),
        ("$['https://www.example.com/roles'][0].value", "author"),
        ('$["https://www.example.com/roles"][0]["value"]', "author"),
        ("$..value", "author"),
        ("$.postgrest.roles[?(@ == 'author')]", "author"),
        ("$.postgrest.roles[?@ != 'other']", "author"),
        ("$.postgrest.roles[?search(@, '^au')]", "author"),
        ("$['https://www.example.com/roles'][?@.value].value", "author"),
        (".postgrest.roles[1]", "author"),
        ('."https://www.example.com/roles"[0].value', "author"),
        ('.postgrest.roles[?(@ == "author")]', "author"),
        ('.postgrest.roles[?(@ != "other")]', "author"),
        ('.postgrest.roles[?(@ ^== "au")]', "author"),
        ('.postgrest.roles[?(@ ==^ "thor")]', "author"),
        ('.postgrest.roles[?(@ *== "uth")]', "author"),
        ("$.number", "7"),
        ("$.nothing", "null"),
    ],
)
def test_the_role_is_found_by_its_path(path: str, role: str) -> None:
    settings = RestSettings(jwt_secret=SECRET, jwt_role_claim_key=path, db_anon_role=None)
    assert PostgrestCredentials(settings).authenticate(bearer(sign(CLAIMS))).role == role


@pytest.mark.parametrize("path", ["$.postgrest.roles[3]", "$.missing", ".role.deeper", "$.role[0]"])
def test_a_path_that_leads_nowhere(path: str) -> None:
    assert parse_claim_path(path).first(CLAIMS) is MISSING


@pytest.mark.parametrize("path", ["", ".", "$.my_role;;domain", "@@.role.other", "role", "$.a[?("])
def test_a_path_that_is_none(path: str) -> None:
    with pytest.raises(LocalError, match="failed to parse role-claim-key value"):
        PostgrestCredentials(RestSettings(jwt_role_claim_key=path))
