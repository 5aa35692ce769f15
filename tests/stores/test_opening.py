"""The data folder of the embedded engine: made, opened again, and refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from domain.actor import User
from domain.span import Trace
from stores.contract.making import Clock, keep, span, trace, user, world
from stores.embedded.engine import FILE, LOCK, EmbeddedEngine, open_embedded
from stores.embedded.migrations import APPLICATION_ID, VERSION
from stores.errors import CannotOpen, TooLong
from stores.open import open_engine
from stores.ports import Opening


async def made(folder: Path) -> None:
    """A data folder with something in it."""
    engine = open_embedded(folder, "test", 16)
    await world(engine.workspace("main"))
    await engine.close()


def refusal(folder: Path, embedder: str = "test", dimension: int = 16) -> str:
    """Why a folder cannot be opened."""
    with pytest.raises(CannotOpen) as refused:
        open_embedded(folder, embedder, dimension)
    text = str(refused.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


async def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    engine = open_engine(Opening(data=str(tmp_path / "some" / "where"), embedder="test", dimension=16))
    assert (tmp_path / "some" / "where" / FILE).exists()
    await engine.close()


async def test_every_connection_keeps_what_it_is_told_and_checks_references(tmp_path: Path) -> None:
    engine = open_embedded(tmp_path, "test", 16)
    for db in (engine.writer.db, engine.reader, await engine.readers.in_thread(lambda db: db)):
        assert db.pragma("journal_mode") == "wal"
        assert db.pragma("synchronous") == 2
        assert db.pragma("foreign_keys") == 1
        assert db.pragma("temp_store") == 2
        assert db.pragma("journal_size_limit") == 67108864
    for db in (engine.reader, await engine.readers.in_thread(lambda db: db)):
        assert db.pragma("query_only") == 1
    await engine.close()


async def test_a_new_file_says_what_it_is(tmp_path: Path) -> None:
    await made(tmp_path)
    db = apsw.Connection(str(tmp_path / FILE))
    assert db.pragma("application_id") == APPLICATION_ID
    assert db.pragma("user_version") == VERSION
    db.close()


async def test_opening_again_keeps_everything(tmp_path: Path) -> None:
    engine = open_embedded(tmp_path, "test", 16, Clock())
    things = await world(engine.workspace("main"))
    epoch = engine.epoch
    await engine.close()
    for _ in range(2):
        engine = open_embedded(tmp_path, "test", 16, Clock())
        assert engine.epoch == epoch
        for record in things.records:
            assert await engine.workspace("main").get(type(record), [record.id]) == [record]
        await engine.close()


async def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    await made(tmp_path)
    db = apsw.Connection(str(tmp_path / FILE))
    db.pragma("user_version", VERSION + 1)
    db.close()
    assert "newer Recollect" in refusal(tmp_path)
    db = apsw.Connection(str(tmp_path / FILE))
    db.pragma("user_version", VERSION)
    db.close()
    engine = open_embedded(tmp_path, "test", 16)
    assert len(await engine.workspace("main").scan(User, None, 10)) == 1
    await engine.close()


@pytest.mark.parametrize("application", [0, 0x1234])
def test_a_database_of_another_program_is_refused(tmp_path: Path, application: int) -> None:
    db = apsw.Connection(str(tmp_path / FILE))
    db.execute("CREATE TABLE theirs (a)")
    db.pragma("application_id", application)
    db.close()
    assert "not a Recollect database" in refusal(tmp_path)
    db = apsw.Connection(str(tmp_path / FILE))
    assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    db.close()


@pytest.mark.parametrize("content", [b"not a database at all, but some text " * 100, os.urandom(8192)])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert str(tmp_path) in refusal(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


async def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    await made(tmp_path)
    content = bytearray((tmp_path / FILE).read_bytes())
    content[100:4096] = os.urandom(3996)
    (tmp_path / FILE).write_bytes(bytes(content))
    assert "Cannot open" in refusal(tmp_path)


async def test_a_migration_that_was_cut_short_left_nothing(tmp_path: Path) -> None:
    db = apsw.Connection(str(tmp_path / FILE))
    db.execute("PRAGMA journal_mode = WAL").fetchall()
    db.close()
    engine = open_embedded(tmp_path, "test", 16)
    assert await keep(engine.workspace("main"), user())
    await engine.close()


async def test_another_embedder_is_refused(tmp_path: Path) -> None:
    await made(tmp_path)
    assert "test 16, not with other 16" in refusal(tmp_path, "other")
    assert "test 16, not with test 32" in refusal(tmp_path, "test", 32)
    engine = open_embedded(tmp_path, "test", 16)
    await engine.close()


async def test_a_folder_in_use_is_refused_and_says_by_whom(tmp_path: Path) -> None:
    engine = open_embedded(tmp_path, "test", 16)
    text = refusal(tmp_path)
    assert "in use" in text
    assert str(os.getpid()) in text
    assert await keep(engine.workspace("main"), user())
    await engine.close()
    again = open_embedded(tmp_path, "test", 16)
    await again.close()


def test_a_folder_in_use_by_another_process_is_refused_and_free_once_that_is_gone(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from stores.embedded.engine import open_embedded\n"
        "engine = open_embedded(Path(sys.argv[1]), 'test', 16); print('open', flush=True); sys.stdin.read()"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        assert f"process {other.pid}" in refusal(tmp_path)
        other.kill()
        other.wait()
    engine = open_embedded(tmp_path, "test", 16)
    assert isinstance(engine, EmbeddedEngine)
    engine.writer.close()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "Cannot use" in refusal(tmp_path / "file" / "data")
    assert "Cannot use" in refusal(tmp_path / "file")


async def test_a_refusal_lets_go_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"x" * 5_000)
    for _ in range(3):
        refusal(tmp_path)
    (tmp_path / FILE).unlink()
    engine = open_embedded(tmp_path, "test", 16)
    assert (tmp_path / LOCK).exists()
    await engine.close()


async def test_traces_of_an_older_file_get_their_sums(tmp_path: Path) -> None:
    engine = open_embedded(tmp_path, "test", 16)
    store = engine.workspace("main")
    used = {"inputTokens": 10}
    await keep(store, *(span(trace_id="t", span_id=id, attributes=used) for id in "abc"), trace(trace_id="empty"))
    await keep(store, span(trace_id="t", span_id="d", parent_span_id="a", attributes=used))
    before = await store.find(Trace, [("t",), ("empty",)])
    await engine.close()
    db = apsw.Connection(str(tmp_path / FILE))
    columns = [row[1] for row in db.execute("PRAGMA table_info (trace)").fetchall()]
    for column in columns[columns.index("started_at") + 1 :]:
        db.execute(f"ALTER TABLE trace DROP COLUMN {column}")
    db.execute("DROP TABLE tally; PRAGMA user_version = 3").fetchall()
    db.close()
    engine = open_embedded(tmp_path, "test", 16)
    store = engine.workspace("main")
    assert await store.find(Trace, [("t",), ("empty",)]) == before
    await keep(store, span(trace_id="t", span_id="e", parent_span_id="b", attributes={"inputTokens": 11}))
    [after] = await store.find(Trace, [("t",)])
    assert after is not None
    assert (after.usage.input_tokens, after.span_count) == (31, 5)
    await engine.close()


async def test_a_read_takes_no_longer_than_is_set(tmp_path: Path) -> None:
    engine = open_engine(Opening(data=str(tmp_path), embedder="test", dimension=16, read_seconds=0.05))
    endless = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    for read in (engine.readers.read, engine.readers.in_thread):
        with pytest.raises(TooLong, match=r"longer than 0\.05 seconds"):
            await read(lambda db: db.execute(endless).fetchall())
    await engine.close()
