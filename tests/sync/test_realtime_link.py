# GENERATED from tests/aio/test_realtime_link.py by scripts/generate.py [66d13e52e5dd]: do not edit
"""The realtime connection over real sockets: lost in every way, found again; tokens; identities."""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aerodb import ClientOptions, GapNotice, RealtimeOptions, RealtimePayload
from aerodb._io.on_threads import monotonic, pause
from aerodb.sync import AeroDBClient
from tests.support.faults import FaultProxy
from tests.support.scripted import ScriptedServer
from tests.support.scripted_realtime import ScriptedRealtime
from tests.support.token_desk import TokenDesk

SOON = 20.0
KEY = "aero_pk_test"
QUICK = {"reconnect_delay": 0.02, "max_reconnect_delay": 0.1}


@pytest.fixture
def server() -> Iterator[ScriptedRealtime]:
    with ScriptedRealtime() as running:
        yield running


@pytest.fixture
def desk() -> Iterator[TokenDesk]:
    with ScriptedServer() as scripted:
        yield TokenDesk(scripted, canary="canary")


def make(port: int, **settings: Any) -> AeroDBClient:
    realtime = RealtimeOptions(**{**QUICK, **settings})
    options = ClientOptions(trust_env=False, connect_timeout=2, realtime=realtime)
    return AeroDBClient(f"http://127.0.0.1:{port}", KEY, options=options)


def make_signed_in(desk: TokenDesk, server: ScriptedRealtime, **settings: Any) -> AeroDBClient:
    """A client whose auth and realtime answer at different places."""
    realtime = RealtimeOptions(**{**QUICK, **settings})
    options = ClientOptions(trust_env=False, connect_timeout=2, realtime=realtime)
    return AeroDBClient(
        f"http://127.0.0.1:{desk.server.port}", KEY, realtime_url=server.url, options=options
    )


def until(condition: Callable[[], Any], seconds: float = SOON) -> None:
    """Wait until something is so."""
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, "it did not come about"
        pause(0.01)


# --- lost and found ------------------------------------------------------------------------------


def test_kills_of_every_kind_at_random_points(server: ScriptedRealtime) -> None:
    chance = random.Random(11)
    kinds: Any = itertools.cycle([1000, 1001, "reset", 1006, 1011, 1012])
    with make(server.port) as client:
        heard: dict[str, list[Any]] = {}
        gaps: list[Any] = []
        channels = [client.channel(name) for name in ("posts", "users", "tags")]
        for channel in channels:
            for place in ("one", "other"):
                mine = heard[f"{channel.name} {place}"] = []
                channel.on("*", mine.append)
            channel.on_gap(gaps.append)
            channel.subscribe()
        for kill in range(1, 25):
            for channel in channels:
                server.insert(channel.name, chance.randint(0, 20))
            pause(chance.random() * 0.01)
            kind = next(kinds)
            server.reset() if kind == "reset" else server.kill(kind)
            opened = kill + 1
            until(
                lambda opened=opened: (
                    len(server.opened) >= opened and all(one.subscribed for one in channels)
                )
            )
        for channel in channels:
            server.insert(channel.name)
        until(lambda: all(len(mine) and mine[-1].sequence > server.seq - 3
                                for mine in heard.values()))  # fmt: skip
        assert len(server.opened) == 25
        assert server.most <= 2
        assert gaps == []
        for name, mine in heard.items():
            made = [seq for seq, channel, _ in server.log if channel == name.split()[0]]
            assert [one.sequence for one in mine] == made
        assert len(client.get_channels()) == 3


def test_what_the_server_forgot_is_told(server: ScriptedRealtime) -> None:
    with make(server.port) as client:
        channel = client.channel("posts")
        channel.subscribe()
        server.insert("posts", 3)
        found = (channel.collect(3)).unwrap()
        assert all(isinstance(one, RealtimePayload) for one in found)
        server.restart()
        (gap,) = (channel.collect(1)).unwrap()
        assert isinstance(gap, GapNotice)
        assert gap.reason == "epoch_changed"
        assert (gap.after, gap.until) == (3, 0)
        server.resumes = False
        server.kill()
        (gap,) = (channel.collect(1)).unwrap()
        assert isinstance(gap, GapNotice)
        assert gap.reason == "resume_unsupported"


def test_a_half_open_connection_is_noticed_and_replaced(server: ScriptedRealtime) -> None:
    with FaultProxy(server.port) as proxy:
        with make(proxy.port, heartbeat=0.2) as client:
            channel = client.channel("posts")
            channel.subscribe()
            proxy.set("blackhole")
            server.insert("posts", 2)
            until(lambda: client.realtime.status != "open")
            proxy.set("pass")
            found = (channel.collect(2, timeout=SOON)).unwrap()
            assert [one["new"]["id"] for one in found if isinstance(one, RealtimePayload)] == [1, 2]


def test_faults_on_the_way(server: ScriptedRealtime) -> None:
    with FaultProxy(server.port) as proxy:
        with make(proxy.port, heartbeat=0.3) as client:
            channel = client.channel("posts")
            channel.subscribe()
            number = 0
            for fault in ("reset", "cut", "half_close", "refuse"):
                proxy.set(fault, size=7)  # type: ignore[arg-type]
                server.insert("posts", 2)
                pause(0.1)
                proxy.set("pass")
                for event in (channel.collect(2, timeout=SOON)).unwrap():
                    number += 1
                    assert isinstance(event, RealtimePayload)
                    assert event.sequence == number


def test_nobody_there_at_first(server: ScriptedRealtime) -> None:
    with FaultProxy(server.port) as proxy:
        proxy.set("refuse")
        with make(proxy.port) as client:
            channel = client.channel("posts")
            answer = channel.subscribe(timeout=0.3)
            assert answer.error is not None
            assert answer.error.code == "NETWORK_ERROR"
            assert "refused" in answer.error.message
            assert client.status.error is not None
            told: list[Any] = []
            asked = channel.subscribe(lambda status, error: told.append(status), timeout=0.1)
            assert asked.error is not None
            proxy.set("pass")
            until(lambda: told)
            assert channel.subscribed
            assert (client.realtime.connect()).ok


@pytest.mark.parametrize("status", [200, 301, 403, 404, 426])
def test_a_refused_handshake_is_not_repeated(server: ScriptedRealtime, status: int) -> None:
    headers = {"Location": "http://127.0.0.1:1/elsewhere"} if status == 301 else {}
    server.refusals.append((status, headers, b'{"error":"no","code":"nope","message":"not here"}'))
    with make(server.port) as client:
        channel = client.channel("posts").on("*", print)
        answer = channel.subscribe()
        assert answer.error is not None
        assert answer.error.status == status
        assert client.realtime.status == "closed"
        pause(0.2)
        assert len(server.opened) == 1
        assert (channel.subscribe()).ok


def test_a_busy_server_is_asked_again_when_it_says(server: ScriptedRealtime) -> None:
    server.refusals.extend([(503, {"Retry-After": "1"}, b""), (429, {}, b"")])
    with make(server.port) as client:
        began = monotonic()
        assert (client.channel("posts").subscribe()).ok
        assert monotonic() - began > 0.9
        assert len(server.opened) == 3


def test_a_connection_without_channels_is_closed_after_a_while(
    server: ScriptedRealtime,
) -> None:
    with make(server.port, idle_timeout=0.1) as client:
        channel = client.channel("posts")
        channel.subscribe()
        channel.unsubscribe()
        until(lambda: client.realtime.status == "idle" and not server.connections)
        assert (channel.subscribe()).ok
        client.realtime.disconnect()
        assert (client.realtime.connect()).ok
        pause(0.3)
        assert client.realtime.status == "open"


# --- who is connected ----------------------------------------------------------------------------


def test_the_handshake_carries_key_and_token_and_the_url_neither(
    desk: TokenDesk, server: ScriptedRealtime
) -> None:
    with make_signed_in(desk, server) as client:
        client.auth.sign_in("ada@example.com", "correct horse")
        client.channel("posts").subscribe()
        assert server.opened[0]["apikey"] == KEY
        assert server.opened[0]["authorization"] == "Bearer accesscanary1"
        assert server.opened[0]["x-client-info"].startswith("aerodb-py/")
        assert "cookie" not in server.opened[0]
        assert server.paths == ["/realtime"]


def test_a_401_is_answered_by_one_refresh(desk: TokenDesk, server: ScriptedRealtime) -> None:
    with make_signed_in(desk, server) as client:
        client.auth.sign_in("ada@example.com", "correct horse")
        server.refusals.append((401, {}, b'{"error":"expired","code":"token_expired"}'))
        assert (client.channel("posts").subscribe()).ok
        assert desk.refreshes == 1
        assert [seen["authorization"][-7:] for seen in server.opened] == ["canary1", "canary2"]
        client.realtime.disconnect()
        server.refusals.extend([(401, {}, b"{}")] * 2)
        answer = client.channel("posts").subscribe()
        assert answer.error is not None
        assert answer.error.status == 401
        assert client.realtime.status == "closed"
        assert desk.refreshes == 2
        pause(0.2)
        assert len(server.opened) == 4


def test_a_new_token_reaches_the_open_connection(
    desk: TokenDesk, server: ScriptedRealtime
) -> None:
    with make_signed_in(desk, server) as client:
        channel = client.channel("posts")
        channel.subscribe()
        assert "authorization" not in server.opened[0]
        client.auth.sign_in("ada@example.com", "correct horse")
        client.auth.refresh_session()
        client.auth.sign_out()
        until(lambda: len(server.frames("auth")) == 3)
        tokens = [frame["token"] for frame in server.frames("auth")]
        assert tokens == ["accesscanary1", "accesscanary2", None]
        assert len(server.opened) == 1
        server.kill()
        until(lambda: len(server.opened) == 2 and channel.subscribed)
        assert "authorization" not in server.opened[1]


def test_a_token_is_renewed_for_the_connection_alone(
    desk: TokenDesk, server: ScriptedRealtime
) -> None:
    desk.life = 1.0
    with make_signed_in(desk, server) as client:
        client.auth.sign_in("ada@example.com", "correct horse")
        channel = client.channel("posts")
        channel.subscribe()
        desk.life = 900.0
        until(lambda: server.frames("auth"))
        assert server.frames("auth")[0]["token"] == "accesscanary2"
        assert desk.refreshes == 1
        assert len(server.opened) == 1
        assert channel.subscribed


def test_a_server_that_knows_no_auth_frame(desk: TokenDesk, server: ScriptedRealtime) -> None:
    def mounted(connection: Any, frame: dict[str, Any]) -> None:
        connection.say({"type": "error", "message": "Unknown message type: auth"})

    server.answers["auth"] = mounted
    with make_signed_in(desk, server) as client:
        channel = client.channel("posts")
        channel.subscribe()
        client.auth.sign_in("ada@example.com", "correct horse")
        until(lambda: len(server.opened) == 2 and channel.subscribed)
        assert server.opened[1]["authorization"] == "Bearer accesscanary1"


def test_a_rejected_token_is_renewed_and_the_connection_made_anew(
    desk: TokenDesk, server: ScriptedRealtime
) -> None:
    with make_signed_in(desk, server) as client:
        client.auth.sign_in("ada@example.com", "correct horse")
        channel = client.channel("posts")
        channel.subscribe()
        server.kill(4003)
        until(lambda: len(server.opened) == 2 and channel.subscribed)
        assert server.opened[1]["authorization"] == "Bearer accesscanary2"
        server.kill(4003)
        until(lambda: client.realtime.status == "closed")
        assert channel.error is not None
        assert channel.error.code == "unauthorized"
        client.auth.sign_in("ada@example.com", "correct horse")
        until(lambda: channel.subscribed)
        assert len(server.opened) == 3


def test_views_are_connected_as_themselves(desk: TokenDesk, server: ScriptedRealtime) -> None:
    access, _ = desk.open()
    client = make_signed_in(desk, server)
    user, service = client.as_user(access), client.as_service("aero_sk_test")
    other = client.with_options(timeout=5)
    views = [client, user, service, other]
    for view in views:
        assert (view.channel("posts").subscribe()).ok
    assert len({id(view.channel("posts")) for view in views}) == 4
    assert [one.get("authorization") for one in server.opened] == [
        None, f"Bearer {access}", None, None,
    ]  # fmt: skip
    assert [one["apikey"] for one in server.opened] == [KEY, KEY, "aero_sk_test", KEY]
    other.close()
    assert client.realtime.status == "open"
    assert user.realtime.status == "open"
    client.close()
    assert user.realtime.status == "closed"
    until(lambda: not server.connections)


def test_a_users_view_never_becomes_anybody_else(
    desk: TokenDesk, server: ScriptedRealtime
) -> None:
    with make_signed_in(desk, server) as client:
        access, refresh = desk.open()
        user = client.as_user(access, refresh)
        channel = user.channel("posts")
        channel.subscribe()
        user.auth.sign_out()
        until(lambda: user.realtime.status == "closed")
        assert not server.frames("auth")
        answer = channel.subscribe()
        assert answer.error is not None
        assert answer.error.code == "NOT_AUTHENTICATED"
        assert len(server.opened) == 1


def test_no_secret_shows(
    desk: TokenDesk, server: ScriptedRealtime, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        with make_signed_in(desk, server) as client:
            client.auth.sign_in("ada@example.com", "correct horse")
            channel = client.channel("posts").on("*", lambda event: 1 / 0)
            channel.subscribe()
            client.auth.refresh_session()
            server.insert("posts")
            said = {"type": "error", "message": "bad token Bearer accesscanary1", "code": "odd"}
            server.say(said)
            until(lambda: "handler failed" in caplog.text)
            shown = [repr(one) for one in (client, channel, client.realtime, client.status)]
            server.refusals.append((403, {}, b'{"message":"no accesscanary2 aero_pk_test"}'))
            server.kill()
            until(lambda: client.realtime.status == "closed")
            shown.append(repr(client.realtime.error))
    # the server under test is ours, not its log
    ours = [one for one in caplog.records if not one.name.startswith("websockets.server")]
    text = "".join([caplog.handler.format(one) for one in ours] + shown)
    assert "handler failed" in text
    assert "canary" not in text
    assert KEY not in text
    assert all("canary" not in path for path in server.paths)
