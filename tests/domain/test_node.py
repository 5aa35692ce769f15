"""Ids."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from domain.actor import User
from domain.memory import Memory
from domain.node import Id, Node, id_of, kind_of, next_uuid7
from stores.contract.making import plain, user

moments = st.integers(0, 2**47)
randoms = st.integers(0, 2**80)


@given(st.lists(st.tuples(moments, randoms), min_size=1, max_size=50))
def test_ids_made_one_after_another_only_grow(steps: list[tuple[int, int]]) -> None:
    last = 0
    for unix_ms, random in steps:
        made = next_uuid7(last, unix_ms, random)
        assert made > last
        last = made


@given(moments, randoms)
def test_an_id_is_a_uuid_of_version_seven_that_tells_its_time(unix_ms: int, random: int) -> None:
    made = uuid.UUID(int=next_uuid7(0, unix_ms, random))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == unix_ms


@given(moments, st.lists(randoms, min_size=2, max_size=20))
def test_ids_of_a_later_time_are_greater_whatever_is_random(unix_ms: int, tails: list[int]) -> None:
    for random in tails:
        assert next_uuid7(next_uuid7(0, unix_ms, random), unix_ms + 1, 0) >> 80 == unix_ms + 1


@given(moments, randoms)
def test_a_full_millisecond_borrows_from_the_next(unix_ms: int, random: int) -> None:
    full = (unix_ms << 80) | (0x7 << 76) | (0xFFF << 64) | (0b10 << 62)
    made = next_uuid7(full, unix_ms, random)
    assert made > full
    assert made >> 80 == unix_ms + 1


def test_more_ids_than_fit_into_a_millisecond() -> None:
    last, seen = 0, set()
    for _ in range(10_000):
        made = next_uuid7(last, 1_000, 0)
        assert made > last
        assert uuid.UUID(int=made).version == 7
        seen.add(made)
        last = made
    assert len(seen) == 10_000
    assert last >> 80 == 1_002


@given(st.integers(0, 2**128 - 1))
def test_a_public_id_names_its_kind(number: int) -> None:
    for kind in Node.kinds.values():
        id = kind.make_id(number)
        assert kind_of(id) is kind
        assert int(id[4:], 16) == number


def test_every_kind_has_a_prefix_of_its_own() -> None:
    assert Node.kinds["usr"] is User
    assert Node.kinds["mem"] is Memory
    assert all(len(prefix) == 3 and kind.prefix == prefix for prefix, kind in Node.kinds.items())


@given(st.text(max_size=40))
def test_other_text_names_no_kind(text: str) -> None:
    assert kind_of(text) is None


def test_the_id_of_nothing_is_none() -> None:
    one = plain(user(id=Id("x")))
    assert (id_of(one), id_of(None)) == ("x", None)
