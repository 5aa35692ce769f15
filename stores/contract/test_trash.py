"""What a session that is put into the trash takes along is found before it is deleted; the trash itself expires."""

from __future__ import annotations

from typing import Any

from domain.annotation import Annotation
from domain.memory import Memory
from domain.message import MemoryRef, Message
from domain.node import Id
from domain.session import Session
from domain.trace import TraceEvent
from domain.trash import TrashedPart, TrashedSession
from stores.contract.making import (
    Clock,
    World,
    after,
    annotation,
    delete,
    event,
    keep,
    memory,
    message,
    say,
    session,
    trashed,
    trashed_part,
)
from stores.ports import Engine, Store, Transaction, Way


async def ends(store: Store, way: Way, of: Session) -> set[Id]:
    async def script(tx: Transaction) -> set[Id]:
        return {one.id for one in await tx.along(Session, way, [of.id])}

    return await store.write(script)


async def test_records_are_found_by_way_of_nearer_ones(store: Store, things: World) -> None:
    [far] = await keep(store, session(external_id="far"))
    [told] = await keep(store, event(far, message_id=things.message.id))
    [noted] = await keep(store, annotation(things.message, name="good"))
    [fact] = await keep(store, memory(things.user, session_id=things.session.id))
    by_message = (Message, "session")
    assert things.message.id in await ends(store, [by_message], things.session)
    assert told.id in await ends(store, [by_message, (TraceEvent, "message")], things.session)
    assert await ends(store, [by_message, (Annotation, "target")], things.session) == {noted.id}
    assert fact.id in await ends(store, [(Memory, "session")], things.session)
    for way in ([by_message], [by_message, (Annotation, "target")], [(Memory, "session")]):
        assert await ends(store, way, far) == set()


async def test_what_is_written_before_is_found(store: Store, things: World) -> None:
    async def script(tx: Transaction) -> Any:
        made = memory(things.user, session_id=things.session.id)(tx)
        await tx.put([made])
        await tx.reference(things.message.id, [MemoryRef(made.id, 0.5, "why")])
        found = await tx.along(Session, [(Memory, "session")], [things.session.id])
        return made in found, (await tx.drawn([things.message.id, Id("msg_none")]))

    there, [drawn, none] = await store.write(script)
    assert there
    assert (drawn[-1].score, drawn[-1].note, none) == (0.5, "why", [])


async def test_what_messages_draw_on_is_in_order(store: Store, things: World) -> None:
    facts = await keep(store, *(memory(things.user) for _ in range(3)))
    [first, second] = await say(store, things.session, *(message(things.participant) for _ in range(2)))
    refs = [MemoryRef(one.id, None, None) for one in facts]

    async def draw(tx: Transaction) -> None:
        await tx.reference(first.id, refs[::-1])
        await tx.reference(second.id, refs[:1])

    await store.write(draw)
    assert await store.write(lambda tx: tx.drawn([second.id, first.id])) == [refs[:1], refs[::-1]]
    await delete(store, facts[1])
    assert await store.write(lambda tx: tx.drawn([first.id])) == [[refs[2], refs[0]]]


async def test_the_trash_expires_with_its_parts(engine: Engine, store: Store, clock: Clock) -> None:
    [short, long] = await keep(store, trashed(expires_at=after(hours=1)), trashed(parts=1))
    [gone] = await keep(store, trashed_part(short, 0, "message", []))
    [kept] = await keep(store, trashed_part(long, 0, "message", [{"a": "x"}]))
    assert await store.find(TrashedPart, [(long.id, "0"), (long.id, "1"), (short.id, "0")]) == [kept, None, gone]
    clock.advance(hours=2)
    assert await store.get(TrashedSession, [short.id, long.id]) == [None, long]
    assert await store.get(TrashedPart, [gone.id, kept.id]) == [None, kept]
    assert await engine.due() != []
    [due] = await store.write(lambda tx: tx.expired(TrashedSession, 9))
    await delete(store, due)
    assert await engine.due() == []
    await delete(store, long)
    assert await store.scan(TrashedPart, None, 9) == []
