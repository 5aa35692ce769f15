"""Starlette's FileResponse alone: the download of a file without anything of ours."""

from __future__ import annotations

import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from bench.baselines.serving import serve


async def _file(_: Request) -> Response:
    return FileResponse(sys.argv[1], media_type="video/webm")


if __name__ == "__main__":
    serve(Starlette(routes=[Route("/file", _file)]))
