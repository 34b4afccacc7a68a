"""websocket-client's frames, without its socket.

Of that library only the codec is used, and nothing that reads, writes or connects: its own reader
takes messages of any size, holds a timeout that senders share, and checks UTF-8 one byte at a time
in Python.
"""

from __future__ import annotations

import struct
from typing import Any

from websocket import ABNF, WebSocketProtocolException, frame_buffer

from aerodb._core.websocket import SocketClosed
from aerodb._io.assembly import Assembly, too_large

__all__ = [
    "CLOSE",
    "DATA",
    "FrameReader",
    "PING",
    "PONG",
    "TEXT",
    "close_frame",
    "encode",
    "parse_close",
]

TEXT, CLOSE, PING, PONG = ABNF.OPCODE_TEXT, ABNF.OPCODE_CLOSE, ABNF.OPCODE_PING, ABNF.OPCODE_PONG
DATA = (ABNF.OPCODE_CONT, ABNF.OPCODE_TEXT, ABNF.OPCODE_BINARY)
_CONTROL_LIMIT = 125
_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


class Incomplete(Exception):
    """More bytes are needed. The reader goes on where it stopped."""


def encode(opcode: int, data: bytes) -> bytes:
    """A whole frame of ours, masked."""
    made: bytes = ABNF.create_frame(data, opcode).format()
    return made


def close_frame(code: int, reason: str) -> bytes:
    """The content of a close frame. Raises ValueError for a code that cannot be sent."""
    if not (code in _CLOSE_CODES or 3000 <= code < 5000):
        raise ValueError(f"{code} is not a code that a close frame can have")
    content = struct.pack("!H", code) + reason.encode("utf-8")
    if len(content) > _CONTROL_LIMIT:
        raise ValueError("the reason of a close frame must not be longer than 123 bytes")
    return content


def parse_close(data: bytes) -> tuple[int, str]:
    """Code and reason of a close frame; 1005 if it has none (RFC 6455 §7.1.5)."""
    if not data:
        return 1005, ""
    return struct.unpack("!H", data[:2])[0], data[2:].decode("utf-8", "replace")


class FrameReader(frame_buffer):
    """Reads frames out of the bytes it was fed, and refuses what is too large unread."""

    def __init__(self, assembly: Assembly) -> None:
        super().__init__(
            _no_socket, skip_utf8_validation=True
        )  # where it is decoded, it is checked
        self._assembly = assembly
        self._bytes = bytearray()
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Take what came off the wire."""
        if self._at:
            del self._bytes[: self._at]
            self._at = 0
        self._bytes += data

    def next_frame(self) -> Any:
        """Return the next frame. Raises `Incomplete`, or `SocketClosed` with the code to tell."""
        try:
            return self.recv_frame()
        except WebSocketProtocolException:
            raise SocketClosed(1002, "the peer broke the WebSocket protocol") from None

    def recv_length(self) -> None:
        """As the library does, then judge the frame by its head."""
        super().recv_length()
        assert self.header is not None
        assert self.length is not None
        fin, *_, opcode, masked, _ = self.header
        if masked:
            raise SocketClosed(1002, "the server masked a frame")
        if opcode in DATA:
            if self.length > self._assembly.room:
                raise too_large(self._assembly.limit)
        elif self.length > _CONTROL_LIMIT or not fin:
            raise SocketClosed(1002, "a control frame is too long or in fragments")

    def recv_strict(self, bufsize: int) -> bytes:
        """The next bytes, all of them or none."""
        start, end = self._at, self._at + bufsize
        if end > len(self._bytes):
            raise Incomplete
        self._at = end
        return bytes(self._bytes[start:end])


def _no_socket(size: int) -> bytes:
    raise AssertionError("never called: bytes are fed")
