"""The orders of every list, alone and with filters."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from domain.memory import Memory, MemoryFilter, MemoryOrder, MemoryOrderField, MemoryScope, MemoryType
from domain.node import Id
from domain.page import OrderDirection
from domain.session import SessionFilter, SessionOrder, SessionOrderField
from domain.span import TokenUsage
from domain.state import StateFilter
from domain.values import Ref
from stores.contract.filling import FILLINGS, LOGS, fill, time
from stores.contract.making import (
    World,
    after,
    cursors,
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
from stores.contract.test_lists import every_list, orders_of
from stores.orders import ORDERS
from stores.ports import Collection, Store, Transaction
from stores.predicate import column_of


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


async def check_order(store: Store, of: Collection, parent: Any, made: list[Any], order: Any) -> None:
    """All rows by the member, None the smallest, then by id; in a whole and page by page, either way."""
    name = order.field.value.lower()
    members = {"duration": "duration_ms"}
    figures = {"tokens": "total_tokens", "cost": "cost_usd", "errors": "error_spans"}

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


@pytest.mark.in_turn
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
