"""A line for each request, on the logger `aerodb.local.requests`: INFO, and ERROR from 500 on.

The query string is left out: it holds values, and for WebSockets and signed URLs secrets.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from aerodb.local.replies import AsgiApp, Message, Receive, Scope, Send

NAME = "aerodb.local.requests"
_LOG = logging.getLogger(NAME)
_LOG.addHandler(logging.NullHandler())  # who wants lines on stderr asks for them
_MOST_OF_A_BODY = 4096


class RequestLog:
    """An ASGI application that tells of what another one answers."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        answer = _Answer(send)
        try:
            await self._app(scope, receive, answer)
        finally:
            _tell(scope, answer, time.monotonic() - started)


class _Answer:
    """Passes an answer on, and keeps what a line says of it."""

    __slots__ = ("_send", "body", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif self.status >= 400 and len(self.body) < _MOST_OF_A_BODY:
            self.body += bytes(message.get("body", b""))[:_MOST_OF_A_BODY]
        await self._send(message)


def _printable(text: str) -> str:
    """Paths and messages hold what anybody sent: nothing in them moves a cursor."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _tell(scope: Scope, answer: _Answer, seconds: float) -> None:
    level = logging.ERROR if answer.status >= 500 else logging.INFO
    if not _LOG.isEnabledFor(level):
        return
    path = _printable(scope["path"])
    what = f"{answer.status}{_problem(answer.body)}" if answer.status else "no answer"
    _LOG.log(level, "%s %s %s %.0f ms", scope["method"], path, what, seconds * 1000)


def _problem(body: bytes) -> str:
    """Code and message of an error, in either of the shapes of wire contract §1.5."""
    try:
        said: Any = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(said, dict):
        return ""
    inner = said["error"] if isinstance(said.get("error"), dict) else said
    texts = [inner.get("code"), inner.get("message")]
    return "".join(f" {_printable(text)}" for text in texts if isinstance(text, str))
