"""Functions run apart: from the instance's secrets, and from one another (reliability D6)."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aerodb.local.functions.service import scrubbed

from .conftest import SECRET, Instance, Maker, eventually, is_alive, said

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
WHO = """
    import os
    calls = 0
    def handler(request):
        global calls
        calls += 1
        return {"pid": os.getpid(), "group": os.getpgid(0), "calls": calls}
"""


# --- what they get --------------------------------------------------------------------------------


def test_no_variable_of_the_instance_but_the_listed(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGRST_JWT_SECRET", SECRET)
    monkeypatch.setenv("AERODB_DATABASE_URL", "postgresql://secret@db.example")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("MAIL_TOKEN", "for functions")
    monkeypatch.setenv("LC_TIME", "C")
    instance = make(functions_env=("MAIL_TOKEN",))
    instance.write("env", "import os\ndef handler(request): return dict(os.environ)")
    found = instance.call("env").json()
    assert found.pop("MAIL_TOKEN") == "for functions"
    assert found.pop("LC_TIME") == "C"
    assert found.pop("AERODB_URL") == instance.server.url
    assert found["PATH"] == os.environ["PATH"]
    assert set(found) <= {"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER",
                          "SSL_CERT_DIR", "SSL_CERT_FILE", "LC_ALL", "LC_CTYPE"}  # fmt: skip
    assert SECRET not in str(found)


def test_the_publishable_key_is_for_functions_too() -> None:
    environment = {"HOME": "/home/me", "X_SECRET": "s", "PGPASSWORD": "p"}
    found = scrubbed(environment, (), "http://127.0.0.1:1", "aero_pk_x")
    assert found == {
        "HOME": "/home/me",
        "AERODB_URL": "http://127.0.0.1:1",
        "AERODB_KEY": "aero_pk_x",
    }


@linux
def test_no_descriptor_but_its_own_and_a_group_of_its_own(instance: Instance) -> None:
    instance.write(
        "look",
        """
        import os, sys
        def handler(request):
            open_ones = [int(fd) for fd in os.listdir("/proc/self/fd")]
            links = {}
            for fd in open_ones:
                try:
                    links[fd] = os.readlink(f"/proc/self/fd/{fd}")
                except OSError:
                    pass
            return {"links": links, "group": os.getpgid(0) == os.getpid(),
                    "session": os.getsid(0) == os.getpid(), "cwd": os.getcwd(),
                    "argv": sys.argv, "aerodb": sorted(n for n in sys.modules if n[:6] == "aerodb")}
        """,
    )
    found = instance.call("look").json()
    assert found["group"]
    assert found["session"]
    assert Path(found["cwd"]) == instance.folder.resolve()
    sockets = [link for link in found["links"].values() if link.startswith("socket:")]
    assert len(sockets) == 1
    others = set(found["links"].values()) - set(sockets)
    assert {link.partition(":")[0] for link in others} <= {"/dev/null", "pipe", "anon_inode"}
    assert SECRET not in str(found)
    heavy = [name for name in found["aerodb"] if name.startswith(("aerodb._", "aerodb.local.s"))]
    assert heavy in ([], ["aerodb._version"])


# --- one after another, and at the same time ------------------------------------------------------


def test_a_worker_is_used_again(instance: Instance) -> None:
    instance.write("who", WHO)
    first, second = instance.call("who").json(), instance.call("who").json()
    assert first["pid"] == second["pid"] == first["group"]
    assert (first["calls"], second["calls"]) == (1, 2)
    assert instance.workers() == [first["pid"]]


def test_calls_at_the_same_time_have_workers_of_their_own(instance: Instance) -> None:
    """All are in their handlers at once, or this would never end."""
    instance.write(
        "together",
        """
        import os, pathlib, time
        def handler(request):
            here = pathlib.Path(request.text())
            (here / str(os.getpid())).touch()
            end = time.monotonic() + 20
            while len(list(here.iterdir())) < 4 and time.monotonic() < end:
                time.sleep(0.01)
            return {"pid": os.getpid(), "met": len(list(here.iterdir()))}
        """,
    )
    place = instance.folder.parent / "place"
    place.mkdir()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: instance.call("together", str(place)).json(), range(4)))
    assert {answer["met"] for answer in answers} == {4}
    assert len({answer["pid"] for answer in answers}) == 4


def test_no_more_workers_than_allowed(make: Maker) -> None:
    instance = make(functions_workers=2, functions_timeout=20)
    for name in ("one", "two", "three"):
        instance.write(name, WHO)
    with ThreadPoolExecutor(12) as pool:
        names = ["one", "two", "three"] * 8
        answers = list(pool.map(lambda name: instance.call(name).status_code, names))
    assert set(answers) == {200}
    assert len(instance.workers()) <= 4  # two, and two that are on their way out
    assert eventually(lambda: len(instance.workers()) <= 2)


def test_who_gets_no_worker_in_time_is_told_so(make: Maker) -> None:
    instance = make(functions_workers=1, functions_timeout=3)
    gate = instance.folder.parent / "gate"
    instance.write(
        "slow",
        f"""
        import os, time
        def handler(request):
            if request.path == "stream":
                return forever()
            return "quick"
        def forever():
            while True:
                yield "x"
                open({str(gate)!r}, "w").close()
                time.sleep(0.01)
        """,
    )
    with instance.http.stream("POST", "/functions/v1/slow/stream"):
        assert eventually(gate.exists)
        answer = instance.call("slow")
        assert said(answer) == (503, "functions_busy")
        assert answer.headers["retry-after"] == "1"
    assert instance.call("slow").text == "quick"


def test_one_that_hangs_while_it_is_loaded_is_out_of_time(make: Maker) -> None:
    instance = make(functions_timeout=2)
    instance.write("hangs", "import time\ntime.sleep(300)\ndef handler(request): return 1\n")
    instance.write("who", WHO)
    for _ in range(2):
        assert said(instance.call("hangs")) == (504, "function_timeout")
    assert instance.call("who").status_code == 200


# --- what goes wrong in one of them ---------------------------------------------------------------


def test_a_crash_takes_nobody_along(instance: Instance, caplog: pytest.LogCaptureFixture) -> None:
    instance.write("who", WHO)
    instance.write(
        "crash",
        """
        import ctypes, os, signal
        def handler(request):
            if request.path == "segfault":
                ctypes.string_at(0)
            if request.path == "exit":
                os._exit(7)
            if request.path in ("noise", "no frame"):  # it finds the socket to the instance
                noise = b"H\\0\\0\\0\\x02[]" if request.path == "noise" else b"\\xff" * 64
                for fd in range(3, 4096):
                    try: os.write(fd, noise)
                    except OSError: pass
                return 1
            if request.path == "recursion":
                return handler_again(request)
            if request.path == "shut":
                import socket
                for fd in range(3, 4096):
                    try: os.close(fd)
                    except OSError: pass
                return 1
            os.kill(os.getpid(), signal.SIGKILL)
        def handler_again(request):
            return handler_again(request)
        """,
    )
    before = instance.call("who").json()
    for path in ("segfault", "exit", "recursion", "shut", "noise", "no frame", "killed"):
        assert said(instance.call(f"crash/{path}")) == (500, "function_error")
    after = instance.call("who").json()
    assert (after["pid"], after["calls"]) == (before["pid"], before["calls"] + 1)
    assert "crash: its worker ended with status 7" in caplog.text
    assert "RecursionError" in caplog.text


@pytest.mark.parametrize("way", ["returns", "raises", "streams", "exits", "awaits"])
def test_what_a_handler_forks_answers_nobody(
    make: Maker, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    caplog.set_level(logging.INFO, "aerodb.local.functions")
    instance = make(functions_workers=1)
    instance.write(
        "forks",
        """
        import os, sys, time
        def handler(request):
            way, _, number = request.path.partition("/")
            if way == "awaits":
                return forked(number)
            if way == "streams":
                return pieces(number)
            child = os.fork()
            if child == 0:
                if way == "raises":
                    raise KeyError("of the child")
                if way == "exits":
                    sys.exit(3)
                return "child's " + number
            return f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])} {number}"
        async def forked(number):
            child = os.fork()
            if child == 0:
                return "child's " + number
            return f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])} {number}"
        def pieces(number):
            child = os.fork()
            if child:
                yield f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])} "
            yield number
        """,
    )
    code = {"raises": 1, "exits": 3}.get(way, 0)
    for number in range(4):
        assert instance.call(f"forks/{way}/{number}").text == f"{code} {number}"
    assert eventually(lambda: ("KeyError: 'of the child'" in caplog.text) == (way == "raises"))


def test_too_much_time(make: Maker, caplog: pytest.LogCaptureFixture) -> None:
    instance = make(functions_timeout=3)
    instance.write("who", WHO)
    pids = instance.folder.parent / "pids"
    instance.write(
        "slow",
        f"""
        import os, re, subprocess, time, asyncio
        def handler(request):
            child = subprocess.Popen(["sleep", "300"])
            with open({str(pids)!r}, "a") as file:
                file.write(f"{{os.getpid()}} {{child.pid}} ")
            if request.path == "regex":  # never lets another thread run
                re.match(r"(a+)+$", "a" * 64 + "b")
            if request.path == "loop":
                while True:
                    try: time.sleep(0.01)
                    except BaseException: pass
            time.sleep(300)
        """,
    )
    kept = instance.call("who").json()["pid"]
    with ThreadPoolExecutor(3) as pool:
        paths = ("slow/regex", "slow/loop", "slow/sleep")
        for answer in pool.map(instance.call, paths):
            assert said(answer) == (504, "function_timeout")
    started = [int(pid) for pid in pids.read_text(encoding="utf-8").split()]
    assert len(started) == 6
    assert eventually(lambda: not any(is_alive(pid) for pid in started))
    assert instance.call("who").json()["pid"] == kept
    assert caplog.text.count("slow: no answer within 3 s") == 3


STARTS = """
    import os, subprocess
    def handler(request):
        started = [subprocess.Popen(["sleep", "300"]),
                   subprocess.Popen(["sleep", "300"], start_new_session=True)]
        with open(request.text(), "w") as file:
            file.write(" ".join(str(pid) for pid in [os.getpid(), *[one.pid for one in started]]))
        if request.path == "crash":
            os._exit(1)
"""


@linux
@pytest.mark.parametrize("end", ["crash", "reload"])
def test_what_a_worker_has_started_ends_with_it(
    instance: Instance, tmp_path: Path, end: str
) -> None:
    """But for what has left its process group, as a daemon does."""
    notes = tmp_path / "notes"
    instance.write("starts", STARTS)
    instance.call(f"starts/{end}", str(notes))
    worker, child, daemon = (int(pid) for pid in notes.read_text(encoding="utf-8").split())
    try:
        if end == "reload":
            instance.write("starts", "def handler(request): return 1")
            assert instance.call("starts").json() == 1
        assert eventually(lambda: not is_alive(worker) and not is_alive(child))
        assert is_alive(daemon)
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_the_log_has_the_traceback_and_the_caller_has_not(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    instance.write(
        "wrong",
        """
        import sys
        def handler(request):
            print("about to fail")
            print("on stderr", file=sys.stderr)
            password = "hunter2"
            raise KeyError("inner secret")
        """,
    )
    answer = instance.call("wrong")
    assert said(answer) == (500, "function_error")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "KeyError: 'inner secret'" in caplog.text
    assert f"{instance.folder}/wrong.py" in caplog.text
    assert "aerodb/local/functions/worker.py" not in caplog.text
    assert eventually(lambda: "wrong: about to fail" in caplog.text)
    assert eventually(lambda: "wrong: on stderr" in caplog.text)


def test_a_flood_of_output_harms_nobody(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "aerodb.local.functions")
    instance.write(
        "flood",
        """
        def handler(request):
            print("x" * 3_000_000)
            for number in range(20_000): print(number)
            return "done"
        """,
    )
    assert instance.call("flood").text == "done"


# --- reloading ------------------------------------------------------------------------------------


def test_a_changed_file_is_loaded_again(instance: Instance) -> None:
    instance.write("_helper", "VALUE = 1")
    source = "import _helper\ndef handler(request): return [{}, _helper.VALUE]"
    instance.write("changing", source.format(1))
    assert instance.call("changing").json() == [1, 1]
    instance.write("changing", source.format(2))
    assert instance.call("changing").json() == [2, 1]
    instance.write("_helper", "VALUE = 22")
    assert instance.call("changing").json() == [2, 22]
    (instance.folder / "changing.py").unlink()
    assert said(instance.call("changing")) == (404, "function_not_found")


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("def handler(request:", "SyntaxError"),
        ("import no_such_module", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("x = 1", "there is no function called handler"),
        ("handler = 7", "there is no function called handler"),
        ("import os; os._exit(4)", "ended while it was loaded"),
    ],
)
def test_a_file_that_cannot_be_loaded(
    instance: Instance, caplog: pytest.LogCaptureFixture, broken: str, told: str
) -> None:
    instance.write("loaded", broken)
    for _ in range(2):
        assert said(instance.call("loaded")) == (500, "function_error")
    assert told in caplog.text
    instance.write("loaded", "def handler(request): return 'mended'")
    assert instance.call("loaded").text == "mended"


def test_a_call_under_way_ends_as_it_began(instance: Instance) -> None:
    gate, started = instance.folder.parent / "gate", instance.folder.parent / "started"
    source = f"""
        import pathlib, time
        def handler(request):
            pathlib.Path({str(started)!r}).touch()
            while not pathlib.Path({str(gate)!r}).exists():
                time.sleep(0.01)
            return {{}}
        """
    instance.write("version", source.replace("{{}}", "{}").replace("return {}", "return 'old'"))
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(instance.call("version").text))
    thread.start()
    assert eventually(started.exists)
    instance.write("version", "def handler(request): return 'new'")
    assert instance.call("version").text == "new"
    gate.touch()
    thread.join(30)
    assert answers == ["old"]
    assert instance.call("version").text == "new"


def test_a_file_of_the_folder_stands_in_for_no_library(instance: Instance) -> None:
    instance.write("json", "def handler(request): return 'mine'")
    instance.write("asyncio", "raise ImportError('not me')")
    instance.write("plain", "import json\ndef handler(request): return json.dumps([1])")
    assert instance.call("json").text == "mine"
    assert instance.call("plain").text == "[1]"


# --- streams --------------------------------------------------------------------------------------

STREAMS = """
    import asyncio, os, pathlib, time
    from aerodb.local.functions import Response
    def note(request, text):
        with open(request.query["notes"], "a") as file:
            file.write(text + " ")
    def plain(request):
        try:
            while True:
                yield "x"
                time.sleep(0.01)
        finally:
            note(request, "closed")
    def asleep(request):
        try:
            yield "x"
            time.sleep(300)
        finally:
            note(request, "closed")
    def stubborn(request):
        note(request, str(os.getpid()))
        yield "x"
        while True:
            try:
                while True: pass
            except BaseException: pass
    def flood(request):
        try:
            while True:
                yield b"x" * 1_000_000
        finally:
            note(request, "closed")
    async def aio(request):
        try:
            yield "x"
            await asyncio.sleep(300)
        finally:
            note(request, "closed")
    def handler(request):
        return Response(globals()[request.path](request), headers={"Content-Type": "text/plain"})
"""


@pytest.mark.parametrize("path", ["plain", "asleep", "aio", "flood"])
def test_a_client_that_leaves_stops_the_generator(
    instance: Instance, tmp_path: Path, path: str
) -> None:
    instance.write("streams", STREAMS)
    notes = tmp_path / "notes"
    with instance.http.stream(
        "GET", f"/functions/v1/streams/{path}", params={"notes": str(notes)}
    ) as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        assert next(answer.iter_bytes())[:1] == b"x"
    assert eventually(lambda: notes.exists() and notes.read_text(encoding="utf-8") == "closed ")
    assert eventually(lambda: not instance.workers())


def test_one_that_will_not_stop_is_killed(instance: Instance, tmp_path: Path) -> None:
    instance.write("streams", STREAMS)
    notes = tmp_path / "notes"
    with instance.http.stream(
        "GET", "/functions/v1/streams/stubborn", params={"notes": str(notes)}
    ) as answer:
        next(answer.iter_bytes())
        pid = int(notes.read_text(encoding="utf-8"))
        assert is_alive(pid)
    assert eventually(lambda: not is_alive(pid))


def test_pieces_come_when_they_are_made(instance: Instance) -> None:
    """The second piece is made only when the first one has been read."""
    gate = instance.folder.parent / "gate"
    instance.write(
        "slowly",
        f"""
        import pathlib, time
        def handler(request):
            yield "one"
            while not pathlib.Path({str(gate)!r}).exists():
                time.sleep(0.01)
            yield "two"
        """,
    )
    with instance.http.stream("GET", "/functions/v1/slowly") as answer:
        pieces = answer.iter_text()
        assert next(pieces) == "one"
        gate.touch()
        assert "".join(pieces) == "two"


def test_an_async_handler_keeps_its_loop(instance: Instance) -> None:
    instance.write(
        "loop",
        """
        import asyncio
        lock = None
        async def handler(request):
            global lock
            lock = lock or asyncio.Lock()
            async with lock:
                await asyncio.sleep(0)
            return id(asyncio.get_running_loop())
        """,
    )
    assert instance.call("loop").json() == instance.call("loop").json()


def test_large_answers_and_bodies_pass_whole(instance: Instance) -> None:
    instance.write("mirror", "def handler(request): return request.body")
    body = os.urandom(7_000_001)
    assert instance.call("mirror", body).content == body
    assert instance.call("mirror", b"").content == b""


def test_a_crash_is_told_at_once_although_a_program_of_the_function_lives_on(make: Maker) -> None:
    instance = make(functions_timeout=20)
    instance.write(
        "leaving",
        """
        import os
        def handler(request):
            os.system("sleep 60 &")
            os._exit(3)
        """,
    )
    said_by = instance.call("leaving")
    assert (said_by.status_code, said_by.json()["code"]) == (500, "function_error")


@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_an_answer_without_a_body_does_not_wait_for_the_end_of_a_stream(
    instance: Instance, method: str, tmp_path: Path
) -> None:
    done = tmp_path / method
    instance.write(
        "endless",
        f"""
        import pathlib
        from aerodb.local.functions import Response
        def pieces():
            try:
                while True:
                    yield b"x" * 1000
            finally:
                pathlib.Path({str(done)!r}).touch()
        def handler(request):
            return Response(pieces(), status=200 if request.method == "HEAD" else 204)
        """,
    )
    answer = instance.call("endless", method=method, timeout=10)
    assert (answer.status_code, answer.content) == (200 if method == "HEAD" else 204, b"")
    assert eventually(done.exists)
