"""What a handler gets and may give. Standard library only: it is loaded by every worker."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

_LINE_END = re.compile(r"\r\n|\r|\n")


class BadBody(ValueError):
    """The body of a request is not what the handler needs. Not caught, it becomes a 400."""


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    found = float(digits)
    if found - found != 0:
        raise ValueError(digits)
    return found


_decode = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode
_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a function. Headers, claims and body show in no repr.

    Attributes:
        name: The function's name.
        method: `GET`, `POST` and so on.
        path: What stands in the URL behind the name, decoded, without the slash between; mostly "".
        query: The parameters of the query string; of several with one name the last counts.
        query_string: The query string as it came.
        headers: By lower-case name. Neither `apikey` nor a secret key of the instance is there.
        body: The bytes that came.
        role: The database role that the caller has proved to be: `anon`, `authenticated`, ...
        claims: The claims of the caller's token; None if there was no token and no key.
        request_id: The caller's `X-Request-Id`, for logs.
    """

    name: str
    method: str = "POST"
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    query_string: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    body: bytes = field(default=b"", repr=False)
    role: str = "anon"
    claims: Mapping[str, Any] | None = field(default=None, repr=False)
    request_id: str | None = None

    def json(self) -> Any:
        """The body, read as JSON; `BadBody` if it is none, or one that other programs refuse:
        not UTF-8, with NaN, a number beyond a float, or half of a surrogate pair."""
        try:
            found = _decode(self.body.decode())
            if b"\\ud" in self.body or b"\\uD" in self.body:
                _encode(found).encode()
        except (ValueError, RecursionError):
            raise BadBody("the body is not JSON") from None
        return found

    def text(self) -> str:
        """The body, read as UTF-8; `BadBody` if it is none."""
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            raise BadBody("the body is not UTF-8") from None


class Response:
    """An answer with a status and headers of its own.

    Args:
        body: What a handler may return alone: None, text, bytes, what JSON can hold, or something
            to iterate over, whose items are sent one by one.
        status: 200 to 599; 200 if not given, 204 without a body.
        headers: `Content-Type` among them, if the kind of body does not tell it.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, body: Any = None, status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self.body = body
        self.status = (204 if body is None else 200) if status is None else status
        self.headers = dict(headers or {})

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


def event(
    data: Any, *, name: str | None = None, id: str | None = None, retry: int | None = None
) -> str:
    """One event of a `text/event-stream`, as text. What is not text becomes JSON.

    Raises:
        ValueError: `name` or `id` has a line break, or `id` a NUL.
    """
    lines: list[str] = []
    for field_name, value in (("event", name), ("id", id)):
        if value is not None:
            if _LINE_END.search(value) or "\0" in value:
                raise ValueError(f"the {field_name} of an event must be one line")
            lines.append(f"{field_name}: {value}")
    if retry is not None:
        lines.append(f"retry: {int(retry)}")
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    lines += [f"data: {line}" for line in _LINE_END.split(text)]
    return "\n".join(lines) + "\n\n"
