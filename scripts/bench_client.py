"""What the whole client costs: building, encoding, one request end to end, against raw httpx.

    python scripts/bench_client.py [--rounds 7]

Ratios of CPU time in the same run, medians over the rounds; see `bench_http.py` for the server.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

import bench_http

from aerodb import AeroDBClient, AsyncAeroDBClient
from aerodb._core.database.stream import RowDecoder
from aerodb._core.json import loads


def select(client: Any, count: int) -> Any:
    """The query that the raw side writes by hand."""
    chosen = client.from_("items").select("id", "name", "price")
    return chosen.eq("id", 42).order("id").limit(count)


def client_async(port: int, *, times: int, tasks: int = 1, count: int = 1) -> float:
    """CPU seconds of `times` queries of the async client by so many tasks."""

    async def main() -> float:
        async with AsyncAeroDBClient(f"http://127.0.0.1:{port}", "k" * 40) as client:

            async def work(share: int) -> None:
                for _ in range(share):
                    (await select(client, count)).unwrap()

            await asyncio.gather(*(work(1) for _ in range(tasks)))
            before = time.process_time()
            await asyncio.gather(*(work(times // tasks) for _ in range(tasks)))
            return time.process_time() - before

    return asyncio.run(main())


def client_sync(port: int, *, times: int, threads: int = 1, count: int = 1) -> float:
    """CPU seconds of `times` queries of the blocking client by so many threads."""
    with AeroDBClient(f"http://127.0.0.1:{port}", "k" * 40) as client:

        def work() -> None:
            for _ in range(times // threads):
                select(client, count).execute().unwrap()

        with ThreadPoolExecutor(threads) as pool:

            def run() -> float:
                before = time.process_time()
                for done in [pool.submit(work) for _ in range(threads)]:
                    done.result()
                return time.process_time() - before

            run()  # warms up
            return run()


Side = Callable[[int], float]
SCENARIOS: list[tuple[str, float, Side, Side]] = [
    ("(a) small select, async", 0.65,
     lambda p: client_async(p, times=800), lambda p: bench_http.raw_async(p, times=800)),
    ("(a) small select, sync", 0.55,
     lambda p: client_sync(p, times=800), lambda p: bench_http.raw_sync(p, times=800)),
    ("(b) 64 at once, async", 0.20,
     lambda p: client_async(p, times=1920, tasks=64),
     lambda p: bench_http.raw_async(p, times=1920, tasks=64)),
    ("(c) 8 threads, sync", 0.60,
     lambda p: client_sync(p, times=800, threads=8),
     lambda p: bench_http.raw_sync(p, times=800, threads=8)),
    ("(d) 100 rows, async", 0.65,
     lambda p: client_async(p, times=300, count=100),
     lambda p: bench_http.raw_async(p, times=300, count=100)),
    ("(d) 10k rows, async", 0.95,
     lambda p: client_async(p, times=10, count=10_000),
     lambda p: bench_http.raw_async(p, times=10, count=10_000)),
    ("(d) 10k rows, sync", 0.95,
     lambda p: client_sync(p, times=10, count=10_000),
     lambda p: bench_http.raw_sync(p, times=10, count=10_000)),
]  # fmt: skip


def requests(rounds: int) -> None:
    """The scenarios of performance §3 (a) to (d); limits are those beside httpx with sniffio."""
    print(f"{'whole client / raw httpx':34}{'ratio':>7}{'limit':>7}")
    with bench_http.json_server() as port:
        for name, limit, ours, raw in SCENARIOS:
            ratio = statistics.median(ours(port) / raw(port) for _ in range(rounds))
            print(f"{name:34}{ratio:7.2f}{limit:7.2f}")


def microseconds(work: Callable[[], object], times: int = 20_000) -> float:
    """CPU microseconds of one run, the best of five."""
    best = float("inf")
    for _ in range(5):
        before = time.process_time()
        for _ in range(times):
            work()
        best = min(best, time.process_time() - before)
    return best / times * 1e6


def building() -> None:
    """Performance §3 (e): a chain of five calls, and the same with its URL; beside postgrest-py
    where that is installed."""
    client = AeroDBClient("http://localhost", "k")

    def chain() -> Any:
        query = client.from_("users").select("id", "name").eq("role", "admin").gt("age", 18)
        return query.order("name").limit(10)

    ours = microseconds(chain), microseconds(lambda: chain().to_request())
    print(f"{'building a query':34}{ours[0]:6.1f} us, with its request {ours[1]:6.1f} us")
    try:
        # by name: it is installed for benchmarks only, so type checkers cannot know it
        peer: Any = importlib.import_module("postgrest").SyncPostgrestClient("http://localhost")
    except ImportError:
        return

    def peer_chain() -> Any:
        query = peer.from_("users").select("id", "name").eq("role", "admin").gt("age", 18)
        return query.order("name").limit(10)

    theirs = microseconds(peer_chain, 2000)
    print(f"{'  beside postgrest-py':34}{theirs:6.1f} us; ratio {ours[0] / theirs:.2f}")


def decoding(rounds: int) -> None:
    """Performance §3 (j): rows while they arrive, against json.loads of the whole; and our
    strict reader against json.loads."""
    body = bench_http.rows(100_000)
    chunks = [body[i : i + 65536] for i in range(0, len(body), 65536)]

    def stream() -> None:
        decoder = RowDecoder()
        for chunk in chunks:
            for _ in decoder.feed(chunk):
                pass
        list(decoder.finish())

    def ratio(ours: Callable[[], object]) -> float:
        pairs = [(bench_http._cpu(ours), bench_http._cpu(lambda: json.loads(body)))
                 for _ in range(rounds)]  # fmt: skip
        return statistics.median(one / other for one, other in pairs)

    print(f"{'100k rows as a stream / json.loads':34}{ratio(stream):7.2f}{0.75:7.2f}")
    print(f"{'strict loads / json.loads':34}{ratio(lambda: loads(body)):7.2f}")


def seconds_of(code: str) -> float:
    """The best of seven runs of a fresh interpreter, less what the interpreter itself takes."""
    # an installed package has its bytecode; without it, compiling is what would be measured
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}

    def best(text: str) -> float:
        times: list[float] = []
        for _ in range(7):
            before = time.perf_counter()
            subprocess.run([sys.executable, "-c", text], check=True, env=environment)
            times.append(time.perf_counter() - before)
        return min(times)

    return best(code) - best("pass")


def starting() -> None:
    """Performance §3 (f) and (g): import and construction, beside httpx alone.

    httpx loads click for its command line if that is installed; a client's user need not have it.
    """
    raw = seconds_of("import sys; sys.modules['click'] = None; import httpx")
    for code in ("import aerodb", "from aerodb import AeroDBClient",
                 "from aerodb import AeroDBClient, AsyncAeroDBClient"):  # fmt: skip
        print(f"{code:52}{seconds_of(code) / raw:6.2f} of `import httpx`  limit 0.50")
    made = microseconds(lambda: AeroDBClient("https://db.example.com", "k" * 40), 500)
    print(f"{'constructing a client':34}{made:6.0f} us, limit 200")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds: int = parser.parse_args().rounds
    starting()
    building()
    decoding(rounds)
    requests(rounds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
