"""uvicorn's HTTP protocol with a bound on how long a request may take to arrive.

uvicorn waits for ever for the rest of a request. A client that opens connections and sends a byte
now and then would hold them until the process has no descriptor left (reliability C6).
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class BoundedProtocol(H11Protocol):
    """Closes a connection whose request head is not there in `head_seconds`, or whose body makes no
    progress for `body_seconds` (wire contract §1.7). Handlers may take as long as they like."""

    head_seconds: ClassVar[float] = 30.0
    body_seconds: ClassVar[float] = 60.0
    _arrival: asyncio.TimerHandle | None = None
    _upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for the first request."""
        super().connection_made(transport)
        self._expect(self.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a head from its first byte on, of a body from its last one on."""
        super().data_received(data)
        state = self.conn.their_state
        if self._upgraded:
            # What follows is no body, and another protocol reads it.
            self._stop_expecting()
        elif state is h11.IDLE:
            if self._arrival is None:
                self._expect(self.head_seconds)
        elif state is h11.SEND_BODY:
            self._stop_expecting()
            self._expect(self.body_seconds)
        else:
            self._stop_expecting()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Leave the connection to the WebSocket, which has bounds of its own."""
        self._upgraded = True
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_expecting()
        super().connection_lost(exc)

    def _expect(self, seconds: float) -> None:
        self._arrival = self.loop.call_later(seconds, self._too_late)

    def _stop_expecting(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _too_late(self) -> None:
        self._arrival = None
        state = self.conn.their_state
        if state is h11.SEND_BODY and self.flow.read_paused:
            self._expect(self.body_seconds)  # it is us who do not read
        elif state in (h11.IDLE, h11.SEND_BODY):
            self.transport.close()
