"""The /reembed endpoint: POST {"embedder": "NAME:MODEL"} begins to change the embedder, GET tells how far that is."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from domain.caller import DEFAULT_WORKSPACE, Role
from server.access.admission import Access
from server.access.rights import require
from server.embedding import Embedders
from server.errors import BAD_USER_INPUT, OperationRefused, plain
from server.graphql.encoding import encode_errors
from server.headers import headers_of
from stores.errors import CannotOpen

_MOST_BYTES = 4096


class _Asked(msgspec.Struct):
    embedder: str


class ReembedHTTP:
    """An ASGI application for `Route("/reembed", ReembedHTTP(...))`.

    Of those with credentials the admins of the workspace "default" may, for it is about all workspaces.
    """

    def __init__(self, embedders: Embedders, access: Access) -> None:
        self._embedders, self._access = embedders, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (await self._answer(Request(scope, receive)))(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD", "POST"):
            return JSONResponse({"errors": [{"message": "Use POST or GET."}]}, 405, {"Allow": "GET, HEAD, POST"})
        try:
            self._access.check(request.scope)
            caller = await self._access.identify(headers_of(request.scope).get("authorization"))
            require(caller.role if caller.workspace == DEFAULT_WORKSPACE else Role.READ, Role.ADMIN)
            progress = self._embedders.progress
            if request.method == "POST":
                progress = await self._embedders.begin((await _read(request)).embedder)
        except OperationRefused as refused:
            body = encode_errors(refused.errors)
            return Response(body, refused.status or 400, dict(refused.headers), "application/json")
        except CannotOpen as error:
            return Response(encode_errors([plain(str(error), BAD_USER_INPUT)]), 400, media_type="application/json")
        return Response(msgspec.json.encode(progress), media_type="application/json")


async def _read(request: Request) -> _Asked:
    """Raises OperationRefused."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise OperationRefused([plain("The body is too large.", BAD_USER_INPUT)])
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise OperationRefused([plain("The body must be application/json.", BAD_USER_INPUT)])
    try:
        return msgspec.json.decode(body, type=_Asked)
    except msgspec.DecodeError:
        raise OperationRefused([plain('The body must be {"embedder": "NAME:MODEL"}.', BAD_USER_INPUT)]) from None
