"""How records lie in Neo4j: a label for each shape of stores.rows, and a relationship for each reference.

A node has the shape's columns as properties, and `workspace`. A column that names another record keeps its id, so that
a page is a seek in an index, and is a relationship too, so that the graph can be walked. Memory links are relationships
alone, LINK, and so are the memories a message drew on, DRAWS_ON {position, score, note}. A memory's vector is its
property `vector`, little-endian float32; its `holder` is the owner, or the workspace where it has none. Lines of the
memory log are nodes Change; see `CHANGE`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from domain.node import Node
from domain.session import SESSION_TYPES
from stores import rows
from stores.rows import Shape

N = TypeVar("N", bound=Node)


class Reference:
    """A column that names another record: the relationship's type, and the label it leads to."""

    def __init__(self, type: str, *labels: str) -> None:
        self.type, self.labels = type, labels


def lists(columns: Sequence[str], each: str) -> str:
    """A list that has a list for each column c.

    Not n.id, n.text, ..., each of them an expression: the server takes 8 ms for each when it plans a statement for the
    first time, and as long to run it.
    """
    return f"[c IN [{', '.join(map(repr, columns))}] | {each}]"


class Label(Generic[N]):
    """How a shape lies in the graph."""

    def __init__(self, shape: Shape[N], name: str, references: Mapping[str, Reference] | None = None) -> None:
        self.shape, self.name, self.references = shape, name, references or {}
        self.kind, self.columns, self.decode, self.encode = shape.kind, shape.columns, shape.decode, shape.encode

    def lists(self, nodes: str = "ns") -> str:
        """A list of nodes as a list that has a list for each column; `records` takes it.

        1,000 messages: 6 ms, 1.4 of them here. A list of rows takes 20, a list of maps 19, a record a row far more.
        """
        return lists(self.columns, f"[n IN {nodes} | n[c]]")

    def records(self, lists: Sequence[Sequence[Any]]) -> list[N]:
        """The records of as many lists as there are columns."""
        return list(map(self.decode, zip(*lists, strict=True)))

    def live(self, node: str = "n") -> str:
        """The condition that a node is there: of this workspace and not expired. Parameters: $workspace, $now."""
        # Not OR, which the planner would take apart into two reads of an index, and lose its order.
        expiry = f" AND coalesce({node}.expires_at > $now, true)" if self.shape.expires else ""
        return f"{node}.workspace = $workspace{expiry}"


_ACTORS = ("User", "Agent")

USER = Label(rows.USER, "User")
AGENT = Label(rows.AGENT, "Agent")
SESSION = Label(rows.SESSION, "Session")
PARTICIPANT = Label(
    rows.PARTICIPANT,
    "Participant",
    {"session": Reference("TAKES_PART_IN", "Session"), "actor": Reference("IS", *_ACTORS)},
)
THREAD = Label(rows.THREAD, "Thread", {"session": Reference("OF", "Session")})
MESSAGE = Label(
    rows.MESSAGE,
    "Message",
    {
        "session": Reference("IN", "Session"),
        "sender": Reference("FROM", "Participant"),
        "thread": Reference("IN_THREAD", "Thread"),
        "parent": Reference("REPLIES_TO", "Message"),
    },
)
MEMORY = Label(
    rows.MEMORY,
    "Memory",
    {
        "owner": Reference("OWNED_BY", *_ACTORS),
        "source_message": Reference("FORMED_FROM", "Message"),
        "session": Reference("FORMED_IN", "Session"),
    },
)
VERSION = Label(rows.VERSION, "MemoryVersion", {"memory": Reference("WAS", "Memory")})
EVENT = Label(rows.EVENT, "TraceEvent")
SPAN = Label(rows.SPAN, "Span")
TRACE = Label(rows.TRACE, "Trace")
TALLY = Label(rows.TALLY, "Tally")
RECALL = Label(rows.RECALL, "Recall")
STATE = Label(rows.STATE, "State")
API_KEY = Label(rows.API_KEY, "ApiKey")
AUDIT = Label(rows.AUDIT, "AuditEntry")

LABELS: dict[type[Node], Label[Any]] = {
    label.kind: label
    for label in (
        USER, AGENT, SESSION, PARTICIPANT, THREAD, MESSAGE, MEMORY, VERSION, EVENT, SPAN, TRACE, TALLY, RECALL,
        STATE, API_KEY, AUDIT,
    )
}  # fmt: skip
LABELS.update(dict.fromkeys(SESSION_TYPES.values(), SESSION))

LINK = rows.LINK
"""Memory links: (source)-[:LINK {id, workspace, kind, weight, created_at, metadata}]->(target)."""


LINK_VALUE = "CASE c WHEN 'src' THEN startNode(l).id WHEN 'dst' THEN endNode(l).id ELSE l[c] END"
"""What a relationship l has in the column c."""


def link_lists(links: str = "ls") -> str:
    """A list of LINK relationships as a list that has a list for each column of LINK."""
    return lists(LINK.columns, f"[l IN {links} | {LINK_VALUE}]")


CHANGE = "[n.place, n.kind, n.memory_id, n.time, n.memory, n.link]"
"""A line of the memory log: memory is a deleted one as it was, link as the change left it, both as JSON."""

_UNIQUE = {
    "User": ("workspace", "external_id"),
    "Agent": ("workspace", "external_id"),
    "Session": ("workspace", "external_id"),
    "Message": ("workspace", "external_id"),
    "Memory": ("workspace", "external_id"),
    "Participant": ("session", "identity"),
    "Thread": ("session", "name"),
    "TraceEvent": ("session", "external_id"),
    "Span": ("workspace", "trace_id", "span_id"),
    "Trace": ("workspace", "trace_id"),
    "Tally": ("workspace", "trace_id", "span_id"),
    "State": ("workspace", "namespace", "name"),
    "ApiKey": ("workspace", "digest"),
    "MemoryVersion": ("memory", "version"),
    "Change": ("workspace", "place"),
    "Idempotency": ("workspace", "key"),
    "Workspace": ("name",),
    "Relay": ("workspace",),
}

_INDEXES = {
    "User": (("workspace", "created_at", "id"),),
    "Agent": (("workspace", "created_at", "id"),),
    "Session": (
        ("workspace", "created_at", "id"),
        ("workspace", "last_active_at", "id"),
        ("workspace", "title_key", "id"),
    ),
    "Participant": (("actor",), ("workspace", "external_id")),
    "Message": (("session", "place"), ("sender", "place"), ("thread", "place"), ("parent", "place")),
    "Memory": (
        ("workspace", "created_at", "id"),
        ("workspace", "status", "id"),
        ("owner", "created_at", "id"),
        ("holder", "status"),
        ("source_message",),
        ("session", "created_at", "id"),
        ("expires_at",),
    ),
    "MemoryVersion": (("memory", "version"),),
    "TraceEvent": (("session", "place"), ("message", "place"), ("span", "place"), ("parent",)),
    "Span": (
        ("workspace", "started_at", "id"),
        ("session", "started_at", "id"),
        ("workspace", "trace_id", "parent_span_id"),
        ("message",),
    ),
    "Trace": (("session", "started_at", "id"),),
    "Tally": (("workspace", "trace_id"),),
    "Recall": (("memory", "recalled_at", "id"), ("session",), ("message",), ("event",)),
    "State": (("workspace", "namespace", "name_key"), ("expires_at",)),
    "AuditEntry": (("workspace", "id"),),
    "Change": (("memory_id",),),
    "Idempotency": (("at",),),
    "Outbox": (("workspace", "place"),),
    "Told": (("workspace", "place"),),
    "ToolResponse": (("session", "call_id", "place", "part"), ("message",)),
}


def statements() -> list[str]:
    """The constraints and indexes, each made where it is missing. Version 5."""
    names = sorted({label.name for label in LABELS.values()})
    made = [f"CREATE CONSTRAINT {n.lower()}_id IF NOT EXISTS FOR (n:{n}) REQUIRE n.id IS UNIQUE" for n in names]
    made.append("CREATE CONSTRAINT link_id IF NOT EXISTS FOR ()-[r:LINK]-() REQUIRE r.id IS UNIQUE")
    for name, columns in _UNIQUE.items():
        listed = ", ".join(f"n.{column}" for column in columns)
        made.append(f"CREATE CONSTRAINT {name.lower()}_key IF NOT EXISTS FOR (n:{name}) REQUIRE ({listed}) IS UNIQUE")
    for name, indexes in _INDEXES.items():
        for columns in indexes:
            listed = ", ".join(f"n.{column}" for column in columns)
            if _UNIQUE.get(name) != columns:
                title = f"{name.lower()}_{'_'.join(columns)}"
                made.append(f"CREATE INDEX {title} IF NOT EXISTS FOR (n:{name}) ON ({listed})")
    made.append(
        "CREATE FULLTEXT INDEX memory_words IF NOT EXISTS FOR (n:Memory) ON EACH "
        "[n.words, n.id, n.workspace, n.owner, n.scope, n.status] "
        "OPTIONS { indexConfig: { `fulltext.analyzer`: 'whitespace' } }"
    )
    return made


def label(kind: type[N]) -> Label[N]:
    """How a kind of record lies in the graph; links are not among them."""
    return LABELS[kind]
