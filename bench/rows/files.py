"""Files of 10 MB: uploads that are durable when they are answered, and downloads."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from pathlib import Path

import msgspec

from bench.http import Connection, get
from bench.lab import Lab
from bench.process import BenchError, start
from bench.row import Row, times, within_times

_SIZE = 10_000_000
_TIMES = 10
_HEAD = bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282847765626d")
"""What a WebM begins with."""

_UPLOAD = "mutation ($input: UploadBlobInput!) { uploadBlob(input: $input) { blob { url } errors { message } } }"
_BOUNDARY = b"----bench"


def _film() -> bytes:
    return _HEAD + os.urandom(_SIZE - len(_HEAD))


def _request(film: bytes) -> bytes:
    """A multipart request with a film."""
    operations = msgspec.json.encode({"query": _UPLOAD, "variables": {"input": {"file": None}}})
    told = ((b"operations", operations), (b"map", b'{"0": ["variables.input.file"]}'))
    body = b"".join(
        b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (_BOUNDARY, name, text)
        for name, text in told
    )
    body += b'--%s\r\nContent-Disposition: form-data; name="0"; filename="film.webm"\r\n\r\n' % _BOUNDARY
    body += film + b"\r\n--%s--\r\n" % _BOUNDARY
    head = (
        b"POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=%s\r\n" % _BOUNDARY
    )
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def _uploaded(connection: Connection, request: bytes) -> str:
    """Uploads what is in a request; the path of its bytes."""
    answer = (await connection.ask(request)).partition(b"\r\n\r\n")[2]
    payload = msgspec.json.decode(answer)["data"]["uploadBlob"]
    if payload["errors"]:
        raise BenchError(f"The server answered {payload['errors']}")
    return str(payload["blob"]["url"])


async def _upload(lab: Lab) -> float:
    connection = await (await lab.server()).connect()
    try:
        taken = []
        for _ in range(_TIMES):
            request = _request(_film())  # as the baseline's film, it is there before the clock runs
            begun = time.perf_counter()
            await _uploaded(connection, request)
            taken.append(time.perf_counter() - begun)
        return statistics.median(taken) * 1000
    finally:
        connection.close()


def _written(folder: Path) -> float:
    """Milliseconds to write a film to a new file, and to have it on the disk."""
    taken = []
    for number in range(_TIMES):
        path, film = folder / f"film-{number}", _film()
        begun = time.perf_counter()
        with path.open("wb", buffering=0) as file:
            file.write(film)
            os.fsync(file.fileno())
        taken.append(time.perf_counter() - begun)
        path.unlink()
    return statistics.median(taken) * 1000


async def _raw(lab: Lab) -> float:
    return await asyncio.to_thread(_written, lab.folder)


async def _rate(connection: Connection, path: str) -> float:
    taken = []
    for _ in range(_TIMES):
        begun = time.perf_counter()
        answer = await connection.ask(get(path))
        taken.append(time.perf_counter() - begun)
        if len(answer) < _SIZE:
            raise BenchError(f"The server answered {answer[:200].decode(errors='replace')}")
    return _SIZE / 1e6 / statistics.median(taken)


async def _download(lab: Lab) -> float:
    connection = await (await lab.server()).connect()
    try:
        return await _rate(connection, await _uploaded(connection, _request(_film())))
    finally:
        connection.close()


async def _file_response(lab: Lab) -> float:
    path = lab.folder / "film"
    await asyncio.to_thread(path.write_bytes, _film())
    server = await start(["-m", "bench.baselines.download", str(path)], lab.folder / "download.log", ready="/file")
    connection = await server.connect()
    try:
        return await _rate(connection, "/file")
    finally:
        connection.close()
        await server.stop()


ROWS = [
    Row(
        name="upload-10mb",
        title="uploadBlob of 10 MB over HTTP, until it is durable",
        unit="ms",
        measure=_upload,
        baseline=_raw,
        against="write and fsync of the same bytes",
        wanted=within_times(2),
        lower=True,
    ),
    Row(
        name="download-10mb",
        title="GET /blobs/{id} of 10 MB",
        unit="MB/s",
        measure=_download,
        baseline=_file_response,
        against="Starlette's FileResponse",
        wanted=times(0.5),
    ),
]
