"""What attributes of spans mean, by the two conventions that agents are instrumented with.

OpenInference: https://arize-ai.github.io/openinference/spec/semantic_conventions.html
OpenTelemetry GenAI: https://opentelemetry.io/docs/specs/semconv/gen-ai/ (and its registries of session, user, enduser)

Where both are given, the first name of a row counts. Token usage is in domain.span.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from domain.span import SpanKind
from domain.values import MAX_NAME

Attributes = Mapping[str, Any]

SESSION = ("session.id", "gen_ai.conversation.id")
USER = ("user.id", "enduser.id", "enduser.pseudo.id")
USER_NAME = ("user.full_name", "user.name", "user.email")
AGENT = ("gen_ai.agent.id", "gen_ai.agent.name", "agent.name")
AGENT_NAME = ("gen_ai.agent.name", "agent.name")

KIND = "openinference.span.kind"
OPERATION = "gen_ai.operation.name"

_KINDS = {
    "LLM": SpanKind.LLM,
    "EMBEDDING": SpanKind.EMBEDDING,
    "CHAIN": SpanKind.CHAIN,
    "RETRIEVER": SpanKind.RETRIEVER,
    "RERANKER": SpanKind.RETRIEVER,
    "TOOL": SpanKind.TOOL,
    "AGENT": SpanKind.AGENT,
}
"""By openinference.span.kind; GUARDRAIL, EVALUATOR, PROMPT, DECISION and UNKNOWN are OTHER."""

_OPERATIONS = {
    "chat": SpanKind.LLM,
    "generate_content": SpanKind.LLM,
    "text_completion": SpanKind.LLM,
    "embeddings": SpanKind.EMBEDDING,
    "retrieval": SpanKind.RETRIEVER,
    "create_agent": SpanKind.AGENT,
    "invoke_agent": SpanKind.AGENT,
    "execute_tool": SpanKind.TOOL,
    "invoke_workflow": SpanKind.CHAIN,
}
"""By gen_ai.operation.name."""

_TELLING = (
    ("gen_ai.tool.name", SpanKind.TOOL),
    ("gen_ai.request.model", SpanKind.LLM),
    ("llm.model_name", SpanKind.LLM),
    ("embedding.model_name", SpanKind.EMBEDDING),
)
"""What spans without either of them have that tells their kind."""

_COMPONENTS = {
    SpanKind.AGENT: "agent",
    SpanKind.CHAIN: "agent",
    SpanKind.LLM: "llm",
    SpanKind.REASONING: "llm",
    SpanKind.RETRIEVER: "memory",
    SpanKind.EMBEDDING: "memory",
    SpanKind.TOOL: "tool",
}

_UNNAMED = "unknown_service"
"""What the SDKs call a service without a name, sometimes with the name of the program behind it."""


def kind_of(attributes: Attributes) -> SpanKind:
    """The kind of work a span represents."""
    named = attributes.get(KIND)
    if isinstance(named, str) and (kind := _KINDS.get(named.upper())) is not None:
        return kind
    operation = attributes.get(OPERATION)
    if isinstance(operation, str) and (kind := _OPERATIONS.get(operation)) is not None:
        return kind
    if named is not None or operation is not None:
        return SpanKind.OTHER
    return next((kind for name, kind in _TELLING if name in attributes), SpanKind.OTHER)


def name_in(names: tuple[str, ...], attributes: Attributes, resource: Attributes) -> str | None:
    """The first of these attributes that can be a name, of the span or else of what runs it; blank ones cannot.

    One that is too long keeps its beginning, and a digest that tells it from others.
    """
    for given in (attributes, resource):
        for name in names:
            value = given.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if isinstance(value, str) and value.strip():
                return value if len(value) <= MAX_NAME else _digested(value)
    return None


def _digested(name: str) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{name[: MAX_NAME - len(digest) - 1]}…{digest}"


def notes(attributes: Attributes, resource: Attributes) -> list[str]:
    """What of the names could not be taken as it came."""
    found = []
    for name in dict.fromkeys((*SESSION, *USER, *AGENT)):
        value = attributes.get(name, resource.get(name))
        if isinstance(value, str) and not value.strip():
            found.append(f"{name} is blank")
        elif isinstance(value, str) and len(value) > MAX_NAME:
            found.append(f"{name} has more than {MAX_NAME:,} characters; its end was replaced by a digest")
        elif value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
            found.append(f"{name} is not a string")
    return found


def component_of(kind: SpanKind, resource: Attributes) -> str:
    """The part of the system that did it: the service by its name, else what does that sort of work."""
    service = name_in(("service.name",), resource, {})
    if service is None or service.startswith(_UNNAMED):
        return _COMPONENTS.get(kind, "agent")
    return service
