"""A kind of record: all that its declaration says, and the functions that make rows of its records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from domain.node import Node
from stores.catalogue.codec import Variants, decoder, encoder, value_encoder
from stores.catalogue.column import NO_DEFAULT, Column, Spread, read
from stores.rows import Row

N = TypeVar("N", bound=Node)


class Index(NamedTuple):
    """An index that the declaration asks for. where: the column without which rows are left out."""

    columns: tuple[str, ...]
    unique: bool = False
    where: str = ""


class Reading(NamedTuple):
    """The columns that are read for some fields of a record, the id being the first, and what makes it of them."""

    columns: tuple[str, ...]
    decode: Callable[[Row], Any]


class Kind(Generic[N]):
    """One kind of record. columns: by name, in the order of the values in a row; natural: those of its natural key."""

    def __init__(  # noqa: PLR0913 - a declaration
        self,
        record: type[N],
        name: str,
        *,
        label: str = "",
        line: str = "",
        unique: Sequence[tuple[str, ...]] = (),
        indexes: Sequence[tuple[str, ...]] = (),
        derived: Mapping[str, Callable[[N], str]] | None = None,
        variants: tuple[str, Mapping[Any, type[N]]] | None = None,
        clustered: bool = False,
        replaces: bool = False,
        merges: bool = False,
        counted: bool = False,
        exported: bool = True,
        filter: type[msgspec.Struct] | None = None,
        order: type[msgspec.Struct] | None = None,
        logged: Callable[[N], N] | None = None,
    ) -> None:
        """name, label, line: what it is called in tables, in a graph and in a file; the label is the class's name and
        the line the table's where nothing else is said.

        unique, indexes: of columns besides what the fields say. derived: columns that functions make of the record;
        they end the natural key. variants: the field that says of which class a record is, and the classes. clustered:
        rows lie in the order of the natural key, or of the ids, without a key of their own. replaces: what is put under
        a natural key that is there takes its place. merges: what a file has under one that is there is that record; so
        it is with what replaces. counted: statistics tell how many there are. exported: files of our format have it.
        filter: what its lists take. order: what its lists take that follow from a reference (stores.ports.Records).
        logged: what is kept of a record in the log of its kind, which tells of each that is put or deleted.
        """
        self.record, self.name, self.label, self.line = record, name, label or record.__name__, line or name
        self.unique, self.clustered, self.replaces = tuple(unique), clustered, replaces
        self.merges = replaces or merges
        self.counted, self.exported, self._more = counted, exported, tuple(indexes)
        self.filter, self.order, self.logged = filter, order, logged
        self._fields = fields = read(record)
        columns = [one for field in fields for one in (field.columns if isinstance(field, Spread) else [field])]
        columns += [Column(column, None, derived=make) for column, make in (derived or {}).items()]
        self.columns: dict[str, Column] = {column.name: column for column in columns}
        self.variants = variants[1] if variants else {}
        self._told = Variants(self.columns[variants[0]], variants[1]) if variants else None
        self.decode: Callable[[Row], N] = decoder(record, fields, columns, self._told)
        self.encode: Callable[[N], Row] = encoder(columns)
        key = [(column.natural.place, column.name) for column in columns if column.natural is not None]
        self.natural = (*(column for _, column in sorted(key, key=lambda part: part[0])), *(derived or ()))
        self.log = next((column.name for column in columns if column.place), None)
        self.expires = next((column.name for column in columns if column.expires), None)
        self.due = next((column.name for column in columns if column.due), self.expires)

    def __repr__(self) -> str:
        return f"<kind {self.name}>"

    def reading(self, fields: frozenset[str] | None) -> Reading:
        """How some fields of records are read, or all; the others are msgspec.UNSET."""
        if fields is None:
            return Reading(tuple(self.columns), self.decode)
        return _reading(self, fields)

    def partly(self, fields: frozenset[str]) -> Reading:
        """The same, made anew."""
        always = {"id", *([self._told.column.name] if self._told else [])}
        some = [
            column
            for name, column in self.columns.items()
            if name in always or (column.field or "").partition(".")[0] in fields
        ]
        return Reading(tuple(column.name for column in some), decoder(self.record, self._fields, some, self._told))

    @property
    def references(self) -> list[Column]:
        return [column for column in self.columns.values() if column.refers is not None]

    def row(self, record: N) -> dict[str, Any]:
        """The values of a record's row, by the names of the columns."""
        return dict(zip(self.columns, self.encode(record), strict=True))

    def natural_key(self, record: N) -> tuple[str, ...] | None:
        """What a record is called by beside its id (stores.ports.NaturalKey); None where it has no such name."""
        if not self.natural:
            return None
        row = self.row(record)
        key = tuple(row[column] for column in self.natural)
        return None if None in key else key

    def is_over(self, record: N, now: datetime) -> bool:
        """Whether the time of a record is over, so that it is not there any more."""
        return self.expires is not None and self.is_due(record, now)

    def is_due(self, record: N, now: datetime) -> bool:
        """Whether a sweeper has something to do with a record: it has expired, or what its declaration says is due."""
        at = None if self.due is None else getattr(record, str(self.columns[self.due].field))
        return at is not None and at <= now

    def default(self, column: Column) -> Any:
        """The value of a column in the row of a record of before it; None where there is none."""
        return None if column.default is NO_DEFAULT else value_encoder(column)(column.default)

    def scoped(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """What is unique in a workspace, as columns: what begins with another record is of that one's workspace."""
        first = self.columns.get(columns[0])
        return columns if first is not None and first.refers is not None else ("workspace", *columns)

    def indexes(self) -> Iterator[Index]:
        """What the declaration asks for, for any engine; some may be the beginning of others."""
        if self.natural:
            nullable = [name for name in self.natural if self.columns[name].nullable]
            yield Index(self.scoped(self.natural), True, nullable[-1] if nullable else "")
        for columns in self.unique:
            yield Index(columns, True)
        for column in self.columns.values():
            where = column.name if column.nullable else ""
            if column.sorted:
                yield Index(("workspace", column.name, "id"))
            for listed in column.lists:
                yield Index(self.scoped(self._tied((column.name, *listed.by))), False, where)
            if column.expires or column.due:
                yield Index((column.name,), False, where)
            if not column.lists and is_foreign(column):  # or a delete of the other one would read all of these
                yield Index((column.name,), False, where)
        for columns in self._more:
            yield Index(self.scoped(columns))

    def _tied(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Times are not unique, so ids break ties."""
        return (*columns, "id") if self.columns[columns[-1]].form == "time" else columns


@lru_cache(maxsize=512)
def _reading(of: Kind[Any], fields: frozenset[str]) -> Reading:
    return of.partly(fields)


def is_foreign(column: Column) -> bool:
    """Whether the column names a record of one kind, which must be there."""
    return column.refers is not None and column.refers.gone != "keep" and len(column.refers.kinds) == 1
