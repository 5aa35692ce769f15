#!/usr/bin/env bash
# openinference-instrumentation-llama-index 4.6.1 (llama-index-core 0.14.25): one request to a model by a FunctionAgent is
# two spans of kind LLM with the class OpenAI and three with OpenAILike, which calls the method it overrides. One of
# them, `..._prepare_chat_with_tools`, only puts the arguments together; one has the tokens. Who counts spans of kind LLM
# counts double or threefold.
# docs/opentelemetry.md says so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check openinference-instrumentation-llama-index==4.6.1 \
    llama-index-core==0.14.25 llama-index-llms-openai==0.8.3 llama-index-llms-openai-like==0.8.1 openai==2.54.0 \
    opentelemetry-sdk==1.45.2
"$folder/env/bin/python" - <<'PYTHON'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

class Model(BaseHTTPRequestHandler):
    """Answers, and counts how often."""

    asked = 0

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        Model.asked += 1
        choice = {"index": 0, "message": {"role": "assistant", "content": "Sunny."}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [choice], "usage": usage}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

def get_weather(city: str) -> str:
    """The weather in a city."""
    return "sunny"

server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
LlamaIndexInstrumentor().instrument(tracer_provider=provider)
client = {"model": "gpt-4o", "api_base": f"http://127.0.0.1:{server.server_port}/v1", "api_key": "none"}
like = {"is_chat_model": True, "is_function_calling_model": True, "context_window": 8000}

def told(model):
    """The names of the spans of kind LLM of one run, in the order they began, and whether they have tokens."""
    spans.clear()

    async def run():
        await FunctionAgent(name="weather", tools=[get_weather], llm=model, streaming=False).run("How is the weather?")

    before = Model.asked
    asyncio.run(run())
    assert Model.asked == before + 1, Model.asked - before
    calls = [span for span in spans.get_finished_spans() if span.attributes["openinference.span.kind"] == "LLM"]
    return [(span.name, "llm.token_count.total" in span.attributes) for span in sorted(calls, key=lambda span: span.start_time)]

of_openai, of_like = told(OpenAI(**client)), told(OpenAILike(**client, **like))
server.shutdown()
for spans_told in (of_openai, of_like):
    print("one request:", ", ".join(name + (" (tokens)" if tokens else "") for name, tokens in spans_told))
assert of_openai == [("OpenAI._prepare_chat_with_tools", False), ("OpenAI.achat", True)], of_openai
assert of_like == [
    ("OpenAILike._prepare_chat_with_tools", False), ("OpenAILike.achat", False), ("OpenAILike.achat", True)
], of_like
PYTHON
echo "As described."
