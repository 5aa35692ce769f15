"""Records by their ids and natural keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.actor import Agent, User
from domain.key import ApiKey
from domain.link import MemoryLink, MemoryLinkKind
from domain.memory import Memory, MemoryFilter, MemoryStatus, lightest_first
from domain.message import Content, MemoryRef, Message, TextContent, Thread, ToolCall, ToolResponse
from domain.node import Id
from domain.participant import Participant, SenderType
from domain.session import ChatSession, PanelSession, Session, SessionKind, WorkflowSession
from domain.span import Span, SpanStatusCode, TokenUsage, Trace
from domain.state import StateEntry
from domain.trace import TraceEvent
from domain.values import encode_json
from stores.contract.making import (
    Clock,
    Draft,
    World,
    after,
    agent,
    api_key,
    audit,
    axis,
    delete,
    keep,
    link,
    memory,
    message,
    participant,
    remember,
    replace,
    say,
    session,
    span,
    state,
    talk,
    thread,
    trace,
    user,
)
from stores.ports import NaturalKey, Store, Transaction

KINDS = World._fields


def keys_of(things: World) -> dict[type[Any], NaturalKey]:
    return {
        User: ("ada",),
        Agent: ("helper",),
        Session: ("talk",),
        Message: ("said",),
        Memory: ("fact",),
        Participant: (things.session.id, f"actor:{things.user.id}"),
        Thread: (things.session.id, "aside"),
        TraceEvent: (things.session.id, "line"),
        Span: ("t1", "s1"),
        Trace: ("t1",),
        MemoryLink: (things.memory.id, "RELATED", things.other_memory.id),
        StateEntry: ("app", "color"),
        ApiKey: ("0f",),
    }


async def test_every_kind_of_record_comes_back_as_it_was(store: Store, things: World) -> None:
    for record in things.records:
        assert await store.get(type(record), [record.id]) == [record]


@pytest.mark.parametrize("draft", [user(), agent(), session(), trace(), api_key(), audit()], ids=lambda draft: "record")
async def test_a_record_under_an_id_of_another_script_is_kept(store: Store, draft: Draft[Any]) -> None:
    """As those that are copied from another store have."""

    async def made(tx: Transaction) -> Any:
        return draft(tx)

    record = await store.write(made)

    async def put(tx: Transaction) -> None:
        await tx.put([record])

    await store.write(put)
    assert await store.get(type(record), [record.id]) == [record]
    assert await store.scan(type(record), None, 10) == [record]


async def test_a_script_reads_what_is_committed_as_the_store_does(store: Store, things: World) -> None:
    async def script(tx: Transaction) -> list[Any]:
        return [(await tx.get(type(record), [record.id]))[0] for record in things.records]

    assert await store.write(script) == things.records


@pytest.mark.parametrize("kind", [User, Agent, Session, Message, Memory, Span, Thread, Participant, StateEntry])
async def test_records_come_in_the_order_asked_and_none_where_there_is_none(
    store: Store, things: World, kind: type[Any]
) -> None:
    record = next(record for record in things.records if isinstance(record, kind))
    asked = [Id("none"), record.id, kind.make_id(5), record.id]
    assert await store.get(kind, asked) == [None, record, None, record]

    async def script(tx: Transaction) -> list[Any]:
        return await tx.get(kind, asked)

    assert await store.write(script) == [None, record, None, record]


async def test_nothing_is_found_where_nothing_is_asked(store: Store) -> None:
    assert await store.get(Session, []) == []
    assert await store.find(Session, []) == []


async def test_an_id_of_another_kind_finds_nothing(store: Store, things: World) -> None:
    assert await store.get(User, [Id(things.agent.id)]) == [None]
    assert await store.get(Memory, [things.message.id]) == [None]


async def test_records_are_found_by_their_natural_keys(store: Store, things: World) -> None:
    for kind, key in keys_of(things).items():
        record = next(record for record in things.records if isinstance(record, kind))
        assert await store.find(kind, [("none",) * len(key), key, key]) == [None, record, record]

        async def script(tx: Transaction, kind: Any = kind, key: NaturalKey = key) -> list[Any]:
            return await tx.find(kind, [key, ("none",) * len(key)])

        assert await store.write(script) == [record, None]


async def test_a_participant_is_called_by_its_actor_or_external_id_or_name(store: Store) -> None:
    [where] = await keep(store, session())
    [named, external] = await keep(store, participant(where, name="eve"), participant(where, external_id="x1"))
    found = await store.find(Participant, [(where.id, "external:x1"), (where.id, "USER:eve"), (where.id, "AGENT:eve")])
    assert found == [external, named, None]


async def test_put_takes_the_place_of_a_record_of_the_same_id(store: Store, things: World) -> None:
    renamed = await replace(store, things.session, title="New", message_count=1)
    assert await store.get(Session, [renamed.id]) == [renamed]
    older = await replace(store, things.memory, text="grass", access_count=4, importance=0.1)
    assert await store.get(Memory, [older.id]) == [older]
    await replace(store, things.link, weight=0.25)
    [found] = await store.get(MemoryLink, [things.link.id])
    assert found is not None
    assert found.weight == 0.25


async def test_a_natural_key_moves_with_its_record(store: Store, things: World) -> None:
    await replace(store, things.user, external_id="eve")
    assert await store.find(User, [("ada",), ("eve",)]) == [None, (await store.get(User, [things.user.id]))[0]]


async def test_a_message_that_is_put_again_answers_with_its_new_parts(store: Store) -> None:
    call = ToolCall("c1", "clock", encode_json({}))
    _, _, [asked, answer] = await talk(store, [call], [ToolResponse("c1", encode_json(1), False)])
    await replace(store, answer, content=[ToolResponse("c1", encode_json(2), True)])
    [found] = await store.responses(asked.tool_calls)
    assert found == ToolResponse("c1", encode_json(2), True)
    await replace(store, answer, content=[TextContent("never mind")])
    assert await store.responses(asked.tool_calls) == [None]


async def test_a_session_comes_back_as_its_kind(store: Store) -> None:
    made = await keep(store, session(kind=SessionKind.PANEL), session(), session(kind=SessionKind.WORKFLOW))
    found = await store.get(Session, [one.id for one in made])
    assert [type(one) for one in found] == [PanelSession, ChatSession, WorkflowSession]


async def test_parts_of_a_message_keep_their_kind_and_order(store: Store) -> None:
    parts: list[Content] = [
        TextContent("look: \u00e9 \U0001f600 \x00"),
        ToolCall("c1", "clock", encode_json({"zone": None})),
        ToolResponse("c1", encode_json([1, "two"]), True),
    ]
    _, _, [said] = await talk(store, parts)
    [found] = await store.get(Message, [said.id])
    assert found == said


async def test_times_keep_their_microseconds(store: Store) -> None:
    times = [after(microseconds=1), after(days=9_000, microseconds=999_999), after(days=-60 * 365)]
    made = await keep(store, *(user(created_at=time) for time in times))
    assert [one and one.created_at for one in await store.get(User, [one.id for one in made])] == times


async def test_new_ids_only_grow_even_when_the_clock_steps_back(store: Store, clock: Clock) -> None:
    made = await keep(store, user(), user())
    clock.advance(hours=-5)
    made += await keep(store, user(), session())
    uuids = [one.id[4:] for one in made]
    assert uuids == sorted(uuids)
    assert len(set(uuids)) == len(uuids)


async def test_participants_of_a_session_come_as_they_joined(store: Store) -> None:
    [here, there] = await keep(store, session(), session())
    await keep(
        store,
        participant(here, name="late", joined_at=after(hours=2)),
        participant(here, name="early", joined_at=after(hours=-1)),
        participant(here, name="middle", type=SenderType.TOOL),
        participant(there, name="stranger"),
    )

    async def script(tx: Transaction) -> list[str]:
        return [one.name for one in await tx.participants(here.id)]

    assert await store.write(script) == ["early", "middle", "late"]


async def test_scan_goes_through_all_records_of_a_kind_by_id(store: Store) -> None:
    made = await keep(store, *(user(created_at=after(days=-day)) for day in range(7)))
    first = await store.scan(User, None, 3)
    second = await store.scan(User, first[-1].id, 3)
    third = await store.scan(User, second[-1].id, 3)
    assert first + second + third == made
    assert await store.scan(User, third[-1].id, 3) == []


async def test_a_trace_sums_up_its_spans(store: Store) -> None:
    spent = {"inputTokens": 10, "outputTokens": 2}
    [whole, *_] = await keep(
        store,
        trace(trace_id="t7"),
        span(trace_id="t7", span_id="a", started_at=after(seconds=-5), ended_at=after(seconds=1), attributes=spent),
        span(trace_id="t7", span_id="b", ended_at=after(seconds=3), status_code=SpanStatusCode.ERROR, attributes=spent),
    )
    [found] = await store.get(Trace, [whole.id])
    assert found is not None
    assert (found.started_at, found.ended_at) == (after(seconds=-5), after(seconds=3))
    assert (found.status_code, found.usage) == (SpanStatusCode.ERROR, TokenUsage(20, 4, 24))
    assert await store.find(Trace, [("t7",)]) == [found]


async def test_references_of_a_message_keep_their_order_and_what_was_noted_first(store: Store) -> None:
    facts = await remember(store, *(memory() for _ in range(4)))
    _, _, [said, silent] = await talk(store, "a", "b")
    refs = [MemoryRef(fact.id, 0.1 * index, f"note {index}") for index, fact in enumerate(facts)]

    async def first(tx: Transaction) -> None:
        await tx.reference(said.id, [refs[2], refs[0]])

    async def second(tx: Transaction) -> None:
        await tx.reference(said.id, [MemoryRef(facts[0].id, 0.9, "again"), refs[3], refs[1], refs[3]])

    await store.write(first)
    await store.write(second)
    assert (await store.memory_refs([silent.id, said.id])).refs == [[], [refs[2], refs[0], refs[3], refs[1]]]
    drawn = await store.memory_refs([silent.id, said.id], frozenset({"text", "importance"}))
    assert drawn.refs == [[], [refs[2], refs[0], refs[3], refs[1]]]
    assert {id: (fact.text, fact.importance) for id, fact in drawn.memories.items()} == {
        fact.id: (fact.text, fact.importance) for fact in facts
    }
    await delete(store, facts[0])
    assert (await store.memory_refs([said.id])).refs == [[refs[2], refs[3], refs[1]]]


async def test_memories_formed_from_messages_come_oldest_first(store: Store) -> None:
    _, _, [one, two] = await talk(store, "a", "b")
    facts = await remember(
        store,
        memory(source_message_id=one.id),
        memory(),
        memory(source_message_id=one.id),
        memory(source_message_id=two.id),
    )
    found = await store.formed_from([two.id, one.id, Id("none")])
    assert found == [[facts[3]], [facts[0], facts[2]], []]


class TestResponses:
    async def test_the_first_response_of_the_call_id_that_follows(self, store: Store) -> None:
        def response(id: str, value: int, is_error: bool = False) -> ToolResponse:
            return ToolResponse(id, encode_json(value), is_error)

        def call(id: str) -> ToolCall:
            return ToolCall(id, "clock", encode_json({}))

        _, _, said = await talk(
            store,
            [response("a", 0)],
            [call("a"), call("b"), response("b", 1)],
            [call("c")],
            [response("a", 2, True), response("a", 3)],
            [call("a")],
            [response("a", 4)],
        )
        calls = [one for message in said for one in message.tool_calls]
        assert await store.responses(calls) == [
            response("a", 2, True),
            response("b", 1),
            None,
            response("a", 4),
        ]

    async def test_a_response_before_its_call_in_the_same_message_does_not_count(self, store: Store) -> None:
        content: list[Content] = [ToolResponse("a", encode_json(1), False), ToolCall("a", "clock", encode_json({}))]
        _, _, [said] = await talk(store, content)
        assert await store.responses(said.tool_calls) == [None]

    async def test_another_session_does_not_answer(self, store: Store) -> None:
        _, _, [asked] = await talk(store, [ToolCall("a", "clock", encode_json({}))])
        await talk(store, "hm", [ToolResponse("a", encode_json(1), False)])
        assert await store.responses(asked.tool_calls) == [None]

    async def test_a_call_that_is_not_stored_has_none(self, store: Store) -> None:
        assert await store.responses([ToolCall("a", "clock", encode_json({}))]) == [None]
        assert await store.responses([]) == []


class TestDelete:
    async def test_a_session_takes_its_messages_and_trace_along_and_leaves_its_memories(
        self, store: Store, things: World
    ) -> None:
        voice, where = things.participant, things.session
        await say(store, where, message(voice, parent_id=things.message.id), message(voice))
        await delete(store, where)
        gone = [things.session, things.participant, things.thread, things.message, things.span, things.trace]
        for record in [*gone, things.event]:
            assert await store.get(type(record), [record.id]) == [None]
        [fact] = await store.get(Memory, [things.memory.id])
        assert fact is not None
        assert (fact.source_message_id, fact.session_id, fact.text) == (None, None, things.memory.text)
        [used] = await store.get(type(things.recall), [things.recall.id])
        assert used is not None
        assert (used.session_id, used.message_id, used.event_id) == (None, None, None)
        assert await store.get(User, [things.user.id]) == [things.user]

    async def test_a_session_leaves_other_sessions_alone(self, store: Store, things: World) -> None:
        where, _, said = await talk(store, "hello", "there")
        await delete(store, things.session)
        assert await store.get(Message, [one.id for one in said]) == said
        assert (await store.get(Session, [where.id]))[0] is not None

    async def test_a_memory_takes_its_links_history_and_recalls_along(self, store: Store, things: World) -> None:
        await delete(store, things.memory)
        for record in [things.memory, things.link, things.version, things.recall]:
            assert await store.get(type(record), [record.id]) == [None]
        assert await store.get(Memory, [things.other_memory.id]) == [things.other_memory]
        assert await store.vectors([things.memory.id]) == [None]

    async def test_a_message_takes_its_answers_along(self, store: Store) -> None:
        call = ToolCall("c1", "clock", encode_json({}))
        where, _, [asked, answer] = await talk(store, [call], [ToolResponse("c1", encode_json(1), False)])
        await delete(store, answer)
        assert await store.responses(asked.tool_calls) == [None]
        assert (await store.get(Session, [where.id]))[0] is not None

    async def test_what_is_not_there_can_be_deleted(self, store: Store, things: World) -> None:
        async def script(tx: Transaction) -> None:
            for kind in (Memory, Session, StateEntry, MemoryLink):
                await tx.delete(kind, [])
                await tx.delete(kind, [kind.make_id(1)])

        await store.write(script)
        assert await store.get(Memory, [things.memory.id]) == [things.memory]

    async def test_a_deleted_natural_key_is_free_again(self, store: Store, things: World) -> None:
        await delete(store, things.memory)
        [again] = await remember(store, memory(external_id="fact"))
        assert await store.find(Memory, [("fact",)]) == [again]


class TestOwners:
    async def test_how_many_memories_owners_have(self, store: Store) -> None:
        [ada, bob, helper] = await keep(store, user(), user(), agent())
        archived = {"status": MemoryStatus.ARCHIVED}
        await remember(
            store,
            memory(ada, text="12345"),
            memory(ada, text="\u00e9"),
            memory(ada, text="no", **archived),
            memory(ada, text="no", status=MemoryStatus.SUPERSEDED),
            memory(helper, text="abc", **archived),
            memory(text="world"),
        )
        found = await store.usage([helper.id, bob.id, ada.id])
        assert [(one.active, one.archived, one.size_bytes) for one in found] == [(0, 1, 0), (0, 0, 0), (2, 1, 7)]

    async def test_active_counts_an_owners_active_memories_and_none_the_global_ones(self, store: Store) -> None:
        [ada, helper] = await keep(store, user(), agent())

        async def script(tx: Transaction) -> list[int]:
            await tx.put([memory(ada)(tx), memory(ada)(tx), memory(ada, status=MemoryStatus.ARCHIVED)(tx)])
            await tx.put([memory()(tx)])
            return [await tx.active(ada.id), await tx.active(helper.id), await tx.active(None)]

        assert await store.write(script) == [2, 0, 1]

    async def test_the_lightest_come_first_without_those_to_keep(self, store: Store) -> None:
        [ada, bob] = await keep(store, user(), user())
        weights = [(0.5, 1.0), (0.9, 0.1), (1.0, 0.5), (0.2, 0.9), (0.0, 1.0), (1.0, 1.0)]
        made = await remember(
            store,
            *(memory(ada, importance=one, decay_factor=other) for one, other in weights),
            memory(ada, importance=0.0, status=MemoryStatus.ARCHIVED),
            memory(bob, importance=0.0),
        )
        expected = lightest_first([one for one in made[:6] if one.id != made[4].id])

        async def script(tx: Transaction) -> list[Memory]:
            return await tx.lightest(ada.id, 3, [made[4].id])

        assert await store.write(script) == expected[:3]

    async def test_matching_goes_through_the_active_memories_of_a_filter_by_id(self, store: Store) -> None:
        made = await remember(
            store,
            *(memory(tags=["even"] if index % 2 == 0 else []) for index in range(6)),
            memory(tags=["even"], status=MemoryStatus.ARCHIVED),
        )
        even = [made[0], made[2], made[4]]

        async def script(tx: Transaction) -> list[list[Memory]]:
            filter = MemoryFilter(tags=["even"])
            first = await tx.matching(filter, 2)
            return [first, await tx.matching(filter, 2, first[-1].id), await tx.matching(None, 10)]

        assert await store.write(script) == [even[:2], even[2:], made[:6]]


async def test_vectors_come_back_of_length_one_and_none_where_there_is_none(store: Store) -> None:
    made = await remember(store, memory(), memory(), vectors=[axis(3)])
    found = await store.vectors([made[1].id, made[0].id, Id("none")])
    assert found[0] is None
    assert found[2] is None
    assert found[1] is not None
    assert abs(found[1] - axis(3)).max() < 1e-3


async def test_strongest_links_of_pairs_in_either_direction(store: Store) -> None:
    [a, b, c] = await remember(store, memory(), memory(), memory())
    weak, strong, other = await keep(
        store,
        link(a, b, weight=0.2),
        link(b, a, weight=0.7),
        link(c, b, kind=MemoryLinkKind.CAUSES, weight=0.4),
    )
    assert await store.links_between([(a.id, b.id), (b.id, c.id)], None) == [strong, other]
    assert await store.links_between([(b.id, a.id), (b.id, c.id)], [MemoryLinkKind.CAUSES]) == [other]
    assert await store.links_between([(a.id, c.id)], None) == []
    assert weak.weight < strong.weight


async def test_one_thread_name_and_one_state_key_hold_one_record(store: Store) -> None:
    [where] = await keep(store, session())
    await keep(store, thread(where, name="a"), thread(where, name="b"))
    [first] = await keep(store, state("k"))
    [second] = await keep(store, state("k", value=encode_json(2), version=2))
    assert await store.find(StateEntry, [("app", "k")]) == [second]
    assert first.key == second.key


async def test_expiry_is_kept_to_the_microsecond(store: Store, clock: Clock) -> None:
    for odd in range(1, 60, 7):
        clock.now = after(microseconds=odd)
        [kept] = await keep(store, state(f"k{odd}", expires_at=after(seconds=1, microseconds=odd)))
        clock.now = kept.expires_at - timedelta(microseconds=1)
        assert await store.get(StateEntry, [kept.id]) == [kept]
        clock.now = kept.expires_at
        assert await store.get(StateEntry, [kept.id]) == [None]
