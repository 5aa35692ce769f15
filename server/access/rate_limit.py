"""Rate limit of each credential."""

from __future__ import annotations

import math

from domain.caller import Caller
from server.errors import RATE_LIMITED, OperationRefused, plain
from server.limits import TOO_MANY_REQUESTS
from stores.ports import Engine


class Rate:
    """How many operations each credential may begin in a minute; all of them at once, if it likes."""

    def __init__(self, engine: Engine, per_minute: int) -> None:
        self._engine, self._per_minute = engine, per_minute

    async def spend(self, caller: Caller) -> None:
        if (wait := await self._engine.spend(caller.id, self._per_minute)) > 0:
            message = f"Too many operations; RECOLLECT_RATE_LIMIT is {self._per_minute:,} a minute."
            told = plain(message, RATE_LIMITED, retryAfterMs=math.ceil(wait * 1000))
            raise OperationRefused([told], TOO_MANY_REQUESTS, {"Retry-After": str(math.ceil(wait))})
