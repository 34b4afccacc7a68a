"""How often the failures of handlers are logged (reliability W6)."""

from __future__ import annotations

from typing import Any

__all__ = ["FailureLog"]

QUIET_SECONDS = 10.0
_MOST = 1000


class FailureLog:
    """One line per handler in ten seconds, with the number of those that were not logged."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[Any, tuple[float, int]] = {}

    def note(self, handler: Any, now: float) -> int | None:
        """A handler failed. How many of its failures a line now stands for; None: no line yet."""
        before = self._seen.get(handler)
        if before is not None and now - before[0] < QUIET_SECONDS:
            self._seen[handler] = (before[0], before[1] + 1)
            return None
        if len(self._seen) >= _MOST:
            self._seen.clear()
        self._seen[handler] = (now, 0)
        return 1 if before is None else before[1] + 1
