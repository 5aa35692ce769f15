"""Logs: where they stand, and following them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from domain.change import ChangeKind, MemoryChange, RecordChange
from domain.errors import CursorExpired
from domain.memory import Memory, MemoryFilter, MemoryScope, MemoryStatus, MemoryType
from domain.node import Id, Node, kind_of
from domain.session import Session
from domain.span import Trace
from domain.trace import TraceEvent, TraceFilter
from domain.values import FloatRange, Ref, TimeRange, encode_json
from stores.contract.making import (
    Clock,
    Follower,
    World,
    after,
    cursors,
    delete,
    event,
    follow,
    keep,
    link,
    logged,
    memory,
    message,
    page,
    remember,
    replace,
    say,
    session,
    talk,
    trace,
    user,
)
from stores.journal import log as log_of
from stores.ports import SESSION_LOGS, Collection, Engine, Log, Store, Transaction

SOON = 0.05
LATER = datetime(2031, 1, 1, tzinfo=UTC)


async def nothing_comes(follower: Follower) -> None:
    """The follower waits; it is closed then."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(follower.take(1), SOON)


async def until(follower: Follower, last: str) -> list[Any]:
    """What comes before the memory that is called so."""
    lines: list[Any] = []
    while True:
        [line] = await follower.take(1)
        if line.subject.external_id == last:
            await follower.close()
            return lines
        lines.append(line)


async def changed(store: Store, before: Memory, **values: Any) -> Memory:
    """The memory with other values, and the line that tells so."""
    after = msgspec.structs.replace(before, **values)

    async def script(tx: Transaction) -> None:
        await tx.put([after])
        await tx.log([MemoryChange(ChangeKind.UPDATED, after.id, tx.now, after, before=before)])

    await store.write(script)
    return after


class TestWhereLogsStand:
    async def test_an_empty_log_stands_at_its_beginning(self, store: Store) -> None:
        [where] = await keep(store, session())
        logs = [Log("trace", where.id), Log("messages", where.id), Log("changes"), Log("trace", Id("none"))]
        assert await store.ends(logs) == [0, 0, 0, 0]

    async def test_a_log_stands_at_its_last_line(self, store: Store, things: World) -> None:
        await logged(store, ChangeKind.UPDATED, things.memory, things.other_memory)
        logs = [Log("messages", things.session.id), Log("changes"), Log("trace", things.session.id)]
        ends = await store.ends(logs)
        assert ends[0] == things.message.place == 1
        assert ends[1] >= 2
        assert ends[2] == things.event.place

    async def test_its_cursors_are_those_of_pages(self, store: Store, things: World) -> None:
        for log, of in (
            (Log("trace", things.session.id), Collection.SESSION_TRACE),
            (Log("messages", things.session.id), Collection.SESSION_MESSAGES),
        ):
            listing, [end] = store.listing(log), await store.ends([log])
            found = await page(store, of, things.session)
            assert listing == found.listing
            assert listing.cursor((end,)) == cursors(found)[-1]
            assert listing.mark(cursors(found)[-1]) == (end,)

    async def test_the_cursor_of_an_empty_log_is_a_valid_start(self, store: Store) -> None:
        [where] = await keep(store, session())
        log = Log("trace", where.id)
        listing, [end] = store.listing(log), await store.ends([log])
        cursor = listing.cursor((end,))
        [line] = await keep(store, event(where))
        assert (await page(store, Collection.SESSION_TRACE, where, after=cursor)).nodes == [line]


class TestTraces:
    async def test_what_is_there_comes_first_then_what_is_added(self, store: Store) -> None:
        [where, other] = await keep(store, session(), session())
        lines = await keep(store, *(event(where, type=str(n)) for n in range(5)))
        follower = follow(store, Log("trace", where.id))
        assert await follower.take(5) == lines
        await keep(store, event(other))
        more = await keep(store, event(where, type="more"), event(where, type="last"))
        assert await follower.take(2) == more
        await nothing_comes(follower)

    async def test_from_a_place_on(self, store: Store) -> None:
        [where] = await keep(store, session())
        lines = await keep(store, *(event(where) for _ in range(5)))
        follower = follow(store, Log("trace", where.id), lines[2].place)
        assert await follower.take(2) == lines[3:]
        await nothing_comes(follower)

    async def test_a_filter_holds_for_both(self, store: Store, things: World) -> None:
        filter = TraceFilter(types=["yes"], agent=Ref(external_id="helper"))
        where, helper = things.session, things.agent.id
        [_, old, _] = await keep(
            store, event(where, type="yes"), event(where, type="yes", agent_id=helper), event(where, agent_id=helper)
        )
        follower = follow(store, Log("trace", where.id), 0, filter)
        assert await follower.take(1) == [old]
        await keep(store, event(where), event(where))
        [_, new] = await keep(store, event(where, type="no"), event(where, type="yes", agent_id=helper))
        assert await follower.take(1) == [new]
        await nothing_comes(follower)

    async def test_a_line_that_is_moved_keeps_its_id_and_stands_at_the_end_of_the_other_log(self, store: Store) -> None:
        [where] = await keep(store, session())
        [moved, stays] = await keep(store, event(type="moved"), event(type="stays"))
        [before] = await keep(store, event(where))
        follower = follow(store, Log("trace", where.id), before.place)

        async def script(tx: Transaction) -> None:
            await tx.delete(TraceEvent, [moved.id])
            await tx.append([msgspec.structs.replace(moved, session_id=where.id)])

        await store.write(script)
        [line] = await follower.take(1)
        assert msgspec.structs.replace(line, place=moved.place, session_id=None) == moved
        assert line.place > before.place
        assert await store.get(TraceEvent, [moved.id, stays.id]) == [line, stays]
        await nothing_comes(follower)

    async def test_two_followers_see_the_same(self, store: Store) -> None:
        [where] = await keep(store, session())
        one, two = follow(store, Log("trace", where.id)), follow(store, Log("trace", where.id))
        taking = asyncio.gather(one.take(6), two.take(6))
        lines = [line for _ in range(3) for line in await keep(store, event(where), event(where))]
        for taken in await taking:
            assert taken == lines
        await one.close()
        [last] = await keep(store, event(where))
        assert await two.take(1) == [last]
        await two.close()

    async def test_a_log_of_two_thousand_lines(self, store: Store) -> None:
        [where] = await keep(store, session())
        lines = await keep(store, *(event(where, type="even" if n % 2 == 0 else "odd") for n in range(2_000)))
        follower = follow(store, Log("trace", where.id))
        assert await follower.take(2_000) == lines
        await nothing_comes(follower)
        odd = follow(store, Log("trace", where.id), 0, TraceFilter(types=["odd"]))
        assert await odd.take(1_000) == lines[1::2]
        await nothing_comes(odd)

    async def test_starting_from_a_page_while_others_write_leaves_no_gap_and_doubles_nothing(
        self, store: Store
    ) -> None:
        [where] = await keep(store, session())
        await keep(store, *(event(where) for _ in range(10)))

        async def write() -> None:
            for _ in range(15):
                await keep(store, event(where), event(where))

        writing = [asyncio.ensure_future(write()) for _ in range(4)]
        await asyncio.sleep(0.005)
        first = await page(store, Collection.SESSION_TRACE, where, limit=1_000)
        follower = follow(store, Log("trace", where.id), first.listing.mark(cursors(first)[-1])[0])
        rest = await follower.take(10 + 4 * 30 - len(first.nodes))
        await asyncio.gather(*writing)
        whole = await page(store, Collection.SESSION_TRACE, where, limit=1_000)
        assert first.nodes + rest == whole.nodes
        await nothing_comes(follower)

    async def test_closing_early_frees_the_follower(self, store: Store) -> None:
        [where] = await keep(store, session())
        waiting = store.follow(Log("trace", where.id), 0)
        next_batch = asyncio.ensure_future(anext(waiting))
        await asyncio.sleep(0)
        next_batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await next_batch
        await waiting.aclose()
        unused = store.follow(Log("trace", where.id), 0)
        await unused.aclose()
        [line] = await keep(store, event(where))
        again = follow(store, Log("trace", where.id))
        assert await again.take(1) == [line]
        await again.close()

    @pytest.mark.parametrize("log", SESSION_LOGS)
    async def test_a_log_ends_with_its_session(self, store: Store, log: str) -> None:
        where, _, _ = await talk(store, "a")
        await keep(store, event(where))
        follower = follow(store, Log(log, where.id))
        await follower.take(1)
        ending = asyncio.ensure_future(follower.end())
        await asyncio.sleep(SOON)
        await delete(store, where)
        assert await asyncio.wait_for(ending, 30) == []
        assert await asyncio.wait_for(follow(store, Log(log, where.id), 1).end(), 30) == []
        assert await asyncio.wait_for(follow(store, Log(log, Id("ses_none"))).end(), 30) == []

    async def test_a_session_that_is_called_the_same_later_has_logs_of_its_own(self, store: Store) -> None:
        [where, other] = await keep(store, session(external_id="x"), session())
        follower, of_other = follow(store, Log("trace", where.id)), follow(store, Log("trace", other.id))
        ending = asyncio.ensure_future(follower.end())
        await asyncio.sleep(SOON)
        await delete(store, where)
        [again] = await keep(store, session(external_id="x"))
        [line] = await keep(store, event(again))
        assert await asyncio.wait_for(ending, 30) == []
        assert await follow(store, Log("trace", again.id)).take(1) == [line]
        await nothing_comes(of_other)


class TestMessages:
    async def test_what_is_there_comes_first_then_what_is_added(self, store: Store) -> None:
        where, who, said = await talk(store, "a", "b")
        follower = follow(store, Log("messages", where.id))
        assert await follower.take(2) == said
        more = await say(store, where, message(who, text="c"), message(who, text="d"))
        assert await follower.take(2) == more
        await nothing_comes(follower)

    async def test_each_comes_once_and_in_order_while_many_write(self, store: Store) -> None:
        where, who, _ = await talk(store, "first")
        follower = follow(store, Log("messages", where.id), 1)
        taking = asyncio.ensure_future(follower.take(120))
        await asyncio.gather(*(say(store, where, *(message(who) for _ in range(3))) for _ in range(40)))
        assert [line.place for line in await taking] == list(range(2, 122))
        await nothing_comes(follower)

    async def test_a_message_that_is_changed_does_not_come_again(self, store: Store) -> None:
        where, who, [said] = await talk(store, "a")
        follower = follow(store, Log("messages", where.id))
        await follower.take(1)
        await replace(store, said, metadata=said.metadata)
        [more] = await say(store, where, message(who))
        assert await follower.take(1) == [more]
        await nothing_comes(follower)


class TestChanges:
    async def test_lines_tell_what_happened_with_the_memory_as_it_is_now(self, store: Store) -> None:
        [a, b] = await remember(store, memory(text="a"), memory(text="b"), log=ChangeKind.CREATED)
        newer = await replace(store, a, text="a2", version=2)
        await logged(store, ChangeKind.UPDATED, newer)
        follower = follow(store, Log("changes"))
        lines: list[MemoryChange] = await follower.take(3)
        assert [(line.kind, line.memory_id) for line in lines] == [
            (ChangeKind.CREATED, a.id),
            (ChangeKind.CREATED, b.id),
            (ChangeKind.UPDATED, a.id),
        ]
        assert [line.memory for line in lines] == [newer, b, newer]
        assert [line.place for line in lines] == sorted({line.place for line in lines})
        assert not any(line.gone for line in lines)
        await nothing_comes(follower)

    async def test_a_line_tells_the_link_it_is_about(self, store: Store) -> None:
        [a, b] = await remember(store, memory(), memory())
        [tie] = await keep(store, link(a, b))

        async def script(tx: Transaction) -> None:
            await tx.log([MemoryChange(ChangeKind.LINKED, a.id, tx.now, a, tie)])

        await store.write(script)
        follower = follow(store, Log("changes"))
        [line] = await follower.take(1)
        assert (line.kind, line.link) == (ChangeKind.LINKED, tie)
        await follower.close()

    async def test_a_deleted_memory_is_told_of_as_it_was_in_all_its_lines(self, store: Store) -> None:
        [fact] = await remember(store, memory(text="going"), log=ChangeKind.CREATED)
        await logged(store, ChangeKind.DELETED, fact, forget=True)
        follower = follow(store, Log("changes"))
        [created, deleted] = await follower.take(2)
        assert (created.kind, deleted.kind) == (ChangeKind.CREATED, ChangeKind.DELETED)
        last = msgspec.structs.replace(fact, text="")
        for line in (created, deleted):
            assert (line.gone, line.memory, line.subject) == (True, None, last)
        await nothing_comes(follower)

    async def test_a_filter_is_of_the_memory_as_it_is_or_was(self, store: Store) -> None:
        [ada, bob] = await keep(store, user(external_id="ada"), user())
        made = await remember(
            store,
            memory(ada, text="a", tags=["t"], metadata={"k": True}),
            memory(ada, text="b"),
            memory(bob, text="c", tags=["t"]),
            log=ChangeKind.CREATED,
        )
        made[0] = msgspec.structs.replace(made[0], text="")
        await logged(store, ChangeKind.DELETED, made[0], forget=True)
        filters = {
            "": MemoryFilter(owner=Ref(external_id="ada"), tags=["t"]),
            "b": MemoryFilter(owner=Ref(id=ada.id), not_=MemoryFilter(tags=["t"])),
            "c": MemoryFilter(owner=Ref(id=bob.id), text="C"),
        }
        for text, filter in filters.items():
            follower = follow(store, Log("changes"), 0, filter)
            lines = await follower.take(1 if text else 2)
            assert {line.subject.text for line in lines} == {text}
            await nothing_comes(follower)
        deleted = follow(store, Log("changes"), 0, MemoryFilter(metadata=made[0].metadata))
        assert [line.kind for line in await deleted.take(2)] == [ChangeKind.CREATED, ChangeKind.DELETED]
        await deleted.close()

    async def test_every_member_of_a_filter_works_on_a_memory_that_is_gone(self, store: Store, things: World) -> None:
        fact = things.memory
        await logged(store, ChangeKind.DELETED, fact, forget=True)
        holds: list[Any] = [
            MemoryFilter(types=[MemoryType.SEMANTIC], scopes=[MemoryScope.USER], statuses=[MemoryStatus.ACTIVE]),
            MemoryFilter(session=Ref(id=things.session.id), importance=FloatRange(min=0.5, max=0.5)),
            MemoryFilter(created_at=TimeRange(from_=fact.created_at), valid_at=fact.created_at, text="BLUE"),
            MemoryFilter(or_=[MemoryFilter(text="x"), MemoryFilter(text="sky")]),
        ]
        for filter in holds:
            follower = follow(store, Log("changes"), 0, filter)
            assert len(await follower.take(1)) == 1
            await follower.close()
        for filter in (MemoryFilter(statuses=[MemoryStatus.ARCHIVED]), MemoryFilter(importance=FloatRange(min=0.6))):
            await nothing_comes(follow(store, Log("changes"), 0, filter))

    async def test_a_change_is_told_where_the_memory_matched_before_or_does_after(self, store: Store) -> None:
        """The same as it comes and from the beginning again."""
        filters = {
            "statuses": MemoryFilter(statuses=[MemoryStatus.ACTIVE]),
            "tags": MemoryFilter(tags=["x"]),
            "importance": MemoryFilter(importance=FloatRange(min=0.8)),
            "text": MemoryFilter(text="tea"),
            "not": MemoryFilter(not_=MemoryFilter(tags=["y"])),
            "or": MemoryFilter(or_=[MemoryFilter(tags=["x"]), MemoryFilter(text="tea")]),
            "metadata": MemoryFilter(metadata=encode_json({"k": 1})),
            "valid": MemoryFilter(valid_at=LATER),
        }
        live = {
            name: asyncio.ensure_future(until(follow(store, Log("changes"), 0, f), "last"))
            for name, f in filters.items()
        }
        start = {"tags": ["x"], "importance": 0.9, "text": "Green tea", "metadata": encode_json({"k": 1})}
        [fact, _] = await remember(store, memory(**start), memory(tags=["y"], importance=0.1), log=ChangeKind.CREATED)
        changes: list[tuple[str, dict[str, Any]]] = [
            ("tags", {"tags": ["y"]}),
            ("importance", {"importance": 0.1}),
            ("text", {"text": "coffee"}),
            ("metadata", {"metadata": encode_json({"k": 2})}),
            ("statuses", {"status": MemoryStatus.ARCHIVED}),
            ("valid", {"valid_until": LATER}),
            ("back", start),
        ]
        steps = [fact]
        for _, values in changes:
            steps.append(await changed(store, steps[-1], **values))
        await remember(store, memory(**start, external_id="last"), log=ChangeKind.CREATED)
        whole = {name: await until(follow(store, Log("changes"), 0, f), "last") for name, f in filters.items()}
        left = {name: [(line.place, line.left) for line in lines] for name, lines in whole.items()}
        created = left["tags"][0][0]
        after = {name: created + 2 + place for place, (name, _) in enumerate(changes)}
        assert left["tags"] == [(created, False), (after["tags"], True), (after["back"], False)]
        assert left["importance"][2] == (after["importance"], True)
        assert left["text"][-2:] == [(after["text"], True), (after["back"], False)]
        assert left["metadata"][-2:] == [(after["metadata"], True), (after["back"], False)]
        assert left["statuses"][-1] == (after["statuses"], True)
        assert left["valid"][-1] == (after["valid"], True)
        assert left["not"] == [(created, False), (after["tags"], True), (after["back"], False)]
        assert left["or"][-2:] == [(after["text"], True), (after["back"], False)]
        assert left["or"][1] == (after["tags"], False)
        for name, lines in live.items():
            assert [(line.place, line.left) for line in await lines] == left[name], name

    async def test_what_has_ended_leaves_a_filter_that_says_no_time(self, store: Store) -> None:
        """As it leaves the list of that filter. Who has no filter is told of all changes."""
        [fact] = await remember(store, memory(), log=ChangeKind.CREATED)
        ended = await changed(store, fact, valid_until=fact.created_at)
        edited = await changed(store, ended, text="only who asks for any time is told of it")
        await changed(store, edited, valid_until=None)
        await remember(store, memory(external_id="last"), log=ChangeKind.CREATED)
        here, every = MemoryFilter(scopes=[MemoryScope.GLOBAL]), MemoryFilter(statuses=list(MemoryStatus))
        expected: list[tuple[MemoryFilter | None, list[bool]]] = [
            (here, [False, True, False]),
            (MemoryFilter(not_=MemoryFilter(statuses=[MemoryStatus.ARCHIVED])), [False, True, False]),
            (MemoryFilter(and_=[MemoryFilter(statuses=[MemoryStatus.ACTIVE])]), [False, True, False]),
            (MemoryFilter(or_=[every, here]), [False, True, False]),
            (MemoryFilter(and_=[every, here]), [False, False, False, False]),
            (None, [False, True, True, False]),
        ]
        for filter, left in expected:
            lines = await until(follow(store, Log("changes"), 0, filter), "last")
            assert [line.left for line in lines] == left, filter

    async def test_a_deleted_memory_leaves_what_it_was_in(self, store: Store) -> None:
        made = await remember(store, memory(tags=["x"]), memory(tags=["y"]), log=ChangeKind.CREATED)
        archived = await changed(store, made[0], status=MemoryStatus.ARCHIVED)
        for one in (archived, made[1]):
            await logged(store, ChangeKind.DELETED, one, forget=True)

        await remember(store, memory(external_id="last", tags=["x", "y"]), log=ChangeKind.CREATED)

        async def told(filter: MemoryFilter | None) -> list[tuple[Id, ChangeKind, bool]]:
            lines = await until(follow(store, Log("changes"), 0, filter), "last")
            return [(line.memory_id, line.kind, line.left) for line in lines]

        first = [(made[0].id, ChangeKind.CREATED, False), (made[0].id, ChangeKind.UPDATED, True)]
        second = [(made[1].id, ChangeKind.CREATED, False), (made[1].id, ChangeKind.DELETED, True)]
        assert await told(MemoryFilter(tags=["y"])) == second
        assert [line for line in await told(MemoryFilter(statuses=[MemoryStatus.ACTIVE])) if line in first] == first
        assert (made[0].id, ChangeKind.DELETED, True) not in await told(MemoryFilter(statuses=[MemoryStatus.ACTIVE]))
        assert [line for line in await told(None) if line[2]] == [(one.id, ChangeKind.DELETED, True) for one in made]

    async def test_of_a_memory_whose_text_is_forgotten_a_filter_by_text_tells_what_may_matter(
        self, store: Store
    ) -> None:
        [fact] = await remember(store, memory(text="tea", tags=["x"]), log=ChangeKind.CREATED)
        await changed(store, fact, text="coffee")
        await logged(store, ChangeKind.DELETED, fact, forget=True)
        for filter, count in (
            (MemoryFilter(text="milk"), 3),
            (MemoryFilter(text="milk", tags=["y"]), 0),
            (MemoryFilter(not_=MemoryFilter(text="milk")), 3),
            (MemoryFilter(not_=MemoryFilter(tags=["x"])), 0),
            (MemoryFilter(or_=[MemoryFilter(text="milk"), MemoryFilter(tags=["y"])]), 3),
            (MemoryFilter(and_=[MemoryFilter(text="milk"), MemoryFilter(tags=["y"])]), 0),
        ):
            follower = follow(store, Log("changes"), 0, filter)
            lines = await follower.take(count)
            assert [line.subject.text for line in lines] == [""] * count, filter
            await nothing_comes(follower)

    async def test_what_comes_is_filtered_too(self, store: Store) -> None:
        follower = follow(store, Log("changes"), 0, MemoryFilter(tags=["yes"]))
        taking = asyncio.ensure_future(follower.take(2))
        await remember(store, memory(), log=ChangeKind.CREATED)
        [one] = await remember(store, memory(tags=["yes"]), log=ChangeKind.CREATED)
        await remember(store, memory(), log=ChangeKind.CREATED)
        [two] = await remember(store, memory(tags=["yes"]), log=ChangeKind.CREATED)
        assert [line.memory_id for line in await taking] == [one.id, two.id]
        await nothing_comes(follower)

    async def test_a_filter_that_lets_nothing_through_for_long_misses_nothing_after(self, store: Store) -> None:
        await remember(store, *(memory(text="no") for _ in range(1_200)), log=ChangeKind.CREATED)
        [wanted] = await remember(store, memory(text="yes"), log=ChangeKind.CREATED)
        follower = follow(store, Log("changes"), 0, MemoryFilter(text="yes"))
        [line] = await follower.take(1)
        assert line.memory_id == wanted.id
        await follower.close()

    async def test_its_cursors_belong_to_the_workspace(self, store: Store, things: World) -> None:
        changes, trace = store.listing(Log("changes")), store.listing(Log("trace", things.session.id))
        assert changes != trace
        assert changes.epoch == trace.epoch
        assert isinstance(things.memory, Memory)
        assert isinstance(things.session, Session)


async def test_a_record_has_one_line_in_what_is_committed_together_with_what_it_was_before_and_after(
    store: Store,
) -> None:
    async def put(*messages: int) -> None:
        async def script(tx: Transaction) -> None:
            for count in messages:
                await tx.put([msgspec.structs.replace(made, message_count=count, metadata=encode_json({"k": count}))])

        await store.write(script)

    [other, made] = await keep(store, session(), session())
    await put(1, 2)
    await put(2)
    await put(3)
    await delete(store, made)
    follower = follow(store, log_of(Session))
    lines: list[RecordChange] = await follower.take(5)
    assert [(line.kind.name, line.record_id) for line in lines] == [
        ("CREATED", other.id),
        ("CREATED", made.id),
        ("UPDATED", made.id),
        ("UPDATED", made.id),
        ("DELETED", made.id),
    ]
    states: list[list[Any]] = [[line.before, line.after] for line in lines]
    counts = [[state and state.message_count for state in both] for both in states]
    assert counts == [[None, 0], [None, 0], [0, 2], [2, 3], [3, None]]
    assert [line.place for line in lines] == sorted({line.place for line in lines})
    assert {bytes(state.metadata) for both in states for state in both if state} == {b"{}"}
    await follower.close()
    later = follow(store, log_of(Session), lines[2].place)
    assert await later.take(2) == lines[3:]
    await later.close()


LOG = Log("changes")

OF: dict[str, Callable[[str], Any]] = {
    "memory": lambda name: memory(external_id=name),
    "session": lambda name: session(external_id=name),
    "trace": lambda name: trace(trace_id=name),
}
"""Records that say what they are called."""

each_log = pytest.mark.parametrize("log", list(map(Log.of_changes, OF)), ids=list(OF))


async def trim(store: Store, before: datetime, keep: int, limit: int = 500, log: Log = LOG) -> int:
    return await store.write(lambda tx: tx.trim(log, before, keep, limit))


async def lines(store: Store, place: int, log: Log = LOG) -> list[str]:
    """What the records of the lines after a place are called."""
    follower = follow(store, log, place)
    told: list[str] = []
    while len(told) == 0 or told[-1] != "last":
        [line] = await follower.take(1)
        [record] = await store.get(kind_of(line.record_id) or Node, [line.record_id])
        told.append(record.trace_id if isinstance(record, Trace) else record.external_id)  # type: ignore[union-attr]
    await follower.close()
    return told


async def one_by_one(store: Store, clock: Clock, *names: str, log: Log = LOG) -> list[int]:
    """Makes a record of each name, a minute apart; where the log stood after each."""
    places = []
    for name in names:
        [made] = await keep(store, OF[log.about](name))
        if isinstance(made, Memory):
            await logged(store, ChangeKind.CREATED, made)
        places += await store.ends([log])
        clock.advance(minutes=1)
    return places


@each_log
async def test_old_lines_are_forgotten_and_who_would_miss_some_is_told(store: Store, clock: Clock, log: Log) -> None:
    others = [one for one in map(Log.of_changes, OF) if one != log]
    await one_by_one(store, clock, "last", log=others[0])
    first, second, third, last = await one_by_one(store, clock, "first", "second", "third", "last", log=log)
    await one_by_one(store, clock, "last", log=others[1])
    assert await trim(store, after(seconds=59), 100, log=log) == 0
    assert await lines(store, 0, log) == ["first", "second", "third", "last"]
    assert await trim(store, after(seconds=150), 100, log=log) == 2
    assert await lines(store, second, log) == ["third", "last"]
    assert await lines(store, third, log) == ["last"]
    for place in (0, first):
        with pytest.raises(CursorExpired):
            await lines(store, place, log)
    assert await trim(store, after(seconds=150), 100, log=log) == 0
    assert await trim(store, after(seconds=150), 1, log=log) == 1
    assert await store.ends([log]) == [last]
    assert [await lines(store, 0, other) for other in others] == [["last"]] * 2


async def test_no_more_than_so_many_lines_are_kept(store: Store, clock: Clock) -> None:
    *_, third, last = await one_by_one(store, clock, "first", "second", "third", "last")
    assert await trim(store, after(days=-1), keep=1, limit=2) == 2
    assert await trim(store, after(days=-1), keep=1, limit=2) == 1
    assert await trim(store, after(days=-1), keep=1, limit=2) == 0
    assert await lines(store, third) == ["last"]
    assert await store.ends([LOG]) == [last]


async def test_the_last_line_says_where_the_log_stands_and_stays(store: Store, clock: Clock) -> None:
    first, last = await one_by_one(store, clock, "first", "last")
    assert await trim(store, after(days=1), keep=1) == 1
    assert await store.ends([LOG]) == [last]
    assert await lines(store, first) == ["last"]
    [after_it] = await one_by_one(store, clock, "next")
    assert after_it > last


async def test_each_workspace_forgets_its_own(engine: Engine, store: Store, clock: Clock) -> None:
    other = engine.workspace("other")
    await one_by_one(store, clock, "first", "second")
    await one_by_one(other, clock, "first", "last")
    await one_by_one(store, clock, "last")
    assert await trim(store, after(days=1), keep=100) == 2
    assert await lines(other, 0) == ["first", "last"]
    with pytest.raises(CursorExpired):
        await lines(store, 0)
    assert await trim(engine.workspace("empty"), after(days=1), keep=100) == 0


async def test_a_follower_that_waits_is_not_told_of_what_it_has_seen(store: Store, clock: Clock) -> None:
    await one_by_one(store, clock, "first", "second")
    follower = follow(store, LOG)
    assert len(await follower.take(2)) == 2
    assert await trim(store, after(days=1), keep=1) == 1
    await one_by_one(store, clock, "last")
    [line] = await follower.take(1)
    assert line.subject.external_id == "last"
    await follower.close()
