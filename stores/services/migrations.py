"""Migrate a graph written by an older program to the current version.

What the declarations of records ask for needs no step of its own: constraints and indexes that are not there are made,
and nodes get the properties they lack: those of fields with a default, and those that filters and orders look into. A
step is for what cannot follow from them.

Every change is made in batches and may be broken off: the next start goes on. Of programs that start at once one works,
the others wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import Any

import msgspec
from neo4j import Driver

from domain.blob import Blob
from domain.conventions.columns import told_again
from domain.document import DocumentChunk
from domain.message import renewed
from domain.span import TokenUsage
from domain.tally import sums_of
from stores import documents, sums
from stores.catalogue.column import NO_DEFAULT, Column
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import KINDS, targets
from stores.ids import Ids
from stores.inheritance import inheriting
from stores.rows import text
from stores.services.labels import COUNTERS, LINK, SESSION, SPAN, TALLY, TRACE, Label, label, statements
from stores.services.properties import added, extras
from stores.words import stored

Run = Callable[..., list[Any]]
"""Runs a statement with its parameters, in a transaction of its own; the records."""

_BATCH = 5_000
"""Nodes that one transaction changes."""


def migrate(driver: Driver, database: str) -> None:
    """Brings the graph to the current version."""
    with driver.session(database=database) as session:

        def run(statement: str, **parameters: Any) -> list[Any]:
            return list(session.run(statement, parameters))

        for statement in statements():
            run(statement)
        run("CALL db.awaitIndexes(60)")
        # The node is locked until the end, by a connection of its own, with which the lock goes.
        with driver.session(database=database) as locking, locking.begin_transaction() as lock:
            found = lock.run("MATCH (m:Recollect {one: 1}) SET m.one = 1 RETURN m.version, m.filled").single(
                strict=True
            )
            version, filled = found[0], set(found[1] or ())
            if version > 0:
                for name, fill in _asked().items():
                    if name not in filled:
                        fill(run)
                for step in STEPS[max(version - _FIRST, 0) :]:
                    step(run)
            lock.run(
                "MATCH (m:Recollect {one: 1}) SET m.version = $version, m.filled = $filled, m.declared = $declared",
                version=max(VERSION, version),
                filled=sorted(filled | _asked().keys()),
                declared=_declared(),
            ).consume()
            lock.commit()


def is_current(version: int, declared: str | None) -> bool:
    """Whether a graph of that version, made for these declarations, is as it should be."""
    return version == VERSION and declared == _declared()


def _declared() -> str:
    """A digest of what the declarations ask of a graph."""
    return blake2b(";".join([*statements(), *_asked()]).encode(), digest_size=16).hexdigest()


def _asked() -> dict[str, Callable[[Run], None]]:
    """The properties that every node of a label has, and what gives them to those of before."""
    asked: dict[str, Callable[[Run], None]] = {}
    for kind in KINDS:
        for column in kind.columns.values():
            if column.default is not NO_DEFAULT and column.default is not None and not column.place:
                asked[f"{kind.label}.{column.name}"] = partial(_fill, kind=kind, column=column)
        if kind is not LINK:
            for name, make in added(kind).items():
                asked[f"{kind.label}.{name}"] = partial(_look_into, of=label(kind.record), name=name, make=make)
    return asked


def _each(kind: Kind[Any]) -> str:
    return "MATCH ()-[n:LINK]->()" if kind is LINK else f"MATCH (n:{kind.label})"


def _fill(run: Run, kind: Kind[Any], column: Column) -> None:
    """Gives nodes of before a column its default."""
    run(
        f"{_each(kind)} WHERE n.{column.name} IS NULL "
        f"CALL (n) {{ SET n.{column.name} = $value }} IN TRANSACTIONS OF {_BATCH} ROWS",
        value=kind.default(column),
    )


def _look_into(run: Run, of: Label[Any], name: str, make: Callable[[Any], Any]) -> None:
    """Gives nodes of before a filter or an order what it looks into."""
    missing = f"MATCH (n:{of.name}) WHERE n.{name} IS NULL WITH n LIMIT {_BATCH} WITH collect(n) AS ns"
    while records := of.records(run(f"{missing} RETURN {of.lists()}")[0][0]):
        run(
            f"UNWIND $rows AS r MATCH (n:{of.name} {{id: r[0]}}) SET n.{name} = r[1]",
            rows=[[record.id, make(record)] for record in records],
        )


def _nothing(run: Run) -> None:
    """A step whose changes follow from the declarations."""


def _forget_what_is_gone(run: Run) -> None:
    """Empties references to records that were deleted, which earlier versions left behind two steps away."""
    for kind in KINDS:
        for column in kind.references:
            if column.refers is not None and column.refers.gone == "null":
                there = " OR ".join(
                    f"EXISTS {{ MATCH (:{target.label} {{id: n.{column.name}}}) }}" for target in targets(column.refers)
                )
                run(
                    f"{_each(kind)} WHERE n.{column.name} IS NOT NULL AND NOT ({there}) "
                    f"CALL (n) {{ REMOVE n.{column.name} }} IN TRANSACTIONS OF {_BATCH} ROWS"
                )


def _sum_up(run: Run) -> None:
    """Gives traces the sums of their spans, and spans what they inherit, one trace in one transaction: it can be broken
    off."""
    ids = Ids(lambda: datetime.now(UTC))
    for workspace, trace_id in run("MATCH (n:Span) RETURN DISTINCT n.workspace, n.trace_id"):
        of = {"workspace": workspace, "trace_id": trace_id}
        same = "n.workspace = $workspace AND n.trace_id = $trace_id"
        if run(f"MATCH (n:Tally) WHERE {same} AND n.span_id = '' RETURN n.id", **of):
            continue
        [[found]] = run(f"MATCH (n:Span) WHERE {same} WITH collect(n) AS ns RETURN {SPAN.lists()}", **of)
        stored = SPAN.records(found)
        spans = inheriting(stored, {})
        changed = [span for span, was in zip(spans, stored, strict=True) if span is not was]
        tallies, top = sums.summed_up(spans, lambda kind: kind.make_id(ids.next()))
        [[found]] = run(f"MATCH (n:Trace) WHERE {same} WITH collect(n) AS ns RETURN {TRACE.lists()}", **of)
        traces = [sums.summed(trace, top) for trace in TRACE.records(found)]
        run(
            "CALL () { UNWIND $spans AS r MATCH (n:Span {id: r.id}) SET n += r } "
            "CALL () { UNWIND $traces AS r MATCH (n:Trace {id: r.id}) SET n += r } "
            "CALL () { UNWIND $rows AS r CREATE (t:Tally) SET t = r, t.workspace = $workspace }",
            workspace=workspace,
            spans=[dict(zip(SPAN.columns, SPAN.encode(span), strict=True)) for span in changed],
            traces=[dict(zip(TRACE.columns, TRACE.encode(trace), strict=True)) for trace in traces],
            rows=[dict(zip(TALLY.columns, TALLY.encode(tally), strict=True)) for tally in tallies],
        )


def _read_conventions(run: Run) -> None:
    """Gives spans what conventions tell, and traces the sums of that."""
    after = ""
    page = "MATCH (n:Span) WHERE n.id > $after WITH n ORDER BY n.id LIMIT 1000 WITH collect(n) AS ns"
    while spans := SPAN.records(run(f"{page} RETURN {SPAN.lists()}", after=after)[0][0]):
        after = spans[-1].id
        told = [dict(zip(SPAN.columns, SPAN.encode(told_again(span)), strict=True)) for span in spans]
        run("UNWIND $rows AS r MATCH (n:Span {id: r.id}) SET n += r", rows=told)
    _sum_up_again(run)


def _sum_up_again(run: Run) -> None:
    run(f"MATCH (n:Tally) CALL (n) {{ DETACH DELETE n }} IN TRANSACTIONS OF {_BATCH} ROWS")
    _sum_up(run)


def _forget_texts(run: Run) -> None:
    """Takes the texts of deleted memories out of the log."""
    read = "MATCH (n:Change) WHERE n.memory IS NOT NULL AND elementId(n) > $after RETURN elementId(n) AS id, n.memory"
    after = ""
    while lines := run(f"{read} ORDER BY id LIMIT 1000", after=after):
        rows = [[id, text({**msgspec.json.decode(memory), "text": ""})] for id, memory in lines]
        run("UNWIND $rows AS r MATCH (n:Change) WHERE elementId(n) = r[0] SET n.memory = r[1]", rows=rows)
        after = rows[-1][0]


def _drop_what_is_longer_now(run: Run) -> None:
    """Takes away an index that another begins with."""
    run("DROP INDEX memory_holder_status IF EXISTS")


def _end_superseded(run: Run) -> None:
    """Says until when memories were valid that were superseded before that ended it: until the others began. The vector
    index is told."""
    run(
        "MATCH (n:Memory) WHERE n.status = 'SUPERSEDED' AND n.valid_until IS NULL CALL (n) { "
        "MATCH (s:Memory)-[l:LINK {kind: 'SUPERSEDES'}]->(n) "
        "WITH n, min(coalesce(s.valid_from, l.created_at)) AS at MATCH (w:Workspace {name: n.workspace}) "
        "SET n.valid_until = at CREATE (:Outbox {workspace: n.workspace, place: coalesce(w.writes, 0), memory: n.id}) "
        f"}} IN TRANSACTIONS OF {_BATCH} ROWS"
    )


def _index_texts(run: Run) -> None:
    """Gives memories words of our own."""
    read = f"MATCH (n:Memory) WHERE n.id > $after RETURN n.id AS id, n.text ORDER BY id LIMIT {_BATCH}"
    after = ""
    while lines := run(read, after=after):
        rows = [[id, *map(" ".join, stored(text))] for id, text in lines]
        run("UNWIND $rows AS r MATCH (n:Memory {id: r[0]}) SET n.words = r[1], n.loose = r[2]", rows=rows)
        after = rows[-1][0]
    run("DROP INDEX memory_words IF EXISTS")


def _name_media(run: Run) -> None:
    """Tells what is an image, a sound, a film or a document, in messages and in what spans tell of models' calls."""
    for name, column in (("Message", "content"), ("Span", "call")):
        old = f'MATCH (n:{name}) WHERE n.{column} CONTAINS \'"kind":"media","media_type"\''
        found = f"{old} RETURN n.id, n.{column} LIMIT {_BATCH}"
        while rows := [[id, renewed(value)] for id, value in run(found)]:
            run(f"UNWIND $rows AS r MATCH (n:{name} {{id: r[0]}}) SET n.{column} = r[1]", rows=rows)


def _digest_members(run: Run) -> None:
    """Gives nodes what filters by metadata look into anew where a member is long."""
    for kind in KINDS:
        if kind is not LINK and (make := added(kind).get("members")) is not None:
            of = label(kind.record)
            run(
                f"MATCH (n:{of.name}) WHERE any(one IN n.members WHERE size(one) > 200) "
                f"CALL (n) {{ REMOVE n.members }} IN TRANSACTIONS OF {_BATCH} ROWS"
            )
            _look_into(run, of, "members", make)


def _drop_index_of_parents(run: Run) -> None:
    run("DROP INDEX span_workspace_trace_id_parent_span_id IF EXISTS")


def _one_log(run: Run) -> None:
    """Gives all lines of logs of changes one form, and takes the places of those of other kinds than memories along."""
    run("DROP CONSTRAINT change_key IF EXISTS")
    run(
        "MATCH (n:Change) WHERE n.about IS NULL CALL (n) { SET n.about = 'memory', n.record = n.memory_id, "
        f"n.before = n.memory REMOVE n.memory_id, n.memory }} IN TRANSACTIONS OF {_BATCH} ROWS"
    )
    for about, counter in COUNTERS.items():
        run(
            "MATCH (n:RecordChange {about: $about}) WITH n.workspace AS name, max(n.place) AS last "
            f"MATCH (w:Workspace {{name: name}}) SET w.{counter} = last",
            about=about,
        )
    run(
        "MATCH (n:RecordChange) CALL (n) { SET n:Change, n.before = CASE n.before WHEN 'null' THEN null ELSE n.before "
        f"END REMOVE n:RecordChange, n.id, n.after }} IN TRANSACTIONS OF {_BATCH} ROWS"
    )
    run("DROP INDEX change_memory_id IF EXISTS")
    run("DROP CONSTRAINT recordchange_id IF EXISTS")
    run("DROP INDEX recordchange_workspace_about_place IF EXISTS")


def _cut_documents(run: Run) -> None:
    """Cuts what documents say into chunks, one document in one transaction."""
    of, to = label(Blob), label(DocumentChunk)
    now = datetime.now(UTC)
    ids = Ids(lambda: now)
    whole = "MATCH (n:Blob) WHERE n.text <> '' AND NOT EXISTS { (:DocumentChunk)-[:OF]->(n) }"
    for (id,) in run(f"{whole} RETURN n.id"):
        read = (
            f"MATCH (n:Blob {{id: $id}}) WITH n.workspace AS workspace, collect(n) AS ns RETURN workspace, {of.lists()}"
        )
        for workspace, found in run(read, id=id):
            [blob] = of.records(found)
            chunks = documents.cut(blob, lambda kind: kind.make_id(ids.next()), now)
            run(
                "MATCH (b:Blob {id: $id}) UNWIND $rows AS r CREATE (n:DocumentChunk)-[:OF]->(b) "
                "SET n = r, n.workspace = $workspace",
                id=id,
                workspace=workspace,
                rows=[dict(zip(to.columns, to.encode(one), strict=True)) | extras(one) for one in chunks],
            )


def _index_again(run: Run) -> None:
    """Gives all that is found by words its words anew; every time they are made otherwise there is such a step."""
    for kind in KINDS:
        if kind is not LINK and "words" in (makers := added(kind)):
            of = label(kind.record)
            run(f"MATCH (n:{of.name}) CALL (n) {{ REMOVE n.words, n.loose }} IN TRANSACTIONS OF {_BATCH} ROWS")
            for name in ("words", "loose"):
                _look_into(run, of, name, makers[name])


def _charge(run: Run) -> None:
    """Gives sessions the sums of their traces, and traces how many of their spans failed."""
    told = ", ".join(f"sum(n.{name}), count(n.{name})" for name in TokenUsage.__struct_fields__)
    after = ""
    page = f"MATCH (n:Session) WHERE n.id > $after WITH n ORDER BY n.id LIMIT {_BATCH} WITH collect(n) AS ns"
    while found := SESSION.records(run(f"{page} RETURN {SESSION.lists()}", after=after)[0][0]):
        after = found[-1].id
        added = run(
            f"UNWIND $ids AS id MATCH (n:Trace) WHERE n.session = id RETURN id, [{told}]", ids=[one.id for one in found]
        )
        by_id = {one.id: one for one in found}
        charged = [by_id[id].with_used(sums_of(row)) for id, row in added]
        run(
            "UNWIND $rows AS r MATCH (n:Session {id: r.id}) SET n += r",
            rows=[dict(zip(SESSION.columns, SESSION.encode(one), strict=True)) for one in charged],
        )
    run(
        "MATCH (n:Trace) WHERE n.status_code = 'ERROR' CALL (n) { SET n.error_spans = COUNT { MATCH (s:Span) "
        "WHERE s.workspace = n.workspace AND s.trace_id = n.trace_id AND s.status_code = 'ERROR' } } "
        f"IN TRANSACTIONS OF {_BATCH} ROWS"
    )


_FIRST = 4
"""The version before the first step; earlier ones only lack indexes."""

STEPS: tuple[Callable[[Run], None], ...] = (
    _sum_up,  # 5: traces have sums
    _forget_texts,  # 6: the log keeps no text of a deleted memory
    _nothing,  # 7: names have the form that lists are sorted by
    _forget_what_is_gone,  # 8: nothing names what is gone
    _read_conventions,  # 9: what spans tell by any convention is read when they come
    _drop_what_is_longer_now,  # 10: an owner's memories are read by their weights
    _end_superseded,  # 11: what was superseded was valid until then
    _index_texts,  # 12: words are our own, in every language
    _name_media,  # 13: parts of messages say what they are, and may show a blob
    _sum_up_again,  # 14: sums know what is told twice, and what is reckoned
    _digest_members,  # 15: long attributes are looked for by their digests
    _drop_index_of_parents,  # 16: there is a longer one
    _sum_up_again,  # 17: traces know how many spans run, and a root that has come
    _sum_up_again,  # 18: spans know what agent and user they inherit
    _one_log,  # 19: lines of the logs of changes are alike
    _cut_documents,  # 20: what documents say is found, in chunks
    _index_again,  # 21: words of numbers beside characters, of roots, and behind prefixes
    _index_again,  # 22: words are also found by two letters for one
    _charge,  # 23: sessions have sums, and traces know how many spans failed
)
"""Each brings a graph to the next version. Never edited once released, only added to."""

VERSION = _FIRST + len(STEPS)
