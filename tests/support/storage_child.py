"""A transfer in a process of its own, to be killed: python storage_child.py COLOUR WHAT URL FILE"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aerodb import AeroDBClient, AsyncAeroDBClient

CHUNK = 256 * 1024
KEY = "aero_sk_child"


def blocking(what: str, url: str, file: Path) -> bool:
    """In the blocking twin."""
    with AeroDBClient(url, KEY) as client:
        bucket = client.storage.from_("b")
        if what == "download":
            return bucket.download_to("f.bin", file).ok
        return bucket.upload_resumable(
            "f.bin", file, chunk_size=CHUNK, state_file=file.with_suffix(".state")
        ).ok


async def awaiting(what: str, url: str, file: Path) -> bool:
    """In the async twin."""
    async with AsyncAeroDBClient(url, KEY) as client:
        bucket = client.storage.from_("b")
        if what == "download":
            return (await bucket.download_to("f.bin", file)).ok
        sent = await bucket.upload_resumable(
            "f.bin", file, chunk_size=CHUNK, state_file=file.with_suffix(".state")
        )
        return sent.ok


if __name__ == "__main__":
    colour, what, url, name = sys.argv[1:]
    if colour == "sync":
        done = blocking(what, url, Path(name))
    else:
        done = asyncio.run(awaiting(what, url, Path(name)))
    sys.exit(0 if done else 1)
