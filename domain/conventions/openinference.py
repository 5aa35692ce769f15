"""OpenInference: https://arize-ai.github.io/openinference/spec/semantic_conventions.html"""

from __future__ import annotations

from domain.conventions.convention import Convention
from domain.span import SpanKind

OPENINFERENCE = Convention(
    name="OpenInference",
    libraries=(
        "openinference-instrumentation-openai 0.1.66",
        "openinference-instrumentation-openai-agents 2.6.0",
        "openinference-instrumentation-langchain 0.1.80",
        "openinference-instrumentation-llama-index 4.6.1",
        "openinference-instrumentation-smolagents 0.1.43",
        "openinference-instrumentation-agno 1.0.15",
        "openinference-instrumentation-autogen-agentchat 0.1.22",
        "openinference-instrumentation-haystack 0.1.46",
        "openinference-instrumentation-crewai 1.1.21",
        "openinference-instrumentation-dspy 0.1.48",
        "openinference-instrumentation-instructor 0.1.29",
        "openinference-instrumentation-portkey 0.1.22",
    ),
    needs="using_attributes(session_id=..., user_id=...) around the calls; LangChain takes thread_id and user_id of "
    "configurable and metadata",
    faults="openai-agents 2.6.0 tells neither model nor input of a call that fails, and as system text what the "
    "model's server answers as `instructions`, none where that is silent; llama-index 4.6.1 has two spans of "
    "calls for one call of an agent, three with OpenAILike; "
    "smolagents 0.1.43 names no agent, and its calls repeat calls and results of tools as texts; "
    "`tool.parameters` are the schema of a tool (llama-index 4.6.1) or the arguments of its call (agno 1.0.15, "
    "autogen-agentchat 0.1.22); dspy 0.1.48 tells no tokens; instructor 0.1.29 calls what it does a chain, so the "
    "client of the model's vendor has to be instrumented too; portkey 0.1.22 tells no cached tokens and no provider; "
    "haystack 0.1.46 tells nothing of what an Agent of haystack-ai 3.4.1 does inside, as Haystack's own tracer does",
    kinds={
        "openinference.span.kind": {
            "LLM": SpanKind.LLM,
            "EMBEDDING": SpanKind.EMBEDDING,
            "CHAIN": SpanKind.CHAIN,
            "RETRIEVER": SpanKind.RETRIEVER,
            "RERANKER": SpanKind.RETRIEVER,
            "TOOL": SpanKind.TOOL,
            "AGENT": SpanKind.AGENT,
        }
    },
    session=("metadata#thread_id", "metadata#threadId", "metadata#sessionId"),
    user=("metadata#userId",),
    agent=("agent.name", "metadata#lc_agent_name"),
    entity=("graph.node.name", "input.value#agent#role"),
    model=(
        "llm.model_name",
        "llm.response.model_name",
        "llm.request.model_name",
        "embedding.model_name",
        "reranker.model_name",
        "llm.invocation_parameters#model",
        "metadata#ls_model_name",
    ),
    provider=("llm.provider", "llm.system", "metadata#ls_provider"),
    asked=("llm.input_messages.*",),
    said=("llm.output_messages.*",),
    given=("input.value", "tool.parameters"),
    made=("output.value",),
    tool=("tool.name",),
    call_id=("tool.id",),
    finish_reasons=("llm.finish_reason",),
    input_tokens=("llm.token_count.prompt",),
    output_tokens=("llm.token_count.completion",),
    total_tokens=("llm.token_count.total",),
    cached_tokens=("llm.token_count.prompt_details.cache_read",),
    reasoning_tokens=("llm.token_count.completion_details.reasoning",),
    cost=("llm.cost.total",),
    first_token_events=("First Token Stream Event",),
)
