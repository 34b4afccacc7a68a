"""What only the async WebSocket meets: cancellation, several loops, the end of a loop."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame
from websockets.protocol import OPEN, Protocol, Side

from aerodb._core.http import TransportError
from aerodb._core.websocket import SocketClosed, SocketSettings
from aerodb._io.assembly import Assembly
from aerodb._io.on_asyncio import WebSocket
from aerodb._io.on_asyncio.intake import Intake
from aerodb._io.on_asyncio.link import ENOUGH
from tests.support.scripted import ScriptedServer, hold, send, wait
from tests.support.sockets import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Ears,
    SocketServer,
    close_frame,
    frame,
    open_descriptors,
    upgrade,
)

SOON = 20.0
PLAIN = SocketSettings(trust_env=False)


@pytest.fixture
def server() -> Iterator[SocketServer]:
    with SocketServer() as running:
        yield running


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # another thread's doing
            await asyncio.sleep(0.005)


# Cancellation


async def test_cancelling_receive_loses_nothing(scripted: ScriptedServer) -> None:
    talk = [send(frame(TEXT, b"%d" % number)) for number in range(300)]
    steps = [step for pair in zip(talk, [wait(0.002)] * 300, strict=True) for step in pair]
    scripted.on("/", [upgrade(), *steps, hold(threading.Event())])
    ws = await WebSocket.connect(f"ws://127.0.0.1:{scripted.port}/", [], PLAIN, SOON)
    chance = random.Random(7)
    got: list[str] = []

    async def read() -> None:
        message = await ws.receive(SOON)
        assert isinstance(message, str)
        got.append(message)

    cancelled = 0
    while len(got) < 300:
        task = asyncio.create_task(read())
        await asyncio.sleep(chance.choice([0, 0.001, 0.002, 0.004]))
        task.cancel()
        cancelled += (await asyncio.gather(task, return_exceptions=True))[0] is not None
    assert got == [str(number) for number in range(300)]
    assert cancelled > 5
    await ws.close(timeout=0)


async def test_cancelling_connect_leaves_nothing_behind(scripted: ScriptedServer) -> None:
    scripted.on("/", [wait(0.005), upgrade(frame(TEXT, b"x")), hold(threading.Event())])
    url = f"ws://127.0.0.1:{scripted.port}/"
    chance = random.Random(7)
    before = open_descriptors()
    done = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(150):
            task = asyncio.create_task(WebSocket.connect(url, [], PLAIN, SOON))
            await asyncio.sleep(chance.uniform(0, 0.012))
            task.cancel()
            try:
                ws = await task
            except asyncio.CancelledError:
                continue
            done += 1
            ws.abort()
        gc.collect()
    assert 0 < done < 150
    scripted.hang_up()
    await until(lambda: open_descriptors() <= before + scripted.now_open)


async def test_cancelling_send_keeps_the_frame_whole(scripted: ScriptedServer) -> None:
    ears, go = Ears(), threading.Event()
    scripted.on("/", [upgrade(), hold(go), ears.until_close()])
    ws = await WebSocket.connect(f"ws://127.0.0.1:{scripted.port}/", [], PLAIN, SOON)
    sent = 0
    while True:
        task = asyncio.create_task(ws.send(f"{sent:04d}" + "x" * 500_000))
        sent += 1
        await asyncio.sleep(0.01)
        if task.cancel():
            break
    assert (await asyncio.gather(task, return_exceptions=True))[0] is not None
    go.set()
    await ws.send("after")
    await ws.close()
    await until(ears.over.is_set)
    texts = [payload for opcode, payload in ears.frames if opcode == TEXT]
    wanted = [(b"%04d" % number, 500_004) for number in range(sent)]
    assert [(text[:4], len(text)) for text in texts] == [*wanted, (b"afte", 5)]


async def test_a_cancelled_close_has_closed(scripted: ScriptedServer) -> None:
    scripted.on("/", [upgrade(), hold(threading.Event())])
    ws = await WebSocket.connect(f"ws://127.0.0.1:{scripted.port}/", [], PLAIN, SOON)
    task = asyncio.create_task(ws.close(timeout=60))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(SocketClosed):
        await ws.receive(SOON)


# Tasks and loops


async def test_two_receivers_are_a_mistake(server: SocketServer) -> None:
    ws = await WebSocket.connect(server.url(), [], PLAIN, SOON)
    first = asyncio.create_task(ws.receive(SOON))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="another task"):
        await ws.receive(SOON)
    ws.wake()
    assert await first is None
    await ws.close()


async def test_others_have_their_turn_in_a_flood(server: SocketServer) -> None:
    ws = await WebSocket.connect(server.url("/flood"), [], PLAIN, SOON)
    await asyncio.sleep(0.3)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(3_000):
        await ws.receive(SOON)
    assert turns >= 3_000 // 100 - 1
    task.cancel()
    ws.abort()


async def test_what_waits_to_be_received_is_bounded(server: SocketServer) -> None:
    quick = SocketSettings(ping_interval=0.1, ping_timeout=0.1, trust_env=False)
    ws = await WebSocket.connect(server.url("/flood"), [], quick, SOON)
    await until(lambda: ws._link.is_paused)
    await asyncio.sleep(0.5)  # several times what an unanswered ping may take
    assert ENOUGH < ws._link._intake.held < ENOUGH + 1024 * 1024
    for number in range(20_000):
        message = await ws.receive(SOON)
        assert isinstance(message, str)
        assert int(message.rstrip(".")) == number
    ws.abort()


async def test_from_another_loop(server: SocketServer) -> None:
    ws = await WebSocket.connect(server.url(), [], PLAIN, SOON)

    async def elsewhere() -> None:
        await ws.send("from elsewhere")
        await asyncio.sleep(0.05)
        ws.wake()

    await asyncio.to_thread(asyncio.run, elsewhere())
    assert {await ws.receive(SOON), await ws.receive(SOON)} == {"from elsewhere", None}
    await asyncio.to_thread(asyncio.run, ws.close(4002, "elsewhere"))
    with pytest.raises(SocketClosed):
        while True:
            await ws.receive(SOON)
    await until(lambda: server.ended == [(4002, "elsewhere")])


async def test_abort_from_another_thread(server: SocketServer) -> None:
    ws = await WebSocket.connect(server.url(), [], PLAIN, SOON)
    threading.Timer(0.05, ws.abort).start()
    with pytest.raises(SocketClosed):
        await ws.receive(None)


def test_a_socket_ends_with_its_loop(server: SocketServer) -> None:
    held: list[WebSocket] = []

    async def main() -> None:
        held.append(await WebSocket.connect(server.url(), [], PLAIN, SOON))
        await held[0].send("x")

    async def later() -> None:
        with pytest.raises(SocketClosed):
            await held[0].send("y")
        await held[0].close()
        held[0].abort()
        held[0].wake()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main())
        asyncio.run(until_ended(server))
        asyncio.run(later())
        held.clear()
        gc.collect()


async def until_ended(server: SocketServer) -> None:
    await until(lambda: server.ended)


def test_a_socket_whose_loop_was_not_shut_down_is_no_trap(server: SocketServer) -> None:
    loop = asyncio.new_event_loop()
    ws = loop.run_until_complete(WebSocket.connect(server.url(), [], PLAIN, SOON))
    asyncio.run(ws.close())  # its loop stands still: nothing can be said, but nothing hangs
    loop.run_until_complete(asyncio.sleep(0.05))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()

    async def later() -> None:
        with pytest.raises(SocketClosed):
            await ws.send("x")

    asyncio.run(later())


async def test_a_blocked_loop_does_not_cost_the_link(server: SocketServer) -> None:
    quick = SocketSettings(ping_interval=0.2, ping_timeout=0.2, trust_env=False)
    ws = await WebSocket.connect(server.url(), [], quick, SOON)
    for _ in range(3):
        await asyncio.sleep(0.25)  # a ping is on its way
        threading.Event().wait(0.6)  # a handler of the user's that blocks
        await asyncio.sleep(0)
    await ws.send("still there")
    assert await ws.receive(SOON) == "still there"
    await ws.close()


async def test_cancelled_by_a_deadline_of_the_callers_own(scripted: ScriptedServer) -> None:
    scripted.on("/", [hold(threading.Event())])
    with pytest.raises(TimeoutError):  # not TransportError: it was not our deadline
        async with asyncio.timeout(0.1):
            await WebSocket.connect(f"ws://127.0.0.1:{scripted.port}/", [], PLAIN, SOON)
    with pytest.raises(TransportError):
        await WebSocket.connect(f"ws://127.0.0.1:{scripted.port}/", [], PLAIN, 0.1)


# Frames


@st.composite
def wires(draw: st.DrawFn) -> bytes:
    """Frames, mostly right ones."""
    made: list[bytes] = []
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["text"] * 6 + ["binary", "pieces", "ping", "pong", "odd"]))
        size = draw(st.sampled_from([0, 1, 5, 125, 126, 127, 300, 1000, 1001]))
        payload = draw(st.sampled_from([b"x", "€".encode(), b"\xff"] if kind == "odd" else [b"x"]))
        data = (payload * size)[:size]
        if kind == "text":
            made.append(frame(TEXT, data))
        elif kind == "binary":
            made.append(frame(BINARY, data))
        elif kind == "pieces":
            cut = draw(st.integers(0, size))
            made += [frame(TEXT, data[:cut], fin=False), frame(PING), frame(CONT, data[cut:])]
        elif kind in ("ping", "pong"):
            made.append(frame(PING if kind == "ping" else PONG, data[:125]))
        else:
            opcode = draw(st.sampled_from([TEXT, CONT, BINARY, 3, CLOSE, PING]))
            rsv = draw(st.sampled_from([0, 0, 4]))
            masked, fin = draw(st.booleans()), draw(st.booleans())
            made.append(frame(opcode, data, rsv=rsv, masked=masked, fin=fin))
    if draw(st.booleans()):
        made.append(close_frame(4000, "over"))
    return b"".join(made)


def by_the_library_alone(wire: bytes, limit: int) -> tuple[list[str | bytes], int | None]:
    """Messages, and the code that the connection ends with."""
    protocol, assembly = Protocol(Side.CLIENT, max_size=limit), Assembly(limit)
    messages: list[str | bytes] = []
    protocol.receive_data(wire)
    for event in protocol.events_received():
        assert isinstance(event, Frame)
        if event.opcode in (TEXT, BINARY, CONT):
            try:
                message = assembly.add(event.opcode, event.fin, event.data)
            except SocketClosed as error:
                return messages, error.code
            if message is not None:
                messages.append(message)
    return messages, None if protocol.close_sent is None else protocol.close_sent.code


@settings(max_examples=200)
@given(wires(), st.lists(st.integers(1, 400), max_size=40))
def test_the_quick_reader_and_the_library_agree(wire: bytes, cuts: list[int]) -> None:
    protocol = Protocol(Side.CLIENT, max_size=1000)
    intake = Intake(protocol, 1000)
    code: int | None = None
    at = 0
    for size in [*cuts, len(wire)]:
        piece, at = wire[at : at + size], at + size
        try:
            intake.feed(piece)
        except SocketClosed as error:
            code = error.code
            break
        if protocol.state is not OPEN:
            assert protocol.close_sent is not None
            code = int(protocol.close_sent.code)
            break
    assert (list(intake.inbox), code) == by_the_library_alone(wire, 1000)


def test_what_is_held_is_counted_and_given_back() -> None:
    intake = Intake(Protocol(Side.CLIENT, max_size=10_000), 10_000)
    intake.feed(frame(TEXT, b"x" * 50) + frame(BINARY, b"y" * 300) + frame(TEXT, b"z" * 9_000))
    assert intake.held > 9_350
    while intake.inbox:
        intake.take()
    assert intake.held == 0
