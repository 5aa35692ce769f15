"""Pending writes, in layers: a script's own over those of the scripts before it in the group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from domain.change import Change
from domain.memory import Memory
from domain.message import MemoryRef
from domain.node import Id, Node
from stores.catalogue.kinds import kind
from stores.catalogue.logs import CHANGES
from stores.ports import NaturalKey
from stores.rows import Row

NOWHERE = dict.fromkeys((log.about for log in CHANGES), 0)
"""Where logs of changes stand that have no lines."""

Put = tuple[Node, Row]
"""A record with its row."""


class Pending:
    """Writes that wait to be flushed. events, changes: the last places given in the workspace's logs, in those of
    changes by what they are about; grown: how far the logs reach that get lines; told: the outbox gets entries; fresh:
    ids that were made here; logged: of which there are lines in the logs of changes."""

    def __init__(self, events: int = 0, changes: Mapping[str, int] = NOWHERE) -> None:
        self.records: dict[str, dict[Id, Put]] = {}
        self.keys: dict[str, dict[NaturalKey, Id]] = {}
        self.references: list[tuple[Id, list[MemoryRef]]] = []
        self.vectors: dict[Id, bytes] = {}
        self.lines: list[tuple[int, Change]] = []
        self.logged: set[Id] = set()
        self.notes: dict[str, tuple[str, Any]] = {}
        self.grown: dict[str, int] = {}
        self.told = False
        self.fresh: set[Id] = set()
        self.events, self.changes = events, dict(changes)

    @property
    def size(self) -> int:
        return sum(map(len, self.records.values())) + len(self.lines) + len(self.vectors) + len(self.references)

    def __bool__(self) -> bool:
        return bool(self.size or self.notes)

    def put(self, records: Sequence[Node]) -> None:
        """Takes on records of one type, new or in place of others."""
        of = kind(type(records[0]))
        columns = list(of.columns)
        natural = [columns.index(column) for column in of.natural]
        here = self.records.setdefault(of.name, {})
        keys = self.keys.setdefault(of.name, {})
        for record in records:
            row = of.encode(record)
            if natural and None not in (key := tuple(row[index] for index in natural)):
                keys[key] = record.id
            here[record.id] = record, row

    def take(self, later: Pending) -> None:
        for name, records in later.records.items():
            self.records.setdefault(name, {}).update(records)
        for name, keys in later.keys.items():
            self.keys.setdefault(name, {}).update(keys)
        self.references += later.references
        self.vectors.update(later.vectors)
        self.lines += later.lines
        self.notes.update(later.notes)
        for log, end in later.grown.items():
            self.grow(log, end)
        self.told |= later.told
        self.fresh |= later.fresh
        self.logged |= later.logged
        self.events, self.changes = later.events, later.changes

    def grow(self, log: str, end: int) -> None:
        """A log reaches so far, or further."""
        self.grown[log] = max(end, self.grown.get(log, 0))

    def empty(self) -> None:
        """Forgets what has been flushed; what grew, the places, and what has lines, stay."""
        fresh = Pending(self.events, self.changes)
        fresh.grown, fresh.told, fresh.logged = self.grown, self.told, self.logged
        self.__dict__.update(fresh.__dict__)

    @property
    def changed(self) -> set[Id]:
        """The memories that the vector index has to be told of."""
        return {*self.records.get("memory", ()), *self.vectors}

    def memories(self) -> list[Memory]:
        return [record for record, _ in self.records.get("memory", {}).values() if isinstance(record, Memory)]


def as_json(value: object) -> str:
    return msgspec.json.encode(value).decode()
