#!/usr/bin/env bash
# openinference-instrumentation-smolagents 0.1.43 (smolagents 1.26.0, openai 2.54.0): no attribute of an agent's span
# has the agent's name, which stands in the span's name alone; and from the second model call on, the tool call and the
# tool's result of the turn before are input messages of plain text ("Calling tools:", "Observation:"), without any
# attribute that says they are a call and a result.
# docs/opentelemetry.md names both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check smolagents==1.26.0 openai==2.54.0 \
    openinference-instrumentation-smolagents==0.1.43 opentelemetry-sdk==1.45.1
cat > "$folder/run.py" <<'PYTHON'  # a file: smolagents reads a tool's source
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from openinference.instrumentation.smolagents import SmolagentsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from smolagents import OpenAIServerModel, ToolCallingAgent, tool


class Model(BaseHTTPRequestHandler):
    """Asks for the weather, then gives the answer, both by calling a tool."""

    calls = 0

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        name, told = [("get_weather", {"city": "Oslo"}), ("final_answer", {"answer": "Sunny."})][Model.calls]
        Model.calls += 1
        call = {"id": f"call_{Model.calls}", "type": "function", "function": {"name": name, "arguments": json.dumps(told)}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "small-1", "choices": [choice], "usage": usage}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@tool
def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: the city
    """
    return f"sunny in {city}"


server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
SmolagentsInstrumentor().instrument(tracer_provider=provider)
model = OpenAIServerModel("small-1", api_base=f"http://127.0.0.1:{server.server_port}", api_key="none")
agent = ToolCallingAgent(
    tools=[get_weather], model=model, name="weather_agent", description="Tells the weather.", max_steps=2, verbosity_level=0
)
agent.run("What is the weather in Oslo?")
server.shutdown()

found = spans.get_finished_spans()
[top] = [one for one in found if one.parent is None]
named = [key for one in found for key, value in one.attributes.items() if value == "weather_agent"]
last = [one for one in found if one.attributes.get("openinference.span.kind") == "LLM"][-1].attributes
inputs = {key: value for key, value in last.items() if key.startswith("llm.input_messages.")}
texts = [value for value in inputs.values() if isinstance(value, str)]
print("span of the run:", top.name, "- attributes that are the agent's name:", named)
print("texts of the second call's input:", [text[:60] for text in texts if "get_weather" in text or "sunny" in text][-2:])
assert top.name == "weather_agent.run" and named == [], "the agent's name is told otherwise"
assert any(text.startswith("Calling tools:") for text in texts), "the call is told otherwise"
assert any(text.startswith("Observation:") and "sunny in Oslo" in text for text in texts), "the result is told otherwise"
assert not [key for key in inputs if "tool_call" in key], "calls of the history are told as calls"
PYTHON
"$folder/env/bin/python" "$folder/run.py"
