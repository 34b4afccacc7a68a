"""Method, path, headers and ranges of a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.local.rest.ast import Action, Name, Range, Request
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.ranges import content_range, range_status
from aerodb.local.rest.request import HttpRequest, parse_request
from aerodb.local.settings import FOREIGN_REST, RestSettings

ONE = RestSettings(db_schemas=("public",))
TWO = RestSettings(db_schemas=("v1", "v2"))


def http(method: str, url: str, body: bytes = b"", **headers: str) -> HttpRequest:
    path, _, query = url.partition("?")
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpRequest(method, path, query.encode(), pairs, body)


def parsed(method: str, url: str, settings: RestSettings = ONE, **headers: str) -> Request:
    return parse_request(http(method, url, b"{}", **headers), settings)


def refused(method: str, url: str, settings: RestSettings = ONE, **headers: str) -> RestError:
    with pytest.raises(RestError) as caught:
        parsed(method, url, settings, **headers)
    return caught.value


@pytest.mark.parametrize(
    ("method", "path", "action", "target"),
    [
        ("GET", "/items", Action.READ, "items"),
        ("HEAD", "/items", Action.READ, "items"),
        ("POST", "/items", Action.CREATE, "items"),
        ("PATCH", "/items", Action.UPDATE, "items"),
        ("PUT", "/items", Action.UPSERT, "items"),
        ("DELETE", "/items", Action.DELETE, "items"),
        ("OPTIONS", "/items", Action.INFO_RELATION, "items"),
        ("POST", "/rpc/f", Action.CALL, "f"),
        ("GET", "/rpc/f", Action.CALL_READ, "f"),
        ("OPTIONS", "/rpc/f", Action.INFO_ROUTINE, "f"),
        ("GET", "/", Action.ROOT, ""),
        ("OPTIONS", "/", Action.INFO_ROOT, ""),
        ("GET", "/a%2Fb%20c", Action.READ, "a/b c"),
    ],
)
def test_actions(method: str, path: str, action: Action, target: str) -> None:
    request = parsed(method, path)
    assert (request.action, request.target) == (action, Name("public", target))
    assert request.headers_only == (method == "HEAD")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/items/1", 404, "PGRST125"),
        ("GET", "/items/", 404, "PGRST125"),
        ("GET", "/rpc/a/b", 404, "PGRST125"),
        ("DELETE", "/rpc/f", 405, "PGRST101"),
        ("TRACE", "/items", 405, "PGRST117"),
        ("POST", "/", 405, "PGRST117"),
    ],
)
def test_refused(method: str, path: str, status: int, code: str) -> None:
    error = refused(method, path)
    assert (error.status, error.code) == (status, code)


def test_root() -> None:
    assert refused("GET", "/", RestSettings(openapi_mode="disabled")).code == "PGRST126"
    request = parsed("GET", "/", RestSettings(db_root_spec="public.home"))
    assert (request.action, request.target.name) == (Action.CALL_READ, "home")


def test_profiles() -> None:
    assert not parsed("GET", "/x").negotiated_by_profile
    default = parsed("GET", "/x", TWO)
    assert (default.schema, default.negotiated_by_profile) == ("v1", True)
    assert parsed("GET", "/x", TWO, accept_profile="v2", content_profile="v1").schema == "v2"
    assert parsed("POST", "/x", TWO, content_profile="v2", accept_profile="v1").schema == "v2"
    error = refused("GET", "/x", TWO, accept_profile="other")
    assert (error.status, error.code) == (406, "PGRST106")
    assert error.message == "Invalid schema: other"
    assert error.hint == "Only the following schemas are exposed: v1, v2"


@pytest.mark.parametrize(
    ("url", "header", "expected"),
    [
        ("/x", None, Range(0, None)),
        ("/x?limit=5", None, Range(0, 5)),
        ("/x?offset=5", None, Range(5, None)),
        ("/x?limit=5&offset=2", None, Range(2, 5)),
        ("/x?limit=0", None, Range(0, 0)),
        ("/x?limit=nope", None, Range(0, None)),
        ("/x", "2-4", Range(2, 3)),
        ("/x", "2-", Range(2, None)),
        ("/x", "nonsense", Range(0, None)),
        ("/x?limit=2", "1-9", Range(1, 1)),
    ],
)
def test_ranges(url: str, header: str | None, expected: Range) -> None:
    headers = {} if header is None else {"range": header}
    assert parsed("GET", url, **headers).top_range == expected


def test_the_range_header_is_for_get() -> None:
    assert parsed("DELETE", "/x", range="1-2").top_range == Range()
    assert parsed("HEAD", "/x", range="1-2").top_range == Range()


def test_impossible_ranges() -> None:
    negative = refused("GET", "/x?limit=-1")
    assert (negative.status, negative.code) == (416, "PGRST103")
    assert negative.details == "Limit should be greater than or equal to zero."
    assert "lower boundary" in str(refused("GET", "/x", range="3-2").details)
    assert refused("PUT", "/x?limit=1").code == "PGRST114"


@pytest.mark.parametrize(
    ("lower", "upper", "total", "header", "status"),
    [
        (0, 9, None, "0-9/*", 200),
        (0, 9, 10, "0-9/10", 200),
        (0, 9, 11, "0-9/11", 206),
        (0, -1, 0, "*/0", 200),
        (0, -1, None, "*/*", 200),
        (12, 11, 10, "*/10", 416),
        (10, 9, 10, "*/10", 206),
    ],
)
def test_content_range(lower: int, upper: int, total: int | None, header: str, status: int) -> None:
    assert content_range(lower, upper, total) == header
    assert range_status(lower, upper, total) == status


def test_secrets_stay_out_of_sight() -> None:
    request = parsed(
        "GET", "/x", authorization="Bearer t", apikey="k", cookie="a=1; b=2;c", x_other="y"
    )
    assert request.headers == (("x-other", "y"),)
    assert request.cookies == (("a", "1"), ("b", "2"), ("c", ""))


def test_content_type_and_accept() -> None:
    request = parsed("GET", "/x", accept="text/csv", content_type="text/csv;charset=utf-8")
    assert (request.accept, request.content_type) == (("text/csv",), "text/csv")
    plain = parsed("GET", "/x")
    assert (plain.accept, plain.content_type) == (("*/*",), "application/json")


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "BREW"]),
    st.text(max_size=30),
    st.binary(max_size=60),
    st.lists(
        st.tuples(
            st.sampled_from(
                ["prefer", "accept", "range", "content-type", "cookie", "accept-profile"]
            ),
            st.text(max_size=40),
        ),
        max_size=4,
    ),
    st.binary(max_size=60),
)
def test_every_request_parses_or_is_refused(
    method: str, path: str, query: bytes, headers: list[tuple[str, str]], body: bytes
) -> None:
    error: RestError | None = None
    try:
        parse_request(HttpRequest(method, "/" + path, query, tuple(headers), body), TWO)
    except RestError as raised:
        error = raised
    if error is not None:
        assert 400 <= error.status < 500
        assert error.code.startswith("PGRST1")


def test_over_a_foreign_database_sql_sees_the_headers_that_postgrest_shows_it() -> None:
    given = {"authorization": "Bearer t", "apikey": "k", "cookie": "a=1", "x_other": "y"}
    shown = dict(parsed("GET", "/x", FOREIGN_REST, **given).headers)
    assert shown == {"authorization": "Bearer t", "apikey": "k", "x-other": "y"}
