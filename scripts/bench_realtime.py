"""What an event costs: our WebSocket against raw `websockets` and `websocket-client`, in one run.

    python scripts/bench_realtime.py [--rounds 7]

A server in a process of its own sends events of a few hundred bytes, either as fast as they are
taken (flood) or one every half millisecond, so that each costs a wake-up (paced). Every side
receives them, decodes the JSON and calls one handler. What is printed is the median, over the
rounds, of ratios of CPU time (user and system, this process).

The limits are those of performance §3 (h) for the whole client; the shim alone must stay well
below them, for the protocol comes on top.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import websocket
from websockets.asyncio.client import connect

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aerodb._core.websocket import SocketSettings
from aerodb._io import on_asyncio, on_threads

FLOOD, PACED = 20_000, 1_500
PACE_SECONDS = 0.0005
EVENT = {
    "type": "event",
    "channel": "todos",
    "event": "UPDATE",
    "schema": "public",
    "table": "todos",
    "commit_timestamp": "2026-11-22T10:00:00.123456+00:00",
    "seq": 123456,
    "n": 17,
    "new": {"id": 42, "title": "water the plants", "done": True, "owner": "a1b2", "rank": 12.5},
    "old": {"id": 42},
    "errors": None,
}


def frame(text: str) -> bytes:
    """A text frame as a server sends it."""
    data = text.encode()
    assert 126 <= len(data) < 65536
    return b"\x81\x7e" + len(data).to_bytes(2, "big") + data


class _Sending(asyncio.Protocol):
    """Shakes hands, then sends what the path asks for: `/flood/20000`, `/paced/1500`."""

    def __init__(self) -> None:
        self.buffer = b""
        self.left = 0
        self.paced = False
        self.stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.left or b"\r\n\r\n" not in (buffer := self.buffer + data):
            return  # a client's frames: pings, its close
        lines = buffer.split(b"\r\n")
        _, kind, count = lines[0].split(b" ")[1].split(b"/")
        key = next(line[18:].strip() for line in lines if line.lower().startswith(b"sec-websocket-k"))
        proof = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False)
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(proof.digest()) + b"\r\n\r\n"
        )
        self.left, self.paced = int(count), kind == b"paced"
        asyncio.get_running_loop().call_later(0.05, self.send)  # the client is ready by then

    def send(self) -> None:
        event = frame(json.dumps(EVENT))
        if self.paced:
            self.transport.write(event)
            self.left -= 1
            if self.left:
                asyncio.get_running_loop().call_later(PACE_SECONDS, self.send)
            return
        while self.left and not self.stopped:
            share = min(self.left, 50)
            self.left -= share
            self.transport.write(event * share)

    def pause_writing(self) -> None:
        self.stopped = True

    def resume_writing(self) -> None:
        self.stopped = False
        self.send()


def _serve(port: multiprocessing.Queue[int]) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(_Sending, "127.0.0.1", 0)
        port.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())


@contextlib.contextmanager
def event_server() -> Generator[int]:
    """A server in another process; gives its port."""
    context = multiprocessing.get_context("spawn")
    port: multiprocessing.Queue[int] = context.Queue()
    process = context.Process(target=_serve, args=(port,), daemon=True)
    process.start()
    try:
        yield port.get(timeout=30)
    finally:
        process.terminate()
        process.join()


def handler(event: dict[str, Any]) -> None:
    """What a user's handler does at least."""
    assert event["new"]["id"] == 42


def shim_async(url: str, times: int) -> float:
    """CPU seconds of so many events through our async WebSocket."""

    async def main() -> float:
        ws = await on_asyncio.WebSocket.connect(url, [], SocketSettings(), 10)
        before = time.process_time()
        for _ in range(times):
            text = await ws.receive(25.0)
            assert text is not None
            handler(json.loads(text))
        spent = time.process_time() - before
        ws.abort()
        return spent

    return asyncio.run(main())


def raw_async(url: str, times: int) -> float:
    """The same with `websockets`."""

    async def main() -> float:
        async with connect(url, compression=None, proxy=None) as ws:
            before = time.process_time()
            for _ in range(times):
                handler(json.loads(await ws.recv()))
            spent = time.process_time() - before
            ws.transport.abort()
            return spent

    return asyncio.run(main())


def shim_sync(url: str, times: int) -> float:
    """CPU seconds of so many events through our blocking WebSocket."""
    ws = on_threads.WebSocket.connect(url, [], SocketSettings(), 10)
    before = time.process_time()
    for _ in range(times):
        text = ws.receive(25.0)
        assert text is not None
        handler(json.loads(text))
    spent = time.process_time() - before
    ws.abort()
    return spent


def raw_sync(url: str, times: int) -> float:
    """The same with `websocket-client`."""
    ws = websocket.create_connection(url)
    before = time.process_time()
    for _ in range(times):
        handler(json.loads(ws.recv()))
    spent = time.process_time() - before
    ws.shutdown()
    return spent


Side = Callable[[str, int], float]

# name, path, events, limit, ours, raw. The lines of the whole client (`client.channel(...).on(...)`)
# come here, with the same limits, when there is one.
SCENARIOS: list[tuple[str, str, int, float, Side, Side]] = [
    ("(h) flood, async, shim / websockets", "flood", FLOOD, 1.15, shim_async, raw_async),
    ("(h) paced, async, shim / websockets", "paced", PACED, 1.10, shim_async, raw_async),
    ("(h) flood, sync, shim / websocket-client", "flood", FLOOD, 1.10, shim_sync, raw_sync),
    ("(h) paced, sync, shim / websocket-client", "paced", PACED, 1.10, shim_sync, raw_sync),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="a part of the scenario's name")
    options = parser.parse_args()
    print(f"{'CPU an event':42} {'ratio':>6} {'limit':>6}   spread        ours, us")
    missed = False
    with event_server() as port:
        for name, kind, times, limit, ours, raw in SCENARIOS:
            if options.only not in name:
                continue
            url = f"ws://127.0.0.1:{port}/{kind}/{times}"
            pairs = [(ours(url, times), raw(url, times)) for _ in range(options.rounds)]
            ratios = sorted(one / other for one, other in pairs)
            ratio = statistics.median(ratios)
            cost = min(one for one, _ in pairs) / times * 1e6
            missed |= ratio > limit
            mark = "" if ratio <= limit else "  over"
            spread = f"{ratios[0]:.2f}..{ratios[-1]:.2f}"
            print(f"{name:42} {ratio:6.2f} {limit:6.2f}   {spread:12}{cost:8.1f}{mark}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
