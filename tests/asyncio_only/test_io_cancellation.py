"""A cancelled call leaves nothing behind (reliability X1, T6)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from aerodb._core.http import Request, TransportError
from aerodb._core.http_settings import HttpSettings
from aerodb._io.on_asyncio import HttpClient, Lock, monotonic
from tests.support.scripted import ScriptedServer, echo, wait

CONNECTIONS = 10


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.on("/slow", [wait(0.03), echo])
        yield server


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient(HttpSettings(max_connections=CONNECTIONS, trust_env=False))
    yield client
    await client.close()


def get(server: ScriptedServer, target: str) -> Request:
    return Request("GET", server.origin, target, [], None)


async def plain(http: HttpClient, request: Request) -> bytes:
    return (await http.send(request, monotonic() + 30)).body


async def streamed(http: HttpClient, request: Request) -> bytes:
    stream = await http.stream(request, monotonic() + 30, 30.0)
    try:
        return b"".join([piece async for piece in stream])
    finally:
        await stream.close()


async def upload(http: HttpClient, request: Request) -> bytes:
    request.method, request.body = "POST", bytes(300_000)
    body = await plain(http, request)
    return body[:-300_000]


@pytest.mark.parametrize("way", [plain, streamed, upload])
@pytest.mark.parametrize("seed", range(4))
async def test_a_storm_of_cancellations(
    scripted: ScriptedServer,
    http: HttpClient,
    way: object,
    seed: int,
) -> None:
    assert callable(way)
    chance = random.Random(seed)
    answers: dict[int, bytes] = {}
    before = len(asyncio.all_tasks())

    async def ask(number: int) -> None:
        answers[number] = await way(http, get(scripted, f"/slow?{number}"))

    async def ask_and_be_cancelled(number: int, seconds: float) -> None:
        task = asyncio.create_task(ask(number))
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            task.result()

    await asyncio.gather(
        *(ask_and_be_cancelled(number, chance.uniform(0, 0.06)) for number in range(400))
    )
    assert answers == {number: b"/slow?%d\n" % number for number in answers}
    assert http.sockets <= CONNECTIONS
    # All permits are back: as many calls as there are connections run at once.
    bodies = await asyncio.gather(
        *(plain(http, get(scripted, f"/slow?after-{n}")) for n in range(3 * CONNECTIONS))
    )
    assert bodies == [b"/slow?after-%d\n" % number for number in range(3 * CONNECTIONS)]
    engine = http._engines[asyncio.get_running_loop()]
    assert engine.gate.in_use == 0
    await asyncio.sleep(0.05)
    assert len(asyncio.all_tasks()) == before


async def test_a_cancelled_waiter_passes_its_turn_on(
    scripted: ScriptedServer,
) -> None:
    http = HttpClient(HttpSettings(max_connections=1, trust_env=False))
    stream = await http.stream(get(scripted, "/"), None, None)
    first = asyncio.create_task(plain(http, get(scripted, "/first")))
    second = asyncio.create_task(plain(http, get(scripted, "/second")))
    await asyncio.sleep(0.01)
    await stream.close()  # the permit is the first one's now, who has not run yet
    first.cancel()
    assert await second == b"/second\n"
    with pytest.raises(asyncio.CancelledError):
        await first
    assert "/first" not in [seen.target for seen in scripted.seen]
    await http.close()


async def test_cancelling_twice_is_no_different(scripted: ScriptedServer, http: HttpClient) -> None:
    for target in ("/slow", "/slow?again"):
        task = asyncio.create_task(plain(http, get(scripted, target)))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await plain(http, get(scripted, "/next")) == b"/next\n"
    assert http._engines[asyncio.get_running_loop()].gate.in_use == 0


async def test_the_callers_own_timeout_is_the_callers(
    scripted: ScriptedServer, http: HttpClient
) -> None:
    scripted.on("/never", [wait(2)])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await plain(http, get(scripted, "/never"))
    with pytest.raises(TransportError) as caught:
        async with asyncio.timeout(20):
            await http.send(get(scripted, "/never"), monotonic() + 0.1)
    assert caught.value.kind == "timeout"


async def test_a_cancelled_connect_leaves_no_socket(http: HttpClient) -> None:
    with ScriptedServer() as silent:
        client = HttpClient(HttpSettings(verify=False, trust_env=False))
        origin = silent.origin._replace(scheme="https")
        tasks = [
            asyncio.create_task(plain(client, Request("GET", origin, "/", [], None)))
            for _ in range(20)
        ]
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        await asyncio.sleep(0.05)
        assert silent.now_open == 0
        assert client.sockets == 0
        await client.close()


async def test_a_cancelled_holder_hands_the_lock_over() -> None:
    lock = Lock()
    entered: list[int] = []

    async def enter(number: int) -> None:
        async with lock:
            entered.append(number)
            await asyncio.sleep(0.01)

    chance = random.Random(7)
    tasks = [asyncio.create_task(enter(number)) for number in range(200)]
    await asyncio.sleep(0.005)
    for task in tasks:
        if chance.random() < 0.7:
            task.cancel()
    await asyncio.wait(tasks)
    assert set(entered) >= {n for n, task in enumerate(tasks) if not task.cancelled()}
    await asyncio.wait_for(enter(999), 5)
