"""Every list there is, with rows in it: how a row is written, and by what the list is in order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from domain.link import MemoryLinkKind
from domain.message import MemoryRef, Message
from domain.node import Id, Node
from domain.session import Session
from stores.contract.making import (
    World,
    after,
    agent,
    api_key,
    audit,
    event,
    link,
    memory,
    mention,
    message,
    participant,
    recall,
    session,
    session_link,
    span,
    state,
    thread,
    trace,
    user,
    version,
)
from stores.ports import Collection, Store, Transaction

Row = Callable[[Transaction, World, int], Awaitable[Any]]


class Filling(NamedTuple):
    """A list of one parent. Rows of the numbers 2n and 2n + 1 are at one time; higher numbers are later."""

    row: Row
    parent: Callable[[World], Id]
    sorted_by: Callable[[Any], Any]
    descending: bool = False
    there: int = 0
    """How many rows the list has in a `World`."""


def time(number: int) -> datetime:
    return after(minutes=1 + number // 2)


async def _put(tx: Transaction, record: Any) -> Any:
    await tx.put([record])
    return record


async def _say(tx: Transaction, things: World, number: int, **values: Any) -> Message:
    [where] = await tx.get(Session, [things.session.id])
    assert where is not None
    said = msgspec.structs.replace(
        message(things.participant, created_at=time(number), **values)(tx), place=where.message_count + 1
    )
    await tx.put([said])
    await tx.put([msgspec.structs.replace(where, message_count=said.place)])
    return said


async def _log(tx: Transaction, things: World, number: int, **values: Any) -> Any:
    return (await tx.append([event(things.session, time=time(number), **values)(tx)]))[0]


async def _of_session(tx: Transaction, things: World, number: int) -> Any:
    """One that was formed in the session, one that a message drew on, one that was recalled, and so on."""
    values = {"session_id": things.session.id} if number % 3 == 0 else {}
    made = await _put(tx, memory(things.user, created_at=time(number), **values)(tx))
    if number % 3 == 1:
        await tx.reference(things.message.id, [MemoryRef(made.id, 0.5, None)])
    elif number % 3 == 2:
        await _put(tx, recall(made, session_id=things.session.id)(tx))
    return made


async def _of_actor(tx: Transaction, things: World, number: int) -> Any:
    made = await _put(tx, session(created_at=time(number))(tx))
    await _put(tx, participant(made, actor_id=things.user.id)(tx))
    return made


async def _that_refers(tx: Transaction, things: World, number: int) -> Any:
    said = await _say(tx, things, number)
    await tx.reference(said.id, [MemoryRef(things.memory.id, None, None)])
    return said


async def _mentioning(tx: Transaction, things: World, number: int) -> Any:
    made = await _formed(tx, things, number)
    await _put(tx, mention(made, things.entity)(tx))
    return made


async def _saying(tx: Transaction, things: World, number: int) -> Any:
    said = await _say(tx, things, number)
    await _put(tx, mention(said, things.entity)(tx))
    return said


async def _linked(tx: Transaction, things: World, number: int) -> Any:
    other = await _put(tx, memory(things.user)(tx))
    ends = (things.memory, other) if number % 2 else (other, things.memory)
    kind = list(MemoryLinkKind)[number % 7]
    return await _put(tx, link(*ends, kind=kind, created_at=time(number))(tx))


async def _with_session(tx: Transaction, things: World, number: int) -> Any:
    other = await _put(tx, session()(tx))
    ends = (things.session, other) if number % 2 else (other, things.session)
    return await _put(tx, session_link(*ends, created_at=time(number))(tx))


async def _formed(tx: Transaction, things: World, number: int) -> Any:
    return await _put(tx, memory(things.user, created_at=time(number))(tx))


async def _span(tx: Transaction, things: World, number: int, **values: Any) -> Any:
    made = {"trace_id": "t1", "span_id": f"n{number}", "started_at": time(number), **values}
    return await _put(tx, span(**made)(tx))


def _workspace(things: World) -> Id:
    return Id("")


def _of(member: str) -> Callable[[World], Id]:
    return lambda things: getattr(things, member).id


def _by(name: str) -> Callable[[Any], Any]:
    return lambda record: (getattr(record, name), record.id)


def _place(record: Any) -> Any:
    return record.place


FILLINGS: dict[Collection, Filling] = {
    Collection.SESSIONS: Filling(
        lambda tx, w, n: _put(tx, session(created_at=time(n))(tx)), _workspace, _by("created_at"), True, 1
    ),
    Collection.USERS: Filling(
        lambda tx, w, n: _put(tx, user(created_at=time(n))(tx)), _workspace, _by("created_at"), True, 1
    ),
    Collection.AGENTS: Filling(
        lambda tx, w, n: _put(tx, agent(created_at=time(n))(tx)), _workspace, _by("created_at"), True, 1
    ),
    Collection.MEMORIES: Filling(_formed, _workspace, _by("created_at"), True, 2),
    Collection.SPANS: Filling(_span, _workspace, _by("started_at"), True, 1),
    Collection.MESSAGES: Filling(_say, _workspace, _by("created_at"), True, 1),
    Collection.STATES: Filling(
        lambda tx, w, n: _put(tx, state(f"k{n:03}")(tx)), lambda w: Id("app"), lambda one: one.key, False, 1
    ),
    Collection.AUDIT: Filling(
        lambda tx, w, n: _put(tx, audit(time=time(n))(tx)), _workspace, lambda one: one.id, True, 1
    ),
    Collection.TENANT_KEYS: Filling(
        lambda tx, w, n: _put(tx, api_key(digest=f"d{n}", created_at=time(n))(tx)),
        lambda w: Id(w.api_key.workspace),
        _by("created_at"),
        True,
        1,
    ),
    Collection.SESSION_PARTICIPANTS: Filling(
        lambda tx, w, n: _put(tx, participant(w.session, name=f"p{n}", joined_at=time(n))(tx)),
        _of("session"),
        _by("joined_at"),
        False,
        1,
    ),
    Collection.SESSION_MESSAGES: Filling(_say, _of("session"), _place, False, 1),
    Collection.SESSION_THREADS: Filling(
        lambda tx, w, n: _put(tx, thread(w.session, name=f"t{n}", created_at=time(n))(tx)),
        _of("session"),
        _by("created_at"),
        False,
        1,
    ),
    Collection.SESSION_MEMORIES: Filling(_of_session, _of("session"), _by("created_at"), True, 1),
    Collection.SESSION_TRACE: Filling(_log, _of("session"), _place, False, 1),
    Collection.SESSION_SPANS: Filling(
        lambda tx, w, n: _span(tx, w, n, session_id=w.session.id), _of("session"), _by("started_at"), True, 1
    ),
    Collection.SESSION_TRACES: Filling(
        lambda tx, w, n: _put(tx, trace(trace_id=f"x{n}", session_id=w.session.id, started_at=time(n))(tx)),
        _of("session"),
        _by("started_at"),
        True,
        1,
    ),
    Collection.ACTOR_SESSIONS: Filling(_of_actor, _of("user"), _by("created_at"), True, 1),
    Collection.ACTOR_MEMORIES: Filling(_formed, _of("user"), _by("created_at"), True, 2),
    Collection.PARTICIPANT_MESSAGES: Filling(_say, _of("participant"), _place, False, 1),
    Collection.THREAD_MESSAGES: Filling(
        lambda tx, w, n: _say(tx, w, n, thread_id=w.thread.id), _of("thread"), _place, False, 1
    ),
    Collection.MESSAGE_REPLIES: Filling(
        lambda tx, w, n: _say(tx, w, n, parent_id=w.message.id), _of("message"), _place
    ),
    Collection.MESSAGE_TRACE: Filling(
        lambda tx, w, n: _log(tx, w, n, message_id=w.message.id), _of("message"), _place, False, 1
    ),
    Collection.MEMORY_REFERENCED_BY: Filling(_that_refers, _of("memory"), _by("created_at"), True),
    Collection.ENTITY_MEMORIES: Filling(_mentioning, _of("entity"), _by("created_at"), True, 1),
    Collection.ENTITY_MESSAGES: Filling(_saying, _of("entity"), _by("created_at"), True),
    Collection.MEMORY_LINKS: Filling(_linked, _of("memory"), _by("created_at"), True, 1),
    Collection.SESSION_LINKS: Filling(_with_session, _of("session"), _by("created_at"), True),
    Collection.MEMORY_HISTORY: Filling(
        lambda tx, w, n: _put(tx, version(w.memory, version=2 + n)(tx)), _of("memory"), lambda one: one.version, True, 1
    ),
    Collection.MEMORY_RECALLS: Filling(
        lambda tx, w, n: _put(tx, recall(w.memory, recalled_at=time(n))(tx)), _of("memory"), _by("recalled_at"), True, 1
    ),
    Collection.SPAN_CHILDREN: Filling(
        lambda tx, w, n: _span(tx, w, n, parent_span_id="s1"), _of("span"), _by("started_at")
    ),
    Collection.SPAN_EVENTS: Filling(
        lambda tx, w, n: _log(tx, w, n, span_record_id=w.span.id), _of("span"), _place, False, 1
    ),
    Collection.TRACE_SPANS: Filling(_span, _of("trace"), _by("started_at"), False, 1),
}

LOGS = [of for of, filling in FILLINGS.items() if filling.sorted_by is _place]
"""Lists whose rows only ever come at the end, and whose cursors are places."""


async def fill(store: Store, of: Collection, things: World, numbers: range) -> list[Node]:
    """Writes rows of these numbers, in one transaction."""

    async def script(tx: Transaction) -> list[Node]:
        return [await FILLINGS[of].row(tx, things, number) for number in numbers]

    return await store.write(script)
