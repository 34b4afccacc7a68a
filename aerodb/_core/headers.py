"""Checks and builds request headers (wire-contract §1.2).

Everything that does not change from call to call is encoded once per client; a call only copies
a list and appends. HTTP libraries put a bad header's value into their exception text, the key
included (reliability X14), so nothing bad may get as far as them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from aerodb._core.http import AnyCall, HeaderList
from aerodb._core.redact import Secret

_REFUSED = {
    "host": "it follows from the URL",
    "content-length": "it follows from the body",
    "transfer-encoding": "it follows from the body",
    "connection": "the connection is the client's",
    "accept-encoding": "the client asks for what it can decode",
    "cookie": "this client sends no cookies",
}
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 §5.6.2
_BAD_IN_VALUE = r"[\x00-\x08\x0a-\x1f\x7f]|^[ \t]|[ \t]\Z"  # RFC 9110 §5.5
MAX_TOKEN = 16 * 1024
_JWT = r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"

# They take credentials in the body; an expired bearer must not break them.
_NO_BEARER = frozenset(
    f"/auth/{name}"
    for name in ("login", "signup", "refresh", "forgot-password", "reset-password", "verify-email")
)
_JSON_ROOTS = ("/auth/", "/rest/v1/")
_CREDENTIALS = frozenset({b"authorization", b"apikey"})


def header_problem(name: object, value: object) -> str | None:
    """Say why a user's header cannot be sent, never echoing its value; None if it can."""
    if not isinstance(name, str) or not isinstance(value, str):
        kinds = f"{type(name).__name__}: {type(value).__name__}"
        return f"a header must be a pair of str, not {kinds}"
    if not re.fullmatch(_NAME, name):
        return f"header name {name[:60]!a} has a character that is not allowed"
    if name.lower() in _REFUSED:
        return f"header {name!r} cannot be set: {_REFUSED[name.lower()]}"
    if value.isascii() and value.isprintable() and value == value.strip():
        return None  # nearly all of them, at a tenth of the cost
    if re.search(_BAD_IN_VALUE, value):
        return f"the value of header {name!r} has a control character or outer white space"
    if any(ch > "\xff" for ch in value):
        return f"the value of header {name!r} has a character outside Latin-1"
    return None


def headers_problem(headers: object) -> str | None:
    """As `header_problem`, for a whole `headers=` argument; None is a right one."""
    if headers is None:
        return None
    if not isinstance(headers, Mapping):
        return f"headers must be a mapping of str to str, not {type(headers).__name__}"
    problems = (header_problem(name, value) for name, value in headers.items())
    problem = next((problem for problem in problems if problem), None)
    if problem is None and len({name.lower() for name in headers}) < len(headers):
        return "a header is there twice, in capitals and in small letters"
    return problem


def token_problem(token: object, what: str) -> str | None:
    """Say why a key or token cannot be sent, never echoing it; None if it can."""
    if not isinstance(token, str):
        return f"{what} must be a str, not {type(token).__name__}"
    if not token:
        return f"{what} must not be empty"
    # The methods of str, as every call asks this of its bearer: 40 times faster than a loop.
    if " " in token or not (token.isascii() and token.isprintable()):
        return f"{what} has white space, a control character or one outside ASCII"
    if len(token) > MAX_TOKEN:
        return f"{what} has more than {MAX_TOKEN} characters"
    return None


def clean_key(key: str | Secret | None, what: str = "key") -> Secret | None:
    """Strip a key's outer white space (files end in a newline) and check the rest.

    Raises TypeError or ValueError, which never show the key.
    """
    if key is None:
        return None
    text = key.reveal() if isinstance(key, Secret) else key
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str or None, not {type(key).__name__}")
    text = text.strip()
    problem = token_problem(text, what)
    if problem:
        raise ValueError(f"{problem} (outer white space is stripped; the value is not shown)")
    return Secret(text)


def is_jwt_shaped(token: str) -> bool:
    """Whether a key has three base64url parts (wire-contract §1.2)."""
    return re.fullmatch(_JWT, token) is not None


class ClientHeaders:
    """The headers that a client sends along, encoded once. Its repr shows no value."""

    __slots__ = (
        "_given",
        "_json",
        "_key",
        "_key_bearer",
        "_names",
        "_plain",
        "_user_bearer",
        "_version",
    )

    def __init__(
        self,
        *,
        version: str,
        key: Secret | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Raise TypeError or ValueError for a wrong `headers`."""
        problem = headers_problem(headers)
        if problem:
            raise (ValueError if isinstance(headers, Mapping) else TypeError)(problem)
        client = f"aerodb-py/{version}".encode("ascii")
        base: HeaderList = [(b"User-Agent", client), (b"X-Client-Info", client)]
        self._version = version
        self._given = dict(headers or {})
        self._key = key
        self._key_bearer: bytes | None = None
        if key is not None:
            base.append((b"apikey", key.reveal().encode("ascii")))
            if is_jwt_shaped(key.reveal()):
                self._key_bearer = b"Bearer " + key.reveal().encode("ascii")
        own = _encode(tuple((headers or {}).items()))
        self._user_bearer = next((v for n, v in own if n.lower() == b"authorization"), None)
        own = [pair for pair in own if pair[0].lower() != b"authorization"]
        self._plain = override(base, own)
        self._json = override([(b"Content-Type", b"application/json"), *base], own)
        self._names = frozenset(name.lower() for name, _ in self._json) | {b"x-request-id"}

    @property
    def key(self) -> Secret | None:
        """The key that is sent along."""
        return self._key

    def replace(
        self, *, key: Secret | None = None, headers: Mapping[str, str] | None = None
    ) -> ClientHeaders:
        """The same with another key, or with more headers on top of those given."""
        added = {name.lower() for name in headers or {}}
        kept = {name: text for name, text in self._given.items() if name.lower() not in added}
        return ClientHeaders(
            version=self._version,
            key=self._key if key is None else key,
            headers={**kept, **(headers or {})},
        )

    def secrets(self, access_token: str | None = None) -> tuple[str, ...]:
        """Return what must show in no error: for `Exchange.secrets`, when there is one."""
        texts = (
            self._key.reveal() if self._key else None,
            self._user_bearer.decode("latin-1") if self._user_bearer else None,
            access_token,
        )
        return tuple(text for text in texts if text)

    def for_call(
        self,
        call: AnyCall,
        *,
        access_token: str | None,
        request_id: str,
        credentials: bool = True,
    ) -> HeaderList:
        """Return a new list of all headers of one request, by the precedence of §1.2.

        Content-Type (on /auth and /rest/v1), and leaving Authorization out on the credential
        endpoints, are decided here by `call.path`. `credentials=False` leaves out every
        credential (S4: signed URLs). `access_token` must have passed `token_problem`, the call's
        headers `header_problem`; if they did not, this raises ValueError without showing them.
        """
        path = call.path if call.path.startswith("/") else f"/{call.path}"
        found = list(self._json if path.startswith(_JSON_ROOTS) else self._plain)
        found.append((b"X-Request-Id", request_id.encode("ascii")))
        bearer = None
        if path.partition("?")[0] not in _NO_BEARER:
            bearer = self._key_bearer if self._user_bearer is None else self._user_bearer
            if access_token is not None:
                bearer = _bearer(access_token)
        if call.headers:
            extra, names = _named(call.headers)
            if b"authorization" in names:
                if access_token is None:
                    bearer = None  # the caller's own comes with `extra`
                elif bearer is not None:
                    extra = [pair for pair in extra if pair[0].lower() != b"authorization"]
            found = found + extra if names.isdisjoint(self._names) else override(found, extra)
        if not credentials:
            return [pair for pair in found if pair[0].lower() not in _CREDENTIALS]
        if bearer is not None:
            found.append((b"Authorization", bearer))
        return found

    def __repr__(self) -> str:
        return f"<ClientHeaders: {len(self._json)}, values hidden>"


def _bearer(token: str) -> bytes:
    problem = token_problem(token, "access token")
    if problem:
        raise ValueError(problem)
    return b"Bearer " + token.encode("ascii")


def _encode(headers: tuple[tuple[str, str], ...]) -> HeaderList:
    for name, value in headers:
        problem = header_problem(name, value)
        if problem:
            raise ValueError(problem)
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]


_USUAL = frozenset({b"accept", b"accept-profile", b"content-profile", b"prefer"})
_REMEMBERED: dict[tuple[tuple[str, str], ...], tuple[HeaderList, frozenset[bytes]]] = {}
_REMEMBERED_LIMIT = 256


def _named(headers: tuple[tuple[str, str], ...]) -> tuple[HeaderList, frozenset[bytes]]:
    """The headers of a call, encoded, and their names in lower case. Those of queries, which hold
    no secret, are remembered."""
    try:
        return _REMEMBERED[headers]
    except (KeyError, TypeError):
        pass
    encoded = _encode(headers)
    found = encoded, frozenset([name.lower() for name, _ in encoded])
    if found[1] <= _USUAL:
        if len(_REMEMBERED) >= _REMEMBERED_LIMIT:
            _REMEMBERED.clear()
        _REMEMBERED[headers] = found
    return found


def override(base: HeaderList, own: HeaderList) -> HeaderList:
    """A new list in which what is in `own` stands in place of what `base` has by that name."""
    names = {name.lower() for name, _ in own}
    return [pair for pair in base if pair[0].lower() not in names] + own
