"""One client and several event loops, one after another and at once (reliability X5, C4)."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from aerodb._core.http import Request, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io.on_asyncio import Event, HttpClient, Lock, call, monotonic
from tests.support.scripted import ScriptedServer, echo, hold, wait

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def get(server: ScriptedServer, target: str = "/") -> Request:
    return Request("GET", server.origin, target, [], None)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


async def ask(http: HttpClient, server: ScriptedServer, target: str, times: int = 3) -> None:
    for _ in range(times):
        response = await http.send(get(server, target), monotonic() + 30)
        assert response.body == f"{target}\n".encode()


def test_fifty_loops_one_after_another(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(trust_env=False))
    asyncio.run(ask(http, scripted, "/warm"))
    before = descriptors()
    for number in range(50):
        asyncio.run(ask(http, scripted, f"/{number}"))
    gc.collect()
    assert http.sockets == 0  # each loop took its connections with it
    assert descriptors() - before <= 2
    assert len(http._engines) <= 1
    assert scripted.connections == 51
    asyncio.run(http.close())


def test_a_loop_takes_its_tls_connections_with_it() -> None:
    authority = trustme.CA()
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(ours)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    with ScriptedServer(tls=theirs) as server:
        http = HttpClient(HttpSettings(verify=ours, trust_env=False))
        for number in range(5):
            asyncio.run(ask(http, server, f"/{number}"))
        gc.collect()  # a transport left open would warn now
        assert http.sockets == 0
        assert server.connections == 5
        asyncio.run(http.close())


def test_eight_loops_at_once(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(trust_env=False))
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            for turn in range(5):
                asyncio.run(ask(http, scripted, f"/{number}/{turn}"))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert http.sockets == 0
    asyncio.run(http.close())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_loop_that_was_just_closed_is_let_go(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(trust_env=False))
    for number in range(3):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(ask(http, scripted, f"/{number}"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loop.close()  # no shutdown_asyncgens(): nobody told us
            del loop
            gc.collect()
    asyncio.run(ask(http, scripted, "/last"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
    assert http.sockets == 0
    assert len(http._engines) <= 1
    asyncio.run(http.close())


def test_closing_from_another_loop(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(trust_env=False))
    scripted.on("/slow", [wait(3)])
    kinds: list[str] = []

    async def main() -> None:
        with pytest.raises(TransportError) as caught:
            await http.send(get(scripted, "/slow"), monotonic() + 30)
        kinds.append(caught.value.kind)

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    while not scripted.seen:
        threading.Event().wait(0.005)
    asyncio.run(http.close())
    thread.join(20)
    assert kinds == ["client_closed"]


def test_a_dropped_client_closes_its_connections(scripted: ScriptedServer) -> None:
    async def main() -> None:
        http = HttpClient(HttpSettings(trust_env=False))
        await ask(http, scripted, "/")
        with pytest.warns(ResourceWarning, match="unclosed AeroDB client"):
            del http
        for _ in range(200):
            if scripted.now_open == 0:
                break
            await asyncio.sleep(0.01)
        assert scripted.now_open == 0

    asyncio.run(main())


def test_a_lock_holds_across_loops() -> None:
    lock = Lock()
    inside: list[int] = []
    wrong: list[int] = []

    async def enter(number: int) -> None:
        for _ in range(10):
            async with lock:
                inside.append(number)
                await asyncio.sleep(0.001)
                if inside != [number]:
                    wrong.append(number)
                inside.remove(number)

    async def main(number: int) -> None:
        await asyncio.gather(*(enter(number * 10 + turn) for turn in range(3)))

    threads = [threading.Thread(target=asyncio.run, args=(main(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    asyncio.run(asyncio.wait_for(enter(1), 5))


def test_an_event_wakes_another_loop() -> None:
    event = Event()
    woken: list[bool] = []

    async def main() -> None:
        woken.append(await event.wait(30))

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()

    async def raise_it() -> None:
        await asyncio.sleep(0.05)
        event.set()

    asyncio.run(raise_it())
    thread.join(30)
    assert woken == [True]


async def test_a_write_that_fails_at_once_has_not_sent(scripted: ScriptedServer) -> None:
    http = HttpClient(HttpSettings(trust_env=False))
    busy = threading.Event()
    scripted.on("/", [echo, hold(busy)])  # so that it does not notice the end of what we send
    await ask(http, scripted, "/", times=1)
    (connection,) = http._engines[asyncio.get_running_loop()]._direct._idle[scripted.origin]
    connection.wire.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(TransportError) as caught:
        await http.send(get(scripted, "/second"), monotonic() + 30)
    assert (caught.value.kind, caught.value.sent) == ("closed", False)
    busy.set()
    assert [seen.target for seen in scripted.seen] == ["/"]
    await http.close()


def test_a_blocking_httpx_client_is_refused() -> None:
    with httpx.Client() as wrong, pytest.raises(TypeError, match=r"httpx\.AsyncClient"):
        HttpClient(HttpSettings(), client=wrong)


async def test_an_async_handler_is_awaited() -> None:
    async def handler(value: int) -> int:
        await asyncio.sleep(0)
        return value + 1

    assert await call(handler, 1) == 2


def test_importing_and_constructing_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from aerodb._io.on_asyncio import HttpClient, Lock, Event, Queue\n"
        "from aerodb._core.http_settings import HttpSettings\n"
        "HttpClient(HttpSettings()), Lock(), Event(), Queue(1)\n"
        "print(*(set(sys.modules) & {'asyncio', 'ssl', 'httpx', 'httpcore', 'h11', 'anyio'}))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


FORK = """
import asyncio, os, sys
from aerodb._core.http import Origin, Request
from aerodb._core.http_settings import HttpSettings
from aerodb._io.on_asyncio import HttpClient, monotonic

origin = Origin("http", "127.0.0.1", int(sys.argv[1]))
http = HttpClient(HttpSettings(trust_env=False))

async def ask(name, times):
    for number in range(times):
        target = f"/{name}/{number}"
        request = Request("GET", origin, target, [], None)
        response = await http.send(request, monotonic() + 30)
        assert response.body == f"{target}\\n".encode(), (name, response.body)

async def main():
    await ask("before", 1)
    pid = os.fork()
    if pid == 0:
        return 0
    await ask("parent", 100)
    return pid

loop = asyncio.new_event_loop()
pid = loop.run_until_complete(main())
if pid == 0:
    asyncio.run(ask("child", 100))
    sys.stdout.flush()
    os._exit(0)
_, status = os.waitpid(pid, 0)
assert status == 0, status
loop.run_until_complete(ask("after", 5))
loop.run_until_complete(http.close())
loop.close()
print("fine")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_has_connections_of_its_own(scripted: ScriptedServer) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORK, str(scripted.port)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60
    )
    assert (done.returncode, done.stdout.strip()) == (0, "fine"), done.stderr
    by_connection: dict[int, set[str]] = {}
    for seen in scripted.seen:
        name = seen.target.split("/")[1]
        by_connection.setdefault(seen.connection, set()).add(name)
    assert {"child"} in by_connection.values()
    assert all("child" not in names or names == {"child"} for names in by_connection.values())
    assert by_connection[1] == {"before", "parent", "after"}  # the child did not end it
