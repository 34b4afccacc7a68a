"""Joins what a call's decoder read with what the loop knows about the exchange."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from aerodb._core.errors import Exchange
from aerodb._core.redact import redact_json, redact_text, redact_url
from aerodb._dataclass import replace
from aerodb.types import AeroDBError, AeroDBResponse, ResponseMeta

T = TypeVar("T")


class HeaderMap(Mapping[str, str]):
    """Response headers by lower-case name, decoded when first looked at; repeated ones joined
    with a comma (RFC 9110 §5.3)."""

    __slots__ = ("_decoded", "_raw")

    def __init__(self, raw: Sequence[tuple[bytes, bytes]]) -> None:
        self._raw = raw
        self._decoded: dict[str, str] | None = None

    def _all(self) -> dict[str, str]:
        if self._decoded is None:
            decoded: dict[str, str] = {}
            for raw_name, raw_value in self._raw:
                name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
                decoded[name] = f"{decoded[name]}, {value}" if name in decoded else value
            self._decoded = decoded
        return self._decoded

    def __getitem__(self, name: str) -> str:
        return self._all()[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return f"HeaderMap({sorted(self._all())})"


def answered(
    decoded: AeroDBResponse[T],
    status: int,
    raw_headers: Sequence[tuple[bytes, bytes]],
    *,
    attempts: int,
    elapsed: float,
    request_id: str,
) -> AeroDBResponse[T]:
    """Complete a decoder's response with status, headers, attempts and time."""
    known = decoded.meta
    meta = ResponseMeta(
        status,
        HeaderMap(raw_headers),
        attempts,
        elapsed,
        request_id,
        known.range,
        known.truncated,
        known.affected,
        known.warnings,
    )
    return AeroDBResponse(decoded.data, decoded.error, decoded.count, meta)


def failed(
    error: AeroDBError, raw_headers: Sequence[tuple[bytes, bytes]], elapsed: float
) -> AeroDBResponse[Any]:
    """The response of a call that ended in `error`."""
    headers = HeaderMap(raw_headers)
    meta = ResponseMeta(error.status, headers, error.attempts, elapsed, error.request_id)
    return AeroDBResponse(None, error, None, meta)


def placed(
    error: AeroDBError, exchange: Exchange, status: int | None = None, *, changed: bool = True
) -> AeroDBError:
    """An error found outside the exchange, by a decoder say, with the place where it happened.

    A write that was answered with 200-299 has been carried out, whatever is wrong with the answer;
    unless it is known to have `changed` nothing.
    """
    carried_out = changed and status is not None and 200 <= status < 300 and not exchange.reads
    return replace(
        error,
        message=redact_text(error.message, exchange.secrets),
        details=redact_json(error.details, exchange.secrets),
        maybe_applied=error.maybe_applied or exchange.maybe_applied or carried_out,
        status=status if error.status is None else error.status,
        request_id=exchange.request_id,
        attempts=exchange.attempts,
        method=exchange.method,
        url=redact_url(exchange.url),
    )
