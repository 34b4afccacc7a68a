"""An instance in a process of its own, that can be killed or told to do without memory or disk.

It is started with the data folder as its argument, prints one line of JSON and then obeys lines:
`limit N` lets it write no file longer than N bytes, `rss` prints its peak memory in KiB.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx
import jwt
import psycopg
from psycopg.rows import dict_row

from aerodb.local import LocalServer
from tests.local.storage.conftest import Desk


class OtherProcess:
    """Runs the instance; `desk` is for the requests of tests, its SQL goes over a socket."""

    def __init__(self, data: Path) -> None:
        self._data = data
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        told = json.loads(self._line())
        self.http = httpx.Client(base_url=told["url"], trust_env=False, timeout=60)
        self.desk = Desk(_Remote(told), self.http, data / "storage")  # type: ignore[arg-type]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def kill(self) -> None:
        """End it without a warning."""
        self.process.kill()
        self.process.wait(60)

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the instance has ended"
        return line


class _Remote:
    """As much of a `LocalServer` as tests need of one that runs elsewhere."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.url: str = told["url"]
        self.service_key: str = told["key"]
        self.jwt_secret: str = told["jwt_secret"]
        self._database: str = told["database"]

    def create_token(self, role: str = "authenticated", **claims: Any) -> str:
        issued = {"iss": "aerodb", "aud": "aerodb", "role": role, "exp": int(time.time()) + 3600}
        return jwt.encode({**issued, **claims}, self.jwt_secret, algorithm="HS256")

    def execute_sql(self, text: str, parameters: Any = None) -> list[dict[str, Any]]:
        with psycopg.connect(self._database, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(text.encode(), parameters)
            return cursor.fetchall() if cursor.description is not None else []


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with LocalServer(data=sys.argv[1]) as server:
        told = {"url": server.url, "key": server.service_key, "jwt_secret": server.jwt_secret}
        print(json.dumps({**told, "database": server.database_url}), flush=True)
        for line in sys.stdin:
            word, _, number = line.strip().partition(" ")
            if word == "limit":
                # PostgreSQL is a process of its own, and has no such limit.
                _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
                resource.setrlimit(resource.RLIMIT_FSIZE, (int(number), most))
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)


if __name__ == "__main__":
    main()
