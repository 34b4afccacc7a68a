"""One async client: cancelled calls, one event loop after another, several at once (T6, C4)."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import socket
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from aerodb import AeroDBResponse, AsyncAeroDBClient, ClientOptions
from aerodb._io.on_asyncio import direct
from aerodb._io.on_asyncio.dial import dial
from tests.support.scripted import ScriptedServer, head, wait

KEY = "aero_sk_C4n4ry0123456789abcdefghijkl"
JSON = ("Content-Type", "application/json")
CONNECTIONS = 10


def echo(sock: Any, seen: Any) -> None:
    """Answer with one row that says what was asked."""
    text = f'[{{"target":"{seen.target}","sent":{seen.body.decode() or "null"}}}]'.encode()
    sock.sendall(head(200, [JSON, ("Content-Length", str(len(text)))]) + text)


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        server.on("/rest/v1/t", [echo])
        server.on("/rest/v1/slow", [wait(0.03), echo])
        server.on("/rest/v1/rpc/f", [wait(0.03), echo])
        server.on("/rest/v1/silent", [wait(10)])
        yield server


def url_of(server: ScriptedServer) -> str:
    return f"http://127.0.0.1:{server.port}"


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


async def arrival(server: ScriptedServer) -> None:
    """Wait until a request has come in."""
    for _ in range(3000):
        if server.seen:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("no request came")


async def ask(client: AsyncAeroDBClient, number: int, table: str = "slow") -> None:
    """One call of one of three kinds; its answer must be its own."""
    if number % 3 == 0:
        response = await client.from_(table).select().eq("n", number)
        assert response.unwrap()[0]["target"].endswith(f"n=eq.{number}"), response
    elif number % 3 == 1:
        rpc: AeroDBResponse[Any] = await client.rpc("f", {"n": number})
        assert rpc.unwrap()[0]["sent"] == {"n": number}, rpc
    else:
        async with client.from_(table).eq("n", number).stream() as rows:
            found = [row async for row in rows]
        assert found[0]["target"].endswith(f"n=eq.{number}"), found


@pytest.mark.parametrize("seed", range(3))
async def test_a_storm_of_cancellations(scripted: ScriptedServer, seed: int) -> None:
    chance = random.Random(seed)
    options = ClientOptions(max_connections=CONNECTIONS)
    before = len(asyncio.all_tasks())
    cancelled = 0
    async with AsyncAeroDBClient(url_of(scripted), KEY, options=options) as client:

        async def ask_and_be_cancelled(number: int, seconds: float) -> None:
            nonlocal cancelled
            task = asyncio.create_task(ask(client, number))
            await asyncio.sleep(seconds)
            task.cancel()
            await asyncio.wait((task,))
            if task.cancelled():
                cancelled += 1
            else:
                task.result()

        await asyncio.gather(
            *(ask_and_be_cancelled(number, chance.uniform(0, 0.1)) for number in range(300))
        )
        assert cancelled > 100
        await asyncio.wait_for(ask(client, 0, "t"), 10)
        await asyncio.gather(*(ask(client, number) for number in range(3 * CONNECTIONS)))
        http = client._transport._http
        assert http._engines[asyncio.get_running_loop()].gate.in_use == 0
        assert http.sockets <= CONNECTIONS
    await asyncio.sleep(0.05)
    assert len(asyncio.all_tasks()) == before


async def test_cancelling_between_two_attempts(scripted: ScriptedServer) -> None:
    scripted.on("/rest/v1/t", [lambda sock, seen: sock.sendall(
        head(503, [("Retry-After", "20"), ("Content-Length", "0")]))])  # fmt: skip
    async with AsyncAeroDBClient(url_of(scripted), KEY) as client:
        task = asyncio.create_task(client.from_("t").insert({"a": 1}).execute())
        await arrival(scripted)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)
        assert len(scripted.seen) == 1
        scripted.on("/rest/v1/t", [echo])
        assert (await client.from_("t").select()).ok


@pytest.mark.parametrize("size", [1, 3_000_000])
async def test_the_key_is_in_no_frame_of_a_cancelled_call(
    scripted: ScriptedServer, size: int
) -> None:
    """Tools that show tracebacks with local variables see every frame that was waiting (S1)."""
    async with AsyncAeroDBClient(url_of(scripted), KEY, headers={"X-Signature": KEY}) as client:
        silent = client.from_("silent")
        for query in (silent.select(), silent.insert({"a": "x" * size})):
            task = asyncio.create_task(query.execute())
            await arrival(scripted)
            scripted.seen.clear()
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
            frames = [frame for frame in told.stack if frame.filename != __file__]
            assert any("_transport" in frame.filename for frame in frames)
            text = "".join(traceback.StackSummary.from_list(frames).format())
            assert KEY not in text


async def test_the_key_is_in_no_frame_of_a_blocked_upload() -> None:
    """The request's head is sent, its body does not get away: nobody reads it."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    loop = asyncio.get_running_loop()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with listener:
        async with AsyncAeroDBClient(url, KEY) as client:
            query = client.from_("t").insert({"a": "x" * 16_000_000})
            task = asyncio.create_task(query.execute())
            connection, _ = await loop.sock_accept(listener)
            assert await loop.sock_recv(connection, 4) == b"POST"
            await asyncio.sleep(0.1)  # until all buffers on the way are full
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
            frames = [frame for frame in told.stack if frame.filename != __file__]
            assert any(frame.name == "_flush" for frame in frames)
            assert KEY not in "".join(traceback.StackSummary.from_list(frames).format())
            connection.close()


async def test_closing_while_another_task_connects(
    scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = AsyncAeroDBClient(url_of(scripted), KEY)

    async def meanwhile_closed(*arguments: Any) -> Any:
        wire = await dial(*arguments)
        await client.close()  # as another task may do at this moment
        return wire

    monkeypatch.setattr(direct, "dial", meanwhile_closed)
    error = (await client.from_("t").insert({"a": 1})).error
    assert error is not None
    assert (error.code, error.maybe_applied) == ("CLIENT_CLOSED", False)
    assert scripted.seen == []
    assert client._transport._http.sockets == 0


def test_twenty_loops_one_after_another(scripted: ScriptedServer) -> None:
    client = AsyncAeroDBClient(url_of(scripted), KEY)

    async def three() -> None:
        await asyncio.gather(*(ask(client, number, "t") for number in range(3)))

    asyncio.run(three())
    gc.collect()
    before = descriptors()
    for _ in range(20):
        asyncio.run(three())
    gc.collect()
    assert descriptors() - before <= 2
    assert client._transport._http.sockets == 0
    asyncio.run(client.close())


def test_eight_threads_with_a_loop_each(scripted: ScriptedServer) -> None:
    client = AsyncAeroDBClient(url_of(scripted), KEY)
    failed: list[BaseException] = []

    async def some(name: int) -> None:
        await asyncio.gather(*(ask(client, name * 100 + number, "t") for number in range(12)))

    def run(name: int) -> None:
        try:
            for _ in range(3):
                asyncio.run(some(name))
        except BaseException as error:
            failed.append(error)

    before = threading.active_count() - scripted.now_open
    threads = [threading.Thread(target=run, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(scripted.seen) == 8 * 3 * 12
    asyncio.run(client.close())
    for _ in range(1000):
        if threading.active_count() - scripted.now_open <= before:
            break
        threading.Event().wait(0.01)
    assert threading.active_count() - scripted.now_open <= before


async def test_with_names_the_right_class(scripted: ScriptedServer) -> None:
    client = AsyncAeroDBClient(url_of(scripted), KEY)
    with pytest.raises(TypeError, match=r"async with.*aerodb\.AeroDBClient"), client:
        pass
    await client.close()


def test_nothing_needs_a_loop_before_the_first_call(scripted: ScriptedServer) -> None:
    client = AsyncAeroDBClient(url_of(scripted), KEY)
    query = client.from_("t").select().eq("n", 1)

    async def twice() -> list[Any]:
        return [await query, await query]

    assert all(response.ok for response in asyncio.run(twice()))
    asyncio.run(client.close())
    assert asyncio.run(twice())[0].error.code == "CLIENT_CLOSED"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_asks_on_its_own(scripted: ScriptedServer) -> None:
    client = AsyncAeroDBClient(url_of(scripted), KEY)

    async def many() -> None:
        for number in range(60):
            await ask(client, number * 3, "t")

    pid = _fork_and_run(client, many)
    _, status = os.waitpid(pid, 0)
    assert status == 0
    asyncio.run(client.close())


def _fork_and_run(client: AsyncAeroDBClient, many: Any) -> int:
    """Connections are open in a loop when the process forks; the child runs a loop of its own."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(ask(client, 0, "t"))
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            asyncio.run(many())
            code = 0
        finally:
            os._exit(code)
    loop.run_until_complete(many())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    return pid
