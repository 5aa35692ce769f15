"""The /metrics endpoint."""

from __future__ import annotations

from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from domain.caller import DEFAULT_WORKSPACE, Role
from server.access.admission import Access
from server.access.rights import require
from server.errors import OperationRefused
from server.graphql.encoding import encode_errors
from server.headers import headers_of
from server.telemetry.metrics import CONTENT_TYPE, Metrics


class MetricsHTTP:
    """The endpoint of metrics, an ASGI application for `Route("/metrics", MetricsHTTP(...))`.

    access: who may come in; of those with credentials the admins of the workspace "default", for the figures are of all
    workspaces. None: whoever reaches the address.
    """

    def __init__(self, metrics: Metrics, access: Access | None) -> None:
        self._metrics, self._access = metrics, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (await self._answer(scope))(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Use GET to read metrics.\n", 405, {"Allow": "GET, HEAD"})
        try:
            if self._access is not None:
                await _admit(self._access, scope)
        except OperationRefused as refused:
            body = encode_errors(refused.errors)
            return Response(body, refused.status or 400, dict(refused.headers), "application/json")
        return Response(await self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})


async def _admit(access: Access, scope: Scope) -> None:
    """Raises OperationRefused. Costs nothing of a credential's rate."""
    access.check(scope)
    caller = await access.identify(headers_of(scope).get("authorization"))
    require(caller.role if caller.workspace == DEFAULT_WORKSPACE else Role.READ, Role.ADMIN)
