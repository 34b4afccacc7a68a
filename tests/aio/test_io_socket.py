# SOURCE OF TRUTH of both twins: edit here, then run scripts/generate.py
"""The contract of the shim's WebSocket, the same on both sides, over real sockets."""

from __future__ import annotations

import gc
import pickle
import socket
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from aerodb._core.websocket import SocketClosed, SocketSettings
from aerodb._io.on_asyncio import WebSocket, Worker, monotonic, pause
from tests.support.faults import FaultProxy
from tests.support.scripted import ScriptedServer, hold, reset, send, wait
from tests.support.sockets import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Ears,
    SocketServer,
    answer_pings,
    close_frame,
    dribble,
    frame,
    upgrade,
)

SOON = 20.0
QUICK = SocketSettings(ping_interval=0.3, ping_timeout=0.3, trust_env=False)


@pytest.fixture
def server() -> Iterator[SocketServer]:
    with SocketServer() as running:
        yield running


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


async def connected(
    where: SocketServer | ScriptedServer | FaultProxy, path: str = "/echo", **settings: Any
) -> WebSocket:
    chosen = SocketSettings(**{"trust_env": False, **settings})
    return await WebSocket.connect(f"ws://127.0.0.1:{where.port}{path}", [], chosen, SOON)


async def end_of(ws: WebSocket) -> SocketClosed:
    """What the next `receive` raises."""
    with pytest.raises(SocketClosed) as caught:
        await ws.receive(SOON)
    return caught.value


async def until(condition: Any) -> None:
    """Wait for something that another thread is about to do."""
    give_up = monotonic() + 30
    while not condition():
        assert monotonic() < give_up
        await pause(0.005)


# Messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 900_000])
async def test_a_text_arrives_whole_in_both_directions(server: SocketServer, size: int) -> None:
    text = "å" * (size // 4) + "x" * (size - size // 4 * 2)
    ws = await connected(server)
    await ws.send(text)
    assert await ws.receive(SOON) == text
    assert server.received[-1] == text
    await ws.close()


async def test_binary_messages_are_bytes(server: SocketServer) -> None:
    ws = await connected(server)
    await ws.send("!binary 3")
    assert await ws.receive(SOON) == b"\x00\x01\x02"
    await ws.close()


async def test_messages_arrive_in_order(server: SocketServer) -> None:
    ws = await connected(server)
    await ws.send("!burst 1000")
    assert [await ws.receive(SOON) for _ in range(1000)] == [str(n) for n in range(1000)]
    assert await ws.receive(0) is None
    await ws.close()


async def test_nothing_in_time_is_none(server: SocketServer) -> None:
    ws = await connected(server)
    for seconds in (0, 0.05):
        started = monotonic()
        assert await ws.receive(seconds) is None
        assert monotonic() - started < 5
    await ws.send("still there")
    assert await ws.receive(None) == "still there"
    await ws.close()


@pytest.mark.parametrize("packet", [1, 3, 1000])
async def test_frames_may_come_in_any_pieces(scripted: ScriptedServer, packet: int) -> None:
    wire = frame(TEXT, b"one") + frame(TEXT, b"two" * 100) + frame(BINARY, b"x" * 3)
    scripted.on("/", [upgrade(), dribble(wire, packet), answer_pings()])
    ws = await connected(scripted, "/")
    assert [await ws.receive(SOON) for _ in range(3)] == ["one", "two" * 100, b"xxx"]
    await ws.close()


async def test_what_comes_together_with_the_handshake_is_kept(scripted: ScriptedServer) -> None:
    scripted.on("/", [upgrade(frame(TEXT, b"a") + frame(TEXT, b"b")), answer_pings()])
    ws = await connected(scripted, "/")
    assert [await ws.receive(SOON), await ws.receive(SOON)] == ["a", "b"]
    await ws.close()


async def test_fragments_are_put_together_around_control_frames(scripted: ScriptedServer) -> None:
    euro = "€".encode()
    wire = [
        frame(TEXT, b"a" + euro[:1], fin=False), frame(PING, b"!"),
        frame(CONT, euro[1:2], fin=False), frame(CONT, fin=False), frame(CONT, euro[2:] + b"z"),
        frame(BINARY, b"1", fin=False), frame(CONT, b"2"), frame(TEXT, b"next"),
    ]  # fmt: skip
    ears = Ears()
    scripted.on("/", [upgrade(b"".join(wire)), ears.listen(1), answer_pings()])
    ws = await connected(scripted, "/")
    assert [await ws.receive(SOON) for _ in range(3)] == ["a€z", b"12", "next"]
    await until(lambda: ears.frames == [(PONG, b"!")])
    await ws.close()


# Waking


async def test_wake_ends_the_wait_that_is_under_way(server: SocketServer) -> None:
    ws = await connected(server)
    got: list[Any] = []

    async def read() -> None:
        got.append(await ws.receive(None))
        got.append(await ws.receive(SOON))

    worker = Worker(read, "reader")
    await pause(0.1)
    ws.wake()
    await until(lambda: got)
    await ws.send("x")
    assert await worker.join(SOON)
    assert got == [None, "x"]
    await ws.close()


async def test_wake_from_another_thread(server: SocketServer) -> None:
    ws = await connected(server)
    timer = threading.Timer(0.1, ws.wake)
    timer.start()
    assert await ws.receive(None) is None
    timer.join()
    await ws.close()


async def test_wake_is_kept_for_the_next_receive_and_loses_nothing(server: SocketServer) -> None:
    ws = await connected(server)
    await ws.send("!burst 2")
    assert await ws.receive(SOON) == "0"
    ws.wake()
    ws.wake()
    assert await ws.receive(SOON) is None
    assert await ws.receive(SOON) == "1"
    assert await ws.receive(0) is None
    await ws.close()


# How it ends


@pytest.mark.parametrize(("code", "reason"), [
    (1000, ""), (1001, "going"), (1011, "oops"), (1012, "restart"), (4008, "slow_consumer ä")
])  # fmt: skip
async def test_the_peers_close_is_told_after_what_came_before(
    server: SocketServer, code: int, reason: str
) -> None:
    ws = await connected(server)
    await ws.send("!burst 3")
    await ws.send(f"!close {code} {reason}")
    assert [await ws.receive(SOON) for _ in range(3)] == ["0", "1", "2"]
    for _ in range(2):
        error = await end_of(ws)
        assert (error.code, error.reason) == (code, reason)
    with pytest.raises(SocketClosed) as caught:
        await ws.send("too late")
    assert caught.value.code == code
    await ws.close()


async def test_a_close_without_a_code_is_1005(scripted: ScriptedServer) -> None:
    ears = Ears()
    scripted.on("/", [upgrade(frame(CLOSE)), ears.until_close()])
    ws = await connected(scripted, "/")
    assert (await end_of(ws)).code == 1005
    await until(ears.over.is_set)
    assert ears.frames == [(CLOSE, b"")]
    await ws.close()


async def test_closing_tells_the_peer(server: SocketServer) -> None:
    ws = await connected(server)
    await ws.close(4001, "bye")
    await until(lambda: server.ended)
    assert server.ended == [(4001, "bye")]
    await ws.close()
    await ws.close(1000)
    with pytest.raises(SocketClosed):
        await ws.receive(None)
    with pytest.raises(SocketClosed):
        await ws.send("x")


@pytest.mark.parametrize(("code", "reason"), [(999, ""), (1005, ""), (5000, ""), (1000, "x" * 124)])
async def test_a_close_that_cannot_be_sent_is_wrong_python(
    server: SocketServer, code: int, reason: str
) -> None:
    ws = await connected(server)
    with pytest.raises(ValueError):
        await ws.close(code, reason)
    await ws.close()


async def test_closing_is_bounded_if_the_peer_never_answers(scripted: ScriptedServer) -> None:
    ears, done = Ears(), threading.Event()
    scripted.on("/", [upgrade(), ears.until_close(hang_up=False), hold(done)])
    ws = await connected(scripted, "/")
    started = monotonic()
    await ws.close(timeout=0.2)
    assert monotonic() - started < 10
    await until(ears.over.is_set)
    assert ears.close_code == 1000
    done.set()


async def test_closing_wakes_who_receives(server: SocketServer) -> None:
    ws = await connected(server)
    ends: list[int] = []

    async def read() -> None:
        ends.append((await end_of(ws)).code)

    worker = Worker(read, "reader")
    await pause(0.1)
    await ws.close()
    assert await worker.join(SOON)
    assert ends == [1000]


async def test_many_may_close_at_once(server: SocketServer) -> None:
    ws = await connected(server)
    workers = [Worker(ws.close, f"closer-{number}") for number in range(100)]
    for worker in workers:
        assert await worker.join(SOON)
    await until(lambda: server.ended)
    assert server.ended == [(1000, "")]


async def test_closing_in_the_middle_of_a_flood(server: SocketServer) -> None:
    ws = await connected(server, "/flood")
    assert await ws.receive(SOON)
    await ws.close(timeout=10)
    await until(lambda: server.ended)
    assert server.ended == [(1000, "")]


async def test_abort_tells_nobody(server: SocketServer) -> None:
    ws = await connected(server)
    ws.abort()
    assert (await end_of(ws)).code == 1006
    await until(lambda: server.ended)
    assert server.ended == [(1006, "")]
    await ws.close()
    ws.abort()


@pytest.mark.parametrize("how", ["cut", "reset", "cut in a frame"])
async def test_a_lost_connection_is_1006(server: SocketServer, how: str) -> None:
    with FaultProxy(server.port) as proxy:
        ws = await connected(proxy)
        await ws.send("before")
        assert await ws.receive(SOON) == "before"
        if how == "cut":
            proxy.cut_all()
        elif how == "reset":
            proxy.set("reset")
            await ws.send("x")
        else:
            proxy.set("cut", size=100)
            await ws.send("x" * 1000)
        assert (await end_of(ws)).code == 1006
        with pytest.raises(SocketClosed) as caught:
            await ws.send("after")
        assert caught.value.code == 1006
        await ws.close()


async def test_what_came_before_a_reset_is_received(scripted: ScriptedServer) -> None:
    wire = frame(TEXT, b"1") + frame(PING) + frame(TEXT, b"2") + frame(PING) + frame(TEXT, b"3")
    scripted.on("/", [upgrade(wire), wait(0.2), reset()])
    ws = await connected(scripted, "/")
    assert await ws.receive(SOON) == "1"
    await pause(0.5)
    assert [await ws.receive(SOON), await ws.receive(SOON)] == ["2", "3"]
    assert (await end_of(ws)).code == 1006
    await ws.close()


# Life and death


async def test_a_dead_link_is_noticed(server: SocketServer) -> None:
    with FaultProxy(server.port) as proxy:
        settings = {"ping_interval": 0.3, "ping_timeout": 0.3}
        ws = await connected(proxy, **settings)
        await ws.send("before")
        assert await ws.receive(SOON) == "before"
        proxy.set("blackhole")
        started = monotonic()
        error = await end_of(ws)
        assert (error.code, error.reason) == (1006, "the peer does not answer pings")
        assert 0.3 < monotonic() - started < 10
        await ws.close()


async def test_a_dead_link_is_noticed_by_short_waits_too(server: SocketServer) -> None:
    with FaultProxy(server.port) as proxy:
        ws = await connected(proxy, ping_interval=0.3, ping_timeout=0.3)
        proxy.set("blackhole")
        give_up = monotonic() + SOON
        with pytest.raises(SocketClosed):
            while monotonic() < give_up:
                assert await ws.receive(0.02) is None
        await ws.close()


async def test_a_quiet_link_lives_on(server: SocketServer) -> None:
    ws = await connected(server, ping_interval=0.1, ping_timeout=0.5)
    assert await ws.receive(1.5) is None
    await ws.send("here")
    assert await ws.receive(SOON) == "here"
    await ws.close()


async def test_any_byte_is_a_sign_of_life(scripted: ScriptedServer) -> None:
    talk = [step for number in range(20) for step in (send(frame(TEXT, b"%d" % number)), wait(0.1))]
    scripted.on("/", [upgrade(), *talk, hold(threading.Event())])
    ws = await connected(scripted, "/", ping_interval=0.3, ping_timeout=0.4)
    for number in range(20):
        assert await ws.receive(SOON) == str(number)
    assert (await end_of(ws)).code == 1006
    await ws.close()


async def test_pings_are_answered(scripted: ScriptedServer) -> None:
    ears = Ears()
    scripted.on("/", [
        upgrade(frame(PING, b"first")), ears.listen(1),
        send(frame(PING, b"x" * 125)), ears.listen(1), send(frame(TEXT, b"done")), answer_pings(),
    ])  # fmt: skip
    ws = await connected(scripted, "/")
    assert await ws.receive(SOON) == "done"
    assert ears.frames == [(PONG, b"first"), (PONG, b"x" * 125)]
    await ws.close()


async def test_a_flood_of_pings_costs_no_message(scripted: ScriptedServer) -> None:
    ears = Ears()
    pings = b"".join(frame(PING, b"%d" % number) for number in range(20_000))
    scripted.on("/", [upgrade(), send(pings), send(frame(TEXT, b"done")), ears.until_close()])
    ws = await connected(scripted, "/")
    assert await ws.receive(60) == "done"
    await ws.close()
    await until(ears.over.is_set)
    pongs = [payload for opcode, payload in ears.frames if opcode == PONG]
    assert pongs[-1] == b"19999"


async def test_a_slow_consumer_loses_neither_messages_nor_the_link(server: SocketServer) -> None:
    ws = await connected(server, "/flood", ping_interval=0.2, ping_timeout=0.2)
    await pause(1.0)
    for number in range(20):
        message = await ws.receive(SOON)
        assert isinstance(message, str)
        assert int(message.rstrip(".")) == number
        await pause(0.1)
    for number in range(20, 20_000):
        message = await ws.receive(SOON)
        assert isinstance(message, str)
        assert int(message.rstrip(".")) == number
    await ws.close(timeout=10)


# Sending


async def test_sending_waits_for_a_slow_peer(server: SocketServer) -> None:
    ws = await connected(server)
    await ws.send("!sleep 0.5")
    for number in range(40):
        await ws.send(f"{number:04d}" + "x" * 200_000)
    for number in range(40):
        message = await ws.receive(SOON)
        assert isinstance(message, str)
        assert (message[:4], len(message)) == (f"{number:04d}", 200_004)
    await ws.close()


async def test_sending_does_not_wait_for_ever(scripted: ScriptedServer) -> None:
    done = threading.Event()
    scripted.on("/", [upgrade(), hold(done)])
    ws = await connected(scripted, "/", ping_interval=0.3, ping_timeout=0.3)
    with pytest.raises(SocketClosed) as caught:
        for _ in range(200):
            await ws.send("x" * 200_000)
    assert caught.value.code == 1006
    await ws.close()
    done.set()


async def test_many_senders_and_a_reader(server: SocketServer) -> None:
    ws = await connected(server)
    got: list[str] = []

    async def read() -> None:
        while len(got) < 8 * 50:
            message = await ws.receive(SOON)
            assert isinstance(message, str)
            got.append(message)

    async def write(name: int) -> None:
        for number in range(50):
            await ws.send(f"{name}:{number:03d}:" + str(name) * (number * 997 % 40_000))

    def writer(name: int) -> Worker:
        async def run() -> None:
            await write(name)

        return Worker(run, f"writer-{name}")

    workers = [Worker(read, "reader"), *(writer(name) for name in range(8))]
    for worker in workers:
        assert await worker.join(60)
    for name in range(8):
        mine = [text for text in got if text.startswith(f"{name}:")]
        assert [text[2:5] for text in mine] == [f"{number:03d}" for number in range(50)]
        assert all(set(text[6:]) <= {str(name)} for text in mine)
    await ws.close()


# What peers must not do


@pytest.mark.parametrize("fragments", [1, 2, 50])
async def test_too_large_a_message_is_refused_and_the_peer_told(
    scripted: ScriptedServer, fragments: int
) -> None:
    ears = Ears()
    piece = b"x" * (1001 // fragments + 1)
    wire = [
        frame(TEXT if number == 0 else CONT, piece, fin=number == fragments - 1)
        for number in range(fragments)
    ]
    scripted.on("/", [upgrade(frame(TEXT, b"y" * 1000) + b"".join(wire)), ears.until_close()])
    ws = await connected(scripted, "/", max_message_bytes=1000)
    assert await ws.receive(SOON) == "y" * 1000
    assert (await end_of(ws)).code == 1009
    await until(ears.over.is_set)
    assert ears.close_code == 1009
    await ws.close()


async def test_a_huge_frame_is_refused_by_its_head(scripted: ScriptedServer) -> None:
    ears = Ears()
    head = frame(TEXT, b"x" * 70_000)[:2] + (1 << 40).to_bytes(8, "big")
    scripted.on("/", [upgrade(head + b"x" * 100), ears.until_close()])
    ws = await connected(scripted, "/")
    assert (await end_of(ws)).code == 1009
    await until(ears.over.is_set)
    assert ears.close_code == 1009
    await ws.close()


async def test_a_message_in_countless_fragments_is_refused(scripted: ScriptedServer) -> None:
    ears = Ears()
    wire = frame(TEXT, b"x", fin=False) + frame(CONT, b"x", fin=False) * 20_000
    scripted.on("/", [upgrade(), send(wire), ears.until_close()])
    ws = await connected(scripted, "/")
    assert (await end_of(ws)).code == 1009
    await until(ears.over.is_set)
    assert ears.close_code == 1009
    await ws.close()


@pytest.mark.parametrize("wire", [
    frame(TEXT, b"\xff"), frame(TEXT, b"\xed\xa0\x80"),
    frame(TEXT, b"\xe2", fin=False) + frame(CONT, b"x"),
])  # fmt: skip
async def test_text_that_is_not_utf8_is_refused(scripted: ScriptedServer, wire: bytes) -> None:
    ears = Ears()
    scripted.on("/", [upgrade(wire), ears.until_close()])
    ws = await connected(scripted, "/")
    assert (await end_of(ws)).code == 1007
    await until(ears.over.is_set)
    assert ears.close_code == 1007
    await ws.close()


@pytest.mark.parametrize("wire", [
    frame(TEXT, b"x", masked=True), frame(TEXT, b"x", rsv=4), frame(TEXT, b"x", rsv=1),
    frame(3, b"x"), frame(11, b"x"), frame(PING, b"x" * 126), frame(PING, b"x", fin=False),
    frame(PONG, b"x" * 126), frame(CONT, b"x"), frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"),
    frame(TEXT, b"x", fin=False) + frame(BINARY, b"y", fin=False),
    frame(CLOSE, b"x"), close_frame(999), close_frame(1005), close_frame(1006),
], ids=[
    "masked", "compressed", "rsv3", "opcode 3", "opcode 11", "long ping", "ping in pieces",
    "long pong", "orphan", "text in text", "binary in text", "half a code", "999", "1005", "1006",
])  # fmt: skip
async def test_broken_frames_end_the_connection(scripted: ScriptedServer, wire: bytes) -> None:
    ears = Ears()
    scripted.on("/", [upgrade(frame(TEXT, b"fine") + wire), ears.until_close()])
    ws = await connected(scripted, "/")
    assert await ws.receive(SOON) == "fine"
    assert (await end_of(ws)).code == 1002
    await until(ears.over.is_set)
    assert ears.close_code == 1002
    await ws.close()


# Housekeeping


async def test_a_forgotten_socket_is_told_of_and_let_go(server: SocketServer) -> None:
    ws = await connected(server)
    held = [ws]
    del ws
    with pytest.warns(ResourceWarning, match="unclosed AeroDB WebSocket"):
        held.clear()
    gc.collect()
    await until(lambda: server.ended)


async def test_nothing_is_left_over() -> None:
    with SocketServer() as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        for end in ("close", "abort", "peer"):
            ws = await connected(server)
            if end == "close":
                await ws.close()
            elif end == "abort":
                ws.abort()
            else:
                await ws.send("!close 1000")
                await end_of(ws)
            del ws
            gc.collect()
        await until(lambda: server.now_open == 0)


async def test_a_socket_is_not_pickled(server: SocketServer) -> None:
    ws = await connected(server)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(ws)
    await ws.close()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_localhost_is_either_loopback_address(family: socket.AddressFamily) -> None:
    address = "127.0.0.1" if family == socket.AF_INET else "::1"
    with ScriptedServer(address=address) as server:
        server.on("/", [upgrade(frame(TEXT, b"hello")), answer_pings()])
        ws = await WebSocket.connect(f"ws://localhost:{server.port}/", [], QUICK, SOON)
        assert await ws.receive(SOON) == "hello"
        await ws.close()
