"""Ctrl-C at any moment leaves a client that works (reliability X3, T7)."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.scripted import ScriptedServer, echo, wait

ROOT = Path(__file__).resolve().parents[2]

STORM = """
import os, random, signal, sys, threading, time
from aerodb._core.http import Origin, Request
from aerodb._core.http_settings import HttpSettings
from aerodb._io.on_threads import HttpClient, monotonic

port, seed, way = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
origin = Origin("http", "127.0.0.1", port)
http = HttpClient(HttpSettings(max_connections=2, trust_env=False))
chance = random.Random(seed)
hits = 0

def ask(target):
    request = Request("GET", origin, target, [], None)
    if way == "stream":
        stream = http.stream(request, monotonic() + 20, None)
        try:
            body = b"".join(stream)
        finally:
            stream.close()
    else:
        body = http.send(request, monotonic() + 20).body
    assert body == f"{target}\\n".encode(), body

ask("/warm")
for number in range(120):
    try:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.0002, 0.008))
        for turn in range(1000):
            ask(f"/slow?{number}-{turn}")
    except KeyboardInterrupt:
        hits += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)

assert hits > 110, hits  # Python swallows one that strikes in a finalizer

# Both permits are there: two threads at once, and more behind them.
failed = []
def work(name):
    try:
        for turn in range(5):
            ask(f"/after/{name}/{turn}")
    except BaseException as error:
        failed.append(error)
threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failed, failed
assert http._engine._gate.in_use == 0, http._engine._gate.in_use
assert http.sockets <= 2, http.sockets
http.close()
print("fine")
"""

# The timer's signal stands for the terminal's: the same handler, raised in the main thread.
HANDLER = """
import signal
signal.signal(signal.SIGALRM, signal.default_int_handler)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers on this system")
@pytest.mark.parametrize("way", ["send", "stream"])
@pytest.mark.parametrize("seed", range(3))
def test_a_storm_of_interrupts(seed: int, way: str) -> None:
    with ScriptedServer() as server:
        server.on("/slow", [wait(0.001), echo])
        command = [sys.executable, "-W", "ignore", "-c", HANDLER + STORM]
        command += [str(server.port), str(seed), way]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=90
        )
        assert (done.returncode, done.stdout.strip()) == (0, "fine"), done.stderr[-3000:]


ONE = """
import signal
import sys
import time
import traceback
from aerodb._core.http import Origin, Request
from aerodb._core.http_settings import HttpSettings
from aerodb._io.on_threads import HttpClient, monotonic

origin = Origin("http", "127.0.0.1", int(sys.argv[1]))
http = HttpClient(HttpSettings(trust_env=False))
# who runs the tests in the background of a shell has it ignored, and children inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)
print("ready", flush=True)
try:
    http.send(Request("GET", origin, "/never", [], None), monotonic() + 60)
except KeyboardInterrupt as error:
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    assert not [name for name in frames if "httpcore" in name], frames
    body = http.send(Request("GET", origin, "/x", [], None), monotonic() + 20).body
    http.close()
    print("interrupted", body)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to one process")
def test_ctrl_c_ends_a_call_at_once() -> None:
    """And shows what was called, not where in the library it waited: a notebook shows it all."""
    with ScriptedServer() as server:
        server.on("/never", [wait(30)])
        command = [sys.executable, "-c", ONE, str(server.port)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            while not server.seen:
                time.sleep(0.005)
            child.send_signal(signal.SIGINT)
            out, _ = child.communicate(timeout=20)
        finally:
            child.kill()
            child.communicate()
        assert out == "interrupted b'/x\\n'\n"
