"""A program that listens to a channel until the event titled `last`, and prints what it hears.

python tests/support/listening_child.py aio|sync URL
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from aerodb import AeroDBClient, AsyncAeroDBClient, ClientOptions, GapNotice, RealtimeOptions

OPTIONS = ClientOptions(
    trust_env=False,
    connect_timeout=2,
    realtime=RealtimeOptions(heartbeat=0.3, reconnect_delay=0.05, max_reconnect_delay=0.2),
)


def show(event: Any) -> bool:
    """Print an event; whether it is the last one."""
    gap = isinstance(event, GapNotice)
    print(json.dumps(str(event) if gap else event["new"]["id"]), flush=True)
    return not gap and event["new"]["title"] == "last"


async def on_asyncio(url: str) -> None:
    async with AsyncAeroDBClient(url, "aero_pk_test", options=OPTIONS) as client:
        channel = client.channel("posts")
        (await channel.subscribe()).unwrap()
        print("ready", flush=True)
        async for event in channel:
            if show(event):
                break


def on_threads(url: str) -> None:
    with AeroDBClient(url, "aero_pk_test", options=OPTIONS) as client:
        channel = client.channel("posts")
        channel.subscribe().unwrap()
        print("ready", flush=True)
        for event in channel:
            if show(event):
                break


if __name__ == "__main__":
    if sys.argv[1] == "aio":
        asyncio.run(on_asyncio(sys.argv[2]))
    else:
        on_threads(sys.argv[2])
