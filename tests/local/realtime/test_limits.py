"""What is no frame, too much, or too often (wire contract §4.9), and tokens that run out (§4.4)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from aerodb.local import LocalServer
from aerodb.local.realtime.errors import FrameError
from aerodb.local.realtime.frames import (
    read_auth,
    read_frame,
    read_message,
    read_presence,
    read_subscribe,
)
from aerodb.local.realtime.limits import Allowance, Allowances
from aerodb.local.realtime.upkeep import Sweep, Watched

from .conftest import bound, settle, socket_to

CONFIGS: list[dict[str, Any]] = [
    {"postgres_changes": "posts"},
    {"postgres_changes": [1]},
    {"postgres_changes": [{"event": "SELECT", "table": "posts"}]},
    {"postgres_changes": [{"event": 1, "table": "posts"}]},
    {"postgres_changes": [{"event": "*", "table": 5}]},
    {"postgres_changes": [{"event": "*", "table": "posts", "schema": []}]},
    {"postgres_changes": [{"event": "*", "table": "posts"}] * 101},
    {"broadcast": {"self": "yes"}},
    {"broadcast": []},
    {"presence": {"enabled": 1}},
    {"presence": {"enabled": True, "key": ""}},
    {"private": None, "resume": {"epoch": "e"}},
    {"resume": {"epoch": "e", "since": -1}},
    {"resume": {"epoch": "e", "since": True}},
    {"resume": {"epoch": "e", "since": 2**53}},
    {"resume": "now"},
]


@pytest.mark.parametrize("config", CONFIGS, ids=json.dumps)
async def test_configurations_that_make_no_sense(
    rt_server: LocalServer, config: dict[str, Any]
) -> None:
    async with socket_to(rt_server) as socket:
        refused = await socket.ask("mine", **config)
        assert (refused["type"], refused["code"], refused["retryable"]) == (
            "error",
            "invalid_message",
            False,
        )
        await socket.join("mine")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "invalid_message"),
        ("not json", "invalid_message"),
        ("[]", "invalid_message"),
        ('"text"', "invalid_message"),
        ("{}", "invalid_message"),
        ('{"type": 5}', "invalid_message"),
        ('{"type": "subscribe", "channel": "a", "ref": 5}', "invalid_message"),
        ('{"type": "subscribe", "x": NaN}', "invalid_message"),
        ('{"type": "subscribe", "x": 1e999}', "invalid_message"),
        ('{"type": "subscribe", "x": ' + "9" * 5000 + "}", "invalid_message"),
        ("[" * 100_000, "invalid_message"),
        ('{"type": "teleport"}', "unsupported"),
        ('{"type": "phx_join", "topic": "a"}', "unsupported"),
        ('{"type": "subscribe"}', "invalid_channel"),
        ('{"type": "subscribe", "channel": 5}', "invalid_channel"),
        ('{"type": "subscribe", "channel": ""}', "invalid_channel"),
        ('{"type": "subscribe", "channel": "a\\u0000b"}', "invalid_channel"),
        ('{"type": "subscribe", "channel": "\\ud800"}', "invalid_message"),
        ('{"type": "subscribe", "channel": "a", "ref": "\\ud800"}', "invalid_message"),
        (json.dumps({"type": "subscribe", "channel": "x" * 256}), "invalid_channel"),
        ('{"type": "unsubscribe"}', "invalid_channel"),
        ('{"type": "auth", "token": 5}', "invalid_message"),
        ('{"type": "auth", "token": "\\u00fc"}', "invalid_message"),
        ('{"type": "broadcast", "channel": "a", "event": {}}', "invalid_message"),
        (
            '{"type": "broadcast", "channel": "a", "event": "e", "payload": "\\ud800"}',
            "invalid_message",
        ),
    ],
    ids=lambda text: text[:40],
)
async def test_frames_that_make_no_sense(rt_server: LocalServer, text: str, code: str) -> None:
    async with socket_to(rt_server) as socket:
        await socket.connection.send(text)
        assert (await socket.until("error"))["code"] == code
        await socket.join("posts")  # the connection goes on


async def test_binary_is_refused(rt_server: LocalServer) -> None:
    async with socket_to(rt_server) as socket:
        await socket.connection.send(b'{"type":"subscribe","channel":"posts"}')
        assert (await socket.until("error"))["code"] == "unsupported"
        await socket.join("posts")


async def test_a_table_that_is_not_there(rt_server: LocalServer) -> None:
    async with socket_to(rt_server) as socket:
        for table, schema in (
            ("nothing", "public"),
            ("users", "auth"),
            ("realtime_changes", "aerodb_internal"),
            ("messages", "realtime"),
            ("titles", "public"),
            ("events_old", "public"),
            ('posts"; drop table posts; --', "public"),
        ):
            refused = await socket.ask("x", postgres_changes=[bound("*", table, schema=schema)])
            assert refused["code"] == "invalid_channel", table


async def test_a_payload_that_is_too_large(rt_server: LocalServer) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("big")
        await socket.send("broadcast", channel="big", event="e", payload="é" * 33_000, ref="r")
        refused = await socket.until("error")
        assert (refused["code"], refused["ref"]) == ("message_too_large", "r")
        await socket.send("broadcast", channel="big", event="e", payload="é" * 32_000, ref="r")
        await socket.until("broadcast_ack")


async def test_a_frame_that_is_too_large_ends_the_connection(rt_server: LocalServer) -> None:
    async with socket_to(rt_server) as socket:
        await socket.connection.send("x" * (128 * 1024 + 1))
        refused = await socket.until("error")
        assert refused["code"] == "message_too_large"
        assert await socket.closed() == 4021
    async with socket_to(rt_server) as socket:
        with contextlib.suppress(ConnectionClosed):  # it may be closed before all has been sent
            await socket.connection.send("x" * (2 * 1024 * 1024))
        # 1006: what was still on its way when it was closed can hide the reason
        assert await socket.closed() in (1009, 1006)


async def test_a_message_in_too_many_pieces_ends_the_connection(rt_server: LocalServer) -> None:
    async with socket_to(rt_server) as socket:

        async def pieces() -> AsyncGenerator[str]:
            for _ in range(5000):
                yield "x"

        await asyncio.gather(socket.connection.send(pieces()), return_exceptions=True)
        # 1006: pieces that were still on their way when it was closed can hide the reason
        assert await socket.closed() in (1009, 1006)


async def test_one_hundred_channels(rt_server: LocalServer) -> None:
    async with socket_to(rt_server) as socket:
        for number in range(100):
            await socket.join(f"channel {number}")
        refused = await socket.ask("one more")
        assert (refused["code"], refused["retryable"]) == ("too_many_subscriptions", False)
        await socket.join("channel 7")
        await socket.send("unsubscribe", channel="channel 8")
        await socket.until("unsubscribed")
        await socket.join("one more")


async def test_messages_come_too_often(rt_server: LocalServer) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join("busy")
        await socket.join("quiet")
        for number in range(40):
            await socket.send("broadcast", channel="busy", event="e", payload={}, ref=str(number))
        answers = [await socket.receive() for _ in range(40)]
        kinds = [a["type"] for a in answers]
        assert 20 <= kinds.count("broadcast_ack") < 40
        refused = next(a for a in answers if a["type"] == "error")
        assert (refused["code"], refused["retryable"]) == ("rate_limit_exceeded", True)
        assert 0 < refused["retry_after"] <= 1
        await socket.send("broadcast", channel="quiet", event="e", payload={}, ref="r")
        await socket.until("broadcast_ack")


async def test_a_flood_ends_the_connection(rt_server: LocalServer) -> None:
    async with socket_to(rt_server) as socket:

        async def flood() -> None:
            for _ in range(20_000):
                await socket.connection.send('{"type":"ping"}')

        flooding = asyncio.create_task(flood())
        assert await socket.closed() == 4020
        await asyncio.gather(flooding, return_exceptions=True)


async def test_connections_from_one_address() -> None:
    with LocalServer(realtime_connections_per_address=2) as server:
        async with socket_to(server) as one:
            async with socket_to(server):
                with pytest.raises(Exception, match="429") as refused:
                    async with socket_to(server):
                        pass
                response = refused.value.response  # type: ignore[attr-defined]
                assert response.headers["retry-after"]
                assert json.loads(response.body)["code"] == "rate_limit_exceeded"
            for _ in range(300):
                try:
                    async with socket_to(server):
                        break
                except Exception:
                    await asyncio.sleep(0.05)
            else:
                raise AssertionError("the place of who left stays taken")
            await one.nothing_more()


def test_an_allowance_fills_up_again() -> None:
    now = [0.0]
    allowance = Allowance(10, 20, lambda: now[0])
    assert [allowance.take() for _ in range(20)] == [0.0] * 20
    assert allowance.take() == pytest.approx(0.1)
    now[0] += 0.1
    assert (allowance.take(), allowance.take() > 0) == (0.0, True)
    now[0] += 1000
    assert [allowance.take() for _ in range(21)][20] > 0


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "channel",
                    "ref",
                    "config",
                    "event",
                    "payload",
                    "token",
                    "postgres_changes",
                    "broadcast",
                    "presence",
                    "resume",
                    "private",
                    "epoch",
                    "since",
                    "self",
                    "key",
                ]
            )
            | st.text(max_size=8),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(_JSON, st.text(max_size=30))
def test_any_frame_is_read_or_refused(body: Any, text: str) -> None:
    for source in (text, json.dumps(body), json.dumps({"type": "subscribe", "config": body})):
        refused = ""
        for read in (read_subscribe, read_message, read_presence, read_auth):
            try:
                read(read_frame(source))
            except FrameError as problem:
                refused = problem.code
            assert refused in ("", "invalid_message", "invalid_channel", "invalid_filter")


def test_what_is_known_of_names_is_bounded() -> None:
    """A connection may join and leave channels for weeks."""
    allowances = Allowances(100)
    for number in range(1000):
        allowances.spend(str(number))
    assert len(allowances._known) == 100
    for _ in range(19):
        allowances.spend("999")
    with pytest.raises(FrameError, match="Too many messages"):
        allowances.spend("999")


# --- tokens that run out -------------------------------------------------------------------------


async def test_a_token_that_runs_out(rt_server: LocalServer, empty: Any) -> None:
    """§4.4: delivery stops, `token_expired`, and 4003 later; a new token goes on without a loss."""
    who = str(uuid4())
    token = rt_server.create_token(sub=who, expires_in=-29)
    async with socket_to(rt_server, token) as socket:
        assert socket.welcome["payload"]["expires_at"] is not None
        await socket.join("posts")
        empty.execute("insert into posts (id) values (1)")
        await socket.until("event")
        refused = await socket.until("error")
        assert refused["code"] == "token_expired"
        empty.execute("insert into posts (id) values (2)")
        settle(rt_server, empty)
        before = await socket.nothing_more()
        await socket.send("auth", token=rt_server.create_token(sub=who))
        await socket.until("system")
        event = await socket.until("event")
        assert (event["payload"]["new"]["id"], event["n"]) == (2, 2)
        assert event["seq"] > before["seq"]
        empty.execute("insert into posts (id) values (3)")
        assert (await socket.until("event"))["payload"]["new"]["id"] == 3


async def test_a_token_that_has_run_out_lets_nobody_send(rt_server: LocalServer) -> None:
    who = str(uuid4())
    name = f"room:{who}"
    token = rt_server.create_token(sub=who, expires_in=-29)
    async with (
        socket_to(rt_server, token) as socket,
        socket_to(rt_server, key=rt_server.service_key) as service,
    ):
        await socket.join(name, private=True, presence={"enabled": True})
        await socket.until("presence")
        await service.join(name, private=True, presence={"enabled": True})
        await service.until("presence")
        assert (await socket.until("error"))["code"] == "token_expired"
        for kind, said in (
            ("broadcast", {"event": "e", "payload": {}}),
            ("presence", {"event": "track", "payload": {}}),
        ):
            await socket.send(kind, channel=name, ref=kind, **said)
            refused = await socket.until("error")
            assert (refused["code"], refused["ref"]) == ("token_expired", kind)
        await service.nothing_more()
        await socket.send("auth", token=rt_server.create_token(sub=who))
        await socket.until("system")
        await socket.send("broadcast", channel=name, event="e", payload={}, ref="r")
        await socket.until("broadcast_ack")
        await service.until("broadcast")


class Pretended:
    """As much of a connection as the sweep looks at."""

    def __init__(self, expires_at: float | None) -> None:
        self.expires_at = expires_at
        self.closing = False
        self.did: list[Any] = []

    def close(self, code: int, reason: str) -> None:
        self.closing = True
        self.did.append(code)

    def expire(self) -> None:
        self.did.append("expire")

    def untrack_all(self) -> None:
        self.did.append("untrack")


@pytest.mark.parametrize(
    ("expires_at", "heard_at", "looks", "did"),
    [
        (None, 0, [10, 59], []),
        (None, 0, [61, 62, 89], ["untrack"]),
        (None, 0, [61, 91, 92], ["untrack", 1001]),
        (100, 200, [129, 130], []),
        (100, 200, [131, 132, 159], ["expire"]),
        (100, 200, [131, 161, 162], ["expire", 4003]),
    ],
)
def test_what_the_clock_does(
    expires_at: float | None, heard_at: float, looks: list[float], did: list[Any]
) -> None:
    now = [0.0]
    connection = Pretended(expires_at)
    watched = Watched(connection, lambda: heard_at)  # type: ignore[arg-type]
    sweep = Sweep(lambda: now[0])
    for now[0] in looks:
        sweep.look(watched, now[0])
    assert connection.did == did
