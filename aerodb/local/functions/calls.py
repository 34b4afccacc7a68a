"""From an HTTP request to a call of a function, and back: paths and headers (wire contract §6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from aerodb.local.credentials import Identity
from aerodb.local.functions.errors import Refusal
from aerodb.local.keys import PUBLISHABLE_PREFIX, SECRET_PREFIX
from aerodb.local.replies import Header, Scope

PREFIX = "/functions/v1"
_ALIAS = "invoke"
_MAXIMUM_PARAMETERS = 1000
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
# What belongs to the connection, and what says that the platform has spoken (§1.3, §6).
_NOT_THEIRS = frozenset(
    (
        *("connection", "content-length", "keep-alive", "proxy-authenticate", "te", "trailer"),
        *("transfer-encoding", "upgrade", "x-aerodb-error", "x-relay-error"),
    )
)


class BadAnswer(Exception):
    """The function answered with what cannot be sent."""


@dataclass(frozen=True, slots=True)
class Target:
    """What stands in the URL below `/functions/v1`: "" is the list. `path` is decoded."""

    name: str
    path: str = ""


def target_of(scope: Scope) -> Target:
    """Read the path as it was sent. The name is not decoded: no name needs that."""
    raw = bytes(scope["raw_path"]).partition(b"?")[0].decode("latin-1")
    rest = raw.removeprefix(PREFIX).removeprefix("/")
    if not rest:
        return Target("")
    name, _, path = rest.partition("/")
    if name == _ALIAS and path:
        name, _, path = path.partition("/")
    return Target(name or "/", unquote_to_bytes(path).decode("utf-8", "replace"))


def call_head(
    scope: Scope, target: Target, headers: Mapping[str, str], identity: Identity
) -> dict[str, Any]:
    """What a handler is told besides the body."""
    query = bytes(scope["query_string"]).decode("latin-1")
    return {
        "name": target.name,
        "method": scope["method"],
        "path": target.path,
        "query": _parameters(query),
        "query_string": query,
        "headers": _shown(headers),
        "role": identity.role,
        "claims": identity.claims,
        "request_id": headers.get("x-request-id"),
    }


def _parameters(query: str) -> dict[str, str]:
    try:
        return dict(
            parse_qsl(
                query,
                keep_blank_values=True,
                errors="replace",
                max_num_fields=_MAXIMUM_PARAMETERS,
            )
        )
    except ValueError:
        raise Refusal("validation_failed", "The query string has too many parameters.") from None


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    """Without `apikey`; without a bearer that is a key. A user's token may be of use."""
    shown = {name: value for name, value in headers.items() if name != "apikey"}
    bearer = shown.get("authorization", "").partition(" ")[2].strip()
    if bearer.startswith((PUBLISHABLE_PREFIX, SECRET_PREFIX)):
        del shown["authorization"]
    return shown


def answer_start(start: Mapping[str, Any]) -> tuple[int, list[Header], bool]:
    """Status, headers, and whether there is a body, of what a worker says of its answer."""
    status, length = start.get("status"), start.get("length")
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise BadAnswer(f"{status} is not a status that can be answered")
    found = list(_sendable(start["headers"]))
    bodiless = status in (204, 304)
    if length is not None and not bodiless:
        found.append((b"content-length", str(length).encode()))
    return status, found, not bodiless


def _sendable(headers: Iterable[tuple[str, str]]) -> Iterable[Header]:
    for name, value in headers:
        if _TOKEN.fullmatch(name) is None or _BAD_VALUE.search(value):
            raise BadAnswer(f"the header {name[:60]!a} cannot be sent")
        if name.lower() not in _NOT_THEIRS:
            yield name.lower().encode(), value.strip().encode("latin-1")
