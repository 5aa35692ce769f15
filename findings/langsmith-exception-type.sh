#!/usr/bin/env bash
# langsmith 0.15.1 with LANGSMITH_OTEL_ENABLED: the exception event of a run that failed says `exception.type` "Exception"
# whatever was raised, and has as its message a repr and a traceback; the type stands in that text alone, and the status
# has no description. A trace of functions that know no LangChain has `gen_ai.system` "langchain" on each span.
# docs/opentelemetry.md names both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check langsmith==0.15.1 opentelemetry-sdk==1.45.2 \
    opentelemetry-exporter-otlp-proto-http==1.45.2
cat > "$folder/run.py" <<'PYTHON'  # a file: a traceback shows lines of it
from langsmith import traceable
from langsmith.run_trees import get_cached_client
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)


@traceable(run_type="tool")
def get_weather(city):
    raise LookupError(f"no weather in {city}")


@traceable
def answer(question):
    try:
        return get_weather("Oslo")
    except LookupError:
        return "I do not know."


answer("How is the weather?")
get_cached_client().flush()
named = {span.name: span for span in spans.get_finished_spans()}
failed = named["get_weather"]
[event] = failed.events
told = event.attributes
print("raised LookupError('no weather in Oslo'); the event says", told["exception.type"])
print("its message:", ascii(told["exception.message"])[:60], f"... of {len(told['exception.message'].splitlines())} lines")
print("status:", failed.status.status_code.name, failed.status.description)
print("gen_ai.system:", {name: span.attributes["gen_ai.system"] for name, span in named.items()})
assert event.name == "exception" and told["exception.type"] == "Exception", told
assert told["exception.message"].startswith("LookupError('no weather in Oslo')\n\nTraceback"), told
assert (failed.status.status_code.name, failed.status.description) == ("ERROR", None), failed.status
assert {span.attributes["gen_ai.system"] for span in named.values()} == {"langchain"}, named
PYTHON
LANGSMITH_OTEL_ENABLED=true LANGSMITH_OTEL_ONLY=true LANGSMITH_TRACING=true LANGSMITH_API_KEY=none \
    LANGSMITH_ENDPOINT=http://127.0.0.1:9 "$folder/env/bin/python" "$folder/run.py"
echo "As described."
