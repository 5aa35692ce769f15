"""`recollect eval`: asks saved questions and counts how often the expected memories are found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
    """What a question found. recall: the share of the expected memories among the hits; reciprocal: 1 / rank of the
    first of them, or 0; missing: those that were not."""

    question: Question
    recall: float
    reciprocal: float
    missing: list[str]


class Result(msgspec.Struct):
    """What all questions found. mrr: the mean of the reciprocal ranks."""

    mode: str
    first: int
    questions: int
    recall: float
    mrr: float
    outcomes: list[Outcome]


_SLACK = 0.01
"""How much less MRR is told and no failure: decay moves close ranks as time goes by."""


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


def earlier(file: Path, mode: str, first: int) -> Result:
    """What `--json` printed once. Raises ClickException where it is no such thing, or of another kind of question."""
    try:
        result = msgspec.json.decode(file.read_bytes(), type=Result)
    except msgspec.DecodeError as error:
        raise click.ClickException(f"{file} is not what `recollect eval --json` prints: {error}") from None
    if (result.mode, result.first) != (mode, first):
        raise click.ClickException(
            f"{file} has other hits: it asked with --mode {result.mode.lower()} --first {result.first}."
        )
    return result


async def evaluate(target: Target, asked: Sequence[Question], mode: str, first: int) -> Result:
    """Asks each question, one after the other."""
    return _result([await _outcome(target, question, mode, first) for question in asked], mode, first)


def _result(outcomes: list[Outcome], mode: str, first: int) -> Result:
    count = len(outcomes)
    recall, mrr = (sum(getattr(one, name) for one in outcomes) / count for name in ("recall", "reciprocal"))
    return Result(mode, first, count, recall, mrr, outcomes)


async def _outcome(target: Target, question: Question, mode: str, first: int) -> Outcome:
    filter = None if question.owner is None else {"owner": {"externalId": question.owner}}
    data = await ask(target, _ASKED, {"text": question.text, "filter": filter, "mode": mode, "first": first})
    ranks: dict[str, int] = {}
    for rank, hit in enumerate(data["searchMemories"]["hits"], 1):
        for memory in (hit["memory"], *hit["folded"]):
            ranks.update({name: rank for name in (memory["id"], memory["externalId"]) if name})
    there = [ranks[name] for name in question.expected if name in ranks]
    missing = [name for name in question.expected if name not in ranks]
    return Outcome(question, len(there) / len(question.expected), 1 / min(there) if there else 0.0, missing)


def show_result(result: Result, before: Result | None, bar: float | None, as_json: bool) -> None:
    """Prints the figures and what was missed. Raises ClickException where the recall is below the bar, or what both
    have asked was found better before."""
    if as_json:
        show.as_json(result)
    else:
        for one in result.outcomes:
            if one.missing:
                click.echo(f"missed: {one.question.text} ({', '.join(one.missing)})")
        click.echo(f"{result.questions} questions: {_figures(result)}")
    if before is not None:
        _compare(result, before, quiet=as_json)
    if bar is not None and result.recall < bar:
        raise click.ClickException(f"recall@{result.first} is {result.recall:.3f}, below {bar}.")


def _figures(result: Result) -> str:
    return f"recall@{result.first} {result.recall:.3f}, MRR {result.mrr:.3f}"


def _compare(result: Result, before: Result, quiet: bool) -> None:
    """Tells what was better before, of the questions that were asked then too. Raises ClickException."""
    then = {msgspec.json.encode(one.question): one for one in before.outcomes}
    pairs = [(one, old) for one in result.outcomes if (old := then.get(msgspec.json.encode(one.question))) is not None]
    if not pairs:
        raise click.ClickException("None of these questions was asked in the earlier result.")
    worth = _result([old for _, old in pairs], before.mode, before.first)
    now = _result([one for one, _ in pairs], result.mode, result.first)
    if not quiet:
        for one, other in pairs:
            if lost := [name for name in one.missing if name not in other.missing]:
                click.echo(f"lost: {one.question.text} ({', '.join(lost)})")
        click.echo(f"before, of {len(pairs)} questions asked both times: {_figures(worth)}")
    if now.recall < worth.recall - 1e-9 or now.mrr < worth.mrr - _SLACK:
        raise click.ClickException(f"{_figures(now)}, where it was {_figures(worth)}.")
