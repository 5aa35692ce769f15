"""What holds for the pages of every list."""

from __future__ import annotations

import base64
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import CursorExpired, ErrorCode, Rejected
from domain.memory import Memory, MemoryOrder, MemoryOrderField
from domain.message import MemoryRef, MessageFilter
from domain.node import Id
from domain.page import OrderDirection, Page, Slice
from domain.trace import TraceFilter
from stores.contract.filling import FILLINGS, LOGS, fill
from stores.contract.making import (
    World,
    cursors,
    delete,
    keep,
    memory,
    names,
    page,
    session,
    world,
)
from stores.orders import ORDERS
from stores.ports import Collection, Store, Transaction


def every_list(test: Any) -> Any:
    return pytest.mark.in_turn(pytest.mark.parametrize("of", FILLINGS, ids=lambda of: of.value)(test))


def orders_of(of: Collection) -> list[Any]:
    """All orders of a list, each in both directions."""
    kind = type(ORDERS[of])
    fields = type(ORDERS[of].field)
    return [kind(field=field, direction=direction) for field in fields for direction in OrderDirection]


EXAMPLES = settings(deadline=None, suppress_health_check=list(HealthCheck))


def test_every_list_is_tested() -> None:
    grows_by_no_row = {Collection.MESSAGE_BRANCH}  # what it has is told by its end: test_branches.py
    assert set(FILLINGS) | grows_by_no_row == set(Collection)


class Walk:
    """The rows of one list, taken page by page."""

    def __init__(self, store: Store, of: Collection, parent: Id) -> None:
        self._store, self._of, self._parent = store, of, parent

    async def forward(self, step: int, start: str | None = None) -> list[Id]:
        ids: list[Id] = []
        while True:
            found = await page(self._store, self._of, self._parent, limit=step, after=start)
            assert found.has_previous_page is (start is not None)
            assert len(found.nodes) <= step
            ids += [node.id for node in found.nodes]
            if not found.has_next_page:
                return ids
            start = found.page_info.end_cursor

    async def backward(self, step: int) -> list[Id]:
        ids: list[Id] = []
        start: str | None = None
        while True:
            found = await page(self._store, self._of, self._parent, limit=step, before=start, backward=True)
            assert found.has_next_page is (start is not None)
            ids = [node.id for node in found.nodes] + ids
            if not found.has_previous_page:
                return ids
            start = found.page_info.start_cursor


class Filled(NamedTuple):
    """A list with eight rows of `fill` and what it has in a world. whole: one page of all of it."""

    store: Store
    elsewhere: Store
    of: Collection
    things: World
    parent: Id
    made: list[Any]
    whole: Page[Any]

    @property
    def ids(self) -> list[Id]:
        return [node.id for node in self.whole.nodes]

    async def page(self, **parts: Any) -> Page[Any]:
        return await page(self.store, self.of, self.parent, **parts)


Check = Callable[[Filled], Awaitable[None]]

CHECKS: list[Check] = []
"""What holds for every filled list, in the order of this file: each is looked at in one and the same list, for to fill
it takes longer than to read it. The last ones change it."""


@every_list
async def test_every_list(
    store: Store, elsewhere: Store, things: World, of: Collection, subtests: pytest.Subtests
) -> None:
    parent = FILLINGS[of].parent(things)
    made = await fill(store, of, things, range(8))
    filled = Filled(store, elsewhere, of, things, parent, made, await page(store, of, parent, limit=1_000))
    for check in CHECKS:
        with subtests.test(check.__name__):
            await check(filled)


@CHECKS.append
async def rows_are_the_records_as_they_were_written(filled: Filled) -> None:
    store, made = filled.store, filled.made
    found = {node.id: node for node in filled.whole.nodes}
    assert found.keys() >= {node.id for node in made}
    assert len(found) == len(filled.ids) == 8 + FILLINGS[filled.of].there
    for node in made:
        assert found[node.id] in (node, (await store.get(type(node), [node.id]))[0])


@CHECKS.append
async def they_are_in_order(filled: Filled) -> None:
    filling = FILLINGS[filled.of]
    keys = [filling.sorted_by(node) for node in filled.whole.nodes]
    assert keys == sorted(keys, reverse=filling.descending)


@CHECKS.append
async def rows_of_one_time_are_in_the_order_of_their_ids(filled: Filled) -> None:
    of, filling = filled.of, FILLINGS[filled.of]
    if of in (*LOGS, Collection.STATES, Collection.AUDIT, Collection.MEMORY_HISTORY):
        return  # each row of these has a time, or a place, of its own
    made = sorted(filled.made, key=lambda node: filled.ids.index(node.id))
    tied = [(a.id, b.id) for a, b in itertools.pairwise(made) if filling.sorted_by(a)[:1] == filling.sorted_by(b)[:1]]
    assert all((a < b) is not filling.descending for a, b in tied)
    assert len(tied) == 4


@CHECKS.append
async def a_walk_in_either_direction_meets_every_row_once(filled: Filled) -> None:
    walk = Walk(filled.store, filled.of, filled.parent)
    for step in (1, 2, 7, 200):
        assert await walk.forward(step) == filled.ids
        assert await walk.backward(step) == filled.ids


@CHECKS.append
async def fields_that_are_asked_for_are_there_and_no_other_is_wrong(filled: Filled) -> None:
    whole = await filled.page(limit=2)
    names = whole.nodes[0].__struct_fields__
    for asked in ([], names[::2], names[1::2], [*names, "no field"]):
        [some] = await filled.store.pages(filled.of, [filled.parent], Slice(2), fields=frozenset(asked))
        assert cursors(some) == cursors(whole)
        assert (some.page_info, some.count_key) == (whole.page_info, whole.count_key)
        for record, complete in zip(some.nodes, whole.nodes, strict=True):
            assert type(record) is type(complete)
            assert record.id == complete.id
            for name in names:
                read, right = getattr(record, name), getattr(complete, name)
                assert read == right or (read is msgspec.UNSET and name not in asked), name


@CHECKS.append
async def the_whole_list_is_counted(filled: Filled) -> None:
    found = await filled.page(limit=2)
    assert await filled.store.counts([found.count_key, found.count_key]) == [len(filled.ids)] * 2


@CHECKS.append
async def after_and_before_together_cut_both_ends(filled: Filled) -> None:
    marks, ids = cursors(filled.whole), filled.ids
    inner = await filled.page(after=marks[1], before=marks[6])
    assert [node.id for node in inner.nodes] == ids[2:6]
    head = await filled.page(after=marks[1], before=marks[6], limit=2)
    assert ([node.id for node in head.nodes], head.has_next_page, head.has_previous_page) == (ids[2:4], True, True)
    tail = await filled.page(after=marks[1], before=marks[6], limit=2, backward=True)
    assert ([node.id for node in tail.nodes], tail.has_next_page, tail.has_previous_page) == (ids[4:6], True, True)
    nothing = await filled.page(after=marks[3], before=marks[4])
    assert nothing.nodes == []


@CHECKS.append
async def marks_stay_the_same_from_page_to_page(filled: Filled) -> None:
    marks = cursors(filled.whole)
    assert cursors(await filled.page(limit=2, after=marks[1])) == marks[2:4]
    assert cursors(await filled.page(limit=2, backward=True)) == marks[-2:]
    assert len(set(marks)) == len(filled.ids)


@CHECKS.append
async def a_page_of_nothing_says_that_there_is_more(filled: Filled) -> None:
    none = await filled.page(limit=0)
    assert (none.nodes, none.has_next_page, none.has_previous_page) == ([], True, False)
    assert none.page_info.start_cursor is None


@CHECKS.append
async def pages_of_several_parents_come_in_their_order(filled: Filled) -> None:
    if filled.parent == "":
        return  # a list of the workspace has no parents
    unknown = Id(f"{filled.parent[:4]}{5:032x}")
    pages = await filled.store.pages(filled.of, [unknown, filled.parent, unknown, filled.parent], Slice(2))
    assert [len(found.nodes) for found in pages] == [0, 2, 0, 2]
    assert not pages[0].has_next_page
    assert await filled.store.counts([found.count_key for found in pages]) == [0, len(filled.ids)] * 2


@CHECKS.append
async def in_another_workspace_it_is_empty(filled: Filled) -> None:
    found = await page(filled.elsewhere, filled.of, filled.parent)
    assert (found.nodes, found.has_next_page, found.has_previous_page) == ([], False, False)
    assert await filled.elsewhere.counts([found.count_key]) == [0]


OF_EVENTS = {Collection.SESSION_TRACE, Collection.MESSAGE_TRACE, Collection.SPAN_EVENTS}
"""An event has one cursor, whatever list of its session it stands in."""


@CHECKS.append
async def cursors_of_another_list_are_refused(filled: Filled) -> None:
    for other, filling in FILLINGS.items():
        if other is filled.of or filling.there == 0 or {other, filled.of} <= OF_EVENTS:
            continue
        cursor = cursors(await page(filled.store, other, filling.parent(filled.things)))[0]
        for argument in ("after", "before"):
            with pytest.raises(Rejected) as refused:
                await filled.page(**{argument: cursor})
            assert [(error.code, error.path) for error in refused.value.errors] == [(ErrorCode.INVALID, [argument])]


@CHECKS.append
async def cursors_of_another_order_are_refused(filled: Filled) -> None:
    orders = orders_of(filled.of)
    marks = [cursors(await filled.page(order=order))[0] for order in orders]
    for order in orders:
        for other, cursor in zip(orders, marks, strict=True):
            if other != order:
                with pytest.raises(Rejected) as refused:
                    await filled.page(order=order, after=cursor)
                assert [error.code for error in refused.value.errors] == [ErrorCode.INVALID]


@CHECKS.append
async def the_own_order_may_be_asked_for_and_has_the_same_cursors(filled: Filled) -> None:
    asked = await filled.page(order=ORDERS[filled.of], limit=1_000)
    assert cursors(asked) == cursors(filled.whole)
    assert asked.nodes == filled.whole.nodes


@CHECKS.append
async def cursors_of_a_log_are_of_one_session_and_one_epoch(filled: Filled) -> None:
    if filled.of not in LOGS:
        return
    with pytest.raises(Rejected):
        await page(filled.store, filled.of, f"{filled.parent[:4]}{5:032x}", after=cursors(filled.whole)[0])
    old = msgspec.structs.replace(filled.whole.listing, epoch="another").cursor(filled.whole.marks[0])
    for argument in ("after", "before"):
        with pytest.raises(CursorExpired):
            await filled.page(**{argument: old})


@CHECKS.append
async def rows_that_come_between_pages_leave_no_gap_and_double_nothing(filled: Filled) -> None:
    first = await filled.page(limit=4)
    await fill(filled.store, filled.of, filled.things, range(8, 12))
    rest = await Walk(filled.store, filled.of, filled.parent).forward(3, cursors(first)[-1])
    seen = [node.id for node in first.nodes] + rest
    assert len(seen) == len(set(seen))
    assert [id for id in seen if id in filled.ids] == filled.ids


@CHECKS.append
async def a_cursor_outlives_its_row(filled: Filled) -> None:
    if filled.of in LOGS:
        return  # their lines stay
    found = await filled.page()
    whole = [node.id for node in found.nodes]
    gone = next(node for node in found.nodes[2:] if node.id in {one.id for one in filled.made})
    where = whole.index(gone.id)
    await delete(filled.store, gone)
    rest = await filled.page(after=cursors(found)[where])
    assert [node.id for node in rest.nodes] == whole[where + 1 :]
    before = await filled.page(before=cursors(found)[where])
    assert [node.id for node in before.nodes] == whole[:where]


MARKS: list[tuple[Any, ...]] = [
    (),
    (1, 2, 3),
    (2**63, "x"),
    (2**64 - 1,),
    (-(2**63) - 0,),
    (None, None),
    (True, "x"),
    ([1], "x"),
    ({}, "x"),
    (b"1", "x"),
    (float("nan"), "x"),
    ("x",),
    (1, 1),
    (1.5,),
]


class TestCursors:
    async def test_of_another_order_are_refused(self, store: Store, things: World) -> None:
        [cursor, *_] = cursors(await page(store, Collection.MEMORIES))
        orders = [
            MemoryOrder(field=MemoryOrderField.IMPORTANCE),
            MemoryOrder(direction=OrderDirection.ASC),
            MemoryOrder(field=MemoryOrderField.UPDATED_AT),
        ]
        for order in orders:
            with pytest.raises(Rejected):
                await page(store, Collection.MEMORIES, order=order, after=cursor)

    async def test_with_a_mark_of_another_form_are_refused_or_harmless(
        self, store: Store, things: World, subtests: pytest.Subtests
    ) -> None:
        for of in (Collection.MEMORIES, Collection.SESSION_TRACE, Collection.STATES):
            listing = (await page(store, of, FILLINGS[of].parent(things))).listing
            for mark in MARKS:
                for argument in ("after", "before"):
                    with subtests.test(of=of.value, mark=mark):
                        try:
                            await page(store, of, FILLINGS[of].parent(things), **{argument: listing.cursor(mark)})
                        except Rejected as refused:
                            assert [error.path for error in refused.errors] == [[argument]]

    @EXAMPLES
    @given(st.one_of(st.text(), st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
    async def test_that_are_garbage_are_refused(self, store: Store, cursor: str) -> None:
        for of in (Collection.MEMORIES, Collection.SESSION_MESSAGES):
            with pytest.raises(Rejected):
                await page(store, of, "", after=cursor)

    async def test_that_are_deeply_nested_are_refused(self, store: Store) -> None:
        bomb = base64.urlsafe_b64encode(b"\x91" * 100_000).decode()
        with pytest.raises(Rejected):
            await page(store, Collection.SESSIONS, after=bomb)

    @EXAMPLES
    @given(data=st.data())
    async def test_that_were_changed_are_refused_or_harmless(self, store: Store, data: st.DataObject) -> None:
        things = (await page(store, Collection.SESSION_TRACE, "none")).listing
        cursor = list(things.cursor((3,)))
        at = data.draw(st.integers(0, len(cursor) - 1))
        cursor[at] = data.draw(st.sampled_from("ABCxyz019-_=/+ \u00e9"))
        with contextlib.suppress(Rejected, CursorExpired):
            await page(store, Collection.SESSION_TRACE, "none", after="".join(cursor))


async def test_lists_of_several_kinds_are_counted_at_once(store: Store, things: World) -> None:
    await fill(store, Collection.SESSION_MESSAGES, things, range(4))
    keys, lengths = [], []
    for of, filling in FILLINGS.items():
        for parent in (filling.parent(things), Id("none")):
            found = await page(store, of, parent, limit=1_000)
            keys.append(found.count_key)
            lengths.append(len(found.nodes))
    said = await page(store, Collection.SESSION_MESSAGES, things.session, MessageFilter(text="hello"))
    loud = await page(store, Collection.SESSION_MESSAGES, things.session, MessageFilter(text="shout"))
    keys += [said.count_key, loud.count_key, said.count_key]
    assert await store.counts(keys) == [*lengths, 5, 0, 5]
    assert await store.counts([]) == []


async def test_a_cursor_is_of_one_parent(store: Store, things: World) -> None:
    [other] = await keep(store, session())
    await fill(store, Collection.SESSION_PARTICIPANTS, things, range(2))
    for of in (Collection.SESSION_MESSAGES, Collection.SESSION_PARTICIPANTS):
        [cursor, *_] = cursors(await page(store, of, things.session))
        for parents in ([things.session.id, other.id], [other.id, things.session.id]):
            with pytest.raises(Rejected):
                await store.pages(of, parents, Slice(2, after=cursor))
        [one, again] = await store.pages(of, [things.session.id] * 2, Slice(2, after=cursor))
        assert one.nodes == again.nodes
    assert await store.pages(Collection.SESSION_MESSAGES, [], Slice(2)) == []


async def test_lists_of_actors_and_memories_keep_to_their_parent(store: Store, things: World) -> None:
    await keep(store, memory(things.agent), memory())
    assert await names(store, Collection.ACTOR_MEMORIES, things.user, by="id") == [
        things.other_memory.id,
        things.memory.id,
    ]
    assert len(await names(store, Collection.ACTOR_MEMORIES, things.agent, by="id")) == 1
    assert await names(store, Collection.ACTOR_SESSIONS, things.agent, by="id") == []


async def test_a_memory_of_a_session_is_listed_once_however_it_was_used(store: Store, things: World) -> None:
    async def script(tx: Transaction) -> None:
        await tx.reference(things.message.id, [MemoryRef(things.memory.id, 1.0, None)])

    await store.write(script)
    assert await names(store, Collection.SESSION_MEMORIES, things.session, by="id") == [things.memory.id]
    assert isinstance(things.memory, Memory)


async def test_places_of_logs_are_the_same_in_pages_with_and_without_a_filter(store: Store, things: World) -> None:
    await fill(store, Collection.SESSION_TRACE, things, range(4))
    whole = await page(store, Collection.SESSION_TRACE, things.session)
    filter = TraceFilter(types=["thought"])
    some = await page(store, Collection.SESSION_TRACE, things.session, filter, limit=3, after=cursors(whole)[0])
    assert cursors(some) == cursors(whole)[1:4]
    await fill(store, Collection.SESSION_MESSAGES, things, range(4))
    said = await page(store, Collection.SESSION_MESSAGES, things.session)
    found = await page(store, Collection.SESSION_MESSAGES, things.session, MessageFilter(text="HELLO"))
    assert cursors(found) == cursors(said)


async def test_two_worlds_do_not_mix(engine: Any, store: Store, things: World) -> None:
    other = engine.workspace("second")
    others = await world(other)
    for of, filling in FILLINGS.items():
        ours = await names(store, of, filling.parent(things), by="id")
        theirs = await names(other, of, filling.parent(others), by="id")
        assert not set(ours) & set(theirs)
        if filling.parent(things) not in ("", "app"):
            assert await names(other, of, filling.parent(things), by="id") == []
