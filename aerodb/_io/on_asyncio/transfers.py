"""The async side of transfers: files, iterators, several at once. Loaded with storage."""

from __future__ import annotations

from aerodb._io.files import (
    drop_state,
    is_same_file,
    place_below,
    read_state,
    target_of,
    write_state,
)
from aerodb._io.media_types import media_type
from aerodb._io.on_asyncio.sources import FileInput, open_source
from aerodb._io.on_asyncio.together import together
from aerodb._io.progress_bars import progress_bar
from aerodb._io.sources import BLOCK, Source, Span, sha256_of

__all__ = [
    "BLOCK",
    "FileInput",
    "Source",
    "Span",
    "drop_state",
    "is_same_file",
    "media_type",
    "open_source",
    "place_below",
    "progress_bar",
    "read_state",
    "sha256_of",
    "target_of",
    "together",
    "write_state",
]
