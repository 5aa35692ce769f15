"""OpenTelemetry's conventions for GenAI, in their newest form and the older ones that libraries still send.

https://opentelemetry.io/docs/specs/semconv/gen-ai/ (and its registries of session, user, enduser)
"""

from __future__ import annotations

from domain.conventions.convention import Convention
from domain.span import SpanKind

GEN_AI = Convention(
    name="OpenTelemetry GenAI",
    libraries=(
        "opentelemetry-instrumentation-openai-v2 2.4b0",
        "opentelemetry-instrumentation-genai-openai 1.3b0",
        "opentelemetry-instrumentation-genai-openai-agents 1.3b0",
        "pydantic-ai-slim 2.68.0",
    ),
    needs="OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT, and a session: gen_ai.conversation.id, or session.id on "
    "a span around the calls",
    faults="openai-v2 2.4b0 tells no text by default and no spans of the Responses API",
    kinds={
        "gen_ai.operation.name": {
            "chat": SpanKind.LLM,
            "generate_content": SpanKind.LLM,
            "text_completion": SpanKind.LLM,
            "completion": SpanKind.LLM,
            "message": SpanKind.LLM,
            "embeddings": SpanKind.EMBEDDING,
            "embedding": SpanKind.EMBEDDING,
            "retrieval": SpanKind.RETRIEVER,
            "rerank": SpanKind.RETRIEVER,
            "create_agent": SpanKind.AGENT,
            "invoke_agent": SpanKind.AGENT,
            "execute_tool": SpanKind.TOOL,
            "tool": SpanKind.TOOL,
            "invoke_workflow": SpanKind.CHAIN,
            "workflow": SpanKind.CHAIN,
            "chain": SpanKind.CHAIN,
            "agent": SpanKind.AGENT,
            "agent_step": SpanKind.CHAIN,
            "plan": SpanKind.REASONING,
        }
    },
    session=("session.id", "gen_ai.conversation.id"),
    user=("user.id", "enduser.id", "enduser.pseudo.id"),
    user_name=("user.full_name", "user.name", "user.email"),
    agent_id=("gen_ai.agent.id",),
    agent=("gen_ai.agent.name",),
    model=("gen_ai.response.model", "gen_ai.request.model"),
    provider=("gen_ai.provider.name", "gen_ai.system"),
    instructions=("gen_ai.system_instructions",),
    asked=("gen_ai.input.messages",),
    said=("gen_ai.output.messages",),
    given=("gen_ai.prompt",),
    made=("gen_ai.completion",),
    tool=("gen_ai.tool.name",),
    call_id=("gen_ai.tool.call.id",),
    arguments=("gen_ai.tool.call.arguments", "gen_ai.tool.arguments"),
    result=("gen_ai.tool.call.result", "gen_ai.tool.result", "gen_ai.tool.output"),
    finish_reasons=("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason"),
    input_tokens=("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    output_tokens=("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    total_tokens=("gen_ai.usage.total_tokens",),
    cached_tokens=(
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.cached_tokens",
        "gen_ai.usage.details.cache_read_tokens",
    ),
    reasoning_tokens=(
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
    ),
    cost=("gen_ai.usage.cost",),
    usage=("gen_ai.usage.raw",),
    first_token=(
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.server.time_to_first_token",
    ),
    error=("error.message", "exception.message"),
)

PYDANTIC_AI = Convention(
    name="Pydantic AI",
    libraries=("pydantic-ai-slim 2.68.0",),
    needs="Agent.instrument_all(); conversation_id and metadata={'user.id': ...} of a run",
    faults="2.68.0 tells no input of a call that fails, only its agent's span has it",
    session=("metadata#session.id", "metadata#session_id", "metadata#conversation_id"),
    user=("metadata#user.id", "metadata#user_id"),
    agent=("agent_name",),
    asked=("pydantic_ai.all_messages", "all_messages_events"),
    tool=("gen_ai.tool.name",),
    arguments=("tool_arguments",),
    result=("tool_response",),
    input_tokens=("gen_ai.aggregated_usage.input_tokens",),
    output_tokens=("gen_ai.aggregated_usage.output_tokens",),
    cached_tokens=("gen_ai.aggregated_usage.cache_read.input_tokens",),
    reasoning_tokens=("gen_ai.aggregated_usage.details.reasoning_tokens",),
)
