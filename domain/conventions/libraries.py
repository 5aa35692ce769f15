"""What single libraries and products tell in names of their own."""

from __future__ import annotations

from domain.conventions.convention import WHATEVER, Convention, Pending
from domain.span import SpanKind

TRACELOOP = Convention(
    name="Traceloop (OpenLLMetry)",
    libraries=("traceloop-sdk 0.62.4",),
    needs="Traceloop.set_association_properties({'session_id': ..., 'user_id': ...})",
    faults="0.62.4 sends an empty event for each chunk of a stream, and no reasoning tokens of it",
    kinds={
        "traceloop.span.kind": {
            "workflow": SpanKind.CHAIN,
            "task": SpanKind.CHAIN,
            "agent": SpanKind.AGENT,
            "tool": SpanKind.TOOL,
        },
        "llm.request.type": {
            "chat": SpanKind.LLM,
            "completion": SpanKind.LLM,
            "embedding": SpanKind.EMBEDDING,
            "rerank": SpanKind.RETRIEVER,
        },
    },
    session=tuple(
        f"traceloop.association.properties.{name}"
        for name in ("session_id", "sessionId", "conversation_id", "thread_id", "chat_id")
    ),
    user=("traceloop.association.properties.user_id", "traceloop.association.properties.userId"),
    entity=("traceloop.entity.name",),
    asked=("gen_ai.prompt.*",),
    said=("gen_ai.completion.*",),
    given=("traceloop.entity.input",),
    made=("traceloop.entity.output",),
    total_tokens=("llm.usage.total_tokens",),
    cached_tokens=("gen_ai.usage.cache_read_input_tokens",),
    chunk_events=("gen_ai.content.completion.chunk", "llm.content.completion.chunk"),
)

VERCEL_AI = Convention(
    name="Vercel AI SDK",
    libraries=("ai 5.0.277", "ai 6.0.326", "ai 7.0.173 with @ai-sdk/otel 1.0.173"),
    needs="experimental_telemetry: {isEnabled: true, functionId, metadata: {sessionId, userId}}; version 7 has them in "
    "runtimeContext",
    faults="6.0.326 and 7.0.173 repeat the sums of all steps on the outer span, which are counted once, as does "
    "streamText of 5.0.277; its generateText repeats the last step's, by other names, without cached tokens and those "
    "of thoughts, and has the input of a tool call as text where streamText has an object",
    kinds={
        "ai.operationId": {
            "ai.generateText": SpanKind.CHAIN,
            "ai.streamText": SpanKind.CHAIN,
            "ai.generateObject": SpanKind.CHAIN,
            "ai.streamObject": SpanKind.CHAIN,
            "ai.embed": SpanKind.CHAIN,
            "ai.embedMany": SpanKind.CHAIN,
            "ai.generateText.doGenerate": SpanKind.LLM,
            "ai.streamText.doStream": SpanKind.LLM,
            "ai.generateObject.doGenerate": SpanKind.LLM,
            "ai.streamObject.doStream": SpanKind.LLM,
            "ai.embed.doEmbed": SpanKind.EMBEDDING,
            "ai.embedMany.doEmbed": SpanKind.EMBEDDING,
            "ai.rerank.doRerank": SpanKind.RETRIEVER,
            "ai.toolCall": SpanKind.TOOL,
        }
    },
    session=tuple(
        f"ai.{where}.{name}"
        for where in ("telemetry.metadata", "settings.context")
        for name in ("sessionId", "session_id", "conversationId", "threadId", "chatId")
    ),
    user=tuple(
        f"ai.{where}.{name}" for where in ("telemetry.metadata", "settings.context") for name in ("userId", "user_id")
    ),
    agent=("ai.telemetry.functionId",),
    model=("ai.response.model", "ai.model.id"),
    provider=("ai.model.provider",),
    asked=("ai.prompt.messages", "ai.prompt"),
    text=("ai.response.text", "ai.response.object", "ai.result.text"),
    thoughts=("ai.response.reasoning",),
    calls=("ai.response.toolCalls", "ai.result.toolCalls"),
    tool=("ai.toolCall.name",),
    call_id=("ai.toolCall.id",),
    arguments=("ai.toolCall.args",),
    result=("ai.toolCall.result",),
    finish_reasons=("ai.response.finishReason",),
    input_tokens=("ai.usage.inputTokens", "ai.usage.promptTokens"),
    output_tokens=("ai.usage.outputTokens", "ai.usage.completionTokens"),
    total_tokens=("ai.usage.totalTokens",),
    cached_tokens=("ai.usage.cachedInputTokens", "ai.usage.inputTokenDetails.cacheReadTokens"),
    reasoning_tokens=("ai.usage.reasoningTokens", "ai.usage.outputTokenDetails.reasoningTokens"),
    first_token_ms=("ai.response.msToFirstChunk",),
)

LANGFUSE = Convention(
    name="Langfuse",
    libraries=("langfuse 5.0.4",),
    needs="propagate_attributes(session_id=..., user_id=...); LANGFUSE_BASE_URL is this server's address",
    faults="5.0.4 tells no provider",
    kinds={
        "langfuse.observation.type": {
            "generation": SpanKind.LLM,
            "embedding": SpanKind.EMBEDDING,
            "tool": SpanKind.TOOL,
            "agent": SpanKind.AGENT,
            "chain": SpanKind.CHAIN,
            "retriever": SpanKind.RETRIEVER,
        }
    },
    named=(SpanKind.AGENT, SpanKind.TOOL),
    session=("langfuse.session.id", "langfuse.trace.session_id"),
    user=("langfuse.user.id", "langfuse.trace.user_id"),
    model=("langfuse.observation.model.name",),
    given=("langfuse.observation.input",),
    made=("langfuse.observation.output",),
    failed=("langfuse.observation.level",),
    finish_reasons=("langfuse.observation.metadata.finish_reason",),
    cost=("langfuse.observation.cost_details#total",),
    usage=("langfuse.observation.usage_details",),
    first_token_at=("langfuse.observation.completion_start_time",),
    error=("langfuse.observation.status_message",),
)

LANGSMITH = Convention(
    name="LangSmith",
    libraries=("langsmith 0.15.1",),
    needs="LANGSMITH_OTEL_ENABLED and LANGSMITH_TRACING; session_id or thread_id and user_id among a run's metadata",
    faults="0.15.1 sends a failure as an event with a traceback, of the type `Exception` whatever was raised, "
    "`langchain` as `gen_ai.system` of any run, and parents before and after their children",
    kinds={
        "langsmith.span.kind": {
            "llm": SpanKind.LLM,
            "chain": SpanKind.CHAIN,
            "tool": SpanKind.TOOL,
            "retriever": SpanKind.RETRIEVER,
            "embedding": SpanKind.EMBEDDING,
        }
    },
    no_providers=("langchain", "langsmith", "langgraph"),
    session=tuple(f"langsmith.metadata.{name}" for name in ("session_id", "thread_id", "conversation_id")),
    user=("langsmith.metadata.user_id",),
    agent=("langsmith.metadata.lc_agent_name",),
    model=("langsmith.metadata.ls_model_name",),
    provider=("langsmith.metadata.ls_provider",),
    usage=("langsmith.metadata.usage_metadata",),
)

MLFLOW = Convention(
    name="MLflow",
    libraries=("mlflow 3.17.2",),
    needs="mlflow.openai.autolog() or another; OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    faults="3.17.2 sends neither session nor user, no provider, and an event for each chunk of a stream",
    kinds={
        "mlflow.spanType": {
            "CHAT_MODEL": SpanKind.LLM,
            "LLM": SpanKind.LLM,
            "TOOL": SpanKind.TOOL,
            "AGENT": SpanKind.AGENT,
            "CHAIN": SpanKind.CHAIN,
            "WORKFLOW": SpanKind.CHAIN,
            "TASK": SpanKind.CHAIN,
            "RETRIEVER": SpanKind.RETRIEVER,
            "RERANKER": SpanKind.RETRIEVER,
            "EMBEDDING": SpanKind.EMBEDDING,
        }
    },
    named=(SpanKind.AGENT, SpanKind.TOOL),
    session=("mlflow.trace.session",),
    user=("mlflow.trace.user",),
    model=("mlflow.llm.model", "mlflow.spanInputs#model"),
    provider=("mlflow.llm.provider",),
    given=("mlflow.spanInputs",),
    made=("mlflow.spanOutputs",),
    usage=("mlflow.chat.tokenUsage",),
    cost=("mlflow.llm.cost#total_cost",),
    chunk_events=("mlflow.chunk.item",),
)

LOGFIRE = Convention(
    name="Logfire",
    libraries=("logfire 5.4.0",),
    needs="logfire.instrument_openai() or another; scrubbing without the pattern `session`, or session.id by baggage",
    faults="5.4.0 scrubs session.id of its own spans, and tells a stream in two spans that are not linked, of two "
    "traces where no span is around the call",
    pending=Pending("logfire.span_type", "pending_span", "logfire.pending_parent_id"),
    usage=("response_data#usage",),
    given=("request_data",),
    made=("response_data#message",),
)

MASTRA = Convention(
    name="Mastra",
    libraries=("@mastra/otel-exporter 1.4.0 and 0.3.3, by their source",),
    needs="an OtelExporter with a custom endpoint; memory: {thread, resource} of a call, or sessionId and userId among "
    "its metadata",
    faults="1.4.0 leaves out the tool calls of an answer, with text or without",
    kinds={
        "mastra.span.type": {
            "agent_run": SpanKind.AGENT,
            "model_inference": SpanKind.LLM,
            "llm_generation": SpanKind.LLM,
            "model_generation": SpanKind.CHAIN,
            "model_step": SpanKind.CHAIN,
            "tool_call": SpanKind.TOOL,
            "mcp_tool_call": SpanKind.TOOL,
            "provider_tool_call": SpanKind.TOOL,
            "workflow_run": SpanKind.CHAIN,
            "workflow_step": SpanKind.CHAIN,
            "rag_embedding": SpanKind.EMBEDDING,
        }
    },
    session=("mastra.metadata.sessionId", "mastra.metadata.threadId", "mastra.metadata.thread_id"),
    user=("mastra.metadata.userId", "mastra.metadata.resourceId"),
    given=("mastra.agent_run.input", "mastra.input"),
    made=("mastra.agent_run.output", "mastra.output"),
    arguments=("gen_ai.tool.input",),
    cached_tokens=("gen_ai.usage.cached_input_tokens",),
    first_token_at=("mastra.completion_start_time",),
)

STRANDS = Convention(
    name="Strands Agents",
    libraries=("strands-agents 1.62.0",),
    needs="StrandsTelemetry().setup_otlp_exporter(); trace_attributes={'session.id': ..., 'user.id': ...} of an agent",
    faults="1.62.0: an agent's span tells the sum of all its turns so far, so it is not counted; `gen_ai.system` is no "
    "provider",
    kinds={"gen_ai.operation.name": {"execute_event_loop_cycle": SpanKind.CHAIN}},
    no_providers=("strands-agents", "strands"),
    failed=("gen_ai.tool.status",),
    running=True,
)

GOOGLE_ADK = Convention(
    name="Google ADK",
    libraries=("google-adk 2.13.0",),
    needs="OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true, and an exporter of logs beside that of traces",
    faults="2.13.0 tells content in log records alone, nothing of a tool's, and `stop` for a call of a tool; with a "
    "model by its LiteLlm it counts reasoning twice, with Gemini once",
    kinds={"gen_ai.operation.name": {"call_llm": SpanKind.LLM}},
    no_providers=("gcp.vertex.agent",),
    session=("gcp.vertex.agent.session_id",),
    given=("gcp.vertex.agent.llm_request", "gcp.vertex.agent.tool_call_args"),
    made=("gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_response"),
)

LITELLM = Convention(
    name="LiteLLM",
    libraries=("litellm 1.110.2",),
    needs="callbacks=['otel']; user= of a call, and a metadata object of its own for each call",
    faults="1.110.2 sends no session, no id of the tool calls it answers with, a child span with Python text, and "
    "nothing at all of a call that is given the same metadata object as one before",
    user=("llm.user", "gen_ai.request.user"),
    session=("metadata.session_id", "litellm.session_id"),
)

OPENLIT = Convention(
    name="OpenLIT",
    libraries=("openlit 1.45.0",),
    needs="openlit.init(otlp_endpoint=...), and session.id on a span around the calls",
    faults="1.45.0 leaves tool calls out of the history, tells no input of a call that fails, writes the record of a "
    "stream in the span above it, and tells a temperature and a seed that no request had",
    kinds={"gen_ai.operation.name": {"vectordb": SpanKind.RETRIEVER, "framework": SpanKind.CHAIN}},
    agent=("gen_ai.agent.role",),
    arguments=("gen_ai.tool.args",),
    given=("gen_ai.content.prompt",),
    made=("gen_ai.content.completion",),
    reasoning_tokens=("gen_ai.usage.details.reasoning",),
    first_token=("gen_ai.server.ttft",),
)

MICROSOFT = Convention(
    name="Semantic Kernel and Agent Framework",
    libraries=("semantic-kernel 1.45.0", "agent-framework-core 1.23.0"),
    needs="SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS_SENSITIVE or ENABLE_SENSITIVE_DATA, exporters of "
    "traces and logs, and session.id on a span of your own",
    faults="1.45.0 and 1.23.0 send neither session nor user; an agent's id is new in each run, so its name is taken",
    no_providers=("microsoft.agent_framework",),
)

AUTOGEN = Convention(
    name="AutoGen and AG2",
    libraries=("autogen-agentchat 0.7.5", "ag2 1.0.3"),
    needs="session.id and user.id on a span around each run, and OpenInference for its model's client: AutoGen's own "
    "spans tell of agents and tools alone; AG2's TelemetryMiddleware takes agent_name",
    faults="autogen-core 0.7.5 tells neither arguments nor result of a tool; OpenInference's span of one that failed "
    "(autogen-agentchat 0.1.22) has the error as its result, and AutoGen's own below it fails; "
    "ag2 1.0.3 tells the usage of a call again in a span beside it, and no answers and calls of tools in a history",
    kinds={
        "ag2.span.type": {
            "conversation": SpanKind.CHAIN,
            "multi_conversation": SpanKind.CHAIN,
            "agent": SpanKind.AGENT,
            "llm": SpanKind.LLM,
            "tool": SpanKind.TOOL,
            "task": SpanKind.CHAIN,
        },
        "gen_ai.operation.name": {"conversation": SpanKind.CHAIN},
    },
    no_providers=("autogen", "ag2"),
    reasoning_tokens=("gen_ai.usage.thinking_tokens",),
    counted_by=("ag2.usage.kind",),
)

AGENTOPS = Convention(
    name="AgentOps",
    libraries=("agentops 0.4, by its source",),
    needs="agentops.init(exporter_endpoint=...) with the address of /v1/traces here, session.id on a span around runs",
    faults="it has no sessions but traces",
    kinds={
        "agentops.span.kind": {
            "llm": SpanKind.LLM,
            "agent": SpanKind.AGENT,
            "tool": SpanKind.TOOL,
            "guardrail": SpanKind.CHAIN,
            **dict.fromkeys(("session", "workflow", "task", "operation", "chain", "text"), SpanKind.CHAIN),
        }
    },
    user=("gen_ai.user",),
    entity=("agentops.entity.name",),
    given=("agentops.entity.input",),
    made=("agentops.entity.output",),
    result=("tool.result",),
    failed=("tool.status",),
    finish_reasons=("gen_ai.response.stop_reason",),
    chunk_events=("gen_ai.completion.chunk",),
)

_GENERATORS = ("OpenAI", "AzureOpenAI", "OpenAIResponses", "Anthropic", "HuggingFaceAPI", "HuggingFaceLocal", "Ollama",
               "Mistral", "Cohere", "GoogleGenAI", "AmazonBedrock", "LiteLLM", "Fallback")  # fmt: skip
_EMBEDDERS = ("OpenAI", "AzureOpenAI", "SentenceTransformers", "HuggingFaceAPI", "Ollama", "Cohere", "Mistral")
_RETRIEVERS = ("InMemoryBM25", "InMemoryEmbedding", "QdrantEmbedding", "WeaviateEmbedding", "ElasticsearchBM25",
               "PgvectorEmbedding", "ChromaQueryText", "MultiQueryEmbedding", "SentenceWindow")  # fmt: skip

_MADE_BY_HAYSTACK = ("haystack.agent.step.llm.output", "haystack.component.output")

HAYSTACK = Convention(
    name="Haystack",
    libraries=("haystack-ai 3.4.1 with opentelemetry-haystack",),
    needs="HAYSTACK_CONTENT_TRACING_ENABLED=true, tracing.enable_tracing(OpenTelemetryTracer(...)), and session.id and "
    "user.id on a span around each run",
    faults="3.4.1 names no session, user, agent or provider, and tells the id of a call not on the span of its tool; "
    "the status of a tool that failed is no error",
    kinds={
        "haystack.agent.step.llm.input": {WHATEVER: SpanKind.LLM},
        "haystack.tool.name": {WHATEVER: SpanKind.TOOL},
        "haystack.agent.max_steps": {WHATEVER: SpanKind.AGENT},
        "haystack.component.type": {
            **{f"{name}{kind}Generator": SpanKind.LLM for name in _GENERATORS for kind in ("Chat", "")},
            **{f"{name}{kind}Embedder": SpanKind.EMBEDDING for name in _EMBEDDERS for kind in ("Text", "Document")},
            **{f"{name}Retriever": SpanKind.RETRIEVER for name in _RETRIEVERS},
            "ToolInvoker": SpanKind.CHAIN,
            "Agent": SpanKind.CHAIN,
        },
        "haystack.agent.step": {WHATEVER: SpanKind.CHAIN},
        "haystack.pipeline.max_runs_per_component": {WHATEVER: SpanKind.CHAIN},
    },
    model=tuple(f"{name}#replies#0#meta#model" for name in _MADE_BY_HAYSTACK),
    finish_reasons=tuple(f"{name}#replies#0#meta#finish_reason" for name in _MADE_BY_HAYSTACK),
    usage=tuple(f"{name}#replies#0#meta#usage" for name in _MADE_BY_HAYSTACK),
    given=("haystack.agent.step.llm.input", "haystack.component.input", "haystack.agent.input"),
    made=_MADE_BY_HAYSTACK,
    tool=("haystack.tool.name",),
    arguments=("haystack.agent.step.tool.input",),
    result=("haystack.agent.step.tool.output",),
    failed=("haystack.tool.error",),
)

BRAINTRUST = Convention(
    name="Braintrust",
    libraries=("braintrust 0.48.1, by its documentation",),
    needs="its OpenTelemetry exporter with this server as its address; session_id and user_id among a span's metadata",
    kinds={
        name: {
            "llm": SpanKind.LLM,
            "tool": SpanKind.TOOL,
            "function": SpanKind.TOOL,
            "task": SpanKind.CHAIN,
            "eval": SpanKind.CHAIN,
        }
        for name in ("braintrust.span_attributes#type", "braintrust.span_attributes.type")
    },
    named=(SpanKind.TOOL,),
    session=("braintrust.metadata#session_id", "braintrust.metadata.session_id"),
    user=("braintrust.metadata#user_id", "braintrust.metadata.user_id"),
    model=("braintrust.metadata#model", "braintrust.metadata.model"),
    provider=("braintrust.metadata#provider", "braintrust.metadata.provider"),
    given=("braintrust.input_json", "braintrust.input"),
    made=("braintrust.output_json", "braintrust.output"),
    usage=("braintrust.metrics",),
    first_token=("braintrust.metrics#time_to_first_token", "braintrust.metrics.time_to_first_token"),
    input_tokens=("braintrust.metrics.prompt_tokens",),
    output_tokens=("braintrust.metrics.completion_tokens",),
    total_tokens=("braintrust.metrics.tokens",),
    cached_tokens=("braintrust.metrics.prompt_cached_tokens",),
    reasoning_tokens=("braintrust.metrics.completion_reasoning_tokens",),
)

PLAIN = Convention(
    name="Plain names",
    libraries=("startSpan, endSpan and appendTraceEvents",),
    input_tokens=("inputTokens",),
    output_tokens=("outputTokens",),
    total_tokens=("totalTokens",),
    cached_tokens=("cachedTokens",),
    reasoning_tokens=("reasoningTokens",),
    cost=("costUsd",),
)
