"""Lines out of a body that comes in pieces of any size."""

from __future__ import annotations

__all__ = ["LineSplitter", "TooLong"]


class TooLong(ValueError):
    """A line, or an event, is longer than the reader is willing to hold."""


class LineSplitter:
    """Bytes in, complete lines out, without their ends: LF, CR LF or CR.

    A CR ends its line at once, not when the next piece tells whether an LF follows: a server that
    ends its events by CR would otherwise always be one event behind. `limit` is the most bytes
    that one line may have.
    """

    __slots__ = ("_after_cr", "_held", "_limit", "_size")

    def __init__(self, limit: int) -> None:
        self._held: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._limit = limit

    def feed(self, piece: bytes) -> list[bytes]:
        """Take a piece; give the lines that it completes. Raises `TooLong`."""
        if not piece:
            return []
        if self._after_cr and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_cr = piece.endswith(b"\r") if piece else False
        if b"\n" not in piece and b"\r" not in piece:
            self._hold(piece)
            return []
        lines = piece.splitlines()  # of bytes: at LF, CR LF and CR, and nowhere else
        rest = b"" if piece[-1:] in (b"\n", b"\r") else lines.pop()
        self._hold(lines[0])
        lines[0] = b"".join(self._held)
        self._held.clear()
        self._size = 0
        if any(len(line) > self._limit for line in lines):
            raise TooLong(f"a line of more than {self._limit} bytes")
        self._hold(rest)
        return lines

    def finish(self) -> list[bytes]:
        """The body is over: the last line, if it has no end of its own."""
        rest, self._held, self._size = b"".join(self._held), [], 0
        return [rest] if rest else []

    def _hold(self, part: bytes) -> None:
        if part:
            self._held.append(part)
            self._size += len(part)
            if self._size > self._limit:
                raise TooLong(f"a line of more than {self._limit} bytes")
