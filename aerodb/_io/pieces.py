"""What both sides share about bodies that are read while they are sent."""

from __future__ import annotations

from typing import Any

PIECE = 256 * 1024
ENOUGH = 128 * 1024
"""Smaller pieces are gathered up to this, or a body of tiny ones would be all overhead."""


def checked(piece: Any) -> bytes:
    """A piece of a caller's body. What is no bytes is a mistake in the program."""
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, (bytearray, memoryview)):
        return bytes(piece)
    raise TypeError(
        f"a body is made of bytes, not {type(piece).__name__}; open files with mode 'rb'"
    )
