"""From what a handler returns to what is sent. Runs in the worker; standard library only."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any, NamedTuple

from aerodb.local.functions.request import Response, event

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
LINES = "application/x-ndjson"
EVENTS = "text/event-stream"
_CONTENT_TYPE = "content-type"


class Answer(NamedTuple):
    """What is sent. `chunks` is there for a stream, whose `body` is not."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    chunks: Any = None

    @property
    def content_type(self) -> str | None:
        """What the handler itself said of it."""
        return next((text for name, text in self.headers if name.lower() == _CONTENT_TYPE), None)


def answer_of(result: Any) -> Answer:
    """Read what a handler returned: a `Response`, something like one, or a mere body."""
    if _is_response(result):
        status: Any = result.status if hasattr(result, "status") else result.status_code
        body = result.body if hasattr(result, "body") else result.content
        return _answer(int(status), _pairs(result.headers), body)
    return _answer(204 if result is None else 200, [], result)


def chunk_bytes(chunk: Any, content_type: str) -> bytes:
    """One item of a stream. What is neither text nor bytes becomes an event or a line of JSON."""
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        return bytes(chunk)
    if isinstance(chunk, str):
        return chunk.encode()
    if content_type.lower().startswith(EVENTS):
        return event(chunk).encode()
    return _json(chunk) + b"\n"


def stream_type(chunk: Any) -> str:
    """What a stream is that begins with this item, unless the handler said it."""
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        return BYTES
    return TEXT if isinstance(chunk, str) else LINES


def _is_response(result: Any) -> bool:
    if isinstance(result, Response):
        return True
    has_status = hasattr(result, "status_code") or hasattr(result, "status")
    has_body = hasattr(result, "body") or hasattr(result, "content")
    return has_status and has_body and hasattr(getattr(result, "headers", None), "items")


def _pairs(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in headers.items()]


def _answer(status: int, headers: list[tuple[str, str]], body: Any) -> Answer:
    told = any(name.lower() == _CONTENT_TYPE for name, _ in headers)
    if body is None:
        return Answer(status, headers)
    if isinstance(body, (bytes, bytearray, memoryview)):
        content, kind = bytes(body), BYTES
    elif isinstance(body, str):
        content, kind = body.encode(), TEXT
    elif _is_stream(body):
        return Answer(status, headers, chunks=body)
    else:
        content, kind = _json(body), JSON
    return Answer(status, headers if told else [*headers, ("Content-Type", kind)], content)


def _is_stream(body: Any) -> bool:
    if isinstance(body, (dict, list, tuple)):
        return False
    return isinstance(body, (AsyncIterable, Iterable))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
