"""The conventions by which agents' libraries tell what they do, and the reading of spans by them."""

from __future__ import annotations

from domain.conventions.convention import Convention
from domain.conventions.gen_ai import GEN_AI, PYDANTIC_AI
from domain.conventions.libraries import (
    AGENTOPS,
    AUTOGEN,
    BRAINTRUST,
    GOOGLE_ADK,
    HAYSTACK,
    LANGFUSE,
    LANGSMITH,
    LITELLM,
    LOGFIRE,
    MASTRA,
    MICROSOFT,
    MLFLOW,
    OPENLIT,
    PLAIN,
    STRANDS,
    TRACELOOP,
    VERCEL_AI,
)
from domain.conventions.openinference import OPENINFERENCE

CONVENTIONS: tuple[Convention, ...] = (
    OPENINFERENCE,
    GEN_AI,
    PYDANTIC_AI,
    TRACELOOP,
    VERCEL_AI,
    LANGFUSE,
    LANGSMITH,
    MLFLOW,
    LOGFIRE,
    MASTRA,
    STRANDS,
    GOOGLE_ADK,
    LITELLM,
    OPENLIT,
    MICROSOFT,
    AUTOGEN,
    AGENTOPS,
    HAYSTACK,
    BRAINTRUST,
    PLAIN,
)
"""In order of trust: of several names that tell the same the first that can be read counts. The standard's names of
sessions, users and tokens stand before each library's (see domain.conventions.lookup)."""
