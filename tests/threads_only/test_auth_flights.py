"""Many threads, one session: one refresh (reliability R1, R10)."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aerodb._core.options import ClientOptions
from aerodb.sync import AeroDBClient
from tests.support.bearer_echo import BearerEcho
from tests.support.scripted import ScriptedServer
from tests.support.token_desk import Gate, TokenDesk

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


def notes(client: AeroDBClient) -> Any:
    return client.from_("notes").select().execute()


def together(number: int, act: Callable[[int], None]) -> None:
    """Run `act(0)` ... `act(number - 1)` at once; what one of them raises fails the test."""
    failures: list[BaseException] = []
    gate = threading.Barrier(number)

    def run(index: int) -> None:
        try:
            gate.wait(SOON)
            act(index)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert not failures, failures[0]
    assert not any(thread.is_alive() for thread in threads)


def test_64_threads_refresh_once(scripted: ScriptedServer, desk: TokenDesk) -> None:
    with make(scripted) as client:
        client.auth.sign_in("ada@example.com", "correct horse")
        desk.expire()
        desk.delay = 0.05

        def act(index: int) -> None:
            for _ in range(16):
                assert notes(client).data == [{"bearer": "Bearer access2"}]

        together(64, act)
        assert (desk.refreshes, desk.reused) == (1, 0)
        assert len(scripted.seen) == 1 + 1 + 64 * 16 + desk.refused


@pytest.mark.parametrize(("seed", "number"), [(0, 64), *((seed, 12) for seed in range(1, 20))])
def test_callers_that_run_out_of_time_take_nobody_along(
    scripted: ScriptedServer, desk: TokenDesk, seed: int, number: int
) -> None:
    """The leader and half of those who wait give up: a thread cannot be cancelled otherwise."""
    chance = random.Random(seed)
    with make(scripted) as client:
        client.auth.sign_in("ada@example.com", "correct horse")
        hurried = client.with_options(timeout=0.15, retries=0)
        desk.expire()
        gate = desk.gate = Gate(chance.choice((0.0, chance.random())))
        victims = set(chance.sample(range(number), number // 2))
        given_up = threading.Semaphore(0)

        def act(index: int) -> None:
            if index in victims:
                error = notes(hurried).error
                assert error is not None
                assert error.code == "TIMEOUT"
                given_up.release()
            else:
                assert notes(client).data == [{"bearer": "Bearer access2"}]

        def lead() -> None:
            act(next(iter(victims)))

        def let_go() -> None:
            for _ in range(len(victims) + 1):
                assert given_up.acquire(timeout=SOON)
            gate.opened.set()

        leader, opener = threading.Thread(target=lead), threading.Thread(target=let_go)
        leader.start()
        opener.start()
        assert gate.reached.wait(SOON)
        together(number, act)
        leader.join(SOON)
        opener.join(SOON)
        assert (desk.refreshes, desk.reused) == (1, 0)
        assert notes(client).ok


@pytest.mark.slow
def test_identities_never_mix() -> None:
    """64 threads and 20,032 calls over one pool, each with the token of another user."""
    with BearerEcho() as server, make(server) as client:

        def act(index: int) -> None:
            for call in range(313):
                token = f"user-{index}-{call % 2}"
                assert notes(client.as_user(token)).data == [{"bearer": token}]

        together(64, act)
        assert server.requests == 20_032


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork is a matter of POSIX")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_in_mid_refresh_goes_on(scripted: ScriptedServer, desk: TokenDesk) -> None:
    with make(scripted) as client:
        client.auth.sign_in("ada@example.com", "correct horse")
        desk.expire()
        desk.delay = 0.4
        asking = threading.Thread(target=notes, args=(client,))
        asking.start()
        while not desk.refreshes:
            time.sleep(0.001)
        child = os.fork()
        if child == 0:
            # the token is spent by the parent: the child is told so, and does not hang
            error = notes(client).error
            os._exit(0 if error is not None and error.code == "SESSION_EXPIRED" else 1)
        assert os.waitpid(child, 0)[1] == 0
        asking.join(SOON)
