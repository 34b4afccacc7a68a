# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Stores that fail: nothing is raised, the session stays in memory, secrets stay secret."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb import FileSessionStore, MemorySessionStore, Session
from aerodb._core.options import ClientOptions
from aerodb._io.on_asyncio import Worker, monotonic, pause
from aerodb.aio import AeroDBClient
from tests.support.scripted import ScriptedServer
from tests.support.token_desk import USER, Gate, TokenDesk, reply

SOON = 20.0
EMAIL, PASSWORD = "ada@example.com", "correct horse"
FAILED = "SESSION_STORE_FAILED"


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def desk(scripted: ScriptedServer) -> TokenDesk:
    return TokenDesk(scripted)


def make(scripted: ScriptedServer, store: Any, **options: Any) -> AeroDBClient:
    given = ClientOptions(trust_env=False, session_store=store, **options)
    return AeroDBClient(f"http://127.0.0.1:{scripted.port}", "aero_pk_test", options=given)


async def notes(client: AeroDBClient) -> Any:
    return await client.from_("notes").select().execute()


async def until(condition: Callable[[], object]) -> None:
    limit = monotonic() + SOON
    while not condition():
        assert monotonic() < limit
        await pause(0.001)


def names(folder: Path) -> list[str]:
    return sorted(found.name for found in folder.iterdir())


class Broken(MemorySessionStore):
    """A store whose methods fail while their names are in `failing`; as a database may."""

    def __init__(self, *failing: str, error: Any = RuntimeError) -> None:
        super().__init__()
        self.failing = set(failing)
        self.error = error
        self.asked: list[str] = []

    def _ask(self, name: str, text: str = "") -> None:
        self.asked.append(name)
        if name in self.failing:
            raise self.error(f"the store's own: {text}")

    def load(self) -> Session | None:
        self._ask("load")
        return super().load()

    def save(self, session: Session) -> None:
        self._ask("save", f"insert into kept values ({session.dump()!r}, {session.refresh_token})")
        super().save(session)

    def clear(self) -> None:
        self._ask("clear")
        super().clear()

    def try_lock(self) -> Callable[[], None] | None:
        self._ask("lock")
        return self.release

    def release(self) -> None:
        self._ask("release")


@pytest.mark.parametrize("error", [RuntimeError, KeyError, OSError, ValueError, AttributeError])
async def test_a_store_that_cannot_be_read_is_an_error_and_nothing_is_sent(
    scripted: ScriptedServer, desk: TokenDesk, error: Any
) -> None:
    store = Broken("load", error=error)
    async with make(scripted, store) as client:
        for answer in (
            await notes(client),
            await client.auth.get_user(),
            await client.auth.ensure_session(),
            await client.auth.refresh_session(),
        ):
            assert answer.error is not None
            assert answer.error.code == FAILED
            assert "the store's own" in answer.error.message
        assert scripted.seen == []
        assert client.auth.get_session() is None
        assert (await client.auth.sign_in(EMAIL, PASSWORD)).ok
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access1"}]
    store.failing.clear()
    async with make(scripted, store) as later:
        assert (await notes(later)).unwrap() == [{"bearer": "Bearer access1"}]


async def test_a_store_that_comes_back_is_read_then(
    scripted: ScriptedServer, desk: TokenDesk
) -> None:
    store = Broken("load")
    MemorySessionStore.save(store, Session(*desk.open()))
    async with make(scripted, store) as client:
        assert (await notes(client)).error is not None
        store.failing.clear()
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access1"}]


@pytest.mark.parametrize("error", [RuntimeError, OSError])
async def test_a_store_that_cannot_be_written_is_a_warning(
    scripted: ScriptedServer, desk: TokenDesk, error: Any
) -> None:
    async with make(scripted, Broken("save", error=error)) as client:
        answer = await client.auth.sign_in(EMAIL, PASSWORD)
        assert answer.ok
        assert "cannot be written" in answer.meta.warnings[0]
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access1"}]
        for _ in range(3):  # renewed in memory, whatever the store says
            desk.expire()
            assert (await notes(client)).ok
        taken = await client.auth.set_session(*desk.open())
        assert taken.ok
        assert "cannot be written" in taken.meta.warnings[0]
        assert (await client.auth.update_user(metadata={})).ok
    assert (desk.refreshes, desk.reused) == (3, 0)


@pytest.mark.parametrize("name", ["load", "lock"])
async def test_a_session_is_kept_while_the_store_cannot_be_used_for_a_refresh(
    scripted: ScriptedServer, desk: TokenDesk, name: str
) -> None:
    store = Broken()
    async with make(scripted, store, timeout=0.5) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        desk.expire()
        store.failing.add(name)
        answer = await notes(client)
        assert answer.error is not None
        assert answer.error.code == FAILED
        assert client.auth.get_session() is not None
        assert desk.refreshes == 0  # another process may have spent the token
        store.failing.clear()
        assert (await client.auth.refresh_session()).ok
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access2"}]


async def test_a_lock_that_cannot_be_released_changes_nothing(
    scripted: ScriptedServer, desk: TokenDesk, caplog: pytest.LogCaptureFixture
) -> None:
    store = Broken("release")
    async with make(scripted, store) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        desk.expire()
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access2"}]
        assert (await client.auth.sign_out()).ok
    assert store.asked.count("release") >= 2
    assert "cannot be unlocked" in caplog.text
    assert "Traceback" not in caplog.text


async def test_signing_out_tells_when_the_store_still_has_the_session(
    scripted: ScriptedServer, desk: TokenDesk
) -> None:
    store = Broken("clear")
    async with make(scripted, store) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        answer = await client.auth.sign_out()
        assert answer.error is not None
        assert answer.error.code == FAILED
        assert "cannot be removed" in answer.error.message
        assert desk.logouts == 1
        assert client.auth.get_session() is None
        assert (await notes(client)).unwrap() == [{"bearer": None}]
        assert (await client.auth.sign_out()).error is not None
        store.failing.clear()
        assert (await client.auth.sign_out()).ok
        assert store.load() is None


async def test_signing_out_of_a_store_that_cannot_be_read_empties_it(
    scripted: ScriptedServer, desk: TokenDesk
) -> None:
    store = Broken("load")
    MemorySessionStore.save(store, Session(*desk.open()))
    async with make(scripted, store) as client:
        answer = await client.auth.sign_out()
        assert answer.ok
        assert "cannot be read" in answer.meta.warnings[0]  # so the server was not told
        assert desk.logouts == 0
        assert (await notes(client)).unwrap() == [{"bearer": None}]
    store.failing.clear()
    assert store.load() is None


async def test_signing_out_the_others_finds_the_session_in_the_store(
    scripted: ScriptedServer, desk: TokenDesk
) -> None:
    store = MemorySessionStore()
    store.save(Session(*desk.open()))
    async with make(scripted, store) as client:
        assert (await client.auth.sign_out("others")).ok
        assert scripted.seen[-1].target == "/auth/logout?scope=others"
        assert client.auth.get_session() is not None


@pytest.mark.parametrize("found", ["text", {"access_token": "a"}, 5, True, b"x"])
async def test_a_store_that_gives_something_else_than_a_session(
    scripted: ScriptedServer, desk: TokenDesk, found: Any
) -> None:
    class Odd(MemorySessionStore):
        def load(self) -> Any:
            return found

    async with make(scripted, Odd()) as client:
        answer = await notes(client)
        assert answer.error is not None
        assert answer.error.code == FAILED
        assert type(found).__name__ in answer.error.message
        assert scripted.seen == []


async def test_a_lock_that_is_no_lock(scripted: ScriptedServer, desk: TokenDesk) -> None:
    class Odd(MemorySessionStore):
        def try_lock(self) -> Any:
            return True

    async with make(scripted, Odd()) as client:
        assert (await client.auth.sign_in(EMAIL, PASSWORD)).ok
        answer = await client.auth.refresh_session()
        assert answer.error is not None
        assert answer.error.code == FAILED
        assert client.auth.get_session() is not None


async def test_what_a_store_raises_shows_no_token(
    scripted: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Databases like to show what could not be written."""
    caplog.set_level(logging.DEBUG)
    desk = TokenDesk(scripted, canary="Canary7x")
    shown: list[Any] = []
    store = Broken("save", "release")
    async with make(scripted, store) as client:
        shown.append(await client.auth.sign_in(EMAIL, PASSWORD))
        desk.expire()
        shown.append(await notes(client))
        store.failing.add("clear")
        shown.append(await client.auth.sign_out())
    texts = [f"{value!r} {value.meta.warnings} {value.error!r}" for value in shown]
    assert [text for text in texts if "Canary7x" in text.replace("Bearer accessCanary7x", "")] == []
    assert "insert into kept" in texts[0]
    assert "Canary7x" not in caplog.text


@pytest.mark.parametrize(
    ("error", "passes"),
    [(RuntimeError, True), (ConnectionError, True), (PermissionError, False), (KeyError, False)],
)
async def test_what_may_pass_says_so(
    scripted: ScriptedServer, desk: TokenDesk, error: Any, passes: bool
) -> None:
    async with make(scripted, Broken("load", error=error)) as client:
        answer = await notes(client)
        assert answer.error is not None
        assert answer.error.retryable is passes


async def test_what_is_learned_of_the_user_does_not_bring_back_spent_tokens(
    scripted: ScriptedServer, desk: TokenDesk
) -> None:
    """Another process has renewed the session; this one has not noticed, and need not yet."""
    store = Broken()
    one, other = (make(scripted, store) for _ in range(2))
    async with one, other:
        await one.auth.sign_in(EMAIL, PASSWORD)
        assert (await notes(other)).ok
        assert (await one.auth.refresh_session()).ok
        scripted.on("/auth/user", reply(200, {**USER, "metadata": {"name": "Ada"}}))
        assert (await other.auth.update_user(metadata={"name": "Ada"})).ok
        stored = store.load()
        assert stored is not None
        assert stored.user is not None
        assert (stored.refresh_token, stored.user.metadata) == ("refresh2", {"name": "Ada"})
        assert (await other.auth.refresh_session()).unwrap().access_token == "access2"
        assert (await one.auth.refresh_session()).unwrap().access_token == "access3"
    async with make(scripted, store) as third:
        assert (await notes(third)).unwrap() == [{"bearer": "Bearer access3"}]
    assert (desk.refreshes, desk.reused) == (2, 0)


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"{", b"null", b'"text"', b"[1]", b"\xff\xfe", b"\0" * 100, b"{}", b"x" * 300_000]
)
async def test_a_file_that_holds_no_session_is_no_reason_to_be_nobody(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "session"
    path.write_bytes(content)
    path.chmod(0o600)
    async with make(scripted, FileSessionStore(path)) as client:
        answer = await notes(client)
        assert answer.error is not None
        assert answer.error.code == FAILED
        assert "holds no session" in answer.error.message
        assert scripted.seen == []
        assert (await client.auth.sign_in(EMAIL, PASSWORD)).ok
        assert (await notes(client)).ok
    assert FileSessionStore(path).load() is not None


@pytest.mark.parametrize("content", [b"", b"  \n"])
async def test_an_empty_file_is_as_good_as_none(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "session"
    path.write_bytes(content)
    path.chmod(0o600)
    async with make(scripted, FileSessionStore(path)) as client:
        assert (await notes(client)).unwrap() == [{"bearer": None}]


async def test_a_file_that_was_damaged_is_mended_by_the_next_refresh(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    async with make(scripted, FileSessionStore(path)) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        path.write_bytes(b"{damaged")
        desk.expire()
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access2"}]
    stored = FileSessionStore(path).load()
    assert stored is not None
    assert stored.access_token == "access2"


@pytest.mark.skipif(os.name != "posix", reason="links are a matter of POSIX")
async def test_a_link_is_neither_followed_nor_written_through(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    elsewhere, path = tmp_path / "elsewhere", tmp_path / "session"
    elsewhere.write_text("precious")
    elsewhere.chmod(0o600)
    path.symlink_to(elsewhere)
    async with make(scripted, FileSessionStore(path)) as client:
        answer = await notes(client)
        assert answer.error is not None
        assert answer.error.code == FAILED
        assert (await client.auth.sign_in(EMAIL, PASSWORD)).ok
        desk.expire()
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access2"}]
        assert not path.is_symlink()  # replaced by the file
        assert (await client.auth.sign_out()).ok
    assert elsewhere.read_text() == "precious"
    assert not path.exists()


@pytest.mark.skipif(os.name != "posix", reason="links are a matter of POSIX")
async def test_a_lock_that_is_a_link_is_refused(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    elsewhere, path = tmp_path / "elsewhere", tmp_path / "session"
    elsewhere.write_text("precious")
    (tmp_path / "session.lock").symlink_to(elsewhere)
    async with make(scripted, FileSessionStore(path)) as client:
        assert (await client.auth.sign_in(EMAIL, PASSWORD)).ok
        desk.expire()
        answer = await notes(client.with_options(timeout=0.5))
        assert answer.error is not None
        assert answer.error.code == FAILED
        assert client.auth.get_session() is not None
    assert elsewhere.read_text() == "precious"


async def test_a_folder_in_the_place_of_the_file(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    path.mkdir()
    async with make(scripted, FileSessionStore(path)) as client:
        answer = await notes(client)
        assert answer.error is not None
        assert answer.error.code == FAILED
        signed_in = await client.auth.sign_in(EMAIL, PASSWORD)
        assert signed_in.ok
        assert "cannot be written" in signed_in.meta.warnings[0]
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access1"}]
        left = await client.auth.sign_out()
        assert left.error is not None
        assert left.error.code == FAILED
        assert client.auth.get_session() is None
    assert [name for name in names(tmp_path) if name.startswith(".")] == []


@pytest.mark.skipif(os.name != "posix", reason="limits are a matter of POSIX")
async def test_a_full_disk_keeps_the_session_in_memory_and_the_file_as_it_was(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What fails is the writing itself, as on a disk without room."""
    path = tmp_path / "session"
    async with make(scripted, FileSessionStore(path)) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        before = path.read_bytes()
        monkeypatch.setattr(os, "fsync", _no_room)
        desk.expire()
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access2"}]
        desk.expire()
        # what is in the file was spent: it must not be taken for newer than memory
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access3"}]
        assert path.read_bytes() == before
        monkeypatch.undo()
        desk.expire()
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access4"}]
    stored = FileSessionStore(path).load()
    assert stored is not None
    assert stored.access_token == "access4"
    assert names(tmp_path) == ["session", "session.lock"]
    assert (desk.refreshes, desk.reused) == (3, 0)


def _no_room(opened: int) -> None:
    raise OSError(28, "No space left on device")


# --- two clients, or processes, on one store -----------------------------------------------------


async def test_a_store_that_was_emptied_during_a_refresh_stays_empty(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    """Who signs out in another process waits for the lock, but not for ever."""
    store = FileSessionStore(tmp_path / "session")
    async with make(scripted, store) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        desk.expire()
        gate = desk.gate = Gate(0.0)
        answers: list[Any] = []

        async def ask() -> None:
            answers.append(await notes(client))

        worker = Worker(ask, "asks")
        await until(gate.reached.is_set)
        store.clear()
        gate.opened.set()
        assert await worker.join(SOON)
        assert answers[0].error.code == "SESSION_EXPIRED"
        assert store.load() is None
        assert client.auth.get_session() is None
        assert desk.logouts == 1  # what was given out meanwhile is no good either


async def test_who_signed_in_elsewhere_during_a_refresh_is_not_overwritten(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    store = FileSessionStore(tmp_path / "session")
    async with make(scripted, store) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        desk.expire()
        gate = desk.gate = Gate(0.0)
        answers: list[Any] = []

        async def ask() -> None:
            answers.append(await notes(client))

        worker = Worker(ask, "asks")
        await until(gate.reached.is_set)
        bob = {"access_token": "access-of-bob", "refresh_token": "refresh-of-bob",
               "user": {**USER, "id": "7b0e8f0e-0000-4000-8000-000000000002"}}  # fmt: skip
        store.save(_session(bob))
        gate.opened.set()
        assert await worker.join(SOON)
        assert answers[0].error.code == "NOT_AUTHENTICATED"
        kept = store.load()
        assert kept is not None
        assert kept.access_token == "access-of-bob"
        held = client.auth.get_session()
        assert held is not None
        assert held.access_token == "access-of-bob"


def _session(body: dict[str, Any]) -> Session:
    from aerodb._core.identity import read_session

    session = read_session(body)
    assert session is not None
    return session


async def test_a_client_does_not_wait_for_its_own_lock(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    """Its refresh hangs: it can sign out, and in again, all the same."""
    store = FileSessionStore(tmp_path / "session")
    async with make(scripted, store) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        gate = desk.gate = Gate(0.5)

        async def ask() -> None:
            await client.auth.refresh_session()

        worker = Worker(ask, "asks")
        await until(gate.reached.is_set)
        began = monotonic()
        assert (await client.auth.sign_out()).ok
        assert (await client.auth.sign_in(EMAIL, PASSWORD)).ok
        assert monotonic() - began < 5.0  # what it waits for others
        held = store.load()
        gate.opened.set()
        assert await worker.join(SOON)
        assert held is not None
        assert store.load() == held == client.auth.get_session()
