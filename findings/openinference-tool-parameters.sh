#!/usr/bin/env bash
# Two instrumentations of OpenInference mean different things by `tool.parameters` of a tool's span: that of LlamaIndex
# (4.6.1) puts the JSON schema of the tool's parameters there, that of Agno (1.0.15) the arguments of the call.
# docs/opentelemetry.md says so; Recollect takes arguments from `input.value` first, and never shows a schema as some.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check agno==3.1.10 openinference-instrumentation-agno==1.0.15 \
  llama-index-core==0.14.25 openinference-instrumentation-llama-index==4.6.1 opentelemetry-sdk==1.45.2
"$folder/env/bin/python" - <<'PYTHON'
import json

from agno.tools.function import Function, FunctionCall
from llama_index.core.tools import FunctionTool
from openinference.instrumentation.agno import AgnoInstrumentor
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

kept, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
AgnoInstrumentor().instrument(tracer_provider=provider)
LlamaIndexInstrumentor().instrument(tracer_provider=provider)


def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def parameters() -> object:
    [told] = [span.attributes["tool.parameters"] for span in kept.get_finished_spans() if "tool.parameters" in span.attributes]
    kept.clear()
    return json.loads(told)


FunctionCall(function=Function.from_callable(weather), arguments={"city": "Ghent"}).execute()
of_agno = parameters()
FunctionTool.from_defaults(weather).call(city="Ghent")
of_llama_index = parameters()
print("tool.parameters of a call with the argument city=Ghent")
print("  Agno:      ", of_agno)
print("  LlamaIndex:", of_llama_index)
assert of_agno == {"city": "Ghent"}, "the behaviour of Agno's has changed"
assert of_llama_index["properties"]["city"]["type"] == "string", "the behaviour of LlamaIndex' has changed"
PYTHON
