"""What an engine does that has all records of a workspace at hand: it ranks words, walks links and follows logs with
nothing but Python. Groups are in stores.grouping, generations in stores.generations, pages in domain.page."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations, product
from typing import Any

from msgspec.structs import replace

from domain import entity
from domain.branch import Entry, branch
from domain.change import Line, MemoryChange
from domain.document import DocumentChunk
from domain.graph import FAN_OUT, GraphEdge, GraphEdgeKind, GraphInclude, Neighbors
from domain.link import MemoryLink
from domain.memory import Memory, MemoryFilter, MemoryStatus, says_when
from domain.message import Message, ToolResponse
from domain.node import Id
from domain.participant import SenderType
from domain.search import Candidate, Tie, asks
from domain.state import SEPARATOR, StateEntry
from domain.state_index import StateVector
from domain.tool_calls import Spot, Step, answers, call_parts
from stores import changes, words
from stores.budget import check
from stores.catalogue.kinds import kind
from stores.documents import cosines
from stores.filters import IN_DOCUMENT
from stores.policies import LOOSE, REFERENCES_SHOWN
from stores.ports import (
    ChunkSearch,
    FoundChunks,
    FoundMessages,
    FoundStates,
    MessageSearch,
    Search,
    StateSearch,
    Usage,
    Way,
)
from stores.predicate import World, holds, passes
from stores.state_index import nearest


def along(all: Callable[[Any], Iterable[Any]], way: Way, ids: Iterable[Id]) -> list[Any]:
    """The records at the end of a way (stores.ports.Transaction). all: those of a kind that are there."""
    named, found = set(ids), list[Any]()
    for record, column in way:
        field = str(kind(record).columns[column].field)
        found = [one for one in all(record) if getattr(one, field) in named]
        named = {one.id for one in found}
    return found


def ties(links: Iterable[MemoryLink], drawn: Iterable[Iterable[Id]]) -> list[Tie]:
    """What ties memories to each other: links, and messages that drew on several. drawn: on which each did."""
    linked = [Tie(one.source_id, one.target_id, one.kind, one.weight) for one in links]
    return [*linked, *(Tie(a, b, None, 1.0) for ids in drawn for a, b in combinations(ids, 2))]


Words = tuple[Counter[str], Counter[str]]
"""How often a text has each word, and each word that stands for others."""


@lru_cache(10_000)
def words_of(text: str) -> Words:
    exact, loose = words.stored(text)
    return Counter(exact), Counter(loose)


def ranks(corpus: Mapping[Id, Words], among: Iterable[Id], text: str) -> dict[Id, float]:
    """How well words fit each text that has any: BM25 (k1 = 1.2, b = 0.75) as a share of the best one's.

    corpus: all texts, whose words tell how rare one is.
    """
    among = list(among)
    sizes = {id: exact.total() + loose.total() for id, (exact, loose) in corpus.items()}
    average = max(sum(sizes.values()) / max(len(sizes), 1), 1)
    scores: defaultdict[Id, float] = defaultdict(float)
    for line, (those, counts) in enumerate(zip(words.asked(text), (1.0, LOOSE), strict=True)):
        for word in those:
            having = sum(word in of[line] for of in corpus.values())
            rarity = max(math.log((len(corpus) - having + 0.5) / (having + 0.5)), 1e-6)
            for id in among:
                if often := counts * corpus[id][line][word]:
                    length = sizes[id] / average
                    scores[id] += rarity * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * length))
    best = max(scores.values(), default=1.0)
    return {id: score / best for id, score in scores.items()}


def searched(memories: Iterable[Memory], search: Search, world: World, now: Any) -> list[Memory]:
    """The memories that a search is among; one that does not say of which time means what holds now."""
    filter = search.filter or MemoryFilter()
    statuses = [MemoryStatus.ACTIVE] if filter.statuses is None else filter.statuses
    filter = replace(filter, statuses=statuses, valid_at=filter.valid_at if says_when(filter) else now)
    owners = None if search.owners is None else {*search.owners, None}
    return [
        one
        for one in memories
        if one.id != search.exclude and (owners is None or one.owner_id in owners) and passes(filter, one, world)
    ]


def placed(memory: Memory, candidate: Candidate, any: Callable[[Id | None], Any]) -> Candidate:
    """The candidate with what is known of its memory's place. any: the record of an id, if there is one."""
    message = any(memory.source_message_id)
    parent = message and any(message.parent_id)
    sender = message and any(message.sender_id)
    beside = parent if parent and parent.session_id == message.session_id else None
    session, place = (memory.session_id, None) if message is None else (message.session_id, message.place)
    who = (getattr(one, "name", None) for one in (sender, any(memory.owner_id)))
    return replace(
        candidate, at=memory.created_at, asks=asks(memory.text[-40:]), session_id=session, place=place,
        parent=beside and beside.place, people=tuple(name for name in who if name),
    )  # fmt: skip


def branch_of(messages: Iterable[Message], end: Message | None) -> list[int]:
    """The places of the branch that ends at a message, of the messages of its session by place."""
    session = list(messages)[::-1]
    replied = {one.parent_id for one in session}
    said = (Entry(one.id, one.place, one.thread_id, one.parent_id, one.id in replied) for one in session)
    return branch(end and end.id, said)


def responses(messages: Iterable[Message]) -> dict[Spot, ToolResponse]:
    """The responses of a session's tool calls, by the place of the call's message and its index there."""
    said = list(messages)
    places, replied = {one.id: one.place for one in said}, {one.parent_id for one in said}
    steps = []
    for one in said:
        parent = None if one.parent_id is None else places[one.parent_id]
        by_agent, parts = one.sender_type is SenderType.AGENT, list(call_parts(one.content))
        steps.append(Step(one.place, by_agent, one.thread_id, parent, one.id in replied, parts))
    contents: dict[int, Any] = {one.place: one.content for one in said}
    return {call: contents[place][index] for call, (place, index) in answers(steps).items()}


def usage(memories: Iterable[Memory]) -> Usage:
    by = Counter[MemoryStatus]()
    size = 0
    for one in memories:
        by[one.status] += 1
        size += len(one.text.encode()) if one.status is MemoryStatus.ACTIVE else 0
    return Usage(by[MemoryStatus.ACTIVE], by[MemoryStatus.ARCHIVED], size)


Stored = tuple[str, str, Id, Any, str | None, str | None]
"""A line of a log of changes as it is kept: about, kind, record, time, and the two that stores.changes.kept gives."""


def mentioning(all: Callable[[Any], Iterable[Any]], kind: type[Any], entity_id: str) -> Iterator[Any]:
    """The records of a kind that mention an entity. all: those of a kind that are there."""
    told = {one.target_id for one in all(entity.Mention) if one.entity_id == entity_id}
    return (one for one in all(kind) if one.id in told)


def followed(
    log: Sequence[tuple[int, Stored]], after: int, filter: MemoryFilter | None, any: Callable[[Id], Any], world: World
) -> list[Any]:
    """What a follower is told of the lines of a log of changes, with their places and in order, behind a place.

    A record was after a line what its next one found. any: the record of an id as it is.
    """
    lines: list[Line[Any]] = []
    later: dict[Id, Any] = {}
    for place, (about, what, id, time, before, link) in reversed(log):
        if place <= after:
            break
        was = changes.state_of(about, before)
        line = changes.line_of(about, place, what, id, time, link, was, later.get(id), any(id), changes.lost(before))
        lines += [] if line is None else [line]
        later[id] = was or later.get(id)
    lines.reverse()
    if not all(isinstance(line.change, MemoryChange) for line in lines):
        return [line.change for line in lines]
    return changes.told(lines, [passes(of, memory, world) for memory, of in changes.asked(lines, filter)])


def neighbors(
    links: Iterable[MemoryLink], most: int = FAN_OUT, all: Callable[[Any], Iterable[Any]] | None = None
) -> Neighbors[Id]:
    """What reads the links at memories, up to `most` in each direction, the heaviest first. all: the records of a kind
    that are there, where mentions lead on too, from memories to entities and back."""
    ends: defaultdict[tuple[Id, bool], list[tuple[float, Id]]] = defaultdict(list)
    for link in links:
        ends[link.source_id, True].append((-link.weight, link.target_id))
        ends[link.target_id, False].append((-link.weight, link.source_id))
    for one in all(entity.Mention) if all is not None else ():
        if one.target_id.startswith(Memory.prefix):
            ends[one.target_id, True].append((-1.0, one.entity_id))
            ends[one.entity_id, False].append((-1.0, one.target_id))

    def read(nodes: Sequence[Id]) -> Iterator[tuple[Id, Id, float]]:
        for node, out in product(nodes, (True, False)):
            for lightness, other in sorted(ends.get((node, out), ()))[:most]:
                yield node, other, -lightness

    return read


def hanging(
    memories: Iterable[Memory],
    include: frozenset[GraphInclude],
    drew: Callable[[Id], Sequence[Id]],
    all: Callable[[Any], Iterable[Any]],
) -> Iterator[GraphEdge]:
    """The edges from memories to what they hang on. drew: the messages that drew on a memory, by their ids. all: the
    records of a kind that are there."""
    some = list(memories)

    def mentioned(memory: Memory) -> list[Id]:
        told = sorted(
            (one.created_at, one.id, one.entity_id) for one in all(entity.Mention) if one.target_id == memory.id
        )
        return [id for _, _, id in told[:REFERENCES_SHOWN]]

    wanted: list[tuple[GraphInclude, GraphEdgeKind, Callable[[Memory], Sequence[Id | None]]]] = [
        (GraphInclude.MESSAGES, GraphEdgeKind.FORMED_FROM, lambda one: [one.source_message_id]),
        (GraphInclude.MESSAGES, GraphEdgeKind.REFERENCED_BY, lambda one: drew(one.id)[:REFERENCES_SHOWN]),
        (GraphInclude.SESSIONS, GraphEdgeKind.IN_SESSION, lambda one: [one.session_id]),
        (GraphInclude.ACTORS, GraphEdgeKind.OWNED_BY, lambda one: [one.owner_id]),
        (GraphInclude.ENTITIES, GraphEdgeKind.MENTIONS, mentioned),
    ]
    for of, edge, others in wanted:
        for memory in some if of in include else ():
            yield from (GraphEdge(memory.id, other, edge, 1.0) for other in others(memory) if other is not None)


def messages_found(every: Iterable[Message], among: Iterable[Message], search: MessageSearch) -> FoundMessages:
    """What a search of messages finds among some; how usual a word is, all of them say."""
    messages = list(among)
    ranks_of = ranks({one.id: words_of(one.searched) for one in every}, [one.id for one in messages], search.text)
    best = _best(ranks_of, search.limit)
    return FoundMessages([one for one in messages if one.id in {*best, *search.others}], best)


def chunks_found(every: Sequence[DocumentChunk], search: ChunkSearch, world: World) -> FoundChunks:
    """What a search of documents finds among all their chunks. Raises Rejected where its filter asks too much."""
    check(search.filter)
    chunks = [one for one in every if search.filter is None or holds(IN_DOCUMENT, one, search.filter, world)]
    ranks_of = ranks({one.id: words_of(one.text) for one in every}, [one.id for one in chunks], search.text)
    best = _best(ranks_of, search.limit)
    if search.vector is None:
        return FoundChunks([one for one in chunks if one.id in best], best, {})
    having = [one for one in chunks if one.embedder == search.embedder]
    alike = cosines((one.vector for one in having), search.vector)
    near = dict(zip((one.id for one in having), alike, strict=True))
    found = [one for one in chunks if one.id in {*best, *_best(near, search.limit)}]
    waiting = sum(one.due_at is not None for one in chunks)
    return FoundChunks(found, best, {one.id: near[one.id] for one in found if one.id in near}, 1.0, waiting)


def states_found(all: Callable[[Any], Iterable[Any]], search: StateSearch, world: World) -> FoundStates:
    """What a search of state finds. all: the records of a kind that are there. Raises Rejected where its filter asks
    too much."""
    check(search.filter)
    below = search.namespace + SEPARATOR
    within = [one for one in all(StateVector) if one.namespace == search.namespace or one.namespace.startswith(below)]
    near, waiting = nearest([(one.entry_id, one.embedder, one.vector) for one in within], search)
    there = {one.id: one for one in all(StateEntry) if passes(search.filter, one, world)}
    hits = [(there[Id(id)], cosine) for id, cosine in near if id in there][: search.limit]
    return FoundStates([one for one, _ in hits], [cosine for _, cosine in hits], waiting)


def _best(scores: Mapping[Id, float], limit: int) -> dict[Id, float]:
    """So many of the best, the last of them the best."""
    return dict(sorted(scores.items(), key=lambda item: item[::-1])[-limit:])
