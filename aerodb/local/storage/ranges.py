"""Conditional requests and ranges (RFC 9110 §13 and §14), as plain decisions about headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

_RANGE = re.compile(r"bytes=\s*([0-9]*)-([0-9]*)\s*", re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?"[^"]*"')
_BEYOND = "1" + "0" * 18
_MAXIMUM_TAGS = 100


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes from `start` on, `length` of them."""

    start: int
    length: int

    def header(self, size: int) -> bytes:
        """The value of Content-Range."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}".encode()


class Unsatisfiable(Exception):
    """None of the bytes that were asked for exists."""


def not_modified(headers: Mapping[str, str], etag: str, changed: datetime) -> bool:
    """Whether the caller has this already (RFC 9110 §13.1.2, §13.1.3)."""
    tags = headers.get("if-none-match")
    if tags is not None:
        return matches(tags, etag, weak=True)
    since = _date(headers.get("if-modified-since"))
    return since is not None and _seconds(changed) <= since


def matches(tags: str, etag: str, *, weak: bool = False) -> bool:
    """Whether a list of entity tags, or `*`, has `etag`; weak tags count only if `weak`."""
    if tags.strip() == "*":
        return True
    found = _TAG.findall(tags)[:_MAXIMUM_TAGS]
    return any((tag.removeprefix("W/") if weak else tag) == etag for tag in found)


def wanted_span(headers: Mapping[str, str], size: int, etag: str, changed: datetime) -> Span | None:
    """Return the one range that was asked for, None for the whole; may raise Unsatisfiable.

    A header that is not understood, or that asks for several ranges, is ignored (RFC 9110 §14.2,
    wire contract §5.2).
    """
    value = headers.get("range")
    if value is None or not _unchanged(headers.get("if-range"), etag, changed):
        return None
    found = _RANGE.fullmatch(value)
    if found is None or found[1] + found[2] == "":
        return None
    if found[1] == "":
        length = min(_position(found[2]), size)
        return _checked(Span(size - length, length), size)
    first = _position(found[1])
    last = min(_position(found[2]) if found[2] else size - 1, size - 1)
    if found[2] and _is_less(found[2], found[1]):
        return None  # RFC 9110 §14.1.1: not valid, so it says nothing
    return _checked(Span(first, last - first + 1), size)


def _position(digits: str) -> int:
    """A number of any length; one that no file reaches is as good as another."""
    return int(digits.lstrip("0") or 0) if _is_less(digits, _BEYOND) else int(_BEYOND)


def _is_less(one: str, other: str) -> bool:
    """Compare numbers as texts: Python reads no number of thousands of digits."""
    one, other = one.lstrip("0"), other.lstrip("0")
    return (len(one), one) < (len(other), other)


def _checked(span: Span, size: int) -> Span:
    if span.length <= 0 or span.start >= size:
        raise Unsatisfiable
    return span


def _unchanged(condition: str | None, etag: str, changed: datetime) -> bool:
    """If-Range (RFC 9110 §13.1.5): a strong tag, or a date that must fit exactly."""
    if condition is None:
        return True
    text = condition.strip()
    if text.startswith(('"', "W/")):
        return text == etag
    return _date(text) == _seconds(changed)


def _date(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = parsedate_to_datetime(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _seconds(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def http_date(moment: datetime) -> bytes:
    """Return a date as HTTP writes it."""
    return format_datetime(_seconds(moment), usegmt=True).encode()
