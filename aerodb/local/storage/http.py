"""A request and its answers as values: what an endpoint gets and gives."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aerodb.local.json_bodies import BadBody, json_object
from aerodb.local.replies import Header, Receive, Scope
from aerodb.local.storage.errors import StorageError, invalid

PREFIX = "/storage/v1"
MAXIMUM_JSON_BYTES = 10 * 1024 * 1024
_MAXIMUM_PARAMETERS = 50


class Gone(Exception):
    """The client went away before its request was complete."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request whose body has not been read. `base_url` is what the client calls us."""

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    query: dict[str, str] = field(repr=False)
    receive: Receive = field(repr=False)
    base_url: str

    @property
    def upsert(self) -> bool:
        """Whether an object that exists may be replaced."""
        return self.headers.get("x-upsert", "").strip().lower() == "true"

    async def json(self) -> dict[str, Any]:
        """Read the JSON object that was sent, or raise validation_failed."""
        content = bytearray()
        async for chunk in self.stream():
            content += chunk
            if len(content) > MAXIMUM_JSON_BYTES:
                message = f"The body is longer than {MAXIMUM_JSON_BYTES} bytes."
                raise StorageError("payload_too_large", message)
        try:
            return json_object(self.headers.get("content-type"), bytes(content))
        except BadBody as problem:
            raise invalid(str(problem)) from None

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; raise `Gone` if it breaks off."""
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Gone
            chunk: bytes = message.get("body") or b""
            if chunk:
                yield chunk
            more = message.get("more_body", False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer in JSON; a `body` of None is an empty one."""

    status: int = 200
    body: Any = field(default=None, repr=False)
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True)
class FileReply:
    """An answer of bytes: those of `chunks`, which `opened` lets go of; none if they are None."""

    status: int
    headers: tuple[Header, ...]
    chunks: AsyncIterator[bytes] | None = field(default=None, repr=False)
    opened: AsyncExitStack = field(default_factory=AsyncExitStack, repr=False)


def read_head(scope: Scope, receive: Receive, base_url: str | None) -> Request:
    """Return the request of a scope."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    own = f"{scope.get('scheme', 'http')}://{headers.get('host', '')}"
    return Request(
        method=scope["method"],
        path=scope["path"],
        headers=headers,
        query=_query(scope["query_string"]),
        receive=receive,
        base_url=(base_url or own).rstrip("/"),
    )


def _query(raw: bytes) -> dict[str, str]:
    try:
        return dict(
            parse_qsl(
                raw.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_MAXIMUM_PARAMETERS,
            )
        )
    except ValueError:
        raise invalid("the query string is malformed") from None


# --- members ----------------------------------------------------------------------------------


def text(body: dict[str, Any], name: str, default: str | None = None) -> str:
    """Return a member that is a string."""
    value = body.get(name, default)
    if not isinstance(value, str):
        raise invalid(f"{name} must be a string")
    return value


def flag(body: dict[str, Any], name: str, default: bool) -> bool:
    """Return a member that is true or false."""
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise invalid(f"{name} must be true or false")
    return value


def number(value: Any, name: str, default: int, least: int, most: int) -> int:
    """Return a whole number, of JSON or of a query string; at most `most` whatever was sent."""
    if value is None:
        return default
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise invalid(f"{name} must be a whole number of at least {least}")
    return min(value, most)


def metadata(value: Any) -> dict[str, Any]:
    """Return metadata, a JSON object, given as itself or as its text."""
    if isinstance(value, bytes | str):
        raw = value.encode("utf-8", "replace") if isinstance(value, str) else value
        try:
            return json_object(None, raw)
        except BadBody as problem:
            raise invalid(f"metadata: {problem}") from None
    if not isinstance(value, dict):
        raise invalid("metadata must be a JSON object")
    return value


def compact(value: Any) -> str:
    """Return `value` as JSON, for a parameter of type jsonb."""
    return json.dumps(value, separators=(",", ":"))
