"""Who asks, and how the server is."""

from __future__ import annotations

import msgspec

from resolvers.context import Context
from stores.ports import StoreHealth

_WORST = ("healthy", "degraded", "unhealthy")


class Health(msgspec.Struct, frozen=True, rename="camel"):
    """The health of the store's parts, and the worst of it."""

    status: str
    stores: list[StoreHealth]


class Viewer(msgspec.Struct, frozen=True):
    """Who asks."""

    name: str
    workspace: str
    rights: list[str]


async def health(context: Context) -> Health:
    """How the store is."""
    parts = await context.engine.health()
    return Health(max((part.status for part in parts), key=_WORST.index, default="healthy"), parts)


async def viewer(context: Context) -> Viewer:
    """Who asks; without keys that is the one local user, who may do everything."""
    caller = context.caller
    return Viewer(caller.name, caller.workspace, caller.role.rights)
