"""What superseding does to a memory, and what is left when it is taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory, MemoryScope, MemoryStatus, MemoryType
from domain.node import Id
from domain.supersession import Ending, circle, released, superseded
from domain.values import EMPTY_OBJECT

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def day(number: int | None) -> datetime | None:
    return None if number is None else NOW + timedelta(days=number)


def memory(until: int | None = None, status: MemoryStatus = MemoryStatus.ACTIVE) -> Memory:
    return Memory(
        id=Id("mem_1"), external_id=None, type=MemoryType.SEMANTIC, scope=MemoryScope.GLOBAL, owner_id=None,
        status=status, text="x", tags=[], metadata=EMPTY_OBJECT, importance=0.5, decay_factor=1.0, access_count=0,
        last_accessed_at=None, created_at=NOW, updated_at=NOW, expires_at=None, version=1, valid_from=None,
        valid_until=day(until), source_message_id=None, external_source=None, session_id=None,
    )  # fmt: skip


def link(number: int, ended: datetime | None) -> MemoryLink:
    return MemoryLink(
        id=Id(f"lnk_{number}"), kind=MemoryLinkKind.SUPERSEDES, weight=1.0, source_id=Id(f"mem_{number + 2}"),
        target_id=Id("mem_1"), created_at=NOW + timedelta(seconds=number), ended=ended,
    )  # fmt: skip


def test_it_ends_when_the_other_begins() -> None:
    at = day(-3)
    assert at is not None
    after = superseded(memory(), at, NOW)
    assert (after.valid_until, after.status) == (at, MemoryStatus.SUPERSEDED)


def test_an_earlier_end_stays_and_a_later_one_is_brought_forward() -> None:
    assert superseded(memory(-5), NOW, NOW).valid_until == day(-5)
    assert superseded(memory(5), NOW, NOW).valid_until == NOW


def test_one_that_begins_later_leaves_it_active_till_then() -> None:
    after = superseded(memory(), NOW + timedelta(days=2), NOW)
    assert (after.valid_until, after.status) == (day(2), MemoryStatus.ACTIVE)


def test_an_archived_one_stays_archived() -> None:
    assert superseded(memory(status=MemoryStatus.ARCHIVED), NOW, NOW).status is MemoryStatus.ARCHIVED


@given(
    until=st.none() | st.integers(-5, 5),
    ends=st.lists(st.integers(-9, 3), min_size=1, max_size=4),
    order=st.randoms(use_true_random=False),
)
def test_taken_back_in_any_order_it_is_as_it_was(until: int | None, ends: list[int], order: object) -> None:
    first = before = memory(until)
    endings = []
    for number, end in enumerate(ends):
        at = day(end)
        assert at is not None
        endings.append(Ending(link(number, before.valid_until), at))
        before = superseded(before, at, NOW)
    order.shuffle(endings)  # type: ignore[attr-defined]
    while endings:
        out = endings.pop()
        before, others = released(before, [out], endings, NOW)
        endings = [next((Ending(o, e.at) for o in others if o.id == e.link.id), e) for e in endings]
        times = [time for time in (first.valid_until, *(e.at for e in endings)) if time is not None]
        assert before.valid_until == min(times, default=None)
        assert before.status is (MemoryStatus.SUPERSEDED if any(e.at <= NOW for e in endings) else MemoryStatus.ACTIVE)
    assert before == first


def test_an_end_that_somebody_has_changed_since_stays() -> None:
    ended = Ending(link(0, None), NOW)
    changed = replace(superseded(memory(), NOW, NOW), valid_until=day(9))
    assert released(changed, [ended], [], NOW)[0].valid_until == day(9)


@pytest.mark.parametrize(
    ("links", "place"),
    [([], None), (["ab", "bc"], None), (["ab", "ba"], 1), (["ab", "bc", "ca"], 2), (["ab", "cd", "bc", "da", "ea"], 3), (["ab", "ac", "db", "dc"], None)],
)  # fmt: skip
def test_circles(links: list[str], place: int | None) -> None:
    pairs = [(one[0], one[1]) for one in links]
    assert circle([], pairs) == place
    assert place is None or circle(pairs[:place], pairs[place:]) == 0
    assert circle(pairs, pairs[:1]) == (None if place is None else 0)
