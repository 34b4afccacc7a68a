"""The opening of a WebSocket, without I/O: a proxy's CONNECT, then the upgrade (RFC 6455 §4.1).

Both colours open their sockets with this, not with what their WebSocket libraries bring along:
websocket-client writes header lines as it is given them (reliability X13), keeps a cookie jar for
the process and reads heads of any size; websockets waits for the end of a refusal that has none.
The HTTP is h11's, which httpx brings along.

No extension is offered, in neither colour: websocket-client knows none, and without compression
what is read is never larger than what was received (reliability C6).
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import h11

from aerodb._core.http import Origin, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._core.url import socket_address
from aerodb._core.websocket import HandshakeRefused, SocketSettings
from aerodb._io.failures import broken, not_http, refused_locally
from aerodb._io.proxies import proxy_for

GRACE_SECONDS = 1.0
"""How long the body of a refusal is waited for: its status is known, and it may never end."""

_HEAD_LIMIT = 64 * 1024
_BODY_LIMIT = 64 * 1024
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 §5.5
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_OURS = frozenset(
    {b"host", b"upgrade", b"connection", b"content-length", b"transfer-encoding", b"cookie"}
)

HeaderPairs = Sequence[tuple[bytes, bytes]]


class Route:
    """Where to connect to, and the requests that lead from there to a WebSocket."""

    __slots__ = ("first", "http", "origin", "tunnel", "upgrade")

    def __init__(self, url: str, headers: HeaderPairs, settings: SocketSettings) -> None:
        """Raises ValueError for a wrong URL, TransportError for headers that cannot be sent."""
        self.origin, target = socket_address(url)
        self.http = HttpSettings(
            verify=settings.verify, proxy=settings.proxy, trust_env=settings.trust_env
        )
        self.first = self.origin
        self.tunnel: Tunnel | None = None
        self.upgrade = Upgrade(self.origin, target, headers)
        proxy = proxy_for(self.origin, self.http)
        if proxy is not None:
            self.first, authorization = _proxy(proxy)
            self.tunnel = Tunnel(self.origin, authorization)

    @property
    def is_secure(self) -> bool:
        """Whether the WebSocket itself is over TLS."""
        return self.origin.scheme == "https"


class Opening:
    """One request and what answers it: send `request()`, `feed` what comes until `is_over`.

    `feed` raises what went wrong. What lies behind the answer is in `rest`. `reaches_server` says
    whether what is sent here gets to the server itself.
    """

    reaches_server = True

    def __init__(self, method: str, target: str, headers: HeaderPairs) -> None:
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_LIMIT)
        if any(_CONTROL.search(value) for _, value in headers):  # h11 lets some pass
            raise refused_locally(sent=False)
        try:
            made = h11.Request(method=method, target=target, headers=list(headers))
            self._request = self._http.send(made) or b""
            self._http.send(h11.EndOfMessage())
        except h11.LocalProtocolError:  # its text quotes the header
            raise refused_locally(sent=False) from None
        self.is_over = False
        self.rest = b""
        self._start = b""
        self._refusal: h11.Response | None = None
        self._body = b""

    def request(self) -> bytes:
        """What to send, once: no frame that waits holds it, for it has the key in it (S1)."""
        request, self._request = self._request, b""
        return request

    @property
    def is_refused(self) -> bool:
        """Whether a refusal has begun; `finish` ends the wait for its body."""
        return self._refusal is not None

    def feed(self, data: bytes) -> None:
        """Take what came; b"" means that the peer sends no more."""
        self._start = (self._start + data)[:5]
        if not b"HTTP/".startswith(self._start):  # h11 would wait for a whole head
            raise not_http(sent=self.reaches_server)
        try:
            self._http.receive_data(data)
            while not self.is_over:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    return
                self._take(event)
        except h11.RemoteProtocolError:
            if self.is_refused:
                self.finish()
            sent = self.reaches_server
            raise (not_http(sent=sent) if data else broken(sent=sent)) from None

    def finish(self) -> None:
        """No more is coming, or no more is waited for."""
        assert self._refusal is not None
        raw = self._refusal.headers.raw_items()
        self._refuse(self._refusal.status_code, raw, self._body)

    def _take(self, event: object) -> None:
        if isinstance(event, h11.Response):
            if self._accepts(event):
                self._done()
            else:
                self._refusal = event
        elif isinstance(event, h11.InformationalResponse):
            if event.status_code == 101:
                self._switch(event)
                self._done()
        elif isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) >= _BODY_LIMIT:
                self._body = self._body[:_BODY_LIMIT]
                self.finish()
        elif isinstance(event, h11.EndOfMessage):
            self.finish()
        else:  # the connection is over before an answer
            raise broken(sent=self.reaches_server)

    def _done(self) -> None:
        self.is_over = True
        self.rest = bytes(self._http.trailing_data[0])

    def _accepts(self, response: h11.Response) -> bool:
        """Whether a final response is the one that was asked for."""
        raise NotImplementedError

    def _switch(self, response: h11.InformationalResponse) -> None:
        """Check an answer of 101."""
        raise NotImplementedError

    def _refuse(self, status: int, raw_headers: HeaderPairs, body: bytes) -> None:
        """Raise what a refusal means."""
        raise NotImplementedError


class Upgrade(Opening):
    """The WebSocket handshake."""

    def __init__(self, origin: Origin, target: str, headers: HeaderPairs) -> None:
        for name, _ in headers:
            if name.lower() in _OURS or name.lower().startswith(b"sec-websocket-"):
                raise refused_locally(sent=False)
        key = base64.b64encode(os.urandom(16))
        self._accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        ours = [
            (b"Host", origin.authority.encode("ascii")),
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Key", key),
            (b"Sec-WebSocket-Version", b"13"),
        ]
        super().__init__("GET", target, [*ours, *headers])

    def _accepts(self, response: h11.Response) -> bool:
        return False

    def _switch(self, response: h11.InformationalResponse) -> None:
        found: dict[bytes, bytes] = {}
        for name, value in response.headers:  # names in lower case
            found[name] = found[name] + b"," + value if name in found else value
        upgrade = found.get(b"upgrade", b"").lower()
        tokens = [token.strip() for token in found.get(b"connection", b"").lower().split(b",")]
        if (
            upgrade != b"websocket"
            or b"upgrade" not in tokens
            or found.get(b"sec-websocket-accept") != self._accept
            or b"sec-websocket-extensions" in found
            or b"sec-websocket-protocol" in found
        ):
            message = "the server's answer is not a valid WebSocket handshake"
            raise TransportError("protocol", message, sent=True)

    def _refuse(self, status: int, raw_headers: HeaderPairs, body: bytes) -> None:
        raise HandshakeRefused(status, raw_headers, body) from None


class Tunnel(Opening):
    """A proxy's CONNECT. It gets the proxy's own credentials and nothing else."""

    reaches_server = False

    def __init__(self, origin: Origin, authorization: bytes | None) -> None:
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        target = f"{host}:{origin.port}"
        headers = [(b"Host", target.encode("ascii"))]
        if authorization is not None:
            headers.append((b"Proxy-Authorization", authorization))
        super().__init__("CONNECT", target, headers)

    def _accepts(self, response: h11.Response) -> bool:
        return 200 <= response.status_code < 300

    def _done(self) -> None:
        super()._done()
        if self.rest:  # nobody has been spoken to yet who could say something
            raise not_http(sent=False)

    def _switch(self, response: h11.InformationalResponse) -> None:
        raise not_http(sent=False)

    def _refuse(self, status: int, raw_headers: HeaderPairs, body: bytes) -> None:
        message = f"the proxy refused to connect (status {status})"
        raise TransportError("connect", message, sent=False) from None


def _proxy(url: str) -> tuple[Origin, bytes | None]:
    """A proxy's address and its `Proxy-Authorization`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme != "http" or not host:
        message = "a WebSocket needs a proxy of the form http://host:port"
        raise TransportError("unsupported", message, sent=False)
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = b"Basic " + base64.b64encode(pair.encode("utf-8"))
    return Origin("http", host, 80 if port is None else port), authorization
