"""What other records can be about: messages, spans, sessions and memories."""

from __future__ import annotations

from domain.annotation import AnnotationFilter
from domain.values import Command


class TargetFilter(Command, frozen=True, kw_only=True):
    """The members that the filters of all such records share. annotation: at least one annotation matches it."""

    annotation: AnnotationFilter | None = None
