"""A SQLite file of the ordinary kind, by the standard library: the long session, and a log of trace events."""

from __future__ import annotations

import sqlite3
import uuid
from pathlib import Path

from bench.data import LONG, Data, Message

_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE session (id TEXT PRIMARY KEY, external_id TEXT UNIQUE, title TEXT, kind TEXT, created_at TEXT);
CREATE TABLE participant (id TEXT PRIMARY KEY, session_id TEXT, name TEXT, type TEXT);
CREATE TABLE message (
  id TEXT PRIMARY KEY, session_id TEXT, place INTEGER, sender_id TEXT, created_at TEXT, text TEXT,
  call_id TEXT, tool TEXT, UNIQUE (session_id, place));
CREATE TABLE memory (id TEXT PRIMARY KEY, text TEXT, importance REAL);
CREATE TABLE memory_ref (
  message_id TEXT, position INTEGER, memory_id TEXT, score REAL, PRIMARY KEY (message_id, position)) WITHOUT ROWID;
CREATE TABLE event (
  place INTEGER PRIMARY KEY, id TEXT, session_id TEXT, type TEXT, component TEXT, time TEXT, duration_ms REAL,
  data TEXT);
"""


def made(path: Path, data: Data) -> sqlite3.Connection:
    """The file, new, with the data in it."""
    db = sqlite3.connect(path, isolation_level=None)
    db.row_factory = sqlite3.Row
    db.executescript(_TABLES)
    memories = [str(uuid.uuid4()) for _ in data.memories]
    session = str(uuid.uuid4())
    with transaction(db):
        db.execute(
            "INSERT INTO session VALUES (?, ?, ?, 'CHAT', ?)",
            (session, LONG, f"The session {LONG}", data.long[0].at.isoformat()),
        )
        db.executemany(
            "INSERT INTO memory VALUES (?, ?, ?)",
            [(id, memory.text, memory.importance) for id, memory in zip(memories, data.memories, strict=True)],
        )
        _say(db, session, data.long, memories)
    return db


def transaction(db: sqlite3.Connection) -> sqlite3.Connection:
    """Begins one; used as a context manager it is committed or rolled back at the end."""
    db.execute("BEGIN IMMEDIATE")
    return db


def _say(db: sqlite3.Connection, session: str, messages: list[Message], memories: list[str]) -> None:
    senders: dict[str, str] = {}
    for place, message in enumerate(messages, 1):
        if message.speaker not in senders:
            senders[message.speaker] = str(uuid.uuid4())
            kind = "USER" if message.role == "user" else "AGENT"
            db.execute(
                "INSERT INTO participant VALUES (?, ?, ?, ?)",
                (senders[message.speaker], session, message.speaker, kind),
            )
        id = str(uuid.uuid4())
        call = None if message.tool is None else f"call-{place - 1}"
        said = (id, session, place, senders[message.speaker], message.at.isoformat(), message.text, call, message.tool)
        db.execute("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)", said)
        db.executemany(
            "INSERT INTO memory_ref VALUES (?, ?, ?, ?)",
            [(id, position, memories[number], score) for position, (number, score) in enumerate(message.refs)],
        )
