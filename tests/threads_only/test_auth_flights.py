"""Many threads, many processes, one session: one refresh (reliability R1, R5, R10)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb import FileSessionStore, Session
from aerodb._core.options import ClientOptions
from aerodb.sync import AeroDBClient
from tests.support.scripted import ScriptedServer
from tests.support.token_desk import TokenDesk

ROOT = Path(__file__).resolve().parents[2]
SOON = 30.0


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def desk(scripted: ScriptedServer) -> TokenDesk:
    return TokenDesk(scripted)


def make(scripted: ScriptedServer, **options: Any) -> AeroDBClient:
    given = ClientOptions(trust_env=False, **options)
    return AeroDBClient(f"http://127.0.0.1:{scripted.port}", "aero_pk_test", options=given)


def notes(client: AeroDBClient) -> Any:
    return client.from_("notes").select().execute()


def together(number: int, act: Callable[[int], None]) -> None:
    """Run `act(0)` ... `act(number - 1)` at once; what one of them raises fails the test."""
    failures: list[BaseException] = []
    gate = threading.Barrier(number)

    def run(index: int) -> None:
        try:
            gate.wait(SOON)
            act(index)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert not failures, failures[0]
    assert not any(thread.is_alive() for thread in threads)


def test_64_threads_refresh_once(scripted: ScriptedServer, desk: TokenDesk) -> None:
    with make(scripted) as client:
        client.auth.sign_in("ada@example.com", "correct horse")
        desk.expire()
        desk.delay = 0.05

        def act(index: int) -> None:
            for _ in range(16):
                assert notes(client).data == [{"bearer": "Bearer access2"}]

        together(64, act)
        assert (desk.refreshes, desk.reused) == (1, 0)
        assert len(scripted.seen) == 1 + 1 + 64 * 16 + desk.refused


@pytest.mark.parametrize("seed", range(3))
def test_callers_that_run_out_of_time_take_nobody_along(
    scripted: ScriptedServer, desk: TokenDesk, seed: int
) -> None:
    with make(scripted) as client:
        client.auth.sign_in("ada@example.com", "correct horse")
        hurried = client.with_options(timeout=0.15, retries=0)
        desk.expire()
        desk.delay = 0.6

        def act(index: int) -> None:
            if index % 2 == seed % 2:
                error = notes(hurried).error
                assert error is not None
                assert error.code == "TIMEOUT"
            else:
                assert notes(client).data == [{"bearer": "Bearer access2"}]

        together(16, act)
        assert (desk.refreshes, desk.reused) == (1, 0)


def test_identities_never_mix(scripted: ScriptedServer, desk: TokenDesk) -> None:
    with make(scripted) as client:

        def act(index: int) -> None:
            for call in range(80):
                token = f"user-{index}-{call % 2}"
                assert notes(client.as_user(token)).data == [{"bearer": f"Bearer {token}"}]

        together(64, act)
    assert len(scripted.seen) == 64 * 80


PROCESS = """
import sys
from aerodb import AeroDBClient, ClientOptions, FileSessionStore
url, path, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
options = ClientOptions(trust_env=False, session_store=FileSessionStore(path))
with AeroDBClient(url, "aero_pk_test", options=options) as client:
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(calls):
        answer = client.from_("notes").select().execute()
        print(answer.error or answer.data[0]["bearer"], flush=True)
"""


def process(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROCESS, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)


def test_8_processes_on_one_file_refresh_once(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    FileSessionStore(path).save(Session(*desk.open()))
    desk.expire()
    desk.delay = 0.1
    url = f"http://127.0.0.1:{scripted.port}"
    processes = [process(url, str(path), "50") for _ in range(8)]
    for one in processes:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in processes:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    lines = [line for one in processes for line in one.communicate(timeout=SOON)[0].split("\n")]
    assert [line for line in lines if line] == ["Bearer access2"] * 400
    assert (desk.refreshes, desk.reused) == (1, 0)


HOLDER = """
import sys
from aerodb import FileSessionStore
release = FileSessionStore(sys.argv[1]).try_lock()
print("held" if release else "not held", flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a matter of POSIX")
def test_a_killed_holder_of_the_lock_holds_up_nobody(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    FileSessionStore(path).save(Session(*desk.open()))
    desk.expire()
    command = [sys.executable, "-c", HOLDER, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with make(scripted, session_store=FileSessionStore(path)) as client:
            waiting = client.with_options(timeout=0.2)
            error = notes(waiting).error
            assert error is not None
            assert error.code == "TIMEOUT"
            holder.send_signal(signal.SIGKILL)
            holder.wait(SOON)
            assert notes(client).data == [{"bearer": "Bearer access2"}]
    assert (desk.refreshes, desk.reused) == (1, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is a matter of POSIX")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_in_mid_refresh_goes_on(scripted: ScriptedServer, desk: TokenDesk) -> None:
    with make(scripted) as client:
        client.auth.sign_in("ada@example.com", "correct horse")
        desk.expire()
        desk.delay = 0.4
        asking = threading.Thread(target=notes, args=(client,))
        asking.start()
        while not desk.refreshes:
            time.sleep(0.001)
        child = os.fork()
        if child == 0:
            # the token is spent by the parent: the child is told so, and does not hang
            error = notes(client).error
            os._exit(0 if error is not None and error.code == "SESSION_EXPIRED" else 1)
        assert os.waitpid(child, 0)[1] == 0
        asking.join(SOON)
