"""Records that name others: what happens to them when those are deleted."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest

from domain.history import MemoryVersion
from domain.link import MemoryLink
from domain.memory import Memory
from domain.message import Message, Thread
from domain.node import Id, Node
from domain.participant import Participant
from domain.search import Recall
from domain.session import Session
from domain.span import Span, Trace
from domain.trace import TraceEvent
from stores.catalogue.kinds import KINDS, kind
from stores.contract.making import World, delete, event, keep, memory, message, recall, say, session, span
from stores.ports import Store


class Other(NamedTuple):
    """Another session whose records name those of the world's."""

    session: Session
    reply: Message
    memory: Memory
    on_message: TraceEvent
    child: TraceEvent
    grandchild: TraceEvent
    on_span: TraceEvent
    span: Span
    of_event: Recall
    of_child: Recall
    of_message: Recall
    of_session: Recall


@pytest.fixture
async def other(store: Store, things: World) -> Other:
    """Each reference there is, from one session into another one."""
    [far] = await keep(store, session(external_id="far"))
    [reply] = await say(store, things.session, message(things.participant, parent_id=things.message.id))
    [made] = await keep(store, memory(things.user, source_message_id=things.message.id, session_id=things.session.id))
    [on_message] = await keep(store, event(far, message_id=things.message.id))
    [child] = await keep(store, event(far, parent_id=on_message.id))
    [grandchild] = await keep(store, event(far, parent_id=things.event.id))
    [on_span] = await keep(store, event(far, span_record_id=things.span.id))
    [part] = await keep(store, span(span_id="far", trace_id="far", session_id=far.id, message_id=things.message.id))
    [of_event, of_child, of_message, of_session] = await keep(
        store,
        recall(made, event_id=on_message.id),
        recall(made, event_id=things.event.id, session_id=far.id),
        recall(made, message_id=things.message.id),
        recall(made, session_id=things.session.id),
    )
    return Other(
        far, reply, made, on_message, child, grandchild, on_span, part, of_event, of_child, of_message, of_session
    )  # fmt: skip


async def everything(store: Store) -> dict[Id, Node]:
    """All records by id."""
    found = [record for kind in KINDS for record in await store.scan(kind.record, None, 1_000)]
    return {record.id: record for record in found}


def named(record: Node) -> dict[str, Id | None]:
    """What a record names, but for mere mentions, by field."""
    columns = kind(type(record)).references
    return {
        str(one.field): getattr(record, str(one.field)) for one in columns if one.refers and one.refers.gone != "keep"
    }


@pytest.mark.parametrize("of", [Session, Message, Memory, Span, TraceEvent, MemoryLink, Recall, MemoryVersion, Trace])
async def test_nothing_names_what_is_gone(store: Store, things: World, other: Other, of: type[Node]) -> None:
    before = await everything(store)
    for record in [one for one in things.records if isinstance(one, of)]:
        await delete(store, record)
        after = await everything(store)
        assert record.id not in after
        assert {id for one in after.values() for id in named(one).values()} <= {None, *after}
        for id in after.keys() & before.keys():  # what is new is a line of a log
            left = after[id]
            emptied = {name: None for name, id in named(before[id]).items() if id is not None and id not in after}
            if not isinstance(left, Trace | Session):
                assert left == msgspec.structs.replace(before[id], **emptied)


async def test_a_deleted_session_takes_what_is_its_and_no_more(store: Store, things: World, other: Other) -> None:
    before = await everything(store)
    await delete(store, things.session)
    gone = before.keys() - (await everything(store)).keys()
    of = {Session, Participant, Thread, Message, Trace, Span, TraceEvent}
    assert {type(before[id]) for id in gone if type(before[id]).__name__ != "Tally"} - of <= {type(things.session)}
    assert {other.reply.id, other.on_message.id, things.span.id, things.event.id} <= gone
    assert not {other.session.id, other.memory.id, other.child.id, other.grandchild.id, other.span.id} & gone
    assert not {one.id for one in other if isinstance(one, Recall)} & gone


async def test_a_message_with_a_reply_can_be_deleted_and_the_reply_stays(
    store: Store, things: World, other: Other
) -> None:
    await delete(store, things.message)
    [reply] = await store.get(Message, [other.reply.id])
    assert reply == msgspec.structs.replace(other.reply, parent_id=None)


async def test_a_message_and_its_reply_can_be_deleted_together(store: Store, things: World, other: Other) -> None:
    await delete(store, things.message, other.reply)
    assert await store.get(Message, [things.message.id, other.reply.id]) == [None, None]
