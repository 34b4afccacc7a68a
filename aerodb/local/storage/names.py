"""Names of buckets and objects, and how they are read from a raw path (wire contract §1.9 S9, S10).

A path is split at its slashes before anything is decoded, and decoded once. What would turn into
something else if a proxy or a program further on decoded it again is refused.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from urllib.parse import quote, unquote_to_bytes

from aerodb.local.storage.errors import StorageError

MAXIMUM_KEY_BYTES = 1024
RESERVED = frozenset(
    (
        *("public", "sign", "info", "list", "list-v2", "move", "copy"),
        *("upload", "authenticated", "exists"),
    )
)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_HIDDEN_DELIMITER = re.compile(rb"%(?:2f|5c|00)", re.IGNORECASE)
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")


def bucket_name(value: object) -> str:
    """Return `value` if a bucket may be called that, or raise invalid_bucket_name."""
    if not isinstance(value, str) or not _BUCKET.fullmatch(value):
        message = (
            "A bucket name has 3 to 63 characters: lower-case letters, digits, '.', '_' and '-', "
            "and begins and ends with a letter or digit"
        )
        raise StorageError("invalid_bucket_name", message)
    if value in RESERVED:
        raise StorageError("invalid_bucket_name", f"A bucket cannot be called '{value}'")
    return value


def segments(raw_path: bytes) -> list[str]:
    """Return the decoded segments of a raw path, which begins with a slash, or raise invalid_path.

    The segments themselves are looked at by whoever uses them; a trailing slash is an empty one.
    """
    return [_decoded(part) for part in raw_path.split(b"/")[1:]]


def _decoded(part: bytes) -> str:
    if _BAD_PERCENT.search(part):
        raise _invalid("a percent sign must be followed by two hexadecimal digits")
    if _HIDDEN_DELIMITER.search(part):
        raise _invalid("%2F, %5C and %00 are not allowed")
    try:
        return unquote_to_bytes(part).decode("utf-8")
    except UnicodeDecodeError:
        raise _invalid("it is not UTF-8") from None


def object_key(value: object) -> str:
    """Return `value` if an object may be called that, or raise invalid_path."""
    if not isinstance(value, str) or value == "":
        raise _invalid("it is empty")
    return joined(value.split("/"))


def joined(parts: Sequence[str]) -> str:
    """Return the key that decoded segments make, or raise invalid_path."""
    key = "/".join(parts)
    if len(_encoded(key)) > MAXIMUM_KEY_BYTES:
        raise _invalid(f"it is longer than {MAXIMUM_KEY_BYTES} bytes")
    if not parts:
        raise _invalid("it is empty")
    for part in parts:
        _check(part)
    return key


def prefix(value: object) -> str:
    """Return `value` if keys may begin with that: the last segment may be cut short or empty."""
    if not isinstance(value, str):
        raise _invalid("a prefix must be a string")
    *folders, last = value.split("/")
    if len(_encoded(value)) > MAXIMUM_KEY_BYTES:
        raise _invalid(f"it is longer than {MAXIMUM_KEY_BYTES} bytes")
    for part in folders:
        _check(part)
    if _FORBIDDEN.search(last):
        raise _invalid("control characters and backslashes are not allowed")
    return value


def end_of(start: str) -> str:
    """Return what all keys that begin with `start` are below of, and no smaller key is.

    Keys are compared by code points, as PostgreSQL's collation "C" does in UTF-8.
    """
    while start:
        start, last = start[:-1], ord(start[-1])
        if last < sys.maxunicode:
            return start + chr(0xE000 if last == 0xD7FF else last + 1)
    return chr(sys.maxunicode) * MAXIMUM_KEY_BYTES


def bucket_segment(value: str) -> str:
    """Return the bucket that a path names: any harmless segment, there need be no such bucket."""
    _check(value)
    return value


def _check(part: str) -> None:
    """A segment must be harmless, however often it is decoded."""
    raw = _encoded(part)
    while True:
        text = raw.decode("utf-8", "replace")
        if text == "":
            raise _invalid("an empty segment is not allowed")
        if text in (".", ".."):
            raise _invalid("'.' and '..' are not allowed")
        if _FORBIDDEN.search(text):
            raise _invalid("control characters and backslashes are not allowed")
        if not _ESCAPE.search(raw):
            return
        raw = unquote_to_bytes(raw)
        if b"/" in raw:
            raise _invalid("a slash that is encoded twice is not allowed")


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise _invalid("it is not Unicode") from None


def _invalid(reason: str) -> StorageError:
    return StorageError("invalid_path", f"Invalid path: {reason}")


def url_path(bucket: str, key: str) -> str:
    """Return `bucket/key` for a URL; everything but `A-Za-z0-9-._~` is escaped."""
    return "/".join(quote(part, safe="") for part in (bucket, *key.split("/")))
