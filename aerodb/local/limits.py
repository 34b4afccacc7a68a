"""How large a request may be (wire contract §1.7)."""

from __future__ import annotations

from aerodb.local.replies import Message, Receive, Scope, header

MAXIMUM_HEADER_BYTES = 32 * 1024


class BodyTooLarge(Exception):
    """The body went past the limit while it was read."""


def oversize(scope: Scope, max_body: int | None, max_url: int) -> tuple[int, str, str] | None:
    """Return (status, code, message) if what is known at the start is too much.

    `max_body` None leaves the body to the service.
    """
    if len(scope["raw_path"]) + len(scope["query_string"]) > max_url:
        return 414, "uri_too_long", f"The URL is longer than {max_url} bytes."
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAXIMUM_HEADER_BYTES:
        return 431, "headers_too_large", f"The headers exceed {MAXIMUM_HEADER_BYTES} bytes."
    length = header(scope, b"content-length")
    if max_body is None:
        return None
    if length is not None and length.isdigit() and int(length[:20]) > max_body:
        return 413, "payload_too_large", f"The body is longer than {max_body} bytes."
    return None


def counted(receive: Receive, max_body: int) -> Receive:
    """Return `receive` with a limit on the sum of what it hands out."""
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body") or b"")
        if taken > max_body:
            raise BodyTooLarge
        return message

    return limited
