"""Event loops that are not like asyncio's own: uvloop, and those that begin tasks at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from aerodb import ClientOptions, RealtimeOptions
from aerodb.aio import AeroDBClient
from tests.support.scripted import ScriptedServer, answer
from tests.support.scripted_realtime import ScriptedRealtime

uvloop = pytest.importorskip("uvloop", reason="there is none for Windows")
Make = Callable[[], asyncio.AbstractEventLoop]


def eager() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
    return loop


LOOPS = [
    pytest.param(uvloop.new_event_loop, id="uvloop"),
    pytest.param(
        eager,
        id="eager",
        marks=pytest.mark.skipif(sys.version_info < (3, 12), reason="3.12 begins tasks at once"),
    ),
]


def run(make: Make, main: Callable[[], Any]) -> None:
    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(main())


@pytest.mark.parametrize("make", LOOPS)
def test_queries(make: Make) -> None:
    async def main() -> None:
        options = ClientOptions(trust_env=False)
        async with AeroDBClient(
            f"http://127.0.0.1:{server.port}", "key", options=options
        ) as client:
            for _ in range(3):
                response = await client.from_("posts").select("*").execute()
                assert response.unwrap() == [{"id": 1}]

    with ScriptedServer() as server:
        said = answer(200, b'[{"id": 1}]', [("Content-Type", "application/json")])
        server.on("/rest/v1/posts", said, said, said)
        run(make, main)


@pytest.mark.parametrize("make", LOOPS)
def test_realtime(make: Make) -> None:
    heard: list[Any] = []

    async def main() -> None:
        realtime = RealtimeOptions(reconnect_delay=0.02, max_reconnect_delay=0.1)
        options = ClientOptions(trust_env=False, realtime=realtime)
        async with AeroDBClient(server.url, "key", options=options) as client:
            channel = client.channel("posts").on("*", heard.append)
            assert (await channel.subscribe()).ok
            assert (await channel.send("hello", ack=True)).ok
            for number in range(1, 4):
                await asyncio.to_thread(server.insert, "posts")
                await until(lambda wanted=number: len(heard) == wanted)
                await asyncio.to_thread(server.kill, 1012)

    with ScriptedRealtime() as server:
        run(make, main)
    assert [one.sequence for one in heard] == [1, 2, 3]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # what is waited for is on other threads
            await asyncio.sleep(0.01)
