"""One blocking client: many threads, forks, Ctrl-C, and nothing left behind (X3, X4, C1, C2)."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb import AeroDBClient, ClientOptions
from aerodb._io.exchange import is_reusable
from aerodb._io.on_threads import direct
from aerodb._io.on_threads.dial import dial
from tests.support.scripted import ScriptedServer, head, wait

ROOT = Path(__file__).resolve().parents[2]
KEY = "aero_sk_C4n4ry0123456789abcdefghijkl"
JSON = ("Content-Type", "application/json")


def echo(sock: Any, seen: Any) -> None:
    """Answer with one row that says what was asked."""
    text = f'[{{"target":"{seen.target}","sent":{seen.body.decode() or "null"}}}]'.encode()
    sock.sendall(head(200, [JSON, ("Content-Length", str(len(text)))]) + text)


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.on("/rest/v1/t", [echo])
        server.on("/rest/v1/rpc/f", [echo])
        server.on("/rest/v1/slow", [wait(0.001), echo])
        server.on("/rest/v1/silent", [wait(10)])
        yield server


def url_of(server: ScriptedServer) -> str:
    return f"http://127.0.0.1:{server.port}"


ASK = """
def ask(client, number, table="t"):
    if number % 3 == 0:
        response = client.from_(table).select().eq("n", number).execute()
        assert response.unwrap()[0]["target"].endswith(f"n=eq.{number}"), response
    elif number % 3 == 1:
        response = client.rpc("f", {"n": number}).execute()
        assert response.unwrap()[0]["sent"] == {"n": number}, response
    else:
        with client.from_(table).eq("n", number).stream() as rows:
            found = list(rows)
        assert found[0]["target"].endswith(f"n=eq.{number}"), found
"""
exec(ASK)  # the same text runs in the subprocesses below
ask: Any = globals()["ask"]


def until(condition: Any) -> None:
    """Wait for something that another thread is about to do."""
    for _ in range(3000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come about")


def test_sixty_four_threads_with_mixed_queries(scripted: ScriptedServer) -> None:
    client = AeroDBClient(url_of(scripted), KEY, options=ClientOptions(max_connections=16))
    wrong: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for turn in range(20):
                ask(client, name * 100 + turn)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(scripted.seen) == 64 * 20
    assert client._transport._http.sockets <= 16
    client.close()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc on this system")
def test_a_closed_client_leaves_nothing_behind(scripted: ScriptedServer) -> None:
    def settled() -> tuple[int, int]:
        gc.collect()
        until(lambda: scripted.now_open == 0)
        names = [thread.name for thread in threading.enumerate()]
        return len(os.listdir("/proc/self/fd")), sum("scripted" not in name for name in names)

    with AeroDBClient(url_of(scripted), KEY) as client:
        ask(client, 1)
    descriptors, threads = settled()
    for number in range(40):
        with AeroDBClient(url_of(scripted), KEY) as client:
            for turn in range(6):
                ask(client, number * 10 + turn)
    after = settled()
    assert after[0] <= descriptors + 2
    assert after[1] <= threads


def test_a_dropped_client_warns_and_leaves_nothing_behind(scripted: ScriptedServer) -> None:
    def use_and_drop() -> None:
        def use() -> None:
            ask(AeroDBClient(url_of(scripted), KEY), 0)

        use()
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed AeroDB client"):
        use_and_drop()
    until(lambda: scripted.now_open == 0)


async def test_async_with_names_the_right_class(scripted: ScriptedServer) -> None:
    client: Any = AeroDBClient(url_of(scripted), KEY)
    with pytest.raises(TypeError, match=r"AsyncAeroDBClient"):
        async with client:
            pass
    client.close()


# --- subprocesses --------------------------------------------------------------------------------

START = """
import os, random, signal, sys, threading, time, traceback
from aerodb import AeroDBClient, ClientOptions

KEY = sys.argv[2]
client = AeroDBClient(
    f"http://127.0.0.1:{sys.argv[1]}", KEY, options=ClientOptions(max_connections=int(sys.argv[3]))
)

def in_child(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(30)
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid

def reap(pid):
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
"""

FORK = """
ask(client, 0)
def many(first):
    for number in range(first, first + 100):
        ask(client, number)
pid = in_child(lambda: many(10_000))
many(20_000)
reap(pid)
ask(client, 1)
client.close()
print("fine")
"""

BUSY_FORK = """
import logging  # as every server does; the first fork comes while the threads load the rest
stop = threading.Event()
wrong = []
def work(name):
    number = name * 100_000
    try:
        while not stop.is_set():
            number += 1
            ask(client, number)
    except BaseException as error:
        wrong.append(error)

threads = [threading.Thread(target=work, args=(name,)) for name in range(1, 9)]
for thread in threads:
    thread.start()
def child():
    for number in range(20):
        ask(client, number)
    client.close()
for _ in range(5):
    time.sleep(0.02)
    reap(in_child(child))
for number in range(100):
    ask(client, number)
stop.set()
for thread in threads:
    thread.join()
assert not wrong, wrong
client.close()
print("fine")
"""

STORM = """
signal.signal(signal.SIGALRM, signal.default_int_handler)
chance = random.Random(int(sys.argv[4]))
hits = 0
ask(client, 0)
for number in range(120):
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0005, 0.01))
        for turn in range(100_000):
            ask(client, number * 1000 + turn % 1000, "slow")
    except KeyboardInterrupt:
        hits += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
assert hits > 110, hits  # Python swallows one that strikes in a finalizer

wrong = []
def work(name):
    try:
        for turn in range(5):
            ask(client, name * 100 + turn)
    except BaseException as error:
        wrong.append(error)
threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not wrong, wrong
http = client._transport._http
assert http._engine._gate.in_use == 0
assert http.sockets <= 2, http.sockets
client.close()
print("fine")
"""

EXIT = """
ask(client, 0)
rows = client.from_("t").stream()
rows.__enter__()
print("fine")
"""


def run(code: str, server: ScriptedServer, connections: int = 100, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", START + ASK + code]
    command += [str(server.port), KEY, str(connections), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=90
    )
    assert (done.returncode, done.stdout.strip()) == (0, "fine"), done.stderr[-3000:]
    return done.stderr


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
timers = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers")


@forks
def test_parent_and_child_get_their_own_answers(scripted: ScriptedServer) -> None:
    run(FORK, scripted)
    assert len(scripted.seen) == 202


@forks
def test_forking_while_eight_threads_ask(scripted: ScriptedServer) -> None:
    run(BUSY_FORK, scripted)


@timers
@pytest.mark.parametrize("seed", range(2))
def test_a_storm_of_interrupts(scripted: ScriptedServer, seed: int) -> None:
    run(STORM, scripted, 2, str(seed))


def test_the_interpreter_exits_with_a_client_left_open(scripted: ScriptedServer) -> None:
    assert run(EXIT, scripted) == ""


@timers
@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals need the main thread"
)
def test_the_key_is_in_no_frame_of_an_interrupted_call(scripted: ScriptedServer) -> None:
    """Tools that show tracebacks with local variables see every frame that was waiting (S1)."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with AeroDBClient(url_of(scripted), KEY) as client:
            silent = client.from_("silent")
            for query in (silent.select(), silent.insert({"a": "x" * 16_000_000})):
                signal.setitimer(signal.ITIMER_REAL, 1.0)
                with pytest.raises(KeyboardInterrupt) as caught:
                    query.execute()
                told = traceback.TracebackException.from_exception(
                    caught.value, capture_locals=True
                )
                frames = [frame for frame in told.stack if frame.filename != __file__]
                assert any("_transport" in frame.filename for frame in frames)
                assert KEY not in "".join(traceback.StackSummary.from_list(frames).format())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_closing_while_sixteen_threads_ask(scripted: ScriptedServer) -> None:
    """Whoever is under way gets an answer or CLIENT_CLOSED, and nobody anything else."""
    client = AeroDBClient(url_of(scripted), KEY, options=ClientOptions(max_connections=4))
    codes: set[str | None] = set()
    raised: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(100_000):
                response = client.from_("slow").insert({"a": 1}).execute()
                codes.add(response.error.code if response.error else None)
                if response.error is not None:
                    return
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    until(lambda: len(scripted.seen) > 50)
    client.close()
    for thread in threads:
        thread.join(30)
    assert raised == []
    assert codes == {None, "CLIENT_CLOSED"}
    until(lambda: scripted.now_open == 0)


def watch_sockets(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """The sockets that the client connects from now on."""
    made: list[socket.socket] = []

    def watched(*arguments: Any) -> socket.socket:
        made.append(dial(*arguments))
        return made[-1]

    monkeypatch.setattr(direct, "dial", watched)
    return made


def test_closing_just_before_a_connection_is_given_back(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = AeroDBClient(url_of(scripted), KEY)

    def meanwhile_closed(connection: Any) -> bool:
        client.close()  # as another thread may do at this moment
        return is_reusable(connection)

    monkeypatch.setattr(direct, "is_reusable", meanwhile_closed)
    made = watch_sockets(monkeypatch)
    ask(client, 0)
    assert client.is_closed
    assert [sock.fileno() for sock in made] == [-1]  # closed


def test_closing_while_another_thread_connects(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = AeroDBClient(url_of(scripted), KEY)
    made: list[socket.socket] = []

    def meanwhile_closed(*arguments: Any) -> Any:
        sock = dial(*arguments)
        made.append(sock)
        client.close()  # as another thread may do at this moment
        return sock

    monkeypatch.setattr(direct, "dial", meanwhile_closed)
    error = client.from_("t").insert({"a": 1}).execute().error
    assert error is not None
    assert (error.code, error.maybe_applied) == ("CLIENT_CLOSED", False)
    assert scripted.seen == []
    assert [sock.fileno() for sock in made] == [-1]  # closed
