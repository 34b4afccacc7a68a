"""A query as a request to look at, and as a shell command."""

from __future__ import annotations

from aerodb._core.database.chain import Chain
from aerodb._core.database.render import prepare
from aerodb._core.redact import redact_headers
from aerodb._dataclass import dataclass
from aerodb.types import AeroDBError, AeroDBResponse

__all__ = ["PreparedRequest", "curl_command", "prepared_request"]


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """What a query would send.

    Attributes:
        method: The HTTP method; empty if nothing would be sent.
        path: Path and query below the client's URL, percent-encoded.
        headers: The headers of this query; the client adds its own (key, request id).
        body: The body, if there is one.
        error: Why the query cannot be sent, if so. A query that needs no request (`in_([])`) has
            neither method nor error.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    error: AeroDBError | None = None


def prepared_request(query: Chain) -> PreparedRequest:
    """Render a query without sending it."""
    call = prepare(query)
    if isinstance(call, AeroDBResponse):
        return PreparedRequest("", "", error=call.error)
    body = call.body if isinstance(call.body, bytes) else None  # no query has another kind
    return PreparedRequest(call.method, call.path, call.headers, body)


def curl_command(query: Chain, *, redact: bool = True) -> str:
    """Render a query as a `curl` command line."""
    request = prepared_request(query)
    if not request.method:
        return f"# nothing is sent: {request.error or 'the answer is known to be empty'}"
    headers = [("Content-Type", "application/json"), *request.headers]
    if redact:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        headers = redact_headers(raw)
    parts = ["curl --head" if request.method == "HEAD" else f"curl -X {request.method}"]
    parts.append(f'"$AERODB_URL"{_shell(request.path)}')
    parts.append('-H "apikey: $AERODB_KEY"')
    parts += [f"-H {_shell(f'{name}: {value}')}" for name, value in headers]
    if request.body is not None:
        parts.append(f"--data-raw {_shell(request.body.decode())}")
    return " ".join(parts)


def _shell(text: str) -> str:
    """One word of a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"
