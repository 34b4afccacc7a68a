"""A local instance in a process of its own, which can be stopped (SIGSTOP) and go on (SIGCONT).

with OwnInstance("create table posts (id int primary key)") as instance:
    instance.stop()
    instance.owner.execute(...)     PostgreSQL is another process, and goes on
    instance.go_on()
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

ROOT = Path(__file__).resolve().parent.parent.parent
HANG = 60.0
PROGRAM = """
import json, sys
from aerodb.local import LocalServer
with LocalServer(schema=[sys.argv[1]], services=["rest", "realtime"]) as server:
    print(json.dumps([server.url, server.database_url, server.service_key]), flush=True)
    sys.stdin.read()
"""


class OwnInstance:
    """The instance; a context manager."""

    def __init__(self, schema: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, schema],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        self.url, database_url, self.service_key = json.loads(self._process.stdout.readline())
        self.port = int(self.url.rpartition(":")[2])
        self.owner: psycopg.Connection[Any] = psycopg.connect(database_url, autocommit=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.go_on()
        self.owner.close()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(HANG)
        self._process.stdout.close()

    def stop(self) -> None:
        """Nothing of it runs any more; its sockets stay open."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Run again."""
        os.kill(self._process.pid, signal.SIGCONT)
