"""Turns every failure into an `AeroDBError`, and lists the codes that the client makes.

Both functions are total: no bytes and no exception text make them raise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from aerodb._core.error_body import Reading, clean_text, read_body, reason
from aerodb._core.http import Retry, SourceError, TransportError, find_header
from aerodb._core.redact import redact_json, redact_text, redact_url
from aerodb._core.retry_after import retry_after_seconds
from aerodb._dataclass import replace
from aerodb.types import AeroDBError

CODES: Mapping[str, str] = MappingProxyType(
    {
        "CLIENT_CLOSED": "The client was closed before or during the call.",
        "FILE_ERROR": "A file of this machine cannot be read or written.",
        "INTEGRITY_ERROR": "What arrived is not what the server says it sent; it was not kept.",
        "NOT_SUPPORTED": "The server does not offer this; nothing was changed.",
        "SOURCE_CHANGED": "What was being transferred changed meanwhile.",
        "DECODE_ERROR": "A row of the answer does not fit the row type; the message says which.",
        "HANDLER_FAILED": "A handler of realtime events raised; told to `on_error` only.",
        "INSECURE_URL": "The URL would send credentials unencrypted to another machine.",
        "INVALID_ARGUMENT": "A value cannot be sent as it is; nothing was sent.",
        "INVALID_RESPONSE": "The server answered with something that cannot be read.",
        "JOIN_TIMEOUT": "The server did not confirm a realtime subscription in time.",
        "MISSING_FILTER": "An update or delete without a filter was refused; nothing was sent.",
        "NETWORK_ERROR": "The server could not be reached, or the connection broke.",
        "NOT_AUTHENTICATED": "The call needs a signed-in user; nothing was sent.",
        "NOT_CONNECTED": "The call needs an open realtime connection.",
        "NO_REFRESH_TOKEN": "The session cannot be renewed: it holds no refresh token.",
        "RESPONSE_TOO_LARGE": "The answer is larger than the client is willing to hold.",
        "NO_ROWS_AFFECTED": "A write touched fewer rows than `expect_rows()` said.",
        "SESSION_STORE_FAILED": "The store of the session cannot be read, written or locked.",
        "SESSION_EXPIRED": "The session has ended and could not be renewed.",
        "SLOW_CONSUMER": "Realtime events came faster than they were handled.",
        "TIMEOUT": "The call did not end within its time.",
        "UNEXPECTED_REDIRECT": "The server sent the call elsewhere; it was not followed.",
        "UNSAFE_LOCATION": "The server named a URL on another origin; it was not used.",
    }
)
"""Every code made by the client, with its meaning in one line (wire-contract §1.5)."""

RETRY_STATUSES = frozenset({408, 429, 502, 503, 504})
"""Statuses that may pass by themselves (wire-contract §1.8); 500 is a failure of the call."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Serialization failure and deadlock: the transaction is rolled back and may be run again.
_RETRYABLE_CODES = frozenset({"40001", "40P01", "idempotency_key_in_progress"})
_ROWS = re.compile(r"The result contains ([0-9]{1,19}) rows").fullmatch
_NEEDS_A_PERSON = frozenset({"setup_required"})
# PostgREST's own codes and SQLSTATEs: with one of them in hand the transaction was rolled back.
_ROLLED_BACK = r"PGRST[0-9A-Z]+|(?=[0-9A-Z]*[0-9])[0-9A-Z]{5}"
IN_DOUBT_CODES = frozenset({"40003", "08006", "08007", "PGRST001"})
"""The server lost its database, perhaps in mid-commit: even a 503 is then no refusal."""

# Another request under the same key has been carried out, or is about to be.
_UNDER_THE_KEY = frozenset({"idempotency_key_in_progress", "idempotency_response_unavailable"})


class Exchange(NamedTuple):
    """What the loop knows about a call when it failed. `url` may still hold secrets."""

    method: str
    url: str
    retry: Retry = Retry.UNSENT
    request_id: str | None = None
    attempts: int = 1
    timeout: float | None = None
    maybe_applied: bool = False  # an earlier attempt of the same call ended in doubt
    secrets: tuple[str, ...] = ()  # texts that must not show up in the error

    @property
    def reads(self) -> bool:
        """Whether the call changes nothing, however often it may be repeated."""
        return self.retry is Retry.SAFE or self.method in ("GET", "HEAD")


def error_from_response(
    status: int,
    raw_headers: Sequence[tuple[bytes, bytes]],
    body: bytes,
    exchange: Exchange,
    *,
    now: float | None = None,
) -> AeroDBError:
    """Read any response outside 200-299 as an error. Never raises (wire-contract §1.5).

    `now` (Unix time) is needed for a `Retry-After` date if the response has no `Date`.
    """
    if status in _REDIRECTS:
        return _redirected(status, raw_headers, exchange)
    reading = read_body(status, raw_headers, body)
    retry_after = retry_after_seconds(raw_headers, reading.json, now=now)
    secrets = exchange.secrets
    return AeroDBError(
        message=redact_text(reading.message, secrets),
        status=reading.status,
        code=redact_text(reading.code, secrets),
        details=redact_json(reading.details, secrets),
        hint=redact_text(reading.hint, secrets) if reading.hint else _hint(reading, exchange),
        request_id=exchange.request_id,
        retry_after=retry_after,
        retryable=_may_pass(reading),
        maybe_applied=exchange.maybe_applied or _in_doubt(reading, retry_after, exchange),
        attempts=exchange.attempts,
        method=exchange.method,
        url=redact_url(redact_text(exchange.url, secrets)),
    )


def _redirected(
    status: int, headers: Sequence[tuple[bytes, bytes]], exchange: Exchange
) -> AeroDBError:
    location = clean_text(find_header(headers, b"location") or "")[:500]
    shown = redact_url(redact_text(location, exchange.secrets))
    target = f" to {shown}" if shown else ""
    return client_error(
        "UNEXPECTED_REDIRECT",
        f"{reason(status)}{target}: not followed, as it would take the credentials along",
        hint="give the client the URL that the server itself answers at",
        status=status,
        exchange=exchange,
    )


_REFUSED: dict[str, tuple[str, str]] = {
    "PGRST100": (
        "logic tree",
        "text is the server's own grammar here, as in 'age.gt.60'; col('age') > 60 needs none",
    ),
    "PGRST107": (
        "vnd.pgrst.plan",
        "the server's setting db-plan-enabled allows plans: `aerodb dev --db-plan-enabled`",
    ),
    "PGRST123": (
        "",
        "the server's setting db-aggregates-enabled allows them: "
        "`aerodb dev --db-aggregates-enabled`",
    ),
}
"""A code, what its message must have in it, and what helps."""


def _hint(reading: Reading, exchange: Exchange) -> str | None:
    part, said = _REFUSED.get(reading.code, ("", None))
    if said is not None:
        return said if part in reading.message else None
    if reading.code in {"bucket_not_found", "object_not_found"}:
        url = redact_url(redact_text(exchange.url, exchange.secrets)).partition("?")[0]
        return f"there is none, or none that this caller may see, at {url}"
    if reading.code == "PGRST116":
        return row_count_hint(reading.details)
    if reading.code == "invalid_api_key":
        return "is it a key of this server? `aerodb dev` prints those of a local one"
    if reading.found or reading.json is not None or not reading.code.startswith("http_"):
        return None
    if reading.status in {404, 405} or reading.status in {502, 503, 504}:
        return "the answer has no AeroDB error in it: check the URL, and any proxy on the way"
    return None


def row_count_hint(details: object) -> str | None:
    """What to do when not one row came: the message of PGRST116 says neither how many nor that."""
    found = _ROWS(details) if isinstance(details, str) else None
    if found is None:
        return None
    if found[1] == "0":
        return "no row fits: maybe_single() allows that"
    return f"{found[1]} rows fit: narrow the filters, or take one of them with limit(1)"


def _may_pass(reading: Reading) -> bool:
    if reading.code in _NEEDS_A_PERSON:
        return False
    return reading.status in RETRY_STATUSES or reading.code in _RETRYABLE_CODES


def _in_doubt(reading: Reading, retry_after: float | None, exchange: Exchange) -> bool:
    """Whether a write may have happened: a server that fails does not say how far it got."""
    if reading.code in _UNDER_THE_KEY:
        return True
    if exchange.reads or (reading.status < 500 and reading.status != 408):
        return False
    if reading.code in IN_DOUBT_CODES:
        return True
    refused = reading.status == 503 and retry_after is not None
    return not refused and re.fullmatch(_ROLLED_BACK, reading.code) is None


def error_from_transport(failure: TransportError, exchange: Exchange) -> AeroDBError:
    """Say what a broken exchange means, and what to do about it. Never raises."""
    cause = redact_text(clean_text(failure.message).strip()[:500], exchange.secrets)
    code, message, hint = _explain(failure, cause, exchange)
    error = client_error(code, message, hint=hint, exchange=exchange)
    transient = failure.kind in {"connect", "timeout", "closed", "protocol"}
    return replace(
        error,
        retryable=transient and not _is_certificate(cause),
        maybe_applied=exchange.maybe_applied or (failure.sent and not exchange.reads),
    )


def _explain(
    failure: TransportError, cause: str, exchange: Exchange
) -> tuple[str, str, str | None]:
    if isinstance(failure, SourceError):
        return failure.code, cause, failure.hint
    where = _origin(redact_url(exchange.url))
    because = f": {cause}" if cause else ""
    match failure.kind:
        case "connect":
            return (
                "NETWORK_ERROR",
                f"no connection to {where}{because}",
                _connect_hint(cause, where),
            )
        case "timeout":
            return _timeout(failure, exchange, where)
        case "closed":
            message = f"the connection to {where} broke before the answer was complete{because}"
            return "NETWORK_ERROR", message, None
        case "protocol":
            hint = "is there an HTTP server at this port, and is it https rather than http?"
            return "INVALID_RESPONSE", f"{where} did not answer in HTTP{because}", hint
        case "encoding":
            return "INVALID_RESPONSE", f"the answer of {where} cannot be decoded{because}", None
        case "too_large":
            hint = "ask for fewer rows or columns, or raise ClientOptions(max_response_bytes=...)"
            return "RESPONSE_TOO_LARGE", f"the answer of {where} is too large{because}", hint
        case "client_closed":
            hint = "make a new client, or close this one later"
            return "CLIENT_CLOSED", "the client is closed", hint
        case "unsupported" | "source":
            return "INVALID_ARGUMENT", f"the request cannot be sent as it is{because}", None


def _timeout(
    failure: TransportError, exchange: Exchange, where: str
) -> tuple[str, str, str | None]:
    limit = "" if exchange.timeout is None else f" within {exchange.timeout:g} s"
    if not failure.sent and failure.connected:
        return "TIMEOUT", f"nothing was sent to {where}{limit}: {failure.message}", None
    if not failure.sent:
        hint = "is the host reachable from here? A firewall often drops packets silently"
        return "TIMEOUT", f"no connection to {where}{limit}", hint
    return "TIMEOUT", f"no complete answer from {where}{limit}", "allow more time with timeout="


def _connect_hint(cause: str, where: str) -> str | None:
    lowered = cause.lower()
    if _is_certificate(cause):
        return (
            "for a private certificate authority, set SSL_CERT_FILE or "
            "ClientOptions(verify='/path/to/ca.pem')"
        )
    if "refused" in lowered or "connection attempts failed" in lowered:
        local = re.match(r"https?://(?:localhost|127\.|\[::1\]|[^/:]*\.localhost)", where)
        start = "; `aerodb dev` starts one on this machine" if local else ""
        return f"is a server running at {where}?{start}"
    names = ("getaddrinfo", "name or service", "nodename", "name resolution", "no address")
    if any(name in lowered for name in names):
        return "the host name was not found: check the URL"
    if "ssl" in lowered or "tls" in lowered:
        return "does the server speak https at this port?"
    return None


def _is_certificate(cause: str) -> bool:
    return "certificate" in cause.lower()


def _origin(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return scheme + separator + re.split(r"[/?#]", rest, maxsplit=1)[0] if separator else url


def client_error(
    code: str,
    message: str,
    *,
    hint: str | None = None,
    status: int | None = None,
    exchange: Exchange | None = None,
) -> AeroDBError:
    """Make an error of one of the client's own `CODES`.

    Without an exchange nothing was sent; `attempts` is 0 then.
    """
    if exchange is None:
        return AeroDBError(redact_text(message), status, code, hint=hint)
    return AeroDBError(
        message=redact_text(message, exchange.secrets),
        status=status,
        code=code,
        hint=hint,
        request_id=exchange.request_id,
        maybe_applied=exchange.maybe_applied,
        attempts=exchange.attempts,
        method=exchange.method,
        url=redact_url(redact_text(exchange.url, exchange.secrets)),
    )
