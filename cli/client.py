"""What the command line asks of a folder or a running server, and how it shows the answers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from domain.caller import LOCAL, Caller, is_workspace, operator
from server.errors import UNAUTHENTICATED
from server.graphql.documents import Request
from server.service import Service, open_service
from server.settings import BadSetting, Settings, web_url
from stores.errors import CannotOpen, InUse


class Target(msgspec.Struct, frozen=True):
    """What a command works on: a folder, or the server at a URL, whose key says which workspace it is."""

    data: Path
    url: str | None
    settings: Settings
    workspace: str | None = None
    must_exist: bool = True

    def __post_init__(self) -> None:
        """Raises BadSetting."""
        check_workspace(self.workspace, self.url)


Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]


async def ask(target: Target, query: str, variables: dict[str, Any]) -> Any:
    """The data of a GraphQL answer. Raises BadSetting with one sentence where there is none."""
    async with asking(target) as once:
        return await once(query, variables)


@contextlib.asynccontextmanager
async def asking(target: Target) -> AsyncIterator[Ask]:
    """Asks as often as one likes; a folder is opened once."""
    if target.url is not None:
        yield lambda query, variables: _data(_over_http(target, query, variables))
        return
    service = open_or_point(target.data, target.settings, must_exist=target.must_exist)
    caller = caller_in(target.workspace)
    try:
        yield lambda query, variables: _data(
            service.executor.execute(Request(query, variables), service.operation(caller))
        )
    finally:
        await service.close()


async def _data(asked: Awaitable[bytes]) -> Any:
    answer = msgspec.json.decode(await asked)
    if answer.get("errors"):
        told = answer["errors"][0]
        hint = " Commands send the key in RECOLLECT_KEY." if told["extensions"]["code"] == UNAUTHENTICATED else ""
        raise BadSetting(f"{told['message']}{hint}")
    return answer["data"]


def check_workspace(name: str | None, url: str | None) -> None:
    """Raises BadSetting for a workspace or URL that cannot be, and where both are given."""
    if url is not None:
        web_url("--url", url)
    if name is not None and url is not None:
        raise BadSetting("--workspace is for folders; with --url the key determines the workspace.")
    if name is not None and not is_workspace(name):
        raise BadSetting(f"{name!r} is not a valid workspace name: use up to 100 letters, digits and _.@-.")


def open_or_point(data: Path, settings: Settings, *, must_exist: bool = False) -> Service:
    """As open_service, for commands that can ask a running server too. Raises CannotOpen or BadSetting."""
    try:
        return open_service(data, settings, must_exist=must_exist)
    except InUse as error:
        raise CannotOpen(f"{str(error).rstrip('.')}, or ask the server that has it by --url.") from None


def caller_in(workspace: str | None) -> Caller:
    return LOCAL if workspace is None else operator(workspace)


def credentials(settings: Settings) -> dict[str, str]:
    """The headers that tell a server who asks."""
    return {"Authorization": f"Bearer {settings.key}"} if settings.key else {}


async def _over_http(target: Target, query: str, variables: dict[str, Any]) -> bytes:
    url = f"{(target.url or '').rstrip('/').removesuffix('/graphql')}/graphql"
    try:
        async with httpx.AsyncClient(timeout=30) as client:
            headers = credentials(target.settings)
            answer = await client.post(url, json={"query": query, "variables": variables}, headers=headers)
            if not answer.headers.get("content-type", "").startswith("application/json"):
                answer.raise_for_status()
            return answer.content
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise BadSetting(f"{url} does not answer: {reason}.") from None
