"""Guesses a file's MIME type by its names."""

from __future__ import annotations

_PACKED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
UNKNOWN = "application/octet-stream"


def media_type(*names: str | None) -> str:
    """By the first name that tells. What is packed is named by its packing: `a.tar.gz` is gzip."""
    import mimetypes  # reads the system's tables when first used

    for name in names:
        guessed, packing = mimetypes.guess_type("file:" + name) if name else (None, None)
        if packing is not None:
            return _PACKED.get(packing, UNKNOWN)
        if guessed is not None:
            return guessed
    return UNKNOWN
