"""A forked child never touches what its parent owns (reliability X4, C2)."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from aerodb._core.http import Request
from aerodb._core.http_settings import HttpSettings
from aerodb._io.on_threads import HttpClient, monotonic
from tests.support.scripted import ScriptedServer, head, send, wait

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

START = """
import os, signal, sys, threading, time
from aerodb._core.http import Origin, Request, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io.on_threads import Event, HttpClient, Lock, monotonic

port, ca = int(sys.argv[1]), sys.argv[2]
origin = Origin("https", "localhost", port) if ca else Origin("http", "127.0.0.1", port)
http = HttpClient(HttpSettings(max_connections=8, verify=ca or None, trust_env=False))

def ask(name, times):
    for number in range(times):
        target = f"/{name}/{number}"
        response = http.send(Request("GET", origin, target, [], None), monotonic() + 30)
        assert response.body == f"{target}\\n".encode(), (name, response.body)

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
    return pid

def reap(pid):
    _, status = os.waitpid(pid, 0)
    assert status == 0, status
"""

SIMPLE = """
ask("before", 1)
pid = in_child(lambda: ask("child", 300))
ask("parent", 300)
reap(pid)
ask("after", 5)
http.close()
print("fine")
"""

BUSY = """
lock, flag, stop = Lock(), Event(), threading.Event()

def work(name):
    number = 0
    while not stop.is_set():
        with lock:  # held nearly always by somebody, so that the forks happen while it is
            ask(f"parent-{name}", 1)

threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
for thread in threads:
    thread.start()
ask("before", 1)

def child():
    with lock:
        ask("child", 3)

for _ in range(10):
    reap(in_child(child))
stop.set()
for thread in threads:
    thread.join()
http.close()
print("fine")
"""

CLOSING = """
ask("before", 1)

def child():
    http.close()
    try:
        ask("child", 1)
    except TransportError as error:
        assert error.kind == "client_closed"
    else:
        raise AssertionError("closed")

reap(in_child(child))
ask("after", 5)
http.close()
print("fine")
"""

STREAMING = """
request = Request("GET", origin, "/long", [], None)
stream = http.stream(request, None, 30)
first = next(stream)

def child():
    stream.close()  # its copy; the connection is the parent's

reap(in_child(child))
assert first + b"".join(stream) == b"a" * 100 + b"b" * 100
ask("after", 5)
http.close()
print("fine")
"""

USERS_OWN = """
import httpx
with httpx.Client() as mine:
    http = HttpClient(HttpSettings(), client=mine)
    ask("before", 1)

    def child():
        try:
            ask("child", 1)
        except TransportError as error:
            assert (error.kind, error.sent) == ("unsupported", False)
        else:
            raise AssertionError("sent")

    reap(in_child(child))
    ask("after", 5)
    http.close()
print("fine")
"""


def run(code: str, port: int, ca: str = "") -> None:
    command = [sys.executable, "-W", "ignore", "-c", START + code, str(port), ca]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=90
    )
    assert (done.returncode, done.stdout.strip()) == (0, "fine"), done.stderr


def names_by_connection(server: ScriptedServer) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for seen in server.seen:
        found.setdefault(seen.connection, set()).add(seen.target.split("/")[1])
    return found


@pytest.mark.parametrize("secure", [False, True])
def test_parent_and_child_get_their_own_answers(secure: bool, tmp_path: Path) -> None:
    theirs, ca = None, ""
    if secure:
        authority = trustme.CA()
        ca = str(tmp_path / "ca.pem")
        authority.cert_pem.write_to_path(ca)
        theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(theirs)
    with ScriptedServer(tls=theirs) as server:
        run(SIMPLE, server.port, ca)
        found = names_by_connection(server)
        assert found[1] == {"before", "parent", "after"}  # still usable after the child's end
        assert [names for names in found.values() if "child" in names] == [{"child"}]


def test_forking_while_threads_hold_our_locks() -> None:
    with ScriptedServer() as server:
        run(BUSY, server.port)
        found = names_by_connection(server)
        assert sum(1 for names in found.values() if names == {"child"}) == 10


def test_closing_in_the_child_leaves_the_parent_alone() -> None:
    with ScriptedServer() as server:
        run(CLOSING, server.port)
        assert names_by_connection(server) == {1: {"before", "after"}}


def test_a_stream_closed_in_the_child_goes_on_in_the_parent() -> None:
    with ScriptedServer() as server:
        length = [("Content-Length", "200")]
        server.on("/long", [send(head(200, length) + b"a" * 100), wait(1), send(b"b" * 100)])
        run(STREAMING, server.port)
        assert names_by_connection(server) == {1: {"long", "after"}}


def test_a_users_client_is_not_shared_with_a_child() -> None:
    with ScriptedServer() as server:
        run(USERS_OWN, server.port)
        assert names_by_connection(server) == {1: {"before", "after"}}


def test_a_fork_that_python_does_not_see_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer() as server:
        http = HttpClient(HttpSettings(trust_env=False))
        for target in ("/a", "/b"):
            http.send(Request("GET", server.origin, target, [], None), monotonic() + 30)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        http.send(Request("GET", server.origin, "/c", [], None), monotonic() + 30)
        assert names_by_connection(server) == {1: {"a", "b"}, 2: {"c"}}
        http.close()
