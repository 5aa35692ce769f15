"""The logs that can be followed, but for that of memories: whose records their lines are, and which column says of what
a log is."""

from __future__ import annotations

from typing import Any, NamedTuple

from domain.change import RecordChange
from domain.message import Message
from domain.node import Node
from domain.trace import TraceEvent
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import kind
from stores.ports import Log


class Lines(NamedTuple):
    """The lines of logs of one kind."""

    kind: Kind[Any]
    column: str


LOGS = {
    "trace": Lines(kind(TraceEvent), "session"),
    "messages": Lines(kind(Message), "session"),
    "records": Lines(kind(RecordChange), "about"),
}


def log_of(line: Node) -> Log | None:
    """The log that a line stands in; None where it is of nothing."""
    for name, (of, column) in LOGS.items():
        if of.record is type(line):
            what = getattr(line, str(of.columns[column].field))
            return None if what is None else Log(name, what)
    raise TypeError(f"{line!r} is no line of a log")
