"""The rules of fading, capacity and validity."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Rejected
from domain.memory import (
    DECAY_FLOOR,
    KEPT_SHARE,
    MemoryInput,
    MemoryScope,
    MemoryUsage,
    boosted,
    check,
    decayed,
    expiry,
    is_valid,
    lightest_first,
    surplus,
    touched,
    weight,
)
from domain.node import Id
from domain.values import Ref
from stores.contract.making import NOON, after, memory, plain

units = st.floats(0, 1)
factors = st.floats(DECAY_FLOOR, 1)
times = st.datetimes(datetime(1, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC))


@given(factors, st.floats(0, 1, exclude_min=True))
def test_fading_goes_down_and_never_below_the_floor(factor: float, rate: float) -> None:
    after_one = decayed(factor, rate)
    assert DECAY_FLOOR <= after_one <= factor
    assert after_one == pytest.approx(max(DECAY_FLOOR, factor - rate))


@given(factors)
def test_an_access_goes_up_and_never_above_one(factor: float) -> None:
    assert factor <= boosted(factor) <= 1.0
    assert boosted(1.0) == 1.0


@given(st.lists(st.one_of(st.none(), st.floats(0, 1, exclude_min=True)), max_size=60))
def test_any_sequence_of_fading_and_use_stays_in_bounds(steps: list[float | None]) -> None:
    factor = 1.0
    for rate in steps:
        factor = boosted(factor) if rate is None else decayed(factor, rate)
        assert DECAY_FLOOR <= factor <= 1.0


@given(units, factors)
def test_a_weight_is_between_nothing_and_one(importance: float, factor: float) -> None:
    one = plain(memory(importance=importance, decay_factor=factor))
    assert 0 <= weight(one) <= 1
    assert weight(one) <= min(importance, factor)


@given(factors, st.integers(0, 10))
def test_a_touch_counts_and_strengthens_and_changes_nothing_else(factor: float, count: int) -> None:
    one = plain(memory(decay_factor=factor, access_count=count))
    used = touched(one, after(hours=1))
    assert (used.access_count, used.last_accessed_at) == (count + 1, after(hours=1))
    assert used.decay_factor == boosted(factor)
    assert (used.id, used.text, used.version, used.updated_at) == (one.id, one.text, one.version, one.updated_at)


counts = st.integers(0, 20_000)


@given(counts, counts, st.integers(1, 20_000))
def test_capacity_moves_out_only_what_is_too_much_and_never_more_than_there_is(
    active: int, added: int, capacity: int
) -> None:
    moved = surplus(active, added, capacity)
    assert 0 <= moved <= active
    left = active + added - moved
    if active + added <= capacity:
        assert moved == 0
    elif moved < active:
        assert left == int(capacity * KEPT_SHARE)
    else:
        assert left == added


def test_a_write_past_the_capacity_brings_an_owner_down_to_nine_tenths() -> None:
    assert surplus(100, 0, 100) == 0
    assert surplus(99, 1, 100) == 0
    assert surplus(100, 1, 100) == 11
    assert surplus(5, 200, 100) == 5
    assert surplus(0, 1, 1) == 0
    assert surplus(1, 1, 1) == 1


def test_fullness_is_the_share_that_is_used() -> None:
    assert MemoryUsage(5, 1, 10, 100).fullness == 0.5


@given(st.none() | times, st.none() | times, times)
def test_a_fact_holds_from_its_begin_to_before_its_end(
    begin: datetime | None, end: datetime | None, at: datetime
) -> None:
    one = plain(memory(valid_from=begin, valid_until=end))
    assert is_valid(one, at) is ((begin is None or begin <= at) and (end is None or at < end))
    if end is not None:
        assert not is_valid(one, end)
    if begin is not None and (end is None or begin < end):
        assert is_valid(one, begin)


@given(st.integers(1, 2**70))
def test_a_time_to_live_ends_then_or_is_refused(seconds: int) -> None:
    try:
        ends = expiry(seconds, NOON)
    except Rejected as refused:
        assert refused.errors[0].path == ["ttlSeconds"]
        assert seconds > (datetime.max.replace(tzinfo=UTC) - NOON).total_seconds() - 1
    else:
        assert ends == NOON + timedelta(seconds=seconds)


def test_without_a_time_to_live_there_is_no_end() -> None:
    assert expiry(None, NOON) is None


OWNER = Ref(id=Id("usr_1"))


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"text": ""}, "text"),
        ({"text": " \n\t"}, "text"),
        ({"scope": MemoryScope.GLOBAL}, "owner"),
        ({"owner": None}, "owner"),
        ({"owner": None, "scope": MemoryScope.AGENT}, "owner"),
        ({"source_message": Ref(id=Id("m")), "external_source": "s"}, "externalSource"),
        ({"valid_from": NOON, "valid_until": NOON}, "validUntil"),
        ({"valid_from": after(hours=1), "valid_until": NOON}, "validUntil"),
    ],
)
def test_a_memory_that_cannot_be_is_refused(values: dict[str, Any], path: str) -> None:
    with pytest.raises(Rejected) as refused:
        check(MemoryInput(**{"text": "x", "owner": OWNER, **values}))
    assert [error.path for error in refused.value.errors] == [[path]]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"scope": MemoryScope.GLOBAL, "owner": None},
        {"scope": MemoryScope.AGENT},
        {"source_message": Ref(id=Id("m"))},
        {"external_source": "s"},
        {"valid_from": NOON, "valid_until": after(microseconds=1)},
        {"valid_until": NOON},
    ],
)
def test_a_memory_that_can_be_passes(values: dict[str, Any]) -> None:
    check(MemoryInput(**{"text": "x", "owner": OWNER, **values}))


@given(st.lists(st.tuples(units, factors), max_size=20))
def test_the_lightest_come_first_then_the_oldest(parts: list[tuple[float, float]]) -> None:
    made = [plain(memory(importance=one, decay_factor=other)) for one, other in parts]
    ordered = lightest_first(made)
    assert sorted(one.id for one in ordered) == sorted(one.id for one in made)
    keys = [(weight(one), one.id) for one in ordered]
    assert keys == sorted(keys)
