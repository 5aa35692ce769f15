#!/usr/bin/env bash
# A tool that fails in AutoGen (autogen-agentchat 0.7.5), seen with openinference-instrumentation-autogen-agentchat 0.1.22,
# is told in two spans that say the opposite. That of OpenInference has the arguments, the status OK, and the text of the
# error as what the tool answered; AutoGen's own, below it, has an error, told in two equal events, and no arguments.
# The model is told of it (`is_error`), so who reads the status of the upper span sees a run without a failure.
# docs/opentelemetry.md says so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check autogen-agentchat==0.7.5 "autogen-ext[openai]==0.7.5" \
    openinference-instrumentation-autogen-agentchat==0.1.22 openai==3.57.0 opentelemetry-sdk==1.45.2
"$folder/env/bin/python" - <<'PYTHON'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from openinference.instrumentation.autogen_agentchat import AutogenAgentChatInstrumentor
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}

class Model(BaseHTTPRequestHandler):
    """Calls a tool, then answers."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"]
        message = {"role": "assistant", "content": "I do not know."}
        if asked[-1]["role"] == "user":
            message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
        choice = {"index": 0, "message": message, "finish_reason": "stop" if message["content"] else "tool_calls"}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "small-1", "choices": [choice], "usage": usage}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

async def get_weather(city: str) -> str:
    """The weather in a city."""
    raise LookupError("no weather today")

server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
AutogenAgentChatInstrumentor().instrument(tracer_provider=provider)

async def run():
    info = {"vision": False, "function_calling": True, "json_output": False, "structured_output": False, "family": "unknown"}
    url = f"http://127.0.0.1:{server.server_port}/v1"
    client = OpenAIChatCompletionClient(model="small-1", base_url=url, api_key="none", model_info=info)
    agent = AssistantAgent("weather", model_client=client, tools=[get_weather], reflect_on_tool_use=True)
    await agent.run(task="How is the weather?")

asyncio.run(run())
server.shutdown()
named = {span.name: span for span in spans.get_finished_spans()}
upper, lower = named["weather.get_weather"], named["execute_tool get_weather"]
for whose, span in {"OpenInference": upper, "AutoGen": lower}.items():
    told = {name: span.attributes[name] for name in ("input.value", "output.value", "error.type") if name in span.attributes}
    print(f"{whose}: {span.status.status_code.name}, {told}, events: {[event.name for event in span.events]}")
assert lower.parent.span_id == upper.context.span_id
assert (upper.status.status_code.name, lower.status.status_code.name) == ("OK", "ERROR")
assert upper.attributes["output.value"] == "no weather today", upper.attributes
assert not upper.events and [event.name for event in lower.events] == ["exception", "exception"], lower.events
assert not any("Oslo" in str(value) for value in lower.attributes.values()), lower.attributes
PYTHON
echo "As described."
