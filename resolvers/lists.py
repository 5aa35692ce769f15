"""The lists a frontend pages through."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from domain.actor import ActorFilter
from domain.audit import AuditFilter
from domain.errors import invalid
from domain.memory import Memory, MemoryFilter, MemoryOrder, says_when
from domain.message import MessageFilter
from domain.node import Id, Node
from domain.page import MAX_FIRST, MAX_FIRST_LONG, Page, slice_of
from domain.session import SessionFilter
from domain.span import SpanFilter, Trace, TraceListFilter
from domain.state import StateEntry, StateFilter, StateOrder
from domain.tool_execution import ToolExecution, ToolExecutionFilter, as_stored
from domain.trace import TraceFilter
from resolvers.actors import whose
from resolvers.context import Context
from stores.lists import record_of
from stores.orders import default_order
from stores.past import PastStore
from stores.ports import Collection, Fields, Records

ROOT = Id("")
"""The parent of a workspace's own lists."""


class Listed(NamedTuple):
    """One list: what may be filtered, and how many rows a page has at the most."""

    of: Collection | Records
    filter: type | None = None
    cap: int = MAX_FIRST

    @property
    def record(self) -> type[Node]:
        """Of which class its records are."""
        return record_of(self.of)

    @property
    def order(self) -> type:
        """What orders are asked for with."""
        return type(default_order(self.of))

    async def pages(  # noqa: PLR0913 - what a list takes
        self,
        context: Context,
        parents: Sequence[Id],
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        filter: Any = None,
        order_by: Any = None,
        fields: Fields | None = None,
    ) -> list[Page[Any]]:
        """A page for each parent; fields as stores.ports.Store.pages has them.

        Raises Rejected (INVALID) for a number out of range, for a cursor of another list,
        and for a cursor where there are several parents."""
        slice = slice_of(first, after, last, before, self.cap)
        if len(parents) > 1 and (after is not None or before is not None):
            name = "after" if after is not None else "before"
            raise invalid("A cursor belongs to one parent's list; select that parent alone.", [name])
        await whose(context, filter)
        if self.filter is MemoryFilter and not says_when(filter) and not isinstance(context.store, PastStore):
            filter = msgspec.structs.replace(filter or MemoryFilter(), valid_at=context.clock())
        if isinstance(filter, ToolExecutionFilter):
            filter = as_stored(filter, context.clock())
        return await context.store.pages(self.of, parents, slice, filter, order_by, fields)


SESSIONS = Listed(Collection.SESSIONS, SessionFilter)
USERS = Listed(Collection.USERS, ActorFilter)
AGENTS = Listed(Collection.AGENTS, ActorFilter)
MEMORIES = Listed(Collection.MEMORIES, MemoryFilter)
SPANS = Listed(Collection.SPANS, SpanFilter, MAX_FIRST_LONG)
STATES = Listed(Collection.STATES, StateFilter)
AUDIT = Listed(Collection.AUDIT, AuditFilter)
SESSION_PARTICIPANTS = Listed(Collection.SESSION_PARTICIPANTS)
SESSION_MESSAGES = Listed(Collection.SESSION_MESSAGES, MessageFilter, cap=MAX_FIRST_LONG)
SESSION_THREADS = Listed(Collection.SESSION_THREADS)
SESSION_MEMORIES = Listed(Collection.SESSION_MEMORIES, MemoryFilter)
SESSION_TRACE = Listed(Collection.SESSION_TRACE, TraceFilter, cap=MAX_FIRST_LONG)
SESSION_SPANS = Listed(Collection.SESSION_SPANS, SpanFilter, cap=MAX_FIRST_LONG)
SESSION_LINKS = Listed(Collection.SESSION_LINKS)
SESSION_TRACES = Listed(Collection.SESSION_TRACES)
ACTOR_SESSIONS = Listed(Collection.ACTOR_SESSIONS, SessionFilter)
ACTOR_MEMORIES = Listed(Collection.ACTOR_MEMORIES, MemoryFilter)
PARTICIPANT_MESSAGES = Listed(Collection.PARTICIPANT_MESSAGES, MessageFilter, cap=MAX_FIRST_LONG)
THREAD_MESSAGES = Listed(Collection.THREAD_MESSAGES, MessageFilter, cap=MAX_FIRST_LONG)
MESSAGE_REPLIES = Listed(Collection.MESSAGE_REPLIES, cap=MAX_FIRST_LONG)
MESSAGE_BRANCH = Listed(Collection.MESSAGE_BRANCH, MessageFilter, cap=MAX_FIRST_LONG)
MESSAGE_TRACE = Listed(Collection.MESSAGE_TRACE, cap=MAX_FIRST_LONG)
MEMORY_REFERENCED_BY = Listed(Collection.MEMORY_REFERENCED_BY, cap=MAX_FIRST_LONG)
MEMORY_LINKS = Listed(Collection.MEMORY_LINKS)
MEMORY_HISTORY = Listed(Collection.MEMORY_HISTORY)
MEMORY_RECALLS = Listed(Collection.MEMORY_RECALLS)
ENTITY_MEMORIES = Listed(Collection.ENTITY_MEMORIES, MemoryFilter)
ENTITY_MESSAGES = Listed(Collection.ENTITY_MESSAGES, MessageFilter, cap=MAX_FIRST_LONG)
SPAN_CHILDREN = Listed(Collection.SPAN_CHILDREN, cap=MAX_FIRST_LONG)
SPAN_EVENTS = Listed(Collection.SPAN_EVENTS, cap=MAX_FIRST_LONG)
TRACES = Listed(Records(Trace), TraceListFilter)
TOOL_EXECUTIONS = Listed(Records(ToolExecution), ToolExecutionFilter)
TRACE_SPANS = Listed(Collection.TRACE_SPANS, cap=MAX_FIRST_LONG)


async def memories(
    context: Context,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    filter: MemoryFilter | None = None,
    order_by: MemoryOrder | None = None,
    as_of: datetime | None = None,
) -> Page[Memory]:
    past = context.as_of(as_of)
    return (await MEMORIES.pages(past, [ROOT], first, after, last, before, filter, order_by))[0]


async def states(
    context: Context,
    namespace: str,
    filter: StateFilter | None = None,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    order_by: StateOrder | None = None,
) -> Page[StateEntry]:
    return (await STATES.pages(context, [Id(namespace)], first, after, last, before, filter, order_by))[0]


async def totals(context: Context, pages: Sequence[Page[Any]]) -> list[int]:
    keys = [page.count_key for page in pages]  # of a list that was at hand, its length
    asked = [key for key in keys if not isinstance(key, int)]
    counted = iter(await context.store.counts(asked) if asked else [])
    found = [key if isinstance(key, int) else next(counted) for key in keys]
    return [count + page.more for count, page in zip(found, pages, strict=True)]
