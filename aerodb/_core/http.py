"""What goes to the wire and what comes back, as values.

A feature builds a `Call`; the twin's one loop (`_transport`) makes `Request`s of it, hands them to
the shim (`_io`), and lets `Call.decode` read the `RawResponse`. A transport failure is a
`TransportError`, which only that loop catches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from aerodb.types import AeroDBError, AeroDBResponse

T = TypeVar("T")

HeaderList = list[tuple[bytes, bytes]]


class Origin(NamedTuple):
    """Where requests go. `host` is as it stands in the URL; `port` is always filled in."""

    scheme: Literal["http", "https"]
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The value of `Host`: the port is left out if it is the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.scheme == "https" else 80
        return host if self.port == default else f"{host}:{self.port}"


class Body(Protocol):
    """A request body that is read while it is sent, so that it is never held as a whole.

    `length` is the number of its bytes, None if only reading it will tell (it is then sent
    chunked). `chunks()` gives them from the beginning: an iterator in the blocking twin, an async
    one in the other; it raises `SourceError` if they cannot be had. `handed` counts what it has
    given out. A body that is not `replayable` can be read only once, and `begun` says that it was.
    """

    length: int | None
    handed: int
    replayable: bool
    begun: bool

    def chunks(self) -> Any: ...


AnyBody = bytes | Body | None


class Request:
    """One HTTP request, complete but for `Host`, `Content-Length` and `Accept-Encoding`,
    which the shim adds. `target` is the path and query, ASCII, already percent-encoded."""

    __slots__ = ("body", "headers", "method", "origin", "target")

    def __init__(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: HeaderList,
        body: AnyBody,
    ) -> None:
        self.method = method
        self.origin = origin
        self.target = target
        self.headers = headers
        self.body = body

    @property
    def content(self) -> Any:
        """The body in the form that httpcore and httpx take."""
        body = self.body
        return body if body is None or isinstance(body, bytes) else body.chunks()


class RawResponse:
    """One HTTP response: body read to its end, content coding removed."""

    __slots__ = ("body", "raw_headers", "status")

    def __init__(
        self, status: int, raw_headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> None:
        self.status = status
        self.raw_headers = raw_headers
        self.body = body

    def header(self, name: bytes) -> str | None:
        """The first header of this name (given in lower case), decoded as Latin-1."""
        return find_header(self.raw_headers, name)


def find_header(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str | None:
    """The first header called `name` (in lower case), decoded as Latin-1; None if absent."""
    for key, value in headers:
        if key.lower() == name:
            return value.decode("latin-1")
    return None


FailureKind = Literal[
    "connect",  # name resolution, refused, unreachable, TLS handshake
    "timeout",  # the call's deadline, or the connect timeout
    "closed",  # the peer went away in mid-exchange
    "protocol",  # what came back is not HTTP
    "too_large",  # the decoded body passed the limit
    "encoding",  # a content coding we do not accept, or a broken one
    "client_closed",
    "unsupported",  # the request cannot be sent as it is
    "source",  # the body could not be read: a `SourceError`
]


class TransportError(Exception):
    """The exchange did not complete. Raised by the shim, caught by `_transport` only.

    `sent` is False only if it is certain that no byte of the request reached the peer: then any
    operation may be repeated. The text holds no header and no secret. `connected` says that a
    timeout is not one of connecting.
    """

    def __init__(
        self, kind: FailureKind, message: str, *, sent: bool, connected: bool = False
    ) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.connected = connected
        self.message = message
        self.sent = sent


class SourceError(TransportError):
    """What was to be sent could not be read, or what came could not be kept. Says it all itself.

    The server cannot have carried out anything: it never saw the end of the request.
    """

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__("source", message, sent=False)
        self.code = code
        self.hint = hint


class Retry(Enum):
    """What a call may survive, by wire-contract §1.8. A property of the operation, not the verb."""

    SAFE = "safe"  # GET, HEAD: repeat on anything transient
    IDEMPOTENT = "idempotent"  # same effect when run twice
    UNSENT = "unsent"  # repeat if not sent, or refused by 429/503 with Retry-After
    PLATFORM = "platform"  # as UNSENT, if it was the platform that refused, not user code
    NEVER_ANSWERED = "never_answered"  # repeat only if not sent


class Call(Generic[T]):
    """An operation as a value: what to send, and how to read the answer.

    `path` is relative to the client's base URL, percent-encoded, with its query. `headers` come
    on top of the client's own. `decode` gets a response of status 200-299, or of a status in
    `answers`, and is total: it never raises for anything a server can send. `keyed` says that the
    call has an `Idempotency-Key`, the same on all attempts: "given" is in `headers`, "made" is
    added by the loop, a new one each time the call is carried out. `identity` says who asks: the
    user of the session, whose 401 may be answered by a refresh, or whoever holds the key, whatever
    the session is, or nobody: no credential is sent (wire-contract S4). `secrets` are texts in the
    body or headers that must show in no error. `idle` makes it a transfer: no total time unless
    `timeout` says one, but so many seconds at most without a byte moving (§1.7). `coded=False`
    asks for the body as it is, without a content coding. `complete_error` gets the error that was
    read from a response, the response and all secrets, and adds what only the feature can know.
    """

    __slots__ = (
        "answers",
        "body",
        "coded",
        "complete_error",
        "decode",
        "headers",
        "identity",
        "idle",
        "keyed",
        "method",
        "path",
        "retry",
        "secrets",
        "timeout",
    )

    def __init__(
        self,
        method: str,
        path: str,
        decode: Callable[[RawResponse], AeroDBResponse[T]],
        *,
        headers: tuple[tuple[str, str], ...] = (),
        body: AnyBody = None,
        retry: Retry = Retry.UNSENT,
        timeout: float | None = None,
        answers: tuple[int, ...] = (),
        keyed: Literal["given", "made"] | None = None,
        identity: Literal["session", "key", "nobody"] = "session",
        secrets: tuple[str, ...] = (),
        complete_error: Callable[[AeroDBError, RawResponse, Sequence[str]], AeroDBError]
        | None = None,
        idle: float | None = None,
        coded: bool = True,
    ) -> None:
        self.method = method
        self.path = path
        self.decode = decode
        self.headers = headers
        self.body = body
        self.retry = retry
        self.timeout = timeout
        self.answers = answers
        self.keyed = keyed
        self.identity = identity
        self.secrets = secrets
        self.complete_error = complete_error
        self.idle = idle
        self.coded = coded


Prepared = Call[T] | AeroDBResponse[T]
"""What a feature hands to the loop: a call, or the answer if none is needed (a bad argument)."""

AnyCall = Call[Any]
