"""Reads `GET /health` (wire-contract §7)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from aerodb._core.error_body import clean_text, load_json
from aerodb._core.errors import Exchange, client_error, error_from_response
from aerodb._core.http import Call, Prepared, RawResponse, Retry
from aerodb._core.options import seconds
from aerodb._dataclass import dataclass, replace
from aerodb.types import AeroDBError, AeroDBResponse

IDEMPOTENCY_KEYS = "idempotency-key"
"""The feature of a server that honours `Idempotency-Key` (wire-contract §1.8)."""

_UNWELL = 503
_MAX_BODY = 64 * 1024
_MAX_ITEMS = 256


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """How a server says it is.

    Attributes:
        status: `ok`, `starting`, `degraded`, or another word of the server's.
        version: The server's version, if it says.
        name: What the server is, if it says.
        services: The state of each service by its name.
        features: What the server can do beyond the common wire; empty if it does not say.
    """

    status: str
    version: str | None
    name: str | None
    services: Mapping[str, str]
    features: frozenset[str]

    @property
    def ok(self) -> bool:
        """Whether everything works."""
        return self.status.lower() in {"ok", "healthy", "ready"}

    def supports(self, feature: str) -> bool:
        """Whether the server lists a feature, for example `idempotency-key`."""
        return feature in self.features

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only view of a mapping can neither be pickled nor copied.
        plain = (self.status, self.version, self.name, dict(self.services), self.features)
        return _remade, plain


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """How a client stands, from its own point of view.

    Attributes:
        closed: Whether `close()` was called.
        signed_in: Whether it holds a session.
        realtime: The connection: `idle`, `connecting`, `open`, `reconnecting` or `closed`.
        latency: Seconds that the last realtime heartbeat took, there and back.
        channels: The names of the channels that are subscribed.
        error: Why realtime is not connected, if it should be.
    """

    closed: bool
    signed_in: bool
    realtime: str
    latency: float | None
    channels: tuple[str, ...]
    error: AeroDBError | None


def prepared_health(timeout: object) -> Prepared[HealthStatus]:
    """The call of a user, who may have given no time at all."""
    try:
        return health_call(timeout=seconds("timeout", timeout))
    except (TypeError, ValueError) as problem:
        return AeroDBResponse(error=client_error("INVALID_ARGUMENT", str(problem)))


def health_call(*, timeout: float | None = 5.0) -> Call[HealthStatus]:
    """The call that asks the server how it is. A 503 is an answer, and comes back at once."""
    return Call(
        "GET",
        "/health",
        decode_health,
        retry=Retry.SAFE,
        timeout=timeout,
        answers=(_UNWELL,),
        identity="key",
    )


def decode_health(response: RawResponse) -> AeroDBResponse[HealthStatus]:
    """Read the answer of a status 200-299, or of a 503.

    A server that is starting or degraded gives both: `data` with its report, and an `error`, so
    that `.ok` is false and `.unwrap()` raises.
    """
    status = health_from_body(response.body)
    if response.status == _UNWELL:
        return AeroDBResponse(status, _unwell(response, status))
    if status is not None:
        return AeroDBResponse(status)
    return AeroDBResponse(
        error=AeroDBError(
            "the answer of /health is no health report",
            response.status,
            "INVALID_RESPONSE",
            hint="is this the base URL of an AeroDB server?",
        )
    )


def _unwell(response: RawResponse, status: HealthStatus | None) -> AeroDBError:
    exchange = Exchange("GET", "/health", Retry.SAFE)
    error = error_from_response(response.status, response.raw_headers, response.body, exchange)
    if status is None:
        return error
    code = "service_unavailable" if error.code == f"http_{_UNWELL}" else error.code
    return replace(error, message=f"the server is {status.status}", code=code, details=None)


def health_from_body(body: bytes) -> HealthStatus | None:
    """Read a health report, or return None. Also fits the body of a 503 (`starting`)."""
    if len(body) > _MAX_BODY:
        return None
    value = load_json(body.decode("utf-8", "replace").strip())
    if not isinstance(value, dict):
        return None
    status = _word(value.get("status"))
    if status is None:
        return None
    services, features = value.get("services"), value.get("features")
    return HealthStatus(
        status,
        _word(value.get("version")),
        _word(value.get("name")),
        _read_services(services if isinstance(services, dict) else {}),
        _read_features(features if isinstance(features, list) else []),
    )


def _remade(
    status: str,
    version: str | None,
    name: str | None,
    services: dict[str, str],
    features: frozenset[str],
) -> HealthStatus:
    return HealthStatus(status, version, name, MappingProxyType(services), features)


def _read_services(services: dict[str, Any]) -> Mapping[str, str]:
    pairs = ((_word(name), _word(state)) for name, state in list(services.items())[:_MAX_ITEMS])
    return MappingProxyType({name: state for name, state in pairs if name and state})


def _read_features(features: list[Any]) -> frozenset[str]:
    return frozenset(word for item in features[:_MAX_ITEMS] if (word := _word(item)))


def _word(value: object) -> str | None:
    return (clean_text(value).strip()[:200] or None) if isinstance(value, str) else None
