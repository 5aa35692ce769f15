"""Erase users, agents and sessions, and prove it.

What is erased goes in transactions of some hundred records, the subject itself last: whoever is killed in between has
erased a part and goes on from there. That it has begun is noted before, and that it is done only after all that is kept
was searched; a sweep goes on with what was broken off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from domain.actor import Agent, User
from domain.erasure import (
    GOES_ON,
    EraseAgentInput,
    EraseSessionInput,
    EraseUserInput,
    Erasure,
    ErasureReport,
    StoreErasure,
)
from domain.errors import not_found
from domain.node import Id, Node, kind_of
from domain.session import Session
from domain.trash import TrashedSession
from domain.values import Ref, encode_json
from resolvers import trash
from resolvers.context import Context, each, lookup, require
from resolvers.erasing import Erasing
from resolvers.expiry import sweep
from resolvers.lists import ROOT
from stores.catalogue.kinds import KINDS
from stores.errors import Taken
from stores.needles import Needles
from stores.ports import Transaction

_PAGE = 500
_ATTEMPTS = 3


async def erase_user(context: Context, input: EraseUserInput) -> ErasureReport:
    """Erases a user: what they own and what they said, in every store. Sessions in which no other user takes part go
    whole; of others' sessions their messages are blanked. Memories that nobody or an agent owns go where they were
    formed from what is erased. Then everything that is kept is searched for the texts. Raises Rejected: NOT_FOUND."""
    user = await require(context.store, User, input.user, ["user"])
    return await _erase(context, user, input.dry_run)


async def erase_agent(context: Context, input: EraseAgentInput) -> ErasureReport:
    """Erases an agent: what it owns and what it said, in every store. Sessions in which no user and no other agent
    takes part go whole; of others its messages are blanked. Raises Rejected: NOT_FOUND."""
    agent = await require(context.store, Agent, input.agent, ["agent"])
    return await _erase(context, agent, input.dry_run)


async def erase_session(context: Context, input: EraseSessionInput) -> ErasureReport:
    """Erases a session, one in the trash too: all that was said and told in it, and the memories that were formed in
    it, whoever owns them. Raises Rejected: NOT_FOUND."""
    found = await lookup(context.store, Session, input.session) or await trash.named(context, input.session)
    if found is None:
        raise not_found(Session.noun, ["session"])
    return await _erase(context, found, input.dry_run)


async def _erase(context: Context, subject: Any, dry_run: bool) -> ErasureReport:
    id = subject.session_id if isinstance(subject, TrashedSession) else subject.id
    erasing = Erasing(context, id, dry_run)
    if dry_run:
        await erasing.everything(subject)
        return await _report(context, erasing, {}, None)
    await sweep(context)  # what has expired is not there for anybody, but it is in the files
    await context.store.write(lambda tx: _begin(tx, id))
    for attempt in range(_ATTEMPTS):
        try:
            await erasing.everything(subject)
            break
        except Taken:  # something was added that belongs to the subject
            if attempt == _ATTEMPTS - 1:
                raise
    return await _finish(context, erasing)


async def _begin(tx: Transaction, id: Id) -> None:
    [before] = await tx.find(Erasure, [(id,)])
    due = tx.now + GOES_ON
    new = Erasure(id=tx.new_id(Erasure), subject_id=id, begun_at=tx.now, due_at=due)
    await tx.put([new if before is None else replace(before, due_at=due, finished_at=None)])


async def _finish(context: Context, erasing: Erasing) -> ErasureReport:
    """Searches everything that is kept, and notes that the erasure is finished."""
    texts = sorted(erasing.texts)
    found = await context.engine.remains(context.caller.workspace, texts)
    left = frozenset().union(*(part.texts for part in found))
    others = await _elsewhere(context, [texts[place] for place in sorted(left)])
    left = frozenset(place for place in left if texts[place] not in others)

    async def script(tx: Transaction) -> Erasure:
        [before] = await tx.find(Erasure, [(erasing.subject_id,)])
        assert before is not None, "it has begun"
        done = replace(before, due_at=None, finished_at=tx.now)
        await tx.put([done])
        return done

    done = await context.store.write(script)
    parts = {part.store: len(part.texts & left) for part in found}
    return await _report(context, erasing, parts, done, len(others), len(left))


async def _report(
    context: Context, erasing: Erasing, parts: dict[str, int], done: Erasure | None, elsewhere: int = 0, found: int = 0
) -> ErasureReport:
    names = list(parts) or [part.name for part in await context.engine.health()]
    told: dict[str, tuple[Any, Any]] = {names[0]: (erasing.removed, erasing.blanked)}
    for name in names[1:]:
        vectors = {"memory": erasing.removed["memory"]} if name == "weaviate" and erasing.removed["memory"] else {}
        told[name] = vectors, {}
    if erasing.files:
        told["blobs"] = {"blob": erasing.files}, {}
    stores = [
        StoreErasure(name, encode_json(dict(removed)), encode_json(dict(blanked)), parts.get(name, 0))
        for name, (removed, blanked) in told.items()
    ]
    finished = None if done is None else done.finished_at
    return ErasureReport(erasing.dry_run, stores, len(erasing.texts), elsewhere, found, finished)


async def _elsewhere(context: Context, texts: Sequence[str]) -> set[str]:
    """Those of texts that records have: somebody else's, for the others are gone."""
    needles, found = await asyncio.to_thread(Needles, texts), set[int]()
    for workspace in await context.engine.workspaces() if texts else ():
        store = context.engine.workspace(workspace)
        for kind in KINDS:
            after: Id | None = None
            while len(found) < len(texts) and (page := await store.scan(kind.record, after, _PAGE)):
                found |= needles.found(b"\0".join(bytes(encode_json(record)) for record in page))
                after = page[-1].id
    return {texts[place] for place in found}


async def go_on(context: Context) -> int:
    """Goes on with erasures that were broken off; how many those were."""
    if not await context.store.scan(Erasure, None, 1):  # a look costs no commit
        return 0
    due = await context.store.write(lambda tx: tx.expired(Erasure, _PAGE))
    for one in due:
        subject = await _subject(context, one)
        if subject is None:  # all is erased, but that was not proved
            await context.store.write(partial(_begin, id=one.subject_id))
            await _finish(context, Erasing(context, one.subject_id))
        else:
            await _erase(context, subject, dry_run=False)
    return len(due)


async def again(context: Context) -> int:
    """Erases again what was erased before and has come back with older data; how much that was."""
    count, after, erased = 0, None, set[Id]()
    while page := await context.store.scan(Erasure, after, _PAGE):
        erased.update(one.subject_id for one in page)
        for one in page:
            if (subject := await _subject(context, one)) is not None:
                await _erase(context, subject, dry_run=False)
                count += 1
        after = page[-1].id
    for entry in [one async for one in each(context, trash.TRASH.of, ROOT)] if erased else ():
        if not erased.isdisjoint(entry.actor_ids):
            await context.store.write(partial(trash.take_out, [entry.id]))
            count += 1
    return count


async def _subject(context: Context, erasure: Erasure) -> Node | None:
    kind = kind_of(erasure.subject_id)
    assert kind is not None
    [found] = await context.store.get(kind, [erasure.subject_id])
    return found if found or kind is not Session else await trash.named(context, Ref(id=erasure.subject_id))
