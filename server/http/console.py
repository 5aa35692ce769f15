"""The console: the files that web/ was built to, for the browsers of people."""

from __future__ import annotations

import gzip
import hashlib
import html
from dataclasses import dataclass
from functools import lru_cache
from mimetypes import guess_type
from pathlib import Path

import msgspec
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from server.access.admission import Access
from server.errors import OperationRefused
from server.headers import headers_of
from server.http.negotiation import takes_gzip

FOLDER = Path(__file__).parents[1] / "console"
"""What the build leaves there: files compressed by gzip, and the documents that they send, by id."""

PAGES = ("sessions", "traces", "memories", "query", "operate")
"""What its addresses begin with."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types recollect-worker"
)

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
}
_FOR_EVER = "public, max-age=31536000, immutable"
_HERE = b'<base href="./">'
_MISSING = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Recollect</title></head>
<body>
<h1>Recollect</h1>
<p>The console is not built ({why}): run <code>pip install -e .</code> again where the registries of Python and npm can
be reached, and start the server anew. All else works without it.</p>
</body>
</html>
"""


@dataclass(frozen=True)
class _File:
    compressed: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, compressed: bytes, name: str) -> _File:
        etag = f'"{hashlib.sha256(compressed).hexdigest()[:32]}"'
        kind = guess_type(name)[0] or "application/octet-stream"
        return cls(compressed, "text/javascript" if kind.endswith("/javascript") else kind, etag)


class Console:
    """Answers for its files and for the addresses of its pages. access: from where requests may come."""

    def __init__(self, access: Access, folder: Path = FOLDER) -> None:
        self._access = access
        self._assets = {
            file.name.removesuffix(".gz"): _File.of(file.read_bytes(), file.name.removesuffix(".gz"))
            for file in (folder / "assets").glob("*.gz")
        }
        self._index = _index(folder)
        self._page_at = lru_cache(maxsize=8)(self._page_at)  # type: ignore[method-assign]

    def routes(self) -> list[Route]:
        """Of its own addresses only: any other stays NOT FOUND."""
        own = (f"/{page}{rest}" for page in PAGES for rest in ("", "/{rest:path}"))
        return [Route(path, self) for path in ("/", "/assets/{name}", *own)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        try:
            self._access.check(scope)
        except OperationRefused as refused:
            return Response(str(refused), refused.status or 403, media_type="text/plain")
        if scope["method"] not in ("GET", "HEAD"):
            return Response(status_code=405, headers={"Allow": "GET, HEAD"})
        if (name := scope["path_params"].get("name")) is None:
            found = self._page_at(scope["path"].count("/"))
        elif (asset := self._assets.get(name)) is not None:
            found = asset
        else:
            return Response("Not Found", 404, media_type="text/plain")
        headers = {**_HEADERS, "ETag": found.etag, "Cache-Control": "no-cache" if name is None else _FOR_EVER}
        asked = headers_of(scope)
        if found.etag in asked.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if takes_gzip(asked.get("accept-encoding", "")):
            return Response(
                found.compressed, headers={**headers, "Content-Encoding": "gzip"}, media_type=found.media_type
            )
        return Response(gzip.decompress(found.compressed), headers=headers, media_type=found.media_type)

    def _page_at(self, slashes: int) -> _File:
        """The one page, with the way back to where the server begins, which may be any path of a proxy."""
        page = self._index.replace(_HERE, f'<base href="{"../" * (slashes - 1) or "./"}">'.encode())
        return _File.of(gzip.compress(page, mtime=0), "index.html")


def _index(folder: Path) -> bytes:
    built = folder / "index.html.gz"
    if built.is_file():
        return gzip.decompress(built.read_bytes())
    told = folder / "not-built"
    why = told.read_text(encoding="utf-8").splitlines()[0] if told.is_file() else "this is a copy of the sources"
    return _MISSING.format(why=html.escape(why)).encode()


def console_documents(folder: Path = FOLDER) -> dict[str, str]:
    """The documents that the console sends, by id, which a server of trusted documents runs too."""
    file = folder / "documents.json.gz"
    return msgspec.json.decode(gzip.decompress(file.read_bytes()), type=dict[str, str]) if file.is_file() else {}
