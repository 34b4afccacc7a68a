"""A program that ends while its realtime connection is flooded.

    python tests/support/leaving_child.py aio|sync URL SECONDS open|close

Its handler sleeps for so many seconds on each event; its client is left open, or closed.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

from aerodb import AeroDBClient, AsyncAeroDBClient, ClientOptions

TWIN, URL, SECONDS, END = sys.argv[1:]
ENOUGH = 100 if float(SECONDS) == 0 else 1
OPTIONS = ClientOptions(trust_env=False)

heard: list[Any] = []


async def on_asyncio() -> None:
    async def handler(event: Any) -> None:
        heard.append(event)
        if len(heard) == ENOUGH:
            enough.set()
        await asyncio.sleep(float(SECONDS))

    enough = asyncio.Event()
    client = AsyncAeroDBClient(URL, "aero_pk_test", options=OPTIONS)
    (await client.channel("posts").on("*", handler).subscribe()).unwrap()
    await enough.wait()
    await asyncio.sleep(0.1)  # while the handler sleeps, events pile up
    print("leaving", flush=True)
    if END == "close":
        await client.close()


def on_threads() -> AeroDBClient:
    def handler(event: Any) -> None:
        heard.append(event)
        if len(heard) == ENOUGH:
            enough.set()
        time.sleep(float(SECONDS))

    enough = threading.Event()
    client = AeroDBClient(URL, "aero_pk_test", options=OPTIONS)
    client.channel("posts").on("*", handler).subscribe().unwrap()
    enough.wait()
    time.sleep(0.1)
    print("leaving", flush=True)
    if END == "close":
        client.close()
    return client


if TWIN == "aio":
    asyncio.run(on_asyncio())
else:
    left_open = on_threads()
