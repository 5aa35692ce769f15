"""SQL that reads and writes each kind of record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from domain.link import MemoryLink
from domain.memory import Memory
from domain.message import Message
from domain.node import Node
from domain.participant import Participant
from domain.session import Session
from domain.span import Span, Trace
from domain.tally import Tally
from domain.trace import TraceEvent
from stores.catalogue.column import Column
from stores.catalogue.kind import Kind
from stores.catalogue.kinds import KINDS, expiring, foreign
from stores.embedded.tables import BESIDE
from stores.ports import Fields
from stores.rows import Row

N = TypeVar("N", bound=Node)


def is_key(step: tuple[Kind[Any], Column]) -> bool:
    """Whether the column of a step holds keys."""
    return foreign(step[1]) is not None


class Table(Generic[N]):
    """The statements of one kind; its rows are read under the alias t. live: the condition that a row is not expired.
    written: the columns of a row that is written, and values the expressions of them. add, insert: the statements that
    write a row that is new, and any row; where there are foreign keys an upsert takes twice the time, since SQLite
    copies each page it changes, in case it has to take the row back.

    A column that names a record of one kind holds that one's key, and reads as its id.
    """

    def __init__(self, of: Kind[N]) -> None:
        self.kind, self.name, self.decode, self.encode = of, of.name, of.decode, of.encode
        self.keys = {name: target.name for name, column in of.columns.items() if (target := foreign(column))}
        columns = [name for name in of.columns if name != of.log]
        if of.log:  # the place is the row's own key, and the last column
            self.encode = lambda record: of.encode(record)[:-1]
        self.live = live = self._live()
        self.columns = self._listed(of.columns)
        self.select = f"SELECT {self.columns} FROM {self.name} t"
        self.by_id = f"{self.select} WHERE t.id = ? AND t.workspace = ?{live}"
        natural = " AND ".join(map(self.equals, of.natural))
        self.by_natural = f"{self.select} WHERE {natural} AND t.workspace = ?{live}" if natural else ""
        # Many at once, each with its place among those asked for.
        named = " AND ".join(self.equals(name, f"e.value ->> {place}") for place, name in enumerate(of.natural))
        self.by_naturals = (
            f"SELECT e.key, {self.columns} FROM json_each(?) e CROSS JOIN {self.name} t "
            f"WHERE {named} AND t.workspace = ?{live}"
        )
        # The + keeps SQLite from the index of the workspace, which it would scan whole.
        self.by_ids = f"{self.select} WHERE t.id IN (SELECT value FROM json_each(?)) AND +t.workspace = ?{live}"
        # Nor from one of which it would sort all rows for each page, unless its rows lie in the order of ids.
        own = "t.workspace" if of.clustered else "+t.workspace"
        self.scan = f"{self.select} WHERE {own} = ? AND t.id > ?{live} ORDER BY t.id LIMIT ?"
        self.written = [*columns, *([BESIDE[self.name][0].split()[0]] if self.name in BESIDE else [])]
        self.values = [
            f"(SELECT key FROM {self.keys[name]} WHERE id = ?)" if name in self.keys else "?" for name in self.written
        ]
        self.add = self._add()
        self.insert = self._insert()

    def reading(self, fields: Fields | None) -> tuple[str, Callable[[Row], N]]:
        """What is selected for some fields of records, or for all, and what makes records of it."""
        reading = self.kind.reading(fields)
        return self.columns if fields is None else self._listed(reading.columns), reading.decode

    def _listed(self, columns: Iterable[str]) -> str:
        return ", ".join(map(self._value, columns))

    def _value(self, column: str) -> str:
        if column == self.kind.log:
            return "t.key"
        # Not joins: each costs 8 us and more before its first row, where a subquery costs 0.3 us a row.
        target = self.keys.get(column)
        return f"t.{column}" if target is None else f"(SELECT id FROM {target} WHERE key = t.{column})"

    def equals(self, column: str, value: str = "?") -> str:
        """The condition that a column has a value, that of one parameter where no other is given."""
        if column in self.keys:
            return f"t.{column} = (SELECT key FROM {self.keys[column]} WHERE id = {value})"
        return f"t.{column} = {value}"

    def within(self, column: str) -> str:
        """The condition that a column has the value of one parameter, in the workspace that is the other."""
        if column in self.keys:
            return f"t.{column} = (SELECT key FROM {self.keys[column]} WHERE id = ? AND workspace = ?)"
        return f"t.{column} = ? AND t.workspace = ?"

    def along(self, way: Sequence[tuple[Kind[Any], Column]]) -> str:
        """What finds the rows that name others by way of nearer ones, the first of which name those of a JSON list of
        ids: stores.catalogue.references.Step. The other parameter is the workspace."""
        found = "SELECT value FROM json_each(?)"
        for number, (kind, column) in enumerate(way):
            by, last = TABLES[kind.record], number == len(way) - 1
            if (target := by.keys.get(column.name)) is not None and number == 0:
                found = f"SELECT key FROM {target} WHERE id IN ({found})"
            wanted = "id" if last or not is_key(way[number + 1]) else "key"
            found = f"SELECT {wanted} FROM {by.name} WHERE {column.name} IN ({found})"
        return f"{self.select} WHERE t.id IN ({found}) AND +t.workspace = ?{self.live}"

    def _live(self) -> str:
        if self.kind.expires:
            # Expired rows are gone before any sweep takes them. The clock is bound by the engine: "now" would round.
            return f" AND (t.{self.kind.expires} IS NULL OR t.{self.kind.expires} > now_us())"
        ends = [name for name, column in self.kind.columns.items() if column.refers and column.refers.lives]
        if not ends:
            return ""
        if not all(name in self.keys for name in ends):
            return "".join(
                f" AND NOT EXISTS (SELECT 1 FROM {target.name} e WHERE e.id = t.{name} "
                f"AND e.{target.expires} <= now_us())"
                for name in ends
                for target in expiring(self.kind.columns[name])
            )
        among = ", ".join(f"t.{name}" for name in ends)
        return (
            f" AND NOT EXISTS (SELECT 1 FROM {self.keys[ends[0]]} e WHERE e.key IN ({among}) "
            "AND e.expires_at <= now_us())"
        )

    def _add(self) -> str:
        return (
            f"INSERT INTO {self.name} ({', '.join(['workspace', *self.written])}) "
            f"VALUES ({', '.join(['?', *self.values])})"
        )

    def _insert(self) -> str:
        same: tuple[str, ...] = ("id",)
        if self.kind.replaces:
            same = self.kind.scoped(self.kind.natural)
        elif self.kind.clustered:
            same = ("workspace", "id")
        changes = [f"{column} = excluded.{column}" for column in self.written if column not in same]
        # NULL is refused: nothing of another workspace is ever taken over, whatever id an import brings.
        changes.append(f"workspace = iif({self.name}.workspace = excluded.workspace, excluded.workspace, NULL)")
        return f"{self.add} ON CONFLICT ({', '.join(same)}) DO UPDATE SET {', '.join(changes)}"


TABLES: dict[type[Node], Table[Any]] = {
    record: made for of in KINDS for made in [Table(of)] for record in (of.record, *of.variants.values())
}


def table(record: type[N]) -> Table[N]:
    return TABLES[record]


SESSION, PARTICIPANT, MESSAGE, EVENT = table(Session), table(Participant), table(Message), table(TraceEvent)
TRACE, SPAN, TALLY = table(Trace), table(Span), table(Tally)
LINK = table(MemoryLink)
# scope_key is what one owner's memories share in the text and vector indexes: twice the key of a user, one more for an
# agent, minus the workspace for GLOBAL ones.
MEMORY = table(Memory)
