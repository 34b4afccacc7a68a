"""Who listens to auth changes while other threads cause them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from aerodb import AeroDBClient
from aerodb._core.identity import AuthChange, Session

SOON = 20.0


@pytest.fixture
def client() -> Iterator[AeroDBClient]:
    with AeroDBClient("http://127.0.0.1:9", "aero_pk_x") as made:
        yield made


class Teller:
    """Another thread that tells of a change, whose listener stands still until it is let go."""

    def __init__(self, client: AeroDBClient) -> None:
        self.changes: Any = client._transport.session.changes
        self.begun, self.go = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.changes.tell)

    def hold(self, *change: Any) -> None:
        self.begun.set()
        assert self.go.wait(SOON)

    def start(self) -> None:
        self.changes.note(AuthChange("TOKEN_REFRESHED", Session("a.b.c")))
        self.thread.start()
        assert self.begun.wait(SOON)


def test_nothing_is_told_after_unsubscribing(client: AeroDBClient) -> None:
    order: list[str] = []
    teller = Teller(client)

    def listener(*change: Any) -> None:
        teller.hold()
        order.append("told")

    subscription = client.auth.on_auth_state_change(listener, fire_initial=False)
    teller.start()
    threading.Timer(0.05, teller.go.set).start()
    subscription.unsubscribe()
    order.append("unsubscribed")
    teller.thread.join(SOON)
    assert order == ["told", "unsubscribed"]


def test_a_callback_that_unsubscribes_itself_waits_for_nobody(client: AeroDBClient) -> None:
    subscription: Any = None
    heard: list[str] = []

    def listener(event: str, session: Any) -> None:
        subscription.unsubscribe()
        heard.append(event)

    subscription = client.auth.on_auth_state_change(listener, fire_initial=False)
    changes: Any = client._transport.session.changes
    changes.note(AuthChange("SIGNED_OUT", None))
    thread = threading.Thread(target=changes.tell)
    thread.start()
    thread.join(SOON / 4)  # well below the time that a wait for itself would take
    assert heard == ["SIGNED_OUT"]


def test_the_present_state_is_told_at_once_also_while_others_are_told(
    client: AeroDBClient,
) -> None:
    teller = Teller(client)
    client.auth.on_auth_state_change(teller.hold, fire_initial=False)
    teller.start()
    heard: list[str] = []
    threading.Timer(0.05, teller.go.set).start()
    client.auth.on_auth_state_change(lambda event, _: heard.append(event))
    assert heard == ["INITIAL_SESSION"]
    teller.thread.join(SOON)
    assert heard == ["INITIAL_SESSION"]


def test_who_waits_for_the_telling_returns_after_it(client: AeroDBClient) -> None:
    teller = Teller(client)
    heard: list[str] = []
    client.auth.on_auth_state_change(teller.hold, fire_initial=False)
    client.auth.on_auth_state_change(lambda event, _: heard.append(event), fire_initial=False)
    teller.start()
    threading.Timer(0.05, teller.go.set).start()
    teller.changes.told()
    assert heard == ["TOKEN_REFRESHED"]
    teller.thread.join(SOON)
