"""The viewer, and the health of the server."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from domain.caller import Role
from resolvers.context import Context
from stores.ports import StoreHealth

_WORST = ("healthy", "degraded", "unhealthy")


class Health(msgspec.Struct, frozen=True, rename="camel"):
    status: str
    stores: list[StoreHealth]


class Viewer(msgspec.Struct, frozen=True):
    name: str
    workspace: str
    rights: list[str]


async def health(context: Context) -> Health:
    """How the store is; why a part is not well, in the words of its driver, only an admin learns."""
    parts = await context.engine.health()
    if not context.caller.role.allows(Role.ADMIN):
        parts = [msgspec.structs.replace(part, reason=None) for part in parts]
    return Health(worst(parts), parts)


def worst(parts: Sequence[StoreHealth]) -> str:
    return max((part.status for part in parts), key=_WORST.index, default="healthy")


async def viewer(context: Context) -> Viewer:
    """Who asks; without keys that is the one local user, who may do everything."""
    caller = context.caller
    return Viewer(caller.name, caller.workspace, caller.role.rights)
