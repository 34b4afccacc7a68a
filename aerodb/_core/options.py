"""A client's settings, checked when they are made.

A plain class with slots: a dataclass of this size would take longer to import than all that
checks it here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Self

from aerodb._core.redact import redact_url

if TYPE_CHECKING:
    import os
    from typing import Protocol

    from aerodb._core.operation import Telemetry
    from aerodb._core.realtime_options import RealtimeOptions

    class TlsContext(Protocol):
        """An `ssl.SSLContext`, by what it can do: the core does not know sockets."""

        check_hostname: bool

        def wrap_socket(self, *args: Any, **kwargs: Any) -> Any: ...


_LARGEST = 2**40
_LONGEST = 10**6  # seconds; systems count a wait in milliseconds, in 32 bits


class ClientOptions:
    """Settings of a client; immutable, comparable, and shared freely. Wrong ones raise at once.

    Attributes:
        timeout: Seconds for a whole call: waiting, sending, retries and reading (§1.7).
        connect_timeout: Seconds for one attempt to connect.
        retries: How often a call may be repeated; 0 for never.
        retry_budget: How many retries all calls together may make in a row before successes have
            to earn them; None for no limit.
        max_connections: How many requests may be under way at once.
        keepalive_seconds: How long an idle connection is kept.
        max_response_bytes: The largest decoded body that is read.
        max_url_bytes: The longest URL that is sent.
        allow_insecure: Allow http:// and ws:// to other machines.
        verify: True; a path to a file or directory of CA certificates; or an `ssl.SSLContext`.
        proxy: The URL of a proxy; None to go by the environment if `trust_env`.
        trust_env: Heed `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE` and the like.
        http2: Use HTTP/2 where the server offers it.
        idempotency_keys: Whether the server honours `Idempotency-Key`, so that a write that has
            one may be repeated after a failure that leaves its effect in doubt. None: as the
            server itself says in `/health`, which is asked when it first matters.
        realtime: How the realtime connection behaves: a `RealtimeOptions`. None: its defaults.
        session_store: Where the session is kept beyond this client: a `FileSessionStore`, or
            anything with its methods `load`, `save` and `clear`. None: in memory only.
        adopt_sessions: Whether signing in makes the client that user. False for a client that
            many callers share: it stays who it is, and the tokens are in the answer alone.
        telemetry: Who observes each call: an `aerodb.contrib.otel.OpenTelemetry`, or anything
            with its method `observe`, and `observe_realtime` for realtime. None: nobody.
    """

    __slots__ = (
        "adopt_sessions",
        "allow_insecure",
        "connect_timeout",
        "http2",
        "idempotency_keys",
        "keepalive_seconds",
        "max_connections",
        "max_response_bytes",
        "max_url_bytes",
        "proxy",
        "realtime",
        "retries",
        "retry_budget",
        "session_store",
        "telemetry",
        "timeout",
        "trust_env",
        "verify",
    )

    timeout: float
    connect_timeout: float
    retries: int
    retry_budget: int | None
    max_connections: int
    keepalive_seconds: float
    max_response_bytes: int
    max_url_bytes: int
    allow_insecure: bool
    verify: str | TlsContext | bool
    proxy: str | None
    trust_env: bool
    http2: bool
    idempotency_keys: bool | None
    session_store: Any
    adopt_sessions: bool
    realtime: RealtimeOptions | None
    telemetry: Telemetry | None

    def __init__(
        self,
        *,
        timeout: float = 30.0,
        connect_timeout: float = 10.0,
        retries: int = 2,
        retry_budget: int | None = 100,
        max_connections: int = 100,
        keepalive_seconds: float = 15.0,
        max_response_bytes: int = 64 * 1024 * 1024,
        max_url_bytes: int = 16 * 1024,
        allow_insecure: bool = False,
        verify: bool | str | os.PathLike[str] | TlsContext = True,
        proxy: str | None = None,
        trust_env: bool = True,
        http2: bool = False,
        idempotency_keys: bool | None = None,
        session_store: Any = None,
        adopt_sessions: bool = True,
        realtime: RealtimeOptions | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        budget = None if retry_budget is None else _count("retry_budget", retry_budget, 0, 10**6)
        keys = None if idempotency_keys is None else _flag("idempotency_keys", idempotency_keys)
        for name, value in (
            ("timeout", seconds("timeout", timeout)),
            ("connect_timeout", seconds("connect_timeout", connect_timeout)),
            ("retries", _count("retries", retries, 0, 20)),
            ("retry_budget", budget),
            ("max_connections", _count("max_connections", max_connections, 1, 100_000)),
            ("keepalive_seconds", seconds("keepalive_seconds", keepalive_seconds, zero=True)),
            ("max_response_bytes", _count("max_response_bytes", max_response_bytes, 1, _LARGEST)),
            ("max_url_bytes", _count("max_url_bytes", max_url_bytes, 256, _LARGEST)),
            ("allow_insecure", _flag("allow_insecure", allow_insecure)),
            ("verify", _verify(verify)),
            ("proxy", _proxy(proxy)),
            ("trust_env", _flag("trust_env", trust_env)),
            ("http2", _flag("http2", http2)),
            ("idempotency_keys", keys),
            ("session_store", _store(session_store)),
            ("adopt_sessions", _flag("adopt_sessions", adopt_sessions)),
            ("realtime", _realtime(realtime)),
            ("telemetry", _telemetry(telemetry)),
        ):
            object.__setattr__(self, name, value)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some settings changed."""
        return type(self)(**(self._values() | changes))

    def _values(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ClientOptions.__slots__}

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"ClientOptions is immutable: use replace({name}=...)")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("ClientOptions is immutable")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ClientOptions):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(tuple(self._values().values()))

    def __repr__(self) -> str:
        default = _DEFAULTS._values()
        shown = self._values()
        if self.proxy is not None:
            shown["proxy"] = redact_url(self.proxy)
        parts = [f"{name}={shown[name]!r}" for name in shown if shown[name] != default[name]]
        return f"ClientOptions({', '.join(parts)})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self.proxy is not None and redact_url(self.proxy) != self.proxy:
            raise TypeError("options with a password in `proxy` are not pickled")
        return _rebuild, (type(self), self._values())


def _rebuild(kind: type[ClientOptions], values: dict[str, Any]) -> ClientOptions:
    return kind(**values)


def seconds(name: str, value: object, *, zero: bool = False) -> float:
    """Check a number of seconds; raises TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {_kind(value)}")
    lowest = "from 0" if zero else "above 0"
    # Compared before it is converted: NaN fails, and an endless integer would raise in float().
    if not 0 <= value <= _LONGEST or (value == 0 and not zero):
        wanted = f"a finite number of seconds {lowest} up to {_LONGEST}"
        raise ValueError(f"{name} must be {wanted}, not {_shown(value)}")
    return float(value)


def _count(name: str, value: object, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {_kind(value)}")
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must be from {lowest} to {highest}, not {_shown(value)}")
    return value


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {_kind(value)}")
    return value


def _verify(value: Any) -> Any:
    if value is True or hasattr(value, "wrap_socket"):  # an SSLContext, without importing ssl
        return value
    if value is False:
        # reliability H6: too easily left in; whoever needs it can build the context.
        raise ValueError(
            "verify=False is not offered: give the path of the CA file, or an ssl.SSLContext"
        )
    path = value.__fspath__() if hasattr(value, "__fspath__") else value
    if not isinstance(path, str):
        raise TypeError(f"verify must be True, a path or an ssl.SSLContext, not {_kind(value)}")
    if not path or "\0" in path:
        raise ValueError("verify must name a file or directory of CA certificates")
    return path


def _store(value: Any) -> Any:
    if value is None or all(callable(getattr(value, n, None)) for n in ("load", "save", "clear")):
        return value
    raise TypeError(f"session_store must have load(), save() and clear(), not be {_kind(value)}")


def _realtime(value: Any) -> Any:
    if value is None or type(value).__name__ == "RealtimeOptions":  # without importing it
        return value
    raise TypeError(f"realtime must be RealtimeOptions(...) or None, not {_kind(value)}")


def _telemetry(value: Any) -> Any:
    if value is None or (callable(getattr(value, "observe", None)) and not isinstance(value, type)):
        return value
    raise TypeError(f"telemetry must have a method observe(), not be {_kind(value)}")


def _proxy(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"proxy must be a URL or None, not {_kind(value)}")
    if not value.startswith(("http://", "https://", "socks5://", "socks5h://")):
        raise ValueError("proxy must start with http://, https://, socks5:// or socks5h://")
    if not value.isprintable() or any(ch in value for ch in ' \\"'):
        raise ValueError("proxy must have no space, backslash or control character")
    return value


def checked_options(options: object) -> ClientOptions:
    """The options of a client: those that were given, or the defaults."""
    if options is None:
        return _DEFAULTS
    if not isinstance(options, ClientOptions):
        raise TypeError(f"options must be ClientOptions(...) or None, not {_kind(options)}")
    return options


def _shown(value: object) -> str:
    # An int of more than 4,300 digits cannot be turned into text.
    if isinstance(value, int) and not -(10**18) < value < 10**18:
        return "an int that large"
    return repr(value)


def _kind(value: object) -> str:
    return type(value).__name__


_DEFAULTS = ClientOptions()
