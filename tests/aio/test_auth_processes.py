# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Several processes keep one session in one file: one refresh (reliability R5)."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb import FileSessionStore, Session
from aerodb._core.options import ClientOptions
from aerodb.aio import AeroDBClient
from tests.support import in_process
from tests.support.scripted import ScriptedServer
from tests.support.token_desk import TokenDesk

SOON = 30.0


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def desk(scripted: ScriptedServer) -> TokenDesk:
    return TokenDesk(scripted)


def make(url: str, path: Path | str) -> AeroDBClient:
    options = ClientOptions(trust_env=False, session_store=FileSessionStore(path))
    return AeroDBClient(url, "aero_pk_test", options=options)


async def notes(client: AeroDBClient) -> Any:
    return await client.from_("notes").select().execute()


async def ask(url: str, path: str, calls: str) -> None:
    """A process: make so many calls, and print the bearer of each."""
    async with make(url, path) as client:
        print("ready", flush=True)
        sys.stdin.readline()
        for _ in range(int(calls)):
            answer = await notes(client)
            print(answer.error or answer.data[0]["bearer"], flush=True)


def hold_the_lock(path: str) -> None:
    """A process: lock the file until a line comes."""
    release = FileSessionStore(path).try_lock()
    print("held" if release else "not held", flush=True)
    sys.stdin.readline()


@pytest.mark.skipif(os.name != "posix", reason="the lock is a matter of POSIX")
def test_8_processes_on_one_file_refresh_once(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    FileSessionStore(path).save(Session(*desk.open()))
    desk.expire()
    desk.delay = 0.1
    url = f"http://127.0.0.1:{scripted.port}"
    processes = [in_process.start(ask, url, str(path), "50") for _ in range(8)]
    assert {in_process.heard(one) for one in processes} == {"ready"}
    for one in processes:
        in_process.tell(one)
    lines = [line for one in processes for line in one.communicate(timeout=SOON)[0].split("\n")]
    assert [line for line in lines if line] == ["Bearer access2"] * 400
    assert (desk.refreshes, desk.reused) == (1, 0)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is a matter of POSIX")
async def test_a_killed_holder_of_the_lock_holds_up_nobody(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    FileSessionStore(path).save(Session(*desk.open()))
    desk.expire()
    with in_process.start(hold_the_lock, str(path)) as holder:
        assert in_process.heard(holder) == "held"
        async with make(f"http://127.0.0.1:{scripted.port}", path) as client:
            waiting = client.with_options(timeout=0.2)
            error = (await notes(waiting)).error
            assert error is not None
            assert error.code == "TIMEOUT"
            holder.send_signal(signal.SIGKILL)
            holder.wait(SOON)
            assert (await notes(client)).data == [{"bearer": "Bearer access2"}]
    assert (desk.refreshes, desk.reused) == (1, 0)
