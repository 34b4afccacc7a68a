"""The headers of tus 1.0.0 (its specification, "Core Protocol" and "Protocol Extensions")."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Any

from aerodb.local.storage.body import cache_control, content_type
from aerodb.local.storage.errors import StorageError, invalid
from aerodb.local.storage.http import Request, metadata
from aerodb.local.storage.names import bucket_segment, object_key

VERSION = b"1.0.0"
EXTENSIONS = b"creation,termination,expiration,checksum"
CONTENT_TYPE = "application/offset+octet-stream"
ALGORITHMS = ("sha1", "sha256", "sha512", "md5")
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the creation of an upload says; `text` is Upload-Metadata as it came."""

    bucket: str
    key: str
    length: int
    content_type: str
    cache_control: str | None
    metadata: dict[str, Any] = field(repr=False)
    text: str = field(repr=False)


def check_version(request: Request) -> None:
    """Raise unsupported_tus_version unless the request is of our version."""
    if request.headers.get("tus-resumable") != VERSION.decode():
        raise StorageError(
            "unsupported_tus_version",
            "Tus-Resumable must be 1.0.0",
            headers=((b"tus-version", VERSION),),
        )


def announcement(request: Request) -> Announcement:
    """Read Upload-Length and Upload-Metadata."""
    length = _number(request, "upload-length")
    text = request.headers.get("upload-metadata", "")
    values = _pairs(text)
    given = values.get("metadata")
    return Announcement(
        bucket_segment(values.get("bucketName", "")),
        object_key(values.get("objectName")),
        length,
        content_type(values.get("contentType", "")),
        cache_control(values.get("cacheControl")),
        metadata(given) if given else {},
        text,
    )


def offset(request: Request) -> int:
    """Read Upload-Offset."""
    return _number(request, "upload-offset")


def upload_checksum(request: Request) -> dict[str, bytes]:
    """Read Upload-Checksum, for `Intake.take`."""
    value = request.headers.get("upload-checksum")
    if value is None:
        return {}
    algorithm, _, encoded = value.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise invalid(f"the algorithm of Upload-Checksum must be one of {', '.join(ALGORITHMS)}")
    return {algorithm: _decoded(encoded.strip(), "Upload-Checksum")}


def _number(request: Request, name: str) -> int:
    value = request.headers.get(name, "")
    if not (value.isascii() and value.isdigit() and len(value) <= _DIGITS):
        raise invalid(f"{name.title()} must be a whole number")
    return int(value)


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in text.split(",") if text else ():
        key, _, encoded = pair.strip().partition(" ")
        if not key or key in found:
            raise invalid("Upload-Metadata is malformed")
        try:
            found[key] = _decoded(encoded, "Upload-Metadata").decode("utf-8")
        except UnicodeDecodeError:
            raise invalid("Upload-Metadata is not UTF-8") from None
    return found


def _decoded(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid(f"{where} is not base64") from None
