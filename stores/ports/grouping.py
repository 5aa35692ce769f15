"""What is asked of the records of a list in groups, and what is answered. An engine knows these, and no statistic."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from domain.calendar import IN_UTC, Offsets, TimeBucket
from domain.node import Node

Key = tuple[str | int | None, ...]

PERCENTS = (50, 90, 95, 99)
"""Of each spread these percentiles are told, by the nearest rank: the least value that so many of a hundred of them do
not exceed."""


class By(NamedTuple):
    """What groups are told apart by: the value of a column.

    through: the column is of the record that this one of the list's names. joined: it is of each record of a kind whose
    column names the list's, or what that names by `through`. kind: only ids of such records count, others are None.
    each: a group for each text of the list that the column has. bucket: the stretch that the column's time lies in, by
    domain.calendar.number.
    """

    column: str
    through: str = ""
    joined: tuple[type[Node], str] | None = None
    kind: type[Node] | None = None
    each: bool = False
    bucket: TimeBucket | None = None
    offsets: Offsets = IN_UTC


class Value(NamedTuple):
    """A number that a column has, a time's in microseconds. since: it is the time from that column's on. size: it is
    the bytes of the column's text. sum: how many there are and what they come to is asked for. ends: the least and the
    greatest are."""

    column: str
    since: str = ""
    size: bool = False
    sum: bool = True
    ends: bool = False


class Grouping(NamedTuple):
    """by: none of them make one group. having: columns and values, how many of a group have which; None: NULL. spread:
    of what there are percentiles. apart: of what column there are how many values, None being one.

    values_of: the values of a record of the list are the sums of those of the records of a kind whose column names it;
    without such a one it does not count. having and spread are not asked for then.
    """

    by: tuple[By, ...] = ()
    values: tuple[Value, ...] = ()
    having: tuple[tuple[str, str | bool | None], ...] = ()
    spread: Value | None = None
    apart: str = ""
    values_of: tuple[type[Node], str] | None = None


class Summed(msgspec.Struct, frozen=True, gc=False):
    """Of one value: how many records have it, what they come to, and the least and the greatest; what was not asked
    for is 0 or None."""

    count: int = 0
    sum: float = 0
    least: float | None = None
    most: float | None = None


class Group(msgspec.Struct, frozen=True):
    """What one group comes to, in the order of what was asked. percentiles: of PERCENTS; None where there is nothing
    that has one."""

    key: Key
    count: int
    values: tuple[Summed, ...] = ()
    having: tuple[int, ...] = ()
    percentiles: tuple[float | None, ...] = ()
    apart: int = 0


MAX_GROUPS = 2_000
"""How many groups there may be: with more, an engine raises Rejected (LIMIT)."""
