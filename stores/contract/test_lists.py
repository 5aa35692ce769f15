"""What holds for the pages of every list."""

from __future__ import annotations

import base64
import contextlib
import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import CursorExpired, ErrorCode, Rejected
from domain.memory import Memory, MemoryFilter, MemoryOrder, MemoryOrderField, MemoryScope, MemoryType
from domain.message import MemoryRef, MessageFilter
from domain.node import Id
from domain.page import OrderDirection, Slice
from domain.session import SessionFilter, SessionOrder, SessionOrderField
from domain.span import TokenUsage
from domain.state import StateFilter
from domain.trace import TraceFilter
from domain.values import Ref
from stores.contract.filling import FILLINGS, LOGS, fill, time
from stores.contract.making import (
    World,
    after,
    cursors,
    delete,
    keep,
    memory,
    names,
    page,
    participant,
    replace,
    session,
    state,
    world,
)
from stores.orders import ORDERS
from stores.ports import Collection, Store, Transaction
from stores.predicate import column_of

every_list = pytest.mark.parametrize("of", FILLINGS, ids=lambda of: of.value)
timed_lists = pytest.mark.parametrize(
    "of", [of for of in FILLINGS if of not in (*LOGS, Collection.STATES, Collection.AUDIT)], ids=lambda of: of.value
)

EXAMPLES = settings(deadline=None, suppress_health_check=list(HealthCheck))


def test_every_list_is_tested() -> None:
    grows_by_no_row = {Collection.MESSAGE_BRANCH}  # what it has is told by its end: test_branches.py
    assert set(FILLINGS) | grows_by_no_row == set(Collection)


@every_list
async def test_fields_that_are_asked_for_are_there_and_no_other_is_wrong(store: Store, of: Collection) -> None:
    things = await world(store)
    await fill(store, of, things, range(3))
    parents = [FILLINGS[of].parent(things)]
    [whole] = await store.pages(of, parents, Slice(2))
    names = whole.nodes[0].__struct_fields__
    for asked in ([], names[::2], names[1::2], [*names, "no field"]):
        [some] = await store.pages(of, parents, Slice(2), fields=frozenset(asked))
        assert cursors(some) == cursors(whole)
        assert (some.page_info, some.count_key) == (whole.page_info, whole.count_key)
        for record, complete in zip(some.nodes, whole.nodes, strict=True):
            assert type(record) is type(complete)
            assert record.id == complete.id
            for name in names:
                read, right = getattr(record, name), getattr(complete, name)
                assert read == right or (read is msgspec.UNSET and name not in asked), name


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


async def expected(store: Store, of: Collection, things: World) -> list[Id]:
    """The whole list, having checked that it is in its order."""
    filling = FILLINGS[of]
    nodes = (await page(store, of, filling.parent(things), limit=1_000)).nodes
    keys = [filling.sorted_by(node) for node in nodes]
    assert keys == sorted(keys, reverse=filling.descending)
    return [node.id for node in nodes]


@every_list
async def test_a_walk_in_either_direction_meets_every_row_once_and_in_order(
    store: Store, things: World, of: Collection
) -> None:
    made = await fill(store, of, things, range(9))
    whole = await expected(store, of, things)
    assert set(whole) >= {node.id for node in made}
    assert len(whole) == 9 + FILLINGS[of].there
    walk = Walk(store, of, FILLINGS[of].parent(things))
    for step in (1, 2, 7, 200):
        assert await walk.forward(step) == whole
        assert await walk.backward(step) == whole


@every_list
async def test_rows_are_the_records_as_they_were_written(store: Store, things: World, of: Collection) -> None:
    made = await fill(store, of, things, range(3))
    found = {node.id: node for node in (await page(store, of, FILLINGS[of].parent(things))).nodes}
    for node in made:
        assert found[node.id] in (node, (await store.get(type(node), [node.id]))[0])


@every_list
async def test_the_whole_list_is_counted(store: Store, things: World, of: Collection) -> None:
    await fill(store, of, things, range(5))
    found = await page(store, of, FILLINGS[of].parent(things), limit=2)
    assert await store.counts([found.count_key, found.count_key]) == [5 + FILLINGS[of].there] * 2


@every_list
async def test_rows_that_come_and_go_between_pages_leave_no_gap_and_double_nothing(
    store: Store, things: World, of: Collection
) -> None:
    parent = FILLINGS[of].parent(things)
    await fill(store, of, things, range(8))
    whole = await expected(store, of, things)
    first = await page(store, of, parent, limit=4)
    await fill(store, of, things, range(8, 12))
    rest = await Walk(store, of, parent).forward(3, cursors(first)[-1])
    seen = [node.id for node in first.nodes] + rest
    assert len(seen) == len(set(seen))
    assert [id for id in seen if id in whole] == whole


@every_list
async def test_a_cursor_outlives_its_row(store: Store, things: World, of: Collection) -> None:
    if of in LOGS:
        pytest.skip("lines of a log stay")
    parent = FILLINGS[of].parent(things)
    made = await fill(store, of, things, range(6))
    found = await page(store, of, parent)
    whole = [node.id for node in found.nodes]
    gone = next(node for node in found.nodes[2:] if node.id in {one.id for one in made})
    where = whole.index(gone.id)
    await delete(store, gone)
    rest = await page(store, of, parent, after=cursors(found)[where])
    assert [node.id for node in rest.nodes] == whole[where + 1 :]
    before = await page(store, of, parent, before=cursors(found)[where])
    assert [node.id for node in before.nodes] == whole[:where]


@every_list
async def test_after_and_before_together_cut_both_ends(store: Store, things: World, of: Collection) -> None:
    parent = FILLINGS[of].parent(things)
    await fill(store, of, things, range(8))
    whole = await page(store, of, parent)
    marks, ids = cursors(whole), [node.id for node in whole.nodes]
    inner = await page(store, of, parent, after=marks[1], before=marks[6])
    assert [node.id for node in inner.nodes] == ids[2:6]
    head = await page(store, of, parent, after=marks[1], before=marks[6], limit=2)
    assert ([node.id for node in head.nodes], head.has_next_page, head.has_previous_page) == (ids[2:4], True, True)
    tail = await page(store, of, parent, after=marks[1], before=marks[6], limit=2, backward=True)
    assert ([node.id for node in tail.nodes], tail.has_next_page, tail.has_previous_page) == (ids[4:6], True, True)
    nothing = await page(store, of, parent, after=marks[3], before=marks[4])
    assert nothing.nodes == []


@every_list
async def test_marks_stay_the_same_from_page_to_page(store: Store, things: World, of: Collection) -> None:
    parent = FILLINGS[of].parent(things)
    await fill(store, of, things, range(5))
    whole = await page(store, of, parent)
    second = await page(store, of, parent, limit=2, after=cursors(whole)[1])
    last = await page(store, of, parent, limit=2, backward=True)
    assert cursors(second) == cursors(whole)[2:4]
    assert cursors(last) == cursors(whole)[-2:]
    assert len(set(cursors(whole))) == len(whole.nodes)


@every_list
async def test_a_page_of_nothing(store: Store, things: World, of: Collection) -> None:
    await fill(store, of, things, range(1))
    none = await page(store, of, FILLINGS[of].parent(things), limit=0)
    assert (none.nodes, none.has_next_page, none.has_previous_page) == ([], True, False)
    assert none.page_info.start_cursor is None


@every_list
async def test_pages_of_several_parents_come_in_their_order(store: Store, things: World, of: Collection) -> None:
    filling = FILLINGS[of]
    parent = filling.parent(things)
    if parent == "":
        pytest.skip("a list of the workspace has no parents")
    await fill(store, of, things, range(3))
    unknown = Id(f"{parent[:4]}{5:032x}")
    pages = await store.pages(of, [unknown, parent, unknown, parent], Slice(2))
    assert [len(found.nodes) for found in pages] == [0, 2, 0, 2]
    assert not pages[0].has_next_page
    assert await store.counts([found.count_key for found in pages]) == [0, 3 + filling.there] * 2


@every_list
async def test_a_list_of_an_empty_workspace_is_empty(elsewhere: Store, things: World, of: Collection) -> None:
    found = await page(elsewhere, of, FILLINGS[of].parent(things))
    assert (found.nodes, found.has_next_page, found.has_previous_page) == ([], False, False)
    assert await elsewhere.counts([found.count_key]) == [0]


@timed_lists
async def test_rows_of_one_time_are_in_the_order_of_their_ids(store: Store, things: World, of: Collection) -> None:
    made = await fill(store, of, things, range(6))
    whole = await expected(store, of, things)
    made.sort(key=lambda node: whole.index(node.id))
    tied = [(a.id, b.id) for a, b in itertools.pairwise(made) if FILLINGS[of].sorted_by(a)[:1] == FILLINGS[of].sorted_by(b)[:1]] \
        if of is not Collection.MEMORY_HISTORY else []  # fmt: skip
    assert all((a < b) is not FILLINGS[of].descending for a, b in tied)
    assert len(tied) == (0 if of is Collection.MEMORY_HISTORY else 3)


OF_EVENTS = {Collection.SESSION_TRACE, Collection.MESSAGE_TRACE, Collection.SPAN_EVENTS}
"""An event has one cursor, whatever list of its session it stands in."""


class TestCursors:
    @every_list
    async def test_of_another_list_are_refused(self, store: Store, things: World, of: Collection) -> None:
        parent = FILLINGS[of].parent(things)
        await fill(store, of, things, range(2))
        for other, filling in FILLINGS.items():
            if other is of or filling.there == 0 or {other, of} <= OF_EVENTS:
                continue
            cursor = cursors(await page(store, other, filling.parent(things)))[0]
            for argument in ("after", "before"):
                with pytest.raises(Rejected) as refused:
                    await page(store, of, parent, **{argument: cursor})
                assert [(error.code, error.path) for error in refused.value.errors] == [(ErrorCode.INVALID, [argument])]

    @pytest.mark.parametrize("of", LOGS, ids=lambda of: of.value)
    async def test_of_another_session_are_refused(self, store: Store, things: World, of: Collection) -> None:
        await fill(store, of, things, range(2))
        cursor = cursors(await page(store, of, FILLINGS[of].parent(things)))[0]
        with pytest.raises(Rejected):
            await page(store, of, f"{FILLINGS[of].parent(things)[:4]}{5:032x}", after=cursor)

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

    @pytest.mark.parametrize("of", LOGS, ids=lambda of: of.value)
    async def test_of_another_epoch_have_expired(self, store: Store, things: World, of: Collection) -> None:
        await fill(store, of, things, range(2))
        found = await page(store, of, FILLINGS[of].parent(things))
        old = msgspec.structs.replace(found.listing, epoch="another").cursor(found.marks[0])
        for argument in ("after", "before"):
            with pytest.raises(CursorExpired):
                await page(store, of, FILLINGS[of].parent(things), **{argument: old})

    @pytest.mark.parametrize("of", [Collection.MEMORIES, Collection.SESSION_TRACE, Collection.STATES])
    @pytest.mark.parametrize(
        "mark",
        [
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
        ],
        ids=repr,
    )
    async def test_with_a_mark_of_another_form_are_refused_or_harmless(
        self, store: Store, things: World, of: Collection, mark: tuple[Any, ...]
    ) -> None:
        listing = (await page(store, of, FILLINGS[of].parent(things))).listing
        for argument in ("after", "before"):
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


def orders_of(of: Collection) -> list[Any]:
    """All orders of a list, each in both directions."""
    kind = type(ORDERS[of])
    fields = type(ORDERS[of].field)
    return [kind(field=field, direction=direction) for field in fields for direction in OrderDirection]


async def varied(store: Store, of: Collection, things: World) -> list[Any]:
    """The rows of a list, with few and different values of all that they may be sorted by."""
    made: list[Any] = await fill(store, of, things, range(12))
    changes: dict[str, Any] = {
        "title": lambda n: "bAca"[n % 4],
        "message_count": lambda n: n % 3,
        "last_active_at": lambda n: after(days=-(n % 2)),
        "importance": lambda n: (n % 4) / 7,
        "access_count": lambda n: n % 3,
        "updated_at": lambda n: after(days=-(n % 2)),
        "last_accessed_at": lambda n: time(n % 4) if n % 3 else None,
        "ended_at": lambda n: after(days=9 + n % 3) if n % 4 else None,
        "tokens": lambda n: TokenUsage(total_tokens=n % 3 or None, cost_usd=(n % 4) / 4 if n % 5 else None),
        "weight": lambda n: (n % 3) / 3,
        "score": lambda n: (n % 3) / 3,
    }
    if of not in (Collection.SESSION_THREADS, Collection.SESSION_PARTICIPANTS, Collection.STATES):
        changes["name"] = lambda n: CHARACTERS[1 + n % 5]
    if of not in LOGS and of is not Collection.MEMORY_REFERENCED_BY:
        for number, one in enumerate(made):
            given = {name: of(number) for name, of in changes.items() if name in one.__struct_fields__}
            await replace(store, one, **given)
    return (await page(store, of, FILLINGS[of].parent(things), limit=1_000)).nodes


class TestOrders:
    def test_every_list_has_one(self) -> None:
        assert ORDERS.keys() == set(Collection)

    @every_list
    async def test_rows_are_in_each_order_and_walked_in_it(self, store: Store, things: World, of: Collection) -> None:
        made = await varied(store, of, things)
        for order in orders_of(of):
            await check_order(store, of, FILLINGS[of].parent(things), made, order)

    @every_list
    async def test_the_own_order_may_be_asked_for_and_has_the_same_cursors(
        self, store: Store, things: World, of: Collection
    ) -> None:
        await fill(store, of, things, range(5))
        own, asked = [await page(store, of, FILLINGS[of].parent(things), order=x) for x in (None, ORDERS[of])]
        assert cursors(own) == cursors(asked)
        assert own.nodes == asked.nodes

    @every_list
    async def test_a_cursor_of_another_order_is_refused(self, store: Store, things: World, of: Collection) -> None:
        parent = FILLINGS[of].parent(things)
        await fill(store, of, things, range(2))
        orders = orders_of(of)
        marks = [cursors(await page(store, of, parent, order=order))[0] for order in orders]
        for order in orders:
            for other, cursor in zip(orders, marks, strict=True):
                if other != order:
                    with pytest.raises(Rejected) as refused:
                        await page(store, of, parent, order=order, after=cursor)
                    assert [error.code for error in refused.value.errors] == [ErrorCode.INVALID]


async def check_order(store: Store, of: Collection, parent: Any, made: list[Any], order: Any) -> None:
    """All rows by the member, None the smallest, then by id; in a whole and page by page, either way."""
    name = order.field.value.lower()
    members = {"duration": "duration_ms"}
    figures = {"tokens": "total_tokens", "cost": "cost_usd"}

    def key(record: Any) -> Any:
        value = column_of(record, figures[name]) if name in figures else getattr(record, members.get(name, name))
        return (value is not None, value, record.id) if value is not None else (False, record.id)

    backward = order.direction is OrderDirection.DESC
    whole = [node.id for node in sorted(made, key=key, reverse=backward)]
    assert await names(store, of, parent, order=order, by="id") == whole
    for step in (1, 5):
        for side, end in (("after", "end_cursor"), ("before", "start_cursor")):
            ids: list[Id] = []
            start: str | None = None
            while True:
                part = {side: start, "backward": side == "before"}
                found = await page(store, of, parent, order=order, limit=step, **part)
                ids = (
                    [*ids, *(node.id for node in found.nodes)]
                    if side == "after"
                    else [*(node.id for node in found.nodes), *ids]
                )
                if not (found.has_next_page if side == "after" else found.has_previous_page):
                    break
                start = getattr(found.page_info, end)
            assert ids == whole


CHARACTERS = ["", "A", "Z", "a", "\u00e9", "\ud7ff", "\ue000", "\uffee", "\U0001f600", "\U0001f600a"]
"""In the order of their code points; UTF-16 has another one."""


async def test_keys_are_in_the_order_of_their_characters(store: Store) -> None:
    keys = [*CHARACTERS[1:], "\U0010ffff", "\U0010ffffa"]
    await keep(store, *(state(key) for key in reversed(keys)))
    assert await names(store, Collection.STATES, "app", by="key") == keys
    for index, key in enumerate(keys):
        filter = StateFilter(prefix=key)
        found = await page(store, Collection.STATES, "app", filter)
        assert [one.key for one in found.nodes] == [one for one in keys if one.startswith(key)]
        cursor = cursors(found)[0]
        for part, expected in (({"after": cursor}, keys[index + 1 :]), ({"before": cursor}, keys[:index])):
            assert [one.key for one in (await page(store, Collection.STATES, "app", **part)).nodes] == expected
            within = await page(store, Collection.STATES, "app", filter, **part)
            assert [one.key for one in within.nodes] == [one for one in expected if one.startswith(key)]


async def test_a_walk_by_title_meets_all_of_an_actor(store: Store, things: World) -> None:
    async def script(tx: Transaction) -> None:
        for title in CHARACTERS:
            made = session(title=title)(tx)
            await tx.put([made])
            await tx.put([participant(made, actor_id=things.user.id)(tx)])

    await store.write(script)
    order = SessionOrder(field=SessionOrderField.TITLE, direction=OrderDirection.ASC)
    filter = SessionFilter(participant=Ref(id=things.user.id))
    for of, parent, which in (
        (Collection.ACTOR_SESSIONS, things.user, None),
        (Collection.SESSIONS, "", filter),
    ):
        seen: list[str] = []
        cursor: str | None = None
        while True:
            found = await page(store, of, parent, which, order, limit=2, after=cursor)
            seen += [one.title for one in found.nodes]
            if not found.has_next_page:
                break
            cursor = found.page_info.end_cursor
        assert sorted(seen) == sorted([*CHARACTERS, "Talk"])


async def test_titles_are_in_the_order_of_their_characters(store: Store) -> None:
    made = await keep(store, *(session(title=title) for title in reversed(CHARACTERS)))
    for direction in OrderDirection:
        order = SessionOrder(field=SessionOrderField.TITLE, direction=direction)
        await check_order(store, Collection.SESSIONS, "", made, order)


MEMORIES = {
    Collection.MEMORIES: (lambda _: Id(""), lambda _: MemoryFilter(types=[MemoryType.SEMANTIC])),
    Collection.ACTOR_MEMORIES: (lambda w: w.user.id, lambda _: None),
    Collection.SESSION_MEMORIES: (lambda w: w.session.id, lambda _: MemoryFilter(scopes=[MemoryScope.USER])),
}
OWNERS = {
    "by id": lambda w: MemoryFilter(owner=Ref(id=w.user.id)),
    "by externalId": lambda w: MemoryFilter(owner=Ref(external_id="ada")),
    "in its session": lambda w: MemoryFilter(session=Ref(id=w.session.id)),
    "in a session by externalId": lambda w: MemoryFilter(session=Ref(external_id="talk"), owner=Ref(external_id="ada")),
}


@pytest.mark.parametrize(
    ("of", "where"),
    [
        *((of, filter) for of, (_, filter) in MEMORIES.items()),
        *((Collection.MEMORIES, filter) for filter in OWNERS.values()),
    ],
    ids=[*(of.value for of in MEMORIES), *OWNERS],
)
async def test_lists_take_orders_and_filters_together(store: Store, of: Collection, where: Any) -> None:
    things = await world(store)

    async def script(tx: Transaction) -> list[Any]:
        made = [
            memory(
                things.user if n % 5 else things.agent,
                session_id=things.session.id if n % 5 else None,
                importance=(n % 4) / 7,
                access_count=n % 3,
                created_at=time(n),
                updated_at=time(-n // 3),
                last_accessed_at=time(n % 4) if n % 3 else None,
            )(tx)
            for n in range(10)
        ]
        await tx.put(made)
        return made

    made = await store.write(script)
    parent, filter = MEMORIES[of][0](things), where(things)
    whole = await page(store, of, parent, filter, limit=100)
    ids = {one.id for one in whole.nodes}
    everyone = of is Collection.MEMORIES and filter.owner is None and filter.session is None
    assert ids >= {one.id for one in made if everyone or one.owner_id == things.user.id}
    for field, direction in itertools.product(MemoryOrderField, OrderDirection):
        order = MemoryOrder(field=field, direction=direction)
        backward = direction is OrderDirection.DESC

        def key(one: Memory, name: str = field.value.lower()) -> Any:
            value = getattr(one, name)
            return (value is not None, value or 0, one.id)

        expected = [one.id for one in sorted(whole.nodes, key=key, reverse=backward)]
        for back in (False, True):
            seen: list[Id] = []
            cursor: str | None = None
            while True:
                at = {"before" if back else "after": cursor}
                found = await page(store, of, parent, filter, order, limit=3, backward=back, **at)
                part = [one.id for one in found.nodes]
                seen = part + seen if back else seen + part
                assert (found.has_next_page if back else found.has_previous_page) is (cursor is not None)
                if not (found.has_previous_page if back else found.has_next_page):
                    break
                cursor = found.page_info.start_cursor if back else found.page_info.end_cursor
            assert seen == expected, order
    assert await store.counts([whole.count_key]) == [len(whole.nodes)]


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
