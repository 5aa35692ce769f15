#!/usr/bin/env bash
# google-adk 2.13.0 with a model by its LiteLlm (litellm 1.110.2): the span of a call tells more tokens of output than the
# server counted. Gemini counts thoughts beside the answer, and the span adds the two; OpenAI's form counts them within
# it, LiteLlm hands both on as they are, and the sum has the thoughts twice: 12 with 7 of them are told as 19. A call
# that the server ends with `tool_calls` has `stop` as the reason it finished.
# docs/opentelemetry.md names both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check google-adk==2.13.0 litellm==1.110.2 \
    opentelemetry-sdk==1.44.0
LITELLM_LOCAL_MODEL_COST_MAP=True "$folder/env/bin/python" -W ignore - <<'PYTHON'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.adk.agents import LlmAgent
from google.adk.models.lite_llm import LiteLlm
from google.adk.runners import InMemoryRunner
from google.genai import types
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
COUNTED = {"prompt_tokens": 10, "completion_tokens": 12, "total_tokens": 22,
           "completion_tokens_details": {"reasoning_tokens": 7}}
finished = []

class Model(BaseHTTPRequestHandler):
    """Calls a tool, then answers."""

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"]
        message, reason = {"role": "assistant", "content": "Sunny."}, "stop"
        if asked[-1]["role"] == "user":
            message, reason = {"role": "assistant", "content": None, "tool_calls": [CALL]}, "tool_calls"
        finished.append(reason)
        choice = {"index": 0, "message": message, "finish_reason": reason}
        body = {"id": "c", "object": "chat.completion", "created": 1, "model": "small-1", "choices": [choice], "usage": COUNTED}
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
trace.set_tracer_provider(provider)

async def run():
    model = LiteLlm(model="openai/small-1", api_base=f"http://127.0.0.1:{server.server_port}/v1", api_key="none")
    agent = LlmAgent(name="weather", model=model, tools=[get_weather])
    runner = InMemoryRunner(agent=agent, app_name="app")
    session = await runner.session_service.create_session(app_name="app", user_id="user-1")
    question = types.Content(role="user", parts=[types.Part(text="How is the weather?")])
    async for _ in runner.run_async(user_id="user-1", session_id=session.id, new_message=question):
        pass

asyncio.run(run())
server.shutdown()
calls = [dict(span.attributes) for span in spans.get_finished_spans() if span.name.startswith("generate_content")]
told = [(call["gen_ai.usage.output_tokens"], call["gen_ai.usage.reasoning.output_tokens"]) for call in calls]
reasons = [reason for call in calls for reason in call["gen_ai.response.finish_reasons"]]
print("the server counted an output of 12 with 7 of reasoning, twice; the spans tell", told)
print("the server finished with", finished, "and the spans tell", reasons)
assert told == [(19, 7), (19, 7)], told
assert (finished, reasons) == (["tool_calls", "stop"], ["stop", "stop"]), (finished, reasons)
PYTHON
echo "As described."
