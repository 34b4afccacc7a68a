"""Names of buckets and objects, checked before they are sent, and put into URLs (S9, S10).

Both ends refuse the same names, so that what one of them resolves (`a/../b`) or decodes twice
(`%2e%2e`) is never a name at all. What is allowed goes out exactly as given: no Unicode
normalisation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from os import PathLike
from pathlib import PurePath
from typing import Any
from urllib.parse import unquote_to_bytes

from aerodb._core.url import quote_segment, segment_problem

ROOT = "/storage/v1"
MAX_NAME_BYTES = 1024  # wire-contract S10

_NEW_BUCKET = r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]"  # wire-contract §5.1
# The first segment behind /object/ of other routes: a bucket of such a name would shadow them.
_RESERVED = frozenset(
    {"public", "sign", "info", "list", "list-v2", "move", "copy", "upload"}
    | {"authenticated", "exists"}
)
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_BAD = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


def bucket_problem(bucket: object) -> str | None:
    """Say why no bucket can have this name, on any server; None if one can."""
    problem = segment_problem(bucket, "bucket")
    if problem is not None:
        return problem
    assert isinstance(bucket, str)
    if "/" in bucket or "\\" in bucket:
        return f"bucket {bucket[:80]!a} has a slash or a backslash: a bucket is one name"
    if bucket in _RESERVED:
        return f"bucket must not be {bucket!r}: that is a part of other URLs"
    return _segment_problem(bucket, bucket, "bucket")


def new_bucket_problem(bucket: object) -> str | None:
    """The same for a bucket that is to be made: there is a rule for those (wire-contract §5.1)."""
    problem = bucket_problem(bucket)
    if problem is not None:
        return problem
    assert isinstance(bucket, str)
    if not re.fullmatch(_NEW_BUCKET, bucket):
        return (
            f"bucket {bucket[:80]!a} must have 3 to 63 of a-z, 0-9, '.', '_' and '-', "
            "with a letter or digit at both ends"
        )
    return None


def object_problem(path: object, what: str = "path") -> str | None:
    """Say why no object can have this name (wire-contract S10); None if one can."""
    if not isinstance(path, str):
        return f"{what} must be a str, not {type(path).__name__}"
    if not path:
        return f"{what} must not be empty"
    problem = _text_problem(path, what)
    if problem is not None:
        return problem
    return _segments_problem(path.split("/"), path, what)


def prefix_problem(prefix: object, what: str = "prefix") -> str | None:
    """The same for the beginning of a name, which may be empty or end anywhere."""
    if not isinstance(prefix, str):
        return f"{what} must be a str, not {type(prefix).__name__}"
    folders = prefix.split("/")[:-1]
    return _text_problem(prefix, what) or _segments_problem(folders, prefix, what)


def _text_problem(text: str, what: str) -> str | None:
    if _BAD.search(text):
        return f"{what} {text[:80]!a} has a control character, a backslash or a lone surrogate"
    size = len(text.encode())
    if size > MAX_NAME_BYTES:
        return f"{what} has {size} bytes, more than {MAX_NAME_BYTES}"
    return None


def _segments_problem(segments: list[str], path: str, what: str) -> str | None:
    for segment in segments:
        problem = _segment_problem(segment, path, what)
        if problem is not None:
            return problem
    return None


def _segment_problem(segment: str, path: str, what: str) -> str | None:
    """A segment must be harmless, however often a proxy or a program further on decodes it."""
    if not segment:
        return f"{what} {path[:80]!a} has an empty segment: no leading, trailing or double '/'"
    if segment in {".", ".."}:
        return f"{what} {path[:80]!a} has the segment {segment!r}: it would name another path"
    raw = segment.encode()
    while _ESCAPE.search(raw):
        raw = unquote_to_bytes(raw)
        text = raw.decode("utf-8", "replace")
        if text in {".", ".."} or "/" in text or _BAD.search(text):
            return f"{what} {path[:80]!a} would name another path to whoever decodes it once more"
    return None


def listed(paths: object) -> list[Any] | None:
    """Several names, or one by itself, as a list; None for what is neither."""
    if isinstance(paths, str):
        return [paths]
    if isinstance(paths, bytes) or not isinstance(paths, Iterable):
        return None
    return [*paths]


def clash_of_targets(pairs: Iterable[tuple[Any, Any]]) -> str | None:
    """Say which two objects would be written to one file; None if none would."""
    takers: dict[PurePath, Any] = {}
    for name, target in pairs:
        named = target.__fspath__() if isinstance(target, PathLike) else target
        if not isinstance(named, str):
            continue
        file = PurePath(named)
        other = takers.setdefault(file, name)
        if other != name:
            return f"{other!r} and {name!r} cannot both be written to {str(file)!r}"
    return None


def quote_path(path: str) -> str:
    """Percent-encode an object's name, segment by segment; the slashes stay."""
    return "/".join([quote_segment(segment) for segment in path.split("/")])


def bucket_url(bucket: str, tail: str = "") -> str:
    """The `Call.path` of a bucket."""
    return f"{ROOT}/bucket/{quote_segment(bucket)}{tail}"


def object_url(bucket: str, path: str, route: str = "") -> str:
    """The `Call.path` of an object; `route` is `public`, `info`, `sign`, ... or nothing."""
    middle = f"{route}/" if route else ""
    return f"{ROOT}/object/{middle}{quote_segment(bucket)}/{quote_path(path)}"


def last_segment(path: str) -> str:
    """An object's name without its folders."""
    return path.rpartition("/")[2]
