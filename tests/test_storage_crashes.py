"""Transfers whose process is killed, or finds no room (reliability S3, S5), in both colours."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults import FaultProxy
from tests.support.scripted import ScriptedServer, answer, head
from tests.support.soak import many
from tests.support.storage_child import CHUNK
from tests.support.tus_server import tus_server

ROOT = Path(__file__).resolve().parent.parent
MIB = 1024 * 1024
OBJECT = "/storage/v1/object/b/f.bin"


def child(
    colour: str, what: str, port: int, file: Path, **environment: str
) -> subprocess.Popen[bytes]:
    module = "tests.support.storage_child"
    command = [sys.executable, "-m", module, colour, what, f"http://127.0.0.1:{port}", str(file)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, env={**os.environ, **environment}
    )


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Its exit code and what it printed."""
    printed, _ = process.communicate(timeout=60)
    return process.returncode, printed.decode().strip()


class Part:
    """Sends an object up to a point, and tells when it has."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.stop = len(data)
        self.sent = threading.Event()

    def __call__(self, sock: Any, seen: Any) -> None:
        headers = [("ETag", '"v"'), ("Content-Length", str(len(self._data)))]
        sock.sendall(head(200, headers) + self._data[: self.stop])
        self.sent.set()
        if self.stop < len(self._data):
            sock.recv(1)  # until the process is dead


def points(size: int, count: int) -> Iterator[tuple[int, float]]:
    """After how many bytes to kill, and so long after those.

    Two of five come after the last byte, when the file is checked, synced and renamed.
    """
    inside = count * 3 // 5
    for number in range(inside):
        yield (size - 1) * number // max(1, inside - 1), 0.05
    for number in range(count - inside):
        yield size, 0.001 * number


@pytest.mark.parametrize("colour", ["aio", "sync"])
def test_a_killed_download_leaves_no_half_file(colour: str, tmp_path: Path) -> None:
    """The server sends part by part and tells; the process dies at each of those points."""
    data = os.urandom(2 * MIB)
    folder = tmp_path / "folder"
    folder.mkdir()
    target = folder / "f.bin"
    part = Part(data)
    found = {"absent": 0, "whole": 0}
    with ScriptedServer() as server:
        server.on(OBJECT, [part])
        for part.stop, later in points(len(data), many(5, 50)):
            part.sent.clear()
            process = child(colour, "download", server.port, target)
            assert part.sent.wait(60)
            time.sleep(later)
            process.kill()
            process.communicate()
            assert part.stop == len(data) or not target.exists()
            if target.exists():
                assert target.read_bytes() == data
                target.unlink()
                found["whole"] += 1
            else:
                found["absent"] += 1
        for leftover in folder.iterdir():
            assert leftover.name.endswith(".part")
            assert leftover.stat().st_mode & 0o777 == 0o600
        part.stop = len(data)
        assert ended(child(colour, "download", server.port, target)) == (0, "")
        assert target.read_bytes() == data
    print(f"kill -9 of a download, {colour}: {found}")


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


def advances(size: int, count: int) -> list[int]:
    """How far an upload gets before each kill: early, within a chunk, at its end, behind it."""
    chance = random.Random(6)
    fixed = [100, CHUNK // 2, 2 * CHUNK, 3 * CHUNK + 1]
    room = max(0, size - 2 * MIB) // max(1, count - len(fixed))
    return [*fixed, *(chance.randrange(CHUNK, room) for _ in range(count - len(fixed)))]


@pytest.mark.parametrize("colour", ["aio", "sync"])
def test_a_killed_upload_goes_on_where_it_was(colour: str, tmp_path: Path) -> None:
    data = os.urandom(many(3, 64) * MIB)
    file = tmp_path / "f.bin"
    file.write_bytes(data)
    kills = advances(len(data), many(4, 20))
    with tus_server(tmp_path / "tus") as tus, Counting(tus.port) as proxy:
        before = 0
        for more in kills:
            proxy.kill_at = before + more
            process = child(colour, "upload", proxy.port, file)
            proxy.victim = process
            assert ended(process)[0] != 0
            before = proxy.up
        proxy.kill_at = None
        assert ended(child(colour, "upload", proxy.port, file)) == (0, "")
        assert tus.completed["f.bin"] == data
        heads = 1024 * (len(data) // CHUNK + 10 * len(kills))  # of all requests, generously
        assert proxy.up <= len(data) + len(kills) * CHUNK + heads
        resent = (proxy.up - len(data)) / CHUNK
    assert not file.with_suffix(".state").exists()
    print(
        f"kill -9 of an upload, {colour}: {len(kills)} kills, {resent:.1f} chunks more, heads too"
    )


@pytest.mark.parametrize("colour", ["aio", "sync"])
def test_a_download_that_finds_no_room_leaves_nothing(colour: str, tmp_path: Path) -> None:
    data = os.urandom(2 * MIB)
    target = tmp_path / "folder" / "f.bin"
    target.parent.mkdir()
    target.write_bytes(b"before")
    with ScriptedServer() as server:
        server.on(OBJECT, answer(200, data, [("ETag", '"v"')]))
        full = child(colour, "download", server.port, target, CHILD_FILE_LIMIT=str(MIB))
        assert ended(full) == (1, "FILE_ERROR")
        assert [path.name for path in target.parent.iterdir()] == ["f.bin"]
        assert target.read_bytes() == b"before"
        assert ended(child(colour, "download", server.port, target)) == (0, "")
    assert target.read_bytes() == data
