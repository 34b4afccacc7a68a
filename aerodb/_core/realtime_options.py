"""Settings of realtime, checked when they are made. A plain class, as `ClientOptions` is."""

from __future__ import annotations

from typing import Any, Literal, NoReturn, Self

__all__ = ["RealtimeOptions"]

OVERFLOWS = frozenset({"drop_oldest", "drop_newest", "close"})
_LONGEST = 10**6
_LARGEST = 2**40


class RealtimeOptions:
    """How the realtime connection behaves: `ClientOptions(realtime=RealtimeOptions(...))`.

    Attributes:
        heartbeat: Seconds between signs of life; None: what the server asks for, or 30. A
            connection that is silent for twice as long is given up and made anew.
        join_timeout: Seconds that the server has to confirm a subscription.
        reconnect_delay: Seconds before the first attempt to reconnect, at most; it doubles with
            each attempt up to `max_reconnect_delay`, and chance takes a part of it away.
        max_reconnect_delay: See above.
        idle_timeout: Seconds that a connection without channels is kept.
        ping_interval: Seconds between pings of the WebSocket protocol itself.
        ping_timeout: Seconds that the answer to one may take.
        max_message_bytes: The largest message that is received.
        max_queue: How many events of a channel may wait for its handlers.
        max_queue_bytes: The same in bytes of their frames.
        overflow: What gives when more would have to wait: `drop_oldest`, `drop_newest` or
            `close`. Dropped events are counted, and a `GapNotice` stands in their place.
    """

    __slots__ = (
        "heartbeat",
        "idle_timeout",
        "join_timeout",
        "max_message_bytes",
        "max_queue",
        "max_queue_bytes",
        "max_reconnect_delay",
        "overflow",
        "ping_interval",
        "ping_timeout",
        "reconnect_delay",
    )

    heartbeat: float | None
    join_timeout: float
    reconnect_delay: float
    max_reconnect_delay: float
    idle_timeout: float
    ping_interval: float
    ping_timeout: float
    max_message_bytes: int
    max_queue: int
    max_queue_bytes: int
    overflow: Literal["drop_oldest", "drop_newest", "close"]

    def __init__(
        self,
        *,
        heartbeat: float | None = None,
        join_timeout: float = 10.0,
        reconnect_delay: float = 1.0,
        max_reconnect_delay: float = 30.0,
        idle_timeout: float = 5.0,
        ping_interval: float = 20.0,
        ping_timeout: float = 20.0,
        max_message_bytes: int = 1024 * 1024,
        max_queue: int = 1000,
        max_queue_bytes: int = 8 * 1024 * 1024,
        overflow: Literal["drop_oldest", "drop_newest", "close"] = "drop_oldest",
    ) -> None:
        for name, value in (
            ("heartbeat", None if heartbeat is None else _seconds("heartbeat", heartbeat)),
            ("join_timeout", _seconds("join_timeout", join_timeout)),
            ("reconnect_delay", _seconds("reconnect_delay", reconnect_delay)),
            ("max_reconnect_delay", _seconds("max_reconnect_delay", max_reconnect_delay)),
            ("idle_timeout", _seconds("idle_timeout", idle_timeout)),
            ("ping_interval", _seconds("ping_interval", ping_interval)),
            ("ping_timeout", _seconds("ping_timeout", ping_timeout)),
            ("max_message_bytes", _count("max_message_bytes", max_message_bytes)),
            ("max_queue", _count("max_queue", max_queue)),
            ("max_queue_bytes", _count("max_queue_bytes", max_queue_bytes)),
            ("overflow", checked_overflow(overflow)),
        ):
            object.__setattr__(self, name, value)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some settings changed."""
        return type(self)(**(self._values() | changes))

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in RealtimeOptions.__slots__}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"RealtimeOptions is immutable: use replace({name}=...)")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("RealtimeOptions is immutable")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RealtimeOptions):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(tuple(self._values().values()))

    def __repr__(self) -> str:
        default = _DEFAULTS._values()
        shown = [f"{n}={v!r}" for n, v in self._values().items() if v != default[n]]
        return f"RealtimeOptions({', '.join(shown)})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._values(),)


def _rebuild(values: dict[str, Any]) -> RealtimeOptions:
    return RealtimeOptions(**values)


def checked_overflow(value: object) -> Any:
    """Check a policy; raises ValueError."""
    if value not in OVERFLOWS:
        raise ValueError(f"overflow must be one of {', '.join(sorted(OVERFLOWS))}, not {value!r}")
    return value


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not 0 < value <= _LONGEST:
        raise ValueError(f"{name} must be above 0 and at most {_LONGEST} seconds, not {value!r}")
    return float(value)


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not 1 <= value <= _LARGEST:
        raise ValueError(f"{name} must be from 1 to {_LARGEST}, not {value!r}")
    return value


_DEFAULTS = RealtimeOptions()
