"""Reading what is uploaded."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from typing import Any, BinaryIO

from aerodb._core.http import SourceError
from aerodb._io.sources import BLOCK, Source, Span, changed, is_async, open_blocking

__all__ = ["BLOCK", "FileInput", "Span", "changed", "open_source", "read_block"]

FileInput = bytes | bytearray | memoryview | PathLike[str] | BinaryIO | Iterable[bytes]
"""What can be uploaded."""


def open_source(file: Any) -> Source:
    """Make a source of whatever an upload may be given. Raises SourceError."""
    if is_async(file):
        message = "the blocking AeroDBClient cannot read an async iterator or file"
        raise SourceError("INVALID_ARGUMENT", message, hint="use AsyncAeroDBClient")
    return open_blocking(file)


def read_block(source: Source, size: int) -> bytes | memoryview:
    """The next bytes, about so many; none after the last."""
    return source.read(size)
