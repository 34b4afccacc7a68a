"""The frames of a client, read and checked (wire contract §4.2); those of the server, written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aerodb.local.realtime.errors import FrameError, invalid
from aerodb.local.realtime.subscriptions import EVENTS, encode

MAXIMUM_FRAME_BYTES = 128 * 1024
MAXIMUM_PAYLOAD_BYTES = 64 * 1024
MAXIMUM_META_BYTES = 8 * 1024
MAXIMUM_BINDINGS = 100
_HALF_A_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
_CHANNEL = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")


@dataclass(frozen=True, slots=True)
class WantedBinding:
    """One entry of `config.postgres_changes`, as it was asked for."""

    event: str
    schema: str | None
    table: str
    filter: str | None


@dataclass(frozen=True, slots=True)
class Subscribe:
    """What a `subscribe` frame asks for; `changes` None: the channel's own table, if it is one."""

    channel: str
    ref: str | None = None
    changes: tuple[WantedBinding, ...] | None = None
    broadcast_self: bool = False
    broadcast_ack: bool = False
    presence: bool = False
    presence_key: str | None = None
    private: bool = False
    resume: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A `broadcast` or `presence` frame; the payload is JSON text."""

    channel: str
    event: str
    payload: str
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A frame of any type; `ref` is known even if the rest of it is wrong."""

    type: str
    ref: str | None
    channel: str | None
    body: Mapping[str, Any] = field(repr=False)


def read_frame(text: str) -> Incoming:
    """Return the frame in `text`, or raise `invalid_message`."""
    body = _parsed(text, "The frame")
    kind = body.get("type")
    if not isinstance(kind, str):
        raise invalid("The frame has no type.")
    ref = body.get("ref", body.get("ref_id"))
    channel = body.get("channel")
    if ref is not None and not (isinstance(ref, str) and len(ref) <= 255):
        raise invalid("ref must be a text of at most 255 characters.")
    return Incoming(kind, ref, channel if isinstance(channel, str) else None, body)


def json_object(content_type: str | None, body: bytes) -> Mapping[str, Any]:
    """Return the JSON object of an HTTP body.

    The content type has to say so: a web page can send other types without asking (reliability D2).
    """
    if (content_type or "").partition(";")[0].strip().lower() != "application/json":
        raise invalid("The body must be application/json.")
    try:
        return _parsed(body.decode("utf-8"), "The body")
    except UnicodeDecodeError:
        raise invalid("The body is not UTF-8.") from None


def _parsed(text: str, what: str) -> Mapping[str, Any]:
    try:
        body = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        raise invalid(f"{what} is not JSON.") from None
    if not isinstance(body, dict):
        raise invalid(f"{what} is not a JSON object.")
    if _HALF_A_CHARACTER.search(text):
        try:
            encode(body).encode()
        except ValueError:
            raise invalid(f"{what} holds half a character.") from None
    return body


def is_channel(name: str) -> bool:
    """Whether a channel can be called this (wire contract §4.9)."""
    return _CHANNEL.fullmatch(name) is not None


def channel_of(frame: Incoming) -> str:
    """Return the channel that a frame names."""
    if frame.channel is None or not is_channel(frame.channel):
        raise FrameError(
            "invalid_channel",
            "A channel is named by 1 to 255 characters, none of them a control character.",
        )
    return frame.channel


def read_subscribe(frame: Incoming) -> Subscribe:
    """Return what a `subscribe` frame asks for."""
    channel = channel_of(frame)
    config = _object(frame.body, "config")
    broadcast, presence = _object(config, "broadcast"), _object(config, "presence")
    key = presence.get("key")
    if key is not None and not (isinstance(key, str) and _CHANNEL.fullmatch(key)):
        raise invalid("presence.key must be a text of 1 to 255 characters.")
    return Subscribe(
        channel=channel,
        ref=frame.ref,
        changes=_changes(config),
        broadcast_self=_flag(broadcast, "self"),
        broadcast_ack=_flag(broadcast, "ack"),
        presence=_flag(presence, "enabled"),
        presence_key=key,
        private=_flag(config, "private"),
        resume=_resume(config),
    )


def read_message(frame: Incoming) -> Message:
    """Return a `broadcast` frame."""
    channel = channel_of(frame)
    return Message(channel, event_of(frame.body), payload_of(frame.body), frame.ref)


def event_of(body: Mapping[str, Any]) -> str:
    """Return the name of a broadcast's event."""
    event = body.get("event")
    if not isinstance(event, str) or not _CHANNEL.fullmatch(event):
        raise invalid("event must be a text of 1 to 255 characters without control characters.")
    return event


def payload_of(body: Mapping[str, Any], most: int = MAXIMUM_PAYLOAD_BYTES) -> str:
    """Return a payload as JSON text of at most `most` bytes."""
    try:
        text = encode(body.get("payload"))
        size = len(text.encode())
    except (ValueError, RecursionError):
        raise invalid("The payload cannot be written as JSON.") from None
    if size > most:
        raise FrameError("message_too_large", f"The payload is longer than {most} bytes.")
    return text


def read_presence(frame: Incoming) -> tuple[Message, dict[str, Any] | None]:
    """Return a `presence` frame and the object to be tracked, None to untrack."""
    channel = channel_of(frame)
    event = frame.body.get("event")
    if event not in ("track", "untrack"):
        raise invalid("The event of a presence frame is track or untrack.")
    meta = frame.body.get("payload")
    if event == "track" and not isinstance(meta, dict):
        raise invalid("The payload of track is an object.")
    if not isinstance(meta, dict) or event == "untrack":
        return Message(channel, event, "{}", frame.ref), None
    return Message(channel, event, payload_of(frame.body, MAXIMUM_META_BYTES), frame.ref), meta


def read_auth(frame: Incoming) -> str | None:
    """Return the token of an `auth` frame; None: without one from now on."""
    token = frame.body.get("token")
    if token is not None and not (isinstance(token, str) and token and token.isascii()):
        raise invalid("token must be an access token, or null.")
    return token


def error_frame(problem: FrameError, channel: str | None = None, ref: str | None = None) -> str:
    """Return an `error` frame."""
    return frame(
        "error",
        code=problem.code,
        message=problem.message,
        channel=channel,
        ref=ref,
        retryable=problem.retryable,
        retry_after=problem.retry_after,
    )


def frame(kind: str, **fields: Any) -> str:
    """Return the text of a frame; fields that are None are left out."""
    return encode({"type": kind, **{k: v for k, v in fields.items() if v is not None}})


def _changes(config: Mapping[str, Any]) -> tuple[WantedBinding, ...] | None:
    listed = config.get("postgres_changes")
    if listed is None:
        return None
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise invalid("postgres_changes must be a list of objects.")
    if len(listed) > MAXIMUM_BINDINGS:
        raise invalid(f"postgres_changes has more than {MAXIMUM_BINDINGS} entries.")
    return tuple(_binding(entry) for entry in listed)


def _binding(entry: Mapping[str, Any]) -> WantedBinding:
    event, schema = entry.get("event", "*"), entry.get("schema")
    table, text = entry.get("table", "*"), entry.get("filter")
    if not isinstance(event, str) or event.upper() not in EVENTS:
        raise invalid("The event of a binding is INSERT, UPDATE, DELETE or *.")
    names = [name for name in (schema, table) if name is not None]
    if not all(isinstance(name, str) and _CHANNEL.fullmatch(name) for name in names):
        raise invalid("The schema and the table of a binding are names.")
    if text is not None and not isinstance(text, str):
        raise FrameError("invalid_filter", "A filter is a text like `id=eq.1`.")
    return WantedBinding(event.upper(), schema, table, text or None)


def _resume(config: Mapping[str, Any]) -> tuple[str, int] | None:
    resume = config.get("resume")
    if resume is None:
        return None
    epoch, since = _object(config, "resume").get("epoch"), resume.get("since")
    whole = isinstance(since, int) and not isinstance(since, bool)
    if not isinstance(epoch, str) or not whole or not 0 <= since < 2**53:
        raise invalid("resume must have a text `epoch` and a number `since`.")
    return epoch, since


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise invalid(f"{name} must be an object.")
    return found


def _flag(body: Mapping[str, Any], name: str) -> bool:
    found = body.get(name, False)
    if not isinstance(found, bool):
        raise invalid(f"{name} must be true or false.")
    return found


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} does not fit")
    return value
