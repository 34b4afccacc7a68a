"""What the frames of a server mean, canonical or not (wire-contract §4.3).

What is not known is ignored: the connection stays (§4.3, last row).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aerodb._core.realtime.cursor import seq_about, whole
from aerodb._core.realtime.frames import (
    Frame,
    broadcast_of,
    change_of,
    error_of,
    is_unknown_type,
    names_of,
)
from aerodb._core.realtime.messages import BroadcastMessage, GapNotice, SendResult, member
from aerodb._core.realtime.states import Phase
from aerodb.types import AeroDBError

if TYPE_CHECKING:
    from aerodb._core.realtime.channel import ChannelMachine
    from aerodb._core.realtime.machine import RealtimeMachine

__all__ = ["is_unknown_type", "read"]

_OF_THE_TOKEN = frozenset({"auth_failed", "token_expired", "unauthorized", "session_revoked"})


def read(machine: RealtimeMachine, frame: Frame, size: int, now: float) -> None:
    """Act on a frame that is not a plain change of a known channel."""
    kind = frame.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is not None:
        reader(machine, frame, size, now)
    elif kind is None and ("error" in frame or "code" in frame):
        _error(machine, frame, size, now)


def _channel(machine: RealtimeMachine, frame: Frame) -> ChannelMachine | None:
    for name in names_of(frame):
        found = machine.channels.get(name)
        if found is not None:
            return found
    return None


def _asked_for(machine: RealtimeMachine, frame: Frame) -> ChannelMachine | None:
    """The channel of an answer: by its name, or else by the reference of the question (§4.3)."""
    ref = frame.get("ref")
    by_ref = (one for one in machine.channels.values() if one.was_asked_with(ref))
    return _channel(machine, frame) or next(by_ref, None)


def _connected(machine: RealtimeMachine, frame: Frame, size: int, now: float) -> None:
    payload = frame.get("payload")
    if isinstance(payload, dict):
        machine.liveness.advised(payload.get("heartbeat_ms"))
        machine.replan(now)


def _subscribed(machine: RealtimeMachine, frame: Frame, size: int, now: float) -> None:
    channel = _asked_for(machine, frame)
    if channel is not None:
        channel.confirmed(frame)


def _unsubscribed(machine: RealtimeMachine, frame: Frame, size: int, now: float) -> None:
    channel = _channel(machine, frame)
    if channel is not None:
        channel.left()
        machine.tick(now)


def _event(machine: RealtimeMachine, frame: Frame, size: int, now: float) -> None:
    channel = _channel(machine, frame)
    sent = broadcast_of(frame)
    if sent is not None:
        if channel is not None:
            channel.message(BroadcastMessage(frame, sent, channel.name, size), frame)
        return
    found = change_of(frame)
    if found is None:
        machine.malformed += 1
        return
    kind, inner = found
    if channel is not None:
        channel.change(kind, frame, inner, size)
        return
    if not names_of(frame):
        for one in _by_table(machine, inner):
            one.change(kind, frame, inner, size)


def _by_table(machine: RealtimeMachine, inner: Mapping[str, Any]) -> Iterator[ChannelMachine]:
    """The channels that a change without a channel is for."""
    schema, table = inner.get("schema") or "public", member(inner, "table")
    for channel in list(machine.channels.values()):
        bindings = channel.handlers.bindings()
        if bindings:
            if any(b.schema == schema and b.table in ("*", table) for b in bindings):
                yield channel
        elif channel.name in (table, f"{schema}.{table}"):
            yield channel


def _broadcast(machine: RealtimeMachine, frame: Frame, size: int, now: float) -> None:
    channel = _channel(machine, frame)
    if channel is not None:
        channel.message(BroadcastMessage(frame, frame, channel.name, size), frame)


def _broadcast_ack(machine: RealtimeMachine, frame: Frame, size: int, now: float) -> None:
    ref = frame.get("ref")
    ticket = machine.pending.pop(ref, None) if isinstance(ref, str) else None
    if ticket is None and ref is None and machine.pending:
        ticket = machine.pending.pop(next(iter(machine.pending)))  # one without a reference
    payload = frame.get("payload")
    members = payload if isinstance(payload, dict) else frame
    machine.out.settle(ticket, SendResult(whole(members.get("subscribers_notified"))))


def _presence(machine: RealtimeMachine, frame: Frame, size: int, now: float) -> None:
    channel = _channel(machine, frame)
    if channel is None:
        return
    event = frame.get("event")
    if event in ("sync", "join", "leave"):
        channel.presences(event, frame, size)
        return
    inner = frame.get("payload")
    for name, word in (("leaves", "leave"), ("joins", "join")):
        for holder in (frame, inner if isinstance(inner, dict) else {}):
            if isinstance(holder.get(name), dict):
                channel.presences(word, {**frame, "payload": holder[name]}, size)


def _alive(machine: RealtimeMachine, frame: Frame, size: int, now: float) -> None:
    machine.liveness.answered(frame, now)
    seq = whole(frame.get("seq"))
    if seq is not None:
        for channel in machine.channels.values():
            if channel.phase is Phase.JOINED:
                channel.cursor.heard(seq)


def _system(machine: RealtimeMachine, frame: Frame, size: int, now: float) -> None:
    event, status = frame.get("event"), frame.get("status")
    if event == "auth":
        if status == "error":
            machine.refused_token(error_of(frame), frame.get("ref"), now)
        else:
            machine.accepted(frame.get("ref"), now)
    elif event == "truncate":
        for channel in _truncated(machine, frame):
            channel.deliver(GapNotice("truncate", channel.name, until=seq_about(frame)))
    elif event == "dropped":
        found = _channel(machine, frame)
        if found is not None:
            found.dropped(frame)
    elif status == "error":
        _error(machine, frame, size, now)


def _truncated(machine: RealtimeMachine, frame: Frame) -> list[ChannelMachine]:
    channel = _channel(machine, frame)
    if channel is not None:
        return [channel]
    details = frame.get("details")
    if isinstance(details, dict) and isinstance(details.get("table"), str):
        return list(_by_table(machine, details))
    return [one for one in machine.channels.values() if one.phase is Phase.JOINED]


def _error(machine: RealtimeMachine, frame: Frame, size: int, now: float) -> None:
    """Whose error it is: an operation's by its reference, a channel's, or the connection's."""
    error, ref = error_of(frame), frame.get("ref")
    if isinstance(ref, str) and ref in machine.pending:
        machine.out.settle(machine.pending.pop(ref), error=error)
        return
    channel = _asked_for(machine, frame)
    if channel is None:
        if is_unknown_type(error) and machine.liveness.not_understood(ref):
            machine.tick(now)
            return
        of_token = ref is not None or error.code in _OF_THE_TOKEN or is_unknown_type(error)
        if of_token and machine.refused_token(error, ref, now):
            return
        channel = _only_joining(machine)
    if channel is not None and _concerns(error, ref, channel):
        channel.failed(error, now)
    machine.out.tell(None, None, error)


def _concerns(error: AeroDBError, ref: object, channel: ChannelMachine) -> bool:
    """Whether it is about the subscription, not about an earlier attempt at it or about what was
    sent: who may read a private channel need not be one who may send to it (§4.10)."""
    another = isinstance(ref, str) and not channel.was_asked_with(ref)
    return not another or error.code == "not_subscribed"


def _only_joining(machine: RealtimeMachine) -> ChannelMachine | None:
    """An error that names nobody, while one channel waits for its confirmation, is that one's."""
    joining = [one for one in machine.channels.values() if one.phase is Phase.JOINING]
    return joining[0] if len(joining) == 1 else None


_READERS: dict[str, Callable[[Any, Frame, int, float], None]] = {
    "connected": _connected,
    "subscribed": _subscribed,
    "unsubscribed": _unsubscribed,
    "event": _event,
    "postgres_changes": _event,
    "broadcast": _broadcast,
    "broadcast_ack": _broadcast_ack,
    "presence": _presence,
    "heartbeat": _alive,
    "heartbeat_ack": _alive,
    "pong": _alive,
    "system": _system,
    "error": _error,
}
