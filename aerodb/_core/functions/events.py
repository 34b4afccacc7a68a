"""Server-sent events out of a body that comes in pieces (WHATWG HTML, "Server-sent events")."""

from __future__ import annotations

from typing import Any

from aerodb._core import json
from aerodb._core.functions.lines import LineSplitter, TooLong
from aerodb._dataclass import dataclass

__all__ = ["EventReader", "ServerSentEvent"]

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event of a stream.

    Attributes:
        data: Its `data` lines, joined by line feeds.
        event: Its type; `message` if the server named none.
        id: The last id that the server sent, with this event or before it; "" at first.
        retry: The milliseconds to wait before connecting again that the server asked for last.
    """

    data: str
    event: str = "message"
    id: str = ""
    retry: int | None = None

    def json(self) -> Any:
        """The data, read as JSON.

        Raises:
            ValueError: It is none.
        """
        return json.loads(self.data.encode("utf-8", "surrogatepass"))


class EventReader:
    """Bytes in, events out. Total but for `TooLong`: no bytes are an error.

    However the bytes are cut into pieces, the events are the same. `limit` is the most bytes that
    one event may have.
    """

    __slots__ = ("_at_start", "_data", "_id", "_limit", "_lines", "_retry", "_size", "_type")

    def __init__(self, limit: int) -> None:
        self._lines = LineSplitter(limit)
        self._limit = limit
        self._at_start = True
        self._data: list[str] = []
        self._size = 0
        self._type = ""
        self._id = ""
        self._retry: int | None = None

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """Take a piece; give the events that it completes. An event at the very end without an
        empty line behind it is none, as the standard wants it."""
        found: list[ServerSentEvent] = []
        for line in self._lines.feed(piece):
            if self._at_start:
                self._at_start = False
                line = line.removeprefix(_BOM)
            if line:
                self._field(line)
            else:
                self._dispatch(found)
        return found

    def _field(self, line: bytes) -> None:
        raw_name, _, raw_value = line.partition(b":")
        value = raw_value.removeprefix(b" ").decode("utf-8", "replace")
        if raw_name == b"data":
            self._size += len(raw_value) + 1
            if self._size > self._limit:
                raise TooLong(f"an event of more than {self._limit} bytes")
            self._data.append(value)
        elif raw_name == b"event":
            self._type = value
        elif raw_name == b"id":
            if "\0" not in value:
                self._id = value
        elif raw_name == b"retry" and raw_value.removeprefix(b" ").isdigit():
            self._retry = int(value[:18])

    def _dispatch(self, found: list[ServerSentEvent]) -> None:
        if self._data:
            data = "\n".join(self._data)
            found.append(ServerSentEvent(data, self._type or "message", self._id, self._retry))
        self._data = []
        self._size = 0
        self._type = ""
