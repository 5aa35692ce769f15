"""`recollect search`: finds memories, in a folder or through a running server."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten
from typing import Any

import click

from cli import show
from cli.client import Target, ask

_SHOWN = 200
"""How many characters of a memory's text a table shows."""

_SEARCH = """query ($text: String!, $filter: MemoryFilter, $mode: SearchMode!, $first: Int!) {
  searchMemories(query: {text: $text}, filter: $filter, mode: $mode, first: $first) {
    tookMs
    hits { score memory { id type text } folded { id } parts { similarity textRank fusion importance decay
      neighbors reply session people links references time entities } }
  }
}"""


async def find(target: Target, query: str, owner: str | None, mode: str, first: int) -> Any:
    filter = None if owner is None else {"owner": {"externalId": owner}}
    data = await ask(target, _SEARCH, {"text": query, "filter": filter, "mode": mode, "first": first})
    return data["searchMemories"]


_VOUCHING = ("neighbors", "reply", "session", "people", "links", "references", "time", "entities")


def show_search(found: Any, as_json: bool, explain: bool = False) -> None:
    """Prints hits as a table, or as JSON. explain: with all that their scores are made of."""
    if as_json:
        show.as_json(found)
    elif not found["hits"]:
        click.echo("Nothing found.")
    else:
        more = ("fusion", *_VOUCHING) if explain else ()
        numbers = ("score", "similarity", "words", "importance", "decay", *more)
        show.table([*numbers, "memory"], [_row(hit, more) for hit in found["hits"]], numbers=numbers)
        click.echo(f"{len(found['hits'])} hits in {found['tookMs']:.1f} ms")


def _row(hit: Any, more: Sequence[str]) -> list[str]:
    parts = hit["parts"]
    numbers = (hit["score"], parts["similarity"], parts["textRank"], parts["importance"], parts["decay"])
    numbers += tuple(parts[name] for name in more)
    return [*("" if n is None else f"{n:.3f}" for n in numbers), shorten(hit["memory"]["text"], _SHOWN)]
