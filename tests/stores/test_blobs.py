"""What keeps the bytes of blobs: a folder, and a store of objects behind S3's protocol (moto's server)."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stores.blobs.opening import open_blobs
from stores.errors import CannotOpen, Unavailable
from stores.ports import Blobs

LONG = secrets.token_bytes(17 * 1024 * 1024)
"""Of several parts."""


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The URL of a bucket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        import httpx

        httpx.put(f"http://{host}:{port}/bucket", trust_env=False).raise_for_status()
        yield f"s3://bucket/%s?endpoint=http://{host}:{port}&region=us-east-1"
    server.stop()


@pytest.fixture(params=["folder", "shared folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return str(request.getfixturevalue("s3") % secrets.token_hex(4))
    return f"file://{tmp_path}/a%20folder" if request.param == "shared folder" else ""


@pytest.fixture
def blobs(url: str, tmp_path: Path) -> Blobs:
    opened = open_blobs(url, tmp_path)
    assert opened is not None
    return opened


async def keep(blobs: Blobs, data: bytes, workspace: str = "main") -> str:
    file = blobs.staging / secrets.token_hex(8)
    file.write_bytes(data)
    key = f"{hashlib.sha256(data).hexdigest()}-{secrets.token_hex(4)}"
    await blobs.keep(workspace, key, file)
    assert not file.exists()
    return key


async def read(blobs: Blobs, key: str, start: int = 0, length: int = 1 << 40, workspace: str = "main") -> bytes:
    return b"".join([piece async for piece in blobs.read(workspace, key, start, length)])


async def keys(blobs: Blobs, before: datetime, workspace: str = "main") -> set[str]:
    return {key async for some in blobs.keys(workspace, before) for key in some}


@pytest.mark.parametrize("data", [b"", b"a", bytes(range(256)) * 5_000, LONG], ids=["none", "one", "some", "long"])
async def test_what_is_kept_is_read(blobs: Blobs, data: bytes) -> None:
    key = await keep(blobs, data)
    assert await read(blobs, key, length=len(data)) == data
    for start, length in ((0, 1), (3, 1000), (len(data) // 2, len(data) // 4)):
        if start + length <= len(data):
            assert await read(blobs, key, start, length) == data[start : start + length]


async def test_each_workspace_has_its_own(blobs: Blobs) -> None:
    odd = "../sneaky/ü \0"
    mine, theirs = await keep(blobs, b"data"), await keep(blobs, b"data", odd)
    with pytest.raises(KeyError):
        await read(blobs, theirs)
    assert await read(blobs, theirs, 0, 4, odd) == b"data"
    await blobs.delete(odd, [theirs, mine, "nothing"])
    assert await read(blobs, mine, 0, 4) == b"data"
    with pytest.raises(KeyError):
        await read(blobs, theirs, workspace=odd)


async def test_keys_by_their_age(blobs: Blobs) -> None:
    made = {await keep(blobs, str(n).encode()) for n in range(5)}
    now = datetime.now(UTC)
    assert await keys(blobs, now - timedelta(hours=1)) == set()
    assert await keys(blobs, now + timedelta(hours=1)) == made
    assert await keys(blobs, now + timedelta(hours=1), "empty") == set()


async def test_the_secret_is_one_for_all(blobs: Blobs, url: str, tmp_path: Path) -> None:
    other: Any = open_blobs(url, tmp_path)
    found = await asyncio.gather(blobs.secret(), other.secret(), blobs.secret())
    assert len(set(found)) == 1 and len(found[0]) == 32


@pytest.mark.parametrize("url", ["ftp://x", "s3://", "https://x/y", "file:///proc/nowhere"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(CannotOpen):
        open_blobs(url, None)
    assert open_blobs("", None) is None


async def test_a_store_that_is_down(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    blobs = open_blobs("s3://bucket?endpoint=http://127.0.0.1:9&region=us-east-1", None)
    assert blobs is not None
    with pytest.raises(Unavailable):
        await read(blobs, "0" * 64)


async def test_a_folder_that_takes_nothing(tmp_path: Path) -> None:
    blobs = open_blobs("", tmp_path)
    assert blobs is not None
    (blobs.staging.parent / hashlib.sha256(b"main").hexdigest()[:32]).write_bytes(b"in the way")
    with pytest.raises(Unavailable):
        await keep(blobs, b"a")


def test_what_was_left_half_goes_at_the_next_start(tmp_path: Path) -> None:
    blobs = open_blobs("", tmp_path)
    assert blobs is not None
    for name, age in (("old", 2), ("fresh", 0)):
        (blobs.staging / name).write_bytes(b"half")
        then = (datetime.now() - timedelta(days=age)).timestamp()
        os.utime(blobs.staging / name, (then, then))
    open_blobs("", tmp_path)
    assert [path.name for path in blobs.staging.iterdir()] == ["fresh"]
