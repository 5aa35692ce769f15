"""Real agent libraries, each in an environment of its own, against a model server: what they did is what is shown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import library_environments
from tests.support.model_server import ANSWER, OTHER, QUESTION, RESULT, model_server
from tests.support.running import Running

HERE = Path(__file__).parent
QUERY = """query ($s: String!) { session(by: {externalId: $s}) { title
  participants { nodes { type actor { __typename ... on User { externalId } ... on Agent { externalId name } } } }
  messages { nodes { senderType text span { spanId } content { __typename
    ... on ToolCall { tool arguments response { result isError } } ... on ToolResponse { result } } } }
  traces { nodes { usage { inputTokens outputTokens cachedTokens reasoningTokens } spans { nodes {
    kind provider model finishReasons warnings agent { name } user { externalId } inputMessages { role text }
    toolCalls { tool arguments response { result } } } } } } } }"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("libraries") / "data")
    running.start()
    yield running
    running.end()


@pytest.fixture(scope="module")
def models() -> Iterator[str]:
    with model_server() as address:
        yield address


def ran(server: Running, models: str, name: str) -> Any:
    """The session of a library's program after it has run."""
    session, user = f"{name}-session", f"{name}-user"
    arguments = [models, f"http://{server.address}", session, user]
    if name in library_environments.PYTHON:
        command = [str(library_environments.python(name)), str(HERE / f"{name}_agent.py")]
    else:
        folder = library_environments.node(name)
        shutil.copy(HERE / f"{name}_agent.mjs", folder)
        command = ["node", str(folder / f"{name}_agent.mjs")]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "OPENAI_", "RECOLLECT_"))}
    done = subprocess.run([*command, *arguments], env=clean, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    body = {"query": QUERY, "variables": {"s": session}}
    found = httpx.post(f"http://{server.address}/graphql", json=body, timeout=30, trust_env=False).json()
    assert "errors" not in found, found
    return found["data"]["session"]


def check(session: Any, name: str) -> None:
    """The two turns that each program has."""
    assert session["title"] == QUESTION
    messages = session["messages"]["nodes"]
    assert [(one["senderType"], one["text"]) for one in messages] == [
        ("USER", QUESTION),
        ("AGENT", ""),
        ("TOOL", ""),
        ("AGENT", ANSWER),
        ("USER", "And tomorrow?"),
        ("AGENT", OTHER),
    ]
    [call] = [part for part in messages[1]["content"] if part["__typename"] == "ToolCall"]
    assert (call["tool"], call["arguments"], call["response"]["isError"]) == ("get_weather", {"city": "Oslo"}, False)
    assert RESULT in json.dumps(messages[2]["content"])
    assert all(one["span"] for one in messages)
    actors = [one["actor"] for one in session["participants"]["nodes"] if one["actor"]]
    assert {"__typename": "User", "externalId": f"{name}-user"} in actors
    usage = [one["usage"] for one in session["traces"]["nodes"]]
    assert sorted(one["inputTokens"] for one in usage) == [100, 200]
    assert sum(one["outputTokens"] for one in usage) == 60
    assert sum(one["cachedTokens"] for one in usage) == 120
    assert sum(one["reasoningTokens"] for one in usage) == 21
    spans = [span for one in session["traces"]["nodes"] for span in one["spans"]["nodes"]]
    calls = [span for span in spans if span["kind"] == "LLM"]
    assert len(calls) == 3
    for span in calls:
        assert (span["model"], span["agent"]["name"]) == ("small-1", "weather_agent")
        assert (span["user"]["externalId"], span["warnings"]) == (f"{name}-user", [])
        assert {"role": "system", "text": "Be brief."} in span["inputMessages"]
    [tool] = [span for span in spans if span["kind"] == "TOOL"]
    [call] = tool["toolCalls"]
    assert (call["tool"], call["response"]["result"]) == ("get_weather", RESULT)
    assert call["arguments"] in ({"city": "Oslo"}, "Oslo")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(library_environments.PYTHON))
def test_a_library_of_python(server: Running, models: str, name: str) -> None:
    check(ran(server, models, name), name)


@pytest.mark.node
@pytest.mark.parametrize("name", list(library_environments.NODE))
def test_a_library_of_node(server: Running, models: str, name: str) -> None:
    check(ran(server, models, name), name)
