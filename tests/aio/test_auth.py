# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""Sessions, against a server over real sockets: refresh, replay, races, identities, stores."""

from __future__ import annotations

import copy
import gc
import json
import logging
import os
import pickle
import pprint
import random
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb import AuthChange, AuthData, FileSessionStore, MemorySessionStore, Session
from aerodb._core.options import ClientOptions
from aerodb._io.on_asyncio import Worker, pause
from aerodb.aio import AeroDBClient
from tests.support.scripted import ScriptedServer, reset, wait
from tests.support.token_desk import USER, Gate, TokenDesk, refusal, reply

SOON = 20.0
EMAIL, PASSWORD = "ada@example.com", "correct horse"
PUBLISHABLE, SECRET = "aero_pk_test", "aero_sk_test"


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def desk(scripted: ScriptedServer) -> TokenDesk:
    return TokenDesk(scripted)


def make(scripted: ScriptedServer, key: str | None = PUBLISHABLE, **options: Any) -> AeroDBClient:
    given = ClientOptions(trust_env=False, **options)
    return AeroDBClient(f"http://127.0.0.1:{scripted.port}", key, options=given)


@pytest.fixture
async def client(scripted: ScriptedServer) -> AsyncIterator[AeroDBClient]:
    async with make(scripted) as made:
        yield made


async def notes(client: AeroDBClient) -> Any:
    return await client.from_("notes").select().execute()


# --- the seed's flow ---------------------------------------------------------------------------


async def test_sign_in_then_every_request_is_authorised_and_renewed_on_401(
    client: AeroDBClient, desk: TokenDesk
) -> None:
    before = await notes(client)
    signed_in = (await client.auth.sign_in(EMAIL, PASSWORD)).unwrap()
    assert signed_in.user is not None
    assert signed_in.user.email == EMAIL
    assert (await notes(client)).unwrap() == [{"bearer": "Bearer access1"}]
    desk.expire()
    renewed = await notes(client)
    assert renewed.unwrap() == [{"bearer": "Bearer access2"}]
    assert renewed.meta.attempts == 2
    assert desk.refreshes == 1
    assert (await client.auth.sign_out()).ok
    assert client.auth.get_session() is None
    assert before.unwrap() == (await notes(client)).unwrap() == [{"bearer": None}]


async def test_credentials_go_without_a_bearer_and_the_key_goes_always(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer
) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    await client.auth.sign_in(EMAIL, PASSWORD)
    await client.auth.refresh_session()
    assert [seen.header("authorization") for seen in scripted.seen] == [None, None, None]
    assert {seen.header("apikey") for seen in scripted.seen} == {PUBLISHABLE}


async def test_wrong_password_keeps_who_was_signed_in(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer
) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    held = client.auth.get_session()
    scripted.on("/auth/login", refusal(401, "invalid_credentials"))
    refused = await client.auth.sign_in(EMAIL, "wrong")
    assert refused.error is not None
    assert refused.error.code == "invalid_credentials"
    assert client.auth.get_session() is held
    assert desk.refreshes == 0


# --- signing up --------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{"user": USER}, USER, {"data": {"user": USER}}])
async def test_signing_up_without_tokens_awaits_confirmation(
    client: AeroDBClient, scripted: ScriptedServer, body: Any
) -> None:
    heard: list[Any] = []
    client.auth.on_auth_state_change(lambda *change: heard.append(change), fire_initial=False)
    scripted.on("/auth/signup", reply(201, body))
    data = (await client.auth.sign_up(EMAIL, PASSWORD, {"name": "Ada"})).unwrap()
    assert data.confirmation_required
    assert data.session is None
    assert data.user is not None
    assert data.user.id == USER["id"]
    assert json.loads(scripted.seen[0].body)["metadata"] == {"name": "Ada"}
    assert client.auth.get_session() is None
    assert heard == []


@pytest.mark.parametrize("nested", [False, True])
async def test_signing_up_with_tokens_signs_in(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer, nested: bool
) -> None:
    access, refresh = desk.open()
    tokens = {"access_token": access, "refresh_token": refresh}
    body = {"user": USER, "session": tokens} if nested else {"user": USER, **tokens}
    scripted.on("/auth/signup", reply(201, body))
    data = (await client.auth.sign_up(EMAIL, PASSWORD)).unwrap()
    assert not data.confirmation_required
    assert data.user is not None
    assert (await notes(client)).unwrap() == [{"bearer": f"Bearer {access}"}]


# --- replay (wire-contract §2.5) ---------------------------------------------------------------


async def test_a_server_that_always_says_401_is_asked_twice(
    client: AeroDBClient, desk: TokenDesk
) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    desk.always_401 = True
    for call in range(1, 6):
        answer = await notes(client)
        assert answer.error is not None
        assert answer.error.code == "token_expired"
        assert answer.meta.attempts == 2
        assert desk.refreshes == call
    assert len(desk.bearers()) == 10
    assert client.auth.get_session() is not None


@pytest.mark.parametrize("code", ["invalid_credentials", "session_revoked", "invalid_api_key"])
async def test_401s_that_no_newer_token_would_help(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer, code: str
) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    scripted.on("/rest/v1/notes", refusal(401, code))
    answer = await notes(client)
    assert answer.error is not None
    assert (answer.error.code, answer.meta.attempts, desk.refreshes) == (code, 1, 0)


@pytest.mark.parametrize("status", [400, 403])
async def test_other_refusals_are_no_reason_to_refresh(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer, status: int
) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    scripted.on("/rest/v1/notes", refusal(status, "42501"))
    answer = await notes(client)
    assert answer.error is not None
    assert (answer.error.status, answer.meta.attempts, desk.refreshes) == (status, 1, 0)


async def test_a_write_is_replayed_with_the_same_body_and_request_id(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer
) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    desk.expire()
    assert (await client.from_("notes").insert({"text": "once"}).execute()).ok
    sent = [seen for seen in scripted.seen if seen.method == "POST" and "/rest/" in seen.target]
    assert len(sent) == 2
    assert len({seen.body for seen in sent}) == 1
    assert len({seen.header("x-request-id") for seen in sent}) == 1
    assert [seen.header("authorization") for seen in sent] == ["Bearer access1", "Bearer access2"]


async def test_without_a_refresh_token_the_401_is_the_answer(
    client: AeroDBClient, desk: TokenDesk
) -> None:
    access, _ = desk.open()
    assert (await client.auth.set_session(access)).ok
    desk.expire()
    answer = await notes(client)
    assert answer.error is not None
    assert (answer.error.code, answer.meta.attempts, desk.refreshes) == ("token_expired", 1, 0)
    refreshed = await client.auth.refresh_session()
    assert refreshed.error is not None
    assert refreshed.error.code == "NO_REFRESH_TOKEN"


async def test_a_token_about_to_expire_is_renewed_before_it_is_sent(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer
) -> None:
    access, refresh = desk.open()
    tokens = {"access_token": access, "refresh_token": refresh, "expires_in": 0}
    scripted.on("/auth/login", reply(200, {**tokens, "user": USER}))
    await client.auth.sign_in(EMAIL, PASSWORD)
    assert (await notes(client)).unwrap() == [{"bearer": "Bearer access2"}]
    assert (desk.refreshes, desk.refused) == (1, 0)
    session = client.auth.get_session()
    assert session is not None
    assert session.user is not None


async def test_a_slow_refresh_of_a_token_that_still_lives_holds_nobody_up(
    client: AeroDBClient, desk: TokenDesk
) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    machine = client._transport.session._machine
    machine.grant = machine.grant._replace(renew_at=0.0)  # as after 14 of 15 minutes
    gate = desk.gate = Gate(0.0)
    for _ in range(2):
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access1"}]
        assert gate.reached.is_set()  # and not answered yet
    gate.opened.set()
    assert (await client.auth.refresh_session()).ok
    assert (await notes(client)).unwrap() == [{"bearer": "Bearer access2"}]
    assert (desk.refreshes, desk.refused) == (1, 0)


# --- refreshes that fail -----------------------------------------------------------------------


async def test_a_network_blip_never_signs_out(client: AeroDBClient, desk: TokenDesk) -> None:
    heard: list[str] = []
    client.auth.on_auth_state_change(lambda event, session: heard.append(event))
    await client.auth.sign_in(EMAIL, PASSWORD)
    held = client.auth.get_session()
    # each of the first two is sent once more, as its answer may have been lost
    desk.failing = [[reset()], [reset()], reply(503), reply(503), reply(500),
                    reply(404), refusal(429, "rate_limit_exceeded")]  # fmt: skip
    while desk.failing:
        failed = await client.auth.refresh_session()
        assert failed.error is not None
        assert client.auth.get_session() is held
    assert (await client.auth.refresh_session()).ok
    assert "SIGNED_OUT" not in heard
    assert heard.count("REFRESH_FAILED") == 5
    assert (await notes(client)).unwrap() == [{"bearer": "Bearer access2"}]


async def test_a_lost_answer_is_asked_for_once_more_with_the_same_token(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer
) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    desk.failing = [[reset()]]
    assert (await client.auth.refresh_session()).ok
    spent = [seen.body for seen in scripted.seen if seen.target == "/auth/refresh"]
    assert len(spent) == 2
    assert spent[0] == spent[1]


async def test_after_a_failure_the_call_says_why_and_the_session_stays(
    scripted: ScriptedServer, desk: TokenDesk
) -> None:
    async with make(scripted, timeout=0.5) as client:
        await client.auth.sign_in(EMAIL, PASSWORD)
        desk.expire()
        desk.failing = [reply(503)] * 2
        answer = await notes(client)
        assert answer.error is not None
        assert "could not be refreshed" in answer.error.message
        assert answer.error.retryable
        assert not answer.error.maybe_applied
        # the next attempt has to wait for a second: longer than this call may take
        again = await notes(client)
        assert again.error is not None
        assert "could not be refreshed" in again.error.message
        assert client.auth.get_session() is not None
    assert desk.refreshes == 0


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "invalid_refresh_token"),
        (401, "refresh_token_reused"),
        (401, "session_expired"),
        (401, "something_new"),
        (400, "session_revoked"),
        (403, "user_not_found"),
        (400, "invalid_grant"),
    ],
)
async def test_a_rejected_refresh_ends_the_session_once(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer, status: int, code: str
) -> None:
    heard: list[str] = []
    await client.auth.sign_in(EMAIL, PASSWORD)
    client.auth.on_auth_state_change(lambda *c: heard.append(c[0]), fire_initial=False)
    scripted.on("/auth/refresh", refusal(status, code))
    desk.expire()
    answer = await notes(client)
    assert answer.error is not None
    assert answer.error.code == "SESSION_EXPIRED"
    assert client.auth.get_session() is None
    assert heard == ["SIGNED_OUT"]


# --- signing out -------------------------------------------------------------------------------


async def test_signing_out_clears_first_whatever_the_server_says(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer
) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    scripted.on("/auth/logout", reply(500, {"error": "broken", "code": "internal_error"}))
    answer = await client.auth.sign_out("global")
    assert answer.error is not None
    assert answer.error.code == "internal_error"
    assert client.auth.get_session() is None
    seen = scripted.seen[-1]
    assert (seen.target, seen.header("authorization")) == (
        "/auth/logout?scope=global",
        "Bearer access1",
    )
    assert json.loads(seen.body) == {"refresh_token": "refresh1"}
    assert (await client.auth.sign_out()).ok
    assert scripted.seen[-1] is seen


async def test_signing_out_the_others_keeps_this_one(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer
) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    assert (await client.auth.sign_out("others")).ok
    assert scripted.seen[-1].target == "/auth/logout?scope=others"
    assert client.auth.get_session() is not None


@pytest.mark.parametrize(("turns", "stored"), [(160, False), (40, True)])
async def test_signing_out_wins_every_race_with_a_refresh(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path, turns: int, stored: bool
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    store = FileSessionStore(tmp_path / "session") if stored else None
    async with make(scripted, session_store=store) as client:
        for turn in range(turns):
            await client.auth.sign_in(EMAIL, PASSWORD)
            desk.expire()
            desk.delay = chance.uniform(0.0, 0.004)

            async def ask() -> None:
                await notes(client)

            worker = Worker(ask, "asks")
            await pause(chance.uniform(0.0, 0.008))
            await client.auth.sign_out()
            assert await worker.join(SOON)
            assert client.auth.get_session() is None, (seed, turn)
            assert not (tmp_path / "session").exists(), (seed, turn)
            assert (await notes(client)).unwrap() == [{"bearer": None}], (seed, turn)
    assert desk.reused == 0


async def test_tokens_that_come_after_signing_out_are_revoked(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer
) -> None:
    """The refresh was under way: what the server has just given out must not outlive the user."""
    await client.auth.sign_in(EMAIL, PASSWORD)
    desk.expire()
    desk.delay = 0.2

    async def ask() -> None:
        await notes(client)

    worker = Worker(ask, "asks")
    while not desk.refreshes:
        await pause(0.005)
    assert (await client.auth.sign_out()).ok
    for _ in range(2000):
        if desk.logouts == 2:
            break
        await pause(0.01)
    assert await worker.join(SOON)
    left = [json.loads(seen.body) for seen in scripted.seen if seen.target == "/auth/logout"]
    assert left == [{"refresh_token": "refresh1"}, {"refresh_token": "refresh2"}]
    assert client.auth.get_session() is None


async def test_a_call_that_began_as_a_user_does_not_go_out_as_nobody(
    client: AeroDBClient, desk: TokenDesk
) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    desk.expire()
    desk.delay = 0.3
    answers: list[Any] = []

    async def ask() -> None:
        answers.append(await notes(client))

    worker = Worker(ask, "asks")
    while not desk.refreshes:
        await pause(0.005)
    await client.auth.sign_out()
    assert await worker.join(SOON)
    assert answers[0].error.code == "NOT_AUTHENTICATED"
    assert desk.bearers() == ["Bearer access1"]


# --- identities (features §3, 1-5) -------------------------------------------------------------


async def test_a_client_with_a_service_key_stays_who_it_is(
    scripted: ScriptedServer, desk: TokenDesk
) -> None:
    async with make(scripted, SECRET) as client:
        answer = await client.auth.sign_in(EMAIL, PASSWORD)
        data = answer.unwrap()
        assert data.session is not None
        assert "as_user" in answer.meta.warnings[0]
        assert client.auth.get_session() is None
        assert (await notes(client)).unwrap() == [{"bearer": None}]
        refused = await client.auth.set_session(data.session.access_token)
        assert refused.error is not None
        assert refused.error.code == "INVALID_ARGUMENT"
        user = client.as_user(data.session.access_token)
        assert (await notes(user)).unwrap() == [{"bearer": "Bearer access1"}]
        assert (await notes(client)).unwrap() == [{"bearer": None}]


async def test_what_shows_who_is_signed_in(client: AeroDBClient, desk: TokenDesk) -> None:
    name = type(client.auth).__name__
    assert repr(client.auth) == f"<{name} signed out>"
    await client.auth.sign_in(EMAIL, PASSWORD)
    assert repr(client.auth).startswith(f"<{name} <Session of ")
    for part in (client.auth.admin, client.functions, client.storage):
        assert repr(part).startswith(f"<{type(part).__name__} of http://127.0.0.1:")


async def test_a_client_that_many_share_does_not_become_who_signs_in(
    scripted: ScriptedServer, desk: TokenDesk
) -> None:
    async with make(scripted, adopt_sessions=False) as client:
        answer = await client.auth.sign_in(EMAIL, PASSWORD)
        data = answer.unwrap()
        assert data.session is not None
        assert "shared" in answer.meta.warnings[0]
        assert client.auth.get_session() is None
        assert (await notes(client)).unwrap() == [{"bearer": None}]
        refused = await client.auth.set_session(data.session.access_token, "refresh1")
        assert refused.error is not None
        assert refused.error.code == "INVALID_ARGUMENT"
        user = client.as_user(data.session.access_token)
        assert (await notes(user)).unwrap() == [{"bearer": "Bearer access1"}]


async def test_views_share_connections_and_nothing_else(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer
) -> None:
    one, other = client.as_user("token-one"), client.as_user("token-other")
    await client.auth.sign_in(EMAIL, PASSWORD)
    for _ in range(3):
        assert (await notes(one)).unwrap() == [{"bearer": "Bearer token-one"}]
        assert (await notes(other)).unwrap() == [{"bearer": "Bearer token-other"}]
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access1"}]
    await one.close()
    closed = await notes(one)
    assert closed.error is not None
    assert closed.error.code == "CLIENT_CLOSED"
    assert one.is_closed
    assert not client.is_closed
    assert (await notes(other)).ok
    assert scripted.connections == 1


async def test_a_users_view_never_becomes_the_key(
    scripted: ScriptedServer, desk: TokenDesk
) -> None:
    async with make(scripted, SECRET) as client:
        access, refresh = desk.open()
        user = client.as_user(access, refresh)
        desk.expire()
        assert (await notes(user)).unwrap() == [{"bearer": "Bearer access2"}]
        assert (await user.auth.sign_out()).ok
        before = len(scripted.seen)
        answer = await notes(user)
        assert answer.error is not None
        assert answer.error.code == "NOT_AUTHENTICATED"
        assert len(scripted.seen) == before


async def test_a_view_by_another_key_has_no_user(client: AeroDBClient, desk: TokenDesk,
                                                 scripted: ScriptedServer) -> None:  # fmt: skip
    await client.auth.sign_in(EMAIL, PASSWORD)
    service = client.as_service(SECRET)
    assert (await notes(service)).unwrap() == [{"bearer": None}]
    assert scripted.seen[-1].header("apikey") == SECRET
    await notes(client)
    assert scripted.seen[-1].header("apikey") == PUBLISHABLE


async def test_a_view_with_other_options_is_the_same_user(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer
) -> None:
    hurried = client.with_options(timeout=0.2, retries=0, headers={"X-Tenant": "7"})
    await hurried.auth.sign_in(EMAIL, PASSWORD)
    assert (await notes(client)).unwrap() == [{"bearer": "Bearer access1"}]
    assert scripted.seen[-1].header("x-tenant") is None
    assert (await notes(hurried)).ok
    assert scripted.seen[-1].header("x-tenant") == "7"
    scripted.on("/rest/v1/notes", [wait(1.0), *reply(200, [])])
    late = await notes(hurried)
    assert late.error is not None
    assert late.error.code == "TIMEOUT"


async def test_admin_goes_by_the_key_alone(scripted: ScriptedServer, desk: TokenDesk) -> None:
    users = {"users": [USER, {"id": "2"}], "total": 12}
    scripted.on("/auth/users", reply(200, users))
    async with make(scripted, SECRET) as client:
        page = (await client.auth.admin.list_users(page=2, per_page=2)).unwrap()
        assert (len(page.items), page.total) == (2, 12)
        assert scripted.seen[-1].target == "/auth/users?page=2&per_page=2"
        as_user = client.as_user("somebody")
        await as_user.auth.admin.list_users()
        assert scripted.seen[-1].header("authorization") is None
        assert scripted.seen[-1].header("apikey") == SECRET
    async with make(scripted) as client:
        before = len(scripted.seen)
        refused = await client.auth.admin.delete_user("2")
        assert refused.error is not None
        assert refused.error.code == "NOT_AUTHENTICATED"
        assert len(scripted.seen) == before


async def test_two_clients_share_nothing(scripted: ScriptedServer, desk: TokenDesk) -> None:
    async with make(scripted) as one, make(scripted) as other:
        await one.auth.sign_in(EMAIL, PASSWORD)
        assert other.auth.get_session() is None
        assert (await notes(other)).unwrap() == [{"bearer": None}]


# --- events ------------------------------------------------------------------------------------


async def test_events_in_order_and_a_listener_may_call_the_client(
    client: AeroDBClient, desk: TokenDesk
) -> None:
    heard: list[str] = []

    async def listener(event: str, session: Session | None) -> None:
        heard.append(event)
        if event == "SIGNED_IN":
            heard.append((await notes(client)).unwrap()[0]["bearer"])
            await client.auth.sign_out()
            heard.append("back")

    subscription = client.auth.on_auth_state_change(listener, fire_initial=False)
    await client.auth.sign_in(EMAIL, PASSWORD)
    assert heard == ["SIGNED_IN", "Bearer access1", "back", "SIGNED_OUT"]
    subscription.unsubscribe()
    subscription.unsubscribe()
    await client.auth.sign_in(EMAIL, PASSWORD)
    assert len(heard) == 4


async def test_a_refresh_that_was_asked_for_has_been_told(
    client: AeroDBClient, desk: TokenDesk
) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    for _ in range(20):
        heard: list[str] = []
        subscription = client.auth.on_auth_state_change(
            lambda event, _, heard=heard: heard.append(event), fire_initial=False
        )
        assert (await client.auth.refresh_session()).ok
        subscription.unsubscribe()
        assert heard == ["TOKEN_REFRESHED"]


async def test_a_failing_listener_hurts_nobody_else(
    client: AeroDBClient, desk: TokenDesk, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def fails(event: str, session: Session | None) -> None:
        raise ValueError("listener's own")

    client.auth.on_auth_state_change(fails, fire_initial=False)
    client.auth.on_auth_state_change(lambda event, _: heard.append(event), fire_initial=False)
    assert (await client.auth.sign_in(EMAIL, PASSWORD)).ok
    assert heard == ["SIGNED_IN"]
    assert "listener's own" in caplog.text


async def test_events_as_a_stream(client: AeroDBClient, desk: TokenDesk) -> None:
    events = client.auth.auth_events()
    await client.auth.sign_in(EMAIL, PASSWORD)
    await client.auth.refresh_session()
    await client.auth.update_user(metadata={"name": "Ada"})
    await client.auth.sign_out()
    heard: list[AuthChange] = []
    async for change in events:
        heard.append(change)
        if change.event == "SIGNED_OUT":
            events.close()
    assert [change.event for change in heard] == [
        "INITIAL_SESSION",
        "SIGNED_IN",
        "TOKEN_REFRESHED",
        "USER_UPDATED",
        "SIGNED_OUT",
    ]
    assert [change.session is None for change in heard] == [True, False, False, False, True]


async def test_streams_that_nobody_reads_any_more_are_let_go(
    client: AeroDBClient, desk: TokenDesk
) -> None:
    """A reader that is cancelled, or leaves its loop, seldom says `close()`."""
    await client.auth.sign_in(EMAIL, PASSWORD)
    for _ in range(20):
        async for change in client.auth.auth_events():
            assert change.event == "INITIAL_SESSION"
            break
    kept = client.auth.auth_events()
    gc.collect()
    await client.auth.refresh_session()
    assert len(client._transport.session.changes._listeners) == 1
    kept.close()
    assert client._transport.session.changes._listeners == ()
    assert [change.event async for change in kept] == []


# --- stores ------------------------------------------------------------------------------------


async def test_a_session_outlives_the_client_in_a_file(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    path = tmp_path / "kept" / "session.json"
    async with make(scripted, session_store=FileSessionStore(path)) as first:
        await first.auth.sign_in(EMAIL, PASSWORD)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    async with make(scripted, session_store=FileSessionStore(path)) as second:
        assert (await notes(second)).unwrap() == [{"bearer": "Bearer access1"}]
        session = second.auth.get_session()
        assert session is not None
        assert session.user is not None
        assert session.user.email == EMAIL
        await second.auth.sign_out()
    assert not path.exists()


async def test_clients_on_one_store_refresh_once(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    store = FileSessionStore(tmp_path / "session")
    one, other = (make(scripted, session_store=store) for _ in range(2))
    async with one, other:
        await one.auth.sign_in(EMAIL, PASSWORD)
        assert (await notes(other)).ok
        desk.expire()
        assert (await notes(one)).unwrap() == [{"bearer": "Bearer access2"}]
        assert (await notes(other)).unwrap() == [{"bearer": "Bearer access2"}]
    assert (desk.refreshes, desk.reused) == (1, 0)


async def test_signed_out_elsewhere_is_signed_out_here(
    scripted: ScriptedServer, desk: TokenDesk
) -> None:
    store = MemorySessionStore()
    one, other = (make(scripted, session_store=store) for _ in range(2))
    async with one, other:
        await one.auth.sign_in(EMAIL, PASSWORD)
        assert (await notes(other)).ok
        await one.auth.sign_out()
        answer = await notes(other)
        assert answer.error is not None
        assert answer.error.code == "SESSION_EXPIRED"
        assert other.auth.get_session() is None


@pytest.mark.skipif(os.name != "posix", reason="the lock is a matter of POSIX")
async def test_what_another_process_is_about_to_write_does_not_undo_signing_out(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    one, other = (make(scripted, session_store=FileSessionStore(path)) for _ in range(2))
    async with one, other:
        await one.auth.sign_in(EMAIL, PASSWORD)
        assert (await notes(other)).ok
        desk.expire()
        desk.delay = 0.3

        async def ask() -> None:
            await notes(one)

        worker = Worker(ask, "asks")
        while not desk.refreshes:
            await pause(0.005)
        await other.auth.sign_out()
        assert await worker.join(SOON)
        assert not path.exists()
        assert other.auth.get_session() is None
        assert (await notes(one)).error is not None
        assert one.auth.get_session() is None


@pytest.mark.skipif(os.name != "posix", reason="modes are a matter of POSIX")
async def test_a_file_that_others_can_read_is_refused(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    path = tmp_path / "session"
    path.write_text(Session("stolen", "too").dump())
    path.chmod(0o644)
    async with make(scripted, session_store=FileSessionStore(path)) as client:
        answer = await notes(client)
        assert answer.error is not None
        assert answer.error.code == "SESSION_STORE_FAILED"
        assert "can be read by others" in answer.error.message
        assert scripted.seen == []
        assert (await client.auth.sign_in(EMAIL, PASSWORD)).ok
        assert (await notes(client)).ok
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_store_that_cannot_be_written_is_a_warning(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path
) -> None:
    folder = tmp_path / "file"
    folder.write_text("in the way")
    async with make(scripted, session_store=FileSessionStore(folder / "session")) as client:
        answer = await client.auth.sign_in(EMAIL, PASSWORD)
        assert answer.ok
        assert "cannot be written" in answer.meta.warnings[0]
        assert (await notes(client)).unwrap() == [{"bearer": "Bearer access1"}]


# --- secrets (reliability C4) ------------------------------------------------------------------


async def test_a_canary_in_the_tokens_shows_up_nowhere(
    scripted: ScriptedServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    desk = TokenDesk(scripted, canary="Canary7x")
    password = "Canary7x-password"
    shown: list[Any] = []
    store = FileSessionStore(tmp_path / "session")
    async with make(scripted, session_store=store) as client:
        client.auth.on_auth_state_change(lambda *change: shown.append(change))
        shown.append(await client.auth.sign_in(EMAIL, password))
        desk.expire()
        shown.append(await notes(client) and client)
        user = client.as_user(*desk.open())
        shown += [client, client.auth, client.auth.get_session(), user, user.auth, store]
        shown += [client._transport, client._transport.session, client._transport.session._machine]
        shown.append(client._transport.session._machine.grant)
        token = client.auth.get_session()
        assert token is not None
        assert "Canary7x" in token.access_token
        echoed = {"error": f"no {token.access_token} {token.refresh_token} {password}", "code": "x"}
        for path in ("/auth/login", "/rest/v1/notes", "/auth/user"):
            scripted.on(path, reply(400, {**echoed, "details": echoed["error"]}))
            echoed["error"] = echoed["error"].replace(password, "")  # only login has seen it
        shown += [await notes(client), await client.auth.get_user()]
        shown.append(await client.auth.sign_in(EMAIL, password))
        echo = reply(401, {"error": f"gone {token.refresh_token}", "code": "session_revoked"})
        scripted.on("/auth/refresh", echo)
        shown.append(await client.auth.refresh_session())
        for value in (token, client, user, AuthData(None, token), token._access):
            for copied in (pickle.dumps, copy.copy, copy.deepcopy):
                if isinstance(value, AuthData) and copied is copy.copy:
                    continue  # shares the session, as any reference does
                with pytest.raises(TypeError) as refusal_of:
                    copied(value)
                shown.append("".join(traceback.format_exception(refusal_of.value)))
        shown += [pickle.dumps(ClientOptions(session_store=store)), vars(client)]
    texts = [f"{value} {value!r} {pprint.pformat(value)}" for value in shown]
    assert [text for text in texts if "Canary7x" in text] == []
    assert "Canary7x" not in caplog.text


async def test_no_token_in_the_local_variables_of_a_traceback(
    scripted: ScriptedServer, desk: TokenDesk
) -> None:
    password = "Canary7x-password"
    desk.canary = "Canary7x"

    class Interrupted(BaseException):
        """As Ctrl+C: it goes through everything."""

    class Broken(MemorySessionStore):
        def save(self, session: Session) -> None:
            raise Interrupted

    async with make(scripted, session_store=Broken()) as client:
        with pytest.raises(Interrupted) as raised:
            await client.auth.sign_in(EMAIL, password)
        frames = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
        ours = [frame for frame in frames.stack if "/aerodb/" in frame.filename]
        assert len(ours) >= 4
        for frame in ours:
            assert "Canary7x" not in str(frame.locals), frame.name


# --- other calls -------------------------------------------------------------------------------


async def test_calls_that_need_a_user_send_nothing_without_one(
    client: AeroDBClient, scripted: ScriptedServer
) -> None:
    for answer in (
        await client.auth.get_user(),
        await client.auth.update_user(metadata={}),
        await client.auth.change_password("old one", "new one"),
        await client.auth.list_sessions(),
        await client.auth.revoke_session("1"),
        await client.auth.ensure_session(),
        await client.auth.refresh_session(),
        await client.auth.sign_out("others"),
    ):
        assert answer.error is not None
        assert answer.error.code == "NOT_AUTHENTICATED"
    assert scripted.seen == []


async def test_the_user_of_another_token(client: AeroDBClient, desk: TokenDesk) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    assert (await client.auth.get_user("a-token-of-mine")).unwrap().id == USER["id"]
    assert desk.bearers("/auth/user") == ["Bearer a-token-of-mine"]


async def test_values_of_no_use_are_answered_and_not_raised(
    client: AeroDBClient, desk: TokenDesk, scripted: ScriptedServer
) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    wrong: Any = {"scope": "local"}
    before = len(scripted.seen)
    for answer, words in (
        (await client.auth.set_session("a" * 20_000), "access_token has more than"),
        (await client.auth.set_session("a", "b" * 20_000), "refresh_token has more than"),
        (await client.auth.get_user("a" * 20_000), "access_token has more than"),
        (await client.auth.refresh_session("a" * 20_000), "refresh_token has more than"),
        (await client.auth.ensure_session(min_ttl=-1), "min_ttl must be"),
        (await client.auth.ensure_session(min_ttl=float("nan")), "min_ttl must be"),
        (await client.auth.sign_out(wrong), "scope must be local, global or others, not"),
    ):
        assert answer.error is not None
        assert answer.error.code == "INVALID_ARGUMENT"
        assert words in answer.error.message
        assert "aaaa" not in answer.error.message
    assert len(scripted.seen) == before
    for missing in (None, ""):  # such as a variable of the environment that is not set
        with pytest.raises((TypeError, ValueError), match="key must"):
            client.as_service(missing)  # type: ignore[arg-type]


async def test_set_session_with_an_expired_token_refreshes_first(
    client: AeroDBClient, desk: TokenDesk
) -> None:
    _, refresh = desk.open()
    expired = "eyJhbGciOiJIUzI1NiJ9.eyJpYXQiOjEwMCwiZXhwIjoxMDAwfQ.c2ln"
    assert (await client.auth.set_session(expired, refresh)).ok
    assert (await notes(client)).unwrap() == [{"bearer": "Bearer access2"}]
    assert (desk.refreshes, desk.refused) == (1, 0)


async def test_ensure_session(client: AeroDBClient, desk: TokenDesk) -> None:
    await client.auth.sign_in(EMAIL, PASSWORD)
    assert (await client.auth.ensure_session()).unwrap().access_token == "access1"
    assert (await client.auth.ensure_session(min_ttl=2000)).unwrap().access_token == "access2"
