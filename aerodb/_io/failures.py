"""Foreign exceptions as `TransportError`.

A library's text is never carried over: h11 and httpx quote the header they refuse, and that may
be the key (reliability X14). Callers raise the result `from None`.
"""

from __future__ import annotations

import errno
import os
from types import ModuleType

from aerodb._core.http import FailureKind, TransportError

STAGES = {
    "queue": "no connection became free in time; a response stream that is not closed holds one",
    "connect": "connecting took too long",
    "answer": "the server did not answer in time",
    "body": "what was to be sent was not there in time",
}


def timed_out(stage: str, *, sent: bool) -> TransportError:
    """The deadline passed during `stage`, a key of `STAGES`."""
    if stage == "answer" and not sent:
        stage = "body"
    return TransportError("timeout", STAGES[stage], sent=sent, connected=stage != "connect")


def client_closed(*, sent: bool = False) -> TransportError:
    """The client was closed before or during the call."""
    return TransportError("client_closed", "the client is closed", sent=sent)


def queue_full(waiting: int) -> TransportError:
    """More calls wait for a connection than the settings allow."""
    message = f"too many calls wait for a free connection ({waiting})"
    return TransportError("timeout", message, sent=False, connected=True)


def unreachable(host: str, port: int, error: OSError) -> TransportError:
    """No connection could be made."""
    from socket import gaierror  # loaded by whoever met this error

    if isinstance(error, gaierror):
        return TransportError("connect", f"the name {host} cannot be resolved", sent=False)
    if error.errno == errno.ECONNREFUSED:
        message = f"{host}:{port} refused the connection"
    else:
        reason = os.strerror(error.errno) if error.errno else "no address worked"
        message = f"{host}:{port} cannot be reached: {reason}"
    return TransportError("connect", message, sent=False)


def broken(*, sent: bool) -> TransportError:
    """The connection went away in mid-exchange."""
    return TransportError("closed", "the server closed the connection", sent=sent)


def not_http(*, sent: bool) -> TransportError:
    """What came back cannot be read as HTTP/1.1."""
    return TransportError("protocol", "the server's answer is not valid HTTP", sent=sent)


def refused_locally(*, sent: bool) -> TransportError:
    """The library refused to send the request."""
    return TransportError("unsupported", "the request is not valid HTTP", sent=sent)


_HTTPX: tuple[tuple[str, FailureKind, str, bool], ...] = (
    ("ConnectTimeout", "timeout", STAGES["connect"], False),
    ("PoolTimeout", "timeout", STAGES["queue"], False),
    ("TimeoutException", "timeout", STAGES["answer"], True),
    ("ConnectError", "connect", "the server cannot be reached", False),
    ("ProxyError", "connect", "the proxy refused to connect", False),
    ("UnsupportedProtocol", "unsupported", "the URL's scheme is not supported", False),
    ("RemoteProtocolError", "closed", "the server broke the exchange off", True),
    ("LocalProtocolError", "unsupported", "the request is not valid HTTP", True),
    ("DecodingError", "encoding", "the compressed response is damaged", True),
    ("TransportError", "closed", "the connection broke", True),
    ("StreamError", "protocol", "the response cannot be read", True),
)


def from_httpx(
    error: Exception, library: ModuleType, *, sent: bool = False
) -> TransportError | None:
    """An exception of httpx (or a library of the same names); None if it is not one.

    `sent` says that the request is known to have left; otherwise the exception's kind tells.
    """
    if isinstance(error, TransportError):
        return error
    for name, kind, message, may_be_sent in _HTTPX:
        family = getattr(library, name, None)
        if family is not None and isinstance(error, family):
            return TransportError(kind, message, sent=sent or may_be_sent)
    return None
