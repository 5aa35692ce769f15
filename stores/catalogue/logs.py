"""The logs that can be followed: those whose lines are records, and those of what happens to records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from domain.message import Message
from domain.node import Node
from domain.trace import TraceEvent
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import KINDS, kind
from stores.ports import Log


class Lines(NamedTuple):
    """The lines of logs of one kind. column: of what a log is."""

    kind: Kind[Any]
    column: str


LOGS = {"trace": Lines(kind(TraceEvent), "session"), "messages": Lines(kind(Message), "session")}

CHANGES = [Log("changes"), *(Log.of_changes(kind.name) for kind in KINDS if kind.logged is not None)]
"""The logs of changes of a workspace."""


def logs_of(lines: Sequence[Node]) -> set[Log]:
    """The logs that lines of one type stand in, without those that are of nothing."""
    for name, (of, column) in LOGS.items():
        if of.record is type(lines[0]):
            field = str(of.columns[column].field)
            return {Log(name, what) for what in {getattr(line, field) for line in lines} if what is not None}
    raise TypeError(f"{lines[0]!r} is no line of a log")
