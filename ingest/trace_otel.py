"""Spans to an OpenTelemetry collector: the only module that knows OpenTelemetry, an extra.

card  bound: 2 048 spans wait for the collector
      full: the oldest is dropped
      order: none
      threads: any tells; one of the SDK's sends
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from importlib.metadata import version

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    set_span_in_context,
)

from ingest.trace import Span

#: Longest wait for the collector: of one request, and of an orderly stop.
_REQUEST_S, _STOP_S = 2.0, 3.0
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)

_log = logging.getLogger(__name__)


class _Given(IdGenerator):
    """The ids that we say, not random ones."""

    trace = span = 0

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span


class _Quiet(SpanExporter):
    """Says once that spans are not taken, not at each attempt; loses them, and nothing else."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            _log.warning("the collector takes no traces; they are dropped until it does")
        if self._failing and not failing:
            _log.warning("the collector takes traces again")
        self._failing = failing
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class Spans:
    """Where spans go. `tell` neither blocks nor raises, also while the collector is away."""

    def __init__(self, exporter: SpanExporter, role: str) -> None:
        resource = Resource.create(
            {
                "service.name": "wearable-twin",
                "service.version": version("wearable-twin"),
                "twin.roles": role,
            }
        )
        self._given = _Given()
        self._lock = threading.Lock()
        self._provider = TracerProvider(
            ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=self._given
        )
        self._provider.add_span_processor(BatchSpanProcessor(_Quiet(exporter)))
        self._tracer = self._provider.get_tracer("wearable-twin")

    def tell(self, span: Span) -> None:
        context = Context()
        if span.parent:
            above = SpanContext(span.trace, span.parent, is_remote=True, trace_flags=_SAMPLED)
            context = set_span_in_context(NonRecordingSpan(above), context)
        with self._lock:
            self._given.trace, self._given.span = span.trace, span.id
            told = self._tracer.start_span(
                f"twin.{span.stage}",
                context,
                attributes={f"twin.{name}": number for name, number in span.numbers.items()},
                start_time=span.began,
            )
        told.end(span.ended)

    def close(self) -> None:
        """Send what waits, for 3 s at most."""
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_STOP_S)


def collector(endpoint: str) -> SpanExporter:
    """OTLP over HTTP; endpoint: the collector's address, without the path of traces. Headers,
    certificates and the like come from OpenTelemetry's own environment variables."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # _Quiet says it
    return OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=_REQUEST_S)
