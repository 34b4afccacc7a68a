"""An upload's arguments, checked, and the call they make (wire-contract §5.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from aerodb._core.errors import client_error
from aerodb._core.headers import header_problem, token_problem
from aerodb._core.http import Body, Call, Retry
from aerodb._core.json import dumps
from aerodb._core.storage.decode import object_decoder
from aerodb._core.storage.multipart import Form, form
from aerodb._core.storage.paths import last_segment, object_url
from aerodb._core.url import quote_segment
from aerodb._core.values import BadValue
from aerodb.types import AeroDBError

IDLE_SECONDS = 60.0  # wire-contract §1.7: a transfer has no total time
MIN_CHUNK = 256 * 1024
OCTETS = "application/octet-stream"
_OPTIONS = "options are arguments of their own: content_type=, upsert=, cache_control="


class Upload(NamedTuple):
    """What is said of an object besides its bytes; `checksum` is its SHA-256 in hex."""

    content_type: str | None
    upsert: bool
    cache_seconds: str | None
    cache_header: str | None
    metadata: bytes | None
    checksum: str | bool


def checked_upload(
    *,
    content_type: object = None,
    upsert: bool = False,
    cache_control: object = None,
    metadata: object = None,
    checksum: object = False,
) -> Upload | AeroDBError:
    """Check what can be checked without the file."""
    problem = _content_type(content_type) or _cache_control(cache_control) or _checksum(checksum)
    if metadata is not None and not isinstance(metadata, Mapping):
        problem = f"metadata must be a mapping, not {type(metadata).__name__}"
    if problem is not None:
        hint = _OPTIONS if isinstance(content_type, Mapping) else None
        return client_error("INVALID_ARGUMENT", problem, hint=hint)
    try:
        data = None if metadata is None else dumps(metadata)
    except BadValue as error:
        return client_error(error.code, error.message, hint=error.hint)
    said = None if cache_control is None else str(cache_control)
    seconds = said is not None and said.isdigit()
    return Upload(
        content_type=content_type if isinstance(content_type, str) else None,
        upsert=bool(upsert),
        cache_seconds=said if seconds else None,
        cache_header=None if seconds else said,
        metadata=data,
        checksum=checksum.lower() if isinstance(checksum, str) else bool(checksum),
    )


def _content_type(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.match(r"[!-~]+/[!-~]+", value):
        given = ascii(value)[:80] if isinstance(value, str) else type(value).__name__
        return f"content_type must be a MIME type like 'image/png', not {given}"
    return header_problem("Content-Type", value)


def _cache_control(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return None
    if not isinstance(value, str) or not value:
        return "cache_control must be seconds, or the text of a Cache-Control header"
    return header_problem("Cache-Control", value)


def _checksum(value: object) -> str | None:
    if isinstance(value, bool) or (
        isinstance(value, str) and re.fullmatch(r"[0-9A-Fa-f]{64}", value)
    ):
        return None
    return "checksum must be True, or the file's SHA-256 as 64 hexadecimal digits"


def upload_form(upload: Upload, boundary: str, path: str, guessed: str) -> Form:
    """The form that carries the file."""
    return form(
        boundary,
        file_name=last_segment(path),
        content_type=upload.content_type or guessed,
        cache_seconds=upload.cache_seconds,
        metadata=upload.metadata,
    )


def upload_call(
    bucket: str,
    path: str,
    upload: Upload,
    carrier: Form,
    body: Body,
    *,
    replace: bool = False,
    token: str | None = None,
    checksum: str | None = None,
    timeout: float | None = None,
) -> Call[Any]:
    """POST the object; PUT it if it is to replace one; PUT by a token, as nobody (§5.4).

    What may be written twice with the same effect may be sent again after any failure.
    """
    headers = [("Content-Type", carrier.content_type)]
    if upload.upsert:
        headers.append(("x-upsert", "true"))
    if upload.cache_header is not None:
        headers.append(("Cache-Control", upload.cache_header))
    if checksum is not None:
        headers.append(("x-checksum-sha256", checksum))
    again = replace or (upload.upsert and token is None)
    url = object_url(bucket, path, "" if token is None else "upload/sign")
    if token is not None:
        url = f"{url}?token={quote_segment(token)}"
    return Call(
        "PUT" if replace or token is not None else "POST",
        url,
        object_decoder(bucket, path),
        headers=tuple(headers),
        body=body,
        retry=Retry.IDEMPOTENT if again else Retry.UNSENT,
        timeout=timeout,
        idle=IDLE_SECONDS,
        identity="session" if token is None else "nobody",
        secrets=() if token is None else (token,),
    )


def unstored(complete: bool, sent: int, said: int | None) -> AeroDBError | None:
    """Why an upload that was answered as stored is not what was to be stored (reliability S2).

    `said` is the size that the server tells of, if it does.
    """
    if not complete:
        message = "the server said that the object is stored before it had all of it"
    elif said not in (None, sent):
        message = f"the server says that it has stored {said} bytes, and was sent {sent}"
    else:
        return None
    return client_error("INVALID_RESPONSE", message, hint="look at what is stored, or upload again")


def upload_token_problem(token: object) -> str | None:
    """Say why a token cannot be one, never showing it."""
    return token_problem(token, "token")


def timeout_problem(timeout: object) -> str | None:
    """Say why a transfer cannot have this total time; None is none at all."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        return "timeout must be a number of seconds above 0, or None for no limit"
    return None if timeout <= 10**6 else "timeout must be at most 1,000,000 seconds"
