"""Handlers and callers that are cancelled: what they leave behind."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb import FileSessionStore, Session
from aerodb._core.options import ClientOptions
from aerodb.aio import AeroDBClient
from tests.support.scripted import ScriptedServer
from tests.support.token_desk import TokenDesk

SOON = 20.0
EMAIL, PASSWORD = "ada@example.com", "correct horse"


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def desk(scripted: ScriptedServer) -> TokenDesk:
    return TokenDesk(scripted)


def make(scripted: ScriptedServer, store: Any = None) -> AeroDBClient:
    given = ClientOptions(trust_env=False, session_store=store)
    return AeroDBClient(f"http://127.0.0.1:{scripted.port}", "aero_pk_test", options=given)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_a_handler_that_waits_for_what_was_cancelled_hurts_nobody_else(
    scripted: ScriptedServer, desk: TokenDesk, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    async with make(scripted) as client:

        async def handler(event: str, session: Session | None) -> None:
            task = asyncio.create_task(asyncio.sleep(SOON))
            task.cancel()
            await task

        client.auth.on_auth_state_change(handler, fire_initial=False)
        client.auth.on_auth_state_change(lambda *c: heard.append(c[0]), fire_initial=False)
        async with asyncio.timeout(SOON):
            assert (await client.auth.sign_in(EMAIL, PASSWORD)).ok
            assert (await client.auth.refresh_session()).ok
            await client.auth.sign_out()
            await until(lambda: len(heard) == 3)
    assert heard == ["SIGNED_IN", "TOKEN_REFRESHED", "SIGNED_OUT"]
    assert "a listener to auth changes failed" in caplog.text


async def test_a_caller_that_is_cancelled_while_a_handler_runs_is_cancelled(
    scripted: ScriptedServer, desk: TokenDesk
) -> None:
    async with make(scripted) as client:
        begun = asyncio.Event()

        async def handler(event: str, session: Session | None) -> None:
            begun.set()
            await asyncio.sleep(SOON)

        client.auth.on_auth_state_change(handler, fire_initial=False)
        task = asyncio.create_task(client.auth.sign_in(EMAIL, PASSWORD))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client.auth.get_session() is not None
        assert (await client.from_("notes").select()).ok


async def test_signing_out_goes_through_although_its_caller_is_cancelled(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    """Another process holds the lock just then: the file is emptied when it lets go."""
    path = tmp_path / "session"
    store = FileSessionStore(path)
    async with make(scripted, store) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        release = FileSessionStore(path).try_lock()
        assert release is not None
        task = asyncio.create_task(client.auth.sign_out())
        await until(lambda: client.auth.get_session() is None)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        release()
        async with asyncio.timeout(SOON):
            await until(lambda: not path.exists())
    async with make(scripted, store) as again:
        assert (await again.from_("notes").select()).unwrap() == [{"bearer": None}]


class Halting(FileSessionStore):
    """A store on a slow disk: the method called `name` goes on when `go` is set."""

    __slots__ = ("begun", "go", "name")

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(path)
        self.name = name
        self.begun, self.go = threading.Event(), threading.Event()

    def _halt(self, name: str) -> None:
        if name == self.name:
            self.begun.set()
            assert self.go.wait(SOON)

    def try_lock(self) -> Callable[[], None] | None:
        self._halt("try_lock")
        return super().try_lock()

    def save(self, session: Session) -> None:
        self._halt("save")
        super().save(session)


def is_free(path: Path) -> bool:
    """Whether another process could lock the store."""
    gc.collect()
    release = FileSessionStore(path).try_lock()
    if release is not None:
        release()
    return release is not None


async def cancelled_in(store: Halting, client: AeroDBClient) -> None:
    """Have `sign_in` cancelled while the store is at it, on a thread."""
    task = asyncio.create_task(client.auth.sign_in(EMAIL, PASSWORD))
    async with asyncio.timeout(SOON):
        await until(store.begun.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_who_is_cancelled_while_it_locks_the_store_leaves_no_lock(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    store = Halting(path, "try_lock")
    async with make(scripted, store) as client:
        await cancelled_in(store, client)
        store.go.set()
        async with asyncio.timeout(SOON):
            await until(lambda: path.exists() and is_free(path))


async def test_nothing_is_kept_after_it_was_removed_although_who_kept_it_was_cancelled(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    store = Halting(path, "save")
    async with make(scripted, store) as client:
        await cancelled_in(store, client)
        leaving = asyncio.create_task(client.auth.sign_out())
        await until(lambda: client.auth.get_session() is None)
        await asyncio.sleep(0.05)
        store.go.set()
        async with asyncio.timeout(SOON):
            await leaving
            await until(lambda: not list(tmp_path.glob(".session.*")))
        await asyncio.sleep(0.05)
        assert not path.exists()


async def test_a_lock_that_nobody_was_given_is_free_again(tmp_path: Path) -> None:
    """As with the end of a loop, which cancels everybody."""
    store = Halting(tmp_path / "session", "try_lock")
    task = asyncio.create_task(asyncio.to_thread(store.try_lock))
    async with asyncio.timeout(SOON):
        await until(store.begun.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        store.go.set()
        await until(lambda: (tmp_path / "session.lock").exists() and is_free(store.path))
