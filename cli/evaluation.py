"""`recollect eval`: asks saved questions and counts how often the expected memories are found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from cli import show
from cli.client import Target, ask

_ASKED = """query ($text: String!, $filter: MemoryFilter, $mode: SearchMode!, $first: Int!) {
  searchMemories(query: {text: $text}, filter: $filter, mode: $mode, first: $first) {
    hits { memory { id externalId } folded { id externalId } }
  }
}"""


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """A question and the memories that should be found, by id or externalId."""

    text: str
    expected: list[str]
    owner: str | None = None


class Outcome(msgspec.Struct):
    """recall: the share of the expected memories among the hits; reciprocal: 1 / rank of the first of them, or 0."""

    question: Question
    recall: float
    reciprocal: float


def questions(file: Path) -> list[Question]:
    """The questions of a file of JSON lines. Raises ClickException, naming the line, where one cannot be read."""
    found = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            question = msgspec.json.decode(line, type=Question)
        except msgspec.DecodeError as error:
            raise click.ClickException(f"{file}, line {number}: {error}") from None
        if not question.expected:
            raise click.ClickException(f"{file}, line {number}: no memory is expected")
        found.append(question)
    if not found:
        raise click.ClickException(f"{file} has no question.")
    return found


async def evaluate(target: Target, asked: Sequence[Question], mode: str, first: int) -> list[Outcome]:
    """Asks each question, one after the other."""
    return [await _outcome(target, question, mode, first) for question in asked]


async def _outcome(target: Target, question: Question, mode: str, first: int) -> Outcome:
    filter = None if question.owner is None else {"owner": {"externalId": question.owner}}
    data = await ask(target, _ASKED, {"text": question.text, "filter": filter, "mode": mode, "first": first})
    ranks: dict[str, int] = {}
    for rank, hit in enumerate(data["searchMemories"]["hits"], 1):
        for memory in (hit["memory"], *hit["folded"]):
            ranks.update({name: rank for name in (memory["id"], memory["externalId"]) if name})
    there = [ranks[name] for name in question.expected if name in ranks]
    return Outcome(question, len(there) / len(question.expected), 1 / min(there) if there else 0.0)


def show_outcomes(outcomes: Sequence[Outcome], first: int, bar: float | None, as_json: bool) -> None:
    """Prints the figures and what was missed. Raises ClickException where the recall is below the bar."""
    recall = sum(one.recall for one in outcomes) / len(outcomes)
    reciprocal = sum(one.reciprocal for one in outcomes) / len(outcomes)
    missed = [one for one in outcomes if one.recall < 1]
    if as_json:
        figures: dict[str, Any] = {"questions": len(outcomes), "first": first, "recall": recall, "mrr": reciprocal}
        show.as_json(figures | {"missed": [msgspec.to_builtins(one.question) for one in missed]})
    else:
        for one in missed:
            click.echo(f"missed: {one.question.text} ({one.recall:.0%} of {', '.join(one.question.expected)})")
        click.echo(f"{len(outcomes)} questions: recall@{first} {recall:.3f}, MRR {reciprocal:.3f}")
    if bar is not None and recall < bar:
        raise click.ClickException(f"recall@{first} is {recall:.3f}, below {bar}.")
