"""How workers are lent out, and that none is lost: neither idle, nor busy, nor half started."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aerodb.local.functions import frames
from aerodb.local.functions.pool import PoolLimits, WorkerPool
from aerodb.local.functions.process import LoadFailed
from aerodb.local.functions.registry import Function, Registry

from .conftest import is_alive


@pytest.fixture
def function(tmp_path: Path) -> Function:
    (tmp_path / "f.py").write_text("def handler(request): return 1\n", encoding="utf-8")
    found = Registry(tmp_path).find("f")
    assert found is not None
    return found


def pool_of(function: Function, workers: int = 4, idle_seconds: float = 300) -> WorkerPool:
    environment = {"PATH": os.environ["PATH"]}
    return WorkerPool(function.path.parent, environment, PoolLimits(workers, idle_seconds))


async def until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:  # noqa: ASYNC110 - the kernel's news
        await asyncio.sleep(0.02)
    return condition()


async def test_an_idle_worker_is_used_again_then_ended(function: Function) -> None:
    pool = pool_of(function, idle_seconds=0.5)
    first = await pool.acquire(function)
    pool.release(first, reusable=True)
    second = await pool.acquire(function)
    assert second is first
    await asyncio.sleep(0.7)  # a lent one is not idle
    assert second.is_usable
    pool.release(second, reusable=True)
    assert await until(lambda: not pool.processes)
    assert not is_alive(first.group)
    await pool.stop()


async def test_one_that_has_died_while_idle_is_not_lent(function: Function) -> None:
    pool = pool_of(function)
    first = await pool.acquire(function)
    pool.release(first, reusable=True)
    os.kill(first.group, 9)
    assert await until(lambda: not is_alive(first.group))
    assert await until(lambda: not first.is_usable)  # the loop hears of it after the system
    second = await pool.acquire(function)
    assert second is not first
    pool.release(second, reusable=False)
    await pool.stop()
    assert pool.processes == []


async def test_who_is_cancelled_while_waiting_takes_no_place(function: Function) -> None:
    pool = pool_of(function, workers=1)
    held = await pool.acquire(function)
    waiting = [asyncio.create_task(pool.acquire(function)) for _ in range(3)]
    await asyncio.sleep(0.05)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    pool.release(held, reusable=True)
    assert await pool.acquire(function) is held
    await pool.stop()
    assert not is_alive(held.group)


@pytest.mark.parametrize("turns", range(0, 40, 4))
async def test_a_start_that_is_cancelled_leaves_no_process(function: Function, turns: int) -> None:
    pool = pool_of(function, workers=1)
    task = asyncio.create_task(pool.acquire(function))
    for _ in range(turns):
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.wait((task,))
    if task.cancelled():
        assert await until(lambda: not pool.processes)
        pool.release(await pool.acquire(function), reusable=False)
    await pool.stop()
    assert pool.processes == []


async def test_one_that_cannot_be_loaded_gives_its_place_back(function: Function) -> None:
    pool = pool_of(function, workers=1)
    function.path.write_text("raise ValueError\n", encoding="utf-8")
    for _ in range(3):
        with pytest.raises(LoadFailed):
            await pool.acquire(function)
    function.path.write_text("def handler(request): return 2\n", encoding="utf-8")
    pool.release(await pool.acquire(function), reusable=True)
    await pool.stop()
    assert pool.processes == []


@given(st.binary(max_size=1000))
def test_frames(payload: bytes) -> None:
    frame = frames.packed(frames.DATA, payload)
    kind, length = frames.read_head(frame[: frames.HEAD.size])
    assert (kind, frame[frames.HEAD.size :], length) == (frames.DATA, payload, len(payload))
    assert b"".join(frames.pieces(payload)) == payload


def test_no_length_beyond_the_limit_is_believed() -> None:
    with pytest.raises(frames.BadFrame):
        frames.read_head(frames.HEAD.pack(frames.DATA, frames.MAXIMUM + 1))
    large = bytes(frames.PIECE * 2 + 1)
    assert [len(piece) for piece in frames.pieces(large)] == [frames.PIECE, frames.PIECE, 1]
