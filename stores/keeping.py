"""What every engine's transaction keeps beside the records that are put and deleted: lines of their logs, the sums
of traces and sessions, which blobs messages show, and the chunks of what documents say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from domain.blob import Attachment, Blob, MediaKind
from domain.message import Message
from domain.node import Id, Node
from domain.session import Session
from domain.span import Span, Trace
from stores import documents, journal, sums


async def put(tx: sums.Sums, records: Sequence[Node]) -> None:
    """Stores records of one type."""
    if not records:
        return
    if isinstance(records[0], Trace):
        await _put_traces(tx, await sums.as_kept(tx, [record for record in records if isinstance(record, Trace)]))
        return
    if isinstance(records[0], Session):
        records = await sums.as_charged(tx, [record for record in records if isinstance(record, Session)])
    await journal.put(tx, records)
    if isinstance(records[0], Span):
        await sums.put(tx, [record for record in records if isinstance(record, Span)])
    elif isinstance(records[0], Blob):
        await documents.put(tx, [record for record in records if isinstance(record, Blob)])
    else:
        await tx.store(records)
    if isinstance(records[0], Message | Span):
        await _attach(tx, [record for record in records if isinstance(record, Message | Span)])


async def _put_traces(tx: sums.Sums, traces: list[Trace]) -> None:
    before = await tx.get(Trace, [one.id for one in traces])
    await journal.put(tx, traces)
    await tx.store(traces)
    await sums.charge(tx, before, traces)


async def _attach(tx: sums.Sums, records: Sequence[Message | Span]) -> None:
    """Says which blobs messages show and spans tell of, each once."""
    of_messages = {
        (one.id, blob): (one.session_id, kind)
        for one in records
        if isinstance(one, Message)
        for blob, kind in one.blobs.items()
    }
    spans = [one for one in records if isinstance(one, Span)]
    shown: dict[tuple[Id, Id], tuple[Id | None, MediaKind | None]] = {**of_messages}
    shown |= {(one.id, blob): (None, None) for one in spans for blob in one.blobs}
    told = [(one.id, digest) for one in spans for digest in one.told_files]
    if told:
        digests = list({digest for _, digest in told})
        there = dict(zip(digests, await tx.find(Blob, [(digest,) for digest in digests]), strict=True))
        shown |= {(id, blob.id): (None, None) for id, digest in told if (blob := there[digest]) is not None}
    if not shown:
        return
    known = await tx.find(Attachment, list(shown))
    fresh = [
        Attachment(
            id=tx.new_id(Attachment), target_id=id, blob_id=blob, session_id=session, kind=kind, created_at=tx.now
        )
        for ((id, blob), (session, kind)), one in zip(shown.items(), known, strict=True)
        if one is None
    ]
    await tx.put(fresh)


async def delete(tx: sums.Sums, records: Iterable[Node], spans: Iterable[tuple[str, Id]]) -> None:
    """Tells of what is gone. records: at least those that have a log; spans: (trace id, id) of each."""
    records = list(records)
    await journal.delete(tx, records)
    gone = [one for one in records if isinstance(one, Trace)]
    await sums.charge(tx, gone, [None] * len(gone))
    await sums.take_away(tx, spans)
