#!/usr/bin/env bash
# openlit 1.45.0 (openai 2.54.0): a message of the assistant that only calls tools is told in full as the answer of the
# call that brought it (`gen_ai.output.messages`), and is missing from the history of the next call
# (`gen_ai.input.messages`), where the tool's result then answers a call that nobody made. With a word of text beside
# the call, the message is there and the call is not.
# docs/opentelemetry.md names the fault; the call itself is in the span that made it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check openlit==1.45.0 openai==2.54.0 \
    opentelemetry-sdk==1.39.1 opentelemetry-instrumentation==0.60b1
echo '{}' > "$folder/pricing.json"  # or it asks the network for prices
"$folder/env/bin/python" - "$folder/pricing.json" <<'PYTHON'
import json
import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openlit
from openai import OpenAI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

logging.disable(logging.CRITICAL)  # it tells of each library that is not installed
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}

class Model(BaseHTTPRequestHandler):
    """Calls a tool, and says what it brought."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"]
        message = {"role": "assistant", "content": "Sunny."}
        if asked[-1]["role"] == "user":
            message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if message["content"] is None else "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "small-1", "choices": [choice], "usage": usage}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
openlit.init(disable_metrics=True, disable_events=True, pricing_json=sys.argv[1])
client = OpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="none")

def told(messages):
    """The roles and kinds of parts in the span of a call, of what it was asked and of what it answered."""
    spans.clear()
    client.chat.completions.create(model="small-1", messages=messages, tools=[TOOL])
    [span] = [span for span in spans.get_finished_spans() if span.name == "chat small-1"]
    return [
        [f"{m['role']}: {'+'.join(part['type'] for part in m['parts'])}" for m in json.loads(span.attributes[f"gen_ai.{way}.messages"])]
        for way in ("input", "output")
    ]

question, result = {"role": "user", "content": "How is the weather?"}, {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
first = told([question])
alone = told([question, {"role": "assistant", "tool_calls": [CALL]}, result])
beside = told([question, {"role": "assistant", "content": "Let me look.", "tool_calls": [CALL]}, result])
server.shutdown()
print("the first call answers:", first[1])
print("asked with [user, assistant with a tool call, tool]:", alone[0])
print("asked with text beside the tool call:", beside[0])
assert first[1] == ["assistant: tool_call"], first
assert alone[0] == ["user: text", "tool: tool_call_response"], alone
assert beside[0] == ["user: text", "assistant: text", "tool: tool_call_response"], beside
PYTHON
echo "As described."
