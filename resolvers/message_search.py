"""Search what was said, over all sessions."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from domain.errors import invalid
from domain.finding import snippet
from domain.message import Message, MessageFilter, MessageOrder
from domain.page import Page, PageInfo
from domain.values import MAX_NAME
from resolvers.context import Context
from resolvers.lists import MESSAGES, ROOT

_MOST_WORDS = 32

Words = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, pattern=r"\S")]


class MessageHit(msgspec.Struct, frozen=True):
    """A message that has all words, its place in its session, and a piece of it in which they are marked."""

    cursor: str
    node: Message
    place: int
    snippet: str


class MessageHits(msgspec.Struct, frozen=True):
    """A page of hits. count_key: as domain.page.Page has it."""

    edges: list[MessageHit]
    nodes: list[Message]
    page_info: PageInfo
    count_key: Any


async def search(
    context: Context,
    text: Words,
    filter: MessageFilter | None = None,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    order_by: MessageOrder | None = None,
) -> MessageHits:
    """The messages of all sessions that have all these words. Raises Rejected: INVALID."""
    words = list(dict.fromkeys(text.split()))
    if len(words) > _MOST_WORDS:
        raise invalid(f"Give up to {_MOST_WORDS} words.", ["text"])
    every = [*([] if filter is None else [filter]), *(MessageFilter(text=word) for word in words)]
    page: Page[Message]
    [page] = await MESSAGES.pages(context, [ROOT], first, after, last, before, MessageFilter(and_=every), order_by)
    hits = [MessageHit(edge.cursor, edge.node, edge.node.place, snippet(edge.node.text, words)) for edge in page.edges]
    return MessageHits(hits, page.nodes, page.page_info, page.count_key)
