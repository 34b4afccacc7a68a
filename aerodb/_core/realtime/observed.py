"""What may be told of realtime to whoever observes it: names, numbers and codes, never a value.

OpenTelemetry's conventions for messaging have most of these names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from aerodb._core.realtime.messages import ChannelEvent, GapNotice, RealtimePayload
from aerodb._core.redact import redact_text
from aerodb.types import AeroDBError

__all__ = ["RealtimeOperation", "observing", "server_of"]


class RealtimeOperation:
    """One thing that a realtime connection does.

    Attributes:
        name: A short text of few different values: `subscribe`, `process todos`.
        operation: `connect`, or `reconnect` after a loss; `subscribe`; `send`, a message to the
            channel; `process`, one call of a handler; `gap`, changes that are missing.
        channel: The channel's name; None for the connection itself.
        event: What is handled: `INSERT`, `UPDATE`, `DELETE`, `BROADCAST`, `PRESENCE`, `GAP`.
        table: Whose change is handled.
        reason: Why changes are missing: the `reason` of a `GapNotice`.
        host, port: The server.
        status: The HTTP status of a connection that was refused.
        error_code: The code of the error, or the class of what a handler raised; None for
            success.
        elapsed: Seconds, when it is over.
    """

    __slots__ = ("channel", "elapsed", "error_code", "event", "host", "name", "operation", "port",
                 "reason", "status", "table")  # fmt: skip

    def __init__(
        self,
        operation: str,
        server: tuple[str, int],
        channel: str | None = None,
        item: ChannelEvent | None = None,
        *,
        secrets: Sequence[str] = (),
    ) -> None:
        self.operation = operation
        self.host, self.port = server
        self.channel = None if channel is None else redact_text(channel, secrets)
        self.event: str | None = None if item is None else item.type
        self.table = item.table if isinstance(item, RealtimePayload) else None
        self.reason: str | None = item.reason if isinstance(item, GapNotice) else None
        self.name = operation if self.table is None else f"{operation} {self.table}"
        self.status: int | None = None
        self.error_code: str | None = None
        self.elapsed = 0.0

    def ended(self, error: AeroDBError | None) -> None:
        """Take note of the outcome; an error's text may quote values, so only its code is kept."""
        if error is not None:
            self.status = error.status
            self.error_code = error.code or str(error.status or "_OTHER")

    def broken_off(self, failure: BaseException) -> None:
        """It ended by an exception."""
        self.error_code = type(failure).__name__

    def __repr__(self) -> str:
        return f"<RealtimeOperation {self.name}>"


def observing(telemetry: Any) -> Any:
    """The method that is told of realtime; None if whoever observes does not ask for it."""
    found = getattr(telemetry, "observe_realtime", None)
    return found if callable(found) else None


def server_of(url: str) -> tuple[str, int]:
    """Host and port of the realtime URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme in ("wss", "https") else 80)
