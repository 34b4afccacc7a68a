"""What moving a file costs: the storage client against raw httpx that streams, in the same run.

    python scripts/bench_storage.py [--rounds 5] [--size 256]

A server in a process of its own throws uploads away and makes downloads up. Every measurement has a
process of its own too, because it is about memory as well: growth is the most that the process held
during the transfer, less what it held before it, after a small one that loads everything. Ratios
are of CPU time (user and system), medians over the rounds, ours and httpx's in turn.

A verified download is one of which the server says the SHA-256. It stands beside an httpx that
hashes what comes too, and beside one that takes it unseen, which no amount of care makes up for.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT)]

from bench_warehouse import MIB, warehouse

from aerodb import AeroDBClient, AsyncAeroDBClient

CHUNK = 256 * 1024
KEY = "aero_sk_bench"


# --- one measurement, in a process of its own ---------------------------------------------------


def _held() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _most_held() -> int:
    with open("/proc/self/status") as file:
        found = re.search(r"VmHWM:\s+([0-9]+) kB", file.read())
    assert found is not None
    return int(found[1]) * 1024


def _forget_the_most() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


class Meter:
    """Notes what a block of code costs."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.growth = 0

    @contextlib.contextmanager
    def watch(self) -> Generator[None]:
        """Watch the block."""
        _forget_the_most()
        held, before = _held(), time.process_time()
        yield
        self.seconds = time.process_time() - before
        self.growth = _most_held() - held


def _object(size: int, bucket: str = "b") -> str:
    return f"/storage/v1/object/{bucket}/f-{size}"


def _async(work: Callable[[Any, int], Awaitable[Any]], make: Callable[[], Any]) -> Any:
    def measure(meter: Meter, size: int) -> None:
        async def main() -> None:
            async with make() as client:
                await work(client, MIB)
                with meter.watch():
                    await work(client, size)

        asyncio.run(main())

    return measure


def _sync(work: Callable[[Any, int], Any], make: Callable[[], Any]) -> Any:
    def measure(meter: Meter, size: int) -> None:
        with make() as client:
            work(client, MIB)
            with meter.watch():
                work(client, size)

    return measure


def _ours(kind: Any) -> Callable[[], Any]:
    return lambda: kind(os.environ["BENCH_URL"], KEY)


def _raw(kind: Any) -> Callable[[], Any]:
    headers = {"apikey": KEY, "accept-encoding": "identity"}
    return lambda: kind(base_url=os.environ["BENCH_URL"], headers=headers, timeout=60)


def _file(size: int) -> Path:
    return Path(os.environ["BENCH_FOLDER"]) / f"f-{size}"


def _pieces(size: int) -> Iterator[bytes]:
    with _file(size).open("rb", buffering=0) as file:
        while piece := file.read(CHUNK):
            yield piece


async def _async_pieces(size: int) -> AsyncIterator[bytes]:
    for piece in _pieces(size):
        yield piece


async def _up_async(client: AsyncAeroDBClient, size: int) -> None:
    (await client.storage.from_("b").upload("f", _file(size))).unwrap()


def _up_sync(client: AeroDBClient, size: int) -> None:
    client.storage.from_("b").upload("f", _file(size)).unwrap()


async def _raw_up_async(client: httpx.AsyncClient, size: int) -> None:
    headers = {"content-length": str(size)}
    answer = await client.post(_object(size), content=_async_pieces(size), headers=headers)
    answer.raise_for_status().json()


def _raw_up_sync(client: httpx.Client, size: int) -> None:
    headers = {"content-length": str(size)}
    client.post(_object(size), content=_pieces(size), headers=headers).raise_for_status().json()


async def _sink_async(client: AsyncAeroDBClient, size: int) -> None:
    async with client.storage.from_("b").download_stream(f"f-{size}") as stream:
        assert sum([len(piece) async for piece in stream]) == size


def _sink_sync(client: AeroDBClient, size: int) -> None:
    with client.storage.from_("b").download_stream(f"f-{size}") as stream:
        assert sum(len(piece) for piece in stream) == size


async def _raw_sink_async(client: httpx.AsyncClient, size: int) -> None:
    async with client.stream("GET", _object(size)) as answer:
        assert sum([len(piece) async for piece in answer.aiter_bytes()]) == size


def _raw_sink_sync(client: httpx.Client, size: int) -> None:
    with client.stream("GET", _object(size)) as answer:
        assert sum(len(piece) for piece in answer.iter_bytes()) == size


async def _bytes_async(client: AsyncAeroDBClient, size: int) -> None:
    assert len((await client.storage.from_("b").download(f"f-{size}")).unwrap()) == size


def _bytes_sync(client: AeroDBClient, size: int) -> None:
    assert len(client.storage.from_("b").download(f"f-{size}").unwrap()) == size


async def _raw_bytes_async(client: httpx.AsyncClient, size: int) -> None:
    assert len((await client.get(_object(size))).content) == size


def _raw_bytes_sync(client: httpx.Client, size: int) -> None:
    assert len(client.get(_object(size)).content) == size


async def _disk_async(client: AsyncAeroDBClient, size: int) -> None:
    target = _file(size).with_suffix(".down")
    (await client.storage.from_("b").download_to(f"f-{size}", target)).unwrap()


def _disk_sync(client: AeroDBClient, size: int) -> None:
    target = _file(size).with_suffix(".down")
    client.storage.from_("b").download_to(f"f-{size}", target).unwrap()


async def _raw_disk_async(client: httpx.AsyncClient, size: int) -> None:
    with _file(size).with_suffix(".down").open("wb", buffering=0) as file:
        async with client.stream("GET", _object(size)) as answer:
            async for piece in answer.aiter_bytes():
                file.write(piece)
        os.fsync(file.fileno())


def _raw_disk_sync(client: httpx.Client, size: int) -> None:
    with _file(size).with_suffix(".down").open("wb", buffering=0) as file:
        with client.stream("GET", _object(size)) as answer:
            for piece in answer.iter_bytes():
                file.write(piece)
        os.fsync(file.fileno())


async def _told_sink_async(client: AsyncAeroDBClient, size: int) -> None:
    async with client.storage.from_("told").download_stream(f"f-{size}") as stream:
        assert sum([len(piece) async for piece in stream]) == size


def _told_sink_sync(client: AeroDBClient, size: int) -> None:
    with client.storage.from_("told").download_stream(f"f-{size}") as stream:
        assert sum(len(piece) for piece in stream) == size


async def _told_bytes_async(client: AsyncAeroDBClient, size: int) -> None:
    assert len((await client.storage.from_("told").download(f"f-{size}")).unwrap()) == size


def _told_bytes_sync(client: AeroDBClient, size: int) -> None:
    assert len(client.storage.from_("told").download(f"f-{size}").unwrap()) == size


async def _hash_sink_async(client: httpx.AsyncClient, size: int) -> None:
    digest = hashlib.sha256()
    async with client.stream("GET", _object(size, "told")) as answer:
        async for piece in answer.aiter_bytes():
            digest.update(piece)
    assert digest.hexdigest() == answer.headers["x-checksum-sha256"]


def _hash_sink_sync(client: httpx.Client, size: int) -> None:
    digest = hashlib.sha256()
    with client.stream("GET", _object(size, "told")) as answer:
        for piece in answer.iter_bytes():
            digest.update(piece)
    assert digest.hexdigest() == answer.headers["x-checksum-sha256"]


async def _hash_bytes_async(client: httpx.AsyncClient, size: int) -> None:
    answer = await client.get(_object(size, "told"))
    assert hashlib.sha256(answer.content).hexdigest() == answer.headers["x-checksum-sha256"]


def _hash_bytes_sync(client: httpx.Client, size: int) -> None:
    answer = client.get(_object(size, "told"))
    assert hashlib.sha256(answer.content).hexdigest() == answer.headers["x-checksum-sha256"]


@dataclass(frozen=True)
class Scenario:
    """One line: `limit` of the ratio, or None; `growth` in shares of the file plus 4 MiB."""

    name: str
    limit: float | None
    growth: float
    ours: Callable[[Meter, int], None]
    raw: Callable[[Meter, int], None]


def _pair(
    name: str, limit: float | None, growth: float, ours: tuple[Any, Any], raw: tuple[Any, Any]
) -> list[Scenario]:
    return [
        Scenario(
            f"{name}, async", limit, growth,
            _async(ours[0], _ours(AsyncAeroDBClient)), _async(raw[0], _raw(httpx.AsyncClient)),
        ),
        Scenario(
            f"{name}, sync", limit, growth,
            _sync(ours[1], _ours(AeroDBClient)), _sync(raw[1], _raw(httpx.Client)),
        ),
    ]  # fmt: skip


SCENARIOS = [
    *_pair("upload", 1.05, 0, (_up_async, _up_sync), (_raw_up_async, _raw_up_sync)),
    *_pair("download to a sink", 0.65, 0,
           (_sink_async, _sink_sync), (_raw_sink_async, _raw_sink_sync)),
    *_pair("download as bytes", 1.0, 1.05,
           (_bytes_async, _bytes_sync), (_raw_bytes_async, _raw_bytes_sync)),
    *_pair("download to a file", 1.0, 0,
           (_disk_async, _disk_sync), (_raw_disk_async, _raw_disk_sync)),
    *_pair("verified to a sink", 0.85, 0,
           (_told_sink_async, _told_sink_sync), (_hash_sink_async, _hash_sink_sync)),
    *_pair("verified as bytes", 1.0, 1.05,
           (_told_bytes_async, _told_bytes_sync), (_hash_bytes_async, _hash_bytes_sync)),
    *_pair("verified / unseen", None, 0,
           (_told_sink_async, _told_sink_sync), (_raw_sink_async, _raw_sink_sync)),
]  # fmt: skip


def _measure(name: str, side: str, size: int) -> None:
    """Carry out one measurement in this process; print its result."""
    scenario = next(one for one in SCENARIOS if one.name == name)
    meter = Meter()
    (scenario.ours if side == "ours" else scenario.raw)(meter, size)
    print(json.dumps([meter.seconds, meter.growth]))


# --- the table ----------------------------------------------------------------------------------


def _in_process(scenario: Scenario, side: str, size: int) -> tuple[float, float]:
    command = [sys.executable, __file__, "--measure", scenario.name, side, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, growth = json.loads(done.stdout)
    return seconds, growth / MIB


def _run(scenario: Scenario, rounds: int, size: int) -> bool:
    """Measure and print one line; whether it is within its limits."""
    pairs = [
        (_in_process(scenario, "ours", size), _in_process(scenario, "raw", size))
        for _ in range(rounds)
    ]
    ratios = sorted(ours[0] / raw[0] for ours, raw in pairs)
    ratio = statistics.median(ratios)
    growth = statistics.median(ours[1] for ours, _ in pairs)
    raw_growth = statistics.median(raw[1] for _, raw in pairs)
    room = scenario.growth * size / MIB + (0 if scenario.growth else 4)
    limit = "" if scenario.limit is None else f"{scenario.limit:.2f}"
    fits = (scenario.limit is None or ratio <= scenario.limit) and growth <= room
    print(
        f"{scenario.name:26} {ratio:6.2f} {limit:>6}   {ratios[0]:.2f}..{ratios[-1]:.2f}"
        f"   {growth:7.1f} {room:6.1f} {raw_growth:8.1f}{'' if fits else '  over'}",
        flush=True,
    )
    return fits


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=256, help="MiB")
    parser.add_argument("--only", default="", help="a part of the scenario's name")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, side, size = options.measure
        _measure(name, side, int(size))
        return 0
    print(f"{'scenario':26} {'ratio':>6} {'limit':>6}   spread       MiB more  limit    httpx's")
    missed = False
    with tempfile.TemporaryDirectory() as folder, warehouse() as port:
        os.environ.update(BENCH_URL=f"http://127.0.0.1:{port}", BENCH_FOLDER=folder)
        size = options.size * MIB
        for some in (MIB, size):
            with _file(some).open("wb") as file:
                for _ in range(some // MIB):
                    file.write(os.urandom(MIB))
        for scenario in SCENARIOS:
            if options.only in scenario.name:
                missed |= not _run(scenario, options.rounds, size)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
