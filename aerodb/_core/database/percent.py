"""Percent-encoding: the one place where text becomes part of a URL (wire-contract §1.9 S9)."""

from __future__ import annotations

import re

from aerodb._core.values import BadValue

__all__ = ["percent", "safe", "segment"]

safe = re.compile(r"[A-Za-z0-9._~-]*").fullmatch
"""Whether a text goes into a URL as it is."""
_NAME = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*").fullmatch
_BYTES = [
    chr(byte) if safe(chr(byte)) and byte < 128 else f"%{byte:02X}" for byte in range(256)
].__getitem__


def percent(text: str) -> str:
    """`text` with everything but `A-Za-z0-9-._~` percent-encoded.

    NUL and lone surrogates are refused: PostgreSQL holds neither.
    """
    if safe(text):
        return text
    if "\0" in text:
        raise BadValue(
            f"text with a NUL character at {text.index(chr(0))} was given, "
            "expected text that PostgreSQL can hold"
        )
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise BadValue(
            f"text with a lone surrogate (U+{ord(text[error.start]):04X} at {error.start}) "
            "was given, expected text that UTF-8 can hold"
        ) from None
    return "".join(map(_BYTES, data))


def segment(name: object, what: str, refused: str) -> str:
    """A name as one path segment. What could leave the segment is refused, not encoded."""
    if isinstance(name, str) and _NAME(name):
        return name
    if not isinstance(name, str):
        raise BadValue(f"{what}: {type(name).__name__} was given, expected a str")
    if not name:
        raise BadValue(f"{what}: an empty str was given, expected a name")
    bad = name in (".", "..") or any(c < " " or c == "\x7f" or c in refused for c in name)
    if bad:
        raise BadValue(f"{what}: {name!a} was given, expected a name without any of {refused}")
    return percent(name)
