"""Transfers whose process is killed in the middle (reliability S3, S5), in both colours."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults import FaultProxy
from tests.support.scripted import ScriptedServer, head
from tests.support.storage_child import CHUNK
from tests.support.tus_server import tus_server

ROOT = Path(__file__).resolve().parent.parent
MIB = 1024 * 1024


def child(colour: str, what: str, port: int, file: Path) -> subprocess.Popen[bytes]:
    module = "tests.support.storage_child"
    command = [sys.executable, "-m", module, colour, what, f"http://127.0.0.1:{port}", str(file)]
    return subprocess.Popen(command, cwd=ROOT)


@pytest.mark.parametrize("colour", ["aio", "sync"])
def test_a_killed_download_leaves_no_half_file(colour: str, tmp_path: Path) -> None:
    """The server sends part by part and tells; the process dies at each of those points."""
    data = os.urandom(2 * MIB)
    folder = tmp_path / "folder"
    folder.mkdir()
    target = folder / "f.bin"
    sent = threading.Event()
    stop_at = [0]

    def slowly(sock: Any, seen: Any) -> None:
        headers = [("ETag", '"v"'), ("Content-Length", str(len(data)))]
        sock.sendall(head(200, headers) + data[: stop_at[0]])
        sent.set()
        if stop_at[0] < len(data):
            sock.recv(1)  # until the process is dead
        else:
            time.sleep(0.01)

    with ScriptedServer() as server:
        server.on("/storage/v1/object/b/f.bin", [slowly])
        for stop in (0, MIB, 2 * MIB - 1):
            stop_at[0] = stop
            sent.clear()
            process = child(colour, "download", server.port, target)
            assert sent.wait(60)
            time.sleep(0.05)
            process.kill()
            process.wait()
            assert not target.exists()
        for leftover in folder.iterdir():
            assert leftover.name.endswith(".part")
            assert leftover.stat().st_mode & 0o777 == 0o600
        stop_at[0] = len(data)
        sent.clear()
        process = child(colour, "download", server.port, target)
        assert sent.wait(60)
        process.kill()  # somewhere between the last byte and the end of the process
        process.wait()
        assert not target.exists() or target.read_bytes() == data
        assert child(colour, "download", server.port, target).wait(60) == 0
        assert target.read_bytes() == data


class Counting(FaultProxy):
    """Counts the bytes that go up, and kills a process when there are enough."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.up = 0
        self.kill_at: int | None = None
        self.victim: subprocess.Popen[bytes] | None = None

    def _pass_on(self, pair: Any, sink: Any, data: bytes, downstream: bool) -> bool:
        if not downstream:
            self.up += len(data)
            if self.kill_at is not None and self.up >= self.kill_at and self.victim is not None:
                self.victim.kill()
                pair.end()
                return False
        return super()._pass_on(pair, sink, data, downstream)


@pytest.mark.parametrize("colour", ["aio", "sync"])
def test_a_killed_upload_goes_on_where_it_was(colour: str, tmp_path: Path) -> None:
    data = os.urandom(3 * MIB)
    file = tmp_path / "f.bin"
    file.write_bytes(data)
    kills = (100, CHUNK // 2, 2 * CHUNK, 3 * CHUNK + 1)
    with tus_server(tmp_path / "tus") as tus, Counting(tus.port) as proxy:
        before = 0
        for more in kills:
            proxy.kill_at = before + more
            process = child(colour, "upload", proxy.port, file)
            proxy.victim = process
            assert process.wait(60) != 0
            before = proxy.up
        proxy.kill_at = None
        assert child(colour, "upload", proxy.port, file).wait(60) == 0
        assert tus.completed["f.bin"] == data
        heads = 40 * 1024  # of all the requests, generously
        assert proxy.up <= len(data) + len(kills) * CHUNK + heads
    assert not file.with_suffix(".state").exists()
