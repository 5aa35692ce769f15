"""Compress sessions: cut them into chunks, and form a memory of each. Messages stay as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

from domain.chunk import Chunk, ChunkStrategy, Cut, Formation, Piece, cuts
from domain.compression import CompressedChunk, CompressionChange, CompressSessionInput
from domain.formation import Birth, told
from domain.memory import Memory, MemoryFilter, MemoryInput, MemoryStatus
from domain.message import Message, ToolResponse
from domain.node import Id
from domain.page import Slice
from domain.session import Session
from domain.summary import summary
from domain.values import Json, Ref, encode_json
from resolvers import branches
from resolvers.context import Context, Unchanged, embedding, present, require
from resolvers.formation import Moved, as_read, the_owner
from resolvers.idempotency import write
from resolvers.memories import Stored, archive_in, as_one, create_in, vectors_of
from stores.ports import Collection, Records, Transaction, Vector, label_of
from stores.words import stem

_PAGE = 1_000
_AROUND = 3
"""How many messages on each side of a place are compared for a change of topic."""


class Compression(msgspec.Struct, frozen=True):
    """What became of a session's chunks, in the order of its messages, and what capacity moved out."""

    chunks: list[CompressedChunk]
    archived: list[Memory]


class _Written(msgspec.Struct, frozen=True):
    memories: list[Memory]
    archived: list[Memory]


class _Run(NamedTuple):
    """Messages that are to be a chunk, with the text of its memory, and the chunk and memory they are already."""

    messages: list[Message]
    reason: str
    text: str
    chunk: Chunk | None
    memory: Memory | None

    @property
    def at(self) -> datetime:
        return self.messages[-1].created_at


class _Plan(NamedTuple):
    """What a compression comes to. known: the chunks that are there; gone: those that are not any more."""

    session: Session
    runs: list[_Run]
    known: list[Chunk]
    gone: list[tuple[Chunk, Memory | None]]
    settings: Json
    how: Json

    @property
    def fresh(self) -> list[_Run]:
        return [run for run in self.runs if run.chunk is None]


@embedding
async def compress(context: Context, input: CompressSessionInput) -> Compression:
    """Cuts a session into chunks and forms a memory of each. Chunks that are as an earlier compression left them stay,
    with their memories; others take the place of what was there, whose memories are archived. Raises Rejected:
    NOT_FOUND, INVALID."""
    while True:
        plan = await _planned(context, input)
        if input.dry_run:
            return await _shown(context, plan, {}, [])
        try:
            written = await _write(context, input, plan)
        except Moved:
            continue
        return await _shown(context, plan, {one.chunk_id or "": one for one in written.memories}, written.archived)


async def _planned(context: Context, input: CompressSessionInput) -> _Plan:
    session = await require(context.store, Session, input.session, ["session"])
    [end] = await branches.ends(context, [session])
    of = Collection.MESSAGE_BRANCH
    messages = [] if end is None else [one async for one in branches.all_messages(context, end.id, of=of)]
    messages = messages[: len(messages) - input.keep_recent] if input.keep_recent else messages
    texts = [told(one) for one in messages]
    alike = await _alike(context, texts) if input.strategy is ChunkStrategy.TOPIC else [1.0] * len(texts)
    pieces = [
        Piece(one.created_at, len(text), any(type(part) is ToolResponse for part in one.content), like)
        for one, text, like in zip(messages, texts, alike, strict=True)
    ]
    known, memories = await _there(context, session)
    settings, how = encode_json(input.bounds), encode_json({"maxSentences": input.max_sentences})
    by_start = {chunk.cut_at: chunk for chunk in known}
    parts = list(cuts(pieces, input.strategy, input))
    kept = [by_start.get(messages[cut.start].id) for cut in parts]

    def stays(cut: Cut, chunk: Chunk | None) -> bool:
        """Whether a chunk is there already, cut in the same way, and its memory as it would be made."""
        if chunk is None or chunk.message_ids != [one.id for one in messages[cut.start : cut.end]]:
            return False
        memory = memories.get(chunk.id)
        same = chunk.strategy == input.strategy.value and bytes(chunk.settings) == bytes(settings)
        made = memory is not None and memory.formation is not None and not memory.stale
        return same and made and _how(memory) == (input.summary.value, bytes(how))

    same = [chunk if stays(cut, chunk) else None for cut, chunk in zip(parts, kept, strict=True)]

    def runs() -> list[_Run]:
        made = []
        for cut, chunk in zip(parts, same, strict=True):
            memory = memories[chunk.id] if chunk is not None else None
            text = memory.text if memory else summary(texts[cut.start : cut.end], input.max_sentences, stem=stem)
            made.append(_Run(messages[cut.start : cut.end], cut.reason, text, chunk, memory))
        return made

    staying = {chunk.id for chunk in same if chunk is not None}
    gone = [(chunk, memories.get(chunk.id)) for chunk in known if chunk.id not in staying]
    return _Plan(session, await asyncio.to_thread(runs), known, gone, settings, how)


def _how(memory: Memory | None) -> tuple[str, bytes] | None:
    how = memory and memory.formation
    return (how.strategy, bytes(how.settings)) if how else None


async def _there(context: Context, session: Session) -> tuple[list[Chunk], dict[Id, Memory]]:
    """The chunks of earlier compressions, and the active memory of each."""
    chunks: list[Chunk] = []
    more, after = True, None
    while more:
        [page] = await context.store.pages(Records(Chunk, "session"), [session.id], Slice(_PAGE, after=after))
        chunks += [one for one in page.nodes if one.cut_at is not None]
        more, after = page.has_next_page, page.page_info.end_cursor
    active = MemoryFilter(statuses=[MemoryStatus.ACTIVE])
    pages = await context.store.pages(Records(Memory, "chunk"), [one.id for one in chunks], Slice(1), active)
    return chunks, {one.id: page.nodes[0] for one, page in zip(chunks, pages, strict=True) if page.nodes}


async def _alike(context: Context, texts: Sequence[str]) -> list[float]:
    """For each message how alike what stands before it and from it on is, from 0 to 1; 1 where that is more alike than
    at the place before or behind it, so that a change of topic is found once, where it is clearest."""
    vectors = await context.embedder.embed(list(texts)) if texts else np.zeros((0, 1), np.float32)
    return await asyncio.to_thread(_similarities, vectors)


def _similarities(vectors: Vector) -> list[float]:
    sums = np.vstack([np.zeros((1, vectors.shape[1])), np.cumsum(vectors, axis=0, dtype=np.float64)])
    found = [1.0]
    for place in range(1, len(vectors)):
        before = sums[place] - sums[max(0, place - _AROUND)]
        behind = sums[min(len(vectors), place + _AROUND)] - sums[place]
        length = float(np.linalg.norm(before) * np.linalg.norm(behind))
        found.append((1 + float(before @ behind) / length) / 2 if length else 1.0)
    near = [min(found[max(0, at - 1) : at + 2]) for at in range(len(found))]
    return [like if like == least else 1.0 for like, least in zip(found, near, strict=True)][: len(vectors)]


async def _write(context: Context, input: CompressSessionInput, plan: _Plan) -> _Written:
    embedder = label_of(context.embedder)
    memories = [_memory(input, run) for run in plan.fresh if run.text]
    vectors = await vectors_of(context, memories)

    async def script(tx: Transaction) -> _Written:
        session = await require(tx, Session, input.session, ["session"])
        await _check(tx, plan)
        if not plan.fresh and not plan.gone:
            raise Unchanged(_Written([], []))
        chunks = await _recut(tx, input, plan)
        owner = input.owner or await the_owner(tx, session.id, input.scope)
        formation = Formation(input.summary.value, plan.how, tx.now)
        pairs = zip(plan.fresh, chunks, strict=True)
        births = [Birth(chunk.message_ids, session.id, chunk.id, formation) for run, chunk in pairs if run.text]
        stored = Stored([], [])
        if births:
            owned = [replace(one, owner=owner) for one in memories]
            with as_one():  # all have the same owner, type and so on
                stored = await create_in(tx, owned, vectors, context.capacity, embedder, births)
        return _Written(stored.memories, stored.archived)

    return await write(context, input, script, _Written)


def _memory(input: CompressSessionInput, run: _Run) -> MemoryInput:
    return MemoryInput(
        type=input.type,
        scope=input.scope,
        owner=input.owner,
        text=run.text,
        importance=input.importance,
        tags=input.tags,
        source_message=Ref(id=run.messages[0].id),
        created_at=run.at,
    )


async def _check(tx: Transaction, plan: _Plan) -> None:
    """Raises Moved where messages or chunks are not as they were when the plan was made."""
    wanted = [one for run in plan.fresh for one in run.messages]
    if as_read(await present(tx, Message, [one.id for one in wanted])) != as_read(wanted):
        raise Moved
    if await tx.get(Chunk, [one.id for one in plan.known]) != plan.known:
        raise Moved
    ids = {one.id for one in plan.known}
    starts = await tx.find(Chunk, [(run.messages[0].id,) for run in plan.fresh])
    if any(one is not None and one.id not in ids for one in starts):
        raise Moved


async def _recut(tx: Transaction, input: CompressSessionInput, plan: _Plan) -> list[Chunk]:
    """Takes away chunks, archives their memories, and puts new ones, which take the place of those that begin so."""
    memories = [replace(memory, chunk_id=None) for _, memory in plan.gone if memory is not None]
    now = {one.id: one for one in await present(tx, Memory, [one.id for one in memories])}
    await archive_in(tx, [replace(now[one.id], chunk_id=None) for one in memories if one.id in now])
    before = {chunk.cut_at: chunk for chunk, _ in plan.gone}
    chunks = [
        Chunk(
            id=before.pop(run.messages[0].id).id if run.messages[0].id in before else tx.new_id(Chunk),
            session_id=plan.session.id,
            message_ids=[one.id for one in run.messages],
            reason=run.reason,
            strategy=input.strategy.value,
            settings=plan.settings,
            created_at=tx.now,
            cut_at=run.messages[0].id,
        )
        for run in plan.fresh
    ]
    await tx.delete(Chunk, [chunk.id for chunk in before.values()])
    await tx.put(chunks)
    return chunks


async def _shown(context: Context, plan: _Plan, made: dict[str, Memory], archived: list[Memory]) -> Compression:
    by_first = {origin.source_message_id: origin for origin in made.values()}
    chunks = [
        CompressedChunk(
            CompressionChange.ADDED if run.chunk is None else CompressionChange.KEPT,
            run.reason,
            run.text,
            run.messages,
            run.memory or by_first.get(run.messages[0].id),
        )
        for run in plan.runs
    ]
    ids = [id for chunk, _ in plan.gone for id in chunk.message_ids]
    known = {one.id: one for one in await present(context.store, Message, ids)} if ids else {}
    gone = [memory.id for _, memory in plan.gone if memory is not None]
    now = {one.id: one for one in await present(context.store, Memory, gone)} if gone else {}
    chunks += [
        CompressedChunk(
            CompressionChange.REMOVED,
            chunk.reason,
            "" if memory is None else memory.text,
            [known[id] for id in chunk.message_ids if id in known],
            None if memory is None else now.get(memory.id),
        )
        for chunk, memory in plan.gone
    ]
    return Compression(chunks, archived)
