"""Ctrl-C ends a program in the middle of many downloads: none of them leaves a piece of a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.scripted import ScriptedServer, head, send, wait

ROOT = Path(__file__).resolve().parents[2]
NAMES = [f"{number}.bin" for number in range(4)]
PROGRAM = """
import sys
from aerodb import AeroDBClient

client = AeroDBClient(f"http://127.0.0.1:{sys.argv[1]}", "key")
client.storage.from_("b").download_many(sys.argv[3:], sys.argv[2])
"""


def test_nothing_is_left(tmp_path: Path) -> None:
    with ScriptedServer() as server:
        begun = head(200, [("ETag", '"v"'), ("Content-Length", "9000000")]) + bytes(2_000_000)
        for name in NAMES:
            server.on(f"/storage/v1/object/b/{name}", [send(begun), wait(30)])
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(server.port), str(tmp_path), *NAMES],
            cwd=ROOT,
            stderr=subprocess.PIPE,
        )
        end = time.monotonic() + 30
        while len(os.listdir(tmp_path)) < len(NAMES) and time.monotonic() < end:
            time.sleep(0.02)
        assert len(os.listdir(tmp_path)) == len(NAMES)
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in printed
    assert os.listdir(tmp_path) == []
