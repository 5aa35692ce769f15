"""Pages of lists, and the cursors between them (Relay's cursor connections, by keyset)."""

from __future__ import annotations

import base64
import enum
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from domain.errors import CursorExpired, invalid

T = TypeVar("T")

DEFAULT_FIRST = 50
MAX_FIRST = 200
MAX_FIRST_LONG = 1_000
"""The cap of the lists that are long by nature: messages, spans, trace events."""


class OrderDirection(enum.Enum):
    """Ascending (smallest first) or descending."""

    ASC = "ASC"
    DESC = "DESC"


Mark = tuple[Any, ...]
"""Where a row stands in its list: the value it is sorted by and its id, or its place in a log."""

_Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_RowMark = tuple[_Integer | float | str, str]
_LogMark = tuple[Annotated[int, Meta(ge=0, le=2**63 - 1)]]


class Slice(msgspec.Struct, frozen=True):
    """Which part of a list: `limit` rows after one mark and before another, from the end where backward."""

    limit: int = DEFAULT_FIRST
    backward: bool = False
    after: str | None = None
    before: str | None = None


class PageInfo(msgspec.Struct, frozen=True):
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


class Edge(msgspec.Struct, Generic[T], frozen=True):
    cursor: str
    node: T


class Listing(msgspec.Struct, frozen=True):
    """What a cursor belongs to: a list, in an order, and for logs the epoch of the store."""

    name: str
    epoch: str | None = None

    @property
    def prefix(self) -> str:
        """What all its cursors begin with: eight characters for the name, four for the epoch."""
        return _prefix(self.name, self.epoch)

    def cursor(self, mark: Sequence[Any]) -> str:
        """The cursor of a row, as opaque text. 0.3 us, and short: a page has up to 1,000 of them."""
        return self.prefix + _encode(mark).hex()

    def mark(self, cursor: str, argument: str = "after") -> Mark:
        """The mark in a cursor. Raises Rejected (INVALID, path: the argument) for one of another list, and
        CursorExpired for one of another epoch."""
        prefix = self.prefix
        try:
            mark = (_row_mark if self.epoch is None else _log_mark).decode(bytes.fromhex(cursor[len(prefix) :]))
        except (ValueError, msgspec.DecodeError):
            raise invalid("This is not a valid cursor for this list.", [argument]) from None
        if cursor[:_NAME] != prefix[:_NAME]:
            raise invalid("This cursor belongs to another list or order.", [argument])
        if not cursor.startswith(prefix):
            raise CursorExpired
        return mark

    def marks(self, slice: Slice) -> tuple[Mark | None, Mark | None]:
        """The marks that a slice comes after and before."""
        after = None if slice.after is None else self.mark(slice.after, "after")
        return after, None if slice.before is None else self.mark(slice.before, "before")


def before(cursor: str) -> str:
    """The cursor that a log's line comes after, for one who begins with that line."""
    place = _log_mark.decode(bytes.fromhex(cursor[_PREFIX:]))[0]
    return cursor[:_PREFIX] + _encode((max(0, place - 1),)).hex()


_NAME, _PREFIX = 8, 12
_encode = msgspec.msgpack.Encoder().encode
_row_mark: msgspec.msgpack.Decoder[Mark] = msgspec.msgpack.Decoder(_RowMark)
_log_mark: msgspec.msgpack.Decoder[Mark] = msgspec.msgpack.Decoder(_LogMark)


@lru_cache(maxsize=10_000)
def _prefix(name: str, epoch: str | None) -> str:
    name_part = blake2b(name.encode(), digest_size=6).digest()
    epoch_part = blake2b((epoch or "").encode(), digest_size=3).digest()
    return base64.urlsafe_b64encode(name_part + epoch_part).decode()


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. marks has the mark of each node; count_key is what the store needs to count the list, which
    has so many more rows beside."""

    nodes: list[T]
    marks: list[Mark]
    has_next_page: bool
    has_previous_page: bool
    listing: Listing
    count_key: Any = None
    more: int = 0

    @property
    def edges(self) -> list[Edge[T]]:
        prefix = self.listing.prefix
        return [Edge(prefix + _encode(mark).hex(), node) for mark, node in zip(self.marks, self.nodes, strict=True)]

    @property
    def page_info(self) -> PageInfo:
        marks = self.marks
        return PageInfo(
            self.has_next_page,
            self.has_previous_page,
            self.listing.cursor(marks[0]) if marks else None,
            self.listing.cursor(marks[-1]) if marks else None,
        )


def slice_of(first: int | None, after: str | None, last: int | None, before: str | None, cap: int = MAX_FIRST) -> Slice:
    """The slice that Relay's arguments name: 50 rows where neither first nor last is given.

    Raises Rejected (INVALID) for a number outside 0 to `cap`, and for first and last together.
    """
    if first is not None and last is not None:
        raise invalid("Give first or last, not both.", ["last"])
    name, limit = ("last", last) if last is not None else ("first", first)
    if limit is None:
        limit = DEFAULT_FIRST
    if not 0 <= limit <= cap:
        raise invalid(f"{name} must be between 0 and {cap}.", [name])
    return Slice(limit, last is not None, after, before)


def page_of(
    rows: Sequence[tuple[Mark, T]], slice: Slice, descending: bool, listing: Listing, count_key: Any = None
) -> Page[T]:
    """A page of a list that is at hand, as marks and nodes in any order; where nothing else is given its count_key is
    its length."""

    def key(mark: Mark) -> Any:
        return tuple((isinstance(part, str), part) for part in mark)  # a cursor may hold another type

    def ahead(end: Mark) -> int:
        """How many rows stand ahead of a mark."""
        return sum(key(mark) > key(end) if descending else key(mark) < key(end) for mark, _ in rows)

    rows = sorted(rows, key=lambda row: key(row[0]), reverse=descending)
    after, before = listing.marks(slice)
    first = 0 if after is None else ahead(after) + sum(key(mark) == key(after) for mark, _ in rows)
    end = len(rows) if before is None else ahead(before)
    start, stop = (max(end - slice.limit, first), end) if slice.backward else (first, min(first + slice.limit, end))
    further, back = (end < len(rows), start > first) if slice.backward else (stop < end, first > 0)
    nodes, marks = [node for _, node in rows[start:stop]], [mark for mark, _ in rows[start:stop]]
    return Page(nodes, marks, further, back, listing, len(rows) if count_key is None else count_key)
