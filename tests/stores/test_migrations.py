"""A data folder of an earlier version becomes a current one and loses nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from domain.actor import Agent
from domain.change import ChangeKind
from domain.errors import CursorExpired
from domain.link import MemoryLink
from domain.memory import Memory
from domain.message import Message
from domain.search import Recall, SearchMode
from domain.session import Session
from domain.span import SpanStatusCode, TokenUsage, Trace
from stores.contract.making import (
    DIMENSION,
    Clock,
    axis,
    delete,
    follow,
    keep,
    memory,
    message,
    page,
    participant,
    remember,
    replace,
    say,
    session,
    span,
    talk,
    trace,
    user,
)
from stores.contract.test_documents import blob
from stores.embedded import migrations, tables, texts
from stores.embedded.engine import FILE, open_embedded
from stores.embedded.migrations import VERSION, Step
from stores.errors import CannotOpen
from stores.ports import ChunkSearch, Collection, Log, MessageSearch, Search, Transaction
from tests.support.before import assert_holds_what_was_told, old_folder, superseded_before


def open_folder(folder: Path) -> Any:
    return open_embedded(folder, "test", DIMENSION, Clock())


def shape(db: apsw.Connection) -> set[tuple[Any, ...]]:
    """All that a file's schema says, whatever the order of columns and the names of indexes."""
    found: set[tuple[Any, ...]] = set()
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
        columns = db.execute(f"PRAGMA table_xinfo({table})")
        found |= {(table, name, type, notnull, key, hidden) for _, name, type, notnull, _, key, hidden in columns}
        found |= {(table, *row[2:]) for row in db.execute(f"PRAGMA foreign_key_list({table})")}
    definitions = db.execute(
        "SELECT tbl_name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql NOT NULL"
    )
    return found | {(table, migrations._definition(sql)) for table, sql in definitions}


async def test_an_old_folder_reads_back_equal(tmp_path: Path) -> None:
    folder = old_folder(tmp_path / "data")
    for _ in range(2):
        engine = open_folder(folder)
        await assert_holds_what_was_told(engine, "folder")
        await engine.close()


async def test_an_old_folder_becomes_what_a_new_one_is(tmp_path: Path) -> None:
    old = open_folder(old_folder(tmp_path / "old"))
    new = open_folder(tmp_path / "new")
    assert shape(old.reader) == shape(new.reader)
    assert old.reader.pragma("user_version") == VERSION
    assert old.reader.pragma("integrity_check") == "ok"
    await old.close()
    await new.close()


async def test_an_old_folder_goes_on(tmp_path: Path) -> None:
    engine = open_folder(old_folder(tmp_path / "data"))
    store = engine.workspace("main")
    [talk] = await store.find(Session, [("talk",)])
    assert talk is not None
    voice = (await page(store, Collection.SESSION_PARTICIPANTS, talk)).nodes[0]
    [said] = await say(store, talk, message(voice))
    assert said.place == talk.message_count + 1
    [fact] = await store.find(Memory, [("fact",)])
    assert fact is not None
    for search in (
        Search(SearchMode.SEMANTIC, 0.5, 10, vector=axis(0)),
        Search(SearchMode.TEXT, 0.0, 10, text="sky"),
    ):
        assert fact.id in {found.id for found in ((await store.search([search]))[0]).candidates}
    [old] = [one for one in (await page(store, Collection.SESSION_MESSAGES, talk)).nodes if one.external_id == "said"]
    asked = MessageSearch(old.text, 500)
    assert old in (await store.search_messages(asked)).messages
    lines = follow(store, Log("trace", talk.id))
    assert (await lines.take(1))[0].external_id == "line"
    await lines.close()

    async def noted(tx: Transaction) -> Any:
        return await tx.recalled("once")

    assert (await store.write(noted))[0] == "digest"
    await engine.close()


def changed(folder: Path, *statements: str) -> None:
    """Changes a file as a program with other declarations would have left it."""
    db = apsw.Connection(str(folder / FILE))
    for statement in (*statements, "DELETE FROM meta WHERE name = 'schema'"):
        db.execute(statement)
    db.close()


async def test_a_column_that_is_declared_later_is_added_and_read_with_its_default(tmp_path: Path) -> None:
    folder = old_folder(tmp_path / "data")
    changed(folder, "ALTER TABLE link DROP COLUMN metadata", "ALTER TABLE agent DROP COLUMN description")
    engine = open_folder(folder)
    store = engine.workspace("main")
    links = await store.scan(MemoryLink, None, 10)
    assert links
    assert {bytes(link.metadata) for link in links} == {b"{}"}
    assert {agent.description for agent in await store.scan(Agent, None, 10)} == {None}
    new = open_folder(tmp_path / "new")
    assert shape(engine.reader) == shape(new.reader)
    await engine.close()
    await new.close()


async def test_what_a_file_lacks_is_made(tmp_path: Path) -> None:
    folder = old_folder(tmp_path / "data")
    changed(folder, "DROP TABLE recall", "DROP INDEX session_created", "PRAGMA user_version = 1", "DROP TABLE audit")
    engine, new = open_folder(folder), open_folder(tmp_path / "new")
    assert shape(engine.reader) == shape(new.reader)
    assert await engine.workspace("main").scan(Recall, None, 10) == []
    await engine.close()
    await new.close()


async def test_what_a_file_has_beyond_stays(tmp_path: Path) -> None:
    folder = old_folder(tmp_path / "data")
    changed(folder, "ALTER TABLE user ADD COLUMN shoes INTEGER DEFAULT 42", "CREATE INDEX user_shoes ON user (shoes)")
    engine = open_folder(folder)
    await assert_holds_what_was_told(engine, "folder")
    assert engine.reader.execute("SELECT DISTINCT shoes FROM user INDEXED BY user_shoes").fetchall() == [(42,)]
    await keep(engine.workspace("main"), user(external_id="new"))
    await engine.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = old_folder(tmp_path / "data")
    monkeypatch.setattr(migrations, "STEPS", (Step(after=lambda db: db.execute("SELECT * FROM nowhere")),))
    with pytest.raises(CannotOpen):
        open_folder(folder)
    db = apsw.Connection(str(folder / FILE))
    assert db.pragma("user_version") == 2
    assert db.execute("SELECT 1 FROM sqlite_master WHERE name = 'event_session'").fetchall()
    db.close()


async def test_a_reply_outlives_the_message_that_it_answers(tmp_path: Path) -> None:
    engine = open_folder(old_folder(tmp_path / "data"))
    store = engine.workspace("main")
    replies = [one for one in await store.scan(Message, None, 1_000) if one.parent_id is not None]
    [parent, *_] = await store.get(Message, [replies[0].parent_id])
    await delete(store, parent)
    [reply] = await store.get(Message, [replies[0].id])
    assert reply == msgspec.structs.replace(replies[0], parent_id=None)
    await engine.close()


async def test_places_of_a_log_are_not_given_again_by_a_table_that_is_built_anew(tmp_path: Path) -> None:
    folder = old_folder(tmp_path / "data")
    db = apsw.Connection(str(folder / FILE))
    [(last,)] = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'")
    db.execute("DELETE FROM event WHERE key > ?", (last - 3,))
    event = next(kind for kind in tables.KINDS if kind.name == "event")
    with db:
        migrations._rebuild(db, event, list(migrations._columns(db, "event")))
    assert db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchall() == [(last,)]
    db.close()


async def test_sessions_of_before_they_had_sums(tmp_path: Path) -> None:
    engine = open_folder(folder := tmp_path / "data")
    store = engine.workspace("main")
    [talk, _] = await keep(store, session(), session(external_id="silent"))
    used = {"tokens": TokenUsage(total_tokens=5, cost_usd=0.25), "status_code": SpanStatusCode.ERROR}
    await keep(store, *(span(trace_id=id, span_id="a", session_id=talk.id, **used) for id in "tu"))
    before = [await store.scan(kind, None, 10) for kind in (Session, Trace)]
    await engine.close()
    changed(
        folder,
        "UPDATE session SET used = (SELECT used FROM session WHERE external_id = 'silent'), total_tokens = NULL, "
        "cost_usd = NULL",
        "UPDATE trace SET error_spans = 0",
        "PRAGMA user_version = 19",
    )
    engine = open_folder(folder)
    store = engine.workspace("main")
    assert [await store.scan(kind, None, 10) for kind in (Session, Trace)] == before
    [charged] = [one for one in before[0] if one.id == talk.id]
    assert (charged.total_tokens, charged.cost_usd) == (10, 0.5)
    await engine.close()


async def test_what_was_superseded_gets_the_end_of_its_validity(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    engine = open_folder(folder)
    store = engine.workspace("main")
    before, told = await superseded_before(store)
    await engine.close()
    changed(folder, "PRAGMA user_version = 7")
    engine = open_folder(folder)
    assert await engine.workspace("main").get(Memory, before) == told
    await engine.close()


OLD_LOGS = (
    "CREATE TABLE old AS SELECT * FROM change",
    "DROP TABLE change",
    "CREATE TABLE change (key INTEGER PRIMARY KEY AUTOINCREMENT, workspace INTEGER NOT NULL, kind TEXT NOT NULL, "
    "memory_id TEXT NOT NULL, time INTEGER NOT NULL, memory TEXT, link TEXT)",
    "INSERT INTO change SELECT key, workspace, kind, record, time, before, link FROM old WHERE about = 'memory'",
    "CREATE TABLE record_change (key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, workspace INTEGER "
    "NOT NULL, about TEXT NOT NULL, kind TEXT NOT NULL, record TEXT NOT NULL, time INTEGER NOT NULL, before TEXT NOT "
    "NULL DEFAULT 'null', after TEXT NOT NULL DEFAULT 'null')",
    "INSERT INTO record_change SELECT key, 'chg' || key, workspace, about, kind, record, time, "
    "coalesce(before, 'null'), 'null' FROM old WHERE about <> 'memory'",
    "DROP TABLE old",
    "INSERT INTO meta VALUES ('trimmed 1', '1')",
    "PRAGMA user_version = 14",
)
"""Makes the logs of a file what they were when that of memories had a table of its own."""


async def test_logs_of_changes_of_before_they_were_one(tmp_path: Path) -> None:
    """The memory log goes on where it was; of the others the last line is left, and older cursors are told."""
    engine = open_folder(tmp_path)
    store = engine.workspace("main")
    [one, two] = await keep(store, session(), session())
    facts = await remember(store, memory(text="a"), memory(text="b"), log=ChangeKind.CREATED)
    logs = [Log("changes"), Log("records", "session"), Log("records", "trace")]
    ends = await store.ends(logs)
    await engine.close()
    changed(tmp_path, *OLD_LOGS)
    engine = open_folder(tmp_path)
    store = engine.workspace("main")
    assert (await store.ends(logs))[0] == ends[0]
    assert [line.memory_id for line in await follow(store, logs[0], 1).take(2)] == [fact.id for fact in facts]
    with pytest.raises(CursorExpired):
        await follow(store, logs[0]).take(1)
    [_, place, none] = await store.ends(logs)
    assert (place > max(ends), none) == (True, 0)
    with pytest.raises(CursorExpired):
        await follow(store, logs[1], ends[1]).take(1)
    await replace(store, one, message_count=1)
    [line] = await follow(store, logs[1], place).take(1)
    assert (line.kind, line.record_id, line.before.message_count) == (ChangeKind.UPDATED, one.id, 0)
    [trace_made] = await keep(store, trace(session_id=two.id))
    assert [line.record_id for line in await follow(store, logs[2]).take(1)] == [trace_made.id]


async def test_documents_of_before_there_were_chunks(tmp_path: Path) -> None:
    engine = open_folder(tmp_path / "data")
    [file] = await keep(engine.workspace("main"), blob("a", "the harrow"))
    await engine.close()
    dropped = (f"DROP TABLE {name}" for name in ("document_chunk", "document_chunk_text"))
    changed(tmp_path / "data", *dropped, "PRAGMA user_version = 15")
    engine = open_folder(tmp_path / "data")
    [chunk] = (await engine.workspace("main").search_chunks(ChunkSearch("harrow", 10))).chunks
    assert (chunk.blob_id, chunk.text, chunk.place) == (file.id, "the harrow", 0)
    assert chunk.due_at is not None
    await engine.close()


async def test_words_of_before_they_were_made_otherwise(tmp_path: Path) -> None:
    engine = open_folder(tmp_path / "data")
    [fact] = await remember(engine.workspace("main"), memory(text="the harrow"))
    [said] = (await talk(engine.workspace("main"), "the plough"))[2]
    [file] = await keep(engine.workspace("main"), blob("a", "the scythe"))
    await engine.close()
    emptied = (f"INSERT INTO {name} ({name}) VALUES ('delete-all')" for name in texts.TABLES)
    changed(tmp_path / "data", *emptied, "PRAGMA user_version = 16")
    engine = open_folder(tmp_path / "data")
    store = engine.workspace("main")
    [found] = await store.search([Search(SearchMode.TEXT, 0.0, 10, text="harrow")])
    assert [one.id for one in found.candidates] == [fact.id]
    assert (await store.search_messages(MessageSearch("plough", 10))).messages == [said]
    assert [one.blob_id for one in (await store.search_chunks(ChunkSearch("scythe", 10))).chunks] == [file.id]
    await engine.close()


async def test_media_of_before_there_were_blobs(tmp_path: Path) -> None:
    engine = open_folder(tmp_path)
    store = engine.workspace("main")
    [talk] = await keep(store, session())
    [voice] = await keep(store, participant(talk))
    [said] = await say(store, talk, message(voice))
    await engine.close()
    kinds = {
        "image/png": "image",
        "audio/wav": "audio",
        "video/mp4": "video",
        "application/pdf": "document",
        None: "document",
    }
    old = [{"kind": "media", "media_type": type_, "url": f"https://example.com/{n}"} for n, type_ in enumerate(kinds)]
    file = apsw.Connection(str(tmp_path / FILE))
    file.execute("UPDATE message SET content = ?", (msgspec.json.encode(old).decode(),))
    file.pragma("user_version", 9)
    file.close()
    engine = open_folder(tmp_path)
    [now] = await engine.workspace("main").get(Message, [said.id])
    assert [(msgspec.to_builtins(part)["kind"], part.media_type, part.url) for part in now.content] == [
        (kind, type_, f"https://example.com/{n}") for n, (type_, kind) in enumerate(kinds.items())
    ]
    await engine.close()
