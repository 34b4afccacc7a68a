"""OpenTelemetry: a span and a duration for each call of a client, and for its realtime.

    client = AeroDBClient(url, key, options=ClientOptions(telemetry=OpenTelemetry()))

By the stable conventions for database clients, and those for messaging. Only the API of
OpenTelemetry is used: where spans and metrics go is set up by the program. Needs
`pip install aerodb[otel]`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import aerodb
from aerodb.contrib._extras import needs

try:
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter, MeterProvider
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ModuleNotFoundError as problem:
    raise needs("otel", problem) from None

__all__ = ["OpenTelemetry"]

SCHEMA = "https://opentelemetry.io/schemas/1.33.0"
SYSTEM = "aerodb"
CALL_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
MESSAGING_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""The limits of the buckets: each convention wants its own."""
Value = str | int
Attributes = dict[str, Value]

_KINDS = {"send": SpanKind.PRODUCER, "process": SpanKind.CONSUMER}
_ROOTS = ("connect", "reconnect", "process")
"""What belongs to no trace of the program: the connection outlives them all."""


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
    elapsed: float


class RealtimeOperation(Protocol):
    """What a client says of its realtime: see `docs/telemetry.md`."""

    name: str
    operation: str
    channel: str | None
    event: str | None
    table: str | None
    reason: str | None
    host: str
    port: int
    status: int | None
    error_code: str | None
    elapsed: float


class OpenTelemetry:
    """Observes a client; give it to `ClientOptions(telemetry=...)`.

    Args:
        tracer_provider: Where spans are made; None for the program's global one.
        meter_provider: Where metrics are made; None for the program's global one.
        propagate: Send `traceparent` and `tracestate` along, so that the server's spans join the
            trace. Baggage is never sent.

    One span of kind CLIENT covers all attempts of a call, and the wait between them. For a
    streamed answer it ends when the head is there. No value, token or error text is in a span.
    """

    __slots__ = ("_meters", "_propagator", "_tracer")

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        propagate: bool = True,
    ) -> None:
        version = aerodb.__version__
        self._tracer = trace.get_tracer("aerodb", version, tracer_provider, SCHEMA)
        self._meters = _Meters(metrics.get_meter("aerodb", version, meter_provider, SCHEMA))
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
            problem: str | None = None
            try:
                yield
            except BaseException as broken_off:
                problem = type(broken_off).__name__
                raise
            else:
                problem = operation.error_code
            finally:
                _finish(span, operation, problem)
                self._meters.call(operation, problem)

    @contextmanager
    def observe_realtime(self, operation: RealtimeOperation) -> Generator[None, None, None]:
        """Around one thing that a realtime connection does: the client calls this."""
        if operation.operation == "gap":
            yield
            self._meters.gap(operation)
            return
        known = _of_messaging(operation)
        told = known | _present({"messaging.destination.name": operation.channel})
        with self._tracer.start_as_current_span(
            operation.name,
            context=Context() if operation.operation in _ROOTS else None,
            kind=_KINDS.get(operation.operation, SpanKind.CLIENT),
            attributes=told,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            finally:
                if operation.status is not None:
                    span.set_attribute("http.response.status_code", operation.status)
                if operation.error_code is not None:
                    span.set_attribute("error.type", operation.error_code)
                    span.set_status(Status(StatusCode.ERROR))
                self._meters.realtime(operation, known)


class _Meters:
    """The instruments. Their attributes have few values: no channel's name is among them."""

    __slots__ = ("_calls", "_database", "_gaps", "_handlers", "_messaging", "_retries")

    def __init__(self, meter: Meter) -> None:
        def seconds(name: str, limits: Sequence[float], description: str) -> metrics.Histogram:
            return meter.create_histogram(
                name, "s", description, explicit_bucket_boundaries_advisory=limits
            )

        self._database = seconds(
            "db.client.operation.duration", CALL_SECONDS, "Duration of database client operations."
        )
        self._calls = seconds(
            "aerodb.client.operation.duration", CALL_SECONDS, "Duration of calls of other services."
        )
        self._messaging = seconds(
            "messaging.client.operation.duration",
            MESSAGING_SECONDS,
            "Duration of connecting, subscribing and sending.",
        )
        self._handlers = seconds(
            "messaging.process.duration", MESSAGING_SECONDS, "Duration of calls of handlers."
        )
        self._retries = meter.create_counter(
            "aerodb.client.retries", "{retry}", "Requests that were repeated."
        )
        self._gaps = meter.create_counter(
            "aerodb.realtime.gaps", "{gap}", "How often a channel missed changes."
        )

    def call(self, operation: Operation, problem: str | None) -> None:
        known = _known_before(operation)
        del known["http.request.method"]
        in_database = "db.system.name" in known
        if not in_database:
            known["aerodb.operation.name"] = operation.name
        known |= _present({"error.type": problem})
        if problem is not None:
            known |= _present({"db.response.status_code": operation.database_code})
        (self._database if in_database else self._calls).record(operation.elapsed, known)
        if operation.attempts > 1:
            self._retries.add(operation.attempts - 1, known)

    def realtime(self, operation: RealtimeOperation, known: Attributes) -> None:
        known = known | _present({"error.type": operation.error_code})
        meter = self._handlers if operation.operation == "process" else self._messaging
        meter.record(operation.elapsed, known)

    def gap(self, operation: RealtimeOperation) -> None:
        reason = {"aerodb.gap.reason": operation.reason}
        self._gaps.add(1, _server(operation) | _present(reason))


def _present(found: Mapping[str, Value | None]) -> Attributes:
    return {name: value for name, value in found.items() if value is not None}


def _server(operation: Operation | RealtimeOperation) -> Attributes:
    return {"server.address": operation.host, "server.port": operation.port}


def _known_before(operation: Operation) -> Attributes:
    attributes = _server(operation) | {"http.request.method": operation.method}
    if operation.collection is None and operation.procedure is None:
        return attributes
    found = {
        "db.system.name": SYSTEM,
        "db.operation.name": operation.operation,
        "db.collection.name": operation.collection,
        "db.stored_procedure.name": operation.procedure,
        "db.namespace": operation.namespace,
        "db.query.summary": operation.name,
    }
    return attributes | _present(found)


def _of_messaging(operation: RealtimeOperation) -> Attributes:
    known = {"send": "send", "process": "process"}  # the others are no type of the conventions
    return _server(operation) | _present(
        {
            "messaging.system": SYSTEM,
            "messaging.operation.name": operation.operation,
            "messaging.operation.type": known.get(operation.operation),
            "aerodb.event.type": operation.event,
            "db.collection.name": operation.table,
        }
    )


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
