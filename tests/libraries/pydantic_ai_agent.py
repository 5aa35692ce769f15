"""Two turns of an agent of Pydantic AI. Arguments: the model server, the telemetry server, the session, the user."""

import sys

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from pydantic_ai import Agent
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

models, telemetry, session, user = sys.argv[1:]
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{telemetry}/v1/traces")))
model = OpenAIChatModel("small", provider=OpenAIProvider(base_url=models, api_key="none"))
Agent.instrument_all(InstrumentationSettings(tracer_provider=provider))
agent = Agent(model, name="weather_agent", instructions="Be brief.")


@agent.tool_plain
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


told = {"conversation_id": session, "metadata": {"user.id": user}}
first = agent.run_sync("What is the weather in Oslo?", **told)
agent.run_sync("And tomorrow?", message_history=first.all_messages(), **told)
provider.shutdown()
