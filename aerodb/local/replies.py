"""Answers that the platform itself makes, and the ASGI vocabulary."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Header = tuple[bytes, bytes]


async def send_json(
    send: Send, status: int, body: Any, headers: Sequence[Header] = (), *, head: bool = False
) -> None:
    """Send `body` as JSON; for a HEAD request only its length."""
    content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    start: list[Header] = [(b"content-length", str(len(content)).encode())]
    if body is not None:
        start.append((b"content-type", b"application/json; charset=utf-8"))
    await send({"type": "http.response.start", "status": status, "headers": [*start, *headers]})
    await send({"type": "http.response.body", "body": b"" if head else content})


def as_handshake_answer(send: Send) -> Send:
    """Return `send` for an HTTP answer in place of a WebSocket."""

    async def translated(message: Message) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    return translated


def rest_error_body(code: str, message: str) -> dict[str, Any]:
    """The shape of the REST part (wire contract §1.5)."""
    return {"code": code, "details": None, "hint": None, "message": message}


def platform_error_body(status: int, code: str, message: str) -> dict[str, Any]:
    """The shape of everything else (wire contract §1.5)."""
    return {"error": message, "code": code, "message": message, "status": status}


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first header `name` (lower case) of a request."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return None
