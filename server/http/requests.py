"""GraphQL requests out of HTTP: a query string, or JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive, Scope

from domain.unicode import decoded, read_json
from server.graphql.documents import Request
from server.http.exchange import WHOLE_BODY
from server.http.multipart import MULTIPART, Form, Malformed, TooLong, put
from server.limits import Limits, exceeded
from stores.ports import Intake

JSON = "application/json"

STALLED_AFTER = 30.0
"""Seconds within which the next piece of a body must come."""

_decode = msgspec.json.Decoder(Request).decode


class HTTPRefused(Exception):
    """What came is no GraphQL request."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers


UPLOADS = "recollect.uploads"
"""The member of a scope that has the form of a request with files, to be discarded once it is answered."""


class RequestReader:
    """Reads requests. Raises HTTPRefused, or OperationRefused with a status where one goes beyond a limit. intake: for
    the files in them."""

    def __init__(self, limits: Limits, intake: Intake | None = None) -> None:
        self._limits, self._intake = limits, intake

    async def read(self, scope: Scope, receive: Receive, headers: Mapping[str, str]) -> Request:
        if scope["method"] == "GET":
            self._bound(len(scope["query_string"]))
            return _from_query_string(scope["query_string"])
        content_type = headers.get("content-type", "")
        media_type = content_type.partition(";")[0].strip().lower()
        if media_type == JSON:
            if (body := scope.get(WHOLE_BODY)) is None:
                body = await self._body(receive, headers.get("content-length", ""))
            else:
                self._bound(len(body))
            return _checked(lambda: read_json(_decode, body))
        if media_type == MULTIPART and self._intake is not None:
            return await self._with_files(content_type, self._intake, scope, receive)
        raise HTTPRefused(415, f"The body of a POST must be {JSON}, or {MULTIPART} with files.")

    async def _with_files(self, content_type: str, intake: Intake, scope: Scope, receive: Receive) -> Request:
        try:
            form = scope[UPLOADS] = Form(content_type, intake, self._limits.max_body_bytes)
            whole = scope.get(WHOLE_BODY)
            operations, files = await form.read(_rest(receive) if whole is None else _once(whole))
            request = _checked(lambda: read_json(_decode, operations))
            for place, file in files.items():
                put(request.variables, place, file)
        except Malformed as error:
            raise HTTPRefused(400, str(error)) from None
        except TooLong:
            raise exceeded(self._limits, "max_body_bytes", "The request is too long", status=413) from None
        return request

    async def _body(self, receive: Receive, length: str) -> bytes:
        if length.isdecimal():
            self._bound(int(length[:20]))
        message = await _next(receive)
        body = _chunk(message)
        self._bound(len(body))
        if not message.get("more_body", False):
            return body
        whole = bytearray(body)
        async for chunk in _rest(receive):
            whole += chunk
            self._bound(len(whole))
        return bytes(whole)

    def _bound(self, length: int) -> None:
        if length > self._limits.max_body_bytes:
            raise exceeded(self._limits, "max_body_bytes", "The request is too long", status=413)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _rest(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await _next(receive)
        yield _chunk(message)
        more = message.get("more_body", False)


async def _next(receive: Receive) -> Any:
    try:
        async with asyncio.timeout(STALLED_AFTER):
            return await receive()
    except TimeoutError:
        raise HTTPRefused(408, "The body did not arrive in time.", {"Connection": "close"}) from None


def _chunk(message: Any) -> bytes:
    if message["type"] == "http.disconnect":
        raise HTTPRefused(400, "The body is incomplete.")
    return message.get("body", b"")  # type: ignore[no-any-return]


def parameters(query_string: bytes) -> list[tuple[str, str]]:
    return [
        (decoded(name.encode("latin-1")), decoded(value.encode("latin-1")))
        for name, value in parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    ]


def _from_query_string(query_string: bytes) -> Request:
    given: dict[str, Any] = dict(parameters(query_string))

    def read() -> Request:
        for name in ("variables", "extensions"):
            given[name] = read_json(msgspec.json.decode, given[name]) if given.get(name) else None
        given["operationName"] = given.get("operationName") or None  # empty in a URL is none, says GraphQL over HTTP
        return msgspec.convert(given, Request)

    return _checked(read)


def _checked(read: Callable[[], Request]) -> Request:
    try:
        return read()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HTTPRefused(400, f"This is not a GraphQL request in JSON: {error}") from None
    except RecursionError:
        raise HTTPRefused(400, "The request is nested too deeply.") from None
