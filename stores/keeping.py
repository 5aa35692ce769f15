"""What every engine's transaction keeps beside the records that are put and deleted: lines of their logs, the sums
of traces, and which blobs messages show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from domain.blob import Attachment
from domain.message import Message
from domain.node import Id, Node
from domain.span import Span, Trace
from stores import journal, sums


async def put(tx: sums.Sums, records: Sequence[Node]) -> None:
    """Stores records of one type."""
    if not records:
        return
    if isinstance(records[0], Trace):
        records = await sums.as_kept(tx, [record for record in records if isinstance(record, Trace)])
    await journal.put(tx, records)
    if isinstance(records[0], Span):
        await sums.put(tx, [record for record in records if isinstance(record, Span)])
    else:
        await tx.store(records)
    if isinstance(records[0], Message):
        await tx.put(attachments(tx, [record for record in records if isinstance(record, Message)]))


def attachments(tx: sums.Sums, messages: Sequence[Message]) -> list[Attachment]:
    """What says which blobs messages show, each once of a message."""
    return [
        Attachment(
            id=tx.new_id(Attachment),
            message_id=message.id,
            blob_id=blob,
            session_id=message.session_id,
            created_at=message.created_at,
        )
        for message in messages
        for blob in message.blobs
    ]


async def delete(tx: sums.Sums, records: Iterable[Node], spans: Iterable[tuple[str, Id]]) -> None:
    """Tells of what is gone. records: at least those that have a log; spans: (trace id, id) of each."""
    await journal.delete(tx, records)
    await sums.take_away(tx, spans)
