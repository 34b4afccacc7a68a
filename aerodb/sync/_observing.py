# GENERATED from aerodb_async_src/_observing.py by scripts/generate.py [41dd0c19ddc9]: do not edit
"""A call as it is seen by those who observe it: the log, and the client's telemetry."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Self

from aerodb._core.http import Origin
from aerodb._core.operation import Operation, Telemetry
from aerodb._core.options import ClientOptions
from aerodb._io.on_threads import call_log, monotonic
from aerodb.types import AeroDBResponse

from ._flight import Flight


def observers_of(options: ClientOptions) -> tuple[Telemetry, ...]:
    """Who observes the calls of a client; nobody, as a rule."""
    return tuple(one for one in (call_log(), options.telemetry) if one is not None)


class Observed:
    """The time from before a call's first attempt to its response, or to its being broken off."""

    __slots__ = ("_flight", "_observers", "_operation", "_stack")

    def __init__(
        self,
        observers: Sequence[Telemetry],
        flight: Flight,
        origin: Origin,
        secrets: Sequence[str],
    ) -> None:
        self._observers = observers
        self._flight = flight
        self._operation = Operation(flight.call, origin, secrets)
        self._stack: ExitStack[bool | None] = ExitStack()

    def __enter__(self) -> Self:
        try:
            for one in self._observers:
                self._stack.enter_context(one.observe(self._operation))
        except BaseException:
            self._stack.close()
            raise
        self._flight.trace = [
            (name.encode("ascii"), value.encode("ascii"))
            for name, value in self._operation.headers.items()
        ]
        return self

    def ended(self, response: AeroDBResponse[Any]) -> None:
        """Take note of the response."""
        self._operation.ended(response)

    def __exit__(self, *exc_info: Any) -> None:
        self._operation.attempts = self._flight.attempts
        self._operation.elapsed = monotonic() - self._flight.started
        self._stack.__exit__(*exc_info)
