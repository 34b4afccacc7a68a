"""What only the blocking side has: threads that share a client, and their end."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from aerodb._core.http import Request, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io.on_threads import HttpClient, Worker, call, monotonic
from tests.support.scripted import ScriptedServer, echo, hold

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def get(server: ScriptedServer, target: str = "/") -> Request:
    return Request("GET", server.origin, target, [], None)


def test_sixty_four_threads_share_a_client(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(max_connections=16, trust_env=False))
    wrong: list[object] = []

    def ask(name: int) -> None:
        try:
            for number in range(20):
                target = f"/{name}/{number}"
                response = http.send(get(scripted, target), monotonic() + 60)
                if response.body != f"{target}\n".encode():
                    wrong.append((target, response.body))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(scripted.seen) == 64 * 20
    assert scripted.most_at_once <= 16
    assert http.sockets <= 16
    http.close()


def test_a_dropped_client_closes_its_connections(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(trust_env=False))
    http.send(get(scripted), monotonic() + 30)
    with pytest.warns(ResourceWarning, match="unclosed AeroDB client"):
        del http
    gc.collect()
    deadline = monotonic() + 20
    while scripted.now_open:
        assert monotonic() < deadline
        threading.Event().wait(0.005)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc on this system")
def test_many_clients_leave_nothing_behind(scripted: ScriptedServer) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    mine = os.getpid()
    before = descriptors() - scripted.now_open
    for _ in range(100):
        http = HttpClient(HttpSettings(trust_env=False))
        http.send(get(scripted), monotonic() + 30)
        http.close()
    deadline = monotonic() + 20
    while scripted.now_open:
        assert monotonic() < deadline
        threading.Event().wait(0.005)
    assert os.getpid() == mine
    assert descriptors() <= before + 2


def test_a_write_that_fails_at_once_has_not_sent(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(trust_env=False))
    busy = threading.Event()
    scripted.on("/", [echo, hold(busy)])  # so that it does not notice the end of what we send
    http.send(get(scripted), monotonic() + 30)
    assert http._engine is not None
    (connection,) = http._engine._direct._idle[scripted.origin]
    connection.wire.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(TransportError) as caught:
        http.send(get(scripted, "/second"), monotonic() + 30)
    assert (caught.value.kind, caught.value.sent) == ("closed", False)
    busy.set()
    assert [seen.target for seen in scripted.seen] == ["/"]
    http.close()


def test_an_async_httpx_client_is_refused() -> None:
    wrong = httpx.AsyncClient()
    with pytest.raises(TypeError, match=r"httpx\.Client"):
        HttpClient(HttpSettings(), client=wrong)


def test_a_coroutine_as_handler_is_refused() -> None:
    async def handler(value: int) -> int:
        return value

    with pytest.raises(TypeError, match="async handlers"):
        call(handler, 1)


def test_a_worker_is_a_named_daemon_thread() -> None:
    seen: list[threading.Thread] = []
    worker = Worker(lambda: seen.append(threading.current_thread()), "aerodb-test")
    assert worker.join(20)
    assert (seen[0].name, seen[0].daemon) == ("aerodb-test", True)


def test_importing_and_constructing_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from aerodb._io.on_threads import HttpClient, Lock, Event, Queue\n"
        "from aerodb._core.http_settings import HttpSettings\n"
        "HttpClient(HttpSettings()), Lock(), Event(), Queue(1)\n"
        "print(*(set(sys.modules) & {'asyncio', 'ssl', 'httpx', 'httpcore', 'h11', 'anyio'}))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []
