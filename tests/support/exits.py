"""The end of a program in the middle of a flood of realtime events (reliability C5)."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from tests.support.scripted_realtime import ScriptedRealtime

CHILD = Path(__file__).with_name("leaving_child.py")
HANG = 60.0
ASLEEP = 10 * HANG
"""A handler that sleeps so long, in seconds, holds up a program for longer than is waited."""


class Exit(NamedTuple):
    """How a program ended; `seconds` is what it took after the last line of its own."""

    code: int
    said: str
    failures: str
    seconds: float


def leave(python: str, environment: dict[str, str], twin: str, sleep: float, end: str) -> Exit:
    """Run the program; `end` is `open` or `close`, what it does with its client."""
    with ScriptedRealtime() as server:
        server.flood("posts")
        child = subprocess.Popen(
            [python, "-W", "always", CHILD, twin, server.url, str(sleep), end],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        with child:
            try:
                assert child.stdout is not None
                said = child.stdout.readline()
                began = time.monotonic()
                rest, failures = child.communicate(timeout=HANG)
                seconds = time.monotonic() - began
            finally:
                child.kill()
    return Exit(child.returncode, said + rest, failures, seconds)
