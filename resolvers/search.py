"""Search memories, and recall them for use."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime

import msgspec
import numpy as np

from domain.entity import Entity, named_in
from domain.errors import invalid, not_found
from domain.folding import said
from domain.memory import Memory, MemoryFilter, MemoryStatus, says_when, says_whose, touched
from domain.message import MemoryRef, Message
from domain.node import Id, id_of
from domain.page import MAX_FIRST
from domain.ranking import USUAL, Asked, Ranked, rank
from domain.search import (
    VOUCHING,
    Candidate,
    MemoryHit,
    MemoryQuery,
    MemorySearch,
    Ranking,
    Recall,
    Recalled,
    RecallInput,
    ScoreParts,
    SearchMode,
)
from domain.session import Session
from domain.trace import RECALL, TraceEvent
from domain.values import Json, Ref, encode_json
from resolvers.actors import whose
from resolvers.context import Context, Reader, embedding, present, require
from resolvers.entities import any_entity, mentions_of
from resolvers.memories import unit_vector
from resolvers.sessions import taking_part
from stores import words
from stores.errors import NoEmbedder
from stores.policies import BESIDE, LEAST_CANDIDATES
from stores.ports import Found, Search, Transaction, Vector, label_of

_MORE = 5
"""So many times as many hits are ranked as are shown, for some fold."""

_WIDER = 5
"""How many times as many candidates are asked for where those that fold left room."""


async def search(
    context: Context,
    query: MemoryQuery,
    filter: MemoryFilter | None = None,
    mode: SearchMode = SearchMode.HYBRID,
    threshold: float = 0.5,
    first: int = 10,
    ranking: Ranking | None = None,
    as_of: datetime | None = None,
) -> MemorySearch:
    """The best `first` memories for a query. Raises Rejected: INVALID; AMBIGUOUS for an owner who may be two; NOT_FOUND
    for `like` of an unknown memory."""
    return await _search(context, query, filter, Search(mode, threshold, first, ranking=ranking), as_of)


@embedding
async def _search(
    context: Context, query: MemoryQuery, filter: MemoryFilter | None, how: Search, as_of: datetime | None = None
) -> MemorySearch:
    context = context.as_of(as_of)
    begun = time.perf_counter()
    _check(how.threshold, how.limit)
    owner = await whose(context, filter)
    if filter is not None and owner is not None:  # who that is need not be asked again
        filter = msgspec.structs.replace(filter, owner=Ref(id=owner.id))
    if filter is not None and filter.statuses is None and says_when(filter):
        filter = msgspec.structs.replace(filter, statuses=[MemoryStatus.ACTIVE, MemoryStatus.SUPERSEDED])
    asked, without = await _asked(context, query, msgspec.structs.replace(how, filter=filter))
    [(hits, degraded)] = await _found(context, [asked])
    return MemorySearch(hits, asked.mode, degraded or without, (time.perf_counter() - begun) * 1000)


def _check(threshold: float, first: int) -> None:
    if not 0 <= threshold <= 1:
        raise invalid("threshold must be between 0 and 1.", ["threshold"])
    if not 0 <= first <= MAX_FIRST:
        raise invalid(f"first must be between 0 and {MAX_FIRST}.", ["first"])


async def _found(context: Context, searches: Sequence[Search]) -> list[tuple[list[MemoryHit], bool]]:
    """The hits of each search, the best first, and whether a part of the store was down."""
    found, entities = await asyncio.gather(context.store.search(searches), _entities(context, searches))
    return [await _folded(context, search, of, entities) for search, of in zip(searches, found, strict=True)]


async def _entities(context: Context, searches: Sequence[Search]) -> bool:
    """Whether there are entities that count."""
    hybrid = any(search.mode is SearchMode.HYBRID for search in searches)
    return bool(hybrid and context.weights.entities) and await any_entity(context)


async def _folded(context: Context, search: Search, found: Found, entities: bool) -> tuple[list[MemoryHit], bool]:
    """The hits of a search, of which those that say the same are one. Where they took the places of others, more
    candidates are asked for, once."""
    usual = await usual_of(context, search.mode, search.vector)
    hits = await _hits(context, search, await _ranked(context, search, found, usual, entities), found.records)
    if len(hits) < search.limit and any(hit.folded for hit in hits) and len(found.candidates) >= LEAST_CANDIDATES:
        [found] = await context.store.search([msgspec.structs.replace(search, limit=_WIDER * search.limit)])
        hits = await _hits(context, search, await _ranked(context, search, found, usual, entities), found.records)
    return hits, found.degraded


async def usual_of(context: Context, mode: SearchMode, vector: Vector | None) -> float:
    """The cosine that says nothing, of what is searched for."""
    if mode is not SearchMode.HYBRID or vector is None:
        return USUAL
    try:
        return await context.embedder.usual(vector)
    except NoEmbedder:
        return USUAL


async def _ranked(context: Context, search: Search, found: Found, usual: float, entities: bool) -> list[Ranked]:
    candidates, named = found.candidates, frozenset[Id]()
    if search.mode is SearchMode.HYBRID and entities and found.candidates:
        candidates, named = await _mentioning(context, search, found.candidates)
    asked = Asked(
        search.mode,
        search.threshold,
        _MORE * search.limit,
        search.ranking,
        search.text,
        context.clock(),
        context.embedder.kindred,
        found.covered,
        usual,
        named,
    )
    return rank(candidates, asked, found.ties, context.weights)


async def _mentioning(
    context: Context, search: Search, found: list[Candidate]
) -> tuple[list[Candidate], frozenset[Id]]:
    """Candidates with what the best of them by words and meaning mention, and what the query names of that."""
    best = heapq.nlargest(BESIDE, found, key=lambda one: (one.text_rank or 0.0) + (one.similarity or 0.0))
    mentions = await mentions_of(context, best)
    of = {
        one.id: tuple(mention.entity_id for mention in some) for one, some in zip(best, mentions, strict=True) if some
    }
    if not of:
        return found, frozenset()
    candidates = [msgspec.structs.replace(one, entities=of[one.id]) if one.id in of else one for one in found]
    entities = await present(context.store, Entity, list({id: None for some in of.values() for id in some}))
    return candidates, named_in(search.text or "", entities)


async def _hits(
    context: Context, search: Search, ranked: Sequence[Ranked], known: Mapping[Id, Memory]
) -> list[MemoryHit]:
    """The first of the ranked that say different things."""
    hits: dict[Hashable, MemoryHit] = {}
    at = 0
    while len(hits) < search.limit and at < len(ranked):
        batch = ranked[at : at + max(search.limit - len(hits), 1)]
        at += len(batch)
        there = {one.candidate.id: known[one.candidate.id] for one in batch if one.candidate.id in known}
        if missing := [one.candidate.id for one in batch if one.candidate.id not in there]:
            there |= {record.id: record for record in await present(context.store, Memory, missing)}
        for candidate, score, parts in batch:
            if (memory := there.get(candidate.id)) is None:
                continue
            if (hit := hits.get(key := said(memory))) is None:
                hits[key] = MemoryHit(memory, score, parts)
            else:
                hits[key] = msgspec.structs.replace(hit, folded=[*hit.folded, memory])
    return list(hits.values())


async def _asked(context: Context, query: MemoryQuery, how: Search) -> tuple[Search, bool]:
    """What is searched for, and whether it does without a vector because the embedder is down: then by words alone."""
    mode, without, embedder = how.mode, False, label_of(context.embedder)
    text, vector, exclude = query.text, None, None
    if query.vector is not None:
        vector = unit_vector(query.vector, context.embedder.dimension, ["query", "vector"])
    elif query.like is not None:
        memory = (await context.store.get(Memory, [query.like]))[0]
        if memory is None:
            raise not_found("memory", ["query", "like"])
        text, exclude = memory.text, memory.id
        vector = (await context.store.vectors([memory.id]))[0]
    elif text is None:
        raise invalid("Give exactly one of text, vector, like.", ["query"])
    if how.mode is SearchMode.TEXT:
        if text is None:
            raise invalid("A vector cannot be searched in TEXT mode; use SEMANTIC or HYBRID.", ["mode"])
        vector = None
    elif vector is None and text is not None and (how.mode is SearchMode.SEMANTIC or means(text)):
        telling = await _telling(context, text, how) if how.mode is SearchMode.HYBRID else text
        try:
            vector = await meaning(context, telling, how.mode)
        except NoEmbedder:
            mode, without = SearchMode.TEXT if how.mode is SearchMode.SEMANTIC else how.mode, True
    asked = msgspec.structs.replace(
        how, mode=mode, text=text, vector=vector, exclude=exclude, embedder=None if vector is None else embedder
    )
    return asked, without


async def _telling(context: Context, text: str, how: Search) -> str:
    """A query without the words that most of the memories have that are looked at, above all names: they would draw its
    vector to all of them alike."""
    exact = words.asked(text).exact
    usual = await context.store.usual(exact, how) if exact else set()
    return words.without(text, usual) if usual else text


def means(text: str) -> bool:
    """Whether a text has letters: of a bare version, date or number a vector says nothing."""
    return any(letter.isalpha() for letter in text)


async def meaning(context: Context, text: str, mode: SearchMode) -> Vector | None:
    """The vector of what is searched for, or None where the embedder knows nothing of it. In HYBRID that is also a word
    that is none: pieces of it would be near to anything. Raises NoEmbedder."""
    vector = directed((await context.embedder.embed([text]))[0])
    return None if mode is SearchMode.HYBRID and not context.embedder.knows(text) else vector


def directed(vector: Vector) -> Vector | None:
    """The vector, or None where the text had nothing the embedder knows."""
    return vector if np.any(vector) else None


async def _vectors(context: Context, memories: Sequence[Memory]) -> list[Vector | None]:
    """The vectors of memories, of their texts where the store has none."""
    stored = await context.store.vectors([memory.id for memory in memories])
    texts = [memory.text for memory, vector in zip(memories, stored, strict=True) if vector is None]
    made = iter(await context.embedder.embed(texts)) if texts else iter(())
    return [directed(next(made)) if vector is None else vector for vector in stored]


@embedding
async def similar(
    context: Context, memories: Sequence[Memory], first: int = 10, threshold: float = 0.5
) -> list[list[MemoryHit]]:
    _check(threshold, first)
    embedder = label_of(context.embedder)
    vectors = await _vectors(context, memories)
    searches = [
        Search(SearchMode.SEMANTIC, threshold, first, memory.text, vector, None, memory.id, embedder=embedder)
        for memory, vector in zip(memories, vectors, strict=True)
    ]
    return [hits for hits, _ in await _found(context, searches)]


async def recalled_in(context: Context, session: Session, text: str, first: int) -> list[Memory]:
    """What a text finds among the memories of those who take part in a session, and GLOBAL ones; the best first."""
    owners = [one.actor_id for one in await taking_part(context, session) if one.actor_id is not None]
    found = await _search(context, MemoryQuery(text=text), None, Search(SearchMode.HYBRID, 0.5, first, owners=owners))
    return [hit.memory for hit in found.hits]


async def recall(context: Context, input: RecallInput) -> Recalled:
    """Searches, records an access of each hit, and logs what was found and why."""
    session, _ = await _occasion(context.store, input)
    owners = None
    if session is not None and not input.anyone and not says_whose(input.filter):
        owners = [one.actor_id for one in await taking_part(context, session) if one.actor_id is not None]
    how = Search(input.mode, input.threshold, input.first, owners=owners, ranking=input.ranking)
    found = await _search(context, input.query, input.filter, how)

    async def script(tx: Transaction) -> Recalled:
        session, message = await _occasion(tx, input)
        current = await tx.get(Memory, [hit.memory.id for hit in found.hits])
        hits = [
            msgspec.structs.replace(hit, memory=touched(memory, tx.now))
            for memory, hit in zip(current, found.hits, strict=True)
            if memory is not None
        ]
        await tx.put([hit.memory for hit in hits])
        event = None if session is None else await _note(tx, session, message, input, hits, found.took_ms)
        await tx.put([_recall(tx, hit, session, message, event) for hit in hits])
        if message is not None and hits:
            await tx.reference(message.id, [MemoryRef(hit.memory.id, hit.score, None) for hit in hits])
        return Recalled(MemorySearch(hits, found.mode, found.degraded, found.took_ms), event)

    return await context.write(script)


async def _occasion(reader: Reader, input: RecallInput) -> tuple[Session | None, Message | None]:
    """The session and the message that a recall is for. Raises Rejected: NOT_FOUND."""
    message = None if input.message is None else await require(reader, Message, input.message, ["message"])
    session = None if input.session is None else await require(reader, Session, input.session, ["session"])
    if message is not None and session is not None and message.session_id != session.id:
        raise not_found("message of this session", ["message"])
    if session is None and message is not None:
        session = (await reader.get(Session, [message.session_id]))[0]
    return session, message


async def _note(
    tx: Transaction,
    session: Session,
    message: Message | None,
    input: RecallInput,
    hits: Sequence[MemoryHit],
    took_ms: float,
) -> TraceEvent:
    event = TraceEvent(
        id=tx.new_id(TraceEvent),
        session_id=session.id,
        type=RECALL,
        component="memory",
        time=tx.now,
        duration_ms=took_ms,
        data=_explained(input, hits),
        user_id=None,
        agent_id=None,
        message_id=id_of(message),
        parent_id=None,
        span_record_id=None,
        memory_ids=[hit.memory.id for hit in hits],
        external_id=None,
    )
    return (await tx.append([event]))[0]


def _explained(input: RecallInput, hits: Sequence[MemoryHit]) -> Json:
    """The data of a recall's trace event: the query, and each hit with the parts of its score."""
    query = {"text": input.query.text, "like": input.query.like, "vector": input.query.vector is not None or None}
    return encode_json(
        {
            "query": {name: value for name, value in query.items() if value is not None},
            "mode": input.mode,
            "threshold": input.threshold,
            "hits": [{"memory": hit.memory.id, "score": hit.score, "parts": _shown(hit.parts)} for hit in hits],
        }
    )


def _shown(parts: ScoreParts) -> dict[str, float | None]:
    """The parts by their names in the schema; of what vouches for a hit what there is."""
    always = {
        "similarity": parts.similarity,
        "textRank": parts.text_rank,
        "fusion": parts.fusion,
        "importance": parts.importance,
        "decay": parts.decay,
    }
    values = msgspec.structs.asdict(parts)
    return always | {name: value for name, value in values.items() if name in VOUCHING and value is not None}


def _recall(
    tx: Transaction, hit: MemoryHit, session: Session | None, message: Message | None, event: TraceEvent | None
) -> Recall:
    return Recall(
        id=tx.new_id(Recall),
        memory_id=hit.memory.id,
        session_id=id_of(session),
        message_id=id_of(message),
        event_id=id_of(event),
        score=hit.score,
        parts=hit.parts,
        recalled_at=tx.now,
    )


async def recalled_memories(context: Context, recalls: Sequence[Recall]) -> list[Memory | None]:
    return await context.store.get(Memory, [recall.memory_id for recall in recalls])


async def recall_events(context: Context, recalls: Sequence[Recall]) -> list[TraceEvent | None]:
    return await context.store.get(TraceEvent, [recall.event_id or Id("") for recall in recalls])
