"""What only the async twin can upload, and that it leaves its loop alone meanwhile."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from starlette.datastructures import UploadFile

from aerodb import AsyncAeroDBClient
from tests.support.forms import uploaded
from tests.support.scripted import ScriptedServer, answer

OBJECT = "/storage/v1/object/b/f.bin"
STORED = answer(201, b'{"path":"f.bin"}', [("Content-Type", "application/json")])


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.on(OBJECT, STORED)
        yield server


async def test_an_async_iterator(scripted: ScriptedServer) -> None:
    data = os.urandom(700_000)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 100_000):
            await asyncio.sleep(0)
            yield data[start : start + 100_000]

    async with AsyncAeroDBClient(f"http://127.0.0.1:{scripted.port}", "key") as client:
        (await client.storage.from_("b").upload("f.bin", pieces())).unwrap()
    assert uploaded(scripted.seen[0]).content == data


async def test_an_async_file(scripted: ScriptedServer) -> None:
    """As web frameworks hand them on."""
    data = os.urandom(700_000)
    scripted.on("/functions/v1/f", answer(200, b"{}", [("Content-Type", "application/json")]))
    async with AsyncAeroDBClient(f"http://127.0.0.1:{scripted.port}") as client:
        given: Any = UploadFile(io.BytesIO(data))
        (await client.storage.from_("b").upload("f.bin", given)).unwrap()
        assert uploaded(scripted.seen[-1]).content == data
        await given.seek(0)
        (await client.functions.invoke("f", given)).unwrap()
        assert scripted.seen[-1].body == data


async def test_an_awaited_progress_function(scripted: ScriptedServer) -> None:
    seen: list[int] = []

    async def progress(now: object) -> None:
        await asyncio.sleep(0)
        seen.append(getattr(now, "transferred", -1))

    async with AsyncAeroDBClient(f"http://127.0.0.1:{scripted.port}", "key") as client:
        (await client.storage.from_("b").upload("f.bin", b"12345", progress=progress)).unwrap()
    assert seen == [0, 5]


async def test_a_slow_iterator_does_not_hold_up_the_loop(scripted: ScriptedServer) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(4):
            time.sleep(0.1)
            yield bytes(300_000)

    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    async with AsyncAeroDBClient(f"http://127.0.0.1:{scripted.port}", "key") as client:
        turning = asyncio.create_task(turn())
        (await client.storage.from_("b").upload("f.bin", pieces())).unwrap()
        turning.cancel()
    assert turns > 4  # once for each piece would mean that every read stopped it


async def test_cancelling_ends_all_of_many(scripted: ScriptedServer) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield bytes(300_000)
        await asyncio.Event().wait()

    async with AsyncAeroDBClient(f"http://127.0.0.1:{scripted.port}", "key") as client:
        many = client.storage.from_("b").upload_many([("f.bin", never()), ("g.bin", never())])
        before = asyncio.all_tasks()
        task = asyncio.create_task(many)
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == before
