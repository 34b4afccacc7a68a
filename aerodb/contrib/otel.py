"""OpenTelemetry: a span for each call of a client.

    client = AeroDBClient(url, key, options=ClientOptions(telemetry=OpenTelemetry()))

By the stable conventions for database clients. Only the API of OpenTelemetry is used: where spans
go is set up by the program. Needs `pip install aerodb[otel]`.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol

import aerodb
from aerodb.contrib._extras import needs

try:
    from opentelemetry import trace
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ModuleNotFoundError as problem:
    raise needs("otel", problem) from None

__all__ = ["OpenTelemetry"]

SCHEMA = "https://opentelemetry.io/schemas/1.33.0"
Value = str | int


class Operation(Protocol):
    """What a client says of a call: see `docs/telemetry.md`."""

    name: str
    operation: str
    collection: str | None
    procedure: str | None
    namespace: str | None
    method: str
    host: str
    port: int
    headers: dict[str, str]
    status: int | None
    error_code: str | None
    database_code: str | None
    attempts: int


class OpenTelemetry:
    """Makes a span of kind CLIENT for each call; give it to `ClientOptions(telemetry=...)`.

    Args:
        tracer_provider: Where spans are made; None for the program's global one.
        propagate: Send `traceparent` and `tracestate` along, so that the server's spans join the
            trace. Baggage is never sent.

    One span covers all attempts of a call, and the wait between them. For a streamed answer it
    ends when the head is there. No value, token or error text is in a span.
    """

    __slots__ = ("_propagator", "_tracer")

    def __init__(
        self, *, tracer_provider: TracerProvider | None = None, propagate: bool = True
    ) -> None:
        self._tracer = trace.get_tracer("aerodb", aerodb.__version__, tracer_provider, SCHEMA)
        self._propagator = TraceContextTextMapPropagator() if propagate else None

    @contextmanager
    def observe(self, operation: Operation) -> Generator[None, None, None]:
        """Around one call of a client, which is who calls this."""
        with self._tracer.start_as_current_span(
            operation.name,
            kind=SpanKind.CLIENT,
            attributes=_known_before(operation),
            record_exception=False,  # its text may quote what was sent
            set_status_on_exception=False,
        ) as span:
            if self._propagator is not None:
                self._propagator.inject(operation.headers)
            try:
                yield
            except BaseException as broken_off:
                _finish(span, operation, type(broken_off).__name__)
                raise
            _finish(span, operation, operation.error_code)


def _known_before(operation: Operation) -> dict[str, Value]:
    attributes: dict[str, Value] = {
        "server.address": operation.host,
        "server.port": operation.port,
        "http.request.method": operation.method,
    }
    if operation.collection is None and operation.procedure is None:
        return attributes
    found = {
        "db.system.name": "aerodb",
        "db.operation.name": operation.operation,
        "db.collection.name": operation.collection,
        "db.stored_procedure.name": operation.procedure,
        "db.namespace": operation.namespace,
        "db.query.summary": operation.name,
    }
    return attributes | {name: value for name, value in found.items() if value is not None}


def _finish(span: Span, operation: Operation, problem: str | None) -> None:
    if operation.status is not None:
        span.set_attribute("http.response.status_code", operation.status)
    if operation.attempts > 1:
        span.set_attribute("http.request.resend_count", operation.attempts - 1)
    if problem is None:
        return
    span.set_attribute("error.type", problem)
    if operation.database_code is not None:
        span.set_attribute("db.response.status_code", operation.database_code)
    span.set_status(Status(StatusCode.ERROR))
