"""What the instance and a worker say to each other: frames over a socket pair.

A frame is one byte of kind, four of length (big-endian) and the payload, JSON or plain bytes.

| kind | direction | payload |
|---|---|---|
| `CALL` | to the worker | JSON: the request without its body, and `body_length` |
| `BODY` | to the worker | a piece of the body; as many as `body_length` needs |
| `STOP` | to the worker | nothing: nobody waits for the rest of the answer any more |
| `READY` | from the worker | JSON: `files`, those that the function was loaded from |
| `START` | from the worker | JSON: `status`, `headers`, and `length` unless it is a stream |
| `DATA` | from the worker | a piece of the answer |
| `END` | from the worker | JSON: `files` again; the worker is free |
| `FAILED` | from the worker | JSON: `kind` (`load`, `body`, `handler`), `message`, `traceback` |
"""

from __future__ import annotations

import json
import struct
from typing import Any

CALL, BODY, STOP = b"C", b"B", b"X"
READY, START, DATA, END, FAILED = b"R", b"H", b"D", b"E", b"F"

HEAD = struct.Struct(">cI")
PIECE = 256 * 1024
MAXIMUM = 4 * 1024 * 1024
"""No frame is longer: a length above it means that the other side has lost its way."""


class BadFrame(Exception):
    """What came is no frame."""


def packed(kind: bytes, payload: bytes = b"") -> bytes:
    """One frame."""
    return HEAD.pack(kind, len(payload)) + payload


def packed_json(kind: bytes, value: Any) -> bytes:
    """One frame whose payload is JSON."""
    return packed(kind, json.dumps(value, separators=(",", ":")).encode())


def read_head(head: bytes) -> tuple[bytes, int]:
    """Kind and length of the payload that follows."""
    kind, length = HEAD.unpack(head)
    if length > MAXIMUM:
        raise BadFrame(f"a frame of {length} bytes")
    return kind, length


def pieces(data: bytes) -> list[bytes]:
    """`data` in payloads of a handy size; none for nothing."""
    if len(data) <= PIECE:
        return [data] if data else []
    return [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
