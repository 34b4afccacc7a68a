# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Processes that are stopped and go on (SIGSTOP, SIGCONT), as a laptop's do that sleeps (C8)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb import ClientOptions, RealtimeOptions
from aerodb._io.on_asyncio import monotonic, pause
from aerodb.aio import AeroDBClient
from tests.support.own_instance import HANG, ROOT, OwnInstance
from tests.support.scripted_realtime import ScriptedRealtime

KEY = "aero_pk_test"
HEARTBEAT = 0.3

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no SIGSTOP here")


@pytest.fixture(scope="module")
def instance() -> Iterator[OwnInstance]:
    with OwnInstance(
        "create table posts (id int primary key); create table notes (id int primary key)"
    ) as running:
        yield running


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so."""
    end = monotonic() + HANG
    while not condition():
        assert monotonic() < end, "it did not come about"
        await pause(0.01)


def make(instance: OwnInstance) -> AeroDBClient:
    realtime = RealtimeOptions(
        heartbeat=HEARTBEAT, reconnect_delay=0.05, max_reconnect_delay=0.2
    )  # fmt: skip
    options = ClientOptions(trust_env=False, connect_timeout=1, realtime=realtime)
    return AeroDBClient(instance.url, instance.service_key, options=options)


async def test_a_server_that_is_stopped_is_noticed_and_nothing_is_lost(
    instance: OwnInstance,
) -> None:
    """Its sockets stay open and say nothing: only the heartbeat tells."""
    owner = instance.owner
    statuses: list[Any] = []
    heard: list[Any] = []
    gaps: list[Any] = []
    async with make(instance) as client:
        client.realtime.on_status(lambda status, error: statuses.append(status))
        channel = client.channel("posts").on("INSERT", heard.append)
        await channel.on_gap(gaps.append).subscribe()
        for turn in (1, 2, 3):
            owner.execute("insert into posts values (%s)", [10 * turn])
            instance.stop()
            owner.execute("insert into posts values (%s)", [10 * turn + 1])
            await until(lambda: client.realtime.status == "reconnecting")
            owner.execute("insert into posts values (%s)", [10 * turn + 2])
            instance.go_on()
            owner.execute("insert into posts values (%s)", [10 * turn + 3])
            await until(lambda turn=turn: len(heard) == 4 * turn)
            assert client.realtime.status == "open"
            assert (await client.from_("posts").select("id").eq("id", 10 * turn).execute()).ok
        expected = [10 * turn + number for turn in (1, 2, 3) for number in range(4)]
        assert [one["new"]["id"] for one in heard] == expected
        assert gaps == []
        assert statuses.count("reconnecting") >= 3


async def test_a_short_stop_costs_no_connection(instance: OwnInstance) -> None:
    async with make(instance) as client:
        channel = client.channel("notes")
        await channel.subscribe()
        for number in range(1, 6):
            instance.stop()
            instance.owner.execute("insert into notes values (%s)", [number])
            instance.go_on()
            (event,) = (await channel.collect(1, timeout=HANG)).unwrap()
            assert event["new"]["id"] == number  # type: ignore[index]  # a change, as no gap has it


def listening(server: ScriptedRealtime) -> subprocess.Popen[str]:
    """A process that listens, with a client of this twin."""
    twin = Path(__file__).parent.name
    return subprocess.Popen(
        [sys.executable, ROOT / "tests/support/listening_child.py", twin, server.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.parametrize("meanwhile", ["nothing", "killed", "reset"])
async def test_a_client_that_is_stopped_for_longer_than_its_heartbeat(meanwhile: str) -> None:
    with ScriptedRealtime() as server, listening(server) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "ready\n"
            for _ in range(3):
                server.insert("posts", 2)
                child.send_signal(signal.SIGSTOP)
                server.insert("posts", 2)
                if meanwhile == "killed":
                    server.kill(1001)
                elif meanwhile == "reset":
                    server.reset()
                await pause(4 * HEARTBEAT)
                server.insert("posts", 2)
                child.send_signal(signal.SIGCONT)
                server.insert("posts", 2)
            server.insert("posts", 1, title="last")
            said, failures = child.communicate(timeout=HANG)
        finally:
            child.kill()
        found = [json.loads(line) for line in said.splitlines()]
        assert (found, failures, child.returncode) == (list(range(1, 26)), "", 0)
        assert server.most <= 2
