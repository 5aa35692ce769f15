"""`recollect entities`: has rules find entities in texts that were written before the rules were switched on."""

from __future__ import annotations

import click

from cli import show
from cli.client import Target, asking
from server.settings import BadSetting

_FIND = """mutation ($input: FindEntitiesInput!) { done: findEntities(input: $input) {
    searched endCursor errors { message } } }"""
_TOTAL = "{ messages: messageStats { total { count } } memories: memoryStats { total { count } } }"


async def find(target: Target, after: str | None) -> str:
    """Looks through all texts, some at a time, so that others are served in between; what was done. Raises BadSetting,
    and tells where to go on if it is broken off."""
    searched = 0
    try:
        async with asking(target) as ask:
            total = sum(one["total"]["count"] for one in (await ask(_TOTAL, {})).values())
            with show.bar() as told:
                while True:
                    told("looking through texts", searched, max(total, searched))
                    done = (await ask(_FIND, {"input": {"after": after}}))["done"]
                    if done["errors"]:
                        raise BadSetting(done["errors"][0]["message"])
                    searched += done["searched"]
                    if done["endCursor"] is None:
                        break
                    after = done["endCursor"]
    except BaseException:
        if searched:
            click.echo(f"Looked through {searched:,} texts. Go on with: --after {after}", err=True)
        raise
    return f"Looked through {searched:,} texts."
