"""Every example of the documentation runs on the demo data, and answers what stands below it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from graphql import OperationType

from domain.caller import LOCAL
from server.graphql.documents import Request
from server.service import Service
from tests.support.examples import HOME, blocks, difference, examples, pages, run

TRANSCRIPT = HOME / "docs" / "transcript.md"
WITH_EXAMPLES = [page for page in pages() if page != TRANSCRIPT and list(examples(page))]


def name(page: Path) -> str:
    return page.name


def kind(service: Service, query: str) -> OperationType:
    """What an example is; raises OperationRefused where it does not fit the schema."""
    return service.executor.prepare(Request(query)).kind


async def answer(service: Service, query: str) -> dict[str, Any]:
    """What an example answers; a subscription only has to start."""
    if kind(service, query) is not OperationType.SUBSCRIPTION:
        return await run(service, query)
    events = await service.executor.subscribe(
        Request(query.replace("demo-live", "demo-present")), service.operation(LOCAL)
    )
    await events.aclose()
    return {}


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=name)
async def test_examples_answer_what_the_page_says(demo: Service, page: Path) -> None:
    problems = []
    for example in examples(page):
        real = await answer(demo, example.query)
        problem = f"errors {real['errors']}" if "errors" in real else None
        if problem is None and example.answer is not None:
            problem = difference(example.answer, real)
        if problem:
            problems.append(f"{page.name}:{example.line}: {problem}")
    assert not problems, "\n".join(problems)


async def test_the_guide_and_the_readme_have_examples(demo: Service) -> None:
    assert {"README.md", "guide.md", "live.md", "operating.md"} <= {page.name for page in WITH_EXAMPLES}
    assert len(list(examples(HOME / "docs" / "guide.md"))) >= 12


async def test_the_documents_of_the_transcript_fit_the_schema(demo: Service) -> None:
    for block in blocks(TRANSCRIPT):
        if block.language == "graphql":
            kind(demo, block.text)


def curls(page: Path) -> list[list[str]]:
    """The words of each curl command of a page."""
    shells = [block.text for block in blocks(page) if block.language == "sh"]
    found = re.findall(r"^curl .*?(?=^curl |\Z)", "\n".join(shells), re.MULTILINE | re.DOTALL)
    return [shlex.split(one) for one in found]


@pytest.mark.parametrize("page", [page for page in pages() if curls(page)], ids=name)
async def test_curl_commands_send_what_runs(demo: Service, page: Path) -> None:
    for words in curls(page):
        assert words[words.index("-H") + 1] == "Content-Type: application/json"
        query = json.loads(words[words.index("-d") + 1])["query"]
        is_stream = kind(demo, query) is OperationType.SUBSCRIPTION
        assert is_stream == ("Accept: text/event-stream" in words)
        real = await answer(demo, query)
        assert "errors" not in real
        assert all(not payload["errors"] for payload in real.get("data", {}).values())


@pytest.mark.parametrize(
    ("shown", "real", "same"),
    [
        ({"a": [1, "..."]}, {"a": [1, 2]}, True),
        ({"a": [1, "..."]}, {"a": [1]}, False),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": "x ... z"}, {"a": "x y z"}, True),
        ({"a": "x ..."}, {"a": "y"}, False),
        ({"a": 0.739}, {"a": 0.7386}, True),
        ({"a": 0.739}, {"a": 0.75}, False),
        ({"a": 1}, {"a": 2}, False),
        ({"a": None}, {"a": None, "b": 1}, False),
    ],
)
def test_answers_are_compared_with_what_was_left_out_in_mind(shown: Any, real: Any, same: bool) -> None:
    assert (difference(shown, real) is None) is same
