"""What a request costs: our HTTP client against raw httpx, in the same run.

    python scripts/bench_http.py [--rounds 7]

A server in a process of its own answers with a list of rows. In every round both sides do the
same work one after the other; what is printed is the median, over the rounds, of ratios of CPU
time (user and system, this process), because absolute figures move too much to mean anything.
The limits are those for an httpx that finds sniffio installed, which makes it a quarter cheaper.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import httpx

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from bench_server import serving

from aerodb._core.http import Origin, Request
from aerodb._core.http_settings import HttpSettings
from aerodb._io import on_asyncio, on_threads

HEADERS = [
    (b"apikey", b"k" * 40),
    (b"Authorization", b"Bearer " + b"t" * 200),
    (b"Accept", b"application/json"),
    (b"X-Request-Id", b"5f0c1a9e-2f59-4f13-9a0e-6d2f0f6a1b7d"),
    (b"User-Agent", b"aerodb-py/1.0"),
]
TEXT_HEADERS = {name.decode(): value.decode() for name, value in HEADERS}
PATH = "/rest/v1/items?select=id,name,price&id=eq.42&order=id.asc&limit=1"
PARAMS = {"select": "id,name,price", "id": "eq.42", "order": "id.asc", "limit": "1"}


def rows(count: int) -> bytes:
    """A JSON list of so many rows."""
    row = {"id": 42, "name": "a thing of some kind", "price": 12.5, "tags": ["a", "b"], "n": None}
    return json.dumps([{**row, "id": number} for number in range(count)]).encode()


class _Answering(asyncio.Protocol):
    """Answers every request whose head has arrived; the path says how many rows."""

    def __init__(self) -> None:
        self.buffer = b""
        self.bodies = _bodies()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            size = head.partition(b"limit=")[2].partition(b" ")[0]
            self.transport.write(self.bodies[size])


@functools.cache
def _bodies() -> dict[bytes, bytes]:
    bodies: dict[bytes, bytes] = {}
    for count in (1, 100, 10_000):
        body = rows(count)
        head = (
            f"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: application/json\r\n"
            f"Content-Range: 0-{count - 1}/*\r\nX-Request-Id: abc\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        bodies[str(count).encode()] = head.encode() + body
    return bodies


def json_server() -> AbstractContextManager[int]:
    """A server in another process; gives its port."""
    return serving(_Answering)


@dataclass(frozen=True)
class Scenario:
    """One line of the table: two functions that do the same work with `port`."""

    name: str
    limit: float
    ours: Callable[[int], float]
    raw: Callable[[int], float]


def _cpu(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def _request(port: int, count: int) -> Request:
    target = PATH.replace("limit=1", f"limit={count}")
    return Request("GET", Origin("http", "127.0.0.1", port), target, list(HEADERS), None)


def ours_async(port: int, *, times: int, tasks: int = 1, count: int = 1) -> float:
    """CPU seconds of `times` requests of ours by so many tasks."""

    async def main() -> float:
        client = on_asyncio.HttpClient(HttpSettings())

        async def work(share: int) -> None:
            for _ in range(share):
                deadline = on_asyncio.monotonic() + 30
                json.loads((await client.send(_request(port, count), deadline)).body)

        await asyncio.gather(*(work(1) for _ in range(tasks)))
        before = time.process_time()
        await asyncio.gather(*(work(times // tasks) for _ in range(tasks)))
        spent = time.process_time() - before
        await client.close()
        return spent

    return asyncio.run(main())


def raw_async(port: int, *, times: int, tasks: int = 1, count: int = 1) -> float:
    """The same with httpx."""

    async def main() -> float:
        base = f"http://127.0.0.1:{port}"
        params = {**PARAMS, "limit": str(count)}
        async with httpx.AsyncClient(base_url=base, headers=TEXT_HEADERS) as client:

            async def work(share: int) -> None:
                for _ in range(share):
                    (await client.get("/rest/v1/items", params=params)).json()

            await asyncio.gather(*(work(1) for _ in range(tasks)))
            before = time.process_time()
            await asyncio.gather(*(work(times // tasks) for _ in range(tasks)))
            return time.process_time() - before

    return asyncio.run(main())


def _threads(count: int, work: Callable[[], None]) -> float:
    if count == 1:
        work()
        return _cpu(work)
    with ThreadPoolExecutor(count) as pool:
        barrier = threading.Barrier(count)

        def warm_up() -> None:
            barrier.wait()
            work()

        for done in [pool.submit(warm_up) for _ in range(count)]:
            done.result()
        before = time.process_time()
        for done in [pool.submit(work) for _ in range(count)]:
            done.result()
        return time.process_time() - before


def ours_sync(port: int, *, times: int, threads: int = 1, count: int = 1) -> float:
    """CPU seconds of `times` requests of ours by so many threads."""
    client = on_threads.HttpClient(HttpSettings())

    def work() -> None:
        for _ in range(times // threads):
            deadline = on_threads.monotonic() + 30
            json.loads(client.send(_request(port, count), deadline).body)

    try:
        return _threads(threads, work)
    finally:
        client.close()


def raw_sync(port: int, *, times: int, threads: int = 1, count: int = 1) -> float:
    """The same with httpx."""
    base = f"http://127.0.0.1:{port}"
    params = {**PARAMS, "limit": str(count)}
    with httpx.Client(base_url=base, headers=TEXT_HEADERS) as client:

        def work() -> None:
            for _ in range(times // threads):
                client.get("/rest/v1/items", params=params).json()

        return _threads(threads, work)


SCENARIOS = [
    Scenario(
        "(a) small select, async",
        0.65,
        lambda port: ours_async(port, times=800),
        lambda port: raw_async(port, times=800),
    ),
    Scenario(
        "(a) small select, sync",
        0.55,
        lambda port: ours_sync(port, times=800),
        lambda port: raw_sync(port, times=800),
    ),
    Scenario(
        "(b) 64 at once, async",
        0.20,
        lambda port: ours_async(port, times=1920, tasks=64),
        lambda port: raw_async(port, times=1920, tasks=64),
    ),
    Scenario(
        "(c) 8 threads, sync",
        0.60,
        lambda port: ours_sync(port, times=800, threads=8),
        lambda port: raw_sync(port, times=800, threads=8),
    ),
    Scenario(
        "(d) 100 rows, async",
        0.65,
        lambda port: ours_async(port, times=300, count=100),
        lambda port: raw_async(port, times=300, count=100),
    ),
    Scenario(
        "(d) 100 rows, sync",
        0.65,
        lambda port: ours_sync(port, times=300, count=100),
        lambda port: raw_sync(port, times=300, count=100),
    ),
    Scenario(
        "(d) 10k rows, async",
        0.95,
        lambda port: ours_async(port, times=10, count=10_000),
        lambda port: raw_async(port, times=10, count=10_000),
    ),
    Scenario(
        "(d) 10k rows, sync",
        0.95,
        lambda port: ours_sync(port, times=10, count=10_000),
        lambda port: raw_sync(port, times=10, count=10_000),
    ),
]


@dataclass(frozen=True)
class Result:
    """What one scenario came to."""

    scenario: Scenario
    ratio: float
    spread: tuple[float, float]
    ours_seconds: float


def run(rounds: int = 7, wanted: str = "") -> list[Result]:
    """Run the scenarios whose name contains `wanted`."""
    results: list[Result] = []
    with json_server() as port:
        for scenario in SCENARIOS:
            if wanted not in scenario.name:
                continue
            pairs = [(scenario.ours(port), scenario.raw(port)) for _ in range(rounds)]
            ratios = sorted(ours / raw for ours, raw in pairs)
            median = statistics.median(ratios)
            best = min(ours for ours, _ in pairs)
            results.append(Result(scenario, median, (ratios[0], ratios[-1]), best))
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="a part of the scenario's name")
    options = parser.parse_args()
    print(f"{'scenario':28} {'ratio':>6} {'limit':>6}   spread")
    missed = False
    for result in run(options.rounds, options.only):
        name, limit = result.scenario.name, result.scenario.limit
        low, high = result.spread
        missed |= result.ratio > limit
        mark = "" if result.ratio <= limit else "  over"
        print(f"{name:28} {result.ratio:6.2f} {limit:6.2f}   {low:.2f}..{high:.2f}{mark}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
