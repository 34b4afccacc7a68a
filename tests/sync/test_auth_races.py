# GENERATED from tests/aio/test_auth_races.py by scripts/generate.py [cbd299f6ca43]: do not edit
"""Signing out, wherever it falls in a refresh: the end is always signed out (reliability R9)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aerodb import FileSessionStore, MemorySessionStore
from aerodb._core.options import ClientOptions
from aerodb._io.on_threads import Worker, monotonic, pause
from aerodb.sync import AeroDBClient
from tests.support.scripted import ScriptedServer
from tests.support.token_desk import Gate, TokenDesk

SOON = 20.0
EMAIL, PASSWORD = "ada@example.com", "correct horse"
PLACES = ("before", "on the wire", "while it is read", "just after")
STORES = ("no store", "memory", "file")


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
def desk(scripted: ScriptedServer) -> TokenDesk:
    return TokenDesk(scripted)


def make(scripted: ScriptedServer, store: Any) -> AeroDBClient:
    given = ClientOptions(trust_env=False, session_store=store)
    return AeroDBClient(f"http://127.0.0.1:{scripted.port}", "aero_pk_test", options=given)


def notes(client: AeroDBClient) -> Any:
    return client.from_("notes").select().execute()


def until(condition: Callable[[], object]) -> None:
    limit = monotonic() + SOON
    while not condition():
        assert monotonic() < limit
        pause(0.0005)


def nothing_under_way(client: AeroDBClient) -> bool:
    flight = client._transport.session._flight
    return flight is None or (flight.is_over and not (flight.worker and flight.worker.is_alive))


class Race:
    """One client that signs in, is about to refresh, and signs out meanwhile."""

    def __init__(self, client: AeroDBClient, desk: TokenDesk) -> None:
        self.client, self.desk, self.chance = client, desk, random.Random()
        self.heard: list[tuple[str, bool]] = []
        client.auth.on_auth_state_change(
            lambda event, session: self.heard.append((event, session is not None)),
            fire_initial=False,
        )

    def refresh(self) -> None:
        """A call that meets an expired token, or a refresh that is asked for."""
        if self.chance.random() < 0.5:
            notes(self.client)
        else:
            self.client.auth.refresh_session()

    def sign_out(self) -> None:
        assert (self.client.auth.sign_out(self.chance.choice(("local", "global")))).ok

    def run(self, seed: int, place: str) -> None:
        """Sign in; refresh; sign out at that place; wait until all is over."""
        client, desk = self.client, self.desk
        chance = self.chance = random.Random(seed)
        self.heard.clear()
        desk.gate = None
        assert (client.auth.sign_in(EMAIL, PASSWORD)).ok
        desk.expire()
        share = {"on the wire": 0.0, "while it is read": chance.uniform(0.01, 0.99)}
        gate = desk.gate = Gate(share.get(place, 1.0))
        asking = Worker(self.refresh, "asks")
        if place == "before":
            pause(chance.choice((0.0, chance.uniform(0.0, 0.003))))
        else:
            until(gate.reached.is_set)
        if place == "just after":
            pause(chance.choice((0.0, chance.uniform(0.0, 0.002))))
        if place in share:
            self.sign_out()
            gate.opened.set()  # only now the answer arrives, whole
        else:
            gate.opened.set()
            self.sign_out()
        assert client.auth.get_session() is None
        assert asking.join(SOON)
        until(lambda: nothing_under_way(client))
        until(lambda: ("SIGNED_OUT", False) in self.heard)


@pytest.mark.slow
@pytest.mark.parametrize("kind", STORES)
def test_signing_out_wins_wherever_it_falls(
    scripted: ScriptedServer, desk: TokenDesk, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "session"
    store = {"memory": MemorySessionStore(), "file": FileSessionStore(path)}.get(kind)
    with make(scripted, store) as client:
        race = Race(client, desk)
        for seed in range(200):
            place = PLACES[seed % len(PLACES)]
            where = (kind, seed, place)
            race.run(seed, place)
            assert client.auth.get_session() is None, where
            assert store is None or store.load() is None, where
            assert not path.exists(), where
            events = [event for event, _ in race.heard]
            assert events[0] == "SIGNED_IN", where
            assert events[-1] == "SIGNED_OUT", where
            in_time = [["TOKEN_REFRESHED"]] if place in ("before", "just after") else []
            assert events[1:-1] in ([], *in_time), where
            assert desk.revoked, where  # and on the server, also what was given out too late
            assert (notes(client)).unwrap() == [{"bearer": None}], where
            again = client.auth.refresh_session()
            assert again.error is not None, where
            assert again.error.code == "NOT_AUTHENTICATED", where
        with make(scripted, store) as other:
            assert (notes(other)).unwrap() == [{"bearer": None}]
    assert desk.reused == 0
