"""What the code of file version 2 and graph version 4 has written, and how it told it.

Both hold some of every kind of record, in the workspaces main, elsewhere and /keys: the rows that fill every list of
the contract suite, and what each engine keeps beside records. folder.db.gz is the file of the embedded engine,
graph.jsonl the nodes and relationships of Neo4j; *-main.jsonl and *-elsewhere.jsonl are exports of both by that code,
*-beside.jsonl are the records that an export leaves out.
"""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from domain.audit import AuditEntry
from domain.caller import LOCAL
from domain.key import ApiKey
from domain.link import MemoryLinkKind
from domain.memory import Memory, MemoryStatus
from domain.node import Id, Node
from domain.session import Session
from domain.span import Trace
from domain.tally import ZERO
from formats.recollect import jsonl
from formats.recollect.lines import Entry, read
from resolvers.context import Context
from stores.contract.making import DIMENSION, after, axis, keep, link, memory, remember
from stores.embedded.engine import FILE
from stores.ports import Engine, Store
from tests.support import services

FIXTURES = Path(__file__).parents[1] / "stores" / "fixtures"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BESIDE: dict[str, type[Node]] = {"ApiKey": ApiKey, "AuditEntry": AuditEntry}


class _Embedder:
    name, dimension = "test", DIMENSION


def old_folder(folder: Path) -> Path:
    """Makes the folder of before."""
    folder.mkdir()
    (folder / FILE).write_bytes(gzip.decompress((FIXTURES / "folder.db.gz").read_bytes()))
    return folder


def old_graph(folder: Path) -> None:
    """Makes Neo4j hold the graph of before, as that of a folder. Weaviate is to be told of its memories."""
    services.hold(folder)
    lines = [json.loads(line) for line in (FIXTURES / "graph.jsonl").read_text("utf-8").splitlines()]
    for line in lines:
        if "node" in line:
            properties = {**{name: _value(value) for name, value in line["properties"].items()}, "_node": line["node"]}
            labels = ":".join(line["labels"])
            made = "MERGE (n:Recollect {one: 1})" if labels == "Recollect" else f"CREATE (n:{labels})"
            services.run(f"{made} SET n = $properties", properties=properties)
    for line in lines:
        if "type" in line:
            services.run(
                f"MATCH (a {{_node: $start}}), (b {{_node: $end}}) CREATE (a)-[r:{line['type']}]->(b) SET r = $properties",
                start=line["from"],
                end=line["to"],
                properties={name: _value(value) for name, value in line["properties"].items()},
            )
    services.run("MATCH (n) REMOVE n._node")
    services.run("MATCH (n:Memory) CREATE (:Outbox {workspace: n.workspace, place: 1, memory: n.id})")


def _value(value: Any) -> Any:
    return base64.b64decode(value["bytes"]) if isinstance(value, dict) else value


async def assert_holds_what_was_told(engine: Engine, name: str) -> None:
    """Everything is as the code of before told it; name: "folder" or "graph"."""
    for workspace in ("main", "elsewhere"):
        context = Context(engine, _Embedder(), msgspec.structs.replace(LOCAL, workspace=workspace), 1_000)  # type: ignore[arg-type]
        now = [line async for line in jsonl.export(context)]
        with (FIXTURES / f"{name}-{workspace}.jsonl").open("rb") as before:
            told = list(map(_comparable, read(before)))
        assert list(map(_comparable, read(now))) == told
        assert len(told) > 15
    for line in (FIXTURES / f"{name}-beside.jsonl").read_bytes().splitlines():
        one = msgspec.json.decode(line)
        record = msgspec.convert(one["record"], _BESIDE[one["kind"]], str_keys=True)
        assert await engine.workspace(one["workspace"]).get(type(record), [record.id]) == [record]


def _comparable(entry: Any) -> Any:
    if not isinstance(entry, Entry):
        return entry
    record = entry.record
    if isinstance(record, Trace):  # their sums were not kept, and few told them
        record = Trace(id=record.id, trace_id=record.trace_id, session_id=record.session_id, started_at=_EPOCH)
    if isinstance(record, Session):  # neither were theirs
        record = record.with_used(ZERO)
    return entry.type, record, None if entry.vector is None else np.asarray(entry.vector).tolist()


async def superseded_before(store: Store) -> tuple[list[Id], list[Memory]]:
    """Writes memories as they were superseded before that ended their validity; their ids, and what they are to be: the
    end where nobody has said one, the first of several, a beginning before the time of the link."""
    superseded = MemoryStatus.SUPERSEDED
    drafts = [memory(status=superseded), memory(status=superseded), memory(), memory(status=superseded)]
    *old, new, later = await remember(
        store, *drafts, memory(), memory(valid_from=after(days=300)), vectors=[axis(0)] * 6
    )
    kind = MemoryLinkKind.SUPERSEDES
    pairs = [(new, old[0]), (later, old[1]), (new, old[2]), (later, old[0])]
    links = [link(a, b, kind=kind, created_at=after(days=10)) for a, b in pairs]
    await keep(store, *links, link(new, old[3], kind=MemoryLinkKind.SUPPORTS))
    ends = [after(days=10), after(days=300), None, None]
    return [one.id for one in old], [
        msgspec.structs.replace(one, valid_until=end) for one, end in zip(old, ends, strict=True)
    ]
