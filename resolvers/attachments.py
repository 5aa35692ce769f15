"""Which blobs a session alone shows."""

from __future__ import annotations

from domain.blob import Attachment, Blob
from domain.formation import Origin
from domain.node import Id
from domain.session import Session
from resolvers.context import present
from stores.catalogue.kinds import kind
from stores.catalogue.references import gone_with
from stores.ports import Transaction


async def shown_only_in(tx: Transaction, session: Session) -> list[Blob]:
    """The blobs that only this session shows, or tells of, and of which no memory was formed."""
    mine: dict[Id, Attachment] = {}
    for step in gone_with(kind(Session)):
        if step.way[-1][0].record is Attachment:
            way = [(of.record, named.name) for of, named in step.way]
            mine |= {one.id: one for one in await tx.along(Session, way, [session.id])}
    ids = list({one.blob_id for one in mine.values()})
    if not ids:
        return []
    shown = await tx.along(Blob, [(Attachment, "blob")], ids)
    formed = await tx.along(Blob, [(Origin, "source")], ids)
    used = {one.blob_id for one in shown if one.id not in mine} | {one.source_id for one in formed}
    return await present(tx, Blob, [id for id in ids if id not in used])
