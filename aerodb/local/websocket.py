"""uvicorn's WebSocket protocol with bounds on what a client can make it keep (reliability C6).

The handshake has come through `BoundedProtocol`, whose limits hold for it. Behind it, uvicorn
counts bytes of a message but not its fragments, answers pings whether anybody reads the answers or
not, and writes the whole URL of every handshake to its log.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

MAXIMUM_MESSAGE_BYTES = 1024 * 1024
"""What breaks off a connection; that a frame is too long for its purpose is said long before."""
_MAXIMUM_FRAGMENTS = 1024
_MAXIMUM_UNREAD_BYTES = 8 * 1024 * 1024
_FAREWELL_SECONDS = 15.0
QUERY = "aerodb.query_string"
ACTIVITY = "aerodb.activity"


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """Ends connections that send without end, and keeps secrets in URLs out of logs.

    The scope has the query string under `QUERY`, and under `ACTIVITY` a function that returns when
    the client was last heard of, by the clock of the event loop.
    """

    _heard_at = 0.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Otherwise headers and frames, and so tokens, are in the log when it is a verbose one.
        self.conn.debug = False

    def data_received(self, data: bytes) -> None:
        """Note that the client lives, then do what has to be done."""
        self._heard_at = self.loop.time()
        super().data_received(data)

    def handle_connect(self, event: Request) -> None:
        """Give the query string to the application alone (wire contract §4.4)."""
        super().handle_connect(event)
        if self.handshake_initiated and not self.handshake_complete:
            scope: dict[str, Any] = self.scope  # type: ignore[assignment]
            scope[QUERY] = scope["query_string"]
            scope[ACTIVITY] = lambda: self._heard_at
            scope["query_string"] = b"..." if scope["query_string"] else b""

    async def send(self, message: Any) -> None:
        """Say goodbye also to a client that does not read, and do not wait for it for ever."""
        if message["type"] == "websocket.close" and self.handshake_complete:
            self.writable.set()
            self.loop.call_later(_FAREWELL_SECONDS, self.transport.abort)
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True  # a handshake that is refused is over too

    def send_receive_event_to_app(self) -> None:
        """Refuse what is no text without a word in the log: that is the client's affair."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            self.frames = [b"".join(self.frames)]
            try:
                self.frames[0].decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.fail(1007, "invalid UTF-8")
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def handle_cont(self, event: Frame) -> None:
        """Count the fragments of a message."""
        if len(self.frames) >= _MAXIMUM_FRAGMENTS:
            self.conn.fail(1009, "too many fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer, unless the answers pile up."""
        if self.transport.get_write_buffer_size() > _MAXIMUM_UNREAD_BYTES:
            self.transport.abort()
            return
        super().handle_ping()
