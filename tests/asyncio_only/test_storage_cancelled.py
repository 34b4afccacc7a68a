"""A cancelled transfer leaves no file behind, nor one open, whenever (reliability S3, X1)."""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb import AsyncAeroDBClient
from aerodb._io import files
from tests.support.scripted import ScriptedServer, answer

OBJECT = "/storage/v1/object/b/f.bin"


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.on(OBJECT, answer(200, bytes(2_000_000), [("ETag", '"v"')]))
        yield server


@pytest.mark.parametrize("step", ["_look", "_make", "write", "commit"])
async def test_nothing_is_left(
    scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    begun, done = threading.Event(), threading.Event()
    real: Any = getattr(files.PartFile, step)

    def slow(part: files.PartFile, *arguments: Any) -> None:
        begun.set()
        begun.wait()
        threading.Event().wait(0.2)  # the thread goes on after its task has been cancelled
        try:
            real(part, *arguments)
        finally:
            done.set()

    monkeypatch.setattr(files.PartFile, step, slow)
    async with AsyncAeroDBClient(f"http://127.0.0.1:{scripted.port}", "key") as client:
        bucket = client.storage.from_("b")
        task = asyncio.create_task(bucket.download_to("f.bin", tmp_path / "f"))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await asyncio.to_thread(done.wait, 10)
    await asyncio.sleep(0.1)
    assert [name for name in os.listdir(tmp_path) if name.endswith(".part")] == []


class Held:
    """A path that is still being looked up."""

    def __init__(self, path: Path) -> None:
        self.asked, self.told = threading.Event(), threading.Event()
        self._path = path

    def __fspath__(self) -> str:
        self.asked.set()
        self.told.wait(10)
        return str(self._path)


@pytest.mark.parametrize("when", ["opening", "opened"])
async def test_no_file_stays_open(scripted: ScriptedServer, tmp_path: Path, when: str) -> None:
    (tmp_path / "f").write_bytes(b"x")
    held = Held(tmp_path / "f")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        async with AsyncAeroDBClient(f"http://127.0.0.1:{scripted.port}", "key") as client:
            task = asyncio.create_task(client.storage.from_("b").upload("f.bin", held))
            await asyncio.to_thread(held.asked.wait)
            if when == "opening":
                task.cancel()
                await asyncio.wait((task,))
            held.told.set()
            threading.Event().wait(0.2)  # the loop does not get to see that it is open
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.get_running_loop().shutdown_default_executor()
    assert [found.category for found in seen] == []
    assert scripted.seen == []
