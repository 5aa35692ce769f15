"""Annotations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from domain import annotation as domain
from domain.change import ChangeKind
from resolvers import annotation
from schema import page, payloads, refs
from schema.fields import backed_by, relation
from schema.memory import Memory
from schema.message import Message
from schema.page import Node
from schema.scalars import JSON
from schema.session import ChatSession, PanelSession, PlaygroundSession, WorkflowSession
from schema.trace import Span

AnnotationTarget = Annotated[
    Message | Span | ChatSession | PanelSession | WorkflowSession | PlaygroundSession | Memory,
    strawberry.union("AnnotationTarget", description="What can be annotated."),
]


@backed_by(domain.Annotation)
@strawberry.type(description="A score, label or comment on a message, span, session or memory.")
class Annotation(Node):
    external_id: str | None = strawberry.field(description="The caller's own id; annotations may share it.")
    target = relation(annotation.targets, AnnotationTarget, "What it is about.")
    name: str = strawberry.field(description="What is judged. An author has one annotation with this name on a target.")
    value_json: JSON | None = strawberry.field(name="value", description="A number.")
    label: str | None
    comment: str | None
    author = relation(annotation.authors, refs.optional(refs.Actor), "The user or agent who said it, where known.")
    metadata: JSON
    created_at: datetime
    updated_at: datetime = strawberry.field(description="When it last changed.")


AnnotationConnection = page.connection_of("Annotation", Annotation)
AnnotationPayload = payloads.payload("Annotation", annotation=refs.optional(Annotation))
AnnotationsPayload = payloads.payload("Annotations", annotations=refs.optional(list[Annotation]))


@backed_by(annotation.AnnotationEdge)
@strawberry.type(description="A change to an annotation.")
class AnnotationChange:
    cursor: str
    time: datetime
    kind: ChangeKind = strawberry.field(description="CREATED, UPDATED or DELETED, also with its target.")
    annotation_id: strawberry.ID
    annotation: Annotation | None = strawberry.field(
        description="The annotation as it is now; null once it is deleted."
    )
    left: bool = strawberry.field(
        description="The annotation matched the filter before this change and does not any more; a deleted one leaves "
        "every list."
    )
