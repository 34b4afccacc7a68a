"""A transfer in a process of its own, to be killed, or measured.

    python storage_child.py COLOUR WHAT URL FILE

`download` and `upload` end with 0 if it went well; else the error's code is printed. What begins
with `memory-` moves FILE's size in that way, and prints how many bytes more the process held
meanwhile than before, after the same with little.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aerodb import AeroDBClient, AsyncAeroDBClient
from aerodb.types import AeroDBResponse

CHUNK = 256 * 1024
KEY = "aero_sk_child"
LITTLE = 1024 * 1024


def blocking(what: str, url: str, file: Path) -> AeroDBResponse[Any]:
    """In the blocking twin."""
    with AeroDBClient(url, KEY) as client:
        bucket = client.storage.from_("b")
        if what == "download":
            return bucket.download_to("f.bin", file)
        return bucket.upload_resumable(
            "f.bin", file, chunk_size=CHUNK, state_file=file.with_suffix(".state")
        )


async def awaiting(what: str, url: str, file: Path) -> AeroDBResponse[Any]:
    """In the async twin."""
    async with AsyncAeroDBClient(url, KEY) as client:
        bucket = client.storage.from_("b")
        if what == "download":
            return await bucket.download_to("f.bin", file)
        return await bucket.upload_resumable(
            "f.bin", file, chunk_size=CHUNK, state_file=file.with_suffix(".state")
        )


# --- memory -------------------------------------------------------------------------------------


def pieces_of(file: Path, size: int) -> Iterator[bytes]:
    with file.open("rb", buffering=0) as opened:
        while size > 0 and (piece := opened.read(64 * 1024)):
            size -= len(piece)
            yield piece


def held(name: str) -> int:
    """VmRSS or VmHWM, in bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition(f"{name}:")[2].split()[0])


def forget_the_most() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def measured_blocking(way: str, url: str, file: Path) -> int:
    small, large = file.with_suffix(".small"), file.stat().st_size
    with AeroDBClient(url, KEY) as client:
        bucket, functions = client.storage.from_("b"), client.functions

        def move(given: Path, size: int) -> None:
            if way == "path":
                bucket.upload("f", given).unwrap()
            elif way == "iterator":
                bucket.upload("f", pieces_of(given, size)).unwrap()
            elif way == "form":
                functions.invoke("f", files={"a": given}).unwrap()
            elif way == "bytes":
                assert len(bucket.download(f"f-{size}").unwrap()) == size
            elif way == "file":
                bucket.download_to(f"f-{size}", file.with_suffix(".down")).unwrap()
            elif way == "stream":
                with bucket.download_stream(f"f-{size}") as stream:
                    assert sum(len(piece) for piece in stream) == size

        move(small, LITTLE)
        before = held("VmRSS")
        forget_the_most()
        move(file, large)
        return held("VmHWM") - before


async def measured_awaiting(way: str, url: str, file: Path, large: int) -> int:
    small = file.with_suffix(".small")
    async with AsyncAeroDBClient(url, KEY) as client:
        bucket, functions = client.storage.from_("b"), client.functions

        async def move(given: Path, size: int) -> None:
            if way == "path":
                (await bucket.upload("f", given)).unwrap()
            elif way == "iterator":
                (await bucket.upload("f", pieces_of(given, size))).unwrap()
            elif way == "form":
                (await functions.invoke("f", files={"a": given})).unwrap()
            elif way == "bytes":
                assert len((await bucket.download(f"f-{size}")).unwrap()) == size
            elif way == "file":
                (await bucket.download_to(f"f-{size}", file.with_suffix(".down"))).unwrap()
            elif way == "stream":
                async with bucket.download_stream(f"f-{size}") as stream:
                    assert sum([len(piece) async for piece in stream]) == size

        await move(small, LITTLE)
        before = held("VmRSS")
        forget_the_most()
        await move(file, large)
        return held("VmHWM") - before


def main() -> int:
    colour, what, url, name = sys.argv[1:]
    if limit := os.environ.get("CHILD_FILE_LIMIT"):  # no file longer than that, as on a full disk
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), most))
    if what.startswith("memory-"):
        way = what.removeprefix("memory-")
        if colour == "sync":
            print(measured_blocking(way, url, Path(name)))
        else:
            large = Path(name).stat().st_size
            print(asyncio.run(measured_awaiting(way, url, Path(name), large)))
        return 0
    if colour == "sync":
        done = blocking(what, url, Path(name))
    else:
        done = asyncio.run(awaiting(what, url, Path(name)))
    print("" if done.error is None else done.error.code, flush=True)
    return 0 if done.ok else 1


if __name__ == "__main__":
    sys.exit(main())
