"""Keeps secrets out of everything a person may read (wire-contract §1.9 S7).

Patterns are compiled when first used (`re` keeps them): errors are rare, imports are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NoReturn

MASK = "***"

SECRET_HEADERS = frozenset(
    {"authorization", "apikey", "cookie", "set-cookie", "proxy-authorization", "x-signature"}
)
SECRET_QUERY = frozenset({"token", "apikey", "access_token", "refresh_token"})
SECRET_MEMBERS = frozenset(
    {"password", "current_password", "new_password", "access_token", "refresh_token", "token"}
    | {"apikey", "authorization"}
)

_MAX_DEPTH = 128
_TAIL = 4  # S7: at most the last four characters may show
_SHORTEST_WITH_TAIL = 16  # of a shorter secret they would tell too much
_SHORTEST_SECRET = 6  # masking "a" everywhere would only make texts unreadable

# The words without which a pattern cannot match (most texts have none), and the pattern. Each
# leaves group 1 standing, and is linear in time on hostile texts: a run of characters has one
# place where a match can begin.
_SHAPES = (
    (("bearer",), r"(?i)(\bbearer\s+)[^\s\"',;]+"),
    (
        ("token=", "apikey="),
        r"(?i)([?&](?:token|apikey|access_token|refresh_token)=)[^&#\s\"']+",
    ),
    (
        ("password", "token", "apikey"),
        r"(?i)(\"(?:password|current_password|new_password|access_token|refresh_token|token|apikey)"
        r"\"\s*:\s*\")(?:[^\"\\]|\\.)*",
    ),
    (("eyj",), r"()(?<![\w-])eyJ[\w-]{4,}\.[\w-]+\.[\w-]*"),
    (("aero_",), r"(\baero_[sp]k_)[\w-]+"),
    (("@",), r"(\b[a-z][a-z0-9+.-]{0,20}://)[^/\s\"']*(?=@)"),
)


class Secret:
    """A text that shows in no repr, log or pickle. `reveal()` gives it out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text itself, for the one place that sends it."""
        return self._value

    def __str__(self) -> str:
        tail = self._value[-_TAIL:] if len(self._value) >= _SHORTEST_WITH_TAIL else ""
        return MASK + tail

    def __repr__(self) -> str:
        return f"Secret('{self}')"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        # copy, deepcopy and pickle all come here (reliability C3).
        raise TypeError(
            "a secret is neither copied nor pickled: make a client where it is needed, "
            "from the environment for example"
        )


def redact_url(url: str) -> str:
    """Return `url` with the userinfo and the values of secret query parameters masked."""
    return redact_text(_mask_query(_mask_userinfo(url)))


def _mask_userinfo(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    end = min((at for mark in "/?#" if (at := rest.find(mark)) >= 0), default=len(rest))
    at = rest.rfind("@", 0, end)
    return url if at < 0 else f"{scheme}://{MASK}{rest[at:]}"


def _mask_query(url: str) -> str:
    head, mark, query = url.partition("?")
    if not mark:
        return url
    query, hash_mark, fragment = query.partition("#")
    parts = [_mask_parameter(part) for part in query.split("&")]
    return f"{head}?{'&'.join(parts)}{hash_mark}{fragment}"


def _mask_parameter(part: str) -> str:
    name, equals, _ = part.partition("=")
    return f"{name}={MASK}" if equals and name.lower() in SECRET_QUERY else part


def redact_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return the headers as text, the values of secret ones masked."""
    pairs = ((name.decode("latin-1"), value) for name, value in headers)
    return [
        (name, MASK if name.lower() in SECRET_HEADERS else redact_text(value.decode("latin-1")))
        for name, value in pairs
    ]


def redact_json(value: Any, secrets: Iterable[str] = (), *, depth: int = _MAX_DEPTH) -> Any:
    """Return a copy of a decoded JSON value whose secret members are masked, at any depth."""
    if isinstance(value, str):
        return redact_text(value, secrets)
    if not isinstance(value, dict | list):
        return value
    if depth <= 0:
        return MASK
    if isinstance(value, list):
        return [redact_json(item, secrets, depth=depth - 1) for item in value]
    return {
        redact_text(str(name), secrets): (
            MASK
            if str(name).lower() in SECRET_MEMBERS and item is not None
            else redact_json(item, secrets, depth=depth - 1)
        )
        for name, item in value.items()
    }


def redact_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask the given secrets, and whatever looks like a token, in a text."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    lowered = text.lower()
    for words, shape in _SHAPES:
        if any(word in lowered for word in words):
            text = re.sub(shape, rf"\g<1>{MASK}", text)
    return text
