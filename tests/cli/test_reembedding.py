"""`recollect reembed`, in a folder and by a server that is in use."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.caller import LOCAL
from server.graphql.documents import Request
from server.service import open_service
from server.settings import Settings
from tests.support.embeddings_server import EmbeddingsServer, embeddings_server
from tests.support.running import ROOT, Running, command, environment, recollect

COUNT = 1_300
CREATE = "mutation ($inputs: [MemoryInput!]!) { createMemories(input: {memories: $inputs}) { memories { id } } }"
SEARCH = """query ($text: String!) { searchMemories(query: {text: $text}, mode: SEMANTIC, threshold: 0.9, first: 1) {
  mode degraded hits { memory { text } } } }"""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddingsServer]:
    with embeddings_server(512) as server:
        yield server


def settings(server: EmbeddingsServer) -> dict[str, str]:
    return {"RECOLLECT_EMBEDDER_URL": server.url, "RECOLLECT_EMBEDDER_KEY": server.key}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    asyncio.run(_fill(folder))
    return folder


async def _fill(folder: Path) -> None:
    service = open_service(folder, Settings())
    inputs = [{"text": f"memory {n} about subject{n}", "scope": "GLOBAL"} for n in range(COUNT)]
    for start in range(0, COUNT, 100):
        variables: dict[str, Any] = {"inputs": inputs[start : start + 100]}
        body = await service.executor.execute(Request(CREATE, variables), service.operation(LOCAL))
        assert "errors" not in json.loads(body)
    await service.close()


@pytest.mark.slow
def test_a_folder_gets_new_vectors_and_a_run_that_was_killed_goes_on(data: Path, server: EmbeddingsServer) -> None:
    server.asked.clear()
    server.hold_after = 5
    running = subprocess.Popen(
        command("reembed", "openai:words", "--data", str(data)),
        cwd=ROOT, env=environment(**settings(server)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until = time.monotonic() + 120
    while len(server.asked) <= 5 and time.monotonic() < until:
        time.sleep(0.01)
    running.kill()
    running.wait()
    server.hold_after = None
    assert recollect("stats", "--data", str(data))[0] == 0, "the old embedder is in use until the end"
    server.asked.clear()
    status, out, error = recollect("reembed", "openai:words", "--data", str(data), **settings(server))
    assert (status, error) == (0, "")
    assert "RECOLLECT_EMBEDDER=openai:words" in out
    again = [text for asked in server.asked for text in asked["input"] if text.startswith("memory")]
    assert len(again) == len(set(again)) == COUNT - 500, "what was kept is not done twice"

    status, _, error = recollect("stats", "--data", str(data))
    assert status == 1
    assert "openai:words 512, not with wordllama" in error
    assert "recollect reembed" in error
    assert "Traceback" not in error
    found = json.loads(recollect("search", "memory 1077 about subject1077", "--data", str(data), "--mode", "semantic", "--json",
                                 RECOLLECT_EMBEDDER="openai:words", **settings(server))[1])  # fmt: skip
    assert found["hits"][0]["memory"]["text"] == "memory 1077 about subject1077"
    status, out, _ = recollect("reembed", "openai:words", "--data", str(data), **settings(server))
    assert (status, "already" in out) == (0, True)


@pytest.mark.slow
async def test_a_server_changes_its_embedder_while_it_is_used(data: Path, server: EmbeddingsServer) -> None:
    running = Running(data, **settings(server))
    running.start()
    ended = asyncio.Event()
    answers: list[Any] = []

    async def use(number: int) -> None:
        n = number
        while not ended.is_set():
            text = f"written {n} about object{n}"
            await running.ask(CREATE, {"inputs": [{"text": text, "scope": "GLOBAL"}]})
            found = (await running.ask(SEARCH, {"text": text}))["searchMemories"]
            answers.append((text, found))
            n += 4

    try:
        status, _, error = await asyncio.to_thread(recollect, "reembed", "wordllama", "--data", str(data))
        assert status == 1
        assert "--url" in error
        users = [asyncio.create_task(use(number)) for number in range(4)]
        url = f"http://{running.address}"
        status, out, error = await asyncio.to_thread(recollect, "reembed", "openai:words", "--url", url)
        ended.set()
        await asyncio.gather(*users)
        assert (status, error) == (0, "")
        assert "RECOLLECT_EMBEDDER=openai:words" in out
        assert len(answers) > 8
        for text, found in answers:
            assert not found["degraded"]
            # The default embedder knows no order: 78 is 87.
            assert [sorted(hit["memory"]["text"]) for hit in found["hits"]] == [sorted(text)]
        for text in (answers[0][0], answers[-1][0], "memory 7 about subject7"):
            found = (await running.ask(SEARCH, {"text": text}))["searchMemories"]
            assert (found["degraded"], [hit["memory"]["text"] for hit in found["hits"]]) == (False, [text])
        assert running.stop()[0] == 0
        running.settings["RECOLLECT_EMBEDDER"] = "openai:words"
        running.start()
        found = (await running.ask(SEARCH, {"text": answers[0][0]}))["searchMemories"]
        assert [hit["memory"]["text"] for hit in found["hits"]] == [answers[0][0]]
    finally:
        running.end()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nonsense", "--data", "."), "unknown embedder 'nonsense'"),
        (("wordllama", "--data", "./no/such/folder"), "does not exist"),
        (("wordllama", "--url", "http://127.0.0.1:1"), "does not answer"),
        (("wordllama", "--url", "nowhere"), "--url must be"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(arguments: tuple[str, ...], told: str) -> None:
    status, out, error = recollect("reembed", *arguments)
    assert (status, out) == (1, "")
    assert told in error
    assert error.count("\n") == 1
