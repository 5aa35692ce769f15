#!/usr/bin/env bash
# litellm 1.110.2 with its callback `otel` (openai 3.57.0): of calls that are given the same dict as `metadata` only the
# first one has spans; the others answer as ever and leave none, without a warning. LiteLLM notes in the caller's dict
# (`_otel_internal`) that the call has been told, and finds the note in the next. An equal dict made for each call works.
# docs/opentelemetry.md says that each call needs one of its own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check litellm==1.110.2 openai==3.57.0 \
    opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
LITELLM_LOCAL_MODEL_COST_MAP=True LITELLM_LOG=ERROR "$folder/env/bin/python" - <<'PYTHON'
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import litellm
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

class Model(BaseHTTPRequestHandler):
    """Answers with its number."""

    asked = 0

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        Model.asked += 1
        message = {"role": "assistant", "content": f"Answer {Model.asked}."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
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
litellm.callbacks = ["otel"]

def answers(*metadata):
    """What was answered to calls with these, one after the other."""
    client = {"model": "openai/small-1", "api_base": f"http://127.0.0.1:{server.server_port}/v1", "api_key": "none"}
    asked = [{"role": "user", "content": "Hello"}]
    return [litellm.completion(**client, messages=asked, metadata=one).choices[0].message.content for one in metadata]

def told():
    """How many calls have a span. They come from another thread: one more call is made, and waited for, and a second more."""
    last = answers({"run": "last"})[0]
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = [s for s in spans.get_finished_spans() if s.name == "litellm_request"]
        if any(last in s.attributes["gen_ai.output.messages"] for s in found):
            time.sleep(1)
            found = [s for s in spans.get_finished_spans() if s.name == "litellm_request"]
            spans.clear()
            return len(found) - 1
        time.sleep(0.05)
    raise AssertionError("the last call has no span")

each = answers({"run": "a"}, {"run": "a"}, {"run": "a"})
of_each = told()
shared = {"run": "a"}
same = answers(shared, shared, shared)
of_same = told()
server.shutdown()
print("three calls, a dict each:", each, "spans:", of_each)
print("three calls, one dict:", same, "spans:", of_same, "and now in it:", sorted(shared))
assert (len(each), of_each) == (3, 3), (each, of_each)
assert (len(same), of_same) == (3, 1), (same, of_same)
assert "_otel_internal" in shared, shared
PYTHON
echo "As described."
