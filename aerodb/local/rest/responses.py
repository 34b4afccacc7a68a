"""Status and headers of every answer (wire contract §3.1 to §3.3, §3.7)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aerodb.local.rest.ast import Action, Request
from aerodb.local.rest.catalog import Catalog, Routine, Table
from aerodb.local.rest.errors import RestError
from aerodb.local.rest.media_types import OPENAPI
from aerodb.local.rest.plan.statement import Statement
from aerodb.local.rest.preferences import preference_applied
from aerodb.local.rest.ranges import content_range, out_of_bounds, range_status
from aerodb.local.rest.suggestions import table_not_found
from aerodb.local.rest.transaction import Outcome

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; `Content-Length` is among the headers where it belongs."""

    status: int
    headers: tuple[Header, ...]
    body: bytes = b""


WARNING_VERSION = "16"
VARY: Header = ("Vary", "Accept, Prefer, Range")
_BODILESS = frozenset({204, 304})
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "upgrade"})
_LONGEST_LOCATION = 32 * 1024
"""A `Content-Location` may be three times as long as the URL, and clients read lines of 64 KiB."""


def sendable(response: Response) -> Response:
    """The answer without a body, and without its length, where HTTP has none for the status
    (RFC 9110 §6.4.1): functions may choose any status."""
    if response.status not in _BODILESS:
        return response
    kept = tuple(pair for pair in response.headers if pair[0].lower() != "content-length")
    return Response(response.status, kept)


def statement_response(
    request: Request, statement: Statement, outcome: Outcome, *, minimal: bool = False
) -> Response:
    """The answer to a statement that was run; `minimal` as for `error_response`."""
    if statement.is_explain:
        headers = (_length(outcome.body), *_content_headers(request, statement))
        response = Response(200, headers, outcome.body)
    elif request.action in _READS:
        response = _READS[request.action](request, statement, outcome, minimal)
    else:
        response = _WRITES[request.action](request, statement, outcome)
    if outcome.response_status is not None or outcome.response_headers is not None:
        response = _overridden(response, outcome)
    headers = (*response.headers, *_warning(statement))
    if not any(name.lower() == "vary" for name, _ in headers):
        headers = (*headers, VARY)
    return Response(response.status, headers, response.body)


def _warning(statement: Statement) -> tuple[Header, ...]:
    """Since version 16: names of relations used in place of aliases are going to stop working."""
    if not statement.legacy_names:
        return ()
    changes = ", ".join(f"`{name}` to `{alias}`" for name, alias in statement.legacy_names)
    text = (
        f'299 PostgRESTv{WARNING_VERSION} "Embedded resource was referenced by relation name even '
        "though it has an alias. This is deprecated and will stop working in a future release. "
        f'Update {changes} in query string filters, orders or limits."'
    )
    return (("Warning", _header_text(text)),)


# --- by action -----------------------------------------------------------------------------------


def _read(request: Request, statement: Statement, outcome: Outcome, minimal: bool) -> Response:
    status, ranged, body = _ranged(request, outcome, minimal)
    canonical = request.query.canonical
    location = f"/{statement.target.name}{'?' if canonical else ''}{canonical}"
    headers = [ranged]
    if len(location) <= _LONGEST_LOCATION:
        headers.append(("Content-Location", _header_text(location)))
    if not request.headers_only:
        headers.append(_length(body))
    headers += _content_headers(request, statement)
    headers += _applied(request, statement)
    return Response(status, tuple(headers), b"" if request.headers_only else body)


def _call(request: Request, statement: Statement, outcome: Outcome, minimal: bool) -> Response:
    status, ranged, body = _ranged(request, outcome, minimal)
    headers = [ranged, *_applied(request, statement)]
    if statement.returns_void:
        return Response(204, tuple(headers))
    if not request.headers_only:
        headers.append(_length(body))
    headers += _content_headers(request, statement)
    if status == 416:  # the only place for the code on HEAD (wire-contract §1.3)
        headers.append(("Proxy-Status", "PostgREST; error=PGRST103"))
    return Response(status, tuple(headers), b"" if request.headers_only else body)


def _ranged(request: Request, outcome: Outcome, minimal: bool) -> tuple[int, Header, bytes]:
    lower = request.top_range.offset
    upper = lower + outcome.page - 1
    status = range_status(lower, upper, outcome.total)
    ranged = ("Content-Range", content_range(lower, upper, outcome.total))
    if status == 416:
        return status, ranged, _error_body(out_of_bounds(lower, outcome.total), minimal)
    return status, ranged, outcome.body


def _create(request: Request, statement: Statement, outcome: Outcome) -> Response:
    body = outcome.body if _represents(request) else b""
    headers = [_length(body)]
    if outcome.location:
        headers.append(("Location", _location(statement, outcome.location)))
    headers.append(("Content-Range", content_range(1, 0, _affected(request, outcome))))
    headers += _applied(request, statement)
    if _represents(request):
        headers += _content_headers(request, statement)
    only_merged = statement.counts_inserted and (outcome.inserted or 0) <= 0
    return Response(200 if only_merged else 201, tuple(headers), body)


def _location(statement: Statement, pairs: Iterable[str]) -> str:
    encoded = (
        f"{quote(key, safe='')}={quote(value, safe='')}"
        for key, _, value in (pair.partition("=") for pair in pairs)
    )
    return _header_text(f"/{statement.target.name}?{'&'.join(encoded)}")


def _update(request: Request, statement: Statement, outcome: Outcome) -> Response:
    ranged = content_range(0, outcome.page - 1, _affected(request, outcome))
    return _changed(request, statement, outcome, [("Content-Range", ranged)])


def _delete(request: Request, statement: Statement, outcome: Outcome) -> Response:
    ranged = content_range(1, 0, _affected(request, outcome))
    return _changed(request, statement, outcome, [("Content-Range", ranged)])


def _changed(
    request: Request, statement: Statement, outcome: Outcome, headers: list[Header]
) -> Response:
    headers += _applied(request, statement)
    if not _represents(request):
        return Response(204, tuple(headers))
    headers += (_length(outcome.body), *_content_headers(request, statement))
    return Response(200, tuple(headers), outcome.body)


def _upsert(request: Request, statement: Statement, outcome: Outcome) -> Response:
    applied = _applied(request, statement)
    if not _represents(request):
        return Response(204, applied)
    headers = (_length(outcome.body), *_content_headers(request, statement), *applied)
    return Response(201 if (outcome.inserted or 0) > 0 else 200, headers, outcome.body)


_READS = {Action.READ: _read, Action.CALL: _call, Action.CALL_READ: _call}
_WRITES = {
    Action.CREATE: _create,
    Action.UPDATE: _update,
    Action.UPSERT: _upsert,
    Action.DELETE: _delete,
}


# --- parts ---------------------------------------------------------------------------------------


def _represents(request: Request) -> bool:
    return request.preferences.representation == "representation"


def _affected(request: Request, outcome: Outcome) -> int | None:
    """The rows written, where a count was asked for that is made by counting."""
    return outcome.page if request.preferences.count in ("exact", "estimated") else None


def _length(body: bytes) -> Header:
    return "Content-Length", str(len(body))


def _header_text(text: str) -> str:
    """Header values are sent as Latin-1: UTF-8 goes through as its bytes. What would end the line,
    and may be in a name of the database, is percent-encoded."""
    safe = _UNPRINTABLE.sub(lambda found: f"%{ord(found[0]):02X}", text.strip())
    return safe.encode("utf-8", "replace").decode("latin-1")


def _profile(request: Request) -> tuple[Header, ...]:
    if not request.negotiated_by_profile:
        return ()
    return (("Content-Profile", _header_text(request.schema)),)


def _content_headers(request: Request, statement: Statement) -> tuple[Header, ...]:
    return (("Content-Type", statement.content_type), *_profile(request))


def _applied(request: Request, statement: Statement) -> tuple[Header, ...]:
    applied = preference_applied(
        request.preferences, request.action, resolution_applies=statement.resolution_applies
    )
    return () if applied is None else (("Preference-Applied", _header_text(applied)),)


# --- response.status and response.headers --------------------------------------------------------

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _overridden(response: Response, outcome: Outcome) -> Response:
    """What the database says about the answer wins over ours (wire contract §1.4)."""
    status = response.status
    if outcome.response_status is not None:
        status = _guc_status(outcome.response_status)
    own = _guc_headers(outcome.response_headers)
    names = {name.lower() for name, _ in own}
    kept = tuple(header for header in response.headers if header[0].lower() not in names)
    return Response(status, (*kept, *own), response.body)


def _guc_status(value: bytes) -> int:
    digits = re.match(rb"[0-9]{1,9}", value)
    status = int(digits[0]) if digits else 0
    if not 200 <= status <= 599:
        raise RestError(500, "PGRST112", "response.status guc must be a valid status code")
    return status


def _guc_headers(value: bytes | None) -> tuple[Header, ...]:
    if value is None:
        return ()
    refusal = RestError(
        500,
        "PGRST111",
        "response.headers guc must be a JSON array composed of objects with a single key and a "
        "string value",
    )
    try:
        items = json.loads(value)
    except (ValueError, RecursionError):
        raise refusal from None
    if not isinstance(items, list):
        raise refusal
    every: list[Any] = items  # pyright: ignore[reportUnknownVariableType]
    return _without_framing(_guc_header(item, refusal) for item in every)


def _guc_header(item: Any, refusal: RestError) -> Header:
    if not isinstance(item, dict) or len(item) != 1:  # pyright: ignore[reportUnknownArgumentType]
        raise refusal
    ((name, value),) = item.items()  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if not isinstance(value, str) or not isinstance(name, str):
        raise refusal
    if not _NAME.fullmatch(name) or _UNPRINTABLE.search(value):
        raise refusal  # would split the response
    return name, _header_text(value)


def _without_framing(headers: Iterable[Header]) -> tuple[Header, ...]:
    """Where an answer ends is for the server to say: another length would break the connection."""
    return tuple(header for header in headers if header[0].lower() not in _FRAMING)


# --- answers without a statement -----------------------------------------------------------------


def info_response(request: Request, catalog: Catalog, routine: Routine | None) -> Response:
    """OPTIONS: what may be done with a relation, a function or the root."""
    if request.action is Action.INFO_ROOT:
        allowed = "OPTIONS,GET,HEAD"
    elif routine is not None:
        volatile = routine.volatility == "volatile"
        allowed = "OPTIONS,POST" if volatile else "OPTIONS,GET,HEAD,POST"
    else:
        table = catalog.tables.get(request.target)
        if table is None:
            raise table_not_found(catalog, request.target)
        allowed = _allowed(table)
    headers = (_length(b""), ("Access-Control-Allow-Origin", "*"), ("Allow", allowed), VARY)
    return Response(200, headers)


def _allowed(table: Table) -> str:
    methods = ["OPTIONS", "GET", "HEAD"]
    if table.insertable:
        methods.append("POST")
    if table.insertable and table.updatable and table.primary_key:
        methods.append("PUT")
    if table.updatable:
        methods.append("PATCH")
    if table.deletable:
        methods.append("DELETE")
    return ",".join(methods)


def root_response(request: Request, document: bytes) -> Response:
    """The OpenAPI description."""
    headers: list[Header] = [("Content-Type", f"{OPENAPI}; charset=utf-8")]
    if not request.headers_only:
        headers.append(_length(document))
    body = b"" if request.headers_only else document
    return Response(200, (*headers, *_profile(request), VARY), body)


def error_response(error: RestError, *, minimal: bool = False) -> Response:
    """`{"code", "details", "hint", "message"}` and the code again in `Proxy-Status`; `minimal`
    leaves out details and hint."""
    body = _error_body(error, minimal)
    headers = [
        ("Content-Type", "application/json; charset=utf-8"),
        _length(body),
        ("Proxy-Status", _printable(f"PostgREST; error={error.code.strip()}")),
    ]
    headers += _without_framing(
        (name, _printable(value.strip())) for name, value in error.headers if _NAME.fullmatch(name)
    )
    return Response(error.status, tuple(headers), body)


def _printable(value: str) -> str:
    return _header_text(_UNPRINTABLE.sub(" ", value))


def _error_body(error: RestError, minimal: bool) -> bytes:
    body = json.dumps(error.body(minimal=minimal), ensure_ascii=False, separators=(",", ":"))
    return body.encode("utf-8", "replace")


def allowed_media(accepted: Sequence[str]) -> RestError:
    """406 PGRST107: none of the media types asked for can be made."""
    return RestError(
        406, "PGRST107", f"None of these media types are available: {', '.join(accepted)}"
    )
