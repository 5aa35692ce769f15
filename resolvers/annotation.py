"""Annotations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from domain.actor import Actor
from domain.annotation import AnnotateInput, Annotation, AnnotationFilter, DeleteAnnotationsInput
from domain.change import ChangeKind
from domain.errors import invalid, not_found
from domain.node import Id, Node, id_of, kind_of
from domain.values import EMPTY_OBJECT, changed
from resolvers.actors import actors, user_or_agent
from resolvers.context import Context, Unchanged, records_of
from resolvers.idempotency import write
from resolvers.lists import Listed
from resolvers.live import cursor_of, record_changes
from stores.catalogue import kinds
from stores.ports import Records, Transaction
from stores.treated import settled

ANNOTATIONS = Listed(Records(Annotation), AnnotationFilter)


class AnnotationEdge(msgspec.Struct, frozen=True):
    """One change of an annotation and its cursor."""

    cursor: str
    time: datetime
    kind: ChangeKind
    left: bool
    annotation_id: Id
    annotation: Annotation | None


async def annotate(context: Context, input: AnnotateInput) -> Annotation:
    """Adds a score, label or comment to a message, span, session or memory. Replaces what the same author said of it
    under the same name. Raises Rejected: INVALID, NOT_FOUND, AMBIGUOUS."""

    async def script(tx: Transaction) -> Annotation:
        if input.value is None and input.label is None and input.comment is None:
            raise invalid("Give a value, a label or a comment.", ["value"])
        target = await _target(tx, input.target)
        author = None if input.by is None else await user_or_agent(tx, input.by, ["by"])
        before = (await tx.find(Annotation, [(target.id, input.name, id_of(author) or "")]))[0]
        said: dict[str, Any] = {
            "value": input.value,
            "label": input.label,
            "comment": input.comment,
            "metadata": input.metadata or EMPTY_OBJECT,
            "external_id": input.external_id,
        }
        if before is not None:
            after = settled(tx, before, changed(before, **said))
            if after is before:
                raise Unchanged(before)
            after = msgspec.structs.replace(after, updated_at=tx.now)
        else:
            after = Annotation(
                id=tx.new_id(Annotation),
                target_id=target.id,
                name=input.name,
                author_id=id_of(author),
                created_at=tx.now,
                updated_at=tx.now,
                **said,
            )
        await tx.put([after])
        return after

    return await write(context, input, script)


async def _target(tx: Transaction, id: Id) -> Node:
    refers = kinds.kind(Annotation).columns["target"].refers
    kind = kind_of(id)
    if kind is None or refers is None:
        raise not_found("record", ["target"])
    of = kinds.kind(kind)
    if of not in kinds.targets(refers):
        raise invalid("Only messages, spans, sessions and memories can be annotated.", ["target"])
    if (found := (await tx.get(of.record, [id]))[0]) is None:
        raise not_found(kind.noun, ["target"])
    return found


async def delete(context: Context, input: DeleteAnnotationsInput) -> list[Annotation]:
    """Deletes annotations, all or none, and returns them as they were. Raises Rejected: NOT_FOUND."""

    async def script(tx: Transaction) -> list[Annotation]:
        gone = {}
        for index, found in enumerate(await tx.get(Annotation, input.annotations)):
            if found is None:
                raise not_found(Annotation.noun, ["annotations", index])
            gone[found.id] = found
        if not input.dry_run:
            await tx.delete(Annotation, list(gone))
        return list(gone.values())

    return await context.write(script)


async def targets(context: Context, annotations: Sequence[Annotation]) -> list[Node | None]:
    """What each annotation is about."""
    found = await records_of(context, [one.target_id for one in annotations])
    return [found.get(one.target_id) for one in annotations]


async def authors(context: Context, annotations: Sequence[Annotation]) -> list[Actor | None]:
    """The user or agent who said it."""
    return await actors(context, [one.author_id for one in annotations])


async def cursor(context: Context) -> str:
    """Where the workspace's annotation changes stand."""
    return await cursor_of(context, Annotation)


async def changes(
    context: Context, filter: AnnotationFilter | None = None, after: str | None = None
) -> AsyncIterator[AnnotationEdge]:
    """Changes to the workspace's annotations. Raises Rejected: INVALID, AMBIGUOUS; CursorExpired."""
    async for edge in record_changes(context, Annotation, filter, after):
        yield AnnotationEdge(edge.cursor, edge.time, edge.kind, edge.left, edge.record_id, edge.record)
