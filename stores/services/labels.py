"""Layout of records in Neo4j: a label for each kind of record, and a relationship for each reference with an edge.

A node has the kind's columns as properties, and `workspace`. A column that names another record keeps its id, so that
a page is a seek in an index, and is a relationship too, so that the graph can be walked. Memory links are relationships
alone, LINK, and so are the memories a message drew on, DRAWS_ON {position, score, note}. A memory's vector is its
property `vector`, little-endian float32; its `holder` is the owner, or the workspace where it has none. Lines of the
logs of changes are nodes Change {about, place, kind, record, time, before, text, link}: before is what a record was, as
JSON, a memory's text apart. Where each log stands, and how far it is forgotten, is on the workspace: see `standing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import compress
from typing import Any, Generic, TypeVar

from domain.audit import AuditEntry
from domain.link import MemoryLink
from domain.memory import Memory
from domain.message import Message
from domain.node import Node
from domain.participant import Participant
from domain.session import Session
from domain.span import Span, Trace
from domain.state import StateEntry
from domain.tally import Tally
from domain.trace import TraceEvent
from stores.catalogue.kind import Index, Kind
from stores.catalogue.kinds import KINDS, expiring, kind, targets
from stores.catalogue.logs import CHANGES

N = TypeVar("N", bound=Node)


def lists(columns: Sequence[str], each: str) -> str:
    """A list that has a list for each column c.

    Not n.id, n.text, ..., each of them an expression: the server takes 8 ms for each when it plans a statement for the
    first time, and as long to run it.
    """
    return f"[c IN [{', '.join(map(repr, columns))}] | {each}]"


NODE_IS_THERE = ("id",)
LINK_IS_THERE = ("src", "dst", "id")
"""Columns that are read once more behind all others, for what is deleted while it is read has lost those that are read
after that, and a statement does not fail for it."""


def whole(lists: Sequence[Sequence[Any]], there: Sequence[str] = NODE_IS_THERE) -> Iterator[tuple[Any, ...]]:
    """The rows of a list for each column, without what was deleted meanwhile, and without the last columns, `there`."""
    return compress(zip(*lists[: -len(there)], strict=True), map(all, zip(*lists[-len(there) :], strict=True)))


class Label(Generic[N]):
    """How a kind lies in the graph. edges: by column the type of its relationship and the labels it leads to."""

    def __init__(self, of: Kind[N]) -> None:
        self.kind, self.name, self.decode, self.encode = of, of.label, of.decode, of.encode
        self.columns = tuple(of.columns)
        self.edges = {
            column.name: (column.refers.edge, [target.label for target in targets(column.refers)])
            for column in of.references
            if column.refers is not None and column.refers.edge
        }

    def lists(self, nodes: str = "ns") -> str:
        """A list of nodes as a list that has a list for each column; `records` takes it.

        1,000 messages: 6 ms, 1.4 of them here. A list of rows takes 20, a list of maps 19, a record a row far more.
        """
        return lists([*self.columns, *NODE_IS_THERE], f"[n IN {nodes} | n[c]]")

    def records(self, lists: Sequence[Sequence[Any]]) -> list[N]:
        """The records of such lists."""
        return list(map(self.decode, whole(lists, NODE_IS_THERE)))

    def live(self, node: str = "n") -> str:
        """The condition that a node is there: of this workspace and not expired. Parameters: $workspace, $now."""
        # Not OR, which the planner would take apart into two reads of an index, and lose its order.
        expiry = f" AND coalesce({node}.{self.kind.expires} > $now, true)" if self.kind.expires else ""
        for column in self.kind.references:
            for target in expiring(column):
                ended = f"{seek(target.label, 'id', f'= {node}.{column.name}', 'e')} AND e.{target.expires} <= $now"
                expiry += f" AND NOT EXISTS {{ {ended} }}"
        return f"{node}.workspace = $workspace{expiry}"


LINK = kind(MemoryLink)
"""Memory links: (source)-[:LINK {id, workspace, kind, weight, created_at, metadata}]->(target)."""

LABELS: dict[type[Node], Label[Any]] = {
    record: made
    for of in KINDS
    if of is not LINK
    for made in [Label(of)]
    for record in (of.record, *of.variants.values())
}
"""By the classes of records; links are not among them."""


def label(record: type[N]) -> Label[N]:
    """How a class of records lies in the graph."""
    return LABELS[record]


MEMORY, MESSAGE, PARTICIPANT = label(Memory), label(Message), label(Participant)
SESSION, SPAN, EVENT = label(Session), label(Span), label(TraceEvent)
STATE, AUDIT, TRACE, TALLY = label(StateEntry), label(AuditEntry), label(Trace), label(Tally)

LINK_VALUE = "CASE c WHEN 'src' THEN startNode(l).id WHEN 'dst' THEN endNode(l).id ELSE l[c] END"
"""What a relationship l has in the column c."""


def link_lists(links: str = "ls") -> str:
    """A list of LINK relationships as a list that has a list for each column of LINK; `whole_links` takes it."""
    return lists([*LINK.columns, *LINK_IS_THERE], f"[l IN {links} | {LINK_VALUE}]")


def whole_links(lists: Sequence[Sequence[Any]]) -> list[MemoryLink]:
    """The links of such lists."""
    return list(map(LINK.decode, whole(lists, LINK_IS_THERE)))


HELD = "SET {0}.held = true WITH {0}"
"""Locks a node until the end of the transaction. What is written must not depend on what was read: the planner would
lock for reading first, and two transactions that both did cannot lock for writing then, but wait for each other."""


def standing(what: str, about: str) -> str:
    """The property of a workspace that says how far the log of changes of a kind reaches, "changes", or is forgotten,
    "trimmed"."""
    return what if about == MEMORY.kind.name else f"{what}_{about}"


COUNTERS = {log.about: standing("changes", log.about) for log in CHANGES}

_NOT_UNIQUE = {("Message", ("session", "place"))}
"""An index here: a constraint would be one more lock for each message."""

_SHORTER: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {("Participant", ("actor", "session")): ("actor",)}
"""A seek takes an index of several columns only where the later ones are said to be there."""

_UNIQUE: dict[str, list[tuple[str, ...]]] = {
    "Idempotency": [("workspace", "key")],
    "Workspace": [("name",)],
    "Relay": [("workspace",)],
}
_INDEXES: dict[str, list[tuple[str, ...]]] = {
    "Memory": [
        ("workspace", "status", "id"),
        ("holder", "status", "weight", "id"),
        ("workspace", "last_accessed_at_key", "id"),
    ],
    "Span": [("workspace", "ended_at_key", "id")],
    "Tally": [("workspace", "trace_id")],
    "Change": [("workspace", "about", "place"), ("record",)],
    "Idempotency": [("at",)],
    "Outbox": [("workspace", "place")],
    "Told": [("workspace", "place")],
    "ToolResponse": [("session", "call_id", "place", "part"), ("message",)],
}
"""Of the engine's own nodes and properties."""


COMPUTED = {"Memory": "last_accessed_at", "Span": "ended_at"}
"""By their labels, of what the long lists may be in the order of a value that is computed: null stands for a number, or
it is the time from another column on. The value is in a property that has _key behind the column's name."""


@cache
def sorted_texts(of: Kind[Any]) -> list[str]:
    """The texts that rows are sorted by, each in a property that has _key behind its name
    (stores.services.properties.sortable)."""
    columns = of.columns.values()
    listed = {name for column in columns for one in column.lists for name in one.by}
    return [
        column.name
        for column in columns
        if column.form == "plain" and column.type is str and (column.sorted or column.name in listed)
    ]


def statements() -> list[str]:
    """The constraints and indexes, each made where it is missing."""
    labels = list(dict.fromkeys(LABELS.values()))
    names = sorted(of.name for of in labels)
    made = [f"CREATE CONSTRAINT {n.lower()}_id IF NOT EXISTS FOR (n:{n}) REQUIRE n.id IS UNIQUE" for n in names]
    made.append("CREATE CONSTRAINT link_id IF NOT EXISTS FOR ()-[r:LINK]-() REQUIRE r.id IS UNIQUE")
    for of in labels:
        unique, indexes = _asked(of.kind)
        made += _constraints(of.name, unique)
        made += _created(of.name, indexes)
    for name, several in _UNIQUE.items():
        made += _constraints(name, several)
    for name, several in _INDEXES.items():
        made += _created(name, several)
    made.append(
        "CREATE FULLTEXT INDEX memory_texts IF NOT EXISTS FOR (n:Memory) ON EACH "
        "[n.words, n.loose, n.id, n.workspace, n.owner, n.scope, n.status] "
        "OPTIONS { indexConfig: { `fulltext.analyzer`: 'whitespace' } }"
    )
    made.append(
        "CREATE FULLTEXT INDEX message_texts IF NOT EXISTS FOR (n:Message) ON EACH [n.words, n.loose, n.workspace] "
        "OPTIONS { indexConfig: { `fulltext.analyzer`: 'whitespace' } }"
    )
    made.append(
        "CREATE FULLTEXT INDEX document_texts IF NOT EXISTS FOR (n:DocumentChunk) ON EACH "
        "[n.words, n.loose, n.workspace] OPTIONS { indexConfig: { `fulltext.analyzer`: 'whitespace' } }"
    )
    return list(dict.fromkeys(made))


def _asked(of: Kind[Any]) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The columns of a label's constraints, and of the indexes that are not the beginning of one."""
    texts = sorted_texts(of)

    def in_graph(one: Index) -> tuple[str, ...]:
        columns = _SHORTER.get((of.label, one.columns), one.columns)
        return columns if one.unique else tuple(f"{name}_key" if name in texts else name for name in columns)

    asked = {in_graph(one): one.unique and (of.label, one.columns) not in _NOT_UNIQUE for one in of.indexes()}
    if of.clustered:
        asked["workspace", "id"] = False
    unique = [columns for columns, is_unique in asked.items() if is_unique]
    longer = [columns for columns, is_unique in asked.items() if not is_unique]
    return unique, [one for one in longer if not any(one == other[: len(one)] for other in asked if other != one)]


@cache
def _whole_indexes() -> dict[str, list[tuple[str, ...]]]:
    """The columns of the indexes, by label, that have every node with their first column: no other is ever missing."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for of in dict.fromkeys(LABELS.values()):
        nullable = {name for name, column in of.kind.columns.items() if column.nullable}
        nullable |= {f"{name}_key" for name in nullable if COMPUTED.get(of.name) != name}
        several = [("id",), *_asked(of.kind)[0], *indexes_of(of)]
        found[of.name] = [columns for columns in several if nullable.isdisjoint(columns[1:])]
    for name in (*_UNIQUE, *_INDEXES):
        if name not in found:
            found[name] = [*_UNIQUE.get(name, ()), *_INDEXES.get(name, ())]
    return found


def sought(name: str, column: str, condition: str, node: str = "n") -> tuple[str, str]:
    """The hint and the conditions that find nodes whose column meets a condition in the index which begins with it.

    Without them the planner reads all nodes where it takes those for few: it asks for all columns of an index to be
    there, and its plan is kept while the database grows.
    """
    columns = min((one for one in _whole_indexes()[name] if one[0] == column), key=len)
    there = "".join(f" AND {node}.{other} IS NOT NULL" for other in columns[1:])
    return f"USING INDEX SEEK {node}:{name}({', '.join(columns)})", f"{node}.{column} {condition}{there}"


def seek(name: str, column: str, condition: str, node: str = "n") -> str:
    """Matches the nodes that are `sought`; more conditions may follow."""
    hint, found = sought(name, column, condition, node)
    return f"MATCH ({node}:{name}) {hint} WHERE {found}"


@cache
def indexes_of(label: Label[Any]) -> list[tuple[str, ...]]:
    """The columns of the indexes of a label that are no constraints."""
    return [*_asked(label.kind)[1], *_INDEXES.get(label.name, ())]


def _constraints(name: str, several: Sequence[tuple[str, ...]]) -> Iterator[str]:
    for columns in several:
        listed = ", ".join(f"n.{column}" for column in columns)
        yield f"CREATE CONSTRAINT {name.lower()}_key IF NOT EXISTS FOR (n:{name}) REQUIRE ({listed}) IS UNIQUE"


def _created(name: str, several: Sequence[tuple[str, ...]]) -> Iterator[str]:
    for columns in several:
        listed = ", ".join(f"n.{column}" for column in columns)
        yield f"CREATE INDEX {name.lower()}_{'_'.join(columns)} IF NOT EXISTS FOR (n:{name}) ON ({listed})"
