"""Frames become messages: fragments put together, text decoded, limits kept (reliability C6)."""

from __future__ import annotations

from aerodb._core.websocket import SocketClosed

TEXT = 1
FRAGMENTS = 16 * 1024
"""More fragments than this in one message are an attack: each costs time, however small it is."""

Data = bytes | bytearray | memoryview


class Assembly:
    """Takes the data frames of one connection, in order (RFC 6455 §5.4)."""

    __slots__ = ("_count", "_opcode", "_parts", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._opcode = 0
        self._count = 0
        self._parts = bytearray()

    @property
    def is_open(self) -> bool:
        """Whether a message has begun that is not complete."""
        return self._opcode != 0

    @property
    def room(self) -> int:
        """How many bytes the next frame may have."""
        return self.limit - len(self._parts)

    def add(self, opcode: int, fin: bool, data: Data) -> str | bytes | None:
        """Return the message that this frame completes; None if it goes on.

        Raises `SocketClosed` with the code that the peer is to be told.
        """
        if opcode:
            if self._opcode:
                raise SocketClosed(1002, "a message began inside another")
            if fin:
                return decoded(opcode, data)
            self._opcode = opcode
        elif not self._opcode:
            raise SocketClosed(1002, "a message began in its middle")
        self._parts += data
        self._count += 1
        if len(self._parts) > self.limit or self._count > FRAGMENTS:
            raise too_large(self.limit)
        return self._complete() if fin else None

    def _complete(self) -> str | bytes:
        opcode, parts = self._opcode, self._parts
        self._opcode, self._count, self._parts = 0, 0, bytearray()
        return decoded(opcode, parts)


def decoded(opcode: int, data: Data) -> str | bytes:
    """A whole message as what it is received as."""
    if opcode != TEXT:
        return bytes(data)
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        raise SocketClosed(1007, "a text message is not valid UTF-8") from None


def too_large(limit: int) -> SocketClosed:
    """The peer sent more than is taken."""
    return SocketClosed(1009, f"a message is larger than {limit} bytes or in too many fragments")
