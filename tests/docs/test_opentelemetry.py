"""The five lines send spans, and the page says what there is to say."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.conventions import CONVENTIONS
from domain.conventions.table import table
from domain.telemetry import CHUNKS_COUNT, EVENTS_COUNT, LEFT_OUT, MAX_ATTRIBUTES
from formats.otlp.spans import MAX_SPANS
from tests.support.examples import HOME, blocks
from tests.support.running import Running, environment

PAGE = HOME / "docs" / "opentelemetry.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path / "data")
    running.start()
    yield running
    running.end()


async def test_the_five_lines_send_what_the_page_says(server: Running) -> None:
    program = "\n".join(block.text for block in blocks(PAGE) if block.language == "python")
    program = program.replace("127.0.0.1:8000", server.address)
    run = [sys.executable, "-W", "error", "-c", program]
    done = await asyncio.to_thread(
        subprocess.run, run, env=environment(), capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    query = (
        '{ session(by: {externalId: "breakfast"}) { participants { nodes { name } } traces { nodes { traceId } } } }'
    )
    session = (await server.ask(query))["session"]
    assert session["participants"]["nodes"] == [{"name": "mara"}]
    [shown] = [block.text for block in blocks(PAGE) if block.text.startswith("query")]
    [trace] = session["traces"]["nodes"]
    [span] = (await server.ask(shown, trace))["trace"]["spans"]["nodes"]
    assert (span["name"], span["kind"], span["model"]) == ("chat small-1", "LLM", "small-1")
    assert span["usage"] == {"inputTokens": 12, "outputTokens": 30, "totalTokens": 42}


def test_names_and_limits_are_told() -> None:
    assert table(CONVENTIONS) == TEXT.partition("domain.conventions.table -->\n\n")[2], "make it anew"
    for name in (EVENTS_COUNT, CHUNKS_COUNT, LEFT_OUT):
        assert f"`{name}`" in TEXT, name
    assert f"{MAX_ATTRIBUTES:,}" in TEXT.replace("\n", " ")
    assert f"{MAX_SPANS:,}" in TEXT
