"""Branches of sessions: the current one, and the messages of any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from domain.branch import Entry
from domain.branch import tips as tips_of
from domain.errors import not_found
from domain.message import Message, MessageFilter, MessageOrder
from domain.node import Id
from domain.page import MAX_FIRST_LONG, Page, Slice
from domain.session import Session
from resolvers.context import Context, named_by, present
from resolvers.lists import MESSAGE_BRANCH, SESSION_MESSAGES
from stores.ports import Collection, Fields


async def ends(context: Context, sessions: Sequence[Session]) -> list[Message | None]:
    """The message at which the current branch of each session ends: the one that it names, else its latest."""
    found = await named_by(context, Message, [session.current_id for session in sessions])
    unknown = [session.id for session, end in zip(sessions, found, strict=True) if end is None]
    latest: dict[Id, Message] = {}
    if unknown:
        pages = await context.store.pages(Collection.SESSION_MESSAGES, unknown, Slice(1, backward=True))
        latest = {id: message for id, page in zip(unknown, pages, strict=True) for message in page.nodes}
    return [end or latest.get(session.id) for session, end in zip(sessions, found, strict=True)]


async def origins(context: Context, sessions: Sequence[Session]) -> list[Message | None]:
    """The message that each session was forked at."""
    return await named_by(context, Message, [session.forked_from_id for session in sessions])


async def tips(context: Context, sessions: Sequence[Session]) -> list[list[Message]]:
    """The messages at which the branches of each session end."""
    found = []
    for session in sessions:
        messages = [one async for one in all_messages(context, session.id, _PLACED)]
        # Of a long session that takes longer than the loop may be held up.
        found.append(await present(context.store, Message, await asyncio.to_thread(_tips, messages)))
    return found


def _tips(messages: Sequence[Message]) -> list[Id]:
    replied = {one.parent_id for one in messages}
    entries = (Entry(one.id, one.place, one.thread_id, one.parent_id, one.id in replied) for one in messages)
    return [Id(str(id)) for id in tips_of(entries)]


_PLACED = frozenset({"place", "thread_id", "parent_id"})


async def all_messages(
    context: Context, parent: Id, fields: Fields | None = None, of: Collection = Collection.SESSION_MESSAGES
) -> AsyncIterator[Message]:
    """All messages of a session, or of the branch that ends at a message."""
    more, after = True, None
    while more:
        [page] = await context.store.pages(of, [parent], Slice(MAX_FIRST_LONG, after=after), fields=fields)
        for message in page.nodes:
            yield message
        more, after = page.has_next_page, page.page_info.end_cursor


async def on_current(context: Context, messages: Sequence[Message]) -> list[bool]:
    """Whether each message is on the current branch of its session."""
    sessions = await present(context.store, Session, list({message.session_id for message in messages}))
    found = [end for end in await ends(context, sessions) if end is not None]
    branches = await context.store.branches([end.id for end in found])
    current = {end.session_id: set(places) for end, places in zip(found, branches, strict=True)}
    return [message.place in current.get(message.session_id, ()) for message in messages]


async def messages(  # noqa: PLR0913 - the arguments of a field
    context: Context,
    sessions: Sequence[Session],
    branch: Id | None = None,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    filter: MessageFilter | None = None,
    order_by: MessageOrder | None = None,
    fields: Fields | None = None,
) -> list[Page[Message]]:
    """All messages of each session, or those of the branch that ends at one. Raises Rejected: INVALID, and NOT_FOUND
    where that one is of another session."""
    listed, ids = SESSION_MESSAGES, [session.id for session in sessions]
    if branch is not None:
        [end] = await context.store.get(Message, [branch])
        if end is None or any(id != end.session_id for id in ids):
            raise not_found("message of this session", ["branch"])
        listed, ids = MESSAGE_BRANCH, [end.id for _ in ids]
    return await listed.pages(context, ids, first, after, last, before, filter, order_by, fields)
