#!/usr/bin/env bash
# AG2's TelemetryMiddleware (ag2 1.0.3) tells the tokens of each call of a model twice: on the span of the call, and on a
# span `record_usage model_call` that stands beside it below the same agent. Who adds up a trace by its spans counts them
# double. The history of a later call has the user's words alone, without answers.
# docs/opentelemetry.md says so; Recollect does not read the usage of the second span.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check "ag2[openai,tracing]==1.0.3" opentelemetry-sdk==1.45.2
"$folder/env/bin/python" -W ignore - <<'PYTHON'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ag2 import Agent
from ag2.config import OpenAIConfig
from ag2.middleware.builtin import TelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Model(BaseHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": "Hello."}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
kept, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
model = OpenAIConfig(model="m", base_url=f"http://127.0.0.1:{server.server_address[1]}/v1", api_key="none")
agent = Agent("greeter", config=model, middleware=[TelemetryMiddleware(tracer_provider=provider)])


async def turns() -> None:
    reply = await agent.ask("Hi")
    await reply.ask("Again")


asyncio.run(turns())
spans = [span for span in kept.get_finished_spans() if "gen_ai.usage.input_tokens" in span.attributes]
for span in spans:
    print(f"{span.name:26} below {span.parent.span_id:016x}  input tokens {span.attributes['gen_ai.usage.input_tokens']}")
print("two calls of 100 tokens; by the spans:", sum(span.attributes["gen_ai.usage.input_tokens"] for span in spans))
history = [span.attributes["gen_ai.input.messages"] for span in spans if span.name.startswith("chat")][-1]
print("the history of the second:", history)
assert [span.name.split()[0] for span in spans] == ["chat", "record_usage"] * 2, "the behaviour has changed"
assert [message["role"] for message in json.loads(history)] == ["user", "user"], "the behaviour has changed"
PYTHON
