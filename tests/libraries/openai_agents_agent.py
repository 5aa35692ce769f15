"""Two turns of an agent of OpenAI's SDK, instrumented by OpenInference. Arguments as of pydantic_ai_agent.py."""

import sys

from agents import Agent, OpenAIResponsesModel, Runner, function_tool
from openai import AsyncOpenAI
from openinference.instrumentation import using_attributes
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

models, telemetry, session, user = sys.argv[1:]
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{telemetry}/v1/traces")))
OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


model = OpenAIResponsesModel("small", openai_client=AsyncOpenAI(base_url=models, api_key="none"))
agent = Agent(name="weather_agent", instructions="Be brief.", tools=[get_weather], model=model)
with using_attributes(session_id=session, user_id=user):
    first = Runner.run_sync(agent, "What is the weather in Oslo?")
    Runner.run_sync(agent, [*first.to_input_list(), {"role": "user", "content": "And tomorrow?"}])
provider.shutdown()
