"""Pings the peer, and notices when nothing comes back (reliability W4, X16)."""

from __future__ import annotations

import asyncio
from typing import Protocol

from aerodb._core.websocket import SocketSettings


class Pinged(Protocol):
    """What is kept alive."""

    is_paused: bool
    """Whether we do not listen at the moment."""

    def ping(self) -> None:
        """Send a ping."""

    def lose(self, reason: str) -> None:
        """The peer is gone."""


class Keepalive:
    """A dead link is noticed `ping_interval + ping_timeout` seconds after its last byte.

    Any byte counts as life, so reading costs no clock: `heard` is set, and judged `ping_timeout`
    after each ping. While we do not read, the peer cannot be judged (X17). A loop that was blocked
    reads before it runs its timers, so that does no harm either.
    """

    __slots__ = ("_interval", "_link", "_loop", "_timeout", "_timer", "heard")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, link: Pinged, settings: SocketSettings
    ) -> None:
        self._loop = loop
        self._link = link
        self._interval = settings.ping_interval
        self._timeout = settings.ping_timeout
        self._timer: asyncio.TimerHandle | None = None
        self.heard = True

    def start(self) -> None:
        """From now on."""
        self._timer = self._loop.call_later(self._interval, self._ping)

    def stop(self) -> None:
        """No more pings."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ping(self) -> None:
        self.heard = False
        self._link.ping()
        self._timer = self._loop.call_later(self._timeout, self._judge)

    def _judge(self) -> None:
        if self.heard or self._link.is_paused:
            rest = max(0.0, self._interval - self._timeout)
            self._timer = self._loop.call_later(rest, self._ping)
        else:
            self._timer = None
            self._link.lose("the peer does not answer pings")
