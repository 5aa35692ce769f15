"""kill -9 between the bytes of an upload and its record, and a disk that fills while it comes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.blob import Attachment, Blob, MediaRules
from domain.caller import LOCAL
from domain.message import Message
from domain.node import Id
from resolvers import blobs
from resolvers.context import Context
from stores.blobs.folder import FolderBlobs
from stores.embedded.engine import open_embedded
from stores.ports import Intake
from tests.support.graphql_client import Words
from tests.support.uploading import COUNT, data_of

ROOT = Path(__file__).parents[2]


def run(folder: Path, step: str) -> dict[str, list[list[str]]]:
    """What the program told, by the first word."""
    program = [sys.executable, "-m", "tests.support.uploading", str(folder), step]
    done = subprocess.run(program, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False, timeout=120)  # fmt: skip
    assert done.returncode == (0 if step == "full" else -9), done.stderr.decode()
    told: dict[str, list[list[str]]] = {"kept": [], "refused": [], "cut": []}
    for line in done.stdout.decode().splitlines():
        what, *rest = line.split()
        told[what].append(rest)
    return told


@pytest.mark.parametrize(
    ("step", "records"), [("staged", COUNT - 1), ("kept", COUNT - 1), ("written", COUNT), ("full", 1)]
)
async def test_what_was_told_is_there_and_nothing_is_half(tmp_path: Path, step: str, records: int) -> None:
    told = run(tmp_path, step)
    assert told["cut"] == [], "a disk that took a part of it has not taken it"
    engine = open_embedded(tmp_path, Words.name, Words.dimension)
    folder = FolderBlobs(tmp_path / "blobs")
    later = datetime.now(UTC) + timedelta(days=2)
    context = Context(engine, Words(), LOCAL, clock=lambda: later, intake=Intake(folder, MediaRules()))  # type: ignore[arg-type]
    store = context.store
    found = await store.scan(Blob, None, 100)
    assert len(found) == records
    for number, id in told["kept"]:
        [one] = await store.get(Blob, [Id(id)])
        assert one is not None and one.sha256 == hashlib.sha256(data_of(int(number))).hexdigest()
    for one in found:
        data = b"".join([piece async for piece in folder.read(LOCAL.workspace, one.stored_as, 0, one.size_bytes)])
        assert hashlib.sha256(data).hexdigest() == one.sha256, "no record without its bytes"
    shown = [blob for message in await store.scan(Message, None, 100) for blob in message.blobs]
    assert [one.blob_id for one in await store.scan(Attachment, None, 100)] == shown
    if step == "full":
        assert [number for number, _ in told["kept"]] == ["99"] and len(told["refused"]) == COUNT
    await blobs.sweep(context, 1)
    left = [one.stored_as for one in await store.scan(Blob, None, 100)]
    files = [path.name for path in (tmp_path / "blobs").glob("*/*-*")]
    assert sorted(files) == sorted(left), "no bytes without their record"
    assert len(left) == len(shown)
    await engine.close()
