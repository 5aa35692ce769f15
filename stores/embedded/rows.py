"""Rows of the file: how each shape of stores.rows lies in a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from domain.node import Node
from domain.session import SESSION_TYPES
from stores import rows as shapes
from stores.rows import Shape

N = TypeVar("N", bound=Node)

_NONE: Mapping[str, str] = {}


class Table(Generic[N]):
    """How a shape lies in the file; its rows are read under the alias t.

    natural: the condition that finds a row by its natural key. conflict: the columns that make a row the same one.
    keys: the columns that hold the key of a row of another table. beside: a column that no record has. log: its last
    column, the place, is the row's own key.
    """

    def __init__(
        self,
        shape: Shape[N],
        select: str,
        natural: str = "",
        conflict: str = "id",
        live: str = "",
        keys: Mapping[str, str] = _NONE,
        beside: str = "",
        log: bool = False,
    ) -> None:
        self.kind, self.name, self.decode, self.encode = shape.kind, shape.name, shape.decode, shape.encode
        if log:
            self.encode = lambda record: shape.encode(record)[:-1]
        self.live = _LIVE if shape.expires else live
        name, live = self.name, self.live
        self.columns, joins = select.rsplit(f" FROM {name} t", 1)
        self.source = f"{name} t{joins}"
        self.select = f"SELECT {self.columns} FROM {self.source}"
        self.by_id = f"{self.select} WHERE t.id = ? AND t.workspace = ?{live}"
        self.by_natural = f"{self.select} WHERE {natural} AND t.workspace = ?{live}" if natural else ""
        # The + keeps SQLite from the index of the workspace, which it would scan whole.
        self.by_ids = f"{self.select} WHERE t.id IN (SELECT value FROM json_each(?)) AND +t.workspace = ?{live}"
        self.scan = f"{self.select} WHERE t.workspace = ? AND t.id > ?{live} ORDER BY t.id LIMIT ?"
        self.written = [*(shape.columns[:-1] if log else shape.columns), *([beside] if beside else [])]
        self.values = [
            f"(SELECT key FROM {keys[column]} WHERE id = ?)" if column in keys else "?" for column in self.written
        ]
        same = conflict.split(", ")
        changes = ", ".join(f"{column} = excluded.{column}" for column in self.written if column not in same)
        insert = f"INSERT INTO {name} (workspace, {', '.join(self.written)}) VALUES ({', '.join(['?', *self.values])})"
        self.insert = f"{insert} ON CONFLICT ({conflict}) DO UPDATE SET {changes}"


# Expired rows are gone before any sweep takes them. strftime's "now" would round; the clock is bound by the engine.
_LIVE = " AND (t.expires_at IS NULL OR t.expires_at > now_us())"


USER = Table(
    shapes.USER,
    "t.id, t.external_id, t.name, t.profile, t.created_at FROM user t",
    "t.external_id = ?",
)

AGENT = Table(
    shapes.AGENT,
    "t.id, t.external_id, t.name, t.description, t.config, t.capabilities, t.created_at FROM agent t",
    "t.external_id = ?",
)

SESSION = Table(
    shapes.SESSION,
    "t.id, t.external_id, t.kind, t.title, t.status, t.context, t.capabilities, t.metadata, t.created_at, "
    "t.updated_at, t.last_active_at, t.message_count, t.version FROM session t",
    "t.external_id = ?",
)

PARTICIPANT = Table(
    shapes.PARTICIPANT,
    "t.id, s.id, t.actor, t.type, t.role, t.name, t.external_id, t.joined_at, t.left_at, t.identity "
    "FROM participant t JOIN session s ON s.key = t.session",
    "t.session = (SELECT key FROM session WHERE id = ?) AND t.identity = ?",
    keys={"session": "session"},
)

THREAD = Table(
    shapes.THREAD,
    "t.id, s.id, t.name, t.created_at FROM thread t JOIN session s ON s.key = t.session",
    "t.session = (SELECT key FROM session WHERE id = ?) AND t.name = ?",
    keys={"session": "session"},
)

MESSAGE = Table(
    shapes.MESSAGE,
    "t.id, t.external_id, s.id, t.place, p.id, t.sender_type, t.content, "
    "(SELECT id FROM thread WHERE key = t.thread), (SELECT id FROM message WHERE key = t.parent), "
    "t.metadata, t.created_at "
    "FROM message t JOIN session s ON s.key = t.session JOIN participant p ON p.key = t.sender",
    "t.external_id = ?",
    keys={"session": "session", "sender": "participant", "thread": "thread", "parent": "message"},
)

# scope_key is what one owner's memories share in the text and vector indexes: twice the key of a user, one more for an
# agent, minus the workspace for GLOBAL ones.
MEMORY = Table(
    shapes.MEMORY,
    "t.id, t.external_id, t.type, t.scope, t.owner, t.status, t.text, t.tags, t.metadata, t.importance, "
    "t.decay_factor, t.access_count, t.last_accessed_at, t.created_at, t.updated_at, t.expires_at, t.version, "
    "t.valid_from, t.valid_until, (SELECT id FROM message WHERE key = t.source_message), t.external_source, "
    "(SELECT id FROM session WHERE key = t.session) FROM memory t",
    "t.external_id = ?",
    keys={"source_message": "message", "session": "session"},
    beside="scope_key",
)

VERSION = Table(
    shapes.VERSION,
    "t.id, m.id, t.version, t.text, t.status, t.importance, t.tags, t.metadata, t.valid_from, t.valid_until, "
    "t.replaced_at FROM memory_version t JOIN memory m ON m.key = t.memory",
    keys={"memory": "memory"},
)

LINK = Table(
    shapes.LINK,
    "t.id, t.kind, t.weight, a.id, b.id, t.created_at, t.metadata "
    "FROM link t JOIN memory a ON a.key = t.src JOIN memory b ON b.key = t.dst",
    "t.src = (SELECT key FROM memory WHERE id = ?) AND t.kind = ? AND t.dst = (SELECT key FROM memory WHERE id = ?)",
    conflict="src, kind, dst",
    live=" AND NOT EXISTS (SELECT 1 FROM memory e WHERE e.key IN (t.src, t.dst) AND e.expires_at <= now_us())",
    keys={"src": "memory", "dst": "memory"},
)

EVENT = Table(
    shapes.EVENT,
    "t.id, (SELECT id FROM session WHERE key = t.session), t.type, t.component, t.time, t.duration_ms, t.data, "
    "t.user, t.agent, (SELECT id FROM message WHERE key = t.message), (SELECT id FROM event WHERE key = t.parent), "
    "(SELECT id FROM span WHERE key = t.span), t.memories, t.external_id, t.key FROM event t",
    "t.session = (SELECT key FROM session WHERE id = ?) AND t.external_id = ?",
    keys={"session": "session", "message": "message", "parent": "event", "span": "span"},
    log=True,
)

SPAN = Table(
    shapes.SPAN,
    "t.id, t.trace_id, t.span_id, t.parent_span_id, (SELECT id FROM session WHERE key = t.session), t.kind, t.name, "
    "t.status_code, t.status_message, t.started_at, t.ended_at, t.attributes, "
    "(SELECT id FROM message WHERE key = t.message), t.agent FROM span t",
    "t.trace_id = ? AND t.span_id = ?",
    keys={"session": "session", "message": "message"},
)

TRACE = Table(
    shapes.TRACE,
    "t.id, t.trace_id, (SELECT id FROM session WHERE key = t.session), t.started_at FROM trace t",
    "t.trace_id = ?",
    keys={"session": "session"},
)

RECALL = Table(
    shapes.RECALL,
    "t.id, m.id, (SELECT id FROM session WHERE key = t.session), (SELECT id FROM message WHERE key = t.message), "
    "(SELECT id FROM event WHERE key = t.event), t.score, t.parts, t.recalled_at "
    "FROM recall t JOIN memory m ON m.key = t.memory",
    keys={"memory": "memory", "session": "session", "message": "message", "event": "event"},
)

STATE = Table(
    shapes.STATE,
    "t.id, t.namespace, t.name, t.value, t.tags, t.version, t.updated_at, t.expires_at FROM state t",
    "t.namespace = ? AND t.name = ?",
    conflict="workspace, namespace, name",
)

TABLES: dict[type[Node], Table[Any]] = {
    table.kind: table
    for table in (
        USER, AGENT, SESSION, PARTICIPANT, THREAD, MESSAGE, MEMORY, VERSION, LINK, EVENT, SPAN, TRACE, RECALL, STATE,
    )
}  # fmt: skip
TABLES.update(dict.fromkeys(SESSION_TYPES.values(), SESSION))


def table(kind: type[N]) -> Table[N]:
    """The table of a kind of record."""
    return TABLES[kind]
