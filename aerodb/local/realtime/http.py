"""The HTTP side: a broadcast without a socket, and figures (wire contract §4.10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg_pool import PoolTimeout

from aerodb.local.credentials import SERVICE_ROLE, Identity
from aerodb.local.realtime.channels import Topic
from aerodb.local.realtime.errors import UNAVAILABLE, FrameError, invalid
from aerodb.local.realtime.frames import (
    MAXIMUM_FRAME_BYTES,
    Incoming,
    channel_of,
    event_of,
    json_object,
    payload_of,
)
from aerodb.local.realtime.limits import Allowances
from aerodb.local.realtime.parts import Admit, Parts
from aerodb.local.replies import Header, Receive, Scope, Send, platform_error_body, send_json
from aerodb.local.rest.errors import RestError

STATUS = {
    "unauthorized": 403,
    "message_too_large": 413,
    "rate_limit_exceeded": 429,
    "service_unavailable": 503,
}
Trouble = (psycopg.Error, PoolTimeout, OSError)


class HttpSide:
    """Answers below `/realtime`. `figures` is what `/realtime/stats` tells besides."""

    def __init__(
        self, parts: Parts, admit: Admit, figures: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._parts = parts
        self._admit = admit
        self._figures = figures
        self._allowances = Allowances()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope["path"].rstrip("/")
        try:
            if path == "/realtime/broadcast":
                _check_method(scope["method"], "POST")
                await self._broadcast(scope, receive, send)
            elif path == "/realtime/stats":
                _check_method(scope["method"], "GET", "HEAD")
                await self._stats(scope, send)
            elif path in ("/realtime", "/realtime/ws", "/realtime/v1/websocket"):
                message = "This is a WebSocket: say Upgrade: websocket."
                upgrade = (("Upgrade", "websocket"),)
                raise RestError(426, "upgrade_required", message, headers=upgrade)
            else:
                raise RestError(404, "not_found", "There is nothing here.")
        except RestError as problem:
            await answer_refused(send, problem)
        except FrameError as problem:
            status = STATUS.get(problem.code, 400)
            wait = problem.retry_after
            headers = [] if wait is None else [(b"retry-after", str(max(1, round(wait))).encode())]
            await answer_error(scope, send, status, problem.code, problem.message, headers)

    async def _broadcast(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity = await self._admit(headers_of(scope))
        body = json_object(headers_of(scope).get("content-type"), await _body(receive))
        channel = channel_of(Incoming("broadcast", None, _text(body.get("channel")), body))
        private = body.get("private", False)
        if not isinstance(private, bool):
            raise invalid("private must be true or false.")
        event, payload = event_of(body), payload_of(body)
        if identity.role != SERVICE_ROLE:
            self._allowances.spend(str((scope.get("client") or ("",))[0]), channel)
        try:
            told = await self._parts.send(identity, Topic(channel, private), event, payload)
        except Trouble:
            raise UNAVAILABLE from None
        await send_json(send, 200, {"subscribers_notified": told})

    async def _stats(self, scope: Scope, send: Send) -> None:
        identity: Identity = await self._admit(headers_of(scope))
        if identity.role != SERVICE_ROLE:
            message = "Not authorized to access this resource"
            raise RestError(403, "access_denied", message)
        await send_json(send, 200, dict(self._figures()), head=scope["method"] == "HEAD")


def _check_method(method: str, *allowed: str) -> None:
    if method not in allowed:
        message = f"Only {allowed[0]} is allowed here."
        raise RestError(405, "method_not_allowed", message, headers=(("Allow", allowed[0]),))


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the headers of a request by their lower-case names."""
    return {n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]}


async def answer_error(
    scope: Scope,
    send: Send,
    status: int,
    code: str,
    message: str,
    headers: list[Header] | None = None,
) -> None:
    """Answer in the platform's shape (wire contract §1.5)."""
    marks = [(b"x-aerodb-error", code.encode()), *(headers or [])]
    head = scope.get("method") == "HEAD"
    await send_json(send, status, platform_error_body(status, code, message), marks, head=head)


async def answer_refused(send: Send, problem: RestError) -> None:
    """Answer to credentials that are no good (wire contract §1.3, §2.6)."""
    code = _code_of(problem)
    headers = [(n.lower().encode(), v.encode("latin-1", "replace")) for n, v in problem.headers]
    body = platform_error_body(problem.status, code, problem.message)
    await send_json(send, problem.status, body, [*headers, (b"x-aerodb-error", code.encode())])


_CODES = {
    "no_api_key": "missing_api_key",
    "42501": "insufficient_permissions",
    "PGRST302": "authentication_required",
}


def _code_of(problem: RestError) -> str:
    if problem.message == "JWT expired":
        return "token_expired"
    invalid_token = problem.code in ("PGRST300", "PGRST301", "PGRST303")
    return "invalid_token" if invalid_token else _CODES.get(problem.code, problem.code)


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        chunk = message.get("body") or b""
        size += len(chunk)
        if size > MAXIMUM_FRAME_BYTES:
            problem = f"The body is longer than {MAXIMUM_FRAME_BYTES} bytes."
            raise FrameError("message_too_large", problem)
        chunks.append(chunk)
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return b"".join(chunks)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
