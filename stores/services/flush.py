"""Flush pending writes to Neo4j: UNWIND batches, one statement for each kind of record."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from domain.link import MemoryLink
from domain.memory import Memory
from domain.message import MemoryRef, Message, ToolResponse
from domain.node import Id, Node
from domain.session import Session
from domain.span import Span
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import KINDS
from stores.catalogue.references import Step, gone_with
from stores.changes import kept
from stores.journal import Way, ways
from stores.policies import IDEMPOTENCY_US
from stores.rows import micros, raw, text
from stores.services.labels import AUDIT, COUNTERS, LINK, MEMORY, MESSAGE, SESSION, Label, label, seek
from stores.services.pending import Pending, Put
from stores.services.properties import extras
from stores.services.snapshot import Snapshot

BATCH = 400
"""Rows of one UNWIND."""


async def flush(to: Snapshot, pending: Pending, last: int) -> None:
    """Writes what is pending. Neighbours of a new node are matched, so what refers to others comes after them.

    last: the last id that was given. What nearly every write has, a session as it is now, messages and lines of the
    audit log, goes in one statement with where the workspace's logs stand: a round trip costs more than most of that.
    So do new memories where no other is changed, and lines of logs of changes and what the vector index is to be told.
    """
    await _free(to, pending)
    kinds = [label(kind.record) for kind in KINDS if kind is not LINK]
    first = [of for of in kinds[: kinds.index(MESSAGE)] if pending.records.get(of.kind.name)]
    for of in first if first != [SESSION] else ():
        await _nodes(to, of, pending)
    new, old = _rows(to, MEMORY, pending)
    await _usual(to, pending, f"{last:032x}", first == [SESSION], [] if old else new)
    for of in kinds[kinds.index(MESSAGE) :]:
        if of not in (MESSAGE, AUDIT) and (old or of is not MEMORY):
            await _nodes(to, of, pending)
    if messages := pending.records.get("message"):
        stale = [id for id in messages if id not in pending.fresh]
        if stale:
            await to.run(_detach("ToolResponse", "message"), ids=stale)
        await _responses(to, [record for record, _ in messages.values() if isinstance(record, Message)])
    stored = pending.records.get("memory", {})
    for batch in in_batches([[id, vector] for id, vector in pending.vectors.items() if id not in stored]):
        given = ", ".join(f"n.{name} = {value or 'null'}" for name, value in _vectors("r[1]", to).items())
        await to.run(f"UNWIND $rows AS r MATCH (n:Memory {{id: r[0], workspace: $workspace}}) SET {given}", rows=batch)
    if links := pending.records.get("link"):
        await _links(to, links)
    await _references(to, pending)
    await _notes(to, pending)


def in_batches(rows: Sequence[Any]) -> list[Sequence[Any]]:
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


async def _free(to: Snapshot, pending: Pending) -> None:
    """Takes externalIds that are given now from memories and sessions that have expired and were not swept yet."""
    for of in (MEMORY, SESSION):
        named: dict[str, Id] = {}
        for id, (record, _) in pending.records.get(of.kind.name, {}).items():
            name, before = record.external_id, to.known(of.kind.record, id)  # type: ignore[attr-defined]
            if name is not None and (before is None or before.external_id != name):
                named[name] = id
        if named:
            await to.run(
                f"UNWIND $names AS name MATCH (n:{of.name}) USING INDEX SEEK n:{of.name}(workspace, external_id) "
                "WHERE n.workspace = $workspace AND n.external_id = name[0] AND n.id <> name[1] "
                "AND n.expires_at <= $now REMOVE n.external_id",
                names=[list(one) for one in named.items()],
            )


def _same(kind: Kind[Any]) -> str:
    """What makes a node the same one. An id that another workspace has is refused, for ids are unique: nothing of
    another is ever taken over."""
    columns = kind.natural if kind.replaces else ("id",)
    return ", ".join(["workspace: $workspace", *(f"{column}: r.{column}" for column in columns)])


def _clause(of: Label[Any], fresh: bool) -> str:
    """Makes a node of a row r, or changes the one there is."""
    made = f"CREATE (n:{of.name}) SET n = r" if fresh else f"MERGE (n:{of.name} {{{_same(of.kind)}}}) SET n += r"
    holder = ", n.holder = coalesce(r.owner, $workspace)" if of is MEMORY else ""
    related = "".join(
        f" CALL (n) {{ MATCH (o:{target} {{id: n.{column}}}){missing} CREATE (n)-[:{edge}]->(o) }}"
        for column, (edge, labels) in of.edges.items()
        for missing in ["" if fresh else f" WHERE NOT EXISTS {{ (n)-[:{edge}]->() }}"]
        for target in labels
    )
    return f"UNWIND $rows AS r {made}, n.workspace = $workspace{holder}{' WITH n' + related if related else ''}"


def _vectors(vector: Any, to: Snapshot) -> dict[str, Any]:
    """The properties of a memory with a vector of the set in use; it has none in the one that is being made."""
    assert to.held is not None
    coming = {} if to.held.coming is None else {to.held.coming.field: None}
    return {to.held.vectors.field: vector, **coming}


def _rows(to: Snapshot, of: Label[Any], pending: Pending) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The properties of a kind's nodes: of those that are new, and of those that may be there. What takes the place of
    another by its natural key may be, however new its id is."""
    new: list[dict[str, Any]] = []
    old: list[dict[str, Any]] = []
    for id, (record, row) in pending.records.get(of.kind.name, {}).items():
        properties = dict(zip(of.columns, row, strict=True)) | extras(record)
        if id in pending.vectors:
            properties |= _vectors(pending.vectors[id], to)
        (new if id in pending.fresh and not of.kind.replaces else old).append(properties)
    return new, old


async def _nodes(to: Snapshot, of: Label[Any], pending: Pending) -> None:
    new, old = _rows(to, of, pending)
    await _put(to, of, old, fresh=False)  # what gives up a natural key does so before another takes it
    await _put(to, of, new, fresh=True)


async def _put(to: Snapshot, of: Label[Any], rows: Sequence[dict[str, Any]], fresh: bool) -> None:
    for batch in in_batches(rows):
        await to.run(_clause(of, fresh), rows=batch)


_LINE = "UNWIND $rows AS r CREATE (n:Change) SET n = r, n.workspace = $workspace"

_TELL = "UNWIND $rows AS id CREATE (:Outbox {workspace: $workspace, place: $place, memory: id})"


def _part(clause: str, rows: str) -> str:
    return f"CALL () {{ {clause.replace('$rows', rows)} }} "


_SAID = {"sessions": _clause(SESSION, False), "messages": _clause(MESSAGE, True), "audit": _clause(AUDIT, True)}
_KEPT = {"memories": _clause(MEMORY, True), "lines": _LINE, "told": _TELL}

_STAND = "MATCH (w:Workspace {name: $workspace}) SET w += $stand FINISH"


async def _usual(to: Snapshot, pending: Pending, last: str, sessions: bool, memories: Sequence[dict[str, Any]]) -> None:
    """What nearly every write has; and where the logs stand, which is written once more where there is more to come."""
    (messages, changed), (audit, copied) = _rows(to, MESSAGE, pending), _rows(to, AUDIT, pending)
    rows: dict[str, Sequence[Any]] = {
        "sessions": [row for rows in _rows(to, SESSION, pending) for row in rows] if sessions else [],
        "messages": messages,
        "audit": audit,
        "memories": memories,
        "lines": _lines(pending),
        "told": list(pending.changed),
    }
    parts = _SAID | _KEPT if any(rows[name] for name in _KEPT) else _SAID
    statement = "".join(_part(clause, f"${name}") for name, clause in parts.items()) + _STAND
    ends = {COUNTERS[about]: end for about, end in pending.changes.items()}
    stand = {**ends, "events": pending.events, "last_id": last}
    several = list(zip_longest(*(in_batches(rows[name]) for name in parts), fillvalue=()))
    for batches in several or [((),) * len(parts)]:
        await to.run(statement, **dict(zip(parts, batches, strict=True)), stand=stand)
    await _put(to, MESSAGE, changed, fresh=False)
    await _put(to, AUDIT, copied, fresh=False)


async def _responses(to: Snapshot, messages: Sequence[Message]) -> None:
    """The answers to tool calls, found by their call's id."""
    rows = [
        {
            "session": message.session_id,
            "message": message.id,
            "call_id": part.call_id,
            "place": message.place,
            "part": index,
            "result": raw(part.result),
            "is_error": part.is_error,
        }
        for message in messages
        for index, part in enumerate(message.content)
        if type(part) is ToolResponse
    ]
    if rows:
        for batch in in_batches(rows):
            await to.run(
                "UNWIND $rows AS r CREATE (n:ToolResponse) SET n = r, n.workspace = $workspace",
                rows=batch,
            )


_LINK_VALUES = ", ".join(f"l.{name} = r.{name}" for name in LINK.columns if name not in ("src", "kind", "dst"))


async def _links(to: Snapshot, puts: dict[Id, Put]) -> None:
    """A link between the same two memories of the same kind is the same link."""
    rows = [dict(zip(LINK.columns, row, strict=True)) for _, row in puts.values()]
    for batch in in_batches(rows):
        await to.run(
            "UNWIND $rows AS r MATCH (a:Memory {id: r.src, workspace: $workspace}) "
            "MATCH (b:Memory {id: r.dst, workspace: $workspace}) "
            "MERGE (a)-[l:LINK {kind: r.kind}]->(b) "
            f"SET l.workspace = $workspace, {_LINK_VALUES}",
            rows=batch,
        )


async def _references(to: Snapshot, pending: Pending) -> None:
    """The memories that messages draw on, after those noted before."""
    drawn: dict[Id, dict[Id, list[Any]]] = {}
    for id, refs in pending.references:
        of = drawn.setdefault(id, {})
        for ref in refs:
            of.setdefault(ref.memory_id, [ref.memory_id, ref.score, ref.note])
    for batch in in_batches([[id, list(refs.values())] for id, refs in drawn.items()]):
        await to.run(
            "UNWIND $rows AS r MATCH (m:Message {id: r[0], workspace: $workspace}) CALL (m, r) { "
            "OPTIONAL MATCH (m)-[old:DRAWS_ON]->() WITH m, r, coalesce(max(old.position) + 1, 0) AS base "
            "UNWIND range(0, size(r[1]) - 1) AS i WITH m, base + i AS position, r[1][i] AS ref "
            "MATCH (t:Memory {id: ref[0], workspace: $workspace}) WHERE NOT EXISTS { (m)-[:DRAWS_ON]->(t) } "
            "CREATE (m)-[:DRAWS_ON {position: position, score: ref[1], note: ref[2]}]->(t) }",
            rows=batch,
        )


def _lines(pending: Pending) -> list[dict[str, Any]]:
    """Of the logs of changes."""
    return [
        {
            "place": place,
            "about": change.about,
            "kind": change.kind.value,
            "record": change.record_id,
            "time": micros(change.time),
            "before": before,
            "text": (change.before.text or None) if isinstance(change.before, Memory) else None,
            "link": link,
        }
        for place, change in pending.lines
        for before, link in [kept(change, with_text=False)]
    ]


async def _notes(to: Snapshot, pending: Pending) -> None:
    """The idempotency keys."""
    for batch in in_batches([[key, digest, text(result)] for key, (digest, result) in pending.notes.items()]):
        await to.run(
            "UNWIND $rows AS r MERGE (n:Idempotency {workspace: $workspace, key: r[0]}) "
            "SET n.digest = r[1], n.result = r[2], n.at = $now",
            rows=batch,
        )
        await to.run(f"MATCH (n:Idempotency) WHERE n.at <= $now - {IDEMPOTENCY_US} WITH n LIMIT 100 DELETE n")


_TOLD = "CREATE (:Outbox {workspace: $workspace, place: $place, memory: n.id})"

_ITS_OWN = {"session": "session", "message": "message"}
"""The column of ToolResponse that names a record of a kind; they go with it."""


def _found(way: Way) -> str:
    """What finds the nodes n that name $ids, at once or by way of others."""
    found, before = [], "$ids"
    for number, (kind, column) in enumerate(way):
        node = "n" if number == len(way) - 1 else f"n{number}"
        sign = "IN" if number == 0 else "="
        found.append(seek(kind.label, column.name, f"{sign} {before}", node))
        before = f"{node}.id"
    return " ".join(found)


def _statement(step: Step) -> str:
    """What a step does to the nodes that name $ids."""
    kind, column = step.way[-1]
    told = f" {_TOLD}" if kind is MEMORY.kind else ""
    if step.gone == "null":
        return f"{_found(step.way)} REMOVE n.{column.name}{told}"
    return f"{_found(step.way)}{told}{' WITH n' if told else ''} DETACH DELETE n"


async def along(to: Snapshot, kind: type[Node], ids: list[Id]) -> list[Node]:
    """The records that have a log and go with records of a kind, these among them."""
    gone: dict[Id, Node] = {}
    for way in ways(label(kind).kind) if kind is not MemoryLink else ():
        gone |= {record.id: record for record in await at_the_end(to, kind, way, ids)}
    return list(gone.values())


async def at_the_end(to: Snapshot, kind: type[Node], way: Way, ids: list[Id]) -> list[Any]:
    """The records at the end of a way from those of a kind; of no way these themselves."""
    of = label(way[-1][0].record if way else kind)
    found = _found(way) if way else seek(of.name, "id", "IN $ids")
    [nodes] = await to.run(
        f"{found} AND n.workspace = $workspace WITH collect(DISTINCT n) AS ns RETURN {of.lists()}", ids=ids
    )
    return of.records(nodes)


async def drawn(to: Snapshot, message_ids: list[Id]) -> dict[Id, list[MemoryRef]]:
    """What messages draw on, in order."""
    [found] = await to.run(
        "UNWIND $ids AS id MATCH (n:Message {id: id})-[r:DRAWS_ON]->(m:Memory) WHERE n.workspace = $workspace "
        "WITH n, r, m ORDER BY r.position RETURN collect([n.id, m.id, r.score, r.note])",
        ids=message_ids,
    )
    refs: dict[Id, list[MemoryRef]] = {}
    for id, *ref in found:
        refs.setdefault(id, []).append(MemoryRef(*ref))
    return refs


@functools.cache
def _hanging(kind: Kind[Any]) -> list[str]:
    """What is done before nodes are deleted. A link is a relationship, and goes with the nodes it ties."""
    steps = [_statement(step) for step in gone_with(kind) if step.way[-1][0] is not LINK]
    if kind.name in _ITS_OWN:
        steps.append(_detach("ToolResponse", _ITS_OWN[kind.name]))
    if kind is MEMORY.kind:
        steps.append(f"{seek('Memory', 'id', 'IN $ids')} {_TOLD}")
        steps.append(f"{seek('Change', 'record', 'IN $ids')} REMOVE n.text")
    return steps


def _detach(label: str, column: str) -> str:
    """Deletes the nodes whose column names one of $ids."""
    return f"{seek(label, column, 'IN $ids')} DETACH DELETE n"


async def spans_of(to: Snapshot, kind: type[Node], ids: list[Id]) -> list[tuple[str, Id]]:
    """The trace and the id of each span that goes with records of a kind."""
    if kind is not Span and not issubclass(kind, Session):
        return []
    found = await to.run(
        f"{seek('Span', 'id' if kind is Span else 'session', 'IN $ids')} AND n.workspace = $workspace "
        "RETURN collect([n.trace_id, n.id])",
        ids=ids,
    )
    return [(trace_id, id) for trace_id, id in found[0]]


async def delete(to: Snapshot, kind: type[Node], ids: list[Id]) -> None:
    """Deletes records of the workspace and what only hangs on them."""
    if kind is MemoryLink:
        await to.run(
            "UNWIND $ids AS id MATCH ()-[l:LINK {id: id}]->() WHERE l.workspace = $workspace DELETE l", ids=ids
        )
        return
    of = label(kind)
    found = await to.run(f"{seek(of.name, 'id', 'IN $ids')} AND n.workspace = $workspace RETURN collect(n.id)", ids=ids)
    mine = found[0]
    if mine:
        for statement in _hanging(of.kind):
            await to.run(statement, ids=mine)
        await to.run(_detach(of.name, "id"), ids=mine)
