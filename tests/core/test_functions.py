"""What a call of a function is made of, and how its answer is read (wire-contract §6)."""

from __future__ import annotations

import email.parser
import email.policy
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb._core.database.rows import converter, type_name
from aerodb._core.errors import Exchange, error_from_response
from aerodb._core.functions import FunctionInfo, Invocation, invoke_call, list_call
from aerodb._core.functions.bodies import form, query_text, sub_path
from aerodb._core.functions.decode import AnswerDecoder, function_error
from aerodb._core.http import Call, RawResponse, Retry
from aerodb._core.retry import RetryBudget, Wait, answered_retry, decide
from aerodb._core.values import BadValue
from aerodb.types import AeroDBError, AeroDBResponse

JSON = (b"content-type", b"application/json")
PLATFORM = (b"x-aerodb-error", b"function_error")


def call_of(*arguments: Any, **more: Any) -> Call[Any]:
    return outgoing(*arguments, **more)[0]


def outgoing(*arguments: Any, **more: Any) -> tuple[Call[Any], Any]:
    call, parts = invoke_call(Invocation(*arguments, **more), boundary="b0undary")
    assert isinstance(call, Call), call
    return call, parts


def refusal(*arguments: Any, **more: Any) -> AeroDBError:
    answer, parts = invoke_call(Invocation(*arguments, **more))
    assert parts == ()
    assert isinstance(answer, AeroDBResponse)
    assert answer.error is not None
    assert answer.error.code == "INVALID_ARGUMENT"
    assert answer.error.attempts == 0
    return answer.error


# --- what is sent ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "sent", "content_type"),
    [
        (None, None, None),
        ({"a": 1}, b'{"a":1}', "application/json"),
        ([1, "ä"], '[1,"ä"]'.encode(), "application/json"),
        ((1, 2), b"[1,2]", "application/json"),
        (7, b"7", "application/json"),
        (1.5, b"1.5", "application/json"),
        (True, b"true", "application/json"),
        ("höher", "höher".encode(), "text/plain; charset=utf-8"),
        ("", b"", "text/plain; charset=utf-8"),
        (b"\0\xff", b"\0\xff", "application/octet-stream"),
        (bytearray(b"x"), b"x", "application/octet-stream"),
        (memoryview(b"xy"), b"xy", "application/octet-stream"),
    ],
)
def test_bodies_by_their_type(body: Any, sent: bytes | None, content_type: str | None) -> None:
    call = call_of("f", body)
    assert call.body == sent
    assert dict(call.headers).get("Content-Type") == content_type


async def pieces() -> Any:
    yield b"x"


@pytest.mark.parametrize("source", [iter([b"a"]), io.BytesIO(b"a"), pieces(), Path("a")])
def test_what_is_read_as_it_is_sent(source: Any) -> None:
    call, parts = outgoing("f", source)
    assert call.body is None
    assert [part.source for part in parts] == [source]
    assert dict(call.headers)["Content-Type"] == "application/octet-stream"


def test_the_callers_content_type_wins_in_any_case() -> None:
    call = call_of("f", {"a": 1}, {"content-TYPE": "application/x-own"})
    assert call.headers == (("content-TYPE", "application/x-own"),)


@pytest.mark.parametrize("body", [{"a": float("nan")}, {1: 2}, object(), "\ud800", {"a": "\ud800"}])
def test_bodies_that_cannot_be_sent(body: Any) -> None:
    assert "body" in refusal("f", body).message


HOSTILE_NAMES = [
    "../auth/v1/admin", "http://evil/", "//evil", "a?b", "a#b", "%2e%2e", "..", ".", "", "a/b",
    "a\r\nX: y", "a\0", "ä", "-a", "_a", "1a", "a" * 65, "invoke", "deploy", "webhook", "a\n",
    None, 7, b"f",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_that_could_be_another_path_are_refused(name: Any) -> None:
    assert "name" in refusal(name).message


@pytest.mark.parametrize("name", ["f", "F-1_x", "a" * 64, "Invoke"])
def test_names(name: str) -> None:
    assert call_of(name).path == f"/functions/v1/{name}"


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("", ""),
        ("/", ""),
        ("a", "/a"),
        ("/a/b", "/a/b"),
        ("a/b/", "/a/b/"),
        ("a b/ü?#%", "/a%20b/%C3%BC%3F%23%25"),
        ("...", "/..."),
    ],
)
def test_sub_paths(path: str, sent: str) -> None:
    assert call_of("f", path=path).path == f"/functions/v1/f{sent}"


@pytest.mark.parametrize("path", ["..", "a/../b", "a//b", "./a", "a\nb", "a/\ud800", "//a", 7])
def test_sub_paths_that_are_refused(path: Any) -> None:
    refusal("f", path=path)


@given(st.text())
def test_no_sub_path_leaves_its_function(path: str) -> None:
    try:
        sent = sub_path(path)
    except BadValue:
        return
    assert unquote(sent) == (f"/{path.removeprefix('/')}" if path.removeprefix("/") else "")
    assert set(sent) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%/")
    assert ".." not in sent.split("/")


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text(), max_size=3), max_size=5))
def test_queries_arrive_as_they_were(query: dict[str, Any]) -> None:
    try:
        text = query_text(query)
    except BadValue:
        assert any("\ud800" <= ch <= "\udfff" for ch in str(query))
        return
    pairs = [
        (name, item)
        for name, value in query.items()
        for item in (value if isinstance(value, list) else [value])
    ]
    assert parse_qsl(text.removeprefix("?"), keep_blank_values=True) == pairs


def test_values_of_a_query() -> None:
    query = {"a": 1, "b": True, "c": None, "d": [1, None, "x y"], "e": {"f": 1}}
    assert call_of("f", query=query).path == (
        "/functions/v1/f?a=1&b=true&d=1&d=x%20y&e=%7B%22f%22%3A1%7D"
    )
    refusal("f", query=[("a", 1)])
    refusal("f", query={1: 1})
    refusal("f", query={"a": object()})


@pytest.mark.parametrize("method", ["GET", "HEAD", "get"])
def test_get_and_head_have_no_body(method: str) -> None:
    assert call_of("f", method=method).body is None
    assert "body" in refusal("f", {"a": 1}, method=method).message
    assert "body" in refusal("f", method=method, files={"a": b""}).message


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "GET\r\nX: y", "", None])
def test_methods_that_are_refused(method: Any) -> None:
    assert "method" in refusal("f", method=method).message


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil"},
        {"a": "b\r\nc: d"},
        {"a b": "c"},
        {"Cookie": "a"},
        {"a": 1},
        "a",
        {"a": "€"},
    ],
)
def test_headers_that_are_refused_and_not_echoed(headers: Any) -> None:
    refused = refusal("f", None, headers)
    assert "c: d" not in refused.message


def test_the_region_is_said_twice() -> None:
    call = call_of("f", region="eu-west-1", query={"a": 1})
    assert call.path == "/functions/v1/f?a=1&forceFunctionRegion=eu-west-1"
    assert ("x-region", "eu-west-1") in call.headers
    refusal("f", region="eu\r\nx: y")


def test_timeouts() -> None:
    assert call_of("f").timeout == 60.0
    assert call_of("f", timeout=5).timeout == 5.0
    for timeout in (0, -1, math.nan, math.inf, "5", True):
        refusal("f", timeout=timeout)
    endless, _ = invoke_call(Invocation("f", timeout=math.inf), endless=True)
    assert isinstance(endless, Call)
    assert endless.timeout == math.inf


@pytest.mark.parametrize("response_type", ["stream", "xml", None, ["auto"]])
def test_response_types_that_are_refused(response_type: Any) -> None:
    answer, _ = invoke_call(Invocation("f"), response_type=response_type)
    assert isinstance(answer, AeroDBResponse)
    assert answer.error is not None
    assert "stream()" in str(answer.error.hint)


def test_credentials_of_one_call_are_secrets() -> None:
    call = call_of("f", None, {"Authorization": "Bearer own-token-1234", "X-Other": "seen"})
    assert set(call.secrets) == {"Bearer own-token-1234", "own-token-1234"}


# --- form data ------------------------------------------------------------------------------------


def parsed(content_type: str, body: bytes) -> list[tuple[str, str | None, str, bytes]]:
    """By the standard library: (name, file name, media type, content) of each part."""
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    )
    found = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found.append((str(name), part.get_filename(), part.get_content_type(), content))
    return found


def test_form_data() -> None:
    call = call_of(
        "f",
        {"title": "Ä", "n": 5, "tags": ["a", "b"]},
        files={"one": b"1", "many": [("a.txt", "text", "text/plain"), ("b", b"\r\n--b0und\0")]},
    )
    content_type = dict(call.headers)["Content-Type"]
    assert content_type == "multipart/form-data; boundary=b0undary"
    assert isinstance(call.body, bytes)
    title, n, *tags, one, many, last = parsed(content_type, call.body)
    assert (title[0], title[3]) == ("title", "Ä".encode())
    assert (n[0], n[3]) == ("n", b"5")
    assert [tag[3] for tag in tags] == [b"a", b"b"]
    assert one == ("one", "one", "application/octet-stream", b"1")
    assert many == ("many", "a.txt", "text/plain", b"text")
    assert last == ("many", "b", "application/octet-stream", b"\r\n--b0und\0")


def test_form_data_that_is_read_as_it_is_sent() -> None:
    """What stands between two contents is one piece."""
    opened = io.BytesIO(b"2")
    opened.name = "/home/me/two.txt"  # as files have it
    given = [Path("folder/one.bin"), opened, ("three.txt", iter([b"3"]), "text/plain")]
    call, parts = outgoing("f", {"title": "x"}, files={"many": given, "last": b"4"})
    assert call.body is None
    assert [part.source for part in parts[1::2]] == [given[0], opened, given[2][1]]
    content = b"".join(part if isinstance(part, bytes) else b"<content>" for part in parts)
    found = parsed(dict(call.headers)["Content-Type"], content)
    assert found == [
        ("title", None, "text/plain", b"x"),
        ("many", "one.bin", "application/octet-stream", b"<content>"),
        ("many", "two.txt", "application/octet-stream", b"<content>"),
        ("many", "three.txt", "text/plain", b"<content>"),
        ("last", "last", "application/octet-stream", b"4"),
    ]


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_name_ends_its_header(name: str, file_name: str) -> None:
    try:
        body, _ = form(None, {name: (file_name, b"x")}, "b0undary")
    except BadValue:
        return
    assert isinstance(body, bytes)
    head, _, rest = body.partition(b"\r\n\r\n")
    assert head.count(b"\r\n") == head.count(b"\n") == head.count(b"\r") == 2
    assert head.count(b'"') == 4
    assert rest == b"x\r\n--b0undary--\r\n"


@pytest.mark.parametrize(
    ("fields", "files"),
    [
        ([1], {"a": b""}),
        (None, [b""]),
        (None, {"a": 1}),
        (None, {"a": ("n",)}),
        (None, {"a": ("n", b"", "text/plain\r\nX: y")}),
        (None, {"a": ("n", b"", "no media type")}),
        (None, {"a": (1, b"")}),
        (None, {"a": ("n", ["x"])}),
        (None, {"a": {}}),
        ({"a": object()}, {"a": b""}),
        ({"a": "\ud800"}, {"a": b""}),
    ],
)
def test_form_data_that_cannot_be_sent(fields: Any, files: Any) -> None:
    refusal("f", fields, files=files)


# --- what comes back ------------------------------------------------------------------------------


def decoded(body: bytes, content_type: str = "", kind: Any = "auto") -> AeroDBResponse[Any]:
    headers = [(b"content-type", content_type.encode())] if content_type else []
    return AnswerDecoder(kind, (None, ""))(RawResponse(200, headers, body))


@pytest.mark.parametrize(
    ("body", "content_type", "data"),
    [
        (b'{"a":1}', "application/json", {"a": 1}),
        (b"[1]", "Application/JSON; charset=utf-8", [1]),
        (b"{}", "application/problem+json", {}),
        (b"null", "application/json", None),
        (b"hi", "text/plain", "hi"),
        (b"data: 1\n\n", "text/event-stream", "data: 1\n\n"),
        (b"\xe4", "text/plain; charset=ISO-8859-1", "ä"),
        (b"\xe4", 'text/plain; charset="windows-1252"', "ä"),
        (b"\xe4", "text/plain; charset=nonsense", "\ufffd"),
        (b"\0\x01", "image/png", b"\0\x01"),
        (b'{"a":1}', "", b'{"a":1}'),
        (b"", "application/json", None),
        (b"", "", None),
    ],
)
def test_data_by_its_content_type(body: bytes, content_type: str, data: Any) -> None:
    answer = decoded(body, content_type)
    assert answer.error is None
    assert answer.data == data
    assert type(answer.data) is type(data)


@pytest.mark.parametrize(
    ("kind", "data"), [("json", {"a": 1}), ("text", '{"a":1}'), ("bytes", b'{"a":1}')]
)
def test_data_as_it_is_asked_for(kind: str, data: Any) -> None:
    assert decoded(b'{"a":1}', "image/png", kind).data == data


def test_wrappers_of_other_servers_are_left_alone() -> None:
    wrapper = b'{"id":1,"success":true,"result":{"a":1},"error":null,"duration_ms":3}'
    assert decoded(wrapper, "application/json").data["success"] is True
    assert decoded(b'{"status":"ok","data":[1]}', "application/json").data["data"] == [1]


@pytest.mark.parametrize("body", [b"{", b"NaN", b"\xff", b"[" * 1000])
def test_json_that_is_none(body: bytes) -> None:
    answer = decoded(body, "application/json")
    assert answer.data is None
    assert answer.error is not None
    assert answer.error.code == "INVALID_RESPONSE"


@given(st.binary(), st.binary(max_size=40), st.sampled_from(["auto", "json", "text", "bytes"]))
def test_no_answer_makes_it_raise(body: bytes, content_type: bytes, kind: Any) -> None:
    raw = RawResponse(200, [(b"content-type", content_type)], body)
    AnswerDecoder(kind, (None, ""))(raw)
    function_error(AeroDBError("x", 500), RawResponse(500, raw.raw_headers, body), ())


@dataclass
class Greeting:
    hello: str
    times: int = 1


def typed(target: Any, body: bytes, **more: Any) -> AeroDBResponse[Any]:
    decoder = AnswerDecoder("auto", (converter(target), type_name(target)), **more)
    return decoder(RawResponse(200, [JSON], body))


def test_typed_answers() -> None:
    assert typed(Greeting, b'{"hello":"Ada","unknown":1}').data == Greeting("Ada")
    assert typed(list[Greeting], b'[{"hello":"Ada"}]').data == [Greeting("Ada")]
    assert typed(Greeting, b"", is_head=True) == AeroDBResponse(None)
    for body in (b'{"times":2}', b"[]", b"", b'{"hello":"Ada","times":"no"}'):
        error = typed(Greeting, body).error
        assert error is not None
        assert error.code == "DECODE_ERROR"
        assert "Greeting" in error.message


# --- errors ---------------------------------------------------------------------------------------


def error_of(
    status: int, body: bytes, *headers: tuple[bytes, bytes], method: str = "POST"
) -> AeroDBError:
    exchange = Exchange(method, "http://localhost/functions/v1/f", Retry.PLATFORM)
    raw = RawResponse(status, headers, body)
    error = error_from_response(status, headers, body, exchange)
    return function_error(error, raw, ("s3cr3t-of-mine",))


def test_errors_of_the_platform() -> None:
    body = b'{"error":"It failed","code":"function_error","message":"It failed","status":500}'
    error = error_of(500, body, JSON, PLATFORM)
    assert (error.code, error.message, error.details) == ("function_error", "It failed", None)
    assert error.maybe_applied
    bare = error_of(504, b"", (b"x-aerodb-error", b"function_timeout"))
    assert (bare.code, bare.status) == ("function_timeout", 504)


def test_errors_of_a_relay() -> None:
    relay = (b"x-relay-error", b"true")
    assert error_of(502, b"upstream", relay).code == "relay_error"
    assert error_of(500, b'{"code":"BOOT_ERROR","message":"m"}', JSON, relay).code == "boot_error"
    assert error_of(502, b"upstream", (b"x-relay-error", b"false")).code == "http_502"


@pytest.mark.parametrize(
    ("body", "headers", "message", "code", "details"),
    [
        (b'{"error":"no tea","extra":[1]}', [JSON], "no tea", "http_418",
         {"error": "no tea", "extra": [1]}),
        (b'{"message":"m","code":"mine"}', [JSON], "m", "mine", {"message": "m", "code": "mine"}),
        (b"[1,2]", [JSON], "HTTP 418", "http_418", [1, 2]),
        (b"just text", [(b"content-type", b"text/plain")], "just text", "http_418", "just text"),
        (b"{broken", [JSON], "{broken", "http_418", "{broken"),
        (b"\0\x01", [(b"content-type", b"image/png")], "", "http_418", b"\0\x01"),
        (b"", [], "HTTP 418", "http_418", None),
    ],
)  # fmt: skip
def test_the_functions_own_errors(
    body: bytes, headers: Any, message: str, code: str, details: Any
) -> None:
    error = error_of(418, body, *headers)
    assert error.details == details
    assert error.code == code
    assert error.message == message or not message
    assert not error.maybe_applied


def test_secrets_show_in_no_details() -> None:
    error = error_of(400, b'{"error":"x","echo":"s3cr3t-of-mine","token":"abc"}', JSON)
    assert "s3cr3t" not in str(error.details)
    assert error.details["token"] != "abc"


def test_a_503_of_the_functions_own_may_have_done_something() -> None:
    wait = (b"retry-after", b"1")
    assert error_of(503, b"", wait).maybe_applied
    assert not error_of(503, b"", wait, method="GET").maybe_applied
    assert not error_of(503, b"", wait, PLATFORM).maybe_applied


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("by_platform", [True, False])
@pytest.mark.parametrize("waits", [True, False])
def test_refusals_are_repeated_only_if_no_user_code_has_run(
    status: int, method: str, by_platform: bool, waits: bool
) -> None:
    headers = [PLATFORM] * by_platform + [(b"retry-after", b"0")] * waits
    call = call_of("f", method=method)
    error = error_from_response(status, headers, b"", Exchange(method, "", call.retry))
    verdict = decide(
        1,
        answered_retry(call.retry, headers),
        error,
        sent=True,
        remaining_seconds=60,
        budget=RetryBudget(),
        jitter=0.5,
    )
    reads = method in ("GET", "HEAD", "OPTIONS")
    assert isinstance(verdict, Wait) == (reads or (by_platform and waits))


# --- the list -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'[{"name":"f","version":"1","methods":["GET"],"other":1},{"name":"g"},{"no":1},3]',
        b'{"functions":[{"name":"f","version":"1","methods":["GET"]},{"name":"g"}],"total":2}',
    ],
)
def test_lists(body: bytes) -> None:
    answer = list_call().decode(RawResponse(200, [JSON], body))
    assert answer.data == [FunctionInfo("f", "1", ("GET",)), FunctionInfo("g")]


@given(st.binary() | st.sampled_from([b"{}", b"7", b'{"functions":7}', b'[{"name":7}]']))
def test_no_list_makes_it_raise(body: bytes) -> None:
    answer = list_call().decode(RawResponse(200, [JSON], body))
    assert (answer.data is None) == (answer.error is not None)
