"""The tables of the database file: those of records follow from the catalogue, the engine's own stand here.

Times are microseconds since 1970 in UTC. JSON is text. `key` is the engine's own and never leaves it. workspace stands
on every table that is read by id, so that another workspace's rows are never found.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from domain.span import TokenUsage
from stores.catalogue.column import Column
from stores.catalogue.kind import Index, Kind
from stores.catalogue.kinds import KINDS, foreign, targets
from stores.embedded.texts import CREATE as TEXT_TABLE
from stores.embedded.texts import DOCUMENTS as DOCUMENT_TABLE
from stores.embedded.texts import MESSAGES as MESSAGE_TABLE
from stores.embedded.vectors import SCHEMA as VECTOR_TABLES

BESIDE = {"memory": ("scope_key INTEGER NOT NULL", "weight REAL NOT NULL AS (importance * decay_factor) VIRTUAL")}
"""Columns that no record has; the first is written."""

CHANGES = """
-- What happened to records of a kind, in commit order; before is what one was, a memory without its text once it is
-- deleted, link as the change left it. A key is never given twice, for the last line of a log always stays.
CREATE TABLE change (
  key INTEGER PRIMARY KEY, workspace INTEGER NOT NULL, about TEXT NOT NULL, kind TEXT NOT NULL, record TEXT NOT NULL,
  time INTEGER NOT NULL, before TEXT, link TEXT);
CREATE INDEX change_record ON change (record, key) WHERE before IS NOT NULL;
CREATE INDEX change_log ON change (workspace, about, key)
"""

OWN = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE workspace (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

-- The answers to tool calls, found by call id.
CREATE TABLE tool_response (
  session INTEGER NOT NULL REFERENCES session ON DELETE CASCADE, call_id TEXT NOT NULL,
  place INTEGER NOT NULL, part INTEGER NOT NULL, result TEXT NOT NULL, is_error INTEGER NOT NULL,
  PRIMARY KEY (session, call_id, place, part)) WITHOUT ROWID;

{TEXT_TABLE};
{MESSAGE_TABLE};
{DOCUMENT_TABLE};

CREATE TABLE memory_ref (
  message INTEGER NOT NULL REFERENCES message ON DELETE CASCADE, position INTEGER NOT NULL,
  memory INTEGER NOT NULL REFERENCES memory ON DELETE CASCADE, score REAL, note TEXT,
  PRIMARY KEY (message, position)) WITHOUT ROWID;
CREATE INDEX memory_ref_memory ON memory_ref (memory, message);

{CHANGES};

CREATE TABLE idempotency (
  workspace INTEGER NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, result TEXT NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (workspace, key)) WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency (at);
{VECTOR_TABLES}"""

_INDEXES = {
    "memory": (
        "CREATE INDEX memory_scope ON memory (scope_key, status, weight)",
        "CREATE INDEX memory_timed ON memory (scope_key, expires_at, valid_from, valid_until) "
        "WHERE status = 'ACTIVE' AND (expires_at IS NOT NULL OR valid_from IS NOT NULL OR valid_until IS NOT NULL)",
        "CREATE INDEX memory_accessed ON memory (workspace, coalesce(last_accessed_at, 0), id)",
    ),
    "session": (
        "CREATE INDEX session_messages ON session (workspace, message_count - deleted_count, id)",
        "CREATE INDEX session_tokens ON session (workspace, coalesce(total_tokens, -1), id)",
        "CREATE INDEX session_cost ON session (workspace, coalesce(cost_usd, -1.0), id)",
    ),
    "span": (
        "CREATE INDEX span_duration ON span (workspace, coalesce(ended_at - started_at, -1), id)",
        # Has all that statistics take, so that they need not read rows, which are long: 32 ms for 100,000 and not 130.
        "CREATE INDEX span_figures ON span (workspace, model, kind, provider, status_code, started_at, ended_at, "
        f"{', '.join(TokenUsage.__struct_fields__)})",
    ),
}
"""Indexes on the engine's own columns, and on expressions that orders sort by."""

_TYPES = {int: "INTEGER", float: "REAL", bool: "INTEGER", bytes: "BLOB"}
_GONE = {"cascade": " ON DELETE CASCADE", "null": " ON DELETE SET NULL", "refuse": "", "keep": ""}


def create_table(kind: Kind[Any], name: str = "") -> str:
    """The statement that makes the table of a kind, under another name if one is given."""
    columns = [column_of(kind, one) for one in kind.columns.values() if one.name not in ("id", kind.log)]
    columns = ["workspace INTEGER NOT NULL", *columns, *BESIDE.get(kind.name, ())]
    unique = [f"UNIQUE ({', '.join(one.columns)})" for one in _indexes(kind) if one.unique and not one.where]
    if kind.clustered:
        key = f"PRIMARY KEY ({', '.join(_cluster(kind))})"
        columns = [f"id TEXT NOT NULL{' UNIQUE' if kind.natural else ''}", *columns, key]
    else:  # AUTOINCREMENT, so that a place in a log is never given twice
        key = f"key INTEGER PRIMARY KEY{' AUTOINCREMENT' if kind.log else ''}"
        columns = [key, "id TEXT NOT NULL UNIQUE", *columns]
    return f"CREATE TABLE {name or kind.name} ({', '.join([*columns, *unique])}){' WITHOUT ROWID' * kind.clustered}"


def column_of(kind: Kind[Any], column: Column) -> str:
    target = foreign(column)
    type_ = "INTEGER" if column.form == "time" or target else _TYPES.get(column.type, "TEXT")
    made = f"{column.name} {type_}{'' if column.nullable else ' NOT NULL'}"
    if (default := kind.default(column)) is not None:
        made += f" DEFAULT {_literal(default)}"
    if target is not None and column.refers is not None:
        made += f" REFERENCES {target.name}{_GONE[column.refers.gone]}"
    return made


def _literal(value: object) -> str:
    return "'{}'".format(value.replace("'", "''")) if isinstance(value, str) else str(value)


def create_indexes(kind: Kind[Any]) -> list[str]:
    """The statements that make what follows the table of a kind: its indexes."""
    made = []
    for one in _indexes(kind):
        if not one.unique or one.where:
            name = f"{kind.name}_{'_'.join(one.columns)}"
            where = f" WHERE {one.where} IS NOT NULL" if one.where else ""
            unique = "UNIQUE " if one.unique else ""
            made.append(f"CREATE {unique}INDEX {name} ON {kind.name} ({', '.join(one.columns)}){where}")
    return [*made, *_INDEXES.get(kind.name, ())]


_TRIGGERS = {
    "message": (
        "CREATE TRIGGER message_gone_words AFTER DELETE ON message BEGIN "
        "DELETE FROM message_text WHERE rowid = OLD.key; DELETE FROM message_waiting WHERE key = OLD.key; "
        "INSERT OR IGNORE INTO meta VALUES ('deleted words', ''); END",
    ),
    "document_chunk": (
        "CREATE TRIGGER document_chunk_gone_words AFTER DELETE ON document_chunk BEGIN "
        "DELETE FROM document_chunk_text WHERE rowid = OLD.key; "
        "INSERT OR IGNORE INTO meta VALUES ('deleted words', ''); END",
    ),
}


def create_triggers(kind: Kind[Any]) -> Iterator[str]:
    """What goes with records that a column of several kinds names, and with words: there is no foreign key for that."""
    yield from _TRIGGERS.get(kind.name, ())
    for column in kind.references:
        refers = column.refers
        if refers is None or refers.gone not in ("cascade", "null") or foreign(column) is not None:
            continue
        action = f"UPDATE {kind.name} SET {column.name} = NULL" if refers.gone == "null" else f"DELETE FROM {kind.name}"
        for target in targets(refers):
            yield (
                f"CREATE TRIGGER {target.name}_gone_{kind.name}_{column.name} AFTER DELETE ON {target.name} "
                f"BEGIN {action} WHERE {column.name} = OLD.id; END"
            )


def _indexes(kind: Kind[Any]) -> list[Index]:
    """Without those that begin another one, and the one that the rows lie in. A log's place is the row's own key."""
    asked = [
        one._replace(columns=tuple("key" if name == kind.log else name for name in one.columns))
        for one in kind.indexes()
    ]
    return [
        one
        for one in asked
        if not (kind.clustered and one.columns == _cluster(kind))
        and (one.unique or not any(_begins(one, other) for other in asked if other is not one))
    ]


def _begins(one: Index, other: Index) -> bool:
    if other.where or (other.columns == one.columns and not other.unique):
        return False
    return other.columns[: len(one.columns)] == one.columns


def _cluster(kind: Kind[Any]) -> tuple[str, ...]:
    return kind.scoped(kind.natural) if kind.natural else ("workspace", "id")


@cache
def schema() -> tuple[str, ...]:
    """The statements that make an empty file: tables, then what stands on them."""
    return (
        *map(create_table, KINDS),
        OWN,
        *(one for kind in KINDS for one in create_indexes(kind)),
        *(one for kind in KINDS for one in create_triggers(kind)),
    )
