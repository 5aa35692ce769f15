"""Running sums of a trace, updated as spans arrive: each write costs the chain of ancestors it changes.

A token is counted once along a chain of ancestors: of each member a span counts the greater of what it tells itself and
what its children count, and a trace counts what its topmost spans do. Spans come in any order, so a parent that is only
named has a tally already. One span_id is no span's: "", under which the topmost stand.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec.structs import astuple, force_setattr, replace

from domain.declaration import NATURAL, SPREAD, Stored, refers
from domain.node import Id, Node
from domain.span import MAX_COUNT, NO_USAGE, Span, SpanStatusCode, TokenUsage

Key = tuple[str, str]
"""traceId and spanId."""

Counts = tuple[float | None, ...]
"""The members of TokenUsage: input, output and total tokens, the cost, cached and reasoning tokens, the cost that is
reckoned."""

Sums = tuple[tuple[float, int], ...]
"""Of each member the sum, and how many tell it."""

Rank = tuple[bool, datetime, Id]

_MEMBERS = len(TokenUsage.__struct_fields__)
NOTHING: Counts = (None,) * _MEMBERS
ZERO: Sums = ((0, 0),) * _MEMBERS
TOP = ""


class Census(msgspec.Struct, array_like=True):
    """What the spans of a trace are together. root: the rank of its first span, which ends in the span's id."""

    spans: int
    running: int
    errors: int
    oks: int
    started_at: datetime
    ended_at: datetime | None
    root: Rank


class Tally(Node, frozen=True, kw_only=True, gc=False):
    """What is kept of a span for the sums of its trace. span_record_id: None while the span is only named as a parent.

    loose: its chain of parents comes back to it, so that it stands among the topmost. census: of TOP alone. twice: what
    both the span and those below it tell, so that a sum of all spans without it counts each token once. agent_id,
    user_id: the span's, its own or inherited.
    """

    prefix: ClassVar[str] = "tly"
    noun: ClassVar[str] = "tally"
    hidden: ClassVar[bool] = True

    trace_id: Annotated[str, NATURAL]
    span_id: Annotated[str, NATURAL]
    parent_span_id: str | None = None
    span_record_id: Annotated[Id | None, refers("Span", gone="keep"), Stored("span")] = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    status_code: SpanStatusCode = SpanStatusCode.UNSET
    own: Counts = NOTHING
    below: Sums = ZERO
    loose: bool = False
    census: Census | None = None
    twice: Annotated[TokenUsage, SPREAD] = NO_USAGE
    agent_id: Annotated[Id | None, refers("Agent", gone="keep")] = None
    user_id: Annotated[Id | None, refers("User", gone="keep")] = None

    @classmethod
    def id_beside(cls, span: Id) -> Id:
        """The id of a span's tally is called after the span's, which costs less than one of its own."""
        return Id(f"{cls.prefix}{span[len(Span.prefix) :]}")

    @property
    def key(self) -> Key:
        return self.trace_id, self.span_id

    @property
    def above(self) -> Key | None:
        """Where it is counted."""
        if self.span_id == TOP:
            return None
        return self.trace_id, (TOP if self.loose else self.parent_span_id or TOP)

    @property
    def rank(self) -> Rank:
        """The least is the root's: the earliest without a parent, or the earliest of all."""
        assert self.started_at is not None and self.span_record_id is not None
        return self.parent_span_id is not None, self.started_at, self.span_record_id

    @property
    def counted(self) -> Counts:
        """What it and those below it come to."""
        if self.below == ZERO:
            return self.own
        below = told(self.below)
        most: list[Any] = [_most(own, under) for own, under in zip(self.own, below, strict=True)]
        if tuple(most[:2]) not in (self.own[:2], below[:2]):  # else a total, of one side, would lack the other's part
            most[2] = max(most[2] or 0, sum(part or 0 for part in most[:2]))
        return tuple(most)

    @property
    def usage(self) -> TokenUsage:
        return usage_of(self.counted)

    @property
    def told_twice(self) -> TokenUsage:
        if self.own == NOTHING or self.below == ZERO:
            return NO_USAGE
        parts = zip(self.own, self.below, self.counted, strict=True)
        return usage_of([(own or 0) + under - (most or 0) or None for own, (under, _), most in parts])


def summed(sums: Sums, less: TokenUsage, more: TokenUsage) -> Sums:
    """Sums of which one part was something and is something else now."""
    return tuple(
        (round(sum - (minus or 0) + (plus or 0), _DIGITS), count - (minus is not None) + (plus is not None))
        for (sum, count), minus, plus in zip(sums, astuple(less), astuple(more), strict=True)
    )


def sums_of(row: Sequence[float]) -> Sums:
    """The sums of what a store has added up: of each member the sum, and how many tell it."""
    return tuple((round(sum, _DIGITS), int(count)) for sum, count in zip(row[::2], row[1::2], strict=True))


def told(sums: Sums) -> Counts:
    """The sums; None where nobody tells any."""
    return tuple(sum if count else None for sum, count in sums)


def usage_of(counts: Sequence[float | None]) -> TokenUsage:
    asked, said, total, cost, cached, reasoning, reckoned = counts
    return TokenUsage(_shown(asked), _shown(said), _shown(total), cost, _shown(cached), _shown(reasoning), reckoned)


def _shown(count: float | None) -> int | None:
    return None if count is None else int(max(-MAX_COUNT, min(count, MAX_COUNT)))


def _most(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else max(one, other)


_TOLD = ("parent_span_id", "span_record_id", "started_at", "ended_at", "status_code", "own", "agent_id", "user_id")
_UNTOLD = (None, None, None, None, SpanStatusCode.UNSET, NOTHING, None, None)
"""What a span tells its tally, and what one that is only named has."""


class Tallies:
    """Tallies of traces while spans are put. known: those of the spans, of all above them by the parents they name, and
    TOP, as far as there are any. changed: what is to be kept, after `settle`. stale: traces whose first start, last end
    or root has gone inwards, so that `reckon` has to look at all their tallies."""

    def __init__(self, known: Iterable[Tally], new_id: Callable[[type[Node]], Id]) -> None:
        self._known = {tally.key: tally for tally in known}
        self._new_id = new_id
        self.changed: dict[Key, Tally] = {}
        self.stale: set[str] = set()
        self._counted: dict[Key, Counts] = {}  # of each that was touched: what it is counted as, and where
        self._above: dict[Key, Key | None] = {}
        self._gathered: dict[Key, list[float]] = {}  # what is to be added below each: sums, how many tell each

    def get(self, key: Key) -> Tally | None:
        return self.changed.get(key) or self._known.get(key)

    def put(self, span: Span) -> None:
        """Takes a span on, new or in place of what was known of it."""
        told = (
            span.parent_span_id or None,
            span.id,
            span.started_at,
            span.ended_at,
            span.status_code,
            astuple(span.tokens),
            span.agent_id,
            span.user_id,
        )
        self._take((span.trace_id, span.span_id), told)

    def again(self, tally: Tally) -> None:
        """Takes on the span of another tally."""
        self._take(tally.key, _told(tally))

    def _take(self, key: Key, told: tuple[Any, ...]) -> None:
        before = self.get(key)
        if key[1] == TOP or (before is not None and _told(before) == told):
            return
        old, moved = None, False
        if before is None:
            new = self._begun(key, told)
        else:
            old = before if key in self._known and key not in self.changed else copy(before)
            moved = old.parent_span_id != told[0]
            new = self._touched(key)
            if moved and new.loose:
                for each in self._circle(new):
                    force_setattr(self._touched(each.key), "loose", False)
            for name, value in zip(_TOLD, told, strict=True):
                force_setattr(new, name, value)
        if (above := new.above) is not None and self.get(above) is None:
            self._begun(above)
        elif moved or new.parent_span_id == new.span_id:
            for each in self._circle(new):
                force_setattr(self._touched(each.key), "loose", True)
        self._count(old, new)

    def _begun(self, key: Key, told: tuple[Any, ...] = _UNTOLD) -> Tally:
        parent, record, started, ended, code, own, agent, user = told
        id = self._new_id(Tally) if record is None else Tally.id_beside(record)
        self._counted[key], self._above[key] = NOTHING, None
        tally = self.changed[key] = Tally(
            id=id,
            trace_id=key[0],
            span_id=key[1],
            parent_span_id=parent,
            span_record_id=record,
            started_at=started,
            ended_at=ended,
            status_code=code,
            own=own,
            agent_id=agent,
            user_id=user,
        )
        return tally

    def _touched(self, key: Key) -> Tally:
        """A tally that is to change: a copy of the known one, which nobody else has, so that it is changed in place."""
        if (tally := self.changed.get(key)) is not None:
            return tally
        if (there := self._known.get(key)) is None:
            return self._begun(key)
        self._counted[key], self._above[key] = there.counted, there.above
        tally = self.changed[key] = copy(there)
        if tally.census is not None:
            force_setattr(tally, "census", copy(tally.census))
        return tally

    def _circle(self, tally: Tally) -> list[Tally]:
        """Those on the way by parents from a tally back to itself; none where the way ends elsewhere."""
        way = {tally.key: tally}
        on: Tally | None = tally
        while on is not None and on.parent_span_id is not None:
            on = self.get((on.trace_id, on.parent_span_id))
            if on is not None and on.key in way:
                return list(way.values()) if on.key == tally.key else []
            if on is not None:
                way[on.key] = on
        return []

    def _count(self, old: Tally | None, new: Tally) -> None:
        """Keeps the census of a trace whose span is new, or was another one."""
        assert new.started_at is not None
        top, one, more = self._touched((new.trace_id, TOP)), _one(old), _one(new)
        if (census := top.census) is None:
            census = Census(0, 0, 0, 0, *_ends(new))
            force_setattr(top, "census", census)
        if old is not None and old.span_record_id is not None and _inwards(old, new, census):
            self.stale.add(new.trace_id)
        census.spans += more[0] - one[0]
        census.running += more[1] - one[1]
        census.errors += more[2] - one[2]
        census.oks += more[3] - one[3]
        census.started_at = min(census.started_at, new.started_at)
        census.root = min(census.root, new.rank)
        if new.ended_at is not None and (census.ended_at is None or census.ended_at < new.ended_at):
            census.ended_at = new.ended_at

    def reckon(self, trace_id: str, stored: Iterable[Tally]) -> None:
        """Looks anew at all tallies of a stale trace."""
        tallies = {tally.key: tally for tally in stored}
        tallies.update((key, tally) for key, tally in self.changed.items() if key[0] == trace_id)
        spans = [tally for tally in tallies.values() if tally.span_record_id is not None]
        top = self.changed[trace_id, TOP]
        assert top.census is not None
        ends = (tally.ended_at for tally in spans if tally.ended_at is not None)
        started_at = min(tally.rank[1] for tally in spans)
        root = min(tally.rank for tally in spans)
        census = replace(top.census, started_at=started_at, ended_at=max(ends, default=None), root=root)
        force_setattr(top, "census", census)

    def settle(self) -> None:
        """Tells those above what has changed, from the ground up, each once."""
        for key, above in list(self._above.items()):
            if above is not None and above != self.changed[key].above:
                self._gather(above, self._counted[key], NOTHING)
                self._counted[key] = NOTHING
        for key in list(self._gathered):
            self._add(key)
        depths: dict[Key, int] = {}
        heap = [
            (-self._depth(key, depths), key)
            for key, before in self._counted.items()
            if self.changed[key].counted != before
        ]
        heapq.heapify(heap)
        queued = {key for _, key in heap}
        while heap:
            depth, key = heapq.heappop(heap)
            self._add(key)
            tally = self.changed[key]
            if (above := tally.above) is None or (counted := tally.counted) == self._counted[key]:
                continue
            self._gather(above, self._counted[key], counted)
            self._counted[key] = counted
            if above not in queued:
                queued.add(above)
                heapq.heappush(heap, (depth + 1, above))
        for tally in self.changed.values():
            force_setattr(tally, "twice", tally.told_twice)

    def _gather(self, key: Key, less: Counts, more: Counts) -> None:
        """Notes what one of those below a tally is counted as now, for `_add`."""
        if (sums := self._gathered.get(key)) is None:
            self._touched(key)
            sums = self._gathered[key] = [0] * (2 * _MEMBERS)
        for index, minus in enumerate(less):
            plus = more[index]
            if minus is not None:
                sums[index] -= minus
                sums[index + _MEMBERS] -= 1
            if plus is not None:
                sums[index] += plus
                sums[index + _MEMBERS] += 1

    def _add(self, key: Key) -> None:
        """Adds what was gathered for a tally to what those below it come to."""
        if (sums := self._gathered.pop(key, None)) is not None:
            tally = self.changed[key]
            below = [
                (round(sum + sums[index], _DIGITS), int(count + sums[index + _MEMBERS]))
                for index, (sum, count) in enumerate(tally.below)
            ]
            force_setattr(tally, "below", tuple(below))

    def _depth(self, key: Key, known: dict[Key, int]) -> int:
        way = []
        on: Key | None = key
        while on is not None and on not in known:
            way.append(on)
            tally = self.get(on)
            on = None if tally is None else tally.above
        depth = 0 if on is None else known[on]
        for each in reversed(way):
            depth = known[each] = depth + 1
        return depth


def _told(tally: Tally) -> tuple[Any, ...]:
    return (
        tally.parent_span_id,
        tally.span_record_id,
        tally.started_at,
        tally.ended_at,
        tally.status_code,
        tally.own,
        tally.agent_id,
        tally.user_id,
    )


def _one(tally: Tally | None) -> tuple[int, int, int, int]:
    """What one span is in a census."""
    if tally is None or tally.span_record_id is None:
        return 0, 0, 0, 0
    code = tally.status_code
    return 1, int(tally.ended_at is None), int(code is SpanStatusCode.ERROR), int(code is SpanStatusCode.OK)


def _ends(tally: Tally) -> tuple[datetime, datetime | None, Rank]:
    return tally.rank[1], tally.ended_at, tally.rank


def _inwards(old: Tally, new: Tally, census: Census) -> bool:
    """Whether a span that was the first, the last or the root is so no longer, perhaps."""
    assert new.started_at is not None
    ended = old.ended_at is not None and (new.ended_at is None or new.ended_at < old.ended_at)
    return (
        (old.started_at == census.started_at and new.started_at > census.started_at)
        or (ended and old.ended_at == census.ended_at)
        or (old.rank == census.root and new.rank > census.root)
    )


_DIGITS = 12
"""Decimals that sums are kept with: what is taken away again leaves nothing behind."""
