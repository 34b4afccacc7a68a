"""However an instance ends, nothing of its functions stays behind (reliability L1)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from .conftest import eventually, is_alive

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
PROGRAM = """
import sys, time
from aerodb.local import LocalServer
with LocalServer(database_url=sys.argv[1], functions=sys.argv[2], services=["rest", "functions"],
                 jwt_secret="a secret of more than thirty-two bytes", db_anon_role="postgres",
                 functions_timeout=300) as server:
    print(server.url, flush=True)
    time.sleep(300)
"""
BUSY = """
import os, re, subprocess, time
def handler(request):
    child = subprocess.Popen(["sleep", "300"])
    with open(request.text(), "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    if request.path == "regex":  # never lets another thread run
        re.match(r"(a+)+$", "a" * 64 + "b")
    if request.path == "sleep":
        time.sleep(300)
    return "idle"
"""
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def program(database_url: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    folder = tmp_path / "functions"
    folder.mkdir()
    (folder / "busy.py").write_text(BUSY, encoding="utf-8")
    command = [sys.executable, "-c", PROGRAM, database_url, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        yield running
        running.kill()


def call(url: str, path: str, notes: Path) -> None:
    with suppress(httpx.HTTPError):
        httpx.post(f"{url}/functions/v1/busy/{path}", content=str(notes), trust_env=False)


def children(pid: int) -> set[int]:
    """The children of a process, by the kernel's books."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        found |= {int(child) for child in (task / "children").read_text().split()}
    return found


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_stays_behind(
    program: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    assert program.stdout is not None
    url = program.stdout.readline().strip()
    pids: set[int] = set()
    for path in ("regex", "sleep", "idle"):
        notes = tmp_path / path
        threading.Thread(target=call, args=(url, path, notes), daemon=True).start()
        assert eventually(lambda: notes.exists() and notes.read_text())  # noqa: B023
        pids |= {int(pid) for pid in notes.read_text().split()}
    pids |= children(program.pid)  # the guard is one of them
    assert len(pids) >= 7
    assert all(is_alive(pid) for pid in pids)
    os.kill(program.pid, number)
    program.wait(60)
    assert eventually(lambda: not any(is_alive(pid) for pid in pids))


@linux
def test_a_killed_guard_changes_nothing_for_callers(
    program: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert program.stdout is not None
    url = program.stdout.readline().strip()
    call(url, "idle", tmp_path / "notes")
    worker = int((tmp_path / "notes").read_text().split()[0])
    for child in children(program.pid) - {worker}:
        os.kill(child, signal.SIGKILL)
    call(url, "idle", tmp_path / "again")
    assert (tmp_path / "again").exists()
    program.kill()
    program.wait(60)
    assert eventually(lambda: not is_alive(worker))
