"""The realtime connection with virtual time: states, reconnection, resume, gaps (§4.4 - §4.9)."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from aerodb._core.errors import client_error
from aerodb._core.realtime.closing import Ending, delay, ending_of, refusal
from aerodb._core.realtime.messages import (
    GapNotice,
    RealtimePayload,
    RealtimeStatus,
    SendResult,
    SubscribeStatus,
)
from aerodb._core.realtime.outputs import Ticket
from aerodb._core.realtime.sending import broadcast, track
from aerodb._core.realtime.states import (
    CHANNEL_TABLE,
    LINK_TABLE,
    LinkPhase,
    Phase,
    Step,
    Turn,
    table_text,
)
from aerodb._core.realtime_options import RealtimeOptions
from tests.support.virtual_realtime import CHANNEL, World, drained


def joined(**arguments: Any) -> tuple[World, Any, Any]:
    world = World(**arguments)
    channel, inbox = world.channel()
    ticket = world.subscribe(channel)
    assert ticket.done
    assert ticket.error is None
    return world, channel, inbox


def statuses(world: World, *, of: Any = None) -> list[Any]:
    kind = RealtimeStatus if of is None else SubscribeStatus
    return [one.status for one in world.notices if isinstance(one.status, kind)]


# --- tables --------------------------------------------------------------------------------------


def test_the_tables_are_closed_and_printed() -> None:
    assert set(LINK_TABLE.values()) == set(LinkPhase)
    assert set(CHANNEL_TABLE.values()) == set(Phase)
    assert all((state, Turn.DISCONNECT) in LINK_TABLE for state in LinkPhase)
    assert all((phase, Step.SUBSCRIBE) in CHANNEL_TABLE for phase in Phase)
    assert len(table_text().splitlines()) == len(LINK_TABLE) + len(CHANNEL_TABLE)


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        *[(code, Ending.RECONNECT) for code in (1000, 1001, 1006, 1011, 1012, 1013, 4002, 4008)],
        *[(code, Ending.RECONNECT) for code in (4500, 4501, 4502, 3000, 4999)],
        *[(code, Ending.ONCE) for code in (1002, 1003, 1007, 1009, 4000)],
        *[(code, Ending.RENEW) for code in (4003, 4004)],
        *[(code, Ending.RECONNECT_SLOWLY) for code in (4020, 4021)],
    ],
)
def test_close_codes(code: int, ending: Ending) -> None:
    assert ending_of(code) is ending


@pytest.mark.parametrize(
    ("status", "again"),
    [(200, False), (301, False), (403, False), (404, False), (426, False), (400, False),
     (408, True), (429, True), (500, True), (502, True), (503, True)],
)  # fmt: skip
def test_refused_handshakes(status: int, again: bool) -> None:
    headers = [(b"Retry-After", b"7")]
    body = b'{"error":"no","message":"secret-token","code":"nope"}'
    error, found = refusal(
        status, headers, body, url="ws://h/realtime", secrets=("secret-token",), now=0.0
    )
    assert found is again
    assert "secret-token" not in str(error)
    assert error.status == status
    if status in (429, 503):
        assert error.retry_after == 7


def test_pauses_are_jittered_and_grow_to_a_limit() -> None:
    for attempt in range(40):
        ceiling = min(30.0, 2.0**attempt)
        pauses = [delay(attempt, jitter, first=1.0, most=30.0) for jitter in (0.0, 0.5, 1.0)]
        assert pauses == sorted(pauses)
        assert pauses[0] == 0.5
        assert pauses[2] == pytest.approx(max(ceiling, 0.5))
    assert delay(0, 0.5, first=1.0, most=30.0, asked=12.0) == 12.0


# --- subscribing ---------------------------------------------------------------------------------


def test_the_seeds_frames() -> None:
    world, channel, _ = joined()
    assert world.sent == [{"type": "subscribe", "channel": "posts"}]
    ticket = Ticket(None)
    world.machine.unsubscribe(channel, ticket, world.now)
    world.carry()
    assert world.sent[1:] == [{"type": "unsubscribe", "channel": "posts"}]
    assert ticket.done
    assert channel.phase is Phase.IDLE


def test_nothing_connects_before_the_first_subscription_and_the_last_one_lingers() -> None:
    world = World()
    channel, _ = world.channel()
    world.pass_time(100)
    assert world.attempts == []
    world.subscribe(channel)
    world.machine.unsubscribe(channel, Ticket(None), world.now)
    world.carry()
    world.pass_time(4.9)
    assert world.machine.state is LinkPhase.OPEN
    world.pass_time(0.2)
    assert world.machine.state is LinkPhase.IDLE
    assert statuses(world) == [RealtimeStatus.CONNECTING, RealtimeStatus.OPEN, RealtimeStatus.IDLE]


def test_a_subscription_that_is_not_confirmed_is_asked_for_again() -> None:
    world = World()
    channel, _ = world.channel()
    world._serve = lambda frame: None  # type: ignore[method-assign]
    ticket = world.subscribe(channel)
    world.say({"type": "pong"})
    world.pass_time(9.9)
    assert not ticket.done
    world.pass_time(0.2)
    assert ticket.error is not None
    assert ticket.error.code == "JOIN_TIMEOUT"
    assert SubscribeStatus.TIMED_OUT in statuses(world, of=channel)
    for _ in range(50):
        world.say({"type": "pong"})  # it lives, and confirms nothing
        world.pass_time(1)
    asked = [one for one in world.sent if one["type"] == "subscribe"]
    assert len(asked) == 5  # at 0, and 1, 2, 5 and 10 s after each was given up
    del world._serve
    world.pass_time(30)
    assert channel.phase is Phase.JOINED


@pytest.mark.parametrize(
    "code", ["invalid_channel", "invalid_filter", "unauthorized", "too_many_subscriptions", "odd"]
)
def test_a_refusal_for_good_is_the_answer(code: str) -> None:
    world = World()
    channel, inbox = world.channel()
    world._serve = lambda frame: world.say(  # type: ignore[method-assign]
        {"type": "error", "channel": CHANNEL, "code": code.upper(), "message": "no"}
    )
    ticket = world.subscribe(channel)
    assert ticket.error is not None
    assert ticket.error.code == code
    assert channel.phase is Phase.FAILED
    assert inbox.closed
    world.pass_time(100)
    assert sum(1 for one in world.sent if one["type"] == "subscribe") == 1
    assert statuses(world, of=channel)[-1] is SubscribeStatus.CHANNEL_ERROR


def test_a_refusal_for_now_is_not_the_answer() -> None:
    world = World()
    channel, _ = world.channel()
    serve = world._serve
    error = {"type": "error", "channel": CHANNEL, "code": "internal_error", "retry_after": 3}
    world._serve = lambda frame: world.say(error)  # type: ignore[method-assign]
    ticket = world.subscribe(channel)
    assert not ticket.done
    world._serve = serve  # type: ignore[method-assign]
    world.pass_time(2.9)
    assert not ticket.done
    world.pass_time(0.2)
    assert ticket.done
    assert ticket.error is None


def test_a_second_subscription_with_other_wishes_is_asked_for_and_confirmed() -> None:
    world, channel, _ = joined()
    again = world.subscribe(channel)
    assert again.done
    assert len(world.sent) == 1  # nothing new was wanted
    channel.config.broadcast_self = True
    other = world.subscribe(channel)
    assert other.done
    assert world.sent[-1]["config"]["broadcast"] == {"self": True}
    assert channel.phase is Phase.JOINED


def test_a_stale_confirmation_does_not_count() -> None:
    world = World()
    channel, _ = world.channel()
    channel.config.private = True
    world._serve = lambda frame: world.say(  # type: ignore[method-assign]
        {"type": "subscribed", "channel": CHANNEL, "ref": "another"}
    )
    ticket = world.subscribe(channel)
    assert not ticket.done
    world.say({"type": "subscribed", "channel": CHANNEL})
    world.carry()
    assert ticket.done


def test_events_confirm_where_a_server_does_not() -> None:
    world = World()
    channel, inbox = world.channel()
    world._serve = lambda frame: None  # type: ignore[method-assign]
    ticket = world.subscribe(channel)
    world.say({"type": "event", "channel": CHANNEL, "payload": {"type": "INSERT", "new": {}}})
    world.carry()
    assert ticket.done
    assert len(drained(inbox)) == 1


def test_answers_find_their_subscription_by_the_reference_alone() -> None:
    """A server may leave out the channel, or call it by a name of its own (§4.3)."""
    world = World()
    asked: dict[str, str] = {}

    def serve(frame: dict[str, Any]) -> None:
        asked[frame["channel"]] = frame["ref"]

    world._serve = serve  # type: ignore[method-assign]
    found = {}
    for name in ("one", "two", "three"):
        channel, _ = world.channel(name)
        channel.config.private = True
        found[name] = channel, world.subscribe(channel)
    world.say({"type": "error", "code": "unauthorized", "ref": asked["two"], "message": "no"})
    world.say({"type": "subscribed", "ref": asked["three"]})
    world.say({"type": "subscribed", "channel": "its-own-name", "ref": asked["one"]})
    world.carry()
    assert [channel.phase for channel, _ in found.values()] == [
        Phase.JOINED, Phase.FAILED, Phase.JOINED,
    ]  # fmt: skip
    assert all(ticket.done for _, ticket in found.values())


# --- reconnecting --------------------------------------------------------------------------------


def test_200_kills_200_reconnections() -> None:
    world, channel, inbox = joined(seed=7)
    codes = itertools.cycle((1000, 1001, 1006, 1011, 1012, 1013, 4002, 4008, 4500, 4020))
    for kill in range(1, 201):
        world.change()
        world.carry()
        world.kill(next(codes))
        assert channel.phase is Phase.ERRORED
        world.pass_time(40)
        assert channel.phase is Phase.JOINED, kill
        assert world.machine.opens == kill + 1
    assert [type(one) for one in drained(inbox)] == [RealtimePayload] * 200
    assert statuses(world, of=channel).count(SubscribeStatus.RESUBSCRIBED) == 200


def test_an_outage_is_borne_politely_and_forgotten_when_it_is_over() -> None:
    world, _, _ = joined(seed=3)
    world.mute = True
    world.attempts.clear()
    world.kill()
    world.pass_time(600)
    gaps = [b - a for a, b in itertools.pairwise(world.attempts)]
    assert 20 <= len(gaps) <= 80
    assert all(0.5 <= gap <= 30 for gap in gaps)
    assert len({round(gap, 3) for gap in gaps}) > len(gaps) / 2
    world.mute = False
    world.pass_time(31)
    assert world.machine.state is LinkPhase.OPEN
    world.pass_time(11)  # it has lasted
    world.attempts.clear()
    before = world.now
    world.kill()
    world.pass_time(2)
    assert 0.5 <= world.attempts[0] - before <= 1.0


def test_silence_is_noticed() -> None:
    world, channel, _ = joined()
    world._serve = lambda frame: None  # type: ignore[method-assign]
    world.pass_time(59)
    assert world.machine.state is LinkPhase.OPEN
    world.attempts.clear()
    world.pass_time(4)
    assert world.attempts
    del world._serve
    world.pass_time(30)
    assert channel.phase is Phase.JOINED


def test_any_frame_is_a_sign_of_life() -> None:
    world, _, _ = joined()
    world._serve = lambda frame: None  # type: ignore[method-assign]
    for frame in ('{"type":"pong"}', "no JSON", "[]", '{"type":"who knows"}', '{"type":7}') * 5:
        world.pass_time(50)
        world.say(frame)
        world.carry()
    assert world.machine.state is LinkPhase.OPEN
    assert len(world.attempts) == 1
    assert world.machine.malformed == 10


def test_heartbeats_measure_the_way_and_fall_back_to_pings() -> None:
    world, _, _ = joined()
    world.pass_time(31)
    assert world.sent[-1]["type"] == "heartbeat"
    assert world.sent[-1]["ref"] == world.sent[-1]["ref_id"]
    assert world.machine.liveness.latency == 0.0
    serve = world._serve

    def mounted(frame: dict[str, Any]) -> None:
        if frame["type"] == "heartbeat":
            world.say({"type": "error", "message": "Unknown message type: heartbeat"})
        elif frame["type"] == "ping":
            world.say({"type": "pong"})
        else:
            serve(frame)

    world._serve = mounted  # type: ignore[method-assign]
    world.pass_time(300)
    beats = [one["type"] for one in world.sent[2:]]
    assert beats.count("heartbeat") == 1
    assert beats.count("ping") >= 8
    assert len(world.attempts) == 1


def test_the_server_says_how_often() -> None:
    world, _, _ = joined()
    world.say({"type": "connected", "payload": {"connection_id": "c", "heartbeat_ms": 5000}})
    world.carry()
    world.pass_time(26)
    assert sum(1 for one in world.sent if one["type"] == "heartbeat") in (4, 5)
    own, _, _ = joined(options=RealtimeOptions(heartbeat=20))
    own.say({"type": "connected", "payload": {"heartbeat_ms": 1000}})
    own.carry()
    own.pass_time(21)
    assert sum(1 for one in own.sent if one["type"] == "heartbeat") == 1


@pytest.mark.parametrize("code", [1003, 1007, 1009, 4000])
def test_what_cannot_be_read_ends_in_no_storm(code: int) -> None:
    world, channel, inbox = joined()
    world.pass_time(1)
    world.change()
    world.kill(code)
    world.pass_time(5)
    assert channel.phase is Phase.JOINED
    assert "config" not in world.sent[-1]  # what cannot be read is not asked for again
    assert [one.type for one in drained(inbox)] == ["GAP"]
    world.kill(code)
    assert world.machine.state is LinkPhase.CLOSED
    assert channel.phase is Phase.FAILED
    world.pass_time(1000)
    assert len(world.attempts) == 2
    assert channel.handlers.all  # no handler is lost
    world.subscribe(channel)  # asked for once more, it is tried once more
    assert channel.phase is Phase.JOINED


def test_rejected_tokens_are_renewed_once() -> None:
    world, channel, _ = joined()
    world.kill(4003)
    assert world.machine.rejected
    world.pass_time(5)
    assert channel.phase is Phase.JOINED
    assert not world.machine.rejected
    world.kill(4003)
    assert world.machine.state is LinkPhase.CLOSED
    assert channel.error is not None
    assert channel.error.code == "unauthorized"
    world.pass_time(100)
    world.machine.rotate("another token", world.now)
    world.carry()
    assert channel.phase is Phase.JOINED


def test_a_refused_handshake_is_final_until_asked_again() -> None:
    world = World()
    channel, _ = world.channel()
    ticket = Ticket(None)
    world.machine.subscribe(channel, ticket, world.now)
    world.machine.not_opened(client_error("nope", "no"), world.now, 0.5, final=True)
    assert ticket.error is not None
    assert channel.phase is Phase.FAILED
    world.pass_time(1000)
    assert world.attempts == []
    assert world.subscribe(channel).error is None
    assert channel.phase is Phase.JOINED


def test_a_server_that_asks_for_time_gets_it() -> None:
    world = World()
    channel, _ = world.channel()
    world.machine.subscribe(channel, Ticket(None), world.now)
    error = client_error("x", "wait")
    error = type(error)(error.message, 429, "rate", retry_after=20.0, retryable=True)
    world.machine.not_opened(error, world.now, 0.0)
    world.pass_time(19)
    assert world.attempts == []
    world.pass_time(2)
    assert channel.phase is Phase.JOINED


def test_disconnecting_ends_everything_and_subscribing_begins_anew() -> None:
    world, channel, inbox = joined()
    waiting = Ticket(None)
    channel.handlers.clear()
    channel.config.private = True
    world._serve = lambda frame: None  # type: ignore[method-assign]
    world.machine.subscribe(channel, waiting, world.now)
    world.machine.disconnect()
    assert world.machine.hangup == (1000, "")
    assert waiting.error is not None
    assert waiting.error.code == "NOT_CONNECTED"
    assert inbox.closed
    assert channel.phase is Phase.IDLE
    world.pass_time(100)
    assert len(world.attempts) == 1
    del world._serve
    world.carry()
    assert world.subscribe(channel).error is None


# --- tokens --------------------------------------------------------------------------------------


def test_a_new_token_is_pushed_and_30_minutes_see_no_disconnection() -> None:
    world, channel, _ = joined()
    world.machine.renew_at = world.now + 810
    world.machine.replan(world.now)
    renewed = 0
    for _ in range(1800):
        world.pass_time(1)
        if world.machine.renewal:
            world.machine.renewal = False
            renewed += 1
            world.machine.renew_at = world.now + 810
            world.machine.rotate(f"token {renewed}", world.now)
            world.carry()
    assert renewed == 2
    assert [one["token"] for one in world.sent if one["type"] == "auth"] == ["token 1", "token 2"]
    assert len(world.attempts) == 1
    assert channel.phase is Phase.JOINED


def test_signing_out_is_told() -> None:
    world, _, _ = joined()
    world.machine.rotate(None, world.now)
    world.carry()
    assert world.sent[-1]["type"] == "auth"
    assert world.sent[-1]["token"] is None


def test_a_server_that_knows_no_auth_frame_is_connected_to_anew() -> None:
    world, channel, _ = joined()
    serve = world._serve

    def mounted(frame: dict[str, Any]) -> None:
        if frame["type"] == "auth":
            world.say({"type": "error", "message": "Unknown message type: auth"})
        else:
            serve(frame)

    world._serve = mounted  # type: ignore[method-assign]
    world.machine.rotate("second", world.now)
    world.carry()
    world.pass_time(1)
    assert len(world.attempts) == 2
    assert channel.phase is Phase.JOINED
    world.machine.rotate("third", world.now)
    world.carry()
    world.pass_time(1)
    assert len(world.attempts) == 3
    assert sum(1 for one in world.sent if one["type"] == "auth") == 1


def test_a_token_that_is_not_acknowledged_leads_to_a_new_connection() -> None:
    world, _, _ = joined()
    serve = world._serve
    world._serve = lambda f: None if f["type"] == "auth" else serve(f)  # type: ignore[method-assign]
    world.machine.rotate("second", world.now)
    world.carry()
    world.pass_time(9)
    assert len(world.attempts) == 1
    world.pass_time(2)
    assert len(world.attempts) == 2


def test_a_new_token_may_join_what_the_old_one_might_not() -> None:
    world, channel, _ = joined()
    other, _ = world.channel("private")
    serve = world._serve
    refused = {"type": "error", "channel": "private", "code": "unauthorized", "message": "no"}
    world._serve = lambda f: (  # type: ignore[method-assign]
        world.say(refused) if f.get("channel") == "private" else serve(f)
    )
    assert world.subscribe(other).error is not None
    del world._serve
    world.machine.rotate("better", world.now)
    world.carry()
    assert other.phase is Phase.JOINED
    assert channel.phase is Phase.JOINED


def test_each_token_has_an_answer_of_its_own() -> None:
    """Signed out and in again at once: the first answer says nothing about the second token."""
    world, _, _ = joined()
    serve = world._serve
    asked: list[str] = []
    world._serve = lambda f: (  # type: ignore[method-assign]
        asked.append(f["ref"]) if f["type"] == "auth" else serve(f)
    )
    world.machine.rotate("second", world.now)
    world.machine.rotate("third", world.now)
    world.carry()
    world.say({"type": "system", "event": "auth", "status": "ok", "ref": asked[0]})
    world.carry()
    world.say({"type": "error", "code": "auth_failed", "ref": asked[1], "message": "no"})
    world.carry()
    assert world.machine.rejected
    assert world.machine.state is LinkPhase.BACKOFF


def test_a_server_that_cannot_judge_a_token_now_has_not_refused_it() -> None:
    world, channel, _ = joined()
    serve = world._serve
    world._serve = lambda f: (  # type: ignore[method-assign]
        world.say({"type": "error", "code": "service_unavailable", "retryable": True,
                   "ref": f["ref"], "message": "The database does not answer."})
        if f["type"] == "auth" else serve(f)
    )  # fmt: skip
    for token in ("second", "third"):
        world.machine.rotate(token, world.now)
        world.carry()
        assert not world.machine.rejected
        world.pass_time(2)
        assert channel.phase is Phase.JOINED
    assert len(world.attempts) == 3


# --- nothing is lost in silence (reliability W3) -------------------------------------------------


def covered(seq: int, epoch: int, items: list[Any]) -> bool:
    """Whether a notice speaks of a change. Epochs are counted by the notices of a new one."""
    current = 0
    for item in items:
        if not isinstance(item, GapNotice):
            continue
        low = -1 if item.after is None else item.after
        high = math.inf if item.until is None else item.until
        if item.reason == "epoch_changed":
            if epoch == current and seq > low:
                return True
            current += 1
            if epoch == current and seq <= high:
                return True
        elif epoch == current and low < seq <= high:
            return True
    return False


@pytest.mark.parametrize("seed", range(50))
def test_every_change_is_delivered_once_or_a_notice_speaks_of_it(seed: int) -> None:
    world, channel, inbox = joined(seed=seed, ring=(10_000, 15)[seed % 2])
    chance = world.random
    world.resumes = seed % 5 != 4
    items: list[Any] = []
    made: list[tuple[int, int]] = []
    epoch = 0
    kills = sorted(chance.sample(range(1000), 20))
    for number in range(1000):
        world.change()
        made.append((epoch, world.seq))
        if chance.random() < 0.5:
            world.carry()
        if chance.random() < 0.01:
            world.drop_next = chance.randint(1, 4)
        if number in kills:
            # a notice for each new epoch, so that they can be counted: not two while away
            if chance.random() < 0.15 and world.resumes and channel.phase is Phase.JOINED:
                items += drained(inbox)
                world.restart()
                epoch += 1
            else:
                world.kill(chance.choice((1000, 1001, 1006, 1011, 1012, 4008)))
        if chance.random() < 0.1:
            world.pass_time(chance.random() * 40)
        items += drained(inbox)
    world.drop_next = 0
    world.pass_time(100)
    world.change()  # whatever was dropped at the end is noticed with the next one
    made.append((epoch, world.seq))
    world.carry()
    items += drained(inbox)
    assert channel.phase is Phase.JOINED
    seen: list[tuple[int, int]] = []
    now = 0
    for item in items:
        if isinstance(item, GapNotice):
            now += item.reason == "epoch_changed"
        elif isinstance(item, RealtimePayload):
            assert item.sequence is not None
            seen.append((now, item.sequence))
    assert len(seen) == len(set(seen)), "a change was delivered twice"
    if not world.resumes:
        seen = [one for one in seen if one in made]
    assert seen == sorted(seen), "changes came out of order"
    missing = [one for one in made if one not in set(seen)]
    silent = [one for one in missing if not covered(one[1], one[0], items)]
    assert silent == []


def test_50_channels_come_back_and_hear_each_change_once() -> None:
    world = World(seed=1)
    inboxes = {}
    for number in range(50):
        channel, inboxes[f"c{number}"] = world.channel(f"c{number}")
        world.subscribe(channel)
    for _ in range(100):
        world.change()
        world.carry()
        world.kill()
        world.pass_time(35)
    for inbox in inboxes.values():
        found = drained(inbox)
        assert [one.type for one in found] == ["INSERT"] * 100
        assert len({one.sequence for one in found}) == 100


def test_a_server_that_promises_no_order_loses_nothing_by_that() -> None:
    """Without an epoch nothing is ever replayed, so nothing that comes is an old one (§4.7)."""
    world, _, inbox = joined()
    world.say({"type": "subscribed", "channel": CHANNEL})
    world.carry()
    drained(inbox)
    for number in (5, 4, 6):
        inner = {"type": "INSERT", "table": CHANNEL, "new": {"id": number}}
        world.say({"type": "event", "channel": CHANNEL, "sequence": number, "payload": inner})
    world.carry()
    assert [one.sequence for one in drained(inbox)] == [5, 4, 6]


def test_a_hole_is_counted_by_n_not_by_seq() -> None:
    world, _, inbox = joined()
    world.change()
    world.drop_next = 3
    for _ in range(4):
        world.change()
    world.carry()
    first, gap, last = drained(inbox)
    assert isinstance(gap, GapNotice)
    assert (gap.reason, gap.missed) == ("server_dropped", 3)
    assert gap.after == first.sequence
    assert last.sequence is not None
    assert gap.until == last.sequence - 1


@pytest.mark.parametrize("n", [1, None])
def test_dropped_frames_are_counted_where_the_server_says_so(n: int | None) -> None:
    world, _, inbox = joined()
    frame = {"type": "event", "channel": CHANNEL, "payload": {"type": "INSERT", "new": {}}}
    world.say({**frame, "seq": 9, "dropped": 4} | ({} if n is None else {"n": n}))
    world.carry()
    gap, _ = drained(inbox)
    assert isinstance(gap, GapNotice)
    assert gap.missed == 4


@pytest.mark.parametrize("status", ["ok", "error"])
def test_losses_that_are_told_apart_from_events_are_told_once(status: str) -> None:
    """Before a heartbeat a server tells what it dropped: the heartbeat passes it (§4.8)."""
    world, channel, inbox = joined()
    event = {"type": "event", "channel": CHANNEL, "payload": {"type": "INSERT", "new": {}}}
    world.say({**event, "seq": 5, "n": 1})
    told = {"type": "system", "event": "dropped", "status": status, "channel": CHANNEL}
    world.say({**told, "message": "2 frames were lost.", "dropped": 2, "details": {"seq": 9}})
    world.carry()
    assert channel.phase is Phase.JOINED
    _, gap = drained(inbox)
    assert isinstance(gap, GapNotice)
    assert (gap.reason, gap.missed, gap.after, gap.until) == ("server_dropped", 2, 5, 9)
    world.say({**event, "seq": 11, "n": 4})
    world.say({**event, "seq": 15, "n": 7})  # two more, and nothing was said of them
    world.carry()
    assert [getattr(one, "missed", None) for one in drained(inbox)] == [None, 2, None]


def test_losses_that_are_told_do_not_hide_what_is_lost_after_them() -> None:
    world, _, inbox = joined()
    event = {"type": "event", "channel": CHANNEL, "payload": {"type": "INSERT", "new": {}}}
    told = {"type": "system", "event": "dropped", "status": "ok", "channel": CHANNEL}
    world.say({**event, "seq": 5, "n": 1})
    world.say({**told, "dropped": 2})
    world.say({**event, "seq": 11, "n": 7})  # two were told of, and three more are missing
    world.say({**told, "dropped": 2})  # messages: they have no number
    world.say({**event, "seq": 12, "n": 8})
    world.say({**event, "seq": 13, "n": 10})
    world.carry()
    found = [getattr(one, "missed", None) for one in drained(inbox)]
    assert found == [None, 2, 3, None, 2, None, 1, None]


def test_what_a_system_frame_says_of_no_channel_or_no_number_means_nothing() -> None:
    world, channel, inbox = joined()
    for odd in ({}, {"dropped": 0}, {"dropped": "2"}, {"dropped": 2, "channel": "another"}):
        world.say({"type": "system", "event": "dropped", "channel": CHANNEL, **odd})
    world.carry()
    assert channel.phase is Phase.JOINED
    assert drained(inbox) == []


def test_truncate_is_a_gap() -> None:
    world, _, inbox = joined()
    other, others = world.channel("other")
    world.subscribe(other)
    details = {"schema": "public", "table": CHANNEL, "seq": 7}
    world.say({"type": "system", "event": "truncate", "details": details})
    world.carry()
    assert [(one.reason, one.until) for one in drained(inbox) if isinstance(one, GapNotice)] == [
        ("truncate", 7)
    ]
    assert drained(others) == []


def test_a_heartbeat_moves_the_cursor() -> None:
    world, channel, _ = joined()
    world.change()
    world.carry()
    world.seq += 100
    world.pass_time(31)
    assert channel.cursor.seq == world.seq
    world.kill()
    world.pass_time(2)
    assert world.sent[-1]["config"]["resume"] == {"epoch": "one", "since": world.seq}


# --- sending -------------------------------------------------------------------------------------


def test_sending_is_for_the_joined_only_and_its_end_is_known() -> None:
    world = World()
    channel, _ = world.channel()
    problem = broadcast(world.machine, channel, "x", 1, Ticket(None))
    assert problem is not None
    assert problem.code == "NOT_CONNECTED"
    world.subscribe(channel)
    plain, acked, lost = Ticket(None, "sent"), Ticket(None), Ticket(None)
    assert broadcast(world.machine, channel, "x", {"a": 1}, plain) is None
    assert broadcast(world.machine, channel, "x", {"a": 1}, acked) is None
    world.carry()
    assert plain.done
    assert plain.error is None
    assert acked.data == SendResult(3)
    assert [one.get("ref") is not None for one in world.sent[1:]] == [False, True]
    world._serve = lambda frame: None  # type: ignore[method-assign]
    broadcast(world.machine, channel, "x", None, lost)
    world.carry()
    world.kill()
    assert lost.error is not None
    assert lost.error.maybe_applied
    world.machine.state = LinkPhase.OPEN
    channel.phase = Phase.JOINED
    unsent = Ticket(None, "sent")
    broadcast(world.machine, channel, "x", None, unsent)
    world.machine.lost(1006, "", world.now, 0.5)
    assert unsent.error is not None
    assert not unsent.error.maybe_applied


def test_what_waits_to_be_sent_is_bounded() -> None:
    world, channel, _ = joined()
    refused = 0
    for _ in range(40):
        problem = broadcast(world.machine, channel, "x", "y" * 60_000, Ticket(None, "sent"))
        refused += problem is not None
    assert refused > 20
    assert world.machine.out.size <= 1024 * 1024


def test_errors_belong_to_whom_they_name() -> None:
    world, channel, _ = joined()
    world._serve = lambda frame: world.say(  # type: ignore[method-assign]
        {"type": "error", "code": "rate_limit_exceeded", "ref": frame["ref"], "message": "slow"}
    )
    ticket = Ticket(None)
    broadcast(world.machine, channel, "x", 1, ticket)
    world.carry()
    assert ticket.error is not None
    assert ticket.error.code == "rate_limit_exceeded"
    assert channel.phase is Phase.JOINED
    world.say({"type": "error", "code": "rate_limit_exceeded", "channel": CHANNEL})
    world.carry()
    assert channel.phase is Phase.JOINED
    assert world.notices[-1].error is not None
    world.say({"type": "error", "code": "unauthorized", "channel": CHANNEL, "message": "no"})
    world.carry()
    assert channel.phase is Phase.FAILED


def test_a_message_that_may_not_be_sent_costs_no_subscription() -> None:
    """Who may read a private channel need not be one who may send to it (§4.10)."""
    world = World()
    channel, _ = world.channel()
    channel.config.private = channel.config.presence = True
    assert world.subscribe(channel).error is None
    refused: list[dict[str, Any]] = []

    def refuse(frame: dict[str, Any]) -> None:
        refused.append(frame)
        world.say({"type": "error", "code": "unauthorized", "channel": CHANNEL,
                   "ref": frame.get("ref"), "message": "no"})  # fmt: skip

    world._serve = refuse  # type: ignore[method-assign]
    sent = Ticket(None, "sent")
    broadcast(world.machine, channel, "x", 1, sent)
    track(world.machine, channel, {"mood": "good"}, Ticket(None, "sent"), world.now)
    forgotten = Ticket(None)
    broadcast(world.machine, channel, "x", 1, forgotten)
    world.machine.forget(forgotten)
    world.carry()
    assert sent.error is None
    assert [frame["type"] for frame in refused] == ["broadcast", "presence", "broadcast"]
    assert channel.phase is Phase.JOINED
    told = [one.error for one in world.notices if one.status is None]
    assert {error.code for error in told if error is not None} == {"unauthorized"}


def test_presence_is_told_again_after_a_reconnection() -> None:
    world, channel, _ = joined()
    assert track(world.machine, channel, {"mood": "good"}, Ticket(None, "sent"), world.now) is None
    world.carry()
    world.kill()
    world.pass_time(2)
    frames = [one for one in world.sent if one["type"] == "presence"]
    assert [one["payload"] for one in frames] == [{"mood": "good"}] * 2
    assert world.sent[-1] is frames[1]  # after the subscription was confirmed
    track(world.machine, channel, None, Ticket(None, "sent"), world.now)
    world.carry()
    world.kill()
    world.pass_time(2)
    assert sum(1 for one in world.sent if one["type"] == "presence") == 3


def test_an_abandoned_connection_begins_anew_when_asked() -> None:
    world, channel, inbox = joined()
    world.machine.abandon()
    assert world.machine.state is LinkPhase.IDLE
    assert channel.is_wanted
    world.carry()
    world.change()
    assert world.subscribe(channel).error is None
    assert [one.type for one in drained(inbox)] == ["INSERT"]
