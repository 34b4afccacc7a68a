"""Realtime of the async client: loops that come and go, and cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from aerodb import ClientOptions, RealtimeOptions
from aerodb.aio import AeroDBClient
from tests.support.scripted_realtime import ScriptedRealtime


@pytest.fixture
def server() -> Iterator[ScriptedRealtime]:
    with ScriptedRealtime() as running:
        yield running


def make(server: ScriptedRealtime, **settings: Any) -> AeroDBClient:
    realtime = RealtimeOptions(reconnect_delay=0.02, max_reconnect_delay=0.1, **settings)
    options = ClientOptions(trust_env=False, realtime=realtime)
    return AeroDBClient(server.url, "aero_pk_test", options=options)


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # what is waited for is on other threads
            await asyncio.sleep(0.01)


def test_a_client_survives_loops_that_come_and_go(server: ScriptedRealtime) -> None:
    client = make(server)
    heard: list[Any] = []
    channel = client.channel("posts").on("*", heard.append)

    async def life(number: int) -> None:
        assert (await channel.subscribe()).ok
        server.insert("posts")
        await until(lambda: len(heard) == number)

    for number in range(1, 6):
        asyncio.run(life(number))
        assert [one.sequence for one in heard] == list(range(1, number + 1))
    asyncio.run(client.close())


def test_what_came_between_two_loops_is_not_lost(server: ScriptedRealtime) -> None:
    client = make(server)
    heard: list[Any] = []
    channel = client.channel("posts").on("*", heard.append)
    asyncio.run(_subscribe(channel))
    server.insert("posts", 3)

    async def again() -> None:
        await channel.subscribe()
        await until(lambda: len(heard) == 3)
        await client.close()

    asyncio.run(again())
    assert [one.sequence for one in heard] == [1, 2, 3]


async def _subscribe(channel: Any) -> None:
    assert (await channel.subscribe()).ok


async def test_cancelled_callers_take_nobody_along(server: ScriptedRealtime) -> None:
    async with make(server) as client:
        channel = client.channel("posts")
        server.answers["subscribe"] = lambda connection, frame: None
        tasks = [asyncio.create_task(channel.subscribe()) for _ in range(10)]
        await until(lambda: server.seen)
        for task in tasks[:5]:
            task.cancel()
        await asyncio.gather(*tasks[:5], return_exceptions=True)
        server.say({"type": "subscribed", "channel": "posts"})
        assert all([(await task).ok for task in tasks[5:]])
        sends = [asyncio.create_task(channel.send("n", number)) for number in range(200)]
        for task in sends[::3]:
            task.cancel()
        done = await asyncio.gather(*sends, return_exceptions=True)
        assert all(one.ok for one in done if not isinstance(one, BaseException))
        assert (await channel.send("last", ack=True)).ok


async def test_a_slow_handler_holds_up_its_own_channel_only(server: ScriptedRealtime) -> None:
    async with make(server) as client:
        gate = asyncio.Event()
        heard: list[Any] = []

        async def slow(event: Any) -> None:
            await gate.wait()

        await client.channel("slow").on("*", slow).subscribe()
        await client.channel("quick").on("*", heard.append).subscribe()
        server.insert("slow", 10)
        server.insert("quick", 10)
        await until(lambda: len(heard) == 10)
        gate.set()


async def test_handlers_are_cancelled_with_the_client(server: ScriptedRealtime) -> None:
    ended: list[str] = []

    async def endless(event: Any) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    client = make(server)
    await client.channel("posts").on("*", endless).subscribe()
    server.insert("posts")
    await asyncio.sleep(0.1)
    async with asyncio.timeout(10):
        await client.close()
    await until(lambda: ended)
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not {name for name in names if name.startswith("aerodb")}


async def test_a_handler_that_awaits_what_was_cancelled_harms_no_other(
    server: ScriptedRealtime,
) -> None:
    async with make(server) as client:
        errors: list[Any] = []
        heard: list[int] = []
        client.realtime.on_error(errors.append)

        async def awaits_one_that_was_cancelled(event: Any) -> None:
            task = asyncio.create_task(asyncio.sleep(60))
            task.cancel()
            await task

        channel = client.channel("posts").on("INSERT", awaits_one_that_was_cancelled)
        channel.on("INSERT", lambda event: heard.append(event.new["id"]))
        await channel.subscribe()
        server.insert("posts", 5)
        await until(lambda: len(heard) == len(errors) == 5)
        assert heard == [1, 2, 3, 4, 5]
        assert errors[0].code == "HANDLER_FAILED"


async def test_cancelling_who_collects_loses_nothing(server: ScriptedRealtime) -> None:
    async with make(server) as client:
        channel = client.channel("posts")
        await channel.subscribe()
        server.insert("posts", 3)
        stream = channel._own_stream()
        await until(lambda: len(stream.inbox) == 3)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(channel.collect(5, timeout=60), 0.2)
        server.insert("posts", 2)
        events = (await channel.collect(5)).unwrap()
        assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
