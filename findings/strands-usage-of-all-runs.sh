#!/usr/bin/env bash
# strands-agents 1.62.0 (openai 2.54.0): the span of an agent's run, `invoke_agent ...`, tells the tokens of all runs of
# that agent object so far, not of the run that it is the span of. The same question asked three times, with one call of
# a model of 15 tokens each, is told as 15, 30 and 45, each in a trace of its own: what the runs add up to grows with
# the square of their number.
# docs/opentelemetry.md names the fault; Recollect counts the spans of the calls and leaves the agent's aside.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check strands-agents==1.62.0 openai==2.54.0 \
    opentelemetry-sdk==1.45.1
"$folder/env/bin/python" - <<'PYTHON'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from strands import Agent
from strands.models.openai import OpenAIModel

class Model(BaseHTTPRequestHandler):
    """Streams one word, for 10 tokens and 5."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "small-1"}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        choices = [
            [{"index": 0, "delta": {"role": "assistant", "content": "Sunny."}, "finish_reason": None}],
            [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        ]
        events = [{**chunk, "choices": some} for some in choices] + [{**chunk, "choices": [], "usage": usage}]
        data = "".join(f"data: {event}\n\n" for event in [*map(json.dumps, events), "[DONE]"]).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
client = {"base_url": f"http://127.0.0.1:{server.server_port}/v1", "api_key": "none"}
agent = Agent(name="weather", model=OpenAIModel(client_args=client, model_id="small-1"), callback_handler=None)
for _ in range(3):
    agent("How is the weather?")
server.shutdown()

def told(name):
    """The tokens of each span of that name, in the order they ended."""
    return [span.attributes["gen_ai.usage.total_tokens"] for span in spans.get_finished_spans() if span.name == name]

traces = {span.context.trace_id for span in spans.get_finished_spans()}
print("tokens of the calls of the model:", told("chat"))
print("tokens of the runs of the agent:", told("invoke_agent weather"), "in", len(traces), "traces")
assert told("chat") == [15, 15, 15], told("chat")
assert told("invoke_agent weather") == [15, 30, 45], told("invoke_agent weather")
assert len(traces) == 3, traces
PYTHON
echo "As described."
