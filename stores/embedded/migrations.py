"""Migrate an older database file to the current version.

What the declarations of records ask for needs no step of its own: tables, columns with a default, indexes and triggers
that a file lacks are made when it is opened, and a table whose columns or references have changed is built anew. A
step is for what cannot follow from them: a column that was renamed or whose values are made of others.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import apsw

from domain.blob import Blob
from domain.conventions.columns import told_again
from domain.document import DocumentChunk
from domain.message import renewed
from domain.span import TokenUsage
from domain.tally import sums_of
from stores import documents, sums
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import KINDS
from stores.embedded import rows, texts
from stores.embedded.tables import CHANGES, column_of, create_indexes, create_table, create_triggers, schema
from stores.errors import CannotOpen
from stores.ids import Ids
from stores.inheritance import inheriting
from stores.rows import text

APPLICATION_ID = 0x52656331
"""The bytes "Rec1" in the file's header (https://sqlite.org/fileformat2.html, offset 68)."""


Change = Callable[[apsw.Connection], object]


class Step(NamedTuple):
    """What brings a file to the next version. before: done to the tables as they were; after: to those that the
    declarations ask for."""

    before: Change | None = None
    after: Change | None = None


def _sum_up(db: apsw.Connection) -> None:
    """Gives traces the sums of their spans, and spans what they inherit."""
    ids = Ids(lambda: datetime.now(UTC))
    for workspace, trace_id in db.execute("SELECT DISTINCT workspace, trace_id FROM span").fetchall():
        of = "WHERE t.workspace = ? AND t.trace_id = ?", (workspace, trace_id)
        stored = [rows.SPAN.decode(row) for row in db.execute(f"{rows.SPAN.select} {of[0]}", of[1])]
        spans = inheriting(stored, {})
        changed = [span for span, was in zip(spans, stored, strict=True) if span is not was]
        db.executemany(rows.SPAN.insert, [(workspace, *rows.SPAN.encode(span)) for span in changed])
        tallies, top = sums.summed_up(spans, lambda kind: kind.make_id(ids.next()))
        db.executemany(rows.TALLY.insert, [(workspace, *rows.TALLY.encode(tally)) for tally in tallies])
        for row in db.execute(f"{rows.TRACE.select} {of[0]}", of[1]).fetchall():
            db.execute(rows.TRACE.insert, (workspace, *rows.TRACE.encode(sums.summed(rows.TRACE.decode(row), top))))


def _read_conventions(db: apsw.Connection) -> None:
    """Gives spans what conventions tell, and traces the sums of that."""
    found: list[tuple[Any, ...]] = [(0,)]
    while found := db.execute(f"SELECT t.key, t.workspace, {_SPANS}", (found[-1][0],)).fetchall():
        spans = [(row[1], rows.SPAN.decode(row[2:])) for row in found]
        told = [(workspace, *rows.SPAN.encode(told_again(span))) for workspace, span in spans]
        db.executemany(rows.SPAN.insert, told)
    _sum_up_again(db)


def _sum_up_again(db: apsw.Connection) -> None:
    db.execute("DELETE FROM tally")
    _sum_up(db)


_SPANS = f"{rows.SPAN.columns} FROM span t WHERE t.key > ? ORDER BY t.key LIMIT 1000"


def _drop_whole_index_of_events(db: apsw.Connection) -> None:
    """The one that takes its place leaves out events without a session."""
    db.execute("DROP INDEX IF EXISTS event_session")


def _forget_texts(db: apsw.Connection) -> None:
    """Takes the texts of deleted memories out of the log, and finds what a memory was by one index."""
    if not _is_of_memories(db):
        return
    _run(
        db,
        "DROP INDEX IF EXISTS change_deleted",
        "CREATE INDEX IF NOT EXISTS change_memory ON change (memory_id, key) WHERE memory IS NOT NULL",
        "UPDATE change SET memory = json_set(memory, '$.text', '') WHERE memory IS NOT NULL",
    )


def _end_superseded(db: apsw.Connection) -> None:
    """Says until when memories were valid that were superseded before that ended it: until the others began."""
    db.execute(
        "UPDATE memory SET valid_until = (SELECT min(coalesce(s.valid_from, l.created_at)) "
        "FROM link l JOIN memory s ON s.key = l.src WHERE l.dst = memory.key AND l.kind = 'SUPERSEDES') "
        "WHERE status = 'SUPERSEDED' AND valid_until IS NULL"
    )


def _index_texts(db: apsw.Connection) -> None:
    """Makes the index of texts anew, of our own words."""
    _run(db, "DROP TABLE IF EXISTS memory_text", texts.CREATE)
    found: Any = db.execute("SELECT workspace, key, scope_key, text FROM memory")
    # In lists, so that nothing is written while the same statement reads.
    while some := list(itertools.islice(found, _BATCH)):
        db.executemany(texts.INSERT, [texts.row(*row) for row in some])


def _name_media(db: apsw.Connection) -> None:
    """Tells what is an image, a sound, a film or a document, in messages and in what spans tell of models' calls."""
    for table, column in (("message", "content"), ("span", "call")):
        old = f'instr({column}, \'"kind":"media","media_type"\')'
        found: Any = db.execute(f"SELECT {column}, key FROM {table} WHERE {old}")
        rows = [(renewed(value), key) for value, key in found]
        db.executemany(f"UPDATE {table} SET {column} = ? WHERE key = ?", rows)


def _drop_index_of_parents(db: apsw.Connection) -> None:
    """The one that takes its place is longer."""
    made = "CREATE INDEX ON span (workspace, trace_id, parent_span_id)"
    found: Any = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'span'").fetchall()
    for name, sql in found:
        if sql is not None and _definition(sql) == made:
            db.execute(f"DROP INDEX {name}")


def _index_messages(db: apsw.Connection) -> None:
    """Makes the index of what was said anew."""
    _run(db, "DROP TABLE IF EXISTS message_text", "DROP TABLE IF EXISTS message_waiting", texts.MESSAGES)
    last: Any = 0
    while last is not None:
        some = "SELECT key FROM message WHERE key > ? ORDER BY key LIMIT ?"
        db.execute(f"INSERT INTO message_waiting {some}", (last, _BATCH))
        last = db.execute("SELECT max(key) FROM message_waiting").fetchone()[0]  # type: ignore[index]
        texts.index_waiting(db)


def _is_of_memories(db: apsw.Connection) -> bool:
    """Whether the table of changes is that of memories alone, as it was before version 15."""
    return "memory_id" in _columns(db, "change")


def _one_log(db: apsw.Connection) -> None:
    """Takes the memory log into the table of all logs of changes. Of those of other kinds only the last line is taken,
    behind all places that either table had: who followed one from before it is told CURSOR_EXPIRED."""
    if not _is_of_memories(db):
        return
    _run(
        db,
        "ALTER TABLE change RENAME TO old_change",
        CHANGES,
        "INSERT INTO change SELECT key, workspace, 'memory', kind, memory_id, time, memory, link FROM old_change",
        "DROP TABLE old_change",
        "UPDATE meta SET name = name || ' memory' WHERE name LIKE 'trimmed %'",
    )
    if _columns(db, "record_change"):
        _run(
            db,
            "INSERT INTO change SELECT row_number() OVER () + (SELECT max(coalesce(max(c.key), 0), r.seq) FROM change "
            "c), l.workspace, l.about, l.kind, l.record, l.time, nullif(l.before, 'null'), NULL "
            "FROM sqlite_sequence r CROSS JOIN record_change l WHERE r.name = 'record_change' "
            "AND l.key IN (SELECT max(key) FROM record_change GROUP BY workspace, about)",
            "INSERT INTO meta SELECT 'trimmed ' || workspace || ' ' || about, max(key) FROM change "
            "WHERE about <> 'memory' GROUP BY workspace, about",
            "DROP TABLE record_change",
        )


def _make_index_of_chunks(db: apsw.Connection) -> None:
    """Before there is a trigger that names it."""
    _run(db, "DROP TABLE IF EXISTS document_chunk_text", texts.DOCUMENTS)


def _cut_documents(db: apsw.Connection) -> None:
    """Cuts what documents say into chunks."""
    now = datetime.now(UTC)
    ids, of, to = Ids(lambda: now), rows.table(Blob), rows.table(DocumentChunk)
    found: Any = db.execute("SELECT key FROM blob WHERE text <> '' ORDER BY key").fetchall()
    for (key,) in found:
        [(workspace, *row)] = db.execute(f"SELECT t.workspace, {of.columns} FROM blob t WHERE key = ?", (key,))
        chunks = documents.cut(of.decode(row), lambda kind: kind.make_id(ids.next()), now)
        db.executemany(to.add, [(workspace, *to.encode(one)) for one in chunks])
        texts.index_chunks(db, int(str(workspace)), chunks)


def _index_again(db: apsw.Connection) -> None:
    """Makes all indexes of words anew; every time they are made otherwise there is such a step."""
    _index_texts(db)
    _index_messages(db)
    _make_index_of_chunks(db)
    found: Any = db.execute("SELECT key, workspace, text FROM document_chunk")
    while some := list(itertools.islice(found, _BATCH)):
        db.executemany(texts.INSERT_CHUNK, [(key, *texts.within(workspace, text)) for key, workspace, text in some])


def _drop_index_of_times(db: apsw.Connection) -> None:
    """The one that takes its place has active memories alone: those that were superseded all have such a time."""
    db.execute("DROP INDEX IF EXISTS memory_timed")


def _charge(db: apsw.Connection) -> None:
    """Gives sessions the sums of their traces, and traces how many of their spans failed."""
    told = ", ".join(f"coalesce(sum({name}), 0), count({name})" for name in TokenUsage.__struct_fields__)
    found: Any = db.execute(f"SELECT session, {told} FROM trace WHERE session IS NOT NULL GROUP BY session").fetchall()
    for key, *row in found:
        [old] = db.execute(f"{rows.SESSION.select} WHERE t.key = ?", (key,))
        new = rows.SESSION.decode(old).with_used(sums_of(row))
        charged = text(new.used), new.total_tokens, new.cost_usd, key
        db.execute("UPDATE session SET used = ?, total_tokens = ?, cost_usd = ? WHERE key = ?", charged)
    db.execute(
        "UPDATE trace SET error_spans = (SELECT count(*) FROM span s WHERE s.workspace = trace.workspace "
        "AND s.trace_id = trace.trace_id AND s.status_code = 'ERROR') WHERE status_code = 'ERROR'"
    )


_BATCH = 1_000

_FIRST = 2
"""The version before the first step. Version 1 only lacks tables."""

STEPS: tuple[Step, ...] = (
    Step(),  # 3: participants are found by their externalId
    Step(after=_sum_up),  # 4: traces have sums
    Step(before=_drop_whole_index_of_events),  # 5: a message whose parent is deleted has none
    Step(after=_forget_texts),  # 6: changes tell what a memory was before, and nothing of a deleted one's text
    Step(after=_read_conventions),  # 7: what spans tell by any convention is read when they come
    Step(after=_end_superseded),  # 8: what was superseded was valid until then
    Step(after=_index_texts),  # 9: words are our own, in every language
    Step(after=_name_media),  # 10: parts of messages say what they are, and may show a blob
    Step(after=_sum_up_again),  # 11: sums know what is told twice, and what is reckoned
    Step(_drop_index_of_parents, _sum_up_again),  # 12: traces know how many spans run, and a root that has come
    Step(after=_index_messages),  # 13: what was said is found by its words
    Step(after=_sum_up_again),  # 14: spans know what agent and user they inherit
    Step(after=_one_log),  # 15: the logs of changes are one table
    Step(_make_index_of_chunks, _cut_documents),  # 16: what documents say is found, in chunks
    Step(after=_index_again),  # 17: words of numbers beside characters, of roots, and behind prefixes
    Step(before=_drop_index_of_times),  # 18: searches do not look at the times of what was superseded
    Step(after=_index_again),  # 19: words are also found by two letters for one
    Step(after=_charge),  # 20: sessions have sums, and traces know how many spans failed
)
"""Never edited once released, only added to."""

VERSION = _FIRST + len(STEPS)


def migrate(db: apsw.Connection, path: str) -> None:
    """Brings the file to the current version, in one transaction.

    Raises CannotOpen for a file that is not ours, or that a newer program wrote.
    """
    version = int(db.pragma("user_version"))
    application = int(db.pragma("application_id"))
    if application not in (0, APPLICATION_ID) or (application == 0 and db.pragma("schema_version") != 0):
        raise CannotOpen(f"{path} is not a Recollect database.")
    if version > VERSION:
        raise CannotOpen(
            f"{path} was written by a newer Recollect (file version {version}, this program knows {VERSION}); "
            "upgrade Recollect to open it."
        )
    digest = blake2b(";".join(schema()).encode(), digest_size=16).hexdigest()
    if version == VERSION and _noted(db) == digest:
        return
    db.pragma("foreign_keys", 0)  # or a table that is dropped would take all with it that refers to it
    try:
        with db:
            if version == 0:
                _run(db, *schema())
            else:
                steps = STEPS[max(version - _FIRST, 0) :]
                for step in steps:
                    if step.before is not None:
                        step.before(db)
                _fit(db)
                for step in steps:
                    if step.after is not None:
                        step.after(db)
            db.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", (digest,))
            db.pragma("application_id", APPLICATION_ID)
            db.pragma("user_version", VERSION)
            if broken := db.execute("PRAGMA foreign_key_check").fetchall():
                raise CannotOpen(f"{path} cannot be migrated: {len(broken)} references point to missing records.")
    finally:
        db.pragma("foreign_keys", 1)


def _run(db: apsw.Connection, *scripts: str) -> None:
    for script in scripts:
        db.execute(script).fetchall()


def _noted(db: apsw.Connection) -> str | None:
    row = db.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
    return None if row is None else str(row[0])


def _fit(db: apsw.Connection) -> None:
    """Makes what the declarations ask for and the file lacks; what it has beyond stays."""
    wanted = apsw.Connection(":memory:")
    _run(wanted, *schema())
    for kind in KINDS:
        there, asked = _columns(db, kind.name), _columns(wanted, kind.name)
        if not there:
            _run(db, create_table(kind))
        elif _must_be_built(db, wanted, kind):
            _rebuild(db, kind, [name for name in there if name in asked])
        else:
            for name in asked:
                if name not in there:
                    _run(db, f"ALTER TABLE {kind.name} ADD COLUMN {column_of(kind, kind.columns[name])}")
    for kind in KINDS:
        made = _made(db)
        _run(db, *(one for one in (*create_indexes(kind), *create_triggers(kind)) if _definition(one) not in made))
    wanted.close()


def _columns(db: apsw.Connection, table: str) -> dict[str, tuple[Any, ...]]:
    """By the name of each column: its type, whether it is NOT NULL, and its place in the primary key."""
    found = db.execute('SELECT name, type, "notnull", pk FROM pragma_table_info(?)', (table,))
    return {str(name): rest for name, *rest in found}


def _references(db: apsw.Connection, table: str) -> dict[str, tuple[Any, ...]]:
    found = db.execute('SELECT "from", "table", on_delete FROM pragma_foreign_key_list(?)', (table,))
    return {str(name): (target, gone) for name, target, gone in found}


def _must_be_built(db: apsw.Connection, wanted: apsw.Connection, kind: Kind[Any]) -> bool:
    """Whether ADD COLUMN is not enough."""
    there, asked = _columns(db, kind.name), _columns(wanted, kind.name)
    held, named = _references(db, kind.name), _references(wanted, kind.name)
    return (
        any(there[name] != asked[name] for name in asked if name in there)
        or any(held.get(name) != named.get(name) for name in asked if name in there)
        or any(notnull for name, (_, notnull, _) in there.items() if name not in asked)
    )


def _rebuild(db: apsw.Connection, kind: Kind[Any], kept: list[str]) -> None:
    """Builds a table anew and copies the columns it keeps (https://sqlite.org/lang_altertable.html, section 7)."""
    last = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (kind.name,)).fetchone()
    names, new = ", ".join(kept), f"{kind.name}_new"
    _run(
        db,
        create_table(kind, new),
        f"INSERT INTO {new} ({names}) SELECT {names} FROM {kind.name}",
        f"DROP TABLE {kind.name}",
        f"ALTER TABLE {new} RENAME TO {kind.name}",
    )
    if last is not None:  # places that were given once are never given again
        db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (last[0], kind.name))


def _made(db: apsw.Connection) -> set[str]:
    """The definitions of the indexes and triggers there are."""
    found: Any = db.execute("SELECT sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL")
    return {_definition(str(sql)) for (sql,) in found}


def _definition(statement: str) -> str:
    """A statement without the name of what it makes, which older files have under other names."""
    words = statement.split()
    if "INDEX" not in words[:3]:
        return statement
    return " ".join(word for index, word in enumerate(words) if index != words.index("INDEX") + 1)
