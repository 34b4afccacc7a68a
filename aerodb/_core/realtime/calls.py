"""What a channel is asked to do, checked; and the one call of realtime over HTTP (§4.10)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from aerodb._core.errors import client_error
from aerodb._core.http import Call, Prepared, RawResponse, Retry
from aerodb._core.json import BadJSON, dumps, loads
from aerodb._core.options import seconds
from aerodb._core.realtime.channel import ChannelMachine
from aerodb._core.realtime.cursor import whole
from aerodb._core.realtime.filters import Filter, parse_filter
from aerodb._core.realtime.handlers import PRESENCE_EVENTS, Binding, Handler, change_names
from aerodb._core.realtime.messages import SendResult
from aerodb._core.values import BadValue
from aerodb.types import AeroDBError, AeroDBResponse

__all__ = [
    "channel_problem",
    "check_arguments",
    "checked_state",
    "connect_error",
    "handler_for",
    "http_broadcast",
    "join_error",
    "payload_problem",
    "still_running",
    "time_problem",
    "wishes_problem",
]

MAX_NAME = 255
MAX_PAYLOAD = 64 * 1024
MAX_STATE = 8 * 1024


def channel_problem(name: object) -> str | None:
    """Why a channel cannot have this name (§4.9). Raises TypeError if it is no text."""
    if not isinstance(name, str):
        raise TypeError(f"a channel's name must be a str, not {type(name).__name__}")
    if not 1 <= len(name) <= MAX_NAME:
        return f"a channel's name must have 1 to {MAX_NAME} characters, not {len(name)}"
    if re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", name):
        return f"the channel's name {name[:80]!a} has a control character or a lone surrogate"
    return None


def time_problem(timeout: object) -> AeroDBError | None:
    """Why a timeout is none."""
    try:
        seconds("timeout", timeout)
    except (TypeError, ValueError) as problem:
        return client_error("INVALID_ARGUMENT", str(problem))
    return None


def payload_problem(what: str, value: Any) -> AeroDBError | None:
    """Why something cannot be sent to the others."""
    limit = MAX_STATE if what == "state" else MAX_PAYLOAD
    try:
        size = len(dumps(value))
    except BadValue as problem:
        return client_error("INVALID_ARGUMENT", f"{what}: {problem.message}")
    if size > limit:
        return client_error("INVALID_ARGUMENT", f"{what} has {size} bytes, more than {limit}")
    return None


def wishes_problem(channel: ChannelMachine) -> AeroDBError | None:
    """Why the server cannot be asked for what a channel is to have (a lone surrogate in it)."""
    try:
        dumps(channel.config.members(channel.handlers))
    except BadValue as problem:
        text = f"channel {channel.name!r} cannot be asked for: {problem.message}"
        return client_error("INVALID_ARGUMENT", text)
    return None


def checked_state(state: object) -> AeroDBError | None:
    """Why a presence state is none."""
    if not isinstance(state, Mapping):
        text = f"state must be a mapping, not {type(state).__name__}"
        return client_error("INVALID_ARGUMENT", text)
    return payload_problem("state", state)


def check_arguments(callback: Callable[..., Any], count: int) -> None:
    """Raise TypeError for a callback that cannot be called with so many arguments.

    Found out when it is registered, not when the first event comes (features §3.21).
    """
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError):
        return  # something built in that does not say
    try:
        signature.bind(*[None] * count)
    except TypeError as problem:
        name = getattr(callback, "__qualname__", None) or repr(callback)
        wanted = "one argument" if count == 1 else f"{count} arguments"
        raise TypeError(f"{name} cannot be called with {wanted}: {problem}") from None


def handler_for(
    kind: Any,
    event: object,
    callback: Callable[[Any], Any],
    *,
    channel: str = "",
    default_schema: str = "public",
    schema: str | None = None,
    table: str | None = None,
    filter: str | None = None,
    bound: bool = False,
) -> Handler:
    """A handler, checked.

    Raises:
        TypeError, ValueError: Its event, filter or callback cannot be meant so.
    """
    check_arguments(callback, 1)
    if kind == "change":
        name, binding = change_names(event), None
        if bound or schema is not None or table is not None or filter is not None:
            own_schema, _, own_table = channel.rpartition(".")
            schema = schema or (own_schema if table is None and own_schema else default_schema)
            chosen = _filter(filter)
            binding = Binding(name, schema, table or own_table, chosen)
        return Handler("change", name, callback, binding)
    if not isinstance(event, str):
        raise TypeError(f"event must be a str, not {type(event).__name__}")
    if kind == "presence" and event not in PRESENCE_EVENTS:
        raise ValueError(f"a presence event is sync, join, leave or *, not {event[:60]!r}")
    return Handler(kind, event, callback)


def _filter(text: object) -> Filter | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise TypeError(f"filter must be a str like 'id=gt.3', not {type(text).__name__}")
    return parse_filter(text)


def join_error(channel: str, timeout: float, cause: AeroDBError | None) -> AeroDBError:
    """What `subscribe()` answers when its time is over; it is tried again all the same."""
    if cause is not None:
        return AeroDBError(
            f"channel {channel!r} is not subscribed yet: {cause.message}",
            cause.status,
            cause.code,
            hint=cause.hint,
            retryable=True,
        )
    message = f"the server did not confirm channel {channel!r} within {timeout:g} s"
    hint = "it is asked again until unsubscribe(); a status callback hears when it is there"
    made = client_error("JOIN_TIMEOUT", message, hint=hint)
    return AeroDBError(made.message, code=made.code, hint=made.hint, retryable=True)


def connect_error(timeout: float, cause: AeroDBError | None) -> AeroDBError:
    """What `connect()` answers when its time is over; it is tried again all the same."""
    if cause is None:
        cause = client_error("TIMEOUT", f"no realtime connection within {timeout:g} s")
    return AeroDBError(cause.message, cause.status, cause.code, hint=cause.hint, retryable=True)


def still_running(channel: str, timeout: float) -> AeroDBError:
    """What `unsubscribe()` answers if a handler takes longer than it may."""
    message = f"a handler of channel {channel!r} still ran after {timeout:g} s"
    return client_error("TIMEOUT", message, hint="the channel is left; that call is the last one")


def http_broadcast(
    channel: str, event: str, payload: Any, *, private: bool = False
) -> Prepared[SendResult]:
    """A broadcast without a WebSocket; a private channel is another than the public one of its
    name (§4.10)."""
    problem = payload_problem("payload", payload)
    if problem is not None:
        return AeroDBResponse(error=problem)
    members = {"channel": channel, "event": event, "payload": payload}
    body = dumps({**members, "private": True} if private else members)
    return Call(
        "POST",
        "/realtime/broadcast",
        _decode_sent,
        headers=(("Content-Type", "application/json"),),
        body=body,
        retry=Retry.UNSENT,
    )


def _decode_sent(response: RawResponse) -> AeroDBResponse[SendResult]:
    try:
        value = loads(response.body) if response.body.strip() else {}
    except BadJSON:
        error = client_error("INVALID_RESPONSE", "the answer of /realtime/broadcast is no JSON")
        return AeroDBResponse(error=error)
    members = value if isinstance(value, dict) else {}
    return AeroDBResponse(SendResult(whole(members.get("subscribers_notified"))))
