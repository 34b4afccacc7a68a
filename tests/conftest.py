"""What every test run needs: generated code that is up to date, and a server to talk to."""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import psycopg

    from aerodb.local import LocalServer

ROOT = Path(__file__).resolve().parent.parent

# a slow or noisy machine is no failure: nothing here is judged by the clock
settings.register_profile("aerodb", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("aerodb")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse to test stale twins: they are what the tests import."""
    if hasattr(session.config, "workerinput"):
        return  # the controller has looked already
    command = [sys.executable, "scripts/generate.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.exit(f"{done.stdout}{done.stderr}\nrun: python scripts/generate.py", returncode=1)


@pytest.fixture(scope="session")
def server() -> Iterator[LocalServer]:
    """A real AeroDB over a real PostgreSQL in a temporary folder; one per worker."""
    from aerodb.local import LocalServer

    with LocalServer(
        schema=[ROOT / "tests" / "live_schema.sql"],
        db_schemas="public, archive",
        db_plan_enabled=True,
        functions=ROOT / "tests" / "live_functions",
    ) as running:
        yield running


@pytest.fixture(scope="session")
def database(server: LocalServer) -> Iterator[psycopg.Connection[Any]]:
    """The owner's own connection to the server's database, for what no client should do."""
    import psycopg

    with psycopg.connect(server.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def empty(database: psycopg.Connection[Any]) -> None:
    """Empty every table that tests write to; what they only read stays."""
    database.execute("select empty_written()")
    database.execute("truncate aerodb_internal.idempotency_records")


@pytest.fixture
def settled(server: LocalServer, database: psycopg.Connection[Any], empty: None) -> None:
    """The same, and realtime has that behind it: no subscriber is told that tables were emptied."""
    import httpx

    log = (
        "select (select last_seq from aerodb_internal.realtime_state), exists ("
        "select from aerodb_internal.realtime_changes c where not exists ("
        "select from aerodb_internal.realtime_commits k where k.xid = c.xid))"
    )
    for _ in range(3000):
        row = database.execute(log.encode()).fetchone()
        assert row is not None
        headers = {"apikey": server.service_key}
        figures = httpx.get(f"{server.url}/realtime/stats", headers=headers, trust_env=False)
        if not row[1] and figures.json()["seq"] >= row[0]:
            return
        time.sleep(0.01)
    raise AssertionError("changes are never delivered")


@pytest.fixture(scope="session")
def core_alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment variables with which any Python finds the client and what it depends on."""
    from tests.support.pythons import link_core

    return link_core(tmp_path_factory.mktemp("core"))


@pytest.fixture
def lossy(server: LocalServer) -> Iterator[LossyProxy]:
    """A way to the server that loses answers when told to."""
    with LossyProxy(server.url) as proxy:
        yield proxy


class LossyProxy:
    """Forwards TCP connections, and loses answers when told to.

    After `lose(n)` the next n answers are thrown away: the request has reached the server, and has
    been carried out, while the client sees its connection end without an answer. After `cut(n)` the
    next answer ends after n bytes.
    """

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("http://").rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._losing = 0
        self._left: int | None = None
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self.forwarded = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> LossyProxy:
        self._threads[0].start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def lose(self, answers: int) -> None:
        self._losing = answers

    def cut(self, left: int) -> None:
        self._left = left

    def hang_up(self) -> None:
        """End every connection that is open."""
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        """One request at a time: what the client sent goes on, what came back goes back."""
        with client, socket.create_connection(self._target) as server, suppress(OSError):
            self._open |= {client, server}
            selector = selectors.DefaultSelector()
            selector.register(client, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            with selector:
                while self._pass_on(selector, client, server):
                    pass
        self._open -= {client, server}

    def _pass_on(
        self, selector: selectors.BaseSelector, client: socket.socket, server: socket.socket
    ) -> bool:
        for key, _ in selector.select():
            data = key.fileobj.recv(65536)  # type: ignore[union-attr]
            if not data:
                return False
            if key.fileobj is client:
                server.sendall(data)
                self.forwarded += 1
            elif self._losing > 0:
                self._losing -= 1
                return False
            elif self._left is not None and self._left < len(data):
                client.sendall(data[: self._left])
                self._left = None
                return False
            else:
                client.sendall(data)
                self._left = None if self._left is None else self._left - len(data)
        return True
