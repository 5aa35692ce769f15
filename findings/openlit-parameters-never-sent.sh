#!/usr/bin/env bash
# openlit 1.45.0 (openai 2.54.0): the span of a call tells a temperature of 1, a top_p of 1, penalties of 0 and a seed of 0
# where the request had none of them, as if they had been sent: a call with a seed of 0 and one without a seed look
# alike. By the conventions of OpenTelemetry such an attribute says what was requested.
# docs/opentelemetry.md names the fault.
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
requests = []

class Model(BaseHTTPRequestHandler):
    """Answers, and keeps what it was asked."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        choice = {"index": 0, "message": {"role": "assistant", "content": "Sunny."}, "finish_reason": "stop"}
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

def told(**parameters):
    """What was sent beside the model and the messages, and what the span says was."""
    spans.clear()
    client.chat.completions.create(model="small-1", messages=[{"role": "user", "content": "Hello"}], **parameters)
    [span] = [span for span in spans.get_finished_spans() if span.name == "chat small-1"]
    sent = {name: value for name, value in requests[-1].items() if name not in ("model", "messages")}
    names = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed")
    return sent, {name: span.attributes.get(f"gen_ai.request.{name}") for name in names}

without, given = told(), told(seed=0)
server.shutdown()
print("sent:", without[0], "told:", without[1])
print("sent:", given[0], "told:", given[1])
assert without[0] == {} and given[0] == {"seed": 0}, (without, given)
assert without[1] == {"temperature": 1, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0, "seed": 0}, without
assert given[1] == without[1], given
PYTHON
echo "As described."
