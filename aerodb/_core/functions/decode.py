"""What a function answered: data by its Content-Type, errors by who made them (§6).

Total: no status, header or body makes it raise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal

from aerodb._core import json
from aerodb._core.http import RawResponse
from aerodb._core.redact import redact_json
from aerodb._dataclass import replace
from aerodb.types import AeroDBError, AeroDBResponse

__all__ = ["RESPONSE_TYPES", "AnswerDecoder", "Convert", "ResponseType", "function_error"]

ResponseType = Literal["auto", "json", "text", "bytes"]
RESPONSE_TYPES: frozenset[str] = frozenset({"auto", "json", "text", "bytes"})
Convert = tuple[Callable[[Any], Any] | None, str]
"""What makes a typed value of the data, and the type's name."""

_CHARSETS = {
    "us-ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}


class AnswerDecoder:
    """Reads an answer of status 200-299."""

    __slots__ = ("_convert", "_is_head", "_kind")

    def __init__(self, kind: ResponseType, convert: Convert, *, is_head: bool = False) -> None:
        self._kind: ResponseType = kind
        self._convert = convert
        self._is_head = is_head

    def __call__(self, raw: RawResponse) -> AeroDBResponse[Any]:
        if self._is_head:
            return AeroDBResponse(None)
        try:
            value = data_of(raw, self._kind)
        except json.BadJSON as problem:
            shown = raw.body[:500].decode("utf-8", "replace")
            message = f"the answer of the function is not JSON: {problem}"
            return AeroDBResponse(
                None, AeroDBError(message, code="INVALID_RESPONSE", details=shown or None)
            )
        return self._typed(value)

    def _typed(self, value: Any) -> AeroDBResponse[Any]:
        convert, target = self._convert
        if convert is None:
            return AeroDBResponse(value)
        try:
            return AeroDBResponse(convert(value))
        except Exception as problem:  # noqa: BLE001  # the caller's own type raises what it likes
            text = str(problem) or type(problem).__name__
            message = f"the answer of the function does not fit {target}: {text[:500]}"
            details = {"error": type(problem).__name__}
            return AeroDBResponse(None, AeroDBError(message, code="DECODE_ERROR", details=details))


def data_of(raw: RawResponse, kind: ResponseType = "auto") -> Any:
    """The body as what it is, or as what it is said to be. Raises `BadJSON`."""
    media_type, charset = _media_type(raw.header(b"content-type") or "")
    if kind == "auto":
        if not raw.body:
            return None
        kind = _kind_of(media_type)
    if kind == "bytes":
        return raw.body
    if kind == "text":
        return raw.body.decode(charset, "replace")
    return json.loads(raw.body) if raw.body else None


def _kind_of(media_type: str) -> ResponseType:
    if media_type == "application/json" or media_type.endswith("+json"):
        return "json"
    return "text" if media_type.startswith("text/") else "bytes"


def _media_type(content_type: str) -> tuple[str, str]:
    """The media type in lower case, and the codec of its charset; UTF-8 if it is not known."""
    media_type, _, parameters = content_type.partition(";")
    found = re.search(r'(?:^|;)\s*charset="?([A-Za-z0-9_:.-]+)', parameters, re.I)
    charset = _CHARSETS.get(found[1].lower(), "utf-8") if found else "utf-8"
    return media_type.strip().lower(), charset


def function_error(error: AeroDBError, raw: RawResponse, secrets: Iterable[str]) -> AeroDBError:
    """Complete an error that was read by §1.5 with what holds for functions only.

    The platform's own are marked as such. Any other is the function's own answer, so `details` is
    its whole body, and a 503 of its own does not say that nothing was done.
    """
    if raw.header(b"x-aerodb-error") is not None:
        return error
    if (raw.header(b"x-relay-error") or "").strip().lower() == "true":
        code = "relay_error" if (error.code or "").startswith("http_") else error.code
        return replace(error, code=code)
    try:
        details = data_of(raw)
    except json.BadJSON:
        details = raw.body.decode("utf-8", "replace")
    in_doubt = raw.status >= 500 and error.method not in ("GET", "HEAD")
    return replace(
        error,
        details=redact_json(details, secrets),
        maybe_applied=error.maybe_applied or in_doubt,
    )
