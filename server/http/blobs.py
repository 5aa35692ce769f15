"""The bytes of blobs over HTTP: whole or a range (RFC 9110, section 14), with credentials or by a signed link."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.blob import Blob
from domain.caller import Caller, operator
from domain.errors import ErrorCode
from domain.node import Id, kind_of
from resolvers.blobs import signature
from resolvers.context import Context
from server.access.admission import Access
from server.access.rights import FORBIDDEN_STATUS
from server.errors import OperationRefused, formatted, plain
from server.graphql.encoding import encode_errors
from server.headers import headers_of
from server.http.requests import JSON, parameters
from stores.errors import Unavailable
from stores.ports import Intake

_RANGE = re.compile(r"bytes=\s*(\d*)-(\d*)\s*", re.ASCII)

_TEXT = "text/"


class BlobHTTP:
    """The endpoint `/blobs/{id}`, an ASGI application for a Route.

    A link is signed for a workspace, a blob and a time; without one the caller's credentials say which workspace it is.
    """

    def __init__(self, reading: Callable[[Caller], Awaitable[Context]], intake: Intake | None, access: Access) -> None:
        """reading: what a caller reads by."""
        self._reading, self._intake, self._access = reading, intake, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        except OperationRefused as refused:
            body = encode_errors(refused.errors)
            await Response(body, refused.status or 400, refused.headers, JSON)(scope, receive, send)
        except Unavailable as error:
            await Response(encode_errors(formatted([error])), 503, media_type=JSON)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            refused = [plain("Use GET or HEAD.", ErrorCode.INVALID.name)]
            raise OperationRefused(refused, 405, {"Allow": "GET, HEAD"})
        id = scope["path_params"]["id"]
        workspace = await self._workspace(scope, id)
        found = None
        if self._intake is not None and kind_of(id) is Blob:
            [found] = await (await self._reading(operator(workspace))).store.get(Blob, [Id(id)])
        if self._intake is None or found is None:
            raise _missing()
        headers = headers_of(scope)
        status, start, length = _part(found, headers)
        sent = _headers(found, status, start, length)
        if (status != 200 and status != 206) or scope["method"] == "HEAD":
            await Response(None, status, sent)(scope, receive, send)
            return
        pieces = self._intake.blobs.read(workspace, found.stored_as, start, length)
        try:
            piece = await anext(pieces, b"")
        except KeyError:
            raise _missing() from None
        await send(_head(status, sent))
        while piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await anext(pieces, b"")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _workspace(self, scope: Scope, id: str) -> str:
        """Whose blob is asked for. Raises OperationRefused."""
        given = dict(parameters(scope["query_string"]))
        if "signature" not in given or self._intake is None:
            return (await self._access.admit(scope)).workspace
        workspace, expires = given.get("workspace", ""), given.get("expires", "")
        good = signature(await self._intake.blobs.secret(), workspace, id, expires)
        if not hmac.compare_digest(good.encode(), given["signature"].encode()):
            raise _forbidden("This link is not valid.")
        if int(expires) <= time.time():
            raise _forbidden("This link has expired.")
        return workspace


def _missing() -> OperationRefused:
    return OperationRefused([plain("No such blob.", ErrorCode.NOT_FOUND.name)], 404)


def _forbidden(message: str) -> OperationRefused:
    return OperationRefused([plain(message, ErrorCode.FORBIDDEN.name)], FORBIDDEN_STATUS)


def _part(blob: Blob, headers: Mapping[str, str]) -> tuple[int, int, int]:
    """The status, and from where on how many bytes are asked for."""
    etag, size = _etag(blob), blob.size_bytes
    if _names(headers.get("if-none-match", ""), etag):
        return 304, 0, 0
    found = _RANGE.fullmatch(headers.get("range", ""))
    if found is None or found[1] == found[2] == "" or headers.get("if-range", etag) != etag:
        return 200, 0, size
    if found[1] == "":  # the last so many
        start, end = max(size - int(found[2]), 0), size
    else:
        start, end = int(found[1]), size if found[2] == "" else min(int(found[2]) + 1, size)
        if found[2] and int(found[2]) < start:
            return 200, 0, size  # no range (RFC 9110, section 14.1.1)
    return (206, start, end - start) if start < end else (416, 0, 0)


def _names(header: str, etag: str) -> bool:
    return any(one.strip().removeprefix("W/") in (etag, "*") for one in header.split(","))


def _etag(blob: Blob) -> str:
    return f'"{blob.sha256}"'


def _headers(blob: Blob, status: int, start: int, length: int) -> dict[str, str]:
    """Nothing that is sent can run in a page of ours, or is taken for anything else than it is."""
    format = blob.format
    how = "inline" if format.inline else "attachment"
    charset = "; charset=utf-8" if format.media_type.startswith(_TEXT) else ""
    headers = {
        "ETag": _etag(blob),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=3600, immutable",
        "Vary": "Authorization",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if status == 416:
        return {**headers, "Content-Range": f"bytes */{blob.size_bytes}"}
    if status == 304:
        return headers
    headers["Content-Type"] = format.media_type + charset
    headers["Content-Length"] = str(length)
    headers["Content-Disposition"] = f"{how}; filename*=UTF-8''{quote(blob.filename, safe='')}"
    if status == 206:
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{blob.size_bytes}"
    return headers


def _head(status: int, headers: Mapping[str, str]) -> dict[str, object]:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": raw}
