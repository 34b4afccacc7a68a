"""What an event costs: our WebSocket, and the whole client, against the raw libraries, in one run.

    python scripts/bench_realtime.py [--rounds 7]

A server in a process of its own sends events of a few hundred bytes, either as fast as they are
taken (flood) or one every half millisecond, so that each costs a wake-up (paced). Every side
receives them, decodes the JSON and calls one handler. What is printed is the ratio of CPU time
(user and system, this process), of the middle half of the rounds, and its spread over the rounds.
The sides take turns in going first, so that a machine that grows slower is no advantage.

The limits are those of performance §3 (h) for the whole client; the shim alone must stay well
below them, for the protocol, the queue and the dispatching come on top.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import itertools
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import websocket
from websockets.asyncio.client import connect

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from bench_server import serving

from aerodb import AeroDBClient, AsyncAeroDBClient, ClientOptions, RealtimeOptions
from aerodb._core.websocket import SocketSettings
from aerodb._io import on_asyncio, on_threads

FLOOD, PACED = 20_000, 3_000
PACE_SECONDS = 0.0005
ROW = {"id": 42, "title": "water the plants", "done": True, "owner": "a1b2", "rank": 12.5}
CHANGE = {
    "type": "UPDATE",
    "schema": "public",
    "table": "todos",
    "commit_timestamp": "2026-11-22T10:00:00.123456+00:00",
    "new": ROW,
    "old": {"id": 42},
}


def event(number: int) -> bytes:
    """The frame of one change; each has the number after that of the one before."""
    members = {"type": "event", "channel": "todos", "payload": CHANGE, "bindings": [1]}
    return frame(json.dumps({**members, "seq": 123456 + number, "n": number}))


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
        self.waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.waiting:
            self.waiting = False
            self.send()
        if self.left or b"\r\n\r\n" not in (buffer := self.buffer + data):
            return  # a client's frames: its subscription, pings, its close
        lines = buffer.split(b"\r\n")
        _, kind, count, *whole = lines[0].split(b" ")[1].split(b"/")
        key = next(
            line[18:].strip() for line in lines if line.lower().startswith(b"sec-websocket-k")
        )
        proof = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False)
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(proof.digest()) + b"\r\n\r\n"
        )
        self.left, self.paced = int(count), kind == b"paced"
        self.events = iter([event(number) for number in range(1, self.left + 1)])
        self.waiting = bool(whole)  # the whole client subscribes
        if not whole:
            asyncio.get_running_loop().call_later(0.05, self.send)  # the shim is ready by then

    def send(self) -> None:
        if self.paced:
            self.transport.write(next(self.events))
            self.left -= 1
            if self.left:
                asyncio.get_running_loop().call_later(PACE_SECONDS, self.send)
            return
        while self.left and not self.stopped:
            share = min(self.left, 50)
            self.left -= share
            self.transport.write(b"".join(itertools.islice(self.events, share)))

    def pause_writing(self) -> None:
        self.stopped = True

    def resume_writing(self) -> None:
        self.stopped = False
        self.send()


def event_server() -> AbstractContextManager[int]:
    """A server in another process; gives its port."""
    return serving(_Sending)


def handler(change: Mapping[str, Any]) -> None:
    """What a user's handler does at least."""
    assert change["new"]["id"] == 42


def options() -> ClientOptions:
    """Room enough that nothing is dropped: every event is to be paid for."""
    realtime = RealtimeOptions(max_queue=10**6, max_queue_bytes=2**32)
    return ClientOptions(trust_env=False, realtime=realtime)


def client_async(url: str, times: int) -> float:
    """CPU seconds of so many events through the whole async client."""

    async def main() -> float:
        done = asyncio.Event()
        left = times

        def counted(change: Any) -> None:
            nonlocal left
            handler(change)
            left -= 1
            if not left:
                done.set()

        async with AsyncAeroDBClient(url.replace("ws", "http", 1), options=options()) as client:
            channel = client.channel("todos").on("UPDATE", counted)
            await client.realtime.connect()
            before = time.process_time()
            await channel.subscribe()
            await asyncio.wait_for(done.wait(), 60)
            return time.process_time() - before

    return asyncio.run(main())


def client_sync(url: str, times: int) -> float:
    """CPU seconds of so many events through the whole blocking client."""
    done = threading.Event()
    left = times

    def counted(change: Any) -> None:
        nonlocal left
        handler(change)
        left -= 1
        if not left:
            done.set()

    with AeroDBClient(url.replace("ws", "http", 1), options=options()) as client:
        channel = client.channel("todos").on("UPDATE", counted)
        client.realtime.connect()
        before = time.process_time()
        channel.subscribe()
        assert done.wait(60)
        return time.process_time() - before


def shim_async(url: str, times: int) -> float:
    """CPU seconds of so many events through our async WebSocket."""

    async def main() -> float:
        ws = await on_asyncio.WebSocket.connect(url, [], SocketSettings(), 10)
        before = time.process_time()
        for _ in range(times):
            text = await ws.receive(25.0)
            assert text is not None
            handler(json.loads(text)["payload"])
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
                handler(json.loads(await ws.recv())["payload"])
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
        handler(json.loads(text)["payload"])
    spent = time.process_time() - before
    ws.abort()
    return spent


def raw_sync(url: str, times: int) -> float:
    """The same with `websocket-client`."""
    ws: Any = websocket.create_connection(url)
    before = time.process_time()
    for _ in range(times):
        handler(json.loads(ws.recv())["payload"])
    spent = time.process_time() - before
    ws.shutdown()
    return spent


Side = Callable[[str, int], float]

# name, path, events, limit, ours, raw
SCENARIOS: list[tuple[str, str, int, float, Side, Side]] = [
    ("(h) flood, async, shim / websockets", "flood", FLOOD, 1.15, shim_async, raw_async),
    ("(h) paced, async, shim / websockets", "paced", PACED, 1.10, shim_async, raw_async),
    ("(h) flood, sync, shim / websocket-client", "flood", FLOOD, 1.10, shim_sync, raw_sync),
    ("(h) paced, sync, shim / websocket-client", "paced", PACED, 1.10, shim_sync, raw_sync),
    ("(h) flood, async, client / websockets", "flood", FLOOD, 1.15, client_async, raw_async),
    ("(h) paced, async, client / websockets", "paced", PACED, 1.10, client_async, raw_async),
    ("(h) flood, sync, client / websocket-client", "flood", FLOOD, 1.10, client_sync, raw_sync),
    ("(h) paced, sync, client / websocket-client", "paced", PACED, 1.10, client_sync, raw_sync),
]


def pair(ours: Side, raw: Side, url: str, times: int, turn: int) -> tuple[float, float]:
    """One round: what both sides cost."""
    if turn % 2:
        other = raw(url, times)
        return ours(url, times), other
    return ours(url, times), raw(url, times)


def middle(costs: Iterable[float]) -> float:
    """The mean of the middle half: neither a lucky round nor a disturbed one decides."""
    found = sorted(costs)
    aside = len(found) // 4
    return statistics.mean(found[aside : len(found) - aside])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="a part of the scenario's name")
    chosen = parser.parse_args()
    print(f"{'CPU an event':42} {'ratio':>6} {'limit':>6}   spread        ours, us")
    missed = False
    with event_server() as port:
        for name, kind, times, limit, ours, raw in SCENARIOS:
            if chosen.only not in name:
                continue
            url = f"ws://127.0.0.1:{port}/{kind}/{times}"
            pairs = [pair(ours, raw, url, times, turn) for turn in range(chosen.rounds)]
            ratios = sorted(one / other for one, other in pairs)
            ratio = middle(one for one, _ in pairs) / middle(other for _, other in pairs)
            cost = min(one for one, _ in pairs) / times * 1e6
            missed |= ratio > limit
            mark = "" if ratio <= limit else "  over"
            spread = f"{ratios[0]:.2f}..{ratios[-1]:.2f}"
            print(f"{name:42} {ratio:6.2f} {limit:6.2f}   {spread:12}{cost:8.1f}{mark}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
