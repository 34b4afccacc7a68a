"""A client of either twin that listens while its connection is ended in every way.

What it heard is judged by what the server made: every change once and in order, or a notice that
covers it (reliability W1, W3).
"""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from aerodb import (
    AeroDBClient,
    AsyncAeroDBClient,
    ClientOptions,
    GapNotice,
    RealtimeOptions,
    RealtimePayload,
)
from tests.support.faults import FaultProxy
from tests.support.scripted_realtime import ScriptedRealtime

Twin = Literal["aio", "sync"]
CHANNEL, KEY = "posts", "aero_pk_test"
HANG = 60.0
KINDS: tuple[int | str, ...] = (1000, 1001, 1006, 1011, 1012, "reset", "half-open")


def comes(condition: Callable[[], Any], seconds: float) -> bool:
    """Whether something comes to be so in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so."""
    assert comes(condition, HANG), "it did not come about"


@contextmanager
def listening(twin: Twin, url: str, handler: Callable[[Any], Any], **more: Any) -> Iterator[Any]:
    """A channel of such a client, which hands over every change and every notice."""
    settings = {"heartbeat": 0.2, "reconnect_delay": 0.005, "max_reconnect_delay": 0.02, **more}
    realtime = RealtimeOptions(**settings)
    options = ClientOptions(trust_env=False, connect_timeout=0.5, realtime=realtime)
    if twin == "sync":
        with AeroDBClient(url, KEY, options=options) as client:
            channel = client.channel(CHANNEL).on("*", handler).on_gap(handler)
            channel.subscribe().unwrap()
            yield channel
        return
    ready, done, made = threading.Event(), asyncio.Event(), list[Any]()

    async def run() -> None:
        async with AsyncAeroDBClient(url, KEY, options=options) as client:
            channel = client.channel(CHANNEL).on("*", handler).on_gap(handler)
            (await channel.subscribe()).unwrap()
            made.extend((channel, asyncio.get_running_loop()))
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert ready.wait(HANG)
        yield made[0]
    finally:
        made[1].call_soon_threadsafe(done.set)
        thread.join(HANG)


def end(server: ScriptedRealtime, proxy: FaultProxy, kind: int | str, channel: Any) -> None:
    """End the connection in one of the ways."""
    if kind == "reset":
        server.reset()
    elif kind == "half-open":
        proxy.set("blackhole")
        until(lambda: not channel.subscribed)
        server.reset()  # the server's own half of it
        proxy.set("pass")
    else:
        server.kill(int(kind))


def kills(twin: Twin, count: int, seed: int = 0) -> tuple[int, list[Any]]:
    """End the connection so many times; how many were opened after the first, and what was heard.

    Every change must have been heard once: the server remembers all of them.
    """
    chance, kinds, heard = random.Random(seed), itertools.cycle(KINDS), list[Any]()
    with ScriptedRealtime() as server, FaultProxy(server.port) as proxy:
        with listening(twin, f"http://127.0.0.1:{proxy.port}", heard.append) as channel:
            for number in range(count):
                server.insert(CHANNEL, chance.randint(0, 20))
                time.sleep(chance.random() * 0.005)
                opened = len(server.opened)
                end(server, proxy, next(kinds), channel)
                until(lambda opened=opened: len(server.opened) > opened and channel.subscribed)
                assert len(server.opened) == number + 2
            server.insert(CHANNEL)
            until(lambda: heard and heard[-1].sequence == server.seq)
        assert [one.sequence for one in heard] == list(range(1, server.seq + 1))
        return len(server.opened) - 1, heard


def numbered(twin: Twin, seed: int, events: int = 1000, ends: int = 20) -> dict[str, int]:
    """Numbered changes, and an end at random points among them; whoever is late may be too late.

    Returns how many were heard, how many were told to be missing, and how many connections it took.
    Raises AssertionError if a change came twice, out of order, or was lost in silence.
    """
    chance, heard = random.Random(seed), list[Any]()
    at = set(chance.sample(range(events), ends))
    ring = (10_000, 25)[seed % 2]
    with ScriptedRealtime(ring=ring) as server, FaultProxy(server.port) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        with listening(twin, url, heard.append, max_queue=10_000) as channel:
            for number in range(events):
                server.insert(CHANNEL)
                if number in at:
                    if chance.random() < 0.9:  # else while it is being made anew
                        until(lambda: channel.subscribed)
                    end(server, proxy, chance.choice(KINDS), channel)
                    server.insert(CHANNEL, chance.randint(0, 40))
            for _ in range(int(HANG)):  # one that came too late for the server's memory is told of
                server.insert(CHANNEL)
                if comes(lambda: heard and getattr(heard[-1], "sequence", 0) == server.seq, 1.0):
                    break
            else:
                raise AssertionError("changes do not come any more")
        return judge(heard, server.seq) | {"connections": len(server.opened)}


def judge(heard: list[Any], made: int) -> dict[str, int]:
    """Whether each of the numbers 1 to `made` was heard once and in order, or covered."""
    seen = [one.sequence for one in heard if isinstance(one, RealtimePayload)]
    assert len(seen) == len(set(seen)), "a change was delivered twice"
    assert seen == sorted(seen), "changes came out of order"
    gaps = [one for one in heard if isinstance(one, GapNotice)]
    missing = sorted(set(range(1, made + 1)) - set(seen))
    silent = [n for n in missing if not any((g.after or 0) < n <= (g.until or made) for g in gaps)]
    assert silent == [], f"lost in silence: {silent}"
    return {"heard": len(seen), "told": len(missing), "notices": len(gaps)}
