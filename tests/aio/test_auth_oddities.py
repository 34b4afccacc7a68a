# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Odd tokens, odd answers, clocks that jump, handlers that call back, servers that are gone."""

from __future__ import annotations

import base64
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb import FileSessionStore, MemorySessionStore, Session
from aerodb._core.options import ClientOptions
from aerodb._io.on_asyncio import Worker, monotonic, pause
from aerodb.aio import AeroDBClient, _kept, _session, auth
from tests.support.scripted import ScriptedServer
from tests.support.token_desk import USER, Gate, TokenDesk, reply

SOON = 20.0
EMAIL, PASSWORD = "ada@example.com", "correct horse"


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def desk(scripted: ScriptedServer) -> TokenDesk:
    return TokenDesk(scripted)


def make(scripted: ScriptedServer, store: Any = None, **options: Any) -> AeroDBClient:
    given = ClientOptions(trust_env=False, session_store=store, **options)
    return AeroDBClient(f"http://127.0.0.1:{scripted.port}", "aero_pk_test", options=given)


async def notes(client: AeroDBClient) -> Any:
    return await client.from_("notes").select().execute()


async def until(condition: Callable[[], object]) -> None:
    limit = monotonic() + SOON
    while not condition():
        assert monotonic() < limit
        await pause(0.001)


# --- tokens --------------------------------------------------------------------------------------


def token(payload: Any) -> str:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return f"eyJhbGciOiJIUzI1NiJ9.{base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}.c2ln"


TIMES = [
    *(1e10, 10**10 + 0.5, 10**30, -1, -(10**30), 0, 1e308, "soon", "99999999999", [], {}, True),
    *(None, float("nan"), float("inf"), 10**400),
]
PAYLOADS = [
    *({"exp": exp} for exp in TIMES),
    *({"iat": iat, "exp": 10**10} for iat in TIMES),
    *({"sub": sub, "exp": 10**10} for sub in (None, 5, [], {"a": 1})),
    *(b"", b"null", b"[]", b"5", b"\xff", b"[" * 5000, b"{}x"),
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
async def test_what_a_token_says_of_itself_harms_nobody(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path, payload: Any
) -> None:
    store = FileSessionStore(tmp_path / "session")
    async with make(scripted, store) as client:
        assert (await client.auth.set_session(token(payload), desk.open()[1])).ok
        assert (await notes(client)).ok
        assert desk.refreshes <= 1
        assert (await client.auth.ensure_session()).ok
    async with make(scripted, store) as again:
        assert (await notes(again)).ok
        assert desk.refreshes <= 1
        assert (await again.auth.set_session(token(payload))).ok
        assert (await notes(again)).unwrap() == [{"bearer": f"Bearer {token(payload)}"}]
    assert desk.reused == 0


# --- answers to a refresh ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        *(None, {}, [], "text", {"user": USER}, {"refresh_token": "r"}, {"access_token": None}),
        *({"access_token": ""}, {"access_token": 5}, {"access_token": "a\r\nX-Evil: 1"}),
        *({"access_token": "a b"}, {"access_token": "a", "refresh_token": 5}),
        *({"access_token": "a", "refresh_token": "r\0"}, {"session": None}, {"data": {"x": 1}}),
        {"access_token": "x" * 20_000},
    ],
)
async def test_an_answer_without_tokens_ends_no_session(
    scripted: ScriptedServer, desk: TokenDesk, body: Any
) -> None:
    heard: list[str] = []
    async with make(scripted) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        held = client.auth.get_session()
        client.auth.on_auth_state_change(lambda *c: heard.append(c[0]), fire_initial=False)
        desk.failing = [reply(200, body)]
        answer = await client.auth.refresh_session()
        assert answer.error is not None
        assert answer.error.code == "INVALID_RESPONSE"
        assert client.auth.get_session() is held
        assert heard == ["REFRESH_FAILED"]
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access1"}]


@pytest.mark.parametrize(
    "more",
    [
        *({}, {"refresh_token": None}, {"refresh_token": ""}, {"expires_in": "900"}),
        *({"expires_in": 1e308}, {"expires_in": 10**400}, {"expires_in": True}, {"user": 5}),
        *({"expires_at": "x"}, {"expires_at": -1}, {"user": {"id": 5}}, {"expires_in": None}),
        *({"expires_in": -5}, {"expires_in": 0}, {"token_type": 5}),
    ],
)
async def test_an_answer_with_odd_fields_is_good_enough(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path, more: dict[str, Any]
) -> None:
    store = FileSessionStore(tmp_path / "session")
    async with make(scripted, store) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        desk.failing = [reply(200, {"access_token": "fresh", **more})]
        session = (await client.auth.refresh_session()).unwrap()
        assert (session.access_token, session.refresh_token) == ("fresh", "refresh1")
        assert session.user is not None
        assert session.user.email == EMAIL
        if more.get("expires_in") not in (0, -5):
            assert (await notes(client)).unwrap() == [{"bearer": "Bearer fresh"}]
    async with make(scripted, store) as again:
        assert (await notes(again)).ok


# --- clocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("jump", [600, -600, 86_400, -86_400, 1e9, -1e9])
async def test_a_wall_clock_that_jumps_costs_one_refresh_at_most(
    scripted: ScriptedServer,
    desk: TokenDesk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    jump: float,
) -> None:
    store = FileSessionStore(tmp_path / "session")
    async with make(scripted, store) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        for module in (_kept, _session, auth):
            monkeypatch.setattr(module, "wall_clock", lambda: time.time() + jump)
        for _ in range(3):
            assert (await notes(client)).unwrap() == [{"bearer": "Bearer access1"}]
        for _ in range(3):
            async with make(scripted, store) as another:
                assert (await notes(another)).ok
                assert (await another.auth.ensure_session()).ok
        assert desk.refreshes <= 1
        assert (await client.auth.refresh_session()).ok  # or takes over what another has got
        desk.expire()
        assert (await notes(client)).ok
        assert desk.refreshes <= 2
    assert desk.reused == 0


@pytest.mark.parametrize("jump", [3 * 3600.0, 1e9])
async def test_a_long_sleep_costs_one_refresh(
    scripted: ScriptedServer, desk: TokenDesk, jump: float
) -> None:
    async with make(scripted) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        desk.expire()
        machine = client._transport.session._machine
        machine.deadline -= jump
        machine.grant = machine.grant._replace(renew_at=machine.grant.renew_at - jump)
        for _ in range(3):
            assert (await notes(client)).unwrap() == [{"bearer": "Bearer access2"}]
    assert (desk.refreshes, desk.refused) == (1, 0)


# --- signing in during a refresh -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["no store", "memory", "file"])
async def test_who_signs_in_during_a_refresh_stays(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "session"
    store = {"memory": MemorySessionStore(), "file": FileSessionStore(path)}.get(kind)
    bob = {**USER, "id": "7b0e8f0e-0000-4000-8000-000000000002", "email": "bob@example.com"}
    async with make(scripted, store) as client:
        for seed in range(24):
            chance = random.Random(seed)
            desk.gate = None
            await client.auth.sign_in(EMAIL, PASSWORD)
            desk.expire()
            gate = desk.gate = Gate(chance.choice((0.0, chance.random())))
            answers: list[Any] = []

            async def ask() -> None:
                answers.append(await notes(client))  # noqa: B023

            worker = Worker(ask, "asks")
            await until(gate.reached.is_set)
            access, refresh = f"bob{seed}", f"bobs-refresh{seed}"
            tokens = {"access_token": access, "refresh_token": refresh, "user": bob}
            scripted.on("/auth/login", reply(200, tokens))
            assert (await client.auth.sign_in("bob@example.com", PASSWORD)).ok
            gate.opened.set()
            assert await worker.join(SOON)
            assert answers[0].error.code == "NOT_AUTHENTICATED", seed
            held = client.auth.get_session()
            assert held is not None
            assert (held.access_token, held.refresh_token) == (access, refresh), seed
            assert store is None or store.load() == held, seed
            assert (await notes(client)).unwrap() == [{"bearer": f"Bearer {access}"}], seed
            scripted.on("/auth/login", [desk._login])


# --- handlers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["sign_out", "sign_in", "refresh", "close", "unsubscribe", "raise"])
async def test_a_handler_may_do_anything_when_told_of_a_refresh(
    scripted: ScriptedServer, desk: TokenDesk, act: str
) -> None:
    heard: list[str] = []
    async with make(scripted) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)

        async def handler(event: str, session: Session | None) -> None:
            heard.append(event)
            if event != "TOKEN_REFRESHED" or len(heard) > 3:
                return
            if act == "sign_out":
                await client.auth.sign_out()
            elif act == "sign_in":
                await client.auth.sign_in(EMAIL, PASSWORD)
            elif act == "refresh":
                assert (await client.auth.refresh_session()).ok
            elif act == "close":
                await client.close()
            elif act == "unsubscribe":
                subscription.unsubscribe()
            else:
                raise ZeroDivisionError

        subscription = client.auth.on_auth_state_change(handler, fire_initial=False)
        other: list[str] = []
        client.auth.on_auth_state_change(lambda *c: other.append(c[0]), fire_initial=False)
        desk.expire()
        await notes(client)
        await until(lambda: other)
        again = {"sign_out": 2, "sign_in": 2, "refresh": 4}.get(act, 1)
        await until(lambda: len(other) >= again)
        assert other[0] == heard[0] == "TOKEN_REFRESHED"
        assert {"sign_out": "SIGNED_OUT", "sign_in": "SIGNED_IN"}.get(act, other[0]) == other[-1]


# --- servers that are gone -----------------------------------------------------------------------


async def test_signing_out_without_a_server(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    async with make(scripted, FileSessionStore(path), retries=0) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        scripted.stop()
        answer = await client.auth.sign_out()
        assert answer.error is not None
        assert answer.error.code == "NETWORK_ERROR"
        assert client.auth.get_session() is None
        assert not path.exists()
        assert (await client.auth.sign_out()).ok


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are a matter of POSIX")
async def test_a_pipe_in_the_place_of_the_file_holds_nobody_up(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    os.mkfifo(path, 0o600)
    async with make(scripted, FileSessionStore(path)) as client:
        answer = await notes(client)
        assert answer.error is not None
        assert answer.error.code == "SESSION_STORE_FAILED"


async def test_a_session_too_large_to_be_read_again_is_not_written(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    user = {**USER, "metadata": {"notes": "x" * 300_000}}
    access, refresh = desk.open()
    tokens = {"access_token": access, "refresh_token": refresh, "user": user}
    scripted.on("/auth/login", reply(200, tokens))
    async with make(scripted, FileSessionStore(path)) as client:
        answer = await client.auth.sign_in(EMAIL, PASSWORD)
        assert answer.ok
        assert "cannot be written" in answer.meta.warnings[0]
        assert (await notes(client)).ok
    assert not path.exists()
