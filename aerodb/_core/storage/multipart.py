"""The form around an upload (wire-contract §5.2), as what stands before and behind the file.

The file itself is never here: its bytes go out between the two as they are read.
"""

from __future__ import annotations

from typing import NamedTuple


class Form(NamedTuple):
    """`head`, then the file, then `tail` make a multipart/form-data body (RFC 7578)."""

    content_type: str
    head: bytes
    tail: bytes


def form(
    boundary: str,
    *,
    file_name: str,
    content_type: str,
    cache_seconds: str | None = None,
    metadata: bytes | None = None,
) -> Form:
    """A form of one file, and the small fields that must come first.

    The boundary must not occur in the file: 128 random bits do not.
    """
    head = b""
    if cache_seconds is not None:
        head += _field(boundary, "cacheControl", cache_seconds.encode())
    if metadata is not None:
        head += _field(boundary, "metadata", metadata)
    file = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{_quoted(file_name)}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    tail = f"\r\n--{boundary}--\r\n"
    return Form(f"multipart/form-data; boundary={boundary}", head + file.encode(), tail.encode())


def _field(boundary: str, name: str, value: bytes) -> bytes:
    start = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return start.encode() + value + b"\r\n"


def _quoted(name: str) -> str:
    """A file name within quotation marks, as the HTML standard escapes it (RFC 7578 §2)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
