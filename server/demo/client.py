"""A client of the API in the server's own process: what it may do is what any client may."""

from __future__ import annotations

from typing import Any

import msgspec

from domain.caller import LOCAL
from domain.values import Command
from server.graphql.documents import Request
from server.graphql.variables import plain
from server.service import Service


class Refused(Exception):
    """What the API answered in place of a result. code: of the first error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code = error["code"] if "code" in error else error["extensions"]["code"]


class Client:
    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def takes_files(self) -> bool:
        return self._service.intake is not None

    @property
    def keeps_trash(self) -> bool:
        return self._service.settings.trash_days > 0

    async def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer. Raises Refused."""
        request = Request(document, msgspec.json.decode(msgspec.json.encode(variables)))
        answer = msgspec.json.decode(await self._service.executor.execute(request, self._service.operation(LOCAL)))
        if errors := answer.get("errors"):
            raise Refused(errors[0])
        data: dict[str, Any] = answer["data"]
        return data

    async def write(self, mutation: str, input: Command) -> None:
        """Runs a mutation. Raises Refused."""
        document = (
            f"mutation ($input: {type(input).__name__}!) {{ done: {mutation}(input: $input) "
            "{ errors { code message } } }"
        )
        if errors := (await self.ask(document, input=plain(input)))["done"]["errors"]:
            raise Refused(errors[0])
