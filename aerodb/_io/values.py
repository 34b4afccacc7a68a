"""Clocks, chance and names: what both sides share without waiting."""

from __future__ import annotations

import os
from time import monotonic, time

__all__ = ["jitter", "monotonic", "new_id", "wall_clock"]

wall_clock = time


def jitter() -> float:
    """A random number in [0, 1). From the system, so that forked processes differ."""
    return int.from_bytes(os.urandom(7), "big") / (1 << 56)


def new_id() -> str:
    """A random UUID of version 4 as text (RFC 9562 §5.4)."""
    number = int.from_bytes(os.urandom(16), "big")
    number = number & ~(0xF000 << 64) & ~(0xC000 << 48) | (0x4000 << 64) | (0x8000 << 48)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
