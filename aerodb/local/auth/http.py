"""A request and an answer as values: what an endpoint gets and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from aerodb.local.auth.errors import invalid
from aerodb.local.json_bodies import BadBody, json_object
from aerodb.local.replies import Receive, Scope

_MAXIMUM_PARAMETERS = 50


class Gone(Exception):
    """The client went away before its request was complete."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `address` is the client's, `argument` the variable part of the path."""

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    query: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    address: str
    argument: str = ""

    def json(self) -> dict[str, Any]:
        """Return the JSON object that was sent, or raise validation_failed."""
        try:
            return json_object(self.headers.get("content-type"), self.body)
        except BadBody as problem:
            raise invalid(str(problem)) from None

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """Return a number of the query string; too large a one is taken down to `most`."""
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 10) or int(text) < least:
            raise invalid(f"{name} must be a whole number of at least {least}")
        return min(int(text), most)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; a `body` of None is an empty one."""

    status: int = 200
    body: Any = field(default=None, repr=False)


async def read_request(scope: Scope, receive: Receive) -> Request:
    """Read a whole request; how long it may be was decided before (app.py)."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        chunks.append(message.get("body") or b"")
        if not message.get("more_body", False):
            break
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(
        method=scope["method"],
        path=scope["path"],
        headers=headers,
        query=_query(scope["query_string"]),
        body=b"".join(chunks),
        address=str((scope.get("client") or ("",))[0]),
    )


def _query(raw: bytes) -> dict[str, str]:
    try:
        text = raw.decode("ascii")
        return dict(
            parse_qsl(
                text,
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_MAXIMUM_PARAMETERS,
            )
        )
    except ValueError:
        raise invalid("the query string is malformed") from None
