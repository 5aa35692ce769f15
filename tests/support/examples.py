"""The examples of the documentation: found in its pages, run on the demo data, and compared with what stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from math import isclose
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from domain.caller import LOCAL
from server.graphql.documents import Request
from server.service import Service

HOME = Path(__file__).resolve().parent.parent.parent

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ID = re.compile(r'# \$(\w+): the id of the memory "([\w-]+)"')
_AGO = re.compile(r"# \$(\w+): a time (\d+) days ago")


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line of the page it begins on."""

    language: str
    text: str
    line: int


class Example(NamedTuple):
    """A GraphQL document, and the answer that stands right below it, if any."""

    query: str
    answer: Any
    line: int


def pages() -> list[Path]:
    """Every page of the documentation but the decisions."""
    return sorted([*HOME.glob("*.md"), *(HOME / "docs").glob("*.md")])


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [Block(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in _FENCE.finditer(text)]


def examples(page: Path) -> Iterator[Example]:
    """The GraphQL examples of a page, each with the JSON block that follows it, if one does."""
    found = blocks(page)
    for block, after in zip_longest(found, found[1:], fillvalue=Block("", "", 0)):
        if block.language == "graphql":
            answer = msgspec.json.decode(after.text) if after.language == "json" else None
            yield Example(block.text, answer, block.line)


async def run(service: Service, query: str) -> dict[str, Any]:
    """The answer to an example. Its comments say what its variables stand for."""
    variables: dict[str, Any] = {}
    for name, key in _ID.findall(query):
        found = await run(service, f'{{ memory(by: {{externalId: "{key}"}}) {{ id }} }}')
        variables[name] = found["data"]["memory"]["id"]
    for name, days in _AGO.findall(query):
        variables[name] = (datetime.now(UTC) - timedelta(days=int(days))).isoformat()
    body = await service.executor.execute(Request(query, variables), service.operation(LOCAL))
    answer: dict[str, Any] = msgspec.json.decode(body)
    answer.pop("extensions", None)  # the cost, which the examples leave out
    return answer


def difference(shown: Any, real: Any, path: str = "") -> str | None:
    """Where an answer of the documentation is not the real one; "..." stands for what was left out."""
    if isinstance(shown, dict):
        if not isinstance(real, dict) or set(shown) != set(real):
            return f"{path}: {sorted(shown)} is not {sorted(real) if isinstance(real, dict) else real!r}"
        return next((d for key in shown if (d := difference(shown[key], real[key], f"{path}.{key}"))), None)
    if isinstance(shown, list):
        return _items(shown, real, path)
    if isinstance(shown, str) and isinstance(real, str) and "..." in shown:
        pattern = ".*".join(re.escape(part) for part in shown.split("..."))
        return None if re.fullmatch(pattern, real, re.DOTALL) else f"{path}: {shown!r} is not {real!r}"
    if isinstance(shown, float) and isinstance(real, float | int):
        return None if isclose(shown, real, abs_tol=0.0006) else f"{path}: {shown} is not {real}"
    return None if shown == real else f"{path}: {shown!r} is not {real!r}"


def _items(shown: list[Any], real: Any, path: str) -> str | None:
    if not isinstance(real, list):
        return f"{path}: {real!r} is no list"
    cut = bool(shown) and shown[-1] == "..."
    items = shown[:-1] if cut else shown
    if len(items) > len(real) or (cut and len(items) == len(real)) or (not cut and len(items) != len(real)):
        return f"{path}: {len(items)} items{' and more' if cut else ''} are not {len(real)}"
    pairs = enumerate(zip(items, real, strict=False))
    return next((d for place, (one, other) in pairs if (d := difference(one, other, f"{path}[{place}]"))), None)
