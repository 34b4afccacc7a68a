"""A handler that cannot keep up, in a process whose memory is measured (reliability W5).

python tests/support/slow_handler.py aio|sync URL       the process: prints what it heard
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aerodb import AeroDBClient, AsyncAeroDBClient, ClientOptions, GapNotice, RealtimeOptions
from tests.support.scripted_realtime import ScriptedRealtime

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT_MIB = 32.0
HANG = 60.0
SLEEP = 0.5
KEY = "aero_pk_test"


@dataclass(frozen=True)
class Found:
    """What became of it: of `made` changes so many were heard, and so many told to be missing."""

    made: int
    heard: int
    missed: int
    notices: int
    grown: float
    connections: int
    heartbeats: int

    @property
    def is_exact(self) -> bool:
        """Whether what overflowed is counted."""
        return self.heard + self.missed == self.made

    def __str__(self) -> str:
        return (
            f"{self.made} changes, {self.heard} heard, {self.missed} told to be missing by "
            f"{self.notices} notices, memory +{self.grown:.1f} MiB, {self.connections} connection, "
            f"{self.heartbeats} heartbeats"
        )


def memory() -> float:
    """Resident memory in MiB."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


class Slow:
    """The handler; it is slow until a line comes in."""

    def __init__(self) -> None:
        self.pause = SLEEP
        self.heard = self.missed = self.notices = 0
        self.most = self.before = 0.0
        self.ended = threading.Event()

    def count(self, event: Any) -> None:
        if isinstance(event, GapNotice):
            self.notices += 1
            self.missed += event.missed or 0
        else:
            self.heard += 1
            if event["new"]["title"] == "last":
                self.ended.set()

    def handle(self, event: Any) -> None:
        self.count(event)
        time.sleep(self.pause)

    async def handle_async(self, event: Any) -> None:
        self.count(event)
        await asyncio.sleep(self.pause)

    def watch(self) -> None:
        """Be ready, measure until a line comes, then hurry."""
        self.before = memory()
        print("ready", flush=True)
        hurry = threading.Thread(target=sys.stdin.readline, daemon=True)
        hurry.start()
        while hurry.is_alive():
            self.most = max(self.most, memory())
            time.sleep(0.02)
        self.pause = 0.0
        assert self.ended.wait(HANG)
        told = (self.heard, self.missed, self.notices, self.most - self.before)
        print(json.dumps(told), flush=True)


def child(twin: str, url: str) -> None:
    """What the process does."""
    mine = Slow()
    options = ClientOptions(trust_env=False, realtime=RealtimeOptions(heartbeat=1.0))
    if twin == "sync":
        with AeroDBClient(url, KEY, options=options) as client:
            client.channel("posts").on("*", mine.handle).on_gap(mine.handle).subscribe().unwrap()
            mine.watch()
        return

    async def main() -> None:
        async with AsyncAeroDBClient(url, KEY, options=options) as client:
            channel = client.channel("posts").on("*", mine.handle_async).on_gap(mine.handle_async)
            (await channel.subscribe()).unwrap()
            await asyncio.to_thread(mine.watch)

    asyncio.run(main())


def slow(twin: str, seconds: float, *, rate: float = 50, title: str = "x") -> Found:
    """Send so many changes a second to such a process."""
    with (
        ScriptedRealtime() as server,
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.slow_handler", twin, server.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            begin = time.monotonic()
            while (passed := time.monotonic() - begin) < seconds:
                due = int(passed * rate) - server.seq
                server.insert("posts", max(0, due), title=title)
                time.sleep(0.02)
            server.insert("posts", 1, title="last")
            said, _ = process.communicate("hurry\n", timeout=HANG)
        finally:
            process.kill()
        heard, missed, notices, grown = json.loads(said)
        beats = len(server.frames("heartbeat"))
        return Found(server.seq, heard, missed, notices, grown, len(server.opened), beats)


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2])
