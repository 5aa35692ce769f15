"""Asks a service in the bench's own process, without HTTP."""

from __future__ import annotations

from typing import Any

import msgspec

from domain.caller import LOCAL
from server.graphql.documents import Request
from server.service import Service


async def answer(service: Service, query: str, **variables: Any) -> Any:
    """The data of an answer, which has no errors."""
    request = Request(query, variables)
    found = msgspec.json.decode(await service.executor.execute(request, service.operation(LOCAL)))
    assert "errors" not in found, found
    return found["data"]
