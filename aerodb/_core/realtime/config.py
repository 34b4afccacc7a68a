"""What a channel was made with, and what of that the server is told (wire-contract §4.2)."""

from __future__ import annotations

from typing import Any

from aerodb._core.realtime.frames import SENT
from aerodb._core.realtime.handlers import Handlers

__all__ = ["ChannelConfig"]


class ChannelConfig:
    """What `client.channel(...)` was told; sent only where it is not the default (§4.2)."""

    __slots__ = ("broadcast_ack", "broadcast_self", "presence", "presence_key", "private")

    def __init__(self) -> None:
        self.private = False
        self.broadcast_self = False
        self.broadcast_ack = False
        self.presence = False
        self.presence_key: str | None = None

    @property
    def sending_ref(self) -> str | None:
        """The reference of what is sent without waiting for an answer."""
        return SENT if self.private else None

    def members(self, handlers: Handlers) -> dict[str, Any]:
        """The members of `config`, without those that say the default."""
        found: dict[str, Any] = {}
        bindings = handlers.bindings()
        if bindings:
            found["postgres_changes"] = [one.config() for one in bindings]
        broadcast = {"self": self.broadcast_self, "ack": self.broadcast_ack}
        if any(broadcast.values()):
            found["broadcast"] = {name: True for name, value in broadcast.items() if value}
        if self.presence or self.presence_key is not None or handlers.wants_presence:
            key = {} if self.presence_key is None else {"key": self.presence_key}
            found["presence"] = {"enabled": True, **key}
        if self.private:
            found["private"] = True
        return found
