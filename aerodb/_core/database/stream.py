"""A JSON array of rows, read while it arrives: bytes in, rows out, in bounded memory.

A piece is cut at the last place that looks like the seam of two objects (`}`, comma, `{`), and
everything before it is parsed at once, by the same strict codec as a whole body. The guess is
safe: a seam inside a string or a nested value leaves something open, so it does not parse. Then
the rows of the piece are taken one by one, which needs no guess. A row bigger than a piece is
tried again only when it has doubled, so that the work stays linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from aerodb._core import json

__all__ = ["RowDecoder", "pieces"]

_SPACE = b" \t\r\n"
_SEAM = rb"[ \t\r\n]*,[ \t\r\n]*\{[ \t\r\n]*"
_FIRST_NAME = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*("(?:[^"\\]|\\.)*")').match
_PIECE = 64 * 1024  # what fits the processor's cache is faster, and holds fewer rows
_MISSES = 3  # so many wrong guesses in a row: rows hold lists of objects, guessing does not pay
_SMALL = 16 * 1024  # below this, waiting for more is cheaper than parsing


def pieces(chunk: bytes) -> Iterator[bytes]:
    """A chunk of any size in pieces that are good to decode."""
    if len(chunk) <= _PIECE:
        return iter((chunk,))
    return (chunk[start : start + _PIECE] for start in range(0, len(chunk), _PIECE))


class RowDecoder:
    """Feed it the body piece by piece, then `finish()` it. Both give rows, or raise `BadJSON`."""

    __slots__ = ("_buffer", "_misses", "_seam", "_started", "_wait_for", "_whole")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._started = False
        self._misses = 0
        self._seam: re.Pattern[bytes] | None = None
        self._whole = False  # not an array: an envelope, read as a whole at the end
        self._wait_for = 1

    def feed(self, piece: bytes) -> list[Any]:
        """Take the next bytes; return the rows that are complete now."""
        buffer = self._buffer
        buffer += piece
        if len(buffer) < self._wait_for:
            return []
        if not self._started and not self._start():
            return []
        if self._whole or len(buffer) < _SMALL:
            self._wait_for = _SMALL
            return []
        rows = self._rows_up_to_seam()
        self._wait_for = len(buffer) + max(_SMALL, len(buffer)) if not rows else 1
        return rows

    def finish(self) -> list[Any]:
        """The body is complete: return the last rows."""
        if not self._started and not self._start():
            raise json.BadJSON("the body is empty, expected a JSON array")
        body = bytes(self._buffer)
        self._buffer.clear()
        if self._whole:
            return _envelope(json.loads(body))
        body = body.rstrip(_SPACE)
        if not body.endswith(b"]"):
            raise json.BadJSON("the body ends inside the array")
        rows: list[Any] = json.loads(b"[" + body)
        return rows

    def _start(self) -> bool:
        """Look at the first byte that is no space."""
        buffer = self._buffer
        start = len(buffer) - len(buffer.lstrip(_SPACE))
        if start == len(buffer):
            return False
        self._started = True
        self._whole = buffer[start : start + 1] != b"["
        if not self._whole:
            del buffer[: start + 1]
        return True

    def _rows_up_to_seam(self) -> list[Any]:
        buffer = self._buffer
        if self._seam is None:
            self._seam = _seam_before(buffer)
        cut = _last_seam(buffer, self._seam) if self._misses < _MISSES else 0
        if cut > 0:
            try:
                rows: list[Any] = json.loads(b"[%b]" % bytes(buffer[:cut]))
            except json.BadJSON:
                self._misses += 1
            else:
                self._misses = 0
                self._drop(cut)
                return rows
        return self._rows_one_by_one()

    def _rows_one_by_one(self) -> list[Any]:
        """All rows that are followed by a comma; what is wrong with the rest shows later."""
        cut = self._buffer.rfind(b",")
        if cut <= 0:
            return []
        rows, used = json.loads_members(bytes(self._buffer[:cut]))
        if used:
            self._drop(used)
        return rows

    def _drop(self, used: int) -> None:
        """Take rows and the comma behind them out of the buffer."""
        buffer = self._buffer
        comma = buffer.find(b",", used)
        del buffer[: comma + 1]


def _seam_before(buffer: bytearray) -> re.Pattern[bytes]:
    """What stands between two rows: comma, brace, and the first name of the first row.

    The name keeps most objects inside of rows from being taken for rows.
    """
    first = _FIRST_NAME(buffer)
    return re.compile(_SEAM + (re.escape(first[1]) if first else b""))


def _last_seam(buffer: bytearray, seam: re.Pattern[bytes]) -> int:
    """The end of the last object that such a seam follows; 0 if there is none."""
    end = len(buffer)
    while True:
        end = buffer.rfind(b"}", 0, end)
        if end < 0:
            return 0
        if seam.match(buffer, end + 1):
            return end + 1


def _envelope(value: Any) -> list[Any]:
    """Rows in an envelope (wire-contract §1.6)."""
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        rows: list[Any] = value["data"]
        return rows
    raise json.BadJSON("the body is no JSON array")
