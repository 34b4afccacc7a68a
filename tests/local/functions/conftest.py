"""Instances with functions of their own, over one PostgreSQL."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import pytest

from aerodb.local import LocalServer

SECRET = "a secret of more than thirty-two bytes"
PREFIX = "/functions/v1"


@dataclass
class Instance:
    """A running server, its folder of functions, and a way to call them."""

    server: LocalServer
    folder: Path
    http: httpx.Client

    def write(self, name: str, source: str) -> Path:
        """Write a function, or a module for one; its time differs from what was there before."""
        path = self.folder / f"{name}.py"
        before = path.stat().st_mtime_ns if path.exists() else 0
        path.write_text(dedent(source), encoding="utf-8")
        if path.stat().st_mtime_ns == before:
            os.utime(path, ns=(before + 1_000_000, before + 1_000_000))
        return path

    def call(self, path: str, body: Any = None, method: str = "POST", **more: Any) -> Any:
        return self.http.request(method, f"{PREFIX}/{path}", content=body, **more)

    def workers(self) -> list[int]:
        """The process groups of the workers that live."""
        http: Any = self.server._http
        return list(http._functions.processes)


Maker = Callable[..., Instance]


def started(stack: ExitStack, database_url: str, folder: Path, **settings: Any) -> Instance:
    folder.mkdir(exist_ok=True)
    given = {"services": ["rest", "functions"], "db_anon_role": "postgres", **settings}
    server = LocalServer(database_url=database_url, functions=folder, jwt_secret=SECRET, **given)
    stack.enter_context(server)
    http = httpx.Client(base_url=server.url, trust_env=False, timeout=60)
    return Instance(server, folder, stack.enter_context(http))


@pytest.fixture
def make(database_url: str, tmp_path: Path) -> Iterator[Maker]:
    """Make an instance; keywords are settings of `LocalServer`."""
    with ExitStack() as stack:
        yield lambda **more: started(stack, database_url, tmp_path / "functions", **more)


@pytest.fixture(scope="module")
def shared(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """An instance for tests that leave each other's functions alone."""
    with ExitStack() as stack:
        yield started(stack, database_url, tmp_path_factory.mktemp("shared") / "functions")


@pytest.fixture
def instance(make: Maker, caplog: pytest.LogCaptureFixture) -> Instance:
    caplog.set_level(logging.INFO, "aerodb.local.functions")
    return make()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked after does not."""
    try:
        os.kill(pid, 0)
        if not Path("/proc/self/stat").exists():
            return True
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return True
    return status.rpartition(")")[2].split()[0] != "Z"


def eventually(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait until it holds; what it last said."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def said(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a platform error, whose whole shape is looked at (§1.3, §1.5)."""
    body = answer.json()
    assert set(body) == {"error", "code", "message", "status"}
    assert body["error"] == body["message"] != ""
    assert body["status"] == answer.status_code
    assert answer.headers["x-aerodb-error"] == body["code"]
    return answer.status_code, body["code"]
