"""The one exception of the REST part, and PostgREST's error bodies.

Wire contract §1.5 and §3.7: a body is exactly `{"code", "message", "details", "hint"}`, unless
`client-error-verbosity` asks for less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class RestError(Exception):
    """An answer that is not a success; `code` is a PGRST code or a SQLSTATE."""

    status: int
    code: str
    message: str
    details: Any = None
    hint: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def body(self, *, minimal: bool = False) -> dict[str, Any]:
        """The JSON object; `minimal` leaves out details and hint (`client-error-verbosity`)."""
        if minimal:
            return {"code": self.code, "message": self.message}
        return {
            "code": self.code,
            "details": self.details,
            "hint": self.hint,
            "message": self.message,
        }
