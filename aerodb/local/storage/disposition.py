"""How an object is shown in a browser: attachment names, and what must not run (S14, D8)."""

from __future__ import annotations

import re
from urllib.parse import quote

from aerodb.local.replies import Header

# RFC 9110 §5.6.2 (token) with RFC 5987's attr-char: what needs no escape in `filename*`.
_PLAIN = "!#$&+-.^_`|~"
_UNQUOTABLE = re.compile(r'[^\x20-\x7e]|["\\%]')
# All that browsers take for HTML or XML (WHATWG MIME Sniffing, "XML MIME type"), and what some
# of them may: style sheets, the pieces of documents of RFC 7303, and what has such documents as its
# parts, each of which Firefox shows in the place of the one before.
_ACTIVE = re.compile(
    r"[^;]+\+xml|[^;]+/(?:html|xml|xsl|xslt|xml-dtd|xml-external-parsed-entity)"
    r"|multipart/[^;]+",
    re.IGNORECASE,
)


def attachment(name: str) -> bytes:
    """Return the value of Content-Disposition that saves under `name` (RFC 6266, RFC 5987).

    The plain `filename` is for old programs: characters that it cannot hold become `_`.
    """
    plain = _UNQUOTABLE.sub("_", name)
    value = f'attachment; filename="{plain}"'
    if plain != name:
        value += f"; filename*=UTF-8''{quote(name, safe=_PLAIN)}"
    return value.encode("ascii")


def is_active(content_type: str) -> bool:
    """Whether a browser would run what stands in a document of this type."""
    return _ACTIVE.fullmatch(content_type.partition(";")[0].strip()) is not None


def safety_headers(content_type: str) -> list[Header]:
    """Return what keeps an object from being taken for a page of this server (S14)."""
    headers: list[Header] = [(b"x-content-type-options", b"nosniff")]
    if is_active(content_type):
        headers.append((b"content-security-policy", b"sandbox"))
    return headers
