"""The fields of records that a selection shows."""

from __future__ import annotations

from domain.node import Node
from schema.fields import shown_by
from stores.ports import Fields


class Shown:
    """By GraphQL type the fields that are read of its records; None where that is not known, so all of them are."""

    def __init__(self) -> None:
        self._fields: dict[str, Fields | None] = {}

    def notes(self, type_name: str, fields: Fields | None) -> None:
        known = self._fields.get(type_name, frozenset())
        self._fields[type_name] = None if known is None or fields is None else known | fields

    def add(self, other: Shown) -> None:
        for type_name, fields in other._fields.items():
            self.notes(type_name, fields)

    def of(self, record: type[Node]) -> Fields | None:
        """Those of a class of records, by whichever types they are shown."""
        names = {name for cls, name in shown_by().items() if issubclass(cls, record)}
        found: Fields = frozenset()
        for name in names & self._fields.keys():
            if (fields := self._fields[name]) is None:
                return None
            found |= fields
        return found
