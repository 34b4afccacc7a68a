"""Realtime of the blocking client: threads, forks, and running loops."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aerodb import ClientOptions, RealtimeOptions
from aerodb._io.on_threads import Dispatcher
from aerodb.sync import AeroDBClient
from tests.support.scripted_realtime import ScriptedRealtime


@pytest.fixture
def server() -> Iterator[ScriptedRealtime]:
    with ScriptedRealtime() as running:
        yield running


def make(server: ScriptedRealtime, **settings: Any) -> AeroDBClient:
    realtime = RealtimeOptions(reconnect_delay=0.02, max_reconnect_delay=0.1, **settings)
    options = ClientOptions(trust_env=False, realtime=realtime)
    return AeroDBClient(server.url, "aero_pk_test", options=options)


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def our_threads() -> list[str]:
    return sorted(t.name for t in threading.enumerate() if t.name.startswith("aerodb-realtime"))


def test_two_threads_one_that_reads_and_one_that_calls(server: ScriptedRealtime) -> None:
    callers: set[str] = set()
    with make(server) as client:
        assert our_threads() == []
        channel = client.channel("posts")
        channel.subscribe()
        assert our_threads() == ["aerodb-realtime"]
        for name in ("posts", "users"):
            client.channel(name).on("*", lambda e: callers.add(threading.current_thread().name))
            client.channel(name).subscribe()
        server.insert("posts")
        server.insert("users")
        until(lambda: callers)
        assert our_threads() == ["aerodb-realtime", "aerodb-realtime-handlers"]
        assert all(t.daemon for t in threading.enumerate() if t.name.startswith("aerodb"))
    assert callers == {"aerodb-realtime-handlers"}
    assert our_threads() == []


def test_coroutine_functions_are_refused_when_they_are_given(server: ScriptedRealtime) -> None:
    async def handler(event: Any) -> None: ...

    class Callable_:
        async def __call__(self, event: Any) -> None: ...

    client = make(server)
    channel = client.channel("posts")
    for wrong in (handler, functools.partial(handler), Callable_()):
        for register in (
            functools.partial(channel.on, "INSERT"),
            functools.partial(channel.on_broadcast, "e"),
            functools.partial(channel.on_presence, "sync"),
            client.realtime.on_error,
        ):
            with pytest.raises(TypeError, match="cannot run async handlers"):
                register(wrong)
    with pytest.raises(TypeError, match="cannot run async handlers"):
        channel.subscribe(handler)
    assert server.opened == []


def test_it_works_where_a_loop_is_running(server: ScriptedRealtime) -> None:
    async def notebook() -> list[Any]:
        with make(server) as client:
            channel = client.channel("posts")
            channel.subscribe()
            server.insert("posts", 2)
            return channel.collect(2).unwrap()

    assert len(asyncio.run(notebook())) == 2


def test_many_threads_share_a_client(server: ScriptedRealtime) -> None:
    failures: list[Any] = []
    with make(server) as client:
        room = client.channel("room")
        room.subscribe()

        def work(number: int) -> None:
            for turn in range(20):
                mine = client.channel(f"c{number}")
                for answer in (
                    mine.subscribe(),
                    room.send("n", [number, turn], ack=turn % 4 == 0),
                    mine.unsubscribe() if turn % 2 else client.remove_channel(mine),
                ):
                    if not answer.ok:
                        failures.append(answer.error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures == []
        until(lambda: len(server.frames("broadcast")) == 16 * 20)
        assert len(server.opened) == 1
        for number in range(16):
            sent = [f["payload"] for f in server.frames("broadcast") if f["payload"][0] == number]
            assert sent == [[number, turn] for turn in range(20)]


def test_many_threads_close_at_once(server: ScriptedRealtime) -> None:
    client = make(server)
    client.channel("posts").on("*", lambda event: time.sleep(0.01)).subscribe()
    server.insert("posts", 1000)
    threads = [threading.Thread(target=client.close) for _ in range(50)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert time.monotonic() - began < 10
    until(lambda: not our_threads())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
class Interrupted:
    """A socket at whose first frame Ctrl-C strikes, while another thread has one to send."""

    def __init__(self, client: AeroDBClient, meanwhile: Callable[[], Any] | None) -> None:
        self._link = client.realtime._link
        self._socket: Any = self._link._socket
        self._meanwhile = meanwhile
        self.sent: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def send(self, text: str) -> None:
        if self._meanwhile:
            meanwhile, self._meanwhile = self._meanwhile, None
            self._on_a_thread(meanwhile)
            raise KeyboardInterrupt
        self.sent.append(text)

    def wake(self) -> None:
        self._on_a_thread(self._link.put_out)  # what the reader does, as soon as it can

    def _on_a_thread(self, function: Callable[[], Any]) -> None:
        thread = threading.Thread(target=function)
        thread.start()
        thread.join()


def test_what_others_have_to_send_is_sent_though_who_sends_is_interrupted(
    server: ScriptedRealtime,
) -> None:
    with make(server) as client:
        channel = client.channel("posts")
        channel.subscribe()
        link = client.realtime._link
        socket = Interrupted(client, lambda: channel.send("second"))
        link._socket, whole = socket, link._socket
        with pytest.raises(KeyboardInterrupt):
            channel.send("first")
        link._socket = whole
        assert [text for text in socket.sent if "second" in text] == socket.sent != []


def test_a_forked_child_has_a_connection_of_its_own(server: ScriptedRealtime) -> None:
    heard: list[Any] = []
    with make(server) as client:
        channel = client.channel("posts").on("*", heard.append)
        channel.subscribe()
        server.insert("posts")
        until(lambda: heard)
        readable, writable = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(readable)
            mine: list[Any] = []
            said = "failed"
            try:
                before = (channel.state, client.realtime.status.value)
                channel.on("*", mine.append)
                answer = channel.subscribe()
                channel.send("hello from the child", ack=True)
                client.close()
                said = f"{before} {answer.ok} {len(mine)}"
            finally:
                os.write(writable, said.encode())
                os._exit(0)
        os.close(writable)
        with os.fdopen(readable) as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        assert said == "('idle', 'idle') True 0"
        assert len(server.opened) == 2
        server.insert("posts")
        until(lambda: len(heard) == 2)  # the parent's connection is as good as ever
        assert len(server.opened) == 2


def test_a_handler_that_does_not_end_in_time_is_waited_for_once() -> None:
    """`close()` has waited for it: the end of the program, which comes next, need not (C5)."""
    release = threading.Event()
    dispatcher = Dispatcher("aerodb-realtime-handlers")
    dispatcher.start(release.wait)
    again = threading.Thread(target=dispatcher.close, args=(600,))
    try:
        dispatcher.close(0.1)
        again.start()
        again.join(20)
        assert not again.is_alive()
    finally:
        release.set()
    until(lambda: not our_threads())


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt])
def test_a_handler_that_wants_to_end_the_program_harms_no_other(
    server: ScriptedRealtime, raised: type[BaseException]
) -> None:
    def ends_it(event: Any) -> None:
        raise raised

    with make(server) as client:
        errors: list[Any] = []
        heard: list[int] = []
        client.realtime.on_error(errors.append)
        channel = client.channel("posts").on("INSERT", ends_it)
        channel.on("INSERT", lambda event: heard.append(event.new["id"]))
        channel.subscribe()
        server.insert("posts", 5)
        until(lambda: len(heard) == len(errors) == 5)
        assert heard == [1, 2, 3, 4, 5]
        assert errors[0].code == "HANDLER_FAILED"
