"""A service whose embedder is a server: what goes on while that is down."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.caller import LOCAL
from server.graphql.documents import Request
from server.service import Service, open_service
from server.settings import Settings
from stores import openai_embedder
from stores.errors import CannotOpen
from tests.support.embeddings_server import EmbeddingsServer, embeddings_server

CREATE = "mutation ($text: String!) { createMemory(input: {text: $text, scope: GLOBAL}) { memory { id text } } }"
SEARCH = """query ($text: String!, $mode: SearchMode!) {
  searchMemories(query: {text: $text}, mode: $mode, threshold: 0) { mode degraded hits { memory { text } } } }"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingsServer]:
    monkeypatch.setattr(openai_embedder, "_FIRST_WAIT", 0.001)
    with embeddings_server(512) as server:
        yield server


@pytest.fixture
async def service(server: EmbeddingsServer, tmp_path: Path) -> AsyncIterator[Service]:
    settings = Settings(embedder="openai:words", embedder_url=server.url, embedder_key=server.key)
    made = open_service(tmp_path / "data", settings)
    yield made
    await made.close()


async def ask(service: Service, query: str, **variables: Any) -> Any:
    return json.loads(await service.executor.execute(Request(query, variables), service.operation(LOCAL)))


async def found(service: Service, text: str, mode: str) -> tuple[str, bool, list[str]]:
    answer = (await ask(service, SEARCH, text=text, mode=mode))["data"]["searchMemories"]
    return answer["mode"], answer["degraded"], [hit["memory"]["text"] for hit in answer["hits"]]


async def test_searches_go_by_words_while_the_embedder_is_down_and_say_so(
    service: Service, server: EmbeddingsServer
) -> None:
    for text in ("black tea at four", "umbrella in the hall"):
        assert "errors" not in await ask(service, CREATE, text=text)
    assert await found(service, "tea", "SEMANTIC") == ("SEMANTIC", False, ["black tea at four", "umbrella in the hall"])
    server.down = (500, {}, b"")
    assert await found(service, "tea", "HYBRID") == ("HYBRID", True, ["black tea at four"])
    assert await found(service, "tea", "SEMANTIC") == ("TEXT", True, ["black tea at four"])
    assert await found(service, "tea", "TEXT") == ("TEXT", False, ["black tea at four"])


async def test_a_write_that_needs_the_embedder_is_told_to_come_back_and_writes_nothing(
    service: Service, server: EmbeddingsServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.down = (500, {}, server.key.encode())
    [error] = (await ask(service, CREATE, text="black tea"))["errors"]
    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert error["extensions"]["retryAfterMs"] > 0
    assert error["message"] == "The embedder is unavailable; try again later."
    assert await found(service, "tea", "TEXT") == ("TEXT", False, [])
    assert server.key not in caplog.text
    server.down = None
    assert "errors" not in await ask(service, CREATE, text="black tea")


async def test_a_store_says_whose_vectors_it_has(service: Service, server: EmbeddingsServer, tmp_path: Path) -> None:
    await service.close()
    with pytest.raises(CannotOpen, match=r"embedder openai:words 512, not with wordllama:l2_supercat_256 256"):
        open_service(tmp_path / "data", Settings())
