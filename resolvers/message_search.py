"""Search what was said, over all sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from domain.finding import snippet
from domain.memory import Memory, MemoryFilter, MemoryStatus
from domain.message import Message, MessageFilter, MessageOrder, MessageOrderField
from domain.node import Id
from domain.page import Listing, Mark, OrderDirection, PageInfo, Slice, slice_of
from domain.participant import Participant
from domain.ranking import Asked, Ranked, rank
from domain.search import Candidate, Ranking, SearchMode, asks, similarity
from domain.values import MAX_TEXT
from resolvers.actors import whose
from resolvers.context import Context, embedding, present
from resolvers.search import meaning, means, usual_of
from stores import words
from stores.errors import NoEmbedder
from stores.ports import FoundMessages, MessageSearch, Search, Vector, label_of

MOST = 200
"""How many hits a search has."""

_COMPARED = 60
"""So many of the best by words are compared by their meaning, too: 25 us each by the default embedder."""

_NEAR = 50
"""Of so many memories that are near in meaning, the messages they were formed from are candidates."""

_THRESHOLD = 0.5

Said = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT, pattern=r"\S")]


class MessageHit(msgspec.Struct, frozen=True):
    """A message, its place in its session, its score between 0 and 1, and a piece of it in which what was looked for is
    marked."""

    cursor: str
    node: Message
    place: int
    score: float
    snippet: str


class MessageHits(msgspec.Struct, frozen=True):
    """A page of hits, the best first. degraded: the meaning could not be looked for."""

    edges: list[MessageHit]
    nodes: list[Message]
    page_info: PageInfo
    total_count: int
    mode: SearchMode
    degraded: bool


class _Order(NamedTuple):
    """What hits are sorted by."""

    value: Callable[[Ranked], float]
    descending: bool

    def mark(self, one: Ranked) -> Mark:
        return self.value(one), one.candidate.id

    def is_before(self, one: Mark, other: Mark) -> bool:
        return one > other if self.descending else one < other


async def search(  # noqa: PLR0913 - what a list takes
    context: Context,
    text: Said,
    filter: MessageFilter | None = None,
    mode: SearchMode = SearchMode.HYBRID,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
    order_by: MessageOrder | None = None,
) -> MessageHits:
    """The messages of all sessions that have words of a text, or mean the same; the best of them in another order where
    one is given. Raises Rejected: INVALID; AMBIGUOUS for a sender who may be two."""
    slice = slice_of(first, after, last, before)
    listing = Listing(f"said {mode.value} {text} {msgspec.json.encode([filter, order_by]).decode()}")
    marks = listing.marks(slice)
    await whose(context, filter)
    ranked, messages, degraded = await _ranked(context, text, filter, mode)
    order = _order(order_by, messages)
    ranked.sort(key=order.mark, reverse=order.descending)
    page, info = _page(ranked, slice, listing, marks, order)
    looked_for = words.asked(text)
    hits = [
        MessageHit(
            listing.cursor(order.mark(one)),
            message := messages[one.candidate.id],
            message.place,
            one.score,
            snippet(message.searched, words.spots(looked_for, message.searched)),
        )
        for one in page
    ]
    used = SearchMode.TEXT if degraded and mode is SearchMode.SEMANTIC else mode
    return MessageHits(hits, [one.node for one in hits], info, len(ranked), used, degraded)


def _order(asked: MessageOrder | None, messages: Mapping[Id, Message]) -> _Order:
    if asked is None:
        return _Order(lambda one: one.score, True)
    descending = asked.direction is OrderDirection.DESC
    if asked.field is MessageOrderField.PLACE:
        return _Order(lambda one: messages[one.candidate.id].place, descending)
    return _Order(lambda one: messages[one.candidate.id].created_at.timestamp(), descending)


def _page(
    ranked: Sequence[Ranked], slice: Slice, listing: Listing, marks: tuple[Mark | None, Mark | None], order: _Order
) -> tuple[Sequence[Ranked], PageInfo]:
    after, before = marks
    every = [order.mark(one) for one in ranked]
    start = 0 if after is None else sum(not order.is_before(after, mark) for mark in every)
    end = len(every) if before is None else sum(order.is_before(mark, before) for mark in every)
    start, end = (max(start, end - slice.limit), end) if slice.backward else (start, min(end, start + slice.limit))
    if start >= end:
        return [], PageInfo(False, False, None, None)
    ends = listing.cursor(every[start]), listing.cursor(every[end - 1])
    return ranked[start:end], PageInfo(end < len(every), start > 0, *ends)


@embedding
async def _ranked(
    context: Context, text: str, filter: MessageFilter | None, mode: SearchMode
) -> tuple[list[Ranked], dict[Id, Message], bool]:
    """All hits, best first, the messages they are of, and whether their meaning could not be looked for."""
    vector, degraded = None, False
    if mode is not SearchMode.TEXT and means(text):
        try:
            vector = await meaning(context, text, mode)
        except NoEmbedder:
            degraded = True
    if degraded and mode is SearchMode.SEMANTIC:
        mode = SearchMode.TEXT
    near: dict[Id, float] = {}
    if vector is not None:
        near, degraded = await _remembered(context, vector)
    found = await context.store.search_messages(MessageSearch(text, MOST, filter, list(near)))
    alike = near if vector is None else await _alike(context, found, vector, near)
    usual = await usual_of(context, mode, vector)
    asked = Asked(
        mode, _THRESHOLD, MOST, Ranking.RELEVANCE, text, context.clock(), context.embedder.kindred, found.covered, usual
    )
    ranked = rank(await _candidates(context, found, alike), asked, weights=context.weights)
    return ranked, {one.id: one for one in found.messages}, degraded


async def _remembered(context: Context, vector: Vector) -> tuple[dict[Id, float], bool]:
    """The messages that the memories nearest in meaning were formed from, with the similarity; and whether a part of
    the store was down."""
    every = MemoryFilter(statuses=[MemoryStatus.ACTIVE, MemoryStatus.SUPERSEDED])
    how = Search(
        SearchMode.SEMANTIC, _THRESHOLD, _NEAR, None, vector, every, None,
        ranking=Ranking.RELEVANCE, embedder=label_of(context.embedder),
    )  # fmt: skip
    [found] = await context.store.search([how])
    alike = {one.id: one.similarity for one in found.candidates if one.similarity is not None}
    best = sorted(alike, key=lambda one: (alike[one], one), reverse=True)[:_NEAR]
    near: dict[Id, float] = {}
    for memory in await present(context.store, Memory, best):
        if (id := memory.source_message_id) is not None:
            near[id] = max(near.get(id, 0.0), alike[memory.id])
    return near, found.degraded


async def _alike(context: Context, found: FoundMessages, vector: Vector, near: Mapping[Id, float]) -> dict[Id, float]:
    """The similarity of messages: of the best by words their own, where the embedder is at hand; and of the memories
    formed from them."""
    if not found.messages or not context.embedder.is_at_hand:
        return dict(near)
    ranks = found.ranks
    best = sorted(found.messages, key=lambda one: (ranks.get(one.id, 1.0), one.id), reverse=True)[:_COMPARED]
    vectors = await context.embedder.embed([one.searched for one in best])
    cosines: list[float] = (vectors @ vector).tolist()
    own = {one.id: similarity(cosine) for one, cosine in zip(best, cosines, strict=True)}
    return {id: max(own.get(id, 0.0), near.get(id, 0.0)) for id in {*own, *near}}


async def _candidates(context: Context, found: FoundMessages, alike: Mapping[Id, float]) -> list[Candidate]:
    senders = {one.sender_id: one for one in found.messages}
    names: dict[Any, str | None] = {
        one.id: one.name for one in await present(context.store, Participant, list(senders))
    }
    places = {one.id: one.place for one in found.messages}
    return [
        Candidate(
            one.id, 1.0, 1.0, alike.get(one.id), found.ranks.get(one.id), one.created_at, asks(one.text[-40:]),
            one.session_id, one.place, None if one.parent_id is None else places.get(one.parent_id),
            (name,) if (name := names.get(one.sender_id)) else (), text=one.searched,
        )
        for one in found.messages
    ]  # fmt: skip
