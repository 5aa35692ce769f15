"""Two turns of an agent of LangGraph, instrumented by OpenInference. Arguments as of pydantic_ai_agent.py."""

import sys

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

models, telemetry, session, user = sys.argv[1:]
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{telemetry}/v1/traces")))
LangChainInstrumentor().instrument(tracer_provider=provider)


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


model = ChatOpenAI(model="small", base_url=models, api_key="none")
agent = create_agent(
    model, [get_weather], system_prompt="Be brief.", name="weather_agent", checkpointer=InMemorySaver()
)
settings = {"configurable": {"thread_id": session}, "metadata": {"user_id": user}}
agent.invoke({"messages": [("user", "What is the weather in Oslo?")]}, settings)
agent.invoke({"messages": [("user", "And tomorrow?")]}, settings)
provider.shutdown()
