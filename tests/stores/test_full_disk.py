"""A disk without room: writing stops and resumes, reading goes on, nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest

from domain.actor import User
from stores.contract.making import keep, user
from stores.embedded.engine import FILE, open_embedded
from stores.errors import Unavailable

ROOT = Path(__file__).parents[2]

PROGRAM = """
import asyncio, json, logging, resource, sys
from pathlib import Path
from domain.actor import User
from domain.search import SearchMode
from stores.embedded.engine import open_embedded
from stores.errors import Unavailable
from stores.ports import Search
from stores.contract.making import axis, keep, memory, remember, user

logging.disable(logging.CRITICAL)

async def main(folder):
    engine = open_embedded(folder, "test", 16)
    store = engine.workspace("main")
    kept = [one.id for one in await keep(store, *(user(name="first") for _ in range(20)))]
    await remember(store, memory(text="before"), vectors=[axis(0)])
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in folder.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 200_000, unlimited[1]))
    refused = 0
    while refused < 40:
        results = await asyncio.gather(
            *(keep(store, user(name="x" * 900, profile={"filler": "y" * 3_000})) for _ in range(8)),
            *(remember(store, memory(text="lost words"), vectors=[axis(1)]) for _ in range(2)),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, Unavailable):
                refused += 1
            elif isinstance(result, BaseException):
                raise result
            elif isinstance(result[0], User):
                kept.append(result[0].id)
    full = len(kept)
    readable = all(await store.get(User, kept))
    found = ((await store.search([Search(SearchMode.HYBRID, 0.9, 10, "before", axis(0))]))[0]).candidates
    health = [part.status for part in await engine.health()]
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    kept += [one.id for one in await keep(store, *(user(name="after") for _ in range(20)))]
    await remember(store, memory(text="after"), vectors=[axis(2)])
    again = ((await store.search([Search(SearchMode.HYBRID, 0.9, 10, "after", axis(2))]))[0]).candidates
    await engine.close()
    print(json.dumps({
        "kept": kept, "full": full, "readable": readable, "found": len(found), "health": health, "again": len(again),
    }))

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_writing_stops_and_resumes(tmp_path: Path) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert 20 < told["full"] < len(told["kept"])
    assert told["readable"]
    assert told["found"] == 1
    assert told["again"] == 1
    engine = open_embedded(tmp_path, "test", 16)
    store = engine.workspace("main")
    assert {one.id for one in await store.scan(User, None, 10_000)} == set(told["kept"])
    await engine.close()
    db = apsw.Connection(str(tmp_path / FILE))
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    db.execute("INSERT INTO memory_text (memory_text) VALUES ('integrity-check')")
    db.close()


async def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    engine = open_embedded(tmp_path, "test", 16)
    store = engine.workspace("main")
    await keep(store, user())
    pages = engine.writer.db.pragma("page_count")
    engine.writer.db.pragma("max_page_count", pages + 10)
    kept, refused = 1, 0
    while not refused:
        try:
            await keep(store, user(name="x" * 900, profile={"filler": "y" * 3_000}))
            kept += 1
        except Unavailable as error:
            refused += 1
            assert error.retry_after_ms > 0
    assert len(await store.scan(User, None, 1_000)) == kept
    engine.writer.db.pragma("max_page_count", 2**30)
    await keep(store, user())
    assert len(await store.scan(User, None, 1_000)) == kept + 1
    await engine.close()


async def test_a_file_that_another_program_holds_is_not_a_full_disk(tmp_path: Path) -> None:
    engine = open_embedded(tmp_path, "test", 16)
    engine.writer.db.set_busy_timeout(0)
    other = apsw.Connection(str(tmp_path / FILE))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match=r"^another program holds the database file \(.*locked\)$"):
        await keep(engine.workspace("main"), user())
    other.close()
    assert await keep(engine.workspace("main"), user())
    await engine.close()
