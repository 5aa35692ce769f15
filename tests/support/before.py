"""What the code of file version 2 and graph version 4 has written, and how it told it.

Both hold some of every kind of record, in the workspaces main, elsewhere and /keys: the rows that fill every list of
the contract suite, and what each engine keeps beside records. folder.db.gz is the file of the embedded engine,
graph.jsonl the nodes and relationships of Neo4j; *-main.jsonl and *-elsewhere.jsonl are exports of both by that code,
*-beside.jsonl are the records that an export leaves out.
"""

from __future__ import annotations

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
from domain.node import Node
from domain.span import Trace
from formats.recollect import jsonl
from formats.recollect.lines import Entry, read
from resolvers.context import Context
from stores.embedded.engine import FILE
from stores.ports import Engine
from tests.contract.making import DIMENSION

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


def old_graph() -> list[dict[str, Any]]:
    """The nodes and relationships of before, in lines."""
    return [json.loads(line) for line in (FIXTURES / "graph.jsonl").read_text("utf-8").splitlines()]


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
    return entry.type, record, None if entry.vector is None else np.asarray(entry.vector).tolist()
