"""What other records can be about: messages, spans, sessions and memories."""

from __future__ import annotations

from domain.values import Command


class TargetFilter(Command, frozen=True, kw_only=True):
    """What every filter of such records takes."""
