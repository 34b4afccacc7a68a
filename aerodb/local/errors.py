"""What can go wrong before a local instance answers its first request."""

from __future__ import annotations


class LocalError(RuntimeError):
    """The instance cannot start, or cannot go on; the message says what to do about it."""
