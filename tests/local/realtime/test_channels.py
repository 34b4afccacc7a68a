"""Broadcast, presence, private channels, and the HTTP side (wire contract §4.10)."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from aerodb.local import LocalServer

from .conftest import call, socket_to


@pytest.fixture
def room() -> str:
    return f"room-{uuid4().hex}"


# --- broadcast -----------------------------------------------------------------------------------


async def test_a_message_reaches_the_others(rt_server: LocalServer, room: str) -> None:
    who = str(uuid4())
    async with (
        socket_to(rt_server, rt_server.create_token(sub=who)) as ann,
        socket_to(rt_server) as bob,
        socket_to(rt_server) as elsewhere,
    ):
        for socket in (ann, bob):
            await socket.join(room)
        await elsewhere.join(room + "x")
        payload = {"text": "hé\u2028", "n": [1, 2.5, None]}
        await ann.send("broadcast", channel=room, event="said", payload=payload, ref="b1")
        assert await ann.until("broadcast_ack") == {
            "type": "broadcast_ack",
            "channel": room,
            "event": "said",
            "ref": "b1",
            "payload": {"subscribers_notified": 1},
        }
        told = await bob.until("broadcast")
        assert (told["channel"], told["event"], told["payload"]) == (room, "said", payload)
        assert told["sender_id"] == who
        assert told["timestamp"].endswith("Z")
        await ann.nothing_more()
        await elsewhere.nothing_more()


async def test_self_and_ack(rt_server: LocalServer, room: str) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join(room, broadcast={"self": True, "ack": True})
        await socket.send("broadcast", channel=room, event="e", payload=None)
        told = await socket.until("broadcast")
        assert (told["payload"], told["sender_id"]) == (None, None)
        assert (await socket.until("broadcast_ack"))["payload"] == {"subscribers_notified": 1}


async def test_no_ack_is_sent_that_nobody_asked_for(rt_server: LocalServer, room: str) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join(room)
        await socket.send("broadcast", channel=room, event="e", payload={})
        await socket.nothing_more()


async def test_only_who_has_joined_may_send(rt_server: LocalServer, room: str) -> None:
    async with socket_to(rt_server) as member, socket_to(rt_server) as stranger:
        await member.join(room)
        await stranger.send("broadcast", channel=room, event="e", payload={}, ref="r")
        refused = await stranger.until("error")
        assert (refused["code"], refused["channel"], refused["ref"]) == (
            "not_subscribed",
            room,
            "r",
        )
        await member.nothing_more()


async def test_answers_come_in_the_order_of_frames(rt_server: LocalServer, room: str) -> None:
    """Whoever subscribes need not wait for the answer to go on."""
    async with socket_to(rt_server) as socket:
        config = {"presence": {"enabled": True}, "broadcast": {"self": True}}
        await socket.send("subscribe", channel=room, ref="1", config=config)
        await socket.send("broadcast", channel=room, event="e", payload=1, ref="2")
        await socket.send("presence", channel=room, event="track", payload={"a": 1})
        await socket.send("subscribe", channel=room, ref="3", config={"broadcast": {"self": True}})
        await socket.send("unsubscribe", channel=room, ref="4")
        await socket.send("broadcast", channel=room, event="e", payload=1, ref="5")
        found = [await socket.receive() for _ in range(8)]
        # Presence and messages come beside the answers.
        answers = [(f["type"], f["ref"]) for f in found if "ref" in f]
        assert answers == [
            ("subscribed", "1"),
            ("broadcast_ack", "2"),
            ("subscribed", "3"),
            ("unsubscribed", "4"),
            ("error", "5"),
        ]
        assert found[-1]["code"] == "not_subscribed"
        others = [f["event"] for f in found if "ref" not in f]
        assert others == ["sync", "e", "join"]


async def test_over_http(rt_server: LocalServer, room: str) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join(room)
        body = {"channel": room, "event": "e", "payload": {"a": 1}}
        answer = call(
            rt_server,
            "POST",
            "/realtime/broadcast",
            json=body,
            headers={"apikey": rt_server.anon_key},
        )
        assert (answer.status_code, answer.json()) == (200, {"subscribers_notified": 1})
        told = await socket.until("broadcast")
        assert (told["event"], told["payload"], told["sender_id"]) == ("e", {"a": 1}, None)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"event": "e", "payload": {}}, "invalid_channel"),
        ({"channel": "", "event": "e"}, "invalid_channel"),
        ({"channel": "a\nb", "event": "e"}, "invalid_channel"),
        ({"channel": "a"}, "invalid_message"),
        ({"channel": "a", "event": "e", "payload": "x" * 70_000}, "message_too_large"),
        ({"channel": "a", "event": "e", "payload": "x" * 140_000}, "message_too_large"),
        ({"channel": "a", "event": "e", "private": "yes"}, "invalid_message"),
        ([], "invalid_message"),
    ],
)
def test_bad_requests(rt_server: LocalServer, body: Any, code: str) -> None:
    answer = call(
        rt_server, "POST", "/realtime/broadcast", json=body, headers={"apikey": rt_server.anon_key}
    )
    status = 413 if code == "message_too_large" else 400
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["x-aerodb-error"] == code
    assert set(answer.json()) == {"error", "code", "message", "status"}


def test_what_a_web_page_can_send_is_refused(rt_server: LocalServer) -> None:
    body = '{"channel": "a", "event": "e", "payload": {}}'
    plain = call(
        rt_server,
        "POST",
        "/realtime/broadcast",
        content=body,
        headers={"content-type": "text/plain", "apikey": rt_server.anon_key},
    )
    assert (plain.status_code, plain.json()["code"]) == (400, "invalid_message")
    foreign = call(
        rt_server,
        "POST",
        "/realtime/broadcast",
        content=body,
        headers={"origin": "https://evil.example"},
    )
    assert foreign.status_code == 403


def test_methods_and_paths(rt_server: LocalServer) -> None:
    headers = {"apikey": rt_server.service_key}
    assert call(rt_server, "GET", "/realtime/broadcast", headers=headers).status_code == 405
    assert call(rt_server, "POST", "/realtime/stats", headers=headers).status_code == 405
    assert call(rt_server, "GET", "/realtime/nothing", headers=headers).status_code == 404
    assert call(rt_server, "GET", "/realtime", headers=headers).status_code == 426


async def test_figures_are_for_the_service(rt_server: LocalServer, room: str) -> None:
    assert (
        call(
            rt_server, "GET", "/realtime/stats", headers={"apikey": rt_server.anon_key}
        ).status_code
        == 403
    )
    assert (
        call(rt_server, "GET", "/realtime/stats", headers={"apikey": "aero_sk_guess"}).status_code
        == 401
    )
    async with socket_to(rt_server) as socket:
        await socket.join(room, presence={"enabled": True})
        await socket.until("presence")
        await socket.send("presence", channel=room, event="track", payload={})
        await socket.until("presence")
        answer = call(
            rt_server, "GET", "/realtime/stats", headers={"apikey": rt_server.service_key}
        )
        told = answer.json()
        assert (told["connections"], told["subscriptions"], told["presences"]) == (1, 1, 1)


# --- presence ------------------------------------------------------------------------------------


async def test_who_is_there(rt_server: LocalServer, room: str) -> None:
    ann_id = str(uuid4())
    async with socket_to(rt_server) as bob:
        await bob.join(room, presence={"enabled": True, "key": "bob"})
        assert await bob.until("presence") == {
            "type": "presence",
            "channel": room,
            "event": "sync",
            "payload": {},
        }
        await bob.send("presence", channel=room, event="track", payload={"mood": "fine"})
        joined = await bob.until("presence")
        assert joined["event"] == "join"
        (meta,) = joined["payload"]["bob"]
        assert meta["mood"] == "fine"
        assert meta["presence_ref"]
        assert meta["joined_at"].endswith("Z")
        async with socket_to(rt_server, rt_server.create_token(sub=ann_id)) as ann:
            await ann.join(room, presence={"enabled": True})
            assert (await ann.until("presence"))["payload"] == {"bob": [meta]}
            await ann.send("presence", channel=room, event="track", payload={"presence_ref": "x"})
            (own,) = (await ann.until("presence"))["payload"][ann_id]
            assert own["presence_ref"] != "x"
            assert (await bob.until("presence"))["payload"] == {ann_id: [own]}
        left = await bob.until("presence")
        assert (left["event"], left["payload"]) == ("leave", {ann_id: [own]})


async def test_tracking_again_replaces(rt_server: LocalServer, room: str) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join(room, presence={"enabled": True, "key": "k"})
        await socket.until("presence")
        await socket.send("presence", channel=room, event="track", payload={"n": 1})
        first = (await socket.until("presence"))["payload"]["k"][0]
        await socket.send("presence", channel=room, event="track", payload={"n": 2})
        joined, left = await socket.until("presence"), await socket.until("presence")
        assert (joined["event"], joined["payload"]["k"][0]["n"]) == ("join", 2)
        assert (left["event"], left["payload"]["k"][0]) == ("leave", first)
        await socket.send("presence", channel=room, event="untrack")
        assert (await socket.until("presence"))["event"] == "leave"
        await socket.send("presence", channel=room, event="untrack")
        await socket.nothing_more()


async def test_one_key_on_two_connections(rt_server: LocalServer, room: str) -> None:
    async with socket_to(rt_server) as one, socket_to(rt_server) as two:
        for number, socket in enumerate((one, two)):
            await socket.join(room, presence={"enabled": True, "key": "k"})
            await socket.until("presence")
            await socket.send("presence", channel=room, event="track", payload={"n": number})
            await socket.until("presence")
        async with socket_to(rt_server) as three:
            await three.join(room, presence={"enabled": True})
            state = (await three.until("presence"))["payload"]
            assert sorted(meta["n"] for meta in state["k"]) == [0, 1]


async def test_leaving_the_channel_ends_presence(rt_server: LocalServer, room: str) -> None:
    async with socket_to(rt_server) as stays, socket_to(rt_server) as goes:
        for socket in (stays, goes):
            await socket.join(room, presence={"enabled": True})
            await socket.until("presence")
        await goes.send("presence", channel=room, event="track", payload={})
        assert (await stays.until("presence"))["event"] == "join"
        await goes.send("unsubscribe", channel=room)
        assert (await stays.until("presence"))["event"] == "leave"


async def test_the_key_of_another_user_leaves(rt_server: LocalServer, room: str) -> None:
    ann, bob = str(uuid4()), str(uuid4())
    async with socket_to(rt_server, rt_server.create_token(sub=ann)) as socket:
        await socket.join(room, presence={"enabled": True})
        await socket.until("presence")
        await socket.send("presence", channel=room, event="track", payload={})
        await socket.until("presence")
        await socket.send("auth", token=rt_server.create_token(sub=bob))
        left = await socket.until("presence")
        assert (left["event"], list(left["payload"])) == ("leave", [ann])
        await socket.until("system")
        await socket.send("presence", channel=room, event="track", payload={})
        assert list((await socket.until("presence"))["payload"]) == [bob]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"event": "track", "payload": {"a": "x" * 9000}}, "message_too_large"),
        ({"event": "track", "payload": [1]}, "invalid_message"),
        ({"event": "track"}, "invalid_message"),
        ({"event": "sync", "payload": {}}, "invalid_message"),
    ],
)
async def test_bad_presence_frames(
    rt_server: LocalServer, room: str, frame: dict[str, Any], code: str
) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join(room, presence={"enabled": True})
        await socket.until("presence")
        await socket.send("presence", channel=room, **frame)
        assert (await socket.until("error"))["code"] == code


async def test_presence_that_was_not_asked_for(rt_server: LocalServer, room: str) -> None:
    async with socket_to(rt_server) as socket:
        await socket.join(room)
        await socket.send("presence", channel=room, event="track", payload={})
        assert (await socket.until("error"))["code"] == "unsupported"


# --- private channels ----------------------------------------------------------------------------


async def test_policies_decide_who_joins(rt_server: LocalServer) -> None:
    who = str(uuid4())
    name = f"room:{who}"
    async with (
        socket_to(rt_server, rt_server.create_token(sub=who)) as owner,
        socket_to(rt_server, rt_server.create_token(sub=str(UUID(int=0)))) as other,
        socket_to(rt_server) as nobody,
        socket_to(rt_server, key=rt_server.service_key) as service,
    ):
        await owner.join(name, private=True)
        await service.join(name, private=True)
        for socket in (other, nobody):
            assert (await socket.ask(name, private=True))["code"] == "unauthorized"
            # The public channel of that name is another channel.
            await socket.join(name)
        await owner.send("broadcast", channel=name, event="e", payload={"secret": 1}, ref="r")
        told = await owner.until("broadcast_ack")
        assert told["payload"] == {"subscribers_notified": 1}
        assert (await service.until("broadcast"))["payload"] == {"secret": 1}
        for socket in (other, nobody):
            await socket.nothing_more()
        await nobody.send("broadcast", channel=name, event="e", payload={"fake": 1}, ref="r")
        assert (await nobody.until("broadcast_ack"))["payload"] == {"subscribers_notified": 1}
        assert (await other.until("broadcast"))["payload"] == {"fake": 1}
        await owner.nothing_more()


async def test_policies_decide_who_sends(rt_server: LocalServer) -> None:
    who = str(uuid4())
    name = f"room:{who}"
    async with socket_to(rt_server, rt_server.create_token(sub=who)) as owner:
        await owner.join(name, private=True, broadcast={"ack": True})
        await owner.send("broadcast", channel=name, event="forbidden", payload={}, ref="r")
        refused = await owner.until("error")
        assert (refused["code"], refused["ref"]) == ("unauthorized", "r")
        await owner.send("broadcast", channel=name, event="fine", payload={})
        await owner.until("broadcast_ack")


async def test_private_over_http(rt_server: LocalServer) -> None:
    who = str(uuid4())
    name = f"room:{who}"
    token = rt_server.create_token(sub=who)
    body = {"channel": name, "event": "e", "payload": {}, "private": True}
    async with socket_to(rt_server, token) as owner:
        await owner.join(name, private=True)
        mine = {"Authorization": f"Bearer {token}"}
        answer = call(rt_server, "POST", "/realtime/broadcast", json=body, headers=mine)
        assert (answer.status_code, answer.json()) == (200, {"subscribers_notified": 1})
        await owner.until("broadcast")
        refused = call(
            rt_server,
            "POST",
            "/realtime/broadcast",
            json=body,
            headers={"apikey": rt_server.anon_key},
        )
        assert (refused.status_code, refused.json()["code"]) == (403, "unauthorized")


async def test_a_new_token_is_asked_again(rt_server: LocalServer) -> None:
    who = str(uuid4())
    name = f"room:{who}"
    async with (
        socket_to(rt_server, rt_server.create_token(sub=who)) as socket,
        socket_to(rt_server, key=rt_server.service_key) as service,
    ):
        await socket.join(name, private=True)
        await service.join(name, private=True)
        await socket.send("auth", token=rt_server.create_token(sub=str(uuid4())))
        refused = await socket.until("error")
        assert (refused["code"], refused["channel"]) == ("unauthorized", name)
        await socket.until("system")
        await service.send("broadcast", channel=name, event="e", payload={})
        await socket.nothing_more()


async def test_channels_that_nobody_can_decide_about_are_left(rt_server: LocalServer) -> None:
    """A policy that fails says neither yes nor no to the new token: it is not taken for a yes."""
    first, second = f"level:{uuid4()}", f"level:{uuid4()}"
    rt_server.execute_sql(
        "create policy levels on realtime.messages for select to authenticated using "
        "(realtime.topic() like 'level:%' and (auth.jwt() ->> 'level')::int > 0)"
    )
    try:
        async with (
            socket_to(rt_server, rt_server.create_token(sub="a", level=1)) as socket,
            socket_to(rt_server, key=rt_server.service_key) as service,
        ):
            for name in (first, second):
                await socket.join(name, private=True)
                await service.join(name, private=True, broadcast={"ack": True})
            await socket.send("auth", token=rt_server.create_token(sub="a", level="none"))
            for name in (first, second):
                refused = await socket.until("error")
                assert (refused["code"], refused["channel"]) == ("service_unavailable", name)
            await socket.until("system")
            for name in (first, second):
                await service.send("broadcast", channel=name, event="e", payload={})
                told = await service.until("broadcast_ack")
                assert told["payload"] == {"subscribers_notified": 0}
            await socket.nothing_more()
    finally:
        rt_server.execute_sql("drop policy levels on realtime.messages")


async def test_no_probe_stays(rt_server: LocalServer) -> None:
    assert rt_server.execute_sql("select count(*) as n from realtime.messages") == [{"n": 0}]
