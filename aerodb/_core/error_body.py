"""Reads the eleven shapes of an error body, and garbage (wire-contract §1.5).

Total: whatever bytes come, a `Reading` comes out. Only the first 64 KiB are looked at
(reliability C6), so every step below is bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from aerodb._core.http import find_header

MAX_BODY = 64 * 1024
_MAX_DEPTH = 128  # wire-contract S15
_MAX_TEXT = 500
_MAX_MESSAGE = 4096
_MAX_CODE = 128

_REASONS = {
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    423: "Locked",
    425: "Too Early",
    426: "Upgrade Required",
    428: "Precondition Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    507: "Insufficient Storage",
}

# Message texts that stand for a code where the server sends none (wire-contract §2.6); the
# second half is what its web framework answers by itself to a body that it cannot read.
_CODE_BY_TEXT = (
    ("invalid credentials", "invalid_credentials"),
    ("email already registered", "email_already_exists"),
    ("password does not meet requirements", "weak_password"),
    ("email not verified", "email_not_verified"),
    ("validation error", "validation_failed"),
    ("token expired", "token_expired"),
    ("malformed token", "invalid_token"),
    ("invalid token signature", "invalid_token"),
    ("invalid or expired token", "invalid_token"),
    ("authentication required", "authentication_required"),
    ("missing authorization header", "authentication_required"),
    ("invalid refresh token", "invalid_refresh_token"),
    ("session has been revoked", "session_revoked"),
    ("session expired or invalid", "session_expired"),
    ("not authorized to access this resource", "access_denied"),
    ("user not found", "user_not_found"),
    ("rate limit exceeded", "rate_limit_exceeded"),
    ("failed to deserialize", "validation_failed"),
    ("failed to parse the request body", "validation_failed"),
    ("expected request with `content-type", "validation_failed"),
    ("invalid url:", "validation_failed"),
)
_RENAMED = {"aero_setup_required": "setup_required"}


class Reading(NamedTuple):
    """What a body says. `found` is False if it is not one of the known shapes."""

    message: str
    code: str
    status: int
    details: Any = None
    hint: str | None = None
    json: Any = None
    found: bool = False


def read_body(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Reading:
    """Read the body of a response that is not a success."""
    named = _code_in_headers(headers)
    text = clean_text(body[:MAX_BODY].decode("utf-8", "replace").lstrip("\ufeff")).strip()
    value = load_json(text)
    if isinstance(value, dict):
        return _read_object(status, value, named)
    if isinstance(value, str):
        text, value = clean_text(value).strip(), None
    if not text or value is not None or text.startswith("<"):
        code = named or f"http_{status}"
        return Reading(reason(status), code, status, details=value, json=value)
    message = text[:_MAX_TEXT]
    return Reading(message, named or _code_by_text(message) or f"http_{status}", status, found=True)


def reason(status: int) -> str:
    """Return `HTTP <n> <reason>`."""
    phrase = _REASONS.get(status)
    return f"HTTP {status} {phrase}" if phrase else f"HTTP {status}"


def clean_text(text: str) -> str:
    """Make a server's text fit to print: no lone surrogates, no control characters."""
    if text.isprintable():
        return text
    text = re.sub(r"[\ud800-\udfff]", "\ufffd", text)
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", " ", text)


def load_json(text: str) -> Any:
    """Decode one small JSON document, or return None: for errors only, so no reason is given."""
    if not text or text[0] not in '{["' or _too_deep(text):
        return None
    try:
        # ValueError: not JSON, a constant that is none, or an integer of too many digits.
        # RecursionError: bounded by _too_deep, but how much is left depends on our caller.
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _too_deep(text: str) -> bool:
    # The decoder's own limit differs from one Python to the next (reliability X24).
    if text.count("[") + text.count("{") <= _MAX_DEPTH:
        return False
    depth = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', text, re.DOTALL):
        if token[0] in "[{":
            depth += 1
            if depth > _MAX_DEPTH:
                return True
        elif token[0] in "]}":
            depth -= 1
    return False


def _read_object(status: int, value: dict[str, Any], named: str | None) -> Reading:
    nested = value.get("error")
    fields = dict(value)
    if isinstance(nested, dict):  # shapes 3 and 4
        outer = {name: item for name, item in value.items() if item is not None}
        fields = {**nested, **outer, "error": nested.get("error")}
    message, own_line = _message(fields)
    status = _effective_status(status, fields.get("statusCode"))
    code = _code(fields, own_line) or named or _code_by_text(message)
    details = fields.get("details")
    if not message and details is None:
        details = value
    return Reading(
        message[:_MAX_MESSAGE] or reason(status),
        code or f"http_{_status_in(fields.get('code')) or status}",
        status,
        details,
        _hint(fields),
        value,
        found=bool(message),
    )


def _message(fields: dict[str, Any]) -> tuple[str, bool]:
    """The message, and whether it stands apart from `error` (which then may be the code)."""
    for name in ("message", "msg", "error_description", "error"):
        text = fields.get(name)
        if isinstance(text, str) and text.strip():
            return clean_text(text).strip(), name != "error"
    return "", True


def _code(fields: dict[str, Any], own_line: bool) -> str | None:
    names = ("error_code", "code", "error") if own_line else ("error_code", "code")
    for name in names:
        text = fields.get(name)
        if not isinstance(text, str):
            continue
        text = clean_text(text).strip()[:_MAX_CODE]
        if name == "error" and not re.fullmatch(r"[A-Za-z0-9_.]+", text):
            continue
        if text:
            return text if "hint" in fields else _lowered(text)
    return None


def _lowered(code: str) -> str:
    """Lower the platform's upper case codes (shape 6), not those of SQL or PostgREST."""
    if re.fullmatch(r"[A-Z]+(?:_[A-Z]+)+|[A-Z]{6,}", code):
        code = code.lower()
    return _RENAMED.get(code, code)


def _effective_status(status: int, inner: object) -> int:
    # Shape 7 answers everything with 400 and has the real status inside.
    number = int(inner) if isinstance(inner, str) and re.fullmatch("[0-9]{3}", inner) else inner
    return _status_in(number) or status if status == 400 else status


def _status_in(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
        return value
    return None


def _hint(fields: dict[str, Any]) -> str | None:
    for name, start in (("hint", ""), ("setup_url", "finish the setup at ")):
        text = fields.get(name)
        if isinstance(text, str) and text.strip():
            return start + clean_text(text).strip()[:_MAX_MESSAGE]
    return None


def _code_by_text(message: str) -> str | None:
    lowered = message.lower()
    return next((code for text, code in _CODE_BY_TEXT if lowered.startswith(text)), None)


def _code_in_headers(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The only code there is on an empty body (wire-contract §1.3)."""
    own = (find_header(headers, b"x-aerodb-error") or "").strip()
    if re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", own):
        return own
    # RFC 9209: `PostgREST; error=PGRST116`. Proxies put their own names there: not codes.
    for entry in (find_header(headers, b"proxy-status") or "")[:4096].split(","):
        match = re.search(r"^\s*PostgREST\s*;.*?\berror=\"?([A-Za-z0-9_]{1,128})", entry, re.I)
        if match:
            return match[1]
    return None
