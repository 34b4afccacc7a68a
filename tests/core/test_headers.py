"""What a client sends along (wire-contract §1.2; reliability H1, H2, X14)."""

from __future__ import annotations

import pytest

from aerodb._core.headers import (
    ClientHeaders,
    clean_key,
    header_problem,
    headers_problem,
    is_jwt_shaped,
    token_problem,
)
from aerodb._core.http import AnyCall, Call
from aerodb._core.redact import Secret
from aerodb.types import AeroDBResponse

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"
OPAQUE = "aero_pk_0123456789abcdef"
CANARY = "c4n4ry-value"


def call(path: str = "/rest/v1/t", *headers: tuple[str, str]) -> AnyCall:
    return Call("GET", path, lambda _: AeroDBResponse(), headers=headers)


def sent(
    client: ClientHeaders, what: AnyCall, token: str | None = None, *, credentials: bool = True
) -> dict[str, str]:
    found = client.for_call(what, access_token=token, request_id="r-1", credentials=credentials)
    names = [name.lower() for name, _ in found]
    assert len(names) == len(set(names)), "a header is sent twice"
    return {name.decode().lower(): value.decode("latin-1") for name, value in found}


def client(key: str | None = None, **headers: str) -> ClientHeaders:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ClientHeaders(version="1.2.3", key=clean_key(key), headers=named)


def test_the_defaults() -> None:
    assert sent(client(), call()) == {
        "content-type": "application/json",
        "user-agent": "aerodb-py/1.2.3",
        "x-client-info": "aerodb-py/1.2.3",
        "x-request-id": "r-1",
    }


@pytest.mark.parametrize(
    ("key", "token", "apikey", "authorization"),
    [
        (None, None, None, None),
        (OPAQUE, None, OPAQUE, None),
        (JWT, None, JWT, f"Bearer {JWT}"),
        (OPAQUE, "a.b.c", OPAQUE, "Bearer a.b.c"),
        (JWT, "a.b.c", JWT, "Bearer a.b.c"),
        (None, "a.b.c", None, "Bearer a.b.c"),
    ],
)
def test_credentials(
    key: str | None, token: str | None, apikey: str | None, authorization: str | None
) -> None:
    headers = sent(client(key), call(), token)
    assert headers.get("apikey") == apikey
    assert headers.get("authorization") == authorization


def test_a_session_wins_over_the_users_own_authorization() -> None:
    assert sent(client(JWT, authorization="Basic x"), call())["authorization"] == "Basic x"
    own = call("/rest/v1/t", ("authorization", "Basic y"))
    assert sent(client(JWT, authorization="Basic x"), own)["authorization"] == "Basic y"
    assert sent(client(JWT, authorization="Basic x"), own, "tok")["authorization"] == "Bearer tok"


def test_per_call_wins_over_client_wins_over_default() -> None:
    mine = client(OPAQUE, user_agent="mine", X_Tenant="1")
    assert sent(mine, call())["user-agent"] == "mine"
    headers = sent(mine, call("/rest/v1/t", ("X-TENANT", "2"), ("content-type", "text/csv")))
    assert headers["x-tenant"] == "2"
    assert headers["content-type"] == "text/csv"
    assert headers["user-agent"] == "mine"
    assert sent(mine, call("/x", ("x-request-id", "own")))["x-request-id"] == "own"


@pytest.mark.parametrize(
    ("path", "typed"),
    [
        ("/rest/v1/t?x=1", True),
        ("rest/v1/rpc/f", True),
        ("/auth/user", True),
        ("/storage/v1/object/b/a", False),
        ("/functions/v1/f", False),
        ("/health", False),
        ("/authentic", False),
    ],
)
def test_json_is_announced_to_auth_and_database_only(path: str, typed: bool) -> None:
    assert ("content-type" in sent(client(), call(path))) is typed


@pytest.mark.parametrize(
    "path",
    ["login", "signup", "refresh", "forgot-password", "reset-password", "verify-email?x=1"],
)
def test_credential_endpoints_get_no_bearer(path: str) -> None:
    headers = sent(client(JWT, authorization="Basic x"), call(f"/auth/{path}"), "tok")
    assert "authorization" not in headers
    assert headers["apikey"] == JWT
    assert sent(client(JWT), call("/auth/user"), "tok")["authorization"] == "Bearer tok"


def test_signed_urls_get_no_credentials() -> None:
    mine = client(JWT, authorization="Basic x")
    headers = sent(mine, call("/storage/v1/x", ("apikey", "z")), "tok", credentials=False)
    assert not {"authorization", "apikey"} & set(headers)
    assert headers["x-request-id"] == "r-1"


def test_every_call_gets_its_own_list() -> None:
    mine = client(OPAQUE)
    mine.for_call(call(), access_token=None, request_id="r").clear()
    assert "apikey" in sent(mine, call())


@pytest.mark.parametrize("name", ["X-Ok", "x_ok", "!#$%&'*+.^_`|~09az"])
@pytest.mark.parametrize("value", ["", "a", "a b\tc", "caf\u00e9", "\xff"])
def test_good_headers(name: str, value: str) -> None:
    assert header_problem(name, value) is None


@pytest.mark.parametrize(
    "name",
    [
        *("", "a b", "a:", "a\n", "a\r\nb", "a\0", "\u00e9", " a", "a(", None, 5, b"a"),
        *("Host", "content-length", "Transfer-Encoding", "CONNECTION", "Cookie"),
        "accept-encoding",
    ],
)
def test_bad_header_names(name: object) -> None:
    problem = header_problem(name, CANARY)
    assert problem is not None
    assert CANARY not in problem
    assert problem.isprintable()


@pytest.mark.parametrize("end", ["\n", "\r", "\0", "\x1b", "\x7f", " ", "\t", "\u0100", "\ud800"])
def test_bad_header_values_are_not_echoed(end: str) -> None:
    problem = header_problem("X-Ok", CANARY + end)
    assert problem is not None
    assert CANARY not in problem
    with pytest.raises(ValueError) as caught:
        ClientHeaders(version="1", headers={"X-Ok": CANARY + end})
    assert CANARY not in str(caught.value)
    with pytest.raises(ValueError) as caught:
        client().for_call(call("/x", ("X-Ok", CANARY + end)), access_token=None, request_id="r")
    assert CANARY not in str(caught.value)


def test_one_header_in_two_spellings_is_refused() -> None:
    twice = {"authorization": "Bearer aaa", "Authorization": "Bearer bbb"}
    problem = headers_problem(twice)
    assert problem is not None
    assert "aaa" not in problem
    assert headers_problem({"authorization": "Bearer aaa", "X-A": "1"}) is None


def test_headers_that_are_no_mapping() -> None:
    assert headers_problem(None) is None
    assert headers_problem({"a": "b"}) is None
    assert "list" in (headers_problem([("a", "b")]) or "")
    assert "int" in (headers_problem({"a": 1}) or "")
    with pytest.raises(TypeError, match="mapping"):
        ClientHeaders(version="1", headers=[("a", "b")])  # type: ignore[arg-type]


@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\t"])
def test_a_key_from_a_file_is_stripped(end: str) -> None:
    assert clean_key(f" {OPAQUE}{end}") == Secret(OPAQUE)
    assert clean_key(Secret(OPAQUE)) == Secret(OPAQUE)
    assert clean_key(None) is None


@pytest.mark.parametrize("middle", ["\n", "\r", "\0", " ", "\u00e9", "\u2028", "\x7f", "\x80"])
def test_a_bad_key_is_refused_and_not_shown(middle: str) -> None:
    with pytest.raises(ValueError, match=r"^key ") as caught:
        clean_key(CANARY + middle + CANARY)
    assert CANARY not in str(caught.value)
    problem = token_problem(CANARY + middle, "access token")
    assert problem is not None
    assert CANARY not in problem
    with pytest.raises(ValueError) as caught:
        client().for_call(call(), access_token=CANARY + middle, request_id="r")
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("key", ["", " \n"])
def test_an_empty_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        clean_key(key)


def test_a_key_that_is_no_text_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="bytes"):
        clean_key(b"key")  # type: ignore[arg-type]


@pytest.mark.parametrize("token", [JWT, "a.b.c", "A-_.0.z"])
def test_jwt_shaped(token: str) -> None:
    assert is_jwt_shaped(token)


@pytest.mark.parametrize("token", [OPAQUE, "a.b", "a.b.c.d", "a..c", "a.b.c=", "a.b.c\n", ""])
def test_not_jwt_shaped(token: str) -> None:
    assert not is_jwt_shaped(token)


def test_what_errors_must_not_show() -> None:
    assert client().secrets() == ()
    mine = client(OPAQUE, authorization="Basic x").secrets("tok")
    assert mine == (OPAQUE, "Basic x", "tok")


def test_no_value_shows_in_a_repr() -> None:
    mine = client(JWT, x_canary=CANARY)
    assert CANARY not in repr(mine)
    assert JWT not in repr(mine)
