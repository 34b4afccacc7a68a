"""A tracer and a meter provider of OpenTelemetry's real SDK that keep what they are told."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aerodb.contrib.otel import OpenTelemetry


class Recorder:
    """Give `telemetry` to a client; what came of it is in `spans` and `points`."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])
        self.telemetry = OpenTelemetry(tracer_provider=self.provider, meter_provider=self.meters)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exporter.get_finished_spans()

    def only(self) -> tuple[ReadableSpan, dict[str, Any]]:
        (span,) = self.spans
        return span, dict(span.attributes or {})

    def points(self) -> list[tuple[str, dict[str, Any], Any]]:
        """(instrument, attributes, count of what was recorded or sum of what was added)."""
        told = self.reader.get_metrics_data()
        return [
            (
                metric.name,
                dict(point.attributes or {}),
                point.count if isinstance(point, HistogramDataPoint) else point.value,
            )
            for resource in (told.resource_metrics if told else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]

    def everything(self) -> str:
        """All that was told, as text."""
        return "".join(span.to_json() for span in self.spans) + repr(self.points())

    def shutdown(self) -> None:
        self.provider.shutdown()
        self.meters.shutdown()
