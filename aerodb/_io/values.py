"""Clocks, chance and names: what both sides share without waiting."""

from __future__ import annotations

import os
from time import monotonic, time

__all__ = ["jitter", "monotonic", "new_id", "wall_clock"]

wall_clock = time
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def jitter() -> float:
    """A random number in [0, 1). From the system, so that forked processes differ."""
    return int.from_bytes(os.urandom(7), "big") / (1 << 56)


def new_id() -> str:
    """A random UUID of version 4 as text (RFC 9562 §5.4)."""
    text = os.urandom(16).hex()
    variant = _VARIANTS[text[16]]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"
