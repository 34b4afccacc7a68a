"""What a channel's user sends to the others, or why it is not sent (wire-contract §4.8, §4.10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aerodb._core.errors import client_error
from aerodb._core.realtime.channel import ChannelMachine
from aerodb._core.realtime.frames import broadcast_frame
from aerodb._core.realtime.machine import RealtimeMachine
from aerodb._core.realtime.outputs import Ticket
from aerodb._core.realtime.states import Phase
from aerodb.types import AeroDBError

__all__ = ["broadcast", "track"]

MAX_UNSENT = 1024 * 1024
"""Bytes of frames that may wait to be sent (reliability W10)."""


def broadcast(
    machine: RealtimeMachine, channel: ChannelMachine, event: str, payload: Any, ticket: Ticket
) -> AeroDBError | None:
    """Send to the others on a channel; why not, if not. Raises BadValue for a bad payload."""
    waits = ticket.when == "answer"
    ref = machine.ref() if waits else channel.config.sending_ref
    frame = broadcast_frame(channel.name, event, payload, ref)
    problem = _problem(machine, channel, frame)
    if problem is None:
        if waits and ref is not None:
            machine.pending[ref] = ticket
        machine.out.send(frame, ticket)
    return problem


def track(
    machine: RealtimeMachine,
    channel: ChannelMachine,
    state: Mapping[str, Any] | None,
    ticket: Ticket,
    now: float,
) -> AeroDBError | None:
    """Say that somebody is there, or no more; why not, if not. Raises BadValue.

    A channel that was subscribed without presence is asked for anew, with it.
    """
    problem = _problem(machine, channel, "")
    if problem is not None:
        return problem
    if channel.has_presence:
        channel.track(state, ticket)
    elif state is None:
        machine.out.settle(ticket)
    else:
        channel.keep_tracked(state)
        machine.subscribe(channel, ticket, now)
    return None


def _problem(machine: RealtimeMachine, channel: ChannelMachine, frame: str) -> AeroDBError | None:
    """Nothing is queued for a connection that is not there (§4.8), nor without bound."""
    if not machine.is_open or channel.phase is not Phase.JOINED:
        return client_error(
            "NOT_CONNECTED",
            f"channel {channel.name!r} is not subscribed; nothing was sent",
            hint="call subscribe() first; after a loss of connection, wait for RESUBSCRIBED",
        )
    if machine.out.size + len(frame) > MAX_UNSENT:
        return client_error(
            "NOT_CONNECTED",
            "too much waits to be sent already; nothing was sent",
            hint="the server or the network is slower than this program sends",
        )
    return None
