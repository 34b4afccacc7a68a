"""What a function is sent: bodies, query, path, form data (wire-contract §6)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from aerodb._core import json
from aerodb._core.url import quote_segment, segment_problem
from aerodb._core.values import BadValue

__all__ = ["Parts", "Unread", "encoded", "form", "query_text", "sub_path"]

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
_MEDIA_TYPE = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[ -~]+"


class Unread(NamedTuple):
    """What is still to be opened, and read while it is sent: a path, a file, an iterator."""

    source: Any


Parts = tuple[bytes | Unread, ...]
"""A body that is read while it is sent, piece after piece."""

Encoded = tuple[bytes | Parts | None, str | None]


def encoded(body: Any) -> Encoded:
    """A body and its Content-Type, by its Python type. Raises `BadValue`."""
    if body is None:
        return None, None
    if isinstance(body, (bytes, bytearray, memoryview)):
        return bytes(body), BYTES
    if isinstance(body, str):
        return _utf8(body, "body"), TEXT
    if _is_read(body):
        return (Unread(body),), BYTES
    try:
        return json.dumps(body), JSON
    except BadValue as problem:
        raise BadValue(f"body: {problem.message}") from None


def _is_read(body: Any) -> bool:
    """Whether it is read as it is sent. A list is not: it is JSON."""
    return (
        isinstance(body, os.PathLike)
        or callable(getattr(body, "read", None))
        or hasattr(body, "__aiter__")
        or hasattr(body, "__next__")
    )


def _utf8(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadValue(f"{what}: the text has a lone surrogate, expected text") from None


# --- form data (RFC 7578) ---------------------------------------------------------------------


def form(fields: Any, files: Any, boundary: str) -> Encoded:
    """`multipart/form-data` of plain fields and files.

    A file is its content, `(file name, content)` or `(file name, content, media type)`, or a list
    of those. Raises `BadValue`.
    """
    if fields is not None and not isinstance(fields, Mapping):
        raise BadValue("body: with files= it must be a mapping of form fields")
    if not isinstance(files, Mapping):
        raise BadValue(f"files: {type(files).__name__} was given, expected a mapping")
    parts: list[bytes | Unread] = []
    for name, value in (fields or {}).items():
        for item in value if isinstance(value, (list, tuple)) else (value,):
            parts += _part(boundary, _disposition(name), None, _field(item, name))
    for name, value in files.items():
        for item in value if isinstance(value, list) else (value,):
            parts += _file(boundary, name, item)
    parts.append(f"--{boundary}--\r\n".encode())
    return _joined(parts), f"multipart/form-data; boundary={boundary}"


def _joined(parts: list[bytes | Unread]) -> bytes | Parts:
    """Bytes that follow one another together; those alone if there is nothing to read."""
    found: list[bytes | Unread] = []
    run: list[bytes] = []
    for part in parts:
        if isinstance(part, bytes):
            run.append(part)
        else:
            found += [b"".join(run), part]
            run = []
    last = b"".join(run)
    return (*found, last) if found else last


def _field(value: Any, name: Any) -> bytes:
    if isinstance(value, str):
        return _utf8(value, f"body[{name!a}]")
    try:
        return json.dumps(value)
    except BadValue as problem:
        raise BadValue(f"body[{name!a}]: {problem.message}") from None


def _file(boundary: str, name: Any, item: Any) -> list[bytes | Unread]:
    given = item if isinstance(item, tuple) else (_own_name(item, name), item)
    if not 2 <= len(given) <= 3:
        raise BadValue(
            f"files[{name!a}]: expected the content, (name, content) or (name, content, type)"
        )
    file_name, content, media_type = (*given, BYTES)[:3]
    if not isinstance(media_type, str) or not re.fullmatch(_MEDIA_TYPE, media_type):
        raise BadValue(f"files[{name!a}]: {media_type!a} is no media type")
    return _part(boundary, _disposition(name, file_name), media_type, _content(content, name))


def _content(content: Any, name: Any) -> bytes | Unread:
    if isinstance(content, str):
        return _utf8(content, f"files[{name!a}]")
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    if _is_read(content):
        return Unread(content)
    raise BadValue(
        f"files[{name!a}]: {type(content).__name__} was given, expected bytes, a path, a file "
        "opened in binary mode, or an iterator of bytes"
    )


def _own_name(content: Any, name: Any) -> str:
    """What a file without a name is called: as it is on the disk, or as its field."""
    own: Any = content if isinstance(content, os.PathLike) else getattr(content, "name", None)
    return os.path.basename(os.fsdecode(own)) if isinstance(own, (str, os.PathLike)) else str(name)


def _part(
    boundary: str, disposition: bytes, media_type: str | None, content: bytes | Unread
) -> list[bytes | Unread]:
    kind = b"" if media_type is None else f"Content-Type: {media_type}\r\n".encode()
    head = b"--%b\r\n%b%b\r\n" % (boundary.encode(), disposition, kind)
    return [head, content, b"\r\n"]


def _disposition(name: Any, file_name: Any = None) -> bytes:
    text = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    if file_name is not None:
        text += f'; filename="{_quoted(file_name)}"'
    return _utf8(text, "files") + b"\r\n"


def _quoted(name: Any) -> str:
    """As browsers write it (WHATWG HTML, "multipart form data"): no name can end its header."""
    if not isinstance(name, str):
        raise BadValue(f"files: the name {name!a} was given, expected a str")
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


# --- the URL ----------------------------------------------------------------------------------


def sub_path(path: Any) -> str:
    """`a/b` as `/a/b`, each segment encoded (wire-contract §1.9 S9). Raises `BadValue`."""
    if not isinstance(path, str):
        raise BadValue(f"path: {type(path).__name__} was given, expected a str")
    trimmed = path.removeprefix("/")
    if not trimmed:
        return ""
    *segments, last = trimmed.split("/")
    if last:
        segments.append(last)
    for segment in segments:
        problem = segment_problem(segment, "a segment of path")
        if problem:
            raise BadValue(problem)
    return "".join(f"/{quote_segment(segment)}" for segment in segments) + ("" if last else "/")


def query_text(query: Any, more: Iterable[tuple[str, str]] = ()) -> str:
    """`?a=1&b=2`, or nothing. A list repeats its parameter, None leaves it out."""
    pairs = [*_pairs(query), *more]
    if not pairs:
        return ""
    return "?" + "&".join(f"{_escaped(name)}={_escaped(value)}" for name, value in pairs)


def _pairs(query: Any) -> Iterable[tuple[str, str]]:
    if query is None:
        return
    if not isinstance(query, Mapping):
        raise BadValue(f"query: {type(query).__name__} was given, expected a mapping")
    for name, value in query.items():
        if not isinstance(name, str):
            raise BadValue(f"query: the name {name!a} was given, expected a str")
        for item in value if isinstance(value, (list, tuple)) else (value,):
            if item is not None:
                yield name, _parameter(name, item)


def _parameter(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        written = json.dumps(value)
    except BadValue as problem:
        raise BadValue(f"query[{name!a}]: {problem.message}") from None
    text = written.decode()
    return text[1:-1] if text.startswith('"') else text


def _escaped(text: str) -> str:
    _utf8(text, "query")
    return quote_segment(text)
