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
        natural: str = "",
        conflict: str = "id",
        live: str = "",
        keys: Mapping[str, str] = _NONE,
        beside: str = "",
        log: bool = False,
    ) -> None:
        self.kind, self.name, self.decode, self.encode = shape.kind, shape.name, shape.decode, shape.encode
        columns = shape.columns[:-1] if log else shape.columns
        if log:
            self.encode = lambda record: shape.encode(record)[:-1]
        self.live = live = _LIVE if shape.expires else live
        self.keys = keys
        # Not joins: each costs 8 us and more before its first row, where a subquery costs 0.3 us a row.
        read = [
            f"(SELECT id FROM {keys[name]} WHERE key = t.{name})" if name in keys else f"t.{name}" for name in columns
        ]
        self.columns = ", ".join([*read, "t.key"] if log else read)
        self.select = f"SELECT {self.columns} FROM {self.name} t"
        self.by_id = f"{self.select} WHERE t.id = ? AND t.workspace = ?{live}"
        self.by_natural = f"{self.select} WHERE {natural} AND t.workspace = ?{live}" if natural else ""
        # The + keeps SQLite from the index of the workspace, which it would scan whole.
        self.by_ids = f"{self.select} WHERE t.id IN (SELECT value FROM json_each(?)) AND +t.workspace = ?{live}"
        self.scan = f"{self.select} WHERE t.workspace = ? AND t.id > ?{live} ORDER BY t.id LIMIT ?"
        self.written = [*columns, *([beside] if beside else [])]
        self.values = [f"(SELECT key FROM {keys[name]} WHERE id = ?)" if name in keys else "?" for name in self.written]
        same = conflict.split(", ")
        changes = ", ".join(f"{column} = excluded.{column}" for column in self.written if column not in same)
        written, values = ", ".join(["workspace", *self.written]), ", ".join(["?", *self.values])
        insert = f"INSERT INTO {self.name} ({written}) VALUES ({values})"
        # NULL is refused: nothing of another workspace is ever taken over, whatever id an import brings.
        changes += f", workspace = iif({self.name}.workspace = excluded.workspace, excluded.workspace, NULL)"
        self.insert = f"{insert} ON CONFLICT ({conflict}) DO UPDATE SET {changes}"


# Expired rows are gone before any sweep takes them. strftime's "now" would round; the clock is bound by the engine.
_LIVE = " AND (t.expires_at IS NULL OR t.expires_at > now_us())"


USER = Table(shapes.USER, "t.external_id = ?")

AGENT = Table(shapes.AGENT, "t.external_id = ?")

SESSION = Table(shapes.SESSION, "t.external_id = ?")

PARTICIPANT = Table(
    shapes.PARTICIPANT,
    "t.session = (SELECT key FROM session WHERE id = ?) AND t.identity = ?",
    keys={"session": "session"},
)

THREAD = Table(
    shapes.THREAD,
    "t.session = (SELECT key FROM session WHERE id = ?) AND t.name = ?",
    keys={"session": "session"},
)

MESSAGE = Table(
    shapes.MESSAGE,
    "t.external_id = ?",
    keys={"session": "session", "sender": "participant", "thread": "thread", "parent": "message"},
)

# scope_key is what one owner's memories share in the text and vector indexes: twice the key of a user, one more for an
# agent, minus the workspace for GLOBAL ones.
MEMORY = Table(
    shapes.MEMORY,
    "t.external_id = ?",
    keys={"source_message": "message", "session": "session"},
    beside="scope_key",
)

VERSION = Table(shapes.VERSION, keys={"memory": "memory"})

LINK = Table(
    shapes.LINK,
    "t.src = (SELECT key FROM memory WHERE id = ?) AND t.kind = ? AND t.dst = (SELECT key FROM memory WHERE id = ?)",
    conflict="src, kind, dst",
    live=" AND NOT EXISTS (SELECT 1 FROM memory e WHERE e.key IN (t.src, t.dst) AND e.expires_at <= now_us())",
    keys={"src": "memory", "dst": "memory"},
)

EVENT = Table(
    shapes.EVENT,
    "t.session = (SELECT key FROM session WHERE id = ?) AND t.external_id = ?",
    keys={"session": "session", "message": "message", "parent": "event", "span": "span"},
    log=True,
)

SPAN = Table(
    shapes.SPAN,
    "t.trace_id = ? AND t.span_id = ?",
    keys={"session": "session", "message": "message"},
)

TRACE = Table(shapes.TRACE, "t.trace_id = ?", keys={"session": "session"})

TALLY = Table(shapes.TALLY, "t.trace_id = ? AND t.span_id = ?")

RECALL = Table(
    shapes.RECALL,
    keys={"memory": "memory", "session": "session", "message": "message", "event": "event"},
)

STATE = Table(
    shapes.STATE,
    "t.namespace = ? AND t.name = ?",
    conflict="workspace, namespace, name",
)

API_KEY = Table(shapes.API_KEY, "t.digest = ?")

AUDIT = Table(shapes.AUDIT, conflict="workspace, id")

TABLES: dict[type[Node], Table[Any]] = {
    table.kind: table
    for table in (
        USER, AGENT, SESSION, PARTICIPANT, THREAD, MESSAGE, MEMORY, VERSION, LINK, EVENT, SPAN, TRACE, TALLY,
        RECALL, STATE, API_KEY, AUDIT,
    )
}  # fmt: skip
TABLES.update(dict.fromkeys(SESSION_TYPES.values(), SESSION))


def table(kind: type[N]) -> Table[N]:
    """The table of a kind of record."""
    return TABLES[kind]
