"""Handlers of the async client are called at once, and become tasks where they wait."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from aerodb.aio import AeroDBClient
from tests.support.scripted_realtime import ScriptedRealtime

from .test_realtime_loops import make, server, until

__all__ = ["server"]  # a fixture
Listen = Callable[[AeroDBClient, Any], Any]


async def listening(client: AeroDBClient, *handlers: Callable[[Any], Any]) -> Any:
    channel = client.channel("posts")
    for handler in handlers:
        channel.on("INSERT", handler)
    (await channel.subscribe()).unwrap()
    return channel


async def test_a_plain_handler_has_no_hold_on_the_connection(server: ScriptedRealtime) -> None:
    """It is called like a callback of the loop: what it does to "this task" is nobody's."""
    found: list[Any] = []

    def meddling(event: Any) -> None:
        task = asyncio.current_task()
        found.append(task)
        if task is not None:
            task.cancel()
        raise asyncio.CancelledError

    async with make(server) as client:
        errors: list[Any] = []
        client.realtime.on_error(errors.append)
        heard: list[int] = []
        await listening(client, meddling, lambda event: heard.append(event.new["id"]))
        server.insert("posts", 3)
        await until(lambda: len(heard) == 3)
        server.insert("posts", 3)
        await until(lambda: len(heard) == len(errors) == 6)
        assert found == [None] * 6
        assert len(server.opened) == 1


async def test_an_async_handler_is_a_task(server: ScriptedRealtime) -> None:
    """So that time limits and task groups work in it, whichever handlers went before."""
    order: list[Any] = []

    async def limited(event: Any) -> None:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        order.append(("async", event.new["id"]))

    async with make(server) as client:
        await listening(
            client,
            lambda event: order.append(("plain", event.new["id"])),
            limited,
            lambda event: limited(event),
        )
        server.insert("posts", 20)
        await until(lambda: len(order) == 60)
    assert order == [(how, n) for n in range(1, 21) for how in ("plain", "async", "async")]


async def test_what_handlers_set_in_their_context_is_their_own(server: ScriptedRealtime) -> None:
    mark: ContextVar[int] = ContextVar("mark", default=0)
    found: list[int] = []

    def marking(event: Any) -> None:
        found.append(mark.get())
        mark.set(event.new["id"])

    async with make(server) as client:
        await listening(client, marking)
        for number in range(1, 6):
            server.insert("posts")
            await until(lambda number=number: len(found) == number)
    assert found == [0] * 5
    assert mark.get() == 0


async def test_async_listeners_are_tasks(server: ScriptedRealtime) -> None:
    told: list[Any] = []

    async def limited(*given: Any) -> None:
        async with asyncio.timeout(20):
            await asyncio.sleep(0)
        told.append(given)

    def failing(event: Any) -> None:
        raise ValueError

    async with make(server) as client:
        client.realtime.on_error(limited)
        client.realtime.on_status(limited)
        channel = client.channel("posts").on("INSERT", failing)
        await channel.subscribe(limited)
        server.insert("posts", 2)
        await until(lambda: len([one for one in told if len(one) == 1]) == 2)
        await until(lambda: len(told) > 3)


async def test_a_flood_lets_others_have_their_turn(server: ScriptedRealtime) -> None:
    heard: list[Any] = []
    turns = 0

    async with make(server, max_queue=100_000) as client:
        await listening(client, heard.append)
        server.insert("posts", 5000)
        while len(heard) < 5000:
            await asyncio.sleep(0)
            turns += 1
    assert turns > 20


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_with_eager_tasks(server: ScriptedRealtime) -> None:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined, unused-ignore]
    await test_an_async_handler_is_a_task(server)
    await test_async_listeners_are_tasks(server)
