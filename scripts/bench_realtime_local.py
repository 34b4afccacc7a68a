"""What the realtime part of the local instance costs, measured on an instance in its own process.

    python scripts/bench_realtime_local.py [--rows 100000] [--idle 1000]

Prints the events per second of the instance's CPU time (PostgreSQL's not counted) for one
transaction to one subscriber, the memory that idle subscribers take, and what the triggers cost a
load: on a table without them, with them, and with somebody who watches.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from psycopg import sql
from websockets.asyncio.client import ClientConnection, connect

PROGRAM = """
import json, sys
from aerodb.local import LocalServer
with LocalServer(schema=[sys.argv[1]], realtime_connections_per_address=100_000) as server:
    print(json.dumps([server.url, server.database_url]), flush=True)
    sys.stdin.read()
"""
COLUMNS = """
    year int, month int, day int, dep_time int, sched_dep_time int, dep_delay int, arr_time int,
    sched_arr_time int, arr_delay int, carrier text, flight int, tailnum text, origin text,
    dest text, air_time int, distance int, hour int, minute int, time_hour timestamptz
"""
VALUES = """
    2013, 1 + n %% 12, 1 + n %% 28, 517, 515, 2, 830, 819, 11, 'UA', n %% 9999, 'N14228', 'EWR',
    'IAH', 227, 1400, 5, 15, timestamptz '2013-01-01 05:00' + n * interval '1 minute'
"""
FLIGHTS = 336_776
SCHEMA = f"""
    create table flights (id bigint generated always as identity primary key, {COLUMNS});
    create table bare (id bigint generated always as identity primary key, {COLUMNS});
    do $$ declare name text; begin
        foreach name in array array['insert', 'update', 'delete', 'truncate'] loop
            execute format('drop trigger %I on bare', 'aerodb_realtime_' || name);
        end loop;
    end $$;
"""
NAMES = """
    year, month, day, dep_time, sched_dep_time, dep_delay, arr_time, sched_arr_time, arr_delay,
    carrier, flight, tailnum, origin, dest, air_time, distance, hour, minute, time_hour
"""


class Instance:
    """An instance in its own process, and the owner's connection to its database."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, SCHEMA],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parent.parent,
        )
        assert self.process.stdout is not None
        url, database = json.loads(self.process.stdout.readline())
        self.url = url.replace("http", "ws", 1) + "/realtime"
        self.owner = psycopg.connect(database, autocommit=True)

    def close(self) -> None:
        self.owner.close()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def cpu(self) -> float:
        """Seconds of CPU that the process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def load(self, table: str, rows: int) -> float:
        """Insert rows in one transaction; return the seconds."""
        begin = time.perf_counter()
        query = sql.SQL("insert into {} ({}) select {} from generate_series(1, %s) n").format(
            sql.Identifier(table), sql.SQL(NAMES), sql.SQL(VALUES)
        )
        self.owner.execute(query, [rows])
        return time.perf_counter() - begin


async def subscriber(instance: Instance, channel: str) -> ClientConnection:
    connection = await connect(instance.url, proxy=None, compression=None)
    await connection.recv()
    await connection.send(json.dumps({"type": "subscribe", "channel": channel}))
    assert "subscribed" in str(await connection.recv())
    return connection


async def idle(instance: Instance, count: int) -> None:
    before, cpu = instance.memory(), instance.cpu()
    connections = [await subscriber(instance, "flights") for _ in range(count)]
    grown, used = instance.memory() - before, instance.cpu() - cpu
    print(
        f"{count} idle subscribers: {grown:.1f} MiB ({grown / count * 1024:.1f} KiB each), "
        f"{used / count * 1000:.2f} ms of CPU to join"
    )
    cpu = instance.cpu()
    await asyncio.sleep(10)
    print(f"  at rest: {(instance.cpu() - cpu) * 10:.2f} % of one CPU")
    for connection in connections:
        await connection.close()


async def stream(instance: Instance, rows: int) -> None:
    connection = await subscriber(instance, "flights")
    before, cpu, begin = instance.memory(), instance.cpu(), time.perf_counter()
    writing = asyncio.create_task(asyncio.to_thread(instance.load, "flights", rows))
    seen, lost, size, peak = 0, 0, 0, before
    while seen < rows:
        text = str(await connection.recv())
        seen = int(text.partition('"n":')[2].partition(",")[0])
        if '"dropped":' in text[-30:]:
            lost += int(text.rpartition(":")[2].rstrip("}"))
        size += len(text)
        if seen % 5000 == 0:
            peak = max(peak, instance.memory())
    wall, used = time.perf_counter() - begin, instance.cpu() - cpu
    print(
        f"{rows} rows in one transaction: {rows / used:,.0f} events per CPU second, "
        f"{rows / wall:,.0f} per second, {lost} lost, {size / rows:.0f} bytes each, "
        f"memory +{peak - before:.1f} MiB"
    )
    print(f"  the transaction itself took {await writing:.2f} s")
    await connection.close()


def loads(instance: Instance) -> None:
    for name, table in (("without triggers", "bare"), ("with triggers", "flights")):
        print(f"load of {FLIGHTS} rows {name}: {best(instance, table):.2f} s")


def best(instance: Instance, table: str) -> float:
    found = []
    for _ in range(3):
        instance.owner.execute(sql.SQL("truncate {}").format(sql.Identifier(table)))
        found.append(instance.load(table, FLIGHTS))
    instance.owner.execute(sql.SQL("truncate {}").format(sql.Identifier(table)))
    return min(found)


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--idle", type=int, default=1000)
    chosen = arguments.parse_args()
    instance = Instance()
    try:
        loads(instance)
        await stream(instance, chosen.rows)
        await idle(instance, chosen.idle)
        print(
            f"load of {FLIGHTS} rows while it is watched: {instance.load('flights', FLIGHTS):.2f} s"
        )
    finally:
        instance.close()


if __name__ == "__main__":
    asyncio.run(main())
