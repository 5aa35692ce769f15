#!/usr/bin/env bash
# openinference-instrumentation-openai-agents 2.6.0 (openai-agents 0.24.0): the system text among `llm.input_messages` is
# what the model's server answers as `instructions`, not what the agent was told to send. A server that does not echo
# its request leaves a list of messages that begins with number 1, and one that answers another text has it recorded as
# what was asked.
# docs/opentelemetry.md names the fault. Messages are to be read by their numbers, whichever is the first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check openinference-instrumentation-openai-agents==2.6.0 \
    openai-agents==0.24.0 openai==3.57.0 opentelemetry-sdk==1.45.2
OPENAI_API_KEY="" "$folder/env/bin/python" - <<'PYTHON'
import asyncio
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from agents import Agent, OpenAIResponsesModel, Runner
from openai import AsyncOpenAI
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

logging.disable(logging.CRITICAL)  # agents miss the key of their own traces
SYSTEM, ANOTHER = "Be brief.", "Be kind."
asked, answered = [], {}

class Model(BaseHTTPRequestHandler):
    """Says yes, and of `instructions` what `answered` holds."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))).get("instructions"))
        part = {"type": "output_text", "text": "Yes.", "annotations": []}
        item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, **details}
        body = {"id": "resp_1", "object": "response", "created_at": 1, "model": "small-1", "status": "completed"}
        body |= {"output": [item], "usage": usage, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], **answered}
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
OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)

async def told():
    """The messages that the span of a model call says were asked, by number."""
    spans.clear()
    client = AsyncOpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="none")
    agent = Agent("helper", instructions=SYSTEM, model=OpenAIResponsesModel("small-1", client))
    await Runner.run(agent, "Hello")
    [span] = [span for span in spans.get_finished_spans() if span.name == "response"]
    start, end = "llm.input_messages.", ".message.content"
    return {key[len(start) : -len(end)]: text for key, text in span.attributes.items() if key.startswith(start) and key.endswith(end)}

seen = {}
for name, instructions in {"an echo": SYSTEM, "nothing": None, "another text": ANOTHER}.items():
    answered = {} if instructions is None else {"instructions": instructions}
    seen[name] = asyncio.run(told())
    print(f"sent {asked[-1]!r}, answered with {name}: {seen[name]}")
server.shutdown()
assert asked == [SYSTEM] * 3, asked
assert seen == {"an echo": {"0": SYSTEM, "1": "Hello"}, "nothing": {"1": "Hello"}, "another text": {"0": ANOTHER, "1": "Hello"}}, seen
PYTHON
echo "As described."
