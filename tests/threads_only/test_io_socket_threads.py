"""What only the blocking WebSocket meets: threads, Ctrl-C, forks, the end of the interpreter."""

from __future__ import annotations

import os
import random
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from aerodb._core.websocket import SocketClosed, SocketSettings
from aerodb._io.assembly import Assembly
from aerodb._io.on_threads import WebSocket
from aerodb._io.on_threads.frames import DATA, FrameReader, Incomplete
from tests.support.pythons import SUPPORTED, python
from tests.support.scripted import ScriptedServer, hold
from tests.support.sockets import (
    BINARY,
    CONT,
    PING,
    TEXT,
    SocketServer,
    frame,
    open_descriptors,
    upgrade,
)

ROOT = Path(__file__).resolve().parents[2]
SOON = 20.0
PLAIN = SocketSettings(trust_env=False)

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


@pytest.fixture
def server() -> Iterator[SocketServer]:
    with SocketServer() as running:
        yield running


def until(condition: Callable[[], object]) -> None:
    give_up = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


# Threads


@pytest.mark.parametrize("how", ["abort", "close"])
def test_a_blocked_reader_and_a_blocked_sender_are_released(how: str) -> None:
    with ScriptedServer() as server:
        done = threading.Event()
        server.on("/", [upgrade(), hold(done)])
        ws = WebSocket.connect(f"ws://127.0.0.1:{server.port}/", [], PLAIN, SOON)
        ends: list[SocketClosed] = []

        def read() -> None:
            try:
                ws.receive(None)
            except SocketClosed as error:
                ends.append(error)

        def write() -> None:
            try:
                while True:
                    ws.send("x" * 500_000)
            except SocketClosed as error:
                ends.append(error)

        threads = [threading.Thread(target=work) for work in (read, write, write)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        if how == "abort":
            ws.abort()
        else:
            ws.close(timeout=0.2)
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        assert len(ends) == 3
        done.set()


def test_a_reader_that_polls_hurts_no_sender(server: SocketServer) -> None:
    ws = WebSocket.connect(server.url(), [], PLAIN, SOON)
    ws.send("!sleep 1")
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            ws.receive(0.02)

    reader = threading.Thread(target=poll)
    reader.start()
    for _ in range(20):
        ws.send("x" * 500_000)
    ws.send("!count")
    until(lambda: len(server.received) == 22)
    stop.set()
    reader.join(10)
    ws.close()


def test_pings_are_answered_while_a_sender_is_blocked(server: SocketServer) -> None:
    with ScriptedServer() as scripted:
        pings = b"".join(frame(PING, b"%d" % number) for number in range(50))
        done = threading.Event()
        scripted.on("/", [upgrade(), hold(done), hold(threading.Event())])
        ws = WebSocket.connect(f"ws://127.0.0.1:{scripted.port}/", [], PLAIN, SOON)
        writer = threading.Thread(target=_send_much, args=(ws,))
        writer.start()
        time.sleep(0.3)  # by now it waits, and holds the sender's place
        ws._link._frames.feed(pings + frame(TEXT, b"behind them"))
        assert ws.receive(SOON) == "behind them"
        ws.abort()
        writer.join(10)
        assert not writer.is_alive()
        done.set()


def _send_much(ws: WebSocket) -> None:
    try:
        for _ in range(100):
            ws.send("x" * 500_000)
    except SocketClosed:
        pass


def test_descriptors_come_back_however_it_ends(server: SocketServer) -> None:
    def once(way: int) -> None:
        ws = WebSocket.connect(server.url(), [], PLAIN, SOON)
        thread = threading.Thread(target=_receive_to_the_end, args=(ws,))
        thread.start()
        if way == 0:
            ws.close()
        elif way == 1:
            ws.abort()
        else:
            ws.send("!close 1000")
        thread.join(10)
        assert not thread.is_alive()
        assert ws._link._buried

    once(0)
    until(lambda: server.now_open == 0)
    before = open_descriptors()
    for way in list(range(3)) * 20:
        once(way)
    until(lambda: server.now_open == 0)
    until(lambda: open_descriptors() <= before)


def _receive_to_the_end(ws: WebSocket) -> None:
    try:
        while True:
            ws.receive(None)
    except SocketClosed:
        pass


def test_closing_from_a_thread_while_others_send(server: SocketServer) -> None:
    for _ in range(20):
        ws = WebSocket.connect(server.url(), [], PLAIN, SOON)
        threads = [threading.Thread(target=_send_until_closed, args=(ws,)) for _ in range(4)]
        threads.append(threading.Thread(target=_receive_to_the_end, args=(ws,)))
        for thread in threads:
            thread.start()
        time.sleep(random.uniform(0, 0.02))
        ws.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


def _send_until_closed(ws: WebSocket) -> None:
    try:
        while True:
            ws.send("x" * 5_000)
    except SocketClosed:
        pass


# Ctrl-C

STORM = """
import random, signal, sys
from aerodb._core.websocket import SocketClosed, SocketSettings
from aerodb._io.on_threads import WebSocket

url, seed = sys.argv[1], int(sys.argv[2])
chance = random.Random(seed)
settings = SocketSettings(trust_env=False)
ws = WebSocket.connect(url, [], settings, 20)
hits = lost = 0
expected = sent = 0
armed = False

def strike(*_):
    global armed
    if armed:
        armed = False
        raise KeyboardInterrupt

signal.signal(signal.SIGALRM, strike)
for _ in range(150):
    ended = False
    try:
        armed = True
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0002, 0.004))
        try:
            while True:
                sent += 1  # first: the next line may send and be struck all the same
                ws.send(f"{sent:06d}" + "x" * 3000)
                text = ws.receive(20)
                assert text[6:] == "x" * 3000, text[:20]
                assert int(text[:6]) >= expected, (text[:6], expected)
                expected = int(text[:6]) + 1
        except SocketClosed:  # struck between two steps that belong together: said so, at once
            ended = True
        armed = False
    except KeyboardInterrupt:
        hits += 1
    if ended:
        lost += 1
        ws.close()
        ws = WebSocket.connect(url, [], settings, 20)
        expected = sent = 0

signal.setitimer(signal.ITIMER_REAL, 0)
assert hits > lost, (hits, lost)
ws.close()
print("fine", hits, lost)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no SIGALRM on this system")
@pytest.mark.parametrize("seed", [1, 2])
def test_interrupts_leave_a_socket_that_works_or_says_that_it_does_not(
    server: SocketServer, seed: int
) -> None:
    assert run(STORM, server.url(), str(seed)).startswith("fine")


def run(code: str, *arguments: str, flags: tuple[str, ...] = ("-W", "error")) -> str:
    command = [sys.executable, *flags, "-c", code, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=90
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


# Forks

FORK = """
import os, signal, sys, threading, time
from aerodb._core.websocket import SocketClosed, SocketSettings
from aerodb._io.on_threads import WebSocket

url, ca = sys.argv[1], sys.argv[2]
settings = SocketSettings(trust_env=False, verify=ca or None)
ws = WebSocket.connect(url, [], settings, 20)

def echo(text):
    ws.send(text)
    assert ws.receive(20) == text

def child():
    for call in (lambda: ws.send("from the child"), lambda: ws.receive(None)):
        try:
            call()
        except SocketClosed as error:
            assert "parent" in error.reason, error
        else:
            raise AssertionError("not said")
    ws.wake()
    ws.close()
    ws.abort()

def in_child(work):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(20)
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
"""

SIMPLE = """
echo("before")
in_child(child)
echo("after")
pid = os.fork()
if pid == 0:  # a child that just ends, with all its finalizers
    sys.exit(0)
os.waitpid(pid, 0)
echo("after that")
ws.close()
print("fine")
"""

BUSY = """
stop = threading.Event()

def read():
    while not stop.is_set():
        ws.receive(0.01)

def write():
    while not stop.is_set():
        ws.send("x" * 10000)

threads = [threading.Thread(target=work) for work in (read, write, write)]
for thread in threads:
    thread.start()
for _ in range(20):
    in_child(child)
stop.set()
for thread in threads:
    thread.join()
while ws.receive(0.5) is not None:
    pass
echo("after")
ws.close()
print("fine")
"""


@forks
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("code", [SIMPLE, BUSY], ids=["simple", "busy"])
def test_a_child_leaves_the_parents_socket_alone(code: str, secure: bool, tmp_path: Path) -> None:
    theirs, ca = None, ""
    if secure:
        authority = trustme.CA()
        ca = str(tmp_path / "ca.pem")
        authority.cert_pem.write_to_path(ca)
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(theirs)
    with SocketServer(tls=theirs) as server:
        # Python 3.12 warns of forks in a process with threads, which is what is tested
        flags = ("-W", "error", "-W", "ignore::DeprecationWarning")
        assert run(FORK + code, server.url(host="localhost"), ca, flags=flags) == "fine"
        until(lambda: server.ended)
        assert server.ended == [(1000, "")]
        assert "from the child" not in server.received


ASYNC_FORK = """
import asyncio, os, sys
from aerodb._core.websocket import SocketClosed, SocketSettings
from aerodb._io.on_asyncio import WebSocket

async def main():
    ws = await WebSocket.connect(sys.argv[1], [], SocketSettings(trust_env=False), 20)
    await ws.send("before")
    assert await ws.receive(20) == "before"
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for call in (ws.send("from the child"), ws.receive(None)):
                try:
                    await call
                except SocketClosed as error:
                    assert "parent" in error.reason, error
                else:
                    raise AssertionError("not said")
            ws.wake()
            await ws.close()
            ws.abort()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
    await ws.send("after")
    assert await ws.receive(20) == "after"
    await ws.close()
    print("fine")

asyncio.run(main())
"""


@forks
def test_a_child_leaves_an_async_parents_socket_alone(server: SocketServer) -> None:
    flags = ("-W", "error", "-W", "ignore::DeprecationWarning")
    assert run(ASYNC_FORK, server.url(), flags=flags) == "fine"
    until(lambda: server.ended)
    assert server.ended == [(1000, "")]
    assert "from the child" not in server.received


# The end of the interpreter

EXIT = """
import sys, threading, time
from aerodb._core.websocket import SocketSettings
from aerodb._io.on_threads import WebSocket

ws = WebSocket.connect(sys.argv[1], [], SocketSettings(trust_env=False), 20)
got = threading.Event()

def read():
    while True:
        if ws.receive(0.5 if sys.argv[2] == "idle" else None) is not None:
            got.set()

threading.Thread(target=read, daemon=True).start()
if sys.argv[2] == "flooded":
    assert got.wait(20)
    time.sleep(0.2)
"""


@pytest.mark.parametrize("version", SUPPORTED)
@pytest.mark.parametrize("how", ["idle", "flooded"])
def test_the_interpreter_ends_with_a_live_socket(
    server: SocketServer, core_alone: dict[str, str], version: str, how: str
) -> None:
    url = server.url("/flood" if how == "flooded" else "/echo")
    command = [python(version), "-c", EXIT, url, how]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=core_alone, timeout=90
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_importing_the_shim_loads_no_library() -> None:
    code = (
        "import sys, aerodb._io.on_threads, aerodb._io.on_asyncio\n"
        "print({'websockets', 'websocket', 'h11', 'ssl', 'asyncio'} & set(sys.modules))"
    )
    assert run(code) == "set()"


# Frames


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from([TEXT, BINARY, CONT]), st.integers(0, 700)), max_size=20),
       st.lists(st.integers(1, 500), max_size=30))  # fmt: skip
def test_frames_come_out_whole_however_they_come_in(
    parts: list[tuple[int, int]], cuts: list[int]
) -> None:
    wire = b"".join(
        frame(TEXT, b"a" * (size // 2), fin=False) + frame(PING) + frame(CONT, b"b" * size)
        if kind == CONT
        else frame(kind, b"c" * size)
        for kind, size in parts
    )
    wanted: list[str | bytes] = []
    for kind, size in parts:
        whole = b"a" * (size // 2) + b"b" * size if kind == CONT else b"c" * size
        wanted.append(whole if kind == BINARY else whole.decode())
    assembly = Assembly(2_000)
    reader = FrameReader(assembly)
    found: list[str | bytes] = []
    at = 0
    for size in [*cuts, len(wire)]:
        reader.feed(wire[at : at + size])
        at += size
        try:
            while True:
                got = reader.next_frame()
                if got.opcode in DATA:
                    message = assembly.add(got.opcode, got.fin, got.data)
                    if message is not None:
                        found.append(message)
        except Incomplete:
            pass
    assert found == wanted
