"""What the local instance costs, beside the same work done by hand, in the same run.

    python scripts/bench_local.py [--rounds 5]

The servers run in this process, one after the other; the load comes from a process of its own, so
CPU time of this process is the server's alone. Ratios are medians over the rounds.

- a row by primary key: the instance, against an empty Starlette route plus the same SQL through
  psycopg (aim: at most 2);
- 64 at once: the instance, against Starlette and psycopg doing the same by hand (aim: at most 1);
- 10,000 rows: how much of the time is PostgreSQL's and the sockets' (aim: over 80 %);
- cold and warm start;
- with `--soak N`, memory after N requests of varied shapes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import resource
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path
from typing import Any

import psycopg
import uvicorn
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aerodb.local import LocalServer

SCHEMA = """
create table items (id bigint primary key, name text not null, price numeric, tags text[]);
insert into items
select i, 'a thing of some kind', i / 7.0, '{a,b}' from generate_series(1, 10000) i;
"""
SQL = """
select coalesce(json_agg(t), '[]')::text from (select id, name, price from items where id = %s) t
"""
PK_PATH = "/rest/v1/items?select=id,name,price&id=eq.42"
ALL_PATH = "/rest/v1/items?select=id,name,price,tags"


def _load(port: int, path: str, key: str, times: int, tasks: int) -> None:
    """Ask `times` times over `tasks` connections; in a process of its own."""

    async def main() -> None:
        head = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\napikey: {key}\r\n"
            "Accept: application/json\r\n\r\n"
        ).encode()

        async def work() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
            for _ in range(times // tasks):
                writer.write(head)
                answer = await reader.readuntil(b"\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 20"), answer
                size = answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(size))
            writer.close()
            await writer.wait_closed()

        await asyncio.gather(*(work() for _ in range(tasks)))

    asyncio.run(main())


class Load:
    """The process that asks, kept for the whole run."""

    def __init__(self) -> None:
        self._pool = multiprocessing.get_context("spawn").Pool(1)

    def cpu(self, port: int, path: str, key: str, *, times: int, tasks: int) -> float:
        """CPU seconds of this process per request, while the other asks."""
        self._pool.apply(_load, (port, path, key, tasks * 5, tasks))  # warm up
        before = time.process_time()
        self._pool.apply(_load, (port, path, key, times, tasks))
        return (time.process_time() - before) / times

    def wall(self, port: int, path: str, key: str, *, times: int) -> float:
        """Seconds per request, one after the other."""
        before = time.perf_counter()
        self._pool.apply(_load, (port, path, key, times, 1))
        return (time.perf_counter() - before) / times

    def close(self) -> None:
        self._pool.terminate()
        self._pool.join()


@contextlib.contextmanager
def serve(app: Any) -> Generator[int]:
    """An ASGI application on a free port, in a thread."""
    listener = socket.socket()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()


async def _empty(request: Request) -> Response:
    return Response(b"[]", media_type="application/json")


def by_hand(database_url: str) -> Starlette:
    """What one would write without us: a route, a pool, a transaction with role and claims."""
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        database_url, min_size=1, max_size=10, open=False, kwargs={"autocommit": True}
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with pool:
            yield

    async def item(request: Request) -> Response:
        async with pool.connection() as connection, connection.transaction():
            await connection.execute(
                "select set_config('role', 'anon', true),"
                " set_config('request.jwt.claims', '{\"role\":\"anon\"}', true)"
            )
            cursor = await connection.execute(SQL, (request.query_params["id"][3:],))
            row = await cursor.fetchone()
        return Response(row[0] if row else "[]", media_type="application/json")

    return Starlette(routes=[Route("/rest/v1/items", item)], lifespan=lifespan)


def psycopg_cpu(database_url: str, times: int) -> float:
    """CPU seconds of the bare SQL, through an open connection."""

    async def main() -> float:
        async with await psycopg.AsyncConnection.connect(
            database_url, autocommit=True
        ) as connection:
            for _ in range(20):
                await (await connection.execute(SQL, (42,))).fetchone()
            before = time.process_time()
            for _ in range(times):
                await (await connection.execute(SQL, (42,))).fetchone()
            return (time.process_time() - before) / times

    return asyncio.run(main())


def server_share(server: LocalServer, load: Load, key: str) -> float:
    """Which part of a 10,000-row request is not this process's Python."""
    times, port = 20, int(server.url.rpartition(":")[2])
    load.cpu(port, ALL_PATH + "&limit=10000", key, times=5, tasks=1)
    cpu = time.process_time()
    wall = load.wall(port, ALL_PATH + "&limit=10000", key, times=times)
    return 1 - (time.process_time() - cpu) / times / wall


def median_of(rounds: int, ratio: Callable[[], float]) -> float:
    return statistics.median(ratio() for _ in range(rounds))


def resident_mib() -> float:
    """What this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def soak(requests: int) -> None:
    """Many requests of many shapes: plans and prepared statements are bounded, so memory is."""
    load = Load()
    with LocalServer(schema=[SCHEMA]) as server:
        port, key = int(server.url.rpartition(":")[2]), server.anon_key
        shapes = [
            f"/rest/v1/items?select={columns}&{name}={op}.{value}&limit={limit}"
            for columns in ("id", "id,name", "*", "price,tags", "id,price::text", "n:name")
            for name, value in (("id", "42"), ("price", "7"), ("name", "x"))
            for op in ("eq", "gt", "lt", "neq", "not.eq")
            for limit in (1, 10)
        ]
        share = max(8, requests // len(shapes) // 10 // 8 * 8)
        for done in range(10):
            for path in shapes:
                load.cpu(port, path, key, times=share, tasks=8)
            total = (done + 1) * len(shapes) * (share + 40)
            print(f"{total:8} requests: {resident_mib():6.1f} MiB", flush=True)
    load.close()


def starts() -> tuple[float, float]:
    """Seconds to a served instance, with an empty data folder and with a filled one."""
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            before = time.perf_counter()
            server = LocalServer(data=Path(folder) / "data")
            with server:
                seconds.append(time.perf_counter() - before)
    return seconds[0], seconds[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--soak", type=int, default=0, help="requests to watch memory over")
    options = parser.parse_args()
    rounds: int = options.rounds
    if options.soak:
        soak(options.soak)
        return 0
    load = Load()
    with LocalServer(schema=[SCHEMA], db_max_rows=10_000) as server:
        port, key = int(server.url.rpartition(":")[2]), server.anon_key
        database_url = server.database_url
        with serve(Starlette(routes=[Route("/rest/v1/items", _empty)])) as empty:

            def one_row() -> float:
                ours = load.cpu(port, PK_PATH, key, times=1000, tasks=1)
                route = load.cpu(empty, PK_PATH, key, times=1000, tasks=1)
                return ours / (route + psycopg_cpu(database_url, 1000))

            print(f"a row by primary key / (route + psycopg): {median_of(rounds, one_row):.2f}")
        with serve(by_hand(database_url)) as hand:

            def at_once() -> float:
                ours = load.cpu(port, PK_PATH, key, times=3200, tasks=64)
                return ours / load.cpu(hand, PK_PATH, key, times=3200, tasks=64)

            print(f"64 at once / Starlette and psycopg by hand: {median_of(rounds, at_once):.2f}")
        share = median_of(rounds, lambda: server_share(server, load, key))
        print(f"10,000 rows, share of PostgreSQL and sockets: {share:.0%}")
    load.close()
    cold, warm = starts()
    print(f"cold start {cold:.2f} s, warm start {warm:.2f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
