"""Bytes in, messages out, up to where `receive` takes them.

`websockets` parses what is unusual: fragments, control frames, large frames, and all that breaks
the rules. Its parser costs as much as decoding the JSON of a small event does, so the one shape
that nearly all frames have, a whole short text, is read right here. Whole frames are handed over,
never parts of the next one, so both readers always agree where a frame begins.
"""

from __future__ import annotations

from collections import deque

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol

from aerodb._io.assembly import Assembly, decoded

OVERHEAD = 100
"""What a message counts beyond its length, so that many small ones count too."""

TEXT = Opcode.TEXT
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_WHOLE_TEXT = 0x81  # FIN and opcode 1 (RFC 6455 §5.2)
_SHORT, _MEDIUM = 125, 126


class Intake:
    """`inbox` holds the messages, `held` says how much that is."""

    __slots__ = ("_assembly", "_limit", "_owing", "_protocol", "_start", "held", "inbox")

    def __init__(self, protocol: Protocol, limit: int) -> None:
        self._protocol = protocol
        self._assembly = Assembly(limit)
        self._limit = limit
        self._start = b""
        self._owing = 0
        self.inbox: deque[str | bytes] = deque()
        self.held = 0

    def take(self) -> str | bytes:
        """Return the next message; there must be one."""
        message = self.inbox.popleft()
        self.held -= len(message) + OVERHEAD
        return message

    def feed(self, data: bytes) -> None:
        """Take what came off the wire.

        Raises `SocketClosed` with the code that the peer is to be told; what the library finds
        wrong shows in the state of its protocol.
        """
        if self._start:
            data, self._start = self._start + data, b""
        at = 0
        while at < len(data):
            if not self._owing:
                at = self._short_texts(data, at)
                self._owing = _frame_size(data, at)
                if not self._owing:
                    self._start = data[at:]
                    return
            piece = data[at : at + self._owing]
            at += len(piece)
            self._owing -= len(piece)
            self._by_library(piece)
            if self._protocol.state is not OPEN:
                return

    def _short_texts(self, data: bytes, at: int) -> int:
        """Take all whole short texts from here on; return where something else begins."""
        if self._assembly.is_open:
            return at
        append, size, limit, held = self.inbox.append, len(data) - 3, self._limit, 0
        while at < size and data[at] == _WHOLE_TEXT:
            length, start = data[at + 1], at + 2
            if length >= _MEDIUM:
                if length != _MEDIUM:
                    break
                length, start = data[at + 2] << 8 | data[at + 3], at + 4
            end = start + length
            if end > size + 3 or length > limit:
                break
            message = decoded(TEXT, data[start:end])
            append(message)
            held += len(message) + OVERHEAD
            at = end
        self.held += held
        return at

    def _by_library(self, piece: bytes) -> None:
        protocol = self._protocol
        protocol.receive_data(piece)
        for frame in protocol.events_received():
            assert isinstance(frame, Frame)
            if frame.opcode in _DATA:
                message = self._assembly.add(frame.opcode, frame.fin, frame.data)
                if message is not None:
                    self.inbox.append(message)
                    self.held += len(message) + OVERHEAD


def _frame_size(data: bytes, at: int) -> int:
    """How many bytes the frame has that begins here; 0 if its head is not complete.

    The four bytes of a mask do not count, for a server's frame that has one is refused.
    """
    left = len(data) - at
    if left < 2:
        return 0
    length = data[at + 1] & 0x7F
    if length <= _SHORT:
        return 2 + length
    if length == _MEDIUM:
        return 4 + int.from_bytes(data[at + 2 : at + 4], "big") if left >= 4 else 0
    return 10 + int.from_bytes(data[at + 2 : at + 10], "big") if left >= 10 else 0
