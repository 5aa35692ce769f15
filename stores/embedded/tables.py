"""The tables of the database file, and how an older file becomes a current one."""

from __future__ import annotations

from datetime import UTC, datetime

import apsw

from stores import sums
from stores.embedded import rows
from stores.embedded.vectors import SCHEMA as VECTOR_TABLES
from stores.errors import CannotOpen
from stores.ids import Ids

APPLICATION_ID = 0x52656331
"""The bytes "Rec1" in the file's header (https://sqlite.org/fileformat2.html, offset 68)."""

# Times are microseconds since 1970 in UTC. JSON is text. `key` is the engine's own and never leaves it.
# workspace stands on every table that is read by id, so that another workspace's rows are never found.
_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE workspace (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

CREATE TABLE user (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL, external_id TEXT,
  name TEXT NOT NULL, profile TEXT NOT NULL, created_at INTEGER NOT NULL);
CREATE UNIQUE INDEX user_external ON user (workspace, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX user_created ON user (workspace, created_at, id);

CREATE TABLE agent (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL, external_id TEXT,
  name TEXT NOT NULL, description TEXT, config TEXT NOT NULL, capabilities TEXT NOT NULL, created_at INTEGER NOT NULL);
CREATE UNIQUE INDEX agent_external ON agent (workspace, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX agent_created ON agent (workspace, created_at, id);

CREATE TABLE session (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL, external_id TEXT,
  kind TEXT NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL, context TEXT NOT NULL, capabilities TEXT NOT NULL,
  metadata TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, last_active_at INTEGER NOT NULL,
  message_count INTEGER NOT NULL, version INTEGER NOT NULL);
CREATE UNIQUE INDEX session_external ON session (workspace, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX session_created ON session (workspace, created_at, id);
CREATE INDEX session_active ON session (workspace, last_active_at, id);

CREATE TABLE participant (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL,
  session INTEGER NOT NULL REFERENCES session ON DELETE CASCADE, actor TEXT, identity TEXT NOT NULL,
  type TEXT NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL, external_id TEXT,
  joined_at INTEGER NOT NULL, left_at INTEGER, UNIQUE (session, identity));
CREATE INDEX participant_actor ON participant (actor, session) WHERE actor IS NOT NULL;

CREATE TABLE thread (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL,
  session INTEGER NOT NULL REFERENCES session ON DELETE CASCADE, name TEXT NOT NULL, created_at INTEGER NOT NULL,
  UNIQUE (session, name));

CREATE TABLE message (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL, external_id TEXT,
  session INTEGER NOT NULL REFERENCES session ON DELETE CASCADE, place INTEGER NOT NULL,
  sender INTEGER NOT NULL REFERENCES participant, sender_type TEXT NOT NULL, content TEXT NOT NULL,
  thread INTEGER REFERENCES thread, parent INTEGER REFERENCES message,
  metadata TEXT NOT NULL, created_at INTEGER NOT NULL, UNIQUE (session, place));
CREATE UNIQUE INDEX message_external ON message (workspace, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX message_sender ON message (sender, place);
CREATE INDEX message_thread ON message (thread, place) WHERE thread IS NOT NULL;
CREATE INDEX message_parent ON message (parent, place) WHERE parent IS NOT NULL;

-- The answers to tool calls, found by call id.
CREATE TABLE tool_response (
  session INTEGER NOT NULL REFERENCES session ON DELETE CASCADE, call_id TEXT NOT NULL,
  place INTEGER NOT NULL, part INTEGER NOT NULL, result TEXT NOT NULL, is_error INTEGER NOT NULL,
  PRIMARY KEY (session, call_id, place, part)) WITHOUT ROWID;

CREATE TABLE memory (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL, external_id TEXT,
  type TEXT NOT NULL, scope TEXT NOT NULL, owner TEXT, scope_key INTEGER NOT NULL, status TEXT NOT NULL,
  text TEXT NOT NULL, tags TEXT NOT NULL, metadata TEXT NOT NULL, importance REAL NOT NULL, decay_factor REAL NOT NULL,
  access_count INTEGER NOT NULL, last_accessed_at INTEGER, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  expires_at INTEGER, version INTEGER NOT NULL, valid_from INTEGER, valid_until INTEGER,
  source_message INTEGER REFERENCES message ON DELETE SET NULL, external_source TEXT,
  session INTEGER REFERENCES session ON DELETE SET NULL,
  weight REAL NOT NULL AS (importance * decay_factor) VIRTUAL);
CREATE UNIQUE INDEX memory_external ON memory (workspace, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX memory_created ON memory (workspace, created_at, id);
CREATE INDEX memory_scope ON memory (scope_key, status, weight);
CREATE INDEX memory_owner ON memory (owner, created_at, id) WHERE owner IS NOT NULL;
CREATE INDEX memory_source ON memory (source_message) WHERE source_message IS NOT NULL;
CREATE INDEX memory_session ON memory (session, created_at, id) WHERE session IS NOT NULL;
CREATE INDEX memory_timed ON memory (scope_key, expires_at, valid_from, valid_until)
  WHERE expires_at IS NOT NULL OR valid_from IS NOT NULL OR valid_until IS NOT NULL;
CREATE INDEX memory_expiry ON memory (expires_at) WHERE expires_at IS NOT NULL;

-- The words of memories. The scope is a token of the index, so that a common word costs what its owner has.
CREATE VIRTUAL TABLE memory_text USING fts5(
  scope, content, content='', contentless_delete=1, tokenize='porter unicode61 remove_diacritics 2');

CREATE TABLE memory_version (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL,
  memory INTEGER NOT NULL REFERENCES memory ON DELETE CASCADE, version INTEGER NOT NULL, text TEXT NOT NULL,
  status TEXT NOT NULL, importance REAL NOT NULL, tags TEXT NOT NULL, metadata TEXT NOT NULL,
  valid_from INTEGER, valid_until INTEGER, replaced_at INTEGER NOT NULL, UNIQUE (memory, version));

CREATE TABLE memory_ref (
  message INTEGER NOT NULL REFERENCES message ON DELETE CASCADE, position INTEGER NOT NULL,
  memory INTEGER NOT NULL REFERENCES memory ON DELETE CASCADE, score REAL, note TEXT,
  PRIMARY KEY (message, position)) WITHOUT ROWID;
CREATE INDEX memory_ref_memory ON memory_ref (memory, message);

CREATE TABLE link (
  src INTEGER NOT NULL REFERENCES memory ON DELETE CASCADE, kind TEXT NOT NULL,
  dst INTEGER NOT NULL REFERENCES memory ON DELETE CASCADE, workspace INTEGER NOT NULL, id TEXT NOT NULL UNIQUE,
  weight REAL NOT NULL, created_at INTEGER NOT NULL, metadata TEXT NOT NULL,
  PRIMARY KEY (src, kind, dst)) WITHOUT ROWID;
CREATE INDEX link_back ON link (dst, kind, src, weight);

-- key is commit order and the cursor of a trace; AUTOINCREMENT, so that a place is never given twice.
CREATE TABLE event (
  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL,
  session INTEGER REFERENCES session ON DELETE CASCADE, type TEXT NOT NULL, component TEXT NOT NULL,
  time INTEGER NOT NULL, duration_ms REAL, data TEXT NOT NULL, user TEXT, agent TEXT,
  message INTEGER REFERENCES message ON DELETE CASCADE, parent INTEGER REFERENCES event ON DELETE SET NULL,
  span INTEGER REFERENCES span ON DELETE SET NULL, memories TEXT, external_id TEXT);
CREATE INDEX event_session ON event (session, key);
CREATE INDEX event_message ON event (message, key) WHERE message IS NOT NULL;
CREATE INDEX event_parent ON event (parent) WHERE parent IS NOT NULL;
CREATE INDEX event_span ON event (span, key) WHERE span IS NOT NULL;
CREATE UNIQUE INDEX event_external ON event (session, external_id) WHERE external_id IS NOT NULL;

CREATE TABLE trace (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL, trace_id TEXT NOT NULL,
  session INTEGER REFERENCES session ON DELETE CASCADE, started_at INTEGER NOT NULL, UNIQUE (workspace, trace_id));
CREATE INDEX trace_session ON trace (session, started_at, id) WHERE session IS NOT NULL;

CREATE TABLE span (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL, trace_id TEXT NOT NULL,
  span_id TEXT NOT NULL, parent_span_id TEXT, session INTEGER REFERENCES session ON DELETE CASCADE,
  kind TEXT NOT NULL, name TEXT NOT NULL, status_code TEXT NOT NULL, status_message TEXT,
  started_at INTEGER NOT NULL, ended_at INTEGER, attributes TEXT NOT NULL,
  message INTEGER REFERENCES message ON DELETE SET NULL, agent TEXT, UNIQUE (workspace, trace_id, span_id));
CREATE INDEX span_started ON span (workspace, started_at, id);
CREATE INDEX span_session ON span (session, started_at, id) WHERE session IS NOT NULL;
CREATE INDEX span_parent ON span (workspace, trace_id, parent_span_id);
CREATE INDEX span_message ON span (message) WHERE message IS NOT NULL;

CREATE TABLE recall (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL,
  memory INTEGER NOT NULL REFERENCES memory ON DELETE CASCADE,
  session INTEGER REFERENCES session ON DELETE SET NULL, message INTEGER REFERENCES message ON DELETE SET NULL,
  event INTEGER REFERENCES event ON DELETE SET NULL, score REAL NOT NULL, parts TEXT NOT NULL,
  recalled_at INTEGER NOT NULL);
CREATE INDEX recall_memory ON recall (memory, recalled_at, id);
CREATE INDEX recall_session ON recall (session) WHERE session IS NOT NULL;
CREATE INDEX recall_message ON recall (message) WHERE message IS NOT NULL;
CREATE INDEX recall_event ON recall (event) WHERE event IS NOT NULL;

-- What happened to memories, in commit order; memory is a deleted one as it was, link as the change left it.
CREATE TABLE change (
  key INTEGER PRIMARY KEY AUTOINCREMENT, workspace INTEGER NOT NULL, kind TEXT NOT NULL, memory_id TEXT NOT NULL,
  time INTEGER NOT NULL, memory TEXT, link TEXT);
CREATE INDEX change_deleted ON change (memory_id) WHERE memory IS NOT NULL;
CREATE INDEX change_workspace ON change (workspace, key);

CREATE TABLE state (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL, namespace TEXT NOT NULL,
  name TEXT NOT NULL, value TEXT NOT NULL, tags TEXT NOT NULL, version INTEGER NOT NULL,
  updated_at INTEGER NOT NULL, expires_at INTEGER, UNIQUE (workspace, namespace, name));
CREATE INDEX state_expiry ON state (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE idempotency (
  workspace INTEGER NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, result TEXT NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (workspace, key)) WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency (at);
"""

# Ids grow, so an entry of the audit goes to the end of its workspace's part of the one tree there is.
_KEYS_AND_AUDIT = """
CREATE TABLE api_key (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL, digest TEXT NOT NULL,
  tenant TEXT NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER,
  revoked_at INTEGER, UNIQUE (workspace, digest));

CREATE TABLE audit (
  workspace INTEGER NOT NULL, id TEXT NOT NULL, time INTEGER NOT NULL, caller TEXT NOT NULL, caller_name TEXT NOT NULL,
  action TEXT NOT NULL, outcome TEXT NOT NULL, targets TEXT NOT NULL, PRIMARY KEY (workspace, id)) WITHOUT ROWID;
"""

_PARTICIPANTS_BY_NAME = """
CREATE INDEX participant_external ON participant (workspace, external_id) WHERE external_id IS NOT NULL;
"""

# A tally of a span, and of each that is only named as a parent; span_id '' is a trace's own. See domain.tally.
_SUMS = """
ALTER TABLE trace ADD COLUMN ended_at INTEGER;
ALTER TABLE trace ADD COLUMN status_code TEXT NOT NULL DEFAULT 'UNSET';
ALTER TABLE trace ADD COLUMN input_tokens INTEGER;
ALTER TABLE trace ADD COLUMN output_tokens INTEGER;
ALTER TABLE trace ADD COLUMN total_tokens INTEGER;
ALTER TABLE trace ADD COLUMN cost_usd REAL;
ALTER TABLE trace ADD COLUMN root TEXT;
ALTER TABLE trace ADD COLUMN span_count INTEGER NOT NULL DEFAULT 0;

CREATE TABLE tally (
  key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workspace INTEGER NOT NULL, trace_id TEXT NOT NULL,
  span_id TEXT NOT NULL, parent_span_id TEXT, span TEXT, started_at INTEGER, ended_at INTEGER,
  status_code TEXT NOT NULL, own TEXT NOT NULL, below TEXT NOT NULL, loose INTEGER NOT NULL, census TEXT,
  UNIQUE (workspace, trace_id, span_id));
"""
_SUMMED = 4
"""The version from which on traces have sums."""

MIGRATIONS: tuple[str, ...] = (_FIRST + VECTOR_TABLES, _KEYS_AND_AUDIT, _PARTICIPANTS_BY_NAME, _SUMS)
"""Each brings the file from the version of its index to the next. Never edited once released, only added to."""


def migrate(db: apsw.Connection, path: str) -> None:
    """Brings the file to the current version, in one transaction. Raises CannotOpen for a file that is not ours or
    that a newer program wrote."""
    version = int(db.pragma("user_version"))
    application = int(db.pragma("application_id"))
    if application not in (0, APPLICATION_ID) or (application == 0 and db.pragma("schema_version") != 0):
        raise CannotOpen(f"{path} is not a Recollect database.")
    if version > len(MIGRATIONS):
        raise CannotOpen(
            f"{path} was written by a newer Recollect (file version {version}, this program knows {len(MIGRATIONS)}); "
            "upgrade Recollect to open it."
        )
    if version == len(MIGRATIONS):
        return
    with db:
        for script in MIGRATIONS[version:]:
            db.execute(script)
        if 0 < version < _SUMMED:  # behind all scripts: rows are written as they are now
            _sum_up(db)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {len(MIGRATIONS)}")


def _sum_up(db: apsw.Connection) -> None:
    """Gives traces the sums of their spans."""
    ids = Ids(lambda: datetime.now(UTC))
    for workspace, trace_id in db.execute("SELECT DISTINCT workspace, trace_id FROM span").fetchall():
        of = "WHERE t.workspace = ? AND t.trace_id = ?", (workspace, trace_id)
        spans = (rows.SPAN.decode(row) for row in db.execute(f"{rows.SPAN.select} {of[0]}", of[1]))
        tallies, top = sums.summed_up(spans, lambda kind: kind.make_id(ids.next()))
        db.executemany(rows.TALLY.insert, [(workspace, *rows.TALLY.encode(tally)) for tally in tallies])
        for row in db.execute(f"{rows.TRACE.select} {of[0]}", of[1]).fetchall():
            db.execute(rows.TRACE.insert, (workspace, *rows.TRACE.encode(sums.summed(rows.TRACE.decode(row), top))))
