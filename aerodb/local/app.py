"""The HTTP front of an instance: what is refused before routing, and who answers the rest.

An ASGI application of its own and no framework's router: paths reach the services as they were
sent, and the order of the checks (reliability D1, D2) is plain to see in `Front.__call__`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aerodb._version import __version__
from aerodb.local.cors import CorsPolicy
from aerodb.local.credentials import doubled_credentials
from aerodb.local.hosts import HostGate
from aerodb.local.limits import BodyTooLarge, counted, oversize
from aerodb.local.replies import (
    AsgiApp,
    Header,
    Message,
    Receive,
    Scope,
    Send,
    as_handshake_answer,
    header,
    platform_error_body,
    rest_error_body,
    send_json,
)

WEBSOCKET_PATHS = ("/realtime", "/realtime/ws", "/realtime/v1/websocket")
"""Wire contract §1.1."""
HEALTH_PATHS = ("/health", "/observability/health")
_FUNCTIONS = "/functions/v1"  # written out: their part is loaded only where there are some
_MAXIMUM_REQUEST_ID = 200


class Front:
    """The application. `mounts` maps path prefixes to services; `/` takes all that is left.

    `websocket` takes the WebSockets. `health` returns (whole status, status per service),
    `features` is what `/health` lists. Services at the prefixes `own_limits` say themselves how
    long a body may be. `is_relation` tells that a path is a table of the REST part, which goes
    before `/health`.
    """

    def __init__(
        self,
        mounts: Mapping[str, AsgiApp],
        *,
        rest_path: str,
        gate: HostGate,
        cors: CorsPolicy,
        health: Callable[[], tuple[str, dict[str, str]]],
        features: Sequence[str] = (),
        max_body_bytes: int = 10 * 1024 * 1024,
        own_limits: Sequence[str] = (),
        max_url_bytes: int = 32 * 1024,
        trace_header: str | None = None,
        websocket: AsgiApp | None = None,
        is_relation: Callable[[str], bool] = lambda path: False,
    ) -> None:
        ordered = sorted(mounts.items(), key=lambda mount: len(mount[0]), reverse=True)
        self._mounts = [(prefix.rstrip("/"), service) for prefix, service in ordered]
        self._rest_path = rest_path.rstrip("/")
        self._gate = gate
        self._cors = cors
        self._health = health
        self._features = list(features)
        self._websocket = websocket
        self._max_body = max_body_bytes
        self._own_limits = frozenset(own_limits)
        self._max_url = max_url_bytes
        self._trace_header = trace_header.lower().encode("latin-1") if trace_header else None
        self._is_relation = is_relation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await self._handshake(scope, receive, send)
            return
        extra = self._echoes(scope)
        refusal = self._refusal(scope)
        if refusal is not None:
            code = "misdirected_request" if refusal[0] == 421 else "bad_request"
            await self._refuse(scope, send, refusal[0], code, refusal[1], extra)
            return
        origin = header(scope, b"origin")
        if origin is not None:
            if not self._cors.allows(origin, header(scope, b"host") or ""):
                message = "Web pages of this origin may not call this server."
                await self._refuse(scope, send, 403, "origin_not_allowed", message, extra)
                return
            asked = header(scope, b"access-control-request-method")
            is_preflight = scope["method"] == "OPTIONS" and asked is not None
            if is_preflight and self._cors.grants(origin):
                wanted = header(scope, b"access-control-request-headers") or ""
                await send_json(send, 200, None, self._cors.preflight(origin, wanted) + extra)
                return
            extra = extra + self._cors.headers(origin)
        prefix, service = self._mounted(scope["path"])
        limit = None if prefix in self._own_limits else self._max_body
        too_much = oversize(scope, limit, self._max_url)
        if too_much is not None:
            await self._refuse(scope, send, *too_much, extra)
            return
        is_health = scope["path"] in HEALTH_PATHS and scope["method"] in ("GET", "HEAD")
        if is_health and not self._is_relation(scope["path"]):
            await self._answer_health(scope, send, extra)
        elif service is None:
            await self._refuse(scope, send, 404, *_nothing_at(scope["path"]), extra)
        else:
            if limit is not None:
                receive = counted(receive, limit)
            await self._serve(prefix, service, scope, receive, _with_headers(send, extra))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Why a request is answered by nobody, if so: a status and a sentence."""
        refusal = self._gate.refusal(scope["headers"]) or doubled_credentials(scope["headers"])
        if refusal is None and not scope["path"].startswith("/"):
            return 400, "The request target must be a path."
        if refusal is None and _has_two_lengths(scope):
            return 400, "The request has both Content-Length and Transfer-Encoding."
        return refusal

    def _mounted(self, path: str) -> tuple[str, AsgiApp | None]:
        for prefix, service in self._mounts:
            if path == prefix or path.startswith(f"{prefix}/"):
                return prefix, service
        return "", None

    async def _serve(
        self, prefix: str, service: AsgiApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        inner = dict(scope)
        inner["root_path"] = scope.get("root_path", "") + prefix
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await service(inner, receive, watched)
        except BodyTooLarge:
            if started:
                raise
            message = f"The body is longer than {self._max_body} bytes."
            await self._refuse(scope, send, 413, "payload_too_large", message, [])
        except asyncio.CancelledError:
            # Only the end of the server cancels: this is the outermost call of the task, and what
            # was begun in the database has been taken back by now.
            if started:
                raise
            await self._refuse(scope, send, 503, "shutting_down", "The server is stopping.", [])

    async def _answer_health(self, scope: Scope, send: Send, extra: list[Header]) -> None:
        status, services = self._health()
        body = {
            "status": status,
            "version": __version__,
            "name": "aerodb.local",
            "services": services,
            "features": self._features,
        }
        code = 200 if status == "ok" else 503
        await send_json(send, code, body, extra, head=scope["method"] == "HEAD")

    async def _refuse(
        self, scope: Scope, send: Send, status: int, code: str, message: str, extra: list[Header]
    ) -> None:
        """Answer with an error in the shape of the part that was asked (wire contract §1.5)."""
        body: dict[str, Any] = platform_error_body(status, code, message)
        path: str = scope["path"]
        if path.startswith(f"{self._rest_path}/") or path == self._rest_path:
            # Wire contract §3.7: AERO413, AERO429, and so the others.
            code = f"AERO{status}"
            body = rest_error_body(code, message)
        marks = [(b"x-aerodb-error", code.encode())]
        if _has_two_lengths(scope):
            # What follows is the rest of the body for one reader, a request for another.
            marks.append((b"connection", b"close"))
        head = scope.get("method") == "HEAD"
        await send_json(send, status, body, [*extra, *marks], head=head)

    def _echoes(self, scope: Scope) -> list[Header]:
        """Return the request headers that go back: X-Request-Id and the trace header."""
        found: list[Header] = []
        request_id = header(scope, b"x-request-id")
        if request_id and len(request_id) <= _MAXIMUM_REQUEST_ID and request_id.isascii():
            found.append((b"x-request-id", request_id.encode("ascii")))
        if self._trace_header is not None:
            value = header(scope, self._trace_header) or ""
            found.append((self._trace_header, value.encode("latin-1")))
        return found

    async def _handshake(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a WebSocket pass that an HTTP request would pass (reliability D1, D2).

        A page can open one to anywhere without asking first, so the Origin is looked at here.
        """
        answering = as_handshake_answer(send)
        extra = self._echoes(scope)
        refusal = self._gate.refusal(scope["headers"]) or doubled_credentials(scope["headers"])
        origin = header(scope, b"origin")
        host = header(scope, b"host") or ""
        too_much = oversize(scope, self._max_body, self._max_url)
        if refusal is not None:
            code = "misdirected_request" if refusal[0] == 421 else "bad_request"
            await self._refuse(scope, answering, refusal[0], code, refusal[1], extra)
        elif origin is not None and not self._cors.allows(origin, host):
            message = "Web pages of this origin may not call this server."
            await self._refuse(scope, answering, 403, "origin_not_allowed", message, extra)
        elif too_much is not None:
            await self._refuse(scope, answering, *too_much, extra)
        elif self._websocket is None or scope["path"] not in WEBSOCKET_PATHS:
            await self._refuse(scope, answering, 404, "not_found", "There is nothing here.", extra)
        else:
            await self._websocket(scope, receive, _with_headers(send, extra))


def _has_two_lengths(scope: Scope) -> bool:
    """Whether a proxy that goes by one header and a server that goes by the other would see two
    different requests (RFC 9112 §6.3)."""
    lengths = (b"content-length", b"transfer-encoding")
    return all(header(scope, name) is not None for name in lengths)


def _nothing_at(path: str) -> tuple[str, str]:
    """Code and message for a path that no service answers at."""
    if path == _FUNCTIONS or path.startswith(f"{_FUNCTIONS}/"):
        message = "This instance runs no functions. It does with `--functions DIR`."
        return "function_not_found", message
    return "not_found", "There is nothing here."


def _with_headers(send: Send, extra: list[Header]) -> Send:
    """Return `send` that adds `extra`, except for what the service itself has said."""
    if not extra:
        return send

    async def adding(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            said = list(message.get("headers", []))
            names = {bytes(name).lower() for name, _ in said} - {b"vary"}
            message = {**message, "headers": [*said, *(h for h in extra if h[0] not in names)]}
        await send(message)

    return adding


async def unavailable(scope: Scope, receive: Receive, send: Send) -> None:
    """A service that is not there (yet)."""
    body = rest_error_body("PGRST002", "The REST part is not available.")
    headers = [(b"retry-after", b"1")]
    await send_json(send, 503, body, headers, head=scope["method"] == "HEAD")
