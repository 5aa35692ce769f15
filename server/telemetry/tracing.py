"""Spans of what the server does, for OpenTelemetry; set up by the OTEL_... variables of its SDK.

An export of spans to /v1/traces is never traced itself (server.telemetry.middleware), so a server that exports to
itself comes to rest. Spans have no documents and no variables in them.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from server.instrumentation import OK
from server.settings import BadSetting, Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from starlette.types import Scope

    from server.instrumentation import RequestRecord

_FLUSH_WITHIN_S = 2.0


class Tracing:
    """Makes spans of requests and their parts.

    The SDK is imported only where this is used: it takes some 0.1 s and 10 MB.
    """

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace import Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider, self._propagator = provider, TraceContextTextMapPropagator()
        self._tracer = provider.get_tracer("recollect")
        self._failed = Status(StatusCode.ERROR)

    @contextlib.contextmanager
    def request(self, request: RequestRecord, scope: Scope) -> Iterator[None]:
        """A request: in the trace of its caller, where that is told by a traceparent."""
        from opentelemetry.trace import SpanKind

        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with self._tracer.start_as_current_span(
            "GraphQL", self._propagator.extract(carrier), SpanKind.SERVER, record_exception=False
        ) as span:
            try:
                yield
            finally:
                span.update_name(f"{request.kind} {request.name}".strip() or "GraphQL")
                span.set_attribute("recollect.request_id", request.id)
                span.set_attribute("recollect.outcome", request.outcome)
                for key, value in {
                    "graphql.operation.type": request.kind,
                    "graphql.operation.name": request.name,
                    "recollect.document_hash": request.hash,
                    "recollect.cost": request.cost,
                    "http.response.status_code": request.status,
                }.items():
                    if value:
                        span.set_attribute(key, value)
                if request.outcome is not OK:
                    span.set_status(self._failed)

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A part of the request that is being served. What an exception says is not told."""
        with self._tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
            try:
                yield
            except Exception as error:
                span.set_status(self._failed)
                span.set_attribute("error.type", type(error).__qualname__)
                raise

    def close(self) -> None:
        """Sends what is left, as far as that can be done in two seconds: a collector may be gone."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_FLUSH_WITHIN_S)


def open_tracing(settings: Settings) -> Tracing | None:
    """Sends spans by OTLP over HTTP to where the OTEL_EXPORTER_OTLP_... variables say, if set so. Raises BadSetting."""
    if settings.otel == "off":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise BadSetting("RECOLLECT_OTEL=on needs extra packages: install recollect[otel].") from None
    is_named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    provider = TracerProvider(resource=Resource.create({} if is_named else {"service.name": "recollect"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)
