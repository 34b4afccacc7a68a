# GENERATED from tests/aio/live/test_observed.py by scripts/generate.py [671a7c39b50f]: do not edit
"""Spans of calls to a real instance."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aerodb import ClientOptions
from aerodb.sync import AeroDBClient
from aerodb.contrib.otel import OpenTelemetry


def test_what_the_database_says_is_in_the_span_and_no_value_is(server: Any) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    options = ClientOptions(telemetry=OpenTelemetry(tracer_provider=provider))
    with AeroDBClient(server.url, server.service_key, options=options) as client:
        (client.from_("users").select("id").eq("name", "Canary7x").execute()).unwrap()
        refused = client.from_("users").select("nothing").execute()
        client.from_("absent").insert({"a": "Canary7x"}).execute()
    read, wrong, absent = spans.get_finished_spans()
    assert (read.name, wrong.name, absent.name) == ("SELECT users", "SELECT users", "INSERT absent")
    assert refused.error is not None
    assert dict(wrong.attributes or {})["db.response.status_code"] == refused.error.code == "42703"
    assert dict(absent.attributes or {})["db.response.status_code"] == "PGRST205"
    shown = "".join(span.to_json() for span in (read, wrong, absent))
    assert "Canary7x" not in shown
    assert server.service_key not in shown
    provider.shutdown()
