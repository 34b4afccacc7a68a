"""From the arguments of `invoke` to a `Call` (wire-contract §6, §1.8, features §1.8)."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple, cast

from aerodb._core import json
from aerodb._core.errors import client_error
from aerodb._core.functions.bodies import Parts, encoded, form, query_text, sub_path
from aerodb._core.functions.decode import (
    RESPONSE_TYPES,
    AnswerDecoder,
    Convert,
    ResponseType,
    function_error,
)
from aerodb._core.headers import headers_problem
from aerodb._core.http import Call, Prepared, RawResponse, Retry
from aerodb._core.options import seconds
from aerodb._core.values import BadValue
from aerodb._dataclass import dataclass
from aerodb.types import AeroDBError, AeroDBResponse

__all__ = ["DEFAULT_SECONDS", "FunctionInfo", "Invocation", "invoke_call", "list_call"]

DEFAULT_SECONDS = 60.0  # wire-contract §1.7
_ROOT = "/functions/v1"
_NAME = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
_RESERVED = frozenset({"invoke", "deploy", "webhook"})
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_CREDENTIALS = frozenset({"authorization", "apikey", "proxy-authorization"})


class Invocation(NamedTuple):
    """The arguments of `invoke` and `stream`, as they were given."""

    name: Any
    body: Any = None
    headers: Any = None
    method: Any = "POST"
    query: Any = None
    path: Any = ""
    region: Any = None
    timeout: Any = None
    files: Any = None


def invoke_call(
    given: Invocation,
    *,
    response_type: Any = "auto",
    convert: Convert = (None, ""),
    boundary: str = "",
    endless: bool = False,
) -> tuple[Prepared[Any], Parts]:
    """The call, or the answer to arguments that cannot be meant so; and what its body is made of,
    if that is to be read while it is sent. `endless` makes the timeout one of each wait, and
    allows infinity."""
    try:
        limit = math.inf if endless and given.timeout == math.inf else _timeout(given.timeout)
        idle = limit if endless and limit < math.inf else None
        timeout = math.inf if endless else limit
        return _invoke_call(given, response_type, convert, boundary, (timeout, idle))
    except BadValue as problem:
        error = client_error(problem.code, problem.message, hint=problem.hint)
        return AeroDBResponse(error=error), ()


def _invoke_call(
    given: Invocation,
    response_type: Any,
    convert: Convert,
    boundary: str,
    limits: tuple[float, float | None],
) -> tuple[Call[Any], Parts]:
    method = _method(given)
    if not isinstance(response_type, str) or response_type not in RESPONSE_TYPES:
        hint = "functions.stream() gives the answer piece by piece"
        expected = "expected auto, json, text or bytes"
        raise BadValue(f"response_type: {response_type!a} was given, {expected}", hint=hint)
    if given.files is None:
        body, content_type = encoded(given.body)
    else:
        body, content_type = form(given.body, given.files, boundary)
    headers = _headers(given, content_type)
    path = f"{_ROOT}/{_name(given.name)}{sub_path(given.path)}"
    region = () if given.region is None else (("forceFunctionRegion", given.region),)
    is_head = method == "HEAD"
    call = Call(
        method,
        path + query_text(given.query, region),
        AnswerDecoder(cast("ResponseType", response_type), convert, is_head=is_head),
        headers=headers,
        body=None if isinstance(body, tuple) else body,
        retry=Retry.SAFE if method in _SAFE else Retry.PLATFORM,
        timeout=limits[0],
        idle=limits[1],
        secrets=tuple(_secrets(headers)),
        complete_error=function_error,
    )
    return call, body if isinstance(body, tuple) else ()


def _name(name: Any) -> str:
    """The name, which needs no encoding: whatever could leave its place in the URL is refused."""
    if not isinstance(name, str) or not re.fullmatch(_NAME, name) or name in _RESERVED:
        shown = f"{name[:80]!a}" if isinstance(name, str) else type(name).__name__
        raise BadValue(
            f"name: {shown} was given, expected the name of a function: "
            "a letter, then up to 63 letters, digits, _ and -"
        )
    return name


def _method(given: Invocation) -> str:
    method = given.method.upper() if isinstance(given.method, str) else None
    if method not in _METHODS:
        raise BadValue(f"method: {given.method!a} was given, expected one of {', '.join(_METHODS)}")
    if method in ("GET", "HEAD") and (given.body is not None or given.files is not None):
        raise BadValue(f"body: a {method} request has none; use query=, or method='POST'")
    return method


def _headers(given: Invocation, content_type: str | None) -> tuple[tuple[str, str], ...]:
    """The caller's own, copied, so that they belong to this call alone; theirs win."""
    problem = headers_problem(given.headers)
    if problem:
        raise BadValue(problem)
    own = tuple((given.headers or {}).items())
    names = {name.lower() for name, _ in own}
    found: list[tuple[str, str]] = []
    if content_type is not None and "content-type" not in names:
        found.append(("Content-Type", content_type))
    if given.region is not None and "x-region" not in names:
        problem = headers_problem({"x-region": given.region})
        if problem:
            raise BadValue(f"region: {problem}")
        found.append(("x-region", given.region))
    return (*found, *own)


def _secrets(headers: tuple[tuple[str, str], ...]) -> list[str]:
    """What of a caller's own headers must show in no error."""
    found: list[str] = []
    for name, value in headers:
        if name.lower() in _CREDENTIALS:
            found += [value, value.partition(" ")[2]]
    return [text for text in found if text]


def _timeout(timeout: Any) -> float:
    if timeout is None:
        return DEFAULT_SECONDS
    try:
        return seconds("timeout", timeout)
    except (TypeError, ValueError) as problem:
        raise BadValue(str(problem)) from None


# --- the list ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """A function that a server has.

    Attributes:
        name: What `invoke` calls it by.
        version: Changes with the function, if the server says; else None.
        methods: The HTTP methods it takes; None if the server does not say.
    """

    name: str
    version: str | None = None
    methods: tuple[str, ...] | None = None


def list_call() -> Call[list[FunctionInfo]]:
    """The call that asks which functions there are."""
    return Call("GET", _ROOT, _decode_list, retry=Retry.SAFE)


def _decode_list(raw: RawResponse) -> AeroDBResponse[list[FunctionInfo]]:
    """A bare array, or one in `functions` (wire-contract §1.6)."""
    try:
        value = json.loads(raw.body)
    except json.BadJSON as problem:
        return _no_list(f"the list of functions is not JSON: {problem}")
    entries = value.get("functions") if isinstance(value, dict) else value
    if not isinstance(entries, list):
        return _no_list("the answer is no list of functions")
    infos = [_info(entry) for entry in entries]
    return AeroDBResponse([info for info in infos if info is not None])


def _info(entry: Any) -> FunctionInfo | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        return None
    version, methods = entry.get("version"), entry.get("methods")
    return FunctionInfo(
        entry["name"],
        str(version) if isinstance(version, (str, int)) else None,
        tuple(str(word) for word in methods) if isinstance(methods, list) else None,
    )


def _no_list(message: str) -> AeroDBResponse[Any]:
    return AeroDBResponse(error=AeroDBError(message, code="INVALID_RESPONSE"))
