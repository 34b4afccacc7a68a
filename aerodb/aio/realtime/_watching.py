# GENERATED from aerodb_async_src/realtime/_watching.py by scripts/generate.py [b6622f8b9b8f]: do not edit
"""Realtime as it is seen by the client's telemetry, if that asks for it."""

from __future__ import annotations

from typing import Any, Self

from aerodb._core.realtime.messages import ChannelEvent
from aerodb._core.realtime.observed import RealtimeOperation, observing, server_of
from aerodb._io.on_asyncio import logger, monotonic
from aerodb.types import AeroDBError

from .._transport import AsyncTransport  # noqa: TID252  # of the same twin, whichever it is


class Watching:
    """Who observes the realtime of one client; nobody, as a rule: then it is false."""

    __slots__ = ("_observe", "_server", "_transport")

    def __init__(self, transport: AsyncTransport, url: str) -> None:
        self._transport = transport
        self._observe = observing(transport.options.telemetry)
        self._server = ("", 0) if self._observe is None else server_of(url)

    def __bool__(self) -> bool:
        return self._observe is not None

    def of(
        self, operation: str, channel: str | None = None, item: ChannelEvent | None = None
    ) -> Watched | Unwatched:
        """A context manager around one thing that is done. It gives what is to be told of it."""
        if self._observe is None:
            return _UNWATCHED
        secrets = self._transport.secrets()
        told = RealtimeOperation(operation, self._server, channel, item, secrets=secrets)
        return Watched(self._observe, told)


class Unwatched:
    """Nobody observes."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def ended(self, error: AeroDBError | None) -> None:
        """There is nobody to be told."""


_UNWATCHED = Unwatched()


class Watched:
    """The time from the beginning of a thing to its end.

    An observer that fails is logged: the connection goes on without it.
    """

    __slots__ = ("_around", "_observe", "_started", "_told")

    def __init__(self, observe: Any, told: RealtimeOperation) -> None:
        self._around: Any = None
        self._observe = observe
        self._started = 0.0
        self._told = told

    def __enter__(self) -> RealtimeOperation:
        self._started = monotonic()
        try:
            around = self._observe(self._told)
            around.__enter__()
            self._around = around
        except Exception:  # noqa: BLE001  # an observer's failure is its own
            self._failed()
        return self._told

    def __exit__(self, kind: Any, failure: BaseException | None, trace: Any) -> None:
        if self._around is None:
            return
        self._told.elapsed = monotonic() - self._started
        if failure is not None:
            self._told.broken_off(failure)
        try:
            self._around.__exit__(kind, failure, trace)
        except Exception as raised:  # noqa: BLE001  # an observer's failure is its own
            if raised is not failure:
                self._failed()

    def _failed(self) -> None:
        logger("aerodb.realtime").exception("the telemetry failed: %s", self._told.name)
