"""Frames as text, and what the variants of other servers mean (wire-contract §4.2, §4.3).

Reading is total: a member that is not what it should be is as good as absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aerodb._core.error_body import clean_text
from aerodb._core.json import dumps
from aerodb._core.realtime.messages import change_type
from aerodb._core.redact import redact_text
from aerodb.types import AeroDBError

__all__ = [
    "PING",
    "SENT",
    "Frame",
    "auth_frame",
    "broadcast_frame",
    "broadcast_of",
    "change_of",
    "error_of",
    "heartbeat_frame",
    "is_unknown_type",
    "names_of",
    "presence_frame",
    "subscribe_frame",
    "unsubscribe_frame",
]

Frame = Mapping[str, Any]

PING = '{"type":"ping"}'

SENT = "sent"
"""The reference of what is sent to a private channel and nobody waits for: an error that has it is
not about the subscription."""

_PASSING = frozenset(
    {"rate_limit_exceeded", "internal_error", "service_unavailable", "processing_error"}
)
_FINAL = frozenset(
    {
        "auth_failed",
        "invalid_channel",
        "invalid_filter",
        "invalid_message",
        "message_too_large",
        "not_subscribed",
        "token_expired",
        "too_many_subscriptions",
        "unauthorized",
        "unsupported",
    }
)
_MAX_MESSAGE = 500

# --- making --------------------------------------------------------------------------------------


def _text(frame: dict[str, Any]) -> str:
    return dumps({name: value for name, value in frame.items() if value is not None}).decode()


def subscribe_frame(
    channel: str, ref: str | None = None, config: Mapping[str, Any] | None = None
) -> str:
    """Without `ref` and `config`: exactly the seed's frame."""
    frame = {"type": "subscribe", "channel": channel, "ref": ref}
    return _text({**frame, "config": dict(config) if config else None})


def unsubscribe_frame(channel: str) -> str:
    """Exactly the seed's frame."""
    return _text({"type": "unsubscribe", "channel": channel})


def auth_frame(token: str | None, ref: str) -> str:
    """A new token for the open connection; None: the key alone from now on. Never logged."""
    return dumps({"type": "auth", "token": token, "ref": ref}).decode()


def heartbeat_frame(ref: str) -> str:
    """A sign of life that wants an answer."""
    return _text({"type": "heartbeat", "ref": ref, "ref_id": ref})


def broadcast_frame(channel: str, event: str, payload: Any, ref: str | None) -> str:
    """A message to the others. Raises BadValue for a payload that JSON has no word for."""
    frame: dict[str, Any] = {"type": "broadcast", "channel": channel, "event": event}
    frame["payload"] = payload
    if ref is not None:
        frame["ref"] = ref
    return dumps(frame).decode()


def presence_frame(
    channel: str, event: str, state: Mapping[str, Any], ref: str | None = None
) -> str:
    """`track` or `untrack`. Raises BadValue for a state that JSON has no word for."""
    frame = {"type": "presence", "channel": channel, "event": event, "payload": state}
    return dumps(frame if ref is None else {**frame, "ref": ref}).decode()


# --- reading -------------------------------------------------------------------------------------


def names_of(frame: Frame) -> tuple[str, ...]:
    """What the channel of a frame may be called here: as it stands, or without a prefix."""
    name = frame.get("channel")
    if not isinstance(name, str):
        name = frame.get("topic")
    if not isinstance(name, str):
        return ()
    if name.startswith("realtime:"):
        rest = name.removeprefix("realtime:")
        return name, rest.partition(":")[2], rest
    return (name,)


def change_of(frame: Frame) -> tuple[str, Mapping[str, Any]] | None:
    """(INSERT | UPDATE | DELETE, its members) of a frame that tells of a change."""
    for name in ("payload", "event", "data"):
        inner = frame.get(name)
        if isinstance(inner, dict):
            kind = change_type(inner)
            if kind is not None:
                return kind, inner
            nested = inner.get("data")
            if isinstance(nested, dict) and (kind := change_type(nested)) is not None:
                return kind, nested
    kind = change_type(frame)
    return None if kind is None else (kind, frame)


def broadcast_of(frame: Frame) -> Mapping[str, Any] | None:
    """The members of a broadcast that came as an `event` (§4.3)."""
    inner = frame.get("payload")
    if isinstance(inner, dict) and inner.get("type") == "broadcast":
        return inner
    return None


def error_of(frame: Frame) -> AeroDBError:
    """The error that a frame tells, in any of its shapes. Its codes are in lower case."""
    fields: dict[str, Any] = dict(frame)
    for name in ("payload", "error"):
        inner = frame.get(name)
        if isinstance(inner, dict):
            fields = {**fields, **inner}
    message = fields.get("message")
    if not isinstance(message, str):
        message = fields.get("error") if isinstance(fields.get("error"), str) else None
    code = fields.get("code")
    code = code.lower()[:128] if isinstance(code, str) and code else None
    text = clean_text(message or code or "the server reports an error").strip()[:_MAX_MESSAGE]
    wait = fields.get("retry_after")
    counted = isinstance(wait, int | float) and not isinstance(wait, bool) and 0 <= wait < 10**6
    said = fields.get("retryable")
    passing = said if isinstance(said, bool) and code not in _FINAL else code in _PASSING
    return AeroDBError(
        redact_text(text),
        code=code or "realtime_error",
        details=fields.get("details"),
        retry_after=float(wait) if counted else None,  # type: ignore[arg-type]  # checked above
        retryable=bool(passing),
    )


def is_unknown_type(error: AeroDBError) -> bool:
    """Whether a server says that it does not know a frame's type (§4.4, §4.6)."""
    text = error.message.lower()
    return "unknown" in text or "not supported" in text or error.code == "unsupported"
