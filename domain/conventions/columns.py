"""What conventions tell as columns of spans."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from domain.conventions.reading import Attributes, Reading, and_then, digested, read
from domain.span import Span, SpanKind, SpanStatusCode
from domain.values import MAX_NAME, decode_json

UNNAMED = "unknown_service"
"""What the SDKs call a service without a name, sometimes with the name of the program behind it."""

_COMPONENTS = {
    SpanKind.AGENT: "agent",
    SpanKind.CHAIN: "agent",
    SpanKind.LLM: "llm",
    SpanKind.REASONING: "llm",
    SpanKind.RETRIEVER: "memory",
    SpanKind.EMBEDDING: "memory",
    SpanKind.TOOL: "tool",
}


def component_of(kind: SpanKind, resource: Attributes) -> str:
    """The part of the system that did it: the service by its name, else what does that sort of work."""
    service = resource.get("service.name")
    if not isinstance(service, str) or not service.strip() or service.startswith(UNNAMED):
        return _COMPONENTS.get(kind, "agent")
    return service if len(service) <= MAX_NAME else digested(service)


def told_of(before: Span, later: Reading) -> dict[str, Any]:
    """The fields of a span that conventions tell, after what a later report tells."""
    known = Reading(
        kind=before.kind,
        provider=before.provider,
        model=before.model,
        time_to_first_token_ms=before.time_to_first_token_ms,
        finish_reasons=before.finish_reasons,
        usage=before.tokens,
        call=before.call,
        warnings=before.warnings,
    )
    return fields(and_then(known, later))


def fields(told: Reading) -> dict[str, Any]:
    """The fields of a span that conventions tell, but for whom it names."""
    return {
        "kind": told.kind,
        "provider": told.provider,
        "model": told.model,
        "time_to_first_token_ms": told.time_to_first_token_ms,
        "finish_reasons": told.finish_reasons,
        "tokens": told.usage,
        "call": told.call,
        "warnings": told.warnings,
    }


def told_again(span: Span) -> Span:
    """A span that an older version kept, with what conventions tell today."""
    kind = None if span.kind is SpanKind.OTHER else span.kind
    failed = span.status_code is SpanStatusCode.ERROR
    return replace(span, **fields(read(decode_json(span.attributes), span.name, kind=kind, failed=failed)))


def is_told(span: Span) -> bool:
    """Whether something was read from a span's attributes."""
    return span.call is not None or span.model is not None or span.provider is not None or span.usage is not None
