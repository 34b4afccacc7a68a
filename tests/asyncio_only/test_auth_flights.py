"""Many tasks meet an expired token: one refresh, whoever is cancelled (reliability R1, R10)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest

from aerodb._core.options import ClientOptions
from aerodb.aio import AeroDBClient
from tests.support.bearer_echo import BearerEcho
from tests.support.scripted import ScriptedServer
from tests.support.token_desk import TokenDesk

SOON = 30.0


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def desk(scripted: ScriptedServer) -> TokenDesk:
    return TokenDesk(scripted)


def make(server: ScriptedServer | BearerEcho, **options: Any) -> AeroDBClient:
    given = ClientOptions(trust_env=False, **options)
    return AeroDBClient(f"http://127.0.0.1:{server.port}", "aero_pk_test", options=given)


async def refreshing(desk: TokenDesk) -> None:
    """Wait until the server has got a refresh; it is on another thread."""
    while not desk.refreshes:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def notes(client: AeroDBClient) -> Any:
    return await client.from_("notes").select()


async def test_a_thousand_tasks_refresh_once(scripted: ScriptedServer, desk: TokenDesk) -> None:
    async with make(scripted) as client:
        await client.auth.sign_in("ada@example.com", "correct horse")
        desk.expire()
        answers = await asyncio.gather(*(notes(client) for _ in range(1000)))
        assert all(answer.data == [{"bearer": "Bearer access2"}] for answer in answers)
        assert (desk.refreshes, desk.reused) == (1, 0)
        assert len(scripted.seen) == 1 + 1 + 1000 + desk.refused
        assert desk.refused <= 1000


@pytest.mark.parametrize(("seed", "number"), [(0, 1000), *((seed, 100) for seed in range(1, 20))])
async def test_half_of_the_waiters_and_the_leader_are_cancelled(
    scripted: ScriptedServer, desk: TokenDesk, seed: int, number: int
) -> None:
    chance = random.Random(seed)
    async with make(scripted) as client:
        await client.auth.sign_in("ada@example.com", "correct horse")
        desk.expire()
        desk.delay = chance.uniform(0.05, 0.15)
        leader = asyncio.create_task(notes(client))
        await refreshing(desk)
        tasks = [asyncio.create_task(notes(client)) for _ in range(number)]
        await asyncio.sleep(chance.uniform(0.0, 0.1))
        victims = chance.sample(tasks, number // 2)
        for task in (leader, *victims):
            task.cancel()
        async with asyncio.timeout(SOON):
            done = await asyncio.gather(*tasks, return_exceptions=True)
        cancelled = {id(task) for task in victims}
        for task, answer in zip(tasks, done, strict=True):
            if isinstance(answer, BaseException):
                assert isinstance(answer, asyncio.CancelledError)
                assert id(task) in cancelled
            else:
                assert answer.data == [{"bearer": "Bearer access2"}], answer
        assert (desk.refreshes, desk.reused) == (1, 0)
        assert (await notes(client)).ok


def test_a_loop_that_ends_in_mid_refresh_hands_over(
    scripted: ScriptedServer, desk: TokenDesk
) -> None:
    client = make(scripted)

    async def sign_in() -> None:
        await client.auth.sign_in("ada@example.com", "correct horse")
        desk.expire()
        desk.failing = []
        desk.delay = 0.2
        asking = asyncio.create_task(notes(client))
        await refreshing(desk)
        asking.cancel()

    async def go_on() -> Any:
        try:
            return await notes(client)
        finally:
            await client.close()

    asyncio.run(sign_in())
    answer = asyncio.run(go_on())
    # the token was spent by the loop that has gone; without the server's grace that ends the
    # session, and the caller is told: nobody hangs, nothing loops
    assert answer.error is not None
    assert answer.error.code == "SESSION_EXPIRED"
    assert desk.refreshes == 2


def test_several_loops_wait_for_one_refresh(scripted: ScriptedServer, desk: TokenDesk) -> None:
    client = make(scripted)
    asyncio.run(client_signed_in(client))
    desk.expire()
    desk.delay = 0.1

    async def in_thread() -> list[Any]:
        return [await asyncio.to_thread(lambda: asyncio.run(many())) for _ in range(1)]

    async def many() -> list[Any]:
        return list(await asyncio.gather(*(notes(client) for _ in range(8))))

    async def all_loops() -> list[Any]:
        found = await asyncio.gather(*(in_thread() for _ in range(4)))
        return [answer for lists in found for answers in lists for answer in answers]

    answers = asyncio.run(all_loops())
    assert len(answers) == 32
    assert {str(answer.data) for answer in answers} == {"[{'bearer': 'Bearer access2'}]"}
    assert (desk.refreshes, desk.reused) == (1, 0)
    asyncio.run(client.close())


async def client_signed_in(client: AeroDBClient) -> None:
    await client.auth.sign_in("ada@example.com", "correct horse")


@pytest.mark.slow
async def test_identities_never_mix() -> None:
    """1,000 tasks and 20,000 calls over one pool, each with the token of another user."""
    with BearerEcho() as server:
        async with make(server) as client:

            async def act(number: int) -> int:
                wrong = 0
                for call in range(20):
                    token = f"user-{number}-{call % 2}"
                    view = client.as_user(token)
                    await asyncio.sleep(0)  # others make theirs before this one is used
                    answer = await notes(view)
                    wrong += answer.data != [{"bearer": token}]
                return wrong

            assert sum(await asyncio.gather(*(act(number) for number in range(1000)))) == 0
        assert server.requests == 20_000
