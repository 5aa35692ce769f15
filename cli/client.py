"""What the command line asks of a folder or a running server, and how it shows the answers."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import Any

import click
import httpx
import msgspec
from rich.console import Console
from rich.table import Table

from domain.caller import LOCAL, Caller, is_workspace, operator
from server.errors import UNAUTHENTICATED
from server.graphql.documents import Request
from server.service import open_service
from server.settings import BadSetting, Settings


class Asked(msgspec.Struct, frozen=True):
    """Who is asked: a folder, or the server at a URL, whose key says which workspace it is."""

    data: Path
    url: str | None
    settings: Settings
    workspace: str | None = None
    must_exist: bool = True

    def __post_init__(self) -> None:
        """Raises BadSetting."""
        check_workspace(self.workspace, self.url)


_SHOWN = 200
"""How many characters of a memory's text a table shows."""

_SEARCH = """query ($text: String!, $filter: MemoryFilter, $mode: SearchMode!, $first: Int!) {
  searchMemories(query: {text: $text}, filter: $filter, mode: $mode, first: $first) {
    tookMs
    hits { score memory { id type text } parts { similarity textRank fusion importance decay } }
  }
}"""


async def ask(asked: Asked, query: str, variables: dict[str, Any]) -> Any:
    """The data of a GraphQL answer. Raises BadSetting with one sentence where there is none."""
    body = await (_over_http if asked.url else _in_folder)(asked, query, variables)
    answer = msgspec.json.decode(body)
    if answer.get("errors"):
        told = answer["errors"][0]
        hint = " RECOLLECT_KEY is what a command sends." if told["extensions"]["code"] == UNAUTHENTICATED else ""
        raise BadSetting(f"{told['message']}{hint}")
    return answer["data"]


def check_workspace(name: str | None, url: str | None) -> None:
    """Raises BadSetting for a workspace that cannot be, or that stands beside a URL."""
    if name is not None and url is not None:
        raise BadSetting("--workspace is of a folder; at --url the key says which workspace it is.")
    if name is not None and not is_workspace(name):
        raise BadSetting(f"{name!r} cannot be a workspace: up to 100 letters, digits and _.@- are.")


def caller_in(workspace: str | None) -> Caller:
    """Who works on a folder."""
    return LOCAL if workspace is None else operator(workspace)


def credentials(settings: Settings) -> dict[str, str]:
    """The headers that tell a server who asks."""
    return {"Authorization": f"Bearer {settings.key}"} if settings.key else {}


async def _in_folder(asked: Asked, query: str, variables: dict[str, Any]) -> bytes:
    service = open_service(asked.data, asked.settings, must_exist=asked.must_exist)
    try:
        return await service.executor.execute(Request(query, variables), service.operation(caller_in(asked.workspace)))
    finally:
        await service.close()


async def _over_http(asked: Asked, query: str, variables: dict[str, Any]) -> bytes:
    url = f"{(asked.url or '').rstrip('/').removesuffix('/graphql')}/graphql"
    try:
        async with httpx.AsyncClient(timeout=30) as client:
            headers = credentials(asked.settings)
            answer = await client.post(url, json={"query": query, "variables": variables}, headers=headers)
            if not answer.headers.get("content-type", "").startswith("application/json"):
                answer.raise_for_status()
            return answer.content
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise BadSetting(f"{url} does not answer: {reason}.") from None


async def search(asked: Asked, query: str, owner: str | None, mode: str, first: int) -> Any:
    """Finds memories."""
    filter = None if owner is None else {"owner": {"externalId": owner}}
    data = await ask(asked, _SEARCH, {"text": query, "filter": filter, "mode": mode, "first": first})
    return data["searchMemories"]


def show_search(found: Any, as_json: bool) -> None:
    """Prints hits as a table, or as JSON."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
        return
    if not found["hits"]:
        click.echo("Nothing found.")
        return
    table = Table(box=None, header_style="bold")
    for name in ("score", "similarity", "words", "importance", "decay"):
        table.add_column(name, justify="right")
    table.add_column("memory", overflow="fold")
    for hit in found["hits"]:
        parts = hit["parts"]
        numbers = (hit["score"], parts["similarity"], parts["textRank"], parts["importance"], parts["decay"])
        table.add_row(*("" if n is None else f"{n:.3f}" for n in numbers), shorten(hit["memory"]["text"], _SHOWN))
    Console().print(table)
    click.echo(f"{len(found['hits'])} hits in {found['tookMs']:.1f} ms")


async def stats(data: Path, settings: Settings) -> Any:
    """Counts and bytes of a folder."""
    service = open_service(data, settings, must_exist=True)
    try:
        return await service.engine.stats()
    finally:
        await service.close()


def show_stats(stats: Any, as_json: bool) -> None:
    """Prints the counts as a table, or as JSON."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(stats), indent=2))
        return
    table = Table(box=None, show_header=False)
    for name, count in stats["records"].items():
        table.add_row(name, f"{count:,}")
    table.add_row("on disk", f"{stats['bytes'] / 1e6:,.1f} MB")
    Console().print(table)
