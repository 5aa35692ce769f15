"""Annotations: scores, labels and comments by people and programs."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from domain.declaration import NATURAL, SORTED, listed, refers, shown
from domain.node import Id, Node, OfWhich, register
from domain.page import OrderDirection
from domain.values import (
    MAX_BATCH,
    MAX_TEXT,
    AnyNamed,
    Command,
    FloatRange,
    GivenObject,
    Json,
    Key,
    Ref,
    TimeRange,
    Whose,
    encode_json,
)


class Annotation(Node, frozen=True, kw_only=True, gc=False):
    """What somebody says of a record. There is one at most for each target, name and author; no author is one too."""

    prefix: ClassVar[str] = "ann"
    noun: ClassVar[str] = "annotation"

    target_id: Annotated[
        Id,
        refers("Message", "Span", "Session", "Memory", gone="cascade", edge="ON", lives=True),
        NATURAL,
        listed("created_at"),
        shown("annotations", "Scores, labels and comments on it, newest first."),
    ]
    name: Annotated[str, NATURAL, SORTED]
    value: float | None
    label: Annotated[str | None, SORTED]
    comment: str | None
    author_id: Annotated[Id | None, refers("User", "Agent", gone="refuse", edge="BY"), listed("created_at")]
    metadata: Json
    external_id: str | None
    created_at: Annotated[datetime, SORTED]
    updated_at: datetime

    @property
    def value_json(self) -> Json | None:
        """Its value as JSON, as values of other nodes are."""
        return None if self.value is None else encode_json(self.value)


register(Annotation)


class AnnotationTargetKind(enum.Enum):
    """What can be annotated."""

    MESSAGE = "MESSAGE"
    SPAN = "SPAN"
    SESSION = "SESSION"
    MEMORY = "MEMORY"


class AnnotationOrderField(enum.Enum):
    """What annotations are sorted by. Those without a value or label come before the others."""

    CREATED_AT = "CREATED_AT"
    UPDATED_AT = "UPDATED_AT"
    NAME = "NAME"
    VALUE = "VALUE"
    LABEL = "LABEL"


class AnnotationOrder(Command, frozen=True, kw_only=True):
    """An order of annotations; ties are broken by id."""

    field: AnnotationOrderField = AnnotationOrderField.CREATED_AT
    direction: OrderDirection = OrderDirection.DESC


class AnnotationFilter(Command, frozen=True, kw_only=True):
    """Selects annotations; all given members must match."""

    target: OfWhich = None
    target_kinds: list[AnnotationTargetKind] | None = None
    names: list[str] | None = None
    value: FloatRange | None = None
    labels: list[str] | None = None
    author: Whose = None
    external_ids: AnyNamed = None
    created_at: TimeRange | None = None
    updated_at: TimeRange | None = None
    and_: list[AnnotationFilter] | None = msgspec.field(name="and", default=None)
    or_: list[AnnotationFilter] | None = msgspec.field(name="or", default=None)
    not_: AnnotationFilter | None = msgspec.field(name="not", default=None)


class AnnotateInput(Command, frozen=True, kw_only=True):
    """A score, a label, a comment, or several of them. Replaces what the same author said of the target under the same
    name. by: the user or agent who says it."""

    target: Id
    name: Key
    value: float | None = None
    label: Key | None = None
    comment: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)] | None = None
    by: Ref | None = None
    metadata: GivenObject = None
    external_id: Key | None = None
    idempotency_key: Key | None = None


class DeleteAnnotationsInput(Command, frozen=True, kw_only=True):
    """The ids of the annotations to delete."""

    annotations: Annotated[list[Id], Meta(max_length=MAX_BATCH)]
    dry_run: bool = False
