"""A realtime server over real sockets that keeps the contract, and breaks it when told to.

    with ScriptedRealtime() as server:
        server.insert("posts", 3)           three changes, numbered, to whoever is subscribed
        server.kill(1012)                   close every connection with that code
        server.answers["subscribe"] = lambda connection, frame: None    never confirm

It runs on an event loop of its own thread; its methods may be called from anywhere and have taken
effect when they return. `seen` has every frame that came, `opened` the headers of every handshake,
`ends` the codes that connections ended with, `refusals` what the next handshakes are answered with.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import OPEN

from tests.support.loops import LoopThread

Answer = Callable[["Connection", dict[str, Any]], None]
RESET = struct.pack("ii", 1, 0)


class Connection:
    """One WebSocket, as the server sees it."""

    def __init__(self, socket_: ServerConnection, number: int) -> None:
        self.socket = socket_
        self.number = number
        self.joined: dict[str, int] = {}
        self.lines: asyncio.Queue[str | bytes] = asyncio.Queue()

    def say(self, frame: Any) -> None:
        """Send a frame: a value as JSON, text and bytes as they are."""
        self.lines.put_nowait(frame if isinstance(frame, str | bytes) else json.dumps(frame))


class ScriptedRealtime:
    """The server; a context manager."""

    def __init__(self, *, ring: int = 10_000) -> None:
        self.answers: dict[str, Answer] = {}
        self.seen: list[dict[str, Any]] = []
        self.opened: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.refusals: deque[tuple[int, dict[str, str], bytes]] = deque()
        self.connections: list[Connection] = []
        self.ends: list[int | None] = []
        self.most = 0
        self.epoch = "one"
        self.seq = 0
        self.resumes = True
        self.deaf = False
        self._log: deque[tuple[int, str, Any]] = deque(maxlen=ring)
        self._thread = LoopThread("scripted-realtime")
        self._loop = self._thread.loop
        self.port = 0

    @property
    def log(self) -> list[tuple[int, str, Any]]:
        """(sequence, channel, change) of all that is remembered."""
        return list(self._log)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._thread.do(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.stop()

    async def _listen(self) -> None:
        server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self._shake_hands,
            ping_interval=None,
            close_timeout=0.5,
            reuse_address=True,
        )
        self._thread.servers.append(server.server)
        self.port = next(iter(server.sockets)).getsockname()[1]

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._thread.do(work)

    # --- serving ------------------------------------------------------------------------

    async def _shake_hands(self, connection: ServerConnection, request: Request) -> Any:
        self.opened.append({name.lower(): value for name, value in request.headers.raw_items()})
        self.paths.append(request.path)
        if not self.refusals:
            return None
        status, headers, body = self.refusals.popleft()
        sent = Headers({"Content-Length": str(len(body)), "Connection": "close", **headers})
        return Response(status, HTTPStatus(status).phrase, sent, body)

    async def _serve(self, socket_: ServerConnection) -> None:
        connection = Connection(socket_, len(self.opened))
        self.connections.append(connection)
        self.most = max(self.most, len(self.connections))
        writing = asyncio.ensure_future(self._write(connection))
        try:
            async for text in socket_:
                frame = json.loads(text)
                self.seen.append(frame)
                if not self.deaf:
                    answer = self.answers.get(frame["type"], self._answer)
                    answer(connection, frame)
        except ConnectionClosed:
            pass
        finally:
            writing.cancel()
            self.ends.append(socket_.close_code)
            self.connections.remove(connection)

    async def _write(self, connection: Connection) -> None:
        try:
            while True:
                await connection.socket.send(await connection.lines.get())
        except ConnectionClosed:
            pass

    def _answer(self, connection: Connection, frame: dict[str, Any]) -> None:
        """What the contract says."""
        kind, name = frame["type"], frame.get("channel")
        if kind == "subscribe":
            self.confirm(connection, frame)
        elif kind == "unsubscribe":
            connection.joined.pop(str(name), None)
            connection.say({"type": "unsubscribed", "channel": name})
        elif kind == "heartbeat":
            connection.say({"type": "heartbeat", "ref": frame["ref"], "seq": self.seq})
        elif kind == "auth":
            said = {"type": "system", "event": "auth", "status": "ok", "ref": frame.get("ref")}
            connection.say(said)
        elif kind == "broadcast":
            others = [c for c in self.connections if name in c.joined and c is not connection]
            for other in others:
                members = {"event": frame["event"], "payload": frame["payload"]}
                other.say({"type": "broadcast", "channel": name, **members})
            if "ref" in frame:
                notified = {"subscribers_notified": len(others)}
                said = {"type": "broadcast_ack", "channel": name, "ref": frame["ref"]}
                connection.say({**said, "payload": notified})

    def confirm(self, connection: Connection, frame: dict[str, Any]) -> None:
        """Answer a `subscribe`, with what was missed if that was asked for."""
        name = frame["channel"]
        asked = frame.get("config", {}).get("resume")
        resume, replay = "none", []
        if asked is not None:
            full = len(self._log) == self._log.maxlen
            whole = asked["epoch"] == self.epoch and (
                not full or asked["since"] >= self._log[0][0] - 1
            )
            resume = "ok" if whole else "gap"
            replay = [one for one in self._log if one[0] > asked["since"]] if whole else []
        connection.joined[name] = 0
        said: dict[str, Any] = {"type": "subscribed", "channel": name}
        if "ref" in frame:
            said["ref"] = frame["ref"]
        if self.resumes:
            said |= {"epoch": self.epoch, "seq": self.seq, "resume": resume}
        connection.say(said)
        for seq, channel, change in replay:
            if channel == name:
                self._tell(connection, seq, name, change)

    def _tell(self, connection: Connection, seq: int, name: str, change: Any) -> None:
        connection.joined[name] += 1
        frame = {"type": "event", "channel": name, "payload": change, "seq": seq}
        connection.say({**frame, "n": connection.joined[name]} if self.resumes else frame)

    # --- what tests do ------------------------------------------------------------------

    def insert(self, channel: str, count: int = 1, *, title: str = "x") -> None:
        """So many changes. Each has the number it is, counted over all, as its row's id."""

        async def work() -> None:
            self._insert(channel, count, title)

        self._do(work())

    def _insert(self, channel: str, count: int, title: str) -> None:
        for _ in range(count):
            self.seq += 1
            row = {"id": self.seq, "title": title}
            change = {"type": "INSERT", "schema": "public", "table": channel, "new": row}
            self._log.append((self.seq, channel, change))
            for connection in self.connections:
                if channel in connection.joined:
                    self._tell(connection, self.seq, channel, change)

    def flood(self, channel: str) -> None:
        """Changes from now on until the end, as many as are read."""
        self._loop.call_soon_threadsafe(self._pour, channel)

    def _pour(self, channel: str) -> None:
        if all(connection.lines.qsize() < 1000 for connection in self.connections):
            self._insert(channel, 100, "x")
        self._loop.call_later(0.001, self._pour, channel)

    def say(self, frame: Any) -> None:
        """Send a frame to everybody."""

        async def work() -> None:
            for connection in self.connections:
                connection.say(frame)

        self._do(work())

    def kill(self, code: int = 1006) -> None:
        """End every connection: with a close frame, or without one for 1006."""

        async def work() -> None:
            for connection in tuple(self.connections):
                if code == 1006:
                    connection.socket.transport.close()
                elif connection.socket.protocol.state is OPEN:
                    connection.socket.protocol.send_close(code, "because")
                    connection.socket.send_data()

        self._do(work())

    def reset(self) -> None:
        """End every connection with a TCP reset."""

        async def work() -> None:
            for connection in tuple(self.connections):
                raw = connection.socket.transport.get_extra_info("socket")
                with suppress(OSError):  # it has ended already
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                connection.socket.transport.abort()

        self._do(work())

    def restart(self) -> None:
        """Forget the history, as a server does that starts anew."""
        self.epoch += "'"
        self._log.clear()
        self.seq = 0
        self.kill(1012)

    def frames(self, kind: str) -> list[dict[str, Any]]:
        """The frames of a type that came."""
        return [frame for frame in list(self.seen) if frame["type"] == kind]
