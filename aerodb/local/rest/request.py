"""One HTTP request as a value: method, path, query, headers and body to `ast.Request`.

Wire contract §3.1 and §3.2. The order of the checks is PostgREST's, since the first fault found is
the one reported: path, schema, method, query string, range, body.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from aerodb.local.rest.ast import Action, Name, Preferences, QueryParams, Request
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.media_types import accepted_types, canonical_type
from aerodb.local.rest.payload import parse_payload
from aerodb.local.rest.preferences import NONE, parse_preferences
from aerodb.local.rest.query_params import parse_query, split_pairs
from aerodb.local.rest.ranges import Bounds, top_range
from aerodb.local.settings import RestSettings

_RELATION_ACTIONS = {
    "GET": Action.READ,
    "HEAD": Action.READ,
    "POST": Action.CREATE,
    "PATCH": Action.UPDATE,
    "PUT": Action.UPSERT,
    "DELETE": Action.DELETE,
    "OPTIONS": Action.INFO_RELATION,
}
_ROUTINE_ACTIONS = {
    "GET": Action.CALL_READ,
    "HEAD": Action.CALL_READ,
    "POST": Action.CALL,
    "OPTIONS": Action.INFO_ROUTINE,
}
_ROOT_ACTIONS = {"GET": Action.ROOT, "HEAD": Action.ROOT, "OPTIONS": Action.INFO_ROOT}
_CONTENT_PROFILE_METHODS = frozenset({"POST", "PATCH", "PUT", "DELETE"})

_CACHED_LENGTH = 1024

_COOKIE = frozenset({"cookie"})
_SECRET = _COOKIE | {"authorization", "apikey"}
"""Headers that no SQL of the instance may read (wire contract §1.4). Over a foreign database it
may, as with PostgREST; cookies have a setting of their own in both."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What the server received. `path` is percent-encoded and begins below the mount point;
    header names are in lower case."""

    method: str
    path: str
    query_string: bytes
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """The first header of this name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


def decoded_headers(raw: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Headers as ASGI has them, as text; a value that is not UTF-8 is read as Latin-1."""
    return tuple([(name.decode("latin-1"), _text_of(value)) for name, value in raw])


def _text_of(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def parse_request(http: HttpRequest, settings: RestSettings) -> Request:
    """The request, or the `RestError` that answers it."""
    method = http.method
    kind, name = _resource(http.path, settings)
    schema, negotiated = _schema(http, settings)
    action = _action(kind, method)
    query, root_bounds = _query(http.query_string, action is Action.CALL_READ)
    root_range = top_range(method, root_bounds, http.header("range"))
    content_type = canonical_type(http.header("content-type") or "application/json")
    payload, payload_columns = parse_payload(http.body, content_type, action, query.columns)
    hidden = _SECRET if settings.hide_credentials else _COOKIE
    return Request(
        action=action,
        target=Name(schema, name),
        headers_only=method == "HEAD",
        method=method,
        path=http.path,
        query=query,
        preferences=parse_http_preferences(http, settings),
        accept=accepted_types(http.header("accept")),
        content_type=content_type,
        schema=schema,
        negotiated_by_profile=negotiated,
        top_range=root_range,
        headers=tuple([one for one in http.headers if one[0] not in hidden]),
        cookies=_cookies(http.header("cookie")),
        payload=payload,
        payload_columns=payload_columns,
    )


def _query(query_string: bytes, rpc_read: bool) -> tuple[QueryParams, Bounds]:
    """The query string parsed; the same one comes again and again."""
    if len(query_string) > _CACHED_LENGTH:
        return _parsed_query.__wrapped__(query_string, rpc_read)
    return _parsed_query(query_string, rpc_read)


@lru_cache(maxsize=512)
def _parsed_query(query_string: bytes, rpc_read: bool) -> tuple[QueryParams, Bounds]:
    return parse_query(split_pairs(query_string), rpc_read=rpc_read)


def parse_http_preferences(http: HttpRequest, settings: RestSettings) -> Preferences:
    """The preferences of all `Prefer` headers."""
    headers = [value for key, value in http.headers if key == "prefer"]
    if not headers:
        return NONE
    override = settings.db_tx_end.endswith("-allow-override")
    return parse_preferences(headers, transaction_override=override)


def _resource(path: str, settings: RestSettings) -> tuple[str, str]:
    """("root" | "relation" | "routine", name)."""
    segments = [_segment(part) for part in path.removeprefix("/").split("/")]
    if segments == [""]:
        return _root(settings)
    if len(segments) == 1:
        return "relation", segments[0]
    if len(segments) == 2 and segments[0] == "rpc":
        return "routine", segments[1]
    raise RestError(404, "PGRST125", "Invalid path specified in request URL")


def _segment(part: str) -> str:
    return unquote_to_bytes(part).decode("utf-8", "replace") if "%" in part else part


def _root(settings: RestSettings) -> tuple[str, str]:
    if settings.openapi_mode == "disabled":
        raise RestError(404, "PGRST126", "Root endpoint metadata is disabled")
    if settings.db_root_spec is not None:
        return "routine", settings.db_root_spec.rpartition(".")[2]
    return "root", ""


def _schema(http: HttpRequest, settings: RestSettings) -> tuple[str, bool]:
    """The schema asked for by a profile header, and whether it is to be told in the answer."""
    content = http.method in _CONTENT_PROFILE_METHODS
    profile = http.header("content-profile" if content else "accept-profile")
    if profile is None:
        return settings.db_schemas[0], len(settings.db_schemas) != 1
    if profile not in settings.db_schemas:
        raise RestError(
            406,
            "PGRST106",
            f"Invalid schema: {profile}",
            hint=f"Only the following schemas are exposed: {', '.join(settings.db_schemas)}",
        )
    return profile, True


def _action(kind: str, method: str) -> Action:
    if kind == "routine":
        if method in _ROUTINE_ACTIONS:
            return _ROUTINE_ACTIONS[method]
        raise RestError(405, "PGRST101", f"Cannot use the {method} method on RPC")
    actions = _RELATION_ACTIONS if kind == "relation" else _ROOT_ACTIONS
    if method in actions:
        return actions[method]
    raise RestError(405, "PGRST117", f"Unsupported HTTP method: {method}")


def _cookies(header: str | None) -> tuple[tuple[str, str], ...]:
    if header is None:
        return ()
    pairs = (part.lstrip().partition("=") for part in header.split(";") if part.strip())
    return tuple((name, value) for name, _, value in pairs)
